import { MAX_HANDSHAKE_MESSAGE } from './steps.ts'
import type { Handshake } from './steps.ts'

interface Received {
  readonly data: Buffer
  readonly fds: readonly { close(): void }[]
}

/** What a handshake needs of a connection. */
export interface Party {
  sendBytes(data: Uint8Array): Promise<void>
  sendBytesSync(data: Uint8Array, options: { readonly timeout: number }): void
  recvMessage(options: { readonly maxLength: number }): Promise<Received>
  recvMessageSync(options: { readonly maxLength: number; readonly timeout: number }): Received
}

/** Changes how many bytes a message of the connection may have. */
export type Limit = (maxMessageSize: number) => void

const nothing = Buffer.alloc(0)

/** Takes the steps of a handshake over a connection, whose messages are limited meanwhile; then to `maxMessageSize`. */
export async function authenticate(
  party: Party,
  limit: Limit,
  handshake: Handshake,
  maxMessageSize: number,
): Promise<void> {
  limit(MAX_HANDSHAKE_MESSAGE)
  try {
    for (let next = handshake.next(); next.done !== true;) {
      const step = next.value
      const taken = 'send' in step ? send(party, step.send) : receive(party, step.receive)
      next = await taken.then(
        (bytes) => handshake.next(bytes),
        (error: unknown) => handshake.throw(error),
      )
    }
  } finally {
    limit(maxMessageSize)
  }
}

async function send(party: Party, bytes: Buffer): Promise<Buffer> {
  await party.sendBytes(bytes)
  return nothing
}

async function receive(party: Party, maxLength: number): Promise<Buffer> {
  return dataOf(await party.recvMessage({ maxLength }))
}

/** As {@link authenticate}, blocking until `deadline` (of `performance.now()`) at most. */
export function authenticateSync(
  party: Party,
  limit: Limit,
  handshake: Handshake,
  maxMessageSize: number,
  deadline: number,
): void {
  limit(MAX_HANDSHAKE_MESSAGE)
  try {
    for (let next = handshake.next(); next.done !== true;) {
      const timeout = deadline - performance.now()
      let received: Buffer = nothing
      try {
        if ('send' in next.value) party.sendBytesSync(next.value.send, { timeout })
        else received = dataOf(party.recvMessageSync({ maxLength: next.value.receive, timeout }))
      } catch (error) {
        next = handshake.throw(error)
        continue
      }
      next = handshake.next(received)
    }
  } finally {
    limit(maxMessageSize)
  }
}

/** No descriptor has a place in a handshake. */
function dataOf({ data, fds }: Received): Buffer {
  for (const fd of fds) fd.close()
  return data
}
