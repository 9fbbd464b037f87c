import { readSync, writeSync } from 'node:fs'
import { constants, type FdLike, OwnedFd, pipe, Poll } from '../../index.ts'
import type { Scope } from './resources.ts'

/** The two ends of a socket pair, or of a one-way pipe (reader first): bare descriptors, closed when the scope ends. */
export function ends(scope: Scope, duplex: boolean = true): [OwnedFd, OwnedFd] {
  const [first, second] = pipe({ duplex }).map((connection) => connection.detach()) as [OwnedFd, OwnedFd]
  for (const end of [first, second]) scope.teardown(() => end.close())
  return [first, second]
}

export function put({ fd }: { readonly fd: number }, text: string = 'x'): void {
  writeSync(fd, text)
}

export function take({ fd }: { readonly fd: number }, size: number = 64): string {
  const buffer = Buffer.alloc(size)
  return buffer.toString('latin1', 0, readSync(fd, buffer))
}

/** Writes until there is no room left. */
export function fill({ fd }: { readonly fd: number }): number {
  const poll = new Poll()
  poll.register(fd, constants.POLLOUT)
  let written = 0
  while (poll.pollSync(0).length > 0) written += writeSync(fd, Buffer.alloc(512))
  return written
}

/** A number that is no open descriptor. */
export function closedNumber(): number {
  const fd = OwnedFd.dup(0)
  const number = fd.fd
  fd.close()
  return number
}

/** A copy of `source` under a number that is free. */
export function copyAs(scope: Scope, source: FdLike, number: number): OwnedFd {
  const copies: OwnedFd[] = []
  while (copies.at(-1)?.fd !== number) copies.push(OwnedFd.dup(source))
  const copy = copies.pop()!
  for (const other of copies) other.close()
  scope.teardown(() => copy.close())
  return copy
}
