import type { Duplex } from 'node:stream'
import { socketAddress } from './address.ts'
import type { PeerAddress, UnixTarget } from './address.ts'
import { checkConnectionOptions } from '../channel/options.ts'
import { checkBytes, checkInteger } from '../base/arguments.ts'
import type {
  ConnectionOptions,
  ConnectionSettings,
  ReceiveIntoOptions,
  ReceiveManyOptions,
  ReceiveOptions,
  SendOptions,
  SendValueOptions,
  SyncOptions,
} from '../channel/options.ts'
import { descriptorWords, realm, report, sources } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import {
  AbortError,
  CodedError,
  TimeoutError,
  closedError,
  invalidArgumentType,
  invalidArgumentValue,
  invalidState,
  outOfRange,
  systemError,
} from '../base/errors.ts'
import { uncheckedFd } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { Inbox, blocked } from '../channel/inbox.ts'
import type { Blocked, Message, Receiving, Take } from '../channel/inbox.ts'
import { inspectable, show } from '../base/inspect.ts'
import { checkCode, hot, native } from '../native/binding.ts'
import { readiness } from '../base/read-ahead.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { decodeMoved, encodeMoved } from '../channel/moved.ts'
import { Outbox } from '../channel/outbox.ts'
import { OwnedFd, adoptFd } from '../descriptors/owned-fd.ts'
import { isStream } from '../descriptors/kind.ts'
import type { FdKind } from '../descriptors/kind.ts'
import { StreamLink } from '../channel/stream-link.ts'
import { checkLimits, checkPositional, forEver } from '../base/limits.ts'
import { checkOptions } from '../base/arguments.ts'
import type { WaitOptions } from '../base/limits.ts'

const { FLAG_NAMED, FLAG_READ_ONLY, FLAG_WRITE_ONLY, READABLE, REPORT_FLAGS, WRITABLE } = native

/** Descriptors one sendmsg(2) takes (SCM_MAX_FD). */
const MAX_FDS = 253

/** Who is at the other end of a unix socket: who called connect(2), listen(2) or socketpair(2) there. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** A checked message to send. */
interface Sending {
  readonly bytes: Uint8Array
  readonly offset: number
  readonly size: number
  /** How many descriptor words go with it. */
  readonly descriptors: number
}

/** A connection as a message with descriptors. */
interface Packed {
  readonly message: Buffer
  readonly fds: number[]
}

const takeBytes: Take<Buffer> = (inbox, maxLength) => inbox.takeBytes(maxLength)
const takeMessage: Take<Message> = (inbox, maxLength) => inbox.takeMessage(maxLength)
const takeMany: Take<Message[]> = (inbox, maxLength, max) => inbox.takeMany(maxLength, max)

const takeHandle: Take<OwnedFd> = (inbox) => {
  const fds = inbox.takeRecord(1)
  return fds === blocked ? blocked : (fds[0] as OwnedFd)
}

/** The next message, or the end. */
const takeNext: Take<IteratorResult<Message, undefined>> = (inbox) => {
  const value = inbox.takeMessage(Infinity)
  if (value !== blocked) return { value, done: false }
  return inbox.ended ? { value: undefined, done: true } : blocked
}

const anything: Receiving = { limits: forEver, maxLength: Infinity, max: Infinity }

function valueOptions(options: SendValueOptions | undefined): SendOptions | undefined {
  checkOptions(options)
  return options?.fds === undefined ? undefined : { fds: options.fds }
}

/** Whether the peer of the connection just made has an address that is to be asked for. */
function isNamed(): boolean {
  return ((report[REPORT_FLAGS] as number) & FLAG_NAMED) !== 0
}

function carriesMessages(fd: number, kind: FdKind): boolean {
  return kind === 'tty' || kind === 'char' || isStream(fd, kind)
}

const collected = new FinalizationRegistry<number>((id) => native.connectionClose(id))

/** Messages until the peer closes. */
class Messages implements AsyncIterableIterator<Message, undefined> {
  readonly #connection: Connection
  #begun = false
  #done = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    // The end stays the end when the connection is closed thereafter.
    if (this.#done || (this.#begun && this.#connection.hasEnded)) return this.return()
    this.#begun = true
    return this.#connection.nextMessage()
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#done = true
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/**
 * Framed messages over a stream socket, pipe or terminal, byte for byte as Python's
 * `multiprocessing.connection.Connection`. Made by {@link connect}, {@link pipe}, a `Listener` or
 * {@link Connection.fromFd}.
 *
 * Receives may wait beside each other and are served in order. Nothing is read until somebody asks. A pending operation
 * keeps the process alive, an idle connection does not. A collected connection is closed.
 */
export class Connection {
  static {
    inspectable(this.prototype, (object) => object.#describe())
  }

  /** What the native side knows it by; -1 once closed. */
  #id: number
  readonly #settings: ConnectionSettings
  /** What a pipe's end or a terminal is not opened for, of the FLAG_ bits. */
  readonly #access: number
  /** Made by the first who asks for it, as is the outbox: most connections of a large server are idle. */
  #inbox: Inbox | undefined
  #outbox: Outbox | undefined
  readonly #link: StreamLink | undefined
  #peer: PeerAddress | undefined
  #closing: Promise<void> | undefined

  private constructor(
    id: number,
    settings: ConnectionSettings,
    peer: PeerAddress | undefined,
    access: number,
    duplex?: Duplex,
  ) {
    checkCode(id)
    this.#id = id
    this.#settings = settings
    this.#access = access
    this.#peer = peer
    if (duplex !== undefined) {
      const link = new StreamLink(id, duplex, () => this.ready(READABLE))
      this.#link = link
      this.#receiver().feedBy(() => link.read())
      this.#sender().carryBy(link)
    }
    collected.register(this, id, this)
  }

  /** @internal Connects to a unix address; a negative code where that failed (EAGAIN: the accept queue is full). */
  static connect({ path, address }: UnixTarget, settings: ConnectionSettings): Connection | number {
    const id = native.connectionConnect(realm, path, settings.maxMessageSize, settings.flags)
    if (id < 0) return id
    return new Connection(id, settings, isNamed() ? undefined : address, 0)
  }

  /**
   * @internal Accepts from a listener, which is `reported` when there may be another; a negative code where that failed
   * (WOULD_BLOCK: there is none now).
   */
  static accept(listener: number, settings: ConnectionSettings, reported: boolean): Connection | number {
    const id = native.connectionAccept(listener, settings.maxMessageSize, settings.flags, reported)
    if (id < 0) return id
    return new Connection(id, settings, isNamed() ? undefined : '', 0)
  }

  /** @internal Of a descriptor that the native side holds for us; closes it when this fails. */
  static open(fd: number, settings: ConnectionSettings, peer?: PeerAddress): Connection {
    try {
      const id = native.connectionOpen(realm, fd, settings.maxMessageSize, settings.flags)
      return new Connection(id, settings, peer, report[REPORT_FLAGS] as number)
    } catch (error) {
      hot.closeDescriptor(fd)
      throw error
    }
  }

  /**
   * Adopts a connected stream socket, a pipe's end or a terminal: a number, or an OwnedFd, which is consumed. It becomes
   * close-on-exec; nothing else about it changes. When this throws, the descriptor is where it was. Python's
   * `Connection(fd)`.
   *
   * @throws `ERR_INVALID_FD_TYPE`; EBADF; `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd(fd: number | OwnedFd, options?: ConnectionOptions): Connection {
    const settings = checkConnectionOptions(options)
    return Connection.open(adoptFd(fd, 'a stream socket, a pipe or a terminal', carriesMessages), settings)
  }

  /**
   * The same messages over any Duplex of bytes: TLS, SSH, a WebSocket's stream. The connection owns it. Descriptors
   * cannot be sent, there is none to wait on, and the calls that block are refused (`ERR_INVALID_STATE`). An error of the
   * Duplex rejects what is pending and every receive after what was read before it.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_INVALID_ARG_VALUE` for a Duplex of objects or text.
   */
  static fromStream(duplex: Duplex, options?: ConnectionOptions): Connection {
    const settings = checkConnectionOptions(options)
    if (typeof (duplex as Duplex | null)?.read !== 'function' || typeof duplex.write !== 'function') {
      throw invalidArgumentType('duplex', 'a Duplex', duplex)
    }
    if (duplex.readableObjectMode || duplex.writableObjectMode || duplex.readableEncoding) {
      throw invalidArgumentValue('duplex', 'is not a Duplex of bytes')
    }
    const id = native.connectionOpenStream(realm, settings.maxMessageSize, settings.flags)
    return new Connection(id, settings, '', 0, duplex)
  }

  /** The descriptor's number, -1 once closed or detached, or over a stream. It stays the connection's. */
  get fd(): number {
    return this.#isOpen() ? native.connectionDescriptor(this.#id) : -1
  }

  /**
   * The descriptor's number. Python's `fileno()`.
   *
   * @throws `ERR_CLOSED`; `ERR_INVALID_STATE` over a stream.
   */
  fileno(): number {
    this.#checkDescriptor()
    return native.connectionDescriptor(this.#id)
  }

  /** Whether it was closed, or is about to be. */
  get closed(): boolean {
    return !this.#isOpen()
  }

  /** Whether it can receive: not a pipe's writing end, and no message was too large. The peer's end changes nothing. */
  get readable(): boolean {
    return this.#isOpen() && this.#receiver().readable
  }

  /** Whether it can send: not a pipe's reading end. */
  get writable(): boolean {
    return this.#isOpen() && this.#sender().writable
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get writableLength(): number {
    return this.#id === -1 ? 0 : this.#sender().length
  }

  /** The address of the other end; `''` where it has none. */
  get peer(): PeerAddress {
    if (this.#peer === undefined) {
      if (!this.#isOpen()) return ''
      this.#peer = socketAddress(native.connectionDescriptor(this.#id), true)
    }
    return this.#peer
  }

  /** Who is at the other end of a unix socket; undefined on TCP and pipes, and once closed. */
  get peerCredentials(): PeerCredentials | undefined {
    if (!this.#isOpen()) return undefined
    return native.socketPeerCredentials(native.connectionDescriptor(this.#id)) ?? undefined
  }

  /** Lets pending operations keep the process alive, as they do at first. */
  ref(): this {
    return this.#reference(true)
  }

  /** Lets the process end in spite of pending operations. */
  unref(): this {
    return this.#reference(false)
  }

  /**
   * Sends a message; resolves once the kernel has all of it. Until then the data must stay as it is. Messages leave in
   * the order of the calls. Python's `send_bytes`; with `fds`, what `reduction.sendfds` and `send_bytes` send.
   *
   * @throws `ERR_CLOSED`, `ERR_NOT_WRITABLE`; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; EPIPE, ECONNRESET (this send and
   *   all behind it); with descriptors `ERR_FDS_UNSUPPORTED` where none can be sent, EBADF, EINVAL for more than 253,
   *   ETOOMANYREFS, EMFILE, and nothing is sent.
   */
  sendBytes(data: NodeJS.ArrayBufferView | ArrayBufferLike, options?: SendOptions): Promise<void> {
    try {
      const { bytes, offset, size, descriptors } = this.#checkSend(data, options)
      return this.#sender().send(bytes, offset, size, descriptors)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * As {@link sendBytes}, blocking; goes behind what is queued, and waits for that too.
   *
   * @throws {@link TimeoutError}, the message staying queued; otherwise as {@link sendBytes}.
   */
  sendBytesSync(data: NodeJS.ArrayBufferView | ArrayBufferLike, options?: SendOptions & SyncOptions): void {
    const { bytes, offset, size, descriptors } = this.#checkSend(data, options)
    this.#sender().sendSync(bytes, offset, size, descriptors, checkLimits(options).timeout)
  }

  /**
   * Sends a value as one message, encoded by the connection's codec. As Python's `send`, but never pickled.
   *
   * @throws what the codec throws, with nothing sent; otherwise as {@link sendBytes}.
   */
  send(value: unknown, options?: SendValueOptions): Promise<void> {
    try {
      this.#checkWritable()
      return this.sendBytes(this.#settings.codec.encode(value), valueOptions(options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As {@link send}, blocking, as {@link sendBytesSync} does. */
  sendSync(value: unknown, options?: SendValueOptions & SyncOptions): void {
    this.#checkWritable()
    this.sendBytesSync(this.#settings.codec.encode(value), { ...valueOptions(options), timeout: options?.timeout })
  }

  /**
   * Sends one descriptor, as Python's `reduction.send_handle`; the caller keeps his. Resolves once the kernel has it.
   *
   * @throws as {@link sendFds}
   */
  sendHandle(fd: FdLike): Promise<void> {
    try {
      return this.#sender().sendRecord(this.#checkRecord([fd], 'fd'))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As {@link sendHandle}, blocking, as {@link sendBytesSync} does. */
  sendHandleSync(fd: FdLike, options?: SyncOptions): void {
    this.#sender().sendRecordSync(this.#checkRecord([fd], 'fd'), checkLimits(options).timeout)
  }

  /**
   * Sends 1 to 253 descriptors in one handle record, as Python's `reduction.sendfds`; the caller keeps his.
   *
   * @throws `ERR_FDS_UNSUPPORTED` on TCP and pipes; EBADF, EINVAL for more than 253, ETOOMANYREFS, EMFILE;
   *   `ERR_OUT_OF_RANGE` for none. Nothing is sent then. Otherwise as {@link sendBytes}.
   */
  sendFds(fds: readonly FdLike[]): Promise<void> {
    try {
      return this.#sender().sendRecord(this.#checkRecord(fds, 'fds'))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As {@link sendFds}, blocking, as {@link sendBytesSync} does. */
  sendFdsSync(fds: readonly FdLike[], options?: SyncOptions): void {
    this.#sender().sendRecordSync(this.#checkRecord(fds, 'fds'), checkLimits(options).timeout)
  }

  /**
   * Waits for the next message: a new Buffer of 0 to `maxMessageSize` bytes. Descriptors that came with it are closed,
   * with one warning (`FDWIRE_FDS_DISCARDED`). Python's `recv_bytes`.
   *
   * @throws {@link EOFError} if the peer closed between messages, each time.
   * @throws `ERR_MESSAGE_TRUNCATED` if it closed inside one; ECONNRESET; `ERR_PROTOCOL`.
   * @throws `ERR_MESSAGE_TOO_LARGE` over `maxLength` or `maxMessageSize`: nothing more can be received.
   * @throws `ERR_FDS_COUNT`, `ERR_FDS_TRUNCATED`: descriptors were wrong or lost and are closed; what follows is intact.
   * @throws `ERR_CLOSED`, `ERR_NOT_READABLE`, {@link TimeoutError}, {@link AbortError}.
   */
  recvBytes(options?: ReceiveOptions): Promise<Buffer> {
    return this.#receive('recvBytes', options, takeBytes)
  }

  /**
   * As {@link recvBytes}, blocking. A signal is looked at only once, before.
   *
   * @throws `ERR_INVALID_STATE` beside a receive that waits; otherwise as {@link recvBytes}.
   */
  recvBytesSync(options?: ReceiveOptions): Buffer {
    return this.#receiveSync('recvBytesSync', options, takeBytes)
  }

  /**
   * Waits for the next message and decodes it by the connection's codec. As Python's `recv`, but never unpickled.
   *
   * @throws what the codec throws; the message is consumed. Otherwise as {@link recvBytes}.
   */
  recv<T = unknown>(options?: ReceiveOptions): Promise<T> {
    return this.#receive('recv', options, (inbox, maxLength) => this.#takeValue<T>(inbox, maxLength))
  }

  /** As {@link recv}, blocking, as {@link recvBytesSync} does. */
  recvSync<T = unknown>(options?: ReceiveOptions): T {
    return this.#receiveSync('recvSync', options, (inbox, maxLength) => this.#takeValue<T>(inbox, maxLength))
  }

  /**
   * Waits for the next message and writes it into `buffer`; resolves with its length. Until then the buffer is in use.
   * Python's `recv_bytes_into`.
   *
   * @throws {@link BufferTooShort} with the message in `data` when it does not fit; otherwise as {@link recvBytes}.
   */
  recvBytesInto(buffer: NodeJS.ArrayBufferView | ArrayBufferLike, options?: ReceiveIntoOptions): Promise<number> {
    try {
      const { bytes, offset } = this.#checkTarget(buffer, options)
      return this.#receive('recvBytesInto', options, (inbox) => inbox.takeInto(bytes, offset))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As {@link recvBytesInto}, blocking, as {@link recvBytesSync} does. */
  recvBytesIntoSync(buffer: NodeJS.ArrayBufferView | ArrayBufferLike, options?: ReceiveIntoOptions): number {
    const { bytes, offset } = this.#checkTarget(buffer, options)
    return this.#receiveSync('recvBytesIntoSync', options, (inbox) => inbox.takeInto(bytes, offset))
  }

  /**
   * Waits for the next message and the descriptors sent with it. Each belongs to the caller and is close-on-exec.
   *
   * @throws as {@link recvBytes}
   */
  recvMessage(options?: ReceiveOptions): Promise<Message> {
    return this.#receive('recvMessage', options, takeMessage)
  }

  /** As {@link recvMessage}, blocking, as {@link recvBytesSync} does. */
  recvMessageSync(options?: ReceiveOptions): Message {
    return this.#receiveSync('recvMessageSync', options, takeMessage)
  }

  /**
   * Waits for a message and returns it with all others that have arrived, at most `max`.
   *
   * @throws as {@link recvBytes}; what goes wrong behind a message is thrown by the next receive.
   */
  recvMany(options?: ReceiveManyOptions): Promise<Message[]> {
    return this.#receive('recvMany', options, takeMany)
  }

  /** As {@link recvMany}, blocking until there is one, as {@link recvBytesSync} does. */
  recvManySync(options?: ReceiveManyOptions): Message[] {
    return this.#receiveSync('recvManySync', options, takeMany)
  }

  /**
   * Waits for one descriptor sent by `sendHandle` or Python's `reduction.send_handle`: takes one byte, whatever it is.
   *
   * @throws `ERR_FDS_COUNT` if there is not one descriptor with it; all are closed, the byte is consumed.
   * @throws `ERR_INVALID_STATE` inside a message that an earlier receive left unfinished; otherwise as {@link recvBytes}.
   */
  recvHandle(options?: WaitOptions): Promise<OwnedFd> {
    return this.#receive('recvHandle', options, takeHandle)
  }

  /** As {@link recvHandle}, blocking, as {@link recvBytesSync} does. */
  recvHandleSync(options?: WaitOptions): OwnedFd {
    return this.#receiveSync('recvHandleSync', options, takeHandle)
  }

  /**
   * Waits for 1 to `max` descriptors sent in one record. Python's `reduction.recvfds`.
   *
   * @throws as {@link recvHandle}
   */
  recvFds(max: number, options?: WaitOptions): Promise<OwnedFd[]> {
    try {
      const most = this.#checkMax(max)
      return this.#receive('recvFds', options, (inbox) => inbox.takeRecord(most))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As {@link recvFds}, blocking, as {@link recvBytesSync} does. */
  recvFdsSync(max: number, options?: WaitOptions): OwnedFd[] {
    const most = this.#checkMax(max)
    return this.#receiveSync('recvFdsSync', options, (inbox) => inbox.takeRecord(most))
  }

  /**
   * Moves a connection to the process at the other end, with its settings (a codec of one's own becomes the receiver's)
   * and what was read ahead. What it still has queued leaves first. It is closed here once it left.
   *
   * @throws `ERR_INVALID_STATE` while receives wait on it or a large message was received in part; the connection stays
   *   usable then, as it does when sending fails. `ERR_FDS_UNSUPPORTED` on TCP and pipes. Otherwise as {@link sendBytes}.
   */
  async sendConnection(connection: Connection): Promise<void> {
    this.#checkWritable()
    if (!(connection instanceof Connection)) throw invalidArgumentType('connection', 'a Connection', connection)
    const { message, fds } = await connection.#leave(this)
    try {
      await this.sendBytes(message, { fds })
    } catch (error) {
      if (connection.#id !== -1) connection.#closing = undefined
      throw error
    }
    connection.destroy()
  }

  /**
   * Waits for a connection sent by {@link sendConnection}.
   *
   * @throws `ERR_PROTOCOL` if the message is no such connection; its descriptors are closed. Otherwise as
   *   {@link recvBytes}.
   */
  recvConnection(options?: WaitOptions): Promise<Connection> {
    return this.#receive('recvConnection', options, (inbox) => this.#takeConnection(inbox))
  }

  /** As {@link recvConnection}, blocking, as {@link recvBytesSync} does. */
  recvConnectionSync(options?: WaitOptions): Connection {
    return this.#receiveSync('recvConnectionSync', options, (inbox) => this.#takeConnection(inbox))
  }

  /** As {@link sendConnection}, blocking, as {@link sendBytesSync} does. */
  sendConnectionSync(connection: Connection, options?: SyncOptions): void {
    this.#checkWritable()
    if (!(connection instanceof Connection)) throw invalidArgumentType('connection', 'a Connection', connection)
    const { timeout } = checkLimits(options)
    connection.#checkMovable(this)
    connection.#outbox?.flushSync(timeout)
    const { message, fds } = connection.#pack()
    this.sendBytesSync(message, { fds, timeout })
    connection.destroy()
  }

  /**
   * Whether a receive would find something: data, the peer's end, or an error. Waits `timeout` milliseconds for it, not
   * at all by default, for ever with `null`. Consumes nothing. Python's `poll`.
   *
   * @throws `ERR_CLOSED`, `ERR_NOT_READABLE`, {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  async poll(timeout?: number | null | WaitOptions): Promise<boolean> {
    this.#checkReadable()
    const limits = checkPositional(timeout, 0)
    if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
    if (this.#receiver().poll()) return true
    if (limits.timeout !== 0) return this.#receiver().waitReadable(limits)
    // A loop that polls must not starve the event loop.
    await new Promise((resolve) => setImmediate(resolve))
    return this.readable && this.#receiver().poll()
  }

  /** As {@link poll}, blocking. A signal is looked at only once, before. */
  pollSync(timeout?: number | null | WaitOptions): boolean {
    this.#checkReadable()
    this.#checkDescriptor()
    const limits = checkPositional(timeout, 0)
    if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
    return this.#receiver().poll(limits.timeout)
  }

  /**
   * Messages until the peer closes. Leaving the loop keeps the connection open.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message, undefined> {
    return new Messages(this)
  }

  /**
   * Takes the descriptor out of the connection, which is closed then.
   *
   * @throws `ERR_INVALID_STATE` while writes are queued or bytes read ahead; `ERR_CLOSED`.
   */
  detach(): OwnedFd {
    this.#checkDescriptor()
    this.#outbox?.uncork()
    this.#inbox?.unread()
    const fd = native.connectionRelease(this.#id)
    if (fd < 0) throw invalidState('The connection has queued writes or bytes read ahead')
    this.#closing = Promise.resolve()
    this.#release()
    return OwnedFd.wrap(fd)
  }

  /**
   * Closes the connection once the kernel has what was sent, or cannot have it any more. Never rejects for a lost peer.
   * Pending receives reject with `ERR_CLOSED` at once. Closing again returns the same promise.
   */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    const drained = this.#outbox?.drain() ?? Promise.resolve()
    if (this.#outbox?.waiting === true || this.#link !== undefined) {
      this.#closing = drained.then(() => this.#link?.end()).then(() => this.destroy())
      this.#inbox?.close()
    } else {
      this.#closing = drained
      this.destroy()
    }
    return this.#closing
  }

  /**
   * As {@link close}, blocking until the kernel has what was sent, or cannot have it any more.
   *
   * @throws {@link TimeoutError} when `timeout` is over; the connection is closed then, and what was queued lost.
   */
  closeSync(options?: SyncOptions): void {
    const { timeout } = checkLimits(options)
    if (this.#id === -1) return
    try {
      this.#outbox?.flushSync(timeout)
    } catch (error) {
      if (error instanceof TimeoutError) throw error
    } finally {
      this.destroy()
    }
  }

  /** Closes the connection at once. Pending sends and receives reject with `ERR_CLOSED`. */
  destroy(): void {
    this.#closing ??= Promise.resolve()
    if (this.#id === -1) return
    native.connectionClose(this.#id)
    this.#link?.destroy()
    this.#release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  #describe(): string {
    const state = this.closed ? 'closed' : `peer: ${show(this.peer)}`
    return `Connection { fd: ${this.fd}, ${state} }`
  }

  /** @internal Whether there is no descriptor. */
  get isStream(): boolean {
    return this.#link !== undefined
  }

  /** @internal */
  get [readiness](): Readiness {
    return this.#receiver()
  }

  /** @internal Whether the peer closed, and nothing follows what was received. */
  get hasEnded(): boolean {
    return this.#inbox?.ended === true
  }

  /** @internal Waits for the next message or the end. */
  nextMessage(): Promise<IteratorResult<Message, undefined>> {
    return this.#receive('recvMessage', undefined, takeNext)
  }

  /** @internal The setting. */
  get maxMessageSize(): number {
    return this.#settings.maxMessageSize
  }

  /** @internal Changes how many bytes a received message may have. */
  limitMessages(maxMessageSize: number): void {
    if (this.#isOpen()) native.connectionLimit(this.#id, maxMessageSize)
  }

  /** @internal The native side has something to tell. */
  ready(flags: number): void {
    if ((flags & WRITABLE) !== 0) this.#outbox?.settle()
    if ((flags & READABLE) !== 0 && this.#isOpen()) this.#inbox?.pump()
    // An idle connection may be collected.
    if (this.#id === -1 || this.#inbox?.waiting === true || this.#outbox?.waiting === true) return
    sources[this.#id] = undefined
  }

  #receiver(): Inbox {
    return (this.#inbox ??= new Inbox(this.#id, this, (this.#access & FLAG_WRITE_ONLY) === 0))
  }

  #sender(): Outbox {
    return (this.#outbox ??= new Outbox(this.#id, this, (this.#access & FLAG_READ_ONLY) === 0))
  }

  #isOpen(): boolean {
    return this.#closing === undefined
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError('connection')
  }

  #checkDescriptor(): void {
    this.#checkOpen()
    if (this.#link !== undefined) throw invalidState('A connection over a stream has no descriptor')
  }

  #checkReadable(): void {
    this.#checkOpen()
    if (!this.#receiver().readable) throw new CodedError('ERR_NOT_READABLE', 'The connection cannot receive (any more)')
  }

  #checkWritable(): void {
    this.#checkOpen()
    if (!this.#sender().writable) throw new CodedError('ERR_NOT_WRITABLE', 'The connection cannot send')
  }

  #reference(referenced: boolean): this {
    if (this.#id !== -1) native.connectionReference(this.#id, referenced)
    this.#link?.reference(referenced)
    return this
  }

  /** Puts descriptors where the native side finds them; returns how many. */
  #placeDescriptors(fds: readonly FdLike[] | undefined, name: string): number {
    if (fds === undefined) return 0
    if (!Array.isArray(fds)) throw invalidArgumentType(name, 'an array of descriptors', fds)
    if (fds.length === 0) return 0
    if (!native.connectionCarriesDescriptors(this.#id)) {
      throw new CodedError('ERR_FDS_UNSUPPORTED', 'Descriptors can be sent over unix sockets only')
    }
    const numbers = (fds as FdLike[]).map((fd, index) => uncheckedFd(fd, name, index))
    if (numbers.length > MAX_FDS) throw systemError(-errno.EINVAL, 'sendmsg')
    descriptorWords.set(numbers)
    return numbers.length
  }

  #checkSend(data: unknown, options: SendOptions | undefined): Sending {
    this.#checkWritable()
    const bytes = checkBytes(data, 'data')
    if (options === undefined) return { bytes, offset: 0, size: bytes.length, descriptors: 0 }
    checkOptions(options)
    const offset = checkInteger(options.offset, 'options.offset', 0, bytes.length)
    const size = checkInteger(options.size, 'options.size', bytes.length - offset, bytes.length - offset)
    return { bytes, offset, size, descriptors: this.#placeDescriptors(options.fds, 'options.fds') }
  }

  #checkRecord(fds: readonly FdLike[], name: string): number {
    this.#checkWritable()
    if (Array.isArray(fds) && fds.length === 0) throw outOfRange(`${name}.length`, 'at least 1', 0)
    return this.#placeDescriptors(fds, name)
  }

  #checkTarget(buffer: unknown, options: ReceiveIntoOptions | undefined): { bytes: Uint8Array; offset: number } {
    this.#checkReadable()
    checkOptions(options)
    const bytes = checkBytes(buffer, 'buffer')
    return { bytes, offset: checkInteger(options?.offset, 'options.offset', 0, bytes.length) }
  }

  #checkMax(max: number): number {
    this.#checkReadable()
    if (max === undefined) throw invalidArgumentType('max', 'a number', max)
    return Math.min(checkInteger(max, 'max', 0, Number.MAX_SAFE_INTEGER, 1), native.MAX_UNCLAIMED)
  }

  #checkMovable(carrier: Connection): void {
    this.#checkDescriptor()
    if (this === carrier) throw invalidArgumentValue('connection', 'cannot be sent over itself')
    if (this.#inbox?.waiting === true) throw invalidState('Receives are waiting on the connection')
  }

  /** Readies the connection to be moved; nothing may use it here from then on. */
  async #leave(carrier: Connection): Promise<Packed> {
    this.#checkMovable(carrier)
    await this.#outbox?.drain()
    this.#checkMovable(carrier)
    const packed = this.#pack()
    this.#closing = Promise.resolve()
    return packed
  }

  /** What is to be sent of the connection; its descriptors stay its own. */
  #pack(): Packed {
    this.#inbox?.unread()
    const readAhead = native.connectionExport(this.#id)
    if (readAhead === null) throw invalidState('A message was received in part; receive the rest of it first')
    const { fds, ...ahead } = readAhead
    const message = encodeMoved({ settings: this.#settings, peer: this.peer, readAhead: ahead })
    return { message, fds: [native.connectionDescriptor(this.#id), ...fds] }
  }

  #takeConnection(inbox: Inbox): Connection | Blocked {
    const message = inbox.takeMessage(Infinity)
    if (message === blocked) return blocked
    const { data, fds } = message
    try {
      const [own, ...others] = fds
      const { settings, peer, readAhead } = decodeMoved(data, others.length, this.#settings.codec)
      if (own === undefined || !carriesMessages(own.fd, own.kind)) {
        throw new CodedError('ERR_PROTOCOL', 'A connection came without its descriptor')
      }
      const connection = Connection.open(own.surrender(), settings, peer)
      const numbers = others.map((fd) => fd.surrender())
      const code = native.connectionImport(connection.#id, { ...readAhead, tags: [...readAhead.tags], fds: numbers })
      if (code === 0) return connection
      connection.destroy()
      throw new CodedError('ERR_PROTOCOL', 'A connection came with descriptors out of order')
    } finally {
      for (const fd of fds) fd.close()
    }
  }

  #takeValue<T>(inbox: Inbox, maxLength: number): T | Blocked {
    const data = inbox.takeBytes(maxLength)
    return data === blocked ? blocked : (this.#settings.codec.decode(data) as T)
  }

  #checkReceive(options: ReceiveManyOptions | undefined): Receiving {
    this.#checkReadable()
    if (options === undefined) return anything
    return {
      limits: checkLimits(options),
      maxLength: checkInteger(options.maxLength, 'options.maxLength', Infinity, Infinity),
      max: checkInteger(options.max, 'options.max', Infinity, Infinity, 1),
    }
  }

  #receive<T>(call: string, options: ReceiveManyOptions | undefined, take: Take<T>): Promise<T> {
    try {
      return this.#receiver().receive(call, this.#checkReceive(options), take)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #receiveSync<T>(call: string, options: ReceiveManyOptions | undefined, take: Take<T>): T {
    return this.#receiver().receiveSync(call, this.#checkReceive(options), take)
  }

  /** The descriptor is gone. */
  #release(): void {
    collected.unregister(this)
    sources[this.#id] = undefined
    this.#id = -1
    this.#inbox?.close()
    this.#outbox?.close()
  }
}
