import { checkBytes, checkInteger, checkOptions } from '../base/arguments.ts'
import { AbortError, invalidArgumentType } from '../base/errors.ts'
import { checkLimits, checkPositional, forEver } from '../base/limits.ts'
import type { WaitOptions } from '../base/limits.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { native } from '../native/binding.ts'
import type { Channel } from './channel.ts'
import { blocked } from './inbox.ts'
import type { Message, Receiving, Take } from './inbox.ts'
import type { ReceiveIntoOptions, ReceiveManyOptions } from './options.ts'

const anything: Receiving = { limits: forEver, maxLength: Infinity, max: Infinity }

/** The next message. */
export const takeBytes: Take<Buffer> = (inbox, maxLength) => inbox.takeBytes(maxLength)
/** The next message and its descriptors. */
export const takeMessage: Take<Message> = (inbox, maxLength) => inbox.takeMessage(maxLength)
/** All messages that are here. */
export const takeMany: Take<Message[]> = (inbox, maxLength, max) => inbox.takeMany(maxLength, max)

/** The one descriptor of a record. */
export const takeHandle: Take<OwnedFd> = (inbox) => {
  const fds = inbox.takeRecord(1)
  return fds === blocked ? blocked : (fds[0] as OwnedFd)
}

/** The next message, or the end. */
const takeNext: Take<IteratorResult<Message, undefined>> = (inbox) => {
  const value = inbox.takeMessage(Infinity)
  if (value !== blocked) return { value, done: false }
  return inbox.ended ? { value: undefined, done: true } : blocked
}

function checkReceive(channel: Channel, options: ReceiveManyOptions | undefined): Receiving {
  channel.checkReadable()
  if (options === undefined) return anything
  return {
    limits: checkLimits(options),
    maxLength: checkInteger(options.maxLength, 'options.maxLength', Infinity, Infinity),
    max: checkInteger(options.max, 'options.max', Infinity, Infinity, 1),
  }
}

type TakeOf<T> = (channel: Channel) => Take<T>

/** Takes what there is, or waits behind those that wait already; rejects for what is wrong with the arguments, too. */
export function receive<T>(
  channel: Channel,
  call: string,
  options: ReceiveManyOptions | undefined,
  take: Take<T>,
): Promise<T> {
  try {
    return channel.inbox.receive(call, checkReceive(channel, options), take)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** The same, blocking. */
export function receiveSync<T>(
  channel: Channel,
  call: string,
  options: ReceiveManyOptions | undefined,
  take: Take<T>,
): T {
  return channel.inbox.receiveSync(call, checkReceive(channel, options), take)
}

/** The same where what is taken depends on arguments, which are checked first. */
export function receiveBy<T>(
  channel: Channel,
  call: string,
  options: ReceiveManyOptions | undefined,
  takeOf: TakeOf<T>,
): Promise<T> {
  try {
    return receive(channel, call, options, takeOf(channel))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** The next message into a caller's buffer: its length. */
export function takeInto(buffer: unknown, options: ReceiveIntoOptions | undefined): TakeOf<number> {
  return (channel) => {
    channel.checkReadable()
    checkOptions(options)
    const bytes = checkBytes(buffer, 'buffer')
    const offset = checkInteger(options?.offset, 'options.offset', 0, bytes.length)
    return (inbox) => inbox.takeInto(bytes, offset)
  }
}

/** A record of at most `max` descriptors. */
export function takeRecord(max: number): TakeOf<OwnedFd[]> {
  return (channel) => {
    channel.checkReadable()
    if (max === undefined) throw invalidArgumentType('max', 'a number', max)
    const most = Math.min(checkInteger(max, 'max', 0, Number.MAX_SAFE_INTEGER, 1), native.MAX_UNCLAIMED)
    return (inbox) => inbox.takeRecord(most)
  }
}

/** The next message, decoded. */
export function takeValue<T>(channel: Channel): Take<T> {
  return (inbox, maxLength) => {
    const data = inbox.takeBytes(maxLength)
    return data === blocked ? blocked : (channel.settings.codec.decode(data) as T)
  }
}

/** Whether a receive would find something, or does within the time given. */
export async function poll(channel: Channel, timeout: number | null | WaitOptions | undefined): Promise<boolean> {
  channel.checkReadable()
  const limits = checkPositional(timeout, 0)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  if (channel.inbox.poll()) return true
  if (limits.timeout !== 0) return channel.inbox.waitReadable(limits)
  // A loop that polls must not starve the event loop.
  await new Promise((resolve) => setImmediate(resolve))
  return channel.readable && channel.inbox.poll()
}

export function pollSync(channel: Channel, timeout: number | null | WaitOptions | undefined): boolean {
  channel.checkReadable()
  channel.checkDescriptor()
  const limits = checkPositional(timeout, 0)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  return channel.inbox.poll(limits.timeout)
}

/** Messages until the peer closes. */
export class Messages implements AsyncIterableIterator<Message, undefined> {
  readonly #channel: Channel
  #begun = false
  #done = false

  constructor(channel: Channel) {
    this.#channel = channel
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    // The end stays the end when the connection is closed thereafter.
    if (this.#done || (this.#begun && this.#channel.hasEnded)) return this.return()
    this.#begun = true
    return receive(this.#channel, 'recvMessage', undefined, takeNext)
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#done = true
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
