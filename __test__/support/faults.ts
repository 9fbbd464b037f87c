import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fixture } from './program.ts'
import { type Scope, temporaryDirectory } from './resources.ts'

/** Whether system calls can be made to fail here: a C compiler is needed, and a loader that takes LD_PRELOAD. */
export const canInject: boolean = process.platform === 'linux' && hasCompiler()

function hasCompiler(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Environment variables under which a program's system calls fail where {@link failing} says so. */
export function injected(scope: Scope): Readonly<Record<string, string>> {
  const library = join(temporaryDirectory(scope), 'faults.so')
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, fixture('faults.c'), '-ldl'])
  return { LD_PRELOAD: library }
}

type Fault = 'FAULT_EPOLL_CTL' | 'FAULT_NONBLOCK' | 'FAULT_SENDMSG'

/** What the program gets while `call` runs, and fails to get: the errno is that of registering, or of O_NONBLOCK. */
export function failing<T>(fault: Fault, errno: number, call: () => T): T {
  process.env[fault] = String(errno)
  try {
    return call()
  } finally {
    delete process.env[fault]
  }
}
