import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Listener, type WaitOptions } from '../../index.ts'
import { fdCount } from '../support/resources.ts'
import { turns, watch } from '../support/until.ts'
import { actions, type Cell, completed } from './actions.ts'
import { idle } from './idle.ts'
import type { Transport } from './peer.ts'
import { abandonedWritten } from './pendings/receiving.ts'
import { collect, Stage } from './stage.ts'
import type { Closable } from './closable.ts'
import type { Ending, Expected, Outcome, Pending, Started } from './table.ts'

/** How long what is to time out may wait. */
const TIMEOUT = 5

/** `'ok'`, or the code of the error. */
async function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  return promise.then(
    () => 'ok',
    (error: NodeJS.ErrnoException) => error.code ?? String(error.stack ?? error),
  )
}

/** Everything that is wrong with one cell of the table. */
export async function runCell(
  pending: Pending,
  ending: Ending,
  transport: Transport,
  expected: Expected,
): Promise<string[]> {
  const before = fdCount()
  const failures: string[] = []
  const stage = new Stage(transport)
  const ignore = listen(stage)
  try {
    if (ending === 'worker terminated') await terminateWorker(stage, pending)
    else failures.push(...(await endHere(stage, pending, ending, expected)))
    await idle()
    for (const peer of stage.peers) if (peer.open) failures.push(...peer.verify(expected.cut !== true))
  } catch (error) {
    failures.push(`failed: ${(error as Error).stack}`)
  }
  for (const other of stage.others) await other.close()
  await stage.undo()
  await idle()
  if (abandonedWritten()) failures.push('a buffer was written to after it was given back')
  if (isCollected(ending)) await collect(() => fdCount() <= before)
  const left = fdCount() - before
  if (left !== 0) failures.push(`${left} descriptors more than before`)
  ignore()
  return [...failures, ...stage.events]
}

function isCollected(ending: Ending): boolean {
  return ending.endsWith('collected')
}

/** Warnings of what is collected unclosed, as some cells want it. */
const leaks = new Set<unknown>(['FDWIRE_CONNECTION_LEAK', 'FDWIRE_LISTENER_LEAK'])

/** What nobody waits for: a warning, a rejection, an exception. */
function listen({ events }: Stage): () => void {
  const note = (what: string) => (error: unknown) => {
    const { code, stack } = error as NodeJS.ErrnoException
    if (!leaks.has(code)) events.push(`${what}: ${stack}`)
  }
  const listeners = ['warning', 'unhandledRejection', 'uncaughtException'].map((event) => ({ event, to: note(event) }))
  for (const { event, to } of listeners) process.on(event, to)
  return () => {
    for (const { event, to } of listeners) process.off(event, to)
  }
}

async function endHere(stage: Stage, pending: Pending, ending: Ending, expected: Expected): Promise<string[]> {
  const before = fdCount()
  const controller = new AbortController()
  const limits = limitsFor(ending, controller)
  const started = await begin(stage, pending, limits)
  const cell: Cell = { stage, pending, started, controller, expected }
  try {
    const failures = limits.timeout === undefined ? await settledEarly(started) : []
    if (ending !== 'peer reset') stage.readGreetings()
    const call = await outcomeOf(Promise.resolve(cell).then(actions[ending as keyof typeof actions]))
    if (!(expected.call ?? ['ok']).includes(call)) failures.push(`${ending} gave ${call}`)
    if (expected.completes === true) await completed(cell)
    if (expected.stays === true) {
      failures.push(...(await settledEarly(started)))
      started.giveUp?.()
    }
    failures.push(...(await wrongOutcomes(stage, started, expected)))
    if (expected.usable === true) failures.push(...(await wrongAgain(cell)))
    if (isCollected(ending)) {
      started.promises = {} // an error's stack may keep what was on it
      pending.withdraw?.(stage)
      // What is still queued leaves first.
      await collect(() => {
        stage.read()
        return fdCount() <= before + stage.held + (started.kept?.length ?? 0)
      })
    }
    // An open listener keeps the process alive; other things do not by being open.
    if (!openOf(started).some((object) => object instanceof Listener)) await idle()
    return failures
  } finally {
    for (const object of openOf(started)) object[Symbol.dispose]()
  }
}

function openOf({ target, others, kept = [] }: Started): Closable[] {
  return [...(target === undefined ? [] : [target]), ...others, ...kept].filter((object) => !object.closed)
}

function limitsFor(ending: Ending, { signal }: AbortController): WaitOptions {
  if (ending.startsWith('aborted')) return { signal }
  if (ending === 'timed out at once') return { timeout: 0 }
  return ending.startsWith('timed out') ? { timeout: TIMEOUT } : {}
}

async function begin(stage: Stage, pending: Pending, limits: WaitOptions): Promise<Started> {
  const started = await pending.start(pending.prepare(stage), limits)
  stage.address = started.address
  for (const promise of Object.values(started.promises)) promise.catch(() => {}) // looked at later
  await turns(2)
  await pending.join?.(stage, started)
  await turns(2)
  return started
}

/** What has settled that should be pending. */
async function settledEarly({ promises }: Started): Promise<string[]> {
  const all = Object.entries(promises).map(([name, promise]) => ({ name, ...watchedOf(promise) }))
  await turns(3)
  const early = all.filter(({ watched }) => watched.settled)
  return Promise.all(early.map(async ({ name, promise }) => `${name} was over early: ${await outcomeOf(promise)}`))
}

function watchedOf(promise: Promise<unknown>) {
  return { promise, watched: watch(promise) }
}

async function wrongOutcomes(stage: Stage, { promises }: Started, { outcomes }: Expected): Promise<string[]> {
  const got = new Map<string, Outcome>()
  const settling = Object.entries(promises).map(async ([name, promise]) => got.set(name, await outcomeOf(promise)))
  await stage.settled(Promise.all(settling))
  return Object.keys(promises).flatMap((name) => {
    const allowed = (outcomes as Readonly<Record<string, readonly Outcome[]>>)[name] ?? (outcomes as Outcome[])
    const outcome = got.get(name)
    if (outcome === undefined) return [`${name} never settled`]
    return allowed.includes(outcome) ? [] : [`${name} gave ${outcome}, not ${allowed.join(' or ')}`]
  })
}

async function wrongAgain({ stage, pending, started }: Cell): Promise<string[]> {
  let outcome: Outcome | undefined
  const again = outcomeOf(Promise.resolve(pending.again?.(stage, started)))
  await stage.settled(again.then((value) => (outcome = value)))
  return outcome === 'ok' ? [] : [`using it again afterwards gave ${outcome ?? 'nothing at all'}`]
}

async function terminateWorker(stage: Stage, pending: Pending): Promise<void> {
  const workerData = { title: pending.title, given: pending.prepare(stage) }
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData })
  const [started] = (await once(worker, 'message')) as [Pick<Started, 'address'>]
  stage.address = started.address
  await pending.join?.(stage, started)
  stage.readGreetings()
  const exited = once(worker, 'exit')
  await worker.terminate()
  await exited
}
