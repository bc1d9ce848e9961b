// Owns finding users (R2): by a whole phone number, e-mail address or user name, and by the beginning of a name, as each of them
// allows. Must never tell an account that does not want to be found from one that is not there, nor show a private field.

import { z } from 'zod'
import type { IdentityKind } from '../domain/account/events.ts'
import { type UserRow, userRowOf } from '../domain/account/row.ts'
import { limits } from '../domain/limits.ts'
import { usersByNamePrefix } from '../projections/account.ts'
import { accountBehind } from './account-access.ts'
import type { OperationDependencies } from './dependencies.ts'
import { name } from './fields.ts'
import { email, phone, userName } from './identities.ts'
import { type Operation, operation } from './operation.ts'
import { exampleRow, userRow } from './users.ts'

const schemas: readonly (readonly [IdentityKind, z.ZodType<string>])[] = [
  ['phone', phone],
  ['email', email],
  ['userName', userName],
]

/** The account that signs in by exactly this, if it may be found by it. */
const foundBy = async (
  { node, keys }: OperationDependencies,
  kind: IdentityKind,
  value: string,
): Promise<UserRow[]> => {
  const found = await accountBehind(node, kind, keys.identityHmac(kind, value))
  return found?.discoverableBy[kind] === true ? [userRowOf(found)] : []
}

const query = z.strictObject({
  q: name(254)
    .refine(value => value.length >= limits.userSearchCharactersMin, {
      message: `at least ${limits.userSearchCharactersMin} characters`,
    })
    .meta({
      description:
        'A whole phone number in international form, e-mail address or user name; or the beginning of a name.',
      minLength: limits.userSearchCharactersMin,
    }),
})

const search = async (dependencies: OperationDependencies, q: string) => {
  const exact = schemas.map(async ([kind, schema]) => {
    const parsed = schema.safeParse(q)
    return parsed.success ? foundBy(dependencies, kind, parsed.data) : []
  })
  const named = usersByNamePrefix(dependencies.database, q, limits.userSearchResultsMax)
  const rows = (await Promise.all([...exact, named])).flat()
  const byId = new Map(rows.map(row => [row.userId, row]))
  return { items: [...byId.values()].slice(0, limits.userSearchResultsMax) }
}

/** Finding users. */
export const userSearchOperations: readonly Operation[] = [
  operation({
    id: 'searchUsers',
    method: 'GET',
    path: '/v1/users/search',
    tag: 'users',
    summary: 'Find users',
    description: `By a whole phone number, e-mail address or user name, or by the beginning of a name, as each user allows. At most ${limits.userSearchResultsMax}.`,
    callers: ['user'],
    frame: true,
    limit: 'userSearch',
    status: 200,
    query,
    reply: z.object({ items: z.array(userRow) }),
    rejections: [],
    example: { query: { q: 'charles.babbage' }, reply: { items: [exampleRow] } },
    run: (dependencies, _call, { q }) => search(dependencies, q),
  }),
]
