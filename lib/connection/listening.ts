import { checkHandshake, handshakeNames } from '../authentication/handshakes.ts'
import type { HandshakeOptions } from '../authentication/handshakes.ts'
import { checkFlag, checkInteger } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import { checkConnectionOptions, connectionNames } from '../channel/options.ts'
import type { ConnectionOptions } from '../channel/options.ts'
import type { FdLike } from '../descriptors/fd-like.ts'
import { isListener } from '../descriptors/kind.ts'
import { BACKLOG, OwnedFd, adopting } from '../descriptors/owned-fd.ts'
import { checkCode, native } from '../native/binding.ts'
import { realm } from '../native/environment.ts'
import { Accepting } from './accepting.ts'
import type { AcceptSettings } from './accepting.ts'
import { checkAddress, checkPath } from './address.ts'
import { listenDetails } from './hints.ts'
import { checkUnlinkOnExit } from './unlink-on-exit.ts'
import type { Address, InternetTarget, Target, UnixTarget } from './address.ts'

/** Settings of a listener, and of the connections it accepts. */
export interface ListenerOptions<Value = unknown> extends ConnectionOptions<Value>, HandshakeOptions {
  /** Connections the kernel queues before {@link Listener.accept} takes them (listen(2)). @defaultValue 511 */
  readonly backlog?: number | undefined
  /**
   * Permissions of the socket file, in place before anyone can connect.
   * @defaultValue what the umask leaves
   */
  readonly mode?: number | undefined
  /**
   * Whether closing removes the socket file, where it is still the one made here. An exit of the process closes; a signal that
   * ends it does not.
   * @defaultValue true; false for a listener that was adopted
   */
  readonly unlink?: boolean | undefined
  /**
   * Whether a SIGINT or SIGTERM that ends the process closes the listener first, and so removes its file. The signal then does
   * what it would have done. Where the program handles the signal itself, that decides. In the main thread only.
   * @defaultValue false
   */
  readonly unlinkOnExit?: boolean | undefined
  /**
   * Whether a socket file that nobody listens on is replaced. One that was adopted has its file already.
   * @defaultValue false
   */
  readonly replaceStale?: boolean | undefined
}

const listenNames: Names<ListenerOptions> = {
  ...connectionNames,
  ...handshakeNames,
  backlog: true,
  mode: true,
  unlink: true,
  unlinkOnExit: true,
  replaceStale: true,
}

interface ListenSettings extends AcceptSettings {
  /** Undefined where none is given. */
  readonly backlog: number | undefined
  readonly file: { readonly mode?: number; readonly unlink: boolean; readonly replaceStale: boolean }
}

/** Where and how to listen; `target` is undefined for a fresh socket file. */
export interface Listening {
  readonly target: Target | undefined
  readonly settings: ListenSettings
}

/** Checks what `listen` was given. */
export function checkListening<Value>(
  address: Address | null | undefined,
  options: ListenerOptions<Value> | undefined,
): Listening {
  const isFresh = address === undefined || address === null || address === ''
  const target = isFresh ? undefined : checkAddress(address)
  return { target, settings: checkListenerOptions(options, target?.kind !== 'fd') }
}

function checkListenerOptions<Value>(options: ListenerOptions<Value> = {}, unlink = true): ListenSettings {
  const connection = checkConnectionOptions(options, listenNames)
  const unlinkOnExit = checkFlag(options.unlinkOnExit, 'options.unlinkOnExit', false)
  if (unlinkOnExit) checkUnlinkOnExit()
  const mode = options.mode === undefined ? undefined : checkInteger(options.mode, 'options.mode', 0, 0o7777)
  return {
    connection,
    handshake: checkHandshake(options),
    unlinkOnExit,
    backlog:
      options.backlog === undefined ? undefined : checkInteger(options.backlog, 'options.backlog', 0, 0x7fffffff),
    file: {
      ...(mode !== undefined && { mode }),
      unlink: checkFlag(options.unlink, 'options.unlink', unlink),
      replaceStale: checkFlag(options.replaceStale, 'options.replaceStale', false),
    },
  }
}

/** Listens on a host's address, which was looked up. */
export function listenInternet<Value>(
  hosts: readonly string[],
  target: InternetTarget,
  settings: ListenSettings,
): Accepting<Value> {
  const id = native.listenInternet(realm, hosts[0] as string, target.port, settings.backlog ?? BACKLOG)
  return accepting(id, target, settings)
}

/** Listens on anything else. */
export function listenLocally<Value>(
  target: Exclude<Target, InternetTarget> | undefined,
  settings: ListenSettings,
): Accepting<Value> {
  if (target === undefined) return listenTemporary(settings)
  return target.kind === 'fd' ? listenOnCopy(target.fd, settings) : listenUnix(target, settings)
}

/** Of somebody's descriptor, who still has it when this fails. */
export function adoptListener<Value>(
  fd: number | OwnedFd,
  options: ListenerOptions<Value> | undefined,
): Accepting<Value> {
  return adopt(fd, checkListenerOptions(options, false))
}

function adopt<Value>(fd: number | OwnedFd, settings: ListenSettings): Accepting<Value> {
  const id = adopting(fd, 'a listening stream socket', isListener, (number) =>
    checkCode(native.listenDescriptor(realm, number, settings.file, settings.backlog)),
  )
  return new Accepting<Value>(id, settings)
}

function listenOnCopy<Value>(fd: FdLike, settings: ListenSettings): Accepting<Value> {
  const copy = OwnedFd.dup(fd)
  try {
    return adopt(copy, settings)
  } finally {
    copy.close()
  }
}

function listenUnix<Value>(target: UnixTarget, settings: ListenSettings): Accepting<Value> {
  return accepting(native.listenUnix(realm, target.path, settings.backlog ?? BACKLOG, settings.file), target, settings)
}

function listenTemporary<Value>(settings: ListenSettings): Accepting<Value> {
  const { mkdtempSync } = process.getBuiltinModule('node:fs')
  const { tmpdir } = process.getBuiltinModule('node:os')
  const { join } = process.getBuiltinModule('node:path')
  const directory = mkdtempSync(join(tmpdir(), 'fdwire-'))
  const target = checkPath(join(directory, 'listener'), 'path')
  const file = { ...settings.file, unlink: true, directory }
  return accepting(native.listenUnix(realm, target.path, settings.backlog ?? BACKLOG, file), target, settings)
}

function accepting<Value>(id: number, target: Target, settings: ListenSettings): Accepting<Value> {
  return new Accepting<Value>(id < 0 ? checkCode(id, listenDetails(target, settings.file.replaceStale)) : id, settings)
}
