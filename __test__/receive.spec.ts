import test from 'ava'
import { BufferTooShort, TimeoutError } from '../index.ts'
import { frame, header, pattern } from './support/bytes.ts'
import { rawPeer, rawTransports, readExactly, write } from './support/raw-peer.ts'
import { inode, openFile } from './support/resources.ts'
import { carryingFds, connected, oneWay, transports } from './support/transports.ts'
import { rejection, turns, watch } from './support/until.ts'

const MEBIBYTE = 1 << 20

for (const transport of transports) {
  test(`${transport}: several receives wait at once and are served in order`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const buffer = Buffer.alloc(8)
    const received = Promise.all([
      receiver.recvBytes(),
      receiver.recvMessage(),
      receiver.recvBytesInto(buffer),
      receiver.recvMany({ max: 1 }),
      receiver.recvBytes(),
    ])
    for (const text of ['one', 'two', 'three', 'four', 'five']) await sender.sendBytes(Buffer.from(text))
    const [one, two, three, four, five] = await received
    t.is(String(one), 'one')
    t.is(String(two.data), 'two')
    t.is(String(buffer.subarray(0, three)), 'three')
    t.deepEqual(
      four.map(({ data }) => String(data)),
      ['four'],
    )
    t.is(String(five), 'five')
  })

  test(`${transport}: an aborted receive takes nothing with it`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const first = receiver.recvBytes()
    const second = rejection(receiver.recvBytes({ signal: controller.signal }))
    const third = receiver.recvBytes()
    controller.abort(reason)
    const error = await second
    t.like(error, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    await sender.sendBytes(Buffer.from('first'))
    await sender.sendBytes(Buffer.from('third'))
    t.is(String(await first), 'first')
    t.is(String(await third), 'third')
  })

  test(`${transport}: a receive that timed out was not early and takes nothing with it`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const started = performance.now()
    const error = await t.throwsAsync(receiver.recvBytes({ timeout: 30 }), {
      code: 'ERR_TIMEOUT',
      instanceOf: TimeoutError,
      name: 'TimeoutError',
    })
    t.true(performance.now() - started >= 30)
    t.true(error instanceof Error)
    await sender.sendBytes(Buffer.from('late'))
    t.is(String(await receiver.recvBytes({ timeout: null })), 'late')
  })

  test(`${transport}: recvBytes accepts a message of exactly maxLength`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    await sender.sendBytes(Buffer.from('12345'))
    t.is(String(await receiver.recvBytes({ maxLength: 5 })), '12345')
    await sender.sendBytes(Buffer.alloc(0))
    t.is((await receiver.recvBytes({ maxLength: 0 })).length, 0)
  })

  test(`${transport}: a message over maxLength ends receiving, not sending`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    await sender.sendBytes(Buffer.from('123456'))
    await t.throwsAsync(receiver.recvBytes({ maxLength: 5 }), { code: 'ERR_MESSAGE_TOO_LARGE' })
    t.false(receiver.readable)
    t.true(receiver.writable)
    await t.throwsAsync(receiver.recvBytes(), { code: 'ERR_NOT_READABLE' })
    await t.throwsAsync(receiver.poll(), { code: 'ERR_NOT_READABLE' })
    await receiver.sendBytes(Buffer.from('still there'))
    t.is(String(await sender.recvBytes()), 'still there')
  })

  test(`${transport}: recvBytesInto writes the body at the offset and returns its length`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    for (const size of [0, 5, 16384, 70_000, 2 * MEBIBYTE]) {
      const data = pattern(size)
      const buffer = Buffer.alloc(size + 20, 'x')
      const [count] = await Promise.all([receiver.recvBytesInto(buffer, { offset: 7 }), sender.sendBytes(data)])
      t.is(count, size)
      t.true(buffer.subarray(7, 7 + size).equals(data))
      t.is(String(buffer.subarray(0, 7)), 'x'.repeat(7))
      t.is(String(buffer.subarray(7 + size)), 'x'.repeat(13))
    }
  })

  test(`${transport}: a message too long for the buffer comes whole with the error and leaves the rest usable`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    for (const size of [11, 2 * MEBIBYTE]) {
      const data = pattern(size)
      const buffer = Buffer.alloc(size, 'x')
      const sends = Promise.all([sender.sendBytes(data), sender.sendBytes(Buffer.from('next'))])
      const error = await t.throwsAsync(receiver.recvBytesInto(buffer, { offset: 1 }), {
        code: 'ERR_BUFFER_TOO_SHORT',
        name: 'BufferTooShort',
        instanceOf: BufferTooShort,
      })
      t.true(error instanceof BufferTooShort && error.data.equals(data))
      t.true(buffer.equals(Buffer.alloc(size, 'x')), 'the buffer is untouched')
      t.is(String(await receiver.recvBytes()), 'next')
      await sends
    }
  })

  test(`${transport}: a loop over the connection yields messages until the peer closes`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const sent = (async () => {
      for (let size = 0; size < 500; size++) await sender.sendBytes(pattern(size))
      await sender.close()
    })()
    let size = 0
    for await (const { data, fds } of receiver) {
      if (!data.equals(pattern(size))) t.fail(`message ${size} differs`)
      if (fds.length > 0) t.fail('there were no descriptors')
      size++
    }
    t.is(size, 500)
    await sent
    t.false(receiver.closed)
  })

  test(`${transport}: leaving the loop keeps the connection and the messages behind`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    for (const text of ['one', 'two', 'three']) await sender.sendBytes(Buffer.from(text))
    for await (const { data } of receiver) {
      t.is(String(data), 'one')
      break
    }
    t.false(receiver.closed)
    t.is(String(await receiver.recvBytes()), 'two')
    for await (const { data } of receiver) {
      t.is(String(data), 'three')
      break
    }
  })

  test(`${transport}: messages received are not changed by those after them`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const received: Buffer[] = []
    for (let index = 0; index < 50; index++) {
      await sender.sendBytes(Buffer.alloc(1000, index))
      received.push(await receiver.recvBytes())
    }
    t.true(received.every((data, index) => data.equals(Buffer.alloc(1000, index))))
  })

  test(`${transport}: recvMany takes at most max and keeps order`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const sends = Promise.all(Array.from({ length: 100 }, (_, size) => sender.sendBytes(pattern(size))))
    const received: Buffer[] = []
    while (received.length < 100) {
      const messages = await receiver.recvMany({ max: 7 })
      t.true(messages.length >= 1 && messages.length <= 7)
      received.push(...messages.map(({ data }) => data))
    }
    await sends
    t.true(received.every((data, size) => data.equals(pattern(size))))
  })
}

for (const transport of carryingFds) {
  test(`${transport}: recvMany takes all that have arrived`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    await Promise.all(Array.from({ length: 100 }, (_, size) => sender.sendBytes(pattern(size))))
    const messages = await receiver.recvMany()
    t.is(messages.length, 100)
    t.true(messages.every(({ data, fds }, size) => data.equals(pattern(size)) && fds.length === 0))
  })

  test(`${transport}: a message left behind by an abort or a timeout keeps its descriptors`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const file = openFile(t)
    const controller = new AbortController()
    const aborted = rejection(receiver.recvMessage({ signal: controller.signal }))
    const timedOut = rejection(receiver.recvMany({ timeout: 0 }))
    controller.abort()
    t.is((await aborted).code, 'ABORT_ERR')
    t.is((await timedOut).code, 'ERR_TIMEOUT')
    await sender.sendBytes(Buffer.from('with one'), { fds: [file.fd] })
    const { data, fds } = await receiver.recvMessage()
    t.is(String(data), 'with one')
    t.deepEqual(
      fds.map(({ fd }) => inode(fd)),
      [file.inode],
    )
    fds.forEach((fd) => fd.close())
  })
}

for (const transport of rawTransports) {
  test(`${transport}: a message that comes in single bytes is received whole`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const received = connection.recvBytes()
    for (const byte of frame('bytes one by one')) {
      await write(peer, Buffer.of(byte))
      await turns(2)
    }
    t.is(String(await received), 'bytes one by one')
  })

  for (const [name, first] of [
    ['part of its header', 2],
    ['its header', 4],
    ['half of its body', 4 + MEBIBYTE],
  ] as const) {
    test(`${transport}: a receive aborted after ${name} came leaves the whole message for the next`, async (t) => {
      const { connection, peer } = await rawPeer(t, transport)
      const data = pattern(2 * MEBIBYTE)
      const bytes = frame(data)
      const controller = new AbortController()
      const into = rejection(connection.recvBytesInto(Buffer.alloc(data.length), { signal: controller.signal }))
      await write(peer, bytes.subarray(0, first))
      await turns()
      controller.abort()
      t.is((await into).code, 'ABORT_ERR')
      const timedOut = await rejection(connection.recvBytes({ timeout: 0 }))
      t.is(timedOut.code, 'ERR_TIMEOUT')
      const written = write(peer, bytes.subarray(first))
      t.true((await connection.recvBytes()).equals(data))
      await written
    })
  }

  test(`${transport}: recvMany does not wait for the end of a message that has begun`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    await write(peer, frame('whole'), frame('also whole'), header(10), Buffer.from('half'))
    const messages = await connection.recvMany()
    const texts = messages.map(({ data }) => String(data))
    if (texts.length === 1) texts.push(String(await connection.recvBytes())) // TCP may bring them in two pieces
    t.deepEqual(texts, ['whole', 'also whole'])
    await write(peer, Buffer.from(' more.'))
    t.is(String(await connection.recvBytes()), 'half more.')
  })

  test(`${transport}: recvMany gives what came before an error, then the error`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    peer.end(Buffer.concat([frame('one'), frame('two'), header(-2)]))
    const texts: string[] = []
    while (texts.length < 2) texts.push(...(await connection.recvMany()).map(({ data }) => String(data)))
    t.deepEqual(texts, ['one', 'two'])
    await t.throwsAsync(connection.recvMany(), { code: 'ERR_PROTOCOL' })
  })

  test(`${transport}: nothing is read until someone asks`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const big = watch(write(peer, frame(pattern(64 * MEBIBYTE))))
    await connection.poll(null)
    await turns(100)
    t.false(big.settled)
    t.is((await connection.recvBytes()).length, 64 * MEBIBYTE)
    await big.promise
  })
}

test('messages that differ in size by orders of magnitude are received in one run', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  const sizes = [1, 200_000, 3, 65536, 65537, 0, MEBIBYTE, 12, 5 * MEBIBYTE, 0, 0, 9]
  const written = write(peer, ...sizes.map((size) => frame(pattern(size))))
  for (const size of sizes) t.true((await connection.recvBytes()).equals(pattern(size)), `${size} bytes`)
  await written
  await connection.sendBytes(Buffer.from('done'))
  t.deepEqual(await readExactly(peer, 8), frame('done'))
})

test('a bad maxLength, max or offset is refused and takes nothing', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  await sender.sendBytes(Buffer.from('kept'))
  for (const bad of [-1, 1.5, NaN]) {
    await t.throwsAsync(receiver.recvBytes({ maxLength: bad }), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(receiver.recvMessage({ maxLength: bad }), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(receiver.recvMany({ max: bad }), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(receiver.recvBytesInto(Buffer.alloc(10), { offset: bad }), { code: 'ERR_OUT_OF_RANGE' })
  }
  await t.throwsAsync(receiver.recvBytesInto(Buffer.alloc(10), { offset: 11 }), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(receiver.recvMany({ max: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  // @ts-expect-error a string has no room
  await t.throwsAsync(receiver.recvBytesInto('kept'), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(String(await receiver.recvBytes()), 'kept')
})

test('an offset at the end of the buffer leaves room for an empty message', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  await sender.sendBytes(Buffer.alloc(0))
  t.is(await receiver.recvBytesInto(Buffer.alloc(4), { offset: 4 }), 0)
})

test('recvBytesInto fills every kind of view, its offset counted in bytes', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const data = pattern(16)
  for (const view of [new Uint8Array(32), new Float64Array(4), new DataView(new ArrayBuffer(32))]) {
    await sender.sendBytes(data)
    t.is(await receiver.recvBytesInto(view, { offset: 5 }), 16)
    t.true(Buffer.from(view.buffer, 5, 16).equals(data))
  }
})

test('a buffer that is transferred away under a receive does no harm', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const into = new Uint8Array(16 * MEBIBYTE)
  const received = rejection(receiver.recvBytesInto(into))
  structuredClone(null, { transfer: [into.buffer] })
  const send = sender.sendBytes(pattern(8 * MEBIBYTE))
  const error = await received
  t.true(error instanceof BufferTooShort && error.data.equals(pattern(8 * MEBIBYTE)))
  await send
  await sender.sendBytes(Buffer.from('next'))
  t.is(String(await receiver.recvBytes()), 'next')
})

test('the reader of a one-way pipe that meets a message over maxLength is no longer readable', async (t) => {
  const [reader, writer] = oneWay(t)
  await writer.sendBytes(Buffer.from('too long'))
  await t.throwsAsync(reader.recvBytes({ maxLength: 3 }), { code: 'ERR_MESSAGE_TOO_LARGE' })
  t.false(reader.readable)
})
