import type * as Crypto from 'node:crypto'
import type { Names } from '../base/arguments.ts'
import { AuthenticationError, EOFError, invalidArgumentType, invalidArgumentValue, sayMore } from '../base/errors.ts'

/**
 * The weakest digest to take part in: `'md5'` takes all that Python does, `'sha256'` takes sha256, sha384, sha3_256 and
 * sha3_384, and refuses MD5, named or not.
 */
export type MinDigest = 'md5' | 'sha256'

/** How both ends prove to each other that they have the same key. */
export interface AuthenticationOptions {
  /**
   * The secret both ends have; a string is its UTF-8 bytes. Without one nothing is proven; an empty one is a key too.
   * Python's `authkey`.
   */
  readonly authKey?: Uint8Array | string | undefined
  /**
   * `'sha256'` refuses MD5 in what the peer asks for and in what it answers, and so Python before 3.12.
   * @defaultValue `'md5'`
   */
  readonly minDigest?: MinDigest | undefined
}

export const authenticationNames: Names<AuthenticationOptions> = { authKey: true, minDigest: true }

/** Checked {@link AuthenticationOptions} with a key, which nothing shows. */
export interface Authentication {
  readonly key: Crypto.KeyObject
  readonly minDigest: MinDigest
}

/** What a handshake needs next: to send a message, or to receive one of so many bytes at the most. */
export type HandshakeStep = { readonly send: Buffer } | { readonly receive: number }

/**
 * A handshake, step by step, without I/O: `next` is given what was received, `throw` the error of a step that failed. It
 * ends when the peer has proven the key, and throws an {@link AuthenticationError} when it has not.
 */
export type Handshake = Generator<HandshakeStep, void, Buffer>

/** Milliseconds that a handshake may take where nothing else is asked for. */
export const HANDSHAKE_TIMEOUT = 10_000

/** Bytes that a message of a handshake may have. */
export const MAX_HANDSHAKE_MESSAGE = 256

/** Loaded with the first key, which most programs do without. */
const crypto = (): typeof Crypto => process.getBuiltinModule('node:crypto')

/** The digests of Python's handshake by its names, and as `node:crypto` names them. */
const digests = {
  md5: 'md5',
  sha256: 'sha256',
  sha384: 'sha384',
  sha3_256: 'sha3-256',
  sha3_384: 'sha3-384',
} as const
type Digest = keyof typeof digests
const digestNames = Object.keys(digests) as Digest[]

const CHALLENGE = Buffer.from('#CHALLENGE#')
const WELCOME = Buffer.from('#WELCOME#')
const FAILURE = Buffer.from('#FAILURE#')

/** Random bytes of our challenges, behind the name of the digest. */
const NONCE_LENGTH = 40
/** A challenge has at least the random bytes of Python before 3.12. */
const MIN_CHALLENGE_LENGTH = 20
/** An MD5 and a challenge of Python before 3.12 have these lengths, and no name in front. */
const UNNAMED_LENGTHS: readonly number[] = [16, 20]

/** Checks {@link AuthenticationOptions}; undefined without a key. */
export function checkAuthentication(options: AuthenticationOptions = {}): Authentication | undefined {
  const { authKey, minDigest = 'md5' } = options
  if (minDigest !== 'md5' && minDigest !== 'sha256') {
    throw invalidArgumentValue('options.minDigest', "must be 'md5' or 'sha256'")
  }
  if (authKey === undefined) return undefined
  if (typeof authKey !== 'string' && !(authKey instanceof Uint8Array)) {
    throw invalidArgumentType('options.authKey', 'a string or Uint8Array', authKey)
  }
  return { key: crypto().createSecretKey(Buffer.from(authKey)), minDigest }
}

/** A listener's handshake: the client proves the key first. */
export function* deliverThenAnswer(authentication: Authentication): Handshake {
  yield* deliverChallenge(authentication)
  yield* answerChallenge(authentication)
}

/** A client's handshake: it proves the key first. */
export function* answerThenDeliver(authentication: Authentication): Handshake {
  yield* answerChallenge(authentication)
  yield* deliverChallenge(authentication)
}

/** Has the peer prove the key. Python's `deliver_challenge`. */
export function* deliverChallenge(authentication: Authentication): Handshake {
  const message = Buffer.concat([Buffer.from('{sha256}'), crypto().randomBytes(NONCE_LENGTH)])
  yield { send: Buffer.concat([CHALLENGE, message]) }
  const response = yield { receive: MAX_HANDSHAKE_MESSAGE }
  try {
    verifyResponse(authentication, message, response)
  } catch (error) {
    try {
      yield { send: FAILURE }
    } catch {
      // The peer does not wait for it.
    }
    throw error
  }
  yield { send: WELCOME }
}

/** Whether a message asks for a proof of the key. */
export function isChallenge(message: Buffer): boolean {
  return message.subarray(0, CHALLENGE.length).equals(CHALLENGE)
}

/** What a listener sends first, unless it wants nothing of this client. */
function* firstMessage(): Generator<HandshakeStep, Buffer, Buffer> {
  try {
    return yield { receive: MAX_HANDSHAKE_MESSAGE }
  } catch (error) {
    if (error instanceof EOFError) sayMore(error, ' before its challenge: it may refuse this client')
    throw error
  }
}

/** Proves the key to the peer. Python's `answer_challenge`. */
export function* answerChallenge(authentication: Authentication): Handshake {
  const challenge = yield* firstMessage()
  if (!isChallenge(challenge)) {
    throw new AuthenticationError('The peer sent no challenge: it may have no authKey')
  }
  const message = challenge.subarray(CHALLENGE.length)
  if (message.length < MIN_CHALLENGE_LENGTH) {
    throw new AuthenticationError(`The challenge of ${message.length} bytes is too short`)
  }
  yield { send: createResponse(authentication, message) }
  const verdict = yield { receive: MAX_HANDSHAKE_MESSAGE }
  if (!verdict.equals(WELCOME)) throw new AuthenticationError('The peer did not accept the authKey')
}

/** What proves the key: a MAC of the whole challenge, its name included, behind the name the challenge has. */
export function createResponse({ key, minDigest }: Authentication, message: Buffer): Buffer {
  const { digest, named } = parse(message, minDigest)
  const mac = hmac(digest, key, message)
  if (mac !== undefined) return named ? withName(digest, mac) : mac
  // Like Python where FIPS rules out MD5; a peer that knows no names will not accept it.
  const substitute = named ? undefined : hmac('sha256', key, message)
  if (substitute === undefined) throw unavailable(digest)
  return withName('sha256', substitute)
}

/** Whether a response proves the key; it may be made with another digest than the challenge asked for. */
export function verifyResponse({ key, minDigest }: Authentication, message: Buffer, response: Buffer): void {
  const { digest, payload } = parse(response, minDigest)
  const expected = hmac(digest, key, message)
  if (expected === undefined) throw unavailable(digest)
  if (payload.length !== expected.length) {
    throw new AuthenticationError(`The ${digest} of the peer has ${payload.length} bytes, not ${expected.length}`)
  }
  if (!crypto().timingSafeEqual(payload, expected)) throw new AuthenticationError('The peer has another authKey')
}

/** The digest that a challenge asks for, or that a response is made with. */
function parse(message: Buffer, minDigest: MinDigest): { digest: Digest; named: boolean; payload: Buffer } {
  const named = !UNNAMED_LENGTHS.includes(message.length)
  const digest = named ? digestNames.find((name) => hasName(message, name)) : 'md5'
  if (digest === undefined) throw new AuthenticationError('The peer uses no digest that is known here')
  if (digest === 'md5' && minDigest !== 'md5') {
    throw new AuthenticationError(`The peer uses md5; the options ask for ${minDigest} or better`)
  }
  return { digest, named, payload: named ? message.subarray(digest.length + 2) : message }
}

function hasName(message: Buffer, name: Digest): boolean {
  return message.toString('latin1', 0, name.length + 2) === `{${name}}`
}

function withName(digest: Digest, mac: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{${digest}}`), mac])
}

/** Undefined where the digest is not to be had: MD5 under FIPS. */
function hmac(digest: Digest, key: Crypto.KeyObject, message: Buffer): Buffer | undefined {
  try {
    return crypto().createHmac(digests[digest], key).update(message).digest()
  } catch {
    return undefined
  }
}

function unavailable(digest: Digest): AuthenticationError {
  return new AuthenticationError(`The peer uses ${digest}, which this Node has not`)
}
