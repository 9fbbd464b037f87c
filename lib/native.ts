import { createRequire } from 'node:module'
import type * as Binding from '../binding.cjs'
import { CodedError } from './errors.ts'

function load(): typeof Binding {
  try {
    return createRequire(import.meta.url)('../binding.cjs') as typeof Binding
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
