// Defects of ours in moving connections: each test failed before its correction.
import test, { type ExecutionContext } from 'ava'
import { type Connection, type ConnectionOptions, type CustomCodec } from '../../index.ts'
import { report } from '../support/program.ts'
import { connected } from '../support/transports.ts'
import { codeOf, rejection } from '../support/until.ts'

/** The moved connection in its new place, and its peer's end; the sender's and the receiver's settings differ. */
async function move(
  t: ExecutionContext,
  sender: ConnectionOptions,
  receiver: ConnectionOptions,
): Promise<{ end: Connection; other: Connection }> {
  const [way, far] = await connected(t, 'pipe', receiver)
  const [moved, other] = await connected(t, 'unix', sender)
  const [end] = await Promise.all([far.recvConnection(), way.sendConnection(moved)])
  t.teardown(() => end.destroy())
  return { end, other }
}

const text: CustomCodec = { encode: (value) => Buffer.from(`<${value}>`), decode: (data) => String(data).slice(1, -1) }

// The sender of a connection said how the receiver reads values: v8's format is unsafe where the sender is hostile.
test('a connection that moves is read by the codec of who receives it', async (t) => {
  const { end, other } = await move(t, { codec: 'v8' }, {})
  await other.sendBytes(Buffer.from('{"a":1}'))
  t.deepEqual(await end.recv(), { a: 1 })
  await other.send(1n)
  t.true((await rejection(end.recv())).cause instanceof SyntaxError)
  const custom = await move(t, {}, { codec: text })
  await custom.other.sendBytes(Buffer.from('<text>'))
  t.is(await custom.end.recv(), 'text')
})

// The sender of a connection raised the receiver's limit.
test('a connection that moves takes no larger messages than its receiver allows', async (t) => {
  const { end, other } = await move(t, { maxMessageSize: 1 << 30 }, { maxMessageSize: 1000 })
  await other.sendBytes(Buffer.alloc(1000))
  t.is((await end.recvBytes()).length, 1000)
  await other.sendBytes(Buffer.alloc(1001))
  t.is(await codeOf(end.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
})

test('a connection that moves keeps a limit that is stricter than its receiver has', async (t) => {
  const { end, other } = await move(t, { maxMessageSize: 20 }, { maxMessageSize: 1000 })
  await other.sendBytes(Buffer.alloc(20))
  t.is((await end.recvBytes()).length, 20)
  await other.sendBytes(Buffer.alloc(21))
  t.is(await codeOf(end.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
})

// Where descriptors stood among what was read ahead was taken as it came, though they can only come in order.
test('a moved connection whose descriptors are out of order is refused, and they are closed', async (t) => {
  t.deepEqual(await report(t, 'regressions/unordered-tags.ts'), {
    codes: ['ERR_PROTOCOL', 'ERR_PROTOCOL', 'ERR_PROTOCOL', 'ERR_PROTOCOL'],
    leaked: 0,
  })
})
