import { invalidArgumentType, invalidArgumentValue } from '../base/errors.ts'

/**
 * How `send` and `recv` turn values into messages: `'json'` (UTF-8), `'v8'` (Node's structured clone format, for Node
 * peers that are trusted), or functions of your own. What they throw rejects the call; the connection stays usable.
 */
export type Codec = 'json' | 'v8' | CustomCodec

/** A codec of your own. */
export interface CustomCodec {
  /** The message for a value. */
  encode(value: unknown): Uint8Array
  /** The value of a message, whose memory is the codec's to keep. */
  decode(data: Buffer): unknown
}

const json: CustomCodec = {
  encode(value) {
    const text: string | undefined = JSON.stringify(value)
    if (text === undefined) throw invalidArgumentType('value', 'something that JSON can express', value)
    return Buffer.from(text)
  },
  decode(data) {
    return JSON.parse(data.toString())
  },
}

const v8: CustomCodec = {
  encode: (value) => process.getBuiltinModule('node:v8').serialize(value),
  decode: (data) => process.getBuiltinModule('node:v8').deserialize(data),
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
