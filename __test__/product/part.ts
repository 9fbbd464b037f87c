import test, { type ExecutionContext } from 'ava'
import { Program } from '../support/program.ts'
import { impossibleCells, type Part, possible } from './rows.ts'

// Whatever is pending, and however it ends: every promise settles in the documented way, no descriptor stays open, the
// peer sees whole messages, the process is not kept alive, and nothing happens afterwards. The cells of each part of the
// table run one after the other in a process of their own, in which descriptors can be counted.

type Line = { readonly begins: number } | { readonly cell: number; readonly failures: readonly string[] }
type Failures = readonly string[]

/** A process that says nothing for so long hangs. */
const PATIENCE = 30_000

/** Runs cells from the first on as far as the process gets; which is next. */
async function runFrom(t: ExecutionContext, part: Part, first: number, results: Map<number, Failures>) {
  const args = ['--expose-gc', '--import', '@oxc-node/core/register', '__test__/product/program.ts']
  const program = new Program(t, process.execPath, [...args, part, String(first)])
  const watchdog = setTimeout(() => program.process.kill('SIGKILL'), PATIENCE)
  let next = first
  let under = false
  try {
    for (;;) {
      const line: Line = JSON.parse(await program.line())
      watchdog.refresh()
      under = 'begins' in line
      if ('begins' in line) continue
      results.set(line.cell, line.failures)
      next = line.cell + 1
    }
  } catch (error) {
    const { code, signal } = await program.outcome()
    const ended = `the process ended: code ${code}, signal ${signal}; ${(error as Error).message}`
    if (under || (next === first && next < possible(part).length)) results.set(next++, [ended])
    else if (next === possible(part).length && code !== 0) results.set(next - 1, [ended])
  } finally {
    clearTimeout(watchdog)
  }
  return next
}

/** The tests of a part of the table: one for each of its cells. */
export function testPart(part: Part): void {
  const cells = possible(part)
  const results = new Map<number, Failures>()

  test.serial(`${part}: ${cells.length} cells run`, async (t) => {
    for (let next = 0; next < cells.length; t.timeout(120_000)) next = await runFrom(t, part, next, results)
    t.is(results.size, cells.length)
  })

  for (const [index, { title }] of cells.entries()) {
    test.serial(title, (t) => t.deepEqual(results.get(index), []))
  }

  const others = impossibleCells(part)
  test.serial(`${part}: the other ${others.length} cells say why there is no such thing`, (t) => {
    t.deepEqual(
      others.filter(({ reason }) => reason.length < 10),
      [],
    )
    t.is(new Set([...cells, ...others].map(({ title }) => title)).size, cells.length + others.length)
  })
}
