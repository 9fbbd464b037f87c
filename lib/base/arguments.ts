import { invalidArgumentType, outOfRange, unknownName } from './errors.ts'

/** The names of the options `O`, all of them by the compiler's word. */
export type Names<O> = { readonly [Name in keyof Required<O>]: true }

export function checkFlag(value: unknown, name: string, absent: boolean): boolean {
  if (value === undefined) return absent
  if (typeof value !== 'boolean') throw invalidArgumentType(name, 'a boolean', value)
  return value
}

export function checkInteger(value: unknown, name: string, absent: number, max: number, min = 0): number {
  if (value === undefined) return absent
  if (typeof value !== 'number') throw invalidArgumentType(name, 'a number', value)
  if (!(value === Infinity && max === Infinity) && (!Number.isInteger(value) || value < min || value > max)) {
    throw outOfRange(name, `a whole number from ${min} to ${max}`, value)
  }
  return value
}

export function checkBytes(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value)
  throw invalidArgumentType(name, 'a Buffer, TypedArray, DataView or ArrayBuffer', value)
}

export function checkTimeout(value: unknown, name: string, absent: number): number {
  if (value === undefined) return absent
  if (value === null) return Infinity
  if (typeof value !== 'number') throw invalidArgumentType(name, 'a number of milliseconds or null', value)
  if (Number.isNaN(value)) throw outOfRange(name, 'a number of milliseconds', value)
  return Math.max(0, Math.ceil(value))
}

export function checkSignal(value: unknown, name: string): AbortSignal | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || !('aborted' in value)) {
    throw invalidArgumentType(name, 'an AbortSignal', value)
  }
  return value as AbortSignal
}

/** Checks that a value is an object, if it is given, and has no other names than those `known`: one misspelt would be ignored. */
export function checkOptions(value: unknown, known: Readonly<Record<string, true>>, name = 'options'): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null) throw invalidArgumentType(name, 'an object', value)
  for (const key in value) if (known[key] !== true) throw unknownName(name, key, Object.keys(known))
}
