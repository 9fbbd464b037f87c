import type { Duplex } from 'node:stream'
import { CodedError, TimeoutError, closedError, invalidState } from '../base/errors.ts'
import { warnOfLeak } from '../base/leak.ts'
import { peerCredentials, socketAddress } from '../descriptors/peer.ts'
import type { PeerAddress, PeerCredentials } from '../descriptors/peer.ts'
import { checkCode, native } from '../native/binding.ts'
import { sources } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import { EndWatch } from './end-watch.ts'
import { Inbox } from './inbox.ts'
import type { ConnectionSettings } from './options.ts'
import { Outbox } from './outbox.ts'
import { StreamLink } from './stream-link.ts'

const { FLAG_READ_ONLY, FLAG_WRITE_ONLY, GONE, READABLE, WRITABLE } = native

/**
 * Where a connection is in its life: `closing` while what was sent still leaves, `moving` while it is on its way to
 * another process. docs/lifecycle.md says what each call does in each state.
 */
export type State = 'open' | 'closing' | 'moving' | 'closed'

/** How a channel begins. */
export interface Origin {
  /** The address of the other end; asked for when it is wanted where this is undefined. */
  readonly peer?: PeerAddress | undefined
  /** What a pipe's end or a terminal is not opened for, of the FLAG_ bits. */
  readonly access?: number
  /** What carries the bytes where there is no descriptor. */
  readonly duplex?: Duplex | undefined
}

const collected = new FinalizationRegistry<number>((id) => {
  const source = sources[id]
  sources[id] = undefined
  native.connectionClose(id)
  if (source instanceof EndWatch) source.closed()
  warnOfLeak('A Connection', 'FDWIRE_CONNECTION_LEAK')
})
const done = Promise.resolve()
const origins = new WeakMap<Error, Channel>()

/** The channel that an error is about. */
export function originOf(error: Error): Channel | undefined {
  return origins.get(error)
}

/** What a connection has and is: its number on the native side, its state, and its two halves. */
export class Channel implements Source {
  readonly settings: ConnectionSettings
  /** Whether nobody needs to await a send for its failure to be heard: whoever serves it closes it anyway. */
  served = false
  readonly #access: number
  readonly #link: StreamLink | undefined
  #state: State = 'open'
  /** What the native side knows it by; -1 once closed. */
  #id: number
  #peer: PeerAddress | undefined
  /** Made by the first who asks for it, as is the outbox: most connections of a large server are idle. */
  #inbox: Inbox | undefined
  #outbox: Outbox | undefined
  /** Of {@link signal}, from the first who asks for it on. */
  #end: { readonly signal: AbortSignal; readonly watch: EndWatch } | undefined
  /** What `close()` gives each time. */
  #closing: Promise<void> | undefined
  #handshakeLimit: number | undefined
  /** Called when a move has ended, in whatever way. */
  #onMoved: (() => void) | undefined

  constructor(id: number, settings: ConnectionSettings, { peer, access = 0, duplex }: Origin) {
    this.#id = id
    this.settings = settings
    this.#peer = peer
    this.#access = access
    if (duplex !== undefined) {
      const link = new StreamLink(id, duplex, (flags) => this.ready(flags))
      this.#link = link
      this.inbox.feedBy(() => link.read())
      this.outbox.carryBy(link)
    }
    collected.register(this, id, this)
  }

  get id(): number {
    return this.#id
  }

  get state(): State {
    return this.#state
  }

  /** Whether it was closed, or is about to be. */
  get closed(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  /** The receiving half. */
  get inbox(): Inbox {
    return (this.#inbox ??= new Inbox(this.#id, this, (this.#access & FLAG_WRITE_ONLY) === 0))
  }

  /** The sending half. */
  get outbox(): Outbox {
    return (this.#outbox ??= new Outbox(this.#id, this, (this.#access & FLAG_READ_ONLY) === 0))
  }

  /** The descriptor's number; -1 once closed, or where there is none. */
  get fd(): number {
    return this.closed ? -1 : native.connectionDescriptor(this.#id)
  }

  /** The same, or why there is none. */
  fileno(): number {
    if (this.closed) this.checkOpen()
    this.#checkNoStream()
    return this.fd
  }

  get readable(): boolean {
    return this.#state === 'open' && this.inbox.readable
  }

  get writable(): boolean {
    return this.#state === 'open' && this.outbox.writable
  }

  /** Bytes that the kernel has not taken yet. */
  get writableLength(): number {
    return this.#id === -1 || this.#outbox === undefined ? 0 : this.#outbox.length
  }

  get peer(): PeerAddress {
    if (this.#peer === undefined) {
      if (this.closed) return ''
      this.#peer = socketAddress(native.connectionDescriptor(this.#id), true)
    }
    return this.#peer
  }

  get peerCredentials(): PeerCredentials | undefined {
    return this.closed ? undefined : peerCredentials(native.connectionDescriptor(this.#id))
  }

  /** @throws unless it is open. */
  checkOpen(): void {
    if (this.#state === 'open') return
    if (this.#state === 'moving') throw invalidState('The connection is on its way to another process')
    throw this.#closedError()
  }

  checkDescriptor(): void {
    this.checkOpen()
    this.#checkNoStream()
  }

  #checkNoStream(): void {
    if (this.#link !== undefined) throw invalidState('A connection over a stream has no descriptor')
  }

  checkReadable(): void {
    this.checkOpen()
    if (!this.inbox.readable) throw this.inbox.unreadable()
  }

  checkWritable(): void {
    this.checkOpen()
    if (!this.outbox.writable)
      throw new CodedError('ERR_NOT_WRITABLE', 'The connection cannot send: it is the reading end of a pipe')
  }

  /** Aborted when the peer is gone, or the connection closed here. */
  get signal(): AbortSignal {
    if (this.#end === undefined) {
      this.#end = EndWatch.begin()
      this.#watchEnd(this.#end.watch)
    }
    return this.#end.signal
  }

  /** Why {@link signal} was aborted; undefined where it was not. */
  get endReason(): unknown {
    return this.#end?.signal.reason
  }

  #watchEnd(watch: EndWatch): void {
    if (this.closed) return watch.closed()
    if (this.#link?.gone === true) return watch.gone()
    sources[this.#id] ??= watch
    // Where the system does not watch it (a file's device), only closing is told.
    if (native.connectionWatchEnd(this.#id) === 1) watch.gone()
  }

  /** Whether pending operations keep the process alive. */
  reference(referenced: boolean): void {
    if (this.#id !== -1) native.connectionReference(this.#id, referenced)
    this.#link?.reference(referenced)
  }

  /** How many bytes a received message may have, and what says so. */
  get messageLimit(): { readonly limit: number; readonly name: string } {
    const limit = this.#handshakeLimit ?? this.settings.maxMessageSize
    return { limit, name: this.#handshakeLimit === undefined ? 'maxMessageSize' : 'limit for a handshake' }
  }

  /** Changes how many bytes a received message may have: fewer during a handshake. */
  limitMessages(maxMessageSize: number): void {
    this.#handshakeLimit = maxMessageSize === this.settings.maxMessageSize ? undefined : maxMessageSize
    if (this.#id !== -1) native.connectionLimit(this.#id, maxMessageSize)
  }

  blame(error: unknown): void {
    if (!(error instanceof Error)) return
    origins.set(error, this)
    // Where nobody asked before it was closed, it is not known any more.
    // That of a stream may be frozen: then it says nothing of it.
    if (this.#peer !== undefined || !this.closed) Reflect.set(error, 'peer', this.peer)
  }

  #closedError(): Error {
    const error = closedError('connection')
    this.blame(error)
    return error
  }

  /** The native side has something to tell. */
  ready(flags: number): void {
    if ((flags & WRITABLE) !== 0) this.#outbox?.settle()
    if ((flags & READABLE) !== 0 && this.#state === 'open') this.#inbox?.pump()
    if ((flags & GONE) !== 0) this.#end?.watch.gone()
    // One that nobody waits for may be collected.
    if (this.#id === -1 || this.#inbox?.waiting === true || this.#outbox?.waiting === true) return
    sources[this.#id] = this.#end?.watch
  }

  /** Resolves when the kernel has all that was sent; rejects where that failed. */
  flush(): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(this.#closedError())
    return this.#outbox?.flush() ?? done
  }

  /** Resolves when the kernel has all that was sent, or cannot have it. */
  drain(): Promise<void> {
    return this.#outbox?.drain() ?? done
  }

  /** Blocks until then, for at most `timeout` milliseconds. */
  drainSync(timeout: number): void {
    this.#outbox?.flushSync(timeout)
  }

  /** Takes the descriptor out, which the native side holds for JavaScript then. */
  detach(): number {
    this.checkDescriptor()
    this.#outbox?.uncork()
    this.#inbox?.unread()
    const fd = native.connectionRelease(this.#id)
    if (fd < 0) throw invalidState('The connection has queued writes (see flush()) or bytes read ahead (receive them)')
    this.#release()
    return fd
  }

  /** Nothing may use it here from now on; {@link endMove} is to follow. */
  beginMove(): void {
    // Whoever moves it was first.
    if (this.#state === 'moving') throw closedError('connection')
    this.checkDescriptor()
    if (this.#inbox?.waiting === true) throw invalidState('Receives are waiting on the connection')
    this.#state = 'moving'
  }

  /** It `left`, and is closed here; or it is what it was, unless `close()` was called meanwhile. */
  endMove(left: boolean): void {
    if (left) this.destroy()
    if (this.#state === 'moving') {
      this.#state = 'open'
      this.#inbox?.pump()
    }
    this.#onMoved?.()
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#close()
      this.#end?.watch.closed()
    }
    return this.#closing
  }

  #close(): Promise<void> {
    if (this.#state === 'closed') return done
    const moving = this.#state === 'moving'
    this.#state = 'closing'
    if (moving) return new Promise<void>((resolve) => (this.#onMoved = resolve)).then(() => this.#finish())
    return this.#finish()
  }

  /** Closes it once what was sent has left. */
  #finish(): Promise<void> {
    const drained = this.drain()
    if (this.#outbox?.waiting !== true && this.#link === undefined) {
      this.destroy()
      return drained
    }
    this.#inbox?.close()
    return drained.then(() => this.#link?.end()).then(() => this.destroy())
  }

  closeSync(timeout: number): void {
    if (this.#state === 'closed') return
    if (this.#state === 'moving') this.checkOpen()
    if (this.#link !== undefined) return this.#closeStreamSync(this.#link)
    try {
      this.drainSync(timeout)
    } catch (error) {
      if (error instanceof TimeoutError) throw error
    } finally {
      this.destroy()
    }
  }

  /** Nothing is dropped: what has not left cannot be waited for, and what has is followed by the end. */
  #closeStreamSync(link: StreamLink): void {
    this.#outbox?.uncork()
    if (this.#outbox?.waiting === true)
      throw invalidState('The stream has not taken all that was sent; close() waits for it')
    native.connectionClose(this.#id)
    this.#release()
    void link.end().then(() => link.destroy())
  }

  destroy(): void {
    if (this.#state === 'closed') return
    native.connectionClose(this.#id)
    this.#release()
    // Last, as it calls the stream, which may open others: they may get the number.
    this.#link?.destroy()
  }

  /** The native side has given it up. */
  #release(): void {
    this.#state = 'closed'
    collected.unregister(this)
    sources[this.#id] = undefined
    this.#id = -1
    this.#inbox?.close()
    this.#outbox?.close()
    // Last, as it calls whoever listens.
    this.#end?.watch.closed()
  }
}

/** The channel of a native number, or the error that it stands for. */
export function checkChannel(id: number, settings: ConnectionSettings, origin: Origin): Channel {
  return new Channel(checkCode(id), settings, origin)
}
