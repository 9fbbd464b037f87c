import test from 'ava'
import { frame, header, pattern } from './support/bytes.ts'
import { rawPeer, rawTransports, reset, write } from './support/raw-peer.ts'
import { inode, openFile } from './support/resources.ts'
import { carryingFds, connected, transports } from './support/transports.ts'
import { rejection, turns, until } from './support/until.ts'

const KIBIBYTE = 1024
const MEBIBYTE = KIBIBYTE * KIBIBYTE

/** Lengths of which some are what the last one lets expect, and others nearly so. */
const lengths = [
  70_000,
  70_000,
  20,
  70_000,
  70_001,
  70_001,
  69_999,
  0,
  16 * KIBIBYTE,
  16 * KIBIBYTE + 1,
  16 * KIBIBYTE + 1,
  16 * KIBIBYTE,
  MEBIBYTE,
  MEBIBYTE,
  MEBIBYTE + 1,
  2 * MEBIBYTE,
  2 * MEBIBYTE,
  70_000,
  70_000,
  1,
]
const messages = lengths.map((length, index) => pattern(length, index + 1))

for (const transport of transports) {
  test(`${transport}: large messages and small ones come whole, sent together or one by one`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const sent = Promise.all(messages.map((message) => sender.sendBytes(message)))
    for (const message of messages) t.true((await receiver.recvBytes()).equals(message))
    await sent
    for (const message of messages) {
      const received = receiver.recvBytes()
      await sender.sendBytes(message)
      t.true((await received).equals(message))
    }
  })

  test(`${transport}: large messages are received by every kind of call in turn`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const into = Buffer.alloc(70_000)
    for (let seed = 1; seed <= 4; seed++) {
      const [one, two, three, four] = [1, 2, 3, 4].map((number) => pattern(70_000, seed * number)) as [
        Buffer,
        Buffer,
        Buffer,
        Buffer,
      ]
      const received = Promise.all([
        receiver.recvBytes(),
        receiver.recvBytesInto(into),
        receiver.recvMessage(),
        receiver.recvMany({ max: 1 }),
      ])
      for (const message of [one, two, three, four]) await sender.sendBytes(message)
      const [bytes, length, { data }, [last]] = await received
      t.true(bytes.equals(one))
      t.true(length === two.length && into.equals(two))
      t.true(data.equals(three))
      t.true(last?.data.equals(four))
    }
  })

  test(`${transport}: a large message keeps its bytes while others of its length come`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const kept: Buffer[] = []
    for (let seed = 1; seed <= 20; seed++) {
      await Promise.all([
        sender.sendBytes(pattern(40_000, seed)),
        receiver.recvBytes().then((message) => kept.push(message)),
      ])
    }
    for (const [index, message] of kept.entries()) t.true(message.equals(pattern(40_000, index + 1)))
  })
}

test("connections whose large messages differ in length do not get in each other's way", async (t) => {
  const pairs = await Promise.all(
    [70_000, 80_000, MEBIBYTE].map(async (length) => ({
      length,
      ends: await connected(t, 'pipe'),
    })),
  )
  for (let seed = 1; seed <= 4; seed++) {
    const received = pairs.map(({ ends: [, receiver] }) => receiver.recvBytes())
    for (const { length, ends } of seed % 2 ? pairs : pairs.toReversed()) await ends[0].sendBytes(pattern(length, seed))
    for (const [index, message] of (await Promise.all(received)).entries()) {
      t.true(message.equals(pattern(pairs[index]?.length ?? 0, seed)))
    }
  }
})

for (const transport of carryingFds) {
  test(`${transport}: descriptors among large messages come with their own`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const files = [openFile(t), openFile(t)] as const
    for (const length of [70_000, 70_000, 70_000, 5, 70_000, 5, 70_000]) {
      for (const count of [0, 1, 2]) {
        const fds = files.slice(0, count)
        const message = pattern(length, count + 1)
        const sent = sender.sendBytes(message, { fds: fds.map(({ fd }) => fd) })
        const received = await receiver.recvMessage()
        await sent
        t.true(received.data.equals(message))
        t.deepEqual(
          received.fds.map(({ fd }) => inode(fd)),
          fds.map((file) => file.inode),
        )
        for (const fd of received.fds) fd.close()
      }
    }
  })

  test(`${transport}: a handle between large messages is received in its place`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t)
    for (let seed = 1; seed <= 3; seed++) {
      const message = pattern(70_000, seed)
      const sent = Promise.all([sender.sendBytes(message), sender.sendHandle(file.fd), sender.sendBytes(message)])
      t.true((await receiver.recvBytes()).equals(message))
      const handle = await receiver.recvHandle()
      t.is(inode(handle.fd), file.inode)
      handle.close()
      t.true((await receiver.recvBytes()).equals(message))
      await sent
    }
  })
}

for (const transport of rawTransports) {
  for (const piece of [1, 3, 4, 5, 1000, 69_999]) {
    test(`${transport}: a message as long as the last comes whole though its first ${piece} bytes come alone`, async (t) => {
      const { connection, peer } = await rawPeer(t, transport)
      for (let seed = 1; seed <= 3; seed++) {
        const message = pattern(70_000, seed)
        const bytes = frame(message)
        const received = connection.recvBytes()
        await write(peer, bytes.subarray(0, piece))
        await turns(3)
        await write(peer, bytes.subarray(piece))
        t.true((await received).equals(message))
      }
    })
  }

  test(`${transport}: what is no message is told where a large one is expected`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    await write(peer, frame(pattern(70_000)))
    await connection.recvBytes()
    await write(peer, header(-5), pattern(70_000))
    t.is((await rejection(connection.recvBytes())).code, 'ERR_PROTOCOL')
  })

  test(`${transport}: a peer that ends inside a large message ends the receive that waits for it`, async (t) => {
    for (const into of [false, true]) {
      const { connection, peer } = await rawPeer(t, transport)
      const receive = (): Promise<unknown> =>
        into ? connection.recvBytesInto(Buffer.alloc(MEBIBYTE)) : connection.recvBytes()
      const received = rejection(receive())
      await write(peer, header(MEBIBYTE), pattern(100_000))
      await turns()
      await write(peer, pattern(100_000))
      await turns()
      peer.end()
      t.is((await received).code, 'ERR_MESSAGE_TRUNCATED')
    }
  })

  test(`${transport}: a peer that resets inside a large message is told as that`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const received = rejection(connection.recvBytes())
    await connection.sendBytes(Buffer.from('never read'))
    await write(peer, header(MEBIBYTE), pattern(100_000))
    await turns()
    await reset(peer)
    const { code, syscall } = await received
    t.deepEqual([code, syscall], ['ECONNRESET', 'recvmsg'])
  })

  test(`${transport}: a poll beside a receive that waits for the rest of a large message ends with it`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const message = pattern(MEBIBYTE)
    const received = connection.recvBytes()
    await write(peer, header(MEBIBYTE), message.subarray(0, 100_000))
    await turns()
    t.true(await connection.poll(null))
    const written = write(peer, message.subarray(100_000))
    t.true((await received).equals(message))
    await written
  })

  test(`${transport}: a buffer that is transferred away in the middle of a message takes only that along`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const message = pattern(MEBIBYTE)
    const into = new Uint8Array(MEBIBYTE)
    const received = rejection(connection.recvBytesInto(into))
    await write(peer, header(MEBIBYTE), message.subarray(0, 100_000))
    await until(() => into[99_999] === message[99_999])
    const moved = structuredClone(into, { transfer: [into.buffer] })
    const written = write(peer, message.subarray(100_000), frame('next'))
    t.is((await received).code, 'ERR_INVALID_STATE')
    t.is(String(await connection.recvBytes()), 'next')
    await written
    t.true(moved.subarray(100_000).every((byte) => byte === 0))
  })
}
