import test, { type ExecutionContext } from 'ava'
import type { Address, Connection, ConnectOptions } from '../index.ts'
import { pattern } from './support/bytes.ts'
import type { Program } from './support/program.ts'
import { type Python, pythons, runPython } from './support/python.ts'
import { abstractAddress, closedInodes, type OpenFile, openFile, temporaryAddress } from './support/resources.ts'
import { accept, dial, freshAddress, listen, type Listening, listening, unixListening } from './support/transports.ts'

const sizes = [0, 1, 16383, 16384, 16385, 65536, 1 << 20]
const LARGEST = 64 << 20

type Role = 'client' | 'listener'

interface Answer {
  readonly inodes?: readonly string[]
  readonly errno?: number
  readonly text?: string
}

/** An address as an argument for a Python program: no NUL can be in it. */
function argument(address: Address): string {
  if (typeof address === 'object' && 'host' in address) return `${address.host}:${address.port}`
  return String(address).replace('\0', '')
}

/** A connection to a Python program that is the client, or the listener, of it. */
async function pythonPeer(
  t: ExecutionContext,
  python: Python,
  script: string,
  role: Role,
  transport: Listening,
  { extra = [], options = {} }: { extra?: readonly string[]; options?: ConnectOptions } = {},
): Promise<{ connection: Connection; program: Program }> {
  if (role === 'client') {
    const listener = await listen(t, freshAddress(t, transport), options)
    const program = runPython(t, python, script, [role, transport, argument(listener.address), ...extra])
    return { connection: await accept(t, listener), program }
  }
  const { program, address } = await pythonListener(t, python, transport, (target) => [
    script,
    [role, transport, target, ...extra],
  ])
  return { connection: await dial(t, address, options), program }
}

/** A Python program that listens, and where. */
async function pythonListener(
  t: ExecutionContext,
  python: Python,
  transport: Listening,
  command: (address: string) => [script: string, args: readonly string[]],
): Promise<{ program: Program; address: Address }> {
  const fresh = freshAddress(t, transport)
  const program = runPython(t, python, ...command(argument(fresh)))
  const line = await program.line()
  return { program, address: transport === 'tcp' ? { host: '127.0.0.1', port: Number(line) } : fresh }
}

async function assertEchoed(t: ExecutionContext, connection: Connection, size: number): Promise<void> {
  const data = pattern(size)
  const [echoed] = await Promise.all([connection.recvBytes(), connection.sendBytes(data)])
  t.true(echoed.equals(data), `${size} bytes`)
}

/** Every way of passing descriptors that Python 3 has, both ways. */
async function passDescriptors(t: ExecutionContext, connection: Connection): Promise<void> {
  const file = openFile(t, 'content')
  const tell = async (name: string, fields: object = {}): Promise<void> =>
    connection.sendBytes(Buffer.from(JSON.stringify({ name, path: file.path, ...fields })))
  const answer = async (): Promise<Answer> => JSON.parse(String(await connection.recvBytes()))

  await passHandles(t, connection, file, tell, answer)
  for (const count of [1, 2, 100, 253]) {
    const fds = Array.from({ length: count }, () => file.fd)
    const expected = fds.map(() => file.inode)

    await tell('sendfds', { count })
    t.deepEqual(closedInodes(await connection.recvFds(count)), expected)
    t.deepEqual(await answer(), {})

    await tell('recvfds', { count })
    await connection.sendFds(fds)
    t.deepEqual(await answer(), { inodes: expected })

    await tell('send_message', { count, text: 'from Python' })
    const message = await connection.recvMessage()
    t.is(String(message.data), 'from Python')
    t.deepEqual(closedInodes(message.fds), expected)
    t.deepEqual(await answer(), {})

    await tell('recv_message', { count })
    await connection.sendBytes(Buffer.from('from Node'), { fds })
    t.deepEqual(await answer(), { inodes: expected, text: 'from Node' })
  }

  await tell('sendfds', { count: 254 })
  t.deepEqual(await answer(), { errno: 22 }, 'Python is refused 254')
  const tooMany = Array.from({ length: 254 }, () => file.fd)
  await t.throwsAsync(connection.sendFds(tooMany), { code: 'EINVAL' })
  await passHandles(t, connection, file, tell, answer)
}

async function passHandles(
  t: ExecutionContext,
  connection: Connection,
  file: OpenFile,
  tell: (name: string) => Promise<void>,
  answer: () => Promise<Answer>,
): Promise<void> {
  await tell('send_handle')
  t.deepEqual(closedInodes([await connection.recvHandle()]), [file.inode])
  t.deepEqual(await answer(), {})

  await tell('recv_handle')
  await connection.sendHandle(file.fd)
  t.deepEqual(await answer(), { inodes: [file.inode] })
}

for (const python of pythons) {
  const { version } = python
  const isPython2 = version.startsWith('2')

  for (const role of ['client', 'listener'] as const) {
    for (const transport of listening) {
      test(`Python ${version} as ${role}, ${transport}: messages of every size come back as they went`, async (t) => {
        const { connection, program } = await pythonPeer(t, python, 'echo.py', role, transport)
        for (const size of sizes) await assertEchoed(t, connection, size)
        if (role === 'client' && transport === 'unix') await assertEchoed(t, connection, LARGEST)
        await connection.close()
        await program.finish()
      })
    }

    if (isPython2) {
      test(`Python ${version} as ${role}: a handle goes both ways, with the count byte 0 of Python 2`, async (t) => {
        const { connection, program } = await pythonPeer(t, python, 'handles.py', role, 'unix')
        const file = openFile(t)
        const tell = async (name: string): Promise<void> =>
          connection.sendBytes(Buffer.from(JSON.stringify({ name, path: file.path })))
        await passHandles(t, connection, file, tell, async () => JSON.parse(String(await connection.recvBytes())))
        await connection.close()
        await program.finish()
      })
      continue
    }

    test(`Python ${version} as ${role}: 1, 2, 100 and 253 descriptors go both ways, 254 are refused`, async (t) => {
      const { connection, program } = await pythonPeer(t, python, 'handles.py', role, 'unix')
      await passDescriptors(t, connection)
      await connection.close()
      await program.finish()
    })

    test(`Python ${version} as ${role}: descriptors go both ways with acknowledgement, as on macOS`, async (t) => {
      const { connection, program } = await pythonPeer(t, python, 'handles.py', role, 'unix', {
        extra: ['acknowledge'],
        options: { acknowledgeFds: true },
      })
      await passDescriptors(t, connection)
      await connection.close()
      await program.finish()
    })
  }

  for (const transport of listening) {
    test(`Python ${version}, ${transport}: 200 clients at once are all served`, async (t) => {
      const listener = await listen(t, freshAddress(t, transport))
      const program = runPython(t, python, 'clients.py', ['200', transport, argument(listener.address)])
      const connections: Connection[] = []
      while (connections.length < 200) connections.push(await accept(t, listener))
      await Promise.all(
        connections.map(async (connection) => {
          await connection.sendBytes(await connection.recvBytes())
          await t.throwsAsync(connection.recvBytes(), { code: 'ERR_EOF' })
        }),
      )
      t.deepEqual(await program.finish(), ['all answered'])
    })
  }

  // On TCP the kernel resets connections of a queue that was full for long.
  for (const transport of unixListening) {
    test(`Python ${version}, ${transport}: 50 connect at once to a listener with Python's backlog of 1`, async (t) => {
      const { program, address } = await pythonListener(t, python, transport, (target) => [
        'echo_server.py',
        ['50', transport, target],
      ])
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const connection = await dial(t, address)
          await assertEchoed(t, connection, index)
          await connection.close()
        }),
      )
      t.deepEqual(await program.finish(), [])
    })
  }
}

if (process.platform === 'linux') {
  for (const python of pythons.filter(({ version }) => Number(version.split('.')[1]) >= 8)) {
    test(`Python ${python.version}: an abstract name is reached by its bytes`, async (t) => {
      const name = abstractAddress()
      const listener = await listen(t, name)
      const program = runPython(t, python, 'abstract_bytes.py', [name.slice(1)])
      const connection = await accept(t, listener)
      t.is(String(await connection.recvBytes()), 'by bytes')
      await program.finish()
    })
  }
}

test('a Python client that exits before it is accepted is accepted, and what it sent received', async (t) => {
  for (const python of pythons) {
    const listener = await listen(t, temporaryAddress(t))
    const program = runPython(t, python, 'leaves_early.py', ['unix', String(listener.address)])
    await program.finish()
    const connection = await accept(t, listener)
    t.is(String(await connection.recvBytes()), 'sent and gone')
    await t.throwsAsync(connection.recvBytes(), { code: 'ERR_EOF' })
  }
})
