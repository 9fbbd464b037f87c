import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Address, Connection, ConnectOptions } from '../../index.ts'
import { type Scope, temporaryAddress } from './resources.ts'
import { dial } from './transports.ts'

/** What `node:net` can be the other end of. */
export const rawTransports = ['unix', 'tcp'] as const

export interface RawPeer {
  readonly connection: Connection
  /** The other end, as bytes. Nothing is read from it until the test does. */
  readonly peer: Socket
}

/** A connection whose other end is a plain socket that does exactly what the test says. */
export async function rawPeer(
  scope: Scope,
  transport: (typeof rawTransports)[number],
  options: ConnectOptions = {},
): Promise<RawPeer> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  if (transport === 'unix') server.listen(temporaryAddress(scope))
  else server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const [connection, peer] = await Promise.all([dial(scope, addressOf(server.address()), options), next(server)])
  server.close()
  peer.on('error', () => {}) // what happens to the peer is not what is tested
  scope.teardown(() => void peer.destroy())
  return { connection, peer }
}

async function next(server: ReturnType<typeof createServer>): Promise<Socket> {
  return new Promise((resolve) => server.once('connection', resolve))
}

function addressOf(address: AddressInfo | string | null): Address {
  if (address === null) throw new Error('The server is not listening')
  return typeof address === 'string' ? address : { host: address.address, port: address.port }
}

/** Resolves once the kernel has taken all of the bytes. */
export async function write(peer: Socket, ...pieces: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    peer.write(Buffer.concat(pieces), (error) => (error ? reject(error) : resolve()))
  })
}

/** Exactly `count` bytes, never more. */
export async function readExactly(peer: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = peer.read(count)
    if (bytes !== null && bytes.length === count) return bytes
    if (bytes !== null || peer.readableEnded) throw new Error('The stream ended too early')
    await once(peer, 'readable')
  }
}

/** Closes the peer at once; with unread input that is a reset on unix sockets, and always one on TCP. */
export async function reset(peer: Socket): Promise<void> {
  const closed = once(peer, 'close')
  if (peer.remoteFamily === undefined) peer.destroy()
  else peer.resetAndDestroy()
  await closed
}
