// Owns the announcements of a group (R40): published, numbered in their order, deleted, the newest ones kept. Whether a member
// has seen a pop-up is the member's own mark, a number in the inbox stream; so a pop-up costs the same whatever the group's size.

import { type Rejection, reject } from '../decider.ts'
import type { GroupId, Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import { may, mayWith } from './permissions.ts'
import { type Actor, type GroupDecision, notAllowed, type Standing } from './refusals.ts'

export interface KeptAnnouncement {
  readonly announcementId: string
  /** From 1, in the order of publication; never given again. */
  readonly number: number
  readonly popup: boolean
  readonly by: UserId
}

export interface Announcements {
  /** How many were ever published. */
  readonly announced: number
  /** Those that are there, the oldest first. */
  readonly announcements: readonly KeptAnnouncement[]
}

export type AnnouncementPublished = {
  readonly type: 'AnnouncementPublished'
  readonly data: {
    readonly groupId: GroupId
    readonly announcementId: string
    readonly number: number
    readonly text: string
    readonly popup: boolean
    /** The newest pop-up that is there after this; 0: none. */
    readonly popupNumber: number
    readonly by: UserId
    readonly at: Instant
  }
}

/** Also of the oldest one, when there would be too many. */
export type AnnouncementDeleted = {
  readonly type: 'AnnouncementDeleted'
  readonly data: {
    readonly groupId: GroupId
    readonly announcementId: string
    readonly number: number
    readonly popupNumber: number
    readonly by: UserId
    readonly at: Instant
  }
}

export type AnnouncementEvent = AnnouncementPublished | AnnouncementDeleted

export interface PublishAnnouncement extends Actor {
  readonly type: 'PublishAnnouncement'
  readonly announcementId: string
  readonly text: string
  readonly popup: boolean
}

export interface DeleteAnnouncement extends Actor {
  readonly type: 'DeleteAnnouncement'
  readonly announcementId: string
}

/** The number of the newest pop-up among them; 0: there is none. */
export const popupNumberOf = (announcements: readonly KeptAnnouncement[]): number =>
  announcements.findLast(({ popup }) => popup)?.number ?? 0

const deleted = (
  groupId: GroupId,
  { announcementId, number }: KeptAnnouncement,
  left: readonly KeptAnnouncement[],
  { by, at }: Actor,
): AnnouncementDeleted => ({
  type: 'AnnouncementDeleted',
  data: { groupId, announcementId, number, popupNumber: popupNumberOf(left), by, at },
})

export const publishAnnouncement = (command: PublishAnnouncement, { group, party }: Standing): GroupDecision => {
  if (!may('publishAnnouncements', party, group)) return notAllowed()
  const { announcementId, text, popup, by, at } = command
  const number = group.announced + 1
  const [oldest] = group.announcements
  const isFull = group.announcements.length >= limits.announcementsKeptMax
  const others = isFull ? group.announcements.slice(1) : group.announcements
  const popupNumber = popup ? number : popupNumberOf(others)
  const { groupId } = group
  const published: AnnouncementPublished = {
    type: 'AnnouncementPublished',
    data: { groupId, announcementId, number, text, popup, popupNumber, by, at },
  }
  return isFull && oldest !== undefined ? [deleted(groupId, oldest, others, command), published] : [published]
}

const noAnnouncement = (): Rejection<'announcement.not-found'> =>
  reject('announcement.not-found', 'There is no such announcement in this group.')

export const deleteAnnouncement = (command: DeleteAnnouncement, { group, party }: Standing): GroupDecision => {
  const found = group.announcements.find(({ announcementId }) => announcementId === command.announcementId)
  if (!mayWith('deleteAnnouncements', party, group, found?.by === command.by)) return notAllowed()
  if (found === undefined) return noAnnouncement()
  return [
    deleted(
      group.groupId,
      found,
      group.announcements.filter(kept => kept !== found),
      command,
    ),
  ]
}

/** The announcements after an event of one. */
export const withAnnouncement = (
  { announced, announcements }: Announcements,
  event: AnnouncementEvent,
): Announcements => {
  const { announcementId, number } = event.data
  if (event.type === 'AnnouncementDeleted') {
    return { announced, announcements: announcements.filter(kept => kept.announcementId !== announcementId) }
  }
  const { popup, by } = event.data
  return { announced: number, announcements: [...announcements, { announcementId, number, popup, by }] }
}
