// Defects of ours in sending: each test failed before its correction.
import test from 'ava'
import { pipe } from '../../index.ts'
import { pattern } from '../support/bytes.ts'
import { report, startFixture } from '../support/program.ts'
import { connected } from '../support/transports.ts'
import { codeOf, turns, watch } from '../support/until.ts'

const LARGE = 8 << 20
const timedOut = { code: 'ERR_TIMEOUT' }

for (const transport of ['unix', 'tcp', 'pipe'] as const) {
  // A Sync send that timed out was forgotten: closing cut it off.
  test(`${transport}: close sends what a Sync send left queued when its time was over`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    t.throws(() => sender.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
    t.true(sender.writableLength > 0)
    const closing = watch(sender.close())
    await turns()
    t.false(closing.settled)
    t.true((await receiver.recvBytes()).equals(pattern(LARGE)))
    await closing.promise
    t.is(await codeOf(receiver.recvBytes()), 'ERR_EOF')
  })

  // What the kernel had not taken yet was read from the caller's buffer later, whatever that held then.
  test(`${transport}: a Sync send that timed out leaves its buffer to the caller`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const data = pattern(LARGE)
    t.throws(() => sender.sendBytesSync(data, { timeout: 0 }), timedOut)
    data.fill(0)
    const sent = sender.sendBytes(Buffer.from('behind'))
    t.true((await receiver.recvBytes()).equals(pattern(LARGE)))
    t.is(String(await receiver.recvBytes()), 'behind')
    await sent
    t.is(sender.writableLength, 0)
  })
}

// It closed at once, and the peer had part of a message.
test('closeSync sends what a Sync send left queued when its time was over', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const reader = startFixture(t, 'regressions/slow-reader.ts', [], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await reader.line(), 'ready')
  t.throws(() => ours.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
  reader.tell('read')
  ours.closeSync()
  t.deepEqual(JSON.parse(await reader.line()), { length: LARGE, whole: true, next: 'ERR_EOF' })
})

// It closed without a word, and what was queued was lost.
test('closeSync says that it could not send what a Sync send left queued', async (t) => {
  const [ours] = await connected(t, 'unix')
  t.throws(() => ours.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
  t.throws(() => ours.closeSync({ timeout: 0 }), timedOut)
  t.true(ours.closed)
})

// It stopped the sends of the whole turn: those of other connections never left.
test('a stream whose write throws fails its own sends alone', async (t) => {
  const texts = ['one', 'two', 'three']
  t.deepEqual(await report(t, 'regressions/throwing-stream.ts'), {
    messages: ['thrown by the stream', 'thrown by the stream'],
    received: [texts, texts],
    waiting: [0, 0],
  })
})

// The events of one turn are told in one call, and what was thrown in it lost those that were still to be told.
test('what one connection throws in a turn does not keep others from receiving', async (t) => {
  t.is(await report<number>(t, 'regressions/throwing-event.ts'), 8)
})

for (const how of ['small messages', 'large messages', 'values', 'descriptors', 'messages with descriptors']) {
  // The documented way to send many ended the process: the failures of those before the last were unhandled.
  for (const who of ['last', 'flush', 'queued']) {
    test(`${how} to a peer that is gone end no process where the ${who} one of them is awaited`, async (t) => {
      const { code, lines } = await startFixture(t, 'regressions/batches.ts', [how, who]).outcome()
      t.deepEqual({ code, end: lines.at(-1) }, { code: 0, end: 'alive' })
      t.regex(String(lines[0]), /^(EPIPE|ECONNRESET)$/)
    })
  }

  test(`${how} to a peer that is gone are an unhandled rejection where nobody awaits any`, async (t) => {
    const { code, stderr } = await startFixture(t, 'regressions/batches.ts', [how, 'nobody']).outcome()
    t.is(code, 1)
    t.regex(stderr, /EPIPE|ECONNRESET/)
  })
}

// Each had memory of its own for what it sent in the turn, 32 KiB, and all of that was kept for later.
test('1,000 connections that sent in one turn keep no memory once they are closed', async (t) => {
  const kept = await report<number>(t, 'regressions/many-senders.ts', [], { nodeOptions: ['--expose-gc'] })
  t.true(kept < 8 << 20, `${kept} bytes`)
})

// One place held the system call that failed last.
test('connections that fail in one turn each name their own system call', async (t) => {
  const { alone, together } = await report<{ alone: object; together: object[] }>(t, 'regressions/system-calls.ts')
  t.deepEqual(together, [alone, alone])
})
