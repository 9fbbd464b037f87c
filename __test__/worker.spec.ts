import test from 'ava'
import { report } from './support/program.ts'

interface Result {
  readonly ended: number
  readonly leaked: number
  readonly works: boolean
}

for (const [how, title, times] of [
  ['terminate', 'is terminated', 50],
  ['exit', 'exits', 50],
  ['throw', 'throws', 50],
  ['return', 'comes to its end', 10],
] as const) {
  test(`a worker that ${title} in the middle of using connections leaves the process healthy, ${times} times`, async (t) => {
    const result = await report<Result>(t, 'workers.ts', [how, String(times)])
    t.deepEqual(result, { ended: times, leaked: 0, works: true })
  })
}

test('a worker works with the package when the main thread has used it before, and at the same time', async (t) => {
  t.is(await report<string>(t, 'worker-beside-main.ts'), 'answered by the worker')
})

test('a connection is handed to a worker by the number of its descriptor', async (t) => {
  t.is(await report<string>(t, 'hand-to-worker.ts'), 'answered by the worker')
})
