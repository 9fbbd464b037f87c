import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import {
  Connection,
  Epoll,
  type HandshakeOptions,
  Kqueue,
  Listener,
  OwnedFd,
  Poll,
  Selector,
  connect,
  connectSync,
  constants,
  pipe,
} from '../index.ts'
import { frame } from './support/bytes.ts'
import { canInject, injected } from './support/faults.ts'
import { Program, report } from './support/program.ts'
import { anyPython, pythons } from './support/python.ts'
import { rawPeer, reset, write } from './support/raw-peer.ts'
import { openFile, temporaryAddress, temporaryDirectory, UNUSED_FD } from './support/resources.ts'
import { duplexPair } from './support/streams.ts'
import { connected, dial, listen, oneWay } from './support/transports.ts'
import { rejection } from './support/until.ts'

/** What a row of docs/errors.md says is printed. */
interface Row {
  readonly code: string
  readonly printed: string
}

const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const tables = text.slice(text.indexOf('## What is printed'), text.indexOf('## Errors of a connection'))
const rows: readonly Row[] = [...tables.matchAll(/^\| `(\w+)` +\| `(.+?)` +\|/gm)].map(([, code, printed]) => ({
  code: code as string,
  printed: printed as string,
}))

/** The row that describes an error, the one that says most: `<...>` is anything. */
function rowOf({ code, message }: NodeJS.ErrnoException): Row | undefined {
  const fitting = rows.filter(({ code: expected, printed }) => {
    const parts = printed.split(/<[^>]*>/).map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
    return code === expected && new RegExp(`^${parts.join('.+')}$`, 's').test(message)
  })
  return fitting.toSorted((a, b) => b.printed.length - a.printed.length)[0]
}

type Fail = (t: ExecutionContext) => unknown

async function failure(t: ExecutionContext, fail: Fail): Promise<NodeJS.ErrnoException> {
  return rejection((async () => fail(t))())
}

async function received(t: ExecutionContext, bytes: Buffer | string, options = {}): Promise<unknown> {
  const { connection, peer } = await rawPeer(t, 'unix', { maxMessageSize: 1000 })
  await write(peer, Buffer.from(bytes as string))
  peer.end()
  return connection.recv(options)
}

function stale(t: ExecutionContext): string {
  const path = temporaryAddress(t)
  Listener.listenSync(path, { unlink: false }).closeSync()
  return path
}

/** As a user who is not root, whom nothing stops. */
function unprivileged<T>(call: () => T): T {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    return call()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

/** A directory that only root may use. */
function forbidden(t: ExecutionContext): string {
  const directory = temporaryDirectory(t)
  chmodSync(directory, 0)
  return directory
}

/** A socket of datagrams. */
async function datagrams(t: ExecutionContext): Promise<string> {
  const path = temporaryAddress(t)
  const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound')
sys.stdout.flush()
sys.stdin.read()`
  await new Program(t, anyPython().path, ['-c', script, path]).line()
  return path
}

/** What a listener is told of a client that fails its handshake. */
async function refused(t: ExecutionContext, options: HandshakeOptions, authKey?: string): Promise<never> {
  const told = new EventEmitter()
  const failed = once(told, 'told')
  const onHandshakeError = (error: Error): unknown => told.emit('told', error)
  const listener = await listen(t, undefined, { ...options, onHandshakeError })
  listener.accept().catch(() => {})
  connect(listener.address, { authKey }).then(
    (connection) => t.teardown(() => connection.destroy()),
    () => {},
  )
  const [error] = await failed
  throw error
}

async function closedBy(t: ExecutionContext): Promise<Connection> {
  const [a, b] = await connected(t, 'unix')
  b.destroy()
  return a
}

function streaming(t: ExecutionContext): Connection {
  const connection = Connection.fromStream(duplexPair(t)[0])
  t.teardown(() => connection.destroy())
  return connection
}

function selecting(t: ExecutionContext): Selector {
  const selector = new Selector()
  t.teardown(() => selector.close())
  return selector
}

function polling(t: ExecutionContext): Epoll {
  const epoll = new Epoll()
  t.teardown(() => epoll.close())
  return epoll
}

const failures: readonly Fail[] = [
  (t) => connect(temporaryAddress(t)),
  () => connect('localhost:8080'),
  () => connect('tcp://localhost:8080'),
  () => connect(8080 as never),
  async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    t.teardown(() => void server.close())
    await once(server, 'listening')
    const { port, family } = server.address() as { port: number; family: string }
    return connect({ port, family } as never)
  },
  (t) => connect(stale(t)),
  (t) => connect(join(temporaryDirectory(t), 'x'.repeat(120))),
  (t) => Listener.listen(stale(t)),
  async (t) => Listener.listen((await listen(t, temporaryAddress(t))).address, { replaceStale: true }),
  async (t) => connect((await listen(t)).address, { authKey: 'secret', handshakeTimeout: 10 }),
  async (t) => {
    const listener = await listen(t, undefined, { authKey: 'secret' })
    listener.accept().catch(() => {})
    const client = await dial(t, listener.address)
    await client.send('hello')
    return client.recv()
  },
  async (t) => {
    const listener = await listen(t, undefined, { authKey: 'secret' })
    listener.accept().catch(() => {})
    return connect(listener.address, { authKey: 'other' })
  },
  () => Reflect.construct(Connection, [0]),
  () => Listener.listen(null, { authkey: 'secret' } as object),
  async (t) => {
    const [a] = await connected(t, 'unix')
    return a.recvBytesSync({ signal: AbortSignal.abort() } as object)
  },
  (t) => received(t, ''),
  (t) => received(t, frame(Buffer.alloc(10)).subarray(0, 8)),
  (t) => received(t, frame(Buffer.alloc(1001))),
  (t) => received(t, frame(Buffer.alloc(11)), { maxLength: 10 }),
  (t) => received(t, 'GET / HTTP/1.1\r\n\r\n'),
  (t) => received(t, Buffer.from('160301020001000001fc0303', 'hex')),
  (t) => received(t, Buffer.from('fffffffe', 'hex')),
  (t) => received(t, frame(Buffer.from('80049503', 'hex'))),
  (t) => received(t, frame(Buffer.from('hello'))),
  async (t) => (await connected(t, 'unix'))[0].send(1n),
  async (t) => (await connected(t, 'unix'))[0].sendFds(Array.from({ length: 254 }, () => 0)),
  (t) => selecting(t).register(openFile(t), 1),
  async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    return connect({ host: '127.0.0.1', port })
  },
  () => connectSync({ host: 'no-such-host.invalid', port: 1 }),
  (t) => {
    const path = join(forbidden(t), 'socket')
    return unprivileged(() => connectSync(path))
  },
  (t) => {
    const path = join(forbidden(t), 'socket')
    return unprivileged(() => Listener.listenSync(path))
  },
  (t) => Listener.listen(join(temporaryDirectory(t), 'missing', 'socket')),
  async (t) => Listener.listen((await listen(t, { port: 0 })).address),
  () => Listener.listen({ host: '192.0.2.1', port: 0 }),
  async (t) => (await connected(t, 'unix'))[0].recv({ timeout: 1 }),
  async (t) => (await connected(t, 'unix'))[0].recv({ signal: AbortSignal.abort() }),
  (t) => refused(t, { authKey: 'secret', handshakeTimeout: 1 }),
  (t) => refused(t, { authKey: 'secret' }, 'other'),
  (t) => refused(t, { verifyPeer: () => false }),
  async (t) => {
    const listener = await listen(t, undefined, { authKey: 'secret', verifyPeer: () => false })
    listener.accept().catch(() => {})
    return connect(listener.address, { authKey: 'secret' })
  },
  async (t) => {
    const listener = await listen(t)
    const connecting = connect(listener.address, { authKey: 'secret' })
    const server = await listener.accept()
    t.teardown(() => server.destroy())
    await server.send('hello')
    return connecting
  },
  async (t) => {
    const listener = await listen(t)
    const connecting = connect(listener.address, { authKey: 'secret', minDigest: 'sha256' })
    const server = await listener.accept()
    t.teardown(() => server.destroy())
    await server.sendBytes(Buffer.from('#CHALLENGE#twenty random bytes.'))
    return connecting
  },
  async (t) => {
    const [a] = await connected(t, 'unix')
    a.destroy()
    return a.send(1)
  },
  async (t) => (await connected(t, 'unix'))[0].sendBytes('text' as never),
  async (t) => (await connected(t, 'unix'))[0].recv({ timeout: Number.NaN }),
  (t) => connect(temporaryAddress(t), { codec: 'pickle' as never }),
  async (t) => {
    const [a, b] = await connected(t, 'unix')
    await a.sendBytes(Buffer.from('five!'))
    return b.recvBytesInto(Buffer.alloc(4))
  },
  async (t) => {
    const codec = { encode: () => 'text' as never, decode: String }
    return (await connected(t, 'unix', { codec }))[0].send(1)
  },
  (t) => oneWay(t)[1].recv(),
  (t) => oneWay(t)[0].send(1),
  async (t) => {
    const { connection, peer } = await rawPeer(t, 'unix', { maxMessageSize: 1000 })
    await write(peer, frame(Buffer.alloc(1001)))
    await rejection(connection.recv())
    return connection.recv()
  },
  async (t) => (await closedBy(t)).send(1),
  async (t) => {
    const { connection, peer } = await rawPeer(t, 'unix')
    await connection.send(1)
    await reset(peer)
    return connection.recv()
  },
  async (t) => {
    const [a] = await connected(t, 'unix')
    a.recv().catch(() => {})
    return a.recvSync()
  },
  async (t) => {
    const [a, b] = await connected(t, 'unix')
    await a.send(1)
    await a.send(2)
    await b.recv()
    return b.detach()
  },
  (t) => streaming(t).recvSync(),
  (t) => streaming(t).fileno(),
  () => OwnedFd.fromFd(UNUSED_FD),
  async (t) => (await connected(t, 'unix'))[0].sendFds([UNUSED_FD]),
  async (t) => (await connected(t, 'tcp'))[0].sendHandle(0),
  async (t) => {
    const [a, b] = await connected(t, 'unix')
    await a.send(1)
    return b.recvHandle()
  },
  async (t) => {
    const [a, b] = await connected(t, 'unix')
    await a.sendFds([0, 0])
    return b.recvHandle()
  },
  (t) => Connection.fromFd(openFile(t).fd),
  (t) => {
    const owned = OwnedFd.dup(openFile(t))
    t.teardown(() => owned.close())
    return owned.toSocket()
  },
  async (t) => (await connected(t, 'unix'))[0].sendFds([createServer()]),
  async (t) => {
    const [a] = await connected(t, 'unix')
    const selector = selecting(t)
    selector.register(a, 1)
    return selector.register(a, 1)
  },
  (t) => selecting(t).getKey(0),
  (t) => {
    const selector = selecting(t)
    selector.select().catch(() => {})
    return selector.select()
  },
  () => new Poll().modify(0, constants.POLLIN),
  () => (process.platform === 'linux' ? new Kqueue() : new Epoll()),
]

/** What needs epoll, and what needs Python. */
const epollFailures: readonly Fail[] = [
  async (t) => {
    const [a] = await connected(t, 'unix')
    const epoll = polling(t)
    epoll.register(a, 1)
    return epoll.register(a, 1)
  },
  async (t) => polling(t).unregister((await connected(t, 'unix'))[0]),
  async (t) => selecting(t).register((await connected(t, 'unix'))[0], 1, 0, { exclusive: true, oneshot: true }),
]
const pythonFailures: readonly Fail[] = [async (t) => connect(await datagrams(t))]

/** What is not printed here. */
const elsewhere: readonly string[] = [
  ...(process.platform === 'linux' ? [] : ['epoll_ctl ']),
  ...(pythons.length > 0 ? [] : ['connect EPROTOTYPE ']),
  ...(canInject ? [] : ['sendmsg ETOOMANYREFS']),
]

test('what is printed is in docs/errors.md, and all that is there is printed', async (t) => {
  const seen = new Set<Row>()
  const look = (error: NodeJS.ErrnoException): void => {
    const row = rowOf(error)
    if (row === undefined) t.fail(`${error.code}: ${error.message}`)
    else seen.add(row)
  }
  const here = [
    ...failures,
    ...(process.platform === 'linux' ? epollFailures : []),
    ...(pythons.length > 0 ? pythonFailures : []),
  ]
  for (const fail of here) look(await failure(t, fail))
  const inChild = await report<NodeJS.ErrnoException[]>(t, 'printed.ts', canInject ? ['injects'] : [], {
    nodeOptions: ['--expose-gc', '--no-warnings'],
    openFiles: 64,
    environment: canInject ? injected(t) : {},
  })
  for (const error of inChild) look(error)
  t.deepEqual(
    rows.filter((row) => !seen.has(row) && !elsewhere.some((start) => row.printed.startsWith(start))),
    [],
  )
})

test('{ port } is one of localhost, to listen and to connect', async (t) => {
  const listener = await listen(t, { port: 0 })
  const { host, port } = listener.address as { host: string; port: number }
  t.regex(host, /^(127\.0\.0\.1|::1)$/)
  const accepting = listener.accept()
  const client = await connect({ port })
  await client.send('hello')
  const server = await accepting
  t.is(await server.recv(), 'hello')
  client.destroy()
  server.destroy()
})

test('what looks like an address and is none is refused by name', async (t) => {
  for (const [address, message] of [
    [{ hots: 'localhost', port: 80 }, /address\.hots is not known here; did you mean host\?/],
    [{ hostname: 'localhost', port: 80 }, /address\.hostname is not known here; did you mean host\?/],
    [new URL('file:///tmp/x'), /address is a URL, and not a path.*: file:\/\/\/tmp\/x/],
    [{ path: '/tmp/x', mode: 0o600 }, /address\.mode is not known here; known are path/],
    [{ host: 'localhost' }, /address\.port must be a number, not undefined/],
    [{}, /is not a path, \{ path \}, \{ host, port \} or \{ fd \}/],
    ['unix:///tmp/x', /is a URL, and not a path/],
  ] as const) {
    t.regex((await rejection(connect(address as never))).message, message)
  }
  // One who has such a directory can say so.
  t.is((await rejection(connect('./tcp://x'))).code, 'ENOENT')
})

test('an Epoll says the same of a regular file, and what else of other descriptors', (t) => {
  if (process.platform !== 'linux') {
    t.throws(() => new Epoll(), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM' })
    return
  }
  const epoll = new Epoll()
  t.teardown(() => epoll.close())
  t.throws(() => epoll.register(openFile(t), 1), { code: 'EPERM', message: /regularFiles: 'ready'/ })
  const [a, b] = pipe()
  epoll.register(a, 1)
  t.throws(() => epoll.register(a, 1), {
    code: 'EEXIST',
    message: /^epoll_ctl EEXIST, [\w ]+: it is registered already$/,
  })
  a.destroy()
  b.destroy()
})

test('a pickle is named whatever codec does not decode it; a codec that does may have one', async (t) => {
  const pickle = Buffer.from('80', 'hex')
  const [a, b] = await connected(t, 'unix', { codec: { encode: () => pickle, decode: (data) => data.toString('hex') } })
  await a.send('anything')
  t.is(await b.recv(), '80')
  const [c, d] = await connected(t, 'unix', { codec: 'v8' })
  await c.sendBytes(pickle)
  t.regex((await rejection(d.recv())).message, /is a pickle/)
})

test('what is printed of an error begins with a name that users know', async (t) => {
  const [a, b] = await connected(t, 'unix')
  a.destroy()
  t.regex(inspect(await rejection(a.recv())), /^Error: The connection is closed\n/)
  t.regex(inspect(await rejection(b.recv())), /^EOFError: The peer closed the connection\n/)
  t.is((await rejection(b.sendFds([a]))).message, 'fds[0] is closed')
})

test('the name of each error class is its own', async (t) => {
  const path = temporaryAddress(t)
  writeFileSync(path, 'no socket')
  const { connection, peer } = await rawPeer(t, 'unix')
  await write(peer, Buffer.from([1]))
  const error = await rejection(connection.recvHandle())
  t.like(error, { name: 'FdsCountError', code: 'ERR_FDS_COUNT', received: 0 })
  t.is((await rejection(Listener.listen(path, { replaceStale: true }))).code, 'EADDRINUSE')
})
