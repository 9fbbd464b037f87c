// A terminal: wait until somebody types a line.
import { readSync } from 'node:fs'
import { EVENT_READ, Selector } from '../../index.js'
import { opened } from './opened.mjs'

const { fd: terminal, program } = await opened('terminal')
console.log(`a ${terminal.kind}`)

const selector = new Selector()
selector.register(terminal, EVENT_READ)
program.stdin.end('hello\n') // types it, and hangs up

const [{ key }] = await selector.select()
const line = Buffer.alloc(100)
console.log(`typed: ${line.toString('utf8', 0, readSync(key.fd, line)).trim()}`)

selector.close()
terminal.close()
