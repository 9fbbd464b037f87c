// Every work: who takes part (the first is the one the targets are for), with which parameters, and what is to be met.
// A contender is a peer's name, or a peer under another label with parameters of its own.
import { importTime, waker } from './peers.mjs'

export const PINNED = 'one CPU'
export const UNPINNED = 'unpinned'

const KIB = 1024
const MIB = 1024 * KIB

const NODE_STREAMS = ['net', 'usocket', 'node-unix-socket', 'zeromq']
const CHILD_PROCESS = ['child_process json', 'child_process advanced']
const EVERYONE = ['fdwire', 'C loop', 'Python', ...NODE_STREAMS, ...CHILD_PROCESS]
const BURSTS = ['fdwire', 'C loop', 'Python', 'net corked', ...NODE_STREAMS, ...CHILD_PROCESS]
const tooLong = { 'node-unix-socket': 'a SEQPACKET message cannot be larger than the socket buffer' }

const fdwire = (label, params) => ({ label, peer: 'fdwire', params })

/** `key` is the field of the peer's result. Targets hold on one CPU unless said. */
const metric = (key, unit, targets = {}, more = {}) => ({ key, unit, targets: { [PINNED]: targets, ...more } })

const roundTrip = (name, size, contenders, metrics, more) => ({
  name,
  server: 'echo',
  client: 'round-trip',
  params: { size },
  contenders,
  metrics,
  ...more,
})

const oneWay = (name, params, contenders, metrics, more) => ({
  name,
  server: 'sink',
  client: 'one-way',
  params,
  contenders,
  metrics,
  ...more,
})

/** "Reused mappings beat copies 2 to 8 times from 256 KiB up." One process fills the payload, the other reads it. */
const payload = (name, size) => ({
  name,
  server: 'payload',
  client: 'payload',
  params: { size },
  contenders: [fdwire('fdwire, shared memory', { shared: 1 }), fdwire('fdwire, copies', { shared: 0 })],
  metrics: [metric('p50', 'µs', { 'fdwire, copies': 0.5 })],
})

const idle = (name, attended) => ({
  name,
  server: 'sink',
  client: 'idle',
  params: { connections: 5000, attended, gc: 1 },
  contenders: ['fdwire', 'net'],
  metrics: [{ ...metric('resident', 'KiB'), limit: 2 }],
  modes: [PINNED],
})

/** `growth`: the most resident memory in the last second, over the most in the second before. */
const memory = (name, contenders) =>
  oneWay(
    name,
    { size: 64 * KIB, warmup: 0, duration: 3000 },
    contenders,
    [{ ...metric('growth', 'x'), limit: 1.1 }, metric('peak', 'MiB')],
    { modes: [PINNED], watchMemory: true },
  )

export const works = [
  roundTrip('round trip 64 B', 64, EVERYONE, [
    metric('p50', 'µs', { net: 0.9, Python: 1, 'C loop': 1.35 }),
    metric('p99', 'µs', { net: 0.7 }),
  ]),
  roundTrip('round trip 64 KiB', 64 * KIB, EVERYONE, [metric('p50', 'µs', { net: 0.75, Python: 1.15 })]),
  roundTrip('round trip 1 MiB', MIB, EVERYONE, [metric('p50', 'µs', { net: 0.7 })], { unable: tooLong }),
  roundTrip('round trip 64 B, Sync', 64, ['fdwire sync', 'C loop', 'Python'], [metric('p50', 'µs', { Python: 0.85 })]),

  oneWay('one way 64 B, every send awaited', { size: 64 }, EVERYONE, [metric('mean', 'µs', { net: 0.8 })]),
  oneWay('one way 64 B, bursts of 64', { size: 64, burst: 64, receive: 'many' }, BURSTS, [
    metric('mean', 'µs', { 'net corked': 0.6 }, { [UNPINNED]: { 'net corked': 0.4 } }),
    metric('cpu', 'µs', { 'net corked': 0.6 }),
  ]),
  oneWay('one way 1 KiB, bursts of 64', { size: KIB, burst: 64, receive: 'many' }, BURSTS, [
    metric('mean', 'µs', { 'net corked': 0.6 }, { [UNPINNED]: { 'net corked': 0.4 } }),
  ]),
  oneWay('one way 64 KiB', { size: 64 * KIB }, EVERYONE, [metric('mean', 'µs', { net: 0.7, 'C loop': 1.6 })]),
  oneWay(
    'one way 16 MiB into a reused buffer',
    { size: 16 * MIB, receive: 'into' },
    ['fdwire', 'C loop', 'Python'],
    [metric('mean', 'µs', { 'C loop': 1.25 })],
  ),
  oneWay(
    'one way 16 MiB',
    { size: 16 * MIB, receive: 'bytes' },
    ['fdwire', 'Python', ...NODE_STREAMS],
    [metric('mean', 'µs', { zeromq: 0.8 })],
    { unable: tooLong },
  ),

  payload('payload of 256 KiB to another process', 256 * KIB),
  payload('payload of 4 MiB to another process', 4 * MIB),
  payload('payload of 16 MiB to another process', 16 * MIB),

  {
    name: 'one descriptor there and back',
    server: 'handle',
    client: 'handle',
    contenders: ['fdwire', 'C loop', 'Python', 'usocket', ...CHILD_PROCESS],
    metrics: [metric('p50', 'µs', { Python: 1.1, usocket: 0.55 })],
  },
  {
    name: 'one descriptor there and back, Sync',
    server: 'handle',
    client: 'handle',
    contenders: ['fdwire sync', 'C loop', 'Python'],
    metrics: [metric('p50', 'µs', { Python: 0.95 })],
  },
  {
    name: '100 descriptors in one message',
    server: 'descriptors',
    client: 'descriptors',
    params: { descriptors: 100 },
    contenders: ['fdwire', 'C loop', 'Python', 'usocket'],
    metrics: [metric('p50', 'µs', { Python: 1.2 })],
    unable: { usocket: 'it takes 64 from a message and drops the rest' },
  },
  {
    name: 'connect, echo, close',
    server: 'echo',
    client: 'connect',
    contenders: ['fdwire', 'C loop', 'Python', 'net', 'usocket', 'node-unix-socket'],
    metrics: [metric('mean', 'µs', { net: 0.25 })],
  },

  idle('idle connection, nobody waiting', 1),
  idle('idle connection, a receive pending', 0),
  roundTrip(
    'round trip on 10 of 5,010 connections',
    64,
    [
      'fdwire',
      fdwire('fdwire, the 10 alone', { idle: 0 }),
      'net',
      { label: 'net, the 10 alone', peer: 'net', params: { idle: 0 } },
    ],
    [metric('p50', 'µs', { 'fdwire, the 10 alone': 1.1 })],
    { params: { connections: 10, idle: 5000 }, modes: [PINNED] },
  ),

  {
    name: 'Selector, 1 ready of 10,000, Sync',
    client: 'select',
    params: { descriptors: 10_000 },
    contenders: [
      'fdwire sync',
      { label: 'fdwire sync, of 100', peer: 'fdwire sync', params: { descriptors: 100 } },
      'Python',
      'C loop',
    ],
    metrics: [metric('p50', 'µs', { 'fdwire sync, of 100': 1.3, Python: 0.8 })],
    modes: [PINNED],
  },
  {
    name: 'Selector wake',
    server: 'wake',
    serverProgram: waker,
    client: 'wake',
    contenders: ['fdwire', 'epoll', 'C loop'],
    metrics: [metric('p50', 'µs', { epoll: 0.75 })],
  },
  {
    name: 'Selector wake, Sync',
    server: 'wake',
    serverProgram: waker,
    client: 'wake',
    contenders: ['fdwire sync', 'Python', 'C loop'],
    metrics: [metric('p50', 'µs', { Python: 0.95 })],
  },

  memory('memory of a receiver, 3 s of 64 KiB', ['fdwire', 'net']),
  memory('memory of a receiver, 3 s of 64 KiB, Sync', ['fdwire sync']),
  {
    name: 'import, over node:net',
    clientProgram: importTime,
    client: 'import',
    contenders: ['fdwire', 'usocket', 'node-unix-socket', 'zeromq', 'epoll'],
    metrics: [{ ...metric('milliseconds', 'ms'), limit: 15 }],
    modes: [PINNED],
  },
]
