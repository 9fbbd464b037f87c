// Fails where the modules of a Rust crate import in a circle, or a source file of ours is over 400 lines of code.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const LONGEST = 400

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const filesIn = (directory, extension) =>
  readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(directory, name))

/** `connection/receive.rs` is the module `connection::receive`, `connection/mod.rs` and `connection.rs` are `connection`. */
function moduleName(source, file) {
  const path = relative(source, file)
    .replace(/(^|\/)(mod|lib)\.rs$/, '')
    .replace(/\.rs$/, '')
  return path.replaceAll('/', '::')
}

/** The paths of a `use` tree, `a::{b, c::d}` being `a::b` and `a::c::d`. */
function expand(tree) {
  const open = tree.indexOf('{')
  if (open === -1) return [tree.split(/\s+as\s+/)[0]]
  const prefix = tree.slice(0, open)
  const parts = ['']
  let depth = 0
  for (const char of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    if (char === '{') depth++
    if (char === '}') depth--
    if (char === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts
    .filter(Boolean)
    .flatMap(expand)
    .map((path) => prefix + path)
}

/** Comments and tests beside the code import what they like. */
const codeOf = (file) =>
  readFileSync(file, 'utf8')
    .replace(/#\[cfg\((?:all\()?test[^\n]*\n(?:#\[[^\n]*\n)*\s*mod \w+ \{[\s\S]*?\n\}\n/g, '')
    .replace(/\/\/.*$/gm, '')

function graphOf(source) {
  const files = filesIn(source, '.rs').filter((file) => !/(^|\/)tests?\.rs$/.test(file))
  const modules = new Map(files.map((file) => [moduleName(source, file), codeOf(file)]))
  const usesOf = (code) => {
    const paths = [...code.matchAll(/\buse\s+([^;]+);/g)].flatMap(([, tree]) => expand(tree.replace(/\s+/g, '')))
    const inline = [...code.matchAll(/\b((?:crate|super|self)(?:::\w+)+)/g)].map(([, path]) => path)
    return [...paths, ...inline]
  }
  const exported = new Map()
  for (const path of usesOf(modules.get('') ?? '')) {
    const steps = path.replace(/^(crate|self)::/, '').split('::')
    exported.set(steps.at(-1), steps.slice(0, -1).join('::'))
  }
  /** The longest part of a path that is a module, by way of what lib.rs exports. */
  const resolve = (path, from) => {
    let steps = path.split('::')
    const base = from === '' ? [] : from.split('::')
    const isRelative = steps[0] === 'super' || steps[0] === 'self'
    if (steps[0] === 'crate') steps = steps.slice(1)
    else if (isRelative) {
      while (steps[0] === 'super' || steps[0] === 'self') if (steps.shift() === 'super') base.pop()
      steps = [...base, ...steps]
    } else if (modules.has([...base, steps[0]].join('::'))) steps = [...base, ...steps]
    else if (!modules.has(steps[0])) return undefined
    for (let length = steps.length; length > 0; length--) {
      const name = steps.slice(0, length).join('::')
      if (modules.has(name)) return name
    }
    return exported.get(steps[0]) || undefined
  }
  return new Map(
    [...modules]
      .filter(([name]) => name !== '')
      .map(([name, code]) => [
        name,
        new Set(
          usesOf(code)
            .map((path) => resolve(path, name))
            // What a folder's module re-exports from its own files is no import.
            .filter((target) => target !== undefined && target !== name),
        ),
      ]),
  )
}

/** The first circle found, as a list of modules. */
function circleIn(graph) {
  const done = new Set()
  const visit = (name, trail) => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return undefined
    for (const target of graph.get(name) ?? []) {
      const circle = visit(target, [...trail, name])
      if (circle) return circle
    }
    done.add(name)
    return undefined
  }
  for (const name of graph.keys()) {
    const circle = visit(name, [])
    if (circle) return circle
  }
  return undefined
}

const problems = []
for (const manifest of filesIn('crates', 'Cargo.toml').filter((file) => dirname(dirname(file)) === 'crates')) {
  const crate = basename(dirname(manifest))
  const circle = circleIn(graphOf(join('crates', crate, 'src')))
  if (circle) problems.push(`crates/${crate}: ${circle.join(' -> ')}`)
}
const ours = [...filesIn('lib', '.ts'), ...filesIn('crates', '.rs').filter((file) => /^crates\/\w+\/src\//.test(file))]
for (const file of ours) {
  // Documentation is welcome.
  const lines =
    readFileSync(file, 'utf8')
      .replace(/^\s*(\/\/|\/\*\*|\*).*\n/gm, '')
      .split('\n').length - 1
  if (lines > LONGEST) problems.push(`${file}: ${lines} lines of code, at most ${LONGEST} are wanted`)
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
