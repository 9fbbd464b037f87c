import { Connection } from '../connection/connection.ts'
import { realm, sources } from '../native/environment.ts'
import {
  AbortError,
  TimeoutError,
  closedError,
  invalidArgumentType,
  invalidArgumentValue,
  invalidState,
  systemError,
} from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { Listener } from '../connection/listener.ts'
import { readiness } from '../base/read-ahead.ts'
import { checkCode, native } from '../native/binding.ts'
import { Pending, checkPositional } from '../base/limits.ts'
import type { WaitOptions } from '../base/limits.ts'

/** What {@link wait} waits for. */
export type Waitable = Connection | Listener | FdLike

function isOwn(object: Waitable): object is Connection | Listener {
  return object instanceof Connection || object instanceof Listener
}

function checkOpen(objects: readonly Waitable[]): void {
  for (const [index, object] of objects.entries()) {
    if (isOwn(object) && object.closed) throw closedError(`objects[${index}]`)
  }
}

/** Checks the objects and finds their descriptors. */
function descriptorsOf(objects: readonly Waitable[]): Int32Array {
  if (!Array.isArray(objects)) throw invalidArgumentType('objects', 'an array', objects)
  checkOpen(objects)
  const known = new Set<unknown>()
  const fds = Int32Array.from(objects as Waitable[], (object, index) => {
    const name = `objects[${index}]`
    const fd = isOwn(object) ? object.fd : fdNumber(object, name)
    if (known.has(object) || (fd !== -1 && known.has(fd))) throw invalidArgumentValue(name, 'is there already')
    known.add(object)
    known.add(fd)
    return fd
  })
  return fds
}

/** Those of the objects that are ready, in their order; blocks for at most `timeout` milliseconds. */
function poll(objects: readonly Waitable[], fds: Int32Array, timeout: number): Waitable[] {
  const ahead = new Set(objects.filter((object) => isOwn(object) && object[readiness].readAhead))
  const open = fds.filter((fd) => fd !== -1)
  const code = open.length === 0 && timeout === 0 ? 0 : native.pollReadable(open, ahead.size > 0 ? 0 : timeout)
  checkCode(code)
  let position = 0
  return objects.filter((object, index) => {
    const ready = fds[index] !== -1 && open[position++] === 1
    return ready || ahead.has(object)
  })
}

/** Calls back once when one of the objects may be ready; returns how to take that back. */
function watch(objects: readonly Waitable[], fds: Int32Array, callback: () => void): () => void {
  // Connections and listeners stay registered from one wait to the next; the others become one set.
  const own = objects.filter(isOwn)
  for (const object of own) object[readiness].watch(callback)
  const others = fds.filter((_, index) => !isOwn(objects[index] as Waitable))
  const set = others.length === 0 ? -1 : native.watchOpenSet(realm, others)
  if (set >= 0) {
    sources[set] = { ready: callback }
    native.watchArm(set, false)
  }
  const stop = (): void => {
    for (const object of own) object[readiness].unwatch(callback)
    if (set < 0) return
    sources[set] = undefined
    native.watchClose(set)
  }
  if (others.length > 0 && set < 0) {
    stop()
    throw systemError(set, 'epoll_ctl')
  }
  return stop
}

/**
 * Waits until at least one of the objects is ready: something to receive or accept, the peer's end, or an error. Resolves
 * with the ready ones, in the order given; with none when `timeout` milliseconds are over (by default never). Nothing is
 * consumed. Python's `multiprocessing.connection.wait`.
 *
 * Connections and Listeners stay registered from one call to the next: waiting for a thousand of them costs one poll(2).
 * Every other descriptor costs one epoll_ctl(2) for each call that has to wait; for many of those use a `Selector`.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for an object or descriptor that is there twice; `ERR_CLOSED`; {@link AbortError}; EBADF;
 *   `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
 */
export async function wait<T extends Waitable>(
  objects: readonly T[],
  timeout?: number | null | WaitOptions,
): Promise<T[]> {
  const limits = checkPositional(timeout, Infinity)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const fds = descriptorsOf(objects)
  const ready = limits.timeout === 0 ? poll(objects, fds, 0) : await waitReady([...objects], fds, limits)
  return ready as T[]
}

async function waitReady(
  objects: readonly Waitable[],
  fds: Int32Array,
  limits: ReturnType<typeof checkPositional>,
): Promise<Waitable[]> {
  let stop = (): void => {}
  const pending = new Pending<Waitable[]>(limits, 'wait', () => stop(), true)
  const check = (): void => {
    stop()
    try {
      checkOpen(objects)
      const ready = poll(objects, fds, 0)
      if (ready.length > 0) pending.resolve(ready)
      else stop = watch(objects, fds, check)
    } catch (error) {
      pending.reject(error)
    }
  }
  check()
  try {
    return await pending.promise
  } catch (error) {
    if (error instanceof TimeoutError) return []
    throw error
  }
}

/** As {@link wait}, blocking. A signal is looked at only once, before. */
export function waitSync<T extends Waitable>(objects: readonly T[], timeout?: number | null | WaitOptions): T[] {
  const limits = checkPositional(timeout, Infinity)
  if (limits.signal?.aborted) throw new AbortError(limits.signal.reason)
  const fds = descriptorsOf(objects)
  if (fds.includes(-1)) throw invalidState('A connection over a stream cannot be waited for synchronously')
  return poll(objects, fds, limits.timeout) as T[]
}
