import { readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Connection, Epoll, Listener, Selector, connect, pipe } from '../index.ts'
import { frame } from './support/bytes.ts'
import { rawPeer, write } from './support/raw-peer.ts'
import { openFile, temporaryAddress, temporaryDirectory } from './support/resources.ts'
import { connected, dial, listen } from './support/transports.ts'
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
    return code === expected && new RegExp(`^${parts.join('.+')}$`).test(message)
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
  (t) => {
    const selector = new Selector()
    t.teardown(() => selector.close())
    return selector.register(openFile(t), 1)
  },
]

test('what is printed is in docs/errors.md, and all that is there is printed', async (t) => {
  const seen = new Set<Row>()
  for (const fail of failures) {
    const error = await failure(t, fail)
    const row = rowOf(error)
    if (row === undefined) t.fail(`${error.code}: ${error.message}`)
    else seen.add(row)
  }
  t.deepEqual(
    rows.filter((row) => !seen.has(row)),
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

test('an Epoll says the same of a regular file; other errors of epoll_ctl say nothing of it', (t) => {
  if (process.platform !== 'linux') {
    t.throws(() => new Epoll(), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM' })
    return
  }
  const epoll = new Epoll()
  t.teardown(() => epoll.close())
  t.throws(() => epoll.register(openFile(t), 1), { code: 'EPERM', message: /regularFiles: 'ready'/ })
  const [a] = pipe()
  epoll.register(a, 1)
  t.throws(() => epoll.register(a, 1), { code: 'EEXIST', message: /^epoll_ctl EEXIST, [\w ]+$/ })
  a.destroy()
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

test('the name of each error class is its own', async (t) => {
  const path = temporaryAddress(t)
  writeFileSync(path, 'no socket')
  const { connection, peer } = await rawPeer(t, 'unix')
  await write(peer, Buffer.from([1]))
  const error = await rejection(connection.recvHandle())
  t.like(error, { name: 'FdsCountError', code: 'ERR_FDS_COUNT', received: 0 })
  t.is((await rejection(Listener.listen(path, { replaceStale: true }))).code, 'EADDRINUSE')
})
