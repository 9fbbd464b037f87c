import { callUncaught } from './uncaught.ts'

/** Who waits for each signal: one listener for all, as Node warns of more than ten. */
const waiting = new WeakMap<object, Set<() => void>>()

function dispatch(this: unknown): void {
  const callbacks = waiting.get(this as object) ?? []
  for (const callback of callbacks) callUncaught(callback)
}

/** Calls back when the signal is aborted; returns how to take that back. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = waiting.get(signal)
  if (callbacks === undefined) {
    callbacks = new Set()
    waiting.set(signal, callbacks)
  }
  if (callbacks.size === 0) signal.addEventListener('abort', dispatch)
  callbacks.add(callback)
  const own = callbacks
  return () => {
    if (own.delete(callback) && own.size === 0) signal.removeEventListener('abort', dispatch)
  }
}
