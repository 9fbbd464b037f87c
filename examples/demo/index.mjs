// A service and its workers, unrelated processes: messages, a live TCP server socket and a file go between them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Listener } from '../../index.js'
import { describe, step } from './step.mjs'

const say = step('service')

async function serve(name, command, script) {
  const listener = await Listener.listen()
  say(`listens on ${listener.address}`)
  const worker = spawn(command, [fileURLToPath(new URL(script, import.meta.url)), listener.address], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const exit = once(worker, 'exit')
  const connection = await Promise.race([
    listener.accept(),
    exit.then(([code]) => Promise.reject(new Error(`the ${name} worker ended with ${code} before it connected`))),
  ])
  const { pid } = connection.peerCredentials
  say(`accepted the ${name} worker, process ${pid}`)

  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  await connection.sendBytes(Buffer.from(`Serve one request on port ${port}`))
  await connection.sendHandle(server)
  say(`sent a message and the server socket of port ${port}: ${describe('listener', server._handle.fd)}`)
  // The worker has its own copy: this process no longer accepts.
  server.close()

  const response = await fetch(`http://127.0.0.1:${port}/`)
  say(`asked port ${port} and was answered: ${await response.text()}`)

  const { data, fds } = await connection.recvMessage()
  const [file] = fds
  say(`received "${data}" with ${describe(file.kind, file.fd)}`)
  say(`reads in it: ${readFileSync(file.fd, 'utf8').trim()} (${fstatSync(file.fd).size} bytes)`)
  file.close()
  await connection.close()
  const [code] = await exit
  say(`the ${name} worker ended with ${code}\n`)
  await listener.close()
  if (code !== 0) process.exitCode = 1
}

function isPresent(command) {
  return new Promise((resolve) => {
    spawn(command, ['-c', 'import sys, multiprocessing.connection; sys.exit(sys.version_info < (3, 6))'])
      .on('error', () => resolve(false))
      .on('exit', (code) => resolve(code === 0))
  })
}

await serve('Node', process.execPath, 'worker.mjs')
if (await isPresent('python3')) await serve('Python', 'python3', 'worker.py')
else say('python3 is not here, or too old: the Python worker is left out')
