import { EOFError, closedError, withoutFrames } from '../base/errors.ts'
import { native } from '../native/binding.ts'
import type { Source } from '../native/environment.ts'

const { GONE } = native

/** For as long as somebody has the signal: it does not keep its controller itself. */
const controllers = new WeakMap<AbortSignal, AbortController>()

/**
 * Aborts a signal when the peer of a connection is gone, or the connection closed here. It is what hears of an idle
 * connection, and keeps neither that nor the signal: who has listeners mostly has them refer to the connection.
 */
export class EndWatch implements Source {
  readonly #signal: WeakRef<AbortSignal>

  private constructor(signal: AbortSignal) {
    this.#signal = new WeakRef(signal)
  }

  /** A signal, and what aborts it. */
  static begin(): { readonly signal: AbortSignal; readonly watch: EndWatch } {
    const controller = new AbortController()
    const { signal } = controller
    controllers.set(signal, controller)
    return { signal, watch: new EndWatch(signal) }
  }

  ready(flags: number): void {
    if ((flags & GONE) !== 0) this.gone()
  }

  /** The peer is gone. */
  gone(): void {
    this.#abort(() => withoutFrames(() => new EOFError()))
  }

  /** The connection is closed here. */
  closed(): void {
    this.#abort(() => closedError('connection'))
  }

  #abort(reason: () => Error): void {
    const signal = this.#signal.deref()
    if (signal !== undefined && !signal.aborted) controllers.get(signal)?.abort(reason())
  }
}
