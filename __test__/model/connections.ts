import * as fc from 'fast-check'
import { asyncModelRun, type AsyncCommand } from 'fast-check'
import { openFiles, withScope } from '../support/resources.ts'
import { connected, type Transport } from '../support/transports.ts'
import { plain } from './codec.ts'
import { Close, Destroy, finish, HalfClose, ReceiveEnd } from './endings.ts'
import { Model, type Real, type Side } from './pair.ts'
import {
  Abort,
  Flush,
  hows,
  Poll,
  Receive,
  ReceiveFds,
  receiveKinds,
  ReceiveSync,
  ReceiveTimesOut,
  ReceiveTooShort,
  Send,
  SendTimesOut,
  StartReceive,
} from './steps.ts'
import type { Subject } from './subject.ts'

const side = fc.constantFrom<Side>(0, 1)
/** Around the limits at which messages are treated in another way. */
const sizes = [0, 1, 5, 100, 4092, 4095, 4096, 4097, 16_384, 65_531, 65_536, 65_537, 131_072, 300_000]
const size = fc.oneof(fc.constantFrom(...sizes), fc.integer({ min: 0, max: 300 }))
const count = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }) },
)

const receive = fc.tuple(side, fc.constantFrom(...receiveKinds)).map(([end, kind]) => new Receive(end, kind))
const send = fc.tuple(side, fc.constantFrom(...hows), size, count).map((all) => new Send(...all))

/** Sends and receives come often, endings seldom. */
const commands: fc.Arbitrary<AsyncCommand<Model, Real>>[] = [
  send,
  fc.tuple(side, fc.constant('sendBytes' as const), size, count).map((all) => new Send(...all)),
  fc.tuple(side, size).map(([end, bytes]) => new SendTimesOut(end, bytes)),
  receive,
  receive.map((step) => step),
  side.map((end) => new ReceiveTooShort(end)),
  side.map((end) => new ReceiveSync(end)),
  fc.tuple(side, fc.integer({ min: 1, max: 4 })).map(([end, max]) => new ReceiveFds(end, max)),
  side.map((end) => new StartReceive(end)),
  fc.tuple(side, fc.integer({ min: 0, max: 2 })).map(([end, index]) => new Abort(end, index)),
  fc.tuple(side, fc.constantFrom(0, 1)).map(([end, timeout]) => new ReceiveTimesOut(end, timeout)),
  side.map((end) => new Poll(end)),
  side.map((end) => new Flush(end)),
  side.map((end) => new ReceiveEnd(end)),
  fc
    .tuple(side, fc.integer({ min: 0, max: 3 }))
    .map(([end, which]) =>
      which === 0 ? new Close(end) : which === 1 ? new Destroy(end) : which === 2 ? new HalfClose(end) : new Poll(end),
    ),
]

function subject(transport: Transport, runs: number): Subject<Model, Real> {
  return {
    runs,
    warmUp: [new HalfClose(0)],
    commands,
    run: async (steps: Iterable<AsyncCommand<Model, Real>>): Promise<void> =>
      withScope(async (scope) => {
        const ends = await connected(scope, transport, { codec: plain })
        const carriesDescriptors = transport !== 'tcp'
        const real: Real = { connections: ends, files: openFiles(scope, 3), carriesDescriptors, sends: [] }
        const model = new Model()
        await asyncModelRun(() => ({ model, real }), steps)
        await finish(model, real)
      }),
  }
}

export const connections: readonly Subject<Model, Real>[] = [
  subject('unix', 150),
  subject('pipe', 150),
  subject('tcp', 100),
]
