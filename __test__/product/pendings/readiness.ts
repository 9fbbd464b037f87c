import {
  type Connection,
  constants,
  Epoll,
  EVENT_READ,
  Poll,
  select,
  Selector,
  wait,
  type WaitOptions,
} from '../../../index.ts'
import { frame } from '../../support/bytes.ts'
import type { Closable } from '../closable.ts'
import { impossible, peerOf, type Expectations, type Expected, type Pending } from '../table.ts'
import type { Transport } from '../peer.ts'
import { open, prepareOne } from './receiving.ts'

const both: readonly Transport[] = ['unix', 'tcp']
const completes = { outcomes: ['ok'], completes: true }
const ready = { outcomes: ['ok'] }
const noObject = impossible('nothing stands for the wait that could be closed')
const noSuchCall = impossible('it has no such call')

/** docs/api.md: the peer's end and errors make a descriptor ready; a wait whose time is over gives nothing. */
const waiting: Expectations = {
  completed: completes,
  close: noObject,
  closeSync: noObject,
  destroy: noObject,
  detach: noObject,
  moved: noObject,
  collected: completes,
  aborted: { outcomes: ['ABORT_ERR'], usable: true },
  'aborted and collected': { outcomes: ['ABORT_ERR'] },
  'timed out': { ...ready, usable: true },
  'timed out at once': { ...ready, usable: true },
  'timed out and collected': ready,
  'peer ended': ready,
  'peer reset': ready,
  'worker terminated': { outcomes: [] },
}

const ofObject: Expectations = {
  ...waiting,
  close: { outcomes: ['ERR_CLOSED'] },
  closeSync: noSuchCall,
  destroy: { outcomes: ['ERR_CLOSED'] },
  detach: noSuchCall,
  moved: noSuchCall,
}

const sameAsObject = impossible('it is the same as for the object itself')
function whatIsWatched({ closed, moved = closed, byNumber = false }: Watcher): Expectations {
  return {
    completed: sameAsObject,
    close: closed,
    closeSync: closed,
    destroy: closed,
    detach: closed,
    moved,
    collected: byNumber
      ? impossible('only its number is watched: it is collected, and closed, as any other')
      : completes,
    aborted: sameAsObject,
    'aborted and collected': sameAsObject,
    'timed out': sameAsObject,
    'timed out at once': sameAsObject,
    'timed out and collected': sameAsObject,
    'peer ended': sameAsObject,
    'peer reset': sameAsObject,
    'worker terminated': sameAsObject,
  }
}

type Wait = (limits: WaitOptions) => Promise<unknown>

/** Something that watches one connection. */
interface Watcher {
  readonly title: string
  readonly expectations: Expectations
  /** What a connection that is closed while it is watched does to the wait. */
  readonly closed: Expected
  /** Whether it knows the descriptor's number alone, and not whose it is. */
  readonly byNumber?: boolean
  /** What moving it does, where that is something else. */
  readonly moved?: Expected
  watch(connection: Connection): { object?: Closable; wait: Wait }
}

const reportedNoMore = { outcomes: ['ABORT_ERR'], stays: true }
const watchers: readonly Watcher[] = [
  {
    title: 'Selector.select',
    expectations: ofObject,
    closed: reportedNoMore,
    watch(connection) {
      const object = new Selector()
      object.register(connection, EVENT_READ)
      return { object, wait: (limits) => object.select(limits) }
    },
  },
  {
    title: 'Epoll.poll',
    byNumber: true,
    expectations: ofObject,
    closed: reportedNoMore,
    watch(connection) {
      const object = new Epoll()
      object.register(connection, constants.EPOLLIN)
      return { object, wait: (limits) => object.poll(limits) }
    },
  },
  {
    title: 'Poll.poll',
    byNumber: true,
    expectations: waiting,
    closed: reportedNoMore,
    watch(connection) {
      const object = new Poll()
      object.register(connection, constants.POLLIN)
      return { wait: (limits) => object.poll(limits) }
    },
  },
  {
    title: 'select',
    expectations: waiting,
    closed: { outcomes: ['ERR_CLOSED'] },
    watch: (connection) => ({ wait: (limits) => select([connection], [], [], limits) }),
  },
  {
    title: 'wait',
    expectations: waiting,
    closed: { outcomes: ['ERR_CLOSED'] },
    // Who waits for it may receive from it next.
    moved: { call: ['ERR_INVALID_STATE'], outcomes: ['ABORT_ERR'], stays: true },
    watch: (connection) => ({ wait: (limits) => wait([connection], limits) }),
  },
]

function row({ title, expectations, byNumber = false, watch }: Watcher): Pending {
  return {
    title,
    transports: both,
    expectations,
    prepare: prepareOne,
    start(given, limits) {
      const connection = open(given)
      const { object, wait: start } = watch(connection)
      return {
        target: object,
        others: byNumber ? [] : [connection],
        kept: byNumber ? [connection] : [],
        promises: { wait: start(limits).then(() => undefined) },
        waitAgain: start,
      }
    },
    complete: (stage) => peerOf(stage).write(frame('arrives')),
    async again(stage, { waitAgain }) {
      const waited = (waitAgain as Wait)({})
      peerOf(stage).write(frame('arrives'))
      await waited
    },
  }
}

function rowOfConnection(watcher: Watcher): Pending {
  return {
    title: `${watcher.title}, what happens to its connection`,
    transports: both,
    expectations: whatIsWatched(watcher),
    prepare: prepareOne,
    start(given, limits) {
      const target = open(given)
      const { object, wait: start } = watcher.watch(target)
      const controller = new AbortController()
      const waited = start({ signal: controller.signal, ...limits }).then(() => undefined)
      return {
        target,
        others: object === undefined ? [] : [object],
        promises: { wait: waited },
        giveUp: () => controller.abort(),
      }
    },
    complete: (stage) => peerOf(stage).write(frame('arrives')),
  }
}

export const waits: readonly Pending[] = [...watchers.map(row), ...watchers.map(rowOfConnection)]
