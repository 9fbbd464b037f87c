/**
 * What may have read more from its descriptor than it was asked for: the descriptor's own readiness does not show that.
 */
export interface ReadsAhead {
  /** Whether something was read ahead. */
  readonly hasReadAhead: boolean
  /** Calls `observer` when {@link hasReadAhead} may have changed; returns how to end that. */
  observeReadAhead(observer: () => void): () => void
}

function readsAhead(object: unknown): object is ReadsAhead {
  return typeof object === 'object' && object !== null && 'observeReadAhead' in object
}

/** Whether something was read ahead from a Connection, FdStream or the like. */
export function hasReadAhead(object: unknown): boolean {
  return readsAhead(object) && object.hasReadAhead
}

/** Observes an object that may read ahead; undefined for others. */
export function observeReadAhead(object: unknown, observer: () => void): (() => void) | undefined {
  return readsAhead(object) ? object.observeReadAhead(observer) : undefined
}
