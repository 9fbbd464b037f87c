import { once } from 'node:events'
import { createServer } from 'node:net'
import { Duplex } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import {
  type Address,
  Connection,
  Listener,
  answerChallenge,
  answerChallengeSync,
  connect,
  connectSync,
  deliverChallenge,
  deliverChallengeSync,
} from '../index.ts'
import { frame } from './support/bytes.ts'
import { startFixture } from './support/program.ts'
import { rawPeer } from './support/raw-peer.ts'
import { temporaryAddress } from './support/resources.ts'
import { connected, dial, listen, listening } from './support/transports.ts'
import { codeOf, rejection, turns, until } from './support/until.ts'

const likely = /after 20 ms: the listener takes no part in the handshake; it may have no authKey$/

/** Somebody who accepts and says nothing; the sockets are closed when the test ends. */
async function silent(t: ExecutionContext): Promise<{ address: Address; closed: () => boolean }> {
  let open = 0
  let accepted = 0
  const server = createServer((socket) => {
    open++
    accepted++
    socket.on('error', () => {}).resume()
    socket.on('close', () => open--)
  })
  const address = temporaryAddress(t)
  server.listen(address)
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return { address, closed: () => accepted > 0 && open === 0 }
}

test('connecting with a key to one without says so after handshakeTimeout, and closes', async (t) => {
  const { address, closed } = await silent(t)
  const error = await rejection(connect(address, { authKey: 'secret', handshakeTimeout: 20 }))
  t.like(error, { code: 'ERR_TIMEOUT', name: 'TimeoutError' })
  t.regex(error.message, likely)
  await until(closed)
  const listener = await listen(t)
  t.regex((await rejection(connect(listener.address, { authKey: 'secret', handshakeTimeout: 20 }))).message, likely)
})

test('connectSync does, too', async (t) => {
  const listener = await listen(t)
  const error = t.throws(() => connectSync(listener.address, { authKey: 'secret', handshakeTimeout: 20 }))
  t.regex(String(error?.message), likely)
})

test('timeout counts beside handshakeTimeout, and what comes first is told', async (t) => {
  const { address } = await silent(t)
  const options = { authKey: 'secret', timeout: 20, handshakeTimeout: 60_000 }
  t.is((await rejection(connect(address, options))).message, 'connect timed out after 20 ms')
  t.is(t.throws(() => connectSync(address, options))?.message, 'connectSync timed out after 20 ms')
  const never = { authKey: 'secret', handshakeTimeout: null, signal: AbortSignal.timeout(20) }
  t.is((await rejection(connect(address, never))).code, 'ABORT_ERR')
  t.is((await rejection(connect(address, { handshakeTimeout: Number.NaN }))).code, 'ERR_OUT_OF_RANGE')
  const client = await connect(address, { handshakeTimeout: 0 })
  client.destroy()
})

type Half = (connection: Connection, key: string, options?: object) => Promise<void>
const halves: readonly (readonly [string, Half])[] = [
  ['deliverChallenge', deliverChallenge],
  ['answerChallenge', answerChallenge],
]

for (const transport of [...listening, 'pipe'] as const) {
  for (const [name, half] of halves) {
    test(`${transport}: ${name} gives a silent peer up, by timeout or signal, and takes nothing of what follows`, async (t) => {
      const [connection, peer] = await connected(t, transport)
      const error = await rejection(half(connection, 'secret', { timeout: 20 }))
      t.like(error, {
        code: 'ERR_TIMEOUT',
        message: `${name} timed out after 20 ms: the peer takes no part in the handshake`,
      })
      const reason = new Error('changed my mind')
      const aborter = new AbortController()
      const aborted = rejection(half(connection, 'secret', { signal: aborter.signal, timeout: null }))
      await turns()
      aborter.abort(reason)
      t.like(await aborted, { code: 'ABORT_ERR', cause: reason })
      t.like(await rejection(half(connection, 'secret', { signal: aborter.signal })), { code: 'ABORT_ERR' })
      // More than a handshake's message may have: that limit is over.
      await peer.sendBytes(Buffer.alloc(1000, 1))
      t.is((await connection.recvBytes()).length, 1000)
    })
  }
}

for (const [name, half] of halves) {
  test(`${name} is given up where the peer does not read, too`, async (t) => {
    const { connection, peer } = await rawPeer(t, 'unix')
    if (name === 'answerChallenge')
      peer.write(Buffer.concat([Buffer.from([0, 0, 0, 31]), Buffer.from('#CHALLENGE#12345678901234567890')]))
    const filling = connection.sendBytes(Buffer.alloc(10_000_000)).catch(() => {})
    t.is((await rejection(half(connection, 'secret', { timeout: 20 }))).code, 'ERR_TIMEOUT')
    connection.destroy()
    await filling
  })

  test(`${name}: closing the connection ends it; wrong options are refused`, async (t) => {
    const [connection] = await connected(t, 'unix')
    t.is((await rejection(half(connection, 'secret', { timeout: Number.NaN }))).code, 'ERR_OUT_OF_RANGE')
    t.is((await rejection(half(connection, 'secret', { authKey: 'secret' }))).code, 'ERR_INVALID_ARG_VALUE')
    t.is((await rejection(half(connection, 7 as never))).code, 'ERR_INVALID_ARG_TYPE')
    t.is((await rejection(half({} as never, 'secret'))).code, 'ERR_INVALID_ARG_TYPE')
    const failed = rejection(half(connection, 'secret'))
    await turns()
    connection.destroy()
    t.is((await failed).code, 'ERR_CLOSED')
  })
}

test('the Sync twins prove the key in two processes, and give a silent peer up', async (t) => {
  const address = temporaryAddress(t)
  const listener = Listener.listenSync(address)
  t.teardown(() => listener.close())
  const program = startFixture(t, 'challenges.ts', [address])
  const connection = listener.acceptSync({ timeout: 60_000 })
  t.teardown(() => connection.destroy())
  deliverChallengeSync(connection, 'secret')
  answerChallengeSync(connection, 'secret', { minDigest: 'sha256', timeout: 60_000 })
  t.is(String(connection.recvBytesSync({ timeout: 60_000 })), 'proven')
  t.is((await program.outcome()).code, 0)
  const client = await dial(t, address)
  for (const half of [deliverChallengeSync, answerChallengeSync]) {
    const error = t.throws<NodeJS.ErrnoException>(() => half(client, 'secret', { timeout: 10 }))
    t.is(error.code, 'ERR_TIMEOUT')
    t.regex(error.message, /ChallengeSync timed out after 10 ms: the peer takes no part in the handshake$/)
    t.throws(() => half(client, 'secret', { signal: new AbortController().signal } as object), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    t.throws(() => half({} as never, 'secret'), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('an abort at any moment ends half a handshake whose peer reads nothing', async (t) => {
  const challenge = Buffer.concat([Buffer.from('#CHALLENGE#{sha256}'), Buffer.alloc(40, 1)])
  for (let moment = 0; moment < 10; moment++) {
    const stream = new Duplex({ read() {}, write() {} })
    stream.push(frame(challenge))
    const connection = Connection.fromStream(stream)
    t.teardown(() => connection.destroy())
    const ending = new AbortController()
    const half = codeOf(answerChallenge(connection, 'key', { signal: ending.signal, timeout: null }))
    for (let microtask = 0; microtask < moment; microtask++) await Promise.resolve()
    ending.abort()
    t.is(await half, 'ABORT_ERR', `after ${moment} microtasks`)
  }
})
