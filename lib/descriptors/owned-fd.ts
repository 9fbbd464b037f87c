import type { Cluster } from 'node:cluster'
import { Server, Socket } from 'node:net'
import type { ServerOpts, SocketConstructorOpts } from 'node:net'
import { checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import {
  CodedError,
  closedError,
  illegalConstructor,
  invalidArgumentType,
  invalidFdType,
  invalidState,
} from '../base/errors.ts'
import { fdNumber } from './fd-like.ts'
import { isListener, isStream, kindOf } from './kind.ts'
import type { FdKind } from './kind.ts'
import type { FdLike } from './fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { warnOfLeak } from '../base/leak.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { checkCode, hot, native } from '../native/binding.ts'

// What a descriptor turns into lies above it: only its types are named here, and the classes register how that is done.
// oxlint-disable typescript/consistent-type-imports
interface Conversions {
  toConnection<Value = unknown>(
    fd: OwnedFd,
    options?: import('../channel/options.ts').ConnectionOptions<Value>,
  ): import('../connection/connection.ts').Connection<Value>
  toListener<Value = unknown>(
    fd: OwnedFd,
    options?: import('../connection/listening.ts').ListenerOptions<Value>,
  ): import('../connection/listener.ts').Listener<Value>
}

const conversions: Partial<Conversions> = {}

/** Says what a descriptor turns into. */
export function registerConversion<K extends keyof Conversions>(name: K, convert: Conversions[K]): void {
  conversions[name] = convert
}

function conversion<K extends keyof Conversions>(name: K): Conversions[K] {
  const convert: Conversions[K] | undefined = conversions[name]
  if (convert === undefined) throw invalidState(`${name}() is not loaded`)
  return convert
}

/** Of a number that the native side holds for us. */
export let wrapFd: (fd: number, name?: string) => OwnedFd
/** Gives the descriptor to the native side, which knows it by its number. */
export let surrenderFd: (owned: OwnedFd) => number

/** Node's own, some of which its types leave out. */
const socketNames: Names<Omit<SocketConstructorOpts, 'fd'>> & Readonly<Record<string, true>> = {
  allowHalfOpen: true,
  readable: true,
  writable: true,
  signal: true,
  onread: true,
  highWaterMark: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: true,
}
const serverNames: Names<ServerOpts> = {
  allowHalfOpen: true,
  pauseOnConnect: true,
  highWaterMark: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: true,
}

/** What only this file has: nobody else makes an OwnedFd. */
const ours: unique symbol = Symbol('ours')

const endOfTurn = Promise.resolve()

const { closeDescriptor } = hot

/** Connections that the kernel queues for a server, as many as Node has it queue. */
export const BACKLOG = 511

const collected = new FinalizationRegistry<number>((fd) => {
  closeDescriptor(fd)
  warnOfLeak(`Descriptor ${fd}`, 'FDWIRE_FD_LEAK')
})

/** Registering costs more than all else about a descriptor, and most are closed in the turn they came in. */
let unregistered: OwnedFd[] = []
/** So many wait for the end of the turn at the most: a loop of Sync calls has none. */
const MAX_UNREGISTERED = 256

/**
 * A descriptor that is ours to close: what is received, duplicated or detached. It is close-on-exec. Close it, take its
 * number, or turn it into something that owns it; a collected one is closed with a warning (`FDWIRE_FD_LEAK`).
 */
export class OwnedFd extends Uncloneable {
  static {
    inspectable(this.prototype, (object) => object.#describe())
    wrapFd = (fd, name) => new OwnedFd(ours, fd, name)
    surrenderFd = (owned) => owned.#surrender()
  }

  /** When all that waited for a message has gone on: ticks come after the microtasks that they are asked for in. */
  static #registerLater(): void {
    process.nextTick(OwnedFd.#registerOpen)
  }

  /** Has those that are still open closed when they are collected. */
  static #registerOpen(): void {
    const made = unregistered
    unregistered = []
    for (const owned of made) {
      if (owned.#fd === -1) continue
      collected.register(owned, owned.#fd, owned)
      owned.#registered = true
    }
  }

  #fd: number
  #registered = false
  readonly #name: string | undefined

  private constructor(token: typeof ours, fd: number, name?: string) {
    super()
    if (token !== ours) throw illegalConstructor('OwnedFd', 'OwnedFd.fromFd, OwnedFd.dup and what receives descriptors')
    this.#fd = fd
    this.#name = name
    const count = unregistered.push(this)
    if (count === 1) void endOfTurn.then(OwnedFd.#registerLater)
    else if (count === MAX_UNREGISTERED) OwnedFd.#registerOpen()
  }

  /**
   * Adopts an open descriptor: it is this object's from now on, and close-on-exec. When this throws, it is still the
   * caller's.
   *
   * @throws EBADF if it is not open; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd(fd: number): OwnedFd {
    if (typeof fd !== 'number') throw invalidArgumentType('fd', 'a number', fd)
    return new OwnedFd(ours, adopt(fd))
  }

  /**
   * A close-on-exec copy of somebody else's descriptor (`fcntl` F_DUPFD_CLOEXEC).
   *
   * @throws EBADF, EMFILE; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_FD_TYPE`, `ERR_INVALID_STATE`.
   */
  static dup(fd: FdLike): OwnedFd {
    return new OwnedFd(ours, checkCode(native.descriptorDuplicate(fdNumber(fd))))
  }

  /** The number, -1 once closed or taken. */
  get fd(): number {
    return this.#fd
  }

  /** The name a service manager gave it, if any. */
  get name(): string | undefined {
    return this.#name
  }

  /**
   * What it refers to. `'listener'` is a listening socket, `'memfd'` one of memfd_create(2), `'anon'` what has no file:
   * an epoll instance, eventfd, pidfd and the like.
   *
   * @throws `ERR_CLOSED`
   */
  get kind(): FdKind {
    return kindOf(this.#open())
  }

  /**
   * Whether a program started from here gets it (not close-on-exec).
   *
   * @throws `ERR_CLOSED`
   */
  get inheritable(): boolean {
    return checkCode(native.descriptorInheritable(this.#open())) === 1
  }

  set inheritable(inheritable: boolean) {
    if (typeof inheritable !== 'boolean') throw invalidArgumentType('inheritable', 'a boolean', inheritable)
    checkCode(native.descriptorSetInheritable(this.#open(), inheritable))
  }

  /**
   * Gives the descriptor up: its number is the caller's to close.
   *
   * @throws `ERR_CLOSED`
   */
  take(): number {
    const fd = this.#open()
    this.#forget()
    native.descriptorRelease(fd)
    return fd
  }

  /**
   * A close-on-exec copy.
   *
   * @throws `ERR_CLOSED`; EMFILE.
   */
  dup(): OwnedFd {
    return new OwnedFd(ours, checkCode(native.descriptorDuplicate(this.#open())), this.#name)
  }

  /** Closes the descriptor. Closing again does nothing. */
  close(): void {
    if (this.#fd === -1) return
    closeDescriptor(this.#fd)
    this.#forget()
  }

  /** Is {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * A `net.Socket` that owns the descriptor: a connected stream socket or a pipe.
   *
   * @throws `ERR_INVALID_FD_TYPE` for anything else, `ERR_CLOSED`, `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` on Bun; the
   * descriptor stays here then.
   */
  toSocket(options?: Omit<SocketConstructorOpts, 'fd'>): Socket {
    checkOptions(options, socketNames)
    this.#expect('a stream socket or a pipe', isStream)
    if ('bun' in process.versions)
      throw new CodedError(
        'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
        'Bun makes no working net.Socket of a descriptor; use toConnection(), or the descriptor itself',
      )
    const socket = new Socket({ readable: true, writable: true, ...options, fd: this.#fd })
    this.take()
    return socket
  }

  /**
   * A `net.Server` that owns the descriptor, a listening socket, and is listening already.
   *
   * @throws `ERR_INVALID_FD_TYPE` for anything else, `ERR_CLOSED`; the descriptor stays here then.
   */
  toServer(options?: ServerOpts): Server {
    checkOptions(options, serverNames)
    this.#expect('a listening stream socket', isListener)
    const server = new Server(options)
    listen(server, this.#fd)
    this.take()
    return server
  }

  /**
   * A {@link Connection} that owns the descriptor, as `Connection.fromFd` makes it.
   *
   * @throws `ERR_INVALID_FD_TYPE` unless it is a stream socket, a pipe or a terminal; `ERR_CLOSED`.
   */
  toConnection<Value = unknown>(
    options?: import('../channel/options.ts').ConnectionOptions<Value>,
  ): import('../connection/connection.ts').Connection<Value> {
    return conversion('toConnection')(this, options)
  }

  /**
   * A {@link Listener} that owns the descriptor, as `Listener.fromFd` makes it.
   *
   * @throws `ERR_INVALID_FD_TYPE` unless it is a listening stream socket; `ERR_CLOSED`.
   */
  toListener<Value = unknown>(
    options?: import('../connection/listening.ts').ListenerOptions<Value>,
  ): import('../connection/listener.ts').Listener<Value> {
    return conversion('toListener')(this, options)
  }

  #describe(): string {
    const kind = this.#fd === -1 ? 'closed' : describeKind(this.#fd)
    const name = this.#name === undefined ? '' : `, name: '${this.#name}'`
    return `OwnedFd { fd: ${this.#fd}, kind: ${kind}${name} }`
  }

  #surrender(): number {
    const fd = this.#open()
    this.#forget()
    return fd
  }

  #forget(): void {
    if (this.#registered) collected.unregister(this)
    this.#fd = -1
  }

  #open(): number {
    if (this.#fd === -1) throw closedError('descriptor')
    return this.#fd
  }

  #expect(what: string, test: (fd: number, kind: FdKind) => boolean): void {
    const fd = this.#open()
    const kind = kindOf(fd)
    if (!test(fd, kind)) throw invalidFdType(`The descriptor is not ${what}: its kind is '${kind}'`)
  }
}

/** The kind, for those who look: somebody else may have closed the descriptor. */
function describeKind(fd: number): string {
  try {
    return `'${kindOf(fd)}'`
  } catch {
    return 'not open'
  }
}

type Listen = (address: null, port: null, addressType: null, backlog: number, fd: number) => void

/** Has a server listen on a descriptor of this process: `server.listen()` of a cluster's worker means the primary's. */
function listen(server: Server, fd: number): void {
  const { _listen2: here } = server as { _listen2?: Listen }
  const { isWorker } = process.getBuiltinModule('node:cluster') as unknown as Cluster
  if (here === undefined || !isWorker) server.listen({ fd })
  else here.call(server, null, null, null, BACKLOG, fd)
}

/** Has the native side hold a descriptor that was somebody else's. */
function adopt(fd: number): number {
  return checkCode(native.descriptorAdopt(fdNumber(fd)))
}

/**
 * Has `make` make something of what `X.fromFd` was given, once `test` accepts it and the native side holds it. When this
 * throws, the descriptor is where it was.
 */
export function adopting<T>(
  fd: number | OwnedFd,
  what: string,
  test: (fd: number, kind: FdKind) => boolean,
  make: (fd: number) => T,
): T {
  if (typeof fd !== 'number' && !(fd instanceof OwnedFd)) throw invalidArgumentType('fd', 'a number or OwnedFd', fd)
  const number = fdNumber(fd)
  const kind = kindOf(number)
  if (!test(number, kind)) throw invalidFdType(`Descriptor ${number} is not ${what}: its kind is '${kind}'`)
  if (fd instanceof OwnedFd) {
    const made = make(number)
    surrenderFd(fd)
    return made
  }
  adopt(number)
  try {
    return make(number)
  } catch (error) {
    native.descriptorRelease(number)
    throw error
  }
}
