import test, { type ExecutionContext } from 'ava'
import type { Connection } from '../index.ts'
import { pipe } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { inode, openFile } from './support/resources.ts'
import { inheritedInodes, startFixture } from './support/program.ts'
import { pythons, runPython } from './support/python.ts'
import { connected, oneWay } from './support/transports.ts'
import { codeOf, rejection } from './support/until.ts'

const sizes = [0, 1, 16384, 16385, 65536, 1 << 20]

interface Inherited {
  readonly inodes: readonly string[]
  readonly messages: readonly number[]
}

/** Gives `end` away to a program that is started with it. */
function given<T>(end: Connection, start: (inherit: readonly number[]) => T): T {
  const started = start([end.fd])
  end.destroy()
  return started
}

function kept(t: ExecutionContext, end: Connection): Connection {
  t.teardown(() => end.destroy())
  return end
}

/** What a child has when it is given one more descriptor: that, its stdio, and nothing of ours. */
function assertNothingElse(t: ExecutionContext, inodes: readonly string[], end: string, ours: readonly string[]): void {
  t.true(inodes.includes(end))
  for (const other of ours) t.false(inodes.includes(other))
}

test('the reader of a one-way pipe cannot send', async (t) => {
  const [reader, writer] = oneWay(t)
  const { fd } = openFile(t)
  const { length } = [
    await t.throwsAsync(reader.sendBytes(Buffer.from('wrong way')), { code: 'ERR_NOT_WRITABLE' }),
    await t.throwsAsync(reader.send('wrong way'), { code: 'ERR_NOT_WRITABLE' }),
    await t.throwsAsync(reader.sendHandle(fd), { code: 'ERR_NOT_WRITABLE' }),
    await t.throwsAsync(reader.sendFds([fd]), { code: 'ERR_NOT_WRITABLE' }),
    await t.throwsAsync(reader.sendConnection(writer), { code: 'ERR_NOT_WRITABLE' }),
    t.throws(() => reader.sendBytesSync(Buffer.from('wrong way')), { code: 'ERR_NOT_WRITABLE' }),
    t.throws(() => reader.sendHandleSync(fd), { code: 'ERR_NOT_WRITABLE' }),
  ]
  t.is(length, 7)
  await writer.sendBytes(Buffer.from('still there'))
  t.is(String(await reader.recvBytes()), 'still there')
})

test('the writer of a one-way pipe cannot receive', async (t) => {
  const [reader, writer] = oneWay(t)
  const receives = [
    () => writer.recvBytes(),
    () => writer.recvBytesInto(Buffer.alloc(1)),
    () => writer.recvMessage(),
    () => writer.recvMany(),
    () => writer.recv(),
    () => writer.recvHandle(),
    () => writer.recvFds(1),
    () => writer.recvConnection(),
    () => writer.poll(),
    () => writer.poll(null),
    () => writer[Symbol.asyncIterator]().next(),
    async () => writer.recvBytesSync(),
    async () => writer.pollSync(null),
  ]
  for (const receive of receives) t.is(await codeOf(receive()), 'ERR_NOT_READABLE', String(receive))
  await writer.sendBytes(Buffer.from('still there'))
  t.is(String(await reader.recvBytes()), 'still there')
})

test('a one-way pipe refuses descriptors with nothing on the wire, and has none to receive', async (t) => {
  const [reader, writer] = oneWay(t)
  const [moved] = await connected(t, 'pipe')
  const { fd } = openFile(t)
  for (const send of [
    () => writer.sendHandle(fd),
    () => writer.sendFds([fd]),
    () => writer.sendBytes(Buffer.from('with one'), { fds: [fd] }),
    () => writer.send('with one', { fds: [fd] }),
    () => writer.sendConnection(moved),
    async () => writer.sendHandleSync(fd),
    async () => writer.sendFdsSync([fd]),
    async () => writer.sendConnectionSync(moved),
  ]) {
    t.is(await codeOf(send()), 'ERR_FDS_UNSUPPORTED', String(send))
  }
  t.false(moved.closed)
  await writer.sendBytes(Buffer.from('clean'))
  t.deepEqual(await reader.recvMessage(), { data: Buffer.from('clean'), fds: [] })
})

test('a one-way pipe tells its writer of a lost reader, and its reader of a lost writer', async (t) => {
  const [reader, writer] = oneWay(t)
  reader.destroy()
  t.is(await codeOf(writer.sendBytes(Buffer.from('lost'))), 'EPIPE')
  t.throws(() => writer.sendBytesSync(Buffer.from('lost')), { code: 'EPIPE' })
  const [second, cut] = oneWay(t)
  const sending = rejection(cut.sendBytes(pattern(1 << 20)))
  await second.poll(null)
  cut.destroy()
  t.is((await sending).code, 'ERR_CLOSED')
  t.is(await codeOf(second.recvBytes()), 'ERR_MESSAGE_TRUNCATED')
})

test('a pipe knows no peer and no credentials, and takes the settings it is given', async (t) => {
  const [reader, writer] = pipe({ duplex: false, maxMessageSize: 4, codec: 'v8' })
  kept(t, reader)
  kept(t, writer)
  for (const end of [reader, writer]) {
    t.is(end.peer, '')
    t.is(end.peerCredentials, undefined)
  }
  await writer.sendBytes(Buffer.from('1234'))
  t.is(String(await reader.recvBytes()), '1234')
  await writer.sendBytes(Buffer.from('12345'))
  t.is(await codeOf(reader.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
  // @ts-expect-error a flag is a boolean
  t.throws(() => pipe({ duplex: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a Node child inherits one end as its descriptor 3 and nothing else', async (t) => {
  const [ours, theirs] = pipe()
  kept(t, ours)
  const expected = [inode(theirs.fd), inode(ours.fd)] as const
  const bystanders = [openFile(t).inode, ...oneWay(t).map((end) => inode(end.fd))]
  const child = given(theirs, (inherit) => startFixture(t, 'inherited.ts', [], { inherit }))
  for (const size of sizes) {
    const data = pattern(size)
    const [reversed] = await Promise.all([ours.recvBytes(), ours.sendBytes(data)])
    t.true(reversed.equals(Buffer.from(data).reverse()), `${size} bytes`)
  }
  await ours.close()
  const { inodes, messages }: Inherited = JSON.parse((await child.finish()).at(-1) ?? '')
  t.deepEqual(messages, sizes)
  assertNothingElse(t, inodes, expected[0], [expected[1], ...bystanders])
})

for (const python of pythons) {
  test(`Python ${python.version}: inherits one end as its Connection(3) and nothing else`, async (t) => {
    const [ours, theirs] = pipe()
    kept(t, ours)
    const expected = [inode(theirs.fd), inode(ours.fd)] as const
    const bystanders = [openFile(t).inode, ...oneWay(t).map((end) => inode(end.fd))]
    const child = given(theirs, (inherit) => runPython(t, python, 'inherits.py', [], { inherit }))
    for (const size of sizes) {
      const data = pattern(size)
      const [reversed] = await Promise.all([ours.recvBytes(), ours.sendBytes(data)])
      t.true(reversed.equals(Buffer.from(data).reverse()), `${size} bytes`)
    }
    await ours.close()
    const { inodes, messages }: Inherited = JSON.parse((await child.finish()).at(-1) ?? '')
    t.deepEqual(messages, sizes)
    assertNothingElse(t, inodes, expected[0], [expected[1], ...bystanders])
  })

  test(`Python ${python.version}: reads a one-way pipe until the parent closes it`, async (t) => {
    const [reader, writer] = pipe({ duplex: false })
    kept(t, writer)
    const child = given(reader, (inherit) => runPython(t, python, 'one_way.py', ['read'], { inherit }))
    for (const size of sizes) await writer.sendBytes(pattern(size))
    await writer.close()
    t.deepEqual(await child.finish(), [...sizes.map(String), 'EOFError'])
  })

  test(`Python ${python.version}: writes a one-way pipe, and its exit is the end of it`, async (t) => {
    const [reader, writer] = pipe({ duplex: false })
    kept(t, reader)
    const child = given(writer, (inherit) => runPython(t, python, 'one_way.py', ['write'], { inherit }))
    const received: number[] = []
    for await (const { data } of reader) received.push(data.length)
    t.deepEqual(received, sizes)
    await child.finish()
    t.is(await codeOf(reader.recvBytes()), 'ERR_EOF')
  })

  test(`Python ${python.version}: a pool worker takes tasks from an inherited pipe and gives results to another`, async (t) => {
    const [taskReader, tasks] = pipe({ duplex: false })
    const [results, resultWriter] = pipe({ duplex: false })
    kept(t, tasks)
    kept(t, results)
    const worker = runPython(t, python, 'pool_worker.py', [], { inherit: [taskReader.fd, resultWriter.fd] })
    taskReader.destroy()
    resultWriter.destroy()
    const numbers = Array.from({ length: 1000 }, (_, number) => number)
    const sent = Promise.all(numbers.map((value) => tasks.send({ id: value, value })))
    for (const id of numbers) t.deepEqual(await results.recv(), { id, result: id * id })
    await sent
    await tasks.send({ id: 100, value: 'not a number' })
    t.like(await results.recv(), { id: 100, error: 'TypeError' })
    await tasks.close()
    await t.throwsAsync(results.recv(), { code: 'ERR_EOF' })
    await worker.finish()
  })
}

test('a one-way pipe is inherited by a Node child, which sees its end when the parent closes', async (t) => {
  const [reader, writer] = pipe({ duplex: false })
  kept(t, writer)
  const child = given(reader, (inherit) => startFixture(t, 'count-messages.ts', ['3'], { inherit }))
  await Promise.all(sizes.map((size) => writer.sendBytes(pattern(size))))
  writer.closeSync()
  t.deepEqual(await child.finish(), [String(sizes.length)])
})

test('what a Node child writes into an inherited pipe ends with the child', async (t) => {
  const [ours, theirs] = pipe()
  kept(t, ours)
  const child = given(theirs, (inherit) => startFixture(t, 'sink.ts', [], { inherit }))
  t.is(String(await ours.recvBytes()), 'ready')
  child.process.kill('SIGKILL')
  await t.throwsAsync(ours.recvBytes(), { code: 'ERR_EOF' })
  t.is(await codeOf(ours.sendBytes(Buffer.from('nobody there'))), 'EPIPE')
})

test('a child that is not given an end has none', async (t) => {
  const ends = [...pipe(), ...pipe({ duplex: false })]
  for (const end of ends) kept(t, end)
  const inherited = await inheritedInodes(t)
  for (const end of ends) t.false(inherited.includes(inode(end.fd)))
})
