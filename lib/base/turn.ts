import { AbortError } from './errors.ts'
import type { Limits } from './limits.ts'

/** Results given at once, one after the other, before the rest of the event loop gets its turn. */
const AT_ONCE = 32
let given = 0

/** Whether so many results were given at once that a loop of them would starve the event loop. */
export function isTurnDue(): boolean {
  return given >= AT_ONCE
}

/** Whether a call that got nothing at once must wait a turn of the event loop: it is due, or nobody else waits. */
export function needsTurn({ timeout }: Limits): boolean {
  return timeout === 0 || isTurnDue()
}

/** Makes an attempt that does not wait, unless the event loop is due. */
export function atOnce<T>(attempt: () => T | undefined): T | undefined {
  if (isTurnDue()) return undefined
  const result = attempt()
  if (result !== undefined) given++
  return result
}

/** The event loop came round: what is called from it need not wait for it. */
export function turned(): void {
  given = 0
}

/** Waits one turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      turned()
      resolve()
    })
  })
}

/** For those who have a result already: waits where the event loop is due. */
export async function giveTurn(): Promise<void> {
  if (isTurnDue()) await nextTurn()
  else given++
}

/**
 * Makes the attempt after a turn of the event loop, for calls that are due for one or do not want to wait: loops of them
 * must not starve it.
 */
export async function afterTurn<T>({ signal }: Limits, attempt: () => T): Promise<T> {
  await nextTurn()
  if (signal?.aborted) throw new AbortError(signal.reason)
  return attempt()
}
