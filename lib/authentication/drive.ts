import { onAbort } from '../base/abort.ts'
import { AbortError, TimeoutError } from '../base/errors.ts'
import { forEver, observeLimits } from '../base/limits.ts'
import type { Limits } from '../base/limits.ts'
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
  recvMessage(options: { readonly maxLength: number; readonly signal: AbortSignal }): Promise<Received>
  recvMessageSync(options: { readonly maxLength: number; readonly timeout: number }): Received
}

/** Changes how many bytes a message of the connection may have. */
export type Limit = (maxMessageSize: number) => void

const nothing = Buffer.alloc(0)

/**
 * Takes the steps of a handshake over a connection, whose messages are limited meanwhile; then to `maxMessageSize`. When
 * the time is over it rejects with the error that `timedOut` makes.
 */
export async function authenticate(
  party: Party,
  limit: Limit,
  handshake: Handshake,
  maxMessageSize: number,
  limits: Limits = forEver,
  timedOut: () => Error = () => new TimeoutError('handshake', limits.timeout),
): Promise<void> {
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const ending = new AbortController()
  const giveUp = (error: Error): void => ending.abort(error)
  // What keeps the process alive is the connection.
  const release = observeLimits(limits, giveUp, () => giveUp(timedOut()), false)
  limit(MAX_HANDSHAKE_MESSAGE)
  try {
    for (let next = handshake.next(); next.done !== true;) {
      const step = next.value
      const { signal } = ending
      const taken = 'send' in step ? send(party, step.send, signal) : receive(party, step.receive, signal)
      next = await taken.then(
        (bytes) => handshake.next(bytes),
        (error: unknown) => handshake.throw(error),
      )
    }
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : error
  } finally {
    release()
    limit(maxMessageSize)
  }
}

/** Sends; the signal ends the wait, not the sending. */
function send(party: Party, bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
  // Between two steps nobody listens.
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const ended = onAbort(signal, () => reject(signal.reason))
    party
      .sendBytes(bytes)
      .then(() => resolve(nothing), reject)
      .finally(ended)
  })
}

async function receive(party: Party, maxLength: number, signal: AbortSignal): Promise<Buffer> {
  return dataOf(await party.recvMessage({ maxLength, signal }))
}

/**
 * As {@link authenticate}, blocking until `deadline` (of `performance.now()`) at most.
 *
 * @throws {@link TimeoutError} of the step there was no time for.
 */
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
