import { constants } from './constants.ts'
import { realm } from '../native/environment.ts'
import { invalidArgumentType } from '../base/errors.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { checkCode, native } from '../native/binding.ts'
import { readinessOf } from '../base/read-ahead.ts'
import type { WaitOptions } from '../base/limits.ts'
import { Waiting, atOnce, checkWait, nextTurn } from './waiting.ts'

const { POLLIN, POLLOUT, POLLPRI } = constants

interface Lists<R, W, X> {
  readonly read: readonly R[]
  readonly write: readonly W[]
  readonly except: readonly X[]
  readonly fds: Int32Array
}

function checkLists<R extends FdLike, W extends FdLike, X extends FdLike>(
  readers: readonly R[],
  writers: readonly W[],
  exceptional: readonly X[],
): Lists<R, W, X> {
  const named = Object.entries({ readers, writers, exceptional })
  for (const [name, list] of named) {
    if (!Array.isArray(list)) throw invalidArgumentType(name, 'an array of descriptors', list)
  }
  // Getters of the objects may change the lists.
  const [read, write, except] = [[...readers], [...writers], [...exceptional]]
  const numbers = (list: FdLike[], name: string): number[] =>
    list.map((object, index) => fdNumber(object, `${name}[${index}]`))
  const fds = [...numbers(read, 'readers'), ...numbers(write, 'writers'), ...numbers(except, 'exceptional')]
  return { read, write, except, fds: new Int32Array(fds) }
}

/** What is ready now, or within `timeout`: undefined where that is nothing. */
function take<R, W, X>({ read, write, except, fds }: Lists<R, W, X>, timeout: number): [R[], W[], X[]] | undefined {
  const ahead = read.map((object) => readinessOf(object)?.readAhead === true)
  const some = ahead.includes(true)
  const ready = new Int32Array(fds.length)
  const count = checkCode(native.selectWait(fds, read.length, write.length, some ? 0 : timeout, ready))
  if (count === 0 && !some) return undefined
  const start = read.length + write.length
  return [
    read.filter((_, index) => ahead[index] === true || ready[index] === 1),
    write.filter((_, index) => ready[read.length + index] === 1),
    except.filter((_, index) => ready[start + index] === 1),
  ]
}

function notifierSet({ read, write, fds }: Lists<unknown, unknown, unknown>): Int32Array {
  const masks = new Map<number, number>()
  fds.forEach((fd, index) => {
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
  const lists = checkLists(readers, writers, exceptional)
  const limits = checkWait(timeout)
  const result = atOnce(() => take(lists, 0))
  if (result !== undefined) return result
  if (limits.timeout === 0) {
    await nextTurn()
    return take(lists, 0) ?? [[], [], []]
  }
  const notifier = checkCode(native.notifierOpen(realm, notifierSet(lists)))
  const waiting = new Waiting<[R[], W[], X[]]>(notifier, 'select')
  const stops = lists.read.map((object) => readinessOf(object)?.observeReadAhead(() => waiting.check()))
  try {
    const attempt = (): [R[], W[], X[]] | undefined => {
      checkCode(native.notifierClear(notifier))
      return take(lists, 0)
    }
    return await waiting.start(limits, attempt, () => [[], [], []])
  } finally {
    for (const stop of stops) stop?.()
    native.watchClose(notifier)
  }
}

/** As {@link select}, blocking this thread. A signal is looked at only once, before. */
export function selectSync<R extends FdLike, W extends FdLike, X extends FdLike>(
  readers: readonly R[],
  writers: readonly W[],
  exceptional: readonly X[],
  timeout?: number | null | WaitOptions,
): [R[], W[], X[]] {
  const lists = checkLists(readers, writers, exceptional)
  return take(lists, checkWait(timeout).timeout) ?? [[], [], []]
}
