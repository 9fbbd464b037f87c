// Takes a descriptor that a Python program offers by DupFd, and offers one that Python takes with detach().
// Another Python than python3 may be named on the command line.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ResourceSharer, takeFd } from './resource-sharer.mjs'

const python = process.argv[2] ?? 'python3'

function start(script, ...args) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(python, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  return { child, exit: once(child, 'exit'), lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
}

async function takeFromPython() {
  const { child, exit, lines } = start('offer.py')
  const { value: line } = await lines.next()
  const { address, key, authkey, inode } = JSON.parse(line)
  const authKey = Buffer.from(authkey, 'hex')
  console.log(`Python: process ${child.pid} offers inode ${inode} under key ${key} at ${address}`)

  const fd = await takeFd({ address, key }, authKey, { timeout: 10_000 })
  console.log(`Node:   took ${fd.kind}, fd ${fd.fd}, inode ${fstatSync(fd.fd).ino}`)
  console.log(`Node:   reads: ${readFileSync(fd.fd, 'utf8')}`)
  fd.close()
  child.stdin.end()
  return exit
}

async function offerToPython() {
  const authKey = randomBytes(32)
  const sharer = await ResourceSharer.start(authKey)
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-dupfd-'))
  writeFileSync(join(directory, 'file'), `written by Node process ${process.pid}`)
  const file = openSync(join(directory, 'file'))
  rmSync(directory, { recursive: true })
  const { address, key } = sharer.offer(file)
  console.log(`Node:   process ${process.pid} offers inode ${fstatSync(file).ino} under key ${key} at ${address}`)
  closeSync(file)

  const { child, exit, lines } = start('take.py', address, String(key))
  child.stdin.end(authKey.toString('hex'))
  for await (const line of lines) console.log(`Python: ${line}`)
  await sharer.close()
  return exit
}

for (const direction of [takeFromPython, offerToPython]) {
  const [code] = await direction()
  if (code !== 0) process.exitCode = 1
}
