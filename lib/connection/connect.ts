import { addressDetails, checkAddress, resolveHost, resolveHostSync, socketAddress } from './address.ts'
import type { Address, InternetTarget, Target, UnixTarget } from './address.ts'
import { authenticate, authenticateSync } from '../authentication/drive.ts'
import { answerThenDeliver, checkAuthentication } from '../authentication/steps.ts'
import type { Authentication, AuthenticationOptions } from '../authentication/steps.ts'
import { Connection } from './connection.ts'
import { checkConnectionOptions } from '../channel/options.ts'
import type { ConnectionOptions, ConnectionSettings } from '../channel/options.ts'
import { realm, sources } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import { AbortError, TimeoutError, systemError } from '../base/errors.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { errnoOf, native } from '../native/binding.ts'
import { OwnedFd } from '../descriptors/owned-fd.ts'
import { Pending, checkLimits, startTimer } from '../base/limits.ts'
import type { WaitOptions } from '../base/limits.ts'

const { EAGAIN, EINPROGRESS } = errno
/** A full accept queue is tried again after 1 ms, then twice as long each time up to this. */
const LONGEST_RETRY = 32

/** What one may have to wait for. */
type WaitingTarget = UnixTarget | InternetTarget

export interface ConnectOptions extends ConnectionOptions, AuthenticationOptions, WaitOptions {}

/**
 * Connects to a listener: a unix socket (path or Linux abstract name) or a TCP port. With an `authKey` both ends prove
 * that they have it. `timeout` covers all of it; a full accept queue is waited for. Python's `Client`.
 *
 * @throws ENOENT, ECONNREFUSED, EACCES and what else connect(2) gives; ENOTFOUND for an unknown host;
 *   {@link TimeoutError}, {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` before
 *   anything is done.
 * @throws {@link AuthenticationError} with an `authKey` if the listener has another, none, or asks for too weak a digest;
 *   what sends and receives throw, such as {@link EOFError}, if it goes away.
 */
export async function connect(address: Address, options?: ConnectOptions): Promise<Connection> {
  const settings = checkConnectionOptions(options)
  const authentication = checkAuthentication(options)
  const target = checkAddress(address)
  const limits = checkLimits(options)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const connected = connectAtOnce(target, settings, options)
  if (connected !== undefined && authentication === undefined) return connected
  const attempt = new Attempt(settings, authentication)
  const pending = new Pending<Connection>(limits, 'connect', () => attempt.stop())
  attempt.run(connected ?? (target as WaitingTarget)).then(
    (connection) => pending.resolve(connection),
    (error: unknown) => pending.reject(error),
  )
  return pending.promise
}

/**
 * As {@link connect}, blocking; a host's name is looked up blocking too. A signal is looked at only once, before.
 *
 * @throws as {@link connect}
 */
export function connectSync(address: Address, options?: ConnectOptions): Connection {
  const settings = checkConnectionOptions(options)
  const authentication = checkAuthentication(options)
  const target = checkAddress(address)
  const limits = checkLimits(options)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const deadline = performance.now() + limits.timeout
  const connection = connectAtOnce(target, settings, options) ?? waitSync(target as WaitingTarget, settings, deadline)
  if (connection === undefined) throw new TimeoutError('connectSync', limits.timeout)
  if (authentication === undefined) return connection
  try {
    authenticateSync(connection, answerThenDeliver(authentication), settings.maxMessageSize, deadline)
    return connection
  } catch (error) {
    connection.destroy()
    throw error
  }
}

const neverWoken = new Int32Array(new SharedArrayBuffer(4))

/** Undefined when the time is over. */
function waitSync(target: WaitingTarget, settings: ConnectionSettings, deadline: number): Connection | undefined {
  if (target.kind === 'unix') return retrySync(target, settings, deadline)
  const fd = tryAllSync(target, deadline)
  return fd === undefined ? undefined : Connection.open(fd, settings, socketAddress(fd, true))
}

function retrySync(target: UnixTarget, settings: ConnectionSettings, deadline: number): Connection | undefined {
  for (let delay = 1; ; delay = Math.min(2 * delay, LONGEST_RETRY)) {
    const left = deadline - performance.now()
    if (left <= 0) return undefined
    Atomics.wait(neverWoken, 0, 0, Math.min(delay, left))
    const connection = connectUnix(target, settings)
    if (connection !== undefined) return connection
  }
}

function tryAllSync({ host, port }: InternetTarget, deadline: number): number | undefined {
  let failure: unknown
  for (const address of resolveHostSync(host)) {
    try {
      return trySync({ kind: 'internet', host: address, port }, deadline)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function trySync(target: InternetTarget, deadline: number): number | undefined {
  const fd = native.socketConnectInternet(target.host, target.port)
  if (fd < 0) throw connectError(fd, target)
  const watch = native.watchOpen(realm, fd, false)
  let code = native.socketConnected(fd)
  while (errnoOf(code) === -EINPROGRESS) {
    if (native.watchWait(watch, true, Math.max(0, deadline - performance.now())) === 0) {
      native.watchClose(watch)
      return undefined
    }
    code = native.socketConnected(fd)
  }
  if (code === 0) return native.watchRelease(watch)
  native.watchClose(watch)
  throw connectError(code, target)
}

/** Where there is nothing to wait for: mostly a unix listener has room in its queue. */
function connectAtOnce(
  target: Target,
  settings: ConnectionSettings,
  options: ConnectOptions | undefined,
): Connection | undefined {
  if (target.kind === 'fd') return connectCopy(target.fd, options)
  return target.kind === 'unix' ? connectUnix(target, settings) : undefined
}

/** Undefined where the accept queue is full. */
function connectUnix(target: UnixTarget, settings: ConnectionSettings): Connection | undefined {
  const connection = Connection.connect(target, settings)
  if (typeof connection !== 'number') return connection
  if (errnoOf(connection) !== -EAGAIN) throw connectError(connection, target)
  return undefined
}

function connectCopy(fd: FdLike, options: ConnectOptions | undefined): Connection {
  const copy = OwnedFd.dup(fd)
  try {
    return Connection.fromFd(copy, options)
  } finally {
    copy.close()
  }
}

function connectError(code: number, target: Target): Error {
  return systemError(errnoOf(code), 'connect', addressDetails(target))
}

/** One call of {@link connect} that has to wait; its promises stay pending once it was stopped. */
class Attempt {
  readonly #settings: ConnectionSettings
  readonly #authentication: Authentication | undefined
  #stopped = false
  #release: (() => void) | undefined

  constructor(settings: ConnectionSettings, authentication: Authentication | undefined) {
    this.#settings = settings
    this.#authentication = authentication
  }

  stop(): void {
    this.#stopped = true
    this.#release?.()
  }

  /** Connects, where that is still to be done, and authenticates. */
  async run(from: Connection | WaitingTarget): Promise<Connection> {
    const connection = from instanceof Connection ? from : await this.#connect(from)
    this.#release = () => connection.destroy()
    if (this.#stopped) connection.destroy()
    if (this.#authentication === undefined) return connection
    try {
      await authenticate(connection, answerThenDeliver(this.#authentication), this.#settings.maxMessageSize)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  async #connect(target: WaitingTarget): Promise<Connection> {
    if (target.kind === 'unix') return this.#retry(target)
    const fd = await this.#tryAll(target)
    return Connection.open(fd, this.#settings, socketAddress(fd, true))
  }

  /** Nothing tells when an accept queue has room again. */
  async #retry(target: UnixTarget): Promise<Connection> {
    for (let delay = 1; ; delay = Math.min(2 * delay, LONGEST_RETRY)) {
      await this.#wait((resume) => startTimer(delay, resume))
      const connection = connectUnix(target, this.#settings)
      if (connection !== undefined) return connection
    }
  }

  /** One address of the host after the other. */
  async #tryAll({ host, port }: InternetTarget): Promise<number> {
    let failure: unknown
    for (const address of await this.#live(resolveHost(host))) {
      try {
        return await this.#try({ kind: 'internet', host: address, port })
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async #try(target: InternetTarget): Promise<number> {
    const fd = native.socketConnectInternet(target.host, target.port)
    if (fd < 0) throw connectError(fd, target)
    const watch = native.watchOpen(realm, fd, false)
    let code = native.socketConnected(fd)
    while (errnoOf(code) === -EINPROGRESS) {
      await this.#wait((resume) => {
        sources[watch] = { ready: resume }
        const armed = native.watchArm(watch, true)
        if (armed < 0) resume()
        return () => {
          sources[watch] = undefined
          native.watchClose(watch)
        }
      })
      sources[watch] = undefined
      code = native.socketConnected(fd)
    }
    if (code === 0) return native.watchRelease(watch)
    native.watchClose(watch)
    throw connectError(code, target)
  }

  /** Waits for `resume` to be called; `begin` returns how to clean up when that will not be any more. */
  #wait(begin: (resume: () => void) => () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#release = begin(() => {
        this.#release = undefined
        resolve()
      })
    })
  }

  /** The promise, for ever pending once this attempt was stopped. */
  #live<T>(promise: Promise<T>): Promise<T> {
    return promise.then((value) => (this.#stopped ? new Promise<T>(() => {}) : value))
  }
}
