import { realm } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import { CodedError, invalidArgumentValue, systemError } from '../base/errors.ts'
import { fdOf } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { LiveMap } from './live-map.ts'
import { checkCode, errnoOf, native } from '../native/binding.ts'
import { pairs } from './events.ts'
import { EVENT_READ, checkEvents, checkRegularFiles, checkSettings, refusedWith, resting } from './registration.ts'
import type { Ready, RegisterArguments, Registration, SelectorKey, SelectorOptions } from './registration.ts'
import { readinessOf } from '../base/read-ahead.ts'
import { attend, hasReadAhead, isByObject, isClosed, waitableNumber } from './subject.ts'
import { checkPositionalSync } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { Watch, Watcher, checkWait } from './watch.ts'

/**
 * Tells which of many descriptors are ready: sockets, pipes, terminals, inotify, pidfds, timerfds, connections, listeners
 * and anything else the system can watch. Python's `selectors.DefaultSelector`, over epoll or kqueue; a call costs what is
 * ready, not what is registered.
 *
 * It is level-triggered: what is not read is reported again. What a Connection has read ahead counts as readable, and a
 * Listener with `authKey` or `verifyPeer` when a client is through its handshake: while {@link select} waits, handshakes
 * go on. (To {@link selectSync}, a client that knocks is enough: `acceptSync` goes through the handshake.) It borrows what is
 * registered; what is closed is reported no more, but stays registered until {@link unregister}. A pending {@link select}
 * keeps the process alive. A collected selector is closed.
 *
 * A `Selector<Data, FileObj>` takes those objects with that data only, and gives them with their types.
 */
export class Selector<Data = unknown, FileObj extends FdLike = FdLike> extends Watcher {
  static {
    inspectable(
      this.prototype,
      (object) => `Selector { fd: ${object.fd}, ${object.closed ? 'closed' : `size: ${object.#registrations.size}`} }`,
    )
  }

  readonly #watch: Watch<Ready<Data, FileObj>[]>
  readonly #registrations = new Map<FileObj, Registration<Data, FileObj>>()
  /** Those the native side knows; an object that was closed may have lost its number to another. */
  readonly #byFd = new Map<number, Registration<Data, FileObj>>()
  /** Those that had something read ahead when last asked. */
  readonly #ahead = new Set<Registration<Data, FileObj>>()
  readonly #byObject = new Set<Registration<Data, FileObj>>()
  #selecting = false
  readonly #map: LiveMap<FileObj, SelectorKey<Data, FileObj>> = new LiveMap(this.#registrations)

  /**
   * An empty selector.
   *
   * @throws EMFILE, ENFILE; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`.
   */
  constructor(options?: SelectorOptions) {
    const watch = new Watch<Ready<Data, FileObj>[]>(native.selectorOpen(realm, checkRegularFiles(options)), 'selector')
    super(watch)
    this.#watch = watch
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
  register<ItsData extends Data, Its extends FileObj>(
    fileObj: Its,
    events: number,
    ...[data, options]: RegisterArguments<Data, ItsData>
  ): SelectorKey<ItsData, Its> {
    this.#watch.checkOpen()
    const settings = checkSettings(options)
    checkEvents(events, settings)
    const fd = waitableNumber(fileObj, 'fileObj')
    const code = native.selectorRegister(this.#watch.id, fd, events, settings)
    if (errnoOf(code) === -errno.EEXIST) throw invalidArgumentValue('fileObj', `is registered already: ${fd}`)
    checkCode(code, refusedWith(settings))
    const key = Object.freeze({ fileObj, fd, events, data: data as ItsData })
    const byObject = isByObject(fileObj)
    const registration: Registration<Data, FileObj> = {
      key,
      settings,
      byObject,
      spent: false,
      stop: undefined,
      leave: undefined,
    }
    // Whatever had this number before is closed.
    this.#byFd.set(fd, registration)
    const previous = this.#registrations.get(fileObj)
    if (previous !== undefined) this.#forget(previous)
    this.#registrations.set(fileObj, registration)
    registration.stop = Selector.#observe(this, registration)
    if (byObject) this.#byObject.add(registration)
    this.#begin(registration)
    this.#watch.check()
    return key
  }

  /**
   * Replaces what an object is watched for, and its data and options with it; a `oneshot` one is reported again.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered, or for events as {@link register} does; what the system
   *   refuses (EBADF and ENOENT for what was closed): it is not registered any more then.
   */
  modify<ItsData extends Data>(
    fileObj: FdLike,
    events: number,
    ...[data, options]: RegisterArguments<Data, ItsData>
  ): SelectorKey<ItsData, FileObj> {
    const registration = this.#find(fileObj)
    const settings = checkSettings(options)
    checkEvents(events, settings)
    const { fd } = registration.key
    const known = this.#byFd.get(fd) === registration
    const code = known ? native.selectorModify(this.#watch.id, fd, events, settings) : -errno.EBADF
    if (code < 0) {
      this.#forget(registration)
      if (!known) throw systemError(code, 'select', { hint: () => 'fileObj was closed' })
      checkCode(code, refusedWith(settings))
    }
    const key = Object.freeze({ fileObj: registration.key.fileObj, fd, events, data: data as ItsData })
    registration.key = key
    registration.settings = settings
    registration.spent = false
    this.#begin(registration)
    this.#watch.check()
    return key
  }

  /**
   * Forgets an object, which may have been closed, and returns its key.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered; `ERR_CLOSED`.
   */
  unregister(fileObj: FdLike): SelectorKey<Data, FileObj> {
    const registration = this.#find(fileObj)
    this.#forget(registration)
    return registration.key
  }

  /**
   * The key of an object, or of a descriptor.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it is not registered; `ERR_CLOSED`.
   */
  getKey(fileObj: FdLike): SelectorKey<Data, FileObj> {
    return this.#find(fileObj).key
  }

  /**
   * What is registered, by object. The map shows later changes, and is empty once the selector is closed.
   *
   * @throws `ERR_CLOSED`
   */
  getMap(): ReadonlyMap<FileObj, SelectorKey<Data, FileObj>> {
    this.#watch.checkOpen()
    return this.#map
  }

  /**
   * Waits until something is ready: all there is, each object once; nothing when the time, in milliseconds, is over. For
   * ever without one. Errors and hang-ups are reported as all that was asked for.
   *
   * @throws `ERR_INVALID_STATE` while another select waits; `ERR_CLOSED`, also if it is closed meanwhile;
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async select(timeout?: number | null | WaitOptions): Promise<Ready<Data, FileObj>[]> {
    this.#watch.checkOpen()
    const limits = checkWait(timeout)
    this.#watch.checkIdle()
    const attempt = (): Ready<Data, FileObj>[] | undefined => {
      const ready = this.#take(0)
      return ready.length === 0 ? undefined : ready
    }
    this.#selecting = true
    for (const registration of this.#byObject) this.#attend(registration)
    try {
      return await this.#watch.wait(limits, attempt, () => [])
    } finally {
      this.#selecting = false
      for (const registration of this.#byObject) leave(registration)
    }
  }

  /** The same, blocking this thread. */
  selectSync(timeout?: number | null | SyncOptions): Ready<Data, FileObj>[] {
    this.#watch.checkOpen()
    const milliseconds = checkPositionalSync(timeout, Infinity)
    this.#watch.checkIdle()
    const deadline = performance.now() + milliseconds
    for (const registration of this.#byObject) this.#setNative(registration, true)
    try {
      for (;;) {
        const ready = this.#take(Math.max(0, Math.ceil(deadline - performance.now())))
        if (ready.length > 0 || performance.now() >= deadline) return ready
      }
    } finally {
      for (const registration of this.#byObject) this.#setNative(registration, false)
    }
  }

  /** What {@link select} gives, again and again until the selector is closed. Leaving the loop keeps it open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Ready<Data, FileObj>[], void, undefined> {
    while (!this.closed) {
      try {
        yield await this.select()
      } catch (error) {
        if (this.closed && error instanceof CodedError && error.code === 'ERR_CLOSED') return
        throw error
      }
    }
  }

  /** Closes the selector, not what it watches. A pending {@link select} rejects with `ERR_CLOSED`. Closing again does nothing. */
  override close(): void {
    if (this.closed) return
    super.close()
    for (const registration of this.#registrations.values()) {
      registration.stop?.()
      leave(registration)
    }
    this.#registrations.clear()
    this.#byFd.clear()
    this.#ahead.clear()
    this.#byObject.clear()
  }

  #find(fileObj: FdLike): Registration<Data, FileObj> {
    this.#watch.checkOpen()
    const registration = this.#registrations.get(fileObj as FileObj) ?? this.#byFd.get(fdOf(fileObj, 'fileObj'))
    if (registration === undefined) throw invalidArgumentValue('fileObj', 'is not registered')
    return registration
  }

  #forget(registration: Registration<Data, FileObj>): void {
    const { fileObj, fd } = registration.key
    registration.stop?.()
    leave(registration)
    this.#ahead.delete(registration)
    this.#byObject.delete(registration)
    if (this.#registrations.get(fileObj) === registration) this.#registrations.delete(fileObj)
    if (this.#byFd.get(fd) !== registration) return
    this.#byFd.delete(fd)
    native.selectorUnregister(this.#watch.id, fd)
  }

  /** What is observed must not keep the selector from being collected, nor hear of one that was. */
  static #observe<Data, FileObj extends FdLike>(
    selector: Selector<Data, FileObj>,
    registration: Registration<Data, FileObj>,
  ): (() => void) | undefined {
    const weak = new WeakRef(selector)
    const stop = readinessOf(registration.key.fileObj)?.observeReadAhead(() => {
      const alive = weak.deref()
      if (alive === undefined) stop?.()
      else alive.#look(registration)
    })
    return stop
  }

  /** A registration is new, or was modified. */
  #begin(registration: Registration<Data, FileObj>): void {
    this.#setNative(registration, false)
    this.#look(registration)
    leave(registration)
    this.#attend(registration)
  }

  /** The descriptor of what is read by the object counts for those who block, and for nobody else. */
  #setNative({ key, settings, byObject, spent }: Registration<Data, FileObj>, blocking: boolean): void {
    if (!byObject || this.closed || (key.events & EVENT_READ) === 0 || spent) return
    if (blocking) native.selectorModify(this.#watch.id, key.fd, key.events, settings)
    else native.selectorModify(this.#watch.id, key.fd, 0, resting)
  }

  /** Somebody waits for what is read by the object. */
  #attend(registration: Registration<Data, FileObj>): void {
    const { byObject, key, spent } = registration
    if (!byObject || !this.#selecting || spent || (key.events & EVENT_READ) === 0) return
    try {
      registration.leave = attend(key.fileObj, () => this.#look(registration))
    } catch (error) {
      this.#watch.fail(error)
    }
  }

  /** Looks whether something was read ahead from an object. */
  #look(registration: Registration<Data, FileObj>): void {
    const { events, fileObj } = registration.key
    if (this.#registrations.get(fileObj) !== registration) return
    if ((events & EVENT_READ) === 0 || !hasReadAhead(fileObj)) {
      this.#ahead.delete(registration)
    } else {
      this.#ahead.add(registration)
      this.#watch.check()
    }
  }

  /** What is ready, or becomes so in `timeout` milliseconds. */
  #take(timeout: number): Ready<Data, FileObj>[] {
    const ahead = this.#takeAhead()
    const words = pairs(this.#byFd.size)
    const count = checkCode(native.selectorWait(this.#watch.id, ahead.size === 0 ? timeout : 0, words))
    const ready: Ready<Data, FileObj>[] = []
    for (let at = 0; at < 2 * count; at += 2) {
      const registration = this.#byFd.get(words[at] as number)
      if (registration === undefined || registration.spent) continue
      if (isClosed(registration.key.fileObj)) {
        // Its file lives on elsewhere, and would be reported again and again.
        this.#byFd.delete(registration.key.fd)
        native.selectorUnregister(this.#watch.id, registration.key.fd)
        continue
      }
      const events = (words[at + 1] as number) | (ahead.delete(registration) ? EVENT_READ : 0)
      ready.push(this.#report(registration, events))
    }
    for (const registration of ahead) ready.push(this.#report(registration, EVENT_READ))
    return ready
  }

  /** Those with something read ahead that is to be reported. */
  #takeAhead(): Set<Registration<Data, FileObj>> {
    const ahead = new Set<Registration<Data, FileObj>>()
    for (const registration of this.#ahead) {
      if (!hasReadAhead(registration.key.fileObj)) this.#ahead.delete(registration)
      else if (!registration.spent) ahead.add(registration)
    }
    return ahead
  }

  #report(registration: Registration<Data, FileObj>, events: number): Ready<Data, FileObj> {
    const { edge, oneshot } = registration.settings
    registration.spent = oneshot
    if (edge || oneshot) this.#ahead.delete(registration)
    return { key: registration.key, events }
  }
}

function leave(registration: Pick<Registration<unknown, FdLike>, 'leave'>): void {
  registration.leave?.()
  registration.leave = undefined
}
