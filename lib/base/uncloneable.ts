/** Node 22.10 and later have it. */
type MarkAsUncloneable = (object: object) => void

const tag = Symbol('fdwire')

/**
 * What `structuredClone` and `postMessage` refuse (DataCloneError): they would give an empty object, without the private
 * state. The algorithm refuses the wrapper objects of symbols, which is what these are where Node cannot mark an object.
 */
// oxlint-disable-next-line typescript/no-extraneous-class
export abstract class Uncloneable {
  /** @internal */
  constructor() {
    const { markAsUncloneable } = process.getBuiltinModule('node:worker_threads') as {
      markAsUncloneable?: MarkAsUncloneable
    }
    if (markAsUncloneable === undefined) {
      // oxlint-disable-next-line no-constructor-return
      return Object.setPrototypeOf(Object(tag), new.target.prototype) as this
    }
    markAsUncloneable(this)
  }
}
