import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { setInterval } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Connection, type Listener, type PeerAddress, type ServeOptions, connect, pipe } from '../index.ts'
import { frame } from './support/bytes.ts'
import { report } from './support/program.ts'
import { freshAddress, dial, listen } from './support/transports.ts'
import { codeOf, rejection, turns, until, watch } from './support/until.ts'

type Told = [code: unknown, hasConnection: boolean]

interface Server {
  readonly listener: Listener
  readonly told: Told[]
  readonly stop: AbortController
  readonly serving: Promise<void>
}

async function echo(connection: Connection): Promise<void> {
  for await (const { data } of connection) await connection.sendBytes(data)
}

/** A listener that is served until the test ends. */
async function serve(
  t: ExecutionContext,
  transport: 'unix' | 'tcp',
  handler: (connection: Connection) => unknown = echo,
  options: ServeOptions = {},
  listenerOptions: Parameters<typeof Listener.listen>[1] = {},
): Promise<Server> {
  const listener = await listen(t, freshAddress(t, transport), listenerOptions)
  const told: Told[] = []
  const stop = new AbortController()
  const onError = (error: Error, connection?: Connection): void => {
    told.push([(error as NodeJS.ErrnoException).code, connection !== undefined])
  }
  const serving = listener.serve(handler, { signal: stop.signal, drainTimeout: 0, onError, ...options })
  t.teardown(() => stop.abort())
  return { listener, told, stop, serving }
}

function rawClient(t: ExecutionContext, address: PeerAddress): Socket {
  const target = typeof address === 'object' && 'port' in address ? address : { path: String(address) }
  const socket = createConnection(target)
  socket.on('error', () => {}) // what it provokes is the server's to tell
  t.teardown(() => void socket.destroy())
  return socket
}

for (const transport of ['unix', 'tcp'] as const) {
  test(`${transport}: each connection has its handler, side by side, and is closed when that returns`, async (t) => {
    const server = await serve(t, transport)
    const clients = await Promise.all(Array.from({ length: 5 }, () => dial(t, server.listener.address)))
    for (const [index, client] of clients.entries()) await client.sendBytes(Buffer.from([index]))
    for (const [index, client] of clients.entries()) t.is((await client.recvBytes())[0], index)
    const once = await serve(t, transport, async (connection) => {
      // Not awaited: what was sent leaves all the same.
      void connection.sendBytes(Buffer.alloc(4_000_000, 1))
    })
    const client = await dial(t, once.listener.address)
    t.is((await client.recvBytes()).length, 4_000_000)
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
    t.deepEqual([server.told, once.told], [[], []])
  })

  test(`${transport}: a client that leaves or resets is no error, whatever the handler was doing`, async (t) => {
    let ended = 0
    const handlers: ((connection: Connection) => Promise<unknown>)[] = [
      echo,
      async (connection) => connection.recvBytes(),
      async (connection) => {
        for (;;) await connection.sendBytes(Buffer.alloc(100_000))
      },
    ]
    const server = await serve(t, transport, async (connection) => {
      try {
        const which = (await connection.recvBytes())[0] as number
        await (handlers[which] as (connection: Connection) => Promise<unknown>)(connection)
      } finally {
        ended++
      }
    })
    for (const which of [0, 1, 2]) {
      // One that ends its half and goes on reading has not left.
      for (const leave of which === 2 ? (['destroy', 'reset'] as const) : (['end', 'destroy', 'reset'] as const)) {
        const socket = rawClient(t, server.listener.address)
        socket.write(frame(Buffer.from([which])))
        await once(socket, 'connect')
        if (leave === 'end') socket.end()
        if (leave === 'destroy') socket.destroy()
        // With bytes that were not read, a unix socket resets, too.
        if (leave === 'reset') {
          if (transport === 'tcp') socket.resetAndDestroy()
          else socket.destroy()
        }
        if (leave === 'end') socket.resume()
      }
    }
    const silent = rawClient(t, server.listener.address)
    await once(silent, 'connect')
    silent.destroy()
    await until(() => ended === 9)
    t.deepEqual(server.told, [])
    await assertEchoesWith(t, server)
  })

  test(`${transport}: what is wrong with a client is told with its connection, and ends that alone`, async (t) => {
    const server = await serve(t, transport, async (connection) => connection.recv(), {}, { maxMessageSize: 1000 })
    const good = await dial(t, server.listener.address)
    for (const [bytes, code] of [
      ['GET / HTTP/1.1\r\n\r\n', 'ERR_MESSAGE_TOO_LARGE'],
      [Buffer.from([0xff, 0xff, 0xff, 0xfe]), 'ERR_PROTOCOL'],
      [frame(Buffer.alloc(10)).subarray(0, 8), 'ERR_MESSAGE_TRUNCATED'],
    ] as const) {
      const socket = rawClient(t, server.listener.address)
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
      t.deepEqual(server.told.pop(), [code, true])
      t.deepEqual(server.told, [])
    }
    await good.send('still served')
    t.is(await codeOf(good.recv()), 'ERR_EOF')
  })
}

async function assertEchoesWith(t: ExecutionContext, { listener }: Server): Promise<void> {
  const client = await dial(t, listener.address)
  await client.sendBytes(Buffer.from([0]))
  await client.sendBytes(Buffer.from('hello'))
  t.is(String(await client.recvBytes()), 'hello')
}

test('the end of another connection is an error like any other', async (t) => {
  const [backend, other] = pipe()
  other.destroy()
  const server = await serve(t, 'unix', async () => backend.recvBytes())
  const client = await dial(t, server.listener.address)
  t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
  t.deepEqual(server.told, [['ERR_EOF', true]])
  backend.destroy()
})

test('what a handler throws at once, or that is no Error, is told, too', async (t) => {
  for (const [thrown, shown] of [
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [Object.create(null), '[Object: null prototype] {}'],
  ] as const) {
    const errors: Error[] = []
    const server = await serve(
      t,
      'unix',
      () => {
        throw thrown
      },
      { onError: (error) => errors.push(error), maxConnections: 1 },
    )
    for (let round = 0; round < 2; round++) {
      t.is(await codeOf((await dial(t, server.listener.address)).recvBytes()), 'ERR_EOF')
    }
    for (const error of errors) t.like(error, { message: `A handler threw ${shown}`, cause: thrown })
    t.is(errors.length, 2)
  }
})

test('onError has the connection, open and with its peer', async (t) => {
  const seen: unknown[] = []
  const server = await serve(
    t,
    'tcp',
    () => {
      throw new Error('broken')
    },
    { onError: (error, connection) => seen.push([error.message, connection?.closed, typeof connection?.peer]) },
  )
  t.is(await codeOf((await dial(t, server.listener.address)).recvBytes()), 'ERR_EOF')
  t.deepEqual(seen, [['broken', false, 'object']])
})

test('maxConnections are served, the others when one of those has ended', async (t) => {
  let open = 0
  let most = 0
  const server = await serve(
    t,
    'unix',
    async (connection) => {
      most = Math.max(most, ++open)
      await echo(connection)
      open--
    },
    { maxConnections: 2 },
  )
  const clients = await Promise.all(Array.from({ length: 6 }, () => dial(t, server.listener.address)))
  for (const client of clients) void client.sendBytes(Buffer.from('hello'))
  const answers = clients.map((client) => watch(client.recvBytes()))
  for (let served = 2; served <= 6; served++) {
    await until(() => answers.filter(({ settled }) => settled).length >= served)
    await turns()
    t.is(answers.filter(({ settled }) => settled).length, served)
    clients[answers.findIndex(({ settled }, index) => settled && clients[index]?.closed === false)]?.destroy()
  }
  t.is(most, 2)
})

test('when the signal is aborted nobody is accepted any more, and handlers finish', async (t) => {
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => (open = resolve))
  const server = await serve(
    t,
    'unix',
    async (connection) => {
      const data = await connection.recvBytes()
      await gate
      await connection.sendBytes(data)
    },
    { drainTimeout: null },
  )
  const client = await dial(t, server.listener.address)
  await client.sendBytes(Buffer.from('in time'))
  await turns()
  const serving = watch(server.serving)
  server.stop.abort()
  const late = await dial(t, server.listener.address)
  await turns()
  t.false(serving.settled)
  open()
  t.is(String(await client.recvBytes()), 'in time')
  t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
  await server.serving
  t.false(server.listener.closed)
  t.deepEqual(server.told, [])
  // Whoever accepts next has the one that came meanwhile.
  const accepted = await server.listener.accept()
  await late.sendBytes(Buffer.from('waited'))
  t.is(String(await accepted.recvBytes()), 'waited')
  accepted.destroy()
})

for (const stuck of ['receives', 'sends', 'never settles'] as const) {
  test(`after drainTimeout the connections are destroyed: a handler that ${stuck}`, async (t) => {
    let begun = false
    const server = await serve(
      t,
      'unix',
      async (connection) => {
        begun = true
        if (stuck === 'receives') await connection.recvBytes()
        if (stuck === 'sends') await connection.sendBytes(Buffer.alloc(50_000_000))
        if (stuck === 'never settles') await new Promise(() => {})
      },
      { drainTimeout: 1 },
    )
    const client = await dial(t, server.listener.address)
    await until(() => begun)
    server.stop.abort()
    await server.serving
    await turns()
    t.deepEqual(server.told, [])
    t.is(
      await codeOf(client.recvBytes({ maxLength: 60_000_000 })),
      stuck === 'sends' ? 'ERR_MESSAGE_TRUNCATED' : 'ERR_EOF',
    )
  })
}

test('a handler that waits with the signal itself is no error', async (t) => {
  const stop = new AbortController()
  let begun = false
  const server = await serve(
    t,
    'unix',
    async (connection) => {
      begun = true
      await connection.recvBytes({ signal: stop.signal })
    },
    { signal: stop.signal, drainTimeout: null },
  )
  const client = await dial(t, server.listener.address)
  await until(() => begun)
  stop.abort()
  await server.serving
  t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
  t.deepEqual(server.told, [])
})

test('sends that nobody awaits end neither the process nor the serving when the client leaves or time is over', async (t) => {
  let ended = 0
  const served: Connection[] = []
  const server = await serve(t, 'unix', async (connection) => {
    served.push(connection)
    try {
      for await (const { data } of connection) {
        void connection.sendBytes(data)
        void connection.sendBytes(Buffer.alloc(3_000_000))
      }
    } finally {
      ended++
    }
  })
  const client = rawClient(t, server.listener.address)
  for (let message = 0; message < 5; message++) client.write(frame(Buffer.from('hello')))
  await once(client, 'data')
  client.destroy()
  await until(() => ended === 1)
  const waits = await dial(t, server.listener.address)
  await waits.sendBytes(Buffer.from('hello'))
  t.is(String(await waits.recvBytes()), 'hello')
  server.stop.abort()
  await server.serving
  await turns()
  for (const connection of served) {
    void connection.sendBytes(Buffer.from('late'))
    void connection.send('late')
    void connection.sendHandle(0)
  }
  await turns()
  t.is(await codeOf(waits.recvBytes()), 'ERR_MESSAGE_TRUNCATED')
  t.deepEqual(server.told, [])
})

test('what a handler does elsewhere ends with its client, or with the serving, and neither is an error', async (t) => {
  for (const reason of [undefined, new Error('enough'), 'enough']) {
    const stop = new AbortController()
    const [idle, far] = pipe()
    let begun = 0
    let ended = 0
    const ways: ((connection: Connection) => unknown)[] = [
      ({ signal }) => idle.recvBytes({ signal }),
      ({ signal }) =>
        setInterval(1, undefined, { signal })
          .next()
          .then(() => idle.recvBytes({ signal })),
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      () => idle.recvBytes({ signal: stop.signal }),
      () => new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(stop.signal.reason))),
    ]
    const server = await serve(
      t,
      'unix',
      async (connection) => {
        const way = ways[(await connection.recvBytes())[0] as number]
        begun++
        await Promise.resolve(way?.(connection)).finally(() => ended++)
      },
      { signal: stop.signal, drainTimeout: null },
    )
    const clients: Connection[] = []
    for (const way of ways.keys()) {
      const client = await dial(t, server.listener.address)
      await client.sendBytes(Buffer.from([way]))
      clients.push(client)
    }
    await until(() => begun === ways.length)
    for (const client of clients.slice(0, 3)) client.destroy()
    await until(() => ended === 3)
    stop.abort(reason)
    await server.serving
    t.is(ended, ways.length)
    t.deepEqual(server.told, [])
    for (const end of [idle, far]) end.destroy()
  }
})

test('a handler that goes on with a connection destroyed after drainTimeout is no error', async (t) => {
  let begun = false
  let code: unknown
  const destroyed = new AbortController()
  const server = await serve(t, 'unix', async (connection) => {
    begun = true
    await once(destroyed.signal, 'abort')
    for (const use of [() => connection.recvBytes(), () => connection.flush(), () => connection.poll(null)]) {
      code = await codeOf(use())
      t.is(code, 'ERR_CLOSED')
    }
    await connection.sendBytes(Buffer.from('late'))
  })
  await dial(t, server.listener.address)
  await until(() => begun)
  server.stop.abort()
  await server.serving
  destroyed.abort()
  await until(() => code !== undefined)
  await turns()
  t.deepEqual(server.told, [])
})

test('closing the listener ends the serving as the signal does', async (t) => {
  const server = await serve(t, 'unix', echo, { drainTimeout: null, maxConnections: 1 })
  const client = await dial(t, server.listener.address)
  await client.sendBytes(Buffer.from('hello'))
  t.is(String(await client.recvBytes()), 'hello')
  const serving = watch(server.serving)
  await server.listener.close()
  t.is(await codeOf(connect(server.listener.address)), 'ENOENT')
  await client.sendBytes(Buffer.from('still'))
  t.is(String(await client.recvBytes()), 'still')
  t.false(serving.settled)
  client.destroy()
  await server.serving
})

test('a signal that is aborted already serves nobody; wrong arguments reject before anything is done', async (t) => {
  const listener = await listen(t)
  const client = await dial(t, listener.address)
  const never = (): never => t.fail()
  await listener.serve(never, { signal: AbortSignal.abort() })
  t.is(await codeOf(listener.serve(7 as never)), 'ERR_INVALID_ARG_TYPE')
  for (const [options, code] of [
    [{ maxConnection: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ maxConnections: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ maxConnections: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ drainTimeout: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    [{ onError: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    t.is(await codeOf(listener.serve(never, options as never)), code)
  }
  const accepted = await listener.accept()
  await client.sendBytes(Buffer.from('was not taken'))
  t.is(String(await accepted.recvBytes()), 'was not taken')
  accepted.destroy()
  await listener.close()
  t.is(((await rejection(listener.serve(never))) as NodeJS.ErrnoException).code, 'ERR_CLOSED')
})

test('handlers run in the AsyncLocalStorage of the serve call', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const listener = await listen(t)
  const stop = new AbortController()
  const seen: unknown[] = []
  const serving = storage.run('mine', () =>
    listener.serve(
      () => {
        seen.push(storage.getStore())
        throw new Error('seen')
      },
      { signal: stop.signal, onError: () => seen.push(storage.getStore()) },
    ),
  )
  const client = await storage.run('other', () => dial(t, listener.address))
  t.is(await codeOf(storage.run('other', () => client.recvBytes())), 'ERR_EOF')
  stop.abort()
  await serving
  t.deepEqual(seen, ['mine', 'mine'])
})

test('a handler may destroy, detach or move its connection', async (t) => {
  const [near, far] = pipe()
  const kept: (() => void)[] = []
  const ways: ((connection: Connection) => unknown)[] = [
    (connection) => connection.destroy(),
    (connection) => {
      const fd = connection.detach()
      kept.push(() => fd.close())
    },
    (connection) => near.sendConnection(connection),
  ]
  const server = await serve(t, 'unix', async (connection) => {
    const way = ways[(await connection.recvBytes())[0] as number]
    await way?.(connection)
  })
  const clients: Connection[] = []
  for (const way of ways.keys()) {
    const client = await dial(t, server.listener.address)
    await client.sendBytes(Buffer.from([way]))
    clients.push(client)
  }
  const [destroyed, detached, moved] = clients as [Connection, Connection, Connection]
  t.is(await codeOf(destroyed.recvBytes()), 'ERR_EOF')
  const here = await far.recvConnection()
  await here.sendBytes(Buffer.from('from afar'))
  t.is(String(await moved.recvBytes()), 'from afar')
  t.false(await detached.poll())
  server.stop.abort()
  await server.serving
  t.deepEqual(server.told, [])
  for (const close of [...kept, () => here.destroy(), () => near.destroy(), () => far.destroy()]) close()
})

test('a full descriptor table ends neither serve nor loops over accept, and is told once', async (t) => {
  const outcome = await report(t, 'serve-limit.ts', [], { openFiles: 60 })
  t.deepEqual(outcome, {
    serve: ['EMFILE without a connection', 'served'],
    loop: ['FDWIRE_DESCRIPTORS_EXHAUSTED', 'served'],
    accept: ['ERR_TIMEOUT of EMFILE', 'EMFILE', 'served', 'ERR_TIMEOUT of undefined'],
  })
})

test('without onError the first error is a warning; one that onError throws is uncaught, and the server goes on', async (t) => {
  t.deepEqual(await report(t, 'serve-errors.ts', []), {
    warnings: ['FDWIRE_SERVE_ERROR: the handler failed'],
    uncaught: ['onError failed', 'onError failed later'],
    answer: 'still here',
  })
})
