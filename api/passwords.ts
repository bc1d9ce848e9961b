// Owns how passwords are hashed and checked: argon2id, a bounded number at a time. Checking for a user who is not there costs
// the same as for one who is. Must never log or return a password.

import { hash, verify } from '@node-rs/argon2'
import { Overloaded } from '../eventstore/handle.ts'

/** OWASP's password storage cheat sheet: argon2id (the library's default), 19 MiB, two passes, one lane. */
const settings = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Hashes under way at once: each takes 19 MiB and a thread of libuv's pool, which files and DNS need as well. */
export const hashesAtOnceMax = 2
/** Hashes waiting; beyond it sign-ins are refused as overload (about two seconds of work). */
export const hashesWaitingMax = 200

export interface Passwords {
  hash(password: string): Promise<string>
  /** @param passwordHash null: there is none; takes as long and is false */
  check(passwordHash: string | null, password: string): Promise<boolean>
}

/** Builds the one queue that all password work of this process goes through. */
export const createPasswords = (): Passwords => {
  let running = 0
  const waiting: (() => void)[] = []

  const inTurn = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    if (running >= hashesAtOnceMax) {
      if (waiting.length >= hashesWaitingMax) throw new Overloaded('Too many sign-ins at once.')
      await new Promise<void>(resolve => waiting.push(resolve))
    } else {
      running++
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }

  // Of a password that nobody can have: longer than the limit. Made at once, so that no first caller waits longer.
  const nobodysHash = hash('-'.repeat(1_000), settings)
  nobodysHash.catch(() => undefined)

  return {
    hash: password => inTurn(() => hash(password, settings)),
    check: (passwordHash, password) =>
      inTurn(async () => {
        const against = passwordHash ?? (await nobodysHash)
        const right = await verify(against, password)
        return right && passwordHash !== null
      }),
  }
}
