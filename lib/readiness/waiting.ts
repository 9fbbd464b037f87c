import { sources } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import { AbortError, closedError, invalidState } from '../base/errors.ts'
import { checkCode, native } from '../native/binding.ts'
import { checkPositional, startTimer } from '../base/limits.ts'
import type { Limits, WaitOptions } from '../base/limits.ts'

/** Results given at once, one after the other, before the rest of the event loop gets its turn. */
const AT_ONCE = 32
let given = 0

/** Makes an attempt that does not wait, unless so many succeeded that a loop of them would starve the event loop. */
export function atOnce<T>(attempt: () => T | undefined): T | undefined {
  if (given >= AT_ONCE) return undefined
  const result = attempt()
  if (result !== undefined) given++
  return result
}

/** Waits one turn of the event loop, for those who ask in a loop without waiting. */
export function nextTurn(): Promise<void> {
  given = 0
  return new Promise((resolve) => setImmediate(resolve))
}

interface Wait<T> {
  /** What there is: undefined where that is nothing. */
  attempt(): T | undefined
  settle(result: T): void
  fail(error: unknown): void
}

/** Checks a positional timeout, or the options in its place; a signal may be aborted already. */
export function checkWait(timeout: number | null | WaitOptions | undefined): Limits {
  const limits = checkPositional(timeout, Infinity)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  return limits
}

/** Closes what was collected with its native side open. */
export const collectedWatches: FinalizationRegistry<number> = new FinalizationRegistry((id) => native.watchClose(id))

/**
 * The waiting for something that tells its readiness through a descriptor of its own: epoll, kqueue, a selector. One
 * wait at a time; it keeps the process alive.
 */
export class Waiting<T> implements Source {
  readonly #id: number
  /** What is said to be closed, or to be waited for already. */
  readonly #what: string
  #wait: Wait<T> | undefined

  constructor(id: number, what: string) {
    this.#id = id
    this.#what = what
  }

  /** Whether somebody waits. */
  get pending(): boolean {
    return this.#wait !== undefined
  }

  /** @throws `ERR_INVALID_STATE` while somebody waits. */
  checkIdle(): void {
    if (this.#wait !== undefined) throw invalidState(`Somebody waits for this ${this.#what} already`)
  }

  /** Makes the attempt until it gives something; `nothing` when the time is over. */
  async start(limits: Limits, attempt: () => T | undefined, nothing: () => T): Promise<T> {
    const { signal, timeout } = limits
    this.checkIdle()
    const result = atOnce(attempt)
    if (result !== undefined) return result
    let stop: (() => void) | undefined
    let onAbort: (() => void) | undefined
    try {
      return await new Promise<T>((settle, fail) => {
        const wait = { attempt, settle, fail }
        this.#wait = wait
        const end = (): void => {
          this.check()
          if (this.#wait === wait) this.#end()?.settle(nothing())
        }
        if (timeout === 0) {
          void nextTurn().then(end)
        } else {
          this.#arm()
          if (timeout !== Infinity) stop = startTimer(timeout, end)
        }
        if (signal === undefined) return
        onAbort = () => this.#end()?.fail(new AbortError(signal.reason))
        signal.addEventListener('abort', onAbort, { once: true })
      })
    } finally {
      stop?.()
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Whoever waits gets what there is. */
  check(): void {
    const wait = this.#wait
    if (wait === undefined) return
    given = 0
    try {
      const result = wait.attempt()
      if (result !== undefined) this.#end()?.settle(result)
    } catch (error) {
      this.#end()?.fail(error)
    }
  }

  ready(): void {
    this.check()
    if (this.#wait !== undefined) this.#arm()
  }

  /** Rejects whoever waits. */
  close(): void {
    this.#end()?.fail(closedError(this.#what))
  }

  #arm(): void {
    sources[this.#id] = this
    try {
      checkCode(native.watchArm(this.#id, false))
    } catch (error) {
      this.#end()?.fail(error)
    }
  }

  #end(): Wait<T> | undefined {
    const wait = this.#wait
    this.#wait = undefined
    sources[this.#id] = undefined
    native.watchDisarm(this.#id)
    return wait
  }
}

let words = new Int32Array(2048)
let view = words

/** Room for so many (descriptor, mask) pairs of a native call; what it says is to be read before the next call. */
export function pairs(count: number): Int32Array {
  if (view.length === 2 * count) return view
  if (words.length < 2 * count) words = new Int32Array(2 * Math.max(count, words.length))
  view = words.subarray(0, 2 * count)
  return view
}
