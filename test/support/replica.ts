// Owns what a device keeps of its user's data: a map for each collection, and the rules by which frames change it (api.md, 3).
// Pure of sockets. Applying a frame twice changes nothing; what a device derives by itself is derived here and nowhere else.

export type Row = Readonly<Record<string, unknown>>

/** A frame of the server that is not a reply. */
export interface ServerFrame {
  readonly op: string
  readonly collection?: string
  readonly cursor?: string
  readonly id?: string
  readonly value?: Row
  readonly set?: Row
  readonly items?: readonly Row[]
  readonly removed?: readonly string[]
  readonly via?: string
  readonly [field: string]: unknown
}

/** What the replica cannot know by itself: the unread of a conversation whose messages it does not hold. */
export interface ReplicaOptions {
  readonly userId: string
  /** Asked for one `getConversation`; the caller hands the row to `settle`. */
  readonly onUnknownUnread?: (conversationId: string) => void
}

const idFields: Readonly<Record<string, (row: Row) => string>> = {
  messages: row => `${row.conversationId}#${row.seq}`,
  conversations: row => String(row.conversationId),
  groups: row => String(row.groupId),
  members: row => `${row.groupId}#${row.userId}`,
  sessions: row => String(row.sessionId),
  notifications: row => String(row.notificationId),
  readMarks: () => 'readMarks',
  settings: () => 'settings',
}

/** The id of a row in its collection. */
export const rowId = (collection: string, row: Row): string =>
  (idFields[collection] ?? (other => String(other.userId)))(row)

/** Messages that nobody has to read. */
export const quietTypes: ReadonlySet<unknown> = new Set(['notification', 'tip'])
/** Whether a message counts as unread for those who did not send it. */
const countsAsUnread = (message: Row): boolean => !quietTypes.has(message.type)

const splitMessageId = (id: string): { conversationId: string; seq: number } => {
  const cut = id.lastIndexOf('#')
  return { conversationId: id.slice(0, cut), seq: Number(id.slice(cut + 1)) }
}

export class Replica {
  readonly collections = new Map<string, Map<string, Row>>()
  /** Empty until the first sync is whole. */
  cursor = ''
  readonly #options: ReplicaOptions

  constructor(options: ReplicaOptions) {
    this.#options = options
  }

  get userId(): string {
    return this.#options.userId
  }

  collection(name: string): Map<string, Row> {
    const found = this.collections.get(name)
    if (found !== undefined) return found
    const made = new Map<string, Row>()
    this.collections.set(name, made)
    return made
  }

  /** The server said that what is held is of no use any more. */
  reset(): void {
    this.collections.clear()
    this.cursor = ''
  }

  /** A copy that goes its own way: what a device has stored when it is switched off. */
  clone(options: Partial<ReplicaOptions> = {}): Replica {
    const copy = new Replica({ ...this.#options, ...options })
    for (const [name, rows] of this.collections) copy.collections.set(name, new Map(rows))
    copy.cursor = this.cursor
    return copy
  }

  apply(frame: ServerFrame): void {
    switch (frame.op) {
      case 'rows':
        this.#rows(frame)
        break
      case 'put':
        this.#put(frame)
        break
      case 'patch':
        this.#patch(frame)
        break
      case 'remove':
        this.#remove(String(frame.collection), String(frame.id))
        break
    }
    // The cursor moves once the rows are stored, never before.
    if (frame.cursor !== undefined && frame.op !== 'rows') this.cursor = frame.cursor
  }

  /** Takes the absolute row of a conversation, as `getConversation` answers it. */
  settle(row: Row): void {
    const id = String(row.conversationId)
    if (this.collection('conversations').has(id)) this.#store('conversations', id, row)
  }

  /** The messages held of one conversation, by seq. */
  messagesOf(conversationId: string): Row[] {
    return [...this.collection('messages').values()]
      .filter(message => message.conversationId === conversationId)
      .sort((one, other) => Number(one.seq) - Number(other.seq))
  }

  #rows(frame: ServerFrame): void {
    const name = String(frame.collection)
    // Rows are absolute: nothing is derived from them.
    for (const row of frame.items ?? []) this.#store(name, rowId(name, row), row)
    for (const id of frame.removed ?? []) this.#remove(name, id)
  }

  #store(name: string, id: string, row: Row): void {
    this.collection(name).set(id, row)
    if (name === 'conversations') this.#dropCleared(id, row)
  }

  #dropCleared(conversationId: string, row: Row): void {
    const clearedSeq = Number(row.clearedSeq ?? 0)
    if (clearedSeq === 0) return
    const messages = this.collection('messages')
    for (const message of this.messagesOf(conversationId)) {
      if (Number(message.seq) <= clearedSeq) messages.delete(rowId('messages', message))
    }
  }

  #remove(name: string, id: string): void {
    this.collection(name).delete(id)
    if (name !== 'groups') return
    const members = this.collection('members')
    for (const key of [...members.keys()]) if (key.startsWith(`${id}#`)) members.delete(key)
  }

  #put(frame: ServerFrame): void {
    const name = String(frame.collection)
    const row = frame.value as Row
    this.#store(name, rowId(name, row), row)
    if (name === 'messages') this.#derive(row)
  }

  /** A new message changes its conversation's row, the same way on every device. */
  #derive(message: Row): void {
    const id = String(message.conversationId)
    const held = this.collection('conversations').get(id)
    const seq = Number(message.seq)
    // At or below lastSeq the row has counted it already: the frame came again.
    if (held === undefined || seq <= Number(held.lastSeq)) return
    const isUnread = countsAsUnread(message) && message.from !== this.userId && seq > Number(held.readSeq)
    const unread = Number(held.unread) + (isUnread ? 1 : 0)
    this.collection('conversations').set(id, { ...held, lastMessage: message, lastSeq: seq, unread })
  }

  #patch(frame: ServerFrame): void {
    const name = String(frame.collection)
    const id = String(frame.id)
    const set = frame.set as Row
    const held = this.collection(name).get(id)
    if (name === 'messages') {
      if (set.recalled !== undefined) this.#recall(id, set, held)
      this.#patchLast(id, set)
    }
    if (held === undefined) return
    this.#store(name, id, { ...held, ...set })
    if (name !== 'conversations') return
    if (set.announcementPopup !== undefined || set.announcementSeen !== undefined) this.#alert(id)
    if (set.readSeq !== undefined) this.#recount(id)
  }

  #recall(id: string, set: Row, held: Row | undefined): void {
    if (held?.recalled !== undefined) return
    const { conversationId, seq } = splitMessageId(id)
    const conversation = this.collection('conversations').get(conversationId)
    if (conversation === undefined || set.counts !== true || set.from === this.userId) return
    if (seq <= Number(conversation.readSeq) || seq > Number(conversation.lastSeq)) return
    // The frame may come again, and the row may have counted it already: only a message that is held can tell.
    if (held === undefined) this.#options.onUnknownUnread?.(conversationId)
    else
      this.collection('conversations').set(conversationId, { ...conversation, unread: Number(conversation.unread) - 1 })
  }

  /** The list shows the message too, where it is the last one; whether it is, every device knows for itself. */
  #patchLast(id: string, set: Row): void {
    const { conversationId, seq } = splitMessageId(id)
    const conversation = this.collection('conversations').get(conversationId)
    const last = conversation?.lastMessage as Row | null | undefined
    if (last?.seq !== seq) return
    this.collection('conversations').set(conversationId, { ...conversation, lastMessage: { ...last, ...set } })
  }

  /** A pop-up alerts whoever has not seen it. */
  #alert(conversationId: string): void {
    const row = this.collection('conversations').get(conversationId) as Row
    const announcementAlert = Number(row.announcementPopup) > Number(row.announcementSeen)
    this.collection('conversations').set(conversationId, { ...row, announcementAlert })
  }

  /** Counts anew what lies after the read mark, or asks when not all of it is held. */
  #recount(conversationId: string): void {
    const row = this.collection('conversations').get(conversationId) as Row
    const messages = this.collection('messages')
    let unread = 0
    for (let seq = Number(row.readSeq) + 1; seq <= Number(row.lastSeq); seq++) {
      const message = messages.get(`${conversationId}#${seq}`)
      if (message === undefined) {
        this.#options.onUnknownUnread?.(conversationId)
        return
      }
      if (countsAsUnread(message) && message.from !== this.userId && message.recalled === undefined) unread++
    }
    this.collection('conversations').set(conversationId, { ...row, unread })
  }
}

/** What differs between two replicas, on what both must hold; empty when they have converged. Messages: the seqs both hold. */
export const differences = (one: Replica, other: Replica): string[] => {
  const names = new Set([...one.collections.keys(), ...other.collections.keys()])
  return [...names].flatMap(name => {
    // Members come on request only: a fresh device has not asked.
    if (name === 'members') return []
    const ours = one.collection(name)
    const theirs = other.collection(name)
    return [...new Set([...ours.keys(), ...theirs.keys()])].flatMap(id => {
      const [a, b] = [ours.get(id), theirs.get(id)]
      if (name === 'messages' && (a === undefined || b === undefined)) return []
      const difference = rowDifference(a, b)
      return difference === undefined ? [] : [`${name} ${id}: ${difference}`]
    })
  })
}

/** The fields in which two rows differ, or the one that is there alone; undefined when they are the same. */
export const rowDifference = (one: Row | undefined, other: Row | undefined): string | undefined => {
  if (canonical(one) === canonical(other)) return undefined
  if (one === undefined || other === undefined) return `${canonical(one)} / ${canonical(other)}`
  const names = Object.keys({ ...one, ...other })
  const differing = names.filter(name => canonical(one[name]) !== canonical(other[name]))
  return differing.map(name => `${name} ${canonical(one[name])} / ${canonical(other[name])}`).join(', ')
}

/** JSON text with sorted keys, so that only values are compared. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, field: unknown) =>
    field !== null && typeof field === 'object' && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  ) ?? 'nothing'
