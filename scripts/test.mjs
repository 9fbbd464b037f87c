// Builds, checks and tests everything; every step runs even when one fails. The last line is `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const totals = { passed: 0, failed: 0 }
const report = []
/** What failed, to be found at the end of a long log. */
const broken = []
const failures =
  /^(?:test result: .*;|) *(\d+) (?:failed|(?:hook|test)s? failed|tests? remained|uncaught exception|unhandled rejection)/gm

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
process.env.PATH = `node_modules/.bin:${process.env.PATH}`

await check('build', 'npm run build')
await check('format: oxfmt', 'oxfmt --check')
await check('format: rustfmt', 'cargo fmt --all --check')
await check('format: Cargo.toml', 'taplo fmt --check --diff')
await check('lint: oxlint', 'oxlint --deny-warnings')
await check('lint: circles and long files', 'node scripts/modules.mjs')
await check('lint: clippy', 'cargo clippy --workspace --all-targets -- --deny warnings')
for (const target of ['aarch64-apple-darwin', 'x86_64-apple-darwin', 'x86_64-unknown-freebsd']) {
  const command = `cargo clippy --workspace --all-targets --target ${target} -- --deny warnings`
  if (available(target)) await check(`lint: clippy ${target}`, command)
}
await check('types', 'tsc')
await check('types: index.d.ts is current', 'node scripts/types.mjs --check')
await check('types: index.d.ts declares what index.js exports', 'node scripts/exports.mjs')
await check('package', 'node scripts/package.mjs')
await tests('cargo test', 'cargo test --workspace --no-fail-fast')
await tests('ava, driver uv', 'ava', { FDWIRE_DRIVER: 'uv' })
await tests('ava, driver thread', 'ava', { FDWIRE_DRIVER: 'thread' })

console.log(`\n${[...report, ...broken].join('\n')}\n${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed > 0 ? 1 : 0

/** A step that counts as one test. */
async function check(name, command) {
  const { ok } = await run(name, command)
  count(ok ? 1 : 0, ok ? 0 : 1)
}

/** A step that counts as the tests it ran, and as one failure more when it failed without saying which. */
async function tests(name, command, env) {
  const { ok, text } = await run(name, command, env)
  const passed = sum(text, /^test result: \S+ (\d+) passed/gm) + [...text.matchAll(/^ +✔ /gm)].length
  const failed = sum(text, failures)
  if (!ok) broken.push(...failedTests(text).map((line) => `${name}: ${line}`))
  count(passed, ok ? failed : Math.max(failed, 1))
}

/** The lines that name what failed, each with the first ones of why. */
function failedTests(text) {
  const lines = text.split('\n')
  const named = lines.filter((line) => /^ +✘ |^test .* FAILED$|^---- .* stdout ----$/.test(line))
  const start = lines.findLastIndex((line) => /^ +─$/.test(line))
  return [
    ...named,
    ...lines
      .slice(start + 1)
      .filter((line) => line.trim() !== '')
      .slice(0, 60),
  ]
}

/** Runs one step, showing its output. */
async function run(name, command, env = {}) {
  console.log(`\n=== ${name}`)
  const started = performance.now()
  const child = spawn(command, {
    env: { ...process.env, ...env },
    shell: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
      to.write(chunk)
    })
  }
  const ok = await new Promise((resolve) => {
    child.on('close', (code) => resolve(code === 0))
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  report.push(`${ok ? 'ok    ' : 'FAILED'} ${seconds.padStart(6)} s  ${name}`)
  console.log(report.at(-1))
  return { ok, text: stripVTControlCharacters(text) }
}

/** Whether Rust code can be checked for `target` here. */
function available(target) {
  const { status } = spawnSync('rustup', ['target', 'add', target], { stdio: 'inherit' })
  if (status === 0) return true
  report.push(`NOT CHECKED      clippy for ${target}: \`rustup target add\` did not work; is rustup installed?`)
  console.error(`\n!!! ${report.at(-1)}`)
  return false
}

function count(passed, failed) {
  totals.passed += passed
  totals.failed += failed
}

function sum(text, pattern) {
  return [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0)
}
