// npm runs this after `npm ci` in a checkout and before packing, never when the package is installed from a registry.
import { spawnSync } from 'node:child_process'

const loads = await import('../binding.cjs').then(
  () => true,
  () => false,
)

if (!loads) {
  if (spawnSync('cargo', ['--version']).status !== 0) {
    console.error(
      'fdwire: no prebuilt binary fits this machine and cargo was not found; install Rust from https://rustup.rs',
    )
    process.exit(1)
  }
  npmRun('build:native')
}
npmRun('build:js')

/** @param {string} script */
function npmRun(script) {
  const { status } = spawnSync('npm', ['run', script], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
