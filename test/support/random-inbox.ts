// Owns what random people do with their conversations and with what was said: read, recall, pin, silence, clear, delete.

import type { Arguments } from './operation-request.ts'
import type { Deeds } from './random-commands.ts'

interface By {
  readonly who: number
  readonly device: number
}

interface Hands {
  readonly ask: (by: By, op: string, args: Arguments) => Promise<unknown>
  /** Undefined while there is none of that number. */
  readonly conversation: (
    who: number,
    to: number,
  ) => { readonly conversationId: string; readonly owner: number } | undefined
  /** As the device knows it. */
  readonly lastSeq: (by: By, conversationId: string) => number
}

type InboxKind = 'markRead' | 'recall' | 'pin' | 'remind' | 'clear' | 'delete' | 'readAll'

export const inboxDeeds = ({ ask, conversation, lastSeq }: Hands): Deeds<InboxKind> => {
  const idOf = ({ who }: By, to: number) => conversation(who, to)?.conversationId
  const seqBack = (by: By, conversationId: string, back: number) => Math.max(1, lastSeq(by, conversationId) - back)
  return {
    markRead: async ({ to, back, ...by }) => {
      const conversationId = idOf(by, to)
      if (conversationId === undefined) return
      await ask(by, 'markRead', { conversationId, seq: seqBack(by, conversationId, back) })
    },
    recall: async ({ to, back, asOwner, ...by }) => {
      const found = conversation(by.who, to)
      if (found === undefined) return
      const { conversationId, owner } = found
      const whose = asOwner ? { ...by, who: owner } : by
      const seq = seqBack(whose, conversationId, back)
      await ask(whose, 'recallMessage', { conversationId, seq, reason: 'because' })
    },
    pin: async ({ to, pinned, ...by }) => {
      const conversationId = idOf(by, to)
      if (conversationId !== undefined) await ask(by, 'updateConversation', { conversationId, pinned })
    },
    remind: async ({ to, doNotDisturb, reminder, ...by }) => {
      const conversationId = idOf(by, to)
      if (conversationId === undefined) return
      const set = conversationId.startsWith('group:') ? { doNotDisturb, reminder } : { doNotDisturb }
      await ask(by, 'updateConversation', { conversationId, ...set })
    },
    clear: async ({ to, ...by }) => {
      const conversationId = idOf(by, to)
      if (conversationId !== undefined)
        await ask(by, 'clearConversations', { conversationIds: [conversationId], what: 'all' })
    },
    delete: async ({ to, messages, ...by }) => {
      const conversationId = idOf(by, to)
      if (conversationId !== undefined) await ask(by, 'deleteConversation', { conversationId, messages })
    },
    readAll: by => ask(by, 'readAllConversations', {}),
  }
}
