import { MAX_HANDSHAKE_MESSAGE } from './steps.ts'
import type { Handshake } from './steps.ts'
import type { Connection } from '../connection/connection.ts'

const nothing = Buffer.alloc(0)

/** Takes the steps of a handshake over a connection; afterwards its messages are limited to `maxMessageSize`. */
export async function authenticate(
  connection: Connection,
  handshake: Handshake,
  maxMessageSize: number,
): Promise<void> {
  connection.limitMessages(MAX_HANDSHAKE_MESSAGE)
  for (let next = handshake.next(); next.done !== true;) {
    const step = next.value
    const taken = 'send' in step ? send(connection, step.send) : receive(connection, step.receive)
    next = await taken.then(
      (bytes) => handshake.next(bytes),
      (error: unknown) => handshake.throw(error),
    )
  }
  connection.limitMessages(maxMessageSize)
}

async function send(connection: Connection, bytes: Buffer): Promise<Buffer> {
  await connection.sendBytes(bytes)
  return nothing
}

async function receive(connection: Connection, maxLength: number): Promise<Buffer> {
  const { data, fds } = await connection.recvMessage({ maxLength })
  for (const fd of fds) fd.close()
  return data
}

/** As {@link authenticate}, blocking until `deadline` (of `performance.now()`) at most. */
export function authenticateSync(
  connection: Connection,
  handshake: Handshake,
  maxMessageSize: number,
  deadline: number,
): void {
  connection.limitMessages(MAX_HANDSHAKE_MESSAGE)
  for (let next = handshake.next(); next.done !== true;) {
    const timeout = deadline - performance.now()
    let received: Buffer = nothing
    try {
      if ('send' in next.value) connection.sendBytesSync(next.value.send, { timeout })
      else received = receiveSync(connection, next.value.receive, timeout)
    } catch (error) {
      next = handshake.throw(error)
      continue
    }
    next = handshake.next(received)
  }
  connection.limitMessages(maxMessageSize)
}

function receiveSync(connection: Connection, maxLength: number, timeout: number): Buffer {
  const { data, fds } = connection.recvMessageSync({ maxLength, timeout })
  for (const fd of fds) fd.close()
  return data
}
