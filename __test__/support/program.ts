import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Scope } from './resources.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))

export function fixture(name: string): string {
  return `${fixtures}/${name}`
}

export interface ProgramOptions {
  /** Descriptors the program gets as its numbers 3, 4 and so on. */
  readonly inherit?: readonly number[]
  /** Given as its descriptor 0 in place of a pipe. */
  readonly stdin?: number
  /** RLIMIT_NOFILE, soft and hard. */
  readonly openFiles?: number
  /** Options for node itself, such as `--expose-gc`. */
  readonly nodeOptions?: readonly string[]
  /** Environment variables beside those there are. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The lines nobody has taken with `line()`. */
  readonly lines: readonly string[]
  readonly stderr: string
}

/** A run that gives up ends its test processes by SIGTERM, before any teardown: their programs go with them. */
const running = new Set<ChildProcess>()
process.once('SIGTERM', () => {
  for (const child of running) child.kill('SIGKILL')
  process.kill(process.pid, 'SIGTERM')
})

/** A child process that is told things and answers, both in lines. */
export class Program {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #closed: Promise<unknown[]>
  #stderr = ''

  constructor(scope: Scope, command: string, args: readonly string[], options: ProgramOptions = {}) {
    const { inherit = [], stdin = 'pipe', openFiles, environment } = options
    const limited = ['-c', 'ulimit -n "$1"; shift; exec "$@"', 'sh', String(openFiles), command, ...args]
    this.process = spawn(openFiles === undefined ? command : 'sh', openFiles === undefined ? args : limited, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: [stdin, 'pipe', 'pipe', ...inherit],
    })
    const { stdin: input, stdout, stderr } = this.process
    input?.on('error', () => {}) // it ended; its outcome tells
    if (stdout === null || stderr === null) throw new Error(`${command} could not be started`)
    this.#closed = once(this.process, 'close')
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    running.add(this.process)
    void this.#closed.then(() => running.delete(this.process))
    scope.teardown(async () => {
      this.process.kill('SIGKILL')
      await this.#closed
    })
  }

  get pid(): number {
    const { pid } = this.process
    if (pid === undefined) throw new Error('The program has not started')
    return pid
  }

  tell(line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  /** The next line; an error with what it wrote to stderr when the program ended instead. */
  async line(): Promise<string> {
    const { done, value } = await this.#lines.next()
    if (done !== true) return value
    const { code, signal, stderr } = await this.outcome()
    throw new Error(`The program ended (code ${code}, signal ${signal}) before its next line\n${stderr}`)
  }

  /** Ends its input and waits for its end. */
  async outcome(): Promise<Outcome> {
    this.process.stdin?.end()
    const lines: string[] = []
    for (let next = await this.#lines.next(); next.done !== true; next = await this.#lines.next())
      lines.push(next.value)
    await this.#closed
    return { code: this.process.exitCode, signal: this.process.signalCode, lines, stderr: this.#stderr }
  }

  /** Its remaining lines, once it has ended well. */
  async finish(): Promise<readonly string[]> {
    const { code, signal, lines, stderr } = await this.outcome()
    if (code !== 0)
      throw new Error(`The program failed (code ${code}, signal ${signal})\n${lines.join('\n')}\n${stderr}`)
    return lines
  }
}

/** Starts `__test__/fixtures/<name>` under this Node. */
export function startFixture(
  scope: Scope,
  name: string,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Program {
  const node = [...(options.nodeOptions ?? []), '--import', '@oxc-node/core/register', fixture(name), ...args]
  return new Program(scope, process.execPath, node, options)
}

/** Runs a fixture to its end; the result is the JSON of its last line. */
export async function report<T>(
  scope: Scope,
  name: string,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Promise<T> {
  const lines = await startFixture(scope, name, args, options).finish()
  const last = lines.at(-1)
  if (last === undefined) throw new Error(`${name} reported nothing`)
  return JSON.parse(last) as T
}

/** The inodes of all descriptors that a child gets without being given any. */
export async function inheritedInodes(scope: Scope): Promise<readonly string[]> {
  return report<string[]>(scope, 'inodes.ts')
}
