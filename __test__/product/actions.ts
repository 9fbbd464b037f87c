import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from '../../index.ts'
import { temporaryDirectory } from '../support/resources.ts'
import { turns } from '../support/until.ts'
import type { Peer } from './peer.ts'
import { collect, type Stage } from './stage.ts'
import type { Ending, Expected, Pending, Started } from './table.ts'

/** Everything about the cell under way. */
export interface Cell {
  readonly stage: Stage
  readonly pending: Pending
  readonly started: Started
  readonly controller: AbortController
  readonly expected: Expected
}

type Action = (cell: Cell) => void | Promise<void>

function connectionOf({ started }: Cell): Connection {
  return started.target as Connection
}

/** Nothing refers to what is pending but the calls that wait. */
function forget({ started }: Cell): void {
  started.target = undefined
  started.others = []
  started.waitAgain = undefined
}

/** Another process takes all that comes for the peer, since this thread is blocked; returns how to wait for it. */
function readElsewhere(stage: Stage, peer: Peer): () => Promise<void> {
  const path = join(temporaryDirectory(stage), 'received')
  const file = openSync(path, 'w')
  const child = spawn('cat', [], { stdio: [peer.fd, file, 'ignore'] })
  closeSync(file)
  const closed = once(child, 'close')
  return async () => {
    await closed
    peer.took(readFileSync(path))
  }
}

/** It blocks until the peer has all that is queued, so somebody else must read it. */
async function closeBlocking(cell: Cell): Promise<void> {
  const connection = connectionOf(cell)
  if (connection.writableLength === 0 || cell.expected.call !== undefined) return connection.closeSync()
  const finished = readElsewhere(cell.stage, actingPeer(cell.stage))
  connection.closeSync()
  return finished()
}

async function moveAway(cell: Cell): Promise<void> {
  const { stage, pending } = cell
  const [from, to] = stage.carrier()
  const moving = from.sendConnection(connectionOf(cell))
  moving.catch(() => {}) // awaited below
  if (cell.expected.completes === true && cell.expected.call === undefined) await completed(cell)
  await stage.settled(moving)
  await moving
  const connection = await to.recvConnection({ timeout: 5000 })
  await stage.settled(pending.moved?.(stage, connection) ?? Promise.resolve())
  await connection.close()
}

/** The peer does its part. */
export async function completed({ stage, pending }: Cell): Promise<void> {
  if (stage.completed) return
  stage.completed = true
  await pending.complete(stage)
}

function actingPeer({ acting, peers }: Stage): Peer {
  const peer = acting ?? peers[0]
  if (peer === undefined) throw new Error('There is no peer')
  return peer
}

async function timeOut({ stage, started }: Cell): Promise<void> {
  await stage.settled(Promise.allSettled(Object.values(started.promises)))
}

export const actions: Readonly<Record<Exclude<Ending, 'worker terminated'>, Action>> = {
  completed,
  async close(cell) {
    const closing = Promise.resolve(cell.started.target?.close())
    if (cell.expected.completes === true) await completed(cell)
    await cell.stage.settled(closing)
    await closing
  },
  closeSync: closeBlocking,
  destroy: ({ started }) => started.target?.[Symbol.dispose](),
  detach: (cell) => connectionOf(cell).detach().close(),
  moved: moveAway,
  async collected(cell) {
    forget(cell)
    // What waits cannot be collected; nor is it closed.
    await collect(() => false, 4)
  },
  aborted: ({ controller }) => controller.abort(),
  async 'aborted and collected'(cell) {
    cell.controller.abort()
    await turns(1)
    forget(cell)
  },
  'timed out': timeOut,
  'timed out at once': timeOut,
  async 'timed out and collected'(cell) {
    await timeOut(cell)
    forget(cell)
  },
  async 'peer ended'({ stage, pending }) {
    await (pending.peerEnds ?? ((given: Stage) => actingPeer(given).finish()))(stage)
  },
  async 'peer reset'({ stage, pending }) {
    await (pending.peerResets ?? ((given: Stage) => actingPeer(given).close()))(stage)
  },
}
