import { Connection, pipe, type WaitOptions } from '../../../index.ts'
import { frame, header, pattern } from '../../support/bytes.ts'
import { inode } from '../../support/resources.ts'
import { peerOf, impossible, type Expectations, type Given, type Pending, type Started } from '../table.ts'
import type { Transport } from '../peer.ts'
import type { Stage } from '../stage.ts'

const both: readonly Transport[] = ['unix', 'tcp']
const closed = { outcomes: ['ERR_CLOSED'] }
const completes = { outcomes: ['ok'], completes: true }

/** docs/lifecycle.md: what each call does to receives that wait. */
const receiving: Expectations = {
  completed: { ...completes, usable: true },
  close: closed,
  closeSync: closed,
  destroy: closed,
  detach: closed,
  moved: { ...completes, call: ['ERR_INVALID_STATE'], usable: true },
  collected: completes,
  aborted: { outcomes: ['ABORT_ERR'], usable: true },
  'aborted and collected': { outcomes: ['ABORT_ERR'] },
  'timed out': { outcomes: ['ERR_TIMEOUT'], usable: true },
  'timed out at once': { outcomes: ['ERR_TIMEOUT'], usable: true },
  'timed out and collected': { outcomes: ['ERR_TIMEOUT'] },
  'peer ended': { outcomes: ['ERR_EOF'] },
  'peer reset': { outcomes: ['ECONNRESET'] },
  'worker terminated': { outcomes: [] },
}

/** A message that is here in part was read ahead, so the descriptor cannot be taken or moved. */
const inPart: Expectations = {
  ...receiving,
  detach: { ...completes, call: ['ERR_INVALID_STATE'], usable: true },
  'peer ended': { outcomes: ['ERR_MESSAGE_TRUNCATED'] },
}

const noSignal = impossible('a for await loop takes neither a signal nor a timeout')
const looping: Expectations = {
  ...receiving,
  aborted: noSignal,
  'aborted and collected': noSignal,
  'timed out': noSignal,
  'timed out at once': noSignal,
  'timed out and collected': noSignal,
  'peer ended': { outcomes: ['ok'] },
  close: { outcomes: ['ok'] },
  closeSync: { outcomes: ['ok'] },
  destroy: { outcomes: ['ok'] },
  detach: { outcomes: ['ok'] },
}

/** It consumes nothing, so the end and an error are something to be had. */
const polling: Expectations = {
  ...receiving,
  'timed out': { outcomes: ['ok'], usable: true },
  'timed out at once': { outcomes: ['ok'], usable: true },
  'timed out and collected': { outcomes: ['ok'] },
  'peer ended': { outcomes: ['ok'] },
  'peer reset': { outcomes: ['ok'] },
}

type Receive = (connection: Connection, limits: WaitOptions) => Promise<unknown>

/** Connects, and sends something that the peer has unread when it resets. */
export function open({ fds }: Given, index: number = 0): Connection {
  const connection = Connection.fromFd(fds[index] ?? -1)
  connection.sendBytesSync(Buffer.from('unread'))
  return connection
}

export function prepareOne(stage: Stage): Given {
  const fds = [stage.descriptor()]
  peerOf(stage).expected.push(frame('unread'))
  peerOf(stage).greeted = true
  return { fds, transport: stage.transport, path: '' }
}

/** What the peer sends in full for `receive` to get it. */
interface Row {
  readonly title: string
  readonly transports?: readonly Transport[]
  readonly expectations?: Expectations
  readonly receive: Receive
  readonly value: string
  /** What is there before. */
  before?(stage: Stage): void
  /** What makes it complete. */
  rest(stage: Stage): void | Promise<void>
  /** What is sent for another one. */
  next?(stage: Stage): void | Promise<void>
}

function assertValue(title: string, got: unknown, value: string): void {
  if (got !== value) throw new Error(`${title} got ${String(got).slice(0, 80)}, not ${value}`)
}

function pending(row: Row): Pending {
  const { title, transports = both, expectations = receiving, receive, value } = row
  const checked = async (connection: Connection, limits: WaitOptions): Promise<void> => {
    const got = await receive(connection, limits)
    if (got !== undefined) assertValue(title, got, value)
  }
  return {
    title,
    transports,
    expectations,
    prepare(stage) {
      const given = prepareOne(stage)
      row.before?.(stage)
      return given
    },
    start(given, limits): Started {
      const connection = open(given)
      return { target: connection, others: [], promises: { receive: checked(connection, limits) } }
    },
    complete: (stage) => row.rest(stage),
    async again(stage, { target }) {
      const received = checked(target as Connection, {})
      if (stage.completed) await (row.next ?? row.rest)(stage)
      else await row.rest(stage)
      await received
    },
  }
}

const LARGE = 3 << 19
const HERE = 100_000
const large = pattern(LARGE)
const whole = `${LARGE} bytes`

function inspected(data: Uint8Array): string {
  return large.equals(data) ? `${data.length} bytes` : `other bytes, ${data.length}`
}

function writeStart(stage: Stage): void {
  peerOf(stage).write(header(LARGE), large.subarray(0, HERE))
}

async function writeRest(stage: Stage): Promise<void> {
  await peerOf(stage).feed(large.subarray(HERE))
}

async function writeLarge(stage: Stage): Promise<void> {
  await peerOf(stage).feed(frame(large))
}

const arrives = (stage: Stage): void => peerOf(stage).write(frame('arrives'))

async function firstOf(connection: Connection): Promise<unknown> {
  for await (const { data, fds } of connection) {
    for (const fd of fds) fd.close()
    return String(data)
  }
  return undefined // the peer's end
}

function handedOver(stage: Stage): void {
  const [kept, moved] = pipe()
  stage.teardown(() => kept.destroy())
  peerOf(stage).as((carrier) => carrier.sendConnectionSync(moved))
}

const rows: Row[] = [
  {
    title: 'recvBytes',
    receive: (connection, limits) => connection.recvBytes(limits).then(String),
    value: 'arrives',
    rest: arrives,
  },
  {
    title: 'recvBytesInto',
    receive: async (connection, limits) => {
      const buffer = Buffer.alloc(100)
      return String(buffer.subarray(0, await connection.recvBytesInto(buffer, limits)))
    },
    value: 'arrives',
    rest: arrives,
  },
  {
    title: 'recvMessage',
    receive: async (connection, limits) => String((await connection.recvMessage(limits)).data),
    value: 'arrives',
    rest: arrives,
  },
  {
    title: 'recvMany',
    receive: async (connection, limits) => (await connection.recvMany(limits)).map(({ data }) => data).join(' '),
    value: 'arrives',
    rest: arrives,
  },
  {
    title: 'recv',
    receive: (connection, limits) => connection.recv(limits),
    value: 'arrives',
    rest: (stage) => peerOf(stage).write(frame('"arrives"')),
  },
  {
    title: 'for await',
    expectations: looping,
    receive: firstOf,
    value: 'arrives',
    rest: arrives,
  },
  {
    title: 'poll',
    expectations: polling,
    receive: (connection, limits) => connection.poll({ timeout: null, ...limits }).then(() => undefined),
    value: '',
    rest: arrives,
  },
  {
    title: 'recvHandle',
    transports: ['unix'],
    receive: async (connection, limits) => {
      const fd = await connection.recvHandle(limits)
      fd.close()
      return 'a descriptor'
    },
    value: 'a descriptor',
    rest: (stage) => peerOf(stage).sendHandle(stage.file.fd),
  },
  {
    title: 'recvFds',
    transports: ['unix'],
    receive: async (connection, limits) => {
      const fds = await connection.recvFds(3, limits)
      for (const fd of fds) fd.close()
      return `${fds.length} descriptors`
    },
    value: '2 descriptors',
    rest: (stage) => peerOf(stage).as((connection) => connection.sendFdsSync([stage.file.fd, stage.file.fd])),
  },
  {
    title: 'recvConnection',
    transports: ['unix'],
    receive: async (connection, limits) => {
      const moved = await connection.recvConnection(limits)
      moved.destroy()
      return 'a connection'
    },
    value: 'a connection',
    rest: handedOver,
  },
  {
    title: 'recvBytes, a large body in part',
    expectations: inPart,
    receive: (connection, limits) => connection.recvBytes(limits).then(inspected),
    value: whole,
    before: writeStart,
    rest: writeRest,
    next: writeLarge,
  },
  {
    title: 'recvMany, a large body in part',
    expectations: inPart,
    receive: async (connection, limits) => inspected((await connection.recvMany(limits))[0]?.data ?? Buffer.alloc(0)),
    value: whole,
    before: writeStart,
    rest: writeRest,
    next: writeLarge,
  },
  {
    title: 'recvBytesInto, a large body in part',
    expectations: inPart,
    receive: async (connection, limits) => {
      const buffer = Buffer.alloc(LARGE)
      try {
        return inspected(buffer.subarray(0, await connection.recvBytesInto(buffer, limits)))
      } catch (error) {
        // It is the caller's again from now on: the watcher sees whether it is written to.
        abandoned.add(buffer.fill(0xee))
        throw error
      }
    },
    value: whole,
    before: writeStart,
    rest: writeRest,
    next: writeLarge,
  },
  {
    title: 'recvMessage, a large body with descriptors in part',
    transports: ['unix'],
    expectations: inPart,
    receive: async (connection, limits) => {
      const { data, fds } = await connection.recvMessage(limits)
      const text = `${inspected(data)} ${fds.map(({ fd }) => inode(fd).split(':').length)}`
      for (const fd of fds) fd.close()
      return text
    },
    value: `${whole} 2,2`,
    before(stage) {
      peerOf(stage).as((connection) => connection.sendFdsSync([stage.file.fd, stage.file.fd]))
      writeStart(stage)
    },
    rest: writeRest,
    async next(stage) {
      peerOf(stage).as((connection) => connection.sendFdsSync([stage.file.fd, stage.file.fd]))
      await writeLarge(stage)
    },
  },
  {
    title: 'recvBytes, a header in part',
    expectations: inPart,
    receive: (connection, limits) => connection.recvBytes(limits).then(String),
    value: 'arrives',
    before: (stage) => peerOf(stage).write(frame('arrives').subarray(0, 2)),
    rest: (stage) => peerOf(stage).write(frame('arrives').subarray(2)),
    next: arrives,
  },
]

/** Buffers that were given back to their owner, all 0xee. */
export const abandoned: Set<Buffer> = new Set()

/** Whether one of them was written to afterwards; they are forgotten. */
export function abandonedWritten(): boolean {
  const written = [...abandoned].some((buffer) => buffer.some((byte) => byte !== 0xee))
  abandoned.clear()
  return written
}

export const receives: readonly Pending[] = rows.map(pending)
