import { inspect } from 'node:util'

/** Has `console.log` and `util.inspect` show objects of a class as `describe` says. */
export function inspectable<T extends object>(prototype: T, describe: (object: T) => string): void {
  Object.defineProperty(prototype, inspect.custom, {
    value(this: T): string {
      return describe(this)
    },
    configurable: true,
  })
}
