import { deepStrictEqual, ok, strictEqual } from 'node:assert'
import type { Connection, Message, OwnedFd } from '../../index.ts'
import { closedInodes, type OpenFile } from '../support/resources.ts'
import { turns } from '../support/until.ts'
import { Wire, type Whole } from './wire.ts'

export type Side = 0 | 1

/** Only what is defective takes so long. */
export const PATIENCE = 5000

/** What a send gives when the peer is gone. */
export const LOST: readonly string[] = ['EPIPE', 'ECONNRESET']

/** A receive that waits. */
export interface Receive {
  readonly outcome: Promise<Message | Error>
  readonly abort: () => void
}

/** What the model knows of one end: what is to come to it, and what it has under way. */
export class End {
  readonly incoming: Wire = new Wire()
  readonly receives: Receive[] = []
  closed = false
}

/** The model of both ends, and the connections themselves. */
export class Model {
  readonly ends: readonly [End, End] = [new End(), new End()]
  /** Tells one message from the other. */
  seed = 0
}

export interface Real {
  readonly connections: readonly [Connection, Connection]
  readonly files: readonly OpenFile[]
  readonly carriesDescriptors: boolean
  /** Sends, each with what it may come to. */
  readonly sends: { readonly side: Side; readonly outcome: Promise<string>; allowed: Set<string> }[]
}

export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: NodeJS.ErrnoException) => error.code ?? String(error),
  )
}

/** The promise's value, or an error when it takes for ever. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} never settles`)), PATIENCE)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export function other(side: Side): Side {
  return side === 0 ? 1 : 0
}

export function assertWhole({ data, fds }: Message, { bytes, inodes }: Whole): void {
  const got = closedInodes(fds)
  strictEqual(data.length, bytes.length, 'length of the message')
  ok(data.equals(bytes), 'bytes of the message')
  deepStrictEqual(got, inodes, 'descriptors of the message')
}

export function assertFds(fds: readonly OwnedFd[], inodes: readonly string[]): void {
  deepStrictEqual(closedInodes(fds), inodes)
}

/** The receives that wait take what was sent, in order. */
export async function serve(model: Model, side: Side): Promise<void> {
  const end = model.ends[side]
  while (end.receives.length > 0 && end.incoming.hasFrame) {
    const { outcome } = end.receives.shift()!
    const message = await soon(outcome, 'a receive that waited')
    if (message instanceof Error) throw message
    assertWhole(message, end.incoming.takeFrame())
  }
}

/** What is queued leaves at the end of the turn. */
export async function leave(): Promise<void> {
  await turns(1)
}
