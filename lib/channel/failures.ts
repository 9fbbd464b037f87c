import { CodedError, EOFError, FdsCountError, invalidState, withoutFrames } from '../base/errors.ts'
import { errorOf, native } from '../native/binding.ts'

const {
  BUSY,
  DESCRIPTORS_TRUNCATED,
  DESCRIPTOR_COUNT,
  MEMORY_GONE,
  MESSAGE_TOO_LARGE,
  MESSAGE_TRUNCATED,
  PROTOCOL_ERROR,
} = native

/** The error of a receive that gave `code`, with the length or count that it reported. */
export function failureOf(code: number, count: number): Error {
  switch (code) {
    case MESSAGE_TRUNCATED:
      return new CodedError('ERR_MESSAGE_TRUNCATED', 'The peer closed the connection inside a message')
    case MESSAGE_TOO_LARGE:
      return new CodedError('ERR_MESSAGE_TOO_LARGE', `A message of ${count} bytes is over the limit`)
    case MEMORY_GONE:
      return invalidState('The buffer was transferred away while a message was written into it')
    case BUSY:
      return invalidState('A message was received in part; receive the rest of it first')
    case PROTOCOL_ERROR:
      return new CodedError('ERR_PROTOCOL', 'What the peer sent is not a message')
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
