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
  const isAbstract = target.path[0] === 0
  switch (code) {
    case 'ENOENT':
      return /^[\w.-]*:\d+$/.test(target.path.toString())
        ? 'there is no such file; for TCP give { host, port }'
        : undefined
    case 'ECONNREFUSED':
      return isAbstract ? 'nobody listens there' : 'nobody listens there any more, or it is no socket'
    case 'EACCES':
      return 'this user may not write to the socket file, or not enter a directory above it'
    case 'EPROTOTYPE':
      return 'the socket there is not one of streams'
    default:
      return undefined
  }
}

function listenHint(code: string, target: Target, replaceStale: boolean): string | undefined {
  if (target.kind === 'internet') return internetHint(code)
  if (target.kind !== 'unix') return undefined
  switch (code) {
    case 'EADDRINUSE':
      if (target.path[0] === 0) return 'somebody listens there'
      if (replaceStale) return 'somebody listens there, or it is no socket'
      return 'somebody listens there, or a stale file was left, which replaceStale: true replaces'
    case 'ENOENT':
      return 'there is no such directory'
    case 'EACCES':
      return 'this user may not make files in that directory'
    default:
      return undefined
  }
}

function internetHint(code: string): string | undefined {
  switch (code) {
    case 'EADDRINUSE':
      return 'somebody listens there; port 0 is one that is free'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address'
    case 'EACCES':
      return 'this user may not listen on that port'
    default:
      return undefined
  }
}
