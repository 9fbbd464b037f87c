import { fstatSync } from 'node:fs'

const start = performance.now()

/** Prints what happened, and in which process. */
export function step(who) {
  return (what) => console.log(`${(performance.now() - start).toFixed(0).padStart(5)} ms  ${who.padEnd(11)} ${what}`)
}

/** A descriptor's kind and inode, the same wherever it went. */
export function describe(kind, fd) {
  return `${kind}, fd ${fd} here, inode ${fstatSync(fd).ino}`
}
