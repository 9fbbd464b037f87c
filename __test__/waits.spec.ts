import { getEventListeners } from 'node:events'
import test from 'ava'
import { connected } from './support/transports.ts'
import { codeOf, rejection, turns, watch } from './support/until.ts'

test('negative timeouts are 0, null and Infinity for ever, NaN is refused', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  await t.throwsAsync(receiver.recvBytes({ timeout: -1 }), { code: 'ERR_TIMEOUT' })
  await t.throwsAsync(receiver.recvBytes({ timeout: 0 }), { code: 'ERR_TIMEOUT' })
  await t.throwsAsync(receiver.recvBytes({ timeout: NaN }), { code: 'ERR_OUT_OF_RANGE' })
  t.false(await receiver.poll(-1))
  await t.throwsAsync(receiver.poll(NaN), { code: 'ERR_OUT_OF_RANGE' })
  const received = Promise.all([receiver.recvBytes({ timeout: null }), receiver.recvBytes({ timeout: Infinity })])
  await sender.sendBytes(Buffer.from('one'))
  await sender.sendBytes(Buffer.from('two'))
  t.deepEqual((await received).map(String), ['one', 'two'])
})

test('a timeout longer than a timer can be is waited for all the same', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const received = watch(receiver.recvBytes({ timeout: 2 ** 40 }))
  t.false(await receiver.poll(20))
  t.false(received.settled)
  await sender.sendBytes(Buffer.from('in time'))
  t.is(String(await received.promise), 'in time')
})

test('a message that is already here is received with a timeout of 0', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  for (const text of ['one', 'two']) await sender.sendBytes(Buffer.from(text))
  t.is(String(await receiver.recvBytes({ timeout: 0 })), 'one')
  t.is(String(await receiver.recvBytes({ timeout: 0 })), 'two')
})

test('poll waits no shorter than its timeout, and a fraction of a millisecond is one', async (t) => {
  const [, receiver] = await connected(t, 'pipe')
  for (const timeout of [0.2, 1, 20.5]) {
    const started = performance.now()
    t.false(await receiver.poll(timeout))
    t.true(performance.now() - started >= timeout, `${timeout} ms`)
  }
})

test('poll is aborted by its signal', async (t) => {
  const [, receiver] = await connected(t, 'pipe')
  const controller = new AbortController()
  const polled = rejection(receiver.poll({ timeout: null, signal: controller.signal }))
  controller.abort('enough')
  t.like(await polled, { code: 'ABORT_ERR', cause: 'enough' })
})

test('a signal aborted before the call takes nothing, even when a message is here', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  await sender.sendBytes(Buffer.from('kept'))
  const reason = new Error('before')
  const signal = AbortSignal.abort(reason)
  for (const call of [
    () => receiver.recvBytes({ signal }),
    () => receiver.recvMessage({ signal }),
    () => receiver.recvMany({ signal }),
    () => receiver.recvBytesInto(Buffer.alloc(4), { signal }),
    () => receiver.poll({ signal }),
  ]) {
    t.like(await rejection(call()), { code: 'ABORT_ERR', cause: reason })
  }
  t.is(String(await receiver.recvBytes()), 'kept')
})

test('AbortSignal.timeout is accepted, its TimeoutError the cause', async (t) => {
  const [, receiver] = await connected(t, 'pipe')
  const error = await rejection(receiver.recvBytes({ signal: AbortSignal.timeout(5) }))
  t.is(error.code, 'ABORT_ERR')
  t.true(error.cause instanceof DOMException)
  t.is((error.cause as DOMException).name, 'TimeoutError')
})

test('no abort listener outlives its receive', async (t) => {
  const [sender, receiver] = await connected(t, 'pipe')
  const { signal } = new AbortController()
  const waiting = receiver.recvBytes({ signal })
  t.is(getEventListeners(signal, 'abort').length, 1)
  await sender.sendBytes(Buffer.from('success'))
  await waiting
  t.is(getEventListeners(signal, 'abort').length, 0)
  await rejection(receiver.recvBytes({ signal, timeout: 1 }))
  t.is(getEventListeners(signal, 'abort').length, 0)
  const failing = rejection(receiver.recvBytes({ signal }))
  sender.destroy()
  t.is((await failing).code, 'ERR_EOF')
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('hundreds may wait with one signal, without a warning, and none is left when it is aborted', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const aborter = new AbortController()
  const { signal } = aborter
  const ends = await Promise.all(Array.from({ length: 100 }, () => connected(t, 'pipe')))
  const waiting = ends.map(([end]) => codeOf(end.recvBytes({ signal })))
  const polling = ends.map(([, end]) => codeOf(end.poll({ signal, timeout: null })))
  await turns()
  t.is(getEventListeners(signal, 'abort').length, 1)
  aborter.abort()
  t.deepEqual(new Set(await Promise.all([...waiting, ...polling])), new Set(['ABORT_ERR']))
  t.is(getEventListeners(signal, 'abort').length, 0)
  await turns()
  t.deepEqual(
    warnings.filter(({ name }) => name === 'MaxListenersExceededWarning'),
    [],
  )
})

test('what arrived while the event loop was blocked counts, though the time is over', async (t) => {
  const [a, b] = await connected(t, 'unix')
  const receiving = b.recvBytes({ timeout: 50 })
  const polling = a.poll({ timeout: 50 })
  a.sendBytesSync(Buffer.from('in time'))
  b.sendBytesSync(Buffer.from('in time'))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
  t.is(String(await receiving), 'in time')
  t.true(await polling)
  // One that does not come ends the wait.
  t.is(await codeOf(b.recvBytes({ timeout: 1 })), 'ERR_TIMEOUT')
})
