import { inspect } from 'node:util'
import test from 'ava'
import { constants, OwnedFd, PIPE_BUF, Poll } from '../index.ts'
import { closedNumber, ends, fill, put, take } from './support/ends.ts'
import { openFile } from './support/resources.ts'
import { turns, watch } from './support/until.ts'

const { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI } = constants

const ways = {
  poll: (poll: Poll, ...args: Parameters<Poll['poll']>) => poll.poll(...args),
  pollSync: async (poll: Poll, ...args: Parameters<Poll['poll']>) => poll.pollSync(...args),
}

test('PIPE_BUF is what a writable pipe takes whole', (t) => {
  t.true(PIPE_BUF >= 512)
  const [, writer] = ends(t, false)
  t.is(fill(writer) % 512, 0)
})

test('test_poll_c_limits, test_poll3: what is no descriptor or mask is refused', (t) => {
  const poll = new Poll()
  for (const mask of [-1, 0x10000, 1.5, Number.NaN]) {
    t.throws(() => poll.register(0, mask), { code: 'ERR_OUT_OF_RANGE' })
  }
  t.throws(() => poll.register(0, 'a' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => poll.register(-1), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => poll.register(2 ** 31), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => poll.register({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => poll.modify(0, undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
  poll.register(0, 0xffff)
  t.is(inspect(poll), 'Poll { size: 1 }')
})

test('test_poll_unit_tests: what is not registered', (t) => {
  const poll = new Poll()
  t.throws(() => poll.modify(1972, POLLIN), { code: 'ENOENT' })
  t.throws(() => poll.unregister(1972), { code: 'ERR_INVALID_ARG_VALUE' })
  poll.register(1972)
  poll.unregister(1972)
  t.throws(() => poll.unregister(1972), { code: 'ERR_INVALID_ARG_VALUE' })
})

for (const [name, ask] of Object.entries(ways)) {
  test(`${name}, test_poll1: each of many pipes, one after the other`, async (t) => {
    const poll = new Poll()
    const pipes = Array.from({ length: 12 }, () => ends(t, false))
    for (const [reader, writer] of pipes) {
      poll.register(reader)
      poll.modify(reader, POLLIN)
      poll.register(writer, POLLOUT)
    }
    for (const [reader, writer] of pipes) {
      const writable = new Set((await ask(poll)).filter(([, mask]) => mask === POLLOUT).map(([fd]) => fd))
      t.true(writable.has(writer.fd))
      put(writer, 'a message')
      const readable = (await ask(poll)).filter(([, mask]) => mask === POLLIN)
      t.deepEqual(readable, [[reader.fd, POLLIN]])
      t.is(take(reader), 'a message')
      poll.unregister(reader)
      poll.unregister(writer)
    }
    t.deepEqual(await ask(poll, 0), [])
  })

  test(`${name}, test_poll_unit_tests: a closed descriptor is POLLNVAL, a file always ready`, async (t) => {
    const poll = new Poll()
    const number = closedNumber()
    poll.register(number)
    t.deepEqual(await ask(poll), [[number, POLLNVAL]])
    poll.unregister(number)
    const file = openFile(t)
    poll.register(file, POLLIN | POLLOUT)
    poll.register(file, POLLIN)
    t.deepEqual(await ask(poll), [[file.fd, POLLIN]], 'registering again replaces')
    poll.modify(file, POLLPRI)
    t.deepEqual(await ask(poll, 5), [])
  })

  test(`${name}, test_poll2: hang-ups are reported whatever the mask`, async (t) => {
    const poll = new Poll()
    const [reader, writer] = ends(t, false)
    const [otherReader, otherWriter] = ends(t, false)
    poll.register(reader, 0)
    poll.register(otherWriter, 0)
    t.deepEqual(await ask(poll, 0), [])
    writer.close()
    otherReader.close()
    t.deepEqual(Object.fromEntries(await ask(poll)), { [reader.fd]: POLLHUP, [otherWriter.fd]: POLLERR })
  })

  test(`${name}: times`, async (t) => {
    const poll = new Poll()
    poll.register(ends(t)[0], POLLIN)
    for (const timeout of [0, -1]) t.deepEqual(await ask(poll, timeout), [])
    const start = performance.now()
    t.deepEqual(await ask(poll, 10.2), [])
    t.true(performance.now() - start >= 10.2)
    await t.throwsAsync(ask(poll, Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(ask(poll, '5' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  })
}

test('test_threaded_poll: one poll at a time; registering while it waits takes effect at once', async (t) => {
  const poll = new Poll()
  const [end, peer] = ends(t)
  const [other] = ends(t)
  poll.register(end, POLLIN)
  let waiting = poll.poll()
  await t.throwsAsync(poll.poll(5), { code: 'ERR_INVALID_STATE' })
  t.throws(() => poll.pollSync(0), { code: 'ERR_INVALID_STATE' })
  poll.register(other, POLLOUT)
  t.deepEqual(await waiting, [[other.fd, POLLOUT]])

  poll.unregister(other)
  waiting = poll.poll()
  await turns()
  poll.modify(end, POLLOUT)
  t.deepEqual(await waiting, [[end.fd, POLLOUT]])

  poll.modify(end, POLLIN)
  const watched = watch(poll.poll())
  await turns()
  poll.unregister(end)
  put(peer)
  await turns()
  t.false(watched.settled)
  const number = closedNumber()
  poll.register(number)
  t.deepEqual(await watched.promise, [[number, POLLNVAL]])
})

test('a wait for what comes later, ended by it or by an abort', async (t) => {
  const poll = new Poll()
  const [end, peer] = ends(t)
  poll.register(end, POLLIN)
  await t.throwsAsync(poll.poll({ signal: AbortSignal.timeout(5) }), { code: 'ABORT_ERR' })
  await t.throwsAsync(poll.poll({ signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  for (let round = 0; round < 50; round++) {
    const waiting = poll.poll()
    setImmediate(() => put(peer))
    t.deepEqual(await waiting, [[end.fd, POLLIN]])
    take(end)
  }
})

test('a loop over what is always ready lets the rest of the event loop run', async (t) => {
  const poll = new Poll()
  poll.register(OwnedFd.dup(ends(t)[0]).take(), POLLOUT)
  let ran = false
  setImmediate(() => (ran = true))
  while (!ran) await poll.poll()
  t.true(ran)
})
