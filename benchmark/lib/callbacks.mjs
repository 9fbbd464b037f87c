// The works for peers that deliver messages by callback. A peer brings
//   listen(address, onChannel, ready)  connect(address, params): Promise<Channel>
//   Channel: send(message, sent?), onMessage, close(): Promise, and cork/uncork where it has them
//   encode(text): a message as the peer sends it
import { Sink, Stopwatch, idleMemory, now, oneWay, timeEach } from './measure.mjs'

export const callbackWorks = ({ listen, connect, encode = Buffer.from }) => {
  const body = (size) => encode('x'.repeat(size))
  const reply = (channel) => new Promise((resolve) => (channel.onMessage = resolve))
  const exchange = (channel, message) => {
    const answer = reply(channel)
    channel.send(message)
    return answer
  }
  const mark = async (channel) => JSON.parse(await exchange(channel, body(1)))

  const echo = ({ address }, ready) =>
    listen(address, (channel) => (channel.onMessage = (message) => channel.send(message)), ready)

  const sink = (params, ready) => {
    const receiver = new Sink(params)
    const accept = (channel) => {
      const count = receiver.hold(channel)
      if (params.attended && count > params.attended) return
      channel.onMessage = (message) => {
        if (message.length === 1) channel.send(encode(receiver.report()))
      }
    }
    return listen(params.address, accept, ready)
  }

  const roundTrip = async (params) => {
    const channels = []
    for (let i = 0; i < params.connections + params.idle; i++) channels.push(await connect(params.address, params))
    const message = body(params.size)
    const stopwatch = new Stopwatch(params)
    await new Promise((resolve) => {
      let turn = 0
      let started
      const next = () => {
        const channel = channels[turn++ % params.connections]
        started = now()
        channel.send(message)
      }
      const onMessage = () => (stopwatch.add(started, now()) ? next() : resolve())
      for (const channel of channels.slice(0, params.connections)) channel.onMessage = onMessage
      next()
    })
    return stopwatch.result()
  }

  const connectEchoClose = (params) => {
    const message = body(params.size)
    return timeEach(params, async () => {
      const channel = await connect(params.address, params)
      await exchange(channel, message)
      await channel.close()
    })
  }

  const send = async (params) => {
    const channel = await connect(params.address, params)
    const message = body(params.size)
    const sendBurst = (burst) =>
      new Promise((sent) => {
        if (params.cork) channel.cork()
        for (let i = 1; i < burst; i++) channel.send(message)
        channel.send(message, sent)
        if (params.cork) channel.uncork()
      })
    return oneWay(params, { send: sendBurst, mark: () => mark(channel) })
  }

  const idle = (params) => idleMemory(params, { connect: () => connect(params.address, params), mark })

  return {
    server: { echo, sink },
    client: { 'round-trip': roundTrip, connect: connectEchoClose, 'one-way': send, idle },
  }
}
