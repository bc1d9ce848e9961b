// Owns the reading of what the router must know before it can route a batch of events. Keeps all of it until the batch is
// routed: a held state may be evicted at any time. Never guesses: what cannot be read is an error.

import { type Account, account } from '../domain/account/account.ts'
import { type Group, group } from '../domain/group/group.ts'
import { type ConversationId, type Position, streamOf, type UserId } from '../domain/ids.ts'
import { type InboxMarks, inbox } from '../domain/inbox/inbox.ts'
import { type SessionState, session } from '../domain/session/session.ts'
import type { Node } from '../eventstore/node.ts'
import type { RecordedEvent } from '../eventstore/port.ts'
import type { ConversationHead, Need, RouteFacts } from './actions.ts'
import type { CursorPrefix } from './protocol.ts'
import { needsOf } from './router.ts'

/** Messages read back at a time when the head at an event is looked for. */
const headPageEvents = 50

const noHead: ConversationHead = { seq: 0 }

/** What the router gets for an event that needs nothing. */
export const noFacts = (cursorPrefix: CursorPrefix): RouteFacts => ({
  cursorPrefix,
  account: () => account.initial,
  group: () => group.initial,
  openSessions: () => [],
  head: () => noHead,
  marks: () => inbox.initial,
})

const headBefore = async (
  node: Node,
  conversationId: ConversationId,
  position: Position,
): Promise<ConversationHead> => {
  const stream = streamOf.conversation(conversationId)
  let from: number | 'end' = 'end'
  for (;;) {
    const page: readonly RecordedEvent[] = await node.store.read(stream, {
      from,
      direction: 'backwards',
      limit: headPageEvents,
    })
    const found = page.find(event => event.position < position)
    if (found !== undefined) return { seq: found.revision + 1 }
    const last = page.at(-1)
    if (last === undefined || last.revision === 0) return noHead
    from = last.revision - 1
  }
}

/**
 * Reads for all events of a batch at once.
 * @param isFollowed whether anybody here would hear of what differs for this user
 * @throws Unavailable, CorruptLog
 */
export const readFacts = async (
  node: Node,
  cursorPrefix: CursorPrefix,
  events: readonly RecordedEvent[],
  isFollowed: (userId: UserId) => boolean,
): Promise<(event: RecordedEvent) => RouteFacts> => {
  const states = new Map<string, unknown>()
  const heads = new Map<string, ConversationHead>()
  const keep = async (stream: string, loaded: { readonly state: unknown } | Promise<{ readonly state: unknown }>) => {
    states.set(stream, (await loaded).state)
  }
  const read = async (need: Need, { position }: RecordedEvent): Promise<void> => {
    switch (need.what) {
      case 'account': {
        const stream = streamOf.account(need.userId)
        return keep(stream, node.load(account, stream))
      }
      case 'group': {
        const stream = streamOf.group(need.groupId)
        return keep(stream, node.load(group, stream))
      }
      case 'sessions': {
        const stream = streamOf.session(need.userId)
        return keep(stream, node.load(session, stream))
      }
      case 'marks': {
        const stream = streamOf.inbox(need.userId, need.conversationId)
        return isFollowed(need.userId) ? keep(stream, node.load(inbox, stream)) : undefined
      }
      case 'head':
        heads.set(`${need.conversationId} ${position}`, await headBefore(node, need.conversationId, position))
    }
  }
  await Promise.all(events.flatMap(event => needsOf(event).map(need => read(need, event))))
  const stateOf = <State>(stream: string, initial: State): State => (states.get(stream) as State | undefined) ?? initial
  return event => ({
    cursorPrefix,
    account: userId => stateOf<Account>(streamOf.account(userId), account.initial),
    group: groupId => stateOf<Group>(streamOf.group(groupId), group.initial),
    openSessions: userId => [...stateOf<SessionState>(streamOf.session(userId), session.initial).open.values()],
    head: conversationId => heads.get(`${conversationId} ${event.position}`) ?? noHead,
    marks: (userId, conversationId) => stateOf<InboxMarks>(streamOf.inbox(userId, conversationId), inbox.initial),
  })
}
