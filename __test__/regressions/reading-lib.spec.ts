// Defects of ours where two features met, such as callbacks that close what calls them: each test failed before its
// correction.
import { Duplex } from 'node:stream'
import test from 'ava'
import { Connection, type FdLike, pipe } from '../../index.ts'
import { startFixture } from '../support/program.ts'
import { codeOf, turns } from '../support/until.ts'

const { resize } = ArrayBuffer.prototype as unknown as { resize(this: ArrayBuffer, length: number): void }

/** A stream that takes all and gives what is pushed. */
function sink(options: ConstructorParameters<typeof Duplex>[0] = {}): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), ...options })
}

/** Closes both, and gives two that have their numbers. */
function replace(ends: readonly Connection[]): [Connection, Connection] {
  for (const end of ends) end.destroy()
  return pipe()
}

// That it cannot be received took the place of why.
test('recvMany tells of a message that is too long behind others when it comes to it', async (t) => {
  const [sender, receiver] = pipe()
  await Promise.all([sender.sendBytes(Buffer.from('ab')), sender.sendBytes(Buffer.from('too long'))])
  t.is((await receiver.recvMany({ maxLength: 2 })).length, 1)
  t.true(receiver.readable)
  t.is(await codeOf(receiver.recvMany()), 'ERR_MESSAGE_TOO_LARGE')
  t.false(receiver.readable)
  t.is(await codeOf(receiver.recvMany()), 'ERR_NOT_READABLE')
})

// Descriptor 0 was sent in its place.
test('a hole in a list of descriptors is no descriptor', async (t) => {
  const [sender, receiver] = pipe()
  const holes: FdLike[] = []
  holes.length = 1
  t.is(await codeOf(sender.sendFds(holes)), 'ERR_INVALID_ARG_TYPE')
  t.is(await codeOf(sender.sendBytes(Buffer.from('a'), { fds: holes })), 'ERR_INVALID_ARG_TYPE')
  t.false(await receiver.poll())
})

// What was sent or received was another connection's, which had got the number.
test('a connection that is closed while a call reads its arguments is closed to that call', async (t) => {
  for (const call of [
    (ends: readonly Connection[], close: () => undefined) =>
      ends[0]?.sendBytes(Buffer.from('lost'), {
        get size() {
          return close()
        },
      }),
    (ends: readonly Connection[], close: () => undefined) =>
      ends[0]?.sendFds([
        {
          get fd() {
            return close() ?? 0
          },
        },
      ]),
    (ends: readonly Connection[], close: () => undefined) =>
      ends[0]?.recvBytes({
        get timeout() {
          return close()
        },
      }),
  ]) {
    const ends = pipe()
    let others: readonly Connection[] = []
    const called = call(ends, () => {
      others = replace(ends)
      for (const other of others) other.sendBytesSync(Buffer.from('theirs'))
      return undefined
    })
    t.is(await codeOf(Promise.resolve(called)), 'ERR_CLOSED')
    for (const other of others) {
      t.is(String(await other.recvBytes()), 'theirs')
      t.false(await other.poll())
    }
  }
})

// What an earlier message had left in our memory went out in place of what was gone.
test('a buffer that shrinks while a send reads its arguments is not sent', async (t) => {
  const [sender, receiver] = pipe()
  const memory: ArrayBuffer = Reflect.construct(ArrayBuffer, [100, { maxByteLength: 100 }])
  const first = sender.sendBytes(Buffer.from('first'))
  const second = sender.sendBytes(memory, {
    get fds() {
      resize.call(memory, 0)
      return undefined
    },
  })
  t.is(await codeOf(second), 'ERR_OUT_OF_RANGE')
  await first
  t.is(String(await receiver.recvBytes()), 'first')
  t.false(await receiver.poll())
})

// It blocked like the Sync call around it, and then was never woken.
test('a codec may receive without blocking while it decodes for a Sync call', async (t) => {
  let behind: Promise<Buffer> | undefined
  const [sender, receiver]: [Connection, Connection] = pipe({
    codec: {
      encode: (value) => Buffer.from(String(value)),
      decode: (data) => {
        behind = receiver.recvBytes()
        return String(data)
      },
    },
  })
  await sender.send('first')
  t.is(receiver.recvSync({ timeout: 200 }), 'first')
  await sender.send('behind')
  t.is(String(await behind), 'behind')
})

// It kept the process alive for as long as it was open.
test('a connection over a stream that was polled keeps nothing alive', async (t) => {
  t.deepEqual(await startFixture(t, 'regressions/polled-stream.ts').finish(), ['true A', 'idle'])
})

// It threw ERR_INVALID_STATE for ever: what can never leave was waited for.
test('closeSync closes a connection over a stream that failed', async (t) => {
  const stream = sink({ write() {} })
  const connection = Connection.fromStream(stream)
  const sent = codeOf(connection.sendBytes(Buffer.alloc(100)))
  await turns()
  t.throws(() => connection.closeSync(), { code: 'ERR_INVALID_STATE' })
  stream.destroy()
  t.is(await sent, 'EPIPE')
  t.is(connection.writableLength, 0)
  connection.closeSync()
  t.true(connection.closed)
})

// close() rejected, and it stayed closing.
test('close destroys a stream whose end() throws', async (t) => {
  const stream = sink()
  stream.end = () => {
    throw new Error('end')
  }
  await Connection.fromStream(stream).close()
  t.true(stream.destroyed)
})

// Its message was fed to the connection that had got the number, or taken from it.
test('a stream that closes its connection while it is read gives it nothing', async (t) => {
  const stream = sink()
  const connection = Connection.fromStream(stream)
  let others: readonly Connection[] = []
  stream.read = () => {
    others = replace([connection])
    return Buffer.from([0, 0, 0, 1, 65])
  }
  t.is(await codeOf(connection.recvBytes()), 'ERR_CLOSED')
  for (const other of others) t.false(await other.poll())
})

// The receive of the connection that had got the number was forgotten.
test('a stream may open connections and wait for them while it is destroyed', async (t) => {
  let others: readonly Connection[] = []
  let received: Promise<Buffer>[] = []
  const stream = sink({
    destroy(_error, done) {
      others = pipe()
      received = others.map((other) => other.recvBytes())
      done(null)
    },
  })
  Connection.fromStream(stream).destroy()
  await Promise.all(others.map((other) => other.sendBytes(Buffer.from('here'))))
  t.deepEqual((await Promise.all(received)).map(String), ['here', 'here'])
})
