// Owns how a test's ledger tells of invitations and applications. Holds no rules: what is said is recorded.

import { type GroupId, streamOf } from '../../domain/ids.ts'
import { type Ledger, user } from './ledger.ts'

const expiresAt = '2026-12-24T00:00:00.000Z' as never

const requestOf = (groupId: string, name: string) => ({
  groupId: groupId as GroupId,
  userId: user(name),
  requestId: `request of ${name}`,
})

export const invite = (ledger: Ledger, groupId: string, by: string, names: readonly string[], message?: string) =>
  ledger.record(streamOf.group(groupId as GroupId), 'MembersInvited', {
    groupId: groupId as GroupId,
    groupName: `group ${groupId}`,
    invited: names.map(name => ({ userId: user(name), requestId: `request of ${name}` })),
    ...(message === undefined ? {} : { message }),
    expiresAt,
    by: user(by),
    at: ledger.at,
  })

export const endInvitation = (
  ledger: Ledger,
  groupId: string,
  name: string,
  how: 'InvitationAccepted' | 'InvitationRejected' | 'InvitationRecalled' | 'InvitationsExpired',
) => {
  const { at } = ledger
  const stream = streamOf.group(groupId as GroupId)
  const request = { ...requestOf(groupId, name), at }
  if (how === 'InvitationRecalled') return ledger.record(stream, how, { ...request, by: user('ada') })
  if (how !== 'InvitationsExpired') return ledger.record(stream, how, { ...request, invitedBy: user('ada') })
  const { userId, requestId } = request
  return ledger.record(stream, how, { groupId: request.groupId, invitations: [{ userId, requestId }], at })
}

/** @param member who asks for them; absent: they themselves */
export const apply = (
  ledger: Ledger,
  groupId: string,
  name: string,
  told: readonly string[],
  message?: string,
  member?: string,
) =>
  ledger.record(streamOf.group(groupId as GroupId), 'ApplicationMade', {
    ...requestOf(groupId, name),
    ...(message === undefined ? {} : { message }),
    told: told.map(user),
    ...(member === undefined ? {} : { invitedBy: user(member) }),
    expiresAt,
    at: ledger.at,
  })

export const endApplication = (
  ledger: Ledger,
  groupId: string,
  name: string,
  told: readonly string[],
  how: 'ApplicationApproved' | 'ApplicationRejected' | 'ApplicationWithdrawn' | 'ApplicationsExpired',
  member?: string,
) => {
  const { at } = ledger
  const stream = streamOf.group(groupId as GroupId)
  const asker = member === undefined ? {} : { invitedBy: user(member) }
  const request = { ...requestOf(groupId, name), told: told.map(user), ...asker, at }
  const by = user('ada')
  switch (how) {
    case 'ApplicationApproved':
      return ledger.record(stream, how, { ...request, decidedBy: 'manager', by })
    case 'ApplicationRejected':
      return ledger.record(stream, how, { ...request, reason: 'because', by })
    case 'ApplicationWithdrawn':
      return ledger.record(stream, how, request)
    case 'ApplicationsExpired': {
      const { groupId: id, at: _, ...application } = request
      return ledger.record(stream, how, { groupId: id, applications: [application], at })
    }
  }
}
