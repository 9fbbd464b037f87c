import type { Duplex } from 'node:stream'
import { invalidArgumentType, invalidArgumentValue } from '../base/errors.ts'
import { isStream } from '../descriptors/kind.ts'
import type { FdKind } from '../descriptors/kind.ts'
import { adopting } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import type { PeerAddress } from '../descriptors/peer.ts'
import { hot, native } from '../native/binding.ts'
import { realm, report } from '../native/environment.ts'
import { Channel, checkChannel } from './channel.ts'
import { checkConnectionOptions } from './options.ts'
import type { ConnectionOptions, ConnectionSettings } from './options.ts'

const { FLAG_NAMED, REPORT_FLAGS } = native

/** Whether messages can go over a descriptor. */
export function carriesMessages(fd: number, kind: FdKind): boolean {
  return kind === 'tty' || kind === 'char' || isStream(fd, kind)
}

/** Whether the peer of the connection just made has an address that is to be asked for. */
function isNamed(): boolean {
  return ((report[REPORT_FLAGS] as number) & FLAG_NAMED) !== 0
}

/** Connects to a unix address; a negative code where that failed (EAGAIN: the accept queue is full). */
export function connectChannel(path: Buffer, address: PeerAddress, settings: ConnectionSettings): Channel | number {
  const id = native.connectionConnect(realm, path, settings.maxMessageSize, settings.flags)
  if (id < 0) return id
  return new Channel(id, settings, { peer: isNamed() ? undefined : address })
}

/**
 * Accepts from a listener, which is `reported` when there may be another; a negative code where that failed
 * (WOULD_BLOCK: there is none now).
 */
export function acceptChannel(listener: number, settings: ConnectionSettings, reported: boolean): Channel | number {
  const id = native.connectionAccept(listener, settings.maxMessageSize, settings.flags, reported)
  if (id < 0) return id
  return new Channel(id, settings, { peer: isNamed() ? undefined : '' })
}

/** Of a descriptor that the native side holds for JavaScript, and goes on to hold when this fails. */
function openChannel(fd: number, settings: ConnectionSettings, peer?: PeerAddress): Channel {
  const id = native.connectionOpen(realm, fd, settings.maxMessageSize, settings.flags)
  return checkChannel(id, settings, { peer, access: report[REPORT_FLAGS] as number })
}

/** Of a descriptor made for it, which is closed when this fails. */
export function openFreshChannel(fd: number, settings: ConnectionSettings, peer: PeerAddress): Channel {
  try {
    return openChannel(fd, settings, peer)
  } catch (error) {
    hot.closeDescriptor(fd)
    throw error
  }
}

/** Of somebody's descriptor, who still has it when this fails. */
export function adoptChannel<Value>(fd: number | OwnedFd, options: ConnectionOptions<Value> | undefined): Channel {
  return adoptWith(fd, checkConnectionOptions(options))
}

/** The same with checked settings. */
export function adoptWith(fd: number | OwnedFd, settings: ConnectionSettings, peer?: PeerAddress): Channel {
  const what = 'a stream socket, a pipe or a terminal'
  return adopting(fd, what, carriesMessages, (number) => openChannel(number, settings, peer))
}

/** Over a Duplex, which is its own from now on. */
export function streamChannel<Value>(duplex: Duplex, options: ConnectionOptions<Value> | undefined): Channel {
  const settings = checkConnectionOptions(options)
  if (
    typeof (duplex as Duplex | null)?.read !== 'function' ||
    typeof duplex.write !== 'function' ||
    typeof duplex.on !== 'function'
  ) {
    throw invalidArgumentType('duplex', 'a Duplex', duplex)
  }
  if (duplex.readableObjectMode || duplex.writableObjectMode || duplex.readableEncoding) {
    throw invalidArgumentValue('duplex', 'is not a Duplex of bytes')
  }
  const id = native.connectionOpenStream(realm, settings.maxMessageSize, settings.flags)
  return checkChannel(id, settings, { peer: '', duplex })
}
