// One trial: a server and a client process of one peer, and the line of JSON the client prints.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const LONGEST = 60_000

/** What a work does not set. */
const DEFAULTS = { size: 64, burst: 1, connections: 1, idle: 0, attended: 0, gc: 0, receive: 'each' }

const reasonIn = (stderr) => {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  return (lines.find((line) => /^\s*\w*(error|panicked)\b/i.test(line)) ?? lines.at(-1) ?? '').trim()
}

/** A process with its output; `exited` is its exit, or a failure to start it. */
const start = ([command, ...args]) => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const program = { child, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (program.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (program.stderr += text))
  program.exited = once(child, 'close').then(
    ([code, signal]) => reasonIn(program.stderr) || `it exited with ${signal ?? code}`,
    (error) => error.message,
  )
  return program
}

const untilReady = async (program) => {
  const ready = new Promise((resolve) => {
    program.child.stdout.on('data', () => program.stdout.includes('ready') && resolve())
  })
  const failure = await Promise.race([ready, program.exited])
  if (failure) throw new Error(failure)
}

const stop = async ({ child, exited }) => {
  child.kill('SIGKILL')
  await exited
}

/** Samples the resident MiB of a process every 20 ms. */
const watchMemory = (pid) => {
  const samples = []
  const sample = () => {
    const file = `/proc/${pid}/status`
    const resident = existsSync(file) && readFileSync(file, 'utf8').match(/^VmRSS:\s*(\d+)/m)
    if (resident) samples.push(Number(resident[1]) / 1024)
  }
  const timer = setInterval(sample, 20)
  const stop = () => clearInterval(timer)
  const result = () => {
    const third = Math.floor(samples.length / 3)
    const last = Math.max(...samples.slice(-third))
    return { peak: Math.max(...samples), growth: last / Math.max(...samples.slice(third, -third)) }
  }
  return { stop, result }
}

/** Runs `contender` once; throws an Error with the reason when there is no result. */
export async function trial(work, contender, { cpu, times }) {
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-benchmark-'))
  const params = {
    ...DEFAULTS,
    ...times,
    ...work.params,
    ...contender.peer.params,
    ...contender.params,
    specifier: contender.peer.specifier,
    server: work.server,
    address: join(directory, 's'),
  }
  const pairs = Object.entries(params).map(([key, value]) => `${key}=${value}`)
  const pinned = cpu === undefined ? [] : ['taskset', '-c', String(cpu)]
  const command = (program, role, name) => [...pinned, ...(program ?? contender.peer.command()), role, name, ...pairs]

  let server
  let memory
  try {
    if (work.server && !contender.peer.startsServer) {
      server = start(command(work.serverProgram, 'server', work.server))
      await untilReady(server)
    }
    if (work.watchMemory) memory = watchMemory(server.child.pid)
    const client = start(command(work.clientProgram, 'client', work.client))
    const timer = setTimeout(() => client.child.kill('SIGKILL'), LONGEST)
    const failure = await client.exited
    clearTimeout(timer)
    if (!client.stdout.endsWith('}\n')) throw new Error(reasonIn(server?.stderr ?? '') || failure)
    return { ...JSON.parse(client.stdout), ...memory?.result() }
  } finally {
    memory?.stop()
    if (server) await stop(server)
    rmSync(directory, { recursive: true })
  }
}
