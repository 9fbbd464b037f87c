import { constants } from 'node:buffer'
import test from 'ava'
import { type Connection, EOFError } from '../index.ts'
import { badInputs } from './support/bad-input.ts'
import { extendedHeader, frame, header, pattern } from './support/bytes.ts'
import { report } from './support/program.ts'
import { rawPeer, rawTransports, readExactly, reset, write } from './support/raw-peer.ts'
import { codeOf, rejection, turns } from './support/until.ts'

const receives: Record<string, (connection: Connection) => Promise<unknown>> = {
  recvBytes: (connection) => connection.recvBytes(),
  recvBytesInto: (connection) => connection.recvBytesInto(Buffer.alloc(2 << 20)),
  recvMessage: (connection) => connection.recvMessage(),
  recvMany: (connection) => connection.recvMany(),
}

for (const transport of rawTransports) {
  for (const { title, bytes, closes, code } of badInputs) {
    test(`${transport}: ${title} is ${code} for whoever receives`, async (t) => {
      for (const [name, receive] of Object.entries(receives)) {
        const { connection, peer } = await rawPeer(t, transport)
        await write(peer, frame('before'), bytes)
        if (closes) peer.end()
        t.is(String(await connection.recvBytes()), 'before')
        await t.throwsAsync(receive(connection), { code }, name)
      }
    })

    test(`${transport}: ${title} is ${code} for a receive that already waits`, async (t) => {
      const { connection, peer } = await rawPeer(t, transport)
      const waiting = codeOf(connection.recvBytes())
      const behind = rejection(connection.recvBytes())
      for (const byte of bytes.subarray(0, 12)) await write(peer, Buffer.of(byte))
      if (bytes.length > 12) await write(peer, bytes.subarray(12))
      if (closes) peer.end()
      t.is(await waiting, code)
      t.is(typeof (await behind).code, 'string')
    })
  }

  test(`${transport}: the end of the stream is an EOFError, repeats, and leaves sending alone`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    peer.end(frame('last'))
    t.is(String(await connection.recvBytes()), 'last')
    for (let round = 0; round < 3; round++) {
      await t.throwsAsync(connection.recvBytes(), { code: 'ERR_EOF', name: 'EOFError', instanceOf: EOFError })
      t.true(connection.readable)
      t.false(connection.closed)
      t.true(await connection.poll())
    }
    await connection.sendBytes(Buffer.from('answer'))
    t.deepEqual(await readExactly(peer, 10), frame('answer'))
  })

  test(`${transport}: the end of the stream ends all that wait`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    const waiting = [1, 2, 3].map(() => codeOf(connection.recvBytes()))
    peer.end()
    t.deepEqual(await Promise.all(waiting), ['ERR_EOF', 'ERR_EOF', 'ERR_EOF'])
  })

  test(`${transport}: a loop over the connection fails when the stream ends inside a message`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    peer.end(Buffer.concat([frame('whole'), header(10), Buffer.from('half')]))
    const texts: string[] = []
    const loop = async (): Promise<void> => {
      for await (const { data } of connection) texts.push(String(data))
    }
    await t.throwsAsync(loop, { code: 'ERR_MESSAGE_TRUNCATED' })
    t.deepEqual(texts, ['whole'])
  })

  test(`${transport}: a reset is ECONNRESET with its errno and system call`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    await connection.sendBytes(Buffer.from('never read'))
    const waiting = rejection(connection.recvBytes())
    await reset(peer)
    const error = await waiting
    t.is(error.code, 'ECONNRESET')
    t.true((error.errno ?? 0) < 0)
    t.is(typeof error.syscall, 'string')
    t.regex(error.message, /ECONNRESET/)
  })

  test(`${transport}: messages that came before a header in error are received first`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    await write(peer, frame('one'), frame('two'), header(-5))
    t.is(String(await connection.recvBytes()), 'one')
    t.is(String(await connection.recvBytes()), 'two')
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_PROTOCOL' })
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_PROTOCOL' }, 'nothing behind it can be understood')
    await connection.sendBytes(Buffer.from('answer'))
    t.deepEqual(await readExactly(peer, 10), frame('answer'))
  })

  test(`${transport}: an extended header is accepted for any length`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport)
    for (const size of [0, 1, 5, 70_000]) {
      const data = pattern(size)
      const written = write(peer, extendedHeader(BigInt(size)), data)
      t.true((await connection.recvBytes()).equals(data), `${size} bytes`)
      await written
    }
  })

  test(`${transport}: a message over maxMessageSize is refused from its header, one of just that size is not`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport, { maxMessageSize: 1000 })
    await write(peer, frame(pattern(1000)))
    t.true((await connection.recvBytes()).equals(pattern(1000)))
    await write(peer, header(1001))
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
    t.false(connection.readable)
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_NOT_READABLE' })
    t.true(connection.writable)
    await connection.sendBytes(pattern(2000))
    t.deepEqual(await readExactly(peer, 2004), frame(pattern(2000)), 'the limit is for receiving')
  })

  test(`${transport}: the largest maxMessageSize still refuses what no Buffer can hold`, async (t) => {
    const { connection, peer } = await rawPeer(t, transport, { maxMessageSize: constants.MAX_LENGTH })
    await write(peer, extendedHeader(BigInt(constants.MAX_LENGTH) + 1n))
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
  })
}

test('what a unix peer sent before it reset the connection is received first', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  await connection.sendBytes(Buffer.from('never read'))
  await write(peer, frame('parting words'))
  await reset(peer)
  t.is(String(await connection.recvBytes()), 'parting words')
  await t.throwsAsync(connection.recvBytes(), { code: 'ECONNRESET' })
})

test('a huge announced length takes no memory until its bytes come', async (t) => {
  const growth = await report<{ resident: number; virtual: number }>(t, 'announced-lengths.ts')
  t.true(growth.resident < 64 << 20, `${growth.resident} bytes resident`)
  t.true(growth.virtual < 1 << 30, `${growth.virtual} bytes of address space`)
})

test('no bad input leaves a descriptor behind', async (t) => {
  const leaks = await report<Record<string, number>>(t, 'bad-input-leaks.ts')
  t.deepEqual(
    Object.keys(leaks),
    badInputs.map(({ title }) => title),
  )
  t.deepEqual(
    Object.entries(leaks).filter(([, count]) => count !== 0),
    [],
  )
})

test('a peer that closes at once after connecting is only the end of the stream', async (t) => {
  for (const transport of rawTransports) {
    const { connection, peer } = await rawPeer(t, transport)
    peer.destroy()
    await turns()
    await t.throwsAsync(connection.recvMessage(), { code: 'ERR_EOF' })
  }
})
