import test, { type ExecutionContext } from 'ava'
import type { Connection, OwnedFd } from '../index.ts'
import { frame, pattern } from './support/bytes.ts'
import { fdPeer } from './support/fd-peer.ts'
import { Random } from './support/random.ts'
import { closedInodes, type OpenFile, openFiles } from './support/resources.ts'
import { carryingFds, connected, transports } from './support/transports.ts'
import { codeOf, turns } from './support/until.ts'

/** A message, or with `size` undefined a handle record. */
interface Item {
  readonly size: number | undefined
  readonly files: readonly OpenFile[]
}

const ITEMS = 400
const sizes = [0, 1, 3, 4, 5, 12, 100, 4096, 16384, 65531, 65532, 65536, 70_000, 300_000] as const

function randomItems(random: Random, files: readonly OpenFile[]): Item[] {
  return Array.from({ length: ITEMS }, () => {
    const count = files.length === 0 ? 0 : random.pick([0, 0, 0, 1, 2, 5])
    const chosen = Array.from({ length: count }, () => files[random.below(files.length)]).filter((file) => file != null)
    return count > 0 && random.below(3) === 0
      ? { size: undefined, files: chosen }
      : { size: random.pick(sizes), files: chosen }
  })
}

async function sendItem(sender: Connection, { size, files }: Item, index: number): Promise<void> {
  const fds = files.map(({ fd }) => fd)
  return size === undefined ? sender.sendFds(fds) : sender.sendBytes(pattern(size, index), { fds })
}

async function sendAll(sender: Connection, items: readonly Item[], random: Random): Promise<void> {
  const sends: Promise<void>[] = []
  for (const [index, item] of items.entries()) {
    sends.push(sendItem(sender, item, index))
    if (random.below(10) === 0) await Promise.all(sends)
    if (random.below(10) === 0) await turns(1)
  }
  await Promise.all(sends)
}

/** A receive that gives up at once or a little later, and may have got something. */
async function interrupted<T>(random: Random, receive: (options: object) => Promise<T>): Promise<T | undefined> {
  const controller = new AbortController()
  const received = receive(random.below(2) === 0 ? { timeout: 0 } : { signal: controller.signal }).catch((error) => {
    if (error.code !== 'ERR_TIMEOUT' && error.code !== 'ABORT_ERR') throw error
    return undefined
  })
  await turns(random.below(3))
  controller.abort()
  return received
}

/** Receives what `item` was, in one of the ways there are, and after any number of receives that gave up. */
async function receiveItem(t: ExecutionContext, receiver: Connection, item: Item, index: number, random: Random) {
  const expected = item.files.map((file) => file.inode)
  const data = pattern(item.size ?? 0, index)
  while (random.below(4) === 0) await interrupted(random, async (options) => receiver.poll(options))
  if (item.size === undefined) {
    const retry = async (): Promise<OwnedFd[]> =>
      (await interrupted(random, async (options) => receiver.recvFds(5, options))) ?? receiver.recvFds(5)
    return void t.deepEqual(closedInodes(await retry()), expected, `record ${index}`)
  }
  const way = random.below(item.files.length > 0 ? 2 : 4)
  if (way === 0) {
    const given = await interrupted(random, async (options) => receiver.recvMessage(options))
    const message = given ?? (await receiver.recvMessage())
    if (!message.data.equals(data)) t.fail(`message ${index} differs`)
    t.deepEqual(closedInodes(message.fds), expected, `message ${index}`)
  } else if (way === 1) {
    const [message] = await receiver.recvMany({ max: 1 })
    if (message?.data.equals(data) !== true) t.fail(`message ${index} differs`)
    t.deepEqual(closedInodes(message?.fds ?? []), expected, `message ${index}`)
  } else if (way === 2) {
    const given = await interrupted(random, async (options) => receiver.recvBytes(options))
    if (!(given ?? (await receiver.recvBytes())).equals(data)) t.fail(`message ${index} differs`)
  } else {
    const buffer = Buffer.alloc(data.length + 3)
    const given = await interrupted(random, async (options) =>
      receiver.recvBytesInto(buffer, { offset: 3, ...options }),
    )
    t.is(given ?? (await receiver.recvBytesInto(buffer, { offset: 3 })), data.length)
    if (!buffer.subarray(3).equals(data)) t.fail(`message ${index} differs`)
  }
}

for (const transport of transports) {
  for (const readAhead of [true, false]) {
    for (const seed of [1, 2, 3]) {
      test(`${transport}, readAhead ${readAhead}: conversation ${seed} both ways, with receives that give up`, async (t) => {
        const ends = await connected(t, transport, { readAhead })
        const files = carryingFds.includes(transport) ? openFiles(t, 5) : []
        const [a, b] = ends
        await Promise.all(
          [
            [a, b],
            [b, a],
          ].map(async ([sender = a, receiver = b], direction) => {
            const random = new Random(seed * 2 + direction)
            const items = randomItems(random, files)
            const receiving = new Random(seed * 100 + direction)
            await Promise.all([
              sendAll(sender, items, random),
              (async () => {
                for (const [index, item] of items.entries()) await receiveItem(t, receiver, item, index, receiving)
              })(),
            ])
          }),
        )
        await a.close()
        t.is(await codeOf(b.recvBytes()), 'ERR_EOF')
      })
    }
  }
}

for (const readAhead of [true, false]) {
  test(`readAhead ${readAhead}: a peer that cuts its writes anywhere is understood`, async (t) => {
    const { connection, peer } = await fdPeer(t, { readAhead })
    const random = new Random(7)
    const files = openFiles(t, 3)
    const items = randomItems(random, files).filter(({ size }) => size === undefined || size < 10_000)
    const receiving = (async () => {
      for (const [index, item] of items.entries()) await receiveItem(t, connection, item, index, new Random(index))
    })()
    for (const [index, { size, files: attached }] of items.entries()) {
      if (attached.length > 0) await peer.send(Buffer.of(attached.length), attached)
      if (size === undefined) continue
      let rest = frame(pattern(size, index))
      while (rest.length > 0) {
        const piece = 1 + random.below(rest.length)
        await peer.send(rest.subarray(0, piece))
        rest = rest.subarray(piece)
      }
    }
    await peer.shutdown()
    await receiving
    t.is(await codeOf(connection.recvMessage()), 'ERR_EOF')
  })
}
