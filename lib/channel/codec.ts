import { isChallenge } from '../authentication/steps.ts'
import { AuthenticationError, CodedError, invalidArgumentType, invalidArgumentValue } from '../base/errors.ts'

/**
 * How `send` and `recv` turn values into messages: `'json'` (UTF-8), `'v8'` (Node's structured clone format, for Node
 * peers that are trusted), or functions of your own. What `encode` throws rejects the call, what `decode` throws is the
 * `cause` of an `ERR_DECODE`; the connection stays usable.
 */
export type Codec<Value = unknown> = 'json' | 'v8' | CustomCodec<Value>

/** A codec of your own. What it decodes and encodes is what `recv` and `send` take and give. */
export interface CustomCodec<Value = unknown> {
  /** The message for a value. */
  readonly encode: (value: Value) => Uint8Array
  /** The value of a message, whose memory is the codec's to keep. */
  readonly decode: (data: Buffer) => Value
}

const json: CustomCodec = {
  encode(value) {
    const text = expressed(() => JSON.stringify(value) as string | undefined, 'JSON')
    if (text === undefined) throw invalidArgumentType('value', 'something that JSON can express', value)
    return Buffer.from(text)
  },
  decode(data) {
    return JSON.parse(data.toString())
  },
}

const v8: CustomCodec = {
  encode: (value) => expressed(() => process.getBuiltinModule('node:v8').serialize(value), "Node's clone format"),
  decode: (data) => process.getBuiltinModule('node:v8').deserialize(data),
}

/** What `encode` gives, or says that the format has no such value. */
function expressed<T>(encode: () => T, format: string): T {
  try {
    return encode()
  } catch (cause) {
    // What a toJSON or getter of the caller's throws is the caller's. V8 has no class for what cannot be cloned.
    if (!(cause instanceof TypeError || (cause instanceof Error && /\bcloned\b/.test(cause.message)))) throw cause
    throw invalidArgumentValue('value', `cannot be expressed in ${format}: ${cause.message}`, { cause })
  }
}

/** The value of a message. */
export function decode(codec: CustomCodec, data: Buffer): unknown {
  try {
    return codec.decode(data)
  } catch (cause) {
    throw undecodable(data, cause)
  }
}

/** The first byte of what Python's pickle makes. */
const PICKLE = 0x80
/** Bytes of a message that its error shows. */
const SHOWN = 24

function undecodable(data: Buffer, cause: unknown): Error {
  if (isChallenge(data)) {
    return new AuthenticationError('The peer wants authentication: connect with its authKey', { cause })
  }
  const message =
    data[0] === PICKLE
      ? "The message is a pickle, as Python's send() makes it, which is not decoded here: there use " +
        'send_bytes(json.dumps(value).encode()), or recvBytes() here'
      : `The codec does not decode the message of ${data.length} bytes, ${glimpse(data)}`
  return new CodedError('ERR_DECODE', message, { cause })
}

/** How bytes begin, as text where they are. */
function glimpse(data: Buffer): string {
  if (data.length === 0) return 'which is empty'
  const start = data.subarray(0, SHOWN)
  const isText = start.every((byte) => byte >= 0x20 && byte < 0x7f)
  return `which begins ${isText ? JSON.stringify(start.toString()) : start.toString('hex')}`
}

export function checkCodec(codec: unknown, name: string): CustomCodec {
  if (codec === undefined || codec === 'json') return json
  if (codec === 'v8') return v8
  if (typeof codec === 'string') throw invalidArgumentValue(name, "is neither 'json' nor 'v8'")
  const { encode, decode } = (codec ?? {}) as Partial<CustomCodec>
  if (typeof encode !== 'function' || typeof decode !== 'function') {
    throw invalidArgumentType(name, "'json', 'v8' or an object with encode and decode", codec)
  }
  return codec as CustomCodec
}
