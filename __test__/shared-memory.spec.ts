import { closeSync, constants, ftruncateSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { OwnedFd, pipe, SharedMemory } from '../index.ts'
import { pattern } from './support/bytes.ts'
import { inheritedInodes, report } from './support/program.ts'
import { anyPython, runPython } from './support/python.ts'
import { inode, isOpen, openFile, UNUSED_FD } from './support/resources.ts'
import { codeOf, turns } from './support/until.ts'

const MIB = 1 << 20
const sealable = process.platform !== 'darwin'

function create(t: ExecutionContext, size: number = MIB): SharedMemory {
  const memory = SharedMemory.create(size)
  t.teardown(() => memory.close())
  return memory
}

/** Another mapping of the same memory. */
function again(t: ExecutionContext, memory: SharedMemory): SharedMemory {
  const other = SharedMemory.fromFd(OwnedFd.dup(memory))
  t.teardown(() => other.close())
  return other
}

function bytes({ buffer }: SharedMemory): Buffer {
  return Buffer.from(buffer)
}

test('create makes zeroed memory of exactly the size asked for', (t) => {
  for (const size of [1, 4095, 4096, 10_001, 16 * MIB]) {
    const memory = create(t, size)
    t.is(memory.size, size)
    t.is(memory.buffer.byteLength, size)
    t.true(bytes(memory).equals(Buffer.alloc(size)))
    t.false(memory.readOnly)
    t.false(memory.closed)
  }
})

test('a child gets the descriptor only where it is given', async (t) => {
  const memory = create(t)
  t.false((await inheritedInodes(t)).includes(inode(memory.fd)))
})

test('buffer is the same object each time', (t) => {
  const memory = create(t)
  t.is(memory.buffer, memory.buffer)
  t.true(memory.buffer instanceof ArrayBuffer)
})

test('every mapping of a memory shows what any of them writes', (t) => {
  const one = create(t)
  const other = again(t, one)
  t.not(one.fd, other.fd)
  const payload = pattern(MIB)
  bytes(one).set(payload)
  t.true(bytes(other).equals(payload))
  bytes(other).fill(7)
  t.is(bytes(one)[MIB - 1], 7)
})

test('memory goes through a connection as a descriptor, and so does its content without being sent', async (t) => {
  const [a, b] = pipe()
  t.teardown(() => a.destroy())
  t.teardown(() => b.destroy())
  const memory = create(t, 4 * MIB)
  const payload = pattern(4 * MIB)
  bytes(memory).set(payload)
  await a.sendBytes(Buffer.from('here'), { fds: [memory] })
  const { fds } = await b.recvMessage()
  const received = SharedMemory.fromFd(fds[0]!)
  t.teardown(() => received.close())
  t.is(fds[0]!.fd, -1, 'adopted')
  t.is(received.size, 4 * MIB)
  t.true(bytes(received).equals(payload))
  await b.sendBytes(new Uint8Array(received.buffer, 0, 1000))
  t.true((await a.recvBytes()).equals(payload.subarray(0, 1000)), 'a view of it is sent as any other')
  await a.sendBytes(payload.subarray(1000, 2000))
  t.is(await b.recvBytesInto(new Uint8Array(received.buffer, 10)), 1000)
  t.true(bytes(memory).subarray(10, 1010).equals(payload.subarray(1000, 2000)), 'and received into')
})

test('a Python process and this one see what the other writes', async (t) => {
  const [a, b] = pipe()
  t.teardown(() => a.destroy())
  const python = runPython(t, anyPython(), 'shared_memory.py', [], { inherit: [b.fd] })
  b.destroy()
  const memory = create(t)
  bytes(memory).write('from Node')
  await a.sendHandle(memory)
  t.is(String(await a.recvBytes()), 'from Node')
  t.is(bytes(memory).toString('utf8', MIB - 11), 'from Python')
  await a.sendBytes(Buffer.from('yours, please'))
  const theirs = SharedMemory.fromFd(await a.recvHandle())
  t.teardown(() => theirs.close())
  t.is(String(bytes(theirs).subarray(0, 5)), 'moved')
  bytes(theirs).write('by Node')
  await a.sendBytes(Buffer.from('look'))
  t.is(String(await a.recvBytes()), 'by Node')
  await python.finish()
})

test('close detaches the buffer and closes the descriptor, once', (t) => {
  const memory = create(t, MIB)
  const { fd, buffer } = memory
  const view = new Uint8Array(buffer)
  memory.close()
  t.true(memory.closed)
  t.is(memory.fd, -1)
  t.is(memory.buffer, buffer)
  t.is(buffer.byteLength, 0)
  t.is(view.length, 0)
  t.is(view[0], undefined)
  view[0] = 1
  t.throws(() => new Uint8Array(buffer), { instanceOf: TypeError })
  t.false(isOpen(fd))
  memory.close()
  t.throws(() => memory.seal({ grow: true }), { code: 'ERR_CLOSED' })
  t.throws(() => memory.seals, { code: 'ERR_CLOSED' })
})

test('Symbol.dispose closes', (t) => {
  const memory = create(t, 1)
  memory[Symbol.dispose]()
  t.true(memory.closed)
})

test('closing one mapping leaves the others', (t) => {
  const one = create(t)
  const other = again(t, one)
  bytes(one).fill(1)
  one.close()
  t.is(bytes(other)[MIB - 1], 1)
})

test('a size or name that cannot be is refused', (t) => {
  for (const size of [0, -1, 1.5, NaN, Infinity, 2 ** 60]) {
    t.throws(() => SharedMemory.create(size), { code: 'ERR_OUT_OF_RANGE' }, String(size))
  }
  // @ts-expect-error a string is no size
  t.throws(() => SharedMemory.create('1'), { code: 'ERR_INVALID_ARG_TYPE' })
  // @ts-expect-error a size is needed
  t.throws(() => SharedMemory.create(), { code: 'ERR_INVALID_ARG_TYPE' })
  // @ts-expect-error a number is no name
  t.throws(() => SharedMemory.create(1, { name: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => SharedMemory.create(1, { name: 'a\0b' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => SharedMemory.create(1, { name: 'é'.repeat(125) }), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('what is no memory is refused and stays with its owner', (t) => {
  const [reader, writer] = pipe({ duplex: false })
  t.teardown(() => reader.destroy())
  t.teardown(() => writer.destroy())
  const owned = OwnedFd.dup(reader)
  t.throws(() => SharedMemory.fromFd(owned), { code: 'ERR_INVALID_FD_TYPE' })
  t.true(isOpen(owned.fd))
  owned.close()
  const device = openSync('/dev/zero', 'r+')
  t.throws(() => SharedMemory.fromFd(device), { code: 'ERR_INVALID_FD_TYPE' })
  closeSync(device)
  const file = openFile(t, 'content')
  // A file on a tmpfs has seals, none of which can be set.
  const error = t.throws(() => SharedMemory.fromFd(file.fd)) as NodeJS.ErrnoException
  t.true(['ERR_INVALID_FD_TYPE', 'ERR_INVALID_STATE'].includes(error.code!))
  t.throws(() => SharedMemory.fromFd(UNUSED_FD), { code: 'EBADF' })
  owned.close()
  t.throws(() => SharedMemory.fromFd(owned), { code: 'ERR_CLOSED' })
  // @ts-expect-error an FdLike is not adopted
  t.throws(() => SharedMemory.fromFd(reader), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('inspect shows the size, and that it is closed', (t) => {
  const memory = create(t, 10)
  t.is(inspect(memory), `SharedMemory { fd: ${memory.fd}, size: 10, readOnly: false }`)
  memory.close()
  t.is(inspect(memory), 'SharedMemory { fd: -1, closed: true }')
})

test('a clone of the buffer is a copy, as is what Node makes of a transfer, unless it refuses', (t) => {
  const memory = create(t)
  bytes(memory).fill(5)
  const copies = [structuredClone(memory.buffer)]
  try {
    copies.push(structuredClone(memory.buffer, { transfer: [memory.buffer] }))
  } catch (error) {
    t.is((error as Error).name, 'DataCloneError')
  }
  memory.close()
  for (const copy of copies) t.is(new Uint8Array(copy)[MIB - 1], 5)
})

test('bytes moved out of the buffer stay safe to touch after close', async (t) => {
  const memory = create(t)
  bytes(memory).fill(5)
  // What has ArrayBuffer.prototype.transfer (Node 22) moves them, the others keep them.
  const { buffer } = memory as { buffer: ArrayBuffer & { transfer?: () => ArrayBuffer } }
  const moved = buffer.transfer?.() ?? buffer
  memory.close()
  await turns()
  t.true(new Uint8Array(moved.byteLength === 0 ? [] : moved).every((byte) => byte === 0))
})

test('a send under way when its memory is closed fails or is done, and hurts nobody', async (t) => {
  const [a, b] = pipe()
  t.teardown(() => b.destroy())
  const memory = create(t, 16 * MIB)
  const sent = codeOf(a.sendBytes(new Uint8Array(memory.buffer)))
  memory.close()
  await turns()
  a.destroy()
  t.not(await sent, undefined)
})

test('many can be mapped at once and are told apart', (t) => {
  const memories = Array.from({ length: 100 }, () => create(t, 4096))
  for (const [index, memory] of memories.entries()) bytes(memory).fill(index)
  for (const [index, memory] of memories.entries()) t.is(bytes(memory)[4095], index)
})

test('mappings and descriptors go with close, without turning the event loop for the memory itself', async (t) => {
  const result = await report(t, 'shared-memory-leaks.ts', ['closed'], { nodeOptions: ['--expose-gc'] })
  t.deepEqual(result, { mapped: 0, fds: 0, resident: true, ranges: true })
})

test('mappings and descriptors go with the garbage', async (t) => {
  const result = await report(t, 'shared-memory-leaks.ts', ['collected'], { nodeOptions: ['--expose-gc'] })
  t.deepEqual(result, { mapped: 0, fds: 0, resident: true, ranges: true })
})

test('the buffer stays when the object that made it is collected', async (t) => {
  const result = await report(t, 'shared-memory-leaks.ts', ['buffer kept'], { nodeOptions: ['--expose-gc'] })
  t.is(result, 'kept')
})

for (const how of ['return', 'exit', 'terminate']) {
  test(`mappings and descriptors go with their worker: ${how}`, async (t) => {
    const result = await report(t, 'shared-memory-workers.ts', [how])
    t.deepEqual(result, { seen: 42, mapped: 0, fds: 0 })
  })
}

if (sealable) {
  test('memory of ours cannot shrink', (t) => {
    const memory = create(t)
    t.deepEqual(memory.seals, { write: false, grow: false, shrink: true, seal: false })
    t.throws(() => ftruncateSync(memory.fd, 0), { code: 'EPERM' })
    ftruncateSync(memory.fd, 2 * MIB)
    t.is(memory.buffer.byteLength, MIB)
    t.is(again(t, memory).size, 2 * MIB)
  })

  test('seal forbids what it names, for good', (t) => {
    const memory = create(t)
    memory.seal({})
    memory.seal({ grow: true, write: false })
    t.deepEqual(memory.seals, { write: false, grow: true, shrink: true, seal: false })
    t.throws(() => ftruncateSync(memory.fd, 2 * MIB), { code: 'EPERM' })
    memory.seal({ seal: true })
    t.true(memory.seals.seal)
    t.throws(() => memory.seal({ grow: true }), { code: 'EPERM' })
    // @ts-expect-error not a flag
    t.throws(() => memory.seal({ grow: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
    // @ts-expect-error not an object
    t.throws(() => memory.seal(), { code: 'ERR_INVALID_ARG_TYPE' })
  })
}

if (process.platform === 'linux') {
  test('sealed against writing, the writer goes on and everyone else reads', (t) => {
    const memory = create(t)
    memory.seal({ write: true })
    t.true(memory.seals.write)
    t.false(memory.readOnly)
    t.throws(() => writeSync(memory.fd, 'x'), { code: 'EPERM' })
    const reader = again(t, memory)
    t.true(reader.readOnly)
    bytes(memory).write('news')
    t.is(bytes(reader).toString('utf8', 0, 4), 'news')
    bytes(reader).write('mine')
    t.is(bytes(memory).toString('utf8', 0, 4), 'news', 'what the reader writes stays there')
    t.throws(() => reader.seal({ write: true }), { code: 'EBUSY' })
    memory.close()
    reader.seal({ write: true })
    t.is(bytes(reader).toString('utf8', 0, 4), 'mine')
  })

  test('memory opened to be read is mapped as a copy', (t) => {
    const memory = create(t)
    const reader = SharedMemory.fromFd(openSync(`/proc/self/fd/${memory.fd}`, 'r'))
    t.teardown(() => reader.close())
    t.true(reader.readOnly)
    bytes(memory).fill(1)
    t.is(bytes(reader)[0], 1)
    bytes(reader).fill(2)
    t.is(bytes(memory)[0], 1)
    t.regex(inspect(reader), /readOnly: true/)
    const unreadable = openSync(`/proc/self/fd/${memory.fd}`, constants.O_WRONLY)
    t.throws(() => SharedMemory.fromFd(unreadable), { code: 'EACCES' })
    closeSync(unreadable)
  })

  test('memory that a peer could shrink is refused and stays with its owner', async (t) => {
    const [a, b] = pipe()
    t.teardown(() => a.destroy())
    const python = runPython(t, anyPython(), 'shared_memory.py', ['unsealed'], { inherit: [b.fd] })
    b.destroy()
    const shrinkable = await a.recvHandle()
    t.is(shrinkable.kind, 'memfd')
    t.throws(() => SharedMemory.fromFd(shrinkable), { code: 'ERR_INVALID_STATE', message: /F_SEAL_SHRINK/ })
    t.true(isOpen(shrinkable.fd))
    shrinkable.close()
    const empty = await a.recvHandle()
    t.throws(() => SharedMemory.fromFd(empty), { code: 'EINVAL' })
    empty.close()
    await python.finish()
  })

  test('the memory is had at once', (t) => {
    t.true(fstatSync(create(t).fd).blocks * 512 >= MIB)
  })

  test('read(2) of the descriptor gives what was written to the buffer', (t) => {
    const memory = create(t)
    bytes(memory).write('written')
    const text = Buffer.alloc(7)
    readSync(memory.fd, text, 0, 7, 0)
    t.is(String(text), 'written')
  })
}
