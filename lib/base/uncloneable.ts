const tag = Symbol('fdwire')
/** `markAsUncloneable` of Node 22.10 and later; null where there is none, undefined before it was looked for. */
let mark: ((object: object) => void) | null | undefined

/**
 * What `structuredClone` and `postMessage` refuse (DataCloneError): they would give an empty object, without the private
 * state. The algorithm refuses the wrapper objects of symbols, which is what these are where Node cannot mark an object.
 */
// oxlint-disable-next-line typescript/no-extraneous-class
export abstract class Uncloneable {
  /** @internal */
  constructor() {
    if (mark === undefined) {
      const threads = process.getBuiltinModule('node:worker_threads') as {
        markAsUncloneable?: (object: object) => void
      }
      mark = threads.markAsUncloneable ?? null
    }
    if (mark === null) {
      // oxlint-disable-next-line no-constructor-return
      return Object.setPrototypeOf(Object(tag), new.target.prototype) as this
    }
    mark(this)
  }
}
