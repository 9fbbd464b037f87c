import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OwnedFd } from '../../index.ts'

/** What a test (ava's `t`) and a fixture program both offer: somewhere to say what to undo at the end. */
export interface Scope {
  teardown(undo: (() => void) | (() => Promise<void>)): void
}

/** Runs `body` with a scope of its own, undone in reverse order, for programs that are not tests. */
export async function withScope<T>(body: (scope: Scope) => Promise<T>): Promise<T> {
  const undo: ((() => void) | (() => Promise<void>))[] = []
  try {
    return await body({ teardown: (step) => undo.push(step) })
  } finally {
    for (const step of undo.toReversed()) await step()
  }
}

export function temporaryDirectory(scope: Scope): string {
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-'))
  scope.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function temporaryAddress(scope: Scope): string {
  return join(temporaryDirectory(scope), 'socket')
}

/** A Linux abstract name nobody else uses. */
export function abstractAddress(): string {
  return `\0fdwire-${randomUUID()}`
}

/** How many descriptors this process has open, the one used for looking not counted. */
export function fdCount(): number {
  return readdirSync('/dev/fd').length - 1
}

/** Opens descriptors until none is left. */
export function openUntilFull(): number[] {
  const opened: number[] = []
  try {
    for (;;) opened.push(openSync('/dev/null', 'r'))
  } catch {
    return opened
  }
}

/** Device and inode: equal for two descriptors of the same open file, whatever their numbers. */
export function inode(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true })
  return `${dev}:${ino}`
}

/** A number that is no open descriptor, whatever else the tests beside this one open. */
export const UNUSED_FD = 1_000_000

/** True while the number is an open descriptor of this process. */
export function isOpen(fd: number): boolean {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

/** True while the number is the same open file as it was: a number is soon used again. */
export function isStill(fd: number, expected: string): boolean {
  return isOpen(fd) && inode(fd) === expected
}

export interface OpenFile {
  readonly path: string
  readonly fd: number
  readonly inode: string
}

/** A file of its own, open for reading and writing until the scope ends. */
export function openFile(scope: Scope, content: string = ''): OpenFile {
  const path = join(temporaryDirectory(scope), 'file')
  writeFileSync(path, content)
  const fd = openSync(path, 'r+')
  scope.teardown(() => closeSync(fd))
  return { path, fd, inode: inode(fd) }
}

export function openFiles(scope: Scope, count: number): OpenFile[] {
  return Array.from({ length: count }, (_, index) => openFile(scope, `file ${index}`))
}

/** The inodes of descriptors received, which are closed. */
export function closedInodes(fds: readonly OwnedFd[]): string[] {
  return fds.map((owned) => {
    const result = inode(owned.fd)
    owned.close()
    return result
  })
}
