import type { SystemErrorDetails } from '../base/errors.ts'
import { addressDetails } from './address.ts'
import type { Target } from './address.ts'

/** Bytes that the path of a socket may have: `sun_path` of unix(7), with a NUL behind it. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103

/** What an error of connect(2) says of the address, and of what is likely. */
export function connectDetails(target: Target): SystemErrorDetails {
  return { ...addressDetails(target), hint: (code) => tooLong(code, target) ?? connectHint(code, target) }
}

/** The same of bind(2) and listen(2). */
export function listenDetails(target: Target, replaceStale: boolean): SystemErrorDetails {
  return { ...addressDetails(target), hint: (code) => tooLong(code, target) ?? listenHint(code, target, replaceStale) }
}

function tooLong(code: string, target: Target): string | undefined {
  if (code !== 'ENAMETOOLONG' || target.kind !== 'unix') return undefined
  return `the path has ${target.path.length} bytes, and may have ${LONGEST_PATH}`
}

function connectHint(code: string, target: Target): string | undefined {
  if (target.kind !== 'unix') return undefined
  const path = target.path.toString()
  if (code === 'ENOENT' && /^[\w.-]*:\d+$/.test(path)) return 'there is no such file; for TCP give { host, port }'
  if (code === 'ECONNREFUSED') return 'nobody listens there any more'
  return undefined
}

function listenHint(code: string, target: Target, replaceStale: boolean): string | undefined {
  if (code !== 'EADDRINUSE' || target.kind !== 'unix' || target.path[0] === 0) return undefined
  if (replaceStale) return 'somebody listens there, or it is no socket'
  return 'somebody listens there, or a stale file was left, which replaceStale: true replaces'
}
