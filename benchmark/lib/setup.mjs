// What has to be there before the first round: the npm peers, the C program, a CPU to pin to.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'))
const dependencies = Object.keys(readJson(`${root}package.json`).dependencies)

/** `npm ci`, then each addon by itself: one that does not compile must not take the others with it. */
export function installPeers() {
  const installed = `${root}node_modules/.package-lock.json`
  const locked = `${root}package-lock.json`
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(locked).mtimeMs) return
  const npm = (...args) => {
    const { status, error, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8' })
    if (status !== 0) process.stderr.write(`npm ${args.join(' ')} failed\n${error?.message ?? stderr}\n`)
  }
  process.stderr.write('installing the peers from npm\n')
  npm('ci', '--ignore-scripts')
  for (const name of dependencies) npm('rebuild', name)
}

/** Compiles a C program once; returns its path. */
export function compile(source) {
  const cache = `${root}node_modules/.cache`
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)
  const program = `${cache}/loop-${hash}`
  if (!existsSync(program)) {
    mkdirSync(cache, { recursive: true })
    execFileSync('cc', ['-O2', '-o', program, source], { stdio: ['ignore', 'ignore', 'pipe'] })
  }
  return program
}

/** The last CPU this process may use, or the reason why it cannot pin to one. */
export function pinning() {
  const { error } = spawnSync('taskset', ['--version'])
  if (error) return { reason: 'taskset is not installed' }
  const allowed = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(.*)$/m)[1]
  return { cpu: Number(allowed.split(/[,-]/).at(-1)) }
}

export function environment() {
  const version = (name) => {
    const file = `${root}node_modules/${name}/package.json`
    return existsSync(file) ? readJson(file).version : 'not installed'
  }
  const { stdout } = spawnSync('python3', ['-c', 'import platform; print(platform.python_version())'], {
    encoding: 'utf8',
  })
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${os.cpus().length} x ${os.cpus()[0].model.trim()}, ${os.type()} ${os.release()} ${os.arch()}`,
    node: process.versions.node,
    python: stdout?.trim() || 'not installed',
    fdwire: readJson(`${root}../package.json`).version,
    ...Object.fromEntries(dependencies.map((name) => [name, version(name)])),
  }
}
