// Checks that index.d.ts stands alone and that index.js exports exactly the values it declares.
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const declarations = fileURLToPath(new URL('../index.d.ts', import.meta.url))
const program = ts.createProgram([declarations], {
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  strict: true,
})
const errors = ts.getPreEmitDiagnostics(program)
assert.equal(errors.length, 0, ts.formatDiagnostics(errors, ts.createCompilerHost({})))
const files = program.getSourceFiles().map(({ fileName }) => fileName)
assert.deepEqual(
  files.filter((name) => !name.includes('/node_modules/')),
  [declarations],
)

const checker = program.getTypeChecker()
const declared = checker
  .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(declarations)))
  .filter((symbol) => !symbol.declarations.some(ts.isTypeOnlyExportDeclaration))
  .map((symbol) => symbol.name)

assert.deepEqual(Object.keys(await import('../index.js')).sort(), declared.sort())
