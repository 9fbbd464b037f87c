import { checkInteger } from '../base/arguments.ts'
import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { invalidArgumentType, outOfRange } from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { checkCode, native } from '../native/binding.ts'
import type { FdKind } from '../descriptors/kind.ts'
import { adopting } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { checkPositionalSync } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { pairs, toEvents } from './events.ts'
import type { FdEvent } from './events.ts'
import { refused } from './registration.ts'
import { Watch, Watcher, checkWait } from './watch.ts'

const { EPOLLIN, EPOLLOUT, EPOLLPRI } = constants

/** Events a poll returns where nobody says how many: Python's number. */
const MAX_EVENTS = 1023

function checkMask(mask: unknown): number {
  if (mask === undefined) return EPOLLIN | EPOLLPRI | EPOLLOUT
  if (typeof mask !== 'number') throw invalidArgumentType('mask', 'a number', mask)
  // `EPOLLIN | EPOLLET` is negative in JavaScript.
  if (!Number.isInteger(mask) || mask < -0x80000000 || mask > 0xffffffff) throw outOfRange('mask', 'of 32 bits', mask)
  return mask >>> 0
}

/** Whether the descriptor is of an epoll instance. Without /proc, that shows on use only. */
function isEpoll(fd: number, kind: FdKind): boolean {
  new Epoll().close() // where the system has none
  if (kind !== 'anon') return false
  try {
    const { readlinkSync } = process.getBuiltinModule('node:fs')
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventpoll]'
  } catch {
    return true
  }
}

/**
 * epoll(7) itself, with exact masks, on Linux. Python's `select.epoll`; times are milliseconds here. {@link Selector} is
 * the comfortable and portable form.
 *
 * A pending {@link poll} keeps the process alive. A collected object is closed.
 */
export class Epoll extends Watcher {
  static {
    inspectable(this.prototype, (object) => `Epoll { fd: ${object.fd} }`)
  }

  readonly #watch: Watch<FdEvent[]>

  /**
   * A new, close-on-exec instance.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where the system has no epoll; EMFILE, ENFILE.
   */
  constructor()
  /** @internal Of one that was adopted. */
  constructor(adopted: Watch<FdEvent[]>)
  constructor(adopted?: Watch<FdEvent[]>) {
    const watch = adopted instanceof Watch ? adopted : new Watch<FdEvent[]>(native.epollOpen(realm), 'epoll')
    super(watch)
    this.#watch = watch
  }

  /** Its own descriptor's number, or `ERR_CLOSED`. Python's `epoll.fileno`. */
  fileno(): number {
    this.#watch.checkOpen()
    return this.fd
  }

  /**
   * Adopts an existing instance, a received one say: a number, or an OwnedFd, which is consumed. It becomes
   * close-on-exec. When this throws, the descriptor is where it was. Python's `epoll.fromfd`.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`; `ERR_INVALID_FD_TYPE`; EBADF; `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`.
   */
  static fromFd(fd: number | OwnedFd): Epoll {
    return adopting(
      fd,
      'an epoll instance',
      isEpoll,
      (adopted) => new Epoll(new Watch(native.epollAdopt(realm, adopted), 'epoll')),
    )
  }

  /**
   * Watches a descriptor for a mask of `constants.EPOLL...`; without one for `EPOLLIN | EPOLLPRI | EPOLLOUT`. While
   * {@link poll} waits, this takes effect at once.
   *
   * @throws EEXIST if it is watched, EPERM if it cannot be (a regular file), EINVAL for the instance itself, EBADF;
   *   `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` and what else {@link FdLike} gives.
   */
  register(fd: FdLike, mask?: number): void {
    checkCode(native.epollRegister(this.#watch.id, fdNumber(fd), checkMask(mask)), refused)
  }

  /**
   * Replaces a descriptor's mask.
   *
   * @throws ENOENT if it is not watched, EINVAL where `EPOLLEXCLUSIVE` is or was in the mask; otherwise as
   *   {@link register}.
   */
  modify(fd: FdLike, mask: number): void {
    if (mask === undefined) throw invalidArgumentType('mask', 'a number', mask)
    checkCode(native.epollModify(this.#watch.id, fdNumber(fd), checkMask(mask)), refused)
  }

  /**
   * Forgets a descriptor.
   *
   * @throws ENOENT if it is not watched, EBADF if it is closed; `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`.
   */
  unregister(fd: FdLike): void {
    checkCode(native.epollUnregister(this.#watch.id, fdNumber(fd)), refused)
  }

  /**
   * Waits for events: up to `maxEvents` (1023) pairs of descriptor and mask, in the kernel's order; none when the time,
   * in milliseconds, is over. For ever without one.
   *
   * @throws `ERR_INVALID_STATE` while another poll waits; `ERR_CLOSED`, also if it is closed meanwhile;
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async poll(timeout?: number | null | WaitOptions, maxEvents?: number): Promise<FdEvent[]> {
    const max = this.#checkPoll(maxEvents)
    const limits = checkWait(timeout)
    const attempt = (): FdEvent[] | undefined => {
      const events = this.#take(max, 0)
      return events.length === 0 ? undefined : events
    }
    return this.#watch.wait(limits, attempt, () => [])
  }

  /** The same, blocking this thread. */
  pollSync(timeout?: number | null | SyncOptions, maxEvents?: number): FdEvent[] {
    const max = this.#checkPoll(maxEvents)
    const milliseconds = checkPositionalSync(timeout, Infinity)
    this.#watch.checkIdle()
    return this.#take(max, milliseconds)
  }

  #checkPoll(maxEvents: unknown): number {
    this.#watch.checkOpen()
    return Math.min(checkInteger(maxEvents, 'maxEvents', MAX_EVENTS, Number.MAX_SAFE_INTEGER, 1), 0xffff)
  }

  #take(max: number, timeout: number): FdEvent[] {
    const words = pairs(max)
    const count = checkCode(native.epollWait(this.#watch.id, timeout, words))
    return toEvents(words, count)
  }
}
