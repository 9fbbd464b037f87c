import { inspect } from 'node:util'
import test from 'ava'
import { connect, constants, Epoll, OwnedFd } from '../index.ts'
import { closedNumber, ends, fill, put, take } from './support/ends.ts'
import { isOpen, openFile, type Scope, temporaryAddress } from './support/resources.ts'
import { listen } from './support/transports.ts'
import { codeOf, turns } from './support/until.ts'

const { EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } = constants

function open(scope: Scope): Epoll {
  const epoll = new Epoll()
  scope.teardown(() => epoll.close())
  return epoll
}

const ways = {
  poll: (epoll: Epoll, ...args: Parameters<Epoll['poll']>) => epoll.poll(...args),
  pollSync: async (epoll: Epoll, ...args: Parameters<Epoll['poll']>) => epoll.pollSync(...args),
}

test('test_create, test_fd_non_inheritable: a new instance is open and close-on-exec', (t) => {
  const epoll = open(t)
  t.true(isOpen(epoll.fd))
  t.false(epoll.closed)
  using copy = OwnedFd.fromFd(OwnedFd.dup(epoll).take())
  t.is(copy.kind, 'anon')
  t.regex(inspect(epoll), /^Epoll { fd: \d+ }$/)
})

test('the constants are the kernel’s, and positive', (t) => {
  t.is(EPOLLET, 0x80000000)
  t.is(EPOLLEXCLUSIVE, 0x10000000)
  const names = 'IN OUT PRI ERR HUP RDHUP RDNORM RDBAND WRNORM WRBAND MSG ET ONESHOT EXCLUSIVE WAKEUP'.split(' ')
  for (const name of names) t.true(new Map(Object.entries(constants)).get(`EPOLL${name}`)! > 0, name)
  t.true(Object.isFrozen(constants))
})

test('test_add, test_errors: what can be watched, and what cannot', (t) => {
  const epoll = open(t)
  const [end, other] = ends(t)
  epoll.register(end, EPOLLIN | EPOLLOUT)
  epoll.register(other.fd, EPOLLIN | EPOLLOUT)
  t.throws(() => epoll.register(end), { code: 'EEXIST' })
  t.throws(() => epoll.register(end.fd), { code: 'EEXIST' })
  t.throws(() => epoll.register(openFile(t)), { code: 'EPERM' })
  t.throws(() => epoll.register(epoll), { code: 'EINVAL' })
  t.throws(() => epoll.register(closedNumber()), { code: 'EBADF' })
  t.throws(() => epoll.register(-1), { code: 'EBADF' })
  t.throws(() => epoll.register({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => epoll.register('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => epoll.register(end, 2 ** 32), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => epoll.register(end, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => epoll.modify(end, undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('test_unregister_closed: ENOENT for what is not watched, EBADF for what is closed', (t) => {
  const epoll = open(t)
  const [end] = ends(t)
  t.throws(() => epoll.unregister(end), { code: 'ENOENT' })
  t.throws(() => epoll.modify(end, EPOLLIN), { code: 'ENOENT' })
  epoll.register(end)
  const { fd } = end
  end.close()
  t.throws(() => epoll.unregister(end), { code: 'ERR_CLOSED' })
  if (!isOpen(fd)) t.throws(() => epoll.unregister(fd), { code: 'EBADF' })
})

test('test_close, test_context_manager: everything refuses afterwards', async (t) => {
  const [end] = ends(t)
  let outer: Epoll
  {
    using epoll = new Epoll()
    outer = epoll
  }
  outer.close()
  t.true(outer.closed)
  t.is(outer.fd, -1)
  const closed = { code: 'ERR_CLOSED' }
  t.throws(() => outer.register(end), closed)
  t.throws(() => outer.modify(end, EPOLLIN), closed)
  t.throws(() => outer.unregister(end), closed)
  t.throws(() => outer.pollSync(0), closed)
  await t.throwsAsync(outer.poll(), closed)
  const epoll = open(t)
  const waiting = codeOf(epoll.poll())
  epoll.close()
  t.is(await waiting, 'ERR_CLOSED')
})

test('test_fromfd: shares the instance and owns the descriptor', async (t) => {
  const epoll = open(t)
  const [end] = ends(t)
  epoll.register(end, EPOLLOUT)
  const copy = OwnedFd.dup(epoll)
  const { fd } = copy
  const shared = Epoll.fromFd(copy)
  t.is(shared.fd, fd)
  t.is(copy.fd, -1, 'consumed')
  t.deepEqual(await shared.poll(), [[end.fd, EPOLLOUT]])
  shared.unregister(end)
  t.deepEqual(await epoll.poll(0), [])
  shared.close()
  const file = OwnedFd.dup(openFile(t))
  t.throws(() => Epoll.fromFd(file), { code: 'ERR_INVALID_FD_TYPE' })
  t.not(file.fd, -1)
  file.close()
  t.throws(() => Epoll.fromFd(closedNumber()), { code: 'EBADF' })
  t.throws(() => Epoll.fromFd({ fd: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

for (const [name, poll] of Object.entries(ways)) {
  test(`${name}, test_control_and_wait: exact masks of both ends of a connection`, async (t) => {
    const epoll = open(t)
    const listener = await listen(t, temporaryAddress(t))
    const [client, server] = await Promise.all([connect(listener.address), listener.accept()])
    t.teardown(() => client.destroy())
    t.teardown(() => server.destroy())
    const masks = async (): Promise<object> => Object.fromEntries(await poll(epoll, 100, 4))
    epoll.register(server, EPOLLIN | EPOLLOUT | EPOLLET)
    epoll.register(client, EPOLLIN | EPOLLOUT | EPOLLET)
    t.deepEqual(await masks(), { [client.fd]: EPOLLOUT, [server.fd]: EPOLLOUT })
    t.deepEqual(await poll(epoll, 0, 4), [], 'edge-triggered')
    put(client, 'Hello!')
    put(server, 'world!!!')
    t.deepEqual(await masks(), { [client.fd]: EPOLLIN | EPOLLOUT, [server.fd]: EPOLLIN | EPOLLOUT })
    epoll.unregister(client)
    epoll.modify(server, EPOLLOUT)
    t.deepEqual(await poll(epoll, 100, 4), [[server.fd, EPOLLOUT]])
  })

  test(`${name}: level-triggered, oneshot, hang-up, and the default mask`, async (t) => {
    const epoll = open(t)
    const [end, peer] = ends(t)
    epoll.register(end)
    fill(end)
    put(peer)
    t.deepEqual(await poll(epoll), [[end.fd, EPOLLIN]])
    t.deepEqual(await poll(epoll), [[end.fd, EPOLLIN]])
    epoll.modify(end, EPOLLIN | EPOLLONESHOT)
    t.deepEqual(await poll(epoll), [[end.fd, EPOLLIN]])
    t.deepEqual(await poll(epoll, 0), [])
    epoll.modify(end, EPOLLRDHUP)
    peer.close()
    const [[fd, mask]] = (await poll(epoll)) as [[number, number]]
    t.is(fd, end.fd)
    t.is(mask & (EPOLLRDHUP | EPOLLHUP | EPOLLIN | EPOLLPRI), EPOLLRDHUP | EPOLLHUP)
    const [reader, writer] = ends(t, false)
    epoll.unregister(end)
    epoll.register(writer, 0)
    reader.close()
    t.deepEqual(await poll(epoll), [[writer.fd, EPOLLERR]])
  })

  test(`${name}: maxEvents and times`, async (t) => {
    const epoll = open(t)
    const [end, other] = ends(t)
    const start = performance.now()
    t.deepEqual(await poll(epoll, 20.5), [])
    t.true(performance.now() - start >= 20.5)
    epoll.register(end, EPOLLOUT)
    epoll.register(other, EPOLLOUT)
    const first = await poll(epoll, 0, 1)
    const second = await poll(epoll, 0, 1)
    t.deepEqual(new Set([...first, ...second].map(([fd]) => fd)), new Set([end.fd, other.fd]), 'in turns')
    t.is((await poll(epoll, null, 1e9)).length, 2)
    for (const maxEvents of [0, -1, -2, 1.5]) {
      await t.throwsAsync(poll(epoll, 0, maxEvents), { code: 'ERR_OUT_OF_RANGE' })
    }
    await t.throwsAsync(poll(epoll, Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(poll(epoll, 'dog' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  })
}

test('registering while a poll waits takes effect at once; a second poll is refused', async (t) => {
  const epoll = open(t)
  const [end, peer] = ends(t)
  const waiting = epoll.poll()
  await t.throwsAsync(epoll.poll(0), { code: 'ERR_INVALID_STATE' })
  t.throws(() => epoll.pollSync(0), { code: 'ERR_INVALID_STATE' })
  await turns()
  epoll.register(end, EPOLLIN)
  put(peer)
  t.deepEqual(await waiting, [[end.fd, EPOLLIN]])
  t.is(take(end), 'x')
})

test('an abort ends the wait', async (t) => {
  const epoll = open(t)
  await t.throwsAsync(epoll.poll({ signal: AbortSignal.timeout(5) }), { code: 'ABORT_ERR' })
  t.deepEqual(await epoll.poll({ timeout: 0 }), [])
})
