import { checkBytes, checkInteger } from '../base/arguments.ts'
import { invalidArgumentType } from '../base/errors.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { native } from '../native/binding.ts'
import type { Channel } from './channel.ts'
import { decode } from './codec.ts'
import { blocked } from './inbox.ts'
import type { Message } from './arrived.ts'
import type { Take } from './inbox.ts'
import type { ReceiveIntoOptions } from './options.ts'

/** What a receive takes where that depends on arguments, which are checked by a channel that can receive. */
export type TakeOf<T> = (channel: Channel) => Take<T>

/** The next message. */
export const bytes: Take<Buffer> = (inbox, maxLength) => inbox.takeBytes(maxLength)
/** The next message and its descriptors. */
export const message: Take<Message> = (inbox, maxLength) => inbox.takeMessage(maxLength)
/** All messages that are here. */
export const many: Take<Message[]> = (inbox, maxLength, max) => inbox.takeMany(maxLength, max)

/** The one descriptor of a record. */
export const handle: Take<OwnedFd> = (inbox) => {
  const fds = inbox.takeRecord(1)
  return fds === blocked ? blocked : (fds[0] as OwnedFd)
}

/** The next message into a caller's buffer: its length. */
export function into(buffer: unknown, options: ReceiveIntoOptions | undefined): TakeOf<number> {
  return (channel) => {
    channel.checkReadable()
    const bytes = checkBytes(buffer, 'buffer')
    const offset = checkInteger(options?.offset, 'options.offset', 0, bytes.length)
    return (inbox) => inbox.takeInto(bytes, offset)
  }
}

/** A record of at most `max` descriptors. */
export function record(max: number): TakeOf<OwnedFd[]> {
  return (channel) => {
    channel.checkReadable()
    if (max === undefined) throw invalidArgumentType('max', 'a number', max)
    const most = Math.min(checkInteger(max, 'max', 0, Number.MAX_SAFE_INTEGER, 1), native.MAX_UNCLAIMED)
    return (inbox) => inbox.takeRecord(most)
  }
}

/** The next message, decoded; `Value` is what the channel's codec says. */
export function value<Value>(channel: Channel): Take<Value> {
  return (inbox, maxLength) => {
    const data = inbox.takeBytes(maxLength)
    return data === blocked ? blocked : (decode(channel.settings.codec, data) as Value)
  }
}
