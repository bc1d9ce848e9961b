// Owns who gets what for each event: pure, in log order. An event becomes actions; the hub performs them.
// What a group's members share is published once; what differs between them goes to each user's own topic only.

import type { DomainEvent } from '../domain/decider.ts'
import { type EventType, isEventType } from '../domain/events.ts'
import type { Action, Need, Route, Routed, RouteFacts, Routes } from './actions.ts'
import { accountRoutes } from './routes/account.ts'
import { announcementRoutes } from './routes/announcement.ts'
import { nothing } from './routes/frames.ts'
import { friendshipRoutes } from './routes/friendship.ts'
import { groupRoutes } from './routes/group.ts'
import { groupRequestRoutes } from './routes/group-request.ts'
import { inboxRoutes } from './routes/inbox.ts'
import { memberRoutes } from './routes/member.ts'
import { messageRoutes } from './routes/message.ts'
import { notices, notificationRoutes } from './routes/notification.ts'

/** One row an event: a new event does not compile until it says who hears of it. */
const routes: Routes = {
  ...accountRoutes,
  ...friendshipRoutes,
  ...groupRoutes,
  ...memberRoutes,
  ...groupRequestRoutes,
  ...announcementRoutes,
  ...messageRoutes,
  ...inboxRoutes,
  ...notificationRoutes,
  FollowerAdvanced: nothing,
  AdminKeyCreated: nothing,
  AdminKeyRevoked: nothing,
}

/** What must be read before the event can be routed; mostly nothing. */
export const needsOf = (event: DomainEvent): readonly Need[] => {
  if (!isEventType(event.type)) return []
  const route = routes[event.type] as Route<EventType>
  return route.needs?.(event.data as never) ?? []
}

/** What to do for one event. Events of other makers (snapshots) route to nothing. */
export const route = (event: DomainEvent & Omit<Routed<EventType>, 'data'>, facts: RouteFacts): readonly Action[] => {
  if (!isEventType(event.type)) return []
  const found = routes[event.type] as Route<EventType>
  const cursor = facts.cursorPrefix + event.position
  const actions = found.actions(event as never, facts, cursor)
  const told = notices(event as never, facts, cursor)
  return told.length === 0 ? actions : [...actions, ...told]
}
