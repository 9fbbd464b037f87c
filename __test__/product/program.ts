// program.ts <part> <first>, with --expose-gc: runs the cells of a part of the table from the first on, and writes a line
// of JSON as each begins and one as it ends. It ends by itself.
import { runCell } from './cell.ts'
import { whenStuck } from './idle.ts'
import { type Part, possible, type PossibleCell } from './rows.ts'

/** Only what is defective takes so long. */
const PATIENCE = 10_000

function say(line: object): void {
  console.log(JSON.stringify(line))
}

function giveUp(cell: number, failure: string): void {
  say({ cell, failures: [failure] })
  process.exit(3) // the next cell needs a process in which nothing is left over
}

async function run(index: number, { pending, ending, transport, expected }: PossibleCell): Promise<void> {
  say({ begins: index, title: cells[index]?.title })
  const watchdog = setTimeout(() => giveUp(index, 'something keeps the process alive'), PATIENCE).unref()
  whenStuck(() => giveUp(index, 'what is awaited never comes, and nothing keeps the process alive'))
  const failures = await runCell(pending, ending, transport, expected)
  whenStuck(undefined)
  clearTimeout(watchdog)
  say({ cell: index, failures })
}

const [part = '', first = '0'] = process.argv.slice(2)
const cells = possible(part as Part)
// What Node and the package open for the life of the process is opened before descriptors are counted.
for (const ending of ['peer ended', 'worker terminated']) {
  const cell = possible('receives').find((other) => other.ending === ending)
  if (cell !== undefined) await runCell(cell.pending, cell.ending, cell.transport, cell.expected)
}
for (const [index, cell] of cells.entries()) if (index >= Number(first)) await run(index, cell)
