// A timerfd: wait for its ticks.
import { readSync } from 'node:fs'
import { EVENT_READ, Selector } from '../../index.js'
import { opened } from './opened.mjs'

const { fd: timer } = await opened('timerfd', '0.02')

const selector = new Selector()
selector.register(timer, EVENT_READ)
let ticks = 0
for await (const [{ key }] of selector) {
  const expirations = new BigUint64Array(1)
  readSync(key.fd, expirations)
  ticks += Number(expirations[0])
  if (ticks >= 3) break
}
console.log('three ticks')

selector.close()
timer.close()
