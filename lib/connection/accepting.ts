import { Handshakes } from '../authentication/handshakes.ts'
import type { HandshakeSettings } from '../authentication/handshakes.ts'
import { AbortError, TimeoutError, closedError, invalidState } from '../base/errors.ts'
import { warnOfLeak } from '../base/leak.ts'
import { Pending } from '../base/limits.ts'
import type { Blamed, Limits } from '../base/limits.ts'
import { Queue } from '../base/queue.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { acceptChannel } from '../channel/open.ts'
import type { ConnectionSettings } from '../channel/options.ts'
import { socketAddress } from '../descriptors/peer.ts'
import type { PeerAddress } from '../descriptors/peer.ts'
import { checkCode, errnoOf, errorOf, native } from '../native/binding.ts'
import { sources } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import { BackingOff, isExhaustion } from './backing-off.ts'
import { channelOf, connectionOver } from './connection.ts'
import type { Connection } from './connection.ts'
import { closeOnSignals, forgetSignals } from './unlink-on-exit.ts'

const { WOULD_BLOCK } = native

/** What concerns accepting. */
export interface AcceptSettings {
  readonly connection: ConnectionSettings
  readonly handshake: HandshakeSettings | undefined
  /** A signal that ends the process closes it first. */
  readonly unlinkOnExit: boolean
}

/** Whoever wants to know what becomes of a listener. */
interface Observer {
  closed(): void
  /** Nobody can be accepted for want of descriptors or memory; it goes on when there are some. */
  exhausted(error: Error): void
}

const collected = new FinalizationRegistry<number>((id) => {
  native.watchClose(id)
  warnOfLeak('A Listener', 'FDWIRE_LISTENER_LEAK')
})

/** What a listener has and is: its number on the native side, who waits for a client, and the clients not accepted yet. */
export class Accepting<Value = unknown> implements Source, Readiness, Blamed {
  readonly address: PeerAddress
  /** The address of the client accepted last. */
  lastAccepted: PeerAddress | undefined
  /** -1 once closed. */
  #id: number
  readonly #settings: ConnectionSettings
  readonly #handshakes: Handshakes<Connection> | undefined
  readonly #accepts = new Queue<Pending<Connection<Value>>>()
  readonly #backingOff = new BackingOff()
  readonly #following = new Set<Observer>()
  #warned = false
  /** Who is called at the next chance to accept. */
  #watchers: (() => void)[] = []
  /** Who is told when {@link readAhead} may have changed. */
  #observers: (() => void)[] = []
  /** Why no client could be taken for those who only watch: it is for whoever accepts next. */
  #failure: unknown

  constructor(id: number, { connection, handshake, unlinkOnExit }: AcceptSettings) {
    this.#id = id
    this.#settings = connection
    if (handshake !== undefined) {
      const limit = (client: Connection, size: number): void => channelOf(client).limitMessages(size)
      this.#handshakes = new Handshakes(handshake, connection.maxMessageSize, limit, () => this.ready())
    }
    this.address = socketAddress(native.watchDescriptor(id), false)
    native.watchHold(id)
    collected.register(this, id, this)
    if (unlinkOnExit) closeOnSignals(this)
  }

  get closed(): boolean {
    return this.#id === -1
  }

  get fd(): number {
    return this.#id === -1 ? -1 : native.watchDescriptor(this.#id)
  }

  reference(referenced: boolean): void {
    if (this.#id !== -1) native.watchReference(this.#id, referenced)
  }

  /** Takes the next client, or waits behind those who wait already. */
  accept(limits: Limits): Promise<Connection<Value>> {
    if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
    if (this.#accepts.length === 0) {
      const connection = this.#next()
      if (connection !== undefined) return Promise.resolve(connection)
    }
    this.checkOpen()
    const pending: Pending<Connection<Value>> = new Pending<Connection<Value>>(this, limits, 'accept', () =>
      this.#leave(pending),
    )
    this.#accepts.push(pending)
    sources[this.#id] = this
    return pending.promise
  }

  acceptSync(timeout: number): Connection<Value> {
    if (this.#accepts.length > 0) throw invalidState('Another accept is waiting already')
    const deadline = performance.now() + timeout
    for (;;) {
      const through = this.#take()
      if (through !== undefined) return through
      const connection = this.#fromKernel(false)
      if (connection !== undefined) {
        if (this.#shakeSync(connection, deadline)) return this.#accepted(connection)
        // Whoever is next should not be taken just to be closed.
        if (performance.now() < deadline) continue
      } else if (checkCode(native.watchWait(this.#id, false, Math.max(0, deadline - performance.now()))) !== 0) {
        continue
      }
      throw new TimeoutError('acceptSync', timeout)
    }
  }

  #shakeSync(connection: Connection<Value>, deadline: number): boolean {
    const through = this.#handshakes?.shakeSync(connection, deadline) !== false
    // A callback may have closed the listener.
    if (this.#id === -1) connection.destroy()
    this.checkOpen()
    return through
  }

  /** Tells `observer` what happens; returns how to end that. */
  observe(observer: Observer): () => void {
    this.#following.add(observer)
    return () => this.#following.delete(observer)
  }

  /** An error that nobody else is told of, once. */
  warn(error: Error): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(`${error.message}; the listener goes on when there are descriptors again`, {
      type: 'ResourceWarning',
      code: 'FDWIRE_DESCRIPTORS_EXHAUSTED',
    })
  }

  blame(error: unknown): void {
    if (!(error instanceof Error)) return
    Object.assign(error, { address: this.address })
    const cause = error instanceof TimeoutError ? this.#backingOff.failure : undefined
    if (cause !== undefined) Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
  }

  /** @throws `ERR_CLOSED` */
  checkOpen(): void {
    if (this.#id === -1) throw closedError('listener')
  }

  close(): void {
    const id = this.#id
    this.#id = -1
    collected.unregister(this)
    forgetSignals(this)
    sources[id] = undefined
    native.watchClose(id)
    this.#handshakes?.close()
    this.#backingOff.pause()
    for (const observer of this.#following) observer.closed()
    for (const pending of this.#accepts.drain()) pending.reject(closedError('listener'))
    this.#notify()
  }

  /** Whether its descriptor shows that a client can be accepted: who has to go through a handshake first cannot. */
  get byDescriptor(): boolean {
    return this.#handshakes === undefined
  }

  /** Whether a client is through, or an error is to be had. */
  get readAhead(): boolean {
    return this.#id !== -1 && (this.#failure !== undefined || this.#handshakes?.hasThrough === true)
  }

  observeReadAhead(observer: () => void): () => void {
    this.#observers = [...this.#observers, observer]
    return () => {
      this.#observers = this.#observers.filter((other) => other !== observer)
    }
  }

  /** Calls back once, at the next chance to accept or when this is closed. Handshakes go on meanwhile. */
  watch(callback: () => void): void {
    this.#watchers.push(callback)
    sources[this.#id] = this
    if (this.#handshakes === undefined) checkCode(native.watchArm(this.#id, false))
    else this.#bringThrough()
  }

  unwatch(callback: () => void): void {
    this.#watchers = this.#watchers.filter((watcher) => watcher !== callback)
    this.#rest()
  }

  /** Somebody may want to connect, is through, or has left room for another. */
  ready(): void {
    if (this.#id === -1) return
    this.#serve()
    if (this.#handshakes === undefined) this.#notify()
    else if (this.#watchers.length > 0) this.#bringThrough()
    else this.#observed()
    this.#rest()
  }

  /** Takes clients for those who watch. */
  #bringThrough(): void {
    try {
      this.#fill()
    } catch (error) {
      this.#failure = error
    }
    if (this.readAhead || this.#id === -1) this.#notify()
  }

  /** Serves those who wait, in order, as far as it goes. */
  #serve(): void {
    for (let pending = this.#accepts.peek(); pending !== undefined; pending = this.#accepts.peek()) {
      try {
        const connection = this.#next()
        if (connection === undefined) return
        this.#accepts.shift()
        pending.resolve(connection)
      } catch (error) {
        // A callback may have taken it out.
        this.#leave(pending)
        pending.reject(error)
      }
    }
  }

  /**
   * The next client for a caller; where there is none yet, the listener is reported when there may be. Starts the
   * handshakes there is room for.
   */
  #next(): Connection<Value> | undefined {
    const through = this.#take()
    if (through !== undefined) return through
    if (this.#handshakes !== undefined) {
      this.#fill()
      return undefined
    }
    const connection = this.#fromKernel(true)
    return connection === undefined ? undefined : this.#accepted(connection)
  }

  /** A client that is through. */
  #take(): Connection<Value> | undefined {
    this.checkOpen()
    if (this.#failure !== undefined) {
      const failure = this.#failure
      this.#failure = undefined
      throw failure
    }
    // What was started is ours.
    const through = this.#handshakes?.take() as Connection<Value> | undefined
    if (through === undefined) return undefined
    this.#observed()
    return this.#accepted(through)
  }

  /** Starts the handshakes there is room for, until a callback closes the listener. */
  #fill(): void {
    while (this.#id !== -1 && this.#handshakes?.hasRoom === true) {
      const connection = this.#fromKernel(true)
      if (connection === undefined) return
      this.#handshakes.start(connection)
    }
  }

  /**
   * The next connection of the kernel's queue, undefined where it is empty. `report`: or where this turn had its share,
   * and the next one is reported; where there is no descriptor for it, later.
   */
  #fromKernel(report: boolean): Connection<Value> | undefined {
    if (report && this.#backingOff.resting) return undefined
    const channel = acceptChannel(this.#id, this.#settings, report)
    if (typeof channel !== 'number') {
      this.#backingOff.end()
      return connectionOver(channel)
    }
    if (channel === WOULD_BLOCK) {
      // Nobody is kept waiting.
      this.#backingOff.end()
      return undefined
    }
    const error = errorOf(channel)
    this.blame(error)
    if (!report || !isExhaustion(errnoOf(channel))) throw error
    this.#backOff(error)
    return undefined
  }

  #backOff(error: Error): void {
    const isNew = this.#backingOff.failure === undefined
    this.#backingOff.begin(error, () => this.ready())
    if (!isNew) return
    if (this.#following.size === 0) this.warn(error)
    for (const observer of this.#following) observer.exhausted(error)
  }

  #accepted(connection: Connection<Value>): Connection<Value> {
    this.lastAccepted = connection.peer
    return connection
  }

  /** Calls those who watch, once. */
  #notify(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
    this.#observed()
  }

  #observed(): void {
    for (const observer of this.#observers) observer()
  }

  #leave(pending: Pending<Connection<Value>>): void {
    this.#accepts.remove((other) => other === pending)
    this.#rest()
  }

  /** One that nobody waits for may be collected. */
  #rest(): void {
    if (this.#id === -1 || this.#accepts.length > 0 || this.#watchers.length > 0) return
    sources[this.#id] = undefined
    this.#backingOff.pause()
  }
}
