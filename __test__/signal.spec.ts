import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { Connection, Selector, wait } from '../index.ts'
import { report } from './support/program.ts'
import { rawPeer, rawTransports, reset, write } from './support/raw-peer.ts'
import { connected, oneWay, transports } from './support/transports.ts'
import { codeOf, turns, until } from './support/until.ts'

async function aborted(signal: AbortSignal): Promise<string> {
  if (!signal.aborted) await once(signal, 'abort')
  return (signal.reason as NodeJS.ErrnoException).code ?? ''
}

for (const transport of transports) {
  test(`${transport}: the signal is aborted when the peer closes, and what it sent can still be received`, async (t) => {
    const [connection, peer] = await connected(t, transport)
    const { signal } = connection
    t.is(connection.signal, signal)
    await peer.sendBytes(Buffer.from('one'))
    await peer.sendBytes(Buffer.from('two'))
    await turns()
    t.false(signal.aborted)
    peer.destroy()
    t.is(await aborted(signal), 'ERR_EOF')
    t.is(String(await connection.recvBytes()), 'one')
    t.is(String(await connection.recvBytes()), 'two')
    t.is(await codeOf(connection.recvBytes()), 'ERR_EOF')
    t.false(connection.closed)
  })

  test(`${transport}: it is aborted at once where the peer is known to be gone, soon where it is not`, async (t) => {
    const [connection, peer] = await connected(t, transport)
    peer.destroy()
    t.is(await aborted(connection.signal), 'ERR_EOF')
    const [known, other] = await connected(t, transport)
    other.destroy()
    t.is(await codeOf(known.recvBytes()), 'ERR_EOF')
    t.is(await aborted(known.signal), 'ERR_EOF')
  })

  for (const how of ['close', 'destroy', 'closeSync', 'detach'] as const) {
    test(`${transport}: ${how}() aborts it at once, and after that it is aborted from the start`, async (t) => {
      const [connection] = await connected(t, transport)
      const { signal } = connection
      const result = connection[how]()
      t.true(signal.aborted)
      t.is(await aborted(signal), 'ERR_CLOSED')
      await result
      if (result !== undefined && 'fd' in result) result.close()
      t.is(await aborted(connection.signal), 'ERR_CLOSED')
      const [late] = await connected(t, transport)
      late.destroy()
      t.is(await aborted(late.signal), 'ERR_CLOSED')
    })
  }

  test(`${transport}: it works beside receives, sends, poll, wait, a Selector and Sync calls`, async (t) => {
    const [connection, peer] = await connected(t, transport)
    const { signal } = connection
    const selector = new Selector()
    t.teardown(() => selector.close())
    selector.register(connection, 1)
    for (let round = 0; round < 3; round++) {
      const receiving = connection.recvBytes()
      await peer.sendBytes(Buffer.from('awaited'))
      t.is(String(await receiving), 'awaited')
      await connection.sendBytes(Buffer.alloc(1))
      peer.sendBytesSync(Buffer.from('unread'))
      t.is((await selector.select()).length, 1)
      t.deepEqual(await wait([connection]), [connection])
      t.true(await connection.poll())
      t.is(String(connection.recvBytesSync()), 'unread')
      t.is(peer.recvBytesSync().length, 1)
    }
    t.false(signal.aborted)
    const receiving = codeOf(connection.recvBytes())
    peer.destroy()
    t.is(await receiving, 'ERR_EOF')
    t.is(await aborted(signal), 'ERR_EOF')
  })

  test(`${transport}: a sender that waits for room hears of it, and its listener may close the connection`, async (t) => {
    const [connection, peer] = await connected(t, transport)
    connection.signal.addEventListener('abort', () => connection.destroy())
    const sending = codeOf(connection.sendBytes(Buffer.alloc(50_000_000)))
    await turns()
    peer.destroy()
    t.true(['EPIPE', 'ECONNRESET', 'ERR_CLOSED'].includes((await sending) as string))
    await until(() => connection.closed)
  })
}

for (const transport of rawTransports) {
  test(`${transport}: a peer that resets or shuts its half down is gone, too`, async (t) => {
    const half = await rawPeer(t, transport)
    const { signal } = half.connection
    await write(half.peer, Buffer.from([0, 0, 0, 1, 7]))
    half.peer.end()
    t.is(await aborted(signal), 'ERR_EOF')
    t.is((await half.connection.recvBytes())[0], 7)
    await half.connection.sendBytes(Buffer.from('heard'))
    const gone = await rawPeer(t, transport)
    const { signal: other } = gone.connection
    await reset(gone.peer)
    t.is(await aborted(other), 'ERR_EOF')
  })
}

test('the ends of a one-way pipe: the reader hears of the writer, and the other way round', async (t) => {
  const [reader, writer] = oneWay(t)
  const { signal } = reader
  await writer.close()
  t.is(await aborted(signal), 'ERR_EOF')
  const [ear, mouth] = oneWay(t)
  const { signal: heard } = mouth
  await turns()
  t.false(heard.aborted)
  ear.destroy()
  t.is(await aborted(heard), 'ERR_EOF')
})

test('a connection that was moved is closed here, and watched there', async (t) => {
  const [near, far] = await connected(t, 'unix')
  const [moved, peer] = await connected(t, 'unix')
  const { signal } = moved
  await near.sendConnection(moved)
  t.is(await aborted(signal), 'ERR_CLOSED')
  const here = await far.recvConnection()
  const { signal: there } = here
  peer.destroy()
  t.is(await aborted(there), 'ERR_EOF')
  here.destroy()
})

test('over a stream it is what the stream says', async (t) => {
  const failing = new PassThrough()
  const connection = Connection.fromStream(failing)
  const { signal } = connection
  await turn()
  t.false(signal.aborted)
  failing.destroy(new Error('broken'))
  t.is(await aborted(signal), 'ERR_EOF')
  connection.destroy()
  const ended = Connection.fromStream(new PassThrough().destroy())
  t.is(await aborted(ended.signal), 'ERR_EOF')
  ended.destroy()
})

test('it keeps neither the process nor the connection, and is aborted when that is collected', async (t) => {
  t.deepEqual(await report(t, 'signal-collected.ts', [], { nodeOptions: ['--expose-gc'] }), {
    collected: 'ERR_CLOSED',
    withListener: true,
    ended: true,
  })
})
