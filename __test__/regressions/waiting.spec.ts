// Defects of ours in waiting: each test failed before its correction.
import test, { type ExecutionContext } from 'ava'
import {
  constants,
  type ConnectOptions,
  type CustomCodec,
  Epoll,
  EVENT_READ,
  type Listener,
  type ListenerOptions,
  select,
  selectSync,
  Selector,
  wait,
  waitSync,
} from '../../index.ts'
import { ends, put, take } from '../support/ends.ts'
import { temporaryAddress } from '../support/resources.ts'
import { accept, connected, dial, listen } from '../support/transports.ts'
import { turns, watch } from '../support/until.ts'

const read = constants.EPOLLIN

/** What waits for one descriptor. */
interface Waiter {
  wait(signal?: AbortSignal): Promise<readonly unknown[]>
  close(): void
}

const waiters: Record<string, (fd: { fd: number }) => Waiter> = {
  Selector: (fd) => {
    const selector = new Selector()
    selector.register(fd, EVENT_READ)
    return { wait: (signal) => selector.select({ signal }), close: () => selector.close() }
  },
}
if (process.platform === 'linux') {
  waiters['Epoll'] = (fd) => {
    const epoll = new Epoll()
    epoll.register(fd, read)
    return { wait: (signal) => epoll.poll({ signal }), close: () => epoll.close() }
  }
}

for (const [name, make] of Object.entries(waiters)) {
  // The signal of a wait was listened to until whoever had waited went on, and rejected whoever waited then.
  test(`${name}: the signal of a wait that is over does not end the next one`, async (t) => {
    const [watched, writer] = ends(t)
    const waiter = make(watched)
    t.teardown(() => waiter.close())
    const controller = new AbortController()
    let second: Promise<readonly unknown[]> | undefined
    const codec: CustomCodec = {
      encode: () => Buffer.alloc(0),
      // Between the event that ends the first wait and what awaits it.
      decode: () => {
        take(watched)
        second = waiter.wait()
        controller.abort()
      },
    }
    const [sender, receiver] = await connected(t, 'pipe', { codec })
    const first = waiter.wait(controller.signal)
    const received = receiver.recv()
    put(writer)
    void sender.send('in the same turn')
    await received
    t.is((await first).length, 1)
    const waiting = watch(second ?? Promise.reject(new Error('nothing was decoded')))
    await turns()
    t.false(waiting.settled)
    put(writer)
    t.is((await waiting.promise).length, 1)
  })
}

test('Selector: a signal that is aborted where registering ended its wait does not end the next one', async (t) => {
  const [watched, writer] = ends(t)
  const selector = new Selector()
  t.teardown(() => selector.close())
  const controller = new AbortController()
  const first = selector.select({ signal: controller.signal })
  put(writer)
  selector.register(watched, EVENT_READ)
  take(watched)
  const second = watch(selector.select())
  controller.abort()
  t.is((await first).length, 1)
  await turns()
  t.false(second.settled)
  put(writer)
  t.is((await second.promise).length, 1)
})

/** Listeners whose clients go through a handshake, and what a client of each needs. */
const handshakes: readonly [string, ListenerOptions, ConnectOptions][] = [
  ['verifies', { verifyPeer: async () => true }, {}],
  ['authenticates', { authKey: 'key' }, { authKey: 'key' }],
]

/** A listener with a client that is through its handshake and that nobody has accepted; another was accepted before. */
async function withClientThrough(
  t: ExecutionContext,
  options: ListenerOptions,
  client: ConnectOptions,
): Promise<Listener> {
  const listener = await listen(t, temporaryAddress(t), options)
  const accepting = accept(t, listener)
  await Promise.all([dial(t, listener.address, client), dial(t, listener.address, client)])
  await accepting
  while ((await wait([listener], 0)).length === 0) await turns(1)
  return listener
}

const limits = { timeout: 20_000 }
const ways: Record<string, (listener: Listener) => Promise<boolean>> = {
  'Selector.select': async (listener) => {
    const selector = new Selector()
    selector.register(listener, EVENT_READ)
    const ready = await selector.select(limits)
    selector.close()
    return ready[0]?.key.fileObj === listener
  },
  'Selector.selectSync': async (listener) => {
    const selector = new Selector()
    selector.register(listener, EVENT_READ)
    const ready = selector.selectSync(limits)
    selector.close()
    return ready[0]?.key.fileObj === listener
  },
  select: async (listener) => (await select([listener], [], [], limits))[0][0] === listener,
  selectSync: async (listener) => selectSync([listener], [], [], limits)[0][0] === listener,
  wait: async (listener) => (await wait([listener], limits))[0] === listener,
  waitSync: async (listener) => waitSync([listener], limits)[0] === listener,
}

for (const [kind, options, client] of handshakes) {
  for (const [way, isReady] of Object.entries(ways)) {
    // A client that had left the kernel's queue for its handshake showed nowhere any more.
    test(`${way} tells of a client that a listener that ${kind} has ready`, async (t) => {
      const listener = await withClientThrough(t, options, client)
      t.true(await isReady(listener))
      await accept(t, listener)
    })
  }

  for (const way of ['Selector.select', 'select', 'wait'] as const) {
    test(`${way} goes on when a client is through whose handshake a listener that ${kind} had begun`, async (t) => {
      const listener = await listen(t, temporaryAddress(t), options)
      const accepting = accept(t, listener)
      const dialing = [dial(t, listener.address, client), dial(t, listener.address, client)]
      await accepting
      const ready = ways[way]?.(listener)
      await Promise.all(dialing)
      t.true(await ready)
      await accept(t, listener)
    })
  }
}

// Neither a full nor an empty result ever let the event loop have its turn.
for (const ready of [false, true]) {
  test(`a loop of waits of 0 for what is ${ready ? '' : 'not '}ready does not starve timers`, async (t) => {
    const [a, b] = await connected(t, 'pipe')
    if (ready) await b.sendBytes(Buffer.from('message'))
    let fired = false
    setTimeout(() => (fired = true), 1)
    const end = performance.now() + 10_000
    while (!fired && performance.now() < end) t.is((await wait([a], 0)).length, Number(ready))
    t.true(fired)
  })
}
