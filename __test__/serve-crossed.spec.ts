import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createConnection } from 'node:net'
import { inspect } from 'node:util'
import test from 'ava'
import { type Connection, OwnedFd, pipe } from '../index.ts'
import { report, startFixture } from './support/program.ts'
import { temporaryAddress } from './support/resources.ts'
import { dial, listen } from './support/transports.ts'
import { codeOf, turns, until } from './support/until.ts'

// What Listener.serve is crossed with.

async function echo(connection: Connection): Promise<void> {
  for await (const { data } of connection) await connection.sendBytes(data)
}

test('a listener that is handed over while it is served: no client is refused, and none is dropped', async (t) => {
  const path = temporaryAddress(t)
  const first = await listen(t, path, { unlink: false })
  const stop = new AbortController()
  const serving = first.serve(echo, { signal: stop.signal, drainTimeout: null })
  const early = await dial(t, path)
  await early.sendBytes(Buffer.from('early'))
  t.is(String(await early.recvBytes()), 'early')

  const [near, far] = pipe()
  await near.sendHandle(first)
  const second = (await far.recvHandle()).toListener({ unlink: true })
  const end = new AbortController()
  const next = second.serve(echo, { signal: end.signal })
  for (const step of ['both', 'first stops', 'first closed']) {
    if (step === 'first stops') stop.abort()
    if (step === 'first closed') await first.close()
    const clients = await Promise.all(Array.from({ length: 5 }, () => dial(t, path)))
    for (const client of clients) await client.sendBytes(Buffer.from(step))
    for (const client of clients) {
      t.is(String(await client.recvBytes()), step)
      client.destroy()
    }
  }
  await early.sendBytes(Buffer.from('still'))
  t.is(String(await early.recvBytes()), 'still')
  early.destroy()
  await serving
  end.abort()
  await next
  second.closeSync()
  t.false(existsSync(path))
  for (const connection of [near, far]) connection.destroy()
})

test('the end comes while all connections there may be are open, and while a handshake is under way', async (t) => {
  for (const how of ['abort', 'close'] as const) {
    const listener = await listen(t, temporaryAddress(t), { authKey: 'key' })
    const stop = new AbortController()
    let open = 0
    const serving = listener.serve(
      async (connection) => {
        open++
        await connection.recvBytes({ signal: connection.signal })
      },
      { signal: stop.signal, maxConnections: 1, drainTimeout: 0, onError: (error) => t.fail(error.message) },
    )
    const client = await dial(t, listener.address, { authKey: 'key' })
    const silent = createConnection(String(listener.address))
    t.teardown(() => void silent.destroy())
    silent.on('error', () => {})
    silent.resume()
    const closed = once(silent, 'close')
    await until(() => open === 1)
    if (how === 'abort') stop.abort()
    else await listener.close()
    await serving
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
    await listener.close()
    await closed
    t.is(open, 1)
  }
})

test('an exhausted server that is stopped, or closed, ends at once', async (t) => {
  t.deepEqual(await report(t, 'serve-exhausted.ts', [], { openFiles: 60 }), { abort: true, close: true, unref: true })
})

test('two serve one listener, and one of them stops', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const served: string[] = []
  const stops = ['one', 'other'].map((name) => {
    const stop = new AbortController()
    const serving = listener.serve(
      async (connection) => {
        served.push(name)
        await connection.sendBytes(Buffer.from(name))
      },
      { signal: stop.signal },
    )
    return async () => {
      stop.abort()
      await serving
    }
  })
  const ask = async (): Promise<string> => String(await (await dial(t, listener.address)).recvBytes())
  for (let round = 0; round < 10; round++) await ask()
  t.deepEqual(new Set(served), new Set(['one', 'other']))
  await stops[0]?.()
  for (let round = 0; round < 3; round++) t.is(await ask(), 'other')
  await stops[1]?.()
})

test('a handler that ends its own connection, listener or serving', async (t) => {
  const told: unknown[] = []
  const listener = await listen(t, temporaryAddress(t))
  const stop = new AbortController()
  const ways: ((connection: Connection) => unknown)[] = [
    (connection) => connection.close(),
    (connection) => connection.closeSync(),
    (connection) => void connection.close(),
    (connection) => connection.destroy(),
    () => stop.abort(),
    () => listener.close(),
  ]
  let calls = 0
  const serving = listener.serve(async (connection) => ways[calls++]?.(connection), {
    signal: stop.signal,
    onError: (error) => told.push(error),
  })
  for (let round = 0; round < 5; round++) {
    t.is(await codeOf((await dial(t, listener.address)).recvBytes()), 'ERR_EOF')
  }
  await serving
  const again = listener.serve(async (connection) => ways[calls++]?.(connection))
  t.is(await codeOf((await dial(t, listener.address)).recvBytes()), 'ERR_EOF')
  await again
  t.deepEqual(told, [])
})

test('onError may close, destroy and answer; a promise of it is not waited for', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  let calls = 0
  const serving = listener.serve(
    () => {
      throw new Error('broken')
    },
    {
      onError: (error, connection) => {
        calls++
        if (calls === 1) return connection?.send({ error: error.message })
        if (calls === 2) return connection?.close()
        return connection?.destroy()
      },
    },
  )
  const answered = await dial(t, listener.address)
  t.deepEqual(await answered.recv(), { error: 'broken' })
  for (const client of [answered, await dial(t, listener.address), await dial(t, listener.address)]) {
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
  }
  listener.closeSync()
  await serving
})

test('a client that does not read is given up by destroy(), which is told', async (t) => {
  const told: unknown[] = []
  const listener = await listen(t, temporaryAddress(t))
  const serving = listener.serve(
    async (connection) => {
      void turns().then(() => connection.destroy())
      await connection.sendBytes(Buffer.alloc(10_000_000))
    },
    { onError: (error) => told.push((error as NodeJS.ErrnoException).code) },
  )
  const client = await dial(t, listener.address)
  await until(() => told.length > 0)
  t.deepEqual(told, ['ERR_CLOSED'])
  t.is(await codeOf(client.recvBytes()), 'ERR_MESSAGE_TRUNCATED')
  listener.closeSync()
  await serving
})

for (const way of ['exit', 'throw', 'signal', 'worker', 'worker-exit'] as const) {
  test(`the process ends by ${way} in a handler: the socket file goes, and the client sees the end`, async (t) => {
    const path = temporaryAddress(t)
    const program = startFixture(t, 'serve-ends.ts', [path, way])
    await program.line()
    const client = await dial(t, path)
    t.is(String(await client.recvBytes()), 'ready')
    await client.sendBytes(Buffer.from('go'))
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
    const { code, signal, stderr } = await program.outcome()
    t.is(signal, way === 'signal' ? 'SIGTERM' : null)
    t.is(code ?? 0, { exit: 3, throw: 1, signal: 0, worker: 0, 'worker-exit': 0 }[way], stderr)
    t.false(existsSync(path))
  })
}

test('a listener that nobody refers to is served on, and so is one of a descriptor', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const copy = OwnedFd.dup(listener).toListener()
  const stop = new AbortController()
  const serving = [listener, copy].map((each) => each.serve(echo, { signal: stop.signal }))
  for (let round = 0; round < 4; round++) {
    const client = await dial(t, listener.address)
    await client.sendBytes(Buffer.from('hello'))
    t.is(String(await client.recvBytes()), 'hello')
    client.destroy()
  }
  stop.abort()
  await Promise.all(serving)
  copy.closeSync()
})

test('a connection that a handler moves without awaiting arrives, or is closed when time is over', async (t) => {
  for (const isRead of [true, false]) {
    const [near, far] = pipe()
    // Fills the carrier: the connection waits behind.
    const filling = codeOf(near.sendBytes(Buffer.alloc(2_000_000)))
    let moving: Promise<unknown> | undefined
    const told: unknown[] = []
    const stop = new AbortController()
    const listener = await listen(t, temporaryAddress(t))
    const serving = listener.serve(
      (connection) => {
        moving = codeOf(near.sendConnection(connection))
      },
      { signal: stop.signal, drainTimeout: isRead ? null : 0, onError: (error) => told.push(error) },
    )
    const client = await dial(t, listener.address)
    await until(() => moving !== undefined)
    stop.abort()
    if (isRead) {
      await far.recvBytes()
      const moved = await far.recvConnection()
      void echo(moved)
      await client.sendBytes(Buffer.from('moved'))
      t.is(String(await client.recvBytes()), 'moved')
      t.is(await moving, undefined)
      moved.destroy()
    }
    await serving
    near.destroy()
    await Promise.all([filling, moving])
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
    t.deepEqual(told, [])
    far.destroy()
  }
})

test('never more than maxConnections, and none once it ends, whichever comes first', async (t) => {
  for (let round = 0; round < 30; round++) {
    const listener = await listen(t, temporaryAddress(t))
    const stop = new AbortController()
    let open = 0
    let most = 0
    let begun = 0
    const serving = listener.serve(
      async (connection) => {
        begun++
        most = Math.max(most, ++open)
        await codeOf(connection.recvBytes())
        open--
      },
      { signal: stop.signal, maxConnections: 2 },
    )
    const clients = await Promise.all([1, 2, 3, 4].map(() => dial(t, listener.address)))
    await until(() => begun === 2)
    if (round % 3 === 0) stop.abort()
    for (const client of clients) client.destroy()
    if (round % 3 === 1) stop.abort()
    if (round % 3 === 2) {
      await until(() => begun > 2)
      stop.abort()
    }
    await serving
    t.is(most, 2)
    if (round % 3 !== 2) t.is(begun, 2)
    t.is(open, 0)
    listener.closeSync()
  }
})

test('whatever a handler throws ends its own connection alone', async (t) => {
  const hostile = (trap: string): unknown =>
    new Proxy(new Error('hidden'), {
      get() {
        throw new Error(trap)
      },
    })
  const throws = [
    null,
    Symbol('a symbol'),
    Object.freeze(new Error('frozen')),
    {
      [inspect.custom]() {
        throw new Error('not to be shown')
      },
    },
    hostile('not to be read'),
    Object.defineProperty(new Error('odd'), 'code', {
      get() {
        throw new Error('no code')
      },
    }),
  ]
  let told = 0
  const listener = await listen(t, temporaryAddress(t))
  let next = 0
  const serving = listener.serve(
    () => {
      throw throws[next++]
    },
    { onError: () => void told++ },
  )
  for (const _ of throws) t.is(await codeOf((await dial(t, listener.address)).recvBytes()), 'ERR_EOF')
  listener.closeSync()
  await serving
  t.is(told, throws.length)
})

test('what is served is not collected, whatever its handlers wait for', async (t) => {
  t.deepEqual(await report(t, 'serve-collected.ts', [], { nodeOptions: ['--expose-gc'] }), {
    warnings: [],
    ended: ['ERR_EOF', 'ERR_EOF'],
  })
})

test('a worker that serves is terminated: its clients see the end, the process goes on', async (t) => {
  const outcome = await report(t, 'serve-in-worker.ts')
  t.deepEqual(outcome, { answers: 40, ends: 40, leaked: 0, file: false })
})
