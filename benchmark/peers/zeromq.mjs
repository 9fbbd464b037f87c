import { Pair } from 'zeromq'
import { promiseWorks } from '../lib/promises.mjs'
import { run } from '../lib/program.mjs'

// It reads ahead by the number of messages, not bytes.
const MAX_QUEUED_BYTES = 64 * 1024 * 1024

const size = Number(process.argv.find((arg) => arg.startsWith('size=')).slice(5))
const highWaterMark = Math.min(1000, Math.ceil(MAX_QUEUED_BYTES / size))
const socket = new Pair({ linger: 0, sendHighWaterMark: highWaterMark, receiveHighWaterMark: highWaterMark })

const channel = {
  send: (body) => socket.send(body),
  receive: async () => (await socket.receive())[0],
}

const works = promiseWorks({
  listen: async (address, onChannel, ready) => {
    await socket.bind(`ipc://${address}`)
    onChannel(channel)
    ready()
  },
  connect: async (address) => {
    socket.connect(`ipc://${address}`)
    return channel
  },
  receiveAll: async (_channel, onLength) => {
    for await (const [body] of socket) onLength(body.length)
  },
})

// One send at a time is allowed; its own thread batches them.
const { 'one-way': oneWay } = works.client
works.client['one-way'] = (params) => oneWay({ ...params, burst: 1 })

await run(works)
