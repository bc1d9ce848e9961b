// Owns how a group looks in requests and replies: its attributes, its row, and examples of both.

import { z } from 'zod'
import { type GroupPreset, groupPresets } from '../domain/group/attributes.ts'
import type { FoundGroupRow, GroupRow } from '../domain/group/row.ts'
import { limits } from '../domain/limits.ts'
import { example, name, reply, text } from './fields.ts'

const managersOrEveryone = z.enum(['managers', 'everyone'])

const memberLimit = z.int().min(limits.groupMembersMin).max(limits.groupMembersMax)

/** What a group can be set to when it is created, and later by its own people. */
export const attributeFields = {
  name: name(limits.groupNameCharactersMax),
  avatarUrl: text(0, limits.groupUrlCharactersMax),
  introduction: text(0, limits.groupIntroductionCharactersMax),
  announcement: text(0, limits.announcementCharactersMax).meta({
    description: 'The text that stands over the group. What pops up until it was seen is an announcement of its own.',
  }),
  extension: text(0, limits.groupExtensionCharactersMax).meta({
    description: "The members' apps' own data; the server never looks into it.",
  }),
  memberLimit,
  joinMode: z.enum(['free', 'approval', 'question', 'nobody']).meta({ description: 'How one joins uninvited.' }),
  inviteMode: managersOrEveryone.meta({ description: 'Who may add members.' }),
  inviteeConsent: z.enum(['required', 'none']).meta({ description: 'Whether those invited are asked first.' }),
  editMode: managersOrEveryone.meta({ description: 'Who may change name, avatar, introduction and announcement.' }),
  editExtensionMode: managersOrEveryone.meta({ description: 'Who may change the extension.' }),
  historyBeforeJoin: z.boolean().meta({ description: 'Whether new members may read what was said before.' }),
  hideMemberProfiles: z.boolean().meta({
    description:
      'The group shows plain members of each other the nickname there and the avatar, no more. What is public of a profile stays so outside it: for who has the id and asks for the user.',
  }),
  noFriendRequestsBetweenMembers: z.boolean().meta({
    description: 'Whether friend requests by way of the group (`source`) are refused to plain members.',
  }),
  autoApprove: z
    .enum(['none', 'all', 'friendsOfOwner', 'invitedByMember'])
    .meta({ description: 'Whose applications are approved without anybody deciding.' }),
  searchable: z.boolean().meta({ description: 'Whether people who are not in it can find it.' }),
} as const

/** Of the app's backend alone. */
export const appExtension = text(0, limits.groupExtensionCharactersMax).meta({
  description: "The backend's own data; members read it.",
})

export const muteAll = z.enum(['none', 'members', 'everyone']).meta({ description: 'Who cannot write.' })

export const mutedUntil = z
  .union([reply.instant, z.literal('forever')])
  .nullable()
  .meta({
    description: 'Null: not muted. A time may have passed.',
  })

export const groupRole = z.enum(['owner', 'admin', 'member'])

export const groupPreset = z
  .enum(Object.keys(groupPresets) as [GroupPreset, ...GroupPreset[]])
  .meta({ description: 'A set of modes to begin with; `public` unless said. What is given beside it goes first.' })

export const groupRow = z.object({
  groupId: reply.id,
  conversationId: reply.id,
  ...attributeFields,
  name: reply.text,
  avatarUrl: reply.text,
  introduction: reply.text,
  announcement: reply.text,
  extension: reply.text,
  appExtension: reply.text,
  memberLimit: reply.count,
  muteAll,
  ownerId: reply.id,
  memberCount: reply.count,
  createdAt: reply.instant,
  dissolvedAt: reply.instant.nullable(),
  myRole: groupRole,
  myNickname: reply.text.nullable(),
  myExtension: reply.text,
  myMutedUntil: mutedUntil,
  myFollowedIds: z.array(reply.id),
})

export const exampleGroupRow: GroupRow = {
  groupId: example.groupId as never,
  conversationId: example.groupConversationId as never,
  ...groupPresets.public,
  name: 'Analytical engines',
  ownerId: example.userId as never,
  memberCount: 2,
  createdAt: example.at as never,
  dissolvedAt: null,
  myRole: 'owner',
  myNickname: null,
  myExtension: '',
  myMutedUntil: null,
  myFollowedIds: [],
}

export const foundGroupRow = z.object({
  groupId: reply.id,
  name: reply.text,
  avatarUrl: reply.text,
  introduction: reply.text,
  memberCount: reply.count,
  memberLimit: reply.count,
  joinMode: attributeFields.joinMode,
})

export const exampleFoundGroupRow: FoundGroupRow = {
  groupId: example.groupId as never,
  name: 'Analytical engines',
  avatarUrl: '',
  introduction: 'All about them',
  memberCount: 2,
  memberLimit: limits.groupMembersDefault,
  joinMode: 'approval',
}
