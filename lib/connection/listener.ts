import { illegalConstructor, CodedError } from '../base/errors.ts'
import { inspectable, show } from '../base/inspect.ts'
import { checkSyncOptions, checkWaitOptions } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { readiness } from '../base/read-ahead.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { registerConversion } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import type { PeerAddress } from '../descriptors/peer.ts'
import { Accepting } from './accepting.ts'
import { resolveHost, resolveHostSync } from './address.ts'
import type { Address } from './address.ts'
import type { Connection } from './connection.ts'
import { adoptListener, checkListening, listenInternet, listenLocally } from './listening.ts'
import type { ListenerOptions } from './listening.ts'
import { serve } from './serve.ts'
import type { ConnectionHandler, ServeOptions } from './serve.ts'

/** What closing gives. */
const closed = Promise.resolve()

/**
 * Accepts connections. Made by {@link Listener.listen} or {@link Listener.fromFd}. Python's
 * `multiprocessing.connection.Listener`.
 *
 * Connections stay in the kernel's queue until {@link accept} or a `for await` loop waits for them, or with `authKey` or
 * `verifyPeer` a `wait`, `select` or `Selector`. Then the handshakes of up to 64 go on side by side, and who is through
 * first is accepted first; who fails is closed and told to `onHandshakeError`. An open listener keeps the process alive.
 */
export class Listener<Value = unknown> extends Uncloneable {
  static {
    inspectable(this.prototype, (object) => object.#describe())
    registerConversion('toListener', Listener.fromFd)
  }

  readonly #accepting: Accepting<Value>

  private constructor(accepting: Accepting<Value>) {
    super()
    if (!(accepting instanceof Accepting))
      throw illegalConstructor('Listener', 'Listener.listen, Listener.listenSync or Listener.fromFd')
    this.#accepting = accepting
  }

  /**
   * Listens on an address; without one, on a fresh socket file in the directory for temporary files.
   *
   * @throws EADDRINUSE, also for a stale socket file unless `replaceStale`; EACCES, ENOENT, ENAMETOOLONG and what else
   *   bind(2) gives; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` before anything is done.
   */
  static async listen<Value = unknown>(
    address?: Address | null,
    options?: ListenerOptions<Value>,
  ): Promise<Listener<Value>> {
    const { target, settings } = checkListening(address, options)
    if (target?.kind !== 'internet') return new Listener(listenLocally(target, settings))
    return new Listener(listenInternet(await resolveHost(target.host), target, settings))
  }

  /**
   * As {@link listen}, at once; a host's name is looked up blocking.
   *
   * @throws as {@link listen}
   */
  static listenSync<Value = unknown>(address?: Address | null, options?: ListenerOptions<Value>): Listener<Value> {
    const { target, settings } = checkListening(address, options)
    if (target?.kind !== 'internet') return new Listener(listenLocally(target, settings))
    return new Listener(listenInternet(resolveHostSync(target.host), target, settings))
  }

  /**
   * Adopts a listening stream socket: a number, or an OwnedFd, which is consumed. It becomes close-on-exec and
   * non-blocking. The options are those of {@link listen}, so that one object serves both; of its socket file, if it has one,
   * `unlink` (here false by default) and `mode` apply, to what lies at its path now. When this throws, the descriptor is where
   * it was.
   *
   * @throws `ERR_INVALID_FD_TYPE`; EBADF; EPERM for the mode of a file of somebody else's; `ERR_CLOSED`;
   *   `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd<Value = unknown>(fd: number | OwnedFd, options?: ListenerOptions<Value>): Listener<Value> {
    return new Listener(adoptListener(fd, options))
  }

  /** Where it listens, in the shape that `connect` takes. It stays after closing. */
  get address(): PeerAddress {
    return this.#accepting.address
  }

  /** The address of the peer that {@link accept} returned last; undefined before the first. */
  get lastAccepted(): PeerAddress | undefined {
    return this.#accepting.lastAccepted
  }

  /** The descriptor's number, -1 once closed. It stays the listener's. */
  get fd(): number {
    return this.#accepting.fd
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#accepting.closed
  }

  /** Lets the open listener keep the process alive, as it does at first. */
  ref(): this {
    this.#accepting.reference(true)
    return this
  }

  /** Lets the process end in spite of the open listener. */
  unref(): this {
    this.#accepting.reference(false)
    return this
  }

  /**
   * Waits for a connection, of a client that has proven the `authKey` where there is one. Several may wait at once and
   * are served in order.
   *
   * With the descriptor table full (EMFILE, ENFILE) clients stay in the kernel's queue: it waits, with one warning
   * (`FDWIRE_DESCRIPTORS_EXHAUSTED`), and goes on when there is room.
   *
   * @throws `ERR_CLOSED`; {@link TimeoutError}, whose `cause` is the EMFILE, if any; {@link AbortError};
   *   `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  accept(options?: WaitOptions): Promise<Connection<Value>> {
    try {
      this.#accepting.checkOpen()
      return this.#accepting.accept(checkWaitOptions(options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * As {@link accept}, blocking. Handshakes go one after the other here; one that is under way when `timeout` is over is
   * given up, and its client closed. `onHandshakeError` is told at once.
   *
   * @throws EMFILE and ENFILE at once: nothing in a thread that blocks can close a descriptor.
   * @throws `ERR_INVALID_STATE` beside an {@link accept} that waits, and for a `verifyPeer` that returns a promise, whose
   *   client is closed; otherwise as {@link accept}.
   */
  acceptSync(options?: SyncOptions): Connection<Value> {
    this.#accepting.checkOpen()
    return this.#accepting.acceptSync(checkSyncOptions(options))
  }

  /**
   * Serves connections: `handler` is called with each, side by side, and the connection is closed when that has settled,
   * once what it sent has left. Resolves when the signal was aborted or the listener closed, and the connections have
   * ended, or `drainTimeout` is over. The listener stays open.
   *
   * A handler that fails ends its own connection only, nor does a full descriptor table end this: see `onError`. Clients
   * that fail their handshake are told to `onHandshakeError`.
   *
   * @throws `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`.
   */
  serve(handler: ConnectionHandler<Value>, options?: ServeOptions<Value>): Promise<void> {
    return serve(this.#accepting, handler, options)
  }

  /** Connections until the listener is closed. Leaving the loop keeps it open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection<Value>, void, undefined> {
    while (!this.closed) {
      try {
        yield await this.accept()
      } catch (error) {
        if (this.closed && error instanceof CodedError && error.code === 'ERR_CLOSED') return
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
    this.closeSync()
    return closed
  }

  /** As {@link close}, for those who cannot wait: closing a listener waits for nothing. */
  closeSync(): void {
    if (!this.closed) this.#accepting.close()
  }

  /** Is {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Is {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync()
  }

  #describe(): string {
    return `Listener { fd: ${this.fd}, ${this.closed ? 'closed' : `address: ${show(this.address)}`} }`
  }

  /** @internal */
  get [readiness](): Readiness {
    return this.#accepting
  }
}
