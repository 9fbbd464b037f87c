// A UDP socket and a net.Socket: wait until they have something, and read it in your own time.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { EVENT_READ, OwnedFd, Selector } from '../../index.js'

// Node reads from its own UDP sockets at once; a copy that outlives one is left alone.
const bound = createSocket('udp4').bind(0, '127.0.0.1')
await once(bound, 'listening')
const { port } = bound.address()
const udp = OwnedFd.dup(bound)
bound.close()

const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
await once(server, 'listening')
const client = connect(server.address().port, '127.0.0.1')
const [accepted] = await once(server, 'connection')

const selector = new Selector()
selector.register(udp, EVENT_READ, 'UDP')
selector.register(accepted, EVENT_READ, 'net.Socket')

const sender = createSocket('udp4')
sender.send('a datagram', port, '127.0.0.1')
let [{ key }] = await selector.select()
const datagram = Buffer.alloc(100)
console.log(`${key.data}: ${datagram.toString('utf8', 0, readSync(key.fd, datagram))}`)

client.end('a stream')
;[{ key }] = await selector.select()
const [data] = await once(key.fileObj.resume(), 'data')
console.log(`${key.data}: ${data}`)

selector.close()
udp.close()
sender.close()
accepted.destroy()
server.close()
