import { native } from '../native/binding.ts'

/** A large body gets its whole buffer only once this much of it is here, and 16 times what is here at a time. */
export const UNPROVEN: number = 1024 * 1024

/** From this size on fresh memory costs more than what is copied into it, so that of collected messages is used again. */
const POOLED = 128 * 1024
/** Milliseconds after which pooled memory that was not needed goes back to the system. */
const IDLE = 10_000

let trimming = false

function trimLater(): void {
  setTimeout(() => {
    trimming = native.poolTrim()
    if (trimming) trimLater()
  }, IDLE).unref()
}

function allocate(length: number): Buffer {
  const pooled = length < POOLED ? null : native.poolTake(length)
  if (pooled === null) return Buffer.allocUnsafeSlow(length)
  if (!trimming) {
    trimming = true
    trimLater()
  }
  return pooled
}

/** For a body that is expected and did not come yet. */
let spare: Buffer | undefined

/** Memory that a body of this length may be read into before it is known to be one; none while another length is expected. */
export function spareBody(length: number): Buffer | undefined {
  spare ??= allocate(length)
  return spare.length === length ? spare : undefined
}

/** Memory for a body, which goes to the caller: the spare one where that fits. */
export function takeBody(length: number): Buffer {
  const body = spare?.length === length ? spare : allocate(length)
  // One that does not fit would keep those of other lengths from being expected.
  spare = undefined
  return body
}
