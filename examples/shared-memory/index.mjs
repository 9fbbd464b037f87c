// Hands frames of 4 MiB to other processes without sending them: the memory they are in goes once, as a descriptor, and
// small messages tell whose turn it is. Another Python than python3 may be named on the command line.
import { spawn, spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { SharedMemory, pipe } from '../../index.js'

const FRAME_SIZE = 4 * 1024 * 1024
const FRAMES = 3

async function produce(name, command, script) {
  const [connection, end] = pipe()
  const consumer = spawn(command, [fileURLToPath(new URL(script, import.meta.url))], {
    stdio: ['ignore', 'inherit', 'inherit', end.fd],
  })
  const exit = once(consumer, 'exit')
  end.destroy()

  const memory = SharedMemory.create(FRAME_SIZE)
  await connection.sendHandle(memory)
  const bytes = new Uint8Array(memory.buffer)
  for (let frame = 1; frame <= FRAMES; frame++) {
    randomFillSync(bytes)
    await connection.send({ frame })
    // The frame is the consumer's until it answers: what is written now, it may see.
    const read = await connection.recv()
    const same = read.crc32 === crc32(bytes) ? 'the same' : 'another'
    console.log(`${name}: frame ${read.frame} of ${bytes.length} bytes has crc32 ${read.crc32}, ${same} as here`)
  }
  memory.close()
  await connection.close()
  const [code] = await exit
  if (code !== 0) process.exitCode = 1
}

await produce('Node', process.execPath, 'consumer.mjs')
const python = process.argv[2] ?? 'python3'
if (spawnSync(python, ['--version']).status === 0) await produce('Python', python, 'consumer.py')
else console.log(`${python} is not here: the Python consumer is left out`)
