import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { pairs, toEvents } from './events.ts'
import type { FdEvent } from './events.ts'
import { errno } from '../native/errno.ts'
import { invalidArgumentType, invalidArgumentValue, outOfRange, systemError } from '../base/errors.ts'
import { fdOf } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { checkCode, native } from '../native/binding.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { checkPositionalSync } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { afterTurn, atOnce, needsTurn } from '../base/turn.ts'
import { Watch, checkWait } from './watch.ts'

const { POLLIN, POLLOUT, POLLPRI } = constants

/**
 * How many bytes a write to a pipe that is reported writable takes whole: 512 at least, 4096 on Linux. Python's
 * `select.PIPE_BUF`.
 */
export const PIPE_BUF: number = native.PIPE_BUF

function checkFd(value: FdLike): number {
  const fd = fdOf(value)
  if (fd < 0 || fd > 0x7fffffff) throw outOfRange('fd', 'a descriptor', fd)
  return fd
}

function checkMask(mask: unknown): number {
  if (mask === undefined) return POLLIN | POLLPRI | POLLOUT
  if (typeof mask !== 'number') throw invalidArgumentType('mask', 'a number', mask)
  if (!Number.isInteger(mask) || mask < 0 || mask > 0xffff) throw outOfRange('mask', 'of 16 bits', mask)
  return mask
}

/**
 * poll(2) over a set of descriptors, with exact masks. Python's `select.poll`. There is nothing to close.
 *
 * The whole set is asked anew by each call, and a call that has to wait watches each of its descriptors: for many of
 * them {@link Selector} is better.
 */
export class Poll extends Uncloneable {
  static {
    inspectable(this.prototype, (object) => `Poll { size: ${object.#masks.size} }`)
  }

  readonly #masks = new Map<number, number>()
  /** Of the poll that waits. */
  #watch: Watch<FdEvent[]> | undefined

  /**
   * Watches a descriptor for a mask of `constants.POLL...`; without one for `POLLIN | POLLPRI | POLLOUT`. Registering it
   * again replaces the mask. It may be closed: {@link poll} reports POLLNVAL then. While one waits, this takes effect at
   * once.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_CLOSED`, `ERR_INVALID_FD_TYPE` for objects without one.
   */
  register(fd: FdLike, mask?: number): void {
    this.#set(checkFd(fd), checkMask(mask))
  }

  /**
   * Replaces a descriptor's mask.
   *
   * @throws ENOENT if it is not registered; otherwise as {@link register}.
   */
  modify(fd: FdLike, mask: number): void {
    if (mask === undefined) throw invalidArgumentType('mask', 'a number', mask)
    const number = checkFd(fd)
    const checked = checkMask(mask)
    if (!this.#masks.has(number))
      throw systemError(-errno.ENOENT, 'poll', { hint: () => `fd is not registered: ${number}` })
    this.#set(number, checked)
  }

  /**
   * Forgets a descriptor.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  unregister(fd: FdLike): void {
    const number = checkFd(fd)
    if (!this.#masks.delete(number)) throw invalidArgumentValue('fd', `is not registered: ${number}`)
    if (this.#watch !== undefined) native.notifierRemove(this.#watch.id, number)
  }

  /**
   * Waits for events: pairs of descriptor and mask, by descriptor; none when the time, in milliseconds, is over. For ever
   * without one. The wait keeps the process alive.
   *
   * @throws `ERR_INVALID_STATE` while another poll of this object waits; {@link AbortError}; EMFILE, EINVAL for more
   *   descriptors than may be open; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async poll(timeout?: number | null | WaitOptions): Promise<FdEvent[]> {
    const limits = checkWait(timeout)
    this.#watch?.checkIdle()
    const now = (): FdEvent[] | undefined => {
      const events = this.#take(0)
      return events.length === 0 ? undefined : events
    }
    const result = atOnce(now) ?? (needsTurn(limits) ? await afterTurn(limits, now) : undefined)
    if (result !== undefined || limits.timeout === 0) return result ?? []
    // Another may have begun during that turn.
    this.#watch?.checkIdle()
    const watch = new Watch<FdEvent[]>(native.notifierOpen(realm, this.#pairs()), 'poll')
    this.#watch = watch
    const attempt = (): FdEvent[] | undefined => {
      checkCode(native.notifierClear(watch.id))
      return now()
    }
    try {
      return await watch.wait(limits, attempt, () => [])
    } finally {
      watch.close()
      this.#watch = undefined
    }
  }

  /** The same, blocking this thread. */
  pollSync(timeout?: number | null | SyncOptions): FdEvent[] {
    const milliseconds = checkPositionalSync(timeout, Infinity)
    this.#watch?.checkIdle()
    return this.#take(milliseconds)
  }

  #set(fd: number, mask: number): void {
    this.#masks.set(fd, mask)
    if (this.#watch === undefined) return
    checkCode(native.notifierSet(this.#watch.id, fd, mask))
    this.#watch.check()
  }

  #pairs(): Int32Array {
    return new Int32Array(Array.from(this.#masks).flat())
  }

  #take(timeout: number): FdEvent[] {
    const words = pairs(this.#masks.size)
    return toEvents(words, checkCode(native.pollWait(this.#pairs(), timeout, words)))
  }
}
