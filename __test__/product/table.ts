import type { Connection, Listener, WaitOptions } from '../../index.ts'
import type { Closable } from './closable.ts'
import type { Peer, Transport } from './peer.ts'
import type { Stage } from './stage.ts'

/** How something that is pending can end. */
export const endings = [
  'completed',
  'close',
  'closeSync',
  'destroy',
  'detach',
  'moved',
  'collected',
  'aborted',
  'aborted and collected',
  'timed out',
  'timed out at once',
  'timed out and collected',
  'peer ended',
  'peer reset',
  'worker terminated',
] as const
export type Ending = (typeof endings)[number]

/** A code of an error, or `'ok'`. */
export type Outcome = string

export interface Expected {
  /** What the call that ends it gives; `'ok'` when left out. */
  readonly call?: readonly Outcome[]
  /** What the pending promises give: each of them, or by name. */
  readonly outcomes: readonly Outcome[] | Readonly<Record<string, readonly Outcome[]>>
  /** The pending thing goes on, and the peer does its part afterwards. */
  readonly completes?: boolean
  /** It stays pending, until it is aborted at last. */
  readonly stays?: boolean
  /** Whether the connection must work afterwards. */
  readonly usable?: boolean
  /** Whether a message may be cut off for the peer. */
  readonly cut?: boolean
}

/** Why there is no such cell. */
export interface Impossible {
  readonly impossible: string
}

export type Expectations = Readonly<Record<Ending, Expected | Impossible>>

export function impossible(reason: string): Impossible {
  return { impossible: reason }
}

/** What a pending thing needs, made before it starts, perhaps in another thread. */
export interface Given {
  /** Descriptors that are its to close. */
  readonly fds: readonly number[]
  readonly transport: Transport
  readonly path: string
  readonly address?: Listener['address']
}

export interface Started {
  /** What the endings act on. */
  target: Closable | undefined
  /** What else is open. */
  others: Closable[]
  /** What the user keeps when he forgets the rest. */
  readonly kept?: readonly Closable[]
  /** Their values are what is said of them. */
  promises: Readonly<Record<string, Promise<unknown>>>
  /** Waits once more. */
  waitAgain?: ((limits: WaitOptions) => Promise<unknown>) | undefined
  /** Ends what has no other end. */
  giveUp?(): void
  /** Where a listener listens. */
  readonly address?: Listener['address']
}

/** A row of the table. */
export interface Pending {
  readonly title: string
  readonly transports: readonly Transport[]
  readonly expectations: Expectations
  /** In the test's thread. */
  prepare(stage: Stage): Given
  /** In the thread where it is pending. */
  start(given: Given, limits: WaitOptions): Started | Promise<Started>
  /** What the peer does once it has started. */
  join?(stage: Stage, started: Pick<Started, 'address'>): void | Promise<void>
  /** What the peer does for it to go through. */
  complete(stage: Stage): void | Promise<void>
  /** What the peer does so that nothing is under way any more, which would keep it from being collected. */
  withdraw?(stage: Stage): void
  /** Uses again what is still open; throws when something was lost. */
  again?(stage: Stage, started: Started): Promise<void>
  /** Ends of the peer's that are not its descriptor's. */
  readonly peerEnds?: (stage: Stage) => void | Promise<void>
  readonly peerResets?: (stage: Stage) => void | Promise<void>
  /** What came by a move; throws when something was lost. */
  moved?(stage: Stage, connection: Connection): Promise<void>
}

/** The peer that a stage has only one of. */
export function peerOf(stage: Stage): Peer {
  const [peer] = stage.peers
  if (peer === undefined) throw new Error('There is no peer')
  return peer
}
