// Sends the same value to another process and back, once with each codec.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pipe } from '../../index.js'
import { codecs } from './codecs.mjs'

const reading = { sensor: 'roof', values: [20.5, 21.25], raw: Uint8Array.of(1, 2, 3) }

for (const [name, codec] of Object.entries(codecs)) {
  const [connection, end] = pipe({ codec })
  const peer = spawn(process.execPath, [fileURLToPath(new URL('peer.mjs', import.meta.url)), name], {
    stdio: ['ignore', 'inherit', 'inherit', end.fd],
  })
  const exit = once(peer, 'exit')
  end.destroy()

  console.log(`${name}: a reading is ${codec.encode(reading).length} bytes, ${JSON.stringify(reading).length} in JSON`)
  await connection.send(reading)
  console.log(`${name}: got back`, await connection.recv())

  // What a codec throws rejects the call. Nothing was sent, and the connection goes on.
  await connection.send({ sensor: 7n ** 40n }).catch((error) => console.log(`${name}: not sent: ${error.message}`))
  await connection.send({ sensor: 'cellar', values: [] })
  console.log(`${name}: got back`, await connection.recv())

  await connection.close()
  const [code] = await exit
  if (code !== 0) process.exitCode = 1
}
