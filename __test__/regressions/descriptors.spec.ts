// Defects of ours in what becomes of descriptors: each test failed before its correction.
import { readdirSync, readlinkSync } from 'node:fs'
import test from 'ava'
import { type Connection, Epoll, OwnedFd } from '../../index.ts'
import { frame } from '../support/bytes.ts'
import { fdPeer } from '../support/fd-peer.ts'
import { report } from '../support/program.ts'
import { openFile } from '../support/resources.ts'
import { codeOf } from '../support/until.ts'

const receives = {
  recvBytes: (connection: Connection) => connection.recvBytes(),
  recvBytesInto: (connection: Connection) => connection.recvBytesInto(Buffer.alloc(1 << 17)),
  recvMessage: (connection: Connection) => connection.recvMessage(),
  recvMany: (connection: Connection) => connection.recvMany(),
  recv: (connection: Connection) => connection.recv(),
  iteration: (connection: Connection) => connection[Symbol.asyncIterator]().next(),
  recvHandle: (connection: Connection) => connection.recvHandle(),
  recvFds: (connection: Connection) => connection.recvFds(253),
  recvBytesSync: async (connection: Connection) => connection.recvBytesSync(),
  recvMessageSync: async (connection: Connection) => connection.recvMessageSync(),
  recvManySync: async (connection: Connection) => connection.recvManySync(),
  recvHandleSync: async (connection: Connection) => connection.recvHandleSync(),
}

// Of 4 to 64 KiB the code of the call that received was dropped, and the descriptors were those of an earlier message.
const sizes = [100, 4096, 5000, 16_384, 40_000, 65_536, 100_000]
for (const call of [
  'recvMessage',
  'recvBytes',
  'recvMany',
  'recvBytesInto',
  'recv',
  'recvMessageSync',
  'recvBytesSync',
]) {
  test(`${call}: a message of any size whose descriptor was lost is refused, and nothing else touched`, async (t) => {
    const args = [call, ...sizes.map(String)]
    t.deepEqual(
      await report(t, 'regressions/lost-descriptors.ts', args, { openFiles: 100 }),
      sizes.map((size) => ({ size, code: 'ERR_FDS_TRUNCATED', kept: true, next: 'next', fds: 1 })),
    )
  })
}

// The bound was looked at before a read, not after it: 1,264 descriptors arrived, and 252 of them were undefined.
for (const [call, size] of [
  ['recvMessage', 7],
  ['recvMessage', 100_000],
  ['recvBytes', 7],
  ['recvMany', 7],
  ['recvBytesInto', 100_000],
] as const) {
  test(`${call}: more descriptors before a message of ${size} bytes than may be held are ERR_PROTOCOL, all closed`, async (t) => {
    t.deepEqual(await report(t, 'regressions/too-many-unclaimed.ts', [call, String(size)]), {
      codes: ['ERR_PROTOCOL', 'ERR_PROTOCOL'],
      open: 0,
    })
  })
}

// Looking for more messages behind the first consumed a handle record that was wrong, and nobody heard of it.
for (const first of ['recvBytes', 'recvBytesInto', 'recvMessage', 'recvMany', 'iteration', 'recvManySync'] as const) {
  test(`${first}: a handle record with a wrong count behind a message is an error of the next receive`, async (t) => {
    const { connection, peer } = await fdPeer(t)
    await peer.send(frame('message'))
    await peer.send(Buffer.of(7), [openFile(t)])
    await peer.send(frame('next'))
    await receives[first](connection)
    t.like(await t.throwsAsync(connection.recvBytes()), { code: 'ERR_FDS_COUNT', received: 1 })
    t.is(String(await connection.recvBytes()), 'next')
    await peer.close()
  })
}

for (const [second, receive] of Object.entries(receives)) {
  test(`${second} behind another receive says that a handle record had a wrong count`, async (t) => {
    const { connection, peer } = await fdPeer(t)
    await peer.send(frame('message'))
    await peer.send(Buffer.of(7), [openFile(t)])
    await peer.send(frame('next'))
    t.is(String(await connection.recvBytes()), 'message')
    t.is(await codeOf(receive(connection)), 'ERR_FDS_COUNT')
    t.is(String(await connection.recvBytes()), 'next')
    await peer.close()
  })
}

// The functions that settle the last promise were kept, and the promise with them, and what it was fulfilled with.
test('the descriptors of the last message are collected like those of any other', async (t) => {
  t.is(await report<number>(t, 'regressions/forgotten-message.ts', [], { nodeOptions: ['--expose-gc'] }), 0)
})

if (process.platform === 'linux') {
  // Any descriptor without a file was taken for an epoll instance.
  test('Epoll.fromFd refuses an eventfd', (t) => {
    const eventfd = readdirSync('/proc/self/fd').find((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]'
      } catch {
        return false // closed again, as the directory
      }
    })
    const owned = OwnedFd.dup(Number(eventfd))
    t.teardown(() => owned.close())
    t.throws(() => Epoll.fromFd(owned), { code: 'ERR_INVALID_FD_TYPE' })
    t.throws(() => Epoll.fromFd(owned.fd), { code: 'ERR_INVALID_FD_TYPE' })
    t.is(owned.kind, 'anon')
    const epoll = new Epoll()
    const adopted = Epoll.fromFd(OwnedFd.dup(epoll.fd))
    t.deepEqual(adopted.pollSync(0), [])
    for (const instance of [epoll, adopted]) instance.close()
  })
}
