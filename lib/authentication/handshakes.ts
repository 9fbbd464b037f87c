import type { PeerAddress, PeerCredentials } from '../descriptors/peer.ts'
import { authenticate, authenticateSync } from './drive.ts'
import type { Party } from './drive.ts'
import { HANDSHAKE_TIMEOUT, authenticationNames, checkAuthentication, deliverThenAnswer } from './steps.ts'
import type { Authentication, AuthenticationOptions } from './steps.ts'
import { AuthenticationError, TimeoutError, invalidArgumentType, invalidState } from '../base/errors.ts'
import { Queue } from '../base/queue.ts'
import { callUncaught } from '../base/uncaught.ts'
import { startTimer } from '../base/limits.ts'
import { checkTimeout } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'

/** Handshakes under way at once; who comes next waits in the kernel's queue until one ends. */
const MAX_HANDSHAKES = 64

/** A connection that was accepted, and may go through a handshake. */
interface Client extends Party {
  readonly peer: PeerAddress
  readonly peerCredentials: PeerCredentials | undefined
  ref(): this
  unref(): this
  destroy(): void
}

/** Who failed a handshake. */
export interface HandshakePeer {
  /** Its address, in the shape of {@link Listener.lastAccepted}. */
  readonly peer: PeerAddress
  /** Undefined on TCP. */
  readonly credentials: PeerCredentials | undefined
}

type VerifyPeer = (credentials: PeerCredentials | undefined) => boolean | void | Promise<boolean | void>
type OnHandshakeError = (error: Error, from: HandshakePeer) => void

/** Whom a listener accepts. The callbacks run in the AsyncLocalStorage of the call that was given them. */
export interface HandshakeOptions extends AuthenticationOptions {
  /**
   * Milliseconds a client has for the whole handshake, fractions rounded up; `null` and `Infinity` set no limit. No more
   * than 64 handshakes are under way at once: so long may clients that say nothing keep the 65th waiting.
   * @defaultValue 10000
   */
  readonly handshakeTimeout?: number | null | undefined
  /**
   * Refuses a client by returning or resolving with false, or by throwing. It is asked before anything is sent; on TCP
   * the credentials are undefined.
   */
  readonly verifyPeer?: VerifyPeer | undefined
  /**
   * Told of each client that is not accepted: {@link AuthenticationError}, {@link TimeoutError}, and what sends and
   * receives throw, such as {@link EOFError}. Its connection is closed. What this throws is an uncaught exception.
   */
  readonly onHandshakeError?: OnHandshakeError | undefined
}

export const handshakeNames: Names<HandshakeOptions> = {
  ...authenticationNames,
  handshakeTimeout: true,
  verifyPeer: true,
  onHandshakeError: true,
}

/** Checked {@link HandshakeOptions} that ask for a handshake. */
export interface HandshakeSettings {
  readonly authentication: Authentication | undefined
  readonly timeout: number
  readonly verifyPeer: VerifyPeer | undefined
  readonly onError: OnHandshakeError | undefined
}

/** Checks {@link HandshakeOptions}; undefined where everybody is accepted. */
export function checkHandshake(options: HandshakeOptions): HandshakeSettings | undefined {
  const authentication = checkAuthentication(options)
  const timeout = checkTimeout(options.handshakeTimeout, 'options.handshakeTimeout', HANDSHAKE_TIMEOUT)
  const verifyPeer = checkCallback(options.verifyPeer, 'options.verifyPeer')
  const onError = checkCallback(options.onHandshakeError, 'options.onHandshakeError')
  if (authentication === undefined && verifyPeer === undefined) return undefined
  return { authentication, timeout, verifyPeer, onError }
}

/** The callback, to be run in the AsyncLocalStorage there is now. */
function checkCallback<F extends VerifyPeer | OnHandshakeError>(value: F | undefined, name: string): F | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'function') throw invalidArgumentType(name, 'a function', value)
  const { AsyncResource } = process.getBuiltinModule('node:async_hooks')
  return AsyncResource.bind(value, 'Listener') as F
}

/** What the answer of `verifyPeer` means. */
function checkVerdict(verdict: boolean | void): void {
  if (verdict !== undefined && !verdict) throw new AuthenticationError('verifyPeer refused the peer')
}

async function verify(verifyPeer: VerifyPeer, credentials: PeerCredentials | undefined): Promise<void> {
  let verdict: boolean | void
  try {
    verdict = await verifyPeer(credentials)
  } catch (cause) {
    throw new AuthenticationError('verifyPeer refused the peer', { cause })
  }
  checkVerdict(verdict)
}

/** False where the answer would have to be waited for. */
function verifySync(verifyPeer: VerifyPeer, credentials: PeerCredentials | undefined): boolean {
  let verdict: ReturnType<VerifyPeer>
  try {
    verdict = verifyPeer(credentials)
  } catch (cause) {
    throw new AuthenticationError('verifyPeer refused the peer', { cause })
  }
  if (typeof verdict === 'object' && verdict !== null) {
    verdict.then(undefined, () => {})
    return false
  }
  checkVerdict(verdict)
  return true
}

/** Tells who asked; what that throws is neither the handshake's nor the listener's, but an uncaught exception. */
function tell(onError: OnHandshakeError, error: Error, from: HandshakePeer): void {
  callUncaught(() => onError(error, from))
}

/** The handshakes of a listener, side by side, and the connections that are through but not accepted yet. */
export class Handshakes<C extends Client> {
  readonly #settings: HandshakeSettings
  readonly #maxMessageSize: number
  readonly #limit: (client: C, maxMessageSize: number) => void
  readonly #changed: () => void
  /** How to stop the timer of each. */
  readonly #underWay = new Map<C, () => void>()
  readonly #through = new Queue<C>()

  /**
   * `limit` changes how many bytes a client's messages may have, which is `maxMessageSize` in the end. `changed` is called
   * when a connection is through, and when there is room again.
   */
  constructor(
    settings: HandshakeSettings,
    maxMessageSize: number,
    limit: (client: C, maxMessageSize: number) => void,
    changed: () => void,
  ) {
    this.#settings = settings
    this.#maxMessageSize = maxMessageSize
    this.#limit = limit
    this.#changed = changed
  }

  /** Whether a connection is through. */
  get hasThrough(): boolean {
    return this.#through.length > 0
  }

  /** Takes a connection that is through. */
  take(): C | undefined {
    return this.#through.shift()
  }

  /** Whether another handshake may start. */
  get hasRoom(): boolean {
    return this.#underWay.size < MAX_HANDSHAKES
  }

  /** Starts the handshake of a connection just accepted. */
  start(client: C): void {
    const { timeout, onError } = this.#settings
    const from = { peer: client.peer, credentials: client.peerCredentials }
    const fail = (error: Error): void => {
      if (!this.#end(client)) return
      client.destroy()
      // In a task of its own, as nobody called.
      if (onError !== undefined) queueMicrotask(() => onError(error, from))
      this.#changed()
    }
    this.#underWay.set(
      client,
      startTimer(timeout, () => fail(new TimeoutError('handshake', timeout)), false),
    )
    // The open listener keeps the process alive, not a client that dawdles.
    client.unref()
    this.#shake(client, from.credentials).then(() => {
      if (!this.#end(client)) return
      this.#through.push(client.ref())
      this.#changed()
    }, fail)
  }

  /**
   * Goes through the handshake of a connection just accepted, blocking: false where it failed.
   *
   * @throws `ERR_INVALID_STATE` where `verifyPeer` cannot be waited for.
   */
  shakeSync(client: C, deadline: number): boolean {
    const { authentication, timeout, verifyPeer, onError } = this.#settings
    const from = { peer: client.peer, credentials: client.peerCredentials }
    const refuse = (error: Error): void => {
      client.destroy()
      if (onError !== undefined) tell(onError, error, from)
    }
    try {
      if (verifyPeer === undefined || verifySync(verifyPeer, from.credentials)) {
        if (authentication === undefined) return true
        const end = Math.min(deadline, performance.now() + timeout)
        const limit = (size: number): void => this.#limit(client, size)
        authenticateSync(client, limit, deliverThenAnswer(authentication), this.#maxMessageSize, end)
        return true
      }
    } catch (error) {
      refuse(error as Error)
      return false
    }
    const error = invalidState('verifyPeer returned a promise, for which acceptSync cannot wait')
    refuse(error)
    throw error
  }

  /** Closes the connections that are under way, or through and not taken. */
  close(): void {
    for (const client of [...this.#underWay.keys(), ...this.#through.drain()]) {
      this.#end(client)
      client.destroy()
    }
  }

  async #shake(client: C, credentials: PeerCredentials | undefined): Promise<void> {
    const { authentication, verifyPeer } = this.#settings
    if (verifyPeer !== undefined) await verify(verifyPeer, credentials)
    if (authentication === undefined) return
    const limit = (size: number): void => this.#limit(client, size)
    await authenticate(client, limit, deliverThenAnswer(authentication), this.#maxMessageSize)
  }

  /** False where it had ended before. */
  #end(client: C): boolean {
    this.#underWay.get(client)?.()
    return this.#underWay.delete(client)
  }
}
