import { getEventListeners, once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import test from 'ava'
import { connect, Listener, TimeoutError } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { openFile, temporaryAddress, temporaryDirectory } from './support/resources.ts'
import { accept, dial, freshAddress, listen, unixListening } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

for (const transport of unixListening) {
  test(`${transport}: a full accept queue is waited for`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport), { backlog: 1 })
    const dials = Array.from({ length: 20 }, (_, index) =>
      watch(
        (async () => {
          const client = await dial(t, listener.address)
          await client.sendBytes(pattern(index))
        })(),
      ),
    )
    await turns(100)
    t.true(
      dials.some(({ settled }) => !settled),
      'the queue has no room for all',
    )
    const sizes = new Set<number>()
    for (const _dial of dials) sizes.add((await (await accept(t, listener)).recvBytes()).length)
    await Promise.all(dials.map(({ promise }) => promise))
    t.is(sizes.size, 20)
  })

  test(`${transport}: a full accept queue is waited for no longer, and no shorter, than the timeout`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport), { backlog: 1 })
    await dial(t, listener.address)
    await dial(t, listener.address)
    const started = performance.now()
    await t.throwsAsync(connect(listener.address, { timeout: 30 }), { code: 'ERR_TIMEOUT', instanceOf: TimeoutError })
    t.true(performance.now() - started >= 30)
    await accept(t, listener)
    await accept(t, listener)
    t.is(await codeOf(listener.accept({ timeout: 1 })), 'ERR_TIMEOUT', 'the connect that gave up left nothing')
  })

  test(`${transport}: waiting for a full accept queue is aborted by the signal`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport), { backlog: 1 })
    await dial(t, listener.address)
    await dial(t, listener.address)
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const connecting = rejection(connect(listener.address, { signal: controller.signal }))
    await turns()
    controller.abort(reason)
    t.like(await connecting, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    t.is(getEventListeners(controller.signal, 'abort').length, 0)
  })

  test(`${transport}: waiting for a full accept queue ends when the listener closes`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport), { backlog: 1 })
    await dial(t, listener.address)
    await dial(t, listener.address)
    const connecting = rejection(connect(listener.address))
    await turns()
    await listener.close()
    t.regex(String((await connecting).code), /^(ECONNREFUSED|ENOENT)$/)
  })
}

test('a connect before the first accept is through at once, and can send', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const client = await dial(t, listener.address)
  await client.sendBytes(Buffer.from('early'))
  t.is(String(await (await accept(t, listener)).recvBytes()), 'early')
})

test('nobody at a path is ENOENT, nobody behind a socket file ECONNREFUSED', async (t) => {
  const path = temporaryAddress(t)
  const missing = await rejection(connect(path))
  t.like(missing, { code: 'ENOENT', syscall: 'connect', address: path })
  t.true((missing.errno ?? 0) < 0)
  t.is(missing.message, `connect ENOENT ${path}`)
  const listener = await Listener.listen(path, { unlink: false })
  await listener.close()
  t.like(await rejection(connect(path)), { code: 'ECONNREFUSED', syscall: 'connect', address: path })
})

test('nobody at a port is ECONNREFUSED', async (t) => {
  const listener = await Listener.listen({ host: '127.0.0.1', port: 0 })
  const { port } = listener.address as { port: number }
  await listener.close()
  const error = await rejection(connect({ host: '127.0.0.1', port }))
  t.like(error, { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port })
  t.is(error.message, `connect ECONNREFUSED 127.0.0.1:${port}`)
})

test('what is no socket, or a path too long, is an error', async (t) => {
  t.is(await codeOf(connect(openFile(t).path)), 'ECONNREFUSED')
  t.is(await codeOf(connect(`${temporaryDirectory(t)}/${'x'.repeat(200)}`)), 'ENAMETOOLONG')
})

test('a host name is looked up', async (t) => {
  const server = createServer().listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const { port } = server.address() as { port: number }
  const client = await dial(t, { host: 'localhost', port })
  t.like(client.peer, { port })
})

test('IPv6 works where there is any', async (t) => {
  const listener = await Listener.listen({ host: '::1', port: 0 }).catch((error: NodeJS.ErrnoException) => error)
  if (listener instanceof Error) {
    t.is(listener.code, 'EADDRNOTAVAIL', 'this machine has no IPv6')
    return
  }
  t.teardown(() => listener.close())
  t.like(listener.address, { host: '::1' })
  const client = await dial(t, listener.address)
  await client.sendBytes(Buffer.from('six'))
  t.is(String(await (await accept(t, listener)).recvBytes()), 'six')
})

test('the peer is what the listener calls itself', async (t) => {
  const path = temporaryAddress(t)
  await listen(t, path)
  const link = temporaryAddress(t)
  symlinkSync(path, link)
  t.is((await dial(t, link)).peer, path)
})

test('a path is accepted as a string, as bytes and as { path }', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, path)
  for (const address of [path, Buffer.from(path), new Uint8Array(Buffer.from(path)), { path }]) {
    const client = await dial(t, address)
    t.is(client.peer, path)
    await accept(t, listener)
  }
})

test('{ fd } is a connected socket, borrowed', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const first = await dial(t, listener.address)
  const server = await accept(t, listener)
  const second = await dial(t, { fd: first.fd })
  t.not(second.fd, first.fd)
  await second.sendBytes(Buffer.from('through the copy'))
  second.destroy()
  await first.sendBytes(Buffer.from('and the original'))
  t.is(String(await server.recvBytes()), 'through the copy')
  t.is(String(await server.recvBytes()), 'and the original')
})

test('a signal aborted before the call connects nobody', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const reason = new Error('before')
  const error = await rejection(connect(listener.address, { signal: AbortSignal.abort(reason) }))
  t.like(error, { code: 'ABORT_ERR', cause: reason })
  t.is(await codeOf(listener.accept({ timeout: 1 })), 'ERR_TIMEOUT')
})

test('a signal that aborts after connecting leaves the connection alone', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const controller = new AbortController()
  const client = await dial(t, listener.address, { signal: controller.signal })
  const server = await accept(t, listener)
  t.is(getEventListeners(controller.signal, 'abort').length, 0)
  controller.abort()
  await client.sendBytes(Buffer.from('alive'))
  t.is(String(await server.recvBytes()), 'alive')
})

test('what is no address is refused', async (t) => {
  for (const bad of [5, null, {}, true, { host: 'localhost' }, { path: 5 }, { fd: 'x' }]) {
    // @ts-expect-error the values are no addresses
    const error = await rejection(connect(bad))
    t.regex(String(error.code), /^ERR_INVALID_ARG_(TYPE|VALUE)$/, JSON.stringify(bad))
  }
  for (const port of [-1, 65536, 1.5, NaN]) {
    await t.throwsAsync(connect({ host: '127.0.0.1', port }), { code: 'ERR_OUT_OF_RANGE' })
  }
  await t.throwsAsync(connect({ fd: -1 }), { code: 'EBADF' })
})
