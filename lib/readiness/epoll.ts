import { checkInteger } from '../base/arguments.ts'
import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { closedError, invalidArgumentType, outOfRange } from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { checkCode, native } from '../native/binding.ts'
import { adoptFd } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import type { Limits, WaitOptions } from '../base/limits.ts'
import { Waiting, checkWait, collectedWatches, pairs } from './waiting.ts'

const { EPOLLIN, EPOLLOUT, EPOLLPRI } = constants

/** Events a poll returns where nobody says how many: Python's number. */
const MAX_EVENTS = 1023

/** A descriptor and its mask. */
export type FdEvent = [fd: number, mask: number]

function checkMask(mask: unknown): number {
  if (mask === undefined) return EPOLLIN | EPOLLPRI | EPOLLOUT
  if (typeof mask !== 'number') throw invalidArgumentType('mask', 'a number', mask)
  // `EPOLLIN | EPOLLET` is negative in JavaScript.
  if (!Number.isInteger(mask) || mask < -0x80000000 || mask > 0xffffffff) throw outOfRange('mask', 'of 32 bits', mask)
  return mask >>> 0
}

/**
 * epoll(7) itself, with exact masks, on Linux. Python's `select.epoll`; times are milliseconds here. {@link Selector} is
 * the comfortable and portable form.
 *
 * A pending {@link poll} keeps the process alive. A collected object is closed.
 */
export class Epoll {
  static {
    inspectable(this.prototype, (object) => `Epoll { fd: ${object.fd} }`)
  }

  /** What the constructor is to take in place of a new one. */
  static #adopted: number | undefined
  #id: number
  readonly #waiting: Waiting<FdEvent[]>

  /**
   * A new, close-on-exec instance.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where the system has no epoll; EMFILE, ENFILE.
   */
  constructor() {
    this.#id = Epoll.#adopted ?? checkCode(native.epollOpen(realm))
    Epoll.#adopted = undefined
    this.#waiting = new Waiting(this.#id, 'epoll')
    collectedWatches.register(this, this.#id, this)
  }

  /**
   * Adopts an existing instance, a received one say: a number, or an OwnedFd, which is consumed. It becomes
   * close-on-exec. When this throws, the descriptor is where it was. Python's `epoll.fromfd`.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`; `ERR_INVALID_FD_TYPE`; EBADF; `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`.
   */
  static fromFd(fd: number | OwnedFd): Epoll {
    new Epoll().close() // where there is none, before anything is adopted
    Epoll.#adopted = checkCode(
      native.epollAdopt(
        realm,
        adoptFd(fd, 'an epoll instance', (_, kind) => kind === 'anon'),
      ),
    )
    return new Epoll()
  }

  /** The instance's own descriptor, readable while something is ready; -1 once closed. */
  get fd(): number {
    return this.closed ? -1 : native.watchDescriptor(this.#id)
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#id === -1
  }

  /**
   * Watches a descriptor for a mask of `constants.EPOLL...`; without one for `EPOLLIN | EPOLLPRI | EPOLLOUT`. While
   * {@link poll} waits, this takes effect at once.
   *
   * @throws EEXIST if it is watched, EPERM if it cannot be (a regular file), EINVAL for the instance itself, EBADF;
   *   `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` and what else {@link FdLike} gives.
   */
  register(fd: FdLike, mask?: number): void {
    checkCode(native.epollRegister(this.#open(), fdNumber(fd), checkMask(mask)))
  }

  /**
   * Replaces a descriptor's mask.
   *
   * @throws ENOENT if it is not watched, EINVAL where `EPOLLEXCLUSIVE` is or was in the mask; otherwise as
   *   {@link register}.
   */
  modify(fd: FdLike, mask: number): void {
    if (mask === undefined) throw invalidArgumentType('mask', 'a number', mask)
    checkCode(native.epollModify(this.#open(), fdNumber(fd), checkMask(mask)))
  }

  /**
   * Forgets a descriptor.
   *
   * @throws ENOENT if it is not watched, EBADF if it is closed; `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`.
   */
  unregister(fd: FdLike): void {
    checkCode(native.epollUnregister(this.#open(), fdNumber(fd)))
  }

  /**
   * Waits for events: up to `maxEvents` (1023) pairs of descriptor and mask, in the kernel's order; none when the time,
   * in milliseconds, is over. For ever without one.
   *
   * @throws `ERR_INVALID_STATE` while another poll waits; `ERR_CLOSED`, also if it is closed meanwhile;
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async poll(timeout?: number | null | WaitOptions, maxEvents?: number): Promise<FdEvent[]> {
    const { limits, max } = this.#checkPoll(timeout, maxEvents)
    const attempt = (): FdEvent[] | undefined => {
      const events = this.#take(max, 0)
      return events.length === 0 ? undefined : events
    }
    return this.#waiting.start(limits, attempt, () => [])
  }

  /** The same, blocking this thread. A signal is looked at only once, before. */
  pollSync(timeout?: number | null | WaitOptions, maxEvents?: number): FdEvent[] {
    const { limits, max } = this.#checkPoll(timeout, maxEvents)
    this.#waiting.checkIdle()
    return this.#take(max, limits.timeout)
  }

  /** Lets a pending {@link poll} keep the process alive, as it does at first. */
  ref(): this {
    if (!this.closed) native.watchReference(this.#id, true)
    return this
  }

  /** Lets the process end in spite of a pending {@link poll} without a timeout. */
  unref(): this {
    if (!this.closed) native.watchReference(this.#id, false)
    return this
  }

  /** Closes the instance, not what it watches. A pending {@link poll} rejects. Closing again does nothing. */
  close(): void {
    if (this.closed) return
    collectedWatches.unregister(this)
    this.#waiting.close()
    native.watchClose(this.#id)
    this.#id = -1
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #open(): number {
    if (this.closed) throw closedError('epoll')
    return this.#id
  }

  #checkPoll(timeout: number | null | WaitOptions | undefined, maxEvents: unknown): { limits: Limits; max: number } {
    this.#open()
    const max = checkInteger(maxEvents, 'maxEvents', MAX_EVENTS, Number.MAX_SAFE_INTEGER, 1)
    return { limits: checkWait(timeout), max: Math.min(max, 0xffff) }
  }

  #take(max: number, timeout: number): FdEvent[] {
    const words = pairs(max)
    const count = checkCode(native.epollWait(this.#open(), timeout, words))
    return toEvents(words, count)
  }
}

export function toEvents(words: Int32Array, count: number): FdEvent[] {
  return Array.from({ length: count }, (_, at) => [words[2 * at] as number, (words[2 * at + 1] as number) >>> 0])
}
