import { accepts } from './pendings/accepting.ts'
import { moves } from './pendings/moving.ts'
import { waits } from './pendings/readiness.ts'
import { receives } from './pendings/receiving.ts'
import { readsAhead, sends } from './pendings/sending.ts'
import type { Transport } from './peer.ts'
import { type Ending, endings, type Expected, type Pending } from './table.ts'

export type Part = 'receives' | 'sends' | 'moves' | 'accepts' | 'waits'

/** All that can be pending, in parts that each have a process of their own. */
export const parts: Readonly<Record<Part, readonly Pending[]>> = {
  receives,
  sends: [...sends, ...readsAhead],
  moves,
  accepts,
  waits,
}

export interface PossibleCell {
  readonly title: string
  readonly pending: Pending
  readonly ending: Ending
  readonly transport: Transport
  readonly expected: Expected
}

export interface ImpossibleCell {
  readonly title: string
  readonly reason: string
}

const transports: readonly Transport[] = ['unix', 'tcp']

function cellsOf(pending: Pending): (PossibleCell | ImpossibleCell)[] {
  return endings.flatMap((ending) => {
    const expectation = pending.expectations[ending]
    if ('impossible' in expectation) return [{ title: `${pending.title}: ${ending}`, reason: expectation.impossible }]
    return transports.map((transport) => {
      const title = `${pending.title}: ${ending}, over ${transport}`
      if (pending.transports.includes(transport)) return { title, pending, ending, transport, expected: expectation }
      return { title, reason: 'there is no such thing over TCP' }
    })
  })
}

function all(part: Part): (PossibleCell | ImpossibleCell)[] {
  return parts[part].flatMap(cellsOf)
}

export function possible(part: Part): PossibleCell[] {
  return all(part).filter((cell) => 'pending' in cell)
}

export function impossibleCells(part: Part): ImpossibleCell[] {
  return all(part).filter((cell) => 'reason' in cell)
}
