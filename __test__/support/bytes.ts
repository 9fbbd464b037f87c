/** Bytes that tell a shifted, repeated or reordered piece from the right one. */
export function pattern(size: number, seed: number = 1): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  let state = seed >>> 0
  const words = size >>> 2
  for (let index = 0; index < words; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, index * 4)
  }
  for (let index = words * 4; index < size; index++) bytes[index] = index & 0xff
  return bytes
}

/** A 4-byte header as Python writes it, of any signed value. */
export function header(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(length)
  return bytes
}

/** The 12-byte header of bodies over 0x7fffffff, accepted for any length. */
export function extendedHeader(length: bigint): Buffer {
  const bytes = Buffer.alloc(12, 0xff)
  bytes.writeBigUInt64BE(length, 4)
  return bytes
}

export function frame(body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([header(bytes.length), bytes])
}
