/** A descriptor and its mask. */
export type FdEvent = [fd: number, mask: number]

let words = new Int32Array(2048)
let view = words

/** Room for so many (descriptor, mask) pairs of a native call; what it says is to be read before the next call. */
export function pairs(count: number): Int32Array {
  if (view.length === 2 * count) return view
  if (words.length < 2 * count) words = new Int32Array(2 * Math.max(count, words.length))
  view = words.subarray(0, 2 * count)
  return view
}

/** The first `count` pairs, masks as unsigned numbers. */
export function toEvents(words: Int32Array, count: number): FdEvent[] {
  return Array.from({ length: count }, (_, at) => [words[2 * at] as number, (words[2 * at + 1] as number) >>> 0])
}
