import { errorOf, native } from '../native/binding.ts'

/** What a descriptor refers to. */
export type FdKind = 'file' | 'directory' | 'pipe' | 'socket' | 'listener' | 'tty' | 'char' | 'block' | 'memfd' | 'anon'

export function kindOf(fd: number): FdKind {
  const kind = native.descriptorKind(fd)
  if (typeof kind === 'number') throw errorOf(kind)
  return kind as FdKind
}

export function isListener(fd: number, kind: FdKind): boolean {
  return kind === 'listener' && native.descriptorIsStream(fd) === 1
}

export function isStream(fd: number, kind: FdKind): boolean {
  return kind === 'pipe' || (kind === 'socket' && native.descriptorIsStream(fd) === 1)
}
