// Defects of ours in closing, flushing and moving with something queued: each test failed before its correction.
import test from 'ava'
import { Connection } from '../../index.ts'
import { pattern } from '../support/bytes.ts'
import { inode, isStill } from '../support/resources.ts'
import { duplexPair } from '../support/streams.ts'
import { connected } from '../support/transports.ts'
import { codeOf, turns, watch } from '../support/until.ts'

const LARGE = 8 << 20
const timedOut = { code: 'ERR_TIMEOUT' }

for (const transport of ['unix', 'tcp', 'pipe'] as const) {
  // There was nothing that told when it had left.
  test(`${transport}: flush waits for a Sync send that timed out`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    t.throws(() => sender.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
    const flushed = watch(sender.flush())
    await turns()
    t.false(flushed.settled)
    t.is((await receiver.recvBytes()).length, LARGE)
    await flushed.promise
    t.is(sender.writableLength, 0)
  })

  // Moving took the descriptor away under it: its rest was lost, and another message began in its midst.
  test(`${transport}: a connection moves only once a Sync send that timed out has left`, async (t) => {
    const [way, far] = await connected(t, 'pipe')
    const [moved, other] = await connected(t, transport)
    t.throws(() => moved.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
    const arriving = far.recvConnection()
    const moving = way.sendConnection(moved)
    t.true((await other.recvBytes()).equals(pattern(LARGE)))
    const [end] = await Promise.all([arriving, moving])
    t.teardown(() => end.destroy())
    await end.sendBytes(Buffer.from('behind'))
    t.is(String(await other.recvBytes()), 'behind')
  })
}

// The message with the connection was queued and left later, and yet the connection stayed here: it had two owners.
test('sendConnectionSync that times out once its message is queued has moved the connection', async (t) => {
  const [way, far] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  t.throws(() => way.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
  t.throws(() => way.sendConnectionSync(moved, { timeout: 0 }), timedOut)
  t.true(moved.closed)
  t.is((await far.recvBytes()).length, LARGE)
  const end = await far.recvConnection()
  t.teardown(() => end.destroy())
  await end.sendBytes(Buffer.from('from its new place'))
  t.is(String(await other.recvBytes()), 'from its new place')
})

// What the connection itself had queued was not seen, so it moved in the midst of a message.
test('sendConnectionSync that times out while the connection has something queued has done nothing', async (t) => {
  const [way, far] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  t.throws(() => moved.sendBytesSync(pattern(LARGE), { timeout: 0 }), timedOut)
  t.throws(() => way.sendConnectionSync(moved, { timeout: 0 }), timedOut)
  t.false(moved.closed)
  await way.sendBytes(Buffer.from('nothing before this'))
  t.is(String(await far.recvBytes()), 'nothing before this')
  const sent = moved.sendBytes(Buffer.from('behind'))
  t.true((await other.recvBytes()).equals(pattern(LARGE)))
  t.is(String(await other.recvBytes()), 'behind')
  await sent
})

// One place held who waits for the queue: the second took it from the first, which never went on.
test('sendConnection and close of a connection with something queued both end', async (t) => {
  const [way] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  const sent = moved.sendBytes(pattern(LARGE))
  const moving = codeOf(way.sendConnection(moved))
  const closing = moved.close()
  t.true((await other.recvBytes()).equals(pattern(LARGE)))
  await Promise.all([sent, closing])
  t.true([undefined, 'ERR_CLOSED'].includes(await moving))
  t.true(moved.closed)
})

test('several who close, flush and move a connection with something queued all go on', async (t) => {
  const [way] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  const sent = moved.sendBytes(pattern(LARGE))
  const flushes = [codeOf(moved.flush()), codeOf(moved.flush())]
  const moving = codeOf(way.sendConnection(moved))
  const closings = [moved.close(), moved.close()]
  t.is((await other.recvBytes()).length, LARGE)
  await Promise.all([sent, moving, ...flushes, ...closings])
  t.true(moved.closed)
})

// A move that failed opened the connection again, closed or not.
test('a connection that was closed during a move that failed stays closed', async (t) => {
  const [way, far] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  const [fd, socket] = [moved.fd, inode(moved.fd)]
  const queued = codeOf(way.sendBytes(pattern(LARGE)))
  const moving = codeOf(way.sendConnection(moved))
  await turns()
  const closing = moved.close()
  await turns()
  far.destroy()
  t.regex(String(await moving), /^(EPIPE|ECONNRESET|ERR_CLOSED)$/)
  await Promise.all([queued, closing])
  t.true(moved.closed)
  t.false(isStill(fd, socket))
  t.is(await codeOf(other.recvBytes()), 'ERR_EOF')
})

// What was sent was dropped without an error.
test('closeSync over a stream says that something is queued, and keeps it', async (t) => {
  const [a, b] = duplexPair(t)
  const [sender, receiver] = [Connection.fromStream(a), Connection.fromStream(b)]
  const sent = sender.send('queued')
  t.throws(() => sender.closeSync(), { code: 'ERR_INVALID_STATE' })
  const closing = sender.close()
  t.is(await receiver.recv(), 'queued')
  await Promise.all([sent, closing])
  t.true(sender.closed)
  receiver.closeSync()
  t.true(receiver.closed)
})
