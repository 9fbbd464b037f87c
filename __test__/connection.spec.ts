import { inspect } from 'node:util'
import test from 'ava'
import { Connection, OwnedFd, pipe } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { inheritedInodes, startFixture } from './support/program.ts'
import { anyPython, runPython } from './support/python.ts'
import { abstractAddress, inode, isOpen, openFile, temporaryAddress, UNUSED_FD } from './support/resources.ts'
import { accept, connected, dial, listen, oneWay, transports } from './support/transports.ts'

const sizes = [0, 1, 3, 4, 5, 4096, 16383, 16384, 16385, 65535, 65536, 1 << 20, (1 << 24) + 1]

for (const transport of transports) {
  test(`${transport}: messages of every size arrive whole in both directions`, async (t) => {
    const [client, server] = await connected(t, transport)
    for (const size of sizes) {
      const data = pattern(size)
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        const [received] = await Promise.all([to.recvBytes(), from.sendBytes(data)])
        t.true(received.equals(data), `${size} bytes`)
      }
    }
  })

  test(`${transport}: both directions are used at once`, async (t) => {
    const [client, server] = await connected(t, transport)
    const data = pattern(4 << 20)
    const received = await Promise.all([
      client.recvBytes(),
      server.recvBytes(),
      client.sendBytes(data),
      server.sendBytes(data),
    ])
    t.true(received[0].equals(data))
    t.true(received[1].equals(data))
  })

  test(`${transport}: an open connection is readable, writable and has its descriptor`, async (t) => {
    for (const end of await connected(t, transport)) {
      t.true(end.readable)
      t.true(end.writable)
      t.false(end.closed)
      t.is(end.fileno(), end.fd)
      t.true(isOpen(end.fd))
      t.is(end.writableLength, 0)
    }
  })

  test(`${transport}: poll tells whether there is something to receive and takes nothing`, async (t) => {
    const [client, server] = await connected(t, transport)
    t.false(await server.poll())
    const [ready] = await Promise.all([server.poll(null), client.sendBytes(Buffer.alloc(0))])
    t.true(ready, 'an empty message is one')
    t.true(await server.poll())
    t.is((await server.recvBytes()).length, 0)
    t.false(await server.poll())
    client.destroy()
    t.true(await server.poll({ timeout: Infinity }), 'the end of the stream is something')
    t.true(await server.poll())
  })

  test(`${transport}: what was read ahead counts in poll`, async (t) => {
    const [client, server] = await connected(t, transport)
    await Promise.all(['one', 'two', 'three'].map((text) => client.sendBytes(Buffer.from(text))))
    await server.recvBytes()
    t.true(await server.poll(null))
    await server.recvBytes()
    await server.recvBytes()
    t.false(await server.poll())
  })
}

test('a unix connection knows its peer by path, an accepted one by the empty address', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, path)
  const client = await dial(t, path)
  t.is(client.peer, path)
  t.is((await accept(t, listener)).peer, '')
})

test('a TCP connection knows its peer by host and port', async (t) => {
  const listener = await listen(t, { host: '127.0.0.1', port: 0 })
  const client = await dial(t, listener.address)
  const server = await accept(t, listener)
  t.deepEqual(client.peer, listener.address)
  t.deepEqual(listener.lastAccepted, server.peer)
  t.like(server.peer, { host: '127.0.0.1' })
})

if (process.platform === 'linux') {
  test('a connection to an abstract name knows its peer by the bytes of the name', async (t) => {
    const name = abstractAddress()
    await listen(t, name)
    const client = await dial(t, Buffer.from(name))
    t.deepEqual(client.peer, Buffer.from(name))
  })
}

test('the credentials of a unix peer are those of its process', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const client = await dial(t, listener.address)
  const ours = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() }
  t.like({ ...client.peerCredentials }, ours)
  t.like({ ...(await accept(t, listener)).peerCredentials }, ours)
})

test('there are no peer credentials on TCP and on one-way pipes', async (t) => {
  for (const end of [...(await connected(t, 'tcp')), ...oneWay(t)]) t.is(end.peerCredentials, undefined)
})

test('a one-way pipe is a reader and a writer', async (t) => {
  const [reader, writer] = oneWay(t)
  t.deepEqual([reader.readable, reader.writable], [true, false])
  t.deepEqual([writer.readable, writer.writable], [false, true])
  for (const size of sizes) {
    const data = pattern(size)
    const [received] = await Promise.all([reader.recvBytes(), writer.sendBytes(data)])
    t.true(received.equals(data), `${size} bytes`)
  }
  await t.throwsAsync(reader.sendBytes(Buffer.from('wrong way')), { code: 'ERR_NOT_WRITABLE' })
  await t.throwsAsync(writer.recvBytes(), { code: 'ERR_NOT_READABLE' })
  await t.throwsAsync(writer.recvMessage(), { code: 'ERR_NOT_READABLE' })
  await t.throwsAsync(writer.poll(), { code: 'ERR_NOT_READABLE' })
  await writer.close()
  await t.throwsAsync(reader.recvBytes(), { code: 'ERR_EOF' })
})

test('fromFd adopts a number or an OwnedFd', async (t) => {
  const [a, b] = pipe()
  const adopted = a.detach()
  const first = Connection.fromFd(adopted)
  t.teardown(() => first.destroy())
  t.is(adopted.fd, -1)
  const second = Connection.fromFd(b.detach().take())
  t.teardown(() => second.destroy())
  await first.sendBytes(Buffer.from('adopted'))
  t.is(String(await second.recvBytes()), 'adopted')
})

test('fromFd knows the direction of a pipe', async (t) => {
  const [reader, writer] = pipe({ duplex: false }).map((end) => Connection.fromFd(end.detach()))
  t.teardown(() => reader?.destroy())
  t.teardown(() => writer?.destroy())
  t.deepEqual([reader?.readable, reader?.writable], [true, false])
  t.deepEqual([writer?.readable, writer?.writable], [false, true])
})

test('fromFd refuses what is no stream and leaves it with its owner', async (t) => {
  const file = openFile(t)
  const listener = await listen(t, temporaryAddress(t))
  for (const fd of [file.fd, listener.fd]) {
    t.throws(() => Connection.fromFd(fd), { code: 'ERR_INVALID_FD_TYPE' })
    t.true(isOpen(fd))
  }
  const owned = OwnedFd.dup(file.fd)
  t.throws(() => Connection.fromFd(owned), { code: 'ERR_INVALID_FD_TYPE' })
  t.true(isOpen(owned.fd))
  owned.close()
})

test('fromFd refuses numbers that are no open descriptors', (t) => {
  t.throws(() => Connection.fromFd(UNUSED_FD), { code: 'EBADF' })
  t.throws(() => Connection.fromFd(-1), { code: 'EBADF' })
  t.throws(() => Connection.fromFd(1.5), { code: 'ERR_OUT_OF_RANGE' })
  // @ts-expect-error a string is no descriptor
  t.throws(() => Connection.fromFd('3'), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('an end of pipe() is inherited by a Python child as its Connection(3)', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const child = runPython(t, anyPython(), 'inherited.py', [], { inherit: [theirs.fd] })
  theirs.destroy()
  const data = pattern(1 << 20)
  await ours.sendBytes(data)
  t.true((await ours.recvBytes()).equals(Buffer.from(data).reverse()))
  await child.finish()
  await t.throwsAsync(ours.recvBytes(), { code: 'ERR_EOF' })
})

test('an end of pipe() is inherited by a Node child as Connection.fromFd(3)', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const child = startFixture(t, 'echo.ts', ['3'], { inherit: [theirs.fd] })
  theirs.destroy()
  const data = pattern(1 << 20)
  await ours.sendBytes(data)
  t.true((await ours.recvBytes()).equals(data))
  await ours.close()
  await child.finish()
})

test('a child that inherits one end of a one-way pipe sees its end of file', async (t) => {
  const [reader, writer] = pipe({ duplex: false })
  t.teardown(() => writer.destroy())
  const child = startFixture(t, 'count-messages.ts', ['3'], { inherit: [reader.fd] })
  reader.destroy()
  for (let index = 0; index < 100; index++) await writer.sendBytes(pattern(index))
  await writer.close()
  t.deepEqual(await child.finish(), ['100'])
})

test('the descriptors of connections are not inherited by children', async (t) => {
  const ends = [...(await connected(t, 'unix')), ...(await connected(t, 'tcp')), ...oneWay(t)]
  const inherited = await inheritedInodes(t)
  for (const end of ends) t.false(inherited.includes(inode(end.fd)))
})

test('a connection is shown with its descriptor and state', async (t) => {
  const [end] = await connected(t, 'pipe')
  t.regex(inspect(end), new RegExp(`^Connection \\{.*fd: ${end.fd}\\b`, 's'))
  end.destroy()
  t.regex(inspect(end), /^Connection \{.*closed/s)
})
