// Defects of ours in owning descriptors: each test failed before its correction.
import { closeSync } from 'node:fs'
import { inspect } from 'node:util'
import test from 'ava'
import { OwnedFd } from '../../index.ts'
import { canInject, injected } from '../support/faults.ts'
import { report } from '../support/program.ts'

if (canInject) {
  // A descriptor was closed when adopting it failed after it had been taken from its owner.
  test('a descriptor that cannot be adopted stays open, and with its owner', async (t) => {
    const environment = injected(t)
    const open = { open: true, owned: true }
    t.deepEqual(await report(t, 'regressions/fails-after-adoption.ts', [], { environment }), {
      listening: [1, 2].map(() => ({ code: 'EPERM', ...open })),
      device: [1, 2].map(() => ({ code: 'EBADF', ...open })),
    })
  })
}

// The primary was asked to listen on its own descriptor of that number, and ours stayed open.
test('toServer works in a worker of a cluster', async (t) => {
  t.deepEqual(await report(t, 'regressions/cluster-server.ts'), { client: 'served', open: false })
})

// It threw EBADF, out of whatever printed the object.
test('a descriptor that somebody else closed can be inspected', (t) => {
  const owned = OwnedFd.dup(0)
  const { fd } = owned
  closeSync(fd)
  try {
    const shown = inspect(owned)
    t.true(shown.startsWith(`OwnedFd { fd: ${fd}`), shown)
  } finally {
    owned.take()
  }
})
