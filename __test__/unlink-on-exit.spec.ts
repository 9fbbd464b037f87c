import { once } from 'node:events'
import { chmodSync, existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { Listener, OwnedFd } from '../index.ts'
import { type Outcome, startFixture } from './support/program.ts'
import { temporaryAddress } from './support/resources.ts'
import { accept, dial } from './support/transports.ts'
import { codeOf } from './support/until.ts'

/** How a program ends that listens, and whether its file is left. */
async function ending(t: ExecutionContext, ...args: string[]): Promise<Outcome & { left: boolean }> {
  const path = temporaryAddress(t)
  const program = startFixture(t, 'unlink-on-exit.ts', [path, ...args])
  await program.line()
  t.true(existsSync(path))
  const signal = args.find((arg) => arg.startsWith('SIG'))
  if (signal !== undefined) program.process.kill(signal as NodeJS.Signals)
  else program.tell('end')
  const outcome = await program.outcome()
  return { ...outcome, left: existsSync(path) }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  test(`${signal} removes the file and ends the process as it would have`, async (t) => {
    t.like(await ending(t, signal), { signal, left: false })
    t.like(await ending(t, signal, 'temporary'), { signal })
    t.like(await ending(t, signal, 'plain'), { signal, left: true })
  })

  test(`${signal}: a handler of the program's own decides, and the exit removes the file`, async (t) => {
    const outcome = await ending(t, signal, 'handles')
    t.like(outcome, { code: 7, signal: null, left: false })
    t.deepEqual(outcome.lines, ['handled, file: true'])
  })

  test(`${signal}: so does one that is called once, and was there before`, async (t) => {
    t.like(await ending(t, signal, 'once'), { code: 0, signal: null, left: false })
  })

  test(`${signal}: once the listener is closed the signal does what it did`, async (t) => {
    const outcome = await ending(t, signal, 'closes')
    t.like(outcome, { signal, left: false })
    t.is(outcome.stderr, '')
  })

  test(`${signal}: beside signal-exit, which waits for all other handlers to be gone`, async (t) => {
    const outcome = await ending(t, signal, 'signal-exit')
    t.like(outcome, { signal, left: false })
    t.deepEqual(outcome.lines, ['signal-exit'])
  })
}

for (const way of ['exit', 'throw', 'empty'] as const) {
  test(`an end by ${way} removes the file`, async (t) => {
    const { code, left } = await ending(t, way)
    t.deepEqual([code, left], [{ exit: 3, throw: 1, empty: 0 }[way], false])
  })
}

test('a file that is somebody else’s by now stays', async (t) => {
  const path = temporaryAddress(t)
  const program = startFixture(t, 'unlink-on-exit.ts', [path])
  await program.line()
  renameSync(path, `${path}-moved`)
  writeFileSync(path, 'of somebody else')
  program.process.kill('SIGTERM')
  t.is((await program.outcome()).signal, 'SIGTERM')
  t.true(existsSync(path))
})

test('many listeners with the option leave no handler behind, and no warning', async (t) => {
  const before = process.listenerCount('SIGTERM')
  const listeners = await Promise.all(
    Array.from({ length: 20 }, () => Listener.listen(temporaryAddress(t), { unlinkOnExit: true })),
  )
  t.is(process.listenerCount('SIGTERM'), before + 1)
  for (const listener of listeners) listener.closeSync()
  t.is(process.listenerCount('SIGTERM'), before)
})

test('a worker is told that it gets no signals', async (t) => {
  const worker = new Worker(new URL('fixtures/unlink-on-exit-worker.ts', import.meta.url))
  const [code] = await once(worker, 'message')
  t.is(code, 'ERR_INVALID_STATE')
  await worker.terminate()
})

test('fromFd and toListener: unlink and mode apply to the file at the path, the backlog to the socket', async (t) => {
  const path = temporaryAddress(t)
  const first = await Listener.listen(path, { unlink: false })
  chmodSync(path, 0o755)
  const options = { unlink: true, mode: 0o600, backlog: 1, replaceStale: true }
  const second = OwnedFd.dup(first).toListener(options)
  first.closeSync()
  t.is(statSync(path).mode & 0o777, 0o600)
  const client = await dial(t, path)
  await client.sendBytes(Buffer.from('hello'))
  const server = await accept(t, second)
  t.is(String(await server.recvBytes()), 'hello')
  const waiting = await Promise.all([dial(t, path), dial(t, path)])
  t.is(waiting.length, 2)
  t.is(await codeOf(dial(t, path, { timeout: 20 })), 'ERR_TIMEOUT')
  await second.close()
  t.false(existsSync(path))
})

test('fromFd: the file stays by default, when it is replaced, and when adopting fails', async (t) => {
  for (const options of [undefined, {}, { unlink: false }]) {
    const path = temporaryAddress(t)
    const listener = await Listener.listen(path, { unlink: false })
    OwnedFd.dup(listener).toListener(options).closeSync()
    ;(await Listener.listen({ fd: listener.fd }, options)).closeSync()
    t.true(existsSync(path))
    listener.closeSync()
  }
  const path = temporaryAddress(t)
  const listener = await Listener.listen(path, { unlink: false })
  const adopted = OwnedFd.dup(listener).toListener({ unlink: true })
  renameSync(path, `${path}-moved`)
  const other = await Listener.listen(path)
  adopted.closeSync()
  t.true(existsSync(path))
  const owned = OwnedFd.dup(listener)
  t.throws(() => owned.toListener({ unlink: true, mode: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.not(owned.fd, -1)
  owned.close()
  other.closeSync()
  listener.closeSync()
  const internet = await Listener.listen({ port: 0 })
  OwnedFd.dup(internet).toListener({ unlink: true, mode: 0o600 }).closeSync()
  internet.closeSync()
})
