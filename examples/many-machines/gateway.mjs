// Stands on each machine that has clients. They speak fdwire (or Python's multiprocessing.connection) to it: a request,
// its answer, the next request; who wants more at once opens more connections. Workers are found through NATS.
import { connect } from 'nats'
import { Listener } from '../../index.js'
import { Requester } from './requester.mjs'

const nats = await connect({ servers: process.argv[2], maxReconnectAttempts: -1 })
const requester = new Requester(nats, 'work')
// NATS has its own limit, 1 MiB as it comes; who sends more is told so by being disconnected at once.
const listener = await Listener.listen(undefined, { mode: 0o600, maxMessageSize: nats.info.max_payload })
console.log(listener.address)

async function serve(client) {
  try {
    for await (const { data, fds } of client) {
      // Descriptors end where the machine does.
      for (const fd of fds) fd.close()
      await client.sendBytes(await requester.request(data))
    }
  } finally {
    await client.close()
  }
}

process.once('SIGTERM', async () => {
  await listener.close()
  await nats.close()
})

for await (const client of listener) serve(client).catch((error) => console.error(`gateway: ${error.message}`))
