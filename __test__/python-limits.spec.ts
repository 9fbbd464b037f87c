// Limits and waits beside Python's own, and waits through which a process is stopped.
import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { type BufferTooShort, type Connection, pipe, wait, waitSync } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { type Program, startFixture } from './support/program.ts'
import { anyPython, type Python, pythons, runPython } from './support/python.ts'
import { temporaryAddress } from './support/resources.ts'
import { accept, listen } from './support/transports.ts'
import { codeOf, turns, until, watch } from './support/until.ts'

/** A Python program with a connection to it, and how to have it do something. */
async function commanded(
  t: ExecutionContext,
  python: Python,
): Promise<{
  connection: Connection
  ask(name: string, ...args: unknown[]): Promise<void>
  answer(): Promise<unknown>
}> {
  const listener = await listen(t, temporaryAddress(t))
  runPython(t, python, 'limits.py', ['client', 'unix', String(listener.address)])
  const connection = await accept(t, listener)
  return {
    connection,
    ask: async (name, ...args) => connection.send({ name, args }),
    answer: async () => connection.recv(),
  }
}

/** Stops a program with a signal, until `resume`. */
async function stop(program: Program): Promise<void> {
  program.process.kill('SIGSTOP')
  if (process.platform !== 'linux') return
  await until(() => / [Tt] /.test(readFileSync(`/proc/${program.pid}/stat`, 'utf8')))
}

for (const python of pythons) {
  test(`Python ${python.version}: maxLength is exact, and over it both ends stay as they should`, async (t) => {
    const { connection, ask, answer } = await commanded(t, python)
    for (const [sent, maxLength] of [
      [5, 5],
      [0, 0],
      [5, 6],
      [100_000, 100_000],
    ] as const) {
      await ask('send', sent)
      t.is((await connection.recvBytes({ maxLength })).length, sent)
      t.is(await answer(), null)
      await ask('recv_bytes', maxLength)
      await connection.sendBytes(Buffer.alloc(sent))
      t.is(await answer(), sent)
    }
    await ask('recv_bytes', 4)
    await connection.sendBytes(Buffer.alloc(5))
    t.regex(String(await answer()), /bad message length|^OSError/)
    const other = await commanded(t, python)
    await other.ask('send', 5)
    t.is(await codeOf(other.connection.recvBytes({ maxLength: 4 })), 'ERR_MESSAGE_TOO_LARGE')
    await other.ask('send', 1)
    t.is(await codeOf(other.connection.recvBytes()), 'ERR_NOT_READABLE')
  })

  test(`Python ${python.version}: recvBytesInto is its recv_bytes_into, a buffer too short included`, async (t) => {
    const { connection, ask, answer } = await commanded(t, python)
    for (const [size, offset, sent] of [
      [10, 0, 10],
      [10, 4, 6],
      [10, 4, 1],
      [10, 4, 7],
      [0, 0, 1],
      [10, 10, 0],
      [10, 0, 100_000],
    ] as const) {
      await ask('send', sent)
      const target = Buffer.alloc(size)
      const ours = await connection.recvBytesInto(target, { offset }).then(
        (count) => [count, String(target)],
        (error) => [error.name, (error as BufferTooShort).data.length],
      )
      t.is(await answer(), null)
      await ask('recv_bytes_into', size, offset)
      await connection.sendBytes(Buffer.alloc(sent, 'x'))
      t.deepEqual(ours, await answer(), `${sent} bytes to ${offset} of ${size}`)
    }
  })

  test(`Python ${python.version}: its poll and wait find what was sent, and no sooner than that`, async (t) => {
    const { connection, ask, answer } = await commanded(t, python)
    await ask('poll', 0)
    t.deepEqual(await answer(), [false, true])
    await ask('poll', 0.02)
    t.deepEqual(await answer(), [false, true])
    await ask('readiness')
    t.false(await answer())
    await ask('poll_and_receive', null)
    await turns()
    await connection.sendBytes(Buffer.alloc(0))
    t.deepEqual(await answer(), [true, 0])
  })

  test(`Python ${python.version}: poll and wait find what it sent, never early, and its end`, async (t) => {
    const { connection, ask, answer } = await commanded(t, python)
    for (const timeout of [0, -1, 20, 19.5]) {
      const started = performance.now()
      t.false(await connection.poll(timeout))
      t.deepEqual(await wait([connection], timeout), [])
      t.false(connection.pollSync(timeout))
      t.deepEqual(waitSync([connection], timeout), [])
      t.true(performance.now() - started >= 4 * timeout)
    }
    await ask('send', 0)
    t.true(await connection.poll(null))
    t.deepEqual(await wait([connection]), [connection])
    t.true(connection.pollSync(null))
    t.deepEqual(waitSync([connection]), [connection])
    t.is((await connection.recvBytes()).length, 0)
    t.is(await answer(), null)
    await ask('leave')
    t.true(await connection.poll(null))
    t.deepEqual(waitSync([connection]), [connection])
    t.is(await codeOf(connection.recvBytes()), 'ERR_EOF')
  })

  test(`Python ${python.version}: while it is stopped, waits end in time, and nothing is lost when it goes on`, async (t) => {
    const listener = await listen(t, temporaryAddress(t))
    const program = runPython(t, python, 'echo.py', ['client', 'unix', String(listener.address)])
    const connection = await accept(t, listener)
    await connection.sendBytes(Buffer.from('running'))
    t.is(String(await connection.recvBytes()), 'running')
    await stop(program)
    const data = pattern(4 << 20)
    const sent = watch(connection.sendBytes(data))
    const waiting = watch(connection.recvBytes())
    t.false(await connection.poll(30))
    t.deepEqual(await wait([connection], 30), [])
    t.is(await codeOf(connection.recvBytes({ timeout: 30 })), 'ERR_TIMEOUT')
    t.throws(() => connection.sendBytesSync(Buffer.from('behind'), { timeout: 30 }), { code: 'ERR_TIMEOUT' })
    t.false(sent.settled)
    t.false(waiting.settled)
    program.process.kill('SIGCONT')
    t.true((await waiting.promise).equals(data))
    await sent.promise
    t.is(String(await connection.recvBytes()), 'behind')
    await connection.close()
    await program.finish()
  })
}

const calls = ['recvBytes', 'recvBytesSync', 'recvMany', 'recvManySync', 'poll', 'pollSync', 'wait', 'waitSync']

for (const call of calls) {
  const data = !call.startsWith('poll') && !call.startsWith('wait')

  test(`${call}: goes on when the process was stopped in the middle, with what came meanwhile`, async (t) => {
    const [ours, theirs] = pipe()
    t.teardown(() => ours.destroy())
    const program = startFixture(t, 'waits-through.ts', [call], { inherit: [theirs.fd] })
    theirs.destroy()
    t.is(await program.line(), 'waiting')
    for (let times = 0; times < 3; times++) {
      await stop(program)
      program.process.kill('SIGCONT')
    }
    await stop(program)
    await ours.sendBytes(Buffer.from('meanwhile'))
    program.process.kill('SIGCONT')
    t.deepEqual(JSON.parse(await program.line()), { outcome: data ? 'meanwhile' : true, early: false })
    await program.finish()
  })

  // Not beside the others, whose blocking calls would hold up its signals.
  test.serial(`${call}: is over in time, not early, when the process was stopped in the middle`, async (t) => {
    const [ours, theirs] = pipe()
    t.teardown(() => ours.destroy())
    const program = startFixture(t, 'waits-through.ts', [call, '1000'], { inherit: [theirs.fd] })
    theirs.destroy()
    t.is(await program.line(), 'waiting')
    await stop(program)
    program.process.kill('SIGCONT')
    t.deepEqual(JSON.parse(await program.line()), { outcome: data ? 'ERR_TIMEOUT' : false, early: false })
    await program.finish()
  })
}

test('a peer that is killed while it is stopped is at its end', async (t) => {
  const listener = await listen(t, temporaryAddress(t))
  const program = runPython(t, anyPython(), 'echo.py', ['client', 'unix', String(listener.address)])
  const connection = await accept(t, listener)
  await stop(program)
  const waiting = codeOf(connection.recvBytes())
  program.process.kill('SIGKILL')
  t.is(await waiting, 'ERR_EOF')
})
