// A defect of ours in runtimes other than Node: the test failed before its correction.
import test from 'ava'
import { report } from '../support/program.ts'

// It made a socket that never reads, as Bun's own `new net.Socket({ fd })` does.
test('toSocket on Bun is an error that says so, and leaves the descriptor where it is', async (t) => {
  t.deepEqual(await report(t, 'regressions/socket-on-bun.ts'), {
    code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    open: true,
  })
})
