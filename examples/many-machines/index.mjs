// One command shows it all on one machine: NATS, a gateway, clients, and workers of which one is killed at work.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connect } from '../../index.js'

const children = []

/** Starts a program beside this one; `line()` waits for its next line that matches. */
function start(command, args, output = 'stdout') {
  const stdio = ['ignore', 'inherit', 'inherit']
  stdio[output === 'stdout' ? 1 : 2] = 'pipe'
  const child = spawn(command, args, { stdio })
  children.push(child)
  const lines = createInterface(child[output])[Symbol.asyncIterator]()
  const line = async (pattern) => {
    for (;;) {
      const { done, value } = await lines.next()
      if (done) throw new Error(`${command} ${args.join(' ')} ended before it wrote ${pattern}`)
      const match = pattern.exec(value)
      if (match !== null) return match
    }
  }
  return { child, line }
}

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const startNode = (script, ...args) => start(process.execPath, [path(script), ...args])

async function request(address, text) {
  const connection = await connect(address)
  await connection.sendBytes(Buffer.from(text))
  const answer = await connection.recvBytes()
  console.log(`client: ${answer}`)
  await connection.close()
}

/** The same from Python, where there is one. */
async function requestFromPython(address) {
  if (spawnSync('python3', ['--version']).status !== 0) return
  const python = spawn('python3', [path('client.py'), address], { stdio: ['ignore', 'inherit', 'inherit'] })
  children.push(python)
  const [code] = await once(python, 'exit')
  if (code !== 0) throw new Error(`client.py ended with ${code}`)
}

try {
  const nats = start(path('bin/nats-server'), ['--addr', '127.0.0.1', '--port', '-1'], 'stderr')
  const [, server] = await nats.line(/client connections on (\S+)/)
  await nats.line(/Server is ready/)
  console.log(`nats-server listens on ${server}`)

  const gateway = startNode('gateway.mjs', server)
  const [address] = await gateway.line(/.+/)
  console.log(`the gateway listens on ${address}`)

  const texts = ['one', 'two', 'three']
  const requests = [...texts.map((text) => request(address, text)), requestFromPython(address)]
  console.log('clients asked before there was a worker')

  const slow = startNode('worker.mjs', server, '600000')
  console.log((await slow.line(/.* is ready/))[0])
  for (const _ of texts) console.log((await slow.line(/.* took .*/))[0])
  slow.child.kill('SIGKILL')
  await once(slow.child, 'exit')
  console.log(`worker ${slow.child.pid} was killed at work`)

  const other = startNode('worker.mjs', server)
  console.log((await other.line(/.* is ready/))[0])
  await Promise.all(requests)
  console.log('every request was answered')
  gateway.child.kill('SIGTERM')
  await once(gateway.child, 'exit')
} finally {
  for (const child of children) child.kill('SIGKILL')
}
