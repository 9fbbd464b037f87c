// A buffer must stay as it is while it is sent or received into. Whoever transfers it away gets an error, and nobody else's
// memory is touched.
import { writeSync } from 'node:fs'
import test from 'ava'
import { pipe } from '../index.ts'
import { readiness } from '../lib/base/read-ahead.ts'
import { codeOf, until } from './support/until.ts'

const LARGE = 8 << 20
/** What a socket holds. */
const BEGUN = 100_000

function transfer(view: Uint8Array): void {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] })
}

test('a queued buffer that is transferred away fails its send, and freed memory is not sent', async (t) => {
  const [ours, theirs] = pipe()
  const data = new Uint8Array(LARGE)
  const sent = codeOf(ours.sendBytes(data))
  transfer(data)
  const received = codeOf(theirs.recvBytes())
  t.is(await sent, 'EFAULT')
  ours.destroy()
  t.is(await received, 'ERR_MESSAGE_TRUNCATED')
  theirs.destroy()
})

test('recvBytesInto a buffer that is transferred away loses that message alone', async (t) => {
  const [ours, theirs] = pipe()
  const raw = ours.detach()
  const target = new Uint8Array(2 * BEGUN)
  const received = codeOf(theirs.recvBytesInto(target, { offset: 5 }))
  const frame = Buffer.alloc(4 + BEGUN)
  frame.writeUInt32BE(BEGUN)
  // A part of the message is here until more is written.
  writeSync(raw.fd, frame.subarray(0, BEGUN / 2))
  await until(() => theirs[readiness].readAhead)
  transfer(target)
  writeSync(raw.fd, frame.subarray(BEGUN / 2))
  t.is(await received, 'ERR_INVALID_STATE')
  const next = raw.toConnection()
  await next.sendBytes(Buffer.from('next'))
  t.is(String(await theirs.recvBytes()), 'next')
  next.destroy()
  theirs.destroy()
})

test('a received message whose memory is transferred away leaves those beside it alone', async (t) => {
  const [ours, theirs] = pipe()
  await Promise.all(['one', 'two'].map((text) => ours.sendBytes(Buffer.from(text))))
  const [one, two] = await theirs.recvMany()
  try {
    transfer(one?.data as Buffer)
  } catch (error) {
    t.is((error as Error).name, 'DataCloneError')
  }
  t.is(String(two?.data), 'two')
  ours.destroy()
  theirs.destroy()
})
