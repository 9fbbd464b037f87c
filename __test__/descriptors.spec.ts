import { closeSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { frame, pattern } from './support/bytes.ts'
import { report, startFixture } from './support/program.ts'
import { rawPeer, readExactly } from './support/raw-peer.ts'
import { closedInodes, inode, isOpen, openFile, openFiles, temporaryAddress, UNUSED_FD } from './support/resources.ts'
import { carryingFds, connected, oneWay } from './support/transports.ts'

async function listeningServer(t: ExecutionContext): Promise<Server> {
  const server = createServer().listen(temporaryAddress(t))
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return server
}

for (const transport of carryingFds) {
  test(`${transport}: a message arrives with its descriptors, in order`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const files = openFiles(t, 3)
    await sender.sendBytes(Buffer.from('three files'), { fds: files.map(({ fd }) => fd) })
    const { data, fds } = await receiver.recvMessage()
    t.is(String(data), 'three files')
    t.deepEqual(
      closedInodes(fds),
      files.map((file) => file.inode),
    )
  })

  test(`${transport}: 1, 2, 100 and 253 descriptors come with a message, of any size`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    for (const count of [1, 2, 100, 253]) {
      const files = openFiles(t, count)
      for (const size of [0, 1, 65536, 1 << 20]) {
        const data = pattern(size)
        const [received] = await Promise.all([
          receiver.recvMessage(),
          sender.sendBytes(data, { fds: files.map(({ fd }) => fd) }),
        ])
        t.true(received.data.equals(data))
        t.deepEqual(
          closedInodes(received.fds),
          files.map((file) => file.inode),
        )
      }
    }
  })

  test(`${transport}: a received descriptor is new, close-on-exec and works`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t, 'the content')
    await sender.sendBytes(Buffer.from('file'), { fds: [file.fd] })
    const { fds } = await receiver.recvMessage()
    t.is(fds.length, 1)
    for (const owned of fds) {
      t.not(owned.fd, file.fd)
      t.false(owned.inheritable)
      t.is(owned.kind, 'file')
      const content = Buffer.alloc(11)
      readSync(owned.fd, content, 0, 11, 0)
      t.is(String(content), 'the content')
      owned.close()
    }
  })

  test(`${transport}: messages with and without descriptors keep their order and their own`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const files = openFiles(t, 4)
    const expected = Array.from({ length: 300 }, (_, index) => files.slice(0, index % 5))
    const sends = expected.map((own, index) =>
      sender.sendBytes(pattern(index * 7, index), { fds: own.map(({ fd }) => fd) }),
    )
    let index = 0
    while (index < expected.length) {
      for (const { data, fds } of await receiver.recvMany()) {
        t.true(data.equals(pattern(index * 7, index)))
        t.deepEqual(
          closedInodes(fds),
          expected[index]?.map((file) => file.inode),
        )
        index++
      }
    }
    await Promise.all(sends)
  })

  test(`${transport}: sendHandle and recvHandle pass one descriptor, between messages`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const first = openFile(t)
    const second = openFile(t)
    await sender.sendBytes(Buffer.from('before'))
    await sender.sendHandle(first.fd)
    await sender.sendHandle(second.fd)
    await sender.sendBytes(Buffer.from('after'))
    t.is(String(await receiver.recvBytes()), 'before')
    t.deepEqual(closedInodes([await receiver.recvHandle(), await receiver.recvHandle()]), [first.inode, second.inode])
    t.is(String(await receiver.recvBytes()), 'after')
  })

  test(`${transport}: sendFds and recvFds pass up to 253 descriptors as one`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t)
    for (const count of [1, 2, 100, 253]) {
      await sender.sendFds(Array.from({ length: count }, () => file.fd))
      t.deepEqual(
        closedInodes(await receiver.recvFds(253)),
        Array.from({ length: count }, () => file.inode),
      )
    }
    await sender.sendFds([file.fd, file.fd])
    t.is(closedInodes(await receiver.recvFds(2)).length, 2)
  })

  test(`${transport}: receives of every kind wait together and are served in order`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t)
    const waiting = Promise.all([
      receiver.recvHandle(),
      receiver.recvBytes(),
      receiver.recvFds(5),
      receiver.recvMessage(),
    ])
    await sender.sendHandle(file.fd)
    await sender.sendBytes(Buffer.from('bytes'))
    await sender.sendFds([file.fd, file.fd])
    await sender.sendBytes(Buffer.from('message'), { fds: [file.fd] })
    const [handle, bytes, fds, message] = await waiting
    t.is(String(bytes), 'bytes')
    t.is(String(message.data), 'message')
    t.deepEqual(
      closedInodes([handle, ...fds, ...message.fds]),
      Array.from({ length: 4 }, () => file.inode),
    )
  })

  test(`${transport}: 254 descriptors are EINVAL and leave nothing on the wire`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const { fd } = openFile(t)
    const tooMany = Array.from({ length: 254 }, () => fd)
    await t.throwsAsync(sender.sendBytes(Buffer.from('too many'), { fds: tooMany }), { code: 'EINVAL' })
    await t.throwsAsync(sender.sendFds(tooMany), { code: 'EINVAL' })
    await sender.sendBytes(Buffer.from('next'))
    const { data, fds } = await receiver.recvMessage()
    t.is(String(data), 'next')
    t.is(fds.length, 0)
  })

  test(`${transport}: a number that is no open descriptor is EBADF and leaves nothing on the wire`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const { fd } = openFile(t)
    await t.throwsAsync(sender.sendBytes(Buffer.from('bad'), { fds: [fd, UNUSED_FD] }), { code: 'EBADF' })
    await t.throwsAsync(sender.sendFds([UNUSED_FD]), { code: 'EBADF' })
    await t.throwsAsync(sender.sendHandle(UNUSED_FD), { code: 'EBADF' })
    await sender.sendBytes(Buffer.from('next'))
    t.is(String((await receiver.recvMessage()).data), 'next')
  })

  test(`${transport}: descriptors are duplicated before the call returns, also when the send has to wait`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const big = sender.sendBytes(Buffer.alloc(16 << 20))
    const fd = openSync(openFile(t).path, 'r')
    const expected = inode(fd)
    const waiting = [
      sender.sendBytes(Buffer.from('with'), { fds: [fd] }),
      sender.sendHandle(fd),
      sender.sendFds([fd, fd]),
    ]
    closeSync(fd)
    t.is((await receiver.recvBytes()).length, 16 << 20)
    await big
    t.deepEqual(closedInodes((await receiver.recvMessage()).fds), [expected])
    t.deepEqual(closedInodes([await receiver.recvHandle()]), [expected])
    t.deepEqual(closedInodes(await receiver.recvFds(2)), [expected, expected])
    await Promise.all(waiting)
  })

  test(`${transport}: a handle before a message is taken as the message's by recvMessage`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const handle = openFile(t)
    const files = openFiles(t, 2)
    await sender.sendHandle(handle.fd)
    await sender.sendFds(files.map(({ fd }) => fd))
    await sender.sendBytes(Buffer.from('message'))
    const { data, fds } = await receiver.recvMessage()
    t.is(String(data), 'message')
    t.deepEqual(
      closedInodes(fds),
      [handle, ...files].map((file) => file.inode),
    )
  })

  test(`${transport}: more handles than may be held unclaimed are all received`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t)
    const sends = Promise.all(Array.from({ length: 3000 }, () => sender.sendHandle(file.fd)))
    let received = 0
    for (; received < 3000; received++) {
      const handle = await receiver.recvHandle()
      if (inode(handle.fd) !== file.inode) t.fail(`handle ${received} is another file`)
      handle.close()
    }
    await sends
    t.is(received, 3000)
  })
}

test('everything that has a descriptor can be sent', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const server = await listeningServer(t)
  const [end] = await connected(t, 'pipe')
  const file = await open(openFile(t).path)
  t.teardown(() => file.close())
  await sender.sendBytes(Buffer.alloc(0), { fds: [server, end, file, file.fd] })
  const { fds } = await receiver.recvMessage()
  t.deepEqual(
    fds.map(({ kind }) => kind),
    ['listener', 'socket', 'file', 'file'],
  )
  t.deepEqual(closedInodes(fds).slice(1), [inode(end.fd), inode(file.fd), inode(file.fd)])
})

test('a server that does not listen has no descriptor to send', async (t) => {
  const [sender] = await connected(t, 'unix')
  await t.throwsAsync(sender.sendHandle(createServer()), { code: 'ERR_INVALID_FD_TYPE' })
})

test('what is no descriptor is refused before anything is written', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const data = Buffer.from('bad')
  for (const bad of ['3', null, {}, { fd: '3' }]) {
    // @ts-expect-error the values are no descriptors
    await t.throwsAsync(sender.sendBytes(data, { fds: [0, bad] }), { code: 'ERR_INVALID_ARG_TYPE' })
    // @ts-expect-error likewise
    await t.throwsAsync(sender.sendHandle(bad), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  // @ts-expect-error no list
  await t.throwsAsync(sender.sendBytes(data, { fds: 0 }), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(sender.sendHandle(1.5), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(receiver.recvFds(-1), { code: 'ERR_OUT_OF_RANGE' })
  await sender.sendBytes(Buffer.from('next'))
  t.is(String((await receiver.recvMessage()).data), 'next')
})

test('TCP carries no descriptors and says so before a byte leaves', async (t) => {
  const { connection, peer } = await rawPeer(t, 'tcp')
  const { fd } = openFile(t)
  await t.throwsAsync(connection.sendHandle(fd), { code: 'ERR_FDS_UNSUPPORTED' })
  await t.throwsAsync(connection.sendFds([fd]), { code: 'ERR_FDS_UNSUPPORTED' })
  await t.throwsAsync(connection.sendBytes(Buffer.from('with'), { fds: [fd] }), { code: 'ERR_FDS_UNSUPPORTED' })
  await connection.sendBytes(Buffer.from('without'), { fds: [] })
  t.deepEqual(await readExactly(peer, 11), frame('without'))
})

test('a one-way pipe carries no descriptors and says so before a byte leaves', async (t) => {
  const [reader, writer] = oneWay(t)
  const { fd } = openFile(t)
  await t.throwsAsync(writer.sendHandle(fd), { code: 'ERR_FDS_UNSUPPORTED' })
  await t.throwsAsync(writer.sendFds([fd]), { code: 'ERR_FDS_UNSUPPORTED' })
  await t.throwsAsync(writer.sendBytes(Buffer.from('with'), { fds: [fd] }), { code: 'ERR_FDS_UNSUPPORTED' })
  await writer.sendBytes(Buffer.from('without'))
  const { data, fds } = await reader.recvMessage()
  t.is(String(data), 'without')
  t.is(fds.length, 0)
})

for (const receive of ['recvMessage', 'recvFds'] as const) {
  test(`${receive} without room for the descriptors is ERR_FDS_TRUNCATED, closes them, and the stream goes on`, async (t) => {
    const [ours, theirs] = await connected(t, 'pipe')
    const { fd } = openFile(t)
    const child = startFixture(t, 'open-file-limit.ts', [receive], { inherit: [theirs.fd], openFiles: 96 })
    theirs.destroy()
    const fds = Array.from({ length: 100 }, () => fd)
    if (receive === 'recvFds') await ours.sendFds(fds)
    else await ours.sendBytes(Buffer.from('too many'), { fds })
    await ours.sendBytes(Buffer.from('next'), { fds: [fd] })
    t.deepEqual(JSON.parse(await child.line()), { code: 'ERR_FDS_TRUNCATED', next: 'next', fds: 1, leaked: 0 })
    await child.finish()
  })
}

test('sending descriptors needs none of its own, however many are sent in a turn', async (t) => {
  t.deepEqual(await report(t, 'sends-when-full.ts', [], { openFiles: 100 }), {
    codes: ['sent', 'sent', 'sent', 'sent', 'sent'],
    texts: ['one', 'two'],
    count: 5,
    leaked: 0,
  })
})

test('recvBytes closes the descriptors of a message and warns once per connection', async (t) => {
  const { warnings, leaked } = await report<{ warnings: string[]; leaked: number }>(t, 'discarded.ts')
  t.deepEqual(warnings, ['FDWIRE_FDS_DISCARDED', 'FDWIRE_FDS_DISCARDED'])
  t.is(leaked, 0)
})

test('no way of receiving, failing or closing leaves a descriptor behind', async (t) => {
  const leaks = await report<Record<string, number>>(t, 'descriptor-leaks.ts')
  t.true(Object.keys(leaks).length > 0)
  t.deepEqual(
    Object.entries(leaks).filter(([, count]) => count !== 0),
    [],
  )
})

test('a received descriptor stays open when the connection it came on closes', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  await sender.sendHandle(openFile(t).fd)
  const handle = await receiver.recvHandle()
  await receiver.close()
  t.true(isOpen(handle.fd))
  handle.close()
})
