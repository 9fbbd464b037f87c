import { createRequire } from 'node:module'
import type * as Binding from '../../binding.cjs'
import { CodedError, systemError } from '../base/errors.ts'

function load(): typeof Binding {
  try {
    return createRequire(import.meta.url)('../../binding.cjs') as typeof Binding
  } catch (cause) {
    const target = `${process.platform}-${process.arch}`
    throw new CodedError(
      'ERR_BINDING_NOT_FOUND',
      `No fdwire binary for ${target}; reinstall with npm install --include=optional`,
      { cause },
    )
  }
}

/** The compiled part: numbers in, numbers out. */
export const native: typeof Binding = load()

/** Its calls that are made once per message. */
export const hot: ReturnType<typeof native.hot> = native.hot()

/** The result of a native call, or the error that it stands for. */
export function checkCode(code: number): number {
  if (code >= 0) return code
  const subject = native.failedSyscall()
  if (code !== native.UNSUPPORTED) throw systemError(code, subject)
  throw new CodedError('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `${subject} is not available on this operating system`)
}
