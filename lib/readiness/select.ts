import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { invalidArgumentType } from '../base/errors.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { checkCode, native } from '../native/binding.ts'
import { readinessOf } from '../base/read-ahead.ts'
import { checkPositionalSync } from '../base/limits.ts'
import type { SyncOptions, WaitOptions } from '../base/limits.ts'
import { attend, checkOpen, hasReadAhead, isByObject, waitableNumber } from './subject.ts'
import { afterTurn, atOnce, needsTurn } from '../base/turn.ts'
import { Watch, checkWait } from './watch.ts'

const { POLLIN, POLLOUT, POLLPRI } = constants

interface Lists<R, W, X> {
  readonly read: readonly R[]
  readonly write: readonly W[]
  readonly except: readonly X[]
  /** Of all, in this order; -1 for what is read by itself, not by its descriptor. */
  readonly fds: readonly number[]
}

type Selected<R, W, X> = [R[], W[], X[]]

function checkLists<R extends FdLike, W extends FdLike, X extends FdLike>(
  readers: readonly R[],
  writers: readonly W[],
  exceptional: readonly X[],
  blocking: boolean,
): Lists<R, W, X> {
  const named = Object.entries({ readers, writers, exceptional })
  for (const [name, list] of named) {
    if (!Array.isArray(list)) throw invalidArgumentType(name, 'an array of descriptors', list)
  }
  // Getters of the objects may change the lists.
  const [read, write, except] = [[...readers], [...writers], [...exceptional]]
  const numbers = (list: FdLike[], name: string): number[] =>
    list.map((object, index) => waitableNumber(object, `${name}[${index}]`))
  const readable = numbers(read, 'readers').map((fd, index) => (!blocking && isByObject(read[index]) ? -1 : fd))
  return { read, write, except, fds: [...readable, ...numbers(write, 'writers'), ...numbers(except, 'exceptional')] }
}

/** What is ready now, or within `timeout`: undefined where that is nothing. */
function take<R extends FdLike, W extends FdLike, X extends FdLike>(
  { read, write, except, fds }: Lists<R, W, X>,
  timeout: number,
): Selected<R, W, X> | undefined {
  const ahead = read.map(hasReadAhead)
  const some = ahead.includes(true)
  const asked = fds.filter((fd) => fd !== -1)
  const flags = new Int32Array(asked.length)
  const readers = asked.length - write.length - except.length
  const count = checkCode(native.selectWait(new Int32Array(asked), readers, write.length, some ? 0 : timeout, flags))
  if (count === 0 && !some) return undefined
  let position = 0
  const ready = fds.map((fd) => fd !== -1 && flags[position++] === 1)
  const start = read.length + write.length
  return [
    read.filter((_, index) => ahead[index] === true || ready[index] === true),
    write.filter((_, index) => ready[read.length + index] === true),
    except.filter((_, index) => ready[start + index] === true),
  ]
}

function checkAllOpen({ read, write, except }: Lists<unknown, unknown, unknown>): void {
  checkOpen(read, 'readers')
  checkOpen(write, 'writers')
  checkOpen(except, 'exceptional')
}

function notifierSet({ read, write, fds }: Lists<unknown, unknown, unknown>): Int32Array {
  const masks = new Map<number, number>()
  fds.forEach((fd, index) => {
    if (fd === -1) return
    const mask = index < read.length ? POLLIN : index < read.length + write.length ? POLLOUT : POLLPRI
    masks.set(fd, (masks.get(fd) ?? 0) | mask)
  })
  return new Int32Array([...masks].flat())
}

/**
 * Waits until something of the three lists is ready: to read (the end and errors included, and what a Connection has
 * read ahead), to write (errors included), or with urgent data. Resolves with the ready ones of each, the same objects in
 * the order given, all three empty when the time, in milliseconds, is over; for ever without one. Three empty lists wait
 * for the time alone. Python's `select.select`, without its limit of 1024.
 *
 * Readable is what it is to {@link Selector}: a Listener with `authKey` or `verifyPeer` when a client is through its
 * handshake.
 *
 * Each call that has to wait watches all descriptors anew: for many {@link Selector} is better.
 *
 * @throws EBADF, `ERR_CLOSED`, `ERR_INVALID_FD_TYPE`, `ERR_INVALID_STATE` for what cannot be waited on;
 *   {@link AbortError}; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
 */
export async function select<R extends FdLike, W extends FdLike, X extends FdLike>(
  readers: readonly R[],
  writers: readonly W[],
  exceptional: readonly X[],
  timeout?: number | null | WaitOptions,
): Promise<[R[], W[], X[]]> {
  const lists = checkLists(readers, writers, exceptional, false)
  const limits = checkWait(timeout)
  let changed = (): void => {}
  const stops: ((() => void) | undefined)[] = []
  const now = (): Selected<R, W, X> | undefined => {
    checkAllOpen(lists)
    return take(lists, 0)
  }
  try {
    for (const object of lists.read) stops.push(attend(object, () => changed()))
    const result = atOnce(now) ?? (needsTurn(limits) ? await afterTurn(limits, now) : undefined)
    if (result !== undefined || limits.timeout === 0) return result ?? [[], [], []]
    const watch = new Watch<Selected<R, W, X>>(native.notifierOpen(realm, notifierSet(lists)), 'select')
    stops.push(() => watch.close())
    changed = () => watch.check()
    for (const object of lists.read) stops.push(readinessOf(object)?.observeReadAhead(changed))
    const attempt = (): Selected<R, W, X> | undefined => {
      checkCode(native.notifierClear(watch.id))
      return now()
    }
    return await watch.wait(limits, attempt, () => [[], [], []])
  } finally {
    for (const stop of stops) stop?.()
  }
}

/**
 * As {@link select}, blocking this thread. A Listener is readable when a client
 * knocks, even if it has its handshake before it: `acceptSync` goes through that.
 */
export function selectSync<R extends FdLike, W extends FdLike, X extends FdLike>(
  readers: readonly R[],
  writers: readonly W[],
  exceptional: readonly X[],
  timeout?: number | null | SyncOptions,
): [R[], W[], X[]] {
  const lists = checkLists(readers, writers, exceptional, true)
  return take(lists, checkPositionalSync(timeout, Infinity)) ?? [[], [], []]
}
