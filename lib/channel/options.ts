import { constants } from 'node:buffer'
import { checkCodec } from './codec.ts'
import type { Codec, CustomCodec } from './codec.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { native } from '../native/binding.ts'
import { checkFlag, checkInteger, checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { syncNames, waitNames } from '../base/limits.ts'
import type { Blocking, SyncOptions, WaitOptions } from '../base/limits.ts'

const { ACKNOWLEDGE_FDS, NO_DELAY, READ_AHEAD } = native

/** Settings of a connection, whose messages are of type `Value` to `send` and `recv`. */
export interface ConnectionOptions<Value = unknown> {
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
  readonly codec?: Codec<Value> | undefined
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

/** What is sent with a value. */
export interface SendValueOptions {
  /** Descriptors to send with the message, at most 253. They are duplicated before the call returns. */
  readonly fds?: readonly FdLike[] | undefined
}

/** What is sent of the data, and with it. */
export interface SendOptions extends SendValueOptions {
  /** Where the message starts in the data, in bytes. @defaultValue 0 */
  readonly offset?: number | undefined
  /** Bytes of the message. @defaultValue what there is from `offset` on */
  readonly size?: number | undefined
}

/** What a receive takes, and how long it waits. */
export interface ReceiveOptions extends WaitOptions {
  /** Bytes the message may have. A longer one ends receiving on this connection. */
  readonly maxLength?: number | undefined
}

/** Where a message is written, and how long that is waited for. */
export interface ReceiveIntoOptions extends WaitOptions {
  /** Where in the buffer the message is written, in bytes. @defaultValue 0 */
  readonly offset?: number | undefined
}

/** How many messages a receive takes, and how long it waits. */
export interface ReceiveManyOptions extends ReceiveOptions {
  /** How many messages to return at the most. @defaultValue all that have arrived */
  readonly max?: number | undefined
}

export const connectionNames: Names<ConnectionOptions> = {
  maxMessageSize: true,
  readAhead: true,
  noDelay: true,
  acknowledgeFds: true,
  codec: true,
}
export const sendValueNames: Names<SendValueOptions> = { fds: true }
export const sendNames: Names<SendOptions> = { ...sendValueNames, offset: true, size: true }
export const sendValueSyncNames: Names<SendValueOptions & SyncOptions> = { ...sendValueNames, ...syncNames }
export const sendSyncNames: Names<SendOptions & SyncOptions> = { ...sendNames, ...syncNames }

const receive: Names<ReceiveOptions> = { ...waitNames, maxLength: true }
const receiveInto: Names<ReceiveIntoOptions> = { ...waitNames, offset: true }
const receiveMany: Names<ReceiveManyOptions> = { ...receive, max: true }
const receiveSync: Names<Blocking<ReceiveOptions>> = { ...syncNames, maxLength: true }
const receiveIntoSync: Names<Blocking<ReceiveIntoOptions>> = { ...syncNames, offset: true }
const receiveManySync: Names<Blocking<ReceiveManyOptions>> = { ...receiveSync, max: true }

type Receive =
  | 'recv'
  | 'recvBytes'
  | 'recvBytesInto'
  | 'recvConnection'
  | 'recvFds'
  | 'recvHandle'
  | 'recvMany'
  | 'recvMessage'

/** A call that receives. */
export type ReceiveCall = Receive | `${Receive}Sync`

/** What the options of each are named. */
export const receiveNames: Readonly<Record<ReceiveCall, Readonly<Record<string, true>>>> = {
  recv: receive,
  recvBytes: receive,
  recvBytesInto: receiveInto,
  recvConnection: waitNames,
  recvFds: waitNames,
  recvHandle: waitNames,
  recvMany: receiveMany,
  recvMessage: receive,
  recvSync: receiveSync,
  recvBytesSync: receiveSync,
  recvBytesIntoSync: receiveIntoSync,
  recvConnectionSync: syncNames,
  recvFdsSync: syncNames,
  recvHandleSync: syncNames,
  recvManySync: receiveManySync,
  recvMessageSync: receiveSync,
}

const DEFAULT_MAX_MESSAGE_SIZE = 256 * 1024 * 1024

/** Checks {@link ConnectionOptions}, beside which the caller may know other names. */
export function checkConnectionOptions<Value>(
  options: ConnectionOptions<Value> = {},
  known: Readonly<Record<string, true>> = connectionNames,
): ConnectionSettings {
  checkOptions(options, known)
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
