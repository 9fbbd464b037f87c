import { type Address, Connection, connect, type ConnectOptions, Listener, pipe } from '../../index.ts'
import type { ExecutionContext } from 'ava'
import { abstractAddress, type Scope, temporaryAddress } from './resources.ts'

export type Listening = 'unix' | 'abstract' | 'tcp'
export type Transport = Listening | 'pipe'

/** Where a listener can be whose connections carry descriptors. */
export const unixListening: readonly Listening[] = process.platform === 'linux' ? ['unix', 'abstract'] : ['unix']
/** Where a listener can be. */
export const listening: readonly Listening[] = [...unixListening, 'tcp']
/** What carries descriptors. */
export const carryingFds: readonly Transport[] = [...unixListening, 'pipe']
/** Everything that is duplex. */
export const transports: readonly Transport[] = [...listening, 'pipe']

export function freshAddress(scope: Scope, transport: Listening): Address {
  if (transport === 'unix') return temporaryAddress(scope)
  return transport === 'abstract' ? abstractAddress() : { host: '127.0.0.1', port: 0 }
}

/** Both ends of a connection: the client and the accepted one, or the two ends of `pipe()`. */
export async function connected(
  scope: Scope,
  transport: Transport,
  options: ConnectOptions = {},
): Promise<[Connection, Connection]> {
  const ends = transport === 'pipe' ? piped(options) : await accepted(scope, transport, options)
  for (const end of ends) scope.teardown(() => end.destroy())
  return ends
}

function piped(options: ConnectOptions): [Connection, Connection] {
  const [a, b] = pipe()
  return [Connection.fromFd(a.detach(), options), Connection.fromFd(b.detach(), options)]
}

async function accepted(
  scope: Scope,
  transport: Listening,
  options: ConnectOptions,
): Promise<[Connection, Connection]> {
  const { signal: _signal, timeout: _timeout, ...connection } = options
  const listener = await Listener.listen(freshAddress(scope, transport), connection)
  const ends = await Promise.all([connect(listener.address, options), listener.accept()])
  await listener.close()
  return ends
}

/** A one-way OS pipe: the reader, then the writer. */
export function oneWay(scope: Scope): [Connection, Connection] {
  const ends = pipe({ duplex: false })
  for (const end of ends) scope.teardown(() => end.destroy())
  return ends
}

/** A listener that is closed when the scope ends. */
export async function listen(scope: Scope, ...args: Parameters<typeof Listener.listen>): Promise<Listener> {
  const listener = await Listener.listen(...args)
  scope.teardown(() => listener.close())
  return listener
}

/** A connection that is destroyed when the scope ends. */
export async function dial(scope: Scope, address: Address, options: ConnectOptions = {}): Promise<Connection> {
  const connection = await connect(address, options)
  scope.teardown(() => connection.destroy())
  return connection
}

/** The next connection of a listener, destroyed when the scope ends. */
export async function accept(scope: Scope, listener: Listener): Promise<Connection> {
  const connection = await listener.accept()
  scope.teardown(() => connection.destroy())
  return connection
}

/** A connection through the listener works. */
export async function assertServing(t: ExecutionContext, listener: Listener): Promise<void> {
  const client = await dial(t, listener.address)
  const server = await accept(t, listener)
  await client.sendBytes(Buffer.from('hello'))
  t.is(String(await server.recvBytes()), 'hello')
}
