export {
  answerChallenge,
  answerChallengeSync,
  deliverChallenge,
  deliverChallengeSync,
} from './lib/connection/challenge.ts'
export { connect, connectSync } from './lib/connection/connect.ts'
export { Connection } from './lib/connection/connection.ts'
export { constants } from './lib/readiness/constants.ts'
export { Epoll } from './lib/readiness/epoll.ts'
export {
  AbortError,
  AuthenticationError,
  BufferTooShort,
  EOFError,
  FdsCountError,
  TimeoutError,
} from './lib/base/errors.ts'
export { KEvent, Kqueue } from './lib/readiness/kqueue.ts'
export { Listener } from './lib/connection/listener.ts'
export { OwnedFd } from './lib/descriptors/owned-fd.ts'
export { pipe } from './lib/connection/pipe.ts'
export { PIPE_BUF, Poll } from './lib/readiness/poll.ts'
export { select, selectSync } from './lib/readiness/select.ts'
export { EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE } from './lib/readiness/registration.ts'
export { Selector } from './lib/readiness/selector.ts'
export { SharedMemory } from './lib/descriptors/shared-memory.ts'
export { wait, waitSync } from './lib/readiness/wait.ts'

export type { Address } from './lib/connection/address.ts'
export type { AuthenticationOptions, MinDigest } from './lib/authentication/steps.ts'
export type { ChallengeOptions } from './lib/connection/challenge.ts'
export type { Codec, CustomCodec } from './lib/channel/codec.ts'
export type { ConnectOptions } from './lib/connection/connect.ts'
export type {
  ConnectionOptions,
  ReceiveIntoOptions,
  ReceiveManyOptions,
  ReceiveOptions,
  SendOptions,
  SendValueOptions,
} from './lib/channel/options.ts'
export type { InternetAddress, PeerAddress, PeerCredentials } from './lib/descriptors/peer.ts'
export type { ReadinessConstants } from './lib/readiness/constants.ts'
export type { FdEvent } from './lib/readiness/events.ts'
export type { SystemError } from './lib/base/errors.ts'
export type { FdLike } from './lib/descriptors/fd-like.ts'
export type { HandshakeOptions, HandshakePeer } from './lib/authentication/handshakes.ts'
export type { Message } from './lib/channel/arrived.ts'
export type { KEventFields } from './lib/readiness/kqueue.ts'
export type { ListenerOptions } from './lib/connection/listening.ts'
export type { ConnectionHandler, ServeOptions } from './lib/connection/serve.ts'
export type { FdKind } from './lib/descriptors/kind.ts'
export type { PipeOptions } from './lib/connection/pipe.ts'
export type {
  Ready,
  RegisterArguments,
  RegisterOptions,
  SelectorKey,
  SelectorOptions,
} from './lib/readiness/registration.ts'
export type { Seals, SharedMemoryOptions } from './lib/descriptors/shared-memory.ts'
export type { Blocking, SyncOptions, WaitOptions } from './lib/base/limits.ts'
export type { Waitable } from './lib/readiness/wait.ts'
