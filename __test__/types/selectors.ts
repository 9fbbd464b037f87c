// What is declared of readiness: compiled by tsc, never run.
import { Selector, EVENT_READ, wait, waitSync } from '../../index.ts'
import type { Connection, FdLike, Listener, OwnedFd, Ready, SelectorKey } from '../../index.ts'
import { same } from './same.ts'

declare const connection: Connection
declare const listener: Listener
declare const fd: OwnedFd

/** A key has the types of what was registered; the rest of a selector those that it is said to have. */
export async function typed(): Promise<void> {
  const selector = new Selector<() => void, Connection | Listener>()
  const key = selector.register(connection, EVENT_READ, () => {})
  same<Connection>()(key.fileObj)
  same<() => void>()(key.data)
  // @ts-expect-error neither of the two
  selector.register(fd, EVENT_READ, () => {})
  // @ts-expect-error no data
  selector.register(listener, EVENT_READ)
  // @ts-expect-error no data
  selector.modify(listener, EVENT_READ)
  // @ts-expect-error other data
  selector.register(listener, EVENT_READ, 'data')
  same<SelectorKey<() => void, Connection | Listener>>()(selector.getKey(connection))
  same<SelectorKey<() => void, Connection | Listener>>()(selector.unregister(3))
  same<Connection | Listener>()(selector.modify(connection, EVENT_READ, () => {}).fileObj)
  for (const { key: ready } of await selector.select()) {
    same<Connection | Listener>()(ready.fileObj)
    ready.data()
  }
  same<Ready<() => void, Connection | Listener>[]>()(selector.selectSync(0))
  for await (const ready of selector) same<Ready<() => void, Connection | Listener>[]>()(ready)
  same<ReadonlyMap<Connection | Listener, SelectorKey<() => void, Connection | Listener>>>()(selector.getMap())
}

/** One that is said nothing of takes everything; each key still is precise. */
export async function untyped(): Promise<void> {
  const selector = new Selector()
  same<SelectorKey<string, OwnedFd>>()(selector.register(fd, EVENT_READ, 'data' as string))
  same<SelectorKey<unknown, Listener>>()(selector.register(listener, EVENT_READ))
  same<Ready[]>()(await selector.select())
  same<FdLike | undefined>()((await selector.select())[0]?.key.fileObj)
}

/** Waiting gives what it was given. */
export async function waiting(): Promise<void> {
  same<Connection[]>()(await wait([connection]))
  same<(Connection | Listener)[]>()(await wait([connection, listener]))
  same<(Connection | number)[]>()(waitSync([connection, 3 as number]))
  // @ts-expect-error nothing to wait for
  await wait(['connection'])
}

/** What blocks has no signal. */
export function blocking(signal: AbortSignal): void {
  connection.recvSync({ timeout: 1 })
  // @ts-expect-error
  connection.recvSync({ signal })
  // @ts-expect-error
  listener.acceptSync({ signal })
  // @ts-expect-error
  waitSync([connection], { signal })
  // @ts-expect-error
  new Selector().selectSync({ signal })
  // @ts-expect-error
  connection.pollSync({ signal })
}
