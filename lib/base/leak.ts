const warned = new Set<string>()

/** Warns that something was collected that nobody closed: once for all that have the `code`. */
export function warnOfLeak(what: string, code: string): void {
  if (warned.has(code)) return
  warned.add(code)
  process.emitWarning(`${what} was garbage collected without having been closed; it is closed now`, {
    type: 'ResourceWarning',
    code,
  })
}
