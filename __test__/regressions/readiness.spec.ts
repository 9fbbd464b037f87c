// Defects of ours where two features of select, Selector, Epoll, Poll and wait meet: each test failed before its
// correction, but for those that say how every wait ends.
import { getEventListeners } from 'node:events'
import { Duplex, PassThrough } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import {
  Connection,
  constants,
  Epoll,
  EVENT_READ,
  type FdLike,
  Poll,
  select,
  Selector,
  selectSync,
  wait,
  waitSync,
} from '../../index.ts'
import { frame } from '../support/bytes.ts'
import { copyAs, ends, put, take } from '../support/ends.ts'
import { openFile } from '../support/resources.ts'
import { connected } from '../support/transports.ts'
import { codeOf, turns, watch } from '../support/until.ts'

type Limits = Parameters<typeof wait>[1]

/** What waits until one descriptor can be read: how many are ready. */
interface Waiter {
  wait(limits?: Limits): Promise<number>
  close?(): void
}

const waiters: Record<string, (t: ExecutionContext, object: FdLike) => Waiter> = {
  wait: (_, object) => ({ wait: async (limits) => (await wait([object], limits)).length }),
  select: (_, object) => ({ wait: async (limits) => (await select([object], [], [], limits))[0].length }),
  Selector: (t, object) => {
    const selector = new Selector({ regularFiles: 'ready' })
    t.teardown(() => selector.close())
    selector.register(object, EVENT_READ)
    return { wait: async (limits) => (await selector.select(limits)).length, close: () => selector.close() }
  },
  Poll: (_, object) => {
    const poll = new Poll()
    poll.register(object, constants.POLLIN)
    return { wait: async (limits) => (await poll.poll(limits)).length }
  },
  ...(process.platform === 'linux' && {
    Epoll: (t, object) => {
      const epoll = new Epoll()
      t.teardown(() => epoll.close())
      epoll.register(object, constants.EPOLLIN)
      return { wait: async (limits) => (await epoll.poll(limits)).length, close: () => epoll.close() }
    },
  }),
}
/** Those that know what a connection has read ahead. */
const aware = ['wait', 'select', 'Selector']

/** A connection with a message read ahead, and nothing in the kernel. */
async function withReadAhead(t: ExecutionContext): Promise<Connection> {
  const [connection, peer] = await connected(t, 'unix')
  for (const text of ['first', 'second']) await peer.sendBytes(Buffer.from(text))
  t.is(String(await connection.recvBytes()), 'first')
  return connection
}

for (const [name, make] of Object.entries(waiters)) {
  for (const timeout of [0, 60_000, null]) {
    test(`${name}: waits of ${timeout} ms in a loop starve no timer`, async (t) => {
      const [end, peer] = ends(t)
      put(peer)
      const waiter = make(t, end)
      let fired = false
      setTimeout(() => (fired = true), 1)
      const end_ = performance.now() + 10_000
      while (!fired && performance.now() < end_) t.is(await waiter.wait(timeout), 1)
      t.true(fired)
    })
  }

  test(`${name}: a signal has no listener left once a wait has ended, however that was`, async (t) => {
    const [end, peer] = ends(t)
    const waiter = make(t, end)
    const { signal } = new AbortController()
    const left = (): number => getEventListeners(signal, 'abort').length
    t.is(await waiter.wait({ signal, timeout: 0 }), 0)
    t.is(left(), 0, 'no time')
    t.is(await waiter.wait({ signal, timeout: 1 }), 0)
    t.is(left(), 0, 'the time was over')
    const waiting = waiter.wait({ signal, timeout: 60_000 })
    await turns(1)
    t.is(left(), 1)
    put(peer)
    t.is(await waiting, 1)
    t.is(left(), 0, 'something was ready')
    t.is(await waiter.wait({ signal }), 1)
    t.is(left(), 0, 'something was ready at once')
    take(end)
    const controller = new AbortController()
    const aborted = codeOf(waiter.wait({ signal: controller.signal }))
    await turns(1)
    controller.abort()
    t.is(getEventListeners(controller.signal, 'abort').length, 0, 'at once')
    t.is(await aborted, 'ABORT_ERR')
    if (waiter.close === undefined) return
    const closed = codeOf(waiter.wait({ signal, timeout: 60_000 }))
    await turns(1)
    waiter.close()
    t.is(left(), 0, 'it was closed')
    t.is(await closed, 'ERR_CLOSED')
  })

  test(`${name}: an abort, the end of its time and what it waits for in one turn end a wait once`, async (t) => {
    const [end, peer] = ends(t)
    const waiter = make(t, end)
    const controller = new AbortController()
    const first = codeOf(waiter.wait({ signal: controller.signal, timeout: 1 }))
    put(peer)
    controller.abort()
    t.is(await first, 'ABORT_ERR')
    const second = watch(waiter.wait({ signal: new AbortController().signal }))
    t.is(await second.promise, 1, 'it was not taken')
  })

  if (name !== 'Epoll') {
    // After 32 results given at once the next was waited for, which only the kernel's readiness ended.
    test(`${name}: a regular file is ready as often as one asks`, async (t) => {
      const waiter = make(t, openFile(t, 'content'))
      for (let round = 0; round < 100; round++) t.is(await waiter.wait(), 1)
    })
  }
}

for (const name of aware) {
  test(`${name}: what is read ahead is ready as often as one asks`, async (t) => {
    const waiter = waiters[name]!(t, await withReadAhead(t))
    for (let round = 0; round < 100; round++) t.is(await waiter.wait(), 1)
  })
}

for (const timeout of [0, 60_000, null]) {
  test(`Connection.poll: polls of ${timeout} ms in a loop starve no timer`, async (t) => {
    const connection = await withReadAhead(t)
    let fired = false
    setTimeout(() => (fired = true), 1)
    const end = performance.now() + 10_000
    while (!fired && performance.now() < end) t.true(await connection.poll(timeout))
    t.true(fired)
    const closed = codeOf(connection.poll(timeout))
    connection.destroy()
    t.true([undefined, 'ERR_CLOSED'].includes(await closed))
  })
}

test('receives from a stream that always has something starve no timer', async (t) => {
  const chunk = frame('message')
  const stream = new Duplex({
    read() {
      this.push(chunk)
    },
  })
  const connection = Connection.fromStream(stream)
  t.teardown(() => connection.destroy())
  let fired = false
  setTimeout(() => (fired = true), 1)
  const end = performance.now() + 10_000
  while (!fired && performance.now() < end) t.is(String(await connection.recvBytes()), 'message')
  t.true(fired)
})

test('select ends with ERR_CLOSED when a connection it waits for is closed', async (t) => {
  const [connection] = await connected(t, 'unix')
  const waiting = codeOf(select([connection], [], []))
  await turns()
  connection.destroy()
  t.is(await waiting, 'ERR_CLOSED')
})

test('a Poll that waits for a regular file among others sees what is registered meanwhile', async (t) => {
  const poll = new Poll()
  const [end, peer] = ends(t)
  poll.register(end, constants.POLLIN)
  put(peer)
  for (let round = 0; round < 40; round++) await poll.poll()
  take(end)
  const file = openFile(t, 'content')
  const waiting = poll.poll()
  poll.register(file, constants.POLLIN)
  t.deepEqual(await waiting, [[file.fd, constants.POLLIN]])
})

test('Selector: an edge of a connection is each receive that leaves something, and oneshot is once', async (t) => {
  const [connection, peer] = await connected(t, 'unix')
  for (const text of ['first', 'second', 'third']) await peer.sendBytes(Buffer.from(text))
  await connection.recvBytes()
  const selector = new Selector()
  t.teardown(() => selector.close())
  selector.register(connection, EVENT_READ, null, { edge: true })
  t.is((await selector.select(0)).length, 1)
  t.is((await selector.select(0)).length, 0)
  await connection.recvBytes()
  t.is((await selector.select(0)).length, 1, 'one is left')
  t.is((await selector.select(0)).length, 0)
  await connection.recvBytes()
  t.is((await selector.select(0)).length, 0)
  await peer.sendBytes(Buffer.from('fourth'))
  t.is((await selector.select()).length, 1)
  selector.modify(connection, EVENT_READ, null, { oneshot: true })
  t.is((await selector.select()).length, 1)
  await connection.recvBytes()
  await peer.sendBytes(Buffer.from('fifth'))
  t.is((await selector.select(5)).length, 0)
})

test('two Selectors on one connection both tell of what another receive has read ahead', async (t) => {
  const [connection, peer] = await connected(t, 'unix')
  const selectors = [new Selector(), new Selector()]
  const waits = selectors.map((selector) => {
    t.teardown(() => selector.close())
    selector.register(connection, EVENT_READ)
    return selector.select()
  })
  const received = connection.recvBytes()
  await Promise.all(['first', 'second'].map((text) => peer.sendBytes(Buffer.from(text))))
  await received
  for (const ready of await Promise.all(waits)) t.is(ready[0]?.key.fileObj, connection)
  selectors[0]?.unregister(connection)
  await connection.recvBytes()
  for (const selector of selectors) t.deepEqual(await selector.select(0), [])
})

test('Selector: a connection that was closed is no more to be reported by what has its number now', async (t) => {
  const selector = new Selector()
  t.teardown(() => selector.close())
  const old = await withReadAhead(t)
  const number = old.fd
  selector.register(old, EVENT_READ, 'old', { oneshot: true })
  const [end, peer] = ends(t)
  old.destroy()
  const copy = copyAs(t, end, number)
  selector.register(copy, EVENT_READ, 'new', { oneshot: true })
  t.deepEqual(await selector.select(0), [])
  put(peer)
  const [ready, ...more] = await selector.select()
  t.is(ready?.key.data, 'new')
  t.deepEqual(more, [])
  t.is(selector.unregister(old).data, 'old')
  t.is(selector.unregister(copy).data, 'new')
})

test('a connection over a stream is refused where a descriptor is needed, and says so', async (t) => {
  const connection = Connection.fromStream(new PassThrough())
  t.teardown(() => connection.destroy())
  const selector = new Selector()
  t.teardown(() => selector.close())
  t.throws(() => selector.register(connection, EVENT_READ), { code: 'ERR_INVALID_STATE' })
  t.is(await codeOf(select([connection], [], [])), 'ERR_INVALID_STATE')
  t.throws(() => selectSync([connection], [], []), { code: 'ERR_INVALID_STATE' })
  t.throws(() => waitSync([connection]), { code: 'ERR_INVALID_STATE' })
})
