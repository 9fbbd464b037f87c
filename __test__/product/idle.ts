let waiting: (() => void)[] = []
let stuck: (() => void) | undefined

/** Resolves when Node finds nothing that keeps the process alive. */
export async function idle(): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve))
}

/** Calls back when nothing keeps the process alive and nobody waits for that: what is awaited will never come. */
export function whenStuck(callback: (() => void) | undefined): void {
  stuck = callback
}

process.on('beforeExit', () => {
  const resolves = waiting
  waiting = []
  // The event loop must be alive again for there to be another time.
  for (const resolve of resolves) setImmediate(resolve)
  if (resolves.length === 0) stuck?.()
})
