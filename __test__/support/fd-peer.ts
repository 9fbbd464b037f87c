import { Connection, type ConnectOptions, pipe } from '../../index.ts'
import type { Program } from './program.ts'
import { anyPython, runPython } from './python.ts'
import type { Scope } from './resources.ts'

export interface Received {
  readonly bytes: Buffer
  /** Of the descriptors that came, in order; see `inode()`. */
  readonly inodes: readonly string[]
}

interface Answer {
  readonly bytes: string
  readonly inodes: readonly string[]
}

/**
 * The other end of a unix socket in a Python process that does one sendmsg(2) or recvmsg(2) per command: the only way
 * to see what descriptors really ride on which byte, and to send what a well-behaved peer never would.
 */
export class FdPeer {
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  /** One sendmsg of all bytes, with a descriptor of each file on it. */
  async send(bytes: Uint8Array | string, files: readonly { readonly path: string }[] = []): Promise<void> {
    const paths = files.map(({ path }) => path)
    await this.#ask({ command: 'send', bytes: Buffer.from(bytes).toString('hex'), paths })
  }

  /** One sendmsg with a descriptor on it whose kind no path names: `memfd` or `tty`. */
  async sendMade(bytes: Uint8Array | string, kind: 'memfd' | 'tty'): Promise<void> {
    await this.#ask({ command: 'make', bytes: Buffer.from(bytes).toString('hex'), kind })
  }

  /** One blocking recvmsg. */
  async receive(size: number, maxFds: number = 253): Promise<Received> {
    const answer: Answer = JSON.parse(await this.#ask({ command: 'receive', size, maxFds }))
    return { bytes: Buffer.from(answer.bytes, 'hex'), inodes: answer.inodes }
  }

  /** Ends the stream in one direction. */
  async shutdown(): Promise<void> {
    await this.#ask({ command: 'shutdown' })
  }

  /** Closes its end and waits until the process is gone. */
  async close(): Promise<void> {
    await this.#program.finish()
  }

  async #ask(command: object): Promise<string> {
    this.#program.tell(JSON.stringify(command))
    return this.#program.line()
  }
}

/** A connection to such a peer. */
export async function fdPeer(
  scope: Scope,
  options: ConnectOptions = {},
): Promise<{ connection: Connection; peer: FdPeer }> {
  const [ours, theirs] = pipe()
  const program = runPython(scope, anyPython(), 'fd_peer.py', [], { inherit: [theirs.fd] })
  theirs.destroy()
  const connection = Connection.fromFd(ours.detach(), options)
  scope.teardown(() => connection.destroy())
  return { connection, peer: new FdPeer(program) }
}
