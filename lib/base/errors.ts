import { nearest } from './nearest.ts'

/** Puts `name` on the prototype: as a property of its own it would turn up in structured logs. */
function named(errorClass: abstract new (...args: never[]) => Error): void {
  Object.defineProperty(errorClass.prototype, 'name', { value: errorClass.name, writable: true, configurable: true })
}

/**
 * Makes an error of what the event loop found out. The frames of its stack would all be ours, and finding them takes
 * longer than all else that the end of a connection does.
 */
export function withoutFrames<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error
  // False where somebody froze it.
  Reflect.set(Error, 'stackTraceLimit', 0)
  const error = make()
  Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  return error
}

/** The peer closed between messages. Python's `EOFError`. */
export class EOFError extends Error {
  readonly code = 'ERR_EOF'
  static {
    named(this)
  }
  constructor() {
    super('The peer closed the connection')
  }
}

/**
 * The message is longer than the buffer given; it has left the connection and {@link data} is all of it. Python's
 * `multiprocessing.BufferTooShort`.
 */
export class BufferTooShort extends Error {
  readonly code = 'ERR_BUFFER_TOO_SHORT'
  /** The complete message. */
  readonly data: Buffer
  static {
    named(this)
  }
  constructor(data: Buffer) {
    super(`The message of ${data.length} bytes does not fit the buffer; it is in error.data`)
    this.data = data
  }
}

/**
 * A peer with another key or none, a digest that is too weak or unknown, or a refusal by `verifyPeer`. Python's
 * `AuthenticationError`.
 */
export class AuthenticationError extends Error {
  readonly code = 'ERR_AUTHENTICATION'
  static {
    named(this)
  }
}

/**
 * The time allowed by `timeout` is over. Nothing was lost: the call can be made again, but for a Sync send, whose message
 * stays queued and leaves later.
 */
export class TimeoutError extends Error {
  readonly code = 'ERR_TIMEOUT'
  static {
    named(this)
  }
  /** `likely` says what may be the cause. */
  constructor(call: string, milliseconds: number, likely = '') {
    super(`${call} timed out after ${milliseconds} ms${likely && `: ${likely}`}`)
  }
}

/** The signal was aborted; `cause` is its reason. Nothing was lost: the call can be made again. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR'
  static {
    named(this)
  }
  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason })
  }
}

/** An error told by its `code` alone. */
export class CodedError extends Error {
  readonly code: string
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'Error', writable: true, configurable: true })
    // That of the class is what is printed of an error: nobody knows it.
    Object.defineProperty(this, 'name', { value: 'Error' })
  }
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

function withCode<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code })
}

export function invalidArgumentType(name: string, expected: string, value: unknown): TypeError {
  const received = value === null || value === undefined ? String(value) : typeof value
  return withCode(new TypeError(`${name} must be ${expected}, not ${received}`), 'ERR_INVALID_ARG_TYPE')
}

export function invalidArgumentValue(name: string, message: string, options?: ErrorOptions): TypeError {
  return withCode(new TypeError(`${name} ${message}`, options), 'ERR_INVALID_ARG_VALUE')
}

/** Of an object that has a name none of the `known` ones. */
export function unknownName(object: string, name: string, known: readonly string[]): TypeError {
  const meant = nearest(name, known)
  const help = meant === undefined ? `known are ${known.join(', ')}` : `did you mean ${meant}?`
  return invalidArgumentValue(`${object}.${name}`, `is not known here; ${help}`)
}

export function outOfRange(name: string, range: string, value: unknown): RangeError {
  return withCode(new RangeError(`${name} must be ${range}, not ${String(value)}`), 'ERR_OUT_OF_RANGE')
}

export function closedError(what: string): CodedError {
  return new CodedError('ERR_CLOSED', `${what.endsWith(']') ? '' : 'The '}${what} is closed`)
}

export function invalidState(message: string): CodedError {
  return new CodedError('ERR_INVALID_STATE', message)
}

export function invalidFdType(message: string): TypeError {
  return withCode(new TypeError(message), 'ERR_INVALID_FD_TYPE')
}

/** Of a class whose objects only the library makes, by what is said. */
export function illegalConstructor(name: string, makers: string): TypeError {
  return withCode(
    new TypeError(`${/^[AEIOU]/.test(name) ? 'An' : 'A'} ${name} is not made with new but by ${makers}`),
    'ERR_ILLEGAL_CONSTRUCTOR',
  )
}

/** The descriptors of a handle record are none, too many, or not as many as it says. All are closed. */
export class FdsCountError extends CodedError {
  declare readonly code: 'ERR_FDS_COUNT'
  /** How many descriptors came. */
  readonly received: number
  static {
    named(this)
  }
  constructor(received: number) {
    super(
      'ERR_FDS_COUNT',
      received === 0
        ? 'No descriptor came where one should: the peer may have sent a message, whose first byte is lost'
        : `A handle record came with ${received} descriptors, not with as many as it should`,
    )
    this.received = received
  }
}

/** Adds to what an error says. */
export function sayMore(error: Error, more: string): void {
  const { message, stack } = error
  error.message = `${message}${more}`
  if (stack !== undefined) error.stack = stack.replace(message, error.message)
}

const classes = [EOFError, BufferTooShort, AuthenticationError, TimeoutError, AbortError, CodedError]

/** Replaces the stack of an error of ours by the present one, without `above` and what it was called from. */
export function retrace(error: unknown, above: (...args: never[]) => unknown): void {
  if (!(error instanceof Error) || !('syscall' in error || classes.some((made) => error instanceof made))) return
  if (Object.isExtensible(error)) Error.captureStackTrace(error, above)
}

/** What a system call was about. */
export interface SystemErrorDetails {
  readonly path?: string | undefined
  readonly address?: string | undefined
  readonly port?: number | undefined
  /** What is likely, or to be done; by the error's code. */
  readonly hint?: ((code: string) => string | undefined) | undefined
}

/** A failed system call, as `node:net` and `node:fs` report it. */
export interface SystemError extends Error {
  /** Such as `ECONNRESET`. */
  code: string
  /** Negative. */
  errno: number
  /** Such as `sendmsg`. */
  syscall: string
  path?: string
  /** Path or host. */
  address?: string
  port?: number
}

let systemErrors: Map<number, [string, string]> | undefined

/** Where Node has no name for it. */
const TOO_MANY_REFERENCES = process.platform === 'linux' ? 109 : 59

/** The name of an error number (negative), and what it says. */
function nameOf(errno: number): [string, string] {
  systemErrors ??= process.getBuiltinModule('node:util').getSystemErrorMap()
  const known = systemErrors.get(errno)
  if (known !== undefined) return known
  if (errno === -TOO_MANY_REFERENCES)
    return ['ETOOMANYREFS', 'too many descriptors that nobody has received are under way']
  const [name] =
    Object.entries(process.getBuiltinModule('node:os').constants.errno).find(([, number]) => number === -errno) ?? []
  return [name ?? `Unknown system error ${errno}`, '']
}

/** Builds the error of a system call that gave `errno` (negative). */
export function systemError(errno: number, syscall: string, details: SystemErrorDetails = {}): SystemError {
  const [code, description] = nameOf(errno)
  const { path, address, port } = details
  const where = address ?? path
  const subject = where === undefined ? '' : ` ${where}${port === undefined ? '' : `:${port}`}`
  const hint = details.hint?.(code) ?? ''
  const error = new Error(`${syscall} ${code}${subject || (description && `, ${description}`)}${hint && `: ${hint}`}`)
  Error.captureStackTrace(error, systemError)
  return Object.assign(error, {
    errno,
    code,
    syscall,
    ...(path !== undefined && { path }),
    ...(address !== undefined && { address }),
    ...(port !== undefined && { port }),
  })
}

/** A host that has no address, as `node:dns` reports it. */
export function unknownHost(hostname: string): Error {
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`)
  return Object.assign(error, { errno: -3008, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname })
}
