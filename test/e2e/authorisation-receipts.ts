// Owns the rows of the authorisation table that are about read receipts: asking for them, giving them, looking at them.

import { type AccessCase, conversation, inside, noConversation, noP2p, p2p, parties } from './authorisation-words.ts'

export const receipts: Readonly<Record<string, readonly AccessCase[]>> = {
  giveReceipts: [
    {
      what: "of the member's message that asks",
      args: stage => ({ ...conversation(stage), seqs: [stage.askingSeq] }),
      missing: ({ askingSeq }) => ({ ...noConversation(), seqs: [askingSeq] }),
      // The member wrote it. The ex-member sees it, and is in the group no more.
      outcomes: inside('message.not-found', 'ok', 'ok', 'nothing', 'nothing'),
    },
    {
      what: 'of a message that asks nobody',
      args: stage => ({ ...conversation(stage), seqs: [stage.earlySeq] }),
      outcomes: inside('message.not-found', 'nothing', 'nothing', 'nothing', 'nothing'),
    },
    {
      what: 'of one message for the caller and one that is not there',
      args: stage => ({ ...conversation(stage), seqs: [stage.askingSeq, 1_000] }),
      missing: stage => ({ ...conversation(stage), seqs: [1_000] }),
      outcomes: inside('message.not-found', 'message.not-found', 'message.not-found', 'message.not-found'),
    },
    {
      what: 'of two others',
      args: stage => ({ ...p2p(stage), seqs: [stage.p2pSeq] }),
      missing: stage => ({ ...noP2p(stage), seqs: [1] }),
      outcomes: parties('message.not-found', 'nothing', 'nothing'),
    },
  ],
  listReceipts: [
    {
      what: "of the member's message",
      args: stage => ({ ...conversation(stage), seq: stage.askingSeq }),
      missing: ({ askingSeq }) => ({ ...noConversation(), seq: askingSeq }),
      outcomes: inside('message.not-found', 'message.not-sender', 'message.not-sender', 'ok', 'message.not-sender'),
    },
    {
      what: 'of a message that asks nobody',
      args: stage => ({ ...conversation(stage), seq: stage.earlySeq }),
      outcomes: inside(
        'message.not-found',
        'message.not-sender',
        'message.not-sender',
        'receipt.not-found',
        'message.not-sender',
      ),
    },
    {
      // No `missing`: to the member, who wrote it, it is there.
      what: 'of two others',
      args: stage => ({ ...p2p(stage), seq: stage.p2pSeq }),
      outcomes: parties('message.not-found', 'message.not-sender', 'receipt.not-found'),
    },
  ],
}
