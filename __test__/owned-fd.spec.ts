import { closeSync, openSync, readdirSync, readlinkSync, readSync, writeSync } from 'node:fs'
import { createServer, connect as connectSocket, Server, Socket } from 'node:net'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { OwnedFd, pipe } from '../index.ts'
import { fdPeer } from './support/fd-peer.ts'
import { inheritedInodes, report } from './support/program.ts'
import { readExactly, write } from './support/raw-peer.ts'
import { inode, isOpen, openFile, temporaryAddress, temporaryDirectory, UNUSED_FD } from './support/resources.ts'
import { connected, dial, listen, oneWay } from './support/transports.ts'

function owned(t: ExecutionContext, fd: number): OwnedFd {
  const result = OwnedFd.fromFd(fd)
  t.teardown(() => result.close())
  return result
}

async function listeningServer(t: ExecutionContext): Promise<Server> {
  const server = createServer().listen(temporaryAddress(t))
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return server
}

test('fromFd adopts a number and makes it close-on-exec', (t) => {
  const fd = openSync(openFile(t).path, 'r')
  const adopted = OwnedFd.fromFd(fd)
  t.is(adopted.fd, fd)
  t.false(adopted.inheritable)
  t.is(adopted.name, undefined)
  adopted.close()
  t.false(isOpen(fd))
})

test('close is idempotent and closes the descriptor once', (t) => {
  const { path } = openFile(t)
  const adopted = OwnedFd.fromFd(openSync(path, 'r'))
  const { fd } = adopted
  adopted.close()
  t.is(adopted.fd, -1)
  const reused = openSync(path, 'r')
  t.is(reused, fd, 'the number is free again')
  adopted.close()
  t.true(isOpen(reused))
  closeSync(reused)
})

test('Symbol.dispose closes', (t) => {
  const adopted = OwnedFd.fromFd(openSync('/dev/null', 'r'))
  const { fd } = adopted
  adopted[Symbol.dispose]()
  t.is(adopted.fd, -1)
  t.false(isOpen(fd))
})

test('take hands the number to the caller, still open', (t) => {
  const adopted = OwnedFd.fromFd(openSync('/dev/null', 'r'))
  const { fd } = adopted
  t.is(adopted.take(), fd)
  t.is(adopted.fd, -1)
  adopted.close()
  t.true(isOpen(fd))
  closeSync(fd)
})

test('dup is another descriptor of the same file, close-on-exec', (t) => {
  const file = openFile(t)
  const adopted = owned(t, openSync(file.path, 'r'))
  const copy = adopted.dup()
  t.not(copy.fd, adopted.fd)
  t.is(inode(copy.fd), file.inode)
  t.false(copy.inheritable)
  copy.close()
  t.true(isOpen(adopted.fd))
})

test('OwnedFd.dup copies whatever has a descriptor and leaves it alone', async (t) => {
  const file = openFile(t)
  const server = await listeningServer(t)
  const client = connectSocket(String(server.address()))
  await once(client, 'connect')
  t.teardown(() => void client.destroy())
  const datagram = createSocket('udp4')
  datagram.bind()
  await once(datagram, 'listening')
  t.teardown(() => void datagram.close())
  const [connection] = await connected(t, 'pipe')
  const kinds = [file.fd, file, server, client, datagram, connection].map((fdLike) => {
    const copy = OwnedFd.dup(fdLike)
    const { kind } = copy
    copy.close()
    return kind
  })
  t.deepEqual(kinds, ['file', 'file', 'listener', 'socket', 'socket', 'socket'])
  t.true(isOpen(file.fd))
  t.true(server.listening)
  t.false(connection.closed)
})

test('OwnedFd.dup refuses objects without a descriptor and sockets that were read', async (t) => {
  t.throws(() => OwnedFd.dup(createServer()), { code: 'ERR_INVALID_FD_TYPE' })
  t.throws(() => OwnedFd.dup(new Socket()), { code: 'ERR_INVALID_FD_TYPE' })
  const server = await listeningServer(t)
  server.on('connection', (socket) => socket.end('bytes'))
  const client = connectSocket(String(server.address()))
  await once(client, 'data')
  t.throws(() => OwnedFd.dup(client), { code: 'ERR_INVALID_STATE' })
  client.destroy()
})

test('what is no descriptor is refused', (t) => {
  for (const adopting of [(fd: number) => OwnedFd.fromFd(fd), (fd: number) => OwnedFd.dup(fd)]) {
    t.throws(() => adopting(UNUSED_FD), { code: 'EBADF' })
    t.throws(() => adopting(-1), { code: 'EBADF' })
    t.throws(() => adopting(2 ** 32), { code: 'EBADF' })
    t.throws(() => adopting(NaN), { code: 'ERR_OUT_OF_RANGE' })
    // @ts-expect-error a string is no descriptor
    t.throws(() => adopting('0'), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('a closed OwnedFd does nothing more', (t) => {
  const adopted = OwnedFd.fromFd(openSync('/dev/null', 'r'))
  adopted.close()
  for (const use of [
    () => adopted.take(),
    () => adopted.dup(),
    () => adopted.toConnection(),
    () => adopted.toSocket(),
    () => adopted.toServer(),
    () => adopted.toListener(),
    () => OwnedFd.dup(adopted),
  ]) {
    t.throws(use, { code: 'ERR_CLOSED' }, String(use))
  }
})

test('kind tells files, directories, character devices, pipes, sockets and listeners apart', async (t) => {
  const [reader, writer] = oneWay(t)
  const [connection] = await connected(t, 'tcp')
  const listener = await listen(t, temporaryAddress(t))
  const tcpListener = await listen(t, { host: '127.0.0.1', port: 0 })
  const directory = openSync(temporaryDirectory(t), 'r')
  t.teardown(() => closeSync(directory))
  const device = openSync('/dev/null', 'r')
  t.teardown(() => closeSync(device))
  const expected = [
    [openFile(t).fd, 'file'],
    [directory, 'directory'],
    [device, 'char'],
    [reader, 'pipe'],
    [writer, 'pipe'],
    [connection, 'socket'],
    [listener, 'listener'],
    [tcpListener, 'listener'],
  ] as const
  for (const [fdLike, kind] of expected) {
    const copy = OwnedFd.dup(fdLike)
    t.is(copy.kind, kind)
    copy.close()
  }
})

test('kind knows a tty', async (t) => {
  const { connection, peer } = await fdPeer(t)
  await peer.sendMade(Buffer.of(1), 'tty')
  const tty = await connection.recvHandle()
  t.is(tty.kind, 'tty')
  tty.close()
})

if (process.platform === 'linux') {
  test('kind knows a memfd', async (t) => {
    const { connection, peer } = await fdPeer(t)
    await peer.sendMade(Buffer.of(1), 'memfd')
    const memfd = await connection.recvHandle()
    t.is(memfd.kind, 'memfd')
    memfd.close()
  })

  test('kind knows what has no file behind it', (t) => {
    const anonymous = readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === 'anon_inode:[eventpoll]')
    t.true(anonymous.length > 0, 'Node has an epoll of its own')
    for (const fd of anonymous) {
      const copy = OwnedFd.dup(Number(fd))
      t.is(copy.kind, 'anon')
      copy.close()
    }
  })
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return '' // the directory that is being read
  }
}

test('inheritable decides whether a child gets the descriptor', async (t) => {
  const file = openFile(t)
  const adopted = owned(t, openSync(file.path, 'r'))
  t.false((await inheritedInodes(t)).includes(file.inode))
  adopted.inheritable = true
  t.true(adopted.inheritable)
  t.true((await inheritedInodes(t)).includes(file.inode))
  adopted.inheritable = false
  t.false(adopted.inheritable)
})

test('inspect shows the number and the kind, and that it is closed', (t) => {
  const adopted = OwnedFd.fromFd(openSync('/dev/null', 'r'))
  t.is(inspect(adopted), `OwnedFd { fd: ${adopted.fd}, kind: 'char' }`)
  adopted.close()
  t.regex(inspect(adopted), /^OwnedFd \{.*fd: -1/)
})

test('toSocket makes a net.Socket that reads and writes', async (t) => {
  const [a, b] = await connected(t, 'unix')
  const handle = a.detach()
  const socket = handle.toSocket()
  t.teardown(() => void socket.destroy())
  t.true(socket instanceof Socket)
  t.is(handle.fd, -1)
  await write(socket, Buffer.from([0, 0, 0, 2]), Buffer.from('hi'))
  t.is(String(await b.recvBytes()), 'hi')
  await b.sendBytes(Buffer.from('you'))
  t.is(String((await readExactly(socket, 7)).subarray(4)), 'you')
})

test('toServer makes a net.Server that is already listening', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, path, { unlink: false })
  const handle = OwnedFd.dup(listener)
  await listener.close()
  const server = handle.toServer()
  t.teardown(() => void server.close())
  t.true(server instanceof Server)
  t.true(server.listening)
  t.is(handle.fd, -1)
  server.on('connection', (socket: Socket) => socket.end('served'))
  const client = connectSocket(path)
  t.is(String((await once(client, 'data'))[0]), 'served')
  client.destroy()
})

test('toServer of a TCP listener knows its address', async (t) => {
  const listener = await listen(t, { host: '127.0.0.1', port: 0 })
  const server = OwnedFd.dup(listener).toServer()
  t.teardown(() => void server.close())
  const { host, port } = listener.address as { host: string; port: number }
  t.like(server.address(), { address: host, port })
})

test('toConnection makes a Connection with the options given', async (t) => {
  const [a, b] = await connected(t, 'unix')
  const handle = a.detach()
  const connection = handle.toConnection({ maxMessageSize: 3 })
  t.teardown(() => connection.destroy())
  t.is(handle.fd, -1)
  await b.sendBytes(Buffer.from('yes'))
  t.is(String(await connection.recvBytes()), 'yes')
  await b.sendBytes(Buffer.from('over'))
  await t.throwsAsync(connection.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
})

test('toListener makes a Listener', async (t) => {
  const path = temporaryAddress(t)
  const first = await listen(t, path, { unlink: false })
  const handle = OwnedFd.dup(first)
  await first.close()
  const listener = handle.toListener()
  t.teardown(() => listener.close())
  t.is(handle.fd, -1)
  t.is(listener.address, path)
  const client = await dial(t, path)
  const server = await listener.accept()
  await server.sendBytes(Buffer.from('accepted'))
  t.is(String(await client.recvBytes()), 'accepted')
  server.destroy()
})

test('a descriptor of another kind is refused and stays with its owner', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const [connection] = await connected(t, 'unix')
  const [file, listening, socket] = [openFile(t), listener, connection].map((fdLike) => OwnedFd.dup(fdLike))
  if (file === undefined || listening === undefined || socket === undefined) return t.fail()
  for (const convert of [
    () => file.toSocket(),
    () => file.toServer(),
    () => file.toConnection(),
    () => file.toListener(),
    () => listening.toSocket(),
    () => listening.toConnection(),
    () => socket.toServer(),
    () => socket.toListener(),
  ]) {
    t.throws(convert, { code: 'ERR_INVALID_FD_TYPE' }, String(convert))
  }
  for (const handle of [file, listening, socket]) {
    t.true(isOpen(handle.fd))
    handle.close()
  }
})

test('detach gives the socket of a connection, which goes on under another object', async (t) => {
  const [a, b] = pipe()
  t.teardown(() => b.destroy())
  await a.sendBytes(Buffer.from('before'))
  const handle = a.detach()
  t.true(a.closed)
  t.is(a.fd, -1)
  const connection = handle.toConnection()
  t.teardown(() => connection.destroy())
  await connection.sendBytes(Buffer.from('after'))
  t.is(String(await b.recvBytes()), 'before')
  t.is(String(await b.recvBytes()), 'after')
})

test('a writable file passes through with its offset and mode', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const file = openFile(t, '0123456789')
  readSync(file.fd, Buffer.alloc(4), 0, 4, null)
  await sender.sendHandle(file.fd)
  const handle = await receiver.recvHandle()
  writeSync(handle.fd, 'abc')
  const rest = Buffer.alloc(3)
  readSync(file.fd, rest, 0, 3, null)
  t.is(String(rest), '789', 'both are one open file')
  handle.close()
})

test('an OwnedFd nobody closes is closed with the garbage', async (t) => {
  t.is(await report<number>(t, 'collected.ts', ['OwnedFd'], { nodeOptions: ['--expose-gc'] }), 0)
})
