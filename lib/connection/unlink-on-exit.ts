import { isMainThread } from 'node:worker_threads'
import { invalidState } from '../base/errors.ts'

/** What ends with the process. */
interface Closable {
  close(): void
}

type Handler = ((signal: NodeJS.Signals) => void) & { readonly [ours]?: true }

/** The signals that end a service. An exit closes all there is by itself. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Marks the handlers of each copy of the library. */
const ours: unique symbol = Symbol.for('fdwire.unlinkOnExit')
const open = new Set<Closable>()

/**
 * Closes what is open, and has the signal do what it would have done. Where the program has a handler of its own, that
 * decides what the signal does.
 */
const onSignal: Handler = Object.assign(
  (signal: NodeJS.Signals): void => {
    const others = process.listeners(signal).filter((handler) => (handler as Handler)[ours] !== true)
    if (others.length > passiveCount()) return
    for (const closable of open) closable.close()
    if (process.listeners(signal).every((handler) => (handler as Handler)[ours] !== true)) {
      process.kill(process.pid, signal)
    }
  },
  { [ours]: true } as const,
)

/** How many handlers are of `signal-exit`, which ends the process once there is no other. */
function passiveCount(): number {
  const emitters = [
    Reflect.get(globalThis, Symbol.for('signal-exit emitter')),
    Reflect.get(process, '__signal_exit_emitter__'),
  ] as ({ count?: number } | undefined)[]
  return emitters.reduce((total, emitter) => total + (emitter?.count ?? 0), 0)
}

/** @throws `ERR_INVALID_STATE` in a worker, to which no signal comes. */
export function checkUnlinkOnExit(): void {
  if (!isMainThread) throw invalidState('unlinkOnExit works in the main thread only: a worker gets no signals')
}

/** Closes it when a signal ends the process. */
export function closeOnSignals(closable: Closable): void {
  // First, as one of the program's that is to be called once is gone when it is called.
  if (open.size === 0) for (const signal of SIGNALS) process.prependListener(signal, onSignal)
  open.add(closable)
}

/** It is closed. */
export function forgetSignals(closable: Closable): void {
  if (!open.delete(closable) || open.size > 0) return
  for (const signal of SIGNALS) process.off(signal, onSignal)
}
