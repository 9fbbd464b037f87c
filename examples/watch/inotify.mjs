// inotify(7): wait until somebody makes a file.
import { mkdtempSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EVENT_READ, Selector } from '../../index.js'
import { opened } from './opened.mjs'

const directory = mkdtempSync(join(tmpdir(), 'watch-'))
const { fd: queue } = await opened('inotify', directory)

const selector = new Selector()
selector.register(queue, EVENT_READ)
for (const name of ['first', 'second']) {
  const ready = selector.select()
  writeFileSync(join(directory, name), '')
  const [{ key }] = await ready
  const event = Buffer.alloc(272)
  readSync(key.fd, event)
  const length = event.readUInt32LE(12) // struct inotify_event, then the name
  console.log(`made: ${event.toString('utf8', 16, 16 + length).replaceAll('\0', '')}`)
}

selector.close()
queue.close()
rmSync(directory, { recursive: true })
