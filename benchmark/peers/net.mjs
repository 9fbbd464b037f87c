import { once } from 'node:events'
import net from 'node:net'
import { callbackWorks } from '../lib/callbacks.mjs'
import { FrameChannel } from '../lib/frames.mjs'
import { run } from '../lib/program.mjs'

const listen = (address, onChannel, ready) => {
  const accept = (socket) => onChannel(new FrameChannel(socket))
  net.createServer(accept).listen({ path: address, backlog: 4096 }, ready)
}

const connect = async (address) => {
  const socket = net.connect(address)
  await once(socket, 'connect')
  return new FrameChannel(socket)
}

await run(callbackWorks({ listen, connect }))
