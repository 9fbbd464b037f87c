import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OwnedFd, connect } from '../../index.js'
import { describe, step } from './step.mjs'

const say = step('Node worker')
const connection = await connect(process.argv[2])

const message = await connection.recvBytes()
const handle = await connection.recvHandle()
say(`received "${message}" and ${describe(handle.kind, handle.fd)}`)

const served = await new Promise((resolve) => {
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close')
    response.end(`served by Node process ${process.pid}`)
    server.close()
    resolve(request.url)
  })
  server.listen(handle.toServer())
})
say(`served ${served}`)

const directory = mkdtempSync(join(tmpdir(), 'fdwire-demo-'))
const path = join(directory, 'report')
writeFileSync(path, `Node process ${process.pid} served ${served}\n`)
const file = OwnedFd.fromFd(openSync(path))
// It has no name any more; the descriptor is all there is.
rmSync(directory, { recursive: true })
await connection.sendBytes(Buffer.from('the report'), { fds: [file] })
say(`sent a message with ${describe(file.kind, file.fd)}`)
file.close()
await connection.close()
