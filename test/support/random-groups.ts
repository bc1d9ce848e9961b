// Owns what random people do to groups. Only what is asked for: what comes of it is for convergence.ts to judge.

import type { Arguments } from './operation-request.ts'
import type { CommandKind, RandomCommand } from './random-commands.ts'

const groupsMax = 2

export interface RandomGroup {
  readonly groupId: string
  owner: number
}

/** Somebody on one of their devices, as numbers. */
interface By {
  readonly who: number
  readonly device: number
}

interface Stage {
  readonly groups: RandomGroup[]
  readonly ask: (by: By, op: string, args: Arguments) => Promise<Arguments>
  readonly userId: (number: number) => string
}

type GroupKind = Extract<
  CommandKind,
  | 'createGroup'
  | 'addMember'
  | 'kick'
  | 'leave'
  | 'transfer'
  | 'admin'
  | 'setGroup'
  | 'mute'
  | 'muteAll'
  | 'nickname'
  | 'follow'
  | 'dissolve'
>

type Deeds = { readonly [Kind in GroupKind]: (command: RandomCommand<Kind>) => Promise<unknown> }

export const groupDeeds = ({ groups, ask, userId }: Stage): Deeds => {
  const groupOf = (number: number): RandomGroup | undefined => groups[number % Math.max(1, groups.length)]
  return {
    createGroup: async ({ members, ...by }) => {
      if (groups.length >= groupsMax) return
      const memberIds = members.map(number => userId(number))
      // The first one is small enough for read receipts.
      const kind =
        groups.length === 0
          ? { inviteeConsent: 'none', memberLimit: 100 }
          : { inviteeConsent: 'required', inviteMode: 'everyone' }
      const { groupId } = await ask(by, 'createGroup', { name: 'A group', ...kind, memberIds })
      groups.push({ groupId: String(groupId), owner: by.who })
    },
    addMember: async ({ group, whom, asOwner, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const who = asOwner ? { ...by, who: found.owner } : by
      await ask(who, 'addMembers', { groupId: found.groupId, userIds: [userId(whom)] })
    },
    kick: async ({ group, whom, asOwner, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const who = asOwner ? { ...by, who: found.owner } : by
      await ask(who, 'removeMembers', { groupId: found.groupId, userIds: [userId(whom)] })
    },
    leave: async ({ group, ...by }) => {
      const found = groupOf(group)
      if (found !== undefined) await ask(by, 'leaveGroup', { groupId: found.groupId })
    },
    transfer: async ({ group, whom, leave, device }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const args = { groupId: found.groupId, to: userId(whom), leave }
      await ask({ who: found.owner, device }, 'transferGroup', args)
      found.owner = whom
    },
    admin: async ({ group, whom, isAdmin, device }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const args = { groupId: found.groupId, userId: userId(whom) }
      await ask({ who: found.owner, device }, isAdmin ? 'addAdmin' : 'removeAdmin', args)
    },
    setGroup: async ({ group, asOwner, number, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const changes = [
        { name: `A group ${number}` },
        { introduction: 'About it', announcement: 'On Monday', avatarUrl: 'https://example.org/a.png' },
        { extension: `${number}` },
        { joinMode: 'free', searchable: true },
        { editMode: 'everyone', editExtensionMode: 'everyone', inviteMode: 'everyone' },
        { historyBeforeJoin: true },
      ][number]
      const who = asOwner ? { ...by, who: found.owner } : by
      await ask(who, 'updateGroup', { groupId: found.groupId, ...changes })
    },
    mute: async ({ group, whom, asOwner, until, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const times: Readonly<Record<string, string>> = { later: '2999-01-01T00:00:00Z', past: '2020-01-01T00:00:00Z' }
      const mutedUntil = until === null ? null : (times[until] ?? until)
      const who = asOwner ? { ...by, who: found.owner } : by
      await ask(who, 'updateMember', { groupId: found.groupId, userId: userId(whom), mutedUntil })
    },
    muteAll: async ({ group, asOwner, muted, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const who = asOwner ? { ...by, who: found.owner } : by
      await ask(who, 'setMuteAll', { groupId: found.groupId, mode: muted ? 'members' : 'none' })
    },
    nickname: async ({ group, whom, asOwner, number, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const who = asOwner ? { ...by, who: found.owner } : { ...by, who: whom }
      const changes = [{ nickname: null }, { nickname: 'One' }, { nickname: 'Other' }, { extension: 'mine' }][number]
      await ask(who, 'updateMember', { groupId: found.groupId, userId: userId(whom), ...changes })
    },
    follow: async ({ group, whom, followed, ...by }) => {
      const found = groupOf(group)
      if (found === undefined) return
      const op = followed ? 'followMember' : 'unfollowMember'
      await ask(by, op, { groupId: found.groupId, userId: userId(whom) })
    },
    dissolve: async ({ group, really, device }) => {
      const found = groupOf(group)
      if (found === undefined || !really) return
      await ask({ who: found.owner, device }, 'dissolveGroup', { groupId: found.groupId })
    },
  }
}
