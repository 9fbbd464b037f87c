import type * as Binding from '../../binding.cjs'
import { CodedError, systemError } from '../base/errors.ts'
import type { SystemErrorDetails } from '../base/errors.ts'
import { load } from './load.ts'

/** The compiled part: numbers in, numbers out. */
export const native: typeof Binding = load()

/** Its calls that are made once per message. */
export const hot: ReturnType<typeof native.hot> = native.hot()

/** How many reasons a subject's codes have room for; see `codes.rs`. */
const REASONS = 0x10000

/** The reason in a negative code: negative, an error number or one of the native side's own. */
export function errnoOf(code: number): number {
  return -(-code % REASONS)
}

/** The error that a negative code stands for. */
export function errorOf(code: number, details?: SystemErrorDetails): Error {
  const errno = errnoOf(code)
  const subject = native.subject(Math.trunc(-code / REASONS))
  if (errno !== -native.UNSUPPORTED) return systemError(errno, subject, details)
  return new CodedError('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `${subject} is not available on this operating system`)
}

/** The result of a native call, or the error that it stands for. */
export function checkCode(code: number, details?: SystemErrorDetails): number {
  if (code < 0) throw errorOf(code, details)
  return code
}
