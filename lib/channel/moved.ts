import { checkInteger } from '../base/arguments.ts'
import { CodedError } from '../base/errors.ts'
import type { PeerAddress } from '../descriptors/peer.ts'
import { checkConnectionOptions } from './options.ts'
import type { ConnectionSettings } from './options.ts'

/** What was read ahead on a connection that moves: bytes, and where in them descriptors came. */
export interface ReadAhead {
  readonly bytes: Buffer
  readonly tags: readonly number[]
  readonly acknowledgements: number
}

/** A connection on its way to another process, but for its descriptors. */
export interface MovedConnection {
  readonly settings: ConnectionSettings
  readonly peer: PeerAddress
  readonly readAhead: ReadAhead
}

/** More than anybody has due. */
const MAX_ACKNOWLEDGEMENTS = 65536

/** Bytes of the length that stands before the description. */
const PREFIX = 4

/** The message that goes with a connection's descriptors: a description in JSON, then the bytes read ahead. */
export function encodeMoved({ settings, peer, readAhead }: MovedConnection): Buffer {
  const { maxMessageSize, readAhead: ahead, noDelay, acknowledgeFds } = settings
  const { bytes, tags, acknowledgements } = readAhead
  const description = Buffer.from(
    JSON.stringify({
      options: { maxMessageSize, readAhead: ahead, noDelay, acknowledgeFds },
      peer: Buffer.isBuffer(peer) ? { path: peer.toString('base64') } : peer,
      tags,
      acknowledgements,
    }),
  )
  const prefix = Buffer.alloc(PREFIX)
  prefix.writeUInt32BE(description.length)
  return Buffer.concat([prefix, description, bytes])
}

/** Reads such a message, that came with `fds` descriptors read ahead to one who has settings of its `own`. */
export function decodeMoved(data: Buffer, fds: number, own: ConnectionSettings): MovedConnection {
  try {
    const end = PREFIX + data.readUInt32BE()
    const { options, peer, tags, acknowledgements } = JSON.parse(data.toString('utf8', PREFIX, end))
    return {
      settings: restrict(own, checkConnectionOptions(options ?? null)),
      peer: checkPeer(peer),
      readAhead: checkReadAhead(data.subarray(end), fds, tags, acknowledgements),
    }
  } catch (cause) {
    throw new CodedError('ERR_PROTOCOL', 'The message is not one of sendConnection()', { cause })
  }
}

/**
 * The sender's settings count where they are stricter. How descriptors are acknowledged is no setting but what the other
 * end of the connection does, and stays as it is.
 */
function restrict(own: ConnectionSettings, sent: ConnectionSettings): ConnectionSettings {
  return checkConnectionOptions({
    maxMessageSize: Math.min(own.maxMessageSize, sent.maxMessageSize),
    readAhead: own.readAhead && sent.readAhead,
    noDelay: own.noDelay,
    acknowledgeFds: sent.acknowledgeFds,
    codec: own.codec,
  })
}

function checkPeer(peer: unknown): PeerAddress {
  if (typeof peer === 'string') return peer
  const { path, host, port } = peer as { path?: unknown; host?: unknown; port?: unknown }
  if (typeof path === 'string') return Buffer.from(path, 'base64')
  if (typeof host === 'string' && typeof port === 'number') return { host, port }
  throw new TypeError('peer')
}

/**
 * For each group of descriptors `tags` has the offset of its byte, in order, how many they are, and 1 where a read ended
 * there.
 */
function checkReadAhead(bytes: Buffer, fds: number, tags: number[], acknowledgements: number): ReadAhead {
  if (!Array.isArray(tags) || tags.length % 3 !== 0) throw new TypeError('tags')
  checkInteger(acknowledgements, 'acknowledgements', 0, MAX_ACKNOWLEDGEMENTS)
  let left = fds
  let least = 0
  for (let index = 0; index < tags.length; index += 3) {
    least = checkInteger(tags[index], 'tag offset', -1, bytes.length - 1, least) + 1
    left -= checkInteger(tags[index + 1], 'tag count', -1, left)
    checkInteger(tags[index + 2], 'tag end', -1, 1)
  }
  if (left !== 0) throw new TypeError('tags')
  return { bytes, tags, acknowledgements }
}
