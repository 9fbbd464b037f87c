// 4-byte length framing over a byte stream, for node:net and usocket.

/** Smaller bodies are copied behind their header, which is cheaper than a second chunk. */
const COPY_BELOW = 512

/** One or two chunks that are the frame of `body`. */
export function frame(body) {
  const copy = body.length < COPY_BELOW
  const head = Buffer.allocUnsafe(copy ? 4 + body.length : 4)
  head.writeInt32BE(body.length)
  if (!copy) return [head, body]
  head.set(body, 4)
  return [head]
}

/** Cuts the chunks fed to it into bodies: views where a frame lies within a chunk, else one copy. */
export class Decoder {
  #onMessage
  #rest
  #body
  #filled = 0

  constructor(onMessage) {
    this.#onMessage = onMessage
  }

  feed(chunk) {
    if (this.#rest) {
      chunk = Buffer.concat([this.#rest, chunk])
      this.#rest = undefined
    }
    let at = 0
    if (this.#body) {
      at = chunk.copy(this.#body, this.#filled)
      this.#filled += at
      if (this.#filled < this.#body.length) return
      const body = this.#body
      this.#body = undefined
      this.#onMessage(body)
    }
    while (chunk.length - at >= 4) {
      const length = chunk.readInt32BE(at)
      at += 4
      if (chunk.length - at < length) {
        this.#body = Buffer.allocUnsafe(length)
        this.#filled = chunk.copy(this.#body, 0, at)
        return
      }
      this.#onMessage(chunk.subarray(at, at + length))
      at += length
    }
    if (at < chunk.length) this.#rest = chunk.subarray(at)
  }
}

/** A callback channel over a Duplex of bytes. */
export class FrameChannel {
  onMessage = () => {}
  #stream

  constructor(stream) {
    this.#stream = stream
    const decoder = new Decoder((body) => this.onMessage(body))
    stream.on('data', (chunk) => decoder.feed(chunk))
    stream.on('error', () => {})
  }

  send(body, sent) {
    const [head, rest] = frame(body)
    if (!rest) return this.#stream.write(head, sent)
    this.#stream.cork()
    this.#stream.write(head)
    this.#stream.write(rest, sent)
    this.#stream.uncork()
  }

  cork() {
    this.#stream.cork()
  }

  uncork() {
    this.#stream.uncork()
  }

  close() {
    return new Promise((resolve) => {
      this.#stream.once('close', resolve)
      this.#stream.destroy()
    })
  }
}
