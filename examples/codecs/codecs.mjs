// Codecs of one's own: objects with encode(value) -> bytes and decode(bytes) -> value.
import { fileURLToPath } from 'node:url'
import * as msgpack from '@msgpack/msgpack'
import protobuf from 'protobufjs'

/** MessagePack has no schema: any value that it can express goes. */
export const messagePack = {
  encode: (value) => msgpack.encode(value),
  decode: (data) => msgpack.decode(data),
}

const root = await protobuf.load(fileURLToPath(new URL('reading.proto', import.meta.url)))
const Reading = root.lookupType('Reading')

/** A Protocol Buffers message does not say what it is: a connection carries one type. */
export const protocolBuffers = {
  encode(value) {
    const problem = Reading.verify(value)
    if (problem !== null) throw new TypeError(problem)
    return Reading.encode(value).finish()
  },
  decode: (data) => Reading.toObject(Reading.decode(data)),
}

export const codecs = { messagePack, protocolBuffers }
