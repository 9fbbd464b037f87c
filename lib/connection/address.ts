import { isIP } from 'node:net'
import { checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { invalidArgumentType, invalidArgumentValue, outOfRange, unknownHost } from '../base/errors.ts'
import type { SystemErrorDetails } from '../base/errors.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { pathAddress } from '../descriptors/peer.ts'
import type { InternetAddress, PeerAddress } from '../descriptors/peer.ts'
import { native } from '../native/binding.ts'

/**
 * Where to connect or listen: a path, as string or bytes, with a leading NUL for a Linux abstract name of exactly that
 * length; `{ path }`; `{ host, port }`, the host being localhost where it is left out; or `{ fd }`, whose descriptor is
 * duplicated.
 */
export type Address =
  | string
  | Uint8Array
  | { readonly path: string | Uint8Array }
  | InternetAddress
  | { readonly host?: undefined; readonly port: number }
  | { readonly fd: number }

/** A checked path. */
export interface UnixTarget {
  readonly kind: 'unix'
  readonly path: Buffer
  /** The same, as addresses are given back. */
  readonly address: PeerAddress
}

/** A checked host and port. */
export interface InternetTarget {
  readonly kind: 'internet'
  readonly host: string
  readonly port: number
}

/** A checked {@link Address}. */
export type Target = UnixTarget | InternetTarget | { readonly kind: 'fd'; readonly fd: FdLike }

const KINDS = 'a path, { path }, { host, port } or { fd }'
const pathNames: Names<{ path: string }> = { path: true }
const internetNames: Names<InternetAddress> = { host: true, port: true }

function isUrl(url: string, name: string): TypeError {
  return invalidArgumentValue(name, `is a URL, and not ${KINDS}: ${url}`)
}

export function checkPath(path: unknown, name: string, expected = 'a path'): UnixTarget {
  if (typeof path !== 'string' && !(path instanceof Uint8Array)) {
    throw invalidArgumentType(name, expected, path)
  }
  // Who has such a directory can say './tcp://'.
  if (typeof path === 'string' && /^[a-z][a-z0-9+.-]*:\/\//i.test(path)) throw isUrl(path, name)
  const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path)
  if (bytes.length === 0) throw invalidArgumentValue(name, 'is empty')
  if (bytes.indexOf(0, 1) !== -1 && bytes[0] !== 0) throw invalidArgumentValue(name, 'has a NUL in it')
  const address = typeof path === 'string' && bytes[0] !== 0 ? path : pathAddress(bytes)
  return { kind: 'unix', path: bytes, address }
}

function checkInternet(address: { host?: unknown; port?: unknown }, name: string): InternetTarget {
  checkOptions(address, internetNames, name)
  const { host = 'localhost', port } = address
  if (typeof host !== 'string') throw invalidArgumentType(`${name}.host`, 'a string', host)
  if (host === '') throw invalidArgumentValue(`${name}.host`, 'is empty')
  if (typeof port !== 'number') throw invalidArgumentType(`${name}.port`, 'a number', port)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw outOfRange(`${name}.port`, '0 to 65535', port)
  return { kind: 'internet', host, port }
}

export function checkAddress(address: unknown, name = 'address'): Target {
  if (typeof address !== 'object' || address === null || address instanceof Uint8Array)
    return checkPath(address, name, KINDS)
  if (address instanceof URL) throw isUrl(address.href, name)
  if ('path' in address) {
    checkOptions(address, pathNames, name)
    return checkPath(address.path, `${name}.path`)
  }
  if ('fd' in address) return { kind: 'fd', fd: address.fd as FdLike }
  if ('host' in address || 'port' in address) return checkInternet(address, name)
  throw invalidArgumentValue(name, `is not ${KINDS}`)
}

/** The numeric addresses of a host, at least one. */
export async function resolveHost(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  const { lookup } = process.getBuiltinModule('node:dns/promises')
  const addresses = await lookup(host, { all: true })
  return addresses.map(({ address }) => address)
}

/** As {@link resolveHost}, blocking. */
export function resolveHostSync(host: string): string[] {
  if (isIP(host) !== 0) return [host]
  const addresses = native.resolveHost(host)
  if (addresses.length === 0) throw unknownHost(host)
  return addresses
}

/** What an error about an address says of it. */
export function addressDetails(target: Target): SystemErrorDetails {
  if (target.kind === 'internet') return { address: target.host, port: target.port }
  if (target.kind === 'fd') return {}
  const path = target.path.toString().replaceAll('\0', '@')
  return { path, address: path }
}
