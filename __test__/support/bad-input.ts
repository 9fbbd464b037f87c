import { extendedHeader, frame, header } from './bytes.ts'

export interface BadInput {
  readonly title: string
  readonly bytes: Buffer
  /** Whether the peer closes after its bytes. */
  readonly closes: boolean
  readonly code: string
}

const OVER_DEFAULT_LIMIT = 256 * 1024 * 1024 + 1

function truncated(title: string, bytes: Buffer): BadInput {
  return { title, bytes, closes: true, code: 'ERR_MESSAGE_TRUNCATED' }
}

function refused(title: string, bytes: Buffer, code: string): BadInput {
  return { title, bytes, closes: false, code }
}

/** What a peer may do wrong with bytes alone, and the error a receive gets for it. */
export const badInputs: readonly BadInput[] = [
  { title: 'the end of the stream between messages', bytes: Buffer.alloc(0), closes: true, code: 'ERR_EOF' },
  truncated('the end of the stream after 1 byte of a header', header(5).subarray(0, 1)),
  truncated('the end of the stream after 3 bytes of a header', header(5).subarray(0, 3)),
  truncated('the end of the stream after a header', header(5)),
  truncated('the end of the stream inside a body', frame('12345').subarray(0, 8)),
  truncated('the end of the stream inside a large body', frame(Buffer.alloc(1 << 20)).subarray(0, 100_000)),
  truncated('the end of the stream after the first part of an extended header', extendedHeader(5n).subarray(0, 4)),
  truncated('the end of the stream inside an extended header', extendedHeader(5n).subarray(0, 11)),
  truncated('the end of the stream after an extended header', extendedHeader(5n)),
  refused('a header of -2', header(-2), 'ERR_PROTOCOL'),
  refused('a header of -2 ** 31', header(-(2 ** 31)), 'ERR_PROTOCOL'),
  refused('a header over maxMessageSize', header(OVER_DEFAULT_LIMIT), 'ERR_MESSAGE_TOO_LARGE'),
  refused('a header of 2 ** 31 - 1', header(2 ** 31 - 1), 'ERR_MESSAGE_TOO_LARGE'),
  refused('an extended header of 2 ** 31', extendedHeader(2n ** 31n), 'ERR_MESSAGE_TOO_LARGE'),
  refused('an extended header of 2 ** 53 + 1', extendedHeader(2n ** 53n + 1n), 'ERR_MESSAGE_TOO_LARGE'),
  refused('an extended header of 2 ** 63', extendedHeader(2n ** 63n), 'ERR_MESSAGE_TOO_LARGE'),
  refused('an extended header of 2 ** 64 - 1', extendedHeader(2n ** 64n - 1n), 'ERR_MESSAGE_TOO_LARGE'),
]
