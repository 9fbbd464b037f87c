import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Connection, pipe } from '../index.ts'
import { startFixture } from './support/program.ts'
import { connected } from './support/transports.ts'
import { until } from './support/until.ts'

/** A connection on which another process sends messages of the size as fast as it can. */
function flooded(t: ExecutionContext, size: number): Connection {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  startFixture(t, 'flood.ts', [String(size)], { inherit: [theirs.fd] })
  theirs.destroy()
  return ours
}

/** Round trips on another connection, and timers: what a flood must not starve. */
async function liveBeside(t: ExecutionContext, rounds: number): Promise<void> {
  const [client, server] = await connected(t, 'unix')
  for (let round = 0; round < rounds; round++) {
    await client.sendBytes(Buffer.from('ping'))
    await server.sendBytes(await server.recvBytes())
    t.is(String(await client.recvBytes()), 'ping')
    await delay(1)
  }
}

const receivers: Record<string, (connection: Connection) => Promise<number>> = {
  recvBytes: async (connection) => (await connection.recvBytes()).length,
  recvMany: async (connection) => (await connection.recvMany()).reduce((sum, { data }) => sum + data.length, 0),
  recvBytesInto: async (connection) => connection.recvBytesInto(reused),
}
const reused = Buffer.alloc(1 << 20)

for (const [name, receive] of Object.entries(receivers)) {
  for (const size of [10, 1 << 20]) {
    test.serial(
      `a flood of ${size} bytes a message received by ${name} starves neither other connections nor timers`,
      async (t) => {
        const connection = flooded(t, size)
        let bytes = await receive(connection)
        let living = true
        const flooding = (async () => {
          while (living) bytes += await receive(connection)
        })()
        await liveBeside(t, 50)
        const meanwhile = bytes
        living = false
        await flooding
        t.true(meanwhile > size, 'the flood was received meanwhile')
      },
    )
  }
}

test.serial('a flood received by a loop starves neither other connections nor timers', async (t) => {
  const connection = flooded(t, 1000)
  let living = true
  const flooding = (async () => {
    for await (const _message of connection) if (!living) break
  })()
  await liveBeside(t, 50)
  living = false
  await flooding
})

for (const size of [10, 1 << 20]) {
  test.serial(`a flood of sends of ${size} bytes starves neither other connections nor timers`, async (t) => {
    const [ours, theirs] = pipe()
    t.teardown(() => ours.destroy())
    startFixture(t, 'sink.ts', [], { inherit: [theirs.fd] })
    theirs.destroy()
    await ours.recvBytes()
    const data = Buffer.alloc(size)
    let living = true
    let sent = 0
    const flooding = (async () => {
      for (; living; sent++) await ours.sendBytes(data)
    })()
    await until(() => sent > 10)
    const before = sent
    await liveBeside(t, 50)
    t.true(sent > before, 'the flood went on meanwhile')
    living = false
    await flooding
  })
}

test.serial('two floods at once are both received', async (t) => {
  const counts = [0, 0]
  const connections = [flooded(t, 100), flooded(t, 1 << 20)]
  let living = true
  const flooding = connections.map(async (connection, index) => {
    while (living) {
      await connection.recvBytes()
      counts[index] = (counts[index] ?? 0) + 1
    }
  })
  while (counts.some((count) => count < 100)) await delay(1)
  living = false
  await Promise.all(flooding)
  t.true(counts.every((count) => count >= 100))
})

test.serial('a dialogue does not keep the message on another connection waiting', async (t) => {
  const [client, server] = await connected(t, 'unix')
  const [others, other] = await connected(t, 'unix')
  const echo = (async () => {
    for (;;) await server.sendBytes(await server.recvBytes())
  })()
  const exchange = async (): Promise<void> => {
    await client.sendBytes(Buffer.from('ping'))
    await client.recvBytes()
  }
  for (let round = 0; round < 100; round++) await exchange()
  let received = false
  const waiting = other.recvBytes().then(() => (received = true))
  await others.sendBytes(Buffer.from('late'))
  let rounds = 0
  for (; !received && rounds < 1000; rounds++) await exchange()
  t.true(rounds < 100, `${rounds} rounds went by first`)
  await waiting
  client.destroy()
  await t.throwsAsync(echo)
})
