import { constants } from 'node:buffer'
import { checkFlag, checkInteger, checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import {
  closedError,
  illegalConstructor,
  invalidArgumentType,
  invalidArgumentValue,
  invalidFdType,
  invalidState,
} from '../base/errors.ts'
import { fdNumber } from './fd-like.ts'
import { inspectable } from '../base/inspect.ts'
import { Uncloneable } from '../base/uncloneable.ts'
import { checkCode, native } from '../native/binding.ts'
import { OwnedFd, surrenderFd, wrapFd } from './owned-fd.ts'

/** What only this file has: nobody else makes a SharedMemory. */
const ours: unique symbol = Symbol('ours')

/** The longest name of a memfd, in bytes. */
const MAX_NAME = 249

/** What nobody can do any more to a shared memory, or what shall be forbidden. */
export interface Seals {
  /** Write, but for buffers that could before. */
  readonly write: boolean
  /** Make it larger. */
  readonly grow: boolean
  /** Make it smaller. */
  readonly shrink: boolean
  /** Add seals. */
  readonly seal: boolean
}

/** How memory is made. */
export interface SharedMemoryOptions {
  /**
   * Shown by the system to those who debug, as in `/proc/<pid>/maps`; it need not be unique. macOS has no such thing.
   * @defaultValue `'fdwire'`
   */
  readonly name?: string | undefined
}

const sharedMemoryNames: Names<SharedMemoryOptions> = { name: true }
const sealNames: Names<Seals> = { write: true, grow: true, shrink: true, seal: true }

/**
 * Memory that processes share: a descriptor to send, and one ArrayBuffer of its bytes. Payloads in it are not copied by
 * sending; a message only tells that they are there. It is worth it from about 256 KiB on, and when it is reused.
 *
 * Whoever has the descriptor can change the bytes at any time. When the peer is not trusted, copy what you read before
 * you check or decode it (`Buffer.from(new Uint8Array(memory.buffer, 0, length))`), or have it sealed against writing.
 *
 * Memory that could shrink is never mapped, as touching what is gone would end the process (SIGBUS).
 *
 * Close it. When it is collected instead, its descriptor is closed with a warning (`FDWIRE_FD_LEAK`); the buffer stays
 * for as long as something has it. It cannot be transferred to a worker: give that the number of a copy of the descriptor.
 */
export class SharedMemory extends Uncloneable {
  static {
    inspectable(this.prototype, (memory) => {
      const state = memory.closed ? 'closed: true' : `size: ${memory.size}, readOnly: ${memory.readOnly}`
      return `SharedMemory { fd: ${memory.fd}, ${state} }`
    })
  }

  readonly #owned: OwnedFd
  readonly #buffer: ArrayBuffer
  readonly #size: number
  readonly #readOnly: boolean

  private constructor(token: typeof ours, owned: OwnedFd, mapped: Mapped) {
    super()
    if (token !== ours) throw illegalConstructor('SharedMemory', 'SharedMemory.create or SharedMemory.fromFd')
    const { buffer, private: readOnly } = mapped
    this.#owned = owned
    this.#buffer = buffer
    this.#size = buffer.byteLength
    this.#readOnly = readOnly
  }

  /**
   * Makes `size` bytes, all 0, and sealed against shrinking (memfd_create(2); shm_open(3) without a name on macOS). The
   * memory is taken at once.
   *
   * @param size From 1 to `buffer.constants.MAX_LENGTH`.
   * @throws ENOMEM, ENOSPC, EMFILE, ENFILE; `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where JavaScript must not use memory of
   *   others (Electron); `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`.
   */
  static create(size: number, options: SharedMemoryOptions = {}): SharedMemory {
    if (size === undefined) throw invalidArgumentType('size', 'a number', size)
    checkInteger(size, 'size', 0, constants.MAX_LENGTH, 1)
    checkOptions(options, sharedMemoryNames)
    const name = checkName(options.name)
    const owned = wrapFd(checkCode(native.memoryCreate(name, size)))
    try {
      return new SharedMemory(ours, owned, map(owned.fd, size))
    } catch (error) {
      owned.close()
      throw error
    }
  }

  /**
   * Adopts the descriptor of a shared memory, such as a peer sent. `size` is what the memory has now, in whole pages on
   * macOS. When this throws, the descriptor is still the caller's.
   *
   * @throws `ERR_INVALID_FD_TYPE` for what is not such memory (a file, a pipe; huge pages); `ERR_INVALID_STATE` when it is
   *   not sealed against shrinking (F_SEAL_SHRINK), as what Python's `os.memfd_create` made must be first; EINVAL if it is
   *   empty; EACCES if it can only be written; EFBIG, EBADF, ENOMEM; `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where
   *   JavaScript must not use memory of others (Electron), and on macOS if it can only be read; `ERR_CLOSED`,
   *   `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
   */
  static fromFd(fd: number | OwnedFd): SharedMemory {
    if (typeof fd !== 'number' && !(fd instanceof OwnedFd)) throw invalidArgumentType('fd', 'a number or OwnedFd', fd)
    const mapped = map(fdNumber(fd), undefined)
    const owned = fd instanceof OwnedFd ? wrapFd(surrenderFd(fd)) : OwnedFd.fromFd(fd)
    return new SharedMemory(ours, owned, mapped)
  }

  /** The number, -1 once closed. Send it as any other: `connection.sendBytes(message, { fds: [memory] })`. */
  get fd(): number {
    return this.#owned.fd
  }

  /** Bytes; it does not change. */
  get size(): number {
    return this.#size
  }

  /**
   * The memory itself, the same object each time. Others who map it see what is written here, unless it is
   * {@link readOnly}, and the other way round. Once closed it is detached: it and its views have no bytes.
   */
  get buffer(): ArrayBuffer {
    return this.#buffer
  }

  /**
   * Whether {@link buffer} is a private copy: it can be written to, but what is written stays here, unseen by others. A page
   * is copied when it is first written, and no longer shows what others write then. So it is with memory that is sealed
   * against writing, or was opened to be read only, when it is adopted.
   */
  get readOnly(): boolean {
    return this.#readOnly
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#owned.fd === -1
  }

  /**
   * What is forbidden by now, by whomever (F_GET_SEALS).
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` on macOS, which has no seals; `ERR_CLOSED`.
   */
  get seals(): Seals {
    const seals = checkCode(native.memorySeals(this.#open()))
    const has = (bits: number): boolean => (seals & bits) !== 0
    return {
      write: has(native.SEAL_WRITE | native.SEAL_FUTURE_WRITE),
      grow: has(native.SEAL_GROW),
      shrink: has(native.SEAL_SHRINK),
      seal: has(native.SEAL_SEAL),
    }
  }

  /**
   * Forbids things for good, to everyone (F_ADD_SEALS). After `write: true` whoever maps the memory, or writes to the
   * descriptor, can only read; this buffer and those that others have already go on writing (F_SEAL_FUTURE_WRITE), but
   * for a {@link readOnly} one: nobody can write then (F_SEAL_WRITE), which is EBUSY while somebody still could.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` on macOS, which has no seals, and for `write` on FreeBSD unless this is
   *   {@link readOnly}; EPERM when it is sealed against sealing; EBUSY; `ERR_CLOSED`, `ERR_INVALID_ARG_TYPE`.
   */
  seal(seals: Partial<Seals>): void {
    if (seals === undefined) throw invalidArgumentType('seals', 'an object', seals)
    checkOptions(seals, sealNames, 'seals')
    const write = this.#readOnly ? native.SEAL_WRITE : native.SEAL_FUTURE_WRITE
    const bits =
      (checkFlag(seals.write, 'seals.write', false) ? write : 0) |
      (checkFlag(seals.grow, 'seals.grow', false) ? native.SEAL_GROW : 0) |
      (checkFlag(seals.shrink, 'seals.shrink', false) ? native.SEAL_SHRINK : 0) |
      (checkFlag(seals.seal, 'seals.seal', false) ? native.SEAL_SEAL : 0)
    checkCode(native.memoryAddSeals(this.#open(), bits))
  }

  /**
   * Closes the descriptor and detaches the buffer, which gives the memory up unless others have it. Wait first for sends
   * from it and receives into it. Closing again does nothing.
   */
  close(): void {
    if (this.closed) return
    this.#owned.close()
    native.memoryUnmap(this.#buffer)
  }

  /** Is {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }

  #open(): number {
    if (this.closed) throw closedError('shared memory')
    return this.#owned.fd
  }
}

interface Mapped {
  readonly buffer: ArrayBuffer
  readonly private: boolean
}

/** Maps `size` bytes, or all that there is. */
function map(fd: number, size: number | undefined): Mapped {
  const mapped = native.memoryMap(fd, size, constants.MAX_LENGTH)
  if (typeof mapped !== 'number') return mapped
  if (mapped === native.NOT_MEMORY) throw invalidFdType(`Descriptor ${fd} is not of memory that can be shared`)
  if (mapped === native.SHRINKABLE) {
    throw invalidState(`The memory of descriptor ${fd} could shrink: whoever made it must add F_SEAL_SHRINK`)
  }
  checkCode(mapped)
  throw invalidState('unreachable')
}

function checkName(name: unknown = 'fdwire'): string {
  if (typeof name !== 'string') throw invalidArgumentType('options.name', 'a string', name)
  if (name.includes('\0')) throw invalidArgumentValue('options.name', 'must not contain NUL')
  if (Buffer.byteLength(name) > MAX_NAME) throw invalidArgumentValue('options.name', `has more than ${MAX_NAME} bytes`)
  return name
}
