import { authenticate, authenticateSync } from '../authentication/drive.ts'
import {
  HANDSHAKE_TIMEOUT,
  answerThenDeliver,
  authenticationNames,
  checkAuthentication,
} from '../authentication/steps.ts'
import type { Authentication, AuthenticationOptions, Handshake } from '../authentication/steps.ts'
import { checkTimeout } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { AbortError, TimeoutError, systemError } from '../base/errors.ts'
import { Pending, checkLimits, startTimer, syncNames, waitNames } from '../base/limits.ts'
import type { Blocking, Limits, WaitOptions } from '../base/limits.ts'
import { adoptWith, connectChannel, openFreshChannel } from '../channel/open.ts'
import { checkConnectionOptions, connectionNames } from '../channel/options.ts'
import type { ConnectionOptions, ConnectionSettings } from '../channel/options.ts'
import { OwnedFd } from '../descriptors/owned-fd.ts'
import { socketAddress } from '../descriptors/peer.ts'
import { checkCode, errnoOf, errorOf, native } from '../native/binding.ts'
import { realm, sources } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import { checkAddress, resolveHost, resolveHostSync } from './address.ts'
import type { Address, InternetTarget, Target, UnixTarget } from './address.ts'
import { channelOf, connectionOver } from './connection.ts'
import { connectDetails } from './hints.ts'
import type { Connection } from './connection.ts'

const { EAGAIN, EINPROGRESS } = errno
/** A full accept queue is tried again after 1 ms, then twice as long each time up to this. */
const LONGEST_RETRY = 32

/** How to connect, and settings of the connection. */
export interface ConnectOptions<Value = unknown> extends ConnectionOptions<Value>, AuthenticationOptions, WaitOptions {
  /**
   * Milliseconds the listener has for the handshake that an `authKey` asks for, as in {@link WaitOptions}; `timeout` counts
   * beside it. One without a key takes no part in it.
   * @defaultValue 10000
   */
  readonly handshakeTimeout?: number | null | undefined
}

const connectSyncNames: Names<Blocking<ConnectOptions>> = {
  ...connectionNames,
  ...authenticationNames,
  ...syncNames,
  handshakeTimeout: true,
}
const connectNames: Names<ConnectOptions> = { ...connectSyncNames, ...waitNames }

/** What a call of {@link connect} was given, checked. */
interface Wanted {
  readonly target: Target
  readonly settings: ConnectionSettings
  readonly authentication: Authentication | undefined
  readonly handshakeTimeout: number
}

interface Shaking {
  readonly handshake: Handshake
  readonly connection: Connection
  readonly maxMessageSize: number
  readonly timeout: number
}

/**
 * What connecting has to wait for next: some milliseconds, the addresses of a host, a watch that is to become writable, or
 * a handshake.
 */
type Step = { readonly sleep: number } | { readonly lookup: string } | { readonly writable: number } | Shaking

/**
 * Connecting, step by step: `next` is given the addresses that were looked up, `throw` the error of a step that failed.
 * `return` gives it up and closes what it has open.
 */
type Connecting<Value> = Generator<Step, Connection<Value>, string[]>

/**
 * Connects to a listener: a unix socket (path or Linux abstract name) or a TCP port. With an `authKey` both ends prove
 * that they have it. `timeout` covers all of it; a full accept queue is waited for. Python's `Client`.
 *
 * @throws ENOENT, ECONNREFUSED, EACCES and what else connect(2) gives; ENOTFOUND for an unknown host;
 *   {@link TimeoutError}, {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` before
 *   anything is done.
 * @throws {@link AuthenticationError} with an `authKey` if the listener has another, or asks for too weak a digest;
 *   {@link TimeoutError} after `handshakeTimeout` if it has none; what sends and receives throw, such as {@link EOFError},
 *   if it goes away.
 */
export async function connect<Value = unknown>(
  address: Address,
  options?: ConnectOptions<Value>,
): Promise<Connection<Value>> {
  const wanted = check(address, options, connectNames)
  return drive(connecting<Value>(wanted), checkStart(options))
}

/**
 * As {@link connect}, blocking; a host's name is looked up blocking too.
 *
 * @throws as {@link connect}
 */
export function connectSync<Value = unknown>(
  address: Address,
  options?: Blocking<ConnectOptions<Value>>,
): Connection<Value> {
  const wanted = check(address, options, connectSyncNames)
  return driveSync(connecting<Value>(wanted), checkLimits(options).timeout)
}

function check<Value>(
  address: Address,
  options: ConnectOptions<Value> | undefined,
  known: Names<Blocking<ConnectOptions>>,
): Wanted {
  const settings = checkConnectionOptions(options, known)
  const authentication = checkAuthentication(options)
  const handshakeTimeout = checkTimeout(options?.handshakeTimeout, 'options.handshakeTimeout', HANDSHAKE_TIMEOUT)
  return { target: checkAddress(address), settings, authentication, handshakeTimeout }
}

function checkStart(options: WaitOptions | undefined): Limits {
  const limits = checkLimits(options)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  return limits
}

function* connecting<Value>({ target, settings, authentication, handshakeTimeout }: Wanted): Connecting<Value> {
  const connection =
    target.kind === 'fd' ? connectCopy<Value>(target.fd, settings) : yield* reaching<Value>(target, settings)
  if (authentication === undefined) return connection
  let proven = false
  try {
    const { maxMessageSize } = settings
    yield { handshake: answerThenDeliver(authentication), connection, maxMessageSize, timeout: handshakeTimeout }
    proven = true
    return connection
  } finally {
    if (!proven) connection.destroy()
  }
}

function connectCopy<Value>(fd: Parameters<typeof OwnedFd.dup>[0], settings: ConnectionSettings): Connection<Value> {
  const copy = OwnedFd.dup(fd)
  try {
    return connectionOver(adoptWith(copy, settings))
  } finally {
    copy.close()
  }
}

/** Not a generator of its own: connecting to a unix socket costs little more than making one does. */
function reaching<Value>(target: UnixTarget | InternetTarget, settings: ConnectionSettings): Connecting<Value> {
  return target.kind === 'unix' ? retrying(target, settings) : reachingInternet(target, settings)
}

function* reachingInternet<Value>(target: InternetTarget, settings: ConnectionSettings): Connecting<Value> {
  const fd = yield* trying(target)
  return connectionOver(openFreshChannel(fd, settings, socketAddress(fd, true)))
}

/** Nothing tells when an accept queue has room again. */
function* retrying<Value>(target: UnixTarget, settings: ConnectionSettings): Connecting<Value> {
  for (let delay = 1; ; delay = Math.min(2 * delay, LONGEST_RETRY)) {
    const channel = connectChannel(target.path, target.address, settings)
    if (typeof channel !== 'number') return connectionOver(channel)
    if (errnoOf(channel) !== -EAGAIN) throw connectError(channel, target)
    yield { sleep: delay }
  }
}

/** One address of the host after the other: a connected descriptor. */
function* trying({ host, port }: InternetTarget): Generator<Step, number, string[]> {
  let failure: unknown
  for (const address of yield { lookup: host }) {
    try {
      return yield* reachingHost({ kind: 'internet', host: address, port })
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function* reachingHost(target: InternetTarget): Generator<Step, number, string[]> {
  const fd = native.socketConnectInternet(target.host, target.port)
  if (fd < 0) throw connectError(fd, target)
  const watch = checkCode(native.watchOpen(realm, fd, false))
  let connected = false
  try {
    let code = native.socketConnected(fd)
    for (; errnoOf(code) === -EINPROGRESS; code = native.socketConnected(fd)) yield { writable: watch }
    if (code !== 0) throw connectError(code, target)
    connected = true
    return native.watchRelease(watch)
  } finally {
    if (!connected) native.watchClose(watch)
  }
}

function connectError(code: number, target: Target): Error {
  return systemError(errnoOf(code), 'connect', connectDetails(target))
}

const none: string[] = []

/** Takes the steps of connecting as they come, within the limits; mostly there is nothing to wait for. */
function drive<Value>(steps: Connecting<Value>, limits: Limits): Connection<Value> | Promise<Connection<Value>> {
  const first = steps.next()
  if (first.done === true) return first.value
  // How to give up the present step.
  let release = (): void => {}
  let stopped = false
  const pending = new Pending<Connection<Value>>(undefined, limits, 'connect', () => {
    stopped = true
    release()
    steps.return(undefined as never)
  })
  const resume = (go: () => IteratorResult<Step, Connection<Value>>): void => {
    if (stopped) return
    try {
      const next = go()
      if (next.done === true) pending.resolve(next.value)
      else take(next.value)
    } catch (error) {
      pending.reject(error)
    }
  }
  const take = (step: Step): void => {
    release = begin(
      step,
      (addresses) => resume(() => steps.next(addresses)),
      (error) => resume(() => steps.throw(error)),
    )
  }
  take(first.value)
  return pending.promise
}

/** Begins a step; returns how to give it up. */
function begin(step: Step, succeed: (addresses: string[]) => void, fail: (error: unknown) => void): () => void {
  if ('sleep' in step) return startTimer(step.sleep, () => succeed(none))
  if ('writable' in step) {
    const { writable: watch } = step
    const rest = (): void => {
      sources[watch] = undefined
    }
    sources[watch] = {
      ready: () => {
        rest()
        succeed(none)
      },
    }
    const code = native.watchArm(watch, true)
    if (code >= 0) return rest
    rest()
    queueMicrotask(() => fail(errorOf(code)))
  } else if ('lookup' in step) {
    resolveHost(step.lookup).then(succeed, fail)
  } else {
    const { connection, handshake, maxMessageSize, timeout } = step
    const limits = { signal: undefined, timeout }
    const timedOut = (): Error => noHandshake('connect', timeout)
    authenticate(connection, limitOf(connection), handshake, maxMessageSize, limits, timedOut).then(
      () => succeed(none),
      fail,
    )
  }
  return () => {}
}

const neverWoken = new Int32Array(new SharedArrayBuffer(4))

/** Takes the steps of connecting, blocking for at most `timeout` milliseconds. */
function driveSync<Value>(steps: Connecting<Value>, timeout: number): Connection<Value> {
  const deadline = performance.now() + timeout
  for (let next = steps.next(); ;) {
    if (next.done === true) return next.value
    let addresses: string[] | undefined
    try {
      addresses = takeSync(next.value, deadline)
    } catch (error) {
      next = steps.throw(error)
      continue
    }
    if (addresses === undefined) {
      steps.return(undefined as never)
      throw new TimeoutError('connectSync', timeout)
    }
    next = steps.next(addresses)
  }
}

/** Takes one step, blocking; undefined when the time is over. */
function takeSync(step: Step, deadline: number): string[] | undefined {
  const left = Math.max(0, deadline - performance.now())
  if ('lookup' in step) return resolveHostSync(step.lookup)
  if ('sleep' in step) {
    if (left === 0) return undefined
    Atomics.wait(neverWoken, 0, 0, Math.min(step.sleep, left))
    return none
  }
  if ('writable' in step) return checkCode(native.watchWait(step.writable, true, left)) === 0 ? undefined : none
  return shakeSync(step, deadline) ? none : undefined
}

/** Goes through a handshake, blocking; false when the time for all is over. */
function shakeSync({ connection, handshake, maxMessageSize, timeout }: Shaking, deadline: number): boolean {
  const end = Math.min(deadline, performance.now() + timeout)
  try {
    authenticateSync(connection, limitOf(connection), handshake, maxMessageSize, end)
    return true
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error
    if (end === deadline) return false
    throw noHandshake('connectSync', timeout)
  }
}

function noHandshake(call: string, timeout: number): TimeoutError {
  return new TimeoutError(call, timeout, 'the listener takes no part in the handshake; it may have no authKey')
}

function limitOf(connection: Connection): (size: number) => void {
  const channel = channelOf(connection)
  return (size) => channel.limitMessages(size)
}
