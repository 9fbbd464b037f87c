import { createHmac, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { frame } from './bytes.ts'
import { readExactly, write } from './raw-peer.ts'

export const CHALLENGE = '#CHALLENGE#'
export const WELCOME = '#WELCOME#'
export const FAILURE = '#FAILURE#'

/** The messages a peer sends in a handshake. */
export type Part = 'response' | 'challenge' | 'verdict'
/** In the order of each role. */
export const partsOf: Readonly<Record<'client' | 'listener', readonly Part[]>> = {
  client: ['response', 'challenge', 'verdict'],
  listener: ['challenge', 'verdict', 'response'],
}

/** The other end of a handshake, message by message, over a plain socket. */
export class HandshakePeer {
  readonly socket: Socket
  readonly #key: string
  /** The challenge received last, without its prefix. */
  challenge: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, key: string) {
    this.socket = socket
    this.#key = key
    socket.pause()
    socket.on('error', () => {}) // what happens to the peer is not what is tested
  }

  async message(): Promise<Buffer> {
    const length = (await readExactly(this.socket, 4)).readInt32BE()
    return readExactly(this.socket, length)
  }

  /** Receives what comes before that part. */
  async prepare(part: Part): Promise<void> {
    if (part === 'response') this.challenge = (await this.message()).subarray(CHALLENGE.length)
  }

  /** Sends that part as it should be, and receives what comes after it. */
  async perform(part: Part): Promise<void> {
    await this.prepare(part)
    await this.send(part)
  }

  /** Sends it once prepared, and receives what comes after it. */
  async send(part: Part): Promise<void> {
    await write(this.socket, frame(this.right(part)))
    if (part !== 'verdict') await this.message()
  }

  right(part: Part): Buffer {
    if (part === 'verdict') return Buffer.from(WELCOME)
    if (part === 'challenge') return Buffer.concat([Buffer.from(`${CHALLENGE}{sha256}`), randomBytes(40)])
    return Buffer.concat([Buffer.from('{sha256}'), this.mac('sha256')])
  }

  /** Of the challenge received last. */
  mac(digest: string): Buffer {
    return createHmac(digest, this.#key).update(this.challenge).digest()
  }
}
