import { existsSync, readFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import { inspect } from 'node:util'
import test from 'ava'
import { connect, Listener, OwnedFd } from '../index.ts'
import { frame, pattern } from './support/bytes.ts'
import { abstractAddress, isOpen, openFile, temporaryAddress, temporaryDirectory } from './support/resources.ts'
import { accept, assertServing, dial, freshAddress, listen, listening } from './support/transports.ts'
import { codeOf, rejection, turns, until, watch } from './support/until.ts'

for (const transport of listening) {
  test(`${transport}: a listener accepts connections at its address`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    await assertServing(t, listener)
    await assertServing(t, listener)
  })

  test(`${transport}: connections wait in the queue of the kernel until accepted, in order`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    for (const text of ['one', 'two', 'three']) {
      const client = await dial(t, listener.address)
      await client.sendBytes(Buffer.from(text))
    }
    for (const text of ['one', 'two', 'three']) {
      t.is(String(await (await accept(t, listener)).recvBytes()), text)
    }
  })

  test(`${transport}: several accepts wait at once and are served in order`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const order: number[] = []
    const accepting = [0, 1, 2].map(async (index) => {
      await accept(t, listener)
      order.push(index)
    })
    for (let index = 0; index < 3; index++) await dial(t, listener.address)
    await Promise.all(accepting)
    t.deepEqual(order, [0, 1, 2])
  })

  test(`${transport}: an accept that is aborted or timed out takes no connection with it`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = rejection(listener.accept({ signal: controller.signal }))
    const started = performance.now()
    const timedOut = rejection(listener.accept({ timeout: 20 }))
    controller.abort(reason)
    t.like(await aborted, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    t.is((await timedOut).code, 'ERR_TIMEOUT')
    t.true(performance.now() - started >= 20)
    await assertServing(t, listener)
    const signal = AbortSignal.abort(reason)
    await dial(t, listener.address)
    t.like(await rejection(listener.accept({ signal })), { code: 'ABORT_ERR', cause: reason })
    await accept(t, listener)
  })

  test(`${transport}: a loop over the listener yields connections until it is closed`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const clients = (async () => {
      for (let index = 0; index < 20; index++) {
        const client = await dial(t, listener.address)
        await client.sendBytes(pattern(index))
      }
    })()
    let count = 0
    for await (const connection of listener) {
      t.is((await connection.recvBytes()).length, count)
      connection.destroy()
      count++
      if (count === 20) await listener.close()
    }
    t.is(count, 20)
    await clients
  })

  test(`${transport}: close ends a loop that waits`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const loop = (async () => {
      for await (const connection of listener) connection.destroy()
    })()
    await turns()
    await listener.close()
    await t.notThrowsAsync(loop)
  })

  test(`${transport}: leaving the loop keeps the listener open`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    await dial(t, listener.address)
    for await (const connection of listener) {
      connection.destroy()
      break
    }
    await assertServing(t, listener)
  })

  test(`${transport}: close rejects a pending accept and refuses more`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const { address } = listener
    const pending = [codeOf(listener.accept()), codeOf(listener.accept())]
    const closing = listener.close()
    t.deepEqual(await Promise.all(pending), ['ERR_CLOSED', 'ERR_CLOSED'])
    await closing
    await listener.close()
    t.is(listener.fd, -1)
    await t.throwsAsync(listener.accept(), { code: 'ERR_CLOSED' })
    t.truthy(await codeOf(connect(address)))
  })

  test(`${transport}: closing the listener leaves its connections alone`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const client = await dial(t, listener.address)
    const server = await accept(t, listener)
    await listener.close()
    await client.sendBytes(Buffer.from('still here'))
    t.is(String(await server.recvBytes()), 'still here')
  })

  test(`${transport}: connection options of listen hold for what it accepts`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport), { maxMessageSize: 4 })
    const client = await dial(t, listener.address)
    const server = await accept(t, listener)
    await client.sendBytes(Buffer.from('over it'))
    await t.throwsAsync(server.recvBytes(), { code: 'ERR_MESSAGE_TOO_LARGE' })
  })

  test(`${transport}: { fd } listens on a socket that is listening already and borrows it`, async (t) => {
    const first = await listen(t, freshAddress(t, transport))
    const second = await listen(t, { fd: first.fd })
    t.not(second.fd, first.fd)
    t.deepEqual(second.address, first.address)
    await assertServing(t, second)
    await second.close()
    t.true(isOpen(first.fd))
    await assertServing(t, first)
  })

  test(`${transport}: fromFd adopts a listening socket`, async (t) => {
    const first = await listen(t, freshAddress(t, transport), { unlink: false })
    const handle = OwnedFd.dup(first)
    await first.close()
    const listener = Listener.fromFd(handle, { maxMessageSize: 100 })
    t.teardown(() => listener.close())
    t.is(handle.fd, -1)
    t.deepEqual(listener.address, first.address)
    await assertServing(t, listener)
  })

  test(`${transport}: an address in use is EADDRINUSE and its server goes on`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const error = await rejection(Listener.listen(listener.address))
    t.is(error.code, 'EADDRINUSE')
    t.true((error.errno ?? 0) < 0)
    t.is(typeof error.syscall, 'string')
    await assertServing(t, listener)
  })
}

test('lastAccepted is the peer of the connection accepted last', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  t.falsy(listener.lastAccepted)
  await dial(t, listener.address)
  const server = await accept(t, listener)
  t.is(listener.lastAccepted, '')
  t.is(server.peer, '')
})

test('a path is accepted as a string, as bytes and as { path }', async (t) => {
  for (const form of [
    (path: string) => path,
    (path: string) => Buffer.from(path),
    (path: string) => new Uint8Array(Buffer.from(path)),
    (path: string) => ({ path }),
  ]) {
    const path = temporaryAddress(t)
    const listener = await listen(t, form(path))
    t.is(listener.address, path)
    await assertServing(t, listener)
  }
})

if (process.platform === 'linux') {
  test('a path that is no UTF-8 is given back as bytes', async (t) => {
    const path = Buffer.concat([Buffer.from(`${temporaryDirectory(t)}/`), Buffer.of(0xff, 0xfe)])
    const listener = await listen(t, path)
    t.deepEqual(listener.address, path)
    await assertServing(t, listener)
  })

  test('an abstract name has its exact length, also with NULs and 107 bytes long', async (t) => {
    for (const name of [abstractAddress(), abstractAddress().padEnd(108, 'n'), `${abstractAddress()}\0\0tail`]) {
      const listener = await listen(t, name)
      t.deepEqual(listener.address, Buffer.from(name))
      const shown = name.replaceAll('\0', '@')
      t.true(
        readFileSync('/proc/net/unix', 'latin1')
          .split('\n')
          .some((line) => line.endsWith(` ${shown}`)),
        shown,
      )
      await assertServing(t, listener)
    }
  })
}

test('TCP port 0 is a free port, given by address', async (t) => {
  const listener = await listen(t, { host: '127.0.0.1', port: 0 })
  const { host, port } = listener.address as { host: string; port: number }
  t.is(host, '127.0.0.1')
  t.true(port > 0)
  const peer = connectSocket(port, host)
  const server = await accept(t, listener)
  t.teardown(() => void peer.destroy())
  peer.write(frame('from a plain socket'))
  t.is(String(await server.recvBytes()), 'from a plain socket')
})

test('fromFd refuses what does not listen and leaves it with its owner', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const client = await dial(t, listener.address)
  for (const fd of [client.fd, openFile(t).fd]) {
    t.throws(() => Listener.fromFd(fd), { code: 'ERR_INVALID_FD_TYPE' })
    await t.throwsAsync(Listener.listen({ fd }), { code: 'ERR_INVALID_FD_TYPE' })
    t.true(isOpen(fd))
  }
})

test('the queue of the kernel is taken from only while an accept waits', async (t) => {
  const listener = await listen(t, temporaryAddress(t), { backlog: 1 })
  await dial(t, listener.address)
  await dial(t, listener.address)
  const third = watch(dial(t, listener.address))
  await turns(100)
  t.false(third.settled, 'the queue of two is still full')
  await accept(t, listener)
  await third.promise
})

test('a queue of many connections is taken in turns', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  for (let index = 0; index < 200; index++) await dial(t, listener.address)
  let accepted = 0
  const accepting = (async () => {
    while (accepted < 200) {
      await accept(t, listener)
      accepted++
    }
  })()
  await turns(1)
  t.true(accepted > 0 && accepted < 200, `${accepted} in the first turn`)
  await accepting
  await assertServing(t, listener)
})

test('two listeners on one socket share its connections, and neither blocks', async (t) => {
  const first = await listen(t, temporaryAddress(t))
  const second = await listen(t, { fd: first.fd })
  const accepting = [watch(accept(t, first)), watch(accept(t, second))]
  const clients = [await dial(t, first.address)]
  await until(() => accepting.some(({ settled }) => settled))
  await turns()
  t.is(accepting.filter(({ settled }) => settled).length, 1, 'the other found nothing and waits on')
  clients.push(await dial(t, first.address))
  for (const { promise } of accepting) await (await promise).sendBytes(Buffer.from('accepted'))
  for (const client of clients) t.is(String(await client.recvBytes()), 'accepted')
})

test('closeSync and the disposers are close where there is one', async (t) => {
  for (const close of [
    (listener: Listener) => listener.closeSync(),
    (listener: Listener) => listener[Symbol.dispose](),
    (listener: Listener) => listener[Symbol.asyncDispose](),
  ]) {
    const path = temporaryAddress(t)
    const listener = await Listener.listen(path)
    const accepting = codeOf(listener.accept())
    const closing = close(listener)
    t.true(listener.closed)
    t.false(existsSync(path))
    t.is(await accepting, 'ERR_CLOSED')
    await closing
    listener.closeSync()
    await listener.close()
  }
})

test('a listener is shown with its descriptor and address', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  t.regex(inspect(listener), /^Listener \{/)
  t.true(inspect(listener).includes(String(listener.address)))
})
