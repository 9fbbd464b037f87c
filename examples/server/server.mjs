// A server that goes on whatever its clients do, until SIGTERM or SIGINT: then it finishes what it has begun.
import { Listener } from '../../index.js'

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort())

const listener = await Listener.listen(JSON.parse(process.argv[2] ?? '"/tmp/fdwire-server.sock"'), {
  authKey: process.env['AUTH_KEY'] ?? 'secret',
  replaceStale: true, // what a killed predecessor left
  maxMessageSize: 1_000_000,
  handshakeTimeout: 1000,
  onHandshakeError: ({ code, message }) => console.error(`not let in: ${code}: ${message}`),
})
console.log(`listening on ${JSON.stringify(listener.address)}`)

async function handle(connection) {
  for (;;) {
    const request = await connection.recv({ signal: stop.signal, timeout: 60_000 })
    await connection.send({ answer: request.question * 2 })
  }
}
const onError = ({ code, message }) => console.error(`went wrong: ${code}: ${message}`)
await listener.serve(handle, { signal: stop.signal, maxConnections: 1000, drainTimeout: 5000, onError })
await listener.close()
console.log('ended')
