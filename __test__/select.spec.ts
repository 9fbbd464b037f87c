import test from 'ava'
import { select, selectSync } from '../index.ts'
import { closedNumber, ends, fill, put, take } from './support/ends.ts'
import { openFile } from './support/resources.ts'
import { connected } from './support/transports.ts'

const ways = {
  select,
  selectSync: async (...args: Parameters<typeof selectSync>) => selectSync(...args),
}

for (const [name, ask] of Object.entries(ways)) {
  test(`${name}, test_error_conditions, test_errno: what is no list, descriptor or time is refused`, async (t) => {
    const type = { code: 'ERR_INVALID_ARG_TYPE' }
    await t.throwsAsync(ask(1 as never, [], []), type)
    await t.throwsAsync(ask([], null as never, []), type)
    await t.throwsAsync(ask([{} as never], [], []), type)
    await t.throwsAsync(ask(['a' as never], [], []), type)
    await t.throwsAsync(ask([], [], [], 'not a number' as never), type)
    await t.throwsAsync(ask([], [], [], Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(ask([-1], [], []), { code: 'EBADF' })
    await t.throwsAsync(ask([closedNumber()], [], []), { code: 'EBADF' })
    const [end] = ends(t)
    end.close()
    await t.throwsAsync(ask([end], [], []), { code: 'ERR_CLOSED' })
  })

  test(`${name}, test_returned_list_identity: fresh lists of the same objects, in the order given`, async (t) => {
    const [end, peer] = ends(t)
    put(peer)
    const read = [end, peer, end]
    const [readable, writable, exceptional] = await ask(read, [end.fd, peer], [end])
    t.deepEqual([readable, writable, exceptional], [[end, end], [end.fd, peer], []])
    t.is(readable[0], end)
    t.not(readable as unknown, read)
  })

  test(`${name}, test_select: nothing until there is something, the end included`, async (t) => {
    const [reader, writer] = ends(t, false)
    t.deepEqual(await ask([reader], [], [], 0), [[], [], []])
    put(writer)
    t.deepEqual(await ask([reader], [], []), [[reader], [], []])
    take(reader)
    writer.close()
    t.deepEqual(await ask([reader], [], []), [[reader], [], []])
    t.deepEqual(await ask([], [], [reader], 5), [[], [], []], 'a hang-up is not exceptional')
    const file = openFile(t)
    t.deepEqual(await ask([file], [file], [], null), [[file], [file], []], 'files are always ready')
    const [full, other] = ends(t)
    fill(full)
    t.deepEqual(await ask([other], [full, other], [full]), [[other], [other], []])
  })

  test(`${name}: three empty lists wait for the time alone`, async (t) => {
    const start = performance.now()
    t.deepEqual(await ask([], [], [], 10.5), [[], [], []])
    t.true(performance.now() - start >= 10.5)
    t.deepEqual(await ask([], [], [], -5), [[], [], []])
  })

  test(`${name}, test_select_mutated: a list that changes while it is looked at`, async (t) => {
    const [end] = ends(t)
    const list: { readonly fd: number }[] = []
    const shrinking = {
      get fd() {
        list.pop()
        return end.fd
      },
    }
    for (let index = 0; index < 10; index++) list.push(shrinking)
    t.is((await ask([], list, [], 0))[1].length, 10)
    t.is(list.length, 0)
  })

  test(`${name}: what a connection has read ahead is readable`, async (t) => {
    const [connection, peer] = await connected(t, 'unix')
    await peer.sendBytes(Buffer.from('first'))
    await peer.sendBytes(Buffer.from('second'))
    await connection.recvBytes()
    t.deepEqual(await ask([connection], [], []), [[connection], [], []])
    await connection.recvBytes()
    t.deepEqual(await ask([connection], [], [], 0), [[], [], []])
  })
}

test('what becomes ready later ends the wait, and so does an abort', async (t) => {
  const [end, peer] = ends(t)
  const reading = select([end], [], [end])
  setImmediate(() => put(peer))
  t.deepEqual(await reading, [[end], [], []])
  take(end)
  const read = fill(end)
  const writing = select([], [end], [])
  setImmediate(() => take(peer, read))
  t.deepEqual(await writing, [[], [end], []])
  await t.throwsAsync(select([], [], [end], { signal: AbortSignal.timeout(5) }), { code: 'ABORT_ERR' })
})

test('several selects may wait at once', async (t) => {
  const [end, peer] = ends(t)
  const waiting = [select([end], [], []), select([end], [], [])]
  setImmediate(() => put(peer))
  t.deepEqual(
    await Promise.all(waiting),
    waiting.map(() => [[end], [], []]),
  )
})
