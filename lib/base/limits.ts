import { onAbort } from './abort.ts'
import { checkOptions, checkSignal, checkTimeout } from './arguments.ts'
import type { Names } from './arguments.ts'
import { AbortError, TimeoutError, retrace } from './errors.ts'

/** How long a call may wait, and what ends it early. */
export interface WaitOptions {
  /** Rejects the call with an {@link AbortError} when aborted. */
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds, fractions rounded up; negative is 0: not to wait at all. `null` and `Infinity` wait for ever.
   * When it is over the call rejects with a {@link TimeoutError}.
   * @defaultValue `Infinity`
   */
  readonly timeout?: number | null | undefined
}

/** The options of a call that blocks: nobody can abort it meanwhile. */
export type Blocking<Options> = Omit<Options, 'signal'>

/** How long a call that blocks may wait. */
export interface SyncOptions {
  /**
   * Milliseconds, as in {@link WaitOptions}. When it is over the call throws a {@link TimeoutError}; the message of a send
   * stays queued then and leaves later.
   * @defaultValue `Infinity`
   */
  readonly timeout?: number | null | undefined
}

export const waitNames: Names<WaitOptions> = { signal: true, timeout: true }
export const syncNames: Names<SyncOptions> = { timeout: true }

/** Checked {@link WaitOptions}: `timeout` is a whole number, 0 or more, or `Infinity`. */
export interface Limits {
  readonly signal: AbortSignal | undefined
  readonly timeout: number
}

/** Waits for ever. */
export const forEver: Limits = { signal: undefined, timeout: Infinity }

/** Milliseconds after which a timer is late, and how many it is extended by then. */
const LATE = 100
const EXTENSION = 1000

/** The longest delay `setTimeout` takes. */
const MAX_DELAY = 2 ** 31 - 1

/** Checks wait options, whose names were checked; `absent` is the timeout where none is given. */
export function checkLimits(options: WaitOptions | undefined, absent: number = Infinity): Limits {
  if (options === undefined) return absent === Infinity ? forEver : { signal: undefined, timeout: absent }
  return {
    signal: checkSignal(options.signal, 'options.signal'),
    timeout: checkTimeout(options.timeout, 'options.timeout', absent),
  }
}

/** Checks the options of a call that waits, and has none but these. */
export function checkWaitOptions(options: WaitOptions | undefined): Limits {
  checkOptions(options, waitNames)
  return checkLimits(options)
}

/** Checks the timeout of a call that blocks, and has no other option. */
export function checkSyncOptions(options: SyncOptions | undefined): number {
  checkOptions(options, syncNames)
  return checkTimeout(options?.timeout, 'options.timeout', Infinity)
}

/** Checks a positional timeout, or the options accepted in its place. */
export function checkPositional(value: number | null | WaitOptions | undefined, absent: number): Limits {
  if (typeof value === 'object' && value !== null) {
    checkOptions(value, waitNames)
    return checkLimits(value, absent)
  }
  return { signal: undefined, timeout: checkTimeout(value, 'timeout', absent) }
}

/** The same of a call that blocks. */
export function checkPositionalSync(value: number | null | SyncOptions | undefined, absent: number): number {
  if (typeof value !== 'object' || value === null) return checkTimeout(value, 'timeout', absent)
  checkOptions(value, syncNames)
  return checkTimeout(value.timeout, 'options.timeout', absent)
}

/**
 * Calls `onTimeout` after at least so many milliseconds; returns how to take that back. Timers may fire a little early
 * and overflow after 24 days: what is left is waited for. An unreferenced one lets the process end before.
 */
export function startTimer(milliseconds: number, onTimeout: () => void, referenced = true): () => void {
  if (milliseconds === 0) {
    // At once, but for a turn of the event loop: calls in a loop that do not wait must not starve it.
    // Unreferenced, it would not happen before something else does.
    const immediate = setImmediate(onTimeout)
    return () => clearImmediate(immediate)
  }
  const deadline = performance.now() + milliseconds
  let timer: NodeJS.Timeout
  let extended = false
  const check = (): void => {
    const left = deadline - performance.now()
    if (left > 0) return start(Math.ceil(left))
    if (left > -LATE || extended) return onTimeout()
    // The loop was blocked, or the process stopped: timers come before what arrived meanwhile, which is to count.
    extended = true
    start(Math.min(milliseconds, EXTENSION))
  }
  const start = (delay: number): void => {
    timer = setTimeout(check, Math.min(delay, MAX_DELAY))
    if (!referenced) timer.unref()
  }
  start(milliseconds)
  return () => clearTimeout(timer)
}

const nothing = (): void => {}

/**
 * Calls `aborted` or `timedOut` when that limit is reached, the first of them only; returns how to end that. An
 * unreferenced timer lets the process end before.
 */
export function observeLimits(
  { signal, timeout }: Limits,
  aborted: (error: AbortError) => void,
  timedOut: () => void,
  referenced: boolean,
): () => void {
  if (signal === undefined && timeout === Infinity) return nothing
  const end = (): void => {
    leave?.()
    stop?.()
  }
  const abort = (): void => {
    end()
    aborted(new AbortError(signal?.reason))
  }
  const expire = (): void => {
    end()
    timedOut()
  }
  const leave = signal === undefined ? undefined : onAbort(signal, abort)
  const stop = timeout === Infinity ? undefined : startTimer(timeout, expire, referenced)
  return end
}

type Resolve = (value: unknown) => void

let resolveLast: Resolve = nothing
/** One for all promises: a closure for each costs more than the promise. */
const keep = (resolve: Resolve): void => {
  resolveLast = resolve
}
const settled = Promise.resolve()

/** Whose failure a rejection is. */
export interface Blamed {
  /** Adds to an error what it is about. */
  blame(error: unknown): void
}

/** A promise that others settle, and that a signal or a timeout rejects first. */
export class Pending<T> {
  readonly promise: Promise<T>
  readonly #owner: Blamed | undefined
  readonly #resolve: Resolve
  #release: (() => void) | undefined

  /**
   * `giveUp` is called when the signal or the timeout ends the wait. What keeps the process alive meanwhile is mostly
   * what is waited for; where nothing else does, the timer is `referenced`.
   */
  constructor(owner?: Blamed, limits: Limits = forEver, call = '', giveUp: () => void = nothing, referenced = false) {
    this.#owner = owner
    this.promise = new Promise(keep as (resolve: (value: T) => void) => void)
    this.#resolve = resolveLast
    // It would keep the last promise, and what it resolved with.
    resolveLast = nothing
    if (limits === forEver) return
    const end = (error: Error): void => {
      giveUp()
      this.reject(error)
    }
    this.#release = observeLimits(limits, end, () => end(new TimeoutError(call, limits.timeout)), referenced)
  }

  resolve(value: T): void {
    this.#release?.()
    this.#resolve(value)
  }

  /**
   * The stack of the error leads to whoever awaits the promise. The engine finds that out from a reaction that the promise
   * already waits for, hence the turns of the queue; keeping the stack of each call would cost those that succeed.
   */
  reject(reason: unknown): void {
    this.#release?.()
    this.#owner?.blame(reason)
    const throwError = (): never => {
      retrace(reason, throwError)
      throw reason
    }
    this.#resolve(settled.then(nothing).then(throwError))
  }
}
