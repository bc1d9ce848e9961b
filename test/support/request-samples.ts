// Owns one event of each kind that can happen to a group's invitations and applications, for tests that go over all events.

import { ann, at, bob, cid, dan, groupId, recorded } from './routing.ts'

const request = { groupId, userId: dan, requestId: 'r', at }

/** By type. */
export const requestSamples = {
  MembersInvited: recorded(5, 'MembersInvited', {
    groupId,
    groupName: 'Friends',
    invited: [{ userId: dan, requestId: 'r' }],
    expiresAt: at,
    by: ann,
    at,
  }),
  InvitationAccepted: recorded(5, 'InvitationAccepted', { ...request, invitedBy: ann }),
  InvitationRejected: recorded(5, 'InvitationRejected', { ...request, invitedBy: ann }),
  InvitationRecalled: recorded(5, 'InvitationRecalled', { ...request, by: ann }),
  InvitationsExpired: recorded(5, 'InvitationsExpired', { groupId, invitations: [request], at }),
  ApplicationMade: recorded(5, 'ApplicationMade', { ...request, told: [ann], expiresAt: at }),
  ApplicationApproved: recorded(5, 'ApplicationApproved', {
    ...request,
    told: [ann, bob, cid],
    decidedBy: 'manager',
    by: ann,
  }),
  ApplicationRejected: recorded(5, 'ApplicationRejected', { ...request, told: [ann], by: ann }),
  ApplicationWithdrawn: recorded(5, 'ApplicationWithdrawn', { ...request, told: [ann] }),
  ApplicationsExpired: recorded(5, 'ApplicationsExpired', {
    groupId,
    applications: [{ ...request, told: [ann] }],
    at,
  }),
} as const
