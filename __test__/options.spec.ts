import { getEventListeners } from 'node:events'
import { existsSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { Connection, connect, type ConnectOptions, Listener, OwnedFd } from '../index.ts'
import { frame, pattern } from './support/bytes.ts'
import { fdPeer } from './support/fd-peer.ts'
import { anyPython, runPython } from './support/python.ts'
import { rawPeer, write } from './support/raw-peer.ts'
import { inode, openFile, temporaryAddress } from './support/resources.ts'
import { accept, connected, dial, listen, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection } from './support/until.ts'

/** Another connection on the same socket. */
function sharing(t: ExecutionContext, connection: Connection, options: ConnectOptions = {}): Connection {
  const other = Connection.fromFd(OwnedFd.dup(connection), options)
  t.teardown(() => other.destroy())
  return other
}

interface SocketOptions {
  readonly noDelay: boolean
  readonly blocking: boolean
}

/** Options of a connection's descriptor, as another process that has it sees them. */
async function socketOptions(t: ExecutionContext, connection: Connection): Promise<SocketOptions> {
  const program = runPython(t, anyPython(), 'socket_options.py', [], { inherit: [connection.fd] })
  return JSON.parse(await program.line())
}

for (const transport of transports) {
  test(`${transport}: readAhead: false reads never past a message, so that two can share a socket`, async (t) => {
    const [sender, receiver] = await connected(t, transport, { readAhead: false })
    const other = sharing(t, receiver, { readAhead: false })
    const messages = [pattern(10), pattern(0), pattern(5), pattern(100_000), pattern(1)]
    const sends = Promise.all([...messages, ...messages].map(async (data) => sender.sendBytes(data)))
    for (const data of messages) {
      t.true((await receiver.recvBytes()).equals(data))
    }
    for (const data of messages) {
      t.true((await other.recvBytes()).equals(data))
    }
    await sends
  })

  test(`${transport}: readAhead: false leaves nothing that keeps detach from working`, async (t) => {
    const [sender, receiver] = await connected(t, transport, { readAhead: false })
    for (const text of ['one', 'two', 'three']) await sender.sendBytes(Buffer.from(text))
    t.is(String(await receiver.recvBytes()), 'one')
    const next = Connection.fromFd(receiver.detach())
    t.teardown(() => next.destroy())
    t.is(String(await next.recvBytes()), 'two')
    t.is(String(await next.recvBytes()), 'three')
  })
}

test('readAhead: false keeps to the byte among handles and messages', async (t) => {
  const { connection, peer } = await fdPeer(t, { readAhead: false })
  const other = sharing(t, connection, { readAhead: false })
  const file = openFile(t)
  for (let round = 0; round < 2; round++) {
    await peer.send(Buffer.of(1), [file])
    await peer.send(frame('message'))
    await peer.send(Buffer.of(2), [file, file])
    await peer.send(frame('plain'))
    await peer.send(frame('last'))
  }
  for (const end of [connection, other]) {
    const { data, fds } = await end.recvMessage()
    t.is(String(data), 'message')
    const handles = await end.recvFds(2)
    const plain = await end.recvMany({ max: 1 })
    t.is(String(plain[0]?.data), 'plain')
    const into = Buffer.alloc(4)
    t.is(await end.recvBytesInto(into), 4)
    t.is(String(into), 'last')
    t.deepEqual(
      [...fds, ...handles].map(({ fd }) => inode(fd)),
      [file.inode, file.inode, file.inode],
    )
    for (const fd of [...fds, ...handles]) fd.close()
  }
})

test('readAhead is true by default: what came together is read together', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  await write(peer, frame('one'), frame('two'))
  t.is(String(await connection.recvBytes()), 'one')
  t.throws(() => connection.detach(), { code: 'ERR_INVALID_STATE' })
})

test('noDelay is true by default on TCP, on both ends, and can be false', async (t) => {
  for (const [options, expected] of [
    [{}, true],
    [{ noDelay: true }, true],
    [{ noDelay: false }, false],
  ] as const) {
    for (const end of await connected(t, 'tcp', options)) t.is((await socketOptions(t, end)).noDelay, expected)
  }
})

test('descriptors stay blocking for everyone they are shared with', async (t) => {
  for (const transport of transports) {
    const [a, b] = await connected(t, transport)
    const data = pattern(4 << 20)
    await Promise.all([a.sendBytes(data), b.recvBytes()]) // both have waited by now
    for (const end of [a, b]) t.true((await socketOptions(t, end)).blocking, transport)
  }
  const [reader, writer] = oneWay(t)
  await Promise.all([reader.recvBytes(), writer.sendBytes(pattern(4 << 20))])
  for (const end of [reader, writer]) t.true((await socketOptions(t, end)).blocking, 'one-way pipe')
})

test('noDelay means nothing where there is no TCP', async (t) => {
  for (const transport of transports.filter((name) => name !== 'tcp')) {
    const [a, b] = await connected(t, transport, { noDelay: true })
    await a.sendBytes(Buffer.from('sent'))
    t.is(String(await b.recvBytes()), 'sent')
  }
})

test('maxMessageSize 0 allows empty messages alone', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe', { maxMessageSize: 0 })
  await sender.sendBytes(Buffer.alloc(0))
  t.is((await receiver.recvBytes()).length, 0)
  await sender.sendBytes(Buffer.from('x'))
  await t.throwsAsync(receiver.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
})

test('a smaller maxLength goes before maxMessageSize, a larger one does not lift it', async (t) => {
  for (const maxLength of [3, 100]) {
    const [sender, receiver] = await connected(t, 'pipe', { maxMessageSize: 10 })
    await sender.sendBytes(Buffer.alloc(maxLength === 3 ? 4 : 11))
    await t.throwsAsync(receiver.recvBytes({ maxLength }), { code: 'ERR_MESSAGE_TOO_LARGE' })
  }
})

test('options are checked before anything is done', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, path)
  const wrong: [object, string][] = [
    [{ timeout: NaN }, 'ERR_OUT_OF_RANGE'],
    [{ timeout: 'soon' }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxMessageSize: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ maxMessageSize: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ maxMessageSize: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ readAhead: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ noDelay: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ acknowledgeFds: 0 }, 'ERR_INVALID_ARG_TYPE'],
  ]
  for (const [options, code] of wrong) {
    await t.throwsAsync(connect(path, options), { code }, JSON.stringify(options))
  }
  // @ts-expect-error options are an object
  await t.throwsAsync(connect(path, 5), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(await codeOf(listener.accept({ timeout: 1 })), 'ERR_TIMEOUT', 'nobody connected')
})

test('options of listen are checked before a socket file is made', async (t) => {
  const path = temporaryAddress(t)
  const wrong: [object, string][] = [
    [{ backlog: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ backlog: 'deep' }, 'ERR_INVALID_ARG_TYPE'],
    [{ mode: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ mode: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ unlink: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ replaceStale: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxMessageSize: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ readAhead: 'no' }, 'ERR_INVALID_ARG_TYPE'],
  ]
  for (const [options, code] of wrong) {
    await t.throwsAsync(Listener.listen(path, options), { code }, JSON.stringify(options))
    t.false(existsSync(path))
  }
  for (const bad of [5, {}, { host: 'localhost', port: 70_000 }, true]) {
    // @ts-expect-error the values are no addresses
    t.regex(String(await codeOf(Listener.listen(bad))), /^ERR_(INVALID_ARG_(TYPE|VALUE)|OUT_OF_RANGE)$/)
  }
})

test('a wrong option of fromFd leaves the descriptor with its owner', async (t) => {
  const [connection] = await connected(t, 'unix')
  const handle = connection.detach()
  t.throws(() => Connection.fromFd(handle, { maxMessageSize: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.true(handle.fd >= 0)
  handle.close()
})

test('waits check signal and timeout, and reject rather than throw', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const [connection] = await connected(t, 'unix')
  const waits: ((options: object) => Promise<unknown>)[] = [
    async (options) => connection.recvBytes(options),
    async (options) => connection.recvMessage(options),
    async (options) => connection.recvMany(options),
    async (options) => connection.recvBytesInto(Buffer.alloc(1), options),
    async (options) => connection.recvHandle(options),
    async (options) => connection.recvFds(1, options),
    async (options) => connection.poll(options),
    async (options) => listener.accept(options),
  ]
  for (const wait of waits) {
    t.is(await codeOf(wait({ timeout: NaN })), 'ERR_OUT_OF_RANGE', String(wait))
    t.is(await codeOf(wait({ timeout: '5' })), 'ERR_INVALID_ARG_TYPE', String(wait))
    t.is(await codeOf(wait({ signal: 'no signal' })), 'ERR_INVALID_ARG_TYPE', String(wait))
  }
})

test('no wait leaves a listener on its signal, whichever way it ends', async (t) => {
  const [sender, receiver] = await connected(t, 'unix')
  const listener = await listen(t, temporaryAddress(t))
  const { signal } = new AbortController()
  const listening = (): number => getEventListeners(signal, 'abort').length
  const waits: [string, (options: object) => Promise<unknown>][] = [
    ['recvBytes', async (options) => receiver.recvBytes(options)],
    ['recvMessage', async (options) => receiver.recvMessage(options)],
    ['recvMany', async (options) => receiver.recvMany(options)],
    ['recvBytesInto', async (options) => receiver.recvBytesInto(Buffer.alloc(9), options)],
    ['poll', async (options) => receiver.poll(options)],
    ['recvHandle', async (options) => receiver.recvHandle(options)],
    ['recvFds', async (options) => receiver.recvFds(3, options)],
  ]
  for (const [name, wait] of waits) {
    await codeOf(wait({ signal, timeout: 0 }))
    await codeOf(wait({ signal, timeout: 2 }))
    t.is(listening(), 0, `${name} after its timeout`)
    const controller = new AbortController()
    const aborted = rejection(wait({ signal: controller.signal, timeout: null }))
    controller.abort()
    t.is((await aborted).code, 'ABORT_ERR')
    t.is(getEventListeners(controller.signal, 'abort').length, 0, `${name} after its abort`)
  }
  for (const [name, wait] of waits.slice(0, 4)) {
    const received = wait({ signal, timeout: null })
    await sender.sendBytes(Buffer.from('message'))
    await received
    t.is(listening(), 0, `${name} after its success`)
  }
  const accepting = listener.accept({ signal })
  const client = await dial(t, listener.address, { signal })
  ;(await accepting).destroy()
  client.destroy()
  t.is(listening(), 0, 'accept and connect after their success')
  const failing = waits.slice(0, 4).map(async ([, wait]) => rejection(wait({ signal, timeout: null })))
  sender.destroy()
  await Promise.all(failing)
  t.is(listening(), 0, 'receives after the end of the stream')
  const pending = rejection(listener.accept({ signal }))
  await listener.close()
  await pending
  t.is(listening(), 0, 'accept after close')
  await rejection(connect(temporaryAddress(t), { signal }))
  t.is(listening(), 0, 'connect after its error')
})

test('an options object may be undefined, and so may each of its fields', async (t) => {
  const listener = await listen(t, temporaryAddress(t), undefined)
  const nothing = { signal: undefined, timeout: undefined }
  const client = await dial(t, listener.address, { maxMessageSize: undefined, ...nothing })
  const server = await accept(t, listener)
  await client.sendBytes(Buffer.from('sent'), undefined)
  await client.sendBytes(Buffer.from('sent'), { offset: undefined, size: undefined, fds: undefined })
  t.is(String(await server.recvBytes(undefined)), 'sent')
  t.is(String(await server.recvBytes({ maxLength: undefined, ...nothing })), 'sent')
})
