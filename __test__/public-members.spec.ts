import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'
import * as fdwire from '../index.ts'

type Class = (new (...args: unknown[]) => unknown) & { readonly prototype: object }

const { Connection, Listener, OwnedFd, SharedMemory, ...others } = fdwire
const made = { Connection, Listener, OwnedFd, SharedMemory } as unknown as Record<string, Class>

const values: readonly [string, unknown][] = Object.entries({ ...made, ...others })
const classes = values.filter((entry): entry is [string, Class] => /^class\b/.test(String(entry[1])))

/** The members that index.d.ts declares of each class, those of its objects and its own. */
function declared(): Map<string, Set<string>> {
  const index = fileURLToPath(new URL('../index.d.ts', import.meta.url))
  const program = ts.createProgram([index], { noEmit: true })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(index) as ts.SourceFile
  return new Map(
    checker.getExportsOfModule(checker.getSymbolAtLocation(source) as ts.Symbol).map((exported) => {
      const symbol = (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported)
      const types = [checker.getDeclaredTypeOfSymbol(symbol), checker.getTypeOfSymbolAtLocation(symbol, source)]
      return [exported.name, new Set(types.flatMap((type) => type.getProperties().map(({ name }) => name)))]
    }),
  )
}

/** The names of what an object has, and what it inherits from classes of ours. */
function namesOf(object: object): string[] {
  const parent: object | null = Object.getPrototypeOf(object)
  const inherits = parent !== null && ![Object.prototype, Error.prototype, TypeError.prototype].includes(parent)
  return [...Object.getOwnPropertyNames(object), ...(inherits ? namesOf(parent) : [])]
}

test('classes have no members at run time but those that are declared', (t) => {
  const members = declared()
  t.true(classes.length > 10)
  const hidden = classes.flatMap(([name, { prototype, ...statics }]) =>
    [...namesOf(prototype), ...Object.keys(statics)]
      .filter((member) => member !== 'constructor' && members.get(name)?.has(member) !== true)
      .map((member) => `${name}.${member}`),
  )
  t.deepEqual(hidden, [])
})

for (const [name, Made] of Object.entries(made)) {
  test(`${name} has no public constructor`, (t) => {
    for (const args of [[], [0], [{}, 0], [0, 'name']]) {
      t.throws(() => new Made(...args), { code: 'ERR_ILLEGAL_CONSTRUCTOR', instanceOf: TypeError })
    }
  })
}
