// program.ts <subject>: runs random commands over connections or listeners and prints what went wrong, with how to run the
// same again, as a line of JSON. FDWIRE_MODEL_SECONDS=600 goes on for so long with random seeds; FDWIRE_MODEL_SEED,
// FDWIRE_MODEL_PATH and FDWIRE_MODEL_REPLAY repeat one run.
import * as fc from 'fast-check'
import type { Parameters } from 'fast-check'
import { fdCount } from '../support/resources.ts'
import { turns } from '../support/until.ts'
import { connections } from './connections.ts'
import { listeners } from './listeners.ts'
import type { Subject } from './subject.ts'

/** What nobody waits for. */
const events: string[] = []
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error: Error) => events.push(`${event}: ${error.stack}`))
}

/** Until the other ends of what was closed are, too. */
const TURNS = 500

const SEED = 20_240_229

const { FDWIRE_MODEL_SECONDS, FDWIRE_MODEL_SEED, FDWIRE_MODEL_PATH, FDWIRE_MODEL_REPLAY } = process.env

function parameters(runs: number): Parameters<unknown> {
  if (FDWIRE_MODEL_SECONDS !== undefined) {
    return { numRuns: 1e9, interruptAfterTimeLimit: Number(FDWIRE_MODEL_SECONDS) * 1000, endOnFailure: false }
  }
  const path = FDWIRE_MODEL_PATH === undefined ? {} : { path: FDWIRE_MODEL_PATH }
  return { numRuns: runs, seed: Number(FDWIRE_MODEL_SEED ?? SEED), ...path }
}

async function check<M extends object, R>({ runs, commands, run, warmUp }: Subject<M, R>): Promise<void> {
  await run(warmUp) // opens what stays open for the life of the process
  await turns(TURNS)
  const before = fdCount()
  const property = fc.asyncProperty(
    fc.commands([...commands], {
      maxCommands: 40,
      ...(FDWIRE_MODEL_REPLAY === undefined ? {} : { replayPath: FDWIRE_MODEL_REPLAY }),
    }),
    async (steps) => {
      await run(steps)
      for (let turn = 0; turn < TURNS && fdCount() !== before; turn++) await turns(1)
      if (fdCount() !== before) throw new Error(`${fdCount() - before} descriptors more than before`)
      if (events.length > 0) throw new Error(events.splice(0).join('\n'))
    },
  )
  const details = await fc.check(property, parameters(runs))
  const failure = details.failed
    ? `${fc.defaultReportMessage(details as never)}\n${(details.errorInstance as Error | null)?.stack}`
    : undefined
  console.log(JSON.stringify({ runs: details.numRuns, seed: details.seed, failure }))
}

process.on('warning', (warning: Error & { code?: string }) => {
  if (warning.code !== 'FDWIRE_FDS_DISCARDED') throw warning
})
function fail(error: Error): void {
  console.log(JSON.stringify({ runs: 0, seed: SEED, failure: error.stack }))
}

if (process.argv[2] === 'connections') for (const subject of connections) await check(subject).catch(fail)
else for (const subject of listeners) await check(subject).catch(fail)
