// Owns the one table of operations: HTTP, frames and the documentation are made from it.

import { accountOperations } from './accounts.ts'
import { adminAuditOperations } from './admin-audit.ts'
import { blocklistOperations } from './blocklist.ts'
import { conversationOperations } from './conversations.ts'
import { groupOperations } from './groups.ts'
import { infoOperations } from './info.ts'
import { memberOperations } from './members.ts'
import { messageOperations } from './messages.ts'
import { notificationOperations } from './notifications.ts'
import type { Operation } from './operation.ts'
import { sessionOperations } from './sessions.ts'
import { syncOperations } from './sync.ts'
import { userOperations } from './users.ts'

/** All operations, in the order of the documentation. */
export const operations: readonly Operation[] = [
  ...infoOperations,
  ...accountOperations,
  ...sessionOperations,
  ...userOperations,
  ...blocklistOperations,
  ...groupOperations,
  ...memberOperations,
  ...conversationOperations,
  ...messageOperations,
  ...notificationOperations,
  ...syncOperations,
  ...adminAuditOperations,
]
