import type { CustomCodec } from '../../index.ts'

/** Values that are their messages. */
export const plain: CustomCodec = { encode: (value) => value as Uint8Array, decode: (data) => data }
