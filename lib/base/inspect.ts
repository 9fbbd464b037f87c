/** `util.inspect.custom`, which is documented to be this. */
const custom = Symbol.for('nodejs.util.inspect.custom')

/** Has `console.log` and `util.inspect` show objects of a class as `describe` says. */
export function inspectable<T extends object>(prototype: T, describe: (object: T) => string): void {
  Object.defineProperty(prototype, custom, {
    value(this: T): string {
      return describe(this)
    },
    configurable: true,
  })
}

/** A part of such a description. */
export function show(value: unknown): string {
  return process.getBuiltinModule('node:util').inspect(value)
}
