// Defects of other packages that pass descriptors, each reproduced there before it was tested here.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { Listener, pipe } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { report, inheritedInodes, startFixture } from './support/program.ts'
import { anyPython, runPython } from './support/python.ts'
import { abstractAddress, inode, openFile, openFiles, temporaryAddress } from './support/resources.ts'
import { accept, carryingFds, connected, dial, listen, transports } from './support/transports.ts'
import { codeOf } from './support/until.ts'

const MESSAGES = 2000

for (const transport of carryingFds) {
  // usocket 1.1.0 lost the descriptors of writes that met EAGAIN: 1979 of 2000 arrived, without an error.
  test(`${transport}: 2,000 messages with a descriptor each to a slow reader deliver 2,000 descriptors`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const files = openFiles(t, 7)
    const sends = Promise.all(
      Array.from({ length: MESSAGES }, (_, index) =>
        sender.sendBytes(pattern(1024, index), { fds: files.slice(index % 7, (index % 7) + 1).map(({ fd }) => fd) }),
      ),
    )
    t.true(sender.writableLength > 0, 'the kernel could not take all')
    for (let index = 0; index < MESSAGES; index++) {
      const { data, fds } = await receiver.recvMessage()
      const right = data.equals(pattern(1024, index)) && fds.length === 1
      if (!right || fds.some(({ fd }) => inode(fd) !== files[index % 7]?.inode)) t.fail(`message ${index} is wrong`)
      fds.forEach((fd) => fd.close())
    }
    await sends
    t.is(sender.writableLength, 0)
  })
}

test('2,000 messages with a descriptor each to a slow Python reader deliver 2,000 descriptors', async (t) => {
  const [sender, theirs] = pipe()
  t.teardown(() => sender.destroy())
  const file = openFile(t)
  const reader = runPython(t, anyPython(), 'slow_reader.py', [String(MESSAGES)], { inherit: [theirs.fd] })
  theirs.destroy()
  const sends = Promise.all(
    Array.from({ length: MESSAGES }, (_, index) => sender.sendBytes(pattern(1024, index), { fds: [file.fd] })),
  )
  t.true(sender.writableLength > 0)
  reader.tell('read now')
  t.deepEqual(JSON.parse(await reader.line()), { bytes: MESSAGES * 1024, descriptors: MESSAGES, inodes: [file.inode] })
  await sends
  await reader.finish()
})

for (const transport of transports) {
  // usocket aborted the process when data was asked for before the connection stood.
  test(`${transport}: receiving is possible from the first moment`, async (t) => {
    if (transport === 'pipe') {
      const [a, b] = await connected(t, 'pipe')
      const received = a.recvBytes()
      await b.sendBytes(Buffer.from('first'))
      t.is(String(await received), 'first')
      return
    }
    const listener = await listen(t, transport === 'tcp' ? { host: '127.0.0.1', port: 0 } : temporaryAddress(t))
    const client = await dial(t, listener.address)
    const received = client.recvBytes()
    const server = await accept(t, listener)
    await server.sendBytes(Buffer.from('first'))
    t.is(String(await received), 'first')
  })

  // usocket's write returned undefined: a sender could not know that it had to wait.
  test(`${transport}: a sender knows how much waits`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const send = sender.sendBytes(Buffer.alloc(16 << 20))
    t.true(sender.writableLength > 0)
    await receiver.recvBytes()
    await send
    t.is(sender.writableLength, 0)
  })

  // usocket's destroy left `destroyed` false and emitted no 'close', so whoever waited waited for ever.
  test(`${transport}: destroy shows and lets nobody wait`, async (t) => {
    const [connection] = await connected(t, transport)
    const waiting = [codeOf(connection.recvBytes()), codeOf(connection.recvMessage()), codeOf(connection.poll(null))]
    connection.destroy()
    t.true(connection.closed)
    t.deepEqual(await Promise.all(waiting), ['ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED'])
  })

  // unix-dgram gave a stream of EAGAIN errors for a burst of sends.
  test(`${transport}: a burst of sends meets no EAGAIN`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const sends = Promise.all(Array.from({ length: 10_000 }, () => sender.sendBytes(Buffer.alloc(100))))
    for (let count = 0; count < 10_000; count += (await receiver.recvMany()).length);
    await t.notThrowsAsync(sends)
  })
}

// usocket gave 64 descriptors of 100, without an error: it never looked at MSG_CTRUNC.
test('more than 64 descriptors in a message all arrive', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const { fd } = openFile(t)
  for (const count of [64, 65, 100, 253]) {
    await sender.sendBytes(Buffer.from('many'), { fds: Array.from({ length: count }, () => fd) })
    const { fds } = await receiver.recvMessage()
    t.is(fds.length, count)
    fds.forEach((owned) => owned.close())
  }
})

// usocket's received descriptors were inherited by every child.
test('received descriptors are not inherited by children', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const file = openFile(t)
  await sender.sendHandle(file.fd)
  const handle = await receiver.recvHandle()
  t.false((await inheritedInodes(t)).includes(file.inode))
  handle.close()
})

// usocket left 48 descriptors open that had arrived and were never asked for, after both ends were destroyed.
test('destroy closes descriptors that arrived and were never received', async (t) => {
  const leaks = await report<Record<string, number>>(t, 'descriptor-leaks.ts')
  t.is(leaks['destroy with descriptors that nobody received'], 0)
})

// usocket never came back from putting data with descriptors back.
test('a message that was not taken is there for the next receive, with its descriptors, as often as it takes', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const file = openFile(t)
  await sender.sendBytes(Buffer.from('message'), { fds: [file.fd, file.fd] })
  t.true(await receiver.poll(null))
  for (let round = 0; round < 20; round++) {
    t.is(await codeOf(receiver.recvMessage({ signal: AbortSignal.abort() })), 'ABORT_ERR')
  }
  const { data, fds } = await receiver.recvMessage()
  t.is(String(data), 'message')
  t.deepEqual(
    fds.map(({ fd }) => inode(fd)),
    [file.inode, file.inode],
  )
  fds.forEach((fd) => fd.close())
})

// usocket's listen({ path, backlog }) never called back.
test('listen with a path and a backlog resolves', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, { path }, { backlog: 5 })
  t.is(listener.address, path)
})

// usocket ignored descriptor 0, as a falsy one.
test('descriptor 0 is a descriptor like any other', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const child = startFixture(t, 'echo.ts', ['0'], { stdin: theirs.fd })
  theirs.destroy()
  await ours.sendBytes(Buffer.from('by stdin'), { fds: [0] })
  const { data, fds } = await ours.recvMessage()
  t.is(String(data), 'by stdin')
  t.is(fds.length, 1)
  t.is(inode(fds[0]?.fd ?? -1), inode(0))
  fds.forEach((fd) => fd.close())
  await ours.close()
  await child.finish()
})

// usocket did not load in a worker after the main thread had it; the epoll package crashed there.
test('the package works in a worker beside the main thread', async (t) => {
  t.is(await report<string>(t, 'worker-beside-main.ts'), 'answered by the worker')
})

// usocket unlinked whatever was at the path, another server's socket included.
test('listen takes no path from anybody', async (t) => {
  const alive = await listen(t, temporaryAddress(t))
  t.is(await codeOf(Listener.listen(alive.address)), 'EADDRINUSE')
  await dial(t, alive.address)
  await accept(t, alive)
  const { path } = openFile(t)
  writeFileSync(path, 'precious')
  t.is(await codeOf(Listener.listen(path)), 'EADDRINUSE')
  t.is(readFileSync(path, 'utf8'), 'precious')
  t.true(existsSync(String(alive.address)))
})

// node-unix-socket cut a message that was longer than its buffer and said nothing.
test('a message longer than the buffer is an error that carries it whole', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const data = pattern(5000)
  await sender.sendBytes(data)
  const error = await t.throwsAsync(receiver.recvBytesInto(Buffer.alloc(1000)), { code: 'ERR_BUFFER_TOO_SHORT' })
  t.like(error, { data })
})

if (process.platform === 'linux') {
  // node-unix-socket, and Node itself, bind an abstract name padded with NULs: one that no other language reaches.
  test('a Python client reaches an abstract name', async (t) => {
    const name = abstractAddress()
    const listener = await listen(t, name)
    const python = runPython(t, anyPython(), 'echo.py', ['client', 'abstract', name.slice(1)])
    const connection = await accept(t, listener)
    await connection.sendBytes(Buffer.from('reached'))
    t.is(String(await connection.recvBytes()), 'reached')
    await connection.close()
    await python.finish()
  })
}

// node-unix-socket lost message and stack of an error thrown in the handler of its 'data' event.
test('an error of the user keeps its message and stack', async (t) => {
  t.deepEqual(await startFixture(t, 'exits.ts', ['throw']).finish(), [
    'unhandledRejection: thrown by the user, from userCode',
  ])
})

// node-unix-socket panicked when a worker called process.exit() from a callback.
test('process.exit in a receive of a worker ends that worker alone', async (t) => {
  t.deepEqual(await report(t, 'workers.ts', ['exit in a receive', '10']), { ended: 10, leaked: 0, works: true })
})

// systemd/systemd#6603: descriptors were sent again with the rest of a partial write.
test('a message larger than the socket buffer brings its descriptors once', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const file = openFile(t)
  const send = sender.sendBytes(pattern(8 << 20), { fds: [file.fd] })
  t.is((await receiver.recvMessage()).fds.map((fd) => fd.close()).length, 1)
  await send
  await sender.sendBytes(Buffer.from('next'))
  t.is((await receiver.recvMessage()).fds.length, 0)
})

// nodejs/node-v0.x-archive#5455: messages with descriptors were merged with those around them.
test('descriptors of neighbouring messages are not mixed up, however they are read', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const files = openFiles(t, 5)
  const sends: Promise<void>[] = []
  for (const { fd } of files) {
    sends.push(sender.sendBytes(Buffer.from('with'), { fds: [fd] }), sender.sendBytes(Buffer.from('without')))
  }
  await Promise.all(sends)
  const messages = await receiver.recvMany()
  t.deepEqual(
    messages.map(({ fds }) => fds.map(({ fd }) => inode(fd))),
    files.flatMap((file) => [[file.inode], []]),
  )
  messages.forEach(({ fds }) => fds.forEach((fd) => fd.close()))
})
