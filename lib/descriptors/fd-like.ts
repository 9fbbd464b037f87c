import { Server, Socket } from 'node:net'
import type { Socket as DatagramSocket } from 'node:dgram'
import { closedError, invalidArgumentType, invalidFdType, invalidState, outOfRange } from '../base/errors.ts'
import { errorOf, native } from '../native/binding.ts'

/**
 * Something that has a descriptor: its number, any object with an `fd`, or a socket, server or terminal stream of
 * Node's. It is borrowed: whoever owns it still does.
 */
export type FdLike = number | { readonly fd: number } | Server | Socket | DatagramSocket

/** The descriptor of the handle behind an object of Node's: undefined where there is none, null for other objects. */
function handleFd(value: object): number | undefined | null {
  let handle: unknown
  if (value instanceof Socket || value instanceof Server) {
    handle = (value as { _handle?: unknown })._handle
  } else {
    // A dgram.Socket keeps its handle in a private state object.
    const state = Object.getOwnPropertySymbols(value).find(({ description }) => description === 'state symbol')
    if (state === undefined) return null
    handle = (value as Record<symbol, { handle?: unknown } | undefined>)[state]?.handle
  }
  const fd = (handle as { fd?: unknown } | null | undefined)?.fd
  // Negative before the handle has one.
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

function objectFd(value: object, name: string): number {
  if (value instanceof Socket && (value.bytesRead > 0 || value.readableLength > 0)) {
    throw invalidState(`${name}: something was read from this socket already, which would be lost`)
  }
  const own = (value as { fd?: unknown }).fd
  if (typeof own === 'number' && !(value instanceof Socket)) return own
  const ofHandle = handleFd(value)
  const fd = ofHandle ?? own
  if (typeof fd === 'number') return fd
  if (ofHandle === undefined) throw invalidFdType(`${name} has no descriptor, or none yet`)
  throw invalidArgumentType(name, 'a descriptor or an object with one', value)
}

/**
 * The number of a descriptor, whether it is open or not; of an object, one that it has.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_FD_TYPE` for an object without one, `ERR_CLOSED` for
 *   a closed one, `ERR_INVALID_STATE` for a `net.Socket` from which something was read already.
 */
export function fdOf(value: FdLike, name = 'fd'): number {
  let fd: number
  if (typeof value === 'object' && value !== null) {
    fd = objectFd(value, name)
    if (fd === -1) throw closedError(name)
  } else {
    fd = value
  }
  if (typeof fd !== 'number') throw invalidArgumentType(name, 'a descriptor or an object with one', value)
  if (!Number.isInteger(fd)) throw outOfRange(name, 'a whole number', fd)
  return fd
}

/**
 * The number of an open descriptor.
 *
 * @throws EBADF, and what {@link fdOf} does.
 */
export function fdNumber(value: FdLike, name = 'fd'): number {
  const fd = fdOf(value, name)
  const code = native.descriptorCheck(fd >= 0 && fd <= 0x7fffffff ? fd : -1)
  if (code < 0) throw errorOf(code, { hint: () => `${name} is ${fd}` })
  return fd
}

function isDescriptor(value: FdLike): value is number {
  return typeof value === 'number' && value >= 0 && value <= 0x7fffffff && Number.isInteger(value)
}

/** The number of the descriptor at `index` of a list, for a system call that tells by itself whether it is open. */
export function uncheckedFd(value: FdLike, list: string, index: number): number {
  if (isDescriptor(value)) return value
  const name = `${list}[${index}]`
  const fd = fdOf(value, name)
  return isDescriptor(fd) ? fd : fdNumber(fd, name)
}
