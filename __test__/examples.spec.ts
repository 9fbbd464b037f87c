import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { Program } from './support/program.ts'
import { anyPython, pythons } from './support/python.ts'
import { temporaryDirectory } from './support/resources.ts'

/** The first run on a machine installs what the examples need, and builds nats-server. */
const FIRST_RUN = 600_000
const root = fileURLToPath(new URL('..', import.meta.url))
const python3 = pythons.filter(({ version }) => version.startsWith('3.'))

// Each example is run by the command its README names. One after the other: they share one installation.

function npm(t: ExecutionContext, ...args: string[]): Program {
  t.timeout(FIRST_RUN)
  return new Program(t, 'npm', ['--silent', ...args])
}

test.serial('the demo passes messages, a server socket and a file between processes', async (t) => {
  const lines = await npm(t, 'run', 'demo').finish()
  for (const said of [/listens on \S+$/, /asked port \d+ and was answered: served by Node process \d+/]) {
    t.true(lines.some((line) => said.test(line)))
  }
  t.true(lines.some((line) => /the Python worker ended with 0/.test(line)))
})

test.serial('codecs: values make the round trip and what a codec refuses is not sent', async (t) => {
  const lines = await npm(t, '--prefix', 'examples', 'run', 'codecs').finish()
  for (const codec of ['messagePack', 'protocolBuffers']) {
    const said = lines.filter((line) => line.startsWith(`${codec}: `))
    t.regex(said[0] ?? '', /a reading is \d+ bytes/)
    t.regex(said[1] ?? '', /got back .*'roof'.*\[ 41, 42.5 \]/)
    t.regex(said[2] ?? '', /not sent: ./)
    t.regex(said[3] ?? '', /got back .*'cellar'/)
  }
})

for (const { version, path } of python3) {
  test.serial(`dupfd: descriptors are taken from and offered to Python ${version}`, async (t) => {
    const lines = await npm(t, '--prefix', 'examples', 'run', 'dupfd', '--', path).finish()
    const inodes = lines.flatMap((line) => /inode (\d+)/.exec(line)?.[1] ?? [])
    t.is(inodes.length, 4)
    t.is(inodes[0], inodes[1])
    t.is(inodes[2], inodes[3])
    t.true(lines.some((line) => /^Node: {3}reads: written by Python process \d+$/.test(line)))
    t.true(lines.some((line) => /^Python: reads: written by Node process \d+$/.test(line)))
    t.is(lines.at(-1), 'Python: a second time: EOFError, it was there once')
  })
}

for (const { version, path } of python3) {
  test.serial(`shared memory: Node and Python ${version} read each frame where it was written`, async (t) => {
    const lines = await npm(t, '--prefix', 'examples', 'run', 'shared-memory', '--', path).finish()
    const said = lines.map((line) => /^(\w+): frame (\d) of 4194304 bytes has crc32 \d+, the same as here$/.exec(line))
    const read = ['Node', 'Python'].flatMap((name) => ['1', '2', '3'].map((frame) => [name, frame]))
    t.deepEqual(
      said.map((match) => match?.slice(1)),
      read,
    )
  })
}

if (spawnSync('go', ['version']).status === 0) {
  test.serial('many machines: a worker is killed at work and every request is answered once', async (t) => {
    const lines = await npm(t, '--prefix', 'examples', 'run', 'many-machines').finish()
    const killed = lines.findIndex((line) => line.endsWith(' was killed at work'))
    const took = lines.slice(0, killed).filter((line) => / took "/.test(line))
    t.true(took.length >= 3)
    const answers = lines.filter((line) => /^client(?: in Python)?: /.test(line))
    t.is(answers.length, 4)
    const worker = /(worker \d+) is ready/.exec(lines[killed + 1] ?? '')?.[1] ?? 'no worker'
    for (const text of ['ONE', 'TWO', 'THREE', 'A REQUEST FROM PYTHON']) {
      t.is(answers.filter((line) => line.endsWith(`: ${text}, by ${worker}`)).length, 1)
    }
    t.true(lines.indexOf(answers[0] ?? '') > killed)
    t.is(lines.at(-1), 'every request was answered')
  })
} else {
  process.stderr.write('\n*** NOT TESTED: examples/many-machines: there is no go on PATH to build nats-server ***\n\n')
}

test("the README's server is that of the examples", (t) => {
  const example = readFileSync(join(root, 'examples/server/server.mjs'), 'utf8')
  const program = example
    .slice(example.indexOf('import '))
    .replace('../../index.js', 'fdwire')
    .replace(/JSON\.parse\(.*\), \{$/m, "'/tmp/fdwire-server.sock', {")
  t.true(readFileSync(join(root, 'README.md'), 'utf8').includes(`\`\`\`js\n${program}\`\`\`\n`))
})

test.serial("the README's first programs print what it says", async (t) => {
  const directory = temporaryDirectory(t)
  const address = join(directory, 'socket')
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text = '']) => ({ language, text }))
  for (const { text } of blocks) {
    const name = /^(?:\/\/|#) (\w+\.\w+)\n/.exec(text)?.[1]
    if (name !== undefined) writeFileSync(join(directory, name), text.replaceAll('/tmp/fdwire.sock', address))
  }
  mkdirSync(join(directory, 'node_modules'))
  symlinkSync(root, join(directory, 'node_modules', 'fdwire'))

  const service = new Program(t, process.execPath, [join(directory, 'service.mjs')])
  const said = [await service.line()]
  for (const [name, command] of [
    ['client.mjs', process.execPath],
    ['client.py', anyPython().path],
  ] as const) {
    const client = new Program(t, command, [join(directory, name)])
    // The comment behind its last statement says what it prints.
    const comment = /(?:\/\/|#) (.*)\n$/.exec(readFileSync(join(directory, name), 'utf8'))
    t.deepEqual(await client.finish(), [comment?.[1] ?? 'no comment'])
    said.push(await service.line())
  }

  const output = blocks.find(({ language }) => language === 'text')?.text.replaceAll('/tmp/fdwire.sock', address)
  t.is(output, `${said.join('\n')}\n`)
  t.true(readme.slice(0, readme.indexOf(said.at(-1) ?? '')).split('\n').length <= 30)
})
