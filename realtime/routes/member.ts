// Owns who hears of what a member of a group is called there: those who look at the members, and of the rest the member's own
// devices alone.

import type { MemberEvent } from '../../domain/member/events.ts'
import type { Action, Need, RouteFacts, Routes } from '../actions.ts'
import { userTopic } from '../protocol.ts'
import { patchGroup, patchMember } from './group.ts'

/** What is of an earlier membership changes nothing: whoever came back began anew. */
const profileChanged = {
  needs: ({ groupId }: MemberEvent['data']): readonly Need[] => [{ what: 'group', groupId }],
  actions: (
    { data: { groupId, userId, joinedAt, profile } }: { readonly data: MemberEvent['data'] },
    facts: RouteFacts,
    cursor: string,
  ): readonly Action[] => {
    const group = facts.group(groupId)
    if (group.status === 'none' || group.members.get(userId)?.joinedAt !== joinedAt) return []
    const { nickname, extension, followedIds } = profile
    return [
      patchGroup(userTopic(userId), cursor, groupId, {
        myNickname: nickname,
        myExtension: extension,
        myFollowedIds: followedIds,
      }),
      patchMember(groupId, userId, cursor, { nickname, extension }),
    ]
  },
}

export const memberRoutes = {
  MemberEdited: profileChanged,
  MemberFollowed: profileChanged,
  MemberUnfollowed: profileChanged,
} satisfies Partial<Routes>
