import { checkFlag } from '../base/arguments.ts'
import { realm } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import { CodedError, closedError, invalidArgumentType, invalidArgumentValue, systemError } from '../base/errors.ts'
import { fdNumber, fdOf } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { LiveMap } from './live-map.ts'
import { checkCode, native } from '../native/binding.ts'
import { readinessOf } from '../base/read-ahead.ts'
import { checkOptions } from '../base/arguments.ts'
import type { WaitOptions } from '../base/limits.ts'
import { Waiting, checkWait, collectedWatches, pairs } from './waiting.ts'

/** To read: input, the end, or an error to be had. Python's `selectors.EVENT_READ`. */
export const EVENT_READ = 1
/** To write: room for output, or an error to be had. Python's `selectors.EVENT_WRITE`. */
export const EVENT_WRITE = 2
/** Urgent data; reported where the registration has `priority`. */
export const EVENT_PRIORITY = 4
/** The peer sends no more; reported where the registration has `rdhup`. */
export const EVENT_RDHUP = 8

export interface SelectorOptions {
  /**
   * What registering a file does that the system cannot watch, because it never blocks: fail with EPERM, or report it as
   * ready always.
   * @defaultValue `'refuse'`
   */
  readonly regularFiles?: 'refuse' | 'ready' | undefined
}

/** How one object is watched. */
export interface RegisterOptions {
  /** Report it when its state changes, not as long as it is ready. @defaultValue false */
  readonly edge?: boolean | undefined
  /** Report it once, then not until {@link Selector.modify}. @defaultValue false */
  readonly oneshot?: boolean | undefined
  /**
   * Of several processes that block in {@link Selector.selectSync} for the same file, wake one or a few and not all. Not
   * with any other option but `edge` (EINVAL), and without effect where there is no epoll, or on an awaited select: there
   * the kernel wakes all event loops.
   * @defaultValue false
   */
  readonly exclusive?: boolean | undefined
  /** Also report {@link EVENT_PRIORITY}. Not on kqueue. @defaultValue false */
  readonly priority?: boolean | undefined
  /** Also report {@link EVENT_RDHUP}. @defaultValue false */
  readonly rdhup?: boolean | undefined
}

/** What is registered. Python's `selectors.SelectorKey`. */
export interface SelectorKey<Data = unknown> {
  /** The object registered, itself. */
  readonly fileObj: FdLike
  /** Its descriptor at that time. */
  readonly fd: number
  /** What it is watched for: {@link EVENT_READ}, {@link EVENT_WRITE}, or both. */
  readonly events: number
  /** What was registered with it. */
  readonly data: Data
}

/** Something that is ready. */
export interface Ready<Data = unknown> {
  readonly key: SelectorKey<Data>
  /** What for: those of `key.events` that it is ready for, and what else its options ask for. */
  readonly events: number
}

interface Settings {
  readonly edge: boolean
  readonly oneshot: boolean
  readonly exclusive: boolean
  readonly priority: boolean
  readonly rdhup: boolean
}

interface Registration<Data> {
  key: SelectorKey<Data>
  settings: Settings
  /** A oneshot one that was reported. */
  spent: boolean
  /** Ends the observation of what is read ahead. */
  stop: (() => void) | undefined
}

const defaults: Settings = { edge: false, oneshot: false, exclusive: false, priority: false, rdhup: false }

function checkSettings(options: RegisterOptions | undefined): Settings {
  if (options === undefined) return defaults
  checkOptions(options)
  const flag = (name: keyof Settings): boolean => checkFlag(options[name], `options.${name}`, false)
  return {
    edge: flag('edge'),
    oneshot: flag('oneshot'),
    exclusive: flag('exclusive'),
    priority: flag('priority'),
    rdhup: flag('rdhup'),
  }
}

function checkEvents(events: unknown, { priority, rdhup }: Settings): number {
  if (typeof events !== 'number') throw invalidArgumentType('events', 'a number', events)
  const some = events === EVENT_READ || events === EVENT_WRITE || events === (EVENT_READ | EVENT_WRITE)
  if (!some && !(events === 0 && (priority || rdhup))) {
    throw invalidArgumentValue('events', `must be EVENT_READ, EVENT_WRITE or both, not ${events}`)
  }
  return events
}

function checkRegularFiles(options: SelectorOptions | undefined): boolean {
  checkOptions(options)
  const value: unknown = options?.regularFiles ?? 'refuse'
  if (value !== 'refuse' && value !== 'ready') {
    throw invalidArgumentValue('options.regularFiles', `must be 'refuse' or 'ready', not ${String(value)}`)
  }
  return value === 'ready'
}

/** Whether an object says that it is closed; a number does not say. */
function isClosed(object: FdLike): boolean {
  if (typeof object !== 'object') return false
  const { fd, destroyed } = object as { fd?: unknown; destroyed?: unknown }
  return fd === -1 || destroyed === true
}

/**
 * Tells which of many descriptors are ready: sockets, pipes, terminals, inotify, pidfds, timerfds, connections, listeners
 * and anything else the system can watch. Python's `selectors.DefaultSelector`, over epoll or kqueue; a call costs what is
 * ready, not what is registered.
 *
 * It is level-triggered: what is not read is reported again. What a Connection has read ahead counts as readable. It
 * borrows what is registered; what is closed is reported no more, but stays registered until {@link unregister}. A pending
 * {@link select} keeps the process alive. A collected selector is closed.
 */
export class Selector<Data = unknown> {
  static {
    inspectable(
      this.prototype,
      (object) => `Selector { fd: ${object.fd}, ${object.closed ? 'closed' : `size: ${object.#registrations.size}`} }`,
    )
  }

  #id: number
  readonly #waiting: Waiting<Ready<Data>[]>
  readonly #registrations = new Map<FdLike, Registration<Data>>()
  /** Those the native side knows; an object that was closed may have lost its number to another. */
  readonly #byFd = new Map<number, Registration<Data>>()
  /** Those that had something read ahead when last asked. */
  readonly #ahead = new Set<Registration<Data>>()
  readonly #map: LiveMap<FdLike, SelectorKey<Data>> = new LiveMap(this.#registrations)

  /**
   * An empty selector.
   *
   * @throws EMFILE, ENFILE; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`.
   */
  constructor(options?: SelectorOptions) {
    this.#id = checkCode(native.selectorOpen(realm, checkRegularFiles(options)))
    this.#waiting = new Waiting(this.#id, 'selector')
    collectedWatches.register(this, this.#id, this)
  }

  /** The selector's own descriptor, readable while something it watches is; -1 once closed. */
  get fd(): number {
    return this.closed ? -1 : native.watchDescriptor(this.#id)
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#id === -1
  }

  /**
   * Watches an object for `events`, {@link EVENT_READ}, {@link EVENT_WRITE} or both (or 0 with `priority` or `rdhup`).
   * While {@link select} waits, this takes effect at once.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for other events, and if the object or its descriptor is registered already; EPERM
   *   for a regular file (see {@link SelectorOptions.regularFiles}); EBADF, `ERR_CLOSED`, `ERR_INVALID_FD_TYPE`,
   *   `ERR_INVALID_STATE` for what has no descriptor to watch; EINVAL for options that exclude each other;
   *   `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`; `ERR_INVALID_ARG_TYPE`. Nothing is registered then.
   */
  register(fileObj: FdLike, events: number, data?: Data, options?: RegisterOptions): SelectorKey<Data> {
    this.#checkOpen()
    const settings = checkSettings(options)
    checkEvents(events, settings)
    const fd = fdNumber(fileObj, 'fileObj')
    const code = native.selectorRegister(this.#id, fd, events, settings)
    if (code === -errno.EEXIST) throw invalidArgumentValue('fileObj', `is registered already: ${fd}`)
    checkCode(code)
    const key = Object.freeze({ fileObj, fd, events, data: data as Data })
    const registration: Registration<Data> = { key, settings, spent: false, stop: undefined }
    // Whatever had this number before is closed.
    this.#byFd.set(fd, registration)
    const previous = this.#registrations.get(fileObj)
    if (previous !== undefined) this.#forget(previous)
    this.#registrations.set(fileObj, registration)
    registration.stop = readinessOf(fileObj)?.observeReadAhead(Selector.#looker(new WeakRef(this), registration))
    this.#look(registration)
    this.#waiting.check()
    return key
  }

  /**
   * Replaces what an object is watched for, and its data and options with it; a `oneshot` one is reported again.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered, or for events as {@link register} does; what the system
   *   refuses (EBADF and ENOENT for what was closed): it is not registered any more then.
   */
  modify(fileObj: FdLike, events: number, data?: Data, options?: RegisterOptions): SelectorKey<Data> {
    const registration = this.#find(fileObj)
    const settings = checkSettings(options)
    checkEvents(events, settings)
    const { fd } = registration.key
    const known = this.#byFd.get(fd) === registration
    const code = known ? native.selectorModify(this.#id, fd, events, settings) : -errno.EBADF
    if (code < 0) {
      this.#forget(registration)
      if (!known) throw systemError(code, 'select')
      checkCode(code)
    }
    registration.key = Object.freeze({ fileObj: registration.key.fileObj, fd, events, data: data as Data })
    registration.settings = settings
    registration.spent = false
    this.#look(registration)
    this.#waiting.check()
    return registration.key
  }

  /**
   * Forgets an object, which may have been closed, and returns its key.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered; `ERR_CLOSED`.
   */
  unregister(fileObj: FdLike): SelectorKey<Data> {
    const registration = this.#find(fileObj)
    this.#forget(registration)
    return registration.key
  }

  /**
   * The key of an object, or of a descriptor.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered; `ERR_CLOSED`.
   */
  getKey(fileObj: FdLike): SelectorKey<Data> {
    return this.#find(fileObj).key
  }

  /**
   * What is registered, by object. The map shows later changes, and is empty once the selector is closed.
   *
   * @throws `ERR_CLOSED`
   */
  getMap(): ReadonlyMap<FdLike, SelectorKey<Data>> {
    this.#checkOpen()
    return this.#map
  }

  /**
   * Waits until something is ready: all there is, each object once; nothing when the time, in milliseconds, is over. For
   * ever without one. Errors and hang-ups are reported as all that was asked for.
   *
   * @throws `ERR_INVALID_STATE` while another select waits; `ERR_CLOSED`, also if it is closed meanwhile;
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async select(timeout?: number | null | WaitOptions): Promise<Ready<Data>[]> {
    this.#checkOpen()
    const limits = checkWait(timeout)
    const attempt = (): Ready<Data>[] | undefined => {
      const ready = this.#take(0)
      return ready.length === 0 ? undefined : ready
    }
    return this.#waiting.start(limits, attempt, () => [])
  }

  /** The same, blocking this thread. A signal is looked at only once, before. */
  selectSync(timeout?: number | null | WaitOptions): Ready<Data>[] {
    this.#checkOpen()
    const limits = checkWait(timeout)
    this.#waiting.checkIdle()
    const deadline = performance.now() + limits.timeout
    for (;;) {
      const ready = this.#take(Math.max(0, Math.ceil(deadline - performance.now())))
      if (ready.length > 0 || performance.now() >= deadline) return ready
    }
  }

  /** What {@link select} gives, again and again until the selector is closed. Leaving the loop keeps it open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Ready<Data>[], void, undefined> {
    while (!this.closed) {
      try {
        yield await this.select()
      } catch (error) {
        if (this.closed && error instanceof CodedError && error.code === 'ERR_CLOSED') return
        throw error
      }
    }
  }

  /** Lets a pending {@link select} keep the process alive, as it does at first. */
  ref(): this {
    if (!this.closed) native.watchReference(this.#id, true)
    return this
  }

  /** Lets the process end in spite of a pending {@link select} without a timeout. */
  unref(): this {
    if (!this.closed) native.watchReference(this.#id, false)
    return this
  }

  /** Closes the selector, not what it watches. A pending {@link select} rejects. Closing again does nothing. */
  close(): void {
    if (this.closed) return
    collectedWatches.unregister(this)
    this.#waiting.close()
    native.watchClose(this.#id)
    this.#id = -1
    for (const { stop } of this.#registrations.values()) stop?.()
    this.#registrations.clear()
    this.#byFd.clear()
    this.#ahead.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.closed) throw closedError('selector')
  }

  #find(fileObj: FdLike): Registration<Data> {
    this.#checkOpen()
    const registration = this.#registrations.get(fileObj) ?? this.#byFd.get(fdOf(fileObj, 'fileObj'))
    if (registration === undefined) throw invalidArgumentValue('fileObj', 'is not registered')
    return registration
  }

  #forget(registration: Registration<Data>): void {
    const { fileObj, fd } = registration.key
    registration.stop?.()
    this.#ahead.delete(registration)
    if (this.#registrations.get(fileObj) === registration) this.#registrations.delete(fileObj)
    if (this.#byFd.get(fd) !== registration) return
    this.#byFd.delete(fd)
    native.selectorUnregister(this.#id, fd)
  }

  /** What is observed must not keep the selector from being collected. */
  static #looker<Data>(selector: WeakRef<Selector<Data>>, registration: Registration<Data>): () => void {
    return () => {
      const alive = selector.deref()
      if (alive !== undefined) alive.#look(registration)
    }
  }

  /** Looks whether something was read ahead from an object. */
  #look(registration: Registration<Data>): void {
    const { events, fileObj } = registration.key
    if ((events & EVENT_READ) === 0 || readinessOf(fileObj)?.readAhead !== true) {
      this.#ahead.delete(registration)
    } else {
      this.#ahead.add(registration)
      this.#waiting.check()
    }
  }

  /** What is ready, or becomes so in `timeout` milliseconds. */
  #take(timeout: number): Ready<Data>[] {
    const ahead = this.#takeAhead()
    const words = pairs(this.#byFd.size)
    const count = checkCode(native.selectorWait(this.#id, ahead.size === 0 ? timeout : 0, words))
    const ready: Ready<Data>[] = []
    for (let at = 0; at < 2 * count; at += 2) {
      const registration = this.#byFd.get(words[at] as number)
      if (registration === undefined || registration.spent) continue
      if (isClosed(registration.key.fileObj)) {
        // Its file lives on elsewhere, and would be reported again and again.
        this.#byFd.delete(registration.key.fd)
        native.selectorUnregister(this.#id, registration.key.fd)
        continue
      }
      const events = (words[at + 1] as number) | (ahead.delete(registration) ? EVENT_READ : 0)
      ready.push({ key: registration.key, events })
    }
    for (const registration of ahead) ready.push({ key: registration.key, events: EVENT_READ })
    for (const { key } of ready) this.#report(key)
    return ready
  }

  /** Those with something read ahead that is to be reported. */
  #takeAhead(): Set<Registration<Data>> {
    const ahead = new Set<Registration<Data>>()
    for (const registration of this.#ahead) {
      if (readinessOf(registration.key.fileObj)?.readAhead !== true) this.#ahead.delete(registration)
      else if (!registration.spent) ahead.add(registration)
    }
    return ahead
  }

  #report({ fd }: SelectorKey<Data>): void {
    const registration = this.#byFd.get(fd)
    if (registration === undefined) return
    const { edge, oneshot } = registration.settings
    registration.spent = oneshot
    if (edge || oneshot) this.#ahead.delete(registration)
  }
}
