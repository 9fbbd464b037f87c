import { addressDetails, checkAddress, checkPath, resolveHost, resolveHostSync, socketAddress } from './address.ts'
import type { Address, InternetTarget, PeerAddress, Target, UnixTarget } from './address.ts'
import { Connection } from './connection.ts'
import { checkConnectionOptions } from '../channel/options.ts'
import { checkFlag, checkInteger } from '../base/arguments.ts'
import type { ConnectionOptions, ConnectionSettings } from '../channel/options.ts'
import { realm, sources } from '../native/environment.ts'
import { AbortError, CodedError, TimeoutError, closedError, invalidState } from '../base/errors.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { Handshakes, checkHandshake } from '../authentication/handshakes.ts'
import type { HandshakeOptions, HandshakeSettings } from '../authentication/handshakes.ts'
import { inspectable, show } from '../base/inspect.ts'
import { checkCode, native } from '../native/binding.ts'
import { OwnedFd, adoptFd } from '../descriptors/owned-fd.ts'
import { isListener } from '../descriptors/kind.ts'
import { readiness } from '../base/read-ahead.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { Queue } from '../base/queue.ts'
import { Pending, checkLimits } from '../base/limits.ts'
import type { WaitOptions } from '../base/limits.ts'

const { WOULD_BLOCK } = native

/** Settings of a listener, and of the connections it accepts. */
export interface ListenerOptions extends ConnectionOptions, HandshakeOptions {
  /** Connections the kernel queues before {@link Listener.accept} takes them (listen(2)). @defaultValue 511 */
  readonly backlog?: number | undefined
  /**
   * Permissions of the socket file, in place before anyone can connect.
   * @defaultValue what the umask leaves
   */
  readonly mode?: number | undefined
  /** Whether closing removes the socket file, where it is still the one made here. @defaultValue true */
  readonly unlink?: boolean | undefined
  /** Whether a socket file that nobody listens on is replaced. @defaultValue false */
  readonly replaceStale?: boolean | undefined
}

/** What concerns accepting. */
interface AcceptSettings {
  readonly connection: ConnectionSettings
  readonly handshake: HandshakeSettings | undefined
}

interface ListenSettings extends AcceptSettings {
  readonly backlog: number
  readonly file: { readonly mode?: number; readonly unlink: boolean; readonly replaceStale: boolean }
}

function checkListenerOptions(options: ListenerOptions = {}): ListenSettings {
  const connection = checkConnectionOptions(options)
  const mode = options.mode === undefined ? undefined : checkInteger(options.mode, 'options.mode', 0, 0o7777)
  return {
    connection,
    handshake: checkHandshake(options),
    backlog: checkInteger(options.backlog, 'options.backlog', 511, 0x7fffffff),
    file: {
      ...(mode !== undefined && { mode }),
      unlink: checkFlag(options.unlink, 'options.unlink', true),
      replaceStale: checkFlag(options.replaceStale, 'options.replaceStale', false),
    },
  }
}

function checkOptionalAddress(address: Address | null | undefined): Target | undefined {
  return address === undefined || address === null || address === '' ? undefined : checkAddress(address)
}

function check(id: number, target: Target): number {
  return id < 0 ? checkCode(id, addressDetails(target)) : id
}

const collected = new FinalizationRegistry<number>((id) => native.watchClose(id))

/**
 * Accepts connections. Made by {@link Listener.listen} or {@link Listener.fromFd}. Python's
 * `multiprocessing.connection.Listener`.
 *
 * Connections stay in the kernel's queue until {@link accept} or a `for await` loop waits for them. With `authKey` or
 * `verifyPeer` the handshakes of up to 64 go on side by side, and who is through first is accepted first; who fails is
 * closed and told to `onHandshakeError`. An open listener keeps the process alive.
 */
export class Listener {
  static {
    inspectable(this.prototype, (object) => object.#describe())
  }

  #id: number
  readonly #settings: ConnectionSettings
  readonly #handshakes: Handshakes | undefined
  readonly #address: PeerAddress
  #lastAccepted: PeerAddress | undefined
  readonly #accepts = new Queue<Pending<Connection>>()
  /** Who is called at the next chance to accept. */
  #watchers: (() => void)[] = []
  #closing: Promise<void> | undefined

  private constructor(id: number, { connection, handshake }: AcceptSettings) {
    this.#id = id
    this.#settings = connection
    if (handshake !== undefined) {
      this.#handshakes = new Handshakes(handshake, connection.maxMessageSize, () => {
        if (this.#id !== -1) this.#serve()
      })
    }
    this.#address = socketAddress(native.watchDescriptor(id), false)
    native.watchHold(id)
    collected.register(this, id, this)
  }

  /**
   * Listens on an address; without one, on a fresh socket file in the directory for temporary files.
   *
   * @throws EADDRINUSE, also for a stale socket file unless `replaceStale`; EACCES, ENOENT, ENAMETOOLONG and what else
   *   bind(2) gives; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` before anything is done.
   */
  static async listen(address?: Address | null, options?: ListenerOptions): Promise<Listener> {
    const settings = checkListenerOptions(options)
    const target = checkOptionalAddress(address)
    if (target?.kind !== 'internet') return Listener.#listenLocally(target, settings, options)
    return Listener.#listenInternet(await resolveHost(target.host), target, settings)
  }

  /**
   * As {@link listen}, at once; a host's name is looked up blocking.
   *
   * @throws as {@link listen}
   */
  static listenSync(address?: Address | null, options?: ListenerOptions): Listener {
    const settings = checkListenerOptions(options)
    const target = checkOptionalAddress(address)
    if (target?.kind !== 'internet') return Listener.#listenLocally(target, settings, options)
    return Listener.#listenInternet(resolveHostSync(target.host), target, settings)
  }

  static #listenLocally(
    target: Exclude<Target, InternetTarget> | undefined,
    settings: ListenSettings,
    options: ListenerOptions | undefined,
  ): Listener {
    if (target === undefined) return Listener.#listenTemporary(settings)
    return target.kind === 'fd' ? Listener.#fromCopy(target.fd, options) : Listener.#listenUnix(target, settings)
  }

  static #listenInternet(hosts: string[], target: InternetTarget, settings: ListenSettings): Listener {
    const id = native.listenInternet(realm, hosts[0] as string, target.port, settings.backlog)
    return new Listener(check(id, target), settings)
  }

  static #fromCopy(fd: FdLike, options: ListenerOptions | undefined): Listener {
    const copy = OwnedFd.dup(fd)
    try {
      return Listener.fromFd(copy, options)
    } finally {
      copy.close()
    }
  }

  static #listenUnix(target: UnixTarget, settings: ListenSettings): Listener {
    const id = native.listenUnix(realm, target.path, settings.backlog, settings.file)
    return new Listener(check(id, target), settings)
  }

  static #listenTemporary(settings: ListenSettings): Listener {
    const { mkdtempSync } = process.getBuiltinModule('node:fs')
    const { tmpdir } = process.getBuiltinModule('node:os')
    const { join } = process.getBuiltinModule('node:path')
    const directory = mkdtempSync(join(tmpdir(), 'fdwire-'))
    const target = checkPath(join(directory, 'listener'), 'path')
    const id = native.listenUnix(realm, target.path, settings.backlog, { ...settings.file, unlink: true, directory })
    return new Listener(check(id, target), settings)
  }

  /**
   * Adopts a listening stream socket: a number, or an OwnedFd, which is consumed. It becomes close-on-exec and
   * non-blocking. Its socket file, if any, is never removed. When this throws, the descriptor is where it was.
   *
   * @throws `ERR_INVALID_FD_TYPE`; EBADF; `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd(fd: number | OwnedFd, options?: ListenerOptions): Listener {
    const settings = checkListenerOptions(options)
    const id = native.listenDescriptor(realm, adoptFd(fd, 'a listening stream socket', isListener))
    checkCode(id)
    return new Listener(id, settings)
  }

  /** Where it listens, in the shape that `connect` takes. It stays after closing. */
  get address(): PeerAddress {
    return this.#address
  }

  /** The address of the peer that {@link accept} returned last; undefined before the first. */
  get lastAccepted(): PeerAddress | undefined {
    return this.#lastAccepted
  }

  /** The descriptor's number, -1 once closed. It stays the listener's. */
  get fd(): number {
    return this.#id === -1 ? -1 : native.watchDescriptor(this.#id)
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#id === -1
  }

  /** Lets the open listener keep the process alive, as it does at first. */
  ref(): this {
    if (this.#id !== -1) native.watchReference(this.#id, true)
    return this
  }

  /** Lets the process end in spite of the open listener. */
  unref(): this {
    if (this.#id !== -1) native.watchReference(this.#id, false)
    return this
  }

  /**
   * Waits for a connection, of a client that has proven the `authKey` where there is one. Several may wait at once and
   * are served in order.
   *
   * @throws `ERR_CLOSED`; EMFILE and ENFILE, the connection staying in the queue; {@link TimeoutError},
   *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  accept(options?: WaitOptions): Promise<Connection> {
    try {
      if (this.#id === -1) throw closedError('listener')
      const limits = checkLimits(options)
      if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
      if (this.#accepts.length === 0) {
        const connection = this.#next()
        if (connection !== undefined) return Promise.resolve(this.#accepted(connection))
      }
      const pending: Pending<Connection> = new Pending<Connection>(limits, 'accept', () => {
        this.#accepts.remove((other) => other === pending)
        if (this.#id !== -1) this.#rest()
      })
      this.#accepts.push(pending)
      sources[this.#id] = this
      return pending.promise
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * As {@link accept}, blocking. Handshakes go one after the other here; one that is under way when `timeout` is over is
   * given up, and its client closed. A signal is looked at only once, before.
   *
   * @throws `ERR_INVALID_STATE` beside an {@link accept} that waits; otherwise as {@link accept}.
   */
  acceptSync(options?: WaitOptions): Connection {
    if (this.#id === -1) throw closedError('listener')
    const { signal, timeout } = checkLimits(options)
    if (signal?.aborted) throw new AbortError(signal.reason)
    if (this.#accepts.length > 0) throw invalidState('Another accept is waiting already')
    const deadline = performance.now() + timeout
    for (;;) {
      const through = this.#handshakes?.take()
      if (through !== undefined) return this.#accepted(through)
      const connection = this.#accept(false)
      if (connection !== undefined) {
        if (this.#handshakes?.shakeSync(connection, deadline) !== false) return this.#accepted(connection)
        // Whoever is next should not be taken just to be closed.
        if (performance.now() >= deadline) throw new TimeoutError('acceptSync', timeout)
        continue
      }
      const ready = native.watchWait(this.#id, false, Math.max(0, deadline - performance.now()))
      checkCode(ready)
      if (ready === 0) throw new TimeoutError('acceptSync', timeout)
    }
  }

  /** Connections until the listener is closed. Leaving the loop keeps it open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection, void, undefined> {
    while (this.#id !== -1) {
      try {
        yield await this.accept()
      } catch (error) {
        if (this.#id === -1 && error instanceof CodedError && error.code === 'ERR_CLOSED') return
        throw error
      }
    }
  }

  /**
   * Stops listening, removes the socket file if this listener made it, and closes connections still in their handshake.
   * A pending {@link accept} rejects with `ERR_CLOSED`, and a `for await` loop ends. Closing again returns the same
   * promise.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    collected.unregister(this)
    sources[this.#id] = undefined
    native.watchClose(this.#id)
    this.#id = -1
    this.#handshakes?.close()
    for (const pending of this.#accepts.drain()) pending.reject(closedError('listener'))
    for (const watcher of this.#watchers.splice(0)) watcher()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  [Symbol.dispose](): void {
    void this.close()
  }

  #describe(): string {
    return `Listener { fd: ${this.fd}, ${this.closed ? 'closed' : `address: ${show(this.#address)}`} }`
  }

  /** @internal */
  get [readiness](): Readiness {
    return {
      byDescriptor: true,
      readAhead: this.#handshakes?.hasThrough === true,
      observeReadAhead: () => () => {},
      watch: (callback) => {
        this.#watchers.push(callback)
        if (this.#watchers.length === 1) this.#arm()
      },
      unwatch: (callback) => {
        this.#watchers = this.#watchers.filter((watcher) => watcher !== callback)
        if (this.#id !== -1) this.#rest()
      },
    }
  }

  /** @internal Somebody may want to connect. */
  ready(): void {
    this.#serve()
  }

  /** Serves those who wait, in order, as far as it goes. */
  #serve(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
    for (let pending = this.#accepts.peek(); pending !== undefined; pending = this.#accepts.peek()) {
      try {
        const connection = this.#next()
        if (connection === undefined) return
        pending.resolve(this.#accepted(connection))
      } catch (error) {
        pending.reject(error)
      }
      this.#accepts.shift()
    }
    this.#rest()
  }

  /**
   * The next connection for a caller; where there is none yet, the listener is reported when there may be. Starts the
   * handshakes there is room for.
   */
  #next(): Connection | undefined {
    const handshakes = this.#handshakes
    if (handshakes === undefined) return this.#accept(true)
    const through = handshakes.take()
    if (through !== undefined) return through
    while (handshakes.hasRoom) {
      const connection = this.#accept(true)
      if (connection === undefined) break
      handshakes.start(connection)
    }
    return undefined
  }

  /**
   * The next connection of the kernel's queue, undefined where it is empty. `report`: or where this turn had its share,
   * and the next one is reported.
   */
  #accept(report: boolean): Connection | undefined {
    const connection = Connection.accept(this.#id, this.#settings, report)
    if (typeof connection !== 'number') return connection
    if (connection !== WOULD_BLOCK) checkCode(connection)
    return undefined
  }

  #accepted(connection: Connection): Connection {
    this.#lastAccepted = connection.peer
    return connection
  }

  /** Has the next connection of the kernel's queue reported, if it could be taken. */
  #arm(): void {
    if (this.#watchers.length === 0 && this.#handshakes?.hasRoom === false) return
    sources[this.#id] = this
    const code = native.watchArm(this.#id, false)
    checkCode(code)
  }

  #rest(): void {
    if (this.#accepts.length > 0 || this.#watchers.length > 0) return
    sources[this.#id] = undefined
  }
}
