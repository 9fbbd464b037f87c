/** A read-only view of the keys in a map. */
export class LiveMap<K, V> implements ReadonlyMap<K, V> {
  readonly #source: ReadonlyMap<K, { readonly key: V }>

  constructor(source: ReadonlyMap<K, { readonly key: V }>) {
    this.#source = source
  }

  get size(): number {
    return this.#source.size
  }

  has(key: K): boolean {
    return this.#source.has(key)
  }

  get(key: K): V | undefined {
    return this.#source.get(key)?.key
  }

  keys(): MapIterator<K> {
    return this.#source.keys()
  }

  *values(): MapIterator<V> {
    for (const { key } of this.#source.values()) yield key
  }

  *entries(): MapIterator<[K, V]> {
    for (const [object, { key }] of this.#source) yield [object, key]
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void, thisArg?: unknown): void {
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this)
  }
}
