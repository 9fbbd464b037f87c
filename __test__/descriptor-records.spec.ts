import test from 'ava'
import { type Connection } from '../index.ts'
import { frame, pattern } from './support/bytes.ts'
import { fdPeer } from './support/fd-peer.ts'
import { closedInodes, openFile, openFiles } from './support/resources.ts'
import { connected } from './support/transports.ts'
import { turns } from './support/until.ts'

test('on the wire a handle is one byte, their number, with the descriptors on it', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  await connection.sendHandle(file.fd)
  t.deepEqual(await peer.receive(100), { bytes: Buffer.of(1), inodes: [file.inode] })
  await connection.sendFds(Array.from({ length: 253 }, () => file.fd))
  const received = await peer.receive(100)
  t.deepEqual(received.bytes, Buffer.of(253))
  t.is(received.inodes.length, 253)
})

test('on the wire a message with descriptors is a handle, then its frame', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const files = openFiles(t, 2)
  await connection.sendBytes(Buffer.from('message'), { fds: files.map(({ fd }) => fd) })
  t.deepEqual(await peer.receive(1), { bytes: Buffer.of(2), inodes: files.map((file) => file.inode) })
  t.deepEqual(await peer.receive(100), { bytes: frame('message'), inodes: [] })
})

test('a handle whose count byte is 0, as Python 2 sends it, is accepted', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  await peer.send(Buffer.of(0), [file])
  t.deepEqual(closedInodes([await connection.recvHandle()]), [file.inode])
  await peer.send(Buffer.of(0), [file, file])
  t.is(closedInodes(await connection.recvFds(2)).length, 2)
  await peer.send(Buffer.of(0), [file])
  await peer.send(frame('message'))
  t.deepEqual(closedInodes((await connection.recvMessage()).fds), [file.inode])
})

test('a handle record that is not what its receiver expects is ERR_FDS_COUNT, consumed, the rest usable', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  const other = openFile(t)
  const wrong: [string, number, number, (connection: Connection) => Promise<unknown>][] = [
    ['two for recvHandle', 2, 2, (receiver) => receiver.recvHandle()],
    ['none for recvHandle', 1, 0, (receiver) => receiver.recvHandle()],
    ['none for recvFds', 2, 0, (receiver) => receiver.recvFds(2)],
    ['more than asked for', 3, 3, (receiver) => receiver.recvFds(2)],
    ['fewer than announced', 5, 1, (receiver) => receiver.recvHandle()],
    ['more than announced', 1, 2, (receiver) => receiver.recvFds(2)],
  ]
  for (const [title, announced, received, receive] of wrong) {
    await peer.send(
      Buffer.of(announced),
      Array.from({ length: received }, () => file),
    )
    await t.throwsAsync(receive(connection), { code: 'ERR_FDS_COUNT' }, title)
    await peer.send(Buffer.of(1), [other])
    t.deepEqual(closedInodes([await connection.recvHandle()]), [other.inode], title)
  }
  await peer.send(Buffer.of(7), [file, file])
  const error = await t.throwsAsync(connection.recvHandle(), { code: 'ERR_FDS_COUNT' })
  t.like(error, { received: 2 })
})

test('a wrong count before a message fails one receive; the message comes with the next, without them', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  await peer.send(Buffer.of(9), [file])
  await peer.send(frame('message'))
  await t.throwsAsync(connection.recvMessage(), { code: 'ERR_FDS_COUNT' })
  const { data, fds } = await connection.recvMessage()
  t.is(String(data), 'message')
  t.is(fds.length, 0)
})

test('descriptors that a foreign peer attached to the bytes of a frame belong to that frame', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  const bytes = frame(pattern(1000))
  for (const [start, end] of [
    [0, 1004],
    [0, 2],
    [2, 4],
    [4, 1004],
    [100, 200],
    [1003, 1004],
  ] as const) {
    await peer.send(frame('before'))
    if (start > 0) await peer.send(bytes.subarray(0, start))
    await peer.send(bytes.subarray(start, end), [file])
    if (end < bytes.length) await peer.send(bytes.subarray(end))
    await peer.send(frame('after'))
    t.is((await connection.recvMessage()).fds.length, 0, 'the message before')
    const { data, fds } = await connection.recvMessage()
    t.true(data.equals(pattern(1000)))
    t.deepEqual(closedInodes(fds), [file.inode], `attached to bytes ${start} to ${end}`)
    t.is((await connection.recvMessage()).fds.length, 0, 'the message after')
  }
})

test('descriptors on the bytes of a frame larger than any buffer belong to it too', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  const data = pattern(8 << 20)
  const bytes = frame(data)
  const received = connection.recvMessage()
  await peer.send(bytes.subarray(0, 1 << 20))
  await peer.send(bytes.subarray(1 << 20, (1 << 20) + 100), [file])
  await peer.send(bytes.subarray((1 << 20) + 100, 4 << 20), [file, file])
  await peer.send(bytes.subarray(4 << 20))
  const message = await received
  t.true(message.data.equals(data))
  t.deepEqual(closedInodes(message.fds), [file.inode, file.inode, file.inode])
})

test('the descriptors of several handles come with one message', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  const record = Array.from({ length: 253 }, () => file)
  for (let round = 0; round < 3; round++) await peer.send(Buffer.of(253), record)
  await peer.send(frame('message'))
  const { data, fds } = await connection.recvMessage()
  t.is(String(data), 'message')
  t.is(closedInodes(fds).filter((found) => found === file.inode).length, 3 * 253)
})

test('a handle read together with messages around it keeps its place', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  for (let round = 0; round < 20; round++) {
    await peer.send(Buffer.concat([frame('one'), frame('two')]))
    await peer.send(Buffer.of(1), [file])
    await peer.send(frame('three'))
    t.is(String(await connection.recvBytes()), 'one')
    t.is(String(await connection.recvBytes()), 'two')
    t.deepEqual(closedInodes([await connection.recvHandle()]), [file.inode])
    t.is(String(await connection.recvBytes()), 'three')
  }
})

test('the end of the stream is ERR_EOF for recvHandle and recvFds', async (t) => {
  const { connection, peer } = await fdPeer(t)
  const file = openFile(t)
  await peer.send(Buffer.of(1), [file])
  await peer.shutdown()
  t.deepEqual(closedInodes([await connection.recvHandle()]), [file.inode])
  await t.throwsAsync(connection.recvHandle(), { code: 'ERR_EOF' })
  await t.throwsAsync(connection.recvFds(1), { code: 'ERR_EOF' })
})

test('the end of the stream after a handle that belongs to a message is ERR_MESSAGE_TRUNCATED', async (t) => {
  const { connection, peer } = await fdPeer(t)
  await peer.send(Buffer.of(1), [openFile(t)])
  await peer.shutdown()
  await t.throwsAsync(connection.recvMessage(), { code: 'ERR_MESSAGE_TRUNCATED' })
})

test('acknowledgeFds: the receiver of a handle answers it with an A', async (t) => {
  const { connection, peer } = await fdPeer(t, { acknowledgeFds: true })
  const file = openFile(t)
  await peer.send(Buffer.of(1), [file])
  t.deepEqual(closedInodes([await connection.recvHandle()]), [file.inode])
  t.deepEqual(await peer.receive(1), { bytes: Buffer.from('A'), inodes: [] })
  await peer.send(Buffer.of(2), [file, file])
  t.is(closedInodes(await connection.recvFds(2)).length, 2)
  t.deepEqual(await peer.receive(1), { bytes: Buffer.from('A'), inodes: [] })
})

test('acknowledgeFds: the descriptors of a message are answered before the message is whole', async (t) => {
  const { connection, peer } = await fdPeer(t, { acknowledgeFds: true })
  const file = openFile(t)
  const received = connection.recvMessage()
  await peer.send(Buffer.of(1), [file])
  t.deepEqual(await peer.receive(1), { bytes: Buffer.from('A'), inodes: [] })
  await peer.send(frame('message'))
  const { data, fds } = await received
  t.is(String(data), 'message')
  t.deepEqual(closedInodes(fds), [file.inode])
})

test('acknowledgeFds: the A of the peer is no part of a message, with or without a receive pending', async (t) => {
  const { connection, peer } = await fdPeer(t, { acknowledgeFds: true })
  const file = openFile(t)
  const sent = connection.sendHandle(file.fd)
  t.deepEqual(await peer.receive(1), { bytes: Buffer.of(1), inodes: [file.inode] })
  await peer.send('A')
  await sent
  await peer.send(frame('first'))
  t.is(String(await connection.recvBytes()), 'first')

  const pending = connection.recvBytes()
  await turns()
  const second = connection.sendHandle(file.fd)
  await peer.receive(1)
  await peer.send(Buffer.concat([Buffer.from('A'), frame('second')]))
  t.is(String(await pending), 'second')
  await second
})

test('acknowledgeFds: both ends pass descriptors both ways among messages', async (t) => {
  const [a, b] = await connected(t, 'unix', { acknowledgeFds: true })
  const file = openFile(t)
  const send = async (end: Connection): Promise<void> => {
    for (let index = 0; index < 50; index++) {
      await end.sendBytes(Buffer.from(`message ${index}`), { fds: [file.fd] })
      await end.sendHandle(file.fd)
    }
  }
  const receive = async (end: Connection): Promise<void> => {
    for (let index = 0; index < 50; index++) {
      const { data, fds } = await end.recvMessage()
      t.is(String(data), `message ${index}`)
      t.deepEqual(closedInodes([...fds, await end.recvHandle()]), [file.inode, file.inode])
    }
  }
  await Promise.all([send(a), send(b), receive(a), receive(b)])
})

if (process.platform !== 'darwin') {
  test('without acknowledgeFds nothing is answered to a handle', async (t) => {
    const { connection, peer } = await fdPeer(t)
    await peer.send(Buffer.of(1), [openFile(t)])
    closedInodes([await connection.recvHandle()])
    await connection.sendBytes(Buffer.from('answer'))
    t.deepEqual((await peer.receive(100)).bytes, frame('answer'))
  })
}
