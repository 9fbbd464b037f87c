import type { Duplex } from 'node:stream'
import { inspectable, show } from '../base/inspect.ts'
import { illegalConstructor, invalidArgumentType } from '../base/errors.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { checkSyncOptions } from '../base/limits.ts'
import type { Blocking, SyncOptions, WaitOptions } from '../base/limits.ts'
import { readiness } from '../base/read-ahead.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { Channel } from '../channel/channel.ts'
import type { Message } from '../channel/arrived.ts'
import { sendConnection, sendConnectionSync, takeConnection } from '../channel/moving.ts'
import { adoptChannel, streamChannel } from '../channel/open.ts'
import type {
  ConnectionOptions,
  ReceiveIntoOptions,
  ReceiveManyOptions,
  ReceiveOptions,
  SendOptions,
  SendValueOptions,
} from '../channel/options.ts'
import { Messages, poll, pollSync, receive, receiveBy, receiveSync } from '../channel/receiving.ts'
import * as sending from '../channel/sending.ts'
import * as take from '../channel/take.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { registerConversion, wrapFd } from '../descriptors/owned-fd.ts'
import type { OwnedFd } from '../descriptors/owned-fd.ts'
import type { PeerAddress, PeerCredentials } from '../descriptors/peer.ts'

/** For those beside this file: the channel of a connection, and a connection over a channel. */
export let channelOf: (connection: Connection) => Channel
/** `Value` is what its codec says. */
export let connectionOver: <Value>(channel: Channel) => Connection<Value>

/**
 * Framed messages over a stream socket, pipe or terminal, byte for byte as Python's
 * `multiprocessing.connection.Connection`. Made by {@link connect}, {@link pipe}, a `Listener`, {@link Connection.fromFd}.
 *
 * Receives may wait beside each other and are served in order. Nothing is read until somebody asks. A pending operation
 * keeps the process alive, an idle connection does not. A collected connection is closed, with a warning
 * (`FDWIRE_CONNECTION_LEAK`).
 *
 * `Value` is what {@link Connection.send} and {@link Connection.recv} take and give: what a codec of your own says, or
 * what `connect<Value>()` does; `'json'` and `'v8'` check nothing of it.
 */
export class Connection<Value = unknown> extends Uncloneable {
  static {
    inspectable(this.prototype, ({ closed, fd, peer }) => {
      return `Connection { fd: ${fd}, ${closed ? 'closed' : `peer: ${show(peer)}`} }`
    })
    channelOf = (connection) => connection.#channel
    connectionOver = <Value>(channel: Channel) => new Connection<Value>(channel)
    registerConversion('toConnection', Connection.fromFd)
  }

  readonly #channel: Channel

  private constructor(channel: Channel) {
    super()
    if (!(channel instanceof Channel))
      throw illegalConstructor('Connection', 'connect, pipe, a Listener, Connection.fromFd or Connection.fromStream')
    this.#channel = channel
  }

  /**
   * Adopts a connected stream socket, a pipe's end or a terminal: a number, or an OwnedFd, which is consumed. It becomes
   * close-on-exec; nothing else changes. When this throws, the descriptor is where it was. Python's `Connection(fd)`.
   *
   * @throws `ERR_INVALID_FD_TYPE`; EBADF; `ERR_CLOSED`; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd<Value = unknown>(fd: number | OwnedFd, options?: ConnectionOptions<Value>): Connection<Value> {
    return new Connection(adoptChannel(fd, options))
  }

  /**
   * The same messages over any Duplex of bytes: TLS, SSH, a WebSocket's stream. The connection owns it. Descriptors
   * cannot be sent, there is none to wait on, and the calls that block are refused (`ERR_INVALID_STATE`). An error of the
   * Duplex rejects what is pending and every receive after what was read before it.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_INVALID_ARG_VALUE` for a Duplex of objects or text.
   */
  static fromStream<Value = unknown>(duplex: Duplex, options?: ConnectionOptions<Value>): Connection<Value> {
    return new Connection(streamChannel(duplex, options))
  }

  /** The descriptor's number, -1 once closed or detached, or over a stream. It stays the connection's. */
  get fd(): number {
    return this.#channel.fd
  }

  /**
   * The descriptor's number. Python's `fileno()`.
   *
   * @throws `ERR_CLOSED`; `ERR_INVALID_STATE` over a stream.
   */
  fileno(): number {
    return this.#channel.fileno()
  }

  /** Whether it was closed, or is about to be. */
  get closed(): boolean {
    return this.#channel.closed
  }

  /** Whether it can receive: not a pipe's writing end, and no message was too large. The peer's end changes nothing. */
  get readable(): boolean {
    return this.#channel.readable
  }

  /** Whether it can send: not a pipe's reading end. */
  get writable(): boolean {
    return this.#channel.writable
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get writableLength(): number {
    return this.#channel.writableLength
  }

  /** The address of the other end; `''` where it has none. */
  get peer(): PeerAddress {
    return this.#channel.peer
  }

  /** Who is at the other end of a unix socket; undefined on TCP and pipes, and once closed. */
  get peerCredentials(): PeerCredentials | undefined {
    return this.#channel.peerCredentials
  }

  /**
   * An AbortSignal that is aborted when the peer is gone ({@link EOFError}) or the connection closed here (`ERR_CLOSED`), the
   * reason. It is watched from the first access on, reads nothing and keeps nothing alive: what the peer sent before can
   * still be received. A peer that shut its sending half down is gone, too: others do not show. Over a stream it is what the
   * Duplex says, which mostly has to be read for that.
   */
  get signal(): AbortSignal {
    return this.#channel.signal
  }

  /** Lets pending operations keep the process alive, as they do at first. */
  ref(): this {
    this.#channel.reference(true)
    return this
  }

  /** Lets the process end in spite of pending operations. */
  unref(): this {
    this.#channel.reference(false)
    return this
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
    return sending.sendMessage(this.#channel, data, options)
  }

  /**
   * As {@link sendBytes}, blocking; goes behind what is queued, and waits for that too.
   *
   * @throws {@link TimeoutError}, the message staying queued; otherwise as {@link sendBytes}.
   */
  sendBytesSync(data: NodeJS.ArrayBufferView | ArrayBufferLike, options?: SendOptions & SyncOptions): void {
    sending.sendMessageSync(this.#channel, data, options)
  }

  /**
   * Sends a value as one message, encoded by the connection's codec. As Python's `send`, but never pickled.
   *
   * @throws what the codec throws, with nothing sent; otherwise as {@link sendBytes}.
   */
  send(value: Value, options?: SendValueOptions): Promise<void> {
    return sending.sendValue(this.#channel, value, options)
  }

  /** As {@link send}, blocking, as {@link sendBytesSync} does. */
  sendSync(value: Value, options?: SendValueOptions & SyncOptions): void {
    sending.sendValueSync(this.#channel, value, options)
  }

  /**
   * Sends one descriptor, as Python's `reduction.send_handle`; the caller keeps his. Resolves once the kernel has it.
   *
   * @throws as {@link sendFds}.
   */
  sendHandle(fd: FdLike): Promise<void> {
    return sending.sendRecord(this.#channel, [fd], 'fd')
  }

  /** As {@link sendHandle}, blocking, as {@link sendBytesSync} does. */
  sendHandleSync(fd: FdLike, options?: SyncOptions): void {
    sending.sendRecordSync(this.#channel, [fd], 'fd', options)
  }

  /**
   * Sends 1 to 253 descriptors in one handle record, as Python's `reduction.sendfds`; the caller keeps his.
   *
   * @throws `ERR_FDS_UNSUPPORTED` on TCP and pipes; EBADF, EINVAL for more than 253, ETOOMANYREFS, EMFILE;
   *   `ERR_OUT_OF_RANGE` for none. Nothing is sent then. Otherwise as {@link sendBytes}.
   */
  sendFds(fds: readonly FdLike[]): Promise<void> {
    return sending.sendRecord(this.#channel, fds, 'fds')
  }

  /** As {@link sendFds}, blocking, as {@link sendBytesSync} does. */
  sendFdsSync(fds: readonly FdLike[], options?: SyncOptions): void {
    sending.sendRecordSync(this.#channel, fds, 'fds', options)
  }

  /**
   * Resolves when the kernel has all that was sent so far. Rejects as the sends did; none of them need be awaited then, or
   * have failed unheard.
   */
  flush(): Promise<void> {
    return this.#channel.flush()
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
    return receive(this.#channel, 'recvBytes', options, take.bytes)
  }

  /**
   * As {@link recvBytes}, blocking.
   *
   * @throws `ERR_INVALID_STATE` beside a receive that waits; otherwise as {@link recvBytes}.
   */
  recvBytesSync(options?: Blocking<ReceiveOptions>): Buffer {
    return receiveSync(this.#channel, 'recvBytesSync', options, take.bytes)
  }

  /**
   * Waits for the next message and decodes it by the connection's codec. As Python's `recv`, but never unpickled.
   *
   * @throws `ERR_DECODE` for what the codec does not decode, whose error is the `cause`; the message is consumed.
   *   {@link AuthenticationError} for a challenge. Otherwise as {@link recvBytes}.
   */
  recv(options?: ReceiveOptions): Promise<Value> {
    return receive(this.#channel, 'recv', options, take.value<Value>(this.#channel))
  }

  /** As {@link recv}, blocking, as {@link recvBytesSync} does. */
  recvSync(options?: Blocking<ReceiveOptions>): Value {
    return receiveSync(this.#channel, 'recvSync', options, take.value<Value>(this.#channel))
  }

  /**
   * Waits for the next message and writes it into `buffer`; resolves with its length. Until then the buffer is in use.
   * Python's `recv_bytes_into`.
   *
   * @throws {@link BufferTooShort} with the message in `data` when it does not fit; otherwise as {@link recvBytes}.
   */
  recvBytesInto(buffer: NodeJS.ArrayBufferView | ArrayBufferLike, options?: ReceiveIntoOptions): Promise<number> {
    return receiveBy(this.#channel, 'recvBytesInto', options, take.into(buffer, options))
  }

  /** As {@link recvBytesInto}, blocking, as {@link recvBytesSync} does. */
  recvBytesIntoSync(buffer: NodeJS.ArrayBufferView | ArrayBufferLike, options?: Blocking<ReceiveIntoOptions>): number {
    return receiveSync(this.#channel, 'recvBytesIntoSync', options, take.into(buffer, options)(this.#channel))
  }

  /**
   * Waits for the next message and the descriptors sent with it. Each belongs to the caller and is close-on-exec.
   *
   * @throws as {@link recvBytes}.
   */
  recvMessage(options?: ReceiveOptions): Promise<Message> {
    return receive(this.#channel, 'recvMessage', options, take.message)
  }

  /** As {@link recvMessage}, blocking, as {@link recvBytesSync} does. */
  recvMessageSync(options?: Blocking<ReceiveOptions>): Message {
    return receiveSync(this.#channel, 'recvMessageSync', options, take.message)
  }

  /**
   * Waits for a message and returns it with all others that have arrived, at most `max`.
   *
   * @throws as {@link recvBytes}; what goes wrong behind a message is thrown by the next receive.
   */
  recvMany(options?: ReceiveManyOptions): Promise<Message[]> {
    return receive(this.#channel, 'recvMany', options, take.many)
  }

  /** As {@link recvMany}, blocking until there is one, as {@link recvBytesSync} does. */
  recvManySync(options?: Blocking<ReceiveManyOptions>): Message[] {
    return receiveSync(this.#channel, 'recvManySync', options, take.many)
  }

  /**
   * Waits for one descriptor sent by `sendHandle` or Python's `reduction.send_handle`: takes one byte, whatever it is.
   *
   * @throws `ERR_FDS_COUNT` if there is not one descriptor with it; all are closed, the byte is consumed.
   * @throws `ERR_INVALID_STATE` inside a message that an earlier receive left unfinished; otherwise as {@link recvBytes}.
   */
  recvHandle(options?: WaitOptions): Promise<OwnedFd> {
    return receive(this.#channel, 'recvHandle', options, take.handle)
  }

  /** As {@link recvHandle}, blocking, as {@link recvBytesSync} does. */
  recvHandleSync(options?: SyncOptions): OwnedFd {
    return receiveSync(this.#channel, 'recvHandleSync', options, take.handle)
  }

  /**
   * Waits for 1 to `max` descriptors sent in one record. Python's `reduction.recvfds`.
   *
   * @throws as {@link recvHandle}.
   */
  recvFds(max: number, options?: WaitOptions): Promise<OwnedFd[]> {
    return receiveBy(this.#channel, 'recvFds', options, take.record(max))
  }

  /** As {@link recvFds}, blocking, as {@link recvBytesSync} does. */
  recvFdsSync(max: number, options?: SyncOptions): OwnedFd[] {
    return receiveSync(this.#channel, 'recvFdsSync', options, take.record(max)(this.#channel))
  }

  /**
   * Moves a connection, with what was read ahead, to the process at the other end. There it has the settings of the
   * connection it comes over (its codec, its limits), and its own as far as they are stricter: a smaller
   * `maxMessageSize`, `readAhead: false`. What it has queued leaves first; meanwhile it cannot be used here, and once it
   * left it is closed.
   *
   * @throws `ERR_INVALID_STATE` while receives wait on it or a large message was received in part, `ERR_FDS_UNSUPPORTED` on
   *   TCP and pipes, otherwise as {@link sendBytes}. It stays usable then, unless it was closed meanwhile.
   */
  async sendConnection(connection: Connection): Promise<void> {
    return sendConnection(this.#channel, checkConnection(connection))
  }

  /**
   * Waits for a connection sent by {@link sendConnection}.
   *
   * @throws `ERR_PROTOCOL` if the message is no such connection; its descriptors are closed. Otherwise as
   *   {@link recvBytes}.
   */
  recvConnection(options?: WaitOptions): Promise<Connection<Value>> {
    return receive(this.#channel, 'recvConnection', options, takeConnection(this.#channel, connectionOver<Value>))
  }

  /** As {@link recvConnection}, blocking, as {@link recvBytesSync} does. */
  recvConnectionSync(options?: SyncOptions): Connection<Value> {
    return receiveSync(
      this.#channel,
      'recvConnectionSync',
      options,
      takeConnection(this.#channel, connectionOver<Value>),
    )
  }

  /**
   * As {@link sendConnection}, blocking, as {@link sendBytesSync} does.
   *
   * @throws {@link TimeoutError}. Nothing happened if that was while its own sends were queued. Otherwise it leaves later,
   *   as any message that stays queued, and is closed here.
   */
  sendConnectionSync(connection: Connection, options?: SyncOptions): void {
    sendConnectionSync(this.#channel, checkConnection(connection), options)
  }

  /**
   * Whether a receive would find something: data, the peer's end, or an error. Waits `timeout` milliseconds for it, not
   * at all by default, for ever with `null`. Consumes nothing. Python's `poll`.
   *
   * @throws `ERR_CLOSED`, `ERR_NOT_READABLE`, {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  poll(timeout?: number | null | WaitOptions): Promise<boolean> {
    return poll(this.#channel, timeout)
  }

  /** As {@link poll}, blocking. */
  pollSync(timeout?: number | null | SyncOptions): boolean {
    return pollSync(this.#channel, timeout)
  }

  /** Messages until the peer closes, or the connection is closed here. Leaving the loop keeps it open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message, undefined> {
    return new Messages(this.#channel)
  }

  /**
   * Takes the descriptor out of the connection, which is closed then.
   *
   * @throws `ERR_INVALID_STATE` while writes are queued or bytes read ahead; `ERR_CLOSED`.
   */
  detach(): OwnedFd {
    return wrapFd(this.#channel.detach())
  }

  /**
   * Closes the connection once the kernel has what was sent, or cannot have it any more. Never rejects for a lost peer.
   * Pending receives reject with `ERR_CLOSED` at once. Closing again returns the same promise.
   */
  close(): Promise<void> {
    return this.#channel.close()
  }

  /**
   * As {@link close}, blocking until the kernel has what was sent, or cannot have it any more.
   *
   * @throws {@link TimeoutError} when `timeout` is over; the connection is closed then, and what was queued lost.
   * @throws `ERR_INVALID_STATE` over a stream that has not taken all that was sent, and while the connection is moved:
   *   nothing happens then, wait with {@link close}.
   */
  closeSync(options?: SyncOptions): void {
    this.#channel.closeSync(checkSyncOptions(options))
  }

  /** Closes the connection at once. Pending sends and receives reject with `ERR_CLOSED`. */
  destroy(): void {
    this.#channel.destroy()
  }

  /** Is {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Is {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy()
  }

  /** @internal */
  get [readiness](): Readiness {
    return this.#channel.inbox
  }
}

function checkConnection(value: Connection): Channel {
  if (!(value instanceof Connection)) throw invalidArgumentType('connection', 'a Connection', value)
  return channelOf(value)
}
