import { realm, report, sources } from '../native/environment.ts'
import type { Source } from '../native/environment.ts'
import { TimeoutError, closedError, invalidState } from '../base/errors.ts'
import type { SystemErrorDetails } from '../base/errors.ts'
import { errnoOf, errorOf, hot, native } from '../native/binding.ts'
import { errno } from '../native/errno.ts'
import { Queue } from '../base/queue.ts'
import { Pending } from '../base/limits.ts'
import type { Blamed } from '../base/limits.ts'

const { send, sendFrames, sendRecord } = hot
const { QUEUED, REPORT_QUEUED, REPORT_TURN, REPORT_WRITTEN, TIMED_OUT } = native

/** A send that the kernel has not all of yet: done once it has this stream position. */
interface Send {
  readonly end: number
  readonly pending: Pending<void>
}

/** What the error of a send says besides. */
const sending: SystemErrorDetails = {
  hint: (code) => (code === 'EBADF' ? 'a descriptor to be sent is not open' : undefined),
}

/** Whose sends they are. */
interface Sender extends Source, Blamed {
  /** Whether a send that fails as the stream does needs nobody who hears of it. */
  readonly served: boolean
}

/** Messages up to this size are put together with the others of the turn. */
const STAGED = 4 * 1024

/** Bytes of a small message's header: its length, big-endian. */
const HEADER = 4

/** Small messages of one turn, framed, in memory that the native side knows by a number. */
class Stage {
  readonly #frames = new Uint8Array(32 * 1024)
  readonly number = native.registerStage(realm, this.#frames)
  used = 0

  /** False where there is no room. */
  put(bytes: Uint8Array, offset: number, size: number): boolean {
    const frames = this.#frames
    const start = this.used + HEADER
    if (start + size > frames.length) return false
    frames[start - 4] = 0
    frames[start - 3] = 0
    frames[start - 2] = size >> 8
    frames[start - 1] = size
    frames.set(size === bytes.length ? bytes : bytes.subarray(offset, offset + size), start)
    this.used = start + size
    return true
  }
}

/** Stages not in use: a connection has one only while messages wait in it. */
const stages: Stage[] = []
/** There are so many at the most; messages that find none are copied to the native side one by one. */
const MAX_STAGES = 32
let stageCount = 0

function takeStage(): Stage | undefined {
  const stage = stages.pop()
  if (stage !== undefined || stageCount === MAX_STAGES) return stage
  stageCount++
  return new Stage()
}

/** For a message that leaves at once. */
const direct = new Stage()

/** Takes queued bytes where the native side cannot write. */
export interface Carrier {
  /** The stream position up to which they are there. */
  readonly written: number
  /** Bytes it took that are not there yet. */
  readonly length: number
  /** Takes what is queued; `settle` is called when some is there, or with the error that ended it. */
  write(settle: (error?: Error | null) => void): void
}

/** Those that wait for the end of the turn, when what they have leaves together. */
let corked: Outbox[] | undefined
/** One for all that is done at once. */
const done = Promise.resolve()

const ignore = (): void => {}

/** Failures of the stream: nothing that follows can leave either. */
const ofStream = new Set(
  [
    errno.EPIPE,
    errno.ECONNRESET,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
  ].map((number) => -number),
)

function uncork(): void {
  const outboxes = corked ?? []
  corked = undefined
  for (const outbox of outboxes) outbox.uncork()
}

/** The sending half of a connection: which sends the kernel has, and which not yet. */
export class Outbox {
  /** Whether it can send. */
  readonly writable: boolean
  readonly #id: number
  readonly #owner: Sender
  readonly #sends = new Queue<Send>()
  /** What is written now waits until {@link uncork}. */
  #corked = false
  /** The turn of the native side in which something was written at once. */
  #turn = 0
  #stage: Stage | undefined
  /** Settles those in the stage together. */
  #staged: Pending<void> | undefined
  #drains: (() => void)[] = []
  /** Of the last send that was not done at once. */
  #last: Promise<void> | undefined
  #carrier: Carrier | undefined

  constructor(id: number, owner: Sender, writable: boolean) {
    this.#id = id
    this.#owner = owner
    this.writable = writable
  }

  /** Whether something waits for the kernel. */
  get waiting(): boolean {
    return this.#sends.length > 0 || this.#stage !== undefined
  }

  /** Bytes that wait for the kernel. */
  get length(): number {
    const stage = this.#stage
    return native.queuedLength(this.#id) + (stage?.used ?? 0) + (this.#carrier?.length ?? 0)
  }

  /** Sends a message, after the first `descriptors` descriptor words. */
  send(bytes: Uint8Array, offset: number, size: number, descriptors: number): Promise<void> {
    // Descriptors leave by themselves: nothing is gained by waiting, and those that wait have to be duplicated.
    const cork = this.#cork() && descriptors === 0
    if (cork && size <= STAGED) return this.#put(bytes, offset, size)
    return this.#sent(this.#write(bytes, offset, size, descriptors, cork))
  }

  /** Sends the first `descriptors` descriptor words in a handle record. */
  sendRecord(descriptors: number): Promise<void> {
    this.#cork()
    this.#unstage(false)
    return this.#sent(sendRecord(this.#id, descriptors, 0))
  }

  /** Sends a message, and blocks until the kernel has it. */
  sendSync(bytes: Uint8Array, offset: number, size: number, descriptors: number, timeout: number): void {
    this.#checkSync()
    this.#sentSync(this.#write(bytes, offset, size, descriptors, false), timeout)
  }

  /** Sends a handle record, and blocks until the kernel has it. */
  sendRecordSync(descriptors: number, timeout: number): void {
    this.#checkSync()
    this.#unstage(false)
    this.#sentSync(sendRecord(this.#id, descriptors, 0), timeout)
  }

  /** Has `carrier` take what is queued. */
  carryBy(carrier: Carrier): void {
    this.#carrier = carrier
  }

  /** Resolves when all that was sent so far is with the kernel; rejects where that failed. */
  flush(): Promise<void> {
    this.uncork()
    return this.#follow(this.#last ?? done)
  }

  /** Blocks until the kernel has all that was sent, or cannot have it. */
  flushSync(timeout: number): void {
    if (this.waiting) this.#checkSync()
    this.#corked = false
    this.#unstage(true)
    if (this.#sends.length > 0) this.#wait(timeout)
  }

  /** What was written in this turn leaves. */
  uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#turn = 0
    if (this.#canFlush) return this.#unstage(false)
    this.#unstage(true)
    if (this.#sends.length === 0) return
    if (this.#carrier === undefined) return this.#settle(native.flush(this.#id))
    this.#carrier.write((error) => this.#complete(this.#carrier?.written ?? 0, error ? () => error : undefined))
  }

  /** Settles the sends that are done, or failed. */
  settle(): void {
    this.#settle(native.sent(this.#id))
  }

  /** Resolves when every send is settled. */
  drain(): Promise<void> {
    this.uncork()
    if (!this.waiting) return Promise.resolve()
    return new Promise((resolve) => this.#drains.push(resolve))
  }

  /** Nothing is sent any more. */
  close(): void {
    // An error is made only for somebody: that costs more than all else here.
    const staged = this.#dropStage()
    if (staged !== undefined) this.#reject(staged, closedError('connection'))
    for (const { pending } of this.#sends.drain()) this.#reject(pending, closedError('connection'))
    this.#rest()
  }

  /** Whether what is in the stage may go to the kernel by itself. */
  get #canFlush(): boolean {
    return this.#sends.length === 0 && this.#carrier === undefined
  }

  /** Hands a message to the native side, behind what is in the stage. */
  #write(bytes: Uint8Array, offset: number, size: number, descriptors: number, cork: boolean): number {
    this.#unstage(cork)
    if (descriptors > 0 || size > STAGED) return send(this.#id, bytes, offset, size, descriptors, cork ? 1 : 0)
    direct.used = 0
    direct.put(bytes, offset, size)
    return sendFrames(this.#id, direct.number, direct.used, cork ? 1 : 0)
  }

  /** Puts a small message with the others of this turn. */
  #put(bytes: Uint8Array, offset: number, size: number): Promise<void> {
    if (this.#stage?.put(bytes, offset, size) !== true) {
      // A full one need not wait.
      this.#unstage(!this.#canFlush)
      this.#stage = takeStage()
      if (this.#stage === undefined) return this.#sent(this.#write(bytes, offset, size, 0, true))
      this.#staged = new Pending<void>(this.#owner)
      sources[this.#id] = this.#owner
      this.#stage.put(bytes, offset, size)
    }
    return this.#follow((this.#staged as Pending<void>).promise)
  }

  #dropStage(): Pending<void> | undefined {
    const stage = this.#stage
    if (stage === undefined) return undefined
    stage.used = 0
    stages.push(stage)
    this.#stage = undefined
    return this.#staged
  }

  /** Hands the stage to the native side, ahead of what comes next: to be sent, or with `cork` to be queued. */
  #unstage(cork: boolean): void {
    if (this.#stage === undefined) return
    const code = sendFrames(this.#id, this.#stage.number, this.#stage.used, cork ? 1 : 0)
    const pending = this.#dropStage() as Pending<void>
    if (code === QUEUED) this.#sends.push({ end: report[REPORT_QUEUED] as number, pending })
    else if (code === 0) pending.resolve()
    else this.#reject(pending, this.#failed(code))
    this.#rest()
  }

  /** Whether something was written in this turn already: more may follow, and the rest leaves together when it ends. */
  #cork(): boolean {
    if (this.#corked) return true
    const turn = report[REPORT_TURN] as number
    const isFirst = turn === 0 || turn !== this.#turn
    // The native side numbers the turns it begins; of others only a microtask tells the end. A carrier needs the end.
    if (isFirst && turn !== 0 && this.#carrier === undefined) {
      this.#turn = turn
      return false
    }
    this.#corked = true
    if (corked === undefined) {
      corked = [this]
      // Half a microsecond less than queueMicrotask(), which makes an AsyncResource.
      void done.then(uncork)
    } else {
      corked.push(this)
    }
    return !isFirst
  }

  /** The promise of a send that gave `code`. */
  #sent(code: number): Promise<void> {
    if (code === 0) return done
    if (code === QUEUED) return this.#follow(this.#queue().promise)
    const failed = Promise.reject<void>(this.#failed(code))
    if (!ofStream.has(errnoOf(code))) return failed
    if (this.#owner.served) failed.catch(ignore)
    return this.#follow(failed)
  }

  #reject(pending: Pending<void>, error: Error): void {
    if (this.#owner.served) pending.promise.catch(ignore)
    pending.reject(error)
  }

  /** What was sent last waits for the kernel. */
  #queue(): Pending<void> {
    const pending = new Pending<void>(this.#owner)
    this.#sends.push({ end: report[REPORT_QUEUED] as number, pending })
    sources[this.#id] = this.#owner
    return pending
  }

  /** Who awaits this promise hears of the failures of those before it: they need nobody of their own. */
  #follow(promise: Promise<void>): Promise<void> {
    if (this.#last !== promise) {
      this.#last?.catch(ignore)
      this.#last = promise
    }
    return promise
  }

  /** The error of a send that failed. Those before it may have failed with it; who comes next need not hear of it. */
  #failed(code: number): Error {
    this.settle()
    return this.#blamed(errorOf(code, sending))
  }

  #blamed(error: Error): Error {
    this.#owner.blame(error)
    return error
  }

  #checkSync(): void {
    if (this.#carrier !== undefined) throw invalidState('A connection over a stream cannot wait synchronously')
  }

  /** One that is not sent in time stays queued as any other. */
  #sentSync(code: number, timeout: number): void {
    if (code === 0) return
    if (code !== QUEUED) throw this.#failed(code)
    this.#follow(this.#queue().promise).catch(ignore)
    this.#wait(timeout)
  }

  /** Blocks until all is with the kernel. */
  #wait(timeout: number): void {
    const status = native.flushWait(this.#id, timeout)
    this.#settle(status === TIMED_OUT ? QUEUED : status)
    if (status === TIMED_OUT) throw this.#blamed(new TimeoutError('send', timeout))
    if (status < 0) throw this.#blamed(errorOf(status, sending))
  }

  #settle(code: number): void {
    this.#complete(report[REPORT_WRITTEN] as number, code < 0 ? () => errorOf(code, sending) : undefined)
  }

  /** Resolves the sends up to a stream position; with a failure, rejects the rest. */
  #complete(written: number, failure: (() => Error) | undefined): void {
    for (let send = this.#sends.peek(); send !== undefined && send.end <= written; send = this.#sends.peek()) {
      send.pending.resolve()
      this.#sends.shift()
    }
    if (failure !== undefined) for (const { pending } of this.#sends.drain()) this.#reject(pending, failure())
    this.#rest()
  }

  /** Where nothing is waiting, those who wait for that go on, and the connection may be collected. */
  #rest(): void {
    if (this.waiting) return
    if (this.#drains.length > 0) for (const drained of this.#drains.splice(0)) drained()
    this.#owner.ready(0)
  }
}
