/** Under this key an object says when it can be read, where its descriptor alone does not show that. */
export const readiness: unique symbol = Symbol('readiness')

/** What `wait`, `select` and `Selector` ask of an object besides the readiness of its descriptor. */
export interface Readiness {
  /**
   * Whether the object can be read when its descriptor can. A Listener with handshakes cannot: a client that knocks is
   * not yet one that {@link watch} has brought through. Calls that block are told of its descriptor all the same, since
   * nobody else goes on with the handshakes meanwhile.
   */
  readonly byDescriptor: boolean
  /** Whether there is something that the descriptor does not show: read ahead, or through its handshake. */
  readonly readAhead: boolean
  /** Calls `observer` each time {@link readAhead} may have changed, also by closing; returns how to end that. */
  observeReadAhead(observer: () => void): () => void
  /**
   * Somebody waits: calls back once, at the next chance to read or when the object is closed. Until then the object does
   * what it takes to become readable, and keeps the process alive.
   */
  watch(callback: () => void): void
  /** Takes that back. */
  unwatch(callback: () => void): void
}

interface Ready {
  readonly [readiness]: Readiness
}

/** The readiness of a Connection, Listener, FdStream or the like; undefined for others, which are what their descriptor is. */
export function readinessOf(object: unknown): Readiness | undefined {
  return typeof object === 'object' && object !== null && readiness in object ? (object as Ready)[readiness] : undefined
}
