import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import ava, { type ExecutionContext } from 'ava'
import { BufferTooShort, Connection, EOFError, OwnedFd, pipe, TimeoutError } from '../index.ts'
import { frame, header, pattern } from './support/bytes.ts'
import { closedInodes, openFile, temporaryAddress } from './support/resources.ts'
import { fdPeer } from './support/fd-peer.ts'
import { report, startFixture } from './support/program.ts'
import { anyPython, pythons, runPython } from './support/python.ts'
import { rawPeer, rawTransports, readExactly, write } from './support/raw-peer.ts'
import { accept, carryingFds, connected, listen, oneWay, transports } from './support/transports.ts'
import { codeOf, turns, watch } from './support/until.ts'

// One after the other: a call that blocks keeps every test here from turning the loop.
const test = ava.serial

const sizes = [0, 1, 3, 4, 5, 16384, 16385, 65536]
const LARGE = 8 << 20
const CLOG = 8 << 20

/** Every call that waits for something to receive. */
const receives: readonly [string, (connection: Connection, timeout?: number | null) => unknown][] = [
  ['recvBytesSync', (connection, timeout) => connection.recvBytesSync({ timeout })],
  ['recvBytesIntoSync', (connection, timeout) => connection.recvBytesIntoSync(Buffer.alloc(100), { timeout })],
  ['recvMessageSync', (connection, timeout) => connection.recvMessageSync({ timeout })],
  ['recvManySync', (connection, timeout) => connection.recvManySync({ timeout })],
  ['recvSync', (connection, timeout) => connection.recvSync({ timeout })],
  ['recvHandleSync', (connection, timeout) => connection.recvHandleSync({ timeout })],
  ['recvFdsSync', (connection, timeout) => connection.recvFdsSync(1, { timeout })],
  ['recvConnectionSync', (connection, timeout) => connection.recvConnectionSync({ timeout })],
]

function codeOfSync(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

/** More than the kernel holds of a connection's output, on TCP too, where its buffers grow. */
function clog(connection: Connection): Promise<void>[] {
  const data = pattern(CLOG)
  return [1, 2, 3, 4].map(() => connection.sendBytes(data))
}

for (const transport of transports) {
  test(`${transport}: messages of every size go to and fro`, async (t) => {
    const [a, b] = await connected(t, transport)
    for (const size of sizes) {
      const data = pattern(size)
      a.sendBytesSync(data)
      t.true(b.recvBytesSync().equals(data), `${size} bytes`)
      b.sendBytesSync(data)
      t.true(a.recvMessageSync().data.equals(data), `${size} bytes`)
      a.sendBytesSync(data, { offset: 0, size })
      const target = Buffer.alloc(size + 10, 'x')
      t.is(b.recvBytesIntoSync(target, { offset: 5 }), size)
      t.true(target.subarray(5, 5 + size).equals(data))
      t.is(String(target.subarray(5 + size)), 'xxxxx')
    }
  })

  test(`${transport}: large messages are received as they come`, async (t) => {
    const [a, b] = await connected(t, transport)
    const data = pattern(LARGE)
    // The rest of it leaves whenever the loop turns, which a receive that blocks keeps it from: only what is there.
    const sent = Promise.all([a.sendBytes(data), a.sendBytes(data), a.sendBytes(data)])
    const [first] = await Promise.all([b.recvBytes(), turns()])
    t.true(first.equals(data))
    const rest = [await b.recvBytes(), await b.recvBytes()]
    await sent
    t.true(rest.every((message) => message.equals(data)))
    t.is(
      codeOfSync(() => b.recvBytesSync({ timeout: 0 })),
      'ERR_TIMEOUT',
    )
  })

  test(`${transport}: values go through the codec`, async (t) => {
    const [a, b] = await connected(t, transport)
    a.sendSync({ deep: [1, 2, { three: 3 }] })
    t.deepEqual(b.recvSync(), { deep: [1, 2, { three: 3 }] })
  })

  test(`${transport}: recvManySync gives what has arrived, and waits for the first only`, async (t) => {
    const [a, b] = await connected(t, transport)
    for (let size = 0; size < 100; size++) a.sendBytesSync(pattern(size))
    const received: Buffer[] = []
    while (received.length < 100) {
      const messages = b.recvManySync({ max: 30 })
      t.true(messages.length >= 1 && messages.length <= 30)
      received.push(...messages.map(({ data }) => data))
    }
    t.true(received.every((data, size) => data.equals(pattern(size))))
    t.is(
      codeOfSync(() => b.recvManySync({ timeout: 0 })),
      'ERR_TIMEOUT',
    )
  })

  test(`${transport}: what was read ahead is shared by both sides`, async (t) => {
    const [a, b] = await connected(t, transport)
    for (let size = 0; size < 20; size++) a.sendBytesSync(pattern(size))
    for (let size = 0; size < 20; size += 2) {
      t.true((await b.recvBytes()).equals(pattern(size)))
      t.true(b.pollSync())
      t.true(b.recvBytesSync().equals(pattern(size + 1)))
    }
    t.false(b.pollSync())
    t.false(await b.poll())
  })

  for (const [name, receive] of receives) {
    test(`${name}, ${transport}: gives up when the time is over, never early, and takes nothing`, async (t) => {
      const [a, b] = await connected(t, transport)
      for (const timeout of [0, 20, 19.5]) {
        const started = performance.now()
        const error = t.throws(() => receive(b, timeout), { code: 'ERR_TIMEOUT', instanceOf: TimeoutError })
        t.is(error?.name, 'TimeoutError')
        t.true(performance.now() - started >= timeout)
      }
      t.throws(() => receive(b, -1), { code: 'ERR_TIMEOUT' })
      t.throws(() => receive(b, NaN), { code: 'ERR_OUT_OF_RANGE' })
      a.sendBytesSync(Buffer.from('kept'))
      t.is(String(b.recvBytesSync({ timeout: null })), 'kept')
    })

    test(`${name}, ${transport}: tells the peer's end, each time`, async (t) => {
      const [a, b] = await connected(t, transport)
      a.closeSync()
      for (let turn = 0; turn < 3; turn++) t.throws(() => receive(b), { code: 'ERR_EOF', instanceOf: EOFError })
      t.true(b.pollSync())
      t.is(await codeOf(b.recvBytes()), 'ERR_EOF')
    })

    test(`${name}, ${transport}: is refused beside a receive that waits, which is not disturbed`, async (t) => {
      const [a, b] = await connected(t, transport)
      const waiting = b.recvBytes()
      t.throws(() => receive(b, 0), { code: 'ERR_INVALID_STATE' })
      t.throws(() => receive(b), { code: 'ERR_INVALID_STATE' })
      a.sendBytesSync(Buffer.from('for the first'))
      t.is(String(await waiting), 'for the first')
      t.throws(() => receive(b, 0), { code: 'ERR_TIMEOUT' })
    })
  }

  test(`${transport}: a send goes behind what is queued, and what was queued is resolved by it`, async (t) => {
    const [a, b] = await connected(t, transport)
    const queued = clog(a).map(watch)
    const received = startReceiver(t, b)
    a.sendBytesSync(Buffer.from('last'))
    t.is(a.writableLength, 0)
    await Promise.all(queued.map(({ promise }) => promise))
    a.closeSync()
    const lengths = await received
    t.deepEqual(lengths, [...queued.map(() => CLOG), 4])
  })

  test(`${transport}: a send that timed out was not early, stays queued and leaves later`, async (t) => {
    const [a, b] = await connected(t, transport)
    const queued = clog(a)
    const started = performance.now()
    t.throws(() => a.sendBytesSync(Buffer.from('late'), { timeout: 20 }), {
      code: 'ERR_TIMEOUT',
      instanceOf: TimeoutError,
    })
    t.true(performance.now() - started >= 20)
    t.throws(() => a.sendSync('later', { timeout: 0 }), { code: 'ERR_TIMEOUT' })
    t.true(a.writableLength > 0)
    for (let index = 0; index < queued.length; index++) t.is((await b.recvBytes()).length, CLOG)
    t.is(String(await b.recvBytes()), 'late')
    t.is(String(await b.recvBytes()), '"later"')
    await Promise.all(queued)
  })

  test(`${transport}: a send to a lost peer fails, and fails what was queued before it`, async (t) => {
    const [a, b] = await connected(t, transport)
    const queued = clog(a)
    b.destroy()
    const error = t.throws(() => {
      for (;;) a.sendBytesSync(Buffer.from('lost'))
    })
    t.true(['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? ''))
    t.true(['EPIPE', 'ECONNRESET'].includes((await codeOf(queued.at(-1) as Promise<void>)) ?? ''))
    await Promise.allSettled(queued)
  })

  test(`${transport}: pollSync tells what there is, waits as long as it may, and takes nothing`, async (t) => {
    const [a, b] = await connected(t, transport)
    t.false(b.pollSync())
    t.false(b.pollSync(-1))
    const started = performance.now()
    t.false(b.pollSync(30))
    t.false(b.pollSync({ timeout: 30 }))
    t.true(performance.now() - started >= 60)
    a.sendBytesSync(Buffer.alloc(0))
    for (const timeout of [null, Infinity, 0, undefined, 3_600_000, { timeout: 1 }]) {
      if (timeout === 0 || timeout === undefined) t.true(b.pollSync(null))
      t.true(b.pollSync(timeout))
    }
    t.is(b.recvBytesSync().length, 0)
    t.throws(() => b.pollSync(NaN), { code: 'ERR_OUT_OF_RANGE' })
    a.destroy()
    t.true(b.pollSync(null))
  })

  test(`${transport}: closeSync hands over what was queued, and is idempotent`, async (t) => {
    const [a, b] = await connected(t, transport)
    const queued = clog(a)
    const received = startReceiver(t, b)
    a.closeSync()
    t.true(a.closed)
    a.closeSync()
    await a.close()
    await Promise.all(queued)
    t.deepEqual(
      await received,
      queued.map(() => CLOG),
    )
    t.throws(() => a.sendBytesSync(Buffer.alloc(1)), { code: 'ERR_CLOSED' })
    t.throws(() => a.recvBytesSync(), { code: 'ERR_CLOSED' })
    t.throws(() => a.pollSync(), { code: 'ERR_CLOSED' })
  })

  test(`${transport}: closeSync gives up in time, and does not mind a lost peer`, async (t) => {
    const [a] = await connected(t, transport)
    const queued = clog(a)
    const started = performance.now()
    t.throws(() => a.closeSync({ timeout: 20 }), { code: 'ERR_TIMEOUT' })
    t.true(performance.now() - started >= 20)
    t.true(a.closed)
    t.is(await codeOf(queued.at(-1) as Promise<void>), 'ERR_CLOSED')
    await Promise.allSettled(queued)

    const [c, d] = await connected(t, transport)
    const more = clog(c)
    d.destroy()
    c.closeSync()
    t.true(c.closed)
    await Promise.allSettled(more)
  })

  test(`${transport}: a message over maxLength ends receiving`, async (t) => {
    const [a, b] = await connected(t, transport)
    a.sendBytesSync(Buffer.from('12345'))
    t.throws(() => b.recvBytesSync({ maxLength: 4 }), { code: 'ERR_MESSAGE_TOO_LARGE' })
    t.throws(() => b.recvBytesSync(), { code: 'ERR_NOT_READABLE' })
    t.throws(() => b.pollSync(), { code: 'ERR_NOT_READABLE' })
    b.sendBytesSync(Buffer.from('still there'))
    t.is(String(a.recvBytesSync()), 'still there')
  })

  test(`${transport}: a message too long for the buffer comes with the error, and the next is intact`, async (t) => {
    const [a, b] = await connected(t, transport)
    a.sendBytesSync(Buffer.from('too long'))
    a.sendBytesSync(Buffer.from('next'))
    const target = Buffer.alloc(8, 'x')
    const error = t.throws(() => b.recvBytesIntoSync(target, { offset: 1 }), { instanceOf: BufferTooShort })
    t.is(String(error?.data), 'too long')
    t.is(String(target), 'xxxxxxxx')
    t.is(String(b.recvBytesSync()), 'next')
  })
}

for (const transport of carryingFds) {
  test(`${transport}: descriptors go with messages and alone`, async (t) => {
    const [a, b] = await connected(t, transport)
    const file = openFile(t)
    a.sendBytesSync(Buffer.from('with two'), { fds: [file.fd, file] })
    const { data, fds } = b.recvMessageSync()
    t.is(String(data), 'with two')
    t.deepEqual(closedInodes(fds), [file.inode, file.inode])
    a.sendHandleSync(file.fd)
    t.deepEqual(closedInodes([b.recvHandleSync()]), [file.inode])
    a.sendFdsSync(Array.from({ length: 253 }, () => file.fd))
    t.is(closedInodes(b.recvFdsSync(253)).length, 253)
    a.sendSync('value', { fds: [file.fd] })
    const [message] = b.recvManySync()
    t.deepEqual(closedInodes(message?.fds ?? []), [file.inode])
  })

  test(`${transport}: bad descriptors are refused with nothing sent`, async (t) => {
    const [a, b] = await connected(t, transport)
    const file = openFile(t)
    t.throws(() => a.sendFdsSync([]), { code: 'ERR_OUT_OF_RANGE' })
    t.throws(() => a.sendFdsSync([file.fd, -1]), { code: 'EBADF' })
    t.throws(() => a.sendHandleSync(-1), { code: 'EBADF' })
    t.throws(() => a.sendFdsSync(Array.from({ length: 254 }, () => file.fd)), { code: 'EINVAL' })
    a.sendFdsSync([file.fd, file.fd])
    t.throws(() => b.recvHandleSync(), { code: 'ERR_FDS_COUNT', any: true })
    a.sendBytesSync(Buffer.from('no descriptor'))
    t.is(String(b.recvBytesSync()), 'no descriptor')
    t.throws(() => b.recvFdsSync(0), { code: 'ERR_OUT_OF_RANGE' })
  })

  test(`${transport}: a connection is moved`, async (t) => {
    const [a, b] = await connected(t, transport, { codec: 'v8' })
    const [moved, other] = await connected(t, 'unix', { codec: 'v8' })
    a.sendConnectionSync(moved)
    t.true(moved.closed)
    const received = b.recvConnectionSync()
    t.teardown(() => received.destroy())
    other.sendSync(new Map([[1, 2]]))
    t.deepEqual(received.recvSync(), new Map([[1, 2]]))
    t.throws(() => a.sendConnectionSync(a), { code: 'ERR_INVALID_ARG_VALUE' })
    // @ts-expect-error a number is no connection
    t.throws(() => a.sendConnectionSync(1), { code: 'ERR_INVALID_ARG_TYPE' })
  })
}

for (const transport of rawTransports) {
  test(`${transport}: a receive that timed out inside a message leaves all of it for the next, of either kind`, async (t) => {
    for (const size of [100, LARGE]) {
      const { connection, peer } = await rawPeer(t, transport)
      const data = pattern(size)
      const bytes = frame(data)
      const some = Math.min(size >> 2, 50_000) // what the kernel holds if need be
      for (const [from, to] of [
        [0, 2],
        [2, 4],
        [4, some],
      ] as const) {
        await write(peer, bytes.subarray(from, to))
        t.is(
          codeOfSync(() => connection.recvBytesIntoSync(Buffer.alloc(size), { timeout: 1 })),
          'ERR_TIMEOUT',
        )
        t.is(await codeOf(connection.recvBytes({ timeout: 5 })), 'ERR_TIMEOUT')
      }
      const written = write(peer, bytes.subarray(some))
      t.true((await connection.recvBytes()).equals(data))
      await written
      await write(peer, frame('next'))
      t.is(String(connection.recvBytesSync()), 'next')
    }
  })

  test(`${transport}: what a peer does wrong is told`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    await write(peer, frame('good'), header(-5))
    t.is(String(connection.recvBytesSync()), 'good')
    t.throws(() => connection.recvBytesSync(), { code: 'ERR_PROTOCOL' })
    const other = await rawPeer(t, transport)
    other.peer.end(frame('cut').subarray(0, 6))
    await once(other.peer, 'finish')
    t.throws(() => other.connection.recvBytesSync(), { code: 'ERR_MESSAGE_TRUNCATED' })
  })
}

for (const python of pythons) {
  test(`Python ${python.version}: answers to blocking calls, large messages included`, async (t) => {
    const listener = await listen(t, temporaryAddress(t))
    const program = runPython(t, python, 'echo.py', ['client', 'unix', String(listener.address)])
    const connection = await accept(t, listener)
    for (const size of [...sizes, 1 << 20, LARGE]) {
      const data = pattern(size)
      connection.sendBytesSync(data)
      const target = Buffer.alloc(size)
      if (size % 2 === 0) t.is(connection.recvBytesIntoSync(target), size)
      t.true((size % 2 === 0 ? target : connection.recvBytesSync()).equals(data), `${size} bytes`)
    }
    connection.closeSync()
    await program.finish()
  })
}

test('pollSync finds what came after a receive that found nothing', async (t) => {
  for (const receive of [
    (connection: Connection) => codeOfSync(() => connection.recvBytesSync({ timeout: 0 })),
    (connection: Connection) => codeOf(connection.recvBytes({ timeout: 0 })),
  ]) {
    const [ours, theirs] = await connected(t, 'unix')
    t.is(await receive(ours), 'ERR_TIMEOUT')
    theirs.sendBytesSync(Buffer.from('late'))
    t.true(ours.pollSync())
  }
})

test('a blocking receive is woken by what another process sends, and by its end', async (t) => {
  const { connection, peer } = await fdPeer(t)
  // The command is on its way when the loop stops to turn.
  const sent = peer.send(frame('from outside'))
  t.is(String(connection.recvBytesSync()), 'from outside')
  await sent
  const shut = peer.shutdown()
  t.throws(() => connection.recvBytesSync(), { code: 'ERR_EOF' })
  await shut
})

test('a deadline is kept under a stream of signals, and nothing is cut short or lost by one', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'sync-under-signals.ts', [], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'ready')
  const shooter = spawn(
    'sh',
    ['-c', 'while kill -USR1 "$1" && kill -WINCH "$1"; do :; done', 'sh', String(program.pid)],
    {
      stdio: 'ignore',
    },
  )
  t.teardown(() => void shooter.kill('SIGKILL'))
  t.is(await program.line(), 'all waits were long enough')
  const data = pattern(LARGE)
  const [echoed] = await Promise.all([ours.recvBytes(), ours.sendBytes(data)])
  t.true(echoed.equals(data))
  await ours.close()
  t.deepEqual(await program.finish(), ['signals came'])
})

test('a call that blocks uses no processor', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const used = await report<Record<string, number>>(t, 'sync-idle.ts', [], { inherit: [theirs.fd] })
  for (const [call, milliseconds] of Object.entries(used))
    t.true(milliseconds < 150, `${call}: ${milliseconds} ms of 300`)
  t.true(Object.keys(used).length >= 10)
})

test('two workers talk to each other with blocking calls', async (t) => {
  t.deepEqual(await report(t, 'sync-workers.ts'), { rounds: 1000, large: LARGE, descriptors: 10 })
})

test('a descriptor that is non-blocking is no different', async (t) => {
  const python = runPython(t, anyPython(), 'nonblocking_echo.py', [], {})
  const path = await python.line()
  const socket = new Socket().connect(path) // libuv makes it non-blocking
  await new Promise((resolve) => socket.once('connect', resolve))
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  const connection = Connection.fromFd(OwnedFd.dup(fd))
  t.teardown(() => connection.destroy())
  socket.destroy()
  t.throws(() => connection.recvBytesSync({ timeout: 20 }), { code: 'ERR_TIMEOUT' })
  for (const size of [5, LARGE]) {
    const data = pattern(size)
    connection.sendBytesSync(data)
    t.true(connection.recvBytesSync().equals(data))
  }
  connection.closeSync()
  await python.finish()
})

test('a bad timeout, maxLength or offset is refused', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  // @ts-expect-error a text is no time
  t.throws(() => b.recvBytesSync({ timeout: '1' }), { code: 'ERR_INVALID_ARG_TYPE' })
  // @ts-expect-error a number is no object
  t.throws(() => b.recvBytesSync(1), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => b.recvBytesSync({ maxLength: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => b.recvBytesIntoSync(Buffer.alloc(1), { offset: 2 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => a.sendBytesSync(Buffer.alloc(1), { offset: 2 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => a.sendBytesSync(Buffer.alloc(1), { timeout: NaN }), { code: 'ERR_OUT_OF_RANGE' })
  // @ts-expect-error a text is no bytes
  t.throws(() => a.sendBytesSync('text'), { code: 'ERR_INVALID_ARG_TYPE' })
  t.false(b.pollSync(), 'nothing was sent')
})

test('blocking calls on a one-way pipe', async (t) => {
  const [reader, writer] = oneWay(t)
  for (const size of sizes.slice(0, -1)) {
    writer.sendBytesSync(pattern(size))
    t.true(reader.recvBytesSync().equals(pattern(size)))
  }
  t.throws(() => writer.sendBytesSync(pattern(LARGE), { timeout: 20 }), { code: 'ERR_TIMEOUT' })
  t.true((await reader.recvBytes()).equals(pattern(LARGE)))
  t.throws(() => reader.recvBytesSync({ timeout: 20 }), { code: 'ERR_TIMEOUT' })
  writer.closeSync()
  t.throws(() => reader.recvBytesSync(), { code: 'ERR_EOF' })
})

test('what was written by blocking calls is on the wire when they return', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  void connection.sendBytes(Buffer.from('one'))
  void connection.sendBytes(Buffer.from('two'))
  connection.sendBytesSync(Buffer.from('three'))
  t.is(connection.writableLength, 0)
  const expected = Buffer.concat(['one', 'two', 'three'].map((text) => frame(text)))
  t.deepEqual(await readExactly(peer, expected.length), expected)
})

/** Has another process receive all that comes to `end`: the lengths. */
async function startReceiver(t: ExecutionContext, end: Connection): Promise<readonly number[]> {
  const program = startFixture(t, 'lengths.ts', [], { inherit: [end.fd] })
  end.destroy()
  return JSON.parse((await program.finish()).at(-1) ?? '')
}
