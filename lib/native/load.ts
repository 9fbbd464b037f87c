import { createRequire } from 'node:module'
import type * as Binding from '../../binding.cjs'
import { CodedError } from '../base/errors.ts'

/** Loads the compiled part. */
export function load(): typeof Binding {
  try {
    return createRequire(import.meta.url)('../../binding.cjs') as typeof Binding
  } catch (cause) {
    throw new CodedError('ERR_BINDING_NOT_FOUND', whyNot(messagesOf(cause)), { cause })
  }
}

/** What an error says, and what it was caused by: the loader chains what each of several files gave. */
function messagesOf(error: unknown): string[] {
  return error instanceof Error ? [error.message, ...messagesOf(error.cause)] : []
}

/** What is wrong with the binaries that were tried, and what to do. */
function whyNot([, ...messages]: readonly string[]): string {
  const target = `${process.platform}-${process.arch}${libc()}`
  // What was found and does not work says more than what was not found.
  const broken = messages.find((message) => !/^Cannot find |^Unsupported |fdwire[.-](wasm32-)?wasi/.test(message))
  if (broken === undefined) {
    if (messages.some((message) => message.startsWith('Unsupported '))) {
      return `fdwire has no binary for ${target}: it is for Linux, macOS and FreeBSD, on x64 and arm64`
    }
    return (
      `fdwire finds no binary for ${target}: the package for this platform is not installed. ` +
      'Reinstall on this platform, with npm install --include=optional'
    )
  }
  if (/addons? is disabled/.test(broken)) return `fdwire needs node's --allow-addons beside --permission: ${broken}`
  const lacksSymbol = /undefined symbol|symbol not found/i.test(broken)
  if (lacksSymbol && /(: |")_?(napi|node_api|uv)_/.test(broken)) {
    return `fdwire's binary needs what Node ${process.versions.node} has not; it is for Node 20.19 and later: ${broken}`
  }
  // The others are the system's.
  if (lacksSymbol || /GLIBC|libc\.musl|ld-linux|ld-musl|libc\.so/.test(broken)) {
    return (
      `fdwire's binary is for another C library than that of this ${target}: node_modules may come from another machine ` +
      `or image. Reinstall here: ${broken}`
    )
  }
  return `fdwire's binary for ${target} is broken, or for another platform. Reinstall here: ${broken}`
}

/** The C library, where there are several. */
function libc(): string {
  if (process.platform !== 'linux') return ''
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined ? ' (musl)' : ` (glibc ${header.glibcVersionRuntime})`
}
