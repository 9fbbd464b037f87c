import { checkInteger, checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { invalidArgumentType, outOfRange } from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { checkCode, hot, native } from '../native/binding.ts'
import { adopting } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { checkPositionalSync } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { giveTurn } from '../base/turn.ts'
import { Watch, Watcher, checkWait } from './watch.ts'

const { KEVENT_WORDS } = native
/** Events one call returns at the most; the others come with the next. */
const MAX_EVENTS = 0xffff
const fields = ['ident', 'filter', 'flags', 'fflags', 'data', 'udata'] as const

/** What a {@link KEvent} is made of; what is left out adds a READ filter. */
export interface KEventFields {
  /** Kind of event, of `constants.KQ_FILTER_...`. @defaultValue `KQ_FILTER_READ` */
  readonly filter?: number | undefined
  /** What to do with it, or its state, of `constants.KQ_EV_...`. @defaultValue `KQ_EV_ADD` */
  readonly flags?: number | undefined
  /** The filter's own flags, of `constants.KQ_NOTE_...`. @defaultValue 0 */
  readonly fflags?: number | undefined
  /** The filter's own data, such as the bytes there are to read. @defaultValue 0 */
  readonly data?: number | undefined
  /** The caller's; it comes back with the event. @defaultValue 0 */
  readonly udata?: number | undefined
}

const fieldNames: Names<KEventFields> = { filter: true, flags: true, fflags: true, data: true, udata: true }

function checkField(value: unknown, name: string, absent: number, min: number, max: number): number {
  if (value === undefined) return absent
  if (typeof value !== 'number') throw invalidArgumentType(name, 'a number', value)
  if (!Number.isInteger(value) || value < min || value > max) throw outOfRange(name, `from ${min} to ${max}`, value)
  return value
}

/**
 * An event of a {@link Kqueue}, as change or as result: kevent(2). Python's `select.kevent`. It is not changed afterwards.
 * It works on every operating system, so that code for several of them can be tested on each.
 */
export class KEvent {
  static {
    inspectable(this.prototype, (event) => `KEvent { ${fields.map((name) => `${name}: ${event[name]}`).join(', ')} }`)
  }

  /** What is watched: usually a descriptor, else what the filter says, a process say. */
  readonly ident: number
  /** Kind of event, of `constants.KQ_FILTER_...`. */
  readonly filter: number
  /** What to do with it, or its state, of `constants.KQ_EV_...`. */
  readonly flags: number
  /** The filter's own flags, of `constants.KQ_NOTE_...`. */
  readonly fflags: number
  /** The filter's own data, such as the bytes there are to read. */
  readonly data: number
  /** The caller's; it comes back with the event. */
  readonly udata: number

  /**
   * Numbers must be whole: 16 bits of `filter` (signed) and `flags`, 32 of `fflags`, 64 of the
   * rest, exact up to 2^53.
   *
   * @throws EBADF for an object whose descriptor is not open; a number is not looked at. `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, and what else {@link FdLike} gives.
   */
  constructor(ident: FdLike, fields: KEventFields = {}) {
    checkOptions(fields, fieldNames, 'fields')
    const { filter, flags, fflags, data, udata } = fields
    const [min, max] = [-(2 ** 63), 2 ** 63]
    this.ident = checkField(typeof ident === 'number' ? ident : fdNumber(ident, 'ident'), 'ident', 0, 0, max)
    this.filter = checkField(filter, 'filter', constants.KQ_FILTER_READ, -0x8000, 0x7fff)
    this.flags = checkField(flags, 'flags', constants.KQ_EV_ADD, 0, 0xffff)
    this.fflags = checkField(fflags, 'fflags', 0, 0, 0xffffffff)
    this.data = checkField(data, 'data', 0, min, max)
    this.udata = checkField(udata, 'udata', 0, min, max)
    Object.freeze(this)
  }

  /**
   * Orders two events by their fields from first to last, for `Array.prototype.sort`: negative, 0 or positive.
   *
   * @throws `ERR_INVALID_ARG_TYPE` for anything else.
   */
  static compare(this: void, first: KEvent, second: KEvent): number {
    if (!(first instanceof KEvent)) throw invalidArgumentType('first', 'a KEvent', first)
    if (!(second instanceof KEvent)) throw invalidArgumentType('second', 'a KEvent', second)
    const differing = fields.find((name) => first[name] !== second[name])
    return differing === undefined ? 0 : first[differing] - second[differing]
  }

  /** Whether all fields are equal; false for anything but a KEvent. */
  equals(other: unknown): boolean {
    return other instanceof KEvent && KEvent.compare(this, other) === 0
  }
}

function toWords(changes: Iterable<KEvent> | null | undefined): Float64Array {
  if (changes === null || changes === undefined) return new Float64Array()
  if (typeof changes !== 'object' || !(Symbol.iterator in changes)) {
    throw invalidArgumentType('changes', 'KEvents or null', changes)
  }
  const words = Array.from(changes, (change, index) => {
    if (!(change instanceof KEvent)) throw invalidArgumentType(`changes[${index}]`, 'a KEvent', change)
    return fields.map((name) => change[name])
  })
  return new Float64Array(words.flat())
}

function toEvents(words: Float64Array, count: number): KEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const [ident, ...rest] = words.subarray(index * KEVENT_WORDS, (index + 1) * KEVENT_WORDS) as Iterable<number>
    const [filter, flags, fflags, data, udata] = rest
    return new KEvent(ident as number, { filter, flags, fflags, data, udata })
  })
}

/** Whether the descriptor is of a kqueue, which a copy of it tells. */
function isKqueue(fd: number): boolean {
  const copy = checkCode(native.descriptorDuplicate(fd))
  const id = native.kqueueAdopt(realm, copy)
  if (id < 0) hot.closeDescriptor(copy)
  checkCode(id)
  const code = native.kqueueControl(id, new Float64Array(), 0, new Float64Array())
  native.watchClose(id)
  return code >= 0
}

/**
 * kqueue(2) itself, with exact events, on macOS and the BSDs. Python's `select.kqueue`; times are milliseconds here.
 *
 * A pending {@link control} keeps the process alive. A collected object is closed.
 */
export class Kqueue extends Watcher {
  static {
    inspectable(this.prototype, (object) => `Kqueue { fd: ${object.fd} }`)
  }

  readonly #watch: Watch<KEvent[]>

  /**
   * A new, close-on-exec queue.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where the system has no kqueue; EMFILE, ENFILE.
   */
  constructor()
  /** @internal Of one that was adopted. */
  constructor(adopted: Watch<KEvent[]>)
  constructor(adopted?: Watch<KEvent[]>) {
    const watch = adopted instanceof Watch ? adopted : new Watch<KEvent[]>(native.kqueueOpen(realm), 'kqueue')
    super(watch)
    this.#watch = watch
  }

  /** Its own descriptor's number, or `ERR_CLOSED`. Python's `kqueue.fileno`. */
  fileno(): number {
    this.#watch.checkOpen()
    return this.fd
  }

  /**
   * Adopts an existing queue: a number, or an OwnedFd, which is consumed. When this throws, the descriptor is where it
   * was. Python's `kqueue.fromfd`.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`; `ERR_INVALID_FD_TYPE`; EBADF, EMFILE; `ERR_CLOSED`;
   *   `ERR_INVALID_ARG_TYPE`.
   */
  static fromFd(fd: number | OwnedFd): Kqueue {
    return adopting(
      fd,
      'a kqueue',
      isKqueue,
      (adopted) => new Kqueue(new Watch(native.kqueueAdopt(realm, adopted), 'kqueue')),
    )
  }

  /**
   * Applies the changes, then waits for up to `maxEvents` events; none when the time, in milliseconds, is over. For ever
   * without one; with `maxEvents` 0 it does not wait. A change that fails is an event with `KQ_EV_ERROR` and the error in
   * `data` where there is room for it, else the error of the call.
   *
   * @throws `ERR_INVALID_STATE` while another call waits; `ERR_CLOSED`, also if it is closed meanwhile;
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; EBADF, ENOENT and what else kevent(2) gives.
   */
  async control(
    changes: Iterable<KEvent> | null,
    maxEvents: number,
    timeout?: number | null | WaitOptions,
  ): Promise<KEvent[]> {
    const { max, words } = this.#checkControl(changes, maxEvents)
    const limits = checkWait(timeout)
    this.#watch.checkIdle()
    if (words.length > 0 || max === 0) {
      const events = this.#control(words, max, 0)
      if (events.length > 0 || max === 0) {
        await giveTurn()
        return events
      }
    }
    const attempt = (): KEvent[] | undefined => {
      const events = this.#control(new Float64Array(), max, 0)
      return events.length === 0 ? undefined : events
    }
    return this.#watch.wait(limits, attempt, () => [])
  }

  /** The same, blocking this thread. */
  controlSync(changes: Iterable<KEvent> | null, maxEvents: number, timeout?: number | null | SyncOptions): KEvent[] {
    const { max, words } = this.#checkControl(changes, maxEvents)
    const milliseconds = checkPositionalSync(timeout, Infinity)
    this.#watch.checkIdle()
    return this.#control(words, max, milliseconds)
  }

  #checkControl(changes: Iterable<KEvent> | null, maxEvents: number): { max: number; words: Float64Array } {
    this.#watch.checkOpen()
    if (maxEvents === undefined) throw invalidArgumentType('maxEvents', 'a number', maxEvents)
    const max = Math.min(checkInteger(maxEvents, 'maxEvents', 0, Number.MAX_SAFE_INTEGER), MAX_EVENTS)
    return { max, words: toWords(changes) }
  }

  #control(changes: Float64Array, max: number, timeout: number): KEvent[] {
    const words = new Float64Array(max * KEVENT_WORDS)
    return toEvents(words, checkCode(native.kqueueControl(this.#watch.id, changes, timeout, words)))
  }
}
