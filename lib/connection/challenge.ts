import { authenticate } from '../authentication/drive.ts'
import { answerChallenge as answer, checkAuthentication, deliverChallenge as deliver } from '../authentication/steps.ts'
import type { AuthenticationOptions, Handshake } from '../authentication/steps.ts'
import { Connection, channelOf } from './connection.ts'
import { checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { invalidArgumentType } from '../base/errors.ts'

type ChallengeOptions = Omit<AuthenticationOptions, 'authKey'>

const challengeNames: Names<ChallengeOptions> = { minDigest: true }

/**
 * Has the peer prove that it has the key: half of the handshake, for connections that no `connect` or `Listener` made,
 * such as those over a stream. A listener delivers, then answers; a client answers, then delivers. Python's
 * `multiprocessing.connection.deliver_challenge`.
 *
 * @throws {@link AuthenticationError} if it has not; what sends and receives throw; `ERR_INVALID_ARG_TYPE`,
 *   `ERR_INVALID_ARG_VALUE`.
 */
export function deliverChallenge(
  connection: Connection,
  authKey: Uint8Array | string,
  options?: ChallengeOptions,
): Promise<void> {
  return half(connection, deliver, authKey, options)
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
  return half(connection, answer, authKey, options)
}

async function half(
  connection: Connection,
  steps: (authentication: NonNullable<ReturnType<typeof checkAuthentication>>) => Handshake,
  authKey: Uint8Array | string,
  options: ChallengeOptions | undefined,
): Promise<void> {
  if (!(connection instanceof Connection)) throw invalidArgumentType('connection', 'a Connection', connection)
  checkOptions(options, challengeNames)
  const authentication = checkAuthentication({ ...options, authKey })
  if (authentication === undefined) throw invalidArgumentType('authKey', 'a string or Uint8Array', undefined)
  const channel = channelOf(connection)
  const limit = (size: number): void => channel.limitMessages(size)
  await authenticate(connection, limit, steps(authentication), channel.settings.maxMessageSize)
}
