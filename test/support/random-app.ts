// Owns the random commands of the app's own backend: what it does to groups past the roles of their members, and to accounts and
// their devices (see random-commands.ts and random-people.ts). Who gives them among the people does not matter.

import fc from 'fast-check'
import type { Arguments } from './operation-request.ts'

const person = fc.nat(3)
const group = fc.constantFrom(0, 0, 1)
const mostly = fc.constantFrom(true, true, true, false)
const seldom = fc.constantFrom(true, false, false)
const times: Readonly<Record<string, string>> = { later: '2999-01-01T00:00:00Z', past: '2020-01-01T00:00:00Z' }

export const appKinds = {
  appAdds: [3, fc.record({ group, whom: person })],
  appRemoves: [2, fc.record({ group, whom: person })],
  appTransfers: [2, fc.record({ group, whom: person })],
  appMakesAdmin: [3, fc.record({ group, whom: person, isAdmin: mostly })],
  appMutes: [3, fc.record({ group, whom: person, until: fc.constantFrom('forever', 'later', 'past', null) })],
  appMutesAll: [2, fc.record({ group, mode: fc.constantFrom('none', 'none', 'members', 'everyone') })],
  appSets: [2, fc.record({ group, number: fc.nat(3) })],
  appAnnounces: [2, fc.record({ group, popup: mostly })],
  appUnannounces: [2, fc.record({ group, back: fc.nat(2) })],
  appDissolves: [1, fc.record({ group, really: seldom })],
  ban: [1, fc.record({ whom: person, really: seldom, until: fc.constantFrom('later', null) })],
  unban: [3, fc.record({ whom: person })],
  appKicks: [1, fc.record({ whom: person, which: fc.nat(1), all: seldom })],
} as const satisfies Record<string, readonly [number, fc.Arbitrary<object>]>

interface RandomGroup {
  readonly groupId: string
  owner: number
}

interface Hands {
  readonly asApp: (op: string, args: Arguments) => Promise<Arguments>
  readonly group: (number: number) => RandomGroup | undefined
  readonly userId: (number: number) => string
  readonly sessionId: (by: { readonly who: number; readonly device: number }) => string
}

interface Of {
  readonly group: number
}
interface On extends Of {
  readonly whom: number
}
type OfAccount = Omit<On, 'group'>

const changes = (number: number): Arguments =>
  [
    { appExtension: '{"plan":"gold"}' },
    { appExtension: '', introduction: 'Of the app' },
    { inviteeConsent: 'none', joinMode: 'free' },
    { inviteeConsent: 'required', joinMode: 'approval', memberLimit: 3 },
  ][number] ?? {}

/** What it does to groups. */
const groupDeeds = ({ asApp, group: groupOf, userId }: Hands) => {
  const published: { readonly groupId: string; readonly announcementId: string }[] = []
  /** @returns the group, once it is done */
  const of = async ({ group: number }: Of, op: string, more: Arguments = {}) => {
    const found = groupOf(number)
    return found === undefined ? undefined : { found, answer: await asApp(op, { groupId: found.groupId, ...more }) }
  }
  return {
    appAdds: (command: On) => of(command, 'addMembersAsApp', { userIds: [userId(command.whom)] }),
    appRemoves: (command: On) => of(command, 'removeMembersAsApp', { userIds: [userId(command.whom)] }),
    appTransfers: async (command: On) => {
      const done = await of(command, 'transferGroupAsApp', { to: userId(command.whom) })
      if (done !== undefined) done.found.owner = command.whom
    },
    appMakesAdmin: (command: On & { readonly isAdmin: boolean }) =>
      of(command, command.isAdmin ? 'addAdminAsApp' : 'removeAdminAsApp', { userId: userId(command.whom) }),
    appMutes: (command: On & { readonly until: string | null }) => {
      const mutedUntil = command.until === null ? null : (times[command.until] ?? command.until)
      return of(command, 'updateMemberAsApp', { userId: userId(command.whom), mutedUntil })
    },
    appMutesAll: (command: Of & { readonly mode: string }) => of(command, 'setMuteAllAsApp', { mode: command.mode }),
    appSets: (command: Of & { readonly number: number }) => of(command, 'updateGroupAsApp', changes(command.number)),
    appAnnounces: async (command: Of & { readonly popup: boolean }) => {
      const text = `number ${published.length} of the app`
      const done = await of(command, 'publishAnnouncementAsApp', { text, popup: command.popup })
      if (done === undefined) return
      published.push({ groupId: done.found.groupId, announcementId: String(done.answer.announcementId) })
    },
    appUnannounces: (command: Of & { readonly back: number }) => {
      const known = published.filter(({ groupId }) => groupId === groupOf(command.group)?.groupId)
      const announcementId = known.toReversed()[command.back]?.announcementId ?? 'a'.repeat(26)
      return of(command, 'deleteAnnouncementAsApp', { announcementId })
    },
    appDissolves: async (command: Of & { readonly really: boolean }) => {
      if (command.really) await of(command, 'dissolveGroupAsApp')
    },
  }
}

/** What it does to accounts: devices that it ends are signed in again by other commands. */
const accountDeeds = ({ asApp, userId, sessionId }: Hands) => ({
  ban: async ({ whom, really, until }: OfAccount & { readonly really: boolean; readonly until: string | null }) => {
    if (!really) return
    const end = until === null ? null : (times[until] ?? null)
    await asApp('adminBanAccount', { userId: userId(whom), until: end, reason: 'because' })
  },
  unban: ({ whom }: OfAccount) => asApp('adminUnbanAccount', { userId: userId(whom) }),
  appKicks: ({ whom, which, all }: OfAccount & { readonly which: number; readonly all: boolean }) => {
    const of = { userId: userId(whom) }
    const one = { ...of, sessionId: sessionId({ who: whom, device: which }) }
    return all ? asApp('adminKickSessions', of) : asApp('adminKickSession', one)
  },
})

export const appDeeds = (hands: Hands) => ({ ...groupDeeds(hands), ...accountDeeds(hands) })
