// Packs the package and checks what users would get: the files, the manifest, how TypeScript resolves it, that it loads.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'binding.cjs', 'index.d.ts', 'index.js', 'package.json']

const directory = mkdtempSync(join(tmpdir(), 'fdwire-package-'))
try {
  const options = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory]
  const [{ filename, files }] = JSON.parse(execFileSync('npm', options, { encoding: 'utf8' }))
  assert.deepEqual(files.map(({ path }) => path).sort(), expected)
  const tarball = join(directory, filename)
  execFileSync('publint', ['run', tarball, '--strict'], { stdio: 'inherit' })
  execFileSync('attw', [tarball, '--profile', 'esm-only'], { stdio: 'inherit' })

  const installed = join(directory, 'node_modules', 'fdwire')
  execFileSync('npm', ['install', '--offline', '--ignore-scripts', '--prefix', directory, tarball], {
    stdio: 'inherit',
  })
  for (const binary of readdirSync('.').filter((name) => name.endsWith('.node'))) {
    copyFileSync(binary, join(installed, binary))
  }
  const program = `import { createRequire } from 'node:module'
    import * as fdwire from 'fdwire'
    if (createRequire(import.meta.url)('fdwire') !== fdwire) throw new Error('require() gives another module')`
  execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: directory, stdio: 'inherit' })
} finally {
  rmSync(directory, { recursive: true })
}
