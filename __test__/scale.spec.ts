import test from 'ava'
import { report } from './support/program.ts'

interface Growth {
  readonly connections: number
  readonly bytesEach: number
  readonly answered: number
}

test('10,000 open connections are idle at no more than a few KiB each, all usable', async (t) => {
  const { connections, bytesEach, answered } = await report<Growth>(t, 'idle-connections.ts', ['10000'])
  t.is(answered, connections)
  t.true(connections >= 1000)
  if (connections < 10_000) t.log(`only ${connections}: the limit of open files allows no more`)
  t.true(bytesEach < 8192, `${bytesEach} bytes each: none may hold a read buffer`)
})
