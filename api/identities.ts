// Owns how phone numbers, e-mail addresses and user names are brought into the one form that is compared and stored.
// Two spellings of the same thing must give the same form, or one person gets two accounts.

import { parsePhoneNumberFromString } from 'libphonenumber-js'
import { z } from 'zod'
import type { IdentityKind } from '../domain/account/events.ts'
import { limits } from '../domain/limits.ts'

const emailCharactersMax = 254
const phoneCharactersMax = 40

/** A number in international form, in E.164 afterwards. New number ranges appear all the time, so only lengths are checked. */
export const phone = z
  .string()
  .max(phoneCharactersMax)
  .transform((value, context) => {
    const parsed = parsePhoneNumberFromString(value, { extract: false })
    if (parsed?.isPossible() === true && parsed.ext === undefined) return parsed.number as string
    context.addIssue({ code: 'custom', message: 'is no phone number in international form, such as +49 1512 3456789' })
    return z.NEVER
  })
  .meta({ description: 'In international form; compared in E.164.' })

export const email = z
  .string()
  .max(emailCharactersMax)
  .trim()
  .toLowerCase()
  .check(z.email({ message: 'is no e-mail address' }))
  .meta({ description: 'Compared in lower case.' })

const { userNameCharactersMin, userNameCharactersMax } = limits

export const userName = z
  .string()
  .max(userNameCharactersMax)
  .toLowerCase()
  .regex(new RegExp(`^[a-z0-9_.-]{${userNameCharactersMin},${userNameCharactersMax}}$`), {
    message: `${userNameCharactersMin} to ${userNameCharactersMax} of a-z 0-9 _ . -`,
  })
  .meta({ description: 'Letters a-z, digits, _ . -; compared in lower case.' })

/** What an account is known by, in its compared form. */
export interface Identity {
  readonly kind: IdentityKind
  readonly value: string
}

interface IdentityFields {
  readonly phone?: string | undefined
  readonly email?: string | undefined
  readonly userName?: string | undefined
}

const kinds: readonly IdentityKind[] = ['phone', 'email', 'userName']

/** The one identity among the fields. The schema has made sure that there is exactly one. */
export const identityOf = (fields: IdentityFields): Identity => {
  for (const kind of kinds) {
    const value = fields[kind]
    if (value !== undefined) return { kind, value }
  }
  throw new Error('no identity among the fields')
}

/** For a schema's check: exactly one of these must be given. */
export const exactlyOne =
  (...allowed: readonly IdentityKind[]) =>
  (fields: IdentityFields, context: { addIssue(issue: { code: 'custom'; message: string; path: string[] }): void }) => {
    const given = allowed.filter(kind => fields[kind] !== undefined)
    if (given.length === 1) return
    context.addIssue({
      code: 'custom',
      message: `give exactly one of ${allowed.join(', ')}`,
      path: [given.at(-1) ?? (allowed[0] as string)],
    })
  }
