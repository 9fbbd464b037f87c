import { MessageChannel } from 'node:worker_threads'
import { inspect } from 'node:util'
import test from 'ava'
import { Connection, Epoll, Kqueue, Listener, OwnedFd, Poll, Selector, SharedMemory, pipe } from '../index.ts'
import { report } from './support/program.ts'
import { listen } from './support/transports.ts'

/** The name of what a call throws: a DOMException is no error to the test runner. */
function thrown(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as DOMException).name
  }
  return 'nothing'
}

test('what has a state of its own cannot be cloned, nor posted to a worker', async (t) => {
  const [a, b] = pipe()
  const { port1, port2 } = new MessageChannel()
  const listener = await listen(t)
  const system = process.platform === 'linux' ? new Epoll() : new Kqueue()
  const objects = [a, listener, OwnedFd.dup(a), SharedMemory.create(16), new Selector(), new Poll(), system]
  for (const object of objects) {
    const name = object.constructor.name
    t.is(
      thrown(() => structuredClone(object)),
      'DataCloneError',
      name,
    )
    t.is(
      thrown(() => structuredClone({ nested: [object] })),
      'DataCloneError',
      name,
    )
    t.is(
      thrown(() => port1.postMessage(object)),
      'DataCloneError',
      name,
    )
    t.deepEqual(Reflect.ownKeys(object), [], name)
    t.regex(inspect(object), new RegExp(`^${name} \\{`))
    t.is(typeof object, 'object')
    t.is(JSON.stringify(object), '{}')
    if ('close' in object) await object.close()
  }
  t.true(a instanceof Connection && listener instanceof Listener)
  b.destroy()
  port1.close()
  port2.close()
})

test('a connection and a listener that are collected unclosed are a warning, once', async (t) => {
  t.deepEqual(await report(t, 'leaks.ts', [], { nodeOptions: ['--expose-gc'] }), [
    'ResourceWarning FDWIRE_CONNECTION_LEAK: A Connection was garbage collected without having been closed; it is closed now',
    'ResourceWarning FDWIRE_LISTENER_LEAK: A Listener was garbage collected without having been closed; it is closed now',
  ])
})

test('an Epoll or Kqueue has a fileno() until it is closed', (t) => {
  const system = process.platform === 'linux' ? new Epoll() : new Kqueue()
  t.is(system.fileno(), system.fd)
  t.true(system.fd >= 0)
  system.close()
  t.throws(() => system.fileno(), { code: 'ERR_CLOSED' })
})
