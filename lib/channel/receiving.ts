import { afterTurn, atOnce, needsTurn } from '../base/turn.ts'
import { checkInteger, checkOptions } from '../base/arguments.ts'
import { AbortError, TimeoutError, closedError, retrace } from '../base/errors.ts'
import { Pending, checkLimits, checkPositional, checkPositionalSync, forEver } from '../base/limits.ts'
import type { Limits, SyncOptions, WaitOptions } from '../base/limits.ts'
import type { Channel } from './channel.ts'
import { blocked } from './inbox.ts'
import type { Message } from './arrived.ts'
import type { Receiving, Take } from './inbox.ts'
import { receiveNames } from './options.ts'
import type { ReceiveCall, ReceiveManyOptions } from './options.ts'
import type { TakeOf } from './take.ts'

const anything: Receiving = { limits: forEver, maxLength: Infinity, max: Infinity }
const over: IteratorResult<Message, undefined> = { value: undefined, done: true }
/** Iteration ends where the connection is closed here. */
const iteration: Receiving = { ...anything, closed: over }

/** The next message, or the end. */
const takeNext: Take<IteratorResult<Message, undefined>> = (inbox) => {
  const value = inbox.takeMessage(Infinity)
  if (value !== blocked) return { value, done: false }
  return inbox.ended ? { value: undefined, done: true } : blocked
}

function checkReceive(channel: Channel, call: ReceiveCall, options: ReceiveManyOptions | undefined): Receiving {
  channel.checkReadable()
  if (options === undefined) return anything
  checkOptions(options, receiveNames[call])
  const asked = {
    limits: checkLimits(options),
    maxLength: checkInteger(options.maxLength, 'options.maxLength', Infinity, Infinity),
    max: checkInteger(options.max, 'options.max', Infinity, Infinity, 1),
  }
  // A getter may have closed it, and its number may be another's.
  channel.checkOpen()
  return asked
}

/** Takes what there is, or waits behind those that wait already; rejects for what is wrong with the arguments, too. */
export function receive<T>(
  channel: Channel,
  call: ReceiveCall,
  options: ReceiveManyOptions | undefined,
  take: Take<T>,
): Promise<T> {
  try {
    return channel.inbox.receive(call, checkReceive(channel, call, options), take)
  } catch (error) {
    // The caller's frames, not ours.
    retrace(error, receive)
    return Promise.reject(error)
  }
}

/** The same, blocking. */
export function receiveSync<T>(
  channel: Channel,
  call: ReceiveCall,
  options: ReceiveManyOptions | undefined,
  take: Take<T>,
): T {
  return channel.inbox.receiveSync(call, checkReceive(channel, call, options), take)
}

/** The same where what is taken depends on arguments, which are checked first. */
export function receiveBy<T>(
  channel: Channel,
  call: ReceiveCall,
  options: ReceiveManyOptions | undefined,
  takeOf: TakeOf<T>,
): Promise<T> {
  try {
    return receive(channel, call, options, takeOf(channel))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Whether a receive would find something, or does within the time given. */
export async function poll(channel: Channel, timeout: number | null | WaitOptions | undefined): Promise<boolean> {
  channel.checkReadable()
  const limits = checkPositional(timeout, 0)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const now = (): true | undefined => (channel.readable && channel.inbox.poll() ? true : undefined)
  const found = atOnce(now) ?? (needsTurn(limits) ? await afterTurn(limits, now) : undefined)
  if (found === true || limits.timeout === 0) return found === true
  channel.checkReadable()
  return waitReadable(channel, limits)
}

/** False when the time is over. */
async function waitReadable(channel: Channel, limits: Limits): Promise<boolean> {
  const { inbox } = channel
  const check = (): void => {
    try {
      if (channel.state !== 'open') pending.reject(closedError('connection'))
      else if (inbox.poll()) pending.resolve(true)
      else inbox.watch(check)
    } catch (error) {
      inbox.unwatch(check)
      pending.reject(error)
    }
  }
  const pending = new Pending<boolean>(channel, limits, 'poll', () => inbox.unwatch(check))
  check()
  try {
    return await pending.promise
  } catch (error) {
    if (error instanceof TimeoutError) return false
    throw error
  }
}

export function pollSync(channel: Channel, timeout: number | null | SyncOptions | undefined): boolean {
  channel.checkReadable()
  channel.checkDescriptor()
  return channel.inbox.poll(checkPositionalSync(timeout, 0))
}

/** Messages until the peer closes, or we do. */
export class Messages implements AsyncIterableIterator<Message, undefined> {
  readonly #channel: Channel
  #done = false

  constructor(channel: Channel) {
    this.#channel = channel
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#done || this.#channel.closed) return this.return()
    try {
      this.#channel.checkReadable()
      return this.#channel.inbox.receive('recvMessage', iteration, takeNext)
    } catch (error) {
      retrace(error, Messages.prototype.next)
      return Promise.reject(error)
    }
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#done = true
    return Promise.resolve(over)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
