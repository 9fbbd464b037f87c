// What Kqueue does needs macOS or a BSD and is tested there; KEvent works everywhere.
import { inspect } from 'node:util'
import test from 'ava'
import { constants, KEvent, Kqueue, OwnedFd } from '../index.ts'
import { ends, put } from './support/ends.ts'

const { KQ_EV_ADD, KQ_EV_DELETE, KQ_EV_DISABLE, KQ_EV_ENABLE, KQ_EV_ONESHOT, KQ_FILTER_READ, KQ_FILTER_WRITE } =
  constants
const available = process.platform !== 'linux'

test('test_create_event: fields, defaults and shape', (t) => {
  const [end] = ends(t)
  const event = new KEvent(end)
  t.like(event, { ident: end.fd, filter: KQ_FILTER_READ, flags: KQ_EV_ADD, fflags: 0, data: 0, udata: 0 })
  const other = new KEvent(0x7fff, { filter: 1, flags: 2, fflags: 3, data: 0x7ffe, udata: -0x7fff })
  t.like(other, { ident: 0x7fff, filter: 1, flags: 2, fflags: 3, data: 0x7ffe, udata: -0x7fff })
  t.is(new KEvent(0, { flags: 0xffff }).flags, 0xffff)
  t.is(new KEvent(0, { fflags: 0xffffffff }).fflags, 0xffffffff)
  t.true(Object.isFrozen(event))
  t.is(inspect(other), 'KEvent { ident: 32767, filter: 1, flags: 2, fflags: 3, data: 32766, udata: -32767 }')
})

test('test_create_event: numbers that do not fit are refused', (t) => {
  const range = { code: 'ERR_OUT_OF_RANGE' }
  for (const ident of [-1, 1.5]) t.throws(() => new KEvent(ident), range)
  t.throws(() => new KEvent(0, { filter: 0x8000 }), range)
  t.throws(() => new KEvent(0, { flags: 0x10000 }), range)
  t.throws(() => new KEvent(0, { flags: -1 }), range)
  t.throws(() => new KEvent(0, { fflags: 2 ** 32 }), range)
  t.throws(() => new KEvent(0, { data: Infinity }), range)
  t.throws(() => new KEvent('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new KEvent({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new KEvent(0, { udata: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('test_create_event: events are ordered by all fields, the first ones first', (t) => {
  const ascending = [
    new KEvent(1, { filter: -2 }),
    new KEvent(1, { filter: -1, flags: 0 }),
    new KEvent(1, { filter: -1, flags: 1 }),
    new KEvent(1, { filter: -1, flags: 1, fflags: 1, data: -1 }),
    new KEvent(1, { filter: -1, flags: 1, fflags: 1, data: 0, udata: -5 }),
    new KEvent(1, { filter: -1, flags: 1, fflags: 1, data: 0, udata: 0 }),
    new KEvent(2, { filter: -9 }),
  ]
  t.deepEqual([...ascending].reverse().sort(KEvent.compare), ascending)
  const [first, second] = ascending as [KEvent, KEvent]
  t.true(first.equals(new KEvent(1, { filter: -2 })))
  t.false(first.equals(second))
  t.false(first.equals(null))
  t.false(first.equals({ ...first }))
  t.throws(() => KEvent.compare(first, 5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => KEvent.compare('a' as never, first), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('the constants of the reference document are there, and USER’s', (t) => {
  const names = {
    KQ_FILTER: 'READ WRITE AIO VNODE PROC SIGNAL TIMER USER',
    KQ_EV: 'ADD DELETE ENABLE DISABLE ONESHOT CLEAR SYSFLAGS FLAG1 EOF ERROR',
    KQ_NOTE: `LOWAT DELETE WRITE EXTEND ATTRIB LINK RENAME REVOKE EXIT FORK EXEC PCTRLMASK PDATAMASK TRACK CHILD
      TRACKERR TRIGGER FFNOP FFAND FFOR FFCOPY FFCTRLMASK FFLAGSMASK`,
  }
  for (const [prefix, list] of Object.entries(names)) {
    for (const name of list.split(/\s+/)) {
      t.true(Object.hasOwn(constants, `${prefix}_${name}`), name)
    }
  }
})

if (available) {
  test('test_create_queue, test_close: open, then closed for everything', async (t) => {
    const queue = new Kqueue()
    t.true(queue.fd > 0)
    queue.close()
    queue.close()
    t.true(queue.closed)
    t.is(queue.fd, -1)
    t.throws(() => queue.controlSync(null, 0, 0), { code: 'ERR_CLOSED' })
    await t.throwsAsync(queue.control(null, 1), { code: 'ERR_CLOSED' })
  })

  for (const [name, control] of Object.entries({
    control: (queue: Kqueue, ...args: Parameters<Kqueue['control']>) => queue.control(...args),
    controlSync: async (queue: Kqueue, ...args: Parameters<Kqueue['control']>) => queue.controlSync(...args),
  })) {
    test(`${name}, test_queue_event: both filters of both ends`, async (t) => {
      using queue = new Kqueue()
      const [end, peer] = ends(t)
      const changes = [end, peer].flatMap((object) =>
        [KQ_FILTER_READ, KQ_FILTER_WRITE].map(
          (filter) => new KEvent(object, { filter, flags: KQ_EV_ADD | KQ_EV_ENABLE }),
        ),
      )
      t.deepEqual(await control(queue, changes.slice(0, 3), 0), [])
      await control(queue, changes.slice(3), 0)
      const ready = await control(queue, null, 4, 1000)
      t.deepEqual(
        ready.map(({ ident, filter }) => [ident, filter]).sort(([a = 0], [b = 0]) => a - b),
        [end, peer].map(({ fd }) => [fd, KQ_FILTER_WRITE]),
      )
      put(end, 'Hello!')
      const disable = new KEvent(peer, { filter: KQ_FILTER_WRITE, flags: KQ_EV_DISABLE })
      const read = (await control(queue, [disable], 4)).find(({ filter }) => filter === KQ_FILTER_READ)
      t.like(read, { ident: peer.fd, data: 6 })
      await control(queue, [new KEvent(end, { filter: KQ_FILTER_WRITE, flags: KQ_EV_DELETE })], 0)
      await t.throwsAsync(control(queue, [new KEvent(end, { filter: KQ_FILTER_WRITE, flags: KQ_EV_DELETE })], 0), {
        code: 'ENOENT',
      })
    })

    test(`${name}, testPair, test_issue30058: iterables of changes, and nothing else`, async (t) => {
      using queue = new Kqueue()
      const [end, peer] = ends(t)
      put(peer)
      const once = new KEvent(end, { filter: KQ_FILTER_READ, flags: KQ_EV_ADD | KQ_EV_ONESHOT })
      t.is((await control(queue, new Set([once]), 1)).length, 1)
      t.deepEqual(await control(queue, null, 1, 0), [])
      await t.throwsAsync(control(queue, 5 as never, 1), { code: 'ERR_INVALID_ARG_TYPE' })
      await t.throwsAsync(control(queue, [5 as never], 1), { code: 'ERR_INVALID_ARG_TYPE' })
      await t.throwsAsync(control(queue, null, -1), { code: 'ERR_OUT_OF_RANGE' })
    })
  }
} else {
  test('where the system has no kqueue, constructing one says so, and fromFd leaves the descriptor alone', (t) => {
    const unavailable = { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', message: /^kqueue / }
    t.throws(() => new Kqueue(), unavailable)
    using fd = OwnedFd.dup(ends(t)[0])
    t.throws(() => Kqueue.fromFd(fd), unavailable)
    t.not(fd.fd, -1)
  })
}
