import { openSync, writeSync } from 'node:fs'
import { Sink, oneWay, timeEachSync } from '../lib/measure.mjs'
import { run } from '../lib/program.mjs'
import { Wakeups } from '../lib/wakeups.mjs'

const { Listener, OwnedFd, Selector, connectSync, pipe } = await import('../../index.js')

const EVENT_READ = 1

/** Kept from being collected, and closed with it. */
const held = []

/** Serves one connection until it ends. */
const serve = (address, ready, step) => {
  const listener = Listener.listenSync(address)
  ready()
  const connection = listener.acceptSync()
  try {
    for (;;) step(connection)
  } catch (error) {
    if (error.code !== 'ERR_EOF' && error.code !== 'ECONNRESET') throw error
  }
  process.exit()
}

const server = {
  echo: ({ address }, ready) =>
    serve(address, ready, (connection) => connection.sendBytesSync(connection.recvBytesSync())),

  sink: (params, ready) => {
    const receiver = new Sink(params)
    serve(params.address, ready, (connection) => {
      if (connection.recvBytesSync().length === 1) connection.sendBytesSync(Buffer.from(receiver.report()))
    })
  },

  handle: ({ address }, ready) =>
    serve(address, ready, (connection) => {
      const owned = connection.recvHandleSync()
      connection.sendHandleSync(owned)
      owned.close()
    }),
}

const client = {
  'round-trip': (params) => {
    const connection = connectSync(params.address)
    const body = Buffer.alloc(params.size)
    return timeEachSync(params, () => {
      connection.sendBytesSync(body)
      connection.recvBytesSync()
    })
  },

  'one-way': (params) => {
    const connection = connectSync(params.address)
    const body = Buffer.alloc(params.size)
    const mark = () => {
      connection.sendBytesSync(Buffer.alloc(1))
      return JSON.parse(connection.recvBytesSync())
    }
    const send = (burst) => {
      for (let i = 0; i < burst; i++) connection.sendBytesSync(body)
    }
    return oneWay(params, { send, mark })
  },

  handle: (params) => {
    const connection = connectSync(params.address)
    const fd = openSync('/dev/null')
    return timeEachSync(params, () => {
      connection.sendHandleSync(fd)
      connection.recvHandleSync().close()
    })
  },

  // One of them stays readable: nothing but the call is timed.
  select: (params) => {
    const selector = new Selector()
    const quiet = pipe({ duplex: false })
    const ready = pipe({ duplex: false })
    held.push(...quiet, ...ready)
    for (let i = 1; i < params.descriptors; i++) {
      const owned = OwnedFd.dup(quiet[0])
      held.push(owned)
      selector.register(owned.fd, EVENT_READ)
    }
    writeSync(ready[1].fd, 'x')
    selector.register(ready[0].fd, EVENT_READ)
    return timeEachSync(params, () => selector.selectSync())
  },

  wake: (params) => {
    const wakeups = new Wakeups(params)
    const selector = new Selector()
    selector.register(wakeups.fd, EVENT_READ)
    do selector.selectSync()
    while (wakeups.woken())
    return wakeups.result()
  },
}

await run({ server, client })
