// The other process: maps the memory once, and reads each frame where it is.
import { crc32 } from 'node:zlib'
import { Connection, EOFError, SharedMemory } from '../../index.js'

const connection = Connection.fromFd(3)
const memory = SharedMemory.fromFd(await connection.recvHandle())
const bytes = new Uint8Array(memory.buffer)
try {
  for (;;) {
    const { frame } = await connection.recv()
    await connection.send({ frame, crc32: crc32(bytes) })
  }
} catch (error) {
  if (!(error instanceof EOFError)) throw error
}
memory.close()
