// The waiting side of lib/waker.mjs.
import { openSync, readSync, writeSync } from 'node:fs'
import { Stopwatch, now } from './measure.mjs'

export class Wakeups {
  fd
  #answer
  #stopwatch
  #written = new BigUint64Array(1)
  #byte = Buffer.alloc(1)

  constructor(params) {
    this.fd = openSync(`${params.address}.wake`)
    this.#answer = openSync(`${params.address}.answer`, 'w')
    this.#stopwatch = new Stopwatch(params)
  }

  /** To be called first thing when `fd` is readable; false when it has enough. */
  woken() {
    const clock = process.hrtime.bigint()
    const ended = now()
    readSync(this.fd, this.#written)
    const more = this.#stopwatch.add(ended - Number(clock - this.#written[0]) / 1e6, ended)
    writeSync(this.#answer, this.#byte)
    return more
  }

  result() {
    return this.#stopwatch.result()
  }
}
