import { ok, strictEqual } from 'node:assert'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { OwnedFd } from '../../index.ts'
import { codeOf } from '../support/until.ts'
import { assertWhole, leave, LOST, type Model, other, outcomeOf, type Real, type Side, soon } from './pair.ts'
import { Step } from './steps.ts'

/** The receives that wait when their connection is closed here. */
async function endReceives(model: Model, side: Side): Promise<void> {
  for (const { outcome } of model.ends[side].receives.splice(0)) {
    strictEqual(((await soon(outcome, 'a receive')) as NodeJS.ErrnoException).code, 'ERR_CLOSED')
  }
}

/** The receives that wait when the peer ends. Descriptors for which no frame comes are a message cut off. */
async function finishReceives(model: Model, side: Side): Promise<void> {
  if (model.ends[side].receives.length > 0) model.ends[side].incoming.units.length = 0
  for (const { outcome } of model.ends[side].receives.splice(0)) {
    const { code } = (await soon(outcome, 'a receive')) as NodeJS.ErrnoException
    ok(code === 'ERR_EOF' || code === 'ECONNRESET' || code === 'ERR_MESSAGE_TRUNCATED', code)
  }
}

/** What is under way may fail for a lost peer from now on. */
function allow(real: Real, side: Side, codes: readonly string[]): void {
  for (const send of real.sends) if (send.side === side) for (const code of codes) send.allowed.add(code)
}

abstract class Ending extends Step {
  check(model: Readonly<Model>): boolean {
    return !model.ends[this.side].closed
  }

  async run(model: Model, real: Real): Promise<void> {
    const [here, there] = [model.ends[this.side], model.ends[other(this.side)]]
    here.closed = true
    // What nobody received is lost, which the other end may be told in place of the plain end.
    if (here.incoming.units.length > 0) there.incoming.reset = true
    allow(real, other(this.side), LOST)
    await this.end(model, real)
    // Closing a TCP socket with something unread is a reset, which drops what the other end has not received.
    if (here.incoming.units.length > 0 && !real.carriesDescriptors) there.incoming.writer = 'cut'
    await endReceives(model, this.side)
    if (!there.closed && !there.incoming.hasFrame) await finishReceives(model, other(this.side))
  }

  protected abstract end(model: Model, real: Real): Promise<void>
}

/** Closes one end; what it has sent still leaves. */
export class Close extends Ending {
  protected async end(model: Model, real: Real): Promise<void> {
    const there = model.ends[other(this.side)]
    if (there.incoming.writer === 'open') there.incoming.writer = 'ended'
    real.sends.push({
      side: this.side,
      outcome: outcomeOf(real.connections[this.side].close()),
      allowed: new Set(['ok']),
    })
    strictEqual(real.connections[this.side].closed, true)
    strictEqual(await codeOf(real.connections[this.side].sendBytes(Buffer.alloc(1))), 'ERR_CLOSED')
  }
}

/** Closes one end at once. */
export class Destroy extends Ending {
  protected async end(model: Model, real: Real): Promise<void> {
    await leave()
    const there = model.ends[other(this.side)]
    const queued = real.connections[this.side].writableLength > 0
    if (queued) allow(real, this.side, ['ERR_CLOSED'])
    if (queued) there.incoming.writer = 'cut'
    else if (there.incoming.writer === 'open') there.incoming.writer = 'ended'
    real.connections[this.side].destroy()
    strictEqual(real.connections[this.side].fd, -1)
  }
}

/** One end sends no more, by shutdown(2), and still receives. */
export class HalfClose extends Step {
  check(model: Readonly<Model>): boolean {
    return !model.ends[this.side].closed && model.ends[other(this.side)].incoming.writer === 'open'
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    await leave()
    const connection = connections[this.side]
    if (connection.writableLength > 0) return
    const socket = new Socket({ fd: OwnedFd.dup(connection.fd).take(), readable: false, writable: true })
    const closed = once(socket, 'close')
    socket.end()
    socket.destroySoon()
    await closed
    model.ends[other(this.side)].incoming.writer = 'ended'
    const code = await codeOf(connection.sendBytes(Buffer.alloc(1)))
    ok(model.ends[other(this.side)].closed ? LOST.includes(String(code)) : code === 'EPIPE', code)
    if (!model.ends[other(this.side)].closed) await finishReceives(model, other(this.side))
  }
}

/** Receives the end after everything before it: again and again. */
export class ReceiveEnd extends Step {
  check(model: Readonly<Model>): boolean {
    const { closed, incoming } = model.ends[this.side]
    return !closed && incoming.writer === 'ended' && incoming.units.length === 0
  }

  async run(model: Model, { connections }: Real): Promise<void> {
    const receive = async (): Promise<string | undefined> =>
      codeOf(soon(connections[this.side].recvBytes(), 'recvBytes'))
    const first = await receive()
    ok(first === 'ERR_EOF' || (first === 'ECONNRESET' && model.ends[this.side].incoming.reset), first)
    const second = await receive()
    ok(second === 'ERR_EOF' || second === first, second)
  }
}

/** After the steps: everything that was sent comes, then the end; every send is done. */
export async function finish(model: Model, real: Real): Promise<void> {
  for (const side of [0, 1] as const) {
    if (!model.ends[side].closed) await receiveRest(model, real, side)
  }
  for (const side of [0, 1] as const) {
    if (!model.ends[side].closed) await new Close(side).run(model, real)
  }
  for (const { outcome, allowed } of real.sends) {
    const code = await soon(outcome, 'a send or close()')
    ok(allowed.has(code), `a send gave ${code}, not ${[...allowed].join(' or ')}`)
  }
  for (const connection of real.connections) await soon(connection.close(), 'close()')
}

async function receiveRest(model: Model, { connections }: Real, side: Side): Promise<void> {
  const { incoming } = model.ends[side]
  while (incoming.hasFrame) {
    const receiving = soon(connections[side].recvMessage(), 'a receive of what was sent')
    if (incoming.writer !== 'cut') {
      assertWhole(await receiving, incoming.takeFrame())
      continue
    }
    // Whole messages as far as they got, then the end.
    const message = await receiving.catch((error: NodeJS.ErrnoException) => error)
    if (!(message instanceof Error)) assertWhole(message, incoming.takeFrame())
    else return ok(/^(ERR_EOF|ERR_MESSAGE_TRUNCATED|ECONNRESET)$/.test(String(message.code)), String(message.code))
  }
}
