// Defects of ours that were found by reading: each test failed before its correction.
import test from 'ava'
import { pipe } from '../../index.ts'
import { native } from '../../lib/native/binding.ts'
import { pattern } from '../support/bytes.ts'
import { canInject, injected } from '../support/faults.ts'
import { startFixture } from '../support/program.ts'

interface Growable extends SharedArrayBuffer {
  grow(size: number): void
}
type MakeGrowable = new (size: number, options: { readonly maxByteLength: number }) => Growable
/** What TypeScript's library does not know of yet. */
const Growable = SharedArrayBuffer as unknown as MakeGrowable

const SIZE = 4_000_000

// It was taken for memory that is gone: the send failed with EFAULT, and the connection with it.
test('a send out of memory that grows meanwhile goes out as it was given', async (t) => {
  const [sender, receiver] = pipe()
  t.teardown(() => sender.close())
  t.teardown(() => receiver.close())
  const memory = new Growable(SIZE, { maxByteLength: 2 * SIZE })
  const view = new Uint8Array(memory)
  view.set(pattern(SIZE))
  const sent = sender.sendBytes(view)
  await new Promise(setImmediate)
  memory.grow(2 * SIZE)
  t.true(pattern(SIZE).equals(await receiver.recvBytes()))
  await sent
})

// Its length was counted modulo 4 GiB: a buffer of no bytes was offered again and again, and the receive never returned.
test('memory for a message of 4 GiB does not come from the pool', (t) => {
  t.is(native.poolTake(2 ** 32), null)
  t.is(native.poolTake(2 ** 32 + 200_000), null)
})

if (canInject) {
  // The error was kept for somebody who waits, though nobody did: each send that followed failed with it.
  test('descriptors that the system refuses to pass fail their send, and none that follows', async (t) => {
    const program = startFixture(t, 'regressions/failing-records.ts', [], { environment: injected(t) })
    t.deepEqual(await program.finish(), ['ENOBUFS', 'two'])
  })
}
