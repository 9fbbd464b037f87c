import { checkBytes, checkInteger, checkOptions, checkTimeout } from '../base/arguments.ts'
import { CodedError, invalidArgumentType, outOfRange, retrace, systemError } from '../base/errors.ts'
import { checkSyncOptions } from '../base/limits.ts'
import type { SyncOptions } from '../base/limits.ts'
import { uncheckedFd } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { native } from '../native/binding.ts'
import { descriptorWords } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import type { Channel } from './channel.ts'
import { sendNames, sendSyncNames, sendValueNames, sendValueSyncNames } from './options.ts'
import type { SendOptions, SendValueOptions } from './options.ts'

/** Descriptors one sendmsg(2) takes (SCM_MAX_FD). */
const MAX_FDS = 253

/** A checked message to send. */
interface Sending {
  readonly bytes: Uint8Array
  readonly offset: number
  readonly size: number
  /** How many descriptor words go with it. */
  readonly descriptors: number
}

function tooMany(count: number): Error {
  const hint = (): string => `${count} descriptors are too many for one message, which takes ${MAX_FDS}`
  return systemError(-errno.EINVAL, 'sendmsg', { hint })
}

/** Puts descriptors where the native side finds them; returns how many. */
function placeDescriptors(channel: Channel, fds: readonly FdLike[] | undefined, name: string): number {
  if (fds === undefined) return 0
  if (!Array.isArray(fds)) throw invalidArgumentType(name, 'an array of descriptors', fds)
  if (fds.length === 0) return 0
  if (!native.connectionCarriesDescriptors(channel.id)) {
    throw new CodedError('ERR_FDS_UNSUPPORTED', 'Descriptors can be sent over unix sockets only')
  }
  // Not map(), which leaves holes out: they would be descriptor 0.
  const numbers = Array.from(fds as FdLike[], (fd, index) => uncheckedFd(fd, name, index))
  // A getter may have closed the connection, and its number may be another's.
  channel.checkWritable()
  if (numbers.length > MAX_FDS) throw tooMany(numbers.length)
  descriptorWords.set(numbers)
  return numbers.length
}

function checkMessage(channel: Channel, data: unknown, options: SendOptions | undefined): Sending {
  channel.checkWritable()
  const bytes = checkBytes(data, 'data')
  if (options === undefined) return { bytes, offset: 0, size: bytes.length, descriptors: 0 }
  const offset = checkInteger(options.offset, 'options.offset', 0, bytes.length)
  const size = checkInteger(options.size, 'options.size', bytes.length - offset, bytes.length - offset)
  const descriptors = placeDescriptors(channel, options.fds, 'options.fds')
  // So may the getters of the options, or have shrunk the buffer.
  channel.checkWritable()
  if (offset + size > bytes.length) throw outOfRange('options.size', `0 to ${bytes.length - offset}`, size)
  return { bytes, offset, size, descriptors }
}

function checkRecord(channel: Channel, fds: readonly FdLike[], name: string): number {
  channel.checkWritable()
  if (Array.isArray(fds) && fds.length === 0) throw outOfRange(`${name}.length`, 'at least 1', 0)
  return placeDescriptors(channel, fds, name)
}

/** Who sends to a client that is gone by now need not hear of it, as of one that goes (`Outbox`). */
function refused(channel: Channel, error: unknown): Promise<never> {
  const failed = Promise.reject<never>(error)
  if (channel.served && channel.closed) failed.catch(() => {})
  return failed
}

/** Sends a message; rejects for what is wrong with the arguments, too. */
export function sendMessage(channel: Channel, data: unknown, options?: SendOptions): Promise<void> {
  try {
    checkOptions(options, sendNames)
    const { bytes, offset, size, descriptors } = checkMessage(channel, data, options)
    return channel.outbox.send(bytes, offset, size, descriptors)
  } catch (error) {
    retrace(error, sendMessage)
    return refused(channel, error)
  }
}

export function sendMessageSync(channel: Channel, data: unknown, options?: SendOptions & SyncOptions): void {
  checkOptions(options, sendSyncNames)
  const timeout = checkTimeout(options?.timeout, 'options.timeout', Infinity)
  const { bytes, offset, size, descriptors } = checkMessage(channel, data, options)
  channel.outbox.sendSync(bytes, offset, size, descriptors, timeout)
}

function encoded(channel: Channel, value: unknown): unknown {
  const bytes: unknown = channel.settings.codec.encode(value)
  if (typeof bytes !== 'object') throw invalidArgumentType("What the codec's encode() returns", 'bytes', bytes)
  return bytes
}

/** Sends a value by the codec. */
export function sendValue(channel: Channel, value: unknown, options?: SendValueOptions): Promise<void> {
  try {
    channel.checkWritable()
    checkOptions(options, sendValueNames)
    return sendMessage(channel, encoded(channel, value), options)
  } catch (error) {
    retrace(error, sendValue)
    return refused(channel, error)
  }
}

export function sendValueSync(channel: Channel, value: unknown, options?: SendValueOptions & SyncOptions): void {
  channel.checkWritable()
  checkOptions(options, sendValueSyncNames)
  sendMessageSync(channel, encoded(channel, value), options)
}

/** Sends descriptors in a handle record. */
export function sendRecord(channel: Channel, fds: readonly FdLike[], name: string): Promise<void> {
  try {
    return channel.outbox.sendRecord(checkRecord(channel, fds, name))
  } catch (error) {
    retrace(error, sendRecord)
    return refused(channel, error)
  }
}

export function sendRecordSync(channel: Channel, fds: readonly FdLike[], name: string, options?: SyncOptions): void {
  const timeout = checkSyncOptions(options)
  channel.outbox.sendRecordSync(checkRecord(channel, fds, name), timeout)
}
