// What `multiprocessing.connection.wait` does (its tests in CPython are named where one is), and what is better here.
import { createSocket } from 'node:dgram'
import { getEventListeners, once } from 'node:events'
import { createServer, Socket } from 'node:net'
import test from 'ava'
import type { Connection } from '../index.ts'
import { Listener, OwnedFd, pipe, wait, waitSync, type Waitable } from '../index.ts'
import { frame } from './support/bytes.ts'
import { report, startFixture } from './support/program.ts'
import { pythons, runPython } from './support/python.ts'
import { rawPeer, write } from './support/raw-peer.ts'
import { openFile, temporaryAddress, UNUSED_FD } from './support/resources.ts'
import { accept, connected, dial, freshAddress, listen, listening, oneWay, transports } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

type Wait = (objects: readonly Waitable[], timeout?: Parameters<typeof wait>[1]) => Promise<Waitable[]>

/** Both ways to wait. */
const waits: readonly [string, Wait][] = [
  ['wait', wait],
  ['waitSync', async (...args) => waitSync(...args)],
]

for (const transport of transports) {
  for (const [name, call] of waits) {
    test(`${name}, ${transport}: the ready ones come in the order given, as the same objects (test_wait)`, async (t) => {
      const [a, b] = await connected(t, transport)
      const [c, d] = await connected(t, transport)
      const [e, f] = await connected(t, transport)
      t.deepEqual(await call([a, c, e], 0), [])
      await f.sendBytes(Buffer.from('to e'))
      await b.sendBytes(Buffer.from('to a'))
      await Promise.all([a.poll(null), e.poll(null)])
      t.deepEqual(await call([c, e, a]), [e, a])
      const [first, second] = await call([a, c, e])
      t.true(first === a && second === e)
      await e.recvBytes()
      t.deepEqual(await call([e, c, a]), [a])
      await d.sendBytes(Buffer.from('to c'))
      await c.poll(null)
      t.deepEqual(await call([a, c, e]), [a, c])
    })

    test(`${name}, ${transport}: what was read ahead is ready`, async (t) => {
      const [a, b] = await connected(t, transport)
      const [c] = await connected(t, transport)
      await Promise.all(['one', 'two', 'three'].map((text) => b.sendBytes(Buffer.from(text))))
      await a.recvBytes()
      t.deepEqual(await call([c, a]), [a])
      await a.recvBytes()
      t.deepEqual(await call([a, c], null), [a])
      await a.recvBytes()
      t.deepEqual(await call([c, a], 0), [])
    })

    test(`${name}, ${transport}: the peer's end is ready, again and again`, async (t) => {
      const [a, b] = await connected(t, transport)
      b.destroy()
      t.deepEqual(await call([a]), [a])
      t.is(await codeOf(a.recvBytes()), 'ERR_EOF')
      t.deepEqual(await call([a]), [a])
      t.is(await codeOf(a.recvBytes()), 'ERR_EOF')
      t.deepEqual(await call([a]), [a])
    })
  }

  test(`${transport}: a wait ends when the first of its objects gets ready, and takes nothing`, async (t) => {
    const [a, b] = await connected(t, transport)
    const [c] = await connected(t, transport)
    const waiting = watch(wait([c, a]))
    await turns()
    t.false(waiting.settled)
    await b.sendBytes(Buffer.from('ready'))
    t.deepEqual(await waiting.promise, [a])
    t.is(String(await a.recvBytes()), 'ready')
  })

  test(`${transport}: a wait ends with the peer`, async (t) => {
    const [a, b] = await connected(t, transport)
    const waiting = wait([a])
    await turns()
    b.destroy()
    t.deepEqual(await waiting, [a])
  })

  test(`${transport}: several waits and receives go on beside each other on one connection`, async (t) => {
    const [a, b] = await connected(t, transport)
    const [c] = await connected(t, transport)
    const waits = Promise.all([wait([a, c]), wait([a]), a.poll(null)])
    await turns()
    await b.sendBytes(Buffer.from('one'))
    t.deepEqual(await waits, [[a], [a], true])
    t.is(String(await a.recvBytes()), 'one')
  })

  test(`${transport}: reports from several peers are all received by waiting and receiving in turn (test_wait_slow)`, async (t) => {
    const pairs = await Promise.all([1, 2, 3, 4].map(async () => connected(t, transport)))
    const sending = pairs.map(async ([sender], number) => {
      for (let count = 0; count < 50; count++) await sender.send([number, count])
      await sender.close()
    })
    const readers = new Set(pairs.map(([, reader]) => reader))
    const received = pairs.map((): number[] => [])
    while (readers.size > 0) {
      for (const reader of await wait([...readers])) {
        try {
          const [number, count] = (await reader.recv()) as [number, number]
          received[number]?.push(count)
        } catch (error) {
          t.is((error as NodeJS.ErrnoException).code, 'ERR_EOF')
          readers.delete(reader)
        }
      }
    }
    await Promise.all(sending)
    t.deepEqual(
      received,
      pairs.map(() => Array.from({ length: 50 }, (_, count) => count)),
    )
  })
}

for (const transport of listening) {
  for (const [name, call] of waits) {
    test(`${name}, ${transport}: a listener is ready when there is something to accept`, async (t) => {
      const listener = await listen(t, freshAddress(t, transport))
      const [quiet] = await connected(t, 'pipe')
      t.deepEqual(await call([quiet, listener], 0), [])
      await dial(t, listener.address)
      t.deepEqual(await call([quiet, listener]), [listener])
      t.deepEqual(await call([listener, quiet]), [listener])
      await accept(t, listener)
      t.deepEqual(await call([quiet, listener], 0), [])
    })
  }

  test(`${transport}: a wait ends when a client comes to a listener, who is still there to accept`, async (t) => {
    const listener = await listen(t, freshAddress(t, transport))
    const waiting = wait([listener])
    await turns()
    await dial(t, listener.address)
    t.deepEqual(await waiting, [listener])
    await accept(t, listener)
  })
}

for (const [name, call] of waits) {
  test(`${name}: sockets and servers of Node's (test_wait_socket)`, async (t) => {
    const server = createServer({ pauseOnConnect: true }).listen(temporaryAddress(t))
    t.teardown(() => void server.close())
    await once(server, 'listening')
    t.deepEqual(await call([server], 0), [])
    const client = new Socket().connect(server.address() as string)
    t.teardown(() => void client.destroy())
    t.deepEqual(waitSync([server]), [server], 'while its own loop is held up')
    const [accepted] = (await once(server, 'connection')) as [Socket]
    t.teardown(() => void accepted.destroy())
    t.deepEqual(await call([accepted, server], 0), [])
    await write(client, Buffer.from('data'))
    t.deepEqual(await call([server, accepted]), [accepted])
  })

  test(`${name}: a datagram socket of Node's`, async (t) => {
    const socket = createSocket('udp4')
    t.teardown(() => void socket.close())
    t.is(await codeOf(call([socket], 0)), 'ERR_INVALID_FD_TYPE', 'it has no descriptor before bind')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    t.deepEqual(await call([socket], 0), [])
  })

  test(`${name}: numbers, OwnedFds and objects with an fd, readable or not (test_wait_integer)`, async (t) => {
    const [a, b] = await connected(t, 'pipe')
    const [reader, writer] = oneWay(t)
    const owned = OwnedFd.dup(a.fd)
    t.teardown(() => owned.close())
    const object = { fd: reader.fd }
    t.deepEqual(await call([a.fd, owned, object], 0), [])
    await b.sendBytes(Buffer.from('to a'))
    t.deepEqual(await call([object, owned, a.fd]), [owned, a.fd])
    await writer.sendBytes(Buffer.from('to the reader'))
    t.deepEqual(await call([a.fd, object, owned]), [a.fd, object, owned])
  })

  test(`${name}: a regular file is always ready`, async (t) => {
    const file = openFile(t, 'content')
    const [quiet] = await connected(t, 'pipe')
    t.deepEqual(await call([quiet, file.fd]), [file.fd])
    t.deepEqual(await call([file, quiet]), [file])
  })

  test(`${name}: the writing end of a pipe is ready once its reader is gone`, async (t) => {
    const [reader, writer] = oneWay(t)
    t.deepEqual(await call([writer], 0), [])
    reader.destroy()
    t.deepEqual(await call([writer]), [writer])
    t.deepEqual(await call([writer.fd]), [writer.fd])
  })

  test(`${name}: nobody is ready when the time is over, never early (test_wait_timeout)`, async (t) => {
    const [a, b] = await connected(t, 'pipe')
    for (const timeout of [50, { timeout: 50 }, 49.5]) {
      const started = performance.now()
      t.deepEqual(await call([a, b, openPair(t)], timeout), [])
      t.true(performance.now() - started >= 49.5)
    }
    await b.sendBytes(Buffer.from('to a'))
    t.deepEqual(await call([a, b], 3_600_000), [a])
    t.deepEqual(await call([a, b], { timeout: Infinity }), [a])
  })

  test(`${name}: a negative timeout does not wait (test_neg_timeout), null waits for ever, NaN is refused`, async (t) => {
    const [a, b] = await connected(t, 'pipe')
    t.deepEqual(await call([a], -1), [])
    t.deepEqual(await call([a], -Infinity), [])
    t.deepEqual(await call([a], { timeout: -1 }), [])
    t.is(await codeOf(call([a], NaN)), 'ERR_OUT_OF_RANGE')
    t.is(await codeOf(call([a], '1' as unknown as number)), 'ERR_INVALID_ARG_TYPE')
    await b.sendBytes(Buffer.alloc(0))
    t.deepEqual(await call([a], -1), [a])
    t.deepEqual(await call([a], null), [a])
  })

  test(`${name}: nothing to wait for gives nothing, once the time is over`, async (t) => {
    t.deepEqual(await call([], 0), [])
    const started = performance.now()
    t.deepEqual(await call([], 20), [])
    t.true(performance.now() - started >= 20)
  })

  test(`${name}: an object or a descriptor that is there twice is refused`, async (t) => {
    const [a, b] = await connected(t, 'pipe')
    for (const objects of [
      [a, b, a],
      [a, a.fd],
      [a.fd, b, a.fd],
      [{ fd: a.fd }, a],
    ]) {
      const error = await rejection(call(objects, 0))
      t.like(error, { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' })
    }
  })

  test(`${name}: closed objects are refused`, async (t) => {
    const [a, b] = pipe()
    const listener = await listen(t, temporaryAddress(t))
    const owned = OwnedFd.dup(a.fd)
    owned.close()
    a.destroy()
    await b.close()
    await listener.close()
    for (const closed of [a, b, listener, owned]) t.is(await codeOf(call([closed], 0)), 'ERR_CLOSED')
    t.is(await codeOf(call([UNUSED_FD], 0)), 'EBADF')
    t.is(await codeOf(call([-1], 0)), 'EBADF')
  })

  test(`${name}: what has no descriptor is refused`, async (t) => {
    for (const bad of [null, undefined, 'text', {}, { fd: 'text' }, [], Symbol('no descriptor')]) {
      t.is(await codeOf(call([bad as unknown as number], 0)), 'ERR_INVALID_ARG_TYPE', String(bad))
    }
    t.is(await codeOf(call([new Socket()], 0)), 'ERR_INVALID_FD_TYPE')
    t.is(await codeOf(call([createServer()], 0)), 'ERR_INVALID_FD_TYPE')
    t.is(await codeOf(call([1.5], 0)), 'ERR_OUT_OF_RANGE')
    t.is(await codeOf(call('text' as unknown as number[], 0)), 'ERR_INVALID_ARG_TYPE')
  })
}

test('a signal that is aborted already is obeyed', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  await b.sendBytes(Buffer.from('ready'))
  const reason = new Error('changed my mind')
  const error = await rejection(wait([a], { signal: AbortSignal.abort(reason) }))
  t.like(error, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
})

test('an aborted wait takes nothing, and leaves no listener', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  const listener = await listen(t, temporaryAddress(t))
  const controller = new AbortController()
  const waiting = rejection(wait([a, listener, b.fd], { signal: controller.signal }))
  await turns()
  t.is(getEventListeners(controller.signal, 'abort').length, 1)
  controller.abort('reason')
  t.like(await waiting, { code: 'ABORT_ERR', cause: 'reason' })
  t.is(getEventListeners(controller.signal, 'abort').length, 0)
  await b.sendBytes(Buffer.from('kept'))
  t.deepEqual(await wait([a, listener], { signal: new AbortController().signal }), [a])
  t.is(String(await a.recvBytes()), 'kept')
})

test('a wait ends with ERR_CLOSED when one of its objects is closed', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const [a, b] = await connected(t, 'pipe')
  const onListener = rejection(wait([a, listener]))
  await turns()
  await listener.close()
  t.is((await onListener).code, 'ERR_CLOSED')
  const onConnection = rejection(wait([a, b.fd]))
  await turns()
  a.destroy()
  t.is((await onConnection).code, 'ERR_CLOSED')
})

test('a wait that timed out leaves its objects as they were', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  for (let turn = 0; turn < 20; turn++) t.deepEqual(await wait([a, b], 1), [])
  const received = a.recvBytes()
  t.deepEqual(await wait([a, b], 1), [])
  await b.sendBytes(Buffer.from('received'))
  t.is(String(await received), 'received')
  t.deepEqual(await wait([a, b], 0), [])
})

test('the list may be changed while it is waited for', async (t) => {
  const [a, b] = await connected(t, 'pipe')
  const objects = [a]
  const waiting = wait(objects)
  objects.length = 0
  await turns()
  await b.sendBytes(Buffer.from('ready'))
  t.deepEqual(await waiting, [a])
})

test('a connection that is no longer readable, and one over which a message was cut, are ready with their error', async (t) => {
  const { connection, peer } = await rawPeer(t, 'unix')
  await write(peer, frame('whole').subarray(0, 6))
  t.deepEqual(await wait([connection]), [connection], 'part of a message is something')
  t.is(await codeOf(connection.recvBytes({ timeout: 0 })), 'ERR_TIMEOUT')
  peer.end()
  t.deepEqual(await wait([connection]), [connection])
  t.is(await codeOf(connection.recvBytes()), 'ERR_MESSAGE_TRUNCATED')
})

test('a Listener from a number, and what it accepted, wait together', async (t) => {
  const first = await listen(t, temporaryAddress(t))
  const listener = Listener.fromFd(OwnedFd.dup(first.fd))
  t.teardown(async () => listener.close())
  const client = await dial(t, first.address)
  t.deepEqual(await wait([listener]), [listener])
  const server = await accept(t, listener)
  const waiting = wait([listener, server])
  await turns()
  await client.sendBytes(Buffer.from('ready'))
  t.deepEqual(await waiting, [server])
})

test('1,000 connections are waited for, with one answer at a time, and leave nothing behind', async (t) => {
  t.deepEqual(await report(t, 'wait-many.ts', ['1000'], { openFiles: 4096 }), { answered: 1000, threads: 0, leaked: 0 })
})

test('a wait keeps the process alive, and an idle one that is over does not', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'waits.ts', ['connection'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'waiting')
  await ours.sendBytes(Buffer.from('ready'))
  t.deepEqual(await program.finish(), ['ready'])
})

test('a wait for a number keeps the process alive', async (t) => {
  const [ours, theirs] = pipe()
  t.teardown(() => ours.destroy())
  const program = startFixture(t, 'waits.ts', ['number'], { inherit: [theirs.fd] })
  theirs.destroy()
  t.is(await program.line(), 'waiting')
  await ours.sendBytes(Buffer.from('ready'))
  t.deepEqual(await program.finish(), ['ready'])
})

for (const python of pythons) {
  test(`Python ${python.version}: its connections, and its end, are waited for`, async (t) => {
    const listener = await listen(t, temporaryAddress(t))
    const [quiet] = await connected(t, 'pipe')
    const program = runPython(t, python, 'two_messages.py', ['client', 'unix', String(listener.address)])
    t.deepEqual(await wait([quiet, listener]), [listener])
    const connection = await accept(t, listener)
    for (const text of ['first', 'second']) {
      program.tell('go on')
      t.deepEqual(await wait([quiet, connection]), [connection])
      t.is(String(await connection.recvBytes()), text)
    }
    t.deepEqual(await wait([quiet, connection], 0), [])
    program.tell('go on')
    t.deepEqual(await wait([quiet, connection]), [connection])
    t.is(await codeOf(connection.recvBytes()), 'ERR_EOF')
    await program.finish()
  })
}

/** One end of a connection nobody sends on, by its number. */
function openPair(scope: { teardown(undo: () => void): void }): number {
  const ends: Connection[] = pipe()
  scope.teardown(() => ends.forEach((end) => end.destroy()))
  return ends[0]?.fd ?? -1
}
