// What Python's multiprocessing.reduction.DupFd does behind the scenes (multiprocessing/resource_sharer.py): a
// descriptor stays with its owner, who listens on an address; who has the address, the descriptor's key and the
// authentication key gets a copy, once.
import { Listener, OwnedFd, connect } from '../../index.js'

/**
 * Takes a descriptor that a Python program offers by `DupFd(fd)`, whose `_id` is (address, key).
 * @throws EOFError if the key is unknown there, or was used already.
 */
export async function takeFd({ address, key }, authKey, options) {
  const connection = await connect(address, { ...options, authKey })
  try {
    await connection.sendBytes(pickleRequest(key, process.pid))
    return await connection.recvHandle(options)
  } finally {
    await connection.close()
  }
}

/** Offers descriptors to processes that call `DupFd.detach()`, or {@link takeFd}. */
export class ResourceSharer {
  #listener
  #offers = new Map()
  #nextKey = 1

  static async start(authKey) {
    const sharer = new ResourceSharer()
    sharer.#listener = await Listener.listen(undefined, { authKey, backlog: 128 })
    sharer.#serve()
    return sharer
  }

  /** A copy of `fd` waits for whoever presents what this returns. */
  offer(fd) {
    const key = this.#nextKey++
    this.#offers.set(key, OwnedFd.dup(fd))
    return { address: this.#listener.address, key }
  }

  async close() {
    await this.#listener.close()
    for (const fd of this.#offers.values()) fd.close()
    this.#offers.clear()
  }

  async #serve() {
    for await (const connection of this.#listener) {
      // Python closes a connection that asks for what is not there; so do we.
      this.#answer(connection)
        .catch((error) => console.error(`resource sharer: ${error.message}`))
        .finally(() => connection.close())
    }
  }

  async #answer(connection) {
    const request = await connection.recvBytes({ maxLength: 256, timeout: 10_000 })
    const [key] = unpickleRequest(request)
    const fd = this.#offers.get(key)
    if (fd === undefined) throw new Error(`nothing is offered under key ${key}`)
    this.#offers.delete(key)
    try {
      await connection.sendHandle(fd)
    } finally {
      fd.close()
    }
  }
}

/** The pickle of the tuple `(key, pid)`, in protocol 2, which every Python reads. */
function pickleRequest(key, pid) {
  return Buffer.concat([Buffer.from([0x80, 2]), pickleInteger(key), pickleInteger(pid), Buffer.from([0x86, 0x2e])])
}

/** BININT: `J` and four bytes. */
function pickleInteger(value) {
  const bytes = Buffer.from('J0000')
  bytes.writeInt32LE(value, 1)
  return bytes
}

/** Reads the pickle of a tuple of two integers, as every Python from 2.7 on writes it. Nothing else is understood. */
function unpickleRequest(bytes) {
  const values = []
  let at = 0
  for (;;) {
    switch (String.fromCharCode(bytes[at++])) {
      case '\x80': // PROTO and a byte, its version
        at += 1
        break
      case '\x95': // FRAME and eight bytes, its length
        at += 8
        break
      case 'K': // BININT1
        values.push(bytes.readUInt8(at))
        at += 1
        break
      case 'M': // BININT2
        values.push(bytes.readUInt16LE(at))
        at += 2
        break
      case 'J': // BININT
        values.push(bytes.readInt32LE(at))
        at += 4
        break
      case '\x86': // TUPLE2: the two integers before it
      case '\x94': // MEMOIZE, for a second use that never comes
        break
      case 'q': // BINPUT, the same with a byte
        at += 1
        break
      case '.': // STOP
        if (values.length === 2 && at === bytes.length) return values
      // fall through
      default:
        throw new Error('the request is not the pickle of a key and a process id')
    }
  }
}
