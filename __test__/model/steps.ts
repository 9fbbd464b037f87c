import { strictEqual, ok } from 'node:assert'
import type { AsyncCommand } from 'fast-check'
import { pattern } from '../support/bytes.ts'
import { codeOf, turns } from '../support/until.ts'
import {
  assertFds,
  assertWhole,
  leave,
  LOST,
  type Model,
  other,
  outcomeOf,
  type Real,
  serve,
  type Side,
  soon,
} from './pair.ts'
import type { Unit } from './wire.ts'

/** Bytes that surely have room in the kernel's buffers, so that a blocking send ends. */
const ROOM = 60_000
/** Receives that may wait beside each other. */
const MANY = 3

/** A command: what it is called, when it makes sense, and what it does. */
export abstract class Step implements AsyncCommand<Model, Real> {
  readonly side: Side
  readonly details: string

  constructor(side: Side, details: string = '') {
    this.side = side
    this.details = details
  }

  abstract check(model: Readonly<Model>): boolean
  abstract run(model: Model, real: Real): Promise<void>

  toString(): string {
    return `${this.constructor.name}(${['a', 'b'][this.side]}${this.details && `, ${this.details}`})`
  }
}

/** A step of an end that is open. */
abstract class OpenStep extends Step {
  check(model: Readonly<Model>): boolean {
    return !model.ends[this.side].closed && this.checkOpen(model)
  }

  checkOpen(_model: Readonly<Model>): boolean {
    return true
  }
}

const how = ['sendBytes', 'send', 'sendBytesSync', 'sendHandle', 'sendFds', 'sendFdsSync'] as const
export type How = (typeof how)[number]
export const hows: readonly How[] = how

/** Sends a message of `size` bytes, or `fds` descriptors, or both. */
export class Send extends OpenStep {
  readonly how: How
  readonly size: number
  readonly fds: number

  constructor(side: Side, how: How, size: number, fds: number) {
    super(side, `${how}, ${size} bytes, ${fds} descriptors`)
    this.how = how
    this.size = size
    this.fds = fds
  }

  get #isRecord(): boolean {
    return this.how === 'sendHandle' || this.how.startsWith('sendFds')
  }

  override checkOpen(model: Readonly<Model>): boolean {
    const wire = model.ends[other(this.side)].incoming
    if (wire.writer !== 'open' || model.ends[other(this.side)].closed) return false
    return !this.how.endsWith('Sync') || wire.size + this.size < ROOM
  }

  async run(model: Model, real: Real): Promise<void> {
    const count = this.#isRecord ? Math.max(1, this.fds) : this.fds
    const files = Array.from({ length: count }, (_, index) => real.files[index % real.files.length]!)
    const fds = files.map(({ fd }) => fd)
    const seed = ++model.seed
    const outcome = outcomeOf(this.#send(real, fds, pattern(this.size, seed)))
    if (count > 0 && !real.carriesDescriptors) {
      strictEqual(await outcome, 'ERR_FDS_UNSUPPORTED')
      return
    }
    real.sends.push({ side: this.side, outcome, allowed: new Set(['ok']) })
    const record: Unit = { record: (this.how === 'sendHandle' ? files.slice(0, 1) : files).map(({ inode }) => inode) }
    const wire = model.ends[other(this.side)].incoming
    if (count > 0) wire.put(record)
    if (!this.#isRecord) wire.put({ frame: { size: this.size, seed } })
    await serve(model, other(this.side))
  }

  async #send({ connections }: Real, fds: readonly number[], data: Buffer): Promise<void> {
    const connection = connections[this.side]
    const options = fds.length > 0 ? { fds } : {}
    switch (this.how) {
      case 'sendBytes':
        return connection.sendBytes(data, options)
      case 'send':
        return connection.send(data, options)
      case 'sendBytesSync':
        return connection.sendBytesSync(data, options)
      case 'sendHandle':
        return connection.sendHandle(fds[0]!)
      case 'sendFds':
        return connection.sendFds(fds)
      case 'sendFdsSync':
        return connection.sendFdsSync(fds)
    }
  }
}

/** A blocking send that has no time: its message stays queued all the same. */
export class SendTimesOut extends OpenStep {
  readonly size: number

  constructor(side: Side, size: number) {
    super(side, `${size} bytes`)
    this.size = size
  }

  override checkOpen(model: Readonly<Model>): boolean {
    const wire = model.ends[other(this.side)].incoming
    return wire.writer === 'open' && !model.ends[other(this.side)].closed
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    const seed = ++model.seed
    const data = pattern(this.size, seed)
    try {
      connections[this.side].sendBytesSync(data, { timeout: 0 })
    } catch (error) {
      strictEqual((error as NodeJS.ErrnoException).code, 'ERR_TIMEOUT')
    }
    data.fill(0) // it is the caller's again
    model.ends[other(this.side)].incoming.put({ frame: { size: this.size, seed } })
    await serve(model, other(this.side))
  }
}

/** Waits for all that was sent so far, while other things happen. */
export class Flush extends OpenStep {
  async run(model: Model, { connections, sends }: Real): Promise<void> {
    const there = model.ends[other(this.side)]
    // It tells of a send that failed, as one does when nobody can receive it.
    const failed = there.incoming.writer !== 'open' || there.closed ? LOST : []
    const outcome = outcomeOf(connections[this.side].flush())
    sends.push({ side: this.side, outcome, allowed: new Set(['ok', ...failed]) })
  }
}

export const receiveKinds = ['recvBytes', 'recvBytesInto', 'recvMessage', 'recvMany', 'recv', 'for await'] as const
export type ReceiveKind = (typeof receiveKinds)[number]

/** Receives a message that was sent. */
export class Receive extends OpenStep {
  readonly kind: ReceiveKind

  constructor(side: Side, kind: ReceiveKind) {
    super(side, kind)
    this.kind = kind
  }

  override checkOpen(model: Readonly<Model>): boolean {
    const { incoming, receives } = model.ends[this.side]
    return incoming.hasFrame && incoming.writer !== 'cut' && receives.length === 0
  }

  async run(model: Model, real: Real): Promise<void> {
    await soon(this.#receive(model, real), this.toString())
  }

  async #receive(model: Model, { connections }: Real): Promise<void> {
    const connection = connections[this.side]
    const { incoming } = model.ends[this.side]
    if (this.kind === 'recvMany') {
      const messages = await connection.recvMany({ max: 3 })
      ok(messages.length >= 1 && messages.length <= 3)
      for (const message of messages) assertWhole(message, incoming.takeFrame())
      return
    }
    const whole = incoming.takeFrame()
    switch (this.kind) {
      case 'recvBytes':
        return assertWhole({ data: await connection.recvBytes(), fds: [] }, { ...whole, inodes: [] })
      case 'recv':
        return assertWhole({ data: (await connection.recv()) as Buffer, fds: [] }, { ...whole, inodes: [] })
      case 'recvMessage':
        return assertWhole(await connection.recvMessage(), whole)
      case 'for await':
        for await (const message of connection) return assertWhole(message, whole)
        throw new Error('The loop ended')
      case 'recvBytesInto': {
        const buffer = Buffer.alloc(whole.bytes.length + 7)
        const size = await connection.recvBytesInto(buffer, { offset: 7 })
        assertWhole({ data: buffer.subarray(7, 7 + size), fds: [] }, { ...whole, inodes: [] })
      }
    }
  }
}

/** Receives into a buffer that is too short: the error has the message. */
export class ReceiveTooShort extends Receive {
  constructor(side: Side) {
    super(side, 'recvBytesInto')
  }

  override async run(model: Model, { connections }: Real): Promise<void> {
    const { bytes } = model.ends[this.side].incoming.takeFrame()
    const buffer = Buffer.alloc(Math.max(0, bytes.length - 1))
    const receiving = soon(connections[this.side].recvBytesInto(buffer), this.toString())
    if (bytes.length === 0) return strictEqual(await receiving, 0)
    const error = await receiving.then(
      () => undefined,
      (reason: unknown) => reason as { code: string; data: Buffer },
    )
    strictEqual(error?.code, 'ERR_BUFFER_TOO_SHORT')
    ok(error.data.equals(bytes), 'bytes of the error')
  }
}

/** Receives blocking what is surely here. */
export class ReceiveSync extends Receive {
  constructor(side: Side) {
    super(side, 'recvMessage')
  }

  override async run(model: Model, { connections }: Real): Promise<void> {
    await leave()
    if (connections[other(this.side)].writableLength > 0) return // it could not come while this thread is blocked
    const message = connections[this.side].recvMessageSync({ timeout: 3000 })
    assertWhole(message, model.ends[this.side].incoming.takeFrame())
  }
}

/** Receives the descriptors that are next, or fewer than came. */
export class ReceiveFds extends OpenStep {
  readonly max: number

  constructor(side: Side, max: number) {
    super(side, `at most ${max}`)
    this.max = max
  }

  override checkOpen(model: Readonly<Model>): boolean {
    const { incoming, receives } = model.ends[this.side]
    return incoming.record !== undefined && incoming.writer !== 'cut' && receives.length === 0
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    const inodes = model.ends[this.side].incoming.takeRecord()
    const receiving = soon(connections[this.side].recvFds(this.max), this.toString())
    if (inodes.length <= this.max) return assertFds(await receiving, inodes)
    strictEqual(await codeOf(receiving), 'ERR_FDS_COUNT')
  }
}

/** Starts a receive for which nothing is there. */
export class StartReceive extends OpenStep {
  override checkOpen(model: Readonly<Model>): boolean {
    const { incoming, receives } = model.ends[this.side]
    return !incoming.hasFrame && incoming.writer === 'open' && receives.length < MANY
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    const controller = new AbortController()
    const receiving = connections[this.side].recvMessage({ signal: controller.signal })
    const outcome = receiving.catch((error: Error) => error)
    model.ends[this.side].receives.push({ outcome, abort: () => controller.abort() })
    await turns(1)
  }
}

/** Aborts one of the receives that wait; it takes nothing with it. */
export class Abort extends OpenStep {
  readonly index: number

  constructor(side: Side, index: number) {
    super(side, String(index))
    this.index = index
  }

  override checkOpen(model: Readonly<Model>): boolean {
    return model.ends[this.side].receives.length > this.index
  }

  async run(model: Model): Promise<void> {
    const [receive] = model.ends[this.side].receives.splice(this.index, 1)
    receive!.abort()
    strictEqual(((await receive!.outcome) as NodeJS.ErrnoException).code, 'ABORT_ERR')
  }
}

/** A receive whose time is over before anything came. */
export class ReceiveTimesOut extends OpenStep {
  readonly timeout: number

  constructor(side: Side, timeout: number) {
    super(side, `${timeout} ms`)
    this.timeout = timeout
  }

  override checkOpen(model: Readonly<Model>): boolean {
    const { incoming } = model.ends[this.side]
    return !incoming.hasFrame && incoming.writer === 'open'
  }

  async run(_model: Model, { connections }: Real): Promise<void> {
    strictEqual(await codeOf(connections[this.side].recvBytes({ timeout: this.timeout })), 'ERR_TIMEOUT')
  }
}

/** Polls: true for what was sent, and for the end. */
export class Poll extends OpenStep {
  override checkOpen(model: Readonly<Model>): boolean {
    return model.ends[this.side].receives.length === 0
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    const { incoming } = model.ends[this.side]
    const something = incoming.units.length > 0 || incoming.writer !== 'open'
    strictEqual(await connections[this.side].poll(something ? 5000 : 0), something)
  }
}
