import { createServer } from 'node:net'
import test from 'ava'
import {
  Connection,
  Listener,
  OwnedFd,
  Poll,
  Selector,
  SharedMemory,
  answerChallenge,
  answerChallengeSync,
  connect,
  connectSync,
  deliverChallenge,
  deliverChallengeSync,
  pipe,
  select,
  selectSync,
  wait,
  waitSync,
} from '../index.ts'
import { temporaryAddress } from './support/resources.ts'
import type { Scope } from './support/resources.ts'
import { connected } from './support/transports.ts'

/** Closes it when the test ends. */
function closing<T extends { close(): unknown }>(scope: Scope, resource: T): T {
  scope.teardown(() => void resource.close())
  return resource
}

type Call = (options: object) => unknown

/** What a call gives, whether it throws or rejects. */
async function errorOf(call: () => unknown): Promise<NodeJS.ErrnoException> {
  try {
    await call()
  } catch (error) {
    return error as NodeJS.ErrnoException
  }
  throw new Error('It was accepted')
}

test('every call refuses an option that it does not know, by name, before it does anything', async (t) => {
  const address = temporaryAddress(t)
  const listener = closing(t, await Listener.listen(address))
  const [a, b] = await connected(t, 'unix')
  const [spare] = await connected(t, 'unix')
  const poll = new Poll()
  poll.register(a, 1)
  const selector = closing(t, new Selector())
  const memory = closing(t, SharedMemory.create(16))
  const data = Buffer.from('data')
  const owned = closing(t, OwnedFd.dup(listener))
  const socket = closing(t, OwnedFd.dup(spare))
  const calls: Record<string, Call> = {
    connect: (options) => connect(address, options),
    connectSync: (options) => connectSync(address, options),
    pipe: (options) => pipe(options),
    'Listener.listen': (options) => Listener.listen(temporaryAddress(t), options),
    'Listener.listenSync': (options) => Listener.listenSync(temporaryAddress(t), options),
    'Listener.fromFd': (options) => Listener.fromFd(owned, options),
    toListener: (options) => owned.toListener(options),
    toServer: (options) => owned.toServer(options),
    toSocket: (options) => socket.toSocket(options),
    toConnection: (options) => socket.toConnection(options),
    'Connection.fromFd': (options) => Connection.fromFd(socket, options),
    accept: (options) => listener.accept(options),
    acceptSync: (options) => listener.acceptSync(options),
    serve: (options) => listener.serve(() => {}, options),
    sendBytes: (options) => a.sendBytes(data, options),
    sendBytesSync: (options) => a.sendBytesSync(data, options),
    send: (options) => a.send(1, options),
    sendSync: (options) => a.sendSync(1, options),
    sendHandleSync: (options) => a.sendHandleSync(0, options),
    sendFdsSync: (options) => a.sendFdsSync([0], options),
    sendConnectionSync: (options) => a.sendConnectionSync(spare, options),
    recv: (options) => b.recv(options),
    recvSync: (options) => b.recvSync(options),
    recvBytes: (options) => b.recvBytes(options),
    recvBytesSync: (options) => b.recvBytesSync(options),
    recvBytesInto: (options) => b.recvBytesInto(data, options),
    recvBytesIntoSync: (options) => b.recvBytesIntoSync(data, options),
    recvMessage: (options) => b.recvMessage(options),
    recvMessageSync: (options) => b.recvMessageSync(options),
    recvMany: (options) => b.recvMany(options),
    recvManySync: (options) => b.recvManySync(options),
    recvHandle: (options) => b.recvHandle(options),
    recvHandleSync: (options) => b.recvHandleSync(options),
    recvFds: (options) => b.recvFds(1, options),
    recvFdsSync: (options) => b.recvFdsSync(1, options),
    recvConnection: (options) => b.recvConnection(options),
    recvConnectionSync: (options) => b.recvConnectionSync(options),
    poll: (options) => b.poll(options),
    pollSync: (options) => b.pollSync(options),
    closeSync: (options) => spare.closeSync(options),
    deliverChallenge: (options) => deliverChallenge(a, 'key', options),
    answerChallenge: (options) => answerChallenge(a, 'key', options),
    deliverChallengeSync: (options) => deliverChallengeSync(a, 'key', options),
    answerChallengeSync: (options) => answerChallengeSync(a, 'key', options),
    wait: (options) => wait([b], options),
    waitSync: (options) => waitSync([b], options),
    select: (options) => select([b], [], [], options),
    selectSync: (options) => selectSync([b], [], [], options),
    'Poll.poll': (options) => poll.poll(options),
    'Poll.pollSync': (options) => poll.pollSync(options),
    'new Selector': (options) => new Selector(options),
    'Selector.register': (options) => selector.register(b, 1, undefined, options),
    'Selector.select': (options) => selector.select(options),
    'Selector.selectSync': (options) => selector.selectSync(options),
    'SharedMemory.create': (options) => SharedMemory.create(16, options),
    seal: (options) => memory.seal(options),
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = await errorOf(() => call({ nonsense: undefined }))
    t.is(error.code, 'ERR_INVALID_ARG_VALUE', `${name}: ${error.message}`)
    t.true(error instanceof TypeError, name)
    t.regex(error.message, /\bnonsense is not known here; known are \w+/, name)
  }
  t.false(await b.poll(), 'nothing was sent')
  t.false(spare.closed)
  t.not(owned.fd, -1)
  t.not(socket.fd, -1)
})

test('calls that block know a timeout and no signal', async (t) => {
  const [, b] = await connected(t, 'unix')
  const { signal } = new AbortController()
  for (const call of [
    () => b.recvBytesSync({ signal } as object),
    () => b.pollSync({ signal } as object),
    () => waitSync([b], { signal } as object),
    () => connectSync('/nowhere', { signal } as object),
  ]) {
    t.throws(call, { code: 'ERR_INVALID_ARG_VALUE', message: /options\.signal is not known here/ })
  }
})

for (const [given, meant] of [
  ['authkey', 'authKey'],
  ['auth_key', 'authKey'],
  ['authKye', 'authKey'],
  ['Backlog', 'backlog'],
  ['replace-stale', 'replaceStale'],
  ['maxMesageSize', 'maxMessageSize'],
  ['verifyPeers', 'verifyPeer'],
  ['key', 'authKey'],
] as const) {
  test(`listen({ ${given} }) says that ${meant} may be meant, and nobody listens`, async (t) => {
    const address = temporaryAddress(t)
    const error = await errorOf(async () => closing(t, await Listener.listen(address, { [given]: 'secret' } as object)))
    t.is(error.message, `options.${given} is not known here; did you mean ${meant}?`)
    t.is((await errorOf(() => connect(address))).code, 'ENOENT')
  })
}

test('names on the prototype count, as they would be read; those of every object do not', async (t) => {
  class Options {
    timeout = 5
  }
  const [, b] = await connected(t, 'pipe')
  t.is((await errorOf(() => b.recvBytes(new Options()))).code, 'ERR_TIMEOUT')
  const inherited: object = Object.create({ timeOut: 5 })
  t.is((await errorOf(() => b.recvBytes(inherited))).code, 'ERR_INVALID_ARG_VALUE')
  t.is((await errorOf(() => b.recvBytes({ constructor: 1 } as object))).code, 'ERR_INVALID_ARG_VALUE')
})

test("Node's own options of toServer and toSocket are known", async (t) => {
  const server = closing(t, OwnedFd.dup(closing(t, await Listener.listen()))).toServer({
    allowHalfOpen: true,
    noDelay: true,
  })
  t.true(server instanceof createServer().constructor)
  await new Promise((resolve) => server.close(resolve))
  const [a] = await connected(t, 'unix')
  OwnedFd.dup(a).toSocket({ allowHalfOpen: true, readable: true }).destroy()
})
