import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { type PeerAddress, connect } from '../index.ts'
import { Program, fixture, startFixture } from './support/program.ts'
import { pythons } from './support/python.ts'
import { temporaryAddress } from './support/resources.ts'
import { rejection, until } from './support/until.ts'

interface Report {
  readonly served: number
  readonly failures: readonly string[]
}

const example = fileURLToPath(new URL('../examples/server/server.mjs', import.meta.url))

/** The server of the examples, in a process of its own. */
class Server {
  readonly program: Program
  readonly address: PeerAddress
  readonly #before: number

  private constructor(program: Program, address: PeerAddress) {
    this.program = program
    this.address = address
    this.#before = this.descriptors
  }

  static async start(t: ExecutionContext, address: PeerAddress, openFiles?: number): Promise<Server> {
    const limited = openFiles === undefined ? {} : { openFiles }
    const program = new Program(t, process.execPath, [example, JSON.stringify(address)], limited)
    const listening = /^listening on (.*)$/.exec(await program.line())?.[1]
    return new Server(program, JSON.parse(String(listening)))
  }

  get target(): string {
    return JSON.stringify(this.address)
  }

  /** How many it has open; not to be had but on Linux. */
  get descriptors(): number {
    return process.platform === 'linux' ? readdirSync(`/proc/${this.program.process.pid}/fd`).length : 0
  }

  /** The most memory it had, in MiB; not to be had but on Linux. */
  get #peak(): number {
    if (process.platform !== 'linux') return 0
    const status = readFileSync(`/proc/${this.program.process.pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  }

  /** Nothing of all who came is left, nor did they cost much. */
  async assertEmpty(t: ExecutionContext): Promise<void> {
    t.log(`at most ${Math.round(this.#peak)} MiB`)
    t.true(this.#peak < 256)
    await until(() => this.descriptors === this.#before)
    t.is(this.descriptors, this.#before)
  }

  /** SIGTERM ends it although clients are connected, and it says what became of the others. */
  async stop(t: ExecutionContext): Promise<string[]> {
    const client = await connect(this.address as string, { authKey: 'secret' })
    await client.send({ question: 21 })
    t.deepEqual(await client.recv(), { answer: 42 })
    const answer = rejection(client.recv())
    this.program.process.kill('SIGTERM')
    const { code, lines, stderr } = await this.program.outcome()
    t.is(code, 0, stderr)
    t.deepEqual(lines, ['ended'])
    t.is(((await answer) as NodeJS.ErrnoException).code, 'ERR_EOF')
    client.destroy()
    if (typeof this.address === 'string') t.false(existsSync(this.address))
    return stderr.split('\n').filter((line) => line !== '')
  }
}

/** The codes of those who were not let in, and of what went wrong with others, each once. */
function codesOf(said: readonly string[]): { notLetIn: string[]; wentWrong: string[] } {
  const lines = said.map((line) => /^(not let in|went wrong): (\w+): /.exec(line) ?? [line, 'went wrong', line])
  const of = (what: string): string[] => {
    return [...new Set(lines.filter(([, is]) => is === what).map(([, , code]) => String(code)))].toSorted()
  }
  return { notLetIn: of('not let in').filter((code) => !LEAVING.has(code)), wentWrong: of('went wrong') }
}

/** How clients leave in their handshake, by the moment. */
const LEAVING = new Set(['ERR_EOF', 'ECONNRESET', 'EPIPE'])

async function reportOf(program: Program): Promise<Report> {
  return JSON.parse((await program.finish()).at(-1) as string)
}

/** How many of `total` are good: two of three. */
const goodOf = (total: number): number => total - Math.floor(total / 3)

test.serial('a server of 20 lines under 10,000 clients, a third of them rude', async (t) => {
  t.timeout(300_000)
  const server = await Server.start(t, temporaryAddress(t))
  const killed = Array.from({ length: 4 }, () => startFixture(t, 'storm-killed.ts', [server.target, '50']))
  const storms = [2400, 2400, 2400, 2600].map((total) => {
    return { total, program: startFixture(t, 'storm.ts', [server.target, String(total), '40']) }
  })
  for (const program of killed) {
    await program.line()
    program.process.kill('SIGKILL')
  }
  for (const { total, program } of storms) {
    t.deepEqual(await reportOf(program), { served: goodOf(total), failures: [] })
  }
  await server.assertEmpty(t)
  t.deepEqual(codesOf(await server.stop(t)), {
    notLetIn: ['ERR_AUTHENTICATION', 'ERR_MESSAGE_TOO_LARGE', 'ERR_TIMEOUT'],
    wentWrong: ['ERR_MESSAGE_TOO_LARGE', 'ERR_MESSAGE_TRUNCATED'],
  })
})

test.serial('the same over TCP, with 3,000 clients', async (t) => {
  t.timeout(300_000)
  const server = await Server.start(t, { host: '127.0.0.1', port: 0 })
  const report = await reportOf(startFixture(t, 'storm.ts', [server.target, '3000', '40']))
  t.deepEqual(report, { served: goodOf(3000), failures: [] })
  await server.assertEmpty(t)
  const { wentWrong } = codesOf(await server.stop(t))
  t.deepEqual(wentWrong, ['ERR_MESSAGE_TOO_LARGE', 'ERR_MESSAGE_TRUNCATED'])
})

test.serial('the same with a descriptor table that is too small', async (t) => {
  t.timeout(300_000)
  const server = await Server.start(t, temporaryAddress(t), 80)
  const report = await reportOf(startFixture(t, 'storm.ts', [server.target, '600', '100']))
  t.deepEqual(report, { served: goodOf(600), failures: [] })
  await server.assertEmpty(t)
  const said = await server.stop(t)
  t.deepEqual(codesOf(said).wentWrong, ['EMFILE', 'ERR_MESSAGE_TOO_LARGE', 'ERR_MESSAGE_TRUNCATED'])
})

test.serial('SIGTERM ends it with 0 while requests go on and on', async (t) => {
  for (const address of [temporaryAddress(t), { host: '127.0.0.1', port: 0 }]) {
    const server = await Server.start(t, address)
    const endless = startFixture(t, 'storm-killed.ts', [server.target, '20'])
    await endless.line()
    server.program.process.kill('SIGTERM')
    const { code, lines, stderr } = await server.program.outcome()
    t.is(code, 0, stderr)
    t.deepEqual(lines, ['ended'])
    if (typeof address === 'string') t.false(existsSync(address))
    await endless.outcome()
  }
})

const newest = pythons.at(-1)?.version

for (const { version, path } of pythons) {
  const total = version === newest ? 10_000 : 240
  test.serial(`the same with ${total} clients in Python ${version}`, async (t) => {
    t.timeout(300_000)
    const server = await Server.start(t, temporaryAddress(t))
    const args = [fixture('storm.py'), String(server.address), String(total), '20']
    const report = await reportOf(new Program(t, path, args))
    t.deepEqual(report, { served: goodOf(total), failures: [] })
    await server.assertEmpty(t)
    const { wentWrong } = codesOf(await server.stop(t))
    t.deepEqual(wentWrong, ['ERR_DECODE', 'ERR_MESSAGE_TOO_LARGE', 'ERR_MESSAGE_TRUNCATED'])
  })
}

if (pythons.length === 0) console.error('!!! NOT TESTED: the storm with Python clients, as there is no Python')
