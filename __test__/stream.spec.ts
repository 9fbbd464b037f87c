import { Duplex, PassThrough, Readable, Writable } from 'node:stream'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { Connection, type ConnectionOptions, EOFError, wait, waitSync } from '../index.ts'
import { badInputs } from './support/bad-input.ts'
import { frame, header, pattern } from './support/bytes.ts'
import { startFixture } from './support/program.ts'
import { pythons, runPython } from './support/python.ts'
import { openFile } from './support/resources.ts'
import { duplexPair, socketPair, streams } from './support/streams.ts'
import { connected } from './support/transports.ts'
import { codeOf, rejection, turns, until, watch } from './support/until.ts'

const sizes = [0, 1, 3, 4, 5, 16384, 16385, 65535, 65536, 1 << 20, (1 << 24) + 1]

function over(t: ExecutionContext, stream: Duplex, options?: ConnectionOptions): Connection {
  const connection = Connection.fromStream(stream, options)
  t.teardown(() => connection.destroy())
  return connection
}

/** A connection over a Duplex whose other end is bare. */
function bare(t: ExecutionContext, options?: ConnectionOptions): { connection: Connection; peer: Duplex } {
  const [ours, peer] = duplexPair(t)
  peer.on('error', () => {}) // what happens to the peer is not what is tested
  return { connection: over(t, ours, options), peer }
}

for (const [name, pair] of streams) {
  const both = async (t: ExecutionContext, options?: ConnectionOptions): Promise<[Connection, Connection]> => {
    const [a, b] = await pair(t)
    return [over(t, a, options), over(t, b, options)]
  }

  test(`${name}: messages of every size arrive whole in both directions`, async (t) => {
    const [a, b] = await both(t)
    for (const size of sizes) {
      const data = pattern(size)
      const [there, back] = await Promise.all([b.recvBytes(), a.recvBytes(), a.sendBytes(data), b.sendBytes(data)])
      t.true(there.equals(data), `${size} bytes`)
      t.true(back.equals(data), `${size} bytes`)
    }
  })

  test(`${name}: every receive and send works as over a descriptor`, async (t) => {
    const [a, b] = await both(t)
    const data = pattern(100_000)
    const target = Buffer.alloc(100_010, 'x')
    const sent = Promise.all([a.sendBytes(data, { offset: 10, size: 99_990 }), a.send({ n: 1 }), a.sendBytes(data)])
    t.is(await b.recvBytesInto(target, { offset: 5 }), 99_990)
    t.true(target.subarray(5, 99_995).equals(data.subarray(10)))
    t.deepEqual(await b.recv(), { n: 1 })
    t.deepEqual(await b.recvMessage(), { data, fds: [] })
    await sent
    await Promise.all(Array.from({ length: 100 }, (_, number) => a.send(number)))
    const many: string[] = []
    while (many.length < 100) many.push(...(await b.recvMany()).map(({ data }) => String(data)))
    t.deepEqual(
      many,
      Array.from({ length: 100 }, (_, number) => String(number)),
    )
  })

  test(`${name}: a loop yields messages until the peer closes, and what was sent before is not lost`, async (t) => {
    const [a, b] = await both(t)
    const sends = Promise.all(Array.from({ length: 200 }, (_, size) => a.sendBytes(pattern(size * 100))))
    const closed = a.close()
    let size = 0
    for await (const { data } of b) if (data.equals(pattern(size * 100))) size++
    t.is(size, 200)
    await sends
    await b.close()
    await closed
    t.true(a.closed)
  })

  test(`${name}: the peer's end between messages is ERR_EOF, each time, and still allows to send`, async (t) => {
    const [a, b] = await pair(t)
    const connection = over(t, a)
    b.end(frame('last'))
    t.is(String(await connection.recvBytes()), 'last')
    for (let turn = 0; turn < 3; turn++) {
      await t.throwsAsync(connection.recvBytes(), { code: 'ERR_EOF', instanceOf: EOFError })
      t.true(await connection.poll())
    }
    t.false(connection.closed)
    t.true(connection.readable)
  })

  test(`${name}: a writer that is faster than the reader is held up`, async (t) => {
    const [a, b] = await both(t)
    const data = pattern(1 << 20)
    const sends = Array.from({ length: 64 }, () => watch(a.sendBytes(data)))
    await turns(200)
    t.false(sends.at(-1)?.settled, 'nothing is read before somebody asks')
    t.true(a.writableLength > 0)
    for (let count = 0; count < 64; count++) t.is((await b.recvBytes()).length, 1 << 20)
    await Promise.all(sends.map(({ promise }) => promise))
    t.is(a.writableLength, 0)
  })

  test(`${name}: poll and wait tell what there is, and take nothing`, async (t) => {
    const [a, b] = await both(t)
    const [c, d] = await connected(t, 'pipe')
    t.false(await b.poll())
    t.deepEqual(await wait([c, b], 0), [])
    const started = performance.now()
    t.false(await b.poll(20))
    t.deepEqual(await wait([c, b], 20), [])
    t.true(performance.now() - started >= 40)
    const waiting = wait([c, b])
    const polled = b.poll(null)
    await Promise.all([a.send('one'), a.send('two')])
    t.deepEqual(await waiting, [b])
    t.true(await polled)
    t.is(await b.recv(), 'one')
    t.deepEqual(await wait([b, c]), [b])
    await d.send('to c')
    t.deepEqual(await wait([c, b]), [c, b])
    t.is(await b.recv(), 'two')
    a.destroy()
    t.true(await b.poll(null))
    t.deepEqual(await wait([b]), [b])
  })

  test(`${name}: an aborted or timed-out receive takes nothing with it`, async (t) => {
    const [a, b] = await both(t)
    const controller = new AbortController()
    const aborted = rejection(b.recvBytes({ signal: controller.signal }))
    const data = pattern(4 << 20)
    const target = Buffer.alloc(4 << 20)
    const timedOut = rejection(b.recvBytesInto(target, { timeout: 1 }))
    const sent = a.sendBytes(data)
    controller.abort('reason')
    t.like(await aborted, { code: 'ABORT_ERR', cause: 'reason' })
    const outcome = await Promise.race([timedOut, sent.then(() => undefined)])
    if (outcome?.code === 'ERR_TIMEOUT') t.true((await b.recvBytes()).equals(data))
    else await timedOut.catch(() => t.true(target.equals(data)))
    await sent
  })

  test(`${name}: descriptors are refused, with nothing on the wire`, async (t) => {
    const [a, b] = await both(t)
    const { fd } = openFile(t)
    const [moved] = await connected(t, 'pipe')
    for (const send of [
      () => a.sendHandle(fd),
      () => a.sendFds([fd]),
      () => a.sendBytes(Buffer.from('with one'), { fds: [fd] }),
      () => a.send('with one', { fds: [fd] }),
      () => a.sendConnection(moved),
    ]) {
      t.is(await codeOf(send()), 'ERR_FDS_UNSUPPORTED', String(send))
    }
    t.false(moved.closed)
    await a.sendBytes(Buffer.from('none'), { fds: [] })
    t.is(String(await b.recvBytes()), 'none')
  })

  test(`${name}: what needs a descriptor, or blocks, is ERR_INVALID_STATE`, async (t) => {
    const [a, b] = await both(t)
    const [way] = await connected(t, 'pipe')
    t.is(a.fd, -1)
    t.is(a.peerCredentials, undefined)
    t.is(a.peer, '')
    for (const call of [
      () => a.fileno(),
      () => a.detach(),
      () => a.recvBytesSync(),
      () => a.recvMessageSync({ timeout: 0 }),
      () => a.recvManySync(),
      () => a.recvSync(),
      () => a.recvBytesIntoSync(Buffer.alloc(1)),
      () => a.sendBytesSync(Buffer.from('no')),
      () => a.sendSync('no'),
      () => a.pollSync(),
      () => a.pollSync(10),
      () => waitSync([a], 0),
      () => waitSync([a], 10),
      () => way.sendConnectionSync(a),
    ]) {
      t.throws(call, { code: 'ERR_INVALID_STATE' }, String(call))
    }
    t.is(await codeOf(way.sendConnection(a)), 'ERR_INVALID_STATE')
    t.false(a.closed)
    await a.send('nothing was sent')
    t.is(await b.recv(), 'nothing was sent')
  })

  test(`${name}: close hands over what was sent and closes the stream; destroy does it at once`, async (t) => {
    const [first, second] = await pair(t)
    const a = over(t, first)
    const b = over(t, second)
    const data = pattern(4 << 20)
    const sends = Promise.all([a.sendBytes(data), a.sendBytes(data)])
    const pending = rejection(a.recvBytes())
    const closed = a.close()
    t.is(a.close(), closed)
    t.true(a.closed)
    t.is((await pending).code, 'ERR_CLOSED')
    t.is(await codeOf(a.sendBytes(data)), 'ERR_CLOSED')
    t.true((await b.recvBytes()).equals(data))
    t.true((await b.recvBytes()).equals(data))
    await sends
    t.is(await codeOf(b.recvBytes()), 'ERR_EOF')
    const waiting = rejection(b.recvBytes({ maxLength: 1 }).then(() => b.recvBytes()))
    b.destroy()
    t.true(['ERR_EOF', 'ERR_CLOSED'].includes((await waiting).code ?? ''))
    await closed
    await until(() => first.destroyed && second.destroyed)
  })
}

for (const { title, bytes, closes, code } of badInputs) {
  test(`${title} is ${code}`, async (t) => {
    const { connection, peer } = bare(t)
    peer.write(frame('good'))
    peer.write(bytes)
    if (closes) peer.end()
    t.is(String(await connection.recvBytes()), 'good')
    await t.throwsAsync(connection.recvBytes(), { code })
    if (code !== 'ERR_EOF') await t.throwsAsync(connection.recvBytes())
    connection.destroy()
    t.true(connection.closed)
  })
}

test("the frames are Python's", async (t) => {
  const { connection, peer } = bare(t)
  await connection.sendBytes(Buffer.from('text'))
  await connection.sendBytes(Buffer.alloc(0))
  t.deepEqual(peer.read(), Buffer.concat([frame('text'), frame('')]))
  for (const byte of frame('one by one')) peer.write(Buffer.of(byte))
  t.is(String(await connection.recvBytes()), 'one by one')
  peer.write(new Uint8Array(frame('an Uint8Array')))
  t.is(String(await connection.recvBytes()), 'an Uint8Array')
})

test('an error of the stream comes behind the messages before it, and is the very error', async (t) => {
  const error = new Error('the line is cut')
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const connection = over(t, stream)
  stream.push(frame('before'))
  t.is(String(await connection.recvBytes()), 'before')
  const pending = rejection(connection.recvBytes())
  stream.destroy(error)
  t.is(await pending, error)
  t.is(await rejection(connection.recvBytes()), error)
  t.true(await connection.poll())
  await connection.close()
})

test('an error of the stream may be frozen', async (t) => {
  const error = Object.freeze(Object.assign(new Error('the line is cut'), { syscall: 'read' }))
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const connection = over(t, stream)
  const pending = rejection(connection.recvBytes())
  stream.destroy(error)
  t.is(await pending, error)
  t.is(await rejection(connection.recvBytes()), error)
})

test('an error of the writing side rejects that send and all behind it', async (t) => {
  const error = new Error('cannot write')
  let writes = 0
  const stream = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      writes++
      setImmediate(() => done(writes === 1 ? null : error))
    },
  })
  const connection = over(t, stream)
  await connection.sendBytes(Buffer.from('first'))
  const sends = [connection.sendBytes(pattern(3 << 20)), connection.sendBytes(Buffer.from('third'))]
  for (const send of sends) t.is(await rejection(send), error)
  t.is(await rejection(connection.recvBytes()), error)
  t.not(await codeOf(connection.sendBytes(Buffer.from('fourth'))), undefined)
  await connection.close()
})

test('a stream destroyed by others ends the connection: sends fail, receives find the end', async (t) => {
  const [stream, peer] = duplexPair(t)
  const connection = over(t, stream)
  const pending = rejection(connection.recvBytes())
  stream.destroy()
  t.is((await pending).code, 'ERR_EOF')
  t.not(await codeOf(connection.sendBytes(Buffer.from('nobody there'))), undefined)
  await connection.close()
  peer.destroy()
})

test('a stream destroyed inside a message is ERR_MESSAGE_TRUNCATED', async (t) => {
  const [stream, peer] = duplexPair(t)
  const connection = over(t, stream)
  peer.write(frame('whole').subarray(0, 6))
  const pending = rejection(connection.recvBytes())
  await turns()
  stream.destroy()
  t.is((await pending).code, 'ERR_MESSAGE_TRUNCATED')
})

test('a reset of the socket below is told', async (t) => {
  const [a, b] = await socketPair(t)
  const connection = over(t, a)
  const pending = rejection(connection.recvBytes())
  b.resetAndDestroy()
  t.is((await pending).code, 'ECONNRESET')
  await connection.close()
})

test('streams in object mode and with an encoding are refused', async (t) => {
  for (const make of [
    () => new PassThrough({ objectMode: true }),
    () => new PassThrough({ readableObjectMode: true }),
    () => new PassThrough({ writableObjectMode: true }),
    () => new PassThrough({ encoding: 'utf8' }),
  ]) {
    t.throws(() => Connection.fromStream(make()), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  await turns(1)
})

test('what is no Duplex is refused', (t) => {
  const none = [null, undefined, 1, 'text', {}, new Readable(), new Writable(), process.stdin.fd]
  for (const bad of none) {
    // @ts-expect-error no Duplex
    t.throws(() => Connection.fromStream(bad), { code: 'ERR_INVALID_ARG_TYPE' }, inspect(bad))
  }
})

test('what the stream had read before is received', async (t) => {
  const [stream, peer] = duplexPair(t)
  peer.write(Buffer.concat([frame('one'), frame('two')]))
  await until(() => stream.readableLength > 0 || stream.read(0) !== null)
  const connection = over(t, stream)
  t.is(String(await connection.recvBytes()), 'one')
  t.is(String(await connection.recvBytes()), 'two')
})

test('a stream that had ended before finds its end', async (t) => {
  const [stream, peer] = duplexPair(t)
  peer.end()
  stream.resume()
  await until(() => stream.readableEnded)
  t.is(await codeOf(over(t, stream).recvBytes()), 'ERR_EOF')
  const [gone] = duplexPair(t)
  gone.destroy()
  await turns()
  t.is(await codeOf(over(t, gone).recvBytes()), 'ERR_EOF')
})

test('limits hold', async (t) => {
  const { connection, peer } = bare(t, { maxMessageSize: 10 })
  peer.write(frame('1234567890'))
  t.is((await connection.recvBytes()).length, 10)
  peer.write(header(11))
  t.is(await codeOf(connection.recvBytes()), 'ERR_MESSAGE_TOO_LARGE')
  t.false(connection.readable)
  await connection.sendBytes(Buffer.from('still there'))
  t.deepEqual(peer.read(), frame('still there'))
})

test('an unclaimed error makes no noise, and an idle connection no event', async (t) => {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const connection = over(t, stream)
  stream.destroy(new Error('nobody asked'))
  await turns()
  t.is((await rejection(connection.recvBytes())).message, 'nobody asked')
})

test('a connection over the input and output of a child', async (t) => {
  const child = startFixture(t, 'stdio-echo.ts')
  const { stdin, stdout } = child.process
  if (stdin === null || stdout === null) throw new Error('There is no pipe')
  const connection = over(t, Duplex.from({ readable: stdout, writable: stdin }))
  for (const size of sizes) {
    const data = pattern(size)
    const [echoed] = await Promise.all([connection.recvBytes(), connection.sendBytes(data)])
    t.true(echoed.equals(data), `${size} bytes`)
  }
  await connection.close()
  const { code } = await child.outcome()
  t.is(code, 0)
})

for (const python of pythons) {
  test(`Python ${python.version}: over its standard input and output`, async (t) => {
    const child = runPython(t, python, 'stdio_echo.py')
    const { stdin, stdout } = child.process
    if (stdin === null || stdout === null) throw new Error('There is no pipe')
    const connection = over(t, Duplex.from({ readable: stdout, writable: stdin }))
    for (const size of sizes) {
      const data = pattern(size)
      const [echoed] = await Promise.all([connection.recvBytes(), connection.sendBytes(data)])
      t.true(echoed.equals(data), `${size} bytes`)
    }
    await connection.close()
    const { code } = await child.outcome()
    t.is(code, 0)
  })
}

test('a connection over a stream is shown without a descriptor', (t) => {
  const { connection } = bare(t)
  t.regex(inspect(connection), /^Connection \{/)
})
