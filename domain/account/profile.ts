// Owns what a user says about themselves (R3): the fields everybody sees, and the two that only decide what others may do
// (`friendPolicy`, R6, and by what one is found). Pure: how a change is applied, and whether it is one at all.

/** Who may become a friend: anyone at once, only with approval, or nobody (R6). */
export type FriendPolicy = 'anyone' | 'approval' | 'nobody'
export const friendPolicies: readonly FriendPolicy[] = ['anyone', 'approval', 'nobody']

export type Gender = 'female' | 'male' | 'other'
export const genders: readonly Gender[] = ['female', 'male', 'other']

/** By what others find the account: the whole phone number, e-mail address or user name, or the beginning of the name. */
export interface Discoverability {
  readonly phone: boolean
  readonly email: boolean
  readonly userName: boolean
  readonly namePrefix: boolean
}

/** What everybody may see. */
export interface PublicProfile {
  readonly name: string
  readonly avatarUrl?: string
  readonly signature?: string
  readonly gender?: Gender
  /** `2001-12-31`. */
  readonly birthday?: string
  readonly extension?: string
}

/** What only the user sees. */
export interface PrivateProfile {
  readonly friendPolicy: FriendPolicy
  readonly discoverableBy: Discoverability
}

export type Profile = PublicProfile & PrivateProfile

/** New values of some fields; null clears one that may be absent. */
export interface ProfileChanges {
  readonly name?: string
  readonly avatarUrl?: string | null
  readonly signature?: string | null
  readonly gender?: Gender | null
  readonly birthday?: string | null
  readonly extension?: string | null
  readonly friendPolicy?: FriendPolicy
  /** Whole: all four at once. */
  readonly discoverableBy?: Discoverability
}

/** Of an account that never said otherwise. */
export const initialPrivateProfile: PrivateProfile = {
  friendPolicy: 'approval',
  discoverableBy: { phone: true, email: true, userName: true, namePrefix: false },
}

const publicFields = ['name', 'avatarUrl', 'signature', 'gender', 'birthday', 'extension'] as const
const fields = [...publicFields, 'friendPolicy', 'discoverableBy'] as const

/** The fields that everybody may see, and no other. */
export const publicProfileOf = (profile: PublicProfile): PublicProfile =>
  Object.fromEntries(
    publicFields.flatMap(field => (profile[field] === undefined ? [] : [[field, profile[field]]])),
  ) as unknown as PublicProfile

/** Whether others see anything of it. */
export const changesPublicProfile = (changes: ProfileChanges): boolean =>
  publicFields.some(field => changes[field] !== undefined)

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

/** Those of the changes that change anything; undefined when none does. */
export const realChanges = (profile: Profile, changes: ProfileChanges): ProfileChanges | undefined => {
  const real = fields.filter(field => changes[field] !== undefined && !isSame(changes[field], profile[field] ?? null))
  return real.length === 0 ? undefined : Object.fromEntries(real.map(field => [field, changes[field]]))
}

/** The profile after the changes; a cleared field is absent. */
export const profileWith = <Holder extends Profile>(holder: Holder, changes: ProfileChanges): Holder => {
  const after = { ...holder } as Record<string, unknown>
  for (const field of fields) {
    if (changes[field] === null) delete after[field]
    else if (changes[field] !== undefined) after[field] = changes[field]
  }
  return after as unknown as Holder
}
