import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Connection, type ConnectionOptions, type CustomCodec, pipe } from '../index.ts'
import { frame, pattern } from './support/bytes.ts'
import { fdPeer } from './support/fd-peer.ts'
import { report, startFixture } from './support/program.ts'
import { rawPeer, write } from './support/raw-peer.ts'
import { closedInodes, inode, openFile, openFiles, temporaryAddress, temporaryDirectory } from './support/resources.ts'
import { accept, carryingFds, connected, dial, listen, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

const text: CustomCodec = { encode: (value) => Buffer.from(`<${value}>`), decode: (data) => String(data).slice(1, -1) }

/** A way to a Node process that answers on the connections it is sent, until the way is closed. */
function answerer(t: ExecutionContext, options: ConnectionOptions = {}): Connection {
  const [ours, theirs] = pipe(options)
  t.teardown(() => ours.destroy())
  startFixture(t, 'answers-moved.ts', [], { inherit: [theirs.fd] })
  theirs.destroy()
  return ours
}

/** Both ends of a way between two places in this process, over which `moved` goes. */
async function move(t: ExecutionContext, moved: Connection, options: ConnectionOptions = {}): Promise<Connection> {
  const [a, b] = await connected(t, 'pipe', options)
  const [received] = await Promise.all([b.recvConnection(), a.sendConnection(moved)])
  t.teardown(() => received.destroy())
  return received
}

for (const transport of transports) {
  test(`${transport}: a connection goes on in another Node process`, async (t) => {
    const way = answerer(t)
    const [moved, other] = await connected(t, transport)
    await way.sendConnection(moved)
    t.true(moved.closed)
    t.is(moved.fd, -1)
    for (const size of [0, 1, 16385, 1 << 20]) {
      const data = pattern(size)
      const [reversed] = await Promise.all([other.recvBytes(), other.sendBytes(data)])
      t.true(reversed.equals(Buffer.from(data).reverse()), `${size} bytes`)
    }
    await way.close()
    await t.throwsAsync(other.recvBytes(), { code: 'ERR_EOF' })
  })

  test(`${transport}: what was read ahead goes along`, async (t) => {
    const way = answerer(t)
    const [moved, other] = await connected(t, transport)
    await Promise.all([0, 1, 100, 16385].map((size) => other.sendBytes(pattern(size, size))))
    t.is((await moved.recvBytes()).length, 0)
    t.true(await moved.poll(null))
    await way.sendConnection(moved)
    for (const size of [1, 100, 16385]) t.true((await other.recvBytes()).equals(pattern(size, size).reverse()))
    await way.close()
  })

  test(`${transport}: what is queued leaves first`, async (t) => {
    const [moved, other] = await connected(t, transport)
    const data = pattern(8 << 20)
    const queued = Promise.all([moved.sendBytes(data), moved.sendBytes(data)])
    const received = move(t, moved)
    t.true((await other.recvBytes()).equals(data))
    t.true((await other.recvBytes()).equals(data))
    await queued
    const end = await received
    await end.sendBytes(Buffer.from('behind'))
    t.is(String(await other.recvBytes()), 'behind')
  })

  test(`${transport}: settings that are stricter than the receiver's go along, and so does the peer`, async (t) => {
    const settings = { maxMessageSize: 20, codec: 'v8', readAhead: false, acknowledgeFds: false } as const
    const [moved, other] = await connected(t, transport, settings)
    const { peer } = moved
    const end = await move(t, moved, { codec: 'v8' })
    t.deepEqual(end.peer, peer)
    await other.sendBytes(Buffer.alloc(20))
    t.is((await end.recvBytes()).length, 20)
    await other.send(1n)
    t.is(await end.recv(), 1n)
    await other.sendBytes(Buffer.alloc(21))
    t.is(await codeOf(end.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
  })

  test(`${transport}: what a connection decodes by, and its limit, are the receiver's`, async (t) => {
    // The sender chose both.
    const [moved, other] = await connected(t, transport, { codec: 'v8', maxMessageSize: 1 << 30 })
    const way = await connected(t, 'pipe', { maxMessageSize: 1000 })
    const [end] = await Promise.all([way[1].recvConnection(), way[0].sendConnection(moved)])
    t.teardown(() => end.destroy())
    await end.send({ plain: true })
    t.is(String(await other.recvBytes()), '{"plain":true}')
    await other.sendBytes(Buffer.alloc(1001))
    t.is(await codeOf(end.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
  })

  test(`${transport}: a connection moves on and on, and back`, async (t) => {
    const [first, other] = await connected(t, transport)
    let moved = first
    for (let number = 0; number < 20; number++) {
      await Promise.all([other.send(number), other.send('read ahead')])
      t.is(await moved.recv(), number)
      moved = await move(t, moved)
      t.is(await moved.recv(), 'read ahead')
    }
  })
}

for (const transport of carryingFds) {
  test(`${transport}: connections go among messages and descriptors`, async (t) => {
    const [a, b] = await connected(t, transport)
    const file = openFile(t)
    for (const moving of ['tcp', 'unix', 'pipe'] as const) {
      const [moved, other] = await connected(t, moving)
      await a.send('before')
      await a.sendConnection(moved)
      await a.send('after', { fds: [file.fd] })
      t.is(await b.recv(), 'before')
      const end = await b.recvConnection()
      t.deepEqual(closedInodes((await b.recvMessage()).fds), [file.inode])
      await other.send(moving)
      t.is(await end.recv(), moving)
      end.destroy()
    }
  })

  test(`${transport}: descriptors that were read ahead go along, each with its message`, async (t) => {
    const [moved, other] = await connected(t, transport)
    const files = openFiles(t, 3)
    const fds = files.map(({ fd }) => fd)
    await Promise.all([
      other.send('first'),
      other.send('one', { fds: fds.slice(0, 1) }),
      other.send('none'),
      other.send('two', { fds: fds.slice(1) }),
      other.sendFds(fds),
      other.send('last'),
    ])
    t.is(await moved.recv(), 'first')
    const end = await move(t, moved)
    const messages = [await end.recvMessage(), await end.recvMessage(), await end.recvMessage()]
    t.deepEqual(
      messages.map(({ data }) => String(data)),
      ['"one"', '"none"', '"two"'],
    )
    const expected = files.map(({ inode }) => inode)
    t.deepEqual(
      messages.map(({ fds }) => closedInodes(fds)),
      [expected.slice(0, 1), [], expected.slice(1)],
    )
    t.deepEqual(closedInodes(await end.recvFds(3)), expected)
    t.is(await end.recv(), 'last')
  })
}

test("a codec of one's own becomes that of the receiver", async (t) => {
  const [first, firstOther] = await connected(t, 'pipe', { codec: text })
  const asText = await move(t, first, { codec: text })
  await firstOther.send('value')
  t.is(await asText.recv(), 'value')
  const [second, secondOther] = await connected(t, 'pipe', { codec: text })
  const asJson = await move(t, second)
  await asJson.send('value')
  t.is(String(await secondOther.recvBytes()), '"value"')
})

test('part of a message that was read ahead goes along', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  const bytes = frame(pattern(50_000))
  await write(peer, frame('whole'), bytes.subarray(0, 20_000))
  t.is(String(await connection.recvBytes()), 'whole')
  const end = await move(t, connection)
  await write(peer, bytes.subarray(20_000))
  t.true((await end.recvBytes()).equals(pattern(50_000)))
})

test('a connection with a large message received in part stays, and is usable', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  const [way, far] = await connected(t, 'pipe')
  const data = pattern(4 << 20)
  const bytes = frame(data)
  await write(peer, bytes.subarray(0, 100_000))
  t.is(await codeOf(connection.recvBytes({ timeout: 0 })), 'ERR_TIMEOUT')
  await t.throwsAsync(way.sendConnection(connection), { code: 'ERR_INVALID_STATE' })
  t.throws(() => way.sendConnectionSync(connection), { code: 'ERR_INVALID_STATE' })
  t.false(connection.closed)
  const rest = write(peer, bytes.subarray(100_000))
  t.true((await connection.recvBytes()).equals(data))
  await rest
  const [end] = await Promise.all([far.recvConnection(), way.sendConnection(connection)])
  t.teardown(() => end.destroy())
  await write(peer, frame('after'))
  t.is(String(await end.recvBytes()), 'after')
})

test('a connection on which receives wait stays, and they go on', async (t) => {
  const [way] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  const waiting = moved.recvBytes()
  await t.throwsAsync(way.sendConnection(moved), { code: 'ERR_INVALID_STATE' })
  t.throws(() => way.sendConnectionSync(moved), { code: 'ERR_INVALID_STATE' })
  await other.sendBytes(Buffer.from('received'))
  t.is(String(await waiting), 'received')
})

test('a connection that cannot be sent stays usable, read-ahead included', async (t) => {
  const [moved, other] = await connected(t, 'pipe')
  await Promise.all([other.send(1), other.send(2), other.send(3)])
  t.is(await moved.recv(), 1)
  const [tcp] = await connected(t, 'tcp')
  const [reader, writer] = oneWay(t)
  const [lost, gone] = await connected(t, 'pipe')
  gone.destroy()
  const [closed] = await connected(t, 'pipe')
  closed.destroy()
  for (const [way, code] of [
    [tcp, 'ERR_FDS_UNSUPPORTED'],
    [writer, 'ERR_FDS_UNSUPPORTED'],
    [reader, 'ERR_NOT_WRITABLE'],
    [closed, 'ERR_CLOSED'],
    [lost, 'EPIPE'],
    [moved, 'ERR_INVALID_ARG_VALUE'],
  ] as const) {
    t.is(await codeOf(way.sendConnection(moved)), code)
    t.false(moved.closed, code)
    t.throws(() => way.sendConnectionSync(moved), { code })
    t.false(moved.closed, code)
  }
  t.is(await moved.recv(), 2)
  await moved.send('usable')
  t.is(await other.recv(), 'usable')
  const end = await move(t, moved)
  t.is(await end.recv(), 3)
})

test('what is no open connection is refused', async (t) => {
  const [way] = await connected(t, 'pipe')
  for (const bad of [null, undefined, 3, {}, { fd: 0 }]) {
    // @ts-expect-error no connection
    t.is(await codeOf(way.sendConnection(bad)), 'ERR_INVALID_ARG_TYPE')
  }
  const [moved] = await connected(t, 'pipe')
  await moved.close()
  t.is(await codeOf(way.sendConnection(moved)), 'ERR_CLOSED')
})

test('a connection is moved once', async (t) => {
  const [way, far] = await connected(t, 'pipe')
  const [moved, other] = await connected(t, 'pipe')
  const first = way.sendConnection(moved)
  const second = rejection(way.sendConnection(moved))
  const end = await far.recvConnection()
  t.teardown(() => end.destroy())
  await first
  t.is((await second).code, 'ERR_CLOSED')
  t.is(await codeOf(moved.sendBytes(Buffer.from('gone'))), 'ERR_CLOSED')
  await other.send('there')
  t.is(await end.recv(), 'there')
})

test("a pipe's end moves, and keeps its direction", async (t) => {
  const [reader, writer] = oneWay(t)
  await Promise.all([writer.send(1), writer.send(2)])
  t.is(await reader.recv(), 1)
  const end = await move(t, reader)
  t.deepEqual([end.readable, end.writable], [true, false])
  t.is(await end.recv(), 2)
  const other = await move(t, writer)
  t.deepEqual([other.readable, other.writable], [false, true])
  await other.send(3)
  t.is(await end.recv(), 3)
})

test('a listener moves what it accepts to workers, and clients notice nothing', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const ways = [answerer(t), answerer(t)]
  for (let number = 0; number < 10; number++) {
    const client = await dial(t, listener.address)
    await client.sendBytes(Buffer.from(`client ${number}`))
    await ways[number % 2]?.sendConnection(await listener.accept())
    t.is(String(await client.recvBytes()), `${number} tneilc`)
  }
  for (const way of ways) await way.close()
})

test('a peer address of bytes moves', async (t) => {
  const address = Buffer.from(`\0fdwire-moved-${process.pid}-\xff`, 'latin1')
  if (process.platform !== 'linux') return void t.pass()
  const listener = await listen(t, address)
  const client = await dial(t, address)
  await accept(t, listener)
  t.deepEqual((await move(t, client)).peer, address)
})

test('the descriptor that arrives is the same socket, not inherited by children, and the sender has none', async (t) => {
  const [moved] = await connected(t, 'pipe')
  const expected = inode(moved.fd)
  const end = await move(t, moved)
  t.is(inode(end.fd), expected)
  t.false((await report<string[]>(t, 'inodes.ts')).includes(expected))
})

test('a receive of a connection waits its turn, times out and is aborted without loss', async (t) => {
  const [way, far] = await connected(t, 'pipe')
  t.is(await codeOf(far.recvConnection({ timeout: 1 })), 'ERR_TIMEOUT')
  t.is(await codeOf(far.recvConnection({ signal: AbortSignal.abort() })), 'ABORT_ERR')
  const message = far.recv()
  const waiting = watch(far.recvConnection())
  await turns()
  t.false(waiting.settled)
  const [moved] = await connected(t, 'pipe')
  await way.send('first')
  await way.sendConnection(moved)
  t.is(await message, 'first')
  const end = await waiting.promise
  end.destroy()
})

/** What goes before the bytes read ahead. */
function description(fields: object): Buffer {
  const json = Buffer.from(JSON.stringify(fields))
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(json.length)
  return Buffer.concat([prefix, json])
}

const good = { options: {}, peer: '', tags: [], acknowledgements: 0 }

const hostile: readonly [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['a few bytes', Buffer.from('abc')],
  ['a length without the rest', Buffer.of(0, 0, 1, 0)],
  ['a huge length', Buffer.of(255, 255, 255, 255, 123, 125)],
  ['no JSON', Buffer.concat([Buffer.of(0, 0, 0, 3), Buffer.from('abc')])],
  ['null', description(null as unknown as object)],
  ['an array', description([])],
  ['an object without anything', description({})],
  ['no options', description({ ...good, options: undefined })],
  ['a bad codec', description({ ...good, options: { codec: 'pickle' } })],
  ['a bad limit', description({ ...good, options: { maxMessageSize: -1 } })],
  ['a bad flag', description({ ...good, options: { readAhead: 'yes' } })],
  ['no peer', description({ ...good, peer: undefined })],
  ['a null peer', description({ ...good, peer: null })],
  ['a bad peer', description({ ...good, peer: { host: 1, port: 'a' } })],
  ['bad tags', description({ ...good, tags: 'none' })],
  ['half a tag', description({ ...good, tags: [1, 1] })],
  ['a negative tag', description({ ...good, tags: [-1, 1, 1] })],
  ['a tag of text', description({ ...good, tags: ['0', 1, 1] })],
  ['a tag beyond what was read ahead', description({ ...good, tags: [1000, 1, 1] })],
  ['a tag of more descriptors than came', description({ ...good, tags: [0, 2 ** 32, 1] })],
  ['tags out of order', Buffer.concat([description({ ...good, tags: [1, 0, 1, 0, 0, 1] }), Buffer.from('ab')])],
  ['two tags on a byte', Buffer.concat([description({ ...good, tags: [0, 0, 1, 0, 0, 1] }), Buffer.from('ab')])],
  ['bad acknowledgements', description({ ...good, acknowledgements: -1 })],
  ['endless acknowledgements', description({ ...good, acknowledgements: 2 ** 40 })],
]

for (const [title, message] of hostile) {
  test(`hostile: ${title} is refused, its descriptors closed, and the way stays usable`, async (t) => {
    const { connection, peer } = await fdPeer(t)
    await peer.send(Buffer.of(1), [namedPipe(t)])
    await peer.send(frame(message))
    await t.throwsAsync(connection.recvConnection(), { code: 'ERR_PROTOCOL' })
    await peer.send(frame('still there'))
    t.is(String(await connection.recvBytes()), 'still there')
    await peer.close()
  })
}

test('hostile: a good description without a descriptor, or with one of no stream, is refused', async (t) => {
  const { connection, peer } = await fdPeer(t)
  await peer.send(frame(description(good)))
  await t.throwsAsync(connection.recvConnection(), { code: 'ERR_PROTOCOL' })
  await peer.send(Buffer.of(1), [openFile(t)])
  await peer.send(frame(description(good)))
  await t.throwsAsync(connection.recvConnection(), { code: 'ERR_PROTOCOL' })
  await peer.send(frame('still there'))
  t.is(String(await connection.recvBytes()), 'still there')
})

test('hostile messages leave no descriptor open', async (t) => {
  const leaked = await report<number>(t, 'hostile-moves.ts')
  t.is(leaked, 0)
})

test('moving leaves no descriptor open', async (t) => {
  t.is(await report<number>(t, 'moves.ts', ['200']), 0)
})

test('a socket moved from Node to Node is still one that others can use', async (t) => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  t.teardown(() => void server.close())
  await once(server, 'listening')
  const way = answerer(t)
  const { port } = server.address() as { port: number }
  const [[raw]] = await Promise.all([
    once(server, 'connection') as Promise<[Socket]>,
    dial(t, { host: '127.0.0.1', port }).then(async (moved) => way.sendConnection(moved)),
  ])
  t.teardown(() => void raw.destroy())
  raw.write(frame('abc'))
  const [answer] = (await once(raw, 'data')) as [Buffer]
  t.deepEqual(answer, frame('cba'))
  await way.close()
})

/** A named pipe: something that a program can open by path, and that a connection can be of. */
function namedPipe(t: ExecutionContext): { path: string } {
  const path = join(temporaryDirectory(t), 'pipe')
  execFileSync('mkfifo', [path])
  return { path }
}
