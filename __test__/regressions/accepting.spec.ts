// Defects of ours in accepting and in handshakes: each test failed before its correction.
import test from 'ava'
import { answerChallenge, deliverChallenge, type Listener } from '../../index.ts'
import { pattern } from '../support/bytes.ts'
import { temporaryAddress } from '../support/resources.ts'
import { connected, dial, listen, transports } from '../support/transports.ts'
import { codeOf } from '../support/until.ts'

// It was taken for no answer: the client stayed, and the call waited for another.
test('acceptSync with a verifyPeer that returns a promise says so, and closes the client', async (t) => {
  const listener = await listen(t, temporaryAddress(t), { verifyPeer: async () => true })
  const client = await dial(t, listener.address)
  t.throws(() => listener.acceptSync({ timeout: 1000 }), { code: 'ERR_INVALID_STATE' })
  t.is(await codeOf(client.recvBytes()), 'ERR_EOF')
})

// It was told in a microtask: never, in a worker that loops on acceptSync.
test('acceptSync tells onHandshakeError before it returns', async (t) => {
  const errors: Error[] = []
  const refused = new Set([0])
  let asked = 0
  const listener = await listen(t, temporaryAddress(t), {
    verifyPeer: () => !refused.has(asked++),
    onHandshakeError: (error) => errors.push(error),
  })
  await dial(t, listener.address)
  await dial(t, listener.address)
  const connection = listener.acceptSync({ timeout: 1000 })
  t.teardown(() => connection.destroy())
  t.like(errors, [{ code: 'ERR_AUTHENTICATION' }])
})

// The system was asked to accept from a listener that was gone: EBADF.
test('accept with a verifyPeer that closes the listener is ERR_CLOSED', async (t) => {
  for (const call of ['accept', 'acceptSync'] as const) {
    const listener: Listener = await listen(t, temporaryAddress(t), { verifyPeer: () => void listener.close() })
    const client = await dial(t, listener.address)
    const accepting = codeOf((async () => listener[call]())())
    t.is(await accepting, 'ERR_CLOSED', call)
    t.is(await codeOf(client.recvBytes()), 'ERR_EOF', call)
  }
})

for (const transport of transports) {
  // The limit of the handshake's messages stayed.
  test(`${transport}: a connection takes messages of any size after a challenge that failed`, async (t) => {
    const [a, b] = await connected(t, transport)
    const delivering = codeOf(deliverChallenge(a, 'right'))
    t.is(await codeOf(answerChallenge(b, 'wrong')), 'ERR_AUTHENTICATION')
    t.is(await delivering, 'ERR_AUTHENTICATION')
    await Promise.all([a, b].map((end) => end.sendBytes(pattern(10_000))))
    for (const end of [a, b]) t.true((await end.recvBytes()).equals(pattern(10_000)))
  })
}
