// Owns what can have happened to those who are asked into a group, and to those who ask to be let in (R19, R20, R22, R45).
// Later events of a request carry its id, and whatever is needed to tell those who were told of it.

import type { GroupId, Instant, UserId } from '../ids.ts'

/** People were asked; one who was asked before is asked anew under the id of the first time. */
export type MembersInvited = {
  readonly type: 'MembersInvited'
  readonly data: {
    readonly groupId: GroupId
    /** The invited cannot look at the group yet. */
    readonly groupName: string
    readonly invited: readonly { readonly userId: UserId; readonly requestId: string }[]
    readonly message?: string
    readonly expiresAt: Instant
    readonly by: UserId
    readonly at: Instant
  }
}

type InvitationAnswered = {
  readonly groupId: GroupId
  readonly userId: UserId
  readonly requestId: string
  readonly invitedBy: UserId
  readonly at: Instant
}

/** In the same append with the MembersAdded that lets them in. */
export type InvitationAccepted = { readonly type: 'InvitationAccepted'; readonly data: InvitationAnswered }
export type InvitationRejected = { readonly type: 'InvitationRejected'; readonly data: InvitationAnswered }

export type InvitationRecalled = {
  readonly type: 'InvitationRecalled'
  readonly data: {
    readonly groupId: GroupId
    readonly userId: UserId
    readonly requestId: string
    readonly by: UserId
    readonly at: Instant
  }
}

/** Nobody answered in time, the group was dissolved, or the accounts of those invited were closed. */
export type InvitationsExpired = {
  readonly type: 'InvitationsExpired'
  readonly data: {
    readonly groupId: GroupId
    readonly invitations: readonly { readonly userId: UserId; readonly requestId: string }[]
    readonly at: Instant
  }
}

/** Somebody asked to be let in, or a member asked it for them; who asks again does it under the id of the first time. */
export type ApplicationMade = {
  readonly type: 'ApplicationMade'
  readonly data: {
    readonly groupId: GroupId
    readonly userId: UserId
    readonly requestId: string
    readonly message?: string
    /** The owner and the admins of the first time, but those who block one who asks for themself. */
    readonly told: readonly UserId[]
    /** The member who asked for them; they themselves have not asked for anything and are told of nothing (R19). */
    readonly invitedBy?: UserId
    readonly expiresAt: Instant
    readonly at: Instant
  }
}

type ApplicationEnded = {
  readonly groupId: GroupId
  readonly userId: UserId
  readonly requestId: string
  readonly told: readonly UserId[]
  readonly invitedBy?: UserId
  readonly at: Instant
}

/**
 * In the same append with the MembersAdded that lets them in, or with the MembersInvited of one for whom a member asked.
 * `auto`: nobody was asked, `by` is the system (R45).
 */
export type ApplicationApproved = {
  readonly type: 'ApplicationApproved'
  readonly data: ApplicationEnded & { readonly decidedBy: 'manager' | 'auto'; readonly by: UserId }
}

export type ApplicationRejected = {
  readonly type: 'ApplicationRejected'
  readonly data: ApplicationEnded & { readonly reason?: string; readonly by: UserId }
}

/** By the applicant; or the application that a member made for them gave way to their own. */
export type ApplicationWithdrawn = {
  readonly type: 'ApplicationWithdrawn'
  readonly data: ApplicationEnded
}

/** Nobody decided in time, the group was dissolved, or the accounts of those who asked were closed. */
export type ApplicationsExpired = {
  readonly type: 'ApplicationsExpired'
  readonly data: {
    readonly groupId: GroupId
    readonly applications: readonly {
      readonly userId: UserId
      readonly requestId: string
      readonly told: readonly UserId[]
      readonly invitedBy?: UserId
    }[]
    readonly at: Instant
  }
}

export type GroupRequestEvent =
  | MembersInvited
  | InvitationAccepted
  | InvitationRejected
  | InvitationRecalled
  | InvitationsExpired
  | ApplicationMade
  | ApplicationApproved
  | ApplicationRejected
  | ApplicationWithdrawn
  | ApplicationsExpired
