import { closeSync, openSync } from 'node:fs'
import { Connection } from '../../../index.ts'
import { frame, pattern } from '../../support/bytes.ts'
import { inode } from '../../support/resources.ts'
import { impossible, peerOf, type Expectations, type Given, type Pending, type Started } from '../table.ts'
import type { Transport } from '../peer.ts'
import type { Stage } from '../stage.ts'

const both: readonly Transport[] = ['unix', 'tcp']
const large = pattern(8 << 20)
const goesOn = { outcomes: ['ok'], completes: true }
const none = impossible('a send takes neither a signal nor a timeout that ends it')

/** docs/lifecycle.md: what each call does to what is queued. */
export const sending: Expectations = {
  completed: { ...goesOn, usable: true },
  close: goesOn,
  closeSync: goesOn,
  destroy: { outcomes: ['ERR_CLOSED'], cut: true },
  detach: { ...goesOn, call: ['ERR_INVALID_STATE'], usable: true },
  moved: goesOn,
  collected: goesOn,
  aborted: none,
  'aborted and collected': none,
  'timed out': none,
  'timed out at once': none,
  'timed out and collected': none,
  'peer ended': { ...goesOn, usable: true },
  'peer reset': { outcomes: ['EPIPE', 'ECONNRESET'] },
  'worker terminated': { outcomes: [], cut: true },
}

/** After close() everything else finds it closed; destroy() gives it up. */
const closing: Expectations = {
  ...sending,
  completed: goesOn,
  destroy: { outcomes: { send: ['ERR_CLOSED'], small: ['ERR_CLOSED'], close: ['ok'] }, cut: true },
  detach: { ...goesOn, call: ['ERR_CLOSED'] },
  moved: { ...goesOn, call: ['ERR_CLOSED'] },
  'peer ended': goesOn,
  'peer reset': {
    outcomes: { send: ['EPIPE', 'ECONNRESET'], small: ['EPIPE', 'ECONNRESET'], close: ['ok'] },
  },
}

function prepare(stage: Stage, frames: readonly Buffer[]): Given {
  const fds = [stage.descriptor()]
  peerOf(stage).expected.push(...frames)
  return { fds, transport: stage.transport, path: stage.file.path }
}

const reads = (stage: Stage): void => {
  peerOf(stage).reading = true
}

/** What is sent afterwards comes after what was queued. */
async function sendsAgain(stage: Stage, { target }: Started): Promise<void> {
  peerOf(stage).expected.push(frame('again'))
  await (target as Connection).sendBytes(Buffer.from('again'))
}

async function sendsMoved(stage: Stage, connection: Connection): Promise<void> {
  peerOf(stage).expected.push(frame('from its new place'))
  await connection.sendBytes(Buffer.from('from its new place'))
}

const frames = [frame(large), frame('small'), frame('"value"')]

function queue(connection: Connection): Record<string, Promise<void>> {
  const send = connection.sendBytes(large)
  const small = connection.sendBytes(Buffer.from('small'))
  return { send, small, value: connection.send('value') }
}

function row(title: string, start: Pending['start'], sent: readonly Buffer[], rest: Partial<Pending> = {}): Pending {
  return {
    title,
    transports: both,
    expectations: sending,
    prepare: (stage) => prepare(stage, sent),
    start,
    complete: reads,
    again: sendsAgain,
    moved: sendsMoved,
    ...rest,
  }
}

export function timesOut(connection: Connection, data: Uint8Array): void {
  try {
    connection.sendBytesSync(data, { timeout: 1 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_TIMEOUT') return
    throw error
  }
  throw new Error('The send went through')
}

export const sends: readonly Pending[] = [
  row(
    'queued awaited sends',
    ({ fds }) => {
      const target = Connection.fromFd(fds[0] ?? -1)
      return { target, others: [], promises: { ...queue(target), flush: target.flush() } }
    },
    frames,
  ),
  row(
    'a timed-out Sync send',
    ({ fds }) => {
      const target = Connection.fromFd(fds[0] ?? -1)
      timesOut(target, large)
      return { target, others: [], promises: { flush: target.flush() } }
    },
    [frame(large)],
  ),
  row(
    'a timed-out Sync send from a buffer that is used again, and an awaited one behind it',
    ({ fds }) => {
      const target = Connection.fromFd(fds[0] ?? -1)
      const data = Buffer.from(large)
      timesOut(target, data)
      data.fill(0) // it is the caller's again
      return { target, others: [], promises: { small: target.sendBytes(Buffer.from('small')) } }
    },
    [frame(large), frame('small')],
  ),
  row(
    'queued descriptors',
    ({ fds, path }) => {
      const target = Connection.fromFd(fds[0] ?? -1)
      const file = openSync(path, 'r')
      const send = target.sendBytes(large)
      const small = target.sendBytes(Buffer.from('small'), { fds: [file, file] })
      const handle = target.sendHandle(file)
      closeSync(file)
      return { target, others: [], promises: { send, small, handle } }
    },
    [frame(large), Buffer.of(2), frame('small'), Buffer.of(1)],
    { transports: ['unix'] },
  ),
  row(
    'close() that waits for what is queued',
    ({ fds }) => {
      const target = Connection.fromFd(fds[0] ?? -1)
      const send = target.sendBytes(large)
      const small = target.sendBytes(Buffer.from('small'))
      return { target, others: [], promises: { send, small, close: target.close() } }
    },
    [frame(large), frame('small')],
    { expectations: closing },
  ),
]

const nothing = { outcomes: [] }
const waitsForNothing = impossible('nothing waits')

/** docs/lifecycle.md: what was read ahead is delivered before anything else, and goes along when the connection moves. */
const ahead: Expectations = {
  completed: { ...nothing, usable: true },
  close: nothing,
  closeSync: nothing,
  destroy: nothing,
  detach: { ...nothing, call: ['ERR_INVALID_STATE'], usable: true },
  moved: nothing,
  collected: nothing,
  aborted: waitsForNothing,
  'aborted and collected': waitsForNothing,
  'timed out': waitsForNothing,
  'timed out at once': waitsForNothing,
  'timed out and collected': waitsForNothing,
  'peer ended': { ...nothing, usable: true },
  'peer reset': { ...nothing, usable: true },
  'worker terminated': nothing,
}

async function receives(connection: Connection, expected: readonly string[]): Promise<void> {
  for (const text of expected) {
    const { data, fds } = await connection.recvMessage()
    const got = [String(data), ...fds.map(({ fd }) => inode(fd))].join(' ')
    for (const fd of fds) fd.close()
    if (got !== text) throw new Error(`${got} was received, not ${text}`)
  }
}

function readAhead(title: string, transports: readonly Transport[], descriptors: number): Pending {
  const expected = ({ file }: Stage): string[] => {
    const inodes = Array.from({ length: descriptors }, () => file.inode)
    return [['second', ...inodes].join(' '), ['third', ...inodes].join(' ')]
  }
  return {
    title,
    transports,
    expectations: ahead,
    prepare(stage) {
      const given = prepare(stage, [])
      const [peer, fds] = [peerOf(stage), Array.from({ length: descriptors }, () => stage.file.fd)]
      // Messages without descriptors are read in one go; those with some are read up to the next record each.
      for (const text of ['first', 'second', 'third']) {
        if (descriptors > 0 && text !== 'first') peer.as((connection) => connection.sendFdsSync(fds))
        peer.write(frame(text))
      }
      return given
    },
    async start({ fds }) {
      const target = Connection.fromFd(fds[0] ?? -1)
      await target.recvBytes()
      return { target, others: [], promises: {} }
    },
    complete() {},
    again: (stage, { target }) => receives(target as Connection, expected(stage)),
    moved: (stage, connection) => receives(connection, expected(stage)),
  }
}

export const readsAhead: readonly Pending[] = [
  readAhead('read-ahead not yet taken', both, 0),
  readAhead('read-ahead with descriptors not yet taken', ['unix'], 3),
]
