// The examples, each of which waits for something real.
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { Program } from './support/program.ts'

const linux = process.platform === 'linux'

const examples: Record<string, readonly string[]> = {
  tty: ['a tty', 'typed: hello'],
  ...(linux && {
    inotify: ['made: first', 'made: second'],
    pidfd: ['ready while it runs: 0', 'ended: cat'],
    timerfd: ['three ticks'],
  }),
  sockets: ['UDP: a datagram', 'net.Socket: a stream'],
}

for (const [name, lines] of Object.entries(examples)) {
  test(`examples/watch/${name}.mjs`, async (t) => {
    const path = fileURLToPath(new URL(`../examples/watch/${name}.mjs`, import.meta.url))
    t.deepEqual(await new Program(t, process.execPath, [path]).finish(), lines)
  })
}
