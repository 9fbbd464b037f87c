// What is declared of values: compiled by tsc, never run.
import { Connection, Listener, connect, connectSync, pipe } from '../../index.ts'
import type { CustomCodec, ConnectOptions, OwnedFd } from '../../index.ts'
import type { Duplex } from 'node:stream'
import { same } from './same.ts'

interface Order {
  readonly item: string
}

declare const orders: CustomCodec<Order>
declare const fd: OwnedFd
declare const duplex: Duplex

/** A connection has the values of its codec, whoever makes it. */
export async function connections(): Promise<void> {
  const connection = await connect('a', { codec: orders })
  same<Connection<Order>>()(connection)
  same<Order>()(await connection.recv())
  same<Order>()(connection.recvSync({ timeout: 1 }))
  await connection.send({ item: 'tea' })
  connection.sendSync({ item: 'tea' })
  // @ts-expect-error another value
  await connection.send({ items: 1 })
  // @ts-expect-error another value
  connection.sendSync('tea')
  // @ts-expect-error the codec says what is received
  await connection.recv<number>()

  same<Connection<Order>>()(connectSync('a', { codec: orders, timeout: 1 }))
  same<[Connection<Order>, Connection<Order>]>()(pipe({ codec: orders }))
  same<Connection<Order>>()(Connection.fromFd(fd, { codec: orders }))
  same<Connection<Order>>()(Connection.fromStream(duplex, { codec: orders }))
  same<Connection<Order>>()(fd.toConnection({ codec: orders }))
  same<Connection<Order>>()(await connection.recvConnection())
  same<Connection<Order>>()(connection.recvConnectionSync())
}

/** So do those that a listener accepts. */
export async function listeners(): Promise<void> {
  const listener = await Listener.listen('a', { codec: orders })
  same<Listener<Order>>()(listener)
  same<Listener<Order>>()(Listener.listenSync('a', { codec: orders }))
  same<Listener<Order>>()(Listener.fromFd(fd, { codec: orders }))
  same<Listener<Order>>()(fd.toListener({ codec: orders }))
  same<Connection<Order>>()(await listener.accept())
  same<Connection<Order>>()(listener.acceptSync())
  for await (const connection of listener) same<Connection<Order>>()(connection)
  await listener.serve(async (connection) => {
    same<Connection<Order>>()(connection)
    await connection.send(await connection.recv())
  })
  await listener.serve(() => {}, { onError: (_, connection) => same<Connection<Order> | undefined>()(connection) })
  // @ts-expect-error a handler of other values
  await listener.serve((connection: Connection<number>) => connection.close())
}

/** What codec there is may be left open, and the values said: neither 'json' nor 'v8' checks them. */
export async function uncheckedCodecs(options: ConnectOptions<Order>): Promise<void> {
  same<Connection<Order>>()(await connect('a', options))
  same<Connection<Order>>()(await connect<Order>('a', { codec: 'v8' }))
  same<Connection>()(await connect('a'))
  same<Connection>()(await connect('a', { codec: 'json' }))
  same<unknown>()(await (await connect('a')).recv())
}

/** A codec written where it is used says its type by what it encodes. */
export async function inlineCodec(): Promise<void> {
  const codec = {
    encode: (order: Order) => Buffer.from(order.item),
    decode: (data: Buffer): Order => ({ item: data.toString() }),
  }
  same<Connection<Order>>()(await connect('a', { codec }))
  const [parsing] = pipe({
    codec: { encode: (order: Order) => Buffer.from(order.item), decode: (data) => JSON.parse(data.toString()) },
  })
  same<Connection<Order>>()(parsing)
  // @ts-expect-error it does not encode what is unknown
  const wrong: CustomCodec = orders
  void wrong
}

/** A connection of some values does as one of any, and not the other way round. */
export function variance(connection: Connection<Order>, any: Connection, listener: Listener<Order>): void {
  const connections: Connection[] = [connection]
  const listeners: Listener[] = [listener]
  // @ts-expect-error its values are unknown
  const wrong: Connection<Order> = any
  void [connections, listeners, wrong]
}
