// Owns the appends that are under way: one shared call carries them all, each has its own deadline, and every one settles.
// Must never leave an append without an outcome.

import type { AppendCall, CallError, Connection, Line, Refusal } from './eventstoredb-line.ts'
import { appendFailure } from './eventstoredb-line.ts'
import type { Appended, ExpectedRevision, NewEvent } from './port.ts'
import { Unavailable, UnknownOutcome } from './port.ts'
import { unitsOf } from './rules.ts'

/** Most appends under way, and most UTF-16 units in them; beyond them an append is refused before it is sent. */
export const appendsUnderWayMax = 16_384
export const appendUnitsUnderWayMax = 64 * 1_048_576

/** One shared call. */
interface Carrier {
  readonly line: Line
  readonly call: AppendCall
  /** When it last brought an answer, by performance.now(). */
  answeredAtMs: number
}

/** An append that somebody waits for. */
interface Waited {
  readonly events: readonly NewEvent[]
  readonly expected: ExpectedRevision
  readonly appended: Promise<Appended>
}

interface UnderWay {
  readonly number: number
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly carrier: Carrier
  readonly sentAtMs: number
  readonly units: number
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: Error) => void
}

/** All appends of one store. */
export class Appender {
  // In order of sending, which is the order of their deadlines too: one timer serves them all.
  private readonly underWay = new Map<number, UnderWay>()
  // A repeat of an append that is still under way waits with it: the server would let it wait for its own time-out.
  private readonly waited = new Map<string, Waited>()
  private readonly connection: Connection
  private readonly deadlineMs: number
  private told: { readonly append: UnderWay; readonly outcome: Appended | Refusal }[] = []
  private count = 0
  private units = 0
  private lastNumber = 0
  private carrier: Carrier | undefined
  private timer: NodeJS.Timeout | undefined
  private onSettled: (() => void) | undefined

  /** @param deadlineMs longest time an append may take from its sending */
  constructor(connection: Connection, deadlineMs: number) {
    this.connection = connection
    this.deadlineMs = deadlineMs
  }

  /** Sends one append, checked by the caller. @throws Conflict, Unavailable, UnknownOutcome, TooLarge */
  append(stream: string, events: readonly NewEvent[], expected: ExpectedRevision): Promise<Appended> {
    const key = `${events[0]?.id} ${stream}`
    const twin = this.waited.get(key)
    if (twin !== undefined && isSame(twin, events, expected)) return twin.appended
    const own: Waited = { events, expected, appended: this.start(stream, events, expected) }
    const forget = () => {
      if (this.waited.get(key) === own) this.waited.delete(key)
    }
    this.waited.set(key, own)
    own.appended.then(forget, forget)
    return own.appended
  }

  /** Resolves when nothing is under way, at the latest after that long. */
  settled(longestMs: number): Promise<void> {
    return new Promise(resolve => {
      if (this.count === 0) {
        resolve()
        return
      }
      const late = setTimeout(resolve, longestMs)
      this.onSettled = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  private async start(stream: string, events: readonly NewEvent[], expected: ExpectedRevision): Promise<Appended> {
    const units = events.reduce((sum, event) => sum + unitsOf(event), 0)
    if (this.count >= appendsUnderWayMax || this.units + units > appendUnitsUnderWayMax) {
      throw new Unavailable('too many appends are under way')
    }
    this.count++
    this.units += units
    let carrier: Carrier
    try {
      carrier = this.carry(await this.connection.line())
    } catch (error) {
      this.release(units)
      throw error
    }
    return new Promise((resolve, reject) => {
      const number = ++this.lastNumber
      this.send({ number, stream, expected, units, carrier, sentAtMs: performance.now(), resolve, reject }, events)
    })
  }

  private send(append: UnderWay, events: readonly NewEvent[]): void {
    this.underWay.set(append.number, append)
    this.timer ??= this.expireIn(this.deadlineMs)
    try {
      append.carrier.call.send(append.number, append.stream, events, append.expected)
    } catch (error) {
      this.take(append.number)
      append.reject(error as Error)
    }
  }

  /** The shared call of a line, made if there is none. */
  private carry(line: Line): Carrier {
    if (this.carrier?.line === line) return this.carrier
    const call = line.appends({
      answered: (number, outcome) => {
        made.answeredAtMs = performance.now()
        const append = this.take(number)
        if (append !== undefined) this.tellSoon(append, outcome)
      },
      failed: error => {
        this.connection.failed(line, error)
        this.lose(made, error)
      },
    })
    const made: Carrier = { line, call, answeredAtMs: Number.NEGATIVE_INFINITY }
    this.carrier = made
    return made
  }

  /** What was answered in one turn of the event loop is told together, so that what follows from it is done together. */
  private tellSoon(append: UnderWay, outcome: Appended | Refusal): void {
    if (this.told.push({ append, outcome }) > 1) return
    setImmediate(() => {
      const { told } = this
      this.told = []
      for (const { append, outcome } of told) {
        if (typeof outcome === 'function') append.reject(outcome(append.stream, append.expected))
        else append.resolve(outcome)
      }
    })
  }

  private lose(carrier: Carrier, error: CallError): void {
    if (this.carrier === carrier) this.carrier = undefined
    for (const append of this.underWay.values()) {
      if (append.carrier === carrier) this.take(append.number)?.reject(appendFailure(error))
    }
  }

  private expireIn(leftMs: number): NodeJS.Timeout {
    // After a pause of this process the answers are there, but the timers come first: let it hear them out.
    return setTimeout(() => setImmediate(() => this.expire()), leftMs)
  }

  private expire(): void {
    this.timer = undefined
    const now = performance.now()
    for (const append of this.underWay.values()) {
      const leftMs = append.sentAtMs + this.deadlineMs - now
      if (leftMs > 0) {
        this.timer = this.expireIn(leftMs)
        return
      }
      this.take(append.number)
      append.reject(new UnknownOutcome(`EventStoreDB did not answer an append within ${this.deadlineMs} ms`))
      this.connection.unanswered(append.carrier.line)
      // The line may live while this one call on it is dead: the next append takes another.
      if (append.carrier.answeredAtMs < append.sentAtMs) {
        if (this.carrier === append.carrier) this.carrier = undefined
        append.carrier.call.cancel()
      }
    }
  }

  /** The append of that number, no longer under way; undefined when its deadline has passed. */
  private take(number: number): UnderWay | undefined {
    const append = this.underWay.get(number)
    if (append === undefined) return undefined
    this.underWay.delete(number)
    this.release(append.units)
    if (this.underWay.size === 0) {
      clearTimeout(this.timer)
      this.timer = undefined
    }
    return append
  }

  private release(units: number): void {
    this.count--
    this.units -= units
    if (this.count === 0) this.onSettled?.()
  }
}

const isSame = (twin: Waited, events: readonly NewEvent[], expected: ExpectedRevision): boolean =>
  twin.expected === expected &&
  twin.events.length === events.length &&
  twin.events.every((event, index) => event.id === events[index]?.id)
