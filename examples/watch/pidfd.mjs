// A pidfd: wait for the end of a process, of any process.
import { spawn } from 'node:child_process'
import { EVENT_READ, Selector } from '../../index.js'
import { opened } from './opened.mjs'

const child = spawn('cat', { stdio: ['pipe', 'ignore', 'inherit'] })
const { fd: pidfd } = await opened('pidfd', String(child.pid))

const selector = new Selector()
selector.register(pidfd, EVENT_READ, 'cat')
console.log(`ready while it runs: ${(await selector.select(0)).length}`)
child.stdin.end()
const [{ key }] = await selector.select()
console.log(`ended: ${key.data}`)

selector.close()
pidfd.close()
