// Owns how often one caller, one address and one target may ask for what: named token buckets, kept in memory, bounded.
// The same buckets serve HTTP and frames. They may be lost at a restart; they never decide anything but "not so fast".

import { type Refusal, refuse } from './errors.ts'

/** So many at once (`burst`), and so many a minute for ever. */
export interface Rate {
  readonly burst: number
  readonly perMinute: number
}

export interface LimitRates {
  /** Of one signed-in user, all devices together. */
  readonly caller?: Rate
  /** Of one network address: an IPv4 address, or an IPv6 network of 64 bits. */
  readonly address: Rate
  /** Of one phone number, e-mail address or user name that is asked about; of one user, or group, that is asked by one other. */
  readonly target?: Rate
}

/** Every class of operations and how often it may be called; shown by `GET /v1/server`. */
export const rateLimits = {
  /** One-time codes cost money. The rule of one a minute for one target stands in the domain (R1). */
  codes: { address: { burst: 30, perMinute: 30 }, target: { burst: 5, perMinute: 0.5 } },
  signUp: { address: { burst: 60, perMinute: 60 } },
  /** Guessing passwords of one account is slowed from wherever the guesses come. */
  signIn: { address: { burst: 120, perMinute: 240 }, target: { burst: 10, perMinute: 5 } },
  /** Tokens are refreshed every quarter of an hour; whole offices come from one address. */
  refresh: { address: { burst: 200, perMinute: 1_200 } },
  commands: { caller: { burst: 300, perMinute: 1_200 }, address: { burst: 1_000, perMinute: 12_000 } },
  /** What calls for somebody's answer: to be friends, to come into a group. Asking again and again must not become a nuisance. */
  requests: {
    caller: { burst: 60, perMinute: 30 },
    address: { burst: 1_000, perMinute: 12_000 },
    target: { burst: 5, perMinute: 1 },
  },
  messages: { caller: { burst: 300, perMinute: 1_200 }, address: { burst: 1_000, perMinute: 12_000 } },
  /** One backend serves everybody, from few addresses. */
  admin: { caller: { burst: 2_000, perMinute: 60_000 }, address: { burst: 2_000, perMinute: 60_000 } },
  /** Finding users by phone number or e-mail address must not become reading a directory. */
  userSearch: { caller: { burst: 30, perMinute: 20 }, address: { burst: 300, perMinute: 1_200 } },
  queries: { caller: { burst: 200, perMinute: 2_400 }, address: { burst: 2_000, perMinute: 48_000 } },
} as const satisfies Readonly<Record<string, LimitRates>>

export type LimitClass = keyof typeof rateLimits
export type LimitScope = 'caller' | 'address' | 'target'

/** Buckets held for one class and scope; the fullest of the oldest go first, and a full bucket says nothing. */
export const bucketsMax = 50_000
/** Oldest buckets looked at when room is needed. */
const evictionLooks = 8

interface Bucket {
  tokens: number
  filledMs: number
}

export interface RateLimits {
  /**
   * Takes one token of the subject's bucket in this class and scope.
   * @returns undefined when there was one; else the refusal that says when there will be
   */
  take(limitClass: LimitClass, scope: LimitScope, subject: string): Refusal | undefined
  readonly on: boolean
}

interface RateLimitOptions {
  readonly on: boolean
  /** Milliseconds; only differences count. */
  readonly nowMs: () => number
  readonly bucketsMax?: number
}

const filled = (bucket: Bucket, rate: Rate, nowMs: number): number =>
  Math.min(rate.burst, bucket.tokens + (Math.max(0, nowMs - bucket.filledMs) * rate.perMinute) / 60_000)

const makeRoom = (buckets: Map<string, Bucket>, rate: Rate, nowMs: number) => {
  let looks = evictionLooks
  let fullest: string | undefined
  let most = -1
  for (const [subject, bucket] of buckets) {
    const tokens = filled(bucket, rate, nowMs)
    if (tokens > most) {
      most = tokens
      fullest = subject
    }
    if (most >= rate.burst || --looks === 0) break
  }
  if (fullest !== undefined) buckets.delete(fullest)
}

/** Builds the buckets of this process. Limits hold for each process; a fleet allows as many times more. */
export const createRateLimits = (options: RateLimitOptions): RateLimits => {
  const most = options.bucketsMax ?? bucketsMax
  const shelves = new Map<LimitClass, Partial<Record<LimitScope, Map<string, Bucket>>>>()
  for (const limitClass of Object.keys(rateLimits) as LimitClass[]) {
    shelves.set(limitClass, { caller: new Map(), address: new Map(), target: new Map() })
  }

  const take = (limitClass: LimitClass, scope: LimitScope, subject: string): Refusal | undefined => {
    const rate = (rateLimits[limitClass] as LimitRates)[scope]
    const buckets = shelves.get(limitClass)?.[scope]
    if (rate === undefined || buckets === undefined) return undefined
    const nowMs = options.nowMs()
    let bucket = buckets.get(subject)
    if (bucket === undefined) {
      if (buckets.size >= most) makeRoom(buckets, rate, nowMs)
      bucket = { tokens: rate.burst, filledMs: nowMs }
      buckets.set(subject, bucket)
    } else {
      bucket.tokens = filled(bucket, rate, nowMs)
      bucket.filledMs = nowMs
    }
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1
      return undefined
    }
    const retryAfterSeconds = Math.ceil(((1 - bucket.tokens) * 60) / rate.perMinute)
    return refuse('rate.limited', `Too fast. Try again in ${retryAfterSeconds} s.`, { retryAfterSeconds })
  }

  return { on: options.on, take: options.on ? take : () => undefined }
}

/** What counts as one address: an IPv6 host commands a whole network of 64 bits. */
export const networkOf = (address: string): string => {
  if (!address.includes(':')) return address
  const plain = address.split('%', 1)[0] ?? address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`
}
