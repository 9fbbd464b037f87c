import { pattern } from '../support/bytes.ts'

/** What was sent and not received yet: a frame, or descriptors by what they refer to. */
export type Unit =
  | { readonly frame: { readonly size: number; readonly seed: number } }
  | { readonly record: readonly string[] }

/** How the sending end is. */
type Writer = 'open' | 'ended' | 'cut'

/** A receive that waits for a frame. */
export interface Waiting {
  readonly id: number
}

/** A message as it should come. */
export interface Whole {
  readonly bytes: Buffer
  readonly inodes: readonly string[]
}

/** One direction of a connection, as a queue. */
export class Wire {
  readonly units: Unit[] = []
  /** `'cut'`: its last messages may have been lost. */
  writer: Writer = 'open'
  /** Whether what was sent was lost by a reset. */
  reset = false

  /** Bytes that nobody has received. */
  get size(): number {
    return this.units.reduce((sum, unit) => sum + ('frame' in unit ? unit.frame.size + 4 : 1), 0)
  }

  get hasFrame(): boolean {
    return this.units.some((unit) => 'frame' in unit)
  }

  /** The record that is next, if one is. */
  get record(): readonly string[] | undefined {
    const [first] = this.units
    return first !== undefined && 'record' in first ? first.record : undefined
  }

  put(...units: readonly Unit[]): void {
    this.units.push(...units)
  }

  takeRecord(): readonly string[] {
    const unit = this.units.shift()
    if (unit === undefined || !('record' in unit)) throw new Error('The model has no record')
    return unit.record
  }

  /** The next frame, with the descriptors of all records before it. */
  takeFrame(): Whole {
    const inodes: string[] = []
    for (;;) {
      const unit = this.units.shift()
      if (unit === undefined) throw new Error('The model has no frame')
      if ('frame' in unit) return { bytes: pattern(unit.frame.size, unit.frame.seed), inodes }
      inodes.push(...unit.record)
    }
  }
}
