import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fixture, Program, type ProgramOptions } from './program.ts'
import type { Scope } from './resources.ts'

export interface Python {
  /** Major and minor, such as `3.12`. */
  readonly version: string
  readonly path: string
}

const wanted = ['2.7', '3.6', '3.7', '3.8', '3.9', '3.10', '3.11', '3.12', '3.13']

/** Every interpreter to test with, oldest first. */
export const pythons: readonly Python[] = find()

function find(): Python[] {
  const versions = join(pyenvRoot(), 'versions')
  const paths = [...entries(versions).map((entry) => join(versions, entry, 'bin', 'python')), 'python3']
  const found = new Map<string, Python>()
  for (const path of paths) {
    const version = versionOf(path)
    if (version !== undefined && !found.has(version)) found.set(version, { version, path })
  }
  const missing = wanted.filter((version) => !found.has(version))
  if (missing.length > 0) {
    process.stderr.write(
      `\n*** NOT TESTED: Python ${missing.join(', ')}: neither under ${versions} nor on PATH as python3 ***\n\n`,
    )
  }
  return [...found.values()].toSorted((a, b) => minor(a) - minor(b))
}

function pyenvRoot(): string {
  try {
    return execFileSync('pyenv', ['root'], { encoding: 'utf8' }).trim()
  } catch {
    return process.env['PYENV_ROOT'] ?? join(homedir(), '.pyenv')
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function versionOf(path: string): string | undefined {
  const script = 'import sys; print("%d.%d" % sys.version_info[:2])'
  try {
    return execFileSync(path, ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}

function minor({ version }: Python): number {
  const [major = 0, rest = 0] = version.split('.').map(Number)
  return major * 1000 + rest
}

/** The newest interpreter here, for peers of which any will do. */
export function anyPython(): Python {
  const newest = pythons.at(-1)
  if (newest === undefined || newest.version.startsWith('2')) throw new Error('This test needs a Python 3 on PATH')
  return newest
}

/** Runs `__test__/fixtures/<script>` under that Python. */
export function runPython(
  scope: Scope,
  { path }: Python,
  script: string,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Program {
  return new Program(scope, path, ['-uB', fixture(script), ...args], options)
}
