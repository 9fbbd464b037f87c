import { constants } from 'node:buffer'
import { checkCodec } from './codec.ts'
import type { Codec, CustomCodec } from './codec.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { native } from '../native/binding.ts'
import { checkFlag, checkInteger, checkOptions } from '../base/arguments.ts'
import type { WaitOptions } from '../base/limits.ts'

const { ACKNOWLEDGE_FDS, NO_DELAY, READ_AHEAD } = native

/** Settings of a connection. */
export interface ConnectionOptions {
  /**
   * Bytes a received message may have, up to `buffer.constants.MAX_LENGTH`.
   * @defaultValue 268435456 (256 MiB)
   */
  readonly maxMessageSize?: number | undefined
  /**
   * Whether more may be read from the socket than the message asked for. `false` for those who share it.
   * @defaultValue true
   */
  readonly readAhead?: boolean | undefined
  /**
   * Whether small messages leave at once on TCP (TCP_NODELAY).
   * @defaultValue true
   */
  readonly noDelay?: boolean | undefined
  /**
   * Whether descriptors are acknowledged, as Python does on macOS; both ends must agree.
   * @defaultValue true on macOS, else false
   */
  readonly acknowledgeFds?: boolean | undefined
  /**
   * How `send` and `recv` turn values into messages.
   * @defaultValue `'json'`
   */
  readonly codec?: Codec | undefined
}

/** Checked {@link ConnectionOptions}. */
export interface ConnectionSettings {
  readonly maxMessageSize: number
  readonly readAhead: boolean
  readonly noDelay: boolean
  readonly acknowledgeFds: boolean
  /** Those three as the native side takes them. */
  readonly flags: number
  readonly codec: CustomCodec
}

export interface SendValueOptions {
  /** Descriptors to send with the message, at most 253. They are duplicated before the call returns. */
  readonly fds?: readonly FdLike[] | undefined
}

export interface SendOptions extends SendValueOptions {
  /** Where the message starts in the data, in bytes. @defaultValue 0 */
  readonly offset?: number | undefined
  /** Bytes of the message. @defaultValue what there is from `offset` on */
  readonly size?: number | undefined
}

/** Of sends that block. */
export interface SyncOptions {
  /**
   * Milliseconds to wait for the kernel, as in {@link WaitOptions}. When it is over the call throws a
   * {@link TimeoutError}; the message stays queued and leaves later.
   * @defaultValue `Infinity`
   */
  readonly timeout?: number | null | undefined
}

export interface ReceiveOptions extends WaitOptions {
  /** Bytes the message may have. A longer one ends receiving on this connection. */
  readonly maxLength?: number | undefined
}

export interface ReceiveIntoOptions extends WaitOptions {
  /** Where in the buffer the message is written, in bytes. @defaultValue 0 */
  readonly offset?: number | undefined
}

export interface ReceiveManyOptions extends ReceiveOptions {
  /** How many messages to return at the most. @defaultValue all that have arrived */
  readonly max?: number | undefined
}

const DEFAULT_MAX_MESSAGE_SIZE = 256 * 1024 * 1024

export function checkConnectionOptions(options: ConnectionOptions = {}): ConnectionSettings {
  checkOptions(options)
  const most = constants.MAX_LENGTH
  const maxMessageSize = checkInteger(options.maxMessageSize, 'options.maxMessageSize', DEFAULT_MAX_MESSAGE_SIZE, most)
  const readAhead = checkFlag(options.readAhead, 'options.readAhead', true)
  const noDelay = checkFlag(options.noDelay, 'options.noDelay', true)
  const acknowledgeFds = checkFlag(options.acknowledgeFds, 'options.acknowledgeFds', process.platform === 'darwin')
  return {
    maxMessageSize,
    readAhead,
    noDelay,
    acknowledgeFds,
    flags: (readAhead ? READ_AHEAD : 0) | (noDelay ? NO_DELAY : 0) | (acknowledgeFds ? ACKNOWLEDGE_FDS : 0),
    codec: checkCodec(options.codec, 'options.codec'),
  }
}
