// Compiles index.ts and lib, and rolls what tsc makes of them up into one file.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'oxfmt'
import { rollup } from 'rollup'

/** The text of `name`, which is what tsc calls its output for index.ts, behind a comment that says where it is from. */
export async function rollUp(name, header, { options = [], plugins = [] } = {}) {
  // Through a directory of its own: rollup-plugin-dts would take the index.d.ts beside index.ts for its declarations.
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-roll-up-'))
  try {
    const args = ['--project', 'tsconfig.build.json', '--outDir', directory, ...options]
    if (spawnSync('tsc', args, { stdio: 'inherit' }).status !== 0) throw new Error('tsc failed')
    const bundle = await rollup({
      input: join(directory, name),
      external: /^node:/,
      plugins,
      onwarn(warning) {
        throw new Error(warning.message)
      },
    })
    const { output } = await bundle.generate({ format: 'es' })
    const style = JSON.parse(readFileSync('.oxfmtrc.json', 'utf8'))
    return (await format(name, header + output[0].code, style)).code
  } finally {
    rmSync(directory, { recursive: true })
  }
}
