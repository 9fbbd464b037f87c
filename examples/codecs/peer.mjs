// The other process: doubles the values of each reading.
import { Connection, EOFError } from '../../index.js'
import { codecs } from './codecs.mjs'

const connection = Connection.fromFd(3, { codec: codecs[process.argv[2]] })
try {
  for (;;) {
    const { values = [], ...reading } = await connection.recv()
    await connection.send({ ...reading, values: values.map((value) => 2 * value) })
  }
} catch (error) {
  if (!(error instanceof EOFError)) throw error
}
