// How time, processor time and memory are taken, the same for every JavaScript peer.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export const now = () => performance.now()

export const microseconds = ({ user, system }) => user + system

/** Records one duration after another once the warm-up is over. */
export class Stopwatch {
  #samples = []
  #recordFrom
  #end

  constructor({ warmup, duration }) {
    this.#recordFrom = now() + warmup
    this.#end = this.#recordFrom + duration
  }

  /** Takes two times in milliseconds; false when it has enough. */
  add(started, ended) {
    if (started >= this.#recordFrom) this.#samples.push(ended - started)
    return ended < this.#end
  }

  /** Microseconds. */
  result() {
    const sorted = Float64Array.from(this.#samples).sort()
    const percentile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] * 1000
    const total = sorted.reduce((sum, sample) => sum + sample, 0)
    return { p50: percentile(0.5), p99: percentile(0.99), mean: (total / sorted.length) * 1000, count: sorted.length }
  }
}

/** Times `exchange()` again and again. */
export async function timeEach(params, exchange) {
  const stopwatch = new Stopwatch(params)
  let started
  do {
    started = now()
    await exchange()
  } while (stopwatch.add(started, now()))
  return stopwatch.result()
}

export function timeEachSync(params, exchange) {
  const stopwatch = new Stopwatch(params)
  let started
  do {
    started = now()
    exchange()
  } while (stopwatch.add(started, now()))
  return stopwatch.result()
}

/**
 * Sends bursts for a while and divides the time until the last of them was received by their number.
 * `mark()` asks the receiver for a report, which comes when all before it has been received.
 */
export async function oneWay({ warmup, duration, burst }, { send, mark }) {
  const sendFor = async (milliseconds) => {
    const end = now() + milliseconds
    let count = 0
    do {
      await send(burst)
      count += burst
    } while (now() < end)
    return count
  }
  await sendFor(warmup)
  const before = await mark()
  const cpu = process.cpuUsage()
  const started = now()
  const count = await sendFor(duration)
  const after = await mark()
  return {
    mean: ((now() - started) * 1000) / count,
    cpu: (microseconds(process.cpuUsage(cpu)) + after.cpu - before.cpu) / count,
    count,
  }
}

/** A receiver of one-way messages: counts connections, and answers a message of one byte with a report. */
export class Sink {
  #held = []
  #collect

  constructor({ gc }) {
    if (!gc) return
    setFlagsFromString('--expose-gc')
    this.#collect = runInNewContext('gc')
  }

  hold(channel) {
    return this.#held.push(channel)
  }

  report() {
    this.#collect?.()
    return JSON.stringify({
      cpu: microseconds(process.cpuUsage()),
      rss: process.memoryUsage.rss(),
      connections: this.#held.length,
    })
  }
}

/** Resident KiB a connection costs the server, taken between the first 500 and `connections` more. */
export async function idleMemory({ connections }, { connect, mark }) {
  const held = []
  const openUntil = async (count) => {
    while (held.length < count) held.push(await connect())
    for (;;) {
      const report = await mark(held[0])
      if (report.connections === count) return report.rss
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const first = await openUntil(500)
  const last = await openUntil(500 + connections)
  return { resident: (last - first) / connections / 1024 }
}
