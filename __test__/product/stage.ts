import { Connection, type Listener } from '../../index.ts'
import { openFile, type OpenFile, type Scope, temporaryAddress } from '../support/resources.ts'
import { turns } from '../support/until.ts'
import type { Closable } from './closable.ts'
import { pairOf, Peer, type Transport } from './peer.ts'

/** How long something may make no progress; only a defect takes so long. */
const PATIENCE = 4000

/** Everything around one pending thing. */
export class Stage implements Scope {
  readonly transport: Transport
  readonly peers: Peer[] = []
  /** What is open beside the pending thing, until the end. */
  readonly others: Closable[] = []
  /** What happened that nobody waits for, such as callbacks. */
  readonly events: string[] = []
  /** Whether the peer has done its part. */
  completed = false
  /** Where the pending listener listens. */
  address: Listener['address'] | undefined
  /** Whose ends end the pending thing, where that is not the first of the peers. */
  acting: Peer | undefined
  readonly #undo: (() => void | Promise<void>)[] = []
  #file: OpenFile | undefined

  constructor(transport: Transport) {
    this.transport = transport
  }

  teardown(undo: () => void | Promise<void>): void {
    this.#undo.push(undo)
  }

  /** A file whose descriptors are sent. */
  get file(): OpenFile {
    return (this.#file ??= openFile(this))
  }

  path(): string {
    return temporaryAddress(this)
  }

  /** A descriptor for the pending thing; its other end is the next of the peers. */
  descriptor(transport: Transport = this.transport, gets?: 'anything'): number {
    const [ours, theirs] = pairOf(transport)
    this.peers.push(new Peer(theirs, gets))
    return ours.take()
  }

  /** Takes what was sent first, so that closing is no reset. */
  readGreetings(): void {
    for (const peer of this.peers) if (peer.greeted && peer.open) peer.read()
  }

  /** Both ends of a way to move connections. */
  carrier(): [Connection, Connection] {
    const ends = pairOf('unix').map((end) => Connection.fromFd(end)) as [Connection, Connection]
    for (const end of ends) this.teardown(() => end.destroy())
    return ends
  }

  /** Takes what is there for the peers that read. */
  read(): void {
    for (const peer of this.peers) if (peer.reading && peer.open) peer.read()
  }

  /** Reads for the peers that read, until the promise has settled. */
  async settled(all: Promise<unknown>): Promise<void> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    all.then(settle, settle)
    let deadline = Date.now() + PATIENCE
    let count = -1
    while (!settled && Date.now() < deadline) {
      await turns(1)
      this.read()
      const now = this.peers.reduce((sum, peer) => sum + peer.count, 0)
      if (now !== count) deadline = Date.now() + PATIENCE
      count = now
    }
  }

  /** Waits for what comes by itself. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`${condition} did not come true`)
      await turns(1)
    }
  }

  /** How many descriptors are open here. */
  get held(): number {
    const peers = this.peers.filter((peer) => peer.open).length
    return peers + this.others.filter((other) => !other.closed).length + (this.#file === undefined ? 0 : 1)
  }

  async undo(): Promise<void> {
    for (const step of this.#undo.toReversed()) await step()
    for (const peer of this.peers) peer.close()
  }
}

/** Collects garbage until the condition holds, for as long as makes sense. */
export async function collect(condition: () => boolean, rounds: number = 100): Promise<void> {
  for (let round = 0; round < rounds && !condition(); round++) {
    globalThis.gc?.()
    await turns(2)
  }
}
