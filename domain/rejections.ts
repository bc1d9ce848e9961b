// Owns the list of every "no" the product can say. Adding one is a compile error until api/errors.ts gives it a status.

export const rejectionCodes = [
  // accounts, sign-in, devices
  'account.not-found',
  'account.wrong-credentials',
  'account.wrong-password',
  'account.exists',
  'account.user-name-sign-up-off',
  'identity.taken',
  'code.too-soon',
  'code.wrong',
  'session.ended',
  'session.not-found',
  'session.limit',
  'token.invalid',
  'token.expired',
  // block list
  'block.self',
  'block.limit',
  // groups
  'group.not-found',
  'group.dissolved',
  'group.not-member',
  'group.not-owner',
  'group.not-allowed',
  'group.full',
  'group.member-limit',
  'group.target-not-member',
  'group.target-is-owner',
  'group.target-is-admin',
  'group.target-self',
  'group.already-owner',
  'group.already-member',
  'group.owner-cannot-leave',
  'group.admin-limit',
  'group.created-limit',
  'group.joined-limit',
  'group.mute-limit',
  'group.followed-limit',
  'group.muted',
  'group.all-muted',
  'user.not-found',
  // conversations and messages
  'conversation.not-found',
  'conversation.pin-limit',
  'message.not-found',
  'message.blocked',
  'message.to-self',
  'message.clock-ahead',
  'message.not-sender',
  'message.recall-too-late',
  'message.not-recallable',
  // admin keys
  'admin-key.limit',
  'admin-key.not-found',
  // any command
  'idempotency.mismatch',
  'command.conflict',
] as const

export type RejectionCode = (typeof rejectionCodes)[number]
