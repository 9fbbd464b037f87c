import { startTimer } from '../base/limits.ts'
import { errno } from '../native/errno.ts'

/** What accept(2) gives for want of what others may give back: descriptors, memory. */
const exhaustion = new Set([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM].map((number) => -number))

/** Milliseconds until the first attempt, and until each once it has doubled that often. */
const FIRST = 10
const LONGEST = 1000

export function isExhaustion(code: number): boolean {
  return exhaustion.has(code)
}

/** The time in which a listener does not accept, as there is no descriptor for it: trying on would be all it did. */
export class BackingOff {
  /** Why; undefined once something was accepted again. */
  failure: Error | undefined
  #delay = FIRST
  #cancel: (() => void) | undefined

  /** Whether it is not time yet. */
  get resting(): boolean {
    return this.#cancel !== undefined
  }

  /** Calls `retry` in a while, each time a longer one. The open listener keeps the process alive, not this. */
  begin(failure: Error, retry: () => void): void {
    this.failure = failure
    this.#cancel = startTimer(
      this.#delay,
      () => {
        this.#cancel = undefined
        retry()
      },
      false,
    )
    this.#delay = Math.min(2 * this.#delay, LONGEST)
  }

  /** Nobody waits for it; the next who does tries at once. */
  pause(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Something was accepted. */
  end(): void {
    this.pause()
    this.failure = undefined
    this.#delay = FIRST
  }
}
