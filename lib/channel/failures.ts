import { CodedError, EOFError, FdsCountError, invalidState, withoutFrames } from '../base/errors.ts'
import { errorOf, native } from '../native/binding.ts'

const { BUSY, DESCRIPTORS_TRUNCATED, DESCRIPTOR_COUNT, MEMORY_GONE, MESSAGE_TRUNCATED, PROTOCOL_ERROR } = native

/** What a message was too large for. */
interface Exceeded {
  /** Bytes. */
  readonly limit: number
  /** Where that is from. */
  readonly name: string
}

/** The error of a message of `length` bytes. */
export function tooLarge(length: number, { limit, name }: Exceeded): Error {
  const message = `A message of ${length} bytes is over the ${name} of ${limit}`
  return new CodedError('ERR_MESSAGE_TOO_LARGE', message + guess(length))
}

/** What the peer may speak, by the four bytes that were read as a length. */
function guess(length: number): string {
  if (length > 0x7fffffff) return ''
  const header = Buffer.alloc(4)
  header.writeUInt32BE(length)
  // The start of a handshake record.
  if (header[0] === 0x16 && header[1] === 3) return '; its header is that of TLS: the peer may speak that'
  if (!header.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d)) return ''
  return `; its header reads ${JSON.stringify(header.toString())}: the peer may speak HTTP or another text protocol`
}

/** The error of a receive that gave `code`, with the length or count that it reported. */
export function failureOf(code: number, count: number): Error {
  switch (code) {
    case MESSAGE_TRUNCATED:
      return new CodedError('ERR_MESSAGE_TRUNCATED', 'The peer closed the connection inside a message')
    case MEMORY_GONE:
      return invalidState('The buffer was transferred away while a message was written into it')
    case BUSY:
      return invalidState('A message was received in part; receive the rest of it first')
    case PROTOCOL_ERROR:
      return new CodedError(
        'ERR_PROTOCOL',
        'What the peer sent is not a message: a negative length, or descriptors that have no place',
      )
    case DESCRIPTOR_COUNT:
      return new FdsCountError(count)
    case DESCRIPTORS_TRUNCATED:
      return new CodedError('ERR_FDS_TRUNCATED', 'Descriptors were lost on the way in: too many files are open')
    default:
      return errorOf(code)
  }
}

/** The end, found out by the event loop. */
export function endOfStream(): Error {
  return withoutFrames(() => new EOFError())
}
