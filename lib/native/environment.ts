import { native } from './binding.ts'

/** Something the native side reports events of. */
export interface Source {
  ready(flags: number): void
}

const EVENTS_PER_CALL = 256

/** What a native call reports besides its result; see the REPORT_ indices. */
export const report: Float64Array = new Float64Array(native.REPORT_WORDS)
/** Descriptor numbers on their way in or out of a native call. */
export const descriptorWords: Int32Array = new Int32Array(native.MAX_UNCLAIMED)
const events = new Uint32Array(2 * EVENTS_PER_CALL)

/** Sources with something pending, by their number. Idle ones are left out, so that they can be collected. */
export const sources: (Source | undefined)[] = []

function dispatch(count: number): void {
  for (let index = 0; index < count; index++) {
    try {
      sources[events[2 * index] as number]?.ready(events[2 * index + 1] as number)
    } catch (error) {
      // Uncaught, but behind the turn: the others have theirs to hear.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

// libuv's uv_poll aborts or misfires in Bun and Deno.
const foreign = 'bun' in process.versions || 'deno' in process.versions
const driver = foreign ? 'foreign' : process.env['FDWIRE_DRIVER'] === 'thread' ? 'thread' : 'uv'

/** This copy of the library, to the native side. */
export const realm: number = native.start(driver, dispatch, report, descriptorWords, events)
