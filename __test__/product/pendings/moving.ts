import { Connection } from '../../../index.ts'
import { frame, pattern } from '../../support/bytes.ts'
import { impossible, peerOf, type Expectations, type Given, type Pending, type Started } from '../table.ts'
import type { Transport } from '../peer.ts'
import type { Stage } from '../stage.ts'

const both: readonly Transport[] = ['unix', 'tcp']
const large = pattern(4 << 20)
const lost = ['EPIPE', 'ECONNRESET']
const none = impossible('sendConnection takes neither a signal nor a timeout')
const goesOn = { outcomes: ['ok'], completes: true }
const withoutLimits = {
  aborted: none,
  'aborted and collected': none,
  'timed out': none,
  'timed out at once': none,
  'timed out and collected': none,
}

/** docs/lifecycle.md: what each call does while a connection moves. What it still has queued leaves first. */
const movedQueued: Expectations = {
  ...withoutLimits,
  completed: goesOn,
  close: goesOn,
  closeSync: { ...goesOn, call: ['ERR_INVALID_STATE'] },
  destroy: { outcomes: ['ERR_CLOSED'], cut: true },
  detach: { ...goesOn, call: ['ERR_INVALID_STATE'] },
  moved: { ...goesOn, call: ['ERR_CLOSED'] },
  collected: goesOn,
  'peer ended': goesOn,
  'peer reset': { outcomes: { send: lost, move: ['ok'] }, completes: true },
  'worker terminated': { outcomes: [], cut: true },
}

/** Nothing was sent over the carrier yet: without it the connection stays here, usable. */
const carrierIdle: Expectations = {
  ...withoutLimits,
  completed: goesOn,
  close: { outcomes: { send: ['ok'], move: ['ERR_CLOSED'] }, completes: true, usable: true },
  closeSync: { outcomes: { send: ['ok'], move: ['ERR_CLOSED'] }, completes: true, usable: true },
  destroy: { outcomes: { send: ['ok'], move: ['ERR_CLOSED'] }, completes: true, usable: true },
  detach: { outcomes: { send: ['ok'], move: ['ERR_CLOSED'] }, completes: true, usable: true },
  moved: { outcomes: { send: ['ok'], move: ['ERR_CLOSED'] }, completes: true, usable: true },
  collected: goesOn,
  'peer ended': goesOn,
  'peer reset': { outcomes: { send: ['ok'], move: lost }, completes: true, usable: true },
  'worker terminated': { outcomes: [], cut: true },
}

/** The one that moves is queued on its carrier, and is as good as gone. */
const movedGone: Expectations = {
  ...movedQueued,
  destroy: goesOn,
  'peer reset': goesOn,
}

/** What is queued on the carrier is sent like anything else. */
const carrierQueued: Expectations = {
  ...withoutLimits,
  completed: goesOn,
  close: goesOn,
  closeSync: goesOn,
  destroy: { outcomes: ['ERR_CLOSED'], cut: true, usable: true },
  detach: { ...goesOn, call: ['ERR_INVALID_STATE'] },
  moved: goesOn,
  collected: goesOn,
  'peer ended': goesOn,
  'peer reset': { outcomes: lost, usable: true },
  'worker terminated': { outcomes: [], cut: true },
}

/** First the one that moves, then its carrier. */
function prepare(stage: Stage): Given {
  const fds = [stage.descriptor(), stage.descriptor('unix', 'anything')]
  return { fds, transport: stage.transport, path: '' }
}

function readsAll(stage: Stage): void {
  for (const peer of stage.peers) peer.reading = true
}

function row(
  title: string,
  expectations: Expectations,
  queuedOn: 'moved' | 'carrier',
  acts: 'moved' | 'carrier',
): Pending {
  return {
    title,
    transports: both,
    expectations,
    prepare(stage) {
      const given = prepare(stage)
      if (queuedOn === 'moved') peerOf(stage).expected.push(frame(large))
      // The endings by the peer are of the one that things happen to.
      if (acts === 'carrier') stage.acting = stage.peers[1]
      return given
    },
    start({ fds }): Started {
      const [moved, carrier] = fds.map((fd) => Connection.fromFd(fd)) as [Connection, Connection]
      const send = (queuedOn === 'moved' ? moved : carrier).sendBytes(large)
      const move = carrier.sendConnection(moved)
      const [target, other] = acts === 'moved' ? [moved, carrier] : [carrier, moved]
      return { target, others: [other], promises: { send, move } }
    },
    complete: readsAll,
    async again(stage, { target, others }) {
      const moved = (acts === 'moved' ? target : others[0]) as Connection
      peerOf(stage).expected.push(frame('again'))
      peerOf(stage).reading = true
      await moved.sendBytes(Buffer.from('again'))
    },
  }
}

export const moves: readonly Pending[] = [
  row('sendConnection that waits for the moved one, what happens to that', movedQueued, 'moved', 'moved'),
  row('sendConnection that waits for the moved one, what happens to the carrier', carrierIdle, 'moved', 'carrier'),
  row('sendConnection that waits for the carrier, what happens to the moved one', movedGone, 'carrier', 'moved'),
  row('sendConnection that waits for the carrier, what happens to that', carrierQueued, 'carrier', 'carrier'),
]
