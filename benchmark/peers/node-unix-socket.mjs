import { SeqpacketServer, SeqpacketSocket } from 'node-unix-socket'
import { callbackWorks } from '../lib/callbacks.mjs'
import { run } from '../lib/program.mjs'

class Channel {
  onMessage = () => {}
  #socket

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (message) => this.onMessage(message))
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
  }

  send(message, sent) {
    this.#socket.write(message, 0, message.length, sent)
  }

  async close() {
    this.#socket.destroy()
  }
}

const listen = (address, onChannel, ready) => {
  const server = new SeqpacketServer()
  server.on('connection', (socket) => onChannel(new Channel(socket)))
  server.listen(address)
  ready()
}

const connect = (address) =>
  new Promise((resolve) => {
    const socket = new SeqpacketSocket()
    socket.connect(address, () => resolve(new Channel(socket)))
  })

await run(callbackWorks({ listen, connect }))
