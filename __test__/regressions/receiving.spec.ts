// Defects of ours in receiving: each test failed before its correction.
import test, { type ExecutionContext } from 'ava'
import { type Connection, type CustomCodec } from '../../index.ts'
import { frame, pattern } from '../support/bytes.ts'
import { canInject, injected } from '../support/faults.ts'
import { report, startFixture } from '../support/program.ts'
import { rawPeer, write } from '../support/raw-peer.ts'
import { connected, transports } from '../support/transports.ts'
import { codeOf } from '../support/until.ts'

/** Bytes of a message that is received in several reads. */
const SIZE = 200_000

interface Resizable extends ArrayBuffer {
  resize(size: number): void
}
type MakeResizable = new (size: number, options: { readonly maxByteLength: number }) => Resizable
/** What TypeScript's library does not know of yet. */
const Resizable = ArrayBuffer as unknown as MakeResizable

/** Ways to take memory away from whoever writes into it. */
const losses: Record<string, { make(): Uint8Array; lose(view: Uint8Array): void }> = {
  transferred: {
    make: () => new Uint8Array(SIZE),
    lose: ({ buffer }) => void structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }),
  },
  shrunk: {
    make: () => new Uint8Array(new Resizable(SIZE, { maxByteLength: SIZE })),
    lose: ({ buffer }) => (buffer as Resizable).resize(10),
  },
  'shrunk under a view of fixed length': {
    make: () => new Uint8Array(new Resizable(SIZE, { maxByteLength: SIZE }), 0, SIZE),
    lose: ({ buffer }) => (buffer as Resizable).resize(10),
  },
}

const lost = { code: 'ERR_INVALID_STATE', message: /transferred/ }

/** A receive into `target` of a message of which half is here. */
async function halfReceived(
  t: ExecutionContext,
  target: Uint8Array,
  options: { signal?: AbortSignal; timeout?: number },
): Promise<{ connection: Connection; receiving: Promise<unknown>; rest(): Promise<void> }> {
  const { connection, peer } = await rawPeer(t, 'unix')
  const bytes = frame(pattern(SIZE))
  await write(peer, bytes.subarray(0, SIZE / 2))
  const receiving = connection.recvBytesInto(target, options)
  const rest = async (): Promise<void> => write(peer, bytes.subarray(SIZE / 2), frame('next'))
  return { connection, receiving, rest }
}

for (const [how, { make, lose }] of Object.entries(losses)) {
  // What had arrived was looked for in a buffer that was gone: zeros were delivered in its place, or the abort listener threw.
  test(`a receive into a buffer that is ${how} and then aborted loses its message, and no other`, async (t) => {
    const controller = new AbortController()
    const target = make()
    const { connection, receiving, rest } = await halfReceived(t, target, { signal: controller.signal })
    lose(target)
    controller.abort()
    t.is(await codeOf(receiving), 'ABORT_ERR')
    const next = t.throwsAsync(connection.recvBytes(), lost)
    await rest()
    await next
    t.is(String(await connection.recvBytes()), 'next')
  })

  test(`a receive into a buffer that is ${how} and then timed out loses its message, and no other`, async (t) => {
    const target = make()
    const { connection, receiving, rest } = await halfReceived(t, target, { timeout: 50 })
    lose(target)
    t.is(await codeOf(receiving), 'ERR_TIMEOUT')
    const next = t.throwsAsync(connection.recvMessage(), lost)
    await rest()
    await next
    t.is(String(await connection.recvBytes()), 'next')
  })

  test(`a receive into a buffer that is ${how} fails, and loses no other message`, async (t) => {
    const target = make()
    const { connection, receiving, rest } = await halfReceived(t, target, {})
    lose(target)
    const failing = t.throwsAsync(receiving, lost)
    await rest()
    await failing
    t.is(String(await connection.recvBytes()), 'next')
  })
}

test('a receive into a buffer that is aborted while part of its message is here loses nothing', async (t) => {
  const controller = new AbortController()
  const target = new Uint8Array(SIZE)
  const { connection, receiving, rest } = await halfReceived(t, target, { signal: controller.signal })
  controller.abort()
  t.is(await codeOf(receiving), 'ABORT_ERR')
  target.fill(0)
  await rest()
  t.true((await connection.recvBytes()).equals(pattern(SIZE)))
  t.is(String(await connection.recvBytes()), 'next')
})

if (canInject) {
  for (const call of ['recvBytes', 'recvMessage', 'recvMany', 'recvBytesInto']) {
    // The message went on at its old place in a fresh buffer: what stood before that was memory nobody had written to.
    test(`${call} that fails inside a message leaves it whole to the next receive`, async (t) => {
      const environment = injected(t)
      t.deepEqual(await report(t, 'regressions/failing-reads.ts', [call], { environment }), {
        code: 'ENOSPC',
        right: true,
      })
    })
  }

  for (const call of ['recvBytes', 'poll', 'wait', 'a send']) {
    // It was counted as pending before the system could refuse it, and never again as done.
    test(`${call} that the event loop has no room for does not keep the process alive`, async (t) => {
      const program = startFixture(t, 'regressions/failing-waits.ts', [call], { environment: injected(t) })
      t.deepEqual(await program.finish(), ['ENOSPC', 'idle'])
    })
  }
}

for (const transport of transports) {
  // The receive was taken from the queue twice, so the one behind it went too, with its message.
  test(`${transport}: a codec that aborts its own receive costs no other receive its message`, async (t) => {
    const controller = new AbortController()
    const codec: CustomCodec = {
      encode: (value) => Buffer.from(String(value)),
      decode: (data) => {
        controller.abort()
        return String(data)
      },
    }
    const [sender, receiver] = await connected(t, transport, { codec })
    const aborted = codeOf(receiver.recv({ signal: controller.signal }))
    const received = [receiver.recvBytes(), receiver.recvBytes()].map(async (data) => String(await data))
    for (const text of ['first', 'second', 'third', 'fourth']) await sender.sendBytes(Buffer.from(text))
    t.is(await aborted, 'ABORT_ERR')
    const texts = await Promise.all(received)
    // Whether the first message counts as received is not said; what follows is.
    t.true([['first', 'second'].join(), ['second', 'third'].join()].includes(texts.join()), texts.join())
  })
}

for (const use of [
  'nothing',
  'an aborted receive',
  'a timed-out receive',
  'a timed-out receive into a buffer',
  'a poll',
  'a wait',
  'two sends in a turn',
  'sends that had to wait',
  'a receive',
  'a select',
  'a timed-out Sync send',
]) {
  // It stayed in the table of those with something pending.
  test(`a connection that is dropped after ${use} is collected`, async (t) => {
    const nodeOptions = ['--expose-gc']
    t.is(await report<number>(t, 'regressions/collected-connections.ts', [use], { nodeOptions }), 0)
  })
}
