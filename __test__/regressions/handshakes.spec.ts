// A listener whose clients go through a handshake, and who waits for it: each test failed before its correction.
import { createConnection } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { EVENT_READ, EVENT_WRITE, type Listener, select, Selector, selectSync, wait, waitSync } from '../../index.ts'
import { ends, put, take } from '../support/ends.ts'
import { HandshakePeer, partsOf } from '../support/handshakes.ts'
import { temporaryAddress } from '../support/resources.ts'
import { accept, listen } from '../support/transports.ts'
import { codeOf, turns, watch } from '../support/until.ts'

type Limits = Parameters<typeof wait>[1]

/** What waits for a listener: how many are ready. */
const waiters: Record<string, (t: ExecutionContext, listener: Listener) => (limits?: Limits) => Promise<number>> = {
  wait: (_, listener) => async (limits) => (await wait([listener], limits)).length,
  select: (_, listener) => async (limits) => (await select([listener], [], [], limits))[0].length,
  Selector: (t, listener) => {
    const selector = new Selector()
    t.teardown(() => selector.close())
    selector.register(listener, EVENT_READ)
    return async (limits) => (await selector.select(limits)).length
  },
}

/** A listener with a key, and a client of it that says nothing until it is told to. */
async function withSilentClient(t: ExecutionContext): Promise<{ listener: Listener; client: HandshakePeer }> {
  const listener = await listen(t, temporaryAddress(t), { authKey: 'key' })
  const socket = createConnection(String(listener.address))
  t.teardown(() => void socket.destroy())
  return { listener, client: new HandshakePeer(socket, 'key') }
}

for (const [name, make] of Object.entries(waiters)) {
  test(`${name}: a client that knocks is not ready to be accepted, one that is through is`, async (t) => {
    const { listener, client } = await withSilentClient(t)
    const call = make(t, listener)
    const waiting = watch(call())
    await client.prepare('response')
    await turns()
    t.false(waiting.settled)
    await client.send('response')
    for (const part of ['challenge', 'verdict'] as const) await client.perform(part)
    t.is(await waiting.promise, 1)
    t.is(await call(0), 1)
    await accept(t, listener)
    t.is(await call(0), 0)
  })

  test(`${name}: waits of 0 bring a client through its handshake`, async (t) => {
    const { listener, client } = await withSilentClient(t)
    const call = make(t, listener)
    const through = watch(
      (async () => {
        for (const part of partsOf.client) await client.perform(part)
      })(),
    )
    while ((await call(0)) === 0);
    await through.promise
    t.truthy(await accept(t, listener))
  })

  test(`${name}: a listener with handshakes that is closed, and an abort, end a wait for it`, async (t) => {
    const { listener, client } = await withSilentClient(t)
    const controller = new AbortController()
    const call = make(t, listener)
    const aborted = codeOf(call({ signal: controller.signal }))
    await client.prepare('response')
    controller.abort()
    t.is(await aborted, 'ABORT_ERR')
    const waiting = watch(call(name === 'Selector' ? 50 : null))
    await turns()
    await listener.close()
    // To a Selector, what is closed is reported no more.
    if (name === 'Selector') t.is(await waiting.promise, 0)
    else t.is(await codeOf(waiting.promise), 'ERR_CLOSED')
  })
}

test('the calls that block take a client that knocks for one to accept', async (t) => {
  const { listener } = await withSilentClient(t)
  const selector = new Selector()
  t.teardown(() => selector.close())
  selector.register(listener, EVENT_READ)
  for (let round = 0; round < 3; round++) {
    t.is(selector.selectSync()[0]?.key.fileObj, listener)
    t.deepEqual(selectSync([listener], [], []), [[listener], [], []])
    t.deepEqual(waitSync([listener]), [listener])
  }
  t.throws(() => selector.register(listener.fd, EVENT_WRITE), { code: 'ERR_INVALID_ARG_VALUE' })
  t.is(selector.unregister(listener).fileObj, listener)
  t.deepEqual(selector.selectSync(0), [])
})

test('Selector: a listener with handshakes may be modified and unregistered while a select waits', async (t) => {
  const { listener, client } = await withSilentClient(t)
  const selector = new Selector()
  t.teardown(() => selector.close())
  const [end, peer] = ends(t)
  selector.register(end, EVENT_READ)
  const waiting = watch(selector.select())
  selector.register(listener, EVENT_READ)
  selector.modify(listener, EVENT_READ, 'modified')
  await client.prepare('response')
  selector.unregister(listener)
  await client.send('response')
  for (const part of ['challenge', 'verdict'] as const) await client.perform(part)
  await turns()
  t.false(waiting.settled)
  put(peer)
  t.is((await waiting.promise)[0]?.key.fileObj, end)
  selector.register(listener, EVENT_READ, null, { oneshot: true })
  take(end)
  t.is((await selector.select())[0]?.key.fileObj, listener)
  t.deepEqual(await selector.select(0), [], 'once')
  await accept(t, listener)
})
