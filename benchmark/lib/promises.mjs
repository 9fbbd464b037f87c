// The works for peers with promises. A peer brings
//   listen(address, onChannel, ready)  connect(address, params): Promise<Channel>
//   Channel: send(body): Promise, receive(): Promise<Buffer>, close(): Promise
//   receiveAll(channel, onLength, params): Promise, in the manner the work asks for
import { Sink, Stopwatch, idleMemory, now, oneWay, timeEach } from './measure.mjs'

const ENDS = ['ERR_EOF', 'ERR_MESSAGE_TRUNCATED', 'EPIPE', 'ECONNRESET']

/** Waits for a server's loop over one connection, which ends when the client has gone. */
export const untilEnd = (promise) =>
  promise.catch((error) => {
    if (!ENDS.includes(error.code)) throw error
  })

export const promiseWorks = ({ listen, connect, receiveAll }) => {
  const mark = async (channel) => {
    await channel.send(Buffer.alloc(1))
    return JSON.parse(await channel.receive())
  }

  const echo = ({ address }, ready) => {
    const serve = async (channel) => {
      for (;;) await channel.send(await channel.receive())
    }
    return listen(address, (channel) => untilEnd(serve(channel)).then(() => channel.close()), ready)
  }

  const sink = (params, ready) => {
    const receiver = new Sink(params)
    const accept = (channel) => {
      const count = receiver.hold(channel)
      if (params.attended && count > params.attended) return
      const onLength = (length) => {
        if (length === 1) channel.send(Buffer.from(receiver.report()))
      }
      untilEnd(receiveAll(channel, onLength, params))
    }
    return listen(params.address, accept, ready)
  }

  const roundTrip = async (params) => {
    const channels = []
    for (let i = 0; i < params.connections + params.idle; i++) channels.push(await connect(params.address, params))
    const body = Buffer.alloc(params.size)
    const stopwatch = new Stopwatch(params)
    let turn = 0
    let started
    do {
      const channel = channels[turn++ % params.connections]
      started = now()
      await channel.send(body)
      await channel.receive()
    } while (stopwatch.add(started, now()))
    return stopwatch.result()
  }

  const connectEchoClose = (params) => {
    const body = Buffer.alloc(params.size)
    return timeEach(params, async () => {
      const channel = await connect(params.address, params)
      await channel.send(body)
      await channel.receive()
      await channel.close()
    })
  }

  const send = async (params) => {
    const channel = await connect(params.address, params)
    const body = Buffer.alloc(params.size)
    const sendBurst = (burst) => {
      for (let i = 1; i < burst; i++) channel.send(body)
      return channel.send(body)
    }
    return oneWay(params, { send: sendBurst, mark: () => mark(channel) })
  }

  const idle = (params) => idleMemory(params, { connect: () => connect(params.address, params), mark })

  return {
    server: { echo, sink },
    client: { 'round-trip': roundTrip, connect: connectEchoClose, 'one-way': send, idle },
  }
}
