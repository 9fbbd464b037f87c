import { sources } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import { AbortError, closedError, invalidState } from '../base/errors.ts'
import { checkCode, native } from '../native/binding.ts'
import { Pending, checkPositional, observeLimits, startTimer } from '../base/limits.ts'
import type { Limits, WaitOptions } from '../base/limits.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { atOnce, isTurnDue, turned } from '../base/turn.ts'

/** Something the native side watches, as those need it who do not wait for it. */
interface Opened {
  readonly id: number
  readonly fd: number
  readonly closed: boolean
  reference(referenced: boolean): void
  close(): void
}

/** Somebody who waits. */
interface Wait<T> {
  /** What there is: undefined where that is nothing. */
  readonly attempt: () => T | undefined
  readonly pending: Pending<T>
  /** Ends the observation of its limits. */
  release: () => void
}

/** Checks a positional timeout, or the options in its place; a signal may be aborted already. */
export function checkWait(timeout: number | null | WaitOptions | undefined): Limits {
  const limits = checkPositional(timeout, Infinity)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  return limits
}

/**
 * Something that tells its readiness through a descriptor of its own (epoll, kqueue, a selector, a notifier), and who
 * waits for it: one at a time, keeping the process alive.
 */
export class Watch<T> implements Opened, Source {
  /** What the native side knows it by; -1 once closed. */
  #id: number
  /** What is said to be closed, or to be waited for already. */
  readonly #what: string
  #wait: Wait<T> | undefined

  /** Of a native watch, or of the code that says why there is none. */
  constructor(id: number, what: string) {
    this.#id = checkCode(id)
    this.#what = what
  }

  get closed(): boolean {
    return this.#id === -1
  }

  /** What the native side knows it by. @throws `ERR_CLOSED` */
  get id(): number {
    this.checkOpen()
    return this.#id
  }

  /** @throws `ERR_CLOSED` */
  checkOpen(): void {
    if (this.#id === -1) throw closedError(this.#what)
  }

  /** The descriptor's number, -1 once closed. */
  get fd(): number {
    return this.#id === -1 ? -1 : native.watchDescriptor(this.#id)
  }

  /** @throws `ERR_INVALID_STATE` while somebody waits. */
  checkIdle(): void {
    if (this.#wait !== undefined) throw invalidState(`Somebody waits for this ${this.#what} already`)
  }

  /** Makes the attempt, now and until it gives something; `nothing` when the time is over. */
  wait(limits: Limits, attempt: () => T | undefined, nothing: () => T): Promise<T> | T {
    this.checkIdle()
    const result = atOnce(attempt)
    if (result !== undefined) return result
    const wait: Wait<T> = { attempt, pending: new Pending<T>(), release: () => {} }
    const stop = observeLimits(
      limits,
      (error) => this.#fail(wait, error),
      () => {
        this.#attempt(wait)
        if (this.#end(wait)) wait.pending.resolve(nothing())
      },
      true,
    )
    // What is ready need not show on the descriptor: a regular file, what was read ahead.
    const cancel = isTurnDue() ? startTimer(0, () => this.#attempt(wait)) : undefined
    wait.release = () => {
      stop()
      cancel?.()
    }
    this.#wait = wait
    if (limits.timeout !== 0) this.#arm(wait)
    return wait.pending.promise
  }

  /** Whoever waits gets what there is. */
  check(): void {
    if (this.#wait !== undefined) this.#attempt(this.#wait)
  }

  /** Rejects whoever waits. */
  fail(error: unknown): void {
    if (this.#wait !== undefined) this.#fail(this.#wait, error)
  }

  ready(): void {
    this.check()
    if (this.#wait !== undefined) this.#arm(this.#wait)
  }

  /** Whether a wait keeps the process alive. */
  reference(referenced: boolean): void {
    if (this.#id !== -1) native.watchReference(this.#id, referenced)
  }

  /** Closes it, and rejects whoever waits. */
  close(): void {
    if (this.#id === -1) return
    const id = this.#id
    if (this.#wait !== undefined) this.#fail(this.#wait, closedError(this.#what))
    this.#id = -1
    native.watchClose(id)
  }

  #attempt(wait: Wait<T>): void {
    turned()
    try {
      const result = wait.attempt()
      if (result !== undefined && this.#end(wait)) wait.pending.resolve(result)
    } catch (error) {
      this.#fail(wait, error)
    }
  }

  #arm(wait: Wait<T>): void {
    sources[this.#id] = this
    try {
      checkCode(native.watchArm(this.#id, false))
    } catch (error) {
      this.#fail(wait, error)
    }
  }

  #fail(wait: Wait<T>, error: unknown): void {
    if (this.#end(wait)) wait.pending.reject(error)
  }

  /** False where it had ended before. */
  #end(wait: Wait<T>): boolean {
    if (this.#wait !== wait) return false
    this.#wait = undefined
    wait.release()
    sources[this.#id] = undefined
    native.watchDisarm(this.#id)
    return true
  }
}

/** Closes what was collected with its native side open. */
const collected = new FinalizationRegistry<number>((id) => native.watchClose(id))

/** What is common to the objects that have a descriptor to tell their readiness. */
export abstract class Watcher extends Uncloneable {
  readonly #watch: Opened

  /** @internal */
  constructor(watch: Opened) {
    super()
    this.#watch = watch
    collected.register(this, watch.id, this)
  }

  /** Its own descriptor, readable while something is ready; -1 once closed. */
  get fd(): number {
    return this.#watch.fd
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#watch.closed
  }

  /** Lets a pending wait keep the process alive, as it does at first. */
  ref(): this {
    this.#watch.reference(true)
    return this
  }

  /** Lets the process end in spite of a pending wait without a timeout. */
  unref(): this {
    this.#watch.reference(false)
    return this
  }

  /** Closes it, not what it watches. A pending wait rejects with `ERR_CLOSED`. Closing again does nothing. */
  close(): void {
    collected.unregister(this)
    this.#watch.close()
  }

  /** Is {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }
}
