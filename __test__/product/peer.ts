import { once } from 'node:events'
import { readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { Connection, constants, type FdLike, Listener, OwnedFd, Poll, connectSync, pipe } from '../../index.ts'
import { turns } from '../support/until.ts'

export type Transport = 'unix' | 'tcp'

/** Longest piece that surely has room where poll(2) says that there is some. */
const PIECE = 16384

/**
 * The other end of a connection: a bare descriptor, so that nothing of it keeps the process alive, and that exactly what
 * the test says is read and written.
 */
export class Peer {
  /** What it is to get: frames and handle records, in order. */
  readonly expected: Buffer[] = []
  /** Whether it takes what is sent to it. */
  reading = false
  /** Whether it has something to read from the start. */
  greeted = false
  readonly #end: OwnedFd
  readonly #received: Buffer[] = []
  readonly #anything: boolean
  #ended = false

  /** `'anything'`: it gets whole frames and records, whatever they say. */
  constructor(end: OwnedFd, gets: 'what is expected' | 'anything' = 'what is expected') {
    this.#end = end
    this.#anything = gets === 'anything'
  }

  get open(): boolean {
    return this.#end.fd !== -1
  }

  get fd(): number {
    return this.#end.fd
  }

  /** How many bytes have come. */
  get count(): number {
    return this.#received.reduce((sum, { length }) => sum + length, 0)
  }

  /** Writes what surely has room. */
  write(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) writeSync(this.#end.fd, piece)
  }

  /** Writes any amount, turning the event loop where there is no room. */
  async feed(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += PIECE) {
      while (this.#events(constants.POLLOUT, 0) === 0) await turns(1)
      this.write(bytes.subarray(start, start + PIECE))
    }
  }

  /** Runs `use` with a connection over a copy of the descriptor, for what bytes alone cannot say. */
  as<T>(use: (connection: Connection) => T): T {
    const connection = Connection.fromFd(OwnedFd.dup(this.#end.fd), { readAhead: false })
    try {
      return use(connection)
    } finally {
      connection.destroy()
    }
  }

  sendHandle(fd: FdLike): void {
    this.as((connection) => connection.sendHandleSync(fd))
  }

  /** Takes what is there, or comes within `timeout`; false once the stream has ended. */
  read(timeout: number = 0): boolean {
    while (!this.#ended && this.#events(constants.POLLIN, timeout) !== 0) {
      const buffer = Buffer.allocUnsafe(1 << 18)
      const count = this.#readSome(buffer)
      if (count === 0) this.#ended = true
      else this.#received.push(buffer.subarray(0, count))
    }
    return !this.#ended
  }

  /** Somebody else has read this for it. */
  took(bytes: Buffer): void {
    this.#received.push(bytes)
  }

  /** Whether something is there to read. */
  get hasInput(): boolean {
    return this.#events(constants.POLLIN, 0) !== 0
  }

  /** Sends no more, but goes on reading. */
  async finish(): Promise<void> {
    const socket = new Socket({ fd: OwnedFd.dup(this.#end.fd).take(), readable: false, writable: true })
    const closed = once(socket, 'close')
    socket.end()
    socket.resume()
    socket.destroySoon()
    await closed
  }

  /** Closes; with something unread that is a reset for the other end. */
  close(): void {
    this.#end.close()
  }

  /** What is wrong with what came, once the other end is closed: nothing may be missing when all must be `whole`. */
  verify(whole: boolean): string[] {
    if (this.read(2000)) return ['the peer does not see the end of the stream']
    const received = Buffer.concat(this.#received)
    if (this.#anything) return whole && !isWhole(received) ? ['the peer got a part of a message'] : []
    const expected = Buffer.concat(this.expected)
    if (received.length > expected.length) return [`the peer got ${received.length - expected.length} bytes too many`]
    if (!received.equals(expected.subarray(0, received.length))) return ['the peer got other bytes than were sent']
    const missing = expected.length - received.length
    return whole && missing > 0 ? [`the peer misses ${missing} of ${expected.length} bytes`] : []
  }

  #readSome(buffer: Buffer): number {
    try {
      return readSync(this.#end.fd, buffer)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return 0
      throw error
    }
  }

  #events(mask: number, timeout: number): number {
    const poll = new Poll()
    poll.register(this.#end.fd, mask)
    return poll.pollSync(timeout)[0]?.[1] ?? 0
  }
}

/** Whether the bytes are frames of less than 16 MiB, and handle records of less than 256 descriptors. */
function isWhole(bytes: Buffer): boolean {
  let at = 0
  while (at < bytes.length) {
    if (bytes[at] !== 0) at += 1
    else if (at + 4 > bytes.length) return false
    else at += 4 + bytes.readInt32BE(at)
  }
  return at === bytes.length
}

/** Two connected descriptors. */
export function pairOf(transport: Transport): [OwnedFd, OwnedFd] {
  if (transport === 'unix') {
    const [a, b] = pipe()
    return [a.detach(), b.detach()]
  }
  const listener = Listener.listenSync({ host: '127.0.0.1', port: 0 })
  const client = connectSync(listener.address)
  const server = listener.acceptSync()
  listener[Symbol.dispose]()
  return [client.detach(), server.detach()]
}
