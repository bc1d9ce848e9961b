// Owns the rows of the authorisation table that are about groups and their members.

import { type AccessCase, group, inGroup, noGroup, signedIn } from './authorisation-words.ts'

export const groups: Readonly<Record<string, readonly AccessCase[]>> = {
  createGroup: [{ args: ({ guest }) => ({ name: 'Another', memberIds: [guest.userId] }), outcomes: signedIn('ok') }],
  listGroups: [{ outcomes: signedIn('ok') }],
  getGroup: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  dissolveGroup: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner') }],
  updateGroup: [
    {
      what: 'its profile',
      args: stage => ({ ...group(stage), name: 'Renamed' }),
      missing: () => ({ ...noGroup(), name: 'Renamed' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'its extension',
      args: stage => ({ ...group(stage), extension: 'x' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'its modes',
      args: stage => ({ ...group(stage), name: 'Renamed', joinMode: 'free' }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-allowed'),
    },
  ],
  setMuteAll: [
    {
      args: stage => ({ ...group(stage), mode: 'members' }),
      missing: () => ({ ...noGroup(), mode: 'members' }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'everyone',
      args: stage => ({ ...group(stage), mode: 'everyone' }),
      missing: () => ({ ...noGroup(), mode: 'everyone' }),
      outcomes: inGroup('group.not-allowed', 'group.not-allowed', 'group.not-allowed'),
    },
  ],
  searchGroups: [{ args: () => ({ q: 'a group' }), outcomes: signedIn('ok') }],
  getMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'ok', 'ok'),
    },
    {
      what: 'who is no member',
      args: stage => ({ ...group(stage), userId: stage.guest.userId }),
      outcomes: inGroup('group.not-member', 'group.not-member', 'group.not-member'),
    },
  ],
  updateMember: [
    ...[{ nickname: 'Nick' }, { mutedUntil: 'forever' }].flatMap((change): readonly AccessCase[] => {
      const what = Object.keys(change)[0] as string
      const own = what === 'nickname' ? 'ok' : 'group.target-self'
      return [
        {
          what: `${what} of a plain member`,
          args: stage => ({ ...group(stage), userId: stage.other.userId, ...change }),
          missing: ({ other }) => ({ ...noGroup(), userId: other.userId, ...change }),
          outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
        },
        {
          what: `${what} of an admin`,
          args: stage => ({ ...group(stage), userId: stage.secondAdmin.userId, ...change }),
          outcomes: inGroup('ok', 'group.target-is-admin', 'group.not-allowed'),
        },
        {
          what: `${what} of the owner`,
          args: stage => ({ ...group(stage), userId: stage.people.owner.userId, ...change }),
          outcomes: inGroup(own, 'group.target-is-owner', 'group.not-allowed'),
        },
        {
          what: `the own ${what}`,
          args: (stage, persona) => ({ ...group(stage), userId: stage.people[persona].userId, ...change }),
          outcomes: inGroup(own, own, what === 'nickname' ? 'ok' : 'group.not-allowed'),
        },
      ]
    }),
  ],
  followMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'ok', 'ok'),
    },
  ],
  unfollowMember: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('nothing', 'nothing', 'nothing'),
    },
  ],
  transferGroup: [false, true].map(leave => ({
    what: leave ? 'and leave' : 'and stay',
    args: stage => ({ ...group(stage), to: stage.other.userId, leave }),
    missing: ({ other }) => ({ ...noGroup(), to: other.userId, leave }),
    outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
  })),
  leaveGroup: [{ args: group, missing: noGroup, outcomes: inGroup('group.owner-cannot-leave', 'ok', 'ok') }],
  listMembers: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  addMembers: [
    {
      args: stage => ({ ...group(stage), userIds: [stage.guest.userId] }),
      missing: ({ guest }) => ({ ...noGroup(), userIds: [guest.userId] }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'where everyone invites',
      args: stage => ({ ...group(stage), userIds: [stage.guest.userId] }),
      outcomes: inGroup('ok', 'ok', 'ok'),
      everyoneInvites: true,
    },
    {
      what: 'oneself',
      args: (stage, persona) => ({ ...group(stage), userIds: [stage.people[persona].userId] }),
      outcomes: inGroup('nothing', 'nothing', 'group.not-allowed'),
    },
  ],
  removeMembers: [
    {
      what: 'who are plain members',
      args: stage => ({ ...group(stage), userIds: [stage.other.userId] }),
      missing: ({ other }) => ({ ...noGroup(), userIds: [other.userId] }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
    {
      what: 'who are admins',
      args: stage => ({ ...group(stage), userIds: [stage.secondAdmin.userId] }),
      outcomes: inGroup('ok', 'group.target-is-admin', 'group.not-allowed'),
    },
    {
      what: 'who own the group',
      args: stage => ({ ...group(stage), userIds: [stage.people.owner.userId] }),
      outcomes: inGroup('group.target-self', 'group.target-is-owner', 'group.not-allowed'),
    },
  ],
  addAdmin: [
    {
      args: stage => ({ ...group(stage), userId: stage.other.userId }),
      missing: ({ other }) => ({ ...noGroup(), userId: other.userId }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
    },
  ],
  removeAdmin: [
    {
      args: stage => ({ ...group(stage), userId: stage.secondAdmin.userId }),
      missing: ({ secondAdmin }) => ({ ...noGroup(), userId: secondAdmin.userId }),
      outcomes: inGroup('ok', 'group.not-owner', 'group.not-owner'),
    },
  ],
}
