import { mkdtempSync, rmSync, symlinkSync, writeFileSync, mkdirSync, copyFileSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = ['same.ts', 'codecs.ts', 'selectors.ts']

/** A project that has the package, as npm installs it, and the sources of `types`, which import it by its name. */
function project(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-types-'))
  const installed = join(directory, 'node_modules', 'fdwire')
  mkdirSync(installed, { recursive: true })
  for (const file of ['package.json', 'index.d.ts']) copyFileSync(join(root, file), join(installed, file))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  for (const name of ['@types', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name))
  }
  for (const name of sources) {
    const text = readFileSync(join(root, '__test__', 'types', name), 'utf8')
    writeFileSync(join(directory, name), text.replaceAll("'../../index.ts'", "'fdwire'"))
  }
  return directory
}

for (const [module, resolution] of [
  [ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
  [ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
] as const) {
  test(`a strict project is checked against index.d.ts (${ts.ModuleResolutionKind[resolution]})`, (t) => {
    const directory = project()
    t.teardown(() => rmSync(directory, { recursive: true }))
    const program = ts.createProgram(
      sources.map((name) => join(directory, name)),
      {
        module,
        moduleResolution: resolution,
        target: ts.ScriptTarget.ES2023,
        lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
        types: ['node'],
        typeRoots: [join(directory, 'node_modules', '@types')],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        allowImportingTsExtensions: true,
        noEmit: true,
      },
    )
    t.true(program.getSourceFiles().some(({ fileName }) => fileName.endsWith('/fdwire/index.d.ts')))
    t.deepEqual(
      ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
        const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1
        return `${file?.fileName}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
      }),
      [],
    )
  })
}
