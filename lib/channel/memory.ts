import { native } from '../native/binding.ts'

/** From this size on fresh memory costs more than what is copied into it, so that of collected messages is used again. */
const POOLED = 128 * 1024
/** Milliseconds after which pooled memory that was not needed goes back to the system. */
const IDLE = 10_000

/**
 * Pooled memory comes back when the thread ends that had it, while `ArrayBuffer.prototype.transfer()` may have given it to
 * another: only the main thread, which ends last, has any.
 */
let isPooled: boolean | undefined

function takePooled(length: number): Buffer | null {
  isPooled ??= process.getBuiltinModule('node:worker_threads').isMainThread
  return isPooled && length >= POOLED ? native.poolTake(length) : null
}

let trimming = false

function trimLater(): void {
  setTimeout(() => {
    trimming = native.poolTrim()
    if (trimming) trimLater()
  }, IDLE).unref()
}

/** Memory for a large message, which goes to who receives it. */
export function allocate(length: number): Buffer {
  const pooled = takePooled(length)
  if (pooled === null) return Buffer.allocUnsafeSlow(length)
  if (!trimming) {
    trimming = true
    trimLater()
  }
  return pooled
}
