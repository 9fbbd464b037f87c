// A defect of ours in workers: each test failed before its correction.
import test from 'ava'
import { startFixture } from '../support/program.ts'

// A call went on in its system call until the descriptor was ready, whatever became of the worker.
test('a Sync call without a timeout ends with its worker', async (t) => {
  const lines = await startFixture(t, 'regressions/blocked-workers.ts', ['terminate']).finish()
  t.deepEqual(lines, [
    'recvBytesSync',
    'recvBytesSync in a large message',
    'recvHandleSync',
    'pollSync',
    'sendBytesSync',
    'closeSync',
    'sendHandleSync',
    'acceptSync',
    'connectSync',
    'waitSync',
    'selectSync of a Selector',
    'selectSync',
    'pollSync of a Poll',
    ...(process.platform === 'linux' ? ['pollSync of an Epoll'] : []),
  ])
})

test('a Sync call without a timeout in a worker lets the process exit', async (t) => {
  const { code, stderr } = await startFixture(t, 'regressions/blocked-workers.ts', ['exit']).outcome()
  t.is(code, 7, stderr)
})
