// Owns the rules of what one user does to one conversation for themselves: read, pin, remind, see, clear, delete (R30, R40, R72, R73, R80–R84).
// Never touches what others see; that the user may see the conversation at all is asked before.
// Stale facts can do this at worst: two pins at once overshoot the limit by one; a message that came within the follow lag
// stays unread, uncleared or undeleted. A conversation without messages (lastSeq 0) has nothing to read, clear or delete,
// so these answer [] (delete still unpins); it can be pinned, which a new group's member may want.

import { type Decider, type Decision, isRejection, noRuleFor, reject } from '../decider.ts'
import type { ConversationId, Instant, UserId } from '../ids.ts'
import { limits } from '../limits.ts'
import type { InboxEvent, InboxMarks, RecordedMarks, Reminder } from './events.ts'

export type { InboxEvent, InboxMarks } from './events.ts'

interface InboxCommandBase {
  readonly userId: UserId
  readonly conversationId: ConversationId
  readonly at: Instant
}

export interface MarkRead extends InboxCommandBase {
  readonly type: 'MarkRead'
  readonly seq: number
}

/** What is undefined stays as it is. */
export interface SetConversation extends InboxCommandBase {
  readonly type: 'SetConversation'
  readonly pinned?: boolean | undefined
  readonly reminder?: Reminder | undefined
  readonly doNotDisturb?: boolean | undefined
}

export interface ClearConversation extends InboxCommandBase {
  readonly type: 'ClearConversation'
}

export interface DeleteConversation extends InboxCommandBase {
  readonly type: 'DeleteConversation'
  /** Also clears (R81). */
  readonly messages: boolean
}

/** The pop-ups of a group up to this one alert the user no more (R40). */
export interface SeeAnnouncement extends InboxCommandBase {
  readonly type: 'SeeAnnouncement'
  readonly number: number
}

export type InboxCommand = MarkRead | SeeAnnouncement | SetConversation | ClearConversation | DeleteConversation

export interface InboxFacts {
  /** The newest seq of the conversation that this user may see; 0 when there is none. */
  readonly lastSeq: number
  /** What lies at or below it is not unread whatever is marked: it was there before the user joined. 0: nothing. */
  readonly floorSeq: number
  /** Announcements up to this number are no alert whatever is marked: seen, or there before the user joined. */
  readonly announcementSeen: number
  /** How many conversations this user has pinned. */
  readonly pinnedCount: number
}

export type InboxRejection = 'conversation.pin-limit' | 'conversation.not-found'

/** Of a conversation for which the user has set nothing. */
export const noMarks: InboxMarks = {
  readSeq: 0,
  clearedSeq: 0,
  deletedSeq: 0,
  pinnedAt: null,
  reminder: 'all',
  doNotDisturb: false,
  announcementSeen: 0,
}

/** All marks of an event. */
export const marksIn = (recorded: RecordedMarks): InboxMarks => ({ ...noMarks, ...recorded })

const evolve = (state: InboxMarks, event: InboxEvent): InboxMarks => {
  switch (event.type) {
    case 'ConversationRead':
    case 'ConversationPinned':
    case 'ConversationUnpinned':
    case 'ConversationReminderSet':
    case 'AnnouncementSeen':
    case 'ConversationCleared':
    case 'ConversationDeleted':
      return marksIn(event.data.marks)
    default:
      return state
  }
}

/** The event with all marks after it; nothing when no mark would change. Seq marks can only grow, whatever is asked. */
const moved = (
  type: InboxEvent['type'],
  { userId, conversationId, at }: InboxCommandBase,
  state: InboxMarks,
  changes: Partial<InboxMarks>,
): readonly InboxEvent[] => {
  const marks: InboxMarks = {
    readSeq: Math.max(state.readSeq, changes.readSeq ?? 0),
    clearedSeq: Math.max(state.clearedSeq, changes.clearedSeq ?? 0),
    deletedSeq: Math.max(state.deletedSeq, changes.deletedSeq ?? 0),
    pinnedAt: changes.pinnedAt === undefined ? state.pinnedAt : changes.pinnedAt,
    reminder: changes.reminder ?? state.reminder,
    doNotDisturb: changes.doNotDisturb ?? state.doNotDisturb,
    announcementSeen: Math.max(state.announcementSeen, changes.announcementSeen ?? 0),
  }
  const unchanged = (Object.keys(marks) as (keyof InboxMarks)[]).every(mark => marks[mark] === state[mark])
  return unchanged ? [] : [{ type, data: { userId, conversationId, marks, at } }]
}

/** A client may know less or claim more than there is: the mark stops at the last message, and begins above the floor. */
const markRead = (command: MarkRead, state: InboxMarks, facts: InboxFacts): readonly InboxEvent[] => {
  const seq = Math.min(command.seq, facts.lastSeq)
  return seq <= facts.floorSeq ? [] : moved('ConversationRead', command, state, { readSeq: seq })
}

const clear = (command: ClearConversation, state: InboxMarks, facts: InboxFacts): readonly InboxEvent[] =>
  facts.lastSeq <= state.clearedSeq
    ? []
    : moved('ConversationCleared', command, state, { readSeq: facts.floorSeq, clearedSeq: facts.lastSeq })

const pin = (command: SetConversation, state: InboxMarks, facts: InboxFacts): Decision<InboxEvent, InboxRejection> => {
  if (state.pinnedAt !== null) return []
  // A pin on what is out of the list could not be seen, nor taken off, and would still count.
  if (state.deletedSeq > 0 && facts.lastSeq <= state.deletedSeq) {
    return reject('conversation.not-found', 'The conversation is deleted. It comes back with its next message.')
  }
  if (facts.pinnedCount >= limits.pinnedConversationsMax) {
    return reject(
      'conversation.pin-limit',
      `${limits.pinnedConversationsMax} conversations can be pinned. Unpin one first.`,
    )
  }
  return moved('ConversationPinned', command, state, { pinnedAt: command.at })
}

/** All or none; each part that changes something is an event of its own, with all marks after it. */
const setConversation = (
  command: SetConversation,
  state: InboxMarks,
  facts: InboxFacts,
): Decision<InboxEvent, InboxRejection> => {
  const { pinned, reminder, doNotDisturb } = command
  const pinning = pinned === true ? pin(command, state, facts) : []
  if (isRejection(pinning)) return pinning
  const first = pinned === false ? moved('ConversationUnpinned', command, state, { pinnedAt: null }) : pinning
  const after = first.reduce(evolve, state)
  const reminded = {
    ...(reminder === undefined ? undefined : { reminder }),
    ...(doNotDisturb === undefined ? undefined : { doNotDisturb }),
  }
  return [...first, ...moved('ConversationReminderSet', command, after, reminded)]
}

const deleteConversation = (
  command: DeleteConversation,
  state: InboxMarks,
  facts: InboxFacts,
): readonly InboxEvent[] => {
  const { lastSeq } = facts
  // Without a message nothing is marked; with one, never below what was not unread anyway.
  const readSeq = lastSeq === 0 ? 0 : Math.max(lastSeq, facts.floorSeq)
  const gone = { readSeq, deletedSeq: lastSeq, pinnedAt: null }
  const changes = command.messages ? { ...gone, clearedSeq: lastSeq } : gone
  const deleted = moved('ConversationDeleted', command, state, changes)
  // Whoever brings the conversation back from this event must know what alerts the user no more.
  const { announcementSeen } = facts
  return deleted.length === 0 ? [] : moved('ConversationDeleted', command, state, { ...changes, announcementSeen })
}

const see = (command: SeeAnnouncement, state: InboxMarks, facts: InboxFacts): readonly InboxEvent[] =>
  command.number <= facts.announcementSeen
    ? []
    : moved('AnnouncementSeen', command, state, { announcementSeen: command.number })

/** The rules of `inbox-<userId>~<conversationId>` (R30, R72, R73, R80–R84). */
export const inbox: Decider<InboxMarks, InboxCommand, InboxEvent, InboxRejection, InboxFacts> = {
  category: 'inbox',
  load: { by: 'last' },
  initial: noMarks,
  evolve,
  decide: (command, state, facts) => {
    switch (command.type) {
      case 'MarkRead':
        return markRead(command, state, facts)
      case 'SetConversation':
        return setConversation(command, state, facts)
      case 'SeeAnnouncement':
        return see(command, state, facts)
      case 'ClearConversation':
        return clear(command, state, facts)
      case 'DeleteConversation':
        return deleteConversation(command, state, facts)
      default:
        return noRuleFor(command)
    }
  },
}
