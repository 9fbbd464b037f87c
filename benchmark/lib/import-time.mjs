// What a module costs on top of node:net, in a process that has done nothing else.
import 'node:net'
import { now } from './measure.mjs'
import { run } from './program.mjs'

const importTime = async ({ specifier }) => {
  const started = now()
  await import(specifier)
  return { milliseconds: now() - started }
}

await run({ client: { import: importTime } })
