import test from 'ava'
import { pipe, OwnedFd } from '../index.ts'
import { frame, header, pattern } from './support/bytes.ts'
import { rawPeer, reset, write } from './support/raw-peer.ts'
import { inode, isOpen, isStill } from './support/resources.ts'
import { connected, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection, turns, until, watch } from './support/until.ts'

for (const transport of transports) {
  test(`${transport}: close resolves once what was queued is handed over`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const data = pattern(8 << 20)
    const sends = [sender.sendBytes(data), sender.sendBytes(Buffer.from('last'))]
    const closing = watch(sender.close())
    await turns()
    t.false(closing.settled)
    t.true((await receiver.recvBytes()).equals(data))
    t.is(String(await receiver.recvBytes()), 'last')
    await t.throwsAsync(receiver.recvBytes(), { code: 'ERR_EOF' })
    await Promise.all([...sends, closing.promise])
    t.true(sender.closed)
  })

  test(`${transport}: close is one shared promise and ends everything else at once`, async (t) => {
    const [connection] = await connected(t, transport)
    const { fd } = connection
    const socket = inode(fd)
    const pending = [
      connection.recvBytes(),
      connection.recvMessage(),
      connection.recvMany(),
      connection.recvBytesInto(Buffer.alloc(4)),
      connection.poll(null),
    ].map(codeOf)
    const closing = connection.close()
    t.is(connection.close(), closing)
    t.deepEqual(
      await Promise.all(pending),
      pending.map(() => 'ERR_CLOSED'),
    )
    await closing
    t.true(connection.closed)
    t.is(connection.fd, -1)
    t.false(isStill(fd, socket))
    t.throws(() => connection.fileno(), { code: 'ERR_CLOSED' })
    for (const use of [
      connection.sendBytes(Buffer.alloc(1)),
      connection.recvBytes(),
      connection.recvMessage(),
      connection.recvMany(),
      connection.recvHandle(),
      connection.sendHandle(0),
      connection.poll(),
    ]) {
      await t.throwsAsync(use, { code: 'ERR_CLOSED' })
    }
    t.throws(() => connection.detach(), { code: 'ERR_CLOSED' })
  })

  test(`${transport}: destroy closes at once and rejects what is queued and what waits`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const { fd } = sender
    const sends = [1, 2, 3].map(() => codeOf(sender.sendBytes(Buffer.alloc(16 << 20))))
    const receive = codeOf(sender.recvBytes())
    sender.destroy()
    t.true(sender.closed)
    t.is(sender.fd, -1)
    t.is(sender.writableLength, 0)
    t.false(isOpen(fd))
    t.deepEqual(await Promise.all(sends), ['ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED'])
    t.is(await receive, 'ERR_CLOSED')
    sender.destroy()
    await sender.close()
    t.regex(String(await codeOf(receiver.recvBytes())), /^(ERR_MESSAGE_TRUNCATED|ECONNRESET)$/)
  })

  test(`${transport}: destroy ends a close that waits for a slow peer`, async (t) => {
    const [sender] = await connected(t, transport)
    const send = codeOf(sender.sendBytes(Buffer.alloc(16 << 20)))
    const closing = sender.close()
    await turns()
    sender.destroy()
    await t.notThrowsAsync(closing)
    t.is(await send, 'ERR_CLOSED')
  })

  test(`${transport}: a loop ends when the connection is closed here, while it waits, before, or in its body`, async (t) => {
    for (const close of ['close', 'destroy', 'detach'] as const) {
      const [connection, peer] = await connected(t, transport)
      const seen: string[] = []
      const loop = async (): Promise<void> => {
        for await (const { data } of connection) seen.push(String(data))
      }
      const looping = loop()
      await peer.sendBytes(Buffer.from('one'))
      await until(() => seen.length === 1)
      const closed = connection[close]()
      await looping
      await loop()
      if (closed instanceof OwnedFd) closed.close()
      t.deepEqual(seen, ['one'])
    }
    const [connection, peer] = await connected(t, transport)
    for (const text of ['one', 'two']) await peer.sendBytes(Buffer.from(text))
    for await (const { data } of connection) {
      t.is(String(data), 'one')
      connection.destroy()
    }
    t.is(await codeOf(connection.recvMessage()), 'ERR_CLOSED')
  })

  test(`${transport}: detach is refused while writes are queued`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const big = sender.sendBytes(Buffer.alloc(16 << 20))
    t.throws(() => sender.detach(), { code: 'ERR_INVALID_STATE' })
    await receiver.recvBytes()
    await big
    const detached = sender.detach()
    t.is(sender.fd, -1)
    t.true(isOpen(detached.fd))
    t.throws(() => sender.detach(), { code: 'ERR_CLOSED' })
    detached.close()
  })
}

test('detach is refused while bytes are read ahead, and allowed once they are received', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  await write(peer, frame('one'), frame('two'), header(5))
  t.is(String(await connection.recvBytes()), 'one')
  t.throws(() => connection.detach(), { code: 'ERR_INVALID_STATE' })
  t.is(String(await connection.recvBytes()), 'two')
  t.throws(() => connection.detach(), { code: 'ERR_INVALID_STATE' })
  await write(peer, Buffer.from('three'))
  t.is(String(await connection.recvBytes()), 'three')
  connection.detach().close()
})

test('a receive that waits is rejected by detach', async (t) => {
  const [connection] = await connected(t, 'unix')
  const waiting = codeOf(connection.recvBytes())
  const handle = connection.detach()
  t.is(await waiting, 'ERR_CLOSED')
  handle.close()
})

test('a queued send and a pending receive end with the peer, and close never rejects for it', async (t) => {
  for (const transport of ['unix', 'tcp'] as const) {
    const { connection, peer } = await rawPeer(t, transport)
    const send = rejection(connection.sendBytes(Buffer.alloc(16 << 20)))
    const closing = connection.close()
    await reset(peer)
    await t.notThrowsAsync(closing)
    t.regex(String((await send).code), /^(EPIPE|ECONNRESET)$/)
    t.true(connection.closed)
  }
})

test('Symbol.asyncDispose is close, Symbol.dispose is destroy', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const data = pattern(4 << 20)
  const send = sender.sendBytes(data)
  const disposing = sender[Symbol.asyncDispose]()
  t.true((await receiver.recvBytes()).equals(data))
  await Promise.all([send, disposing])
  t.true(sender.closed)
  receiver[Symbol.dispose]()
  t.true(receiver.closed)
})

test('close of one direction of a pipe is the end of the stream, or EPIPE, for the other', async (t) => {
  const [reader, writer] = oneWay(t)
  await reader.close()
  await t.throwsAsync(writer.sendBytes(Buffer.from('nobody')), { code: 'EPIPE' })
  const other = oneWay(t)
  await other[1].close()
  await t.throwsAsync(other[0].recvBytes(), { code: 'ERR_EOF' })
})

test('destroying a connection inside its own receive is harmless', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const second = receiver.recvBytes()
  const first = second.then(() => receiver.destroy())
  const behind = codeOf(receiver.recvBytes())
  await sender.sendBytes(Buffer.from('one'))
  await first
  t.is(await behind, 'ERR_CLOSED')
})

test('a descriptor number that is used again is not touched by a destroyed connection', async (t) => {
  for (let round = 0; round < 100; round++) {
    const [a, b] = pipe()
    const waiting = codeOf(a.recvBytes())
    const send = b.sendBytes(Buffer.from('stale event'))
    a.destroy()
    const [c, d] = pipe()
    const fresh = watch(c.recvBytes())
    t.is(await waiting, 'ERR_CLOSED')
    await send.catch(() => {})
    await turns(1)
    t.false(fresh.settled)
    await d.sendBytes(Buffer.from('fresh'))
    t.is(String(await fresh.promise), 'fresh')
    for (const end of [b, c, d]) end.destroy()
  }
})

test('a receiver that destroys a hundred connections with news of their own harms none made after them', async (t) => {
  const pairs = Array.from({ length: 100 }, () => pipe())
  const outcomes = pairs.map(async ([receiver]) => {
    const code = await codeOf(receiver.recvBytes())
    if (code === undefined) for (const [other] of pairs) other.destroy()
    return code
  })
  for (const [, sender] of pairs) await sender.sendBytes(Buffer.from('news'))
  const codes = await Promise.all(outcomes)
  const fresh = pairs.map(() => pipe())
  const received = fresh.map(async ([receiver]) => String(await receiver.recvBytes()))
  await turns()
  for (const [index, [, sender]] of fresh.entries()) await sender.sendBytes(Buffer.from(`fresh ${index}`))
  t.deepEqual(
    await Promise.all(received),
    fresh.map((_pair, index) => `fresh ${index}`),
  )
  t.true(codes.every((code) => code === undefined || code === 'ERR_CLOSED'))
  for (const end of [...pairs, ...fresh].flat()) end.destroy()
})
