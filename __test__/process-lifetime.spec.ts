import test from 'ava'
import { pipe } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { report, startFixture } from './support/program.ts'

// Each program reports `idle` when Node finds nothing that keeps it alive.

for (const what of [
  'a connection',
  'an unref listener',
  'an unref connection that receives',
  'an unref accept',
  'an unref receive with a timeout',
]) {
  test(`a process exits by itself with ${what}`, async (t) => {
    const [ours, theirs] = pipe()
    t.teardown(() => ours.destroy())
    const program = startFixture(t, 'stays-alive.ts', [what], { inherit: [theirs.fd] })
    t.deepEqual(await program.finish(), ['ready', 'idle'])
    theirs.destroy()
  })
}

test('a pending receive keeps the process alive until its message comes', async (t) => {
  const [ours, theirs] = pipe()
  const program = startFixture(t, 'stays-alive.ts', ['a connection that receives'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'ready')
  await ours.sendBytes(Buffer.from('wake up'))
  t.deepEqual(await program.finish(), ['received wake up', 'idle'])
  await ours.close()
})

test('a receive that is ref again keeps the process alive', async (t) => {
  const [ours, theirs] = pipe()
  const program = startFixture(t, 'stays-alive.ts', ['a ref connection that receives'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'ready')
  await ours.sendBytes(Buffer.from('wake up'))
  t.deepEqual(await program.finish(), ['received wake up', 'idle'])
  await ours.close()
})

test('a receive with a timeout does not keep the process alive longer than it takes', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'stays-alive.ts', ['a receive that times out'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.deepEqual(await program.finish(), ['ready', 'ERR_TIMEOUT', 'idle'])
})

test('a receive with a timeout of 0 is over although nothing else happens in the process', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'stays-alive.ts', ['a receive that does not wait'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.deepEqual(await program.finish(), ['ready', 'ERR_TIMEOUT', 'idle'])
})

test('queued sends keep the process alive until the peer has them', async (t) => {
  const [ours, theirs] = pipe()
  const program = startFixture(t, 'stays-alive.ts', ['a connection that sends'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'ready')
  for (let index = 0; index < 4; index++) t.true((await ours.recvBytes()).equals(pattern(4 << 20)))
  await t.throwsAsync(ours.recvBytes(), { code: 'ERR_EOF' })
  t.deepEqual(await program.finish(), ['sent', 'idle'])
  await ours.close()
})

for (const what of ['an open listener', 'an accept']) {
  test(`${what} keeps the process alive`, async (t) => {
    const [ours, theirs] = pipe()
    const program = startFixture(t, 'stays-alive.ts', [what], { inherit: [theirs.fd] })
    theirs.destroy()
    t.is(await program.line(), 'ready')
    t.is(await program.line(), 'alive', 'an unref timer got its turn, so the loop went on')
    await ours.close()
    t.deepEqual(await program.finish(), ['closed', 'idle'])
  })
}

test('pending operations keep their connection from the garbage collector', async (t) => {
  const outcomes = await report<string[]>(t, 'pending-and-forgotten.ts', [], { nodeOptions: ['--expose-gc'] })
  t.deepEqual(outcomes, ['received', 'true', 'sent', 'accepted'])
})

test('connections that nobody closes are closed with the garbage, and what they held', async (t) => {
  t.is(await report<number>(t, 'collected.ts', ['Connection'], { nodeOptions: ['--expose-gc'] }), 0)
})

test('process.exit in the middle of everything is the exit code and nothing more', async (t) => {
  const outcome = await startFixture(t, 'exits.ts', ['exit']).outcome()
  t.is(outcome.code, 7, outcome.stderr)
  t.is(outcome.stderr, '')
})

test('an error thrown by the user after a receive is an unhandled rejection with its own stack', async (t) => {
  const lines = await startFixture(t, 'exits.ts', ['throw']).finish()
  t.deepEqual(lines, ['unhandledRejection: thrown by the user, from userCode'])
})

test('an error nobody catches ends the process with its message', async (t) => {
  const outcome = await startFixture(t, 'exits.ts', ['nobody catches']).outcome()
  t.is(outcome.code, 1)
  t.regex(outcome.stderr, /Error: thrown by the user/)
  t.regex(outcome.stderr, /userCode/)
})
