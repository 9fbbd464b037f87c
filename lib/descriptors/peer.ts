import { isUtf8 } from 'node:buffer'
import type { SocketAddress } from '../../binding.cjs'
import { native } from '../native/binding.ts'

/** A host (name or number) and a port. */
export interface InternetAddress {
  readonly host: string
  readonly port: number
}

/**
 * The address of a socket, in a shape that {@link connect} takes: a path, as Buffer where it starts with NUL or is not
 * UTF-8; `''` for an unnamed unix socket; `{ host, port }`, both numeric.
 */
export type PeerAddress = string | Buffer | InternetAddress

/** Who is at the other end of a unix socket: who called connect(2), listen(2) or socketpair(2) there. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** A path, as addresses are given back. */
export function pathAddress(path: Buffer): string | Buffer {
  return path[0] === 0 || !isUtf8(path) ? path : path.toString()
}

/** The address of a descriptor's end, or of the other; `''` where it has none. */
export function socketAddress(fd: number, peer: boolean): PeerAddress {
  const address: SocketAddress | number = native.socketAddress(fd, peer)
  if (typeof address === 'number') return ''
  if (address.path) return pathAddress(address.path)
  if (address.host !== undefined) return { host: address.host, port: address.port ?? 0 }
  return ''
}

/** Who is at the other end of a descriptor; undefined where it cannot tell. */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  return native.socketPeerCredentials(fd) ?? undefined
}
