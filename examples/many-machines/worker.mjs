// Runs on any machine. Joins the queue group, where each request goes to one of the members.
// A second argument makes every request take that many milliseconds.
import { setTimeout } from 'node:timers/promises'
import { connect } from 'nats'
import { SILENCE } from './requester.mjs'

const [server, duration = '0'] = process.argv.slice(2)
const nats = await connect({ servers: server, maxReconnectAttempts: -1 })
const name = `worker ${process.pid}`

async function answer(text) {
  await setTimeout(Number(duration))
  return `${text.toUpperCase()}, by ${name}`
}

async function work(message) {
  const text = message.string()
  console.log(`${name} took "${text}"`)
  // Says at once and from then on that this request has a worker; a process that is dead or stuck does not.
  const alive = setInterval(() => message.respond(), SILENCE / 4)
  message.respond()
  // A request that fails is answered too; otherwise it would come again.
  const result = await answer(text).catch((error) => `failed: ${error.message}`)
  clearInterval(alive)
  message.respond(new TextEncoder().encode(result))
}

const requests = nats.subscribe('work', { queue: 'workers' })
await nats.flush()
console.log(`${name} is ready`)
// A request counts as taken when it arrives, so it must not wait behind another here.
for await (const message of requests) work(message).catch((error) => console.error(`${name}: ${error.message}`))
