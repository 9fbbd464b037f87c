import { authenticate, authenticateSync } from '../authentication/drive.ts'
import {
  HANDSHAKE_TIMEOUT,
  answerChallenge as answer,
  checkAuthentication,
  deliverChallenge as deliver,
} from '../authentication/steps.ts'
import type { Authentication, AuthenticationOptions, Handshake } from '../authentication/steps.ts'
import { checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { TimeoutError, invalidArgumentType } from '../base/errors.ts'
import { checkLimits, syncNames, waitNames } from '../base/limits.ts'
import type { Blocking, WaitOptions } from '../base/limits.ts'
import { Connection, channelOf } from './connection.ts'

/** How half of a handshake is done. `timeout` is 10000 where none is given. */
export interface ChallengeOptions extends Omit<AuthenticationOptions, 'authKey'>, WaitOptions {}

const challengeNames: Names<ChallengeOptions> = { ...waitNames, minDigest: true }
const challengeSyncNames: Names<Blocking<ChallengeOptions>> = { ...syncNames, minDigest: true }

type Steps = (authentication: Authentication) => Handshake

/**
 * Has the peer prove that it has the key: half of the handshake, for connections that no `connect` or `Listener` made,
 * such as those over a stream. A listener delivers, then answers; a client answers, then delivers. Where it fails, in
 * whatever way, the connection is of no more use. Python's `multiprocessing.connection.deliver_challenge`.
 *
 * @throws {@link AuthenticationError} if it has not; {@link TimeoutError}, {@link AbortError}; what sends and receives
 *   throw; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`.
 */
export function deliverChallenge(
  connection: Connection,
  authKey: Uint8Array | string,
  options?: ChallengeOptions,
): Promise<void> {
  return half('deliverChallenge', deliver, connection, authKey, options)
}

/** As {@link deliverChallenge}, blocking. Not over a stream (`ERR_INVALID_STATE`). */
export function deliverChallengeSync(
  connection: Connection,
  authKey: Uint8Array | string,
  options?: Blocking<ChallengeOptions>,
): void {
  halfSync('deliverChallengeSync', deliver, connection, authKey, options)
}

/**
 * Proves to the peer that we have the key: the other half. Python's `multiprocessing.connection.answer_challenge`.
 *
 * @throws {@link AuthenticationError} if the peer says no, or asks for too weak a digest; otherwise as
 *   {@link deliverChallenge}.
 */
export function answerChallenge(
  connection: Connection,
  authKey: Uint8Array | string,
  options?: ChallengeOptions,
): Promise<void> {
  return half('answerChallenge', answer, connection, authKey, options)
}

/** As {@link answerChallenge}, blocking. Not over a stream (`ERR_INVALID_STATE`). */
export function answerChallengeSync(
  connection: Connection,
  authKey: Uint8Array | string,
  options?: Blocking<ChallengeOptions>,
): void {
  halfSync('answerChallengeSync', answer, connection, authKey, options)
}

async function half(
  call: string,
  steps: Steps,
  connection: Connection,
  authKey: Uint8Array | string,
  options: ChallengeOptions | undefined,
): Promise<void> {
  checkOptions(options, challengeNames)
  const authentication = check(connection, authKey, options)
  const limits = checkLimits(options, HANDSHAKE_TIMEOUT)
  const { limit, maxMessageSize } = limitsOf(connection)
  const timedOut = (): Error => silence(call, limits.timeout)
  await authenticate(connection, limit, steps(authentication), maxMessageSize, limits, timedOut)
}

function halfSync(
  call: string,
  steps: Steps,
  connection: Connection,
  authKey: Uint8Array | string,
  options: Blocking<ChallengeOptions> | undefined,
): void {
  checkOptions(options, challengeSyncNames)
  const authentication = check(connection, authKey, options)
  const { timeout } = checkLimits(options, HANDSHAKE_TIMEOUT)
  const { limit, maxMessageSize } = limitsOf(connection)
  try {
    authenticateSync(connection, limit, steps(authentication), maxMessageSize, performance.now() + timeout)
  } catch (error) {
    throw error instanceof TimeoutError ? silence(call, timeout) : error
  }
}

function check(connection: unknown, authKey: Uint8Array | string, options: ChallengeOptions = {}): Authentication {
  if (!(connection instanceof Connection)) throw invalidArgumentType('connection', 'a Connection', connection)
  const authentication = checkAuthentication({ authKey, minDigest: options.minDigest })
  if (authentication === undefined) throw invalidArgumentType('authKey', 'a string or Uint8Array', undefined)
  return authentication
}

function limitsOf(connection: Connection): { limit: (size: number) => void; maxMessageSize: number } {
  const channel = channelOf(connection)
  return { limit: (size) => channel.limitMessages(size), maxMessageSize: channel.settings.maxMessageSize }
}

function silence(call: string, timeout: number): TimeoutError {
  return new TimeoutError(call, timeout, 'the peer takes no part in the handshake')
}
