import { existsSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { tmpdir } from 'node:os'
import test, { type ExecutionContext } from 'ava'
import { Listener, OwnedFd } from '../index.ts'
import { openFile, temporaryAddress, temporaryDirectory } from './support/resources.ts'
import { accept, assertServing, dial, listen } from './support/transports.ts'
import { rejection } from './support/until.ts'

/** A socket file whose server is gone. */
async function staleSocketFile(t: ExecutionContext): Promise<string> {
  const path = temporaryAddress(t)
  const listener = await Listener.listen(path, { unlink: false })
  await listener.close()
  t.true(existsSync(path))
  return path
}

test('without an address there is a fresh one in the temporary directory, gone after close', async (t) => {
  const first = await listen(t)
  const second = await listen(t, undefined, { backlog: 5 })
  t.not(first.address, second.address)
  for (const listener of [first, second]) {
    const path = String(listener.address)
    t.true(path.startsWith(tmpdir()))
    t.true(statSync(path).isSocket())
    if (dirname(path) !== tmpdir()) t.is(statSync(dirname(path)).mode & 0o077, 0, 'nobody else may enter')
    await assertServing(t, listener)
    await listener.close()
    t.false(existsSync(path))
    if (dirname(path) !== tmpdir()) t.false(existsSync(dirname(path)))
  }
})

test('mode is the mode of the socket file', async (t) => {
  for (const mode of [0o600, 0o660, 0o666, 0o700]) {
    const path = temporaryAddress(t)
    await listen(t, path, { mode })
    t.is(statSync(path).mode & 0o777, mode)
  }
})

test('close unlinks the socket file, unless told not to', async (t) => {
  const path = temporaryAddress(t)
  const listener = await Listener.listen(path)
  await listener.close()
  t.false(existsSync(path))
  t.true(existsSync(await staleSocketFile(t)))
})

test('close does not unlink what another put at the path', async (t) => {
  const path = temporaryAddress(t)
  const first = await Listener.listen(path)
  unlinkSync(path)
  const second = await listen(t, path)
  await first.close()
  t.true(existsSync(path))
  await assertServing(t, second)

  const replaced = temporaryAddress(t)
  const third = await Listener.listen(replaced)
  const file = `${replaced}.new`
  writeFileSync(file, 'a file')
  renameSync(file, replaced)
  await third.close()
  t.is(readFileSync(replaced, 'utf8'), 'a file')
})

test('close copes with a socket file that is gone', async (t) => {
  const path = temporaryAddress(t)
  const listener = await Listener.listen(path)
  unlinkSync(path)
  await t.notThrowsAsync(listener.close())
})

test('fromFd and { fd } never unlink', async (t) => {
  const path = temporaryAddress(t)
  const listener = await listen(t, path)
  const borrowed = await Listener.listen({ fd: listener.fd })
  const adopted = Listener.fromFd(OwnedFd.dup(listener))
  await borrowed.close()
  await adopted.close()
  t.true(existsSync(path))
})

test('a stale socket file is EADDRINUSE by default', async (t) => {
  const path = await staleSocketFile(t)
  await t.throwsAsync(Listener.listen(path), { code: 'EADDRINUSE' })
  t.true(existsSync(path))
})

test('replaceStale takes the place of a stale socket file', async (t) => {
  const listener = await listen(t, await staleSocketFile(t), { replaceStale: true })
  await assertServing(t, listener)
})

test('replaceStale does not touch a server that is alive, even with a full queue', async (t) => {
  const alive = await listen(t, temporaryAddress(t), { backlog: 1 })
  await dial(t, alive.address)
  await dial(t, alive.address)
  await t.throwsAsync(Listener.listen(alive.address, { replaceStale: true }), { code: 'EADDRINUSE' })
  await accept(t, alive)
  await accept(t, alive)
  await t.throwsAsync(Listener.listen(alive.address, { replaceStale: true }), { code: 'EADDRINUSE' })
  t.true(existsSync(String(alive.address)))
})

test('replaceStale does not touch what is no socket', async (t) => {
  const { path } = openFile(t, 'precious')
  await t.throwsAsync(Listener.listen(path, { replaceStale: true }), { code: 'EADDRINUSE' })
  t.is(readFileSync(path, 'utf8'), 'precious')
})

test('a path too long, or in no directory, is an error with its path', async (t) => {
  const long = `${temporaryDirectory(t)}/${'x'.repeat(200)}`
  t.is((await rejection(Listener.listen(long))).code, 'ENAMETOOLONG')
  const nowhere = `${temporaryDirectory(t)}/no/such/socket`
  const error = await rejection(Listener.listen(nowhere))
  t.is(error.code, 'ENOENT')
  t.like(error, { address: nowhere })
})
