import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

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

test('docs/api.md is what index.d.ts says', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/api.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  t.is(status, 0, stderr)
})
