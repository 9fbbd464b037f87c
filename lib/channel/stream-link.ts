import type { Duplex } from 'node:stream'
import { report } from '../native/environment.ts'
import { errno } from '../native/errno.ts'
import { closedError, invalidArgumentType, systemError } from '../base/errors.ts'
import { native } from '../native/binding.ts'

const { GONE, READABLE } = native

/** Milliseconds a Duplex that was ended may wait for the peer's end. */
const LINGER = 500

/** Carries a connection's bytes over a Duplex: what that reads goes to the native decoder, what is queued to it. */
export class StreamLink {
  readonly #id: number
  readonly #duplex: Duplex
  readonly #ready: (flags: number) => void
  readonly #onReadable = (): void => this.#ready(READABLE)
  readonly #onError = (error: unknown): void => {
    this.#error ??= error
    this.#ready(READABLE | GONE)
  }
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#ready(READABLE | GONE)
  }
  readonly #onClose = (): void => {
    // A Duplex need not call back for what it was writing.
    this.#given = this.#written
    this.#settle(this.#duplex.errored ?? systemError(-errno.EPIPE, 'write'))
    this.#onEnd()
  }
  #settle: (error?: Error | null) => void = () => {}
  #error: unknown
  #ended = false
  #fedEnd = false
  #given = 0
  #written = 0
  /** The Duplex wants no more until it drains. */
  #blocked = false
  #finished = false
  #destroyed = false

  /** `ready` is called when there may be more to read, or the peer is gone, with the event's flags. */
  constructor(id: number, duplex: Duplex, ready: (flags: number) => void) {
    this.#id = id
    this.#duplex = duplex
    this.#ready = ready
    this.#error = duplex.errored ?? undefined
    this.#ended = duplex.readableEnded || duplex.destroyed
    duplex.on('readable', this.#onReadable).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError)
  }

  /** Whether the peer is gone: the Duplex said so. */
  get gone(): boolean {
    return this.#ended || this.#error !== undefined
  }

  /** The stream position up to which the Duplex has the bytes. */
  get written(): number {
    return this.#written
  }

  /** Fetches what the Duplex has read: true when there is something new, the end included. Throws the Duplex's error. */
  read(): boolean {
    const chunk: unknown = this.#duplex.read()
    // It may have closed the connection, whose number may be another's.
    if (this.#destroyed) throw closedError('connection')
    if (chunk instanceof Uint8Array) {
      if (chunk.length > 0) native.feed(this.#id, chunk)
      return chunk.length > 0
    }
    if (chunk !== null) throw invalidArgumentType('chunk', 'bytes: the stream must not be in object mode', chunk)
    if (this.#error !== undefined) throw this.#error
    if (!this.#ended || this.#fedEnd) return false
    this.#fedEnd = true
    native.feed(this.#id, new Uint8Array())
    return true
  }

  /** Bytes that the Duplex was given and has not written. */
  get length(): number {
    return this.#given - this.#written
  }

  /** Hands what is queued to the Duplex, as fast as it can, and calls back when it has written some, or failed to. */
  write(settle: (error?: Error | null) => void): void {
    if (this.#destroyed) return
    this.#settle = settle
    // One that ended or failed says so to each write.
    if (this.#blocked && this.#duplex.writable) return
    while (!this.#destroyed) {
      const bytes = native.takeOutput(this.#id)
      if (bytes.length === 0) return
      const end = report[native.REPORT_WRITTEN] as number
      this.#given = end
      const more = this.#hand(bytes, end)
      if (more) continue
      this.#blocked = true
      this.#duplex.once('drain', () => {
        this.#blocked = false
        this.write(settle)
      })
      return
    }
  }

  /** Whether the Duplex wants more. One whose write throws fails what was handed to it, and nothing else. */
  #hand(bytes: Uint8Array, end: number): boolean {
    const settle = this.#settle
    try {
      return this.#duplex.write(bytes, (error) => {
        if (!error) this.#written = end
        settle(error)
      })
    } catch (error) {
      this.#given = this.#written
      settle(error instanceof Error ? error : new Error('The stream could not be written', { cause: error }))
      return true
    }
  }

  reference(referenced: boolean): void {
    const handle = this.#duplex as { ref?: () => void; unref?: () => void }
    if (referenced) handle.ref?.()
    else handle.unref?.()
  }

  /** Ends the Duplex; resolves when it has written all, or cannot. */
  async end(): Promise<void> {
    if (this.#duplex.destroyed || this.#duplex.writableFinished) return
    await new Promise<void>((resolve) => {
      this.#duplex.once('close', resolve)
      this.#duplex.end(resolve)
    }).then(
      () => (this.#finished = true),
      () => {}, // its end() throws: there is nothing to wait for
    )
  }

  /** Destroys the Duplex; one that wrote all only once the peer has ended too, if it does so soon. */
  destroy(): void {
    const duplex = this.#duplex
    this.#destroyed = true
    duplex.off('readable', this.#onReadable).off('end', this.#onEnd).off('close', this.#onClose)
    this.#error ??= closedError('connection')
    if (!this.#finished || duplex.readableEnded) return void duplex.destroy()
    // A socket that is closed with something unread, such as the tickets of TLS, is reset under what is on its way.
    const timer = setTimeout(() => duplex.destroy(), LINGER)
    duplex.once('close', () => clearTimeout(timer)).once('end', () => duplex.destroy())
    duplex.resume()
  }
}
