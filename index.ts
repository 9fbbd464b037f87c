export { answerChallenge, deliverChallenge } from './lib/challenge.ts'
export { connect, connectSync } from './lib/connect.ts'
export { Connection } from './lib/connection.ts'
export { constants } from './lib/constants.ts'
export { Epoll } from './lib/epoll.ts'
export { AbortError, AuthenticationError, BufferTooShort, EOFError, FdsCountError, TimeoutError } from './lib/errors.ts'
export { KEvent, Kqueue } from './lib/kqueue.ts'
export { Listener } from './lib/listener.ts'
export { OwnedFd } from './lib/owned-fd.ts'
export { pipe } from './lib/pipe.ts'
export { PIPE_BUF, Poll } from './lib/poll.ts'
export { select, selectSync } from './lib/select.ts'
export { EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE, Selector } from './lib/selector.ts'
export { SharedMemory } from './lib/shared-memory.ts'
export { wait, waitSync } from './lib/wait-objects.ts'

export type { Address, InternetAddress, PeerAddress } from './lib/address.ts'
export type { AuthenticationOptions, MinDigest } from './lib/authentication.ts'
export type { Codec, CustomCodec } from './lib/codec.ts'
export type { ConnectOptions } from './lib/connect.ts'
export type {
  ConnectionOptions,
  ReceiveIntoOptions,
  ReceiveManyOptions,
  ReceiveOptions,
  SendOptions,
  SendValueOptions,
  SyncOptions,
} from './lib/connection-options.ts'
export type { PeerCredentials } from './lib/connection.ts'
export type { ReadinessConstants } from './lib/constants.ts'
export type { FdEvent } from './lib/epoll.ts'
export type { SystemError } from './lib/errors.ts'
export type { FdLike } from './lib/fd-like.ts'
export type { HandshakeOptions, HandshakePeer } from './lib/handshakes.ts'
export type { Message } from './lib/inbox.ts'
export type { KEventFields } from './lib/kqueue.ts'
export type { ListenerOptions } from './lib/listener.ts'
export type { FdKind } from './lib/owned-fd.ts'
export type { PipeOptions } from './lib/pipe.ts'
export type { Ready, RegisterOptions, SelectorKey, SelectorOptions } from './lib/selector.ts'
export type { Seals, SharedMemoryOptions } from './lib/shared-memory.ts'
export type { WaitOptions } from './lib/wait.ts'
export type { Waitable } from './lib/wait-objects.ts'
