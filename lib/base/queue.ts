interface Link<T> {
  readonly item: T
  next: Link<T> | undefined
}

/** First in, first out, in constant time. A chain: an empty one holds no memory. */
export class Queue<T> {
  #first: Link<T> | undefined
  #last: Link<T> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    const link = { item, next: undefined }
    if (this.#last === undefined) this.#first = link
    else this.#last.next = link
    this.#last = link
    this.#length++
  }

  peek(): T | undefined {
    return this.#first?.item
  }

  shift(): T | undefined {
    const first = this.#first
    if (first === undefined) return undefined
    this.#first = first.next
    if (first.next === undefined) this.#last = undefined
    this.#length--
    return first.item
  }

  /** Takes out the first that `matches`. */
  remove(matches: (item: T) => boolean): void {
    let before: Link<T> | undefined
    for (let link = this.#first; link !== undefined; before = link, link = link.next) {
      if (!matches(link.item)) continue
      if (before === undefined) this.#first = link.next
      else before.next = link.next
      if (this.#last === link) this.#last = before
      this.#length--
      return
    }
  }

  /** Takes all there is. */
  drain(): T[] {
    const items: T[] = []
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item)
    return items
  }
}
