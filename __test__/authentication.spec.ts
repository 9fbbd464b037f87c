import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { inspect } from 'node:util'
import test from 'ava'
import { connect, type Connection, type HandshakePeer as Failed, Listener, pipe, wait } from '../index.ts'
import {
  answerChallenge,
  answerThenDeliver,
  checkAuthentication,
  createResponse,
  deliverThenAnswer,
  verifyResponse,
} from '../lib/authentication/steps.ts'
import type { Authentication, AuthenticationOptions } from '../lib/authentication/steps.ts'
import { frame } from './support/bytes.ts'
import { HandshakePeer } from './support/handshakes.ts'
import { report, startFixture } from './support/program.ts'
import { type Python, pythons, runPython } from './support/python.ts'
import { write } from './support/raw-peer.ts'
import { temporaryAddress } from './support/resources.ts'
import { accept, dial, freshAddress, listen as listenWithLimit, listening } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

/** Without a limit of time: the machine may be busy. */
const listen: typeof listenWithLimit = (scope, address, options) =>
  listenWithLimit(scope, address, { handshakeTimeout: null, ...options })

interface Vectors {
  readonly authkey_hex: string
  readonly create_response: readonly { case: string; message_hex: string; response_hex: string }[]
  readonly verify: readonly { case: string; message_hex: string; response_hex: string; result: string }[]
  readonly challenge_parsing: readonly { case: string; message_hex: string; create_response: string }[]
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('vectors/authentication.json', import.meta.url), 'utf8'))

function authentication(options: AuthenticationOptions = {}): Authentication {
  const checked = checkAuthentication({ authKey: Buffer.from(vectors.authkey_hex, 'hex'), ...options })
  if (checked === undefined) throw new Error('There is a key')
  return checked
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

const refused = { name: 'AuthenticationError', code: 'ERR_AUTHENTICATION' }

for (const { case: title, message_hex, response_hex } of vectors.create_response) {
  test(`Python's response to a challenge: ${title}`, (t) => {
    t.is(createResponse(authentication(), hex(message_hex)).toString('hex'), response_hex)
  })
}

for (const { case: title, message_hex, create_response } of vectors.challenge_parsing) {
  test(`Python's reading of a challenge: ${title}`, (t) => {
    const respond = (): Buffer => createResponse(authentication(), hex(message_hex))
    if (create_response.startsWith('ok ')) t.is(`ok ${respond().toString('hex')}`, create_response)
    else t.throws(respond, refused)
  })
}

for (const { case: title, message_hex, response_hex, result } of vectors.verify) {
  test(`Python's verdict on a response: ${title}`, (t) => {
    const verify = (): void => verifyResponse(authentication(), hex(message_hex), hex(response_hex))
    if (result === 'ok') t.notThrows(verify)
    else t.throws(verify, refused)
  })
}

test('minDigest refuses the vectors with MD5, named or not, and takes the others', (t) => {
  const strict = authentication({ minDigest: 'sha256' })
  for (const { case: title, message_hex } of vectors.create_response) {
    const respond = (): Buffer => createResponse(strict, hex(message_hex))
    if (title === 'md5' || title === 'legacy20') t.throws(respond, refused, title)
    else t.notThrows(respond, title)
  }
  for (const { case: title, message_hex, response_hex, result } of vectors.verify) {
    const verify = (): void => verifyResponse(strict, hex(message_hex), hex(response_hex))
    if (result !== 'ok' || title.includes('md5')) t.throws(verify, refused, title)
    else t.notThrows(verify, title)
  }
})

test('a challenge shorter than 20 bytes is refused, of 20 it is answered', (t) => {
  for (const length of [0, 16, 19]) {
    const handshake = answerChallenge(authentication())
    handshake.next()
    t.throws(() => handshake.next(Buffer.from(`#CHALLENGE#${'a'.repeat(length)}`)), refused)
  }
  const handshake = answerChallenge(authentication())
  handshake.next()
  t.false(handshake.next(Buffer.from(`#CHALLENGE#${'a'.repeat(20)}`)).done)
})

test('the steps of a handshake need no connection', (t) => {
  const server = deliverThenAnswer(authentication())
  const client = answerThenDeliver(authentication())
  const first = server.next().value as { send: Buffer }
  t.is(first.send.toString('latin1', 0, 19), '#CHALLENGE#{sha256}')
  t.is(first.send.length, 59, 'as Python 3.12')
  t.deepEqual(client.next().value, { receive: 256 })
  const { send: response } = client.next(first.send).value as { send: Buffer }
  t.deepEqual(server.next(Buffer.alloc(0)).value, { receive: 256 })
  t.is(String((server.next(response).value as { send: Buffer }).send), '#WELCOME#')
})

for (const transport of listening) {
  test(`${transport}: two ends with the same key are connected`, async (t) => {
    for (const authKey of ['key', 'schlüssel', Buffer.from([0, 255]), 'long'.repeat(100), '']) {
      for (const minDigest of ['md5', 'sha256'] as const) {
        const listener = await listen(t, freshAddress(t, transport), { authKey, minDigest })
        const [client, server] = await Promise.all([
          dial(t, listener.address, { authKey: Buffer.from(authKey), minDigest }),
          accept(t, listener),
        ])
        await client.sendBytes(Buffer.from('to the listener'))
        await server.sendBytes(Buffer.from('to the client'))
        t.is(String(await server.recvBytes()), 'to the listener')
        t.is(String(await client.recvBytes()), 'to the client')
      }
    }
  })

  test(`${transport}: another key is refused at both ends, and the listener goes on`, async (t) => {
    const failures: [Error, Failed][] = []
    const listener = await listen(t, freshAddress(t, transport), {
      authKey: 'right',
      onHandshakeError: (error, from) => void failures.push([error, from]),
    })
    const accepting = accept(t, listener)
    for (const authKey of ['wrong', '', 'Right', 'right ']) {
      t.like(await rejection(connect(listener.address, { authKey })), refused, authKey)
    }
    await dial(t, listener.address, { authKey: 'right' })
    await accepting
    t.is(failures.length, 4)
    for (const [error, { peer, credentials }] of failures) {
      t.like(error, refused)
      if (transport === 'tcp') {
        t.is((peer as { host: string }).host, '127.0.0.1')
        t.is(credentials, undefined)
      } else {
        t.is(peer, '')
        t.is(credentials?.pid, process.pid)
      }
    }
  })
}

test('a key is a string or bytes, refused before anything is done', async (t) => {
  const address = temporaryAddress(t)
  for (const authKey of [null, 5, true, {}, ['key'], new ArrayBuffer(4)] as never[]) {
    await t.throwsAsync(Listener.listen(address, { authKey }), { code: 'ERR_INVALID_ARG_TYPE' })
    await t.throwsAsync(connect(address, { authKey }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  for (const minDigest of ['sha1', 'SHA256', 5, null] as never[]) {
    await t.throwsAsync(Listener.listen(address, { minDigest }), { code: 'ERR_INVALID_ARG_VALUE' })
    await t.throwsAsync(connect(address, { minDigest }), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  await t.throwsAsync(Listener.listen(address, { verifyPeer: 'root' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(Listener.listen(address, { onHandshakeError: 5 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(Listener.listen(address, { handshakeTimeout: NaN }), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(Listener.listen(address, { handshakeTimeout: '5' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  await listen(t, address)
})

test('what the caller does to the bytes of a key afterwards changes nothing', async (t) => {
  const authKey = Buffer.from('secret')
  const listener = await listen(t, temporaryAddress(t), { authKey })
  authKey.fill(0)
  const [client, server] = await Promise.all([dial(t, listener.address, { authKey: 'secret' }), accept(t, listener)])
  t.true(client.writable && server.writable)
})

test('nothing shows the key', async (t) => {
  const errors: Error[] = []
  const listener = await listen(t, temporaryAddress(t), {
    authKey: 'secret-of-the-listener',
    onHandshakeError: (error) => void errors.push(error),
  })
  const accepting = accept(t, listener)
  errors.push(await rejection(connect(listener.address, { authKey: 'secret-of-the-client' })))
  const client = await dial(t, listener.address, { authKey: 'secret-of-the-listener' })
  const server = await accepting
  const wrongType = { toString: () => 'secret-of-the-caller' } as never
  errors.push(await rejection(connect(listener.address, { authKey: wrongType })))
  const shown = inspect([errors, listener, client, server], { showHidden: true, depth: 20 })
  t.is(errors.length, 3)
  t.notRegex(shown, /secret-of/)
  t.notRegex(errors.map((error) => `${error.message} ${error.stack}`).join(), /secret-of/)
})

test('{ fd } authenticates too, on both sides', async (t) => {
  const first = await listen(t, temporaryAddress(t), { authKey: 'key' })
  const [ours, hostile] = pipe()
  t.teardown(() => hostile.destroy())
  const connecting = rejection(connect({ fd: ours.fd }, { authKey: 'key' }))
  await hostile.sendBytes(Buffer.from('no challenge'))
  t.like(await connecting, refused)
  ours.destroy()
  await t.throwsAsync(hostile.recvBytes(), { code: 'ERR_EOF' }, 'the copy is closed')

  const plain = await dial(t, first.address)
  const [client, server] = await Promise.all([dial(t, { fd: plain.fd }, { authKey: 'key' }), accept(t, first)])
  await client.sendBytes(Buffer.from('through'))
  t.is(String(await server.recvBytes()), 'through')
})

test('a listener of an adopted descriptor authenticates', async (t) => {
  const plain = await Listener.listen(temporaryAddress(t), { unlink: false })
  const { address } = plain
  const { fd } = plain
  t.true(fd > 0)
  const errors: Error[] = []
  const program = startFixture(t, 'inherited-listener.ts', [], { inherit: [fd] })
  t.is(await program.line(), 'listening')
  await plain.close()
  errors.push(await rejection(connect(address, { authKey: 'wrong' })))
  t.like(errors[0], refused)
  const client = await dial(t, address, { authKey: 'key' })
  t.is(String(await client.recvBytes()), 'accepted')
  await program.finish()
})

test('a handshake may have more bytes than the messages of the connection', async (t) => {
  const options = { authKey: 'key', maxMessageSize: 4 }
  const listener = await listen(t, temporaryAddress(t), options)
  const [client, server] = await Promise.all([dial(t, listener.address, options), accept(t, listener)])
  await client.sendBytes(Buffer.from('four'))
  await client.sendBytes(Buffer.from('and more'))
  t.is(String(await server.recvBytes()), 'four')
  await t.throwsAsync(server.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
})

test('what is sent right behind the handshake is received', async (t) => {
  for (const readAhead of [true, false]) {
    const listener = await listen(t, temporaryAddress(t), { authKey: 'key', readAhead })
    const client = dial(t, listener.address, { authKey: 'key' }).then(async (client) => {
      await client.sendBytes(Buffer.from('one'))
      await client.sendBytes(Buffer.from('two'))
    })
    const server = await accept(t, listener)
    t.is(String(await server.recvBytes()), 'one')
    t.is(String(await server.recvBytes()), 'two')
    await client
  }
})

test('verifyPeer refuses by false or by throwing, before anything is sent', async (t) => {
  const answers: (() => boolean | void | Promise<boolean | void>)[] = [
    () => false,
    async () => false,
    () => {
      throw new Error('not you')
    },
    async () => {
      throw new Error('not you')
    },
  ]
  for (const answer of answers) {
    for (const authKey of ['key', undefined]) {
      const errors: Error[] = []
      const pids: unknown[] = []
      let refusing = true
      const listener = await listen(t, temporaryAddress(t), {
        authKey,
        verifyPeer: (credentials) => {
          pids.push(credentials?.pid)
          return refusing ? answer() : undefined
        },
        onHandshakeError: (error) => void errors.push(error),
      })
      const accepting = accept(t, listener)
      const stranger = await dial(t, listener.address)
      await t.throwsAsync(stranger.recvBytes(), { code: 'ERR_EOF' }, 'not even a challenge')
      t.like(errors[0], refused)
      if (errors[0]?.cause !== undefined) t.like(errors[0].cause, { message: 'not you' })
      refusing = false
      await dial(t, listener.address, { authKey })
      await accepting
      t.deepEqual(pids, [process.pid, process.pid])
      t.is(errors.length, 1)
    }
  }
})

test('tcp: verifyPeer is asked without credentials', async (t) => {
  const asked: unknown[] = []
  const listener = await listen(t, freshAddress(t, 'tcp'), {
    verifyPeer: (credentials) => void asked.push(credentials),
  })
  await Promise.all([dial(t, listener.address), accept(t, listener)])
  t.deepEqual(asked, [undefined])
})

test('callbacks run in the AsyncLocalStorage of the listen call', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  for (const transport of ['unix', 'tcp'] as const) {
    const seen: (string | undefined)[] = []
    const listener = await storage.run('listen', () =>
      listen(t, freshAddress(t, transport), {
        authKey: 'key',
        verifyPeer: () => void seen.push(storage.getStore()),
        onHandshakeError: () => void seen.push(storage.getStore()),
      }),
    )
    const accepting = storage.run('accept', async () => {
      await accept(t, listener)
      return storage.getStore()
    })
    await codeOf(connect(listener.address, { authKey: 'other' }))
    await dial(t, listener.address, { authKey: 'key' })
    t.is(await accepting, 'accept')
    t.deepEqual(seen, ['listen', 'listen', 'listen'])
  }
})

test('what onHandshakeError throws is an uncaught exception, and the listener goes on', async (t) => {
  t.deepEqual(await report(t, 'handshake-error-throws.ts'), { uncaught: ['from the callback'], received: 'accepted' })
})

test('a client in its handshake does not keep the process of an unreferenced listener alive', async (t) => {
  const { lines, signal } = await startFixture(t, 'dawdling-client.ts').outcome()
  t.is(signal, null)
  t.deepEqual(lines, ['"in its handshake"'])
})

test('without MD5, as under FIPS, an unnamed challenge is answered with sha256 and MD5 is refused', async (t) => {
  t.deepEqual(await report(t, 'without-md5.ts'), {
    unnamed: '{sha256}',
    named: 'ERR_AUTHENTICATION',
    verified: 'ERR_AUTHENTICATION',
  })
})

test('an accept that is aborted leaves the client in its handshake to the next', async (t) => {
  const listener = await listen(t, temporaryAddress(t), { authKey: 'key' })
  const controller = new AbortController()
  const aborted = codeOf(listener.accept({ signal: controller.signal }))
  const socket = createConnection(String(listener.address))
  t.teardown(() => void socket.destroy())
  const client = new HandshakePeer(socket, 'key')
  await client.prepare('response')
  controller.abort()
  t.is(await aborted, 'ABORT_ERR')
  await client.send('response')
  for (const part of ['challenge', 'verdict'] as const) await client.perform(part)
  await write(socket, frame('still there'))
  t.deepEqual(await wait([listener]), [listener], 'somebody can be accepted')
  const server = await accept(t, listener)
  t.is(String(await server.recvBytes()), 'still there')
})

test('an accept that does not wait starts handshakes, and a later one finds who is through', async (t) => {
  const listener = await listen(t, temporaryAddress(t), { authKey: 'key' })
  const connecting = watch(dial(t, listener.address, { authKey: 'key' }))
  let code: string | undefined = 'ERR_TIMEOUT'
  for (; code !== undefined; await turns(1)) {
    t.is(code, 'ERR_TIMEOUT')
    code = await codeOf(listener.accept({ timeout: 0 }).then((server) => t.teardown(() => server.destroy())))
  }
  await connecting.promise
})

test('lastAccepted is the peer of the connection that accept returned', async (t) => {
  const listener = await listen(t, freshAddress(t, 'tcp'), { authKey: 'key' })
  t.is(listener.lastAccepted, undefined)
  const accepting = accept(t, listener)
  const clients = await Promise.all([0, 1, 2].map(() => dial(t, listener.address, { authKey: 'key' })))
  const servers = [await accepting]
  t.deepEqual(listener.lastAccepted, servers[0]?.peer)
  for (const _ of clients.slice(1)) {
    const server = await accept(t, listener)
    t.deepEqual(listener.lastAccepted, server.peer)
    servers.push(server)
  }
  t.is(new Set(servers.map(({ peer }) => (peer as { port: number }).port)).size, 3)
})

test('the time of connect covers the handshake, and an abort ends it', async (t) => {
  const silent = await listen(t, temporaryAddress(t))
  const started = performance.now()
  t.like(await rejection(connect(silent.address, { authKey: 'key', timeout: 30 })), { code: 'ERR_TIMEOUT' })
  t.true(performance.now() - started >= 30)
  const controller = new AbortController()
  const reason = new Error('enough')
  const aborted = rejection(connect(silent.address, { authKey: 'key', signal: controller.signal }))
  await turns()
  controller.abort(reason)
  t.like(await aborted, { code: 'ABORT_ERR', cause: reason })
  for (let index = 0; index < 2; index++) {
    await t.throwsAsync((await accept(t, silent)).recvBytes(), { code: 'ERR_EOF' }, 'the connection is closed')
  }
})

const KEY = 'a key for Python: schlüssel'

interface Case {
  /** Python's key; none: undefined. */
  readonly python: string | undefined
  readonly node: AuthenticationOptions
}

/** What a handshake with a Python ends with: its word, and the code of our error. */
async function meet(
  t: Parameters<typeof listen>[0],
  python: Python,
  role: 'client' | 'listener',
  transport: 'unix' | 'tcp',
  { python: key, node }: Case,
): Promise<{ said: string; code: string | undefined }> {
  const keys = key === undefined ? [] : [Buffer.from(key).toString('hex')]
  const converse = async (connection: Connection): Promise<void> => {
    await connection.sendBytes(Buffer.from('from Node'))
    if (String(await connection.recvBytes()) !== 'from Python') throw new Error('Something else was received')
  }
  if (role === 'client') {
    let failed: (code: string | undefined) => void
    const failure = new Promise<string | undefined>((resolve) => (failed = resolve))
    const listener = await listen(t, freshAddress(t, transport), {
      ...node,
      onHandshakeError: (error) => failed((error as NodeJS.ErrnoException).code),
    })
    const { address } = listener
    const target =
      typeof address === 'object' && 'host' in address ? `${address.host}:${address.port}` : String(address)
    const program = runPython(t, python, 'authenticated.py', [role, transport, target, ...keys])
    const accepting = codeOf(accept(t, listener).then(converse))
    const code = await Promise.race([accepting, failure])
    const [said = ''] = await program.finish()
    return { said, code }
  }
  const address = freshAddress(t, transport)
  const target = transport === 'tcp' ? '127.0.0.1:0' : String(address)
  const program = runPython(t, python, 'authenticated.py', [role, transport, target, ...keys])
  const line = await program.line()
  const at = transport === 'tcp' ? { host: '127.0.0.1', port: Number(line) } : address
  const code = await codeOf(dial(t, at, node).then(converse))
  const [said = ''] = await program.finish()
  return { said, code }
}

for (const python of pythons) {
  const { version } = python
  const minor = Number(version.split('.')[1]) + (version.startsWith('2') ? -100 : 0)
  const named = minor >= 12

  for (const role of ['client', 'listener'] as const) {
    for (const transport of ['unix', 'tcp'] as const) {
      test(`Python ${version} as ${role}, ${transport}: the same key connects`, async (t) => {
        const outcome = await meet(t, python, role, transport, { python: KEY, node: { authKey: KEY } })
        t.deepEqual(outcome, { said: 'from Node', code: undefined })
      })
    }

    test(`Python ${version} as ${role}: another key is refused at both ends`, async (t) => {
      for (const authKey of [`${KEY}!`, '']) {
        const outcome = await meet(t, python, role, 'unix', { python: KEY, node: { authKey } })
        t.deepEqual(outcome, { said: 'AuthenticationError', code: 'ERR_AUTHENTICATION' })
      }
    })

    test(`Python ${version} as ${role}: minDigest ${named ? 'is met by 3.12' : 'refuses the MD5 before 3.12'}`, async (t) => {
      const node = { authKey: KEY, minDigest: 'sha256' } as const
      const { said, code } = await meet(t, python, role, 'unix', { python: KEY, node })
      if (named) t.deepEqual({ said, code }, { said: 'from Node', code: undefined })
      // As a listener it is left without an answer to its challenge, as a client it is told.
      else
        t.deepEqual(
          { said, code },
          { said: role === 'client' ? 'AuthenticationError' : 'EOFError', code: 'ERR_AUTHENTICATION' },
        )
    })

    test(`Python ${version} as ${role}: an empty key`, async (t) => {
      const outcome = await meet(t, python, role, 'unix', { python: '', node: { authKey: '' } })
      if (role === 'client' || minor >= 13) t.deepEqual(outcome, { said: 'from Node', code: undefined })
      else t.is(outcome.code, 'ERR_AUTHENTICATION', 'its listener takes an empty key for none and talks at once')
    })
  }

  test(`Python ${version} as listener without a key: what it says is no challenge`, async (t) => {
    const { code } = await meet(t, python, 'listener', 'unix', { python: undefined, node: { authKey: KEY } })
    t.is(code, 'ERR_AUTHENTICATION')
  })
}
