// Owns how a test's ledger tells of announcements. Counts them and knows which pop-ups are there, as the group's own state does.

import { type GroupId, groupConversationId, streamOf } from '../../domain/ids.ts'
import { type Ledger, user } from './ledger.ts'

const published = (ledger: Ledger, groupId: string) =>
  ledger.events.flatMap(({ type, data }) =>
    type === 'AnnouncementPublished' && (data as { groupId: string }).groupId === groupId
      ? [data as { announcementId: string; number: number; popup: boolean }]
      : [],
  )

const isDeleted = (ledger: Ledger, announcementId: string): boolean =>
  ledger.events.some(
    ({ type, data }) =>
      type === 'AnnouncementDeleted' && (data as { announcementId: string }).announcementId === announcementId,
  )

/** How many announcements the group ever had. */
export const announcedIn = (ledger: Ledger, groupId: string): number => published(ledger, groupId).length

const newestPopup = (ledger: Ledger, groupId: string, without?: string): number =>
  published(ledger, groupId).findLast(
    ({ announcementId, popup }) => popup && announcementId !== without && !isDeleted(ledger, announcementId),
  )?.number ?? 0

export const announce = (ledger: Ledger, groupId: string, by: string, popup = true) => {
  const number = announcedIn(ledger, groupId) + 1
  return ledger.record(streamOf.group(groupId as GroupId), 'AnnouncementPublished', {
    groupId: groupId as GroupId,
    announcementId: `${groupId}-${number}`,
    number,
    text: `the ${number}. of ${groupId}`,
    popup,
    popupNumber: popup ? number : newestPopup(ledger, groupId),
    by: user(by),
    at: ledger.at,
  })
}

/** Does nothing for one that is not there. */
export const unannounce = (ledger: Ledger, groupId: string, number: number) => {
  const announcementId = `${groupId}-${number}`
  if (number > announcedIn(ledger, groupId) || isDeleted(ledger, announcementId)) return
  ledger.record(streamOf.group(groupId as GroupId), 'AnnouncementDeleted', {
    groupId: groupId as GroupId,
    announcementId,
    number,
    popupNumber: newestPopup(ledger, groupId, announcementId),
    by: user('ada'),
    at: ledger.at,
  })
}

export const see = (ledger: Ledger, groupId: string, name: string, number: number) => {
  const conversationId = groupConversationId(groupId as GroupId)
  const before = ledger.marksOf(name, conversationId).announcementSeen ?? 0
  return ledger.mark(name, conversationId, 'AnnouncementSeen', { announcementSeen: Math.max(before, number) })
}
