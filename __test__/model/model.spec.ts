import test from 'ava'
import { Program } from '../support/program.ts'

interface Report {
  readonly runs: number
  readonly seed: number
  /** What failed, with the steps and how to run them again. */
  readonly failure?: string
}

for (const subject of ['connections', 'listeners']) {
  test(`${subject} do what a simple model of the wire does, whatever commands they get`, async (t) => {
    t.timeout(120_000 + 1000 * Number(process.env.FDWIRE_MODEL_SECONDS ?? 0))
    const args = ['--import', '@oxc-node/core/register', '__test__/model/program.ts', subject]
    const lines = await new Program(t, process.execPath, args).finish()
    t.true(lines.length > 0)
    for (const line of lines) {
      const { runs, seed, failure }: Report = JSON.parse(line)
      t.log(`${runs} runs, FDWIRE_MODEL_SEED=${seed}`)
      t.is(failure, undefined)
    }
  })
}
