import test from 'ava'
import { pipe } from '../index.ts'
import { extendedHeader, pattern } from './support/bytes.ts'
import { startFixture } from './support/program.ts'
import { readExactly, rawPeer, rawTransports, reset } from './support/raw-peer.ts'
import { connected, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

const MEBIBYTE = 1 << 20

for (const transport of transports) {
  test(`${transport}: sends keep their order and resolve in it, whatever their sizes`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const sizes = [5, 3 * MEBIBYTE, 0, 70_000, 1, MEBIBYTE, 2]
    const resolved: number[] = []
    const sends = sizes.map(async (size, index) => {
      await sender.sendBytes(pattern(size, index))
      resolved.push(index)
    })
    for (const [index, size] of sizes.entries()) {
      t.true((await receiver.recvBytes()).equals(pattern(size, index)), `message ${index}`)
    }
    await Promise.all(sends)
    t.deepEqual(resolved, [...sizes.keys()])
  })

  test(`${transport}: a burst of sends nobody waits for arrives whole and in order`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const count = 20_000
    const sends = Array.from({ length: count }, (_, index) => sender.sendBytes(pattern(index % 100, index)))
    for (let index = 0; index < count; index++) {
      const data = await receiver.recvBytes()
      if (!data.equals(pattern(index % 100, index))) t.fail(`message ${index} differs`)
    }
    await Promise.all(sends)
    t.is(sender.writableLength, 0)
  })

  test(`${transport}: a reader that does not read holds the sends back, and nothing is lost`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const data = pattern(8 * MEBIBYTE)
    const total = 4 * (data.length + 4)
    const sends = [1, 2, 3, 4].map(() => watch(sender.sendBytes(data)))
    t.true(sender.writableLength > 0)
    t.true(sender.writableLength <= total)
    await turns()
    t.true(sender.writableLength > 0)
    t.false(sends.at(-1)?.settled)
    const waiting = sender.writableLength
    for (const _send of sends) t.true((await receiver.recvBytes()).equals(data))
    await Promise.all(sends.map(({ promise }) => promise))
    t.true(waiting > sender.writableLength)
    t.is(sender.writableLength, 0)
  })

  test(`${transport}: a resolved send leaves the buffer to the caller again`, async (t) => {
    const [sender, receiver] = await connected(t, transport)
    const data = Buffer.alloc(64, 'a')
    await sender.sendBytes(data)
    data.fill('b')
    t.is(String(await receiver.recvBytes()), 'a'.repeat(64))
  })
}

test('every kind of buffer is sent as its bytes', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const bytes = pattern(64)
  const { buffer } = new Uint8Array(bytes)
  const views = [
    bytes,
    new Uint8Array(buffer),
    new Float64Array(buffer),
    new DataView(buffer),
    buffer,
    new BigInt64Array(buffer),
  ]
  for (const view of views) {
    await sender.sendBytes(view)
    t.true((await receiver.recvBytes()).equals(bytes), view.constructor.name)
  }
  await sender.sendBytes(new DataView(buffer, 8, 16))
  t.true((await receiver.recvBytes()).equals(bytes.subarray(8, 24)), 'a view of a part')
})

test('offset and size choose bytes, also of views with bigger elements', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const bytes = pattern(64)
  const cases = [
    [{ offset: 10 }, bytes.subarray(10)],
    [{ size: 10 }, bytes.subarray(0, 10)],
    [{ offset: 3, size: 5 }, bytes.subarray(3, 8)],
    [{ offset: 64 }, bytes.subarray(64)],
    [{ offset: 64, size: 0 }, bytes.subarray(64)],
    [{ offset: 0, size: 0 }, bytes.subarray(64)],
  ] as const
  for (const [options, expected] of cases) {
    await sender.sendBytes(bytes, options)
    await sender.sendBytes(new Float64Array(new Uint8Array(bytes).buffer), options)
    t.true((await receiver.recvBytes()).equals(expected))
    t.true((await receiver.recvBytes()).equals(expected))
  }
})

test('an offset or size outside the buffer is refused before anything is written', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const data = Buffer.from('0123456789')
  const outside = [
    { offset: -1 },
    { offset: 11 },
    { size: -1 },
    { size: 11 },
    { offset: 4, size: 7 },
    { offset: 11, size: 0 },
    { offset: 0.5 },
    { size: NaN },
  ]
  for (const options of outside) {
    await t.throwsAsync(sender.sendBytes(data, options), { code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(options))
  }
  t.is(sender.writableLength, 0)
  await sender.sendBytes(data)
  t.is(String(await receiver.recvBytes()), '0123456789')
})

test('what is no bytes is refused before anything is written', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  for (const value of ['text', 5, null, undefined, {}, [1, 2], { length: 3 }]) {
    // @ts-expect-error the values are no bytes
    await t.throwsAsync(sender.sendBytes(value), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  await sender.sendBytes(Buffer.from('bytes'))
  t.is(String(await receiver.recvBytes()), 'bytes')
})

test('a body over 0x7fffffff bytes goes out under the extended header', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  const send = connection.sendBytes(Buffer.alloc(2 ** 31))
  const sent = rejection(send)
  t.deepEqual(await readExactly(peer, 12), extendedHeader(2n ** 31n))
  peer.destroy()
  t.regex(String((await sent).message), /EPIPE|ECONNRESET/)
})

for (const transport of rawTransports) {
  test(`${transport}: a lost peer rejects the send that met it and all behind it`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const data = Buffer.alloc(16 * MEBIBYTE)
    const sends = [data, data, Buffer.from('small')].map((body) => rejection(connection.sendBytes(body)))
    await reset(peer)
    for (const error of await Promise.all(sends)) {
      t.true(error.code === 'EPIPE' || error.code === 'ECONNRESET', error.message)
      t.true((error.errno ?? 0) < 0)
      t.is(typeof error.syscall, 'string')
    }
    t.is(connection.writableLength, 0)
    const after = await codeOf(connection.sendBytes(data))
    t.true(after === 'EPIPE' || after === 'ECONNRESET', after)
  })
}

test('a program that only sends gets every send done, though its peer makes room at any moment', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'sends.ts', ['3000', '65536'], { inherit: [theirs.fd] })
  theirs.destroy()
  let received = 0
  for await (const { data } of ours) received += data.length
  t.is(received, 3000 * 65536)
  t.deepEqual(await program.finish(), [])
})

test('a send to a peer that has closed is EPIPE and no signal', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  peer.destroy()
  t.true(await connection.poll(null))
  await t.throwsAsync(connection.sendBytes(Buffer.from('late')), { code: 'EPIPE', message: /EPIPE/ })
  await t.throwsAsync(connection.sendBytes(Buffer.from('later')), { code: 'EPIPE' })
})

test('the writer of a one-way pipe gets EPIPE when its reader is gone', async (t) => {
  const [reader, writer] = oneWay(t)
  const blocked = rejection(writer.sendBytes(Buffer.alloc(MEBIBYTE)))
  await turns()
  reader.destroy()
  t.is((await blocked).code, 'EPIPE')
  await t.throwsAsync(writer.sendBytes(Buffer.from('late')), { code: 'EPIPE' })
})

test('a closed connection sends nothing', async (t) => {
  const [sender] = await connected(t, 'unix')
  await sender.close()
  await t.throwsAsync(sender.sendBytes(Buffer.from('late')), { code: 'ERR_CLOSED' })
})
