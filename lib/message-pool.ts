import { realm } from './environment.ts'
import { native } from './native.ts'

/** Small messages share a buffer of this size. */
const SLAB = 16 * 1024
/** Messages up to this size are put there. */
const POOLED = 4 * 1024

/** How many messages one native call takes at the most. */
const MESSAGES_PER_CALL = 256

/** The lengths of the messages that a native call put into the room. */
export const lengths: Uint32Array = new Uint32Array(MESSAGES_PER_CALL)

/** None until something is received. */
let slab: Buffer = Buffer.alloc(0)
let used = 0

function allocate(): Buffer {
  const buffer = Buffer.allocUnsafeSlow(SLAB)
  // Transferring one message's memory would take that of the others along.
  process.getBuiltinModule('node:worker_threads').markAsUntransferable(buffer.buffer)
  native.registerRoom(realm, buffer, lengths)
  return buffer
}

/** Where in the shared buffer the next call is to put messages. */
export function roomOffset(): number {
  // ArrayBuffer.prototype.transfer() takes it away all the same: the length is 0 then.
  if (slab.length - used < POOLED) {
    slab = allocate()
    used = 0
  }
  return used
}

/** Takes the `length` bytes at the start of the room. */
export function claim(length: number): Buffer {
  const start = used
  used += (length + 7) & ~7
  return slab.subarray(start, start + length)
}
