import { setImmediate } from 'node:timers/promises'

/** Turns the event loop until the condition holds; the test's time limit is the only deadline. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate()
}

/** Lets everything the event loop has ready happen. */
export async function turns(count: number = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}

export interface Watched<T> {
  readonly promise: Promise<T>
  readonly settled: boolean
}

/** A promise together with whether it has settled; a rejection is left to whoever awaits it. */
export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched = { promise, settled: false }
  const settle = (): void => {
    watched.settled = true
  }
  promise.then(settle, settle)
  return watched
}

/** The error a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  const [outcome] = await Promise.allSettled([promise])
  if (outcome.status === 'fulfilled') throw new Error('Expected a rejection')
  if (outcome.reason instanceof Error) return outcome.reason
  throw new Error('Expected an Error', { cause: outcome.reason })
}

/** The code of the error a promise rejects with, `undefined` when it fulfils. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  )
}
