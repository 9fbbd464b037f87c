import { realm } from '../native/environment.ts'
import { native } from '../native/binding.ts'

/** Small messages share a buffer of this size: one that is kept keeps all of it. */
const SLAB = 16 * 1024
/** Its size where the last call took more than half of that: so many messages are not kept for long. */
const LARGE_SLAB = 64 * 1024
/** Messages up to this size are put there. */
const POOLED = 4 * 1024

/** How many messages one native call takes at the most. */
const MESSAGES_PER_CALL = 256

/** The lengths of the messages that a native call put into the shared buffer. */
export const lengths: Uint32Array = new Uint32Array(MESSAGES_PER_CALL)

type View = new (memory: ArrayBufferLike, offset: number, length: number) => Buffer
/** What Buffer's methods make their results with: half the time of `Buffer.from()`, a third of `subarray()`. */
const View = (Buffer as unknown as { readonly [Symbol.species]: View })[Symbol.species]

/** None until something is received. */
let slab: Buffer = Buffer.alloc(0)
let memory: ArrayBufferLike = slab.buffer
let used = 0
/** What was used when the last call began. */
let began = 0

function allocate(size: number): void {
  slab = Buffer.allocUnsafeSlow(size)
  memory = slab.buffer
  used = 0
  // Transferring one message's memory would take that of the others along.
  process.getBuiltinModule('node:worker_threads').markAsUntransferable(memory)
  native.registerSlab(realm, slab, lengths)
}

/** Where in the shared buffer the next call is to put messages. */
export function slabOffset(): number {
  // ArrayBuffer.prototype.transfer() takes it away all the same: the length is 0 then.
  if (slab.length - used < POOLED) allocate(used - began > SLAB / 2 ? LARGE_SLAB : SLAB)
  began = used
  return used
}

/** Takes the `length` bytes where the call began to put them, or behind those taken before. */
export function claim(length: number): Buffer {
  const start = used
  used += (length + 7) & ~7
  return new View(memory, start, length)
}

/** Takes those behind the first of the `count` messages, in reverse. */
export function claimBehind(count: number): Buffer[] {
  const buffers: Buffer[] = []
  for (let index = 1; index < count; index++) buffers.push(claim(lengths[index] as number))
  return buffers.reverse()
}
