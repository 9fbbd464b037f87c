import { openSync } from 'node:fs'
import { timeEach } from '../lib/measure.mjs'
import { run } from '../lib/program.mjs'
import { promiseWorks, untilEnd } from '../lib/promises.mjs'
import { Wakeups } from '../lib/wakeups.mjs'

const { Listener, Selector, SharedMemory, connect } = await import('../../index.js')

const EVENT_READ = 1

class Channel {
  constructor(connection) {
    this.connection = connection
  }

  send(body) {
    return this.connection.sendBytes(body)
  }

  receive() {
    return this.connection.recvBytes()
  }

  close() {
    return this.connection.close()
  }
}

const serve = async (address, onConnection, ready) => {
  const listener = await Listener.listen(address, { backlog: 4096 })
  ready()
  for await (const connection of listener) onConnection(connection)
}

const receivers = {
  async each(connection, onLength) {
    for await (const { data } of connection) onLength(data.length)
  },
  async many(connection, onLength) {
    for (;;) {
      for (const { data } of await connection.recvMany()) onLength(data.length)
    }
  },
  async into(connection, onLength, { size }) {
    const buffer = Buffer.alloc(size)
    for (;;) onLength(await connection.recvBytesInto(buffer))
  },
  async bytes(connection, onLength) {
    for (;;) onLength((await connection.recvBytes()).length)
  },
}

const works = promiseWorks({
  listen: (address, onChannel, ready) => serve(address, (connection) => onChannel(new Channel(connection)), ready),
  connect: async (address) => new Channel(await connect(address)),
  receiveAll: ({ connection }, onLength, params) => receivers[params.receive](connection, onLength, params),
})

works.server.handle = ({ address }, ready) => {
  const echo = async (connection) => {
    for (;;) {
      const owned = await connection.recvHandle()
      await connection.sendHandle(owned)
      owned.close()
    }
  }
  return serve(address, (connection) => untilEnd(echo(connection)), ready)
}

works.client.handle = async (params) => {
  const connection = await connect(params.address)
  const fd = openSync('/dev/null')
  return timeEach(params, async () => {
    await connection.sendHandle(fd)
    const owned = await connection.recvHandle()
    owned.close()
  })
}

works.server.descriptors = ({ address }, ready) => {
  const answer = async (connection) => {
    for await (const { data, fds } of connection) {
      for (const owned of fds) owned.close()
      await connection.sendBytes(data)
    }
  }
  return serve(address, (connection) => untilEnd(answer(connection)), ready)
}

works.client.descriptors = async (params) => {
  const connection = await connect(params.address)
  const fds = Array.from({ length: params.descriptors }, () => openSync('/dev/null'))
  const body = Buffer.alloc(1)
  return timeEach(params, async () => {
    await connection.sendBytes(body, { fds })
    await connection.recvBytes()
  })
}

/** What a message of the payload work is: the payload, or a notice where both processes have that. */
const messageOf = (memory, { shared }) => Buffer.from(shared ? new ArrayBuffer(1) : memory.buffer)

works.server.payload = (params, ready) => {
  const read = async (connection) => {
    const memory = params.shared
      ? SharedMemory.fromFd(await connection.recvHandle())
      : { buffer: new ArrayBuffer(params.size) }
    const message = messageOf(memory, params)
    for (;;) {
      await connection.recvBytesInto(message)
      const payload = Buffer.from(memory.buffer)
      await connection.sendBytes(Buffer.of(payload.includes(0) ? 0 : payload.at(-1)))
    }
  }
  return serve(params.address, (connection) => untilEnd(read(connection)), ready)
}

works.client.payload = async (params) => {
  const connection = await connect(params.address)
  const memory = params.shared ? SharedMemory.create(params.size) : { buffer: new ArrayBuffer(params.size) }
  if (params.shared) await connection.sendHandle(memory)
  const message = messageOf(memory, params)
  let value = 0
  return timeEach(params, async () => {
    value = (value % 255) + 1
    Buffer.from(memory.buffer).fill(value)
    await connection.sendBytes(message)
    const [seen] = await connection.recvBytes()
    if (seen !== value) throw new Error(`the payload was ${seen}, not ${value}`)
  })
}

works.client.wake = async (params) => {
  const wakeups = new Wakeups(params)
  const selector = new Selector()
  selector.register(wakeups.fd, EVENT_READ)
  do await selector.select()
  while (wakeups.woken())
  return wakeups.result()
}

await run(works)
