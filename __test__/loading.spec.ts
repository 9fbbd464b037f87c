import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { temporaryDirectory } from './support/resources.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const hasCompiler = spawnSync('cc', ['--version']).status === 0
if (!hasCompiler) console.error('!!! NOT TESTED: binaries that do not load, as there is no C compiler (cc)')

/** What the built package fails with where `library` is its only binary. */
function failure(t: ExecutionContext, library?: string): { code: string; message: string; cause: string } {
  const directory = temporaryDirectory(t)
  for (const name of ['index.js', 'binding.cjs', 'package.json']) copyFileSync(join(root, name), join(directory, name))
  mkdirSync(join(directory, 'node_modules'))
  const program = `import('./index.js').then(() => console.log('{}'), ({ code, message, cause }) =>
    console.log(JSON.stringify({ code, message, cause: String(cause) })))`
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...environment } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    cwd: directory,
    env: { ...environment, ...(library !== undefined && { NAPI_RS_NATIVE_LIBRARY_PATH: library }) },
    encoding: 'utf8',
  })
  t.is(stderr, '')
  return JSON.parse(stdout)
}

/** A library that is not ours. */
function compiled(t: ExecutionContext, source: string, ...options: string[]): string {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'broken.c')
  const library = join(directory, 'broken.node')
  writeFileSync(file, source)
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-o', library, file, ...options], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return library
}

test('no binary: the platform and libc, and how to install one', (t) => {
  const { code, message } = failure(t)
  t.is(code, 'ERR_BINDING_NOT_FOUND')
  t.regex(message, new RegExp(`^fdwire finds no binary for ${process.platform}-${process.arch}`))
  t.regex(message, /npm install --include=optional/)
  if (process.platform === 'linux') t.regex(message, / \((glibc [\d.]+|musl)\)/)
})

test('a file that is no library is broken', (t) => {
  const library = join(temporaryDirectory(t), 'text.node')
  writeFileSync(library, 'this is no library')
  const { code, message, cause } = failure(t, library)
  t.is(code, 'ERR_BINDING_NOT_FOUND')
  t.regex(message, /binary for .* is broken, or for another platform. Reinstall here: .*text\.node/)
  t.regex(cause, /Cannot find native binding/)
})

test('a broken file is one wherever it lies', (t) => {
  const directory = join(temporaryDirectory(t), 'wasif')
  mkdirSync(directory)
  const library = join(directory, 'text.node')
  writeFileSync(library, 'this is no library')
  t.regex(failure(t, library).message, /is broken, or for another platform/)
})

test('the permission model asks for --allow-addons', (t) => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      '--experimental-permission',
      '--allow-fs-read=*',
      '--no-warnings',
      '-e',
      "import('./index.js').catch(({ code, message }) => console.log(code, message))",
    ],
    { cwd: root, encoding: 'utf8' },
  )
  t.is(status, 0)
  t.regex(stdout, /^ERR_BINDING_NOT_FOUND fdwire needs node's --allow-addons beside --permission/)
})

if (hasCompiler && process.platform === 'linux') {
  test('a symbol that Node has not: Node is too old', (t) => {
    const library = compiled(t, 'void napi_of_the_future(void); void* use = (void*)napi_of_the_future;', '-Wl,-z,now')
    const { code, message } = failure(t, library)
    t.is(code, 'ERR_BINDING_NOT_FOUND')
    t.regex(message, /^fdwire's binary needs what Node \S+ has not; .*napi_of_the_future/)
  })

  test('a symbol that the system has not: Node is not too old', (t) => {
    const library = compiled(t, 'void __libc_other(void); void* use = (void*)__libc_other;', '-Wl,-z,now')
    t.regex(failure(t, library).message, /^fdwire's binary is for another C library .*__libc_other/)
  })

  test('another libc: node_modules may come from elsewhere', (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, 'empty.c'), 'int musl;')
    const libc = join(directory, 'libc.musl-other.so.1')
    const made = spawnSync('cc', [
      '-shared',
      '-fPIC',
      '-Wl,-soname,libc.musl-other.so.1',
      '-o',
      libc,
      join(directory, 'empty.c'),
    ])
    t.is(made.status, 0)
    const { code, message } = failure(t, compiled(t, 'extern int musl; int* use = &musl;', libc))
    t.is(code, 'ERR_BINDING_NOT_FOUND')
    t.regex(message, /^fdwire's binary is for another C library than that of this .*Reinstall here: libc\.musl-other/)
  })
}
