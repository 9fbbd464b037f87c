import { onAbort } from '../base/abort.ts'
import { checkInteger, checkOptions, checkSignal, checkTimeout } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { invalidArgumentType } from '../base/errors.ts'
import { show } from '../base/inspect.ts'
import { startTimer } from '../base/limits.ts'
import { callUncaught } from '../base/uncaught.ts'
import { originOf } from '../channel/channel.ts'
import type { Accepting } from './accepting.ts'
import { channelOf } from './connection.ts'
import type { Connection } from './connection.ts'

/** What is done with each connection; it is closed when this returns, or what it returns settles. */
export type ConnectionHandler<Value = unknown> = (connection: Connection<Value>) => unknown

/** How connections are served. */
export interface ServeOptions<Value = unknown> {
  /** Ends the serving when aborted, as {@link Listener.close} does: nobody is accepted any more, handlers may finish. */
  readonly signal?: AbortSignal | undefined
  /**
   * Connections served at once; more wait in the kernel's queue.
   * @defaultValue `Infinity`
   */
  readonly maxConnections?: number | undefined
  /**
   * Told of each error of a handler, with its connection, which is closed then; and without one, once each time, that
   * nobody can be accepted for want of descriptors or memory. Not told of a client that left between messages or reset the
   * connection, nor of what was aborted by `signal` or for that reason. What this throws is an uncaught exception.
   * @defaultValue one process warning for the first error (`FDWIRE_SERVE_ERROR`)
   */
  readonly onError?: ((error: Error, connection?: Connection<Value>) => unknown) | undefined
  /**
   * Milliseconds that handlers have once the serving is to end, as in {@link WaitOptions}; then their connections are
   * destroyed.
   * @defaultValue 10000
   */
  readonly drainTimeout?: number | null | undefined
}

export const serveNames: Names<ServeOptions> = { signal: true, maxConnections: true, onError: true, drainTimeout: true }

/** Checked {@link ServeOptions}. */
interface ServeSettings<Value> {
  readonly handler: ConnectionHandler<Value>
  readonly signal: AbortSignal | undefined
  readonly maxConnections: number
  readonly onError: ServeOptions<Value>['onError']
  readonly drainTimeout: number
}

function checkServe<Value>(handler: ConnectionHandler<Value>, options: ServeOptions<Value> = {}): ServeSettings<Value> {
  if (typeof handler !== 'function') throw invalidArgumentType('handler', 'a function', handler)
  checkOptions(options, serveNames)
  const { onError } = options
  if (onError !== undefined && typeof onError !== 'function') {
    throw invalidArgumentType('options.onError', 'a function', onError)
  }
  return {
    handler,
    signal: checkSignal(options.signal, 'options.signal'),
    maxConnections: checkInteger(options.maxConnections, 'options.maxConnections', Infinity, Infinity, 1),
    onError,
    drainTimeout: checkTimeout(options.drainTimeout, 'options.drainTimeout', 10_000),
  }
}

/** Serves the connections of a listener until that is closed, or the signal aborted, and they have ended. */
export async function serve<Value>(
  accepting: Accepting<Value>,
  handler: ConnectionHandler<Value>,
  options?: ServeOptions<Value>,
): Promise<void> {
  const settings = checkServe(handler, options)
  accepting.checkOpen()
  await new Serving(accepting, settings).run()
}

/** How a client leaves that has no more to say. */
const departures = new Set<unknown>(['ERR_EOF', 'ECONNRESET', 'EPIPE'])

/** Handlers may wait for what does not hold them: what is being served must not be collected. */
const running = new Set<object>()

class Serving<Value> {
  readonly #accepting: Accepting<Value>
  readonly #settings: ServeSettings<Value>
  readonly #open = new Set<Connection<Value>>()
  /** Aborted when nobody is to be accepted any more. */
  readonly #ending = new AbortController()
  /** Called when a connection is closed, or the serving is to end. */
  #proceed = (): void => {}
  /** The time for the handlers is over. */
  #expired = false
  #warned = false

  constructor(accepting: Accepting<Value>, settings: ServeSettings<Value>) {
    this.#accepting = accepting
    this.#settings = settings
  }

  async run(): Promise<void> {
    const { signal } = this.#settings
    running.add(this)
    const end = (): void => this.#end()
    const release = this.#accepting.observe({
      closed: end,
      exhausted: (error) => this.#tell(error),
    })
    const leave = signal === undefined ? undefined : onAbort(signal, end)
    if (signal?.aborted) this.#end()
    try {
      await this.#accept()
    } finally {
      // Where accepting failed, those that are open have their time, too.
      this.#end()
      await this.#drain()
      leave?.()
      release()
      running.delete(this)
    }
  }

  /** Accepts until the serving is to end. */
  async #accept(): Promise<void> {
    const { signal } = this.#ending
    const limits = { signal, timeout: Infinity }
    while (!signal.aborted) {
      if (this.#open.size >= this.#settings.maxConnections) {
        await this.#change()
        continue
      }
      let connection: Connection<Value>
      try {
        connection = await this.#accepting.accept(limits)
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      void this.#handle(connection)
    }
  }

  async #handle(connection: Connection<Value>): Promise<void> {
    this.#open.add(connection)
    channelOf(connection).served = true
    try {
      await this.#settings.handler(connection)
    } catch (error) {
      this.#failed(error, connection)
    }
    await connection.close()
    this.#open.delete(connection)
    this.#proceed()
  }

  #failed(thrown: unknown, connection: Connection<Value>): void {
    try {
      if (!this.#isExpected(thrown, connection)) this.#tell(asError(thrown), connection)
    } catch {
      // Even to look at it throws; the connection has to be closed all the same.
      this.#tell(new Error('A handler threw what cannot be shown', { cause: thrown }), connection)
    }
  }

  /** Whether an error tells no more than that the client left, or that we end. */
  #isExpected(error: unknown, connection: Connection<Value>): boolean {
    const { signal } = this.#settings
    if (signal?.aborted === true && (error === signal.reason || isAbort(error))) return true
    // What the handler did elsewhere for as long as the client is there.
    const cause = isAbort(error) && error.cause !== undefined ? error.cause : error
    const channel = channelOf(connection)
    if (!(cause instanceof Error && 'code' in cause)) return false
    if (originOf(cause) !== channel && cause !== channel.endReason) return false
    return departures.has(cause.code) || (cause.code === 'ERR_CLOSED' && this.#expired)
  }

  #tell(error: Error, connection?: Connection<Value>): void {
    const { onError } = this.#settings
    if (onError !== undefined) {
      callUncaught(() => onError(error, connection))
    } else if (connection === undefined) {
      this.#accepting.warn(error)
    } else if (!this.#warned) {
      process.emitWarning(
        `A connection's handler failed; serve()'s onError is told of each. ${error.stack ?? String(error)}`,
        {
          code: 'FDWIRE_SERVE_ERROR',
        },
      )
      this.#warned = true
    }
  }

  /** Nobody is accepted any more. */
  #end(): void {
    this.#ending.abort()
    this.#proceed()
  }

  /** Waits for the handlers, for so long as they have, and closes what is open then. */
  async #drain(): Promise<void> {
    const { drainTimeout } = this.#settings
    const expire = (): void => {
      this.#expired = true
      for (const connection of this.#open) connection.destroy()
      this.#proceed()
    }
    const stop = drainTimeout === Infinity ? undefined : startTimer(drainTimeout, expire)
    while (this.#open.size > 0 && !this.#expired) await this.#change()
    stop?.()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#proceed = resolve))
  }
}

/** Ours, Node's or the web's. */
function isAbort(error: unknown): error is Error {
  return error instanceof Error && error.name === 'AbortError'
}

function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  const shown = typeof thrown === 'string' ? thrown : show(thrown)
  return new Error(`A handler threw ${shown}`, { cause: thrown })
}
