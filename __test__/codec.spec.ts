import { serialize } from 'node:v8'
import test from 'ava'
import { type CustomCodec, pipe } from '../index.ts'
import { frame } from './support/bytes.ts'
import { fdPeer } from './support/fd-peer.ts'
import { rawPeer, readExactly, write } from './support/raw-peer.ts'
import { inode, openFile } from './support/resources.ts'
import { carryingFds, connected, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection } from './support/until.ts'

const jsonValues = [null, true, 0, -1.5, '', 'text \u{1f600} \0', [], [1, [2, { three: 3 }]], {}, { a: { b: [null] } }]

const v8Values = [
  ...jsonValues,
  undefined,
  NaN,
  -0,
  12345678901234567890n,
  new Date(1),
  /expression/giu,
  new Map<unknown, unknown>([['key', new Set([1, 2])]]),
  new Uint16Array([1, 65535]),
  new RangeError('out of range'),
]

/** Numbers as four bytes; all else is refused, both ways. */
const numbers: CustomCodec = {
  encode(value) {
    if (typeof value !== 'number') throw new TypeError('not a number')
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setInt32(0, value)
    return bytes
  },
  decode(data) {
    if (data.length !== 4) throw new RangeError('not four bytes')
    return data.readInt32BE()
  },
}

for (const transport of transports) {
  test(`${transport}: values go through JSON by default, and through the v8 format where asked`, async (t) => {
    for (const [codec, values] of [
      [undefined, jsonValues],
      ['json', jsonValues],
      ['v8', v8Values],
    ] as const) {
      const [a, b] = await connected(t, transport, { codec })
      for (const value of values) {
        await a.send(value)
        t.deepEqual(await b.recv(), value)
        await b.send(value)
        t.deepEqual(await a.recv(), value)
      }
    }
  })

  test(`${transport}: a codec of one's own makes the messages and the values`, async (t) => {
    const [a, b] = await connected(t, transport, { codec: numbers })
    for (const value of [0, 1, -1, 2 ** 31 - 1]) {
      await a.send(value)
      t.is(await b.recv(), value)
    }
    await a.send(-2)
    t.is((await b.recvBytes()).toString('hex'), 'fffffffe')
  })

  test(`${transport}: a value that cannot be encoded sends nothing and leaves the connection usable`, async (t) => {
    const circular: { self?: object } = {}
    circular.self = circular
    for (const [codec, value, expected] of [
      ['json', circular, { instanceOf: TypeError }],
      ['json', 1n, { instanceOf: TypeError }],
      ['json', undefined, { code: 'ERR_INVALID_ARG_TYPE' }],
      ['json', () => {}, { code: 'ERR_INVALID_ARG_TYPE' }],
      ['v8', () => {}, { code: 'ERR_INVALID_ARG_VALUE', message: /Node's clone format: .* could not be cloned/ }],
      [numbers, 'text', { message: 'not a number' }],
    ] as const) {
      const [a, b] = await connected(t, transport, { codec })
      await t.throwsAsync(a.send(value), { any: true, ...expected })
      t.throws(() => a.sendSync(value), { any: true, ...expected })
      await a.send(7)
      t.is(await b.recv(), 7)
      t.false(await b.poll())
    }
  })

  test(`${transport}: a message that cannot be decoded is consumed and leaves the connection usable`, async (t) => {
    for (const [codec, message, expected] of [
      ['json', '{"half":', 'SyntaxError'],
      ['json', '', 'SyntaxError'],
      ['v8', 'no value', 'Error'],
      [numbers, 'not a number', 'not four bytes'],
    ] as const) {
      const [a, b] = await connected(t, transport, { codec })
      await a.sendBytes(Buffer.from(message))
      await a.send(1)
      await a.sendBytes(Buffer.from(message))
      await a.send(2)
      const first = await rejection(b.recv())
      t.is(await b.recv(), 1)
      for (const failed of [first, t.throws<NodeJS.ErrnoException>(() => b.recvSync())]) {
        t.is(failed.code, 'ERR_DECODE')
        const { name, message: reason } = failed.cause as Error
        t.true([name, reason].includes(expected))
      }
      t.is(b.recvSync(), 2)
    }
  })

  test(`${transport}: receives of values wait beside those of messages, and one that fails fails alone`, async (t) => {
    const [a, b] = await connected(t, transport)
    const received = Promise.allSettled([b.recv(), b.recv(), b.recvBytes(), b.recv()])
    await Promise.all([a.send({ n: 1 }), a.sendBytes(Buffer.from('{')), a.sendBytes(Buffer.from('{')), a.send('last')])
    const [first, second, third, fourth] = await received
    t.like(first, { value: { n: 1 } })
    t.like(second, { status: 'rejected' })
    t.like(third, { value: Buffer.from('{') })
    t.like(fourth, { value: 'last' })
  })
}

for (const transport of carryingFds) {
  test(`${transport}: descriptors go with a value`, async (t) => {
    const [a, b] = await connected(t, transport)
    const file = openFile(t)
    await a.send({ handles: 2 }, { fds: [file.fd, file] })
    a.sendSync({ handles: 1 }, { fds: [file.fd] })
    for (const handles of [2, 1]) {
      const { data, fds } = await b.recvMessage()
      t.deepEqual(JSON.parse(String(data)), { handles })
      t.deepEqual(
        fds.map(({ fd }) => inode(fd)),
        Array.from({ length: handles }, () => file.inode),
      )
      for (const fd of fds) fd.close()
    }
  })

  test(`${transport}: a value that cannot be encoded leaves its descriptors at home`, async (t) => {
    const [a, b] = await connected(t, transport)
    const file = openFile(t)
    await rejection(a.send(1n, { fds: [file.fd] }))
    await a.send('next')
    const { data, fds } = await b.recvMessage()
    t.is(String(data), '"next"')
    t.deepEqual(fds, [])
  })
}

test('a value is one frame of UTF-8 JSON on the wire', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  await connection.send({ text: 'ü' })
  const expected = frame('{"text":"ü"}')
  t.deepEqual(await readExactly(peer, expected.length), expected)
  await write(peer, frame('["ü"]'))
  t.deepEqual(await connection.recv(), ['ü'])
})

test('a v8 value is one frame of what node:v8 serializes', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix', { codec: 'v8' })
  await connection.send(new Map([[1, 2]]))
  const expected = frame(serialize(new Map([[1, 2]])))
  t.deepEqual(await readExactly(peer, expected.length), expected)
})

test('the codec of one end is none of the other end', async (t) => {
  const { connection, peer } = await fdPeer(t, { codec: numbers })
  await connection.send(258)
  t.deepEqual((await peer.receive(100)).bytes, frame(Buffer.of(0, 0, 1, 2)))
})

test('what a codec encodes into its own memory must be left alone only until the send resolves', async (t) => {
  const memory = Buffer.alloc(8 << 20)
  const codec: CustomCodec = { encode: (value) => memory.fill(value as number), decode: (data) => data }
  const [a, b] = await connected(t, 'pipe', { codec })
  for (const byte of [1, 2, 3]) {
    const [received] = await Promise.all([b.recv(), a.send(byte)])
    t.true(Buffer.alloc(8 << 20, byte).equals(received as Buffer))
  }
})

test('what a codec is given to decode is its own to keep', async (t) => {
  const [a, b] = await connected(t, 'pipe', { codec: { encode: (value) => value as Buffer, decode: (data) => data } })
  const kept: Buffer[] = []
  for (let byte = 0; byte < 50; byte++) {
    await a.send(Buffer.alloc(1000, byte))
    kept.push((await b.recv()) as Buffer)
  }
  t.true(kept.every((data, byte) => data.equals(Buffer.alloc(1000, byte))))
})

test('a codec keeps its this', async (t) => {
  class Prefixed {
    readonly #prefix = 'p:'
    encode(value: unknown): Buffer {
      return Buffer.from(this.#prefix + String(value))
    }
    decode(data: Buffer): string {
      return String(data).slice(this.#prefix.length)
    }
  }
  const [a, b] = await connected(t, 'pipe', { codec: new Prefixed() })
  await a.send('text')
  t.is(await b.recv(), 'text')
})

test('a codec that encodes to something else than bytes sends nothing', async (t) => {
  // @ts-expect-error it should encode to bytes
  const [a, b] = await connected(t, 'pipe', { codec: { encode: (value) => value, decode: String } })
  await t.throwsAsync(a.send('text'), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => a.sendSync(1), { code: 'ERR_INVALID_ARG_TYPE' })
  await a.send(Buffer.from('bytes'))
  t.is(await b.recv(), 'bytes')
})

test('other codecs are refused when the connection is made', (t) => {
  // @ts-expect-error there is no pickle
  t.throws(() => pipe({ codec: 'pickle' }), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const codec of [null, 1, {}, { encode: String }, { decode: String }, []]) {
    // @ts-expect-error half a codec
    t.throws(() => pipe({ codec }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('a value over maxLength is refused, and limits and signals are those of any receive', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  t.is(await codeOf(b.recv({ timeout: 0 })), 'ERR_TIMEOUT')
  t.is(await codeOf(b.recv({ signal: AbortSignal.abort() })), 'ABORT_ERR')
  await a.send('12345')
  t.is(await codeOf(b.recv({ maxLength: 6 })), 'ERR_MESSAGE_TOO_LARGE')
})

test('the wrong direction is refused before anything is encoded', async (t) => {
  const [reader, writer] = oneWay(t)
  t.is(await codeOf(reader.send(1n)), 'ERR_NOT_WRITABLE')
  t.throws(() => reader.sendSync(1n), { code: 'ERR_NOT_WRITABLE' })
  t.is(await codeOf(writer.recv()), 'ERR_NOT_READABLE')
  await writer.close()
  t.is(await codeOf(writer.send(1n)), 'ERR_CLOSED')
  t.is(await codeOf(reader.recv()), 'ERR_EOF')
})
