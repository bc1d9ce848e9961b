// Owns who hears of what happens to a group's invitations and applications: nobody on the group's topic. What is told, and to
// whom, are system notifications; whoever comes in is told of by the MembersAdded of the same append.

import type { Routes } from '../actions.ts'
import { nothing } from './frames.ts'

export const groupRequestRoutes = {
  MembersInvited: nothing,
  InvitationAccepted: nothing,
  InvitationRejected: nothing,
  InvitationRecalled: nothing,
  InvitationsExpired: nothing,
  ApplicationMade: nothing,
  ApplicationApproved: nothing,
  ApplicationRejected: nothing,
  ApplicationWithdrawn: nothing,
  ApplicationsExpired: nothing,
  JoinQuestionsSet: nothing,
  JoinTried: nothing,
} satisfies Partial<Routes>
