import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pipe } from '../../index.js'

/** Has another program open something and hand it over: its descriptor, and the program. */
export async function opened(...what) {
  const [ours, theirs] = pipe()
  const script = fileURLToPath(new URL('open.py', import.meta.url))
  const program = spawn('python3', [script, ...what], { stdio: ['pipe', 'inherit', 'inherit', theirs.fd] })
  theirs.destroy()
  const fd = await ours.recvHandle()
  ours.destroy()
  return { fd, program }
}
