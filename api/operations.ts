// Owns the one table of operations: HTTP, frames and the documentation are made from it.

import { accountClosingOperations } from './account-closing.ts'
import { accountIdentityOperations } from './account-identities.ts'
import { accountOperations } from './accounts.ts'
import { adminAccountOperations } from './admin-accounts.ts'
import { adminAuditOperations } from './admin-audit.ts'
import { adminGroupOperations } from './admin-groups.ts'
import { announcementOperations } from './announcements.ts'
import { applicationOperations } from './applications.ts'
import { blocklistOperations } from './blocklist.ts'
import { conversationOperations } from './conversations.ts'
import { friendRequestOperations } from './friend-requests.ts'
import { friendOperations } from './friends.ts'
import { groupSettingOperations } from './group-settings.ts'
import { groupOperations } from './groups.ts'
import { infoOperations } from './info.ts'
import { invitationOperations } from './invitations.ts'
import { joinQuestionOperations } from './join-questions.ts'
import { memberProfileOperations } from './member-profiles.ts'
import { memberOperations } from './members.ts'
import { messageOperations } from './messages.ts'
import { notificationOperations } from './notifications.ts'
import type { Operation } from './operation.ts'
import { presenceOperations } from './presence.ts'
import { receiptOperations } from './receipts.ts'
import { sessionOperations } from './sessions.ts'
import { syncOperations } from './sync.ts'
import { userSearchOperations } from './user-search.ts'
import { userOperations } from './users.ts'

/** All operations, in the order of the documentation. */
export const operations: readonly Operation[] = [
  ...infoOperations,
  ...accountOperations,
  ...accountIdentityOperations,
  ...accountClosingOperations,
  ...sessionOperations,
  ...userOperations,
  ...presenceOperations,
  ...userSearchOperations,
  ...friendRequestOperations,
  ...friendOperations,
  ...blocklistOperations,
  ...groupOperations,
  ...groupSettingOperations,
  ...memberOperations,
  ...memberProfileOperations,
  ...invitationOperations,
  ...applicationOperations,
  ...joinQuestionOperations,
  ...announcementOperations,
  ...conversationOperations,
  ...messageOperations,
  ...receiptOperations,
  ...notificationOperations,
  ...syncOperations,
  ...adminAccountOperations,
  ...adminAuditOperations,
  ...adminGroupOperations,
]
