import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Runtime {
  readonly name: string
  /** Undefined where it is not here. */
  readonly command: string | undefined
  /** What stands before the program. */
  readonly args: readonly string[]
}

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** What the packages for this platform bring; the launchers beside them depend on install scripts. */
function packaged(scope: string, path: string): string[] {
  const folder = join(modules, scope)
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, path)) : []
}

function runs(command: string | undefined): boolean {
  return command !== undefined && spawnSync(command, ['--version']).status === 0
}

/** Runtimes other than Node: those that an environment variable names, else those of node_modules. */
export const runtimes: readonly Runtime[] = [
  {
    name: 'Bun',
    command: [process.env['FDWIRE_BUN'], ...packaged('@oven', 'bin/bun'), 'bun'].find(runs),
    args: [],
  },
  {
    name: 'Deno',
    command: [process.env['FDWIRE_DENO'], ...packaged('@deno', 'deno'), 'deno'].find(runs),
    args: ['run', '--allow-all', '--no-check', '--quiet'],
  },
]
