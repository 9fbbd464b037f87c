// connectSync, Listener.listenSync and acceptSync: for workers, scripts and start-up.
import test, { type ExecutionContext } from 'ava'
import { connect, connectSync, Listener, type Connection, type ListenerOptions } from '../index.ts'
import { startFixture } from './support/program.ts'
import { anyPython, runPython } from './support/python.ts'
import { temporaryAddress } from './support/resources.ts'
import { codeOf } from './support/until.ts'

function listening(
  t: ExecutionContext,
  address?: Parameters<typeof Listener.listenSync>[0],
  options?: ListenerOptions,
) {
  const listener = Listener.listenSync(address, options)
  t.teardown(() => listener.close())
  return listener
}

function closing(t: ExecutionContext, connection: Connection): Connection {
  t.teardown(() => connection.destroy())
  return connection
}

for (const [transport, address] of [
  ['unix', undefined],
  ['abstract', `\0fdwire-${process.pid}-blocking`],
  ['tcp', { host: '127.0.0.1', port: 0 }],
  ['tcp by name', { host: 'localhost', port: 0 }],
] as const) {
  test(`${transport}: connectSync and acceptSync meet, and messages go both ways`, (t) => {
    const listener = listening(t, address)
    const client = closing(t, connectSync(listener.address))
    const server = closing(t, listener.acceptSync())
    t.deepEqual(listener.lastAccepted, server.peer)
    client.sendBytesSync(Buffer.from('there'))
    t.is(String(server.recvBytesSync()), 'there')
    server.sendBytesSync(Buffer.from('and back'))
    t.is(String(client.recvBytesSync()), 'and back')
  })
}

test('acceptSync ends in time, never early, and loses no client', async (t) => {
  const listener = listening(t)
  const started = performance.now()
  t.throws(() => listener.acceptSync({ timeout: 30 }), { code: 'ERR_TIMEOUT' })
  t.true(performance.now() - started >= 30)
  const client = closing(t, await connect(listener.address))
  closing(t, listener.acceptSync({ timeout: 0 }))
  t.false(client.closed)
})

test('acceptSync takes a client that came since the event loop looked', async (t) => {
  const listener = listening(t)
  t.is(await codeOf(listener.accept({ timeout: 0 })), 'ERR_TIMEOUT')
  closing(t, connectSync(listener.address))
  closing(t, listener.acceptSync({ timeout: 0 }))
})

test('acceptSync beside an accept that waits is refused', async (t) => {
  const listener = listening(t)
  const waiting = codeOf(listener.accept())
  t.throws(() => listener.acceptSync(), { code: 'ERR_INVALID_STATE' })
  await listener.close()
  t.is(await waiting, 'ERR_CLOSED')
  t.throws(() => listener.acceptSync(), { code: 'ERR_CLOSED' })
})

test('connectSync waits for a full accept queue within its timeout', (t) => {
  const listener = listening(t, undefined, { backlog: 1 })
  const first = [connectSync(listener.address), connectSync(listener.address)]
  for (const connection of first) closing(t, connection)
  t.throws(() => connectSync(listener.address, { timeout: 30 }), { code: 'ERR_TIMEOUT' })
})

test('connectSync tells what is wrong with an address', (t) => {
  t.throws(() => connectSync(temporaryAddress(t)), { code: 'ENOENT' })
  t.throws(() => connectSync({ host: 'no-such-host.invalid', port: 1 }), { code: 'ENOTFOUND' })
  t.throws(() => connectSync(7 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => listening(t, '/no/such/directory/socket'), { code: 'ENOENT' })
})

test('connectSync and acceptSync prove the key to each other, in two processes', async (t) => {
  const refused: string[] = []
  const onHandshakeError = (error: Error): void => void refused.push((error as NodeJS.ErrnoException).code ?? '')
  const listener = listening(t, undefined, { authKey: 'secret', onHandshakeError })
  const program = startFixture(t, 'proves.ts', [String(listener.address)])
  const connection = closing(t, listener.acceptSync({ timeout: 60_000 }))
  t.is(String(connection.recvBytesSync()), 'known')
  t.throws(() => connection.recvBytesSync(), { code: 'ERR_EOF' })
  await program.finish()
  t.deepEqual(refused, ['ERR_AUTHENTICATION'])
})

test('acceptSync takes a Python client', (t) => {
  const listener = listening(t, temporaryAddress(t))
  runPython(t, anyPython(), 'echo.py', ['client', 'unix', String(listener.address)])
  const connection = closing(t, listener.acceptSync({ timeout: 60_000 }))
  connection.sendBytesSync(Buffer.from('again'))
  t.is(String(connection.recvBytesSync()), 'again')
})
