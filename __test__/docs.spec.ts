import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const names = (directory: string, end: string): string[] =>
  readdirSync(join(root, directory))
    .filter((name) => name.endsWith(end))
    .map((name) => join(directory, name))

const pages = [...names('.', '.md'), ...names('docs', '.md'), ...names('examples', '.md')]
const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('lib', name))

/** The headings of a page, without their marks. */
function headings(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
}

/** What GitHub makes of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

test('every link leads somewhere', (t) => {
  const dead: string[] = []
  for (const page of pages) {
    for (const [, link = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (link.includes('://')) continue
      const [path = '', fragment] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      const found = existsSync(join(root, target))
      if (!found || (fragment !== undefined && !headings(target).some((text) => anchor(text) === fragment))) {
        dead.push(`${page}: ${link}`)
      }
    }
  }
  t.deepEqual(dead, [])
})

test('every error and warning code has its heading in docs/errors.md', (t) => {
  const codes = new Set(
    sources.flatMap((path) => read(path).match(/'(?:ERR_[A-Z_]+|ABORT_ERR|FDWIRE_(?!DRIVER)[A-Z_]+)'/g) ?? []),
  )
  t.true(codes.size > 15)
  const described = headings('docs/errors.md')
  t.deepEqual(
    [...codes].filter((code) => !described.includes(`\`${code.slice(1, -1)}\``)),
    [],
  )
})

test('every export and every member of a class has its heading in docs/api.md', (t) => {
  const index = join(root, 'index.ts')
  const program = ts.createProgram([index], {
    allowImportingTsExtensions: true,
    module: ts.ModuleKind.NodeNext,
    noEmit: true,
  })
  const checker = program.getTypeChecker()
  const described = headings('docs/api.md').map((heading) => heading.replace('Class: ', ''))
  const missing: string[] = []
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(index)!)!)
  for (const symbol of symbols) {
    const { name } = symbol
    if (!described.some((heading) => heading.startsWith(`\`${name}\``) || heading.startsWith(`\`${name}(`))) {
      missing.push(name)
    }
    const declaration = checker.getAliasedSymbol(symbol).declarations?.[0]
    if (declaration === undefined || !ts.isClassDeclaration(declaration)) continue
    for (const member of declaration.members) {
      if (member.name === undefined || ts.isPrivateIdentifier(member.name)) continue
      if (ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal')) continue
      const text = member.name.getText()
      const heading = new RegExp(
        `^\`\\w+${text.startsWith('[') ? '' : '\\.'}${text.replaceAll(/[[\].]/g, '\\$&')}[(\`]`,
      )
      if (!described.some((candidate) => heading.test(candidate))) missing.push(`${name}.${text}`)
    }
  }
  t.deepEqual(missing, [])
})
