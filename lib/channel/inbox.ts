import { sources, report } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import {
  AbortError,
  BufferTooShort,
  CodedError,
  EOFError,
  TimeoutError,
  closedError,
  invalidState,
} from '../base/errors.ts'
import { closeDescriptors, ownDescriptors } from './arrived.ts'
import type { Message } from './arrived.ts'
import { endOfStream, failureOf, tooLarge } from './failures.ts'
import { allocate } from './memory.ts'
import { claim, claimBehind, lengths, slabOffset } from './message-pool.ts'
import { checkCode, hot, native } from '../native/binding.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import { Queue } from '../base/queue.ts'
import { giveTurn } from '../base/turn.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { Pending, forEver } from '../base/limits.ts'
import type { Blamed, Limits } from '../base/limits.ts'

const { END_OF_STREAM, MESSAGE_TOO_LARGE, NEED_MEMORY, REPORT_LENGTH, TIMED_OUT, WOULD_BLOCK } = native
const { receive, receiveInto, receiveRecord } = hot

/** Whose receiving half it is. */
interface Owner extends Source, Blamed {
  /** Bytes that a message may have. */
  readonly messageLimit: { readonly limit: number; readonly name: string }
}

/** Nothing to be had yet. */
export const blocked: unique symbol = Symbol('blocked')
export type Blocked = typeof blocked

/** What a receive takes: one function for all calls of a kind, as closures cost more than a small message does. */
export type Take<T> = (inbox: Inbox, maxLength: number, max: number) => T | Blocked

/** What a receive asks for. */
export interface Receiving {
  readonly limits: Limits
  readonly maxLength: number
  readonly max: number
  /** What it gives when the connection is closed here; an error where this is undefined. */
  readonly closed?: unknown
}

/** A receive that waits its turn. */
interface Receive {
  readonly pending: Pending<unknown>
  readonly take: Take<unknown>
  readonly asked: Receiving
}

/** Shared by all who have none: most connections. */
const none: readonly (() => void)[] = []
const nothing: Buffer[] = []

/** The receiving half of a connection: who waits, in order. A message under way is the native side's alone. */
export class Inbox implements Readiness {
  /** What was read ahead counts beside the descriptor, not instead of it. */
  readonly byDescriptor: boolean = true
  /** Whether it can receive: false once a message was too large. */
  readable: boolean
  readonly #id: number
  readonly #owner: Owner
  readonly #receives = new Queue<Receive>()
  /** Who is called at the next chance to read. */
  #watchers: readonly (() => void)[] = none
  #observers: readonly (() => void)[] = none
  /** Messages taken from the native side and not delivered yet, the next one last, all without descriptors. */
  #ahead = nothing
  /** What went wrong behind messages that were delivered first. */
  #failure: unknown
  /** The native side will report the next chance to read. */
  #armed = false
  /** Until when the receive being made may block; undefined where it must not. */
  #deadline: number | undefined
  /** Fetches what the native side cannot read by itself: true when there is more. */
  #refill: (() => boolean) | undefined
  #warned = false
  /** A message was too large: once that is told, nothing can be received. */
  #isOver = false
  /** The peer closed: what is blocked stays so. */
  #ended = false
  #closed = false

  constructor(id: number, owner: Owner, readable: boolean) {
    this.#id = id
    this.#owner = owner
    this.readable = readable
  }

  /** Whether nothing follows what was received. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether somebody waits. */
  get waiting(): boolean {
    return this.#receives.length > 0 || this.#watchers.length > 0
  }

  /** Takes what there is, or waits behind those that wait already; throws what goes wrong at once. */
  receive<T>(call: string, asked: Receiving, take: Take<T>): Promise<T> {
    const { limits } = asked
    if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
    if (this.#receives.length === 0) {
      try {
        const result = this.#attempt(take, asked)
        // The kernel's readiness gives the event loop its turn; a stream may never do so.
        if (result !== blocked)
          return this.#refill === undefined ? Promise.resolve(result) : giveTurn().then(() => result)
        if (this.#ended) throw new EOFError()
      } catch (error) {
        this.#owner.blame(error)
        throw error
      }
    }
    const pending = limits === forEver ? new Pending<unknown>(this.#owner) : this.#limited(limits, call)
    this.#receives.push({ pending, take, asked })
    sources[this.#id] = this.#owner
    return pending.promise as Promise<T>
  }

  /** What becomes of a receive that may be given up. */
  #limited(limits: Limits, call: string): Pending<unknown> {
    const pending: Pending<unknown> = new Pending<unknown>(this.#owner, limits, call, () => {
      if (this.#receives.peek()?.pending === pending) native.leave(this.#id)
      this.#receives.remove((receive) => receive.pending === pending)
      this.#disarm()
    })
    return pending
  }

  /** Takes what there is, blocking until then. */
  receiveSync<T>(call: string, asked: Receiving, take: Take<T>): T {
    const { limits } = asked
    if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
    if (this.#refill !== undefined) throw invalidState('A connection over a stream cannot wait synchronously')
    if (this.#receives.length > 0) throw invalidState('Another receive is waiting already')
    this.#deadline = limits.timeout === Infinity ? Infinity : performance.now() + limits.timeout
    try {
      const result = this.#attempt(take, asked)
      if (result !== blocked) return result
      if (this.#ended) throw new EOFError()
      throw new TimeoutError(call, limits.timeout)
    } catch (error) {
      this.#owner.blame(error)
      throw error
    } finally {
      this.#deadline = undefined
    }
  }

  /** Has `refill` fetch what the native side cannot read. */
  feedBy(refill: () => boolean): void {
    this.#refill = refill
  }

  /** Whether a receive would find something, an error included; blocks for at most `timeout` milliseconds. */
  poll(timeout = 0): boolean {
    if (this.#failure !== undefined || this.#ahead.length > 0) return true
    return this.#refill === undefined ? native.connectionPoll(this.#id, timeout) !== 0 : this.readAhead
  }

  /** Whether something was read ahead: what the descriptor's own readiness does not show. */
  get readAhead(): boolean {
    if (this.#closed) return false
    if (this.#failure !== undefined || this.#ahead.length > 0) return true
    if (native.connectionReadAhead(this.#id) === 1) return true
    try {
      return this.#refill?.() === true
    } catch (error) {
      this.#failure = error
      return true
    }
  }

  /** Calls `observer` after each attempt to receive, which may have changed {@link readAhead}; returns how to end that. */
  observeReadAhead(observer: () => void): () => void {
    this.#observers = [...this.#observers, observer]
    return () => {
      const others = this.#observers.filter((other) => other !== observer)
      this.#observers = others.length === 0 ? none : others
    }
  }

  /** Calls back once, at the next chance to read or when the connection is closed. */
  watch(callback: () => void): void {
    if (this.#closed) throw closedError('connection')
    this.#watchers = [...this.#watchers, callback]
    this.#arm()
  }

  unwatch(callback: () => void): void {
    const others = this.#watchers.filter((watcher) => watcher !== callback)
    this.#watchers = others.length === 0 ? none : others
    this.#disarm()
  }

  /** Serves those who wait, in order, as far as it goes. */
  pump(): void {
    // What is carried the native side never reports: it has to be told when nobody waits any more.
    if (this.#refill === undefined) this.#armed = false
    this.#notify()
    for (let receive = this.#receives.peek(); receive !== undefined; receive = this.#receives.peek()) {
      try {
        const result = this.#attempt(receive.take, receive.asked)
        if (result !== blocked) receive.pending.resolve(result)
        else if (this.#ended) receive.pending.reject(endOfStream())
        else break
      } catch (error) {
        receive.pending.reject(error)
      }
      // It may have given itself up meanwhile: a codec can abort it.
      if (this.#receives.peek() === receive) this.#receives.shift()
    }
    this.#disarm()
  }

  /** Nobody gets anything any more. */
  close(): void {
    this.#closed = true
    for (const { pending, asked } of this.#receives.drain()) {
      if (asked.closed === undefined) pending.reject(closedError('connection'))
      else pending.resolve(asked.closed)
    }
    this.#notify()
    for (const observer of this.#observers) observer()
  }

  /** Takes the next message. */
  takeBytes(maxLength: number): Buffer | Blocked {
    const ahead = this.#nextAhead(maxLength)
    const data = ahead ?? this.#take(maxLength)
    if (ahead === undefined && data !== blocked) this.#discardDescriptors()
    // What a codec receives meanwhile must not be waited for.
    this.#deadline = undefined
    return data
  }

  /** Takes the next message into the caller's buffer: its length. */
  takeInto(target: Uint8Array, offset: number): number | Blocked {
    const data = this.#nextAhead(Infinity) ?? this.#takeInto(target, offset)
    if (data === blocked || typeof data === 'number') return data
    if (data.length > target.length - offset) throw new BufferTooShort(data)
    target.set(data, offset)
    return data.length
  }

  /** Takes the next message and its descriptors. */
  takeMessage(maxLength: number): Message | Blocked {
    const ahead = this.#nextAhead(maxLength)
    if (ahead !== undefined) return { data: ahead, fds: [] }
    const data = this.#take(maxLength)
    return data === blocked ? blocked : { data, fds: ownDescriptors() }
  }

  /** Takes what messages there are. What goes wrong behind the first is kept for the next receive. */
  takeMany(maxLength: number, max: number): Message[] | Blocked {
    const messages: Message[] = []
    try {
      while (messages.length < max) {
        const message = this.takeMessage(maxLength)
        if (message === blocked) break
        messages.push(message)
        this.#takeAhead(messages, maxLength, max)
        // What follows must not be waited for.
        this.#deadline = undefined
      }
    } catch (error) {
      if (messages.length === 0) throw error
      this.#failure = error
      this.readable = true
    }
    if (messages.length === 0) return blocked
    if (this.#receives.length === 0) this.#disarm()
    return messages
  }

  /** Takes what came along with others: by itself each costs more. */
  #takeAhead(messages: Message[], maxLength: number, max: number): void {
    const ahead = this.#ahead
    for (let data = ahead.at(-1); data !== undefined; data = ahead.at(-1)) {
      if (messages.length === max || data.length > maxLength) return
      messages.push({ data, fds: [] })
      ahead.pop()
    }
  }

  /** Takes a handle record of at most `max` descriptors. */
  takeRecord(max: number): OwnedFd[] | Blocked {
    this.unread()
    const code = receiveRecord(this.#id, max, this.#patience())
    return code > 0 ? ownDescriptors() : this.#unreceived(code)
  }

  /** Gives the native side back what was taken and not delivered. */
  unread(): void {
    for (const message of this.#ahead) native.unread(this.#id, message)
    this.#ahead = nothing
  }

  #attempt<T>(take: Take<T>, { maxLength, max }: Receiving): T | Blocked {
    try {
      if (this.#failure !== undefined) {
        const failure = this.#failure
        this.#failure = undefined
        if (this.#isOver) this.readable = false
        throw failure
      }
      let result = take(this, maxLength, max)
      while (result === blocked && !this.#ended && this.#refill?.() === true) result = take(this, maxLength, max)
      return result
    } finally {
      if (this.#observers !== none) for (const observer of this.#observers) observer()
    }
  }

  /** Milliseconds the next native call may block; negative where it must not. */
  #patience(): number {
    if (this.#deadline === undefined) return -1
    return this.#deadline === Infinity ? Infinity : Math.max(0, this.#deadline - performance.now())
  }

  /** Calls those who watch, once. */
  #notify(): void {
    if (this.#watchers === none) return
    const watchers = this.#watchers
    this.#watchers = none
    for (const watcher of watchers) watcher()
  }

  #arm(): void {
    sources[this.#id] = this.#owner
    this.#armed = true
    checkCode(native.connectionAwaitRead(this.#id))
  }

  /** Where nobody waits any more, the native side need not tell. */
  #disarm(): void {
    if (this.waiting || this.#closed) return
    if (this.#armed) native.connectionForgetRead(this.#id)
    this.#armed = false
    // One that is idle may be collected.
    this.#owner.ready(0)
  }

  /** A message that came along with others. */
  #nextAhead(maxLength: number): Buffer | undefined {
    const ahead = this.#ahead.at(-1)
    if (ahead === undefined) return undefined
    if (ahead.length > maxLength) throw this.#tooLarge(ahead.length, maxLength)
    this.#ahead.pop()
    return ahead
  }

  #take(maxLength: number): Buffer | Blocked {
    for (let memory: Buffer | undefined; ; memory = allocate(report[REPORT_LENGTH] as number)) {
      const result = receive(this.#id, slabOffset(), maxLength, this.#patience(), memory)
      if (typeof result !== 'number') return result
      if (result > 0) {
        const first = claim(lengths[0] as number)
        if (result > 1) this.#ahead = claimBehind(result)
        return first
      }
      if (result !== NEED_MEMORY) return this.#unreceived(result, maxLength)
    }
  }

  /** The length of the message that is in the target, or one that is not. */
  #takeInto(target: Uint8Array, offset: number): Buffer | number | Blocked {
    for (let memory: Buffer | undefined; ; memory = allocate(report[REPORT_LENGTH] as number)) {
      const result = receiveInto(this.#id, target, offset, this.#patience(), memory)
      if (result === NEED_MEMORY) continue
      if (typeof result === 'number' && result < 0) return this.#unreceived(result)
      const length = report[REPORT_LENGTH] as number
      this.#discardDescriptors()
      return typeof result === 'number' ? length : result
    }
  }

  #discardDescriptors(): void {
    const count = closeDescriptors()
    if (count === 0 || this.#warned) return
    this.#warned = true
    process.emitWarning(`${count} descriptors came with a message and were closed; receive it with recvMessage()`, {
      code: 'FDWIRE_FDS_DISCARDED',
    })
  }

  /** A receive that gave no message: nothing yet, or an error. */
  #unreceived(code: number, maxLength = Infinity): Blocked {
    const count = report[REPORT_LENGTH] as number
    switch (code) {
      case WOULD_BLOCK:
        this.#armed = true
        return blocked
      case TIMED_OUT:
        return blocked
      case END_OF_STREAM:
        this.#ended = true
        return blocked
      case MESSAGE_TOO_LARGE:
        throw this.#tooLarge(count, maxLength)
      default:
        throw failureOf(code, count)
    }
  }

  /** Why it is not {@link readable}. */
  unreadable(): Error {
    const why = this.#isOver ? 'a message was too large' : 'it is the writing end of a pipe'
    return new CodedError('ERR_NOT_READABLE', `The connection cannot receive: ${why}`)
  }

  #tooLarge(length: number, maxLength: number): Error {
    this.readable = false
    this.#isOver = true
    const { messageLimit } = this.#owner
    return tooLarge(length, length > messageLimit.limit ? messageLimit : { limit: maxLength, name: 'maxLength' })
  }
}
