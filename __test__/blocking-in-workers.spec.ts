import test from 'ava'
import { startFixture } from './support/program.ts'

test('a worker that blocks in a Sync call can be terminated', async (t) => {
  const { code, lines, stderr } = await startFixture(t, 'blocking-workers.ts', ['terminate']).outcome()
  t.is(code, 7, stderr)
  t.deepEqual(
    lines.filter((line) => !line.endsWith(': ended with 1')),
    [],
  )
  t.true(lines.length > 10)
})

test('process.exit() does not wait for workers that block in Sync calls', async (t) => {
  const { code, lines, stderr } = await startFixture(t, 'blocking-workers.ts', ['exit']).outcome()
  t.is(code, 7, stderr)
  t.deepEqual(lines, [])
})

test('what nobody catches ends a process with workers that block in Sync calls', async (t) => {
  const { code, lines, stderr } = await startFixture(t, 'blocking-workers.ts', ['throw']).outcome()
  t.is(code, 1)
  t.deepEqual(lines, [])
  t.regex(stderr, /on purpose/)
})
