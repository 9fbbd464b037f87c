import { connectionOver } from './connection.ts'
import type { Connection } from './connection.ts'
import { openFreshChannel } from '../channel/open.ts'
import { checkConnectionOptions, connectionNames } from '../channel/options.ts'
import { checkFlag } from '../base/arguments.ts'
import type { Names } from '../base/arguments.ts'
import type { ConnectionOptions } from '../channel/options.ts'
import { errorOf, native } from '../native/binding.ts'

/** What a pipe is to be. */
export interface PipeOptions<Value = unknown> extends ConnectionOptions<Value> {
  /**
   * Whether both ends send and receive: a pair of unix sockets. `false` makes a one-way OS pipe, the reading end first,
   * that carries no descriptors.
   * @defaultValue true
   */
  readonly duplex?: boolean | undefined
}

const pipeNames: Names<PipeOptions> = { ...connectionNames, duplex: true }

/**
 * Two connections that are each other's peer. The ends are blocking, so that a child process of any language can inherit
 * one: `spawn(command, args, { stdio: [0, 1, 2, end.fd] })`, which is its descriptor 3. Python's
 * `multiprocessing.connection.Pipe`.
 *
 * @throws EMFILE, ENFILE; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`.
 */
export function pipe<Value = unknown>(options?: PipeOptions<Value>): [Connection<Value>, Connection<Value>] {
  const settings = checkConnectionOptions(options, pipeNames)
  const duplex = checkFlag(options?.duplex, 'options.duplex', true)
  const pair = native.descriptorPair(duplex)
  if (typeof pair === 'number') throw errorOf(pair)
  const [first, second] = pair as [number, number]
  return [connectionOver(openFreshChannel(first, settings, '')), connectionOver(openFreshChannel(second, settings, ''))]
}
