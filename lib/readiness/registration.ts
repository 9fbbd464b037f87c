import { checkFlag, checkOptions } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { invalidArgumentType, invalidArgumentValue } from '../base/errors.ts'
import type { SystemErrorDetails } from '../base/errors.ts'
import type { FdLike } from '../descriptors/fd-like.ts'

/** To read: input, the end, or an error to be had. Python's `selectors.EVENT_READ`. */
export const EVENT_READ = 1
/** To write: room for output, or an error to be had. Python's `selectors.EVENT_WRITE`. */
export const EVENT_WRITE = 2
/** Urgent data; reported where the registration has `priority`. */
export const EVENT_PRIORITY = 4
/** The peer sends no more; reported where the registration has `rdhup`. */
export const EVENT_RDHUP = 8

/** What a selector does with files. */
export interface SelectorOptions {
  /**
   * What registering a file does that the system cannot watch, because it never blocks: fail with EPERM, or report it as
   * ready always.
   * @defaultValue `'refuse'`
   */
  readonly regularFiles?: 'refuse' | 'ready' | undefined
}

/** How one object is watched. */
export interface RegisterOptions {
  /** Report it when its state changes, not as long as it is ready. @defaultValue false */
  readonly edge?: boolean | undefined
  /** Report it once, then not until {@link Selector.modify}. @defaultValue false */
  readonly oneshot?: boolean | undefined
  /**
   * Of several processes that block in {@link Selector.selectSync} for the same file, wake one or a few and not all. Not
   * with any other option but `edge` (EINVAL), and without effect where there is no epoll, or on an awaited select: there
   * the kernel wakes all event loops.
   * @defaultValue false
   */
  readonly exclusive?: boolean | undefined
  /** Also report {@link EVENT_PRIORITY}. Not on kqueue. @defaultValue false */
  readonly priority?: boolean | undefined
  /** Also report {@link EVENT_RDHUP}. @defaultValue false */
  readonly rdhup?: boolean | undefined
}

/** Data and options; the data may be left out where a selector's may be undefined. */
export type RegisterArguments<Data, ItsData extends Data> = undefined extends Data
  ? [data?: ItsData, options?: RegisterOptions]
  : [data: ItsData, options?: RegisterOptions]

/** What is registered. Python's `selectors.SelectorKey`. */
export interface SelectorKey<Data = unknown, FileObj extends FdLike = FdLike> {
  /** The object registered, itself. */
  readonly fileObj: FileObj
  /** Its descriptor at that time. */
  readonly fd: number
  /** What it is watched for: {@link EVENT_READ}, {@link EVENT_WRITE}, or both. */
  readonly events: number
  /** What was registered with it. */
  readonly data: Data
}

/** Something that is ready. */
export interface Ready<Data = unknown, FileObj extends FdLike = FdLike> {
  readonly key: SelectorKey<Data, FileObj>
  /** What for: those of `key.events` that it is ready for, and what else its options ask for. */
  readonly events: number
}

/** Checked {@link RegisterOptions}. */
export interface Settings {
  readonly edge: boolean
  readonly oneshot: boolean
  readonly exclusive: boolean
  readonly priority: boolean
  readonly rdhup: boolean
}

/** An object that is registered. */
export interface Registration<Data, FileObj extends FdLike> {
  key: SelectorKey<Data, FileObj>
  settings: Settings
  /** The object, not its descriptor, says when it can be read: a listener with handshakes. */
  readonly byObject: boolean
  /** A oneshot one that was reported. */
  spent: boolean
  /** Ends the observation of what is read ahead. */
  stop: (() => void) | undefined
  /** Ends the object's work on becoming readable. */
  leave: (() => void) | undefined
}

const defaults: Settings = { edge: false, oneshot: false, exclusive: false, priority: false, rdhup: false }

/** What an error of epoll_ctl(2) says besides, by its code. */
const refusals: Readonly<Record<string, string>> = {
  EEXIST: 'it is registered already',
  ENOENT: 'it is not registered, or was closed',
  EPERM:
    "a regular file or directory is always ready, and epoll refuses it; with { regularFiles: 'ready' } a Selector takes it",
}

/** Of what is not registered, or not as it should be. */
export const refused: SystemErrorDetails = { hint: (code) => refusals[code] }

/** The same of a Selector's options. */
export function refusedWith({ exclusive }: Settings): SystemErrorDetails {
  return exclusive
    ? { hint: (code) => (code === 'EINVAL' ? 'exclusive goes with edge alone' : refusals[code]) }
    : refused
}

const registerNames: Names<RegisterOptions> = {
  edge: true,
  oneshot: true,
  exclusive: true,
  priority: true,
  rdhup: true,
}
const selectorNames: Names<SelectorOptions> = { regularFiles: true }

export function checkSettings(options: RegisterOptions | undefined): Settings {
  if (options === undefined) return defaults
  checkOptions(options, registerNames)
  const flag = (name: keyof Settings): boolean => checkFlag(options[name], `options.${name}`, false)
  return {
    edge: flag('edge'),
    oneshot: flag('oneshot'),
    exclusive: flag('exclusive'),
    priority: flag('priority'),
    rdhup: flag('rdhup'),
  }
}

export function checkEvents(events: unknown, { priority, rdhup }: Settings): number {
  if (typeof events !== 'number') throw invalidArgumentType('events', 'a number', events)
  const some = events === EVENT_READ || events === EVENT_WRITE || events === (EVENT_READ | EVENT_WRITE)
  if (!some && !(events === 0 && (priority || rdhup))) {
    throw invalidArgumentValue('events', `must be EVENT_READ, EVENT_WRITE or both, not ${events}`)
  }
  return events
}

export function checkRegularFiles(options: SelectorOptions | undefined): boolean {
  checkOptions(options, selectorNames)
  const value: unknown = options?.regularFiles ?? 'refuse'
  if (value !== 'refuse' && value !== 'ready') {
    throw invalidArgumentValue('options.regularFiles', `must be 'refuse' or 'ready', not ${String(value)}`)
  }
  return value === 'ready'
}

/** How the native side watches what is read by the object while nobody blocks for it: for nothing but its end. */
export const resting: Settings = { ...defaults, edge: true, rdhup: true }
