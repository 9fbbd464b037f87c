import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { connect, type Connection, type Listener, type ListenerOptions, wait } from '../index.ts'
import { frame, header } from './support/bytes.ts'
import { CHALLENGE, FAILURE, HandshakePeer, type Part, partsOf, WELCOME } from './support/handshakes.ts'
import { report } from './support/program.ts'
import { write } from './support/raw-peer.ts'
import { temporaryAddress } from './support/resources.ts'
import { accept, dial, freshAddress, listen } from './support/transports.ts'
import { codeOf, turns, until, watch } from './support/until.ts'

const KEY = 'the key of the good'
const roles = ['client', 'listener'] as const

interface Hostility {
  readonly title: string
  /** What the peer does in place of that part, when it is its turn. */
  readonly act: (peer: HandshakePeer) => Promise<void>
  readonly code: string
}

function sends(title: string, bytes: (peer: HandshakePeer) => Buffer, code: string = 'ERR_AUTHENTICATION'): Hostility {
  return { title, act: async (peer) => write(peer.socket, bytes(peer)), code }
}

function ends(title: string, bytes: Buffer, code: string): Hostility {
  return { title, act: async ({ socket }) => void socket.end(bytes), code }
}

/** What can go wrong with any message of a handshake. */
const anywhere: readonly Hostility[] = [
  ends('ends the stream', Buffer.alloc(0), 'ERR_EOF'),
  ends('ends the stream inside a header', header(40).subarray(0, 2), 'ERR_MESSAGE_TRUNCATED'),
  ends('ends the stream inside a message', frame(Buffer.alloc(40)).subarray(0, 20), 'ERR_MESSAGE_TRUNCATED'),
  sends('sends a header of -2', () => header(-2), 'ERR_PROTOCOL'),
  sends('announces 257 bytes', () => header(257), 'ERR_MESSAGE_TOO_LARGE'),
  sends('announces 2 ** 31 - 1 bytes', () => header(2 ** 31 - 1), 'ERR_MESSAGE_TOO_LARGE'),
  sends('sends 257 bytes', () => frame(Buffer.alloc(257)), 'ERR_MESSAGE_TOO_LARGE'),
  { title: 'says nothing', act: async () => {}, code: 'ERR_TIMEOUT' },
  sends('says half of it', () => frame(Buffer.alloc(40)).subarray(0, 20), 'ERR_TIMEOUT'),
]

const sha256 = Buffer.from('{sha256}')

/** What can be wrong with each. */
const hostilities: Readonly<Record<Part, readonly Hostility[]>> = {
  response: [
    ...anywhere,
    sends('sends nothing', () => frame('')),
    sends('sends 256 bytes of nonsense', () => frame(Buffer.alloc(256, '{'))),
    sends('sends a MAC of another key', () => frame(Buffer.concat([sha256, Buffer.alloc(32)]))),
    sends('sends a MAC of 16 zeros', () => frame(Buffer.alloc(16))),
    sends('sends a MAC that is a byte short', (peer) => frame(peer.right('response').subarray(0, -1))),
    sends('sends a MAC that is a byte long', (peer) => frame(Buffer.concat([peer.right('response'), Buffer.alloc(1)]))),
    sends('sends a MAC of 0 bytes', () => frame(sha256)),
    sends('sends a MAC without a name', (peer) => frame(peer.mac('sha256'))),
    sends('names a digest that is not allowed', (peer) =>
      frame(Buffer.concat([Buffer.from('{sha1}'), peer.mac('sha1')])),
    ),
    sends('names a digest in capitals', (peer) => frame(Buffer.concat([Buffer.from('{SHA256}'), peer.mac('sha256')]))),
    sends('names another digest than it used', (peer) =>
      frame(Buffer.concat([Buffer.from('{sha3_256}'), peer.mac('sha256')])),
    ),
    sends('names a property of every object', () => frame(`{constructor}${'x'.repeat(32)}`)),
    sends('sends the challenge back', (peer) => frame(peer.challenge)),
    sends('sends #WELCOME#', () => frame(WELCOME)),
  ],
  challenge: [
    ...anywhere,
    sends('sends nothing', () => frame('')),
    sends('sends no challenge', () => frame('Hello, I have no key')),
    sends('sends a prefix in small letters', () => frame(`#challenge#{sha256}${'x'.repeat(40)}`)),
    sends('sends half of the prefix', () => frame(CHALLENGE.slice(0, 5))),
    sends('sends the prefix alone', () => frame(CHALLENGE)),
    sends('sends a challenge of 19 bytes', () => frame(CHALLENGE + 'x'.repeat(19))),
    sends('sends a challenge without a name', () => frame(CHALLENGE + 'x'.repeat(48))),
    sends('names no digest', () => frame(`${CHALLENGE}{}${'x'.repeat(40)}`)),
    sends('names a digest that is not allowed', () => frame(`${CHALLENGE}{sha512}${'x'.repeat(40)}`)),
    sends('names a digest without an end', () => frame(`${CHALLENGE}{sha256${'x'.repeat(40)}`)),
    sends('says #FAILURE# at once', () => frame(FAILURE)),
  ],
  verdict: [
    ...anywhere,
    sends('says #FAILURE#', () => frame(FAILURE)),
    sends('says nothing in a message', () => frame('')),
    sends('says a little more than #WELCOME#', () => frame(`${WELCOME} `)),
    sends('says something else', () => frame('#BIENVENUE#')),
  ],
}

/** A client that is a plain socket. */
async function rawClient(t: ExecutionContext, listener: Listener): Promise<HandshakePeer> {
  const socket = createConnection({ path: String(listener.address), allowHalfOpen: true })
  t.teardown(() => void socket.destroy())
  await once(socket, 'connect')
  return new HandshakePeer(socket, KEY)
}

/** A listener that is a plain server. */
async function rawServer(t: ExecutionContext): Promise<{ server: Server; address: string }> {
  const address = temporaryAddress(t)
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(address)
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return { server, address }
}

/** What the other end has said until it closed. */
async function remainder(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.resume()
  if (!socket.readableEnded && !socket.destroyed) {
    await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  }
  return Buffer.concat(chunks).toString('latin1')
}

/** A listener with the key, the codes of the handshakes that failed, and how to wait for so many. */
async function guarded(
  t: ExecutionContext,
  options: ListenerOptions = {},
): Promise<{ listener: Listener; codes: (string | undefined)[] }> {
  const codes: (string | undefined)[] = []
  const listener = await listen(t, temporaryAddress(t), {
    authKey: KEY,
    handshakeTimeout: null, // the machine may be busy
    onHandshakeError: (error) => void codes.push((error as NodeJS.ErrnoException).code),
    ...options,
  })
  return { listener, codes }
}

async function assertServing(
  t: ExecutionContext,
  listener: Listener,
  accepting: Promise<Connection> = listener.accept(),
): Promise<void> {
  const client = await dial(t, listener.address, { authKey: KEY })
  const server = await accepting
  t.teardown(() => server.destroy())
  await client.sendBytes(Buffer.from('through'))
  t.is(String(await server.recvBytes()), 'through')
}

for (const role of roles) {
  for (const [index, part] of partsOf[role].entries()) {
    for (const { title, act, code } of hostilities[part]) {
      const told = part === 'response' && code === 'ERR_AUTHENTICATION'
      const limited = code === 'ERR_TIMEOUT'
      // What waits for the end of its time should not wait for other tests.
      const define = limited ? test.serial : test

      define(`a ${role} that ${title} for its ${part}: ${code}`, async (t) => {
        const play = async (peer: HandshakePeer): Promise<void> => {
          try {
            for (const good of partsOf[role].slice(0, index)) await peer.perform(good)
            await peer.prepare(part)
            await act(peer)
          } catch (error) {
            if (!limited) throw error // else the time was over even earlier
          }
        }
        const timeout = limited ? 100 : undefined
        if (role === 'client') {
          const { listener, codes } = await guarded(t, limited ? { handshakeTimeout: timeout } : {})
          const accepting = listener.accept()
          const peer = await rawClient(t, listener)
          await play(peer)
          t.is((await remainder(peer.socket)).endsWith(FAILURE), told, 'it is told that its key is wrong')
          t.deepEqual(codes, [code])
          if (limited) await listener.close()
          else await assertServing(t, listener, accepting)
          t.is(await codeOf(accepting), limited ? 'ERR_CLOSED' : undefined)
          t.deepEqual(codes, [code], 'once')
        } else {
          const { server, address } = await rawServer(t)
          const connecting = codeOf(connect(address, { authKey: KEY, timeout }))
          const [socket] = (await once(server, 'connection')) as [Socket]
          t.teardown(() => void socket.destroy())
          const peer = new HandshakePeer(socket, KEY)
          await play(peer)
          t.is((await remainder(socket)).endsWith(FAILURE), told, 'it is told that its key is wrong')
          t.is(await connecting, code)
        }
      })
    }
  }
}

for (const role of roles) {
  for (const part of partsOf[role]) {
    test(`a ${role} that vanishes before its ${part} ends its own handshake only`, async (t) => {
      const gone = ['ERR_EOF', 'EPIPE', 'ECONNRESET']
      const before = partsOf[role].slice(0, partsOf[role].indexOf(part))
      if (role === 'client') {
        const { listener, codes } = await guarded(t)
        const accepting = accept(t, listener)
        const peer = await rawClient(t, listener)
        for (const good of before) await peer.perform(good)
        peer.socket.destroy()
        await until(() => codes.length > 0)
        t.true(gone.includes(String(codes[0])), codes[0])
        await assertServing(t, listener, accepting)
      } else {
        const { server, address } = await rawServer(t)
        const connecting = codeOf(connect(address, { authKey: KEY }))
        const [socket] = (await once(server, 'connection')) as [Socket]
        const peer = new HandshakePeer(socket, KEY)
        for (const good of before) await peer.perform(good)
        socket.destroy()
        const code = await connecting
        t.true(gone.includes(String(code)), code)
      }
    })
  }
}

test('a peer written here is let in when it does everything right', async (t) => {
  const { listener, codes } = await guarded(t)
  const accepting = accept(t, listener)
  const client = await rawClient(t, listener)
  for (const part of partsOf.client) await client.perform(part)
  await accepting

  const { server, address } = await rawServer(t)
  const connecting = dial(t, address, { authKey: KEY })
  const [socket] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => void socket.destroy())
  const peer = new HandshakePeer(socket, KEY)
  for (const part of partsOf.listener) await peer.perform(part)
  await connecting
  t.deepEqual(codes, [])
})

test('minDigest sha256 refuses a peer that proves the key with MD5, or asks for it', async (t) => {
  const { listener, codes } = await guarded(t, { minDigest: 'sha256' })
  const accepting = accept(t, listener)
  const responses = [
    (peer: HandshakePeer) => peer.mac('md5'),
    (peer: HandshakePeer) => Buffer.concat([Buffer.from('{md5}'), peer.mac('md5')]),
  ]
  for (const response of responses) {
    const peer = await rawClient(t, listener)
    await peer.prepare('response')
    await write(peer.socket, frame(response(peer)))
    t.true((await remainder(peer.socket)).endsWith(FAILURE))
  }
  for (const challenge of ['x'.repeat(20), `{md5}${'x'.repeat(40)}`]) {
    const peer = await rawClient(t, listener)
    await peer.perform('response')
    await write(peer.socket, frame(CHALLENGE + challenge))
    t.is(await remainder(peer.socket), '', 'no MAC is sent')

    const { server, address } = await rawServer(t)
    const connecting = codeOf(connect(address, { authKey: KEY, minDigest: 'sha256' }))
    const [socket] = (await once(server, 'connection')) as [Socket]
    await write(socket, frame(CHALLENGE + challenge))
    t.is(await remainder(socket), '', 'no MAC is sent')
    t.is(await connecting, 'ERR_AUTHENTICATION')
  }
  t.deepEqual(codes, Array(4).fill('ERR_AUTHENTICATION'))
  await assertServingStrictly(t, listener, accepting)
})

async function assertServingStrictly(
  t: ExecutionContext,
  listener: Listener,
  accepting: ReturnType<typeof accept>,
): Promise<void> {
  for (const [digest, name] of [
    ['sha256', '{sha256}'],
    ['sha384', '{sha384}'],
    ['sha3-256', '{sha3_256}'],
    ['sha3-384', '{sha3_384}'],
  ] as const) {
    const peer = await rawClient(t, listener)
    await peer.prepare('response')
    await write(peer.socket, frame(Buffer.concat([Buffer.from(name), peer.mac(digest)])))
    t.is(String(await peer.message()), WELCOME, name)
    peer.socket.destroy()
  }
  await assertServing(t, listener, accepting)
}

test('silent clients delay nobody', async (t) => {
  const { listener, codes } = await guarded(t)
  const accepting = accept(t, listener)
  for (let index = 0; index < 60; index++) await (await rawClient(t, listener)).prepare('response')
  await assertServing(t, listener, accepting)
  t.deepEqual(codes, [])
})

test.serial('good clients behind 100 silent ones get through once those that were first have timed out', async (t) => {
  const { listener, codes } = await guarded(t, { handshakeTimeout: 1000 })
  const accepting = accept(t, listener)
  for (let index = 0; index < 100; index++) await rawClient(t, listener)
  // On a busy machine the time of a good one may be over as well.
  while ((await codeOf(dial(t, listener.address, { authKey: KEY }))) !== undefined);
  await accepting
  t.true(codes.length >= 37, 'so many had to make room')
  t.deepEqual(new Set(codes), new Set(['ERR_TIMEOUT']))
})

test('64 handshakes are under way at once, and the others wait in the queue of the kernel', async (t) => {
  let asked = 0
  const { listener } = await guarded(t, {
    verifyPeer: () => {
      asked++
      return new Promise<boolean>(() => {})
    },
  })
  const accepting = codeOf(listener.accept())
  for (let index = 0; index < 100; index++) await rawClient(t, listener)
  await until(() => asked >= 64)
  await turns(50)
  t.is(asked, 64)
  await listener.close()
  t.is(await accepting, 'ERR_CLOSED')
})

test.serial('handshakes end when handshakeTimeout is over, and make room', async (t) => {
  const { listener, codes } = await guarded(t, { handshakeTimeout: 100 })
  const accepting = codeOf(listener.accept())
  const peers: HandshakePeer[] = []
  const started = performance.now()
  for (let index = 0; index < 100; index++) peers.push(await rawClient(t, listener))
  await Promise.all(peers.map(({ socket }) => remainder(socket)))
  t.true(performance.now() - started >= 100)
  t.deepEqual(codes, Array(100).fill('ERR_TIMEOUT'))
  await listener.close()
  t.is(await accepting, 'ERR_CLOSED')
})

test('nothing is taken from the queue of the kernel while no accept waits', async (t) => {
  const { listener, codes } = await guarded(t)
  const client = await rawClient(t, listener)
  const connecting = watch(dial(t, listener.address, { authKey: KEY }))
  await turns(50)
  t.is(client.socket.read(1), null, 'no challenge')
  t.false(connecting.settled)
  await accept(t, listener)
  await connecting.promise
  t.deepEqual(codes, [])
})

test('hundreds of wrong keys at once, and the right one among them', async (t) => {
  const { listener, codes } = await guarded(t)
  const accepting = accept(t, listener)
  const wrong = Array.from({ length: 300 }, () => codeOf(connect(listener.address, { authKey: 'wrong' })))
  const [right] = await Promise.all([dial(t, listener.address, { authKey: KEY }), accepting])
  t.true(right.writable)
  const rest = codeOf(listener.accept())
  t.deepEqual(new Set(await Promise.all(wrong)), new Set(['ERR_AUTHENTICATION']))
  await listener.close()
  t.is(await rest, 'ERR_CLOSED')
  t.is(codes.length, 300)
})

test('closing the listener closes connections in their handshake, and those that nobody accepted', async (t) => {
  const { listener, codes } = await guarded(t)
  const accepting = accept(t, listener)
  const inHandshake = await rawClient(t, listener)
  await inHandshake.prepare('response')
  const unaccepted = await rawClient(t, listener)
  await unaccepted.prepare('response')
  await dial(t, listener.address, { authKey: KEY })
  await accepting
  await unaccepted.send('response')
  for (const part of ['challenge', 'verdict'] as const) await unaccepted.perform(part)
  await wait([listener])
  await listener.close()
  t.is(await remainder(inHandshake.socket), '')
  t.is(await remainder(unaccepted.socket), '')
  await turns()
  t.deepEqual(codes, [], 'that is no failure of theirs')
})

test('tcp: a client that resets its connection ends its own handshake only', async (t) => {
  const codes: (string | undefined)[] = []
  const listener = await listen(t, freshAddress(t, 'tcp'), {
    authKey: KEY,
    handshakeTimeout: null,
    onHandshakeError: (error) => void codes.push((error as NodeJS.ErrnoException).code),
  })
  const { host, port } = listener.address as { host: string; port: number }
  const accepting = accept(t, listener)
  const socket = createConnection({ host, port })
  const peer = new HandshakePeer(socket, KEY)
  await peer.prepare('response')
  socket.resetAndDestroy()
  await until(() => codes.length > 0)
  t.deepEqual(codes, ['ECONNRESET'])
  await assertServing(t, listener, accepting)
})

test('acceptSync takes nobody from the queue once its time is over', async (t) => {
  const { listener, codes } = await guarded(t)
  const [silent, next] = [await rawClient(t, listener), await rawClient(t, listener)]
  t.throws(() => listener.acceptSync({ timeout: 30 }), { code: 'ERR_TIMEOUT' })
  await silent.prepare('response')
  t.is(await remainder(silent.socket), '', 'its handshake was given up')
  t.deepEqual(codes, ['ERR_TIMEOUT'])
  const accepting = accept(t, listener)
  for (const part of partsOf.client) await next.perform(part)
  await accepting
})

test('acceptSync cannot wait for a verifyPeer that answers later, and says so', async (t) => {
  for (const answer of [Promise.resolve(true), Promise.reject(new Error('no'))]) {
    const { listener, codes } = await guarded(t, { verifyPeer: () => answer })
    const client = await rawClient(t, listener)
    t.throws(() => listener.acceptSync({ timeout: 0 }), { code: 'ERR_INVALID_STATE' })
    t.deepEqual(codes, ['ERR_INVALID_STATE'])
    t.is(await remainder(client.socket), '')
  }
})

test('failed handshakes leave no descriptor behind, nor what was sent along', async (t) => {
  t.deepEqual(await report(t, 'handshake-leaks.ts'), { leaked: 0, warnings: 0, accepted: 'ERR_CLOSED' })
})
