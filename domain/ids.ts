// Owns the branded ids of the product, how they look, and the names of the streams built from them.
// Nothing else may spell a stream name or a conversation id. Pure: random bits and time are arguments.

declare const brand: unique symbol
type Brand<Name extends string> = string & { readonly [brand]: Name }

export type UserId = Brand<'UserId'>
export type GroupId = Brand<'GroupId'>
export type SessionId = Brand<'SessionId'>
/** `p2p:<a>:<b>` with a < b, or `group:<groupId>`. */
export type ConversationId = Brand<'ConversationId'>
/** An event's place in the log: 16 hex digits. Compared with `<`, never computed with. */
export type Position = Brand<'Position'>
/** RFC 3339 UTC with milliseconds. Compared with `<`. */
export type Instant = Brand<'Instant'>

/** Sender of server-made messages; no account can have this id. */
export const systemUserId = 'system' as UserId
/** Words that routes use where a user id may stand; never an account's id. */
export const reservedUserIds: ReadonlySet<string> = new Set(['me', 'search', 'check', 'current', 'system'])

const userIdPattern = /^[A-Za-z0-9_.-]{1,64}$/
export const isUserId = (text: string): text is UserId => userIdPattern.test(text) && !reservedUserIds.has(text)

const base32 = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * 128 bits as 26 lower-case base-32 digits (Crockford's alphabet, so text order is byte order).
 * @param bytes exactly 16 bytes
 */
export const base32Of = (bytes: Uint8Array): string => {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let text = ''
  for (let digit = 0; digit < 26; digit++) {
    text = base32[Number(value & 31n)] + text
    value >>= 5n
  }
  return text
}

/**
 * The 16 bytes of a UUIDv7 (RFC 9562, 5.7).
 * @param unixMs milliseconds since 1970
 * @param random at least 10 bytes; version and variant bits are overwritten
 */
export const uuidV7Bytes = (unixMs: number, random: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(16)
  let rest = unixMs
  for (let index = 5; index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes.set(random.subarray(0, 10), 6)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes
}

const uuidV7Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Milliseconds since 1970 that a UUIDv7 carries; undefined for an id of any other form. */
export const unixMsOfUuidV7 = (id: string): number | undefined =>
  id.length === 36 && uuidV7Pattern.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined

/** The P2P conversation of two users, the same from both sides. */
export const p2pConversationId = (one: UserId, other: UserId): ConversationId =>
  (one < other ? `p2p:${one}:${other}` : `p2p:${other}:${one}`) as ConversationId

export const groupConversationId = (groupId: GroupId): ConversationId => `group:${groupId}` as ConversationId

export type ConversationParts =
  | { readonly kind: 'p2p'; readonly users: readonly [UserId, UserId] }
  | { readonly kind: 'group'; readonly groupId: GroupId }

/** Takes a conversation id apart; undefined when the text is not one. */
export const conversationParts = (id: string): ConversationParts | undefined => {
  if (id.startsWith('group:')) {
    const groupId = id.slice(6)
    return userIdPattern.test(groupId) ? { kind: 'group', groupId: groupId as GroupId } : undefined
  }
  if (!id.startsWith('p2p:')) return undefined
  const cut = id.indexOf(':', 4)
  if (cut < 0) return undefined
  const one = id.slice(4, cut)
  const other = id.slice(cut + 1)
  return isUserId(one) && isUserId(other) && one < other ? { kind: 'p2p', users: [one, other] } : undefined
}

/** Streams are the consistency boundaries; the part before the first `-` is the category. */
export const streamOf = {
  account: (userId: UserId) => `account-${userId}`,
  /** @param hmac keyed HMAC of the identity's kind and normalised value */
  identity: (hmac: string) => `identity-${hmac}`,
  code: (hmac: string) => `code-${hmac}`,
  session: (userId: UserId) => `session-${userId}`,
  blocklist: (userId: UserId) => `blocklist-${userId}`,
  /** Of two people, the same from both sides; `~` stands in no user id. */
  friendship: (one: UserId, other: UserId) =>
    one < other ? `friendship-${one}~${other}` : `friendship-${other}~${one}`,
  group: (groupId: GroupId) => `group-${groupId}`,
  member: (groupId: GroupId, userId: UserId) => `member-${groupId}~${userId}`,
  joinTries: (groupId: GroupId, userId: UserId) => `joinTries-${groupId}~${userId}`,
  conversation: (conversationId: ConversationId) => `conversation-${conversationId}`,
  message: (conversationId: ConversationId, seq: number) => `message-${conversationId}.${seq}`,
  inbox: (userId: UserId, conversationId: ConversationId) => `inbox-${userId}~${conversationId}`,
  /** One for all keys. */
  adminKey: () => 'adminKey-all',
  notification: (userId: UserId) => `notification-${userId}`,
  follower: (name: string) => `follower-${name}`,
  snapshot: (stream: string) => `snapshot-${stream}`,
} as const

export type Category = keyof typeof streamOf

/** Streams of these categories keep only their newest event: a cursor, a cached state. */
export const keepsLastOnly = (stream: string): boolean =>
  stream.startsWith('follower-') || stream.startsWith('snapshot-')
