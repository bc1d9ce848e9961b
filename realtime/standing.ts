// Owns what follows from how one user stands at a place in the log: which topics reach them, and what they saw last of groups
// from which nothing comes. Pure. Membership is taken from here and never from a held state, which may be ahead of the event.

import type { Action } from './actions.ts'
import { isGroupTopic, isProfileTopic, type Topic } from './protocol.ts'

export interface Standing {
  readonly topics: ReadonlySet<Topic>
  /** Topics of groups from which nothing has come since the user is out, or back: the newest message seen; 0 for none. */
  readonly lastSeen: ReadonlyMap<Topic, number>
}

/** Topics of one user. Beyond it profiles of others are no longer followed: their changes come with the next sync. */
export const topicsMax = 20_000

/** Whether one who stands like this can be on the topic as well. */
export const hasRoomFor = (topic: Topic, topics: ReadonlySet<Topic>): boolean =>
  topics.size < topicsMax || !isProfileTopic(topic)

/**
 * The newest message seen of a group after joining or leaving it, unless another is known; undefined for other topics, and for
 * one who sees all there is.
 */
export const lastSeqAfter = (action: Extract<Action, { do: 'join' | 'leave' }>): number | undefined => {
  if (action.do === 'leave') return action.lastSeq
  return isGroupTopic(action.topic) && action.seesAll !== true ? 0 : undefined
}

/** Whether one hears of a recall although the group's frames no longer come. */
export const hearsOfRecall = (
  { topic, seq }: Extract<Action, { do: 'recall' }>,
  { topics, lastSeen }: Standing,
): boolean => !topics.has(topic) && seq <= (lastSeen.get(topic) ?? 0)

/** The actions that are meant for one who stands like this. */
export const chosen = (
  { topic, seq, headSeq, newer, nothingNewer }: Extract<Action, { do: 'either' }>,
  { topics, lastSeen }: Standing,
): readonly Action[] => {
  const visibleSeq = lastSeen.get(topic) ?? (topics.has(topic) ? headSeq : 0)
  return visibleSeq > seq ? newer : nothingNewer
}
