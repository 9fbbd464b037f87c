import { closeSync, openSync } from 'node:fs'
import usocket from 'usocket'
import { callbackWorks } from '../lib/callbacks.mjs'
import { FrameChannel } from '../lib/frames.mjs'
import { Stopwatch, now } from '../lib/measure.mjs'
import { run } from '../lib/program.mjs'

// Its write() takes { data }, its destroy() emits no 'close', and 'data' before 'connected' aborts the process.
class Channel extends FrameChannel {
  #socket

  constructor(socket) {
    super(socket)
    this.#socket = socket
  }

  async close() {
    this.#socket.destroy()
  }
}

const serve = (address, onSocket, ready) => {
  const server = new usocket.UServer()
  server.on('connection', onSocket)
  server.listen(address, 4096, ready)
}

const open = (address) =>
  new Promise((resolve) => {
    const socket = new usocket.USocket(address)
    socket.once('connected', () => resolve(socket))
  })

const onDescriptor = (socket, callback) => {
  socket.on('error', () => {})
  socket.on('readable', () => {
    for (let message; (message = socket.read(1, 1));) callback(message.fds[0])
  })
  socket.read(0)
}

const sendDescriptor = (socket, fd, callback) => socket.write({ data: Buffer.alloc(1), fds: [fd], callback })

const works = callbackWorks({
  listen: (address, onChannel, ready) => serve(address, (socket) => onChannel(new Channel(socket)), ready),
  connect: async (address) => new Channel(await open(address)),
})

works.server.handle = ({ address }, ready) => {
  const echo = (socket) => onDescriptor(socket, (fd) => sendDescriptor(socket, fd, () => closeSync(fd)))
  serve(address, echo, ready)
}

works.client.handle = async (params) => {
  const socket = await open(params.address)
  const fd = openSync('/dev/null')
  const stopwatch = new Stopwatch(params)
  await new Promise((resolve) => {
    let started
    const next = () => {
      started = now()
      sendDescriptor(socket, fd)
    }
    onDescriptor(socket, (received) => {
      closeSync(received)
      if (stopwatch.add(started, now())) next()
      else resolve()
    })
    next()
  })
  return stopwatch.result()
}

await run(works)
