import { Connection, connect, Listener, OwnedFd, answerChallenge, deliverChallenge } from '../../../index.ts'
import { frame } from '../../support/bytes.ts'
import { Peer, type Transport } from '../peer.ts'
import { impossible, peerOf, type Expectations, type Given, type Pending, type Started } from '../table.ts'
import type { Stage } from '../stage.ts'

const both: readonly Transport[] = ['unix', 'tcp']
const completes = { outcomes: ['ok'], completes: true }
const notThere = impossible('a listener has no such call')
const authKey = 'secret'

/** docs/lifecycle.md, `Listener.accept`: a client that leaves ends nothing. */
const accepting: Expectations = {
  completed: { ...completes, usable: true },
  close: { outcomes: ['ERR_CLOSED'] },
  closeSync: notThere,
  destroy: { outcomes: ['ERR_CLOSED'] },
  detach: notThere,
  moved: notThere,
  collected: completes,
  aborted: { outcomes: ['ABORT_ERR'], usable: true },
  'aborted and collected': { outcomes: ['ABORT_ERR'] },
  'timed out': { outcomes: ['ERR_TIMEOUT'], usable: true },
  'timed out at once': { outcomes: ['ERR_TIMEOUT'], usable: true },
  'timed out and collected': { outcomes: ['ERR_TIMEOUT'] },
  'peer ended': { ...completes, usable: true },
  'peer reset': { ...completes, usable: true },
  'worker terminated': { outcomes: [] },
}

const noClient = impossible('no client has come yet')
const noSignal = impossible('a for await loop takes neither a signal nor a timeout')
const looping: Expectations = {
  ...accepting,
  close: { outcomes: ['ok'] },
  destroy: { outcomes: ['ok'] },
  aborted: noSignal,
  'aborted and collected': noSignal,
  'timed out': noSignal,
  'timed out at once': noSignal,
  'timed out and collected': noSignal,
  'peer ended': noClient,
  'peer reset': noClient,
}

function prepare(stage: Stage): Given {
  return { fds: [], transport: stage.transport, path: stage.transport === 'unix' ? stage.path() : '' }
}

function listenAt({ transport, path }: Given, key?: string): Listener {
  const address = transport === 'unix' ? path : { host: '127.0.0.1', port: 0 }
  return Listener.listenSync(address, key === undefined ? {} : { authKey: key })
}

/** A client that comes in for good and is told so by nobody. */
function comes(key?: string) {
  return async (stage: Stage): Promise<void> => {
    const { address } = stage
    if (address === undefined) throw new Error('Nobody listens')
    const client = await connect(address, key === undefined ? {} : { authKey: key })
    stage.others.push(client)
  }
}

async function takes(listener: Listener, limits: { signal?: AbortSignal }): Promise<string> {
  const connection = await listener.accept(limits)
  connection.destroy()
  return 'accepted'
}

async function loops(listener: Listener): Promise<string> {
  for await (const connection of listener) {
    connection.destroy()
    return 'accepted'
  }
  return 'closed'
}

/** A client that says nothing. */
async function silent(stage: Stage): Promise<void> {
  const { address } = stage
  if (address === undefined) throw new Error('Nobody listens')
  stage.peers.push(new Peer((await connect(address)).detach(), 'anything'))
}

function row(title: string, key: string | undefined, rest: Partial<Pending> = {}): Pending {
  const take = title.startsWith('for await') ? loops : takes
  return {
    title,
    transports: both,
    expectations: accepting,
    prepare,
    start(given, limits): Started {
      const target = listenAt(given, key)
      return { target, others: [], promises: { accept: take(target, limits as object) }, address: target.address }
    },
    complete: comes(key),
    async again(stage, { target }) {
      const accepted = takes(target as Listener, {})
      await Promise.all([accepted, comes(key)(stage)])
    },
    ...rest,
  }
}

/** A client that was accepted and one that left before are the same to `accept()`. */
async function comesAndLeaves(stage: Stage): Promise<void> {
  await silent(stage)
  peerOf(stage).close()
}

const noObject = impossible('connect() has given no object yet')

/** docs/api.md, `connect`. */
const connecting: Expectations = {
  completed: completes,
  close: noObject,
  closeSync: noObject,
  destroy: noObject,
  detach: noObject,
  moved: noObject,
  collected: completes,
  aborted: { outcomes: ['ABORT_ERR'] },
  'aborted and collected': { outcomes: ['ABORT_ERR'] },
  'timed out': { outcomes: ['ERR_TIMEOUT'] },
  'timed out at once': { outcomes: ['ERR_TIMEOUT'] },
  'timed out and collected': { outcomes: ['ERR_TIMEOUT'] },
  'peer ended': { outcomes: ['ERR_EOF'] },
  'peer reset': { outcomes: ['ECONNRESET'] },
  'worker terminated': { outcomes: [] },
}

const CHALLENGE = frame(`#CHALLENGE#{sha256}${'x'.repeat(20)}`)

function listening(stage: Stage, backlog: number): Given {
  const path = stage.transport === 'unix' ? stage.path() : ''
  const address = stage.transport === 'unix' ? path : { host: '127.0.0.1', port: 0 }
  const listener = Listener.listenSync(address, { backlog })
  listener.unref()
  stage.others.push(listener)
  return { fds: [], transport: stage.transport, path, address: listener.address }
}

function listenerOf({ others }: Stage): Listener {
  const [listener] = others
  if (listener instanceof Listener) return listener
  throw new Error('There is no listener')
}

const handshake: Pending = {
  title: 'connect, in its handshake',
  transports: both,
  expectations: connecting,
  prepare: (stage) => listening(stage, 5),
  start({ address }, limits) {
    if (address === undefined) throw new Error('Nobody listens')
    const connected = connect(address, { authKey, ...limits }).then((connection) => connection.destroy())
    return { target: undefined, others: [], promises: { connect: connected } }
  },
  join(stage) {
    const end = listenerOf(stage).acceptSync().detach()
    stage.peers.push(new Peer(end, 'anything'))
  },
  async complete(stage) {
    const server = Connection.fromFd(OwnedFd.dup(peerOf(stage)))
    stage.others.push(server)
    await deliverChallenge(server, authKey)
    await answerChallenge(server, authKey)
  },
  async peerResets(stage) {
    const peer = peerOf(stage)
    peer.write(CHALLENGE)
    await stage.until(() => peer.hasInput) // the answer, unread
    peer.close()
  },
}

/** Clients that fill the queue of those to be accepted. */
async function fill(address: Listener['address']): Promise<Connection[]> {
  const clients: Connection[] = []
  for (;;) {
    try {
      clients.push(await connect(address, { timeout: 0 }))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_TIMEOUT') return clients
      throw error
    }
  }
}

const leaves = (stage: Stage): void => listenerOf(stage)[Symbol.dispose]()
const queue: Pending = {
  ...handshake,
  title: 'connect, to a full queue',
  transports: ['unix'],
  expectations: {
    ...connecting,
    'peer ended': { outcomes: ['ECONNREFUSED', 'ENOENT'] },
    'peer reset': impossible('nobody is connected yet; the listener can only close'),
  },
  prepare: (stage) => listening(stage, 0),
  async start({ address }, limits) {
    if (address === undefined) throw new Error('Nobody listens')
    const others = await fill(address)
    const connected = connect(address, limits).then((connection) => connection.destroy())
    return { target: undefined, others, promises: { connect: connected } }
  },
  join() {},
  complete(stage) {
    for (;;) {
      try {
        listenerOf(stage).acceptSync({ timeout: 0 }).destroy()
      } catch {
        return
      }
    }
  },
  peerEnds: leaves,
}

export const accepts: readonly Pending[] = [
  row('accept', undefined, { peerEnds: comesAndLeaves, peerResets: comesAndLeaves, complete: comes() }),
  row('accept, a handshake under way', authKey, {
    join: silent,
    // A handshake belongs to its listener, for as long as it takes.
    withdraw: (stage) => peerOf(stage).close(),
  }),
  row('for await of a listener', undefined, { expectations: looping }),
  handshake,
  queue,
]
