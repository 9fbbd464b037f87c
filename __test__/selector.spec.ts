import { closeSync } from 'node:fs'
import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import test from 'ava'
import {
  EVENT_PRIORITY,
  EVENT_RDHUP,
  EVENT_READ,
  EVENT_WRITE,
  type FdLike,
  Listener,
  OwnedFd,
  pipe,
  type Ready,
  Selector,
} from '../index.ts'
import { closedNumber, copyAs, ends, fill, put, take } from './support/ends.ts'
import { report } from './support/program.ts'
import { isOpen, openFile, type Scope, temporaryAddress } from './support/resources.ts'
import { connected, dial } from './support/transports.ts'
import { codeOf, turns, until, watch } from './support/until.ts'

function open<Data = unknown>(scope: Scope, ...args: ConstructorParameters<typeof Selector>): Selector<Data> {
  const selector = new Selector<Data>(...args)
  scope.teardown(() => selector.close())
  return selector
}

/** Objects and events, for comparing. */
function seen(ready: readonly Ready[]): [FdLike, number][] {
  return ready.map(({ key, events }) => [key.fileObj, events])
}

/** The same by descriptor, whose order is the system's. */
function seenByFd(ready: readonly Ready[]): Record<number, number> {
  return Object.fromEntries(ready.map(({ key, events }) => [key.fd, events]))
}

const invalid = { code: 'ERR_INVALID_ARG_VALUE' }
const both = EVENT_READ | EVENT_WRITE
/** Each way to ask must give the same. */
const ways = {
  select: (selector: Selector, timeout?: number | null) => selector.select(timeout),
  selectSync: async (selector: Selector, timeout?: number | null) => selector.selectSync(timeout),
}

test('test_register: the key says what was registered', (t) => {
  const selector = open<string>(t)
  const [end] = ends(t)
  const key = selector.register(end, EVENT_READ, 'data')
  t.is(key.fileObj, end)
  t.is(key.fd, end.fd)
  t.is(key.events, EVENT_READ)
  t.is(key.data, 'data')
  t.is(selector.getKey(end), key)
  t.is(selector.getKey(end.fd), key, 'also by descriptor')
  t.true(Object.isFrozen(key))
})

test('test_register: other events, no descriptors and what is registered already are refused', (t) => {
  const selector = open(t)
  const [end, other] = ends(t)
  for (const events of [0, 4, 8, 1.5, -1, 999_999, Number.NaN]) t.throws(() => selector.register(end, events), invalid)
  t.throws(() => selector.register(end, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => selector.register('abc' as never, EVENT_READ), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => selector.register({} as never, EVENT_READ), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => selector.register(-1, EVENT_READ), { code: 'EBADF' })
  t.throws(() => selector.register(1.5, EVENT_READ), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => selector.register(closedNumber(), EVENT_READ), { code: 'EBADF' })
  t.throws(() => selector.register(end, EVENT_READ, null, { edge: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => selector.register(end, EVENT_READ, null, 5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(selector.getMap().size, 0)
  selector.register(end, EVENT_READ)
  t.throws(() => selector.register(end, EVENT_WRITE), invalid)
  t.throws(() => selector.register(end.fd, EVENT_READ), invalid, 'the same descriptor as another object')
  t.is(selector.getKey(end).events, EVENT_READ)
  other.close()
  t.throws(() => selector.register(other, EVENT_READ), { code: 'ERR_CLOSED' })
  t.throws(() => new Selector({ regularFiles: 'perhaps' as never }), invalid)
  t.throws(() => new Selector(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('test_unregister: gives the key back, once', (t) => {
  const selector = open(t)
  const [end] = ends(t)
  const key = selector.register(end, EVENT_READ)
  t.is(selector.unregister(end), key)
  t.throws(() => selector.unregister(end), invalid)
  t.throws(() => selector.unregister(99_999), invalid)
  selector.register(end, EVENT_WRITE)
  t.is(selector.unregister(end.fd).fileObj, end)
})

for (const [how, object] of [
  ['a number', (end: OwnedFd) => end.fd],
  ['an object', (end: OwnedFd) => end],
] as const) {
  test(`test_unregister_after_fd_close: ${how} that was closed`, (t) => {
    const selector = open(t)
    const registered = ends(t).map((end) => {
      const fileObj = object(end)
      return [end, fileObj, selector.register(fileObj, both)] as const
    })
    for (const [end, fileObj, key] of registered) {
      end.close()
      t.is(selector.unregister(fileObj), key)
    }
    t.deepEqual(selector.selectSync(0), [])
  })
}

test('test_unregister_after_fd_close_and_reuse: the new file of that number is not watched, and may be', (t) => {
  const selector = open(t)
  const [old] = ends(t)
  const number = old.fd
  selector.register(old, EVENT_WRITE, 'old')
  const kept = old.dup()
  t.teardown(() => kept.close())
  const [fresh] = ends(t)
  old.close()
  const reused = copyAs(t, fresh, number)
  selector.register(reused, EVENT_READ, 'new')
  t.is(selector.getKey(number).data, 'new')
  t.deepEqual(selector.selectSync(0), [], 'the old file is open elsewhere and writable, which concerns nobody')
  t.is(selector.unregister(old).data, 'old')
  t.is(selector.getKey(reused).data, 'new')
  t.is(selector.unregister(reused).data, 'new')
})

test('a number that was closed and is open again can be registered again', (t) => {
  const selector = open<string>(t)
  const [old, peer] = ends(t)
  const number = old.fd
  selector.register(number, EVENT_WRITE, 'old')
  old.close()
  copyAs(t, peer, number)
  selector.register(number, EVENT_READ, 'new')
  t.is(selector.getMap().size, 1)
  t.deepEqual(
    selector.selectSync(0).map(({ key, events }) => [key.data, events]),
    [['new', EVENT_READ]],
    'its peer is gone',
  )
  t.is(selector.unregister(number).data, 'new')
})

test('test_modify: events, data and options are replaced, the object stays', async (t) => {
  const selector = open<string | undefined>(t)
  const [end, peer] = ends(t)
  const first = selector.register(end, EVENT_READ, 'one')
  const second = selector.modify(end, EVENT_WRITE, 'two')
  t.is(second.fileObj, end)
  t.deepEqual([first.events, first.data, second.events, second.data], [EVENT_READ, 'one', EVENT_WRITE, 'two'])
  t.is(selector.getKey(end), second)
  t.deepEqual(seen(await selector.select()), [[end, EVENT_WRITE]])
  selector.modify(end, EVENT_READ)
  t.is(selector.getKey(end).data, undefined)
  t.deepEqual(await selector.select(0), [])
  put(peer)
  t.deepEqual(seen(selector.selectSync()), [[end, EVENT_READ]])
})

test('test_modify: validates, unlike Python', (t) => {
  const selector = open(t)
  const [end] = ends(t)
  t.throws(() => selector.modify(end, EVENT_READ), invalid)
  selector.register(end, EVENT_READ, 'kept')
  for (const events of [0, 4, 8, 99]) t.throws(() => selector.modify(end, events), invalid)
  t.deepEqual([selector.getKey(end).events, selector.getKey(end).data], [EVENT_READ, 'kept'])
})

test('test_modify_unregister: what the system refuses is not registered any more', (t) => {
  const selector = open(t)
  const [end] = ends(t)
  selector.register(end, EVENT_READ)
  end.close()
  t.throws(() => selector.modify(end, EVENT_WRITE), { code: 'EBADF' })
  t.throws(() => selector.getKey(end), { code: 'ERR_CLOSED' })
  t.is(selector.getMap().size, 0)
})

test('test_close and test_context_manager: everything refuses afterwards, and closing again does nothing', async (t) => {
  const [end] = ends(t)
  let outer: Selector
  {
    using selector = new Selector()
    outer = selector
    selector.register(end, EVENT_WRITE)
    t.false(selector.closed)
    t.true(isOpen(selector.fd))
  }
  outer.close()
  t.true(outer.closed)
  t.is(outer.fd, -1)
  const closed = { code: 'ERR_CLOSED' }
  t.throws(() => outer.register(end, EVENT_READ), closed)
  t.throws(() => outer.modify(end, EVENT_READ), closed)
  t.throws(() => outer.unregister(end), closed)
  t.throws(() => outer.getKey(end), closed)
  t.throws(() => outer.getMap(), closed)
  t.throws(() => outer.selectSync(0), closed)
  await t.throwsAsync(outer.select(), closed)
  for await (const _ of outer) t.fail('it gives nothing')
  t.is(outer.ref().unref(), outer)
})

test('test_get_map: a live, read-only view by object', (t) => {
  const selector = open<string>(t)
  const map = selector.getMap()
  t.is(map, selector.getMap())
  t.is(map.size, 0)
  const [end, other] = ends(t)
  const key = selector.register(end, EVENT_READ, 'data')
  t.is(map.size, 1)
  t.true(map.has(end))
  t.is(map.get(end), key)
  t.is(map.get(other), undefined)
  t.deepEqual([...map], [[end, key]])
  t.deepEqual([...map.keys()], [end])
  t.deepEqual([...map.values()], [key])
  t.deepEqual([...map.entries()], [[end, key]])
  map.forEach((value, object, view) => t.deepEqual([value, object, view], [key, end, map]))
  t.false('set' in map || 'delete' in map || 'clear' in map)
  selector.modify(end, EVENT_WRITE, 'other')
  t.is(map.get(end)?.data, 'other')
  selector.close()
  t.is(map.size, 0)
  t.deepEqual([...map], [])
})

test('test_fileno: its own descriptor is readable while something is', (t) => {
  const inner = open(t)
  const outer = open(t)
  const [end, peer] = ends(t)
  inner.register(end, EVENT_READ)
  outer.register(inner, EVENT_READ)
  t.deepEqual(outer.selectSync(0), [])
  put(peer)
  t.deepEqual(seen(outer.selectSync()), [[inner, EVENT_READ]])
})

test('it is shown with its descriptor and size', (t) => {
  const selector = open(t)
  selector.register(ends(t)[0], EVENT_READ)
  t.regex(inspect(selector), /^Selector { fd: \d+, size: 1 }$/)
  selector.close()
  t.is(inspect(selector), 'Selector { fd: -1, closed }')
})

for (const [name, select] of Object.entries(ways)) {
  test(`${name}, test_select: what is ready, and nothing else`, async (t) => {
    const selector = open(t)
    const [end, peer] = ends(t)
    const [idle] = ends(t)
    selector.register(idle, EVENT_READ)
    selector.register(end, EVENT_READ, 'data')
    t.deepEqual(await select(selector, 0), [])
    put(peer)
    const [ready, ...others] = await select(selector)
    t.is(ready?.key, selector.getKey(end))
    t.is(ready?.events, EVENT_READ)
    t.deepEqual(others, [])
    t.deepEqual(seen(await select(selector)), [[end, EVENT_READ]], 'level-triggered: it is unread')
    take(end)
    t.deepEqual(await select(selector, 0), [])
  })

  test(`${name}, test_select_read_write: both in one result, and only what was asked for`, async (t) => {
    const selector = open(t)
    const [end, peer] = ends(t)
    selector.register(end, both)
    selector.register(peer, EVENT_READ)
    t.deepEqual(seen(await select(selector)), [[end, EVENT_WRITE]])
    put(peer)
    t.deepEqual(seen(await select(selector)), [[end, both]])
    fill(end)
    t.deepEqual(seenByFd(await select(selector)), { [end.fd]: EVENT_READ, [peer.fd]: EVENT_READ })
  })

  test(`${name}: a hang-up is all that was asked for`, async (t) => {
    const selector = open(t)
    const [reader, writer] = ends(t, false)
    const [otherReader, otherWriter] = ends(t, false)
    selector.register(reader, EVENT_READ)
    selector.register(otherWriter, EVENT_WRITE)
    fill(otherWriter)
    t.deepEqual(await select(selector, 0), [])
    writer.close()
    t.deepEqual(seen(await select(selector)), [[reader, EVENT_READ]])
    selector.unregister(reader)
    otherReader.close()
    t.deepEqual(seen(await select(selector)), [[otherWriter, EVENT_WRITE]])
  })

  test(`${name}, test_timeout: nothing comes back early, nothing before the time is over`, async (t) => {
    const selector = open(t)
    const [end, peer] = ends(t)
    selector.register(end, EVENT_READ)
    for (const timeout of [0, -1, -Infinity]) t.deepEqual(await select(selector, timeout), [])
    for (const timeout of [20, 1.5]) {
      const start = performance.now()
      t.deepEqual(await select(selector, timeout), [])
      t.true(performance.now() - start >= timeout)
    }
    put(peer)
    for (const timeout of [0, null, Infinity, 1e300, undefined]) {
      t.deepEqual(seen(await select(selector, timeout)), [[end, EVENT_READ]])
    }
    await t.throwsAsync(select(selector, Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
    await t.throwsAsync(select(selector, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  })

  test(`${name}, test_empty_select: nothing registered is nothing ready`, async (t) => {
    const selector = open(t)
    const start = performance.now()
    t.deepEqual(await select(selector, 0), [])
    t.deepEqual(await select(selector, 10), [])
    t.true(performance.now() - start >= 10)
  })

  test(`${name}, test_selector: many pairs, each written to in turn`, async (t) => {
    const selector = open<number>(t)
    const pairs = Array.from({ length: 12 }, () => ends(t))
    pairs.forEach(([end], index) => selector.register(end, EVENT_READ, index))
    for (const [index, [, peer]] of pairs.entries()) {
      put(peer, `message ${index}`)
      const [ready] = (await select(selector)) as Ready<number>[]
      t.is(ready?.key.data, index)
      t.is(take(ready!.key.fileObj as OwnedFd), `message ${index}`)
    }
  })

  test(`${name}: edge, oneshot, rdhup and no interest`, async (t) => {
    const selector = open(t)
    const [edge, edgePeer] = ends(t)
    const [once, oncePeer] = ends(t)
    selector.register(edge, EVENT_READ, null, { edge: true })
    selector.register(once, EVENT_READ, null, { oneshot: true })
    put(edgePeer)
    put(oncePeer)
    const results = [await select(selector), await select(selector, 0)].flat()
    t.deepEqual(seenByFd(results), { [edge.fd]: EVENT_READ, [once.fd]: EVENT_READ })
    t.deepEqual(await select(selector, 0), [], 'neither is reported again')
    put(edgePeer)
    put(oncePeer)
    t.deepEqual(seen(await select(selector)), [[edge, EVENT_READ]], 'a change is; oneshot is not')
    selector.modify(once, EVENT_READ, null, { oneshot: true })
    t.deepEqual(seen(await select(selector)), [[once, EVENT_READ]], 'until it is modified')

    const [half, halfPeer] = await connected(t, 'unix')
    selector.register(half, 0, null, { rdhup: true })
    t.deepEqual(await select(selector, 0), [])
    halfPeer.destroy()
    t.deepEqual(seen(await select(selector)), [[half, EVENT_RDHUP]])
  })

  test(`${name}, test_register_file: regular files are EPERM, or always ready`, async (t) => {
    const file = openFile(t, 'content')
    const refusing = open(t)
    t.throws(() => refusing.register(file, EVENT_READ), { code: 'EPERM' })
    t.is(refusing.getMap().size, 0)

    const selector = open(t, { regularFiles: 'ready' })
    const [end] = ends(t)
    selector.register(end, EVENT_READ)
    selector.register(file, both)
    t.throws(() => selector.register(file.fd, both), invalid)
    t.deepEqual(seen(await select(selector)), [[file, both]])
    selector.modify(file, EVENT_WRITE)
    t.deepEqual(seen(await select(selector)), [[file, EVENT_WRITE]])
    selector.modify(file, EVENT_READ, null, { oneshot: true })
    t.deepEqual(seen(await select(selector)), [[file, EVENT_READ]])
    t.deepEqual(await select(selector, 0), [])
    selector.unregister(file)
    t.deepEqual(await select(selector, 0), [])
  })

  test(`${name}: a regular file that was closed is ready no more, nor is its successor`, async (t) => {
    const selector = open(t, { regularFiles: 'ready' })
    const file = OwnedFd.dup(openFile(t))
    const otherFile = openFile(t)
    const number = file.fd
    selector.register(number, EVENT_READ)
    t.is((await select(selector)).length, 1)
    file.close()
    t.deepEqual(await select(selector, 0), [])
    const other = copyAs(t, otherFile, number)
    t.deepEqual(await select(selector, 0), [])
    selector.register(other, EVENT_READ)
    t.deepEqual(seen(await select(selector)), [[other, EVENT_READ]])
  })

  test(`${name}: a closed object drops out, though its file is open elsewhere`, async (t) => {
    const selector = open(t)
    const [end, peer] = ends(t)
    const copy = end.dup()
    t.teardown(() => copy.close())
    put(peer)
    selector.register(end, EVENT_READ)
    t.is((await select(selector)).length, 1)
    end.close()
    t.deepEqual(await select(selector, 5), [])
    t.is(selector.unregister(end).fileObj, end)
  })

  test(`${name}: what a connection has read ahead is readable`, async (t) => {
    const selector = open(t)
    const [connection, peer] = await connected(t, 'unix')
    await peer.sendBytes(Buffer.from('first'))
    await peer.sendBytes(Buffer.from('second'))
    t.is(String(await connection.recvBytes()), 'first')
    selector.register(connection, EVENT_READ)
    t.deepEqual(seen(await select(selector)), [[connection, EVENT_READ]])
    selector.modify(connection, both)
    t.deepEqual(seen(await select(selector)), [[connection, both]])
    selector.modify(connection, EVENT_WRITE)
    t.deepEqual(seen(await select(selector)), [[connection, EVENT_WRITE]])
    selector.modify(connection, EVENT_READ, null, { oneshot: true })
    t.deepEqual(seen(await select(selector)), [[connection, EVENT_READ]])
    t.deepEqual(await select(selector, 0), [])
    selector.modify(connection, EVENT_READ)
    t.is(String(await connection.recvBytes()), 'second')
    t.deepEqual(await select(selector, 0), [])
    await peer.sendBytes(Buffer.from('third'))
    t.deepEqual(seen(await select(selector)), [[connection, EVENT_READ]])
    selector.unregister(connection)
    t.deepEqual(await select(selector, 0), [])
  })
}

test('urgent data is reported where asked for', async (t) => {
  // A Node socket cannot send it; Python's can.
  const { events } = await report<{ events: number }>(t, 'urgent.ts')
  t.is(events, EVENT_PRIORITY)
})

test('options that exclude each other are the kernel’s EINVAL, and nothing is registered', (t) => {
  const selector = open(t)
  const [end] = ends(t)
  t.throws(() => selector.register(end, EVENT_READ, null, { exclusive: true, oneshot: true }), { code: 'EINVAL' })
  selector.register(end, EVENT_READ, null, { exclusive: true, edge: true })
  t.is(selector.modify(end, EVENT_WRITE, null, { exclusive: true }).events, EVENT_WRITE)
})

test('a listener is readable while somebody wants to connect', async (t) => {
  const selector = open(t)
  const listener = await Listener.listen(temporaryAddress(t))
  t.teardown(() => listener.close())
  selector.register(listener, EVENT_READ)
  t.deepEqual(await selector.select(0), [])
  const [, ready] = await Promise.all([dial(t, listener.address), selector.select()])
  t.deepEqual(seen(ready), [[listener, EVENT_READ]])
  ;(await listener.accept()).destroy()
  t.deepEqual(await selector.select(0), [])
})

test('a message that another receive read ahead ends a select that waits', async (t) => {
  const selector = open(t)
  const [connection, peer] = await connected(t, 'unix')
  selector.register(connection, EVENT_READ)
  const selecting = selector.select()
  await peer.sendBytes(Buffer.from('first'))
  await peer.sendBytes(Buffer.from('second'))
  t.is(String(await connection.recvBytes()), 'first') // which took both from the kernel
  t.deepEqual(seen(await selecting), [[connection, EVENT_READ]])
})

test('one select at a time', async (t) => {
  const selector = open(t)
  const [end, peer] = ends(t)
  selector.register(end, EVENT_READ)
  const selecting = selector.select()
  const state = { code: 'ERR_INVALID_STATE' }
  await t.throwsAsync(selector.select(0), state)
  t.throws(() => selector.selectSync(0), state)
  put(peer)
  t.deepEqual(seen(await selecting), [[end, EVENT_READ]], 'the first is not disturbed')
  t.is((await selector.select()).length, 1)
})

test('closing rejects the select that waits', async (t) => {
  const selector = open(t)
  const [end] = ends(t)
  selector.register(end, EVENT_READ)
  const selecting = codeOf(selector.select({ timeout: 60_000 }))
  selector.close()
  t.is(await selecting, 'ERR_CLOSED')
})

test('an aborted select loses nothing, and leaves no listener', async (t) => {
  const selector = open(t)
  const [end, peer] = ends(t)
  selector.register(end, EVENT_READ, null, { oneshot: true })
  const controller = new AbortController()
  const { signal } = controller
  const selecting = t.throwsAsync(selector.select({ signal }), { name: 'AbortError', code: 'ABORT_ERR' })
  controller.abort('enough')
  put(peer)
  t.is((await selecting)?.cause, 'enough')
  await t.throwsAsync(selector.select({ signal }), { code: 'ABORT_ERR' })
  t.deepEqual(seen(await selector.select({ signal: new AbortController().signal })), [[end, EVENT_READ]])
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('registering, modifying and unregistering take effect while a select waits', async (t) => {
  const selector = open(t)
  const [first, firstPeer] = ends(t)
  const [second, secondPeer] = ends(t)
  put(secondPeer)
  let selecting = selector.select()
  await turns()
  selector.register(second, EVENT_READ)
  t.deepEqual(seen(await selecting), [[second, EVENT_READ]], 'registered while it waits')
  selector.unregister(second)

  selector.register(first, EVENT_READ)
  selecting = selector.select()
  await turns()
  selector.modify(first, EVENT_WRITE)
  t.deepEqual(seen(await selecting), [[first, EVENT_WRITE]], 'modified')

  selector.modify(first, EVENT_READ)
  const waiting = watch(selector.select())
  await turns()
  selector.unregister(first)
  put(firstPeer)
  await turns()
  t.false(waiting.settled, 'unregistered')
  const file = openFile(t)
  t.throws(() => selector.register(file, EVENT_READ), { code: 'EPERM' })
  selector.register(second, EVENT_READ)
  t.deepEqual(seen(await waiting.promise), [[second, EVENT_READ]])
})

test('a regular file and a connection with something read ahead end a select that waits', async (t) => {
  const selector = open(t, { regularFiles: 'ready' })
  const file = openFile(t)
  let selecting = selector.select()
  await turns()
  selector.register(file, EVENT_READ)
  t.deepEqual(seen(await selecting), [[file, EVENT_READ]])
  selector.unregister(file)

  const [connection, peer] = await connected(t, 'unix')
  await peer.sendBytes(Buffer.from('first'))
  await peer.sendBytes(Buffer.from('second'))
  await connection.recvBytes()
  selecting = selector.select()
  await turns()
  selector.register(connection, EVENT_READ)
  t.deepEqual(seen(await selecting), [[connection, EVENT_READ]])
})

test('for await gives what select gives, until the selector is closed', async (t) => {
  const selector = open(t)
  const [end, peer] = ends(t)
  const [late, latePeer] = ends(t)
  put(peer)
  selector.register(end, EVENT_READ)
  const order: FdLike[] = []
  for await (const ready of selector) {
    for (const { key } of ready) {
      order.push(key.fileObj)
      take(key.fileObj as OwnedFd)
    }
    if (order.length === 1) {
      selector.register(late, EVENT_READ) // inside the loop
      put(latePeer)
    } else {
      setImmediate(() => selector.close())
    }
  }
  t.deepEqual(order, [end, late])
})

test('leaving the loop keeps the selector open', async (t) => {
  const selector = open(t)
  const [end, peer] = ends(t)
  put(peer)
  selector.register(end, EVENT_READ)
  for await (const ready of selector) {
    t.is(ready.length, 1)
    break
  }
  t.false(selector.closed)
  t.is((await selector.select()).length, 1)
})

test('a loop over what is always ready lets the rest of the event loop run', async (t) => {
  const selector = open(t)
  const [end] = ends(t)
  selector.register(end, EVENT_WRITE)
  let ran = false
  setImmediate(() => (ran = true))
  while (!ran) await selector.select()
  t.true(ran)
  ran = false
  setImmediate(() => (ran = true))
  selector.modify(end, EVENT_READ)
  while (!ran) await selector.select(0)
  t.true(ran)
})

test('a descriptor closed by number while a select waits does not end it', async (t) => {
  const selector = open(t)
  const [end] = ends(t)
  const fd = OwnedFd.dup(end).take()
  selector.register(fd, EVENT_READ)
  const waiting = watch(selector.select())
  closeSync(fd)
  await turns()
  t.false(waiting.settled)
  selector.register(end, EVENT_WRITE)
  await until(() => waiting.settled)
  t.deepEqual(seen(await waiting.promise), [[end, EVENT_WRITE]])
})

test('a moved pipe end keeps its place: pipes are watched as sockets are', async (t) => {
  const selector = open(t)
  const [reader, writer] = pipe({ duplex: false })
  t.teardown(() => reader.destroy())
  t.teardown(() => writer.destroy())
  selector.register(reader, EVENT_READ)
  const selecting = selector.select()
  await writer.sendBytes(Buffer.from('message'))
  t.deepEqual(seen(await selecting), [[reader, EVENT_READ]])
  t.is(String(await reader.recvBytes()), 'message')
})

test('test_above_fd_setsize: far more than 1024 descriptors, half of them ready', async (t) => {
  const { registered, ready } = await report<{ registered: number; ready: number[] }>(t, 'many-registered.ts')
  t.true(registered > 1024)
  t.deepEqual(ready, [registered / 2, registered / 2, registered / 2])
})

test('a wait that signals interrupt keeps its deadline: test_select_interrupt_noraise', async (t) => {
  for (const waited of await report<number[]>(t, 'interrupted-waits.ts')) t.true(waited >= 200)
})

test('a waiting select keeps the process alive, an idle or unref selector does not', async (t) => {
  t.is(await report<string>(t, 'selector-alive.ts', ['waiting']), 'woken')
  t.is(await report<string>(t, 'selector-alive.ts', ['ref']), 'woken')
  t.is(await report<string>(t, 'selector-alive.ts', ['unref']), 'ended')
  t.is(await report<string>(t, 'selector-alive.ts', ['idle']), 'ended')
})

for (const name of ['Selector', 'Epoll']) {
  test(`a forgotten ${name} is collected and closed`, async (t) => {
    t.is(await report<number>(t, 'collected-selectors.ts', [name], { nodeOptions: ['--expose-gc'] }), 0)
  })
}

test('selectors, epolls and polls work in a worker thread, which may end in the middle of a wait', async (t) => {
  t.deepEqual(await report<unknown>(t, 'selector-worker.ts'), { Selector: 1, Epoll: 1, Poll: 1, select: 1, leaked: 0 })
})

test('EPOLLEXCLUSIVE: of 8 processes that accept from one listener, not all are woken', async (t) => {
  const wakeups = async (how: string): Promise<number> => {
    const { accepted, woken } = await report<{ accepted: number; woken: number }>(t, 'herd.ts', [how])
    t.is(accepted, 60)
    return woken
  }
  const shared = await wakeups('shared')
  const exclusive = await wakeups('exclusive')
  t.log(`woken for 60 connections: ${shared} times, with exclusive ${exclusive} times`)
  t.true(exclusive < shared)
})
