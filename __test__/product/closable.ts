/** Something that can be closed. */
export interface Closable {
  readonly closed: boolean
  close(): Promise<void> | void
  [Symbol.dispose](): void
}
