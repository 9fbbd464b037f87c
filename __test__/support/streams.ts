import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  type AddressInfo,
  connect as connectNet,
  createServer as createNetServer,
  type Server,
  type Socket,
} from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { type Scope, temporaryDirectory } from './resources.ts'

/** One end of a pair of Duplexes in memory. */
class MemoryEnd extends Duplex {
  other: MemoryEnd | undefined
  #resume: (() => void) | undefined

  override _read(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.other?.push(chunk) === false) this.other.#resume = done
    else process.nextTick(done)
  }

  override _final(done: () => void): void {
    this.#finish()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#finish()
    done(error)
  }

  #finish(): void {
    this.other?.push(null)
    this.other = undefined
  }
}

/** Two Duplexes, each with what is written to the other. */
export function duplexPair(scope: Scope): [Duplex, Duplex] {
  const [a, b] = [new MemoryEnd(), new MemoryEnd()]
  a.other = b
  b.other = a
  for (const end of [a, b]) scope.teardown(() => void end.destroy())
  return [a, b]
}

async function ends(
  scope: Scope,
  server: Server,
  event: string,
  dial: (port: number) => Socket,
): Promise<[Socket, Socket]> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepting = once(server, event) as Promise<[Socket]>
  const client = dial((server.address() as AddressInfo).port)
  const [[accepted]] = await Promise.all([
    accepting,
    once(client, event === 'connection' ? 'connect' : 'secureConnect'),
  ])
  server.close()
  for (const end of [client, accepted]) scope.teardown(() => void end.destroy())
  return [client, accepted]
}

/** Both ends of a TCP connection of Node's. */
export async function socketPair(scope: Scope): Promise<[Socket, Socket]> {
  return ends(scope, createNetServer(), 'connection', (port) => connectNet(port, '127.0.0.1'))
}

/** Both ends of a TLS connection, with a certificate made for it. */
export async function tlsPair(scope: Scope): Promise<[Socket, Socket]> {
  const directory = temporaryDirectory(scope)
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  execFileSync('openssl', [...request, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) })
  return ends(scope, server, 'secureConnection', (port) =>
    connectTls({ port, host: '127.0.0.1', ca: readFileSync(cert), servername: 'localhost' }),
  )
}

/** What a connection can be over, both ends of it. */
export const streams: readonly [string, (scope: Scope) => Promise<[Duplex, Duplex]>][] = [
  ['a pair in memory', async (scope) => duplexPair(scope)],
  ['a socket', socketPair],
  ['TLS', tlsPair],
]
