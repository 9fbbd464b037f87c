// Wakes the process that a Selector is measured in: writes its clock (CLOCK_MONOTONIC, the same in every process)
// to one fifo and waits for a byte on another. A wake-up lasts from just before that write until the waiter runs.
import { execFileSync } from 'node:child_process'
import { openSync, readSync, writeSync } from 'node:fs'
import { run } from './program.mjs'

const wake = ({ address }, ready) => {
  const fifos = [`${address}.wake`, `${address}.answer`]
  execFileSync('mkfifo', fifos)
  ready()
  const fd = openSync(fifos[0], 'w')
  const answers = openSync(fifos[1])
  const clock = new BigUint64Array(1)
  const byte = Buffer.alloc(1)
  try {
    do {
      clock[0] = process.hrtime.bigint()
      writeSync(fd, clock)
    } while (readSync(answers, byte) === 1)
  } catch (error) {
    if (error.code !== 'EPIPE') throw error
  }
}

await run({ server: { wake } })
