import test from 'ava'
import { Program, fixture, startFixture } from './support/program.ts'
import { runtimes } from './support/runtimes.ts'

test('a little of everything works on Node', async (t) => {
  const lines = await startFixture(t, 'runtimes.ts').finish()
  t.is(lines.at(-1), 'nothing is left to do')
})

for (const { name, command, args } of runtimes) {
  if (command === undefined) {
    console.error(
      `NOT TESTED on ${name}, which is not here: npm ci installs it, or FDWIRE_${name.toUpperCase()} names it`,
    )
    test.skip(`a little of everything works on ${name}`, () => {})
    continue
  }
  test(`a little of everything works on ${name}`, async (t) => {
    const lines = await new Program(t, command, [...args, fixture('runtimes.ts')]).finish()
    t.is(lines.at(-1), 'nothing is left to do')
  })
}
