// npm run bench -- [--only <work>]... [--peers a,b] [--rounds 5] [--quick] [--cpu n] [--json file] [--markdown file]
//   [--against <another built checkout>]: its fdwire takes part too, as 'fdwire (other)'
//
// Runs every work with every peer, round by round, pinned to one CPU and unpinned, and prints the medians as a table.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { peers, peersOf } from './lib/peers.mjs'
import { markdown, rows, TRUSTED_ROUNDS } from './lib/report.mjs'
import { environment, installPeers, pinning } from './lib/setup.mjs'
import { trial } from './lib/trial.mjs'
import { PINNED, UNPINNED, works } from './lib/works.mjs'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    peers: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean' },
    cpu: { type: 'string' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    against: { type: 'string' },
  },
})

const rounds = Number(options.rounds ?? (options.quick ? 1 : TRUSTED_ROUNDS))
const times = options.quick ? { warmup: 150, duration: 150 } : { warmup: 700, duration: 500 }

const chosenPeers = options.peers?.split(',')
/** 'fdwire' chooses 'fdwire sync' too. */
const isChosen = ({ name }) => chosenPeers?.some((chosen) => `${name} `.startsWith(`${chosen} `)) ?? true
const contenderOf = (entry) => {
  const { label, peer, params } = typeof entry === 'string' ? { label: entry, peer: entry } : entry
  return { label, name: peer, peer: peers[peer], params }
}
/** The same contender of another checkout. */
const others = options.against === undefined ? {} : peersOf(options.against)
const othersOf = ({ label, name, params }) => {
  const peer = others[name]
  return peer === undefined ? [] : [{ label: `${label} (other)`, name, peer, params }]
}
const chosenWorks = works
  .filter(({ name }) => options.only?.some((part) => name.includes(part)) ?? true)
  .map((work) => {
    const own = work.contenders.map(contenderOf)
    const contenders = own.flatMap((contender) => [contender, ...othersOf(contender)])
    return {
      ...work,
      subject: contenders[0].label,
      contenders: contenders.filter(isChosen),
    }
  })
  .filter(({ contenders }) => contenders.length > 0)
if (chosenWorks.length === 0) {
  throw new Error(
    `Nothing to run. Works:\n  ${works.map(({ name }) => name).join('\n  ')}\nPeers: ${Object.keys(peers)}`,
  )
}

const progress = (text) => process.stderr.write(`${text}\n`)

installPeers()
const pinned = pinning()
const cpus = { [PINNED]: options.cpu ?? pinned.cpu, [UNPINNED]: undefined }
const results = { environment: environment(), rounds, ...times, rows: [], missing: [] }

async function runWork(work, mode) {
  const trials = new Map(work.contenders.map(({ label }) => [label, []]))
  const failed = new Set()
  const miss = (label, reason) => {
    failed.add(label)
    results.missing.push({ peer: label, work: work.name, mode, reason })
    progress(`    ${label}: ${reason}`)
  }
  for (const { label } of work.contenders) if (work.unable?.[label]) miss(label, work.unable[label])
  for (let round = 0; round < rounds; round++) {
    for (const contender of work.contenders) {
      const { label } = contender
      if (failed.has(label)) continue
      try {
        trials.get(label).push(await trial(work, contender, { cpu: cpus[mode], times }))
      } catch (error) {
        miss(label, error.message.split('\n')[0])
      }
    }
  }
  return rows(work, mode, trials)
}

for (const work of chosenWorks) {
  for (const mode of work.modes ?? [PINNED, UNPINNED]) {
    progress(`${work.name}, ${mode}`)
    if (mode === PINNED && pinned.reason) {
      results.missing.push({ peer: 'everyone', work: work.name, mode, reason: pinned.reason })
      continue
    }
    results.rows.push(...(await runWork(work, mode)))
  }
}

const table = markdown(results)
process.stdout.write(table)
if (options.markdown) writeFileSync(options.markdown, table)
const complete = !options.quick && !options.only && !options.peers
const json = options.json ?? (complete ? fileURLToPath(new URL('results.json', import.meta.url)) : undefined)
if (json) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`)
