import { CodedError, TimeoutError, closedError, invalidArgumentValue, invalidState } from '../base/errors.ts'
import { checkSyncOptions } from '../base/limits.ts'
import type { SyncOptions } from '../base/limits.ts'
import { surrenderFd } from '../descriptors/owned-fd.ts'
import { native } from '../native/binding.ts'
import type { Channel } from './channel.ts'
import { blocked } from './inbox.ts'
import type { Take } from './inbox.ts'
import { decodeMoved, encodeMoved } from './moved.ts'
import { adoptWith, carriesMessages } from './open.ts'
import { sendMessage, sendMessageSync } from './sending.ts'

/** A connection as a message with descriptors. */
interface Packed {
  readonly message: Buffer
  readonly fds: number[]
}

function checkMove(carrier: Channel, moved: Channel): void {
  carrier.checkWritable()
  if (moved === carrier) throw invalidArgumentValue('connection', 'cannot be sent over itself')
}

/** What is to be sent of a connection; its descriptors stay its own. */
function pack(moved: Channel): Packed {
  if (moved.state === 'closed') throw closedError('connection')
  moved.inbox.unread()
  const readAhead = native.connectionExport(moved.id)
  if (readAhead === null) throw invalidState('A message was received in part; receive the rest of it first')
  const { fds, ...ahead } = readAhead
  const message = encodeMoved({ settings: moved.settings, peer: moved.peer, readAhead: ahead })
  return { message, fds: [native.connectionDescriptor(moved.id), ...fds] }
}

/** Sends a connection over another one. */
export async function sendConnection(carrier: Channel, moved: Channel): Promise<void> {
  checkMove(carrier, moved)
  moved.beginMove()
  let left = false
  try {
    await moved.drain()
    const { message, fds } = pack(moved)
    await sendMessage(carrier, message, { fds })
    left = true
  } finally {
    moved.endMove(left)
  }
}

/** The same, blocking. What is queued when the time is over leaves later, and takes the connection along. */
export function sendConnectionSync(carrier: Channel, moved: Channel, options?: SyncOptions): void {
  checkMove(carrier, moved)
  const timeout = checkSyncOptions(options)
  const deadline = performance.now() + timeout
  moved.beginMove()
  let packed: Packed | undefined
  let left = false
  try {
    moved.drainSync(timeout)
    packed = pack(moved)
    const { message, fds } = packed
    sendMessageSync(carrier, message, { fds, timeout: deadline - performance.now() })
    left = true
  } catch (error) {
    left = packed !== undefined && error instanceof TimeoutError
    throw error
  } finally {
    moved.endMove(left)
  }
}

/** The next message, which is a connection, for which `make` is called. */
export function takeConnection<T>(carrier: Channel, make: (channel: Channel) => T): Take<T> {
  return (inbox) => {
    const message = inbox.takeMessage(Infinity)
    if (message === blocked) return blocked
    const { data, fds } = message
    try {
      const [own, ...others] = fds
      const { settings, peer, readAhead } = decodeMoved(data, others.length, carrier.settings)
      if (own === undefined || !carriesMessages(own.fd, own.kind)) {
        throw new CodedError('ERR_PROTOCOL', 'A connection came without its descriptor')
      }
      const channel = adoptWith(own, settings, peer)
      const numbers = others.map(surrenderFd)
      const code = native.connectionImport(channel.id, { ...readAhead, tags: [...readAhead.tags], fds: numbers })
      if (code === 0) return make(channel)
      channel.destroy()
      throw new CodedError('ERR_PROTOCOL', 'A connection came with descriptors out of order')
    } finally {
      for (const fd of fds) fd.close()
    }
  }
}
