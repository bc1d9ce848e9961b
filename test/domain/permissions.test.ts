// The table of permissions: every cell against what the rules do.

import { describe, expect, it } from 'vitest'
import { conversation } from '../../domain/conversation/conversation.ts'
import { isRejection } from '../../domain/decider.ts'
import type { GroupAttributes } from '../../domain/group/attributes.ts'
import { type GroupEvent, group } from '../../domain/group/group.ts'
import {
  type GroupAction,
  type GroupParty,
  groupParties,
  may,
  permissions,
  reaches,
} from '../../domain/group/permissions.ts'
import type { ExistingGroup } from '../../domain/group/state.ts'
import { groupConversationId, type Instant, systemUserId, type UserId } from '../../domain/ids.ts'
import { member as memberRules } from '../../domain/member/member.ts'
import { message } from '../../domain/message/message.ts'
import { admin, at, groupId, later, member, owner, peopled, second, stranger, users } from '../support/group.ts'
import { fold } from '../support/specify.ts'

const actors: Readonly<Record<GroupParty, UserId>> = { owner, admin, member, stranger, app: systemUserId }

/** One after the other each mode that loosens or tightens a cell. */
const settings: readonly Partial<GroupAttributes>[] = [
  {},
  { inviteMode: 'everyone' },
  { editMode: 'everyone' },
  { editExtensionMode: 'everyone' },
  { muteAll: 'members' },
  { muteAll: 'everyone' },
  { joinMode: 'free' },
]

type Deed = (by: UserId, state: ExistingGroup) => unknown

const ofGroup =
  (command: object): Deed =>
  (by, state) =>
    group.decide({ ...command, by, at: later } as never, state, undefined)
const ofMember =
  (whose: (by: UserId) => UserId): Deed =>
  (by, state) =>
    memberRules.decide(
      { type: 'EditMember', groupId, userId: whose(by), nickname: 'Nick', by, at: later },
      memberRules.initial,
      { group: state },
    )

/** One who is asked in by the plain member, and one who asks. */
const [invited, applicant] = ['invited', 'applicant'] as string[] as [UserId, UserId]
/** What stands for an action: where there is a target, a plain member who did not do it. */
const deeds: { readonly [Action in GroupAction]?: Deed } = {
  send: (from, state) =>
    conversation.decide(
      {
        type: 'SendMessage',
        conversationId: groupConversationId(groupId),
        from,
        clientMessageId: 'c',
        content: { type: 'text', body: { text: 'hello' } },
        at: later,
      },
      conversation.initial,
      { kind: 'group', group: state, receiptMembersMax: 100 },
    ),
  recallMessages: (by, state) =>
    message.decide(
      { type: 'RecallMessage', conversationId: groupConversationId(groupId), seq: 1, by, at: later },
      message.initial,
      {
        message: { from: second, countable: 1, counts: true, at, hadExt: false, type: 'text', receiptsFrom: null },
        byRole: state.members.get(by)?.role ?? null,
        fromRole: 'member',
      },
    ),
  join: ofGroup({ type: 'JoinGroup', requestId: 'r2', blockedBy: [], isFriendOfOwner: false }),
  invite: ofGroup({ type: 'AddMembers', userIds: users(1), requestId: 'r3' }),
  recallInvitation: ofGroup({ type: 'RecallInvitation', userId: invited }),
  decideApplications: ofGroup({ type: 'ApproveApplication', userId: applicant }),
  editQuestions: ofGroup({ type: 'SetJoinQuestions', questions: [] }),
  removeMembers: ofGroup({ type: 'RemoveMembers', userIds: [second] }),
  muteMembers: ofGroup({ type: 'MuteMember', userId: second, until: 'forever' }),
  editProfile: ofGroup({ type: 'UpdateGroup', changes: { name: 'Another' } }),
  editExtension: ofGroup({ type: 'UpdateGroup', changes: { extension: 'another' } }),
  editAppExtension: ofGroup({ type: 'UpdateGroup', changes: { appExtension: 'another' } }),
  changeModes: ofGroup({ type: 'UpdateGroup', changes: { memberLimit: 77 } }),
  editOwnMemberProfile: ofMember(by => by),
  editMemberProfiles: ofMember(() => second),
  changeAdmins: ofGroup({ type: 'AddAdmin', userId: second }),
  transfer: ofGroup({ type: 'TransferGroup', to: second, leave: false, ownsMost: false }),
  leave: ofGroup({ type: 'LeaveGroup' }),
  dissolve: ofGroup({ type: 'DissolveGroup' }),
}

const open = fold(group, [
  ...peopled,
  {
    type: 'MembersInvited',
    data: {
      groupId,
      groupName: 'Friends',
      invited: [{ userId: invited, requestId: 'r' }],
      expiresAt: '2026-11-30T08:00:00.000Z' as Instant,
      by: member,
      at,
    },
  },
  {
    type: 'ApplicationMade',
    data: {
      groupId,
      userId: applicant,
      requestId: 'a',
      told: [],
      expiresAt: '2026-11-30T08:00:00.000Z' as Instant,
      at,
    },
  },
] as readonly GroupEvent[]) as ExistingGroup

describe.each(Object.entries(deeds))('%s', (action, deed) => {
  it.each(groupParties)('is done by the %s as the table says, however the group is set', party => {
    for (const setting of settings) {
      const state = { ...open, ...setting }
      // The app's own messages take another way, and it is nobody who could come in.
      if ((action === 'send' || action === 'join') && party === 'app') continue
      const decision = (deed as Deed)(actors[party], state)
      expect(!isRejection(decision), JSON.stringify({ setting, decision })).toBe(
        may(action as GroupAction, party, state),
      )
    }
  })
})

describe('whoever stands higher', () => {
  const higher: readonly (readonly [GroupParty, GroupParty])[] = [
    ['owner', 'admin'],
    ['admin', 'member'],
    ['member', 'stranger'],
  ]
  /** An owner hands the group over first; whoever is in it does not join. */
  const turnedRound: readonly GroupAction[] = ['leave', 'join']
  const roles = ['owner', 'admin', 'member', null] as const

  it.each(higher)('the %s may do whatever the %s may, however the group is set, and reaches no fewer', (one, other) => {
    for (const action of Object.keys(permissions) as GroupAction[]) {
      if (turnedRound.includes(action)) continue
      for (const setting of settings) {
        const state = { ...open, ...setting }
        if (may(action, other, state))
          expect(may(action, one, state), `${action} ${JSON.stringify(setting)}`).toBe(true)
      }
      for (const target of roles) {
        if (reaches(action, other, target)) expect(reaches(action, one, target), `${action} ${target}`).toBe(true)
      }
    }
  })

  it('is out of reach for those who stand lower, and the owner for everybody', () => {
    for (const action of ['removeMembers', 'muteMembers', 'editMemberProfiles', 'recallMessages'] as const) {
      for (const target of ['owner', 'admin'] as const) expect(reaches(action, 'admin', target), action).toBe(false)
      for (const target of roles) expect(reaches(action, 'member', target), action).toBe(false)
    }
    for (const action of ['removeMembers', 'muteMembers'] as const) expect(reaches(action, 'app', 'owner')).toBe(false)
  })
})

describe('muting all', () => {
  const by = (party: GroupParty, muteAll: 'none' | 'members' | 'everyone', mode: string) =>
    !isRejection(ofGroup({ type: 'SetMuteAll', mode })(actors[party], { ...open, muteAll }))

  it.each(groupParties)('is done by the %s as the table says; everyone only where one could also end it', party => {
    const members = may('muteAllMembers', party, open)
    const everyone = may('muteEveryone', party, open)
    expect([by(party, 'none', 'members'), by(party, 'members', 'none')]).toEqual([members, members])
    expect([by(party, 'none', 'everyone'), by(party, 'everyone', 'none')]).toEqual([everyone, everyone])
  })
})
