// Writes docs/api.md: the page scripts/api.md, in which each comment names exports that index.d.ts describes there; with
// --check, compares instead.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format } from 'oxfmt'
import { describe } from './api/describe.mjs'
import { readDeclarations } from './api/declarations.mjs'

const PAGE = 'docs/api.md'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const api = readDeclarations(readFileSync('index.d.ts', 'utf8'))
const left = new Set(api.exported)
const page = readFileSync('scripts/api.md', 'utf8').replaceAll(/<!--\s(.*?)\s-->/gs, (_, names) =>
  names
    .split(/[\s,]+/)
    .map((name) => {
      if (!left.delete(name)) throw new Error(`scripts/api.md: ${name} is no export, or there already`)
      return describe(api, name)
    })
    .join('\n\n'),
)
if (left.size > 0) throw new Error(`scripts/api.md has no place for ${[...left].join(', ')}`)
const { code } = await format(PAGE, page, JSON.parse(readFileSync('.oxfmtrc.json', 'utf8')))

if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, code)
} else if (code !== readFileSync(PAGE, 'utf8')) {
  console.error(`${PAGE} differs from what index.d.ts says; run \`npm run build:docs\` and commit it`)
  process.exitCode = 1
}
