import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { Connection, pipe, wait, waitSync } from '../index.ts'
import { openFile } from './support/resources.ts'
import { codeOf, turns, watch } from './support/until.ts'

/** More than the kernel holds. */
const MUCH = Buffer.alloc(8 << 20)
const ONE = Buffer.from('1')

interface Scene {
  readonly connection: Connection
  readonly peer: Connection
  /** A way to somebody else, who reads. */
  readonly way: Connection
  /** One to send. */
  readonly spare: Connection
  /** The descriptor of a file. */
  readonly fd: number
}

type Prepare = (scene: Scene) => Promise<void>
type Make = (scene: Scene) => unknown

interface Call {
  /** Has the peer send what an open connection is to receive. */
  readonly prepare?: Prepare
  readonly awaited?: Make
  readonly sync?: Make
}

const limits = { timeout: 20 }
const receives = (prepare: Prepare, awaited: Make, sync: Make): Call => ({ prepare, awaited, sync })
const sendsOne: Prepare = ({ peer }) => peer.send(1)
const gets = (get: (connection: Connection) => unknown): Call => ({ sync: ({ connection }) => get(connection) })

/** How to make each call of the table. */
const calls: Readonly<Record<string, Call>> = {
  sendBytes: {
    awaited: ({ connection }) => connection.sendBytes(ONE),
    sync: ({ connection }) => connection.sendBytesSync(ONE, limits),
  },
  send: { awaited: ({ connection }) => connection.send(1), sync: ({ connection }) => connection.sendSync(1, limits) },
  sendHandle: {
    awaited: ({ connection, fd }) => connection.sendHandle(fd),
    sync: ({ connection, fd }) => connection.sendHandleSync(fd, limits),
  },
  sendFds: {
    awaited: ({ connection, fd }) => connection.sendFds([fd]),
    sync: ({ connection, fd }) => connection.sendFdsSync([fd], limits),
  },
  recvBytes: receives(
    sendsOne,
    ({ connection }) => connection.recvBytes(),
    ({ connection }) => connection.recvBytesSync(limits),
  ),
  recvBytesInto: receives(
    sendsOne,
    ({ connection }) => connection.recvBytesInto(Buffer.alloc(9)),
    ({ connection }) => connection.recvBytesIntoSync(Buffer.alloc(9), limits),
  ),
  recvMessage: receives(
    sendsOne,
    ({ connection }) => connection.recvMessage(),
    ({ connection }) => connection.recvMessageSync(limits),
  ),
  recvMany: receives(
    sendsOne,
    ({ connection }) => connection.recvMany(),
    ({ connection }) => connection.recvManySync(limits),
  ),
  recv: receives(
    sendsOne,
    ({ connection }) => connection.recv(),
    ({ connection }) => connection.recvSync(limits),
  ),
  recvHandle: receives(
    ({ peer, fd }) => peer.sendHandle(fd),
    async ({ connection }) => (await connection.recvHandle()).close(),
    ({ connection }) => connection.recvHandleSync(limits).close(),
  ),
  recvFds: receives(
    ({ peer, fd }) => peer.sendFds([fd]),
    async ({ connection }) => (await connection.recvFds(1))[0]?.close(),
    ({ connection }) => connection.recvFdsSync(1, limits)[0]?.close(),
  ),
  recvConnection: receives(
    ({ peer }) => {
      const [moved, other] = pipe()
      other.destroy()
      return peer.sendConnection(moved)
    },
    async ({ connection }) => (await connection.recvConnection()).destroy(),
    ({ connection }) => connection.recvConnectionSync(limits).destroy(),
  ),
  'for await': {
    prepare: sendsOne,
    async awaited({ connection }) {
      for await (const message of connection) return message
      return undefined
    },
  },
  poll: receives(
    sendsOne,
    ({ connection }) => connection.poll(),
    ({ connection }) => connection.pollSync(),
  ),
  'wait for it': receives(
    sendsOne,
    ({ connection }) => wait([connection], 0),
    ({ connection }) => waitSync([connection], 0),
  ),
  'sendConnection of it': {
    awaited: ({ way, connection }) => way.sendConnection(connection),
    sync: ({ way, connection }) => way.sendConnectionSync(connection, limits),
  },
  'sendConnection over it': {
    awaited: ({ connection, spare }) => connection.sendConnection(spare),
    sync: ({ connection, spare }) => connection.sendConnectionSync(spare, limits),
  },
  flush: { awaited: ({ connection }) => connection.flush() },
  detach: { sync: ({ connection }) => connection.detach().close() },
  close: { awaited: ({ connection }) => connection.close() },
  'await using': { awaited: ({ connection }) => connection[Symbol.asyncDispose]() },
  closeSync: { sync: ({ connection }) => connection.closeSync(limits) },
  destroy: { sync: ({ connection }) => connection.destroy() },
  using: { sync: ({ connection }) => connection[Symbol.dispose]() },
  ref: { sync: ({ connection }) => connection.ref() },
  unref: { sync: ({ connection }) => connection.unref() },
  'signal aborted': {
    async awaited({ connection }) {
      const { signal } = connection
      await turns()
      return signal.aborted
    },
  },
  closed: gets(({ closed }) => closed),
  readable: gets(({ readable }) => readable),
  writable: gets(({ writable }) => writable),
  writableLength: gets(({ writableLength }) => writableLength),
  fd: gets(({ fd }) => fd),
  fileno: gets((connection) => connection.fileno()),
  peer: gets(({ peer }) => peer),
  peerCredentials: gets(({ peerCredentials }) => peerCredentials),
}

function stage(t: ExecutionContext, maxMessageSize: number = 1 << 20): Scene {
  const [end, peer] = pipe()
  const [way, reader] = pipe()
  const [spare, far] = pipe()
  const connection = Connection.fromFd(end.detach(), { maxMessageSize })
  for (const each of [connection, peer, way, reader, spare, far]) t.teardown(() => each.destroy())
  return { connection, peer, way, spare, fd: openFile(t).fd }
}

/** With something queued that the peer does not read, so that what waits for it goes on waiting. */
function stuck(t: ExecutionContext): Scene {
  const scene = stage(t)
  void codeOf(scene.connection.sendBytes(MUCH))
  return scene
}

/** How a connection gets into each state of the table. */
const states: Readonly<Record<string, (t: ExecutionContext, prepare: Prepare) => Promise<Scene>>> = {
  async open(t, prepare) {
    const scene = stage(t)
    await prepare(scene)
    return scene
  },
  async 'the peer has ended'(t) {
    const scene = stage(t)
    scene.peer.destroy()
    return scene
  },
  async 'not readable'(t) {
    const scene = stage(t, 4)
    await scene.peer.sendBytes(Buffer.alloc(5))
    t.is(await codeOf(scene.connection.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
    return scene
  },
  async closing(t) {
    const scene = stuck(t)
    void codeOf(scene.connection.close())
    return scene
  },
  async moving(t) {
    const scene = stuck(t)
    void codeOf(scene.way.sendConnection(scene.connection))
    return scene
  },
  async closed(t) {
    const scene = stage(t)
    scene.connection.destroy()
    return scene
  },
}

/** What a word of the table says of a value. */
const values: Readonly<Record<string, (value: unknown) => boolean>> = {
  done: () => true,
  true: (value) => value === true,
  false: (value) => value === false,
  0: (value) => value === 0,
  '-1': (value) => value === -1,
  more: (value) => (value as number) > 0,
  'a number': (value) => (value as number) >= 0,
  'an address': (value) => value === '',
  credentials: (value) => (value as { pid: number }).pid === process.pid,
  undefined: (value) => value === undefined,
}

async function assertAwaited(t: ExecutionContext, cell: string, make: () => unknown): Promise<void> {
  const promise = (async () => make())()
  if (cell === 'waits') {
    const waiting = watch(promise)
    await turns()
    t.false(waiting.settled)
    void codeOf(promise)
  } else if (cell.startsWith('`')) {
    t.is(await codeOf(promise), cell.slice(1, -1))
  } else {
    t.true(values[cell]?.(await promise), cell)
  }
}

function assertSync(t: ExecutionContext, cell: string, make: () => unknown): void {
  const code = cell === 'waits' ? 'ERR_TIMEOUT' : /^`(.*)`$/.exec(cell)?.[1]
  if (code !== undefined) t.throws(make, { code, any: true })
  else t.true(values[cell]?.(make()), cell)
}

const page = readFileSync(new URL('../docs/lifecycle.md', import.meta.url), 'utf8')
const rows = page.split('\n').flatMap((line) =>
  line.startsWith('|')
    ? [
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ]
    : [],
)
const first = rows.findIndex(([call, state]) => call === 'Call' && state === 'open')
const [, ...columns] = rows[first] as string[]
const end = rows.findIndex((row, index) => index > first && row.length !== columns.length + 1)
const table = rows.slice(first + 2, end)

/** `` `sendConnection` of it `` is one call, `` `sendBytes`, `send` `` are two. */
const namesOf = (label: string): string[] => label.split(', ').map((name) => name.replaceAll('`', ''))

test('the table tells of every state and every member', (t) => {
  t.deepEqual(columns, Object.keys(states))
  t.deepEqual(table.flatMap(([label = '']) => namesOf(label)).sort(), Object.keys(calls).sort())
  const described = new Set(Object.keys(calls).map((name) => name.split(' ')[0]))
  const members = Object.getOwnPropertyNames(Connection.prototype).filter((name) => name !== 'constructor')
  t.deepEqual(
    members.filter((name) => !described.has(name) && !described.has(name.replace(/Sync$/, ''))),
    [],
  )
})

for (const [label = '', ...cells] of table) {
  for (const name of namesOf(label)) {
    for (const [index, cell] of cells.entries()) {
      const state = columns[index] as string
      test(`${state}, ${name}: ${cell}`, async (t) => {
        const { prepare = async () => {}, awaited, sync } = calls[name] as Call
        const enter = states[state] as (typeof states)[string]
        if (awaited !== undefined) {
          const scene = await enter(t, prepare)
          await assertAwaited(t, cell, () => awaited(scene))
        }
        if (sync !== undefined) {
          const scene = await enter(t, prepare)
          assertSync(t, cell, () => sync(scene))
        }
      })
    }
  }
}
