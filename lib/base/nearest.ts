/** Of the `names` the one that `name` was likely meant to be, if any is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, '')
  let best: string | undefined
  let least = Math.max(2, Math.ceil(plain.length / 3)) + 1
  for (const candidate of names) {
    const distance = editDistance(plain, candidate.toLowerCase())
    if (distance >= least) continue
    least = distance
    best = candidate
  }
  // As `key` of `authKey`, and `hostname` of `host`.
  return best ?? names.find((candidate) => isPart(plain, candidate.toLowerCase()))
}

function isPart(one: string, other: string): boolean {
  return Math.min(one.length, other.length) > 2 && (one.includes(other) || other.includes(one))
}

/** How many characters have to be inserted, removed or replaced (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let line = 1; line <= from.length; line++) {
    const above = row
    row = [line]
    for (let column = 1; column <= to.length; column++) {
      const replaced = (above[column - 1] as number) + (from[line - 1] === to[column - 1] ? 0 : 1)
      row.push(Math.min(replaced, (above[column] as number) + 1, (row[column - 1] as number) + 1))
    }
  }
  return row[to.length] as number
}
