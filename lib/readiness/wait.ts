import type { Connection } from '../connection/connection.ts'
import type { Listener } from '../connection/listener.ts'
import { realm, sources } from '../native/environment.ts'
import { invalidArgumentType, invalidArgumentValue, invalidState } from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { checkCode, native } from '../native/binding.ts'
import { readinessOf } from '../base/read-ahead.ts'
import type { Readiness } from '../base/read-ahead.ts'
import { checkPositionalSync, Pending, observeLimits } from '../base/limits.ts'
import type { Limits, SyncOptions, WaitOptions } from '../base/limits.ts'
import { attend, checkOpen, hasReadAhead, isByObject } from './subject.ts'
import { afterTurn, atOnce, needsTurn, turned } from '../base/turn.ts'
import { checkWait } from './watch.ts'

/** What {@link wait} waits for. */
export type Waitable = Connection | Listener | FdLike

function isOwn(object: Waitable): object is Connection | Listener {
  return readinessOf(object) !== undefined
}

/** Checks the objects and finds their descriptors; -1 where there is none. */
function descriptorsOf(objects: readonly Waitable[]): Int32Array {
  if (!Array.isArray(objects)) throw invalidArgumentType('objects', 'an array', objects)
  checkOpen(objects, 'objects')
  const known = new Set<unknown>()
  return Int32Array.from(objects as Waitable[], (object, index) => {
    const name = `objects[${index}]`
    const fd = isOwn(object) ? object.fd : fdNumber(object, name)
    if (known.has(object) || (fd !== -1 && known.has(fd))) throw invalidArgumentValue(name, 'is there already')
    known.add(object)
    known.add(fd)
    return fd
  })
}

/** Those of the objects that are ready, in their order; blocks for at most `timeout` milliseconds. */
function poll(objects: readonly Waitable[], fds: Int32Array, timeout: number): Waitable[] {
  const ahead = new Set(objects.filter(hasReadAhead))
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
  const watched: Readiness[] = []
  let set = -1
  const stop = (): void => {
    for (const readiness of watched) readiness.unwatch(callback)
    if (set < 0) return
    sources[set] = undefined
    native.watchClose(set)
  }
  try {
    // Connections and listeners stay registered from one wait to the next; the others become one set.
    for (const object of objects) {
      const readiness = readinessOf(object)
      if (readiness?.byDescriptor !== true) continue
      watched.push(readiness)
      readiness.watch(callback)
    }
    const others = fds.filter((_, index) => !isOwn(objects[index] as Waitable))
    if (others.length > 0) {
      set = checkCode(native.watchOpenSet(realm, others))
      sources[set] = { ready: callback }
      checkCode(native.watchArm(set, false))
    }
  } catch (error) {
    stop()
    throw error
  }
  return stop
}

/**
 * Waits until at least one of the objects is ready: something to receive or accept, the peer's end, or an error. Resolves
 * with the ready ones, in the order given; with none when `timeout` milliseconds are over (by default never). Nothing is
 * consumed. Python's `multiprocessing.connection.wait`.
 *
 * A Listener with `authKey` or `verifyPeer` is ready when a client is through its handshake; handshakes go on while this
 * waits.
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
  const limits = checkWait(timeout)
  const fds = descriptorsOf(objects).map((fd, index) => (isByObject(objects[index]) ? -1 : fd))
  return (await waitReady([...objects], fds, limits)) as T[]
}

async function waitReady(objects: readonly Waitable[], fds: Int32Array, limits: Limits): Promise<Waitable[]> {
  const now = (): Waitable[] | undefined => {
    checkOpen(objects, 'objects')
    const ready = poll(objects, fds, 0)
    return ready.length === 0 ? undefined : ready
  }
  let check = (): void => {}
  const stops: ((() => void) | undefined)[] = []
  try {
    for (const object of objects) stops.push(attend(object, () => check()))
    const ready = atOnce(now) ?? (needsTurn(limits) ? await afterTurn(limits, now) : undefined)
    if (ready !== undefined || limits.timeout === 0) return ready ?? []
    const pending = new Pending<Waitable[]>()
    /** Gives whoever waits what there is; otherwise goes on. */
    const look = (goOn: () => void): void => {
      try {
        turned()
        const result = now()
        if (result === undefined) goOn()
        else pending.resolve(result)
      } catch (error) {
        pending.reject(error)
      }
    }
    let unwatch = watch(objects, fds, () => check())
    stops.push(() => unwatch())
    check = () => {
      unwatch()
      unwatch = () => {}
      look(() => (unwatch = watch(objects, fds, () => check())))
    }
    const expire = (): void => look(() => pending.resolve([]))
    stops.push(observeLimits(limits, (error) => pending.reject(error), expire, true))
    return await pending.promise
  } finally {
    for (const stop of stops) stop?.()
  }
}

/**
 * As {@link wait}, blocking. A Listener is ready when a client knocks, even if it
 * has its handshake before it: `acceptSync` goes through that.
 *
 * @throws `ERR_INVALID_STATE` for a connection over a stream; otherwise as {@link wait}.
 */
export function waitSync<T extends Waitable>(objects: readonly T[], timeout?: number | null | SyncOptions): T[] {
  const milliseconds = checkPositionalSync(timeout, Infinity)
  const fds = descriptorsOf(objects)
  if (fds.includes(-1)) throw invalidState('A connection over a stream cannot be waited for synchronously')
  return poll(objects, fds, milliseconds) as T[]
}
