import { setImmediate as turn } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Connection, Listener, Selector, connect, pipe, wait } from '../index.ts'
import { temporaryAddress } from './support/resources.ts'
import { connected, listen } from './support/transports.ts'

interface Failure extends Error {
  readonly code: string
  readonly peer?: unknown
  readonly address?: unknown
}

/** Somebody's own code, which a stack is to name. */
async function usersOwnCode(call: () => Promise<unknown>): Promise<unknown> {
  return await call()
}

/** What a call rejects with once `provoke` was called, with the stack as it was written. */
async function failure(call: () => Promise<unknown>, provoke: () => unknown = () => {}): Promise<Failure> {
  const caught = usersOwnCode(call).then(
    () => undefined,
    (error: unknown) => error as Failure,
  )
  await turn()
  await provoke()
  const error = await caught
  if (error === undefined) throw new Error('It succeeded')
  return error
}

async function pair(t: ExecutionContext): Promise<[Connection, Connection]> {
  return connected(t, 'unix')
}

const large = 64 * 1024 * 1024

test('a rejected call has the frames of whoever awaits it, whether it failed at once or later', async (t) => {
  const address = temporaryAddress(t)
  const listener = await listen(t, address)
  const [a, b] = await pair(t)
  const [c, d] = await pair(t)
  const [e, f] = await pair(t)
  const [g, h] = await pair(t)
  const selector = new Selector()
  const aborter = new AbortController()
  const failures: [string, () => Promise<Failure>][] = [
    [
      'ERR_EOF',
      () =>
        failure(
          () => a.recvBytes(),
          () => b.destroy(),
        ),
    ],
    ['ERR_EOF', () => failure(() => a.recvMessage())],
    [
      'ERR_CLOSED',
      () =>
        failure(
          () => c.recv(),
          () => c.destroy(),
        ),
    ],
    ['ERR_CLOSED', () => failure(() => c.recv())],
    ['EPIPE', () => failure(() => d.sendBytes(Buffer.alloc(1)))],
    [
      'EPIPE',
      () =>
        failure(
          () => e.sendBytes(Buffer.alloc(large)),
          () => f.destroy(),
        ),
    ],
    ['ERR_TIMEOUT', () => failure(() => g.recvBytes({ timeout: 1 }))],
    [
      'ABORT_ERR',
      () =>
        failure(
          () => g.poll({ signal: aborter.signal, timeout: null }),
          () => aborter.abort(),
        ),
    ],
    [
      'ERR_CLOSED',
      () =>
        failure(
          () => h.poll(null),
          () => h.destroy(),
        ),
    ],
    [
      'ABORT_ERR',
      () =>
        failure(
          () => wait([g], { signal: aborter.signal }),
          () => aborter.abort(),
        ),
    ],
    [
      'ERR_CLOSED',
      () =>
        failure(
          () => selector.select(),
          () => selector.close(),
        ),
    ],
    ['ERR_TIMEOUT', () => failure(() => listener.accept({ timeout: 1 }))],
    ['ENOENT', () => failure(() => connect(`${address}-not`))],
    ['ERR_INVALID_ARG_TYPE', () => failure(() => g.sendBytes(7 as never))],
    ['ERR_OUT_OF_RANGE', () => failure(() => g.recvBytes({ maxLength: -1 }))],
  ]
  for (const [code, fail] of failures) {
    const error = await fail()
    t.is(error.code, code)
    t.regex(String(error.stack), /usersOwnCode/, code)
    t.true(String(error.stack).includes(error.message), code)
  }
})

test('the errors of a `for await` loop lead to it', async (t) => {
  const [a, b] = await pair(t)
  async function theLoop(): Promise<void> {
    for await (const { data } of a) t.is(String(data), 'one')
  }
  const loop = failure(theLoop)
  await b.sendBytes(Buffer.from('one'))
  await a.sendBytes(Buffer.from('never read'))
  b.destroy()
  const error = await loop
  t.is(error.code, 'ECONNRESET')
  t.regex(String(error.stack), /theLoop/)
})

test('the errors of a connection have its peer, those of connecting the address', async (t) => {
  const address = temporaryAddress(t)
  const listener = await Listener.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => listener.close())
  const client = await connect(listener.address)
  const server = await listener.accept()
  const { peer } = server
  t.deepEqual((await failure(() => client.recvBytes({ timeout: 1 }))).peer, listener.address)
  t.deepEqual(
    (
      await failure(
        () => server.recvBytes(),
        () => client.destroy(),
      )
    ).peer,
    peer,
  )
  t.deepEqual(t.throws<Failure>(() => server.recvBytesSync()).peer, peer)
  server.destroy()
  t.is((await failure(() => connect(address))).address, address)
  const [a, b] = pipe()
  b.destroy()
  t.is((await failure(() => a.sendBytes(Buffer.alloc(1)))).peer, '')
  t.is(t.throws<Failure>(() => a.sendBytesSync(Buffer.alloc(1))).peer, '')
  a.destroy()
})
