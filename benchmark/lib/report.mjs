// Medians, ratios and verdicts, and the markdown table of them.
/** p99 and unpinned figures mean nothing below it. */
export const TRUSTED_ROUNDS = 5

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const verdict = (value, limit) => (limit === undefined || value === undefined ? undefined : value <= limit)

/** One row per contender and metric of a work in one mode. `trials` are its results by label. */
export function rows(work, mode, trials) {
  return work.metrics.flatMap(({ key, unit, targets, limit }) => {
    const medianOf = ({ label }) => {
      const values = trials.get(label).map((result) => result[key])
      return values.length > 0 ? median(values) : undefined
    }
    const subject = work.contenders.find(({ label }) => label === work.subject)
    const own = subject && medianOf(subject)
    return work.contenders.map((contender) => {
      const value = medianOf(contender)
      const isSubject = contender === subject
      const ratio = isSubject || value === undefined || own === undefined ? undefined : own / value
      const target = isSubject ? limit : targets[mode]?.[contender.label]
      return {
        work: work.name,
        mode,
        metric: key,
        unit,
        peer: contender.label,
        rounds: trials.get(contender.label).map((result) => result[key]),
        median: value,
        ratio,
        target,
        met: verdict(isSubject ? value : ratio, target),
      }
    })
  })
}

const figure = (value) => {
  if (value === undefined) return '-'
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3)
}

const line = (cells) => `| ${cells.join(' | ')} |`

const rowLine = (row) =>
  line([
    row.work,
    row.mode,
    row.metric,
    row.peer,
    `${figure(row.median)} ${row.median === undefined ? '' : row.unit}`.trim(),
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.target === undefined ? '' : `<= ${row.target}`,
    row.met === undefined ? '' : row.met ? 'met' : '**missed**',
  ])

export function markdown({ environment, rounds, rows, missing }) {
  const versions = Object.entries(environment).map(([name, value]) => `${name} ${value}`)
  const parts = [versions.join('; '), '']
  if (rounds < TRUSTED_ROUNDS) {
    parts.push(`Only ${rounds} of the ${TRUSTED_ROUNDS} rounds that p99 and unpinned figures need.`, '')
  }
  parts.push(
    line(['work', 'on', 'metric', 'peer', 'median', 'fdwire / peer', 'target', '']),
    line(['---', '---', '---', '---', '---:', '---:', '---:', '---']),
    ...rows.map(rowLine),
  )
  const judged = rows.filter((row) => row.target !== undefined)
  const count = (met) => judged.filter((row) => row.met === met).length
  parts.push('', `Targets: ${count(true)} met, ${count(false)} missed, ${count(undefined)} not measured.`)
  if (missing.length > 0) {
    const worksByReason = new Map()
    for (const { peer, work, mode, reason } of missing) {
      const key = `${peer}: ${reason}`
      worksByReason.set(key, [...(worksByReason.get(key) ?? []), `${work} (${mode})`])
    }
    parts.push('', 'Missing:', '')
    for (const [key, names] of worksByReason) parts.push(`- ${key} [${names.join('; ')}]`)
  }
  return `${parts.join('\n')}\n`
}
