// Owns the part of the table of who may call what that is about how people come into a group, and about announcements.

import type { Stage } from './authorisation-stage.ts'
import {
  type AccessCase,
  group,
  inGroup,
  needsSession,
  noGroup,
  type Outcome,
  signedIn,
} from './authorisation-words.ts'

const announcement = (stage: Stage) => ({ ...group(stage), announcementId: stage.announcementId })
const inNoGroup = (stage: Stage) => ({ ...noGroup(), announcementId: stage.announcementId })
const applicant = (stage: Stage) => ({ ...group(stage), userId: stage.people.applicant.userId })
const ofNoGroup = ({ people }: Stage) => ({ ...noGroup(), userId: people.applicant.userId })
/** In order: members, the invited, the applicant, other strangers. */
const joiners = (
  members: Outcome,
  invited: Outcome,
  applicant: Outcome,
  stranger: Outcome,
  blocked: Outcome = stranger,
) =>
  needsSession({
    owner: members,
    admin: members,
    member: members,
    exMember: stranger,
    stranger,
    invited,
    applicant,
    blocked,
  })

/** By operation id. */
export const joining: Readonly<Record<string, readonly AccessCase[]>> = {
  publishAnnouncement: [
    {
      args: stage => ({ ...group(stage), text: 'At nine.', popup: true }),
      missing: () => ({ ...noGroup(), text: 'At nine.', popup: true }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
  ],
  listAnnouncements: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  deleteAnnouncement: [
    { args: announcement, missing: inNoGroup, outcomes: inGroup('ok', 'ok', 'group.not-allowed') },
    {
      what: 'that is not there',
      args: stage => ({ ...announcement(stage), announcementId: 'a'.repeat(26) }),
      outcomes: inGroup('announcement.not-found', 'announcement.not-found', 'group.not-allowed'),
    },
  ],
  // The owner has published it, and so has seen it.
  seeAnnouncement: [{ args: announcement, missing: inNoGroup, outcomes: inGroup('nothing', 'ok', 'ok') }],
  listGroupInvitations: [{ outcomes: signedIn('ok') }],
  acceptGroupInvitation: [
    {
      args: group,
      missing: noGroup,
      outcomes: joiners('nothing', 'ok', 'invitation.not-found', 'invitation.not-found'),
    },
  ],
  rejectGroupInvitation: [
    {
      args: group,
      missing: noGroup,
      outcomes: joiners('invitation.not-found', 'ok', 'invitation.not-found', 'invitation.not-found'),
    },
  ],
  recallGroupInvitation: [
    {
      args: stage => ({ ...group(stage), userId: stage.people.invited.userId }),
      missing: ({ people }) => ({ ...noGroup(), userId: people.invited.userId }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
  ],
  joinGroup: [
    {
      args: stage => ({ ...group(stage), message: 'Let me in.' }),
      missing: () => ({ ...noGroup(), message: 'Let me in.' }),
      outcomes: joiners('group.already-member', 'ok', 'ok', 'ok', 'group.not-found'),
    },
  ],
  listGroupApplications: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'group.not-allowed') }],
  withdrawGroupApplication: [
    {
      args: group,
      outcomes: joiners('application.not-pending', 'application.not-pending', 'ok', 'application.not-pending'),
    },
  ],
  approveGroupApplication: [
    { args: applicant, missing: ofNoGroup, outcomes: inGroup('ok', 'ok', 'group.not-allowed') },
    {
      what: 'of one who has not applied',
      args: stage => ({ ...group(stage), userId: stage.guest.userId }),
      outcomes: inGroup('application.not-pending', 'application.not-pending', 'group.not-allowed'),
    },
  ],
  rejectGroupApplication: [{ args: applicant, missing: ofNoGroup, outcomes: inGroup('ok', 'ok', 'group.not-allowed') }],
  getJoinQuestion: [{ args: group, missing: noGroup, outcomes: inGroup('ok', 'ok', 'ok') }],
  setJoinQuestion: [
    {
      args: stage => ({ ...group(stage), questions: [{ text: 'Who?', answers: ['Ada'] }] }),
      missing: () => ({ ...noGroup(), questions: [{ text: 'Who?', answers: ['Ada'] }] }),
      outcomes: inGroup('ok', 'ok', 'group.not-allowed'),
    },
  ],
}
