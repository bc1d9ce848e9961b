// Owns the rows of the authorisation table that are about what the app's own backend does to groups: nobody else may, whatever
// they are in the group.

import type { Arguments } from '../support/operation-request.ts'
import type { Stage } from './authorisation-stage.ts'
import { type AccessCase, group, noGroup, type Outcome, signedIn } from './authorisation-words.ts'

/** Of no user, whoever that is. */
export const byBackend = (outcome: Outcome): AccessCase['outcomes'] => ({
  ...signedIn('caller.not-allowed'),
  backend: outcome,
})

type Ask = (stage: Stage) => Arguments

/** Of the group, and of one that is not there. */
const onGroup = (ask: Ask): AccessCase[] => [
  { args: stage => ({ ...group(stage), ...ask(stage) }), outcomes: byBackend('ok') },
  {
    what: 'of a group that is not there',
    args: stage => ({ ...noGroup(), ...ask(stage) }),
    outcomes: byBackend('group.not-found'),
  },
]

const on = (what: string, ask: Ask, outcome: Outcome): AccessCase => ({
  what,
  args: stage => ({ ...group(stage), ...ask(stage) }),
  outcomes: byBackend(outcome),
})

/** By operation id. */
export const adminGroups: Readonly<Record<string, readonly AccessCase[]>> = {
  updateGroupAsApp: onGroup(() => ({ appExtension: 'x', joinMode: 'free' })),
  setMuteAllAsApp: onGroup(() => ({ mode: 'everyone' })),
  dissolveGroupAsApp: onGroup(() => ({})),
  transferGroupAsApp: [
    ...onGroup(({ other }) => ({ to: other.userId })),
    on('to the owner', ({ people }) => ({ to: people.owner.userId }), 'group.already-owner'),
    on('to a stranger', ({ guest }) => ({ to: guest.userId }), 'group.target-not-member'),
  ],
  addMembersAsApp: [
    ...onGroup(({ guest }) => ({ userIds: [guest.userId] })),
    on('who are there', ({ other }) => ({ userIds: [other.userId] }), 'nothing'),
  ],
  removeMembersAsApp: [
    ...onGroup(({ other, secondAdmin }) => ({ userIds: [other.userId, secondAdmin.userId] })),
    on(
      'with the owner',
      ({ other, people }) => ({ userIds: [other.userId, people.owner.userId] }),
      'group.target-is-owner',
    ),
    on('with a stranger', ({ other, guest }) => ({ userIds: [other.userId, guest.userId] }), 'group.target-not-member'),
  ],
  updateMemberAsApp: [
    ...onGroup(({ secondAdmin }) => ({ userId: secondAdmin.userId, mutedUntil: 'forever' })),
    on(
      'who owns the group',
      ({ people }) => ({ userId: people.owner.userId, mutedUntil: null }),
      'group.target-is-owner',
    ),
  ],
  addAdminAsApp: [
    ...onGroup(({ other }) => ({ userId: other.userId })),
    on('who owns the group', ({ people }) => ({ userId: people.owner.userId }), 'group.target-is-owner'),
  ],
  removeAdminAsApp: onGroup(({ secondAdmin }) => ({ userId: secondAdmin.userId })),
  publishAnnouncementAsApp: onGroup(() => ({ text: 'At nine.', popup: true })),
  deleteAnnouncementAsApp: [
    ...onGroup(({ announcementId }) => ({ announcementId })),
    on('that is not there', () => ({ announcementId: 'a'.repeat(26) }), 'announcement.not-found'),
  ],
}
