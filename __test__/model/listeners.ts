import { ok, strictEqual } from 'node:assert'
import * as fc from 'fast-check'
import { asyncModelRun, type AsyncCommand } from 'fast-check'
import { type Connection, connect, Listener } from '../../index.ts'
import { type Scope, withScope } from '../support/resources.ts'
import { freshAddress, type Listening } from '../support/transports.ts'
import { turns } from '../support/until.ts'
import { outcomeOf, soon } from './pair.ts'
import type { Subject } from './subject.ts'

const KEY = 'secret'
/** Accepts that may wait beside each other. */
const MANY = 4

/** How a client behaves. */
const manners = ['right', 'wrong key', 'leaves'] as const
type Manners = (typeof manners)[number]

/** What the model knows: how many clients are to be accepted still, and whether the listener was closed. */
class Model {
  /** Those who were right and are to be accepted, by their numbers; without a key also those who left. */
  readonly waiting: Set<number> = new Set()
  /** Those with another key, who are refused once somebody accepts. */
  refused = 0
  closed = false
  clients = 0
}

interface Client {
  readonly number: number
  readonly manners: Manners
  readonly connecting: Promise<string>
  connection: Connection | undefined
}

interface Accept {
  readonly outcome: Promise<Connection | NodeJS.ErrnoException>
  readonly abort: () => void
}

interface Real {
  readonly listener: Listener
  readonly authenticates: boolean
  readonly clients: Client[]
  readonly accepts: Accept[]
  readonly errors: string[]
}

type Command = AsyncCommand<Model, Real>

async function dial({ listener, authenticates }: Real, client: Client): Promise<void> {
  const key = client.manners === 'wrong key' ? 'another' : KEY
  const connection = await connect(listener.address, authenticates ? { authKey: key } : {})
  client.connection = connection
  await connection.send(client.number)
  if (client.manners === 'leaves') connection.destroy()
}

/** A client comes. */
class Come implements Command {
  readonly manners: Manners

  constructor(manner: Manners) {
    this.manners = manner
  }

  check(model: Readonly<Model>): boolean {
    return !model.closed && model.clients < 20
  }

  async run(model: Model, real: Real): Promise<void> {
    const number = model.clients++
    const client: Client = { number, manners: this.manners, connecting: start(), connection: undefined }
    // The listener must not see it before it is among the clients.
    async function start(): Promise<string> {
      await turns(1)
      return outcomeOf(dial(real, client))
    }
    real.clients.push(client)
    if (real.authenticates && this.manners === 'wrong key') model.refused++
    else model.waiting.add(number)
    await turns(3)
    await settle(model, real)
  }

  toString(): string {
    return `Come(${this.manners})`
  }
}

/** The client of an accepted connection, by the number that it sends. */
async function identify(model: Model, connection: Connection): Promise<void> {
  const number = (await soon(connection.recv(), 'the number of a client')) as number
  ok(model.waiting.delete(number), `client ${number} was to be accepted`)
  connection.destroy()
}

/** The accepts that wait take the clients that came, in the order in which they wait. */
async function settle(model: Model, real: Real): Promise<void> {
  while (real.accepts.length > 0 && model.waiting.size > 0) {
    const { outcome } = real.accepts.shift()!
    const connection = await soon(outcome, 'accept()')
    if (connection instanceof Error) throw connection
    await identify(model, connection)
  }
}

/** Waits for a client. */
class StartAccept implements Command {
  check(model: Readonly<Model>): boolean {
    return !model.closed
  }

  async run(model: Model, real: Real): Promise<void> {
    if (real.accepts.length >= MANY) return
    const controller = new AbortController()
    const accepting = real.listener.accept({ signal: controller.signal })
    const outcome = accepting.catch((error: NodeJS.ErrnoException) => error)
    real.accepts.push({ outcome, abort: () => controller.abort() })
    await settle(model, real)
  }

  toString(): string {
    return 'StartAccept'
  }
}

/** Aborts one of those who wait; no client is lost. */
class AbortAccept implements Command {
  readonly index: number

  constructor(index: number) {
    this.index = index
  }

  check(model: Readonly<Model>): boolean {
    return !model.closed
  }

  async run(_model: Model, real: Real): Promise<void> {
    const [accept] = real.accepts.splice(this.index, 1)
    if (accept === undefined) return
    accept.abort()
    strictEqual(((await soon(accept.outcome, 'an aborted accept()')) as NodeJS.ErrnoException).code, 'ABORT_ERR')
  }

  toString(): string {
    return `AbortAccept(${this.index})`
  }
}

/** Waits for no time, or hardly any: what is not there in time comes to the next. */
class AcceptTimesOut implements Command {
  readonly timeout: number

  constructor(timeout: number) {
    this.timeout = timeout
  }

  check(model: Readonly<Model>): boolean {
    return !model.closed
  }

  async run(model: Model, real: Real): Promise<void> {
    if (real.accepts.length > 0) return
    try {
      await identify(model, await soon(real.listener.accept({ timeout: this.timeout }), 'accept()'))
    } catch (error) {
      strictEqual((error as NodeJS.ErrnoException).code, 'ERR_TIMEOUT')
    }
  }

  toString(): string {
    return `AcceptTimesOut(${this.timeout} ms)`
  }
}

/** Stops listening: those who wait are told, here and there. */
class Close implements Command {
  check(model: Readonly<Model>): boolean {
    return !model.closed
  }

  async run(model: Model, real: Real): Promise<void> {
    const errors = real.errors.length
    model.closed = true
    await soon(real.listener.close(), 'close()')
    strictEqual(real.listener.fd, -1)
    strictEqual(real.listener.close(), real.listener.close())
    for (const { outcome } of real.accepts.splice(0)) {
      strictEqual(((await soon(outcome, 'accept()')) as NodeJS.ErrnoException).code, 'ERR_CLOSED')
    }
    strictEqual(await outcomeOf(real.listener.accept()), 'ERR_CLOSED')
    strictEqual(real.errors.length, errors, 'nobody is told of handshakes after close()')
  }

  toString(): string {
    return 'Close'
  }
}

const LEFT = /^(ok|ERR_EOF|ERR_MESSAGE_TRUNCATED|ECONNRESET|EPIPE|ERR_CLOSED|ECONNREFUSED|ENOENT)$/

/** After the commands: everybody who was right is accepted, everybody else was told. */
async function finish(model: Model, real: Real): Promise<void> {
  while (!model.closed && model.waiting.size > 0) {
    await identify(model, await soon(real.listener.accept(), 'accept() of who is still there'))
  }
  // Those with a wrong key are refused as soon as somebody waits.
  if (!model.closed && real.accepts.length === 0 && model.refused > 0) await new StartAccept().run(model, real)
  for (const { connecting, manners: manner } of real.clients) {
    const refused = real.authenticates && manner === 'wrong key'
    const outcome = await soon(connecting, 'connect()')
    if (model.closed) ok(LEFT.test(outcome) || (refused && outcome === 'ERR_AUTHENTICATION'), outcome)
    else strictEqual(outcome, refused ? 'ERR_AUTHENTICATION' : 'ok')
  }
  if (!model.closed) {
    while (real.errors.length < model.refused) await soon(turns(1), 'onHandshakeError')
    strictEqual(real.errors.join(), Array(model.refused).fill('ERR_AUTHENTICATION').join())
    await new Close().run(model, real)
  }
  for (const { connection } of real.clients) connection?.destroy()
}

const commands: fc.Arbitrary<Command>[] = [
  fc.constantFrom(...manners).map((manner) => new Come(manner)),
  fc.constant(new Come('right')),
  fc.constant(new StartAccept()),
  fc.constant(new StartAccept()),
  fc.integer({ min: 0, max: MANY - 1 }).map((index) => new AbortAccept(index)),
  fc.constantFrom(0, 1, 5).map((timeout) => new AcceptTimesOut(timeout)),
  fc.integer({ min: 0, max: 9 }).map((which) => (which === 0 ? new Close() : new StartAccept())),
]

function subject(transport: Listening, authenticates: boolean, runs: number): Subject<Model, Real> {
  const begin = async (scope: Scope): Promise<Real> => {
    const errors: string[] = []
    const listener = await Listener.listen(freshAddress(scope, transport), {
      ...(authenticates ? { authKey: KEY } : {}),
      onHandshakeError: (error) => errors.push((error as NodeJS.ErrnoException).code ?? String(error)),
    })
    scope.teardown(() => listener.close())
    return { listener, authenticates, clients: [], accepts: [], errors }
  }
  return {
    runs,
    warmUp: [new Come('right')],
    commands,
    run: async (steps) =>
      withScope(async (scope) => {
        const real = await begin(scope)
        const model = new Model()
        await asyncModelRun(() => ({ model, real }), steps)
        await finish(model, real)
      }),
  }
}

export const listeners: readonly Subject<Model, Real>[] = [
  subject('unix', false, 100),
  subject('unix', true, 100),
  subject('tcp', false, 60),
  subject('tcp', true, 60),
]
