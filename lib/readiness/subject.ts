import { closedError, invalidState } from '../base/errors.ts'
import { readinessOf } from '../base/read-ahead.ts'
import { fdNumber } from '../descriptors/fd-like.ts'
import type { FdLike } from '../descriptors/fd-like.ts'

/**
 * The number of an open descriptor to wait on.
 *
 * @throws as {@link fdNumber}; `ERR_INVALID_STATE` for a connection over a stream, which has none.
 */
export function waitableNumber(object: FdLike, name: string): number {
  if (readinessOf(object) !== undefined) {
    const { fd, closed } = object as { fd: number; closed: boolean }
    if (fd === -1 && !closed) throw invalidState(`${name} has no descriptor: wait for it with wait()`)
  }
  return fdNumber(object, name)
}

/** Whether an object says that it is closed; a number does not say. */
export function isClosed(object: FdLike): boolean {
  if (typeof object !== 'object') return false
  const { fd, destroyed } = object as { fd?: unknown; destroyed?: unknown }
  return fd === -1 || destroyed === true
}

/** @throws `ERR_CLOSED` where an object says that it was closed meanwhile. */
export function checkOpen(objects: readonly unknown[], name: string): void {
  // Looked at before each attempt: no more than that.
  const closed = objects.findIndex(
    (object) => readinessOf(object) !== undefined && (object as { closed: boolean }).closed,
  )
  if (closed !== -1) throw closedError(`${name}[${closed}]`)
}

/** Whether there is something that the object's descriptor does not show. */
export function hasReadAhead(object: unknown): boolean {
  return readinessOf(object)?.readAhead === true
}

/** Whether the object, not its descriptor, says when it can be read. */
export function isByObject(object: unknown): boolean {
  return readinessOf(object)?.byDescriptor === false
}

/**
 * Somebody waits for an object that is read by itself, not by its descriptor: it does what it takes to become readable,
 * and `changed` is called each time it may be. Returns how to end that; nothing is to be done for others.
 */
export function attend(object: FdLike, changed: () => void): (() => void) | undefined {
  const readiness = readinessOf(object)
  if (readiness === undefined || readiness.byDescriptor) return undefined
  let ended = false
  let watching = false
  const resume = (): void => {
    if (ended || watching || readiness.readAhead || isClosed(object)) return
    watching = true
    readiness.watch(check)
  }
  const check = (): void => {
    watching = false
    if (ended) return
    changed()
    resume()
  }
  // What is there may be taken by somebody else.
  const unobserve = readiness.observeReadAhead(resume)
  const stop = (): void => {
    ended = true
    unobserve()
    readiness.unwatch(check)
  }
  try {
    resume()
  } catch (error) {
    stop()
    throw error
  }
  return stop
}
