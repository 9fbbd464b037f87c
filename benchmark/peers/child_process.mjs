// The client forks the server: this channel has no address.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { callbackWorks } from '../lib/callbacks.mjs'
import { timeEach } from '../lib/measure.mjs'
import { run } from '../lib/program.mjs'

const json = process.argv.includes('serialization=json')

class Channel {
  onMessage = () => {}
  #end

  constructor(end) {
    this.#end = end
    end.on('message', (message) => this.onMessage(message))
  }

  send(message, sent) {
    this.#end.send(message, sent)
  }
}

const start = async ({ serialization, server }) => {
  const child = fork(process.argv[1], ['server', server, ...process.argv.slice(4)], {
    serialization,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  await once(child.stdout, 'data')
  return child
}

const works = callbackWorks({
  listen: (_address, onChannel, ready) => {
    onChannel(new Channel(process))
    ready()
  },
  connect: async (_address, params) => new Channel(await start(params)),
  encode: json ? (text) => text : Buffer.from,
})

// It passes nothing but sockets and servers.
works.server.handle = (_params, ready) => {
  process.on('message', (_message, server) => process.send('', server, () => server.close()))
  ready()
}

works.client.handle = async (params) => {
  const child = await start(params)
  const server = net.createServer().listen(0)
  await once(server, 'listening')
  return timeEach(params, async () => {
    child.send('', server)
    const [, received] = await once(child, 'message')
    received.close()
  })
}

await run(works)
