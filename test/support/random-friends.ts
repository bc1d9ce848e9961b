// Owns what random people do about friends: ask, answer, part, write something down, read.

import type { Arguments } from './operation-request.ts'
import type { Deeds } from './random-commands.ts'

type Who = { readonly who: number; readonly device: number }
type Ask = (by: Who, op: string, args: Arguments) => Promise<unknown>
type FriendKind = 'befriend' | 'answerFriend' | 'unfriend' | 'noteFriend' | 'readFriendRequests'

export const friendDeeds = (ask: Ask, userId: (number: number) => string): Deeds<FriendKind> => ({
  befriend: ({ whom, text, ...by }) => {
    const said = text ? { message: 'it is me' } : undefined
    return ask(by, 'requestFriend', { userId: userId(whom), ...said })
  },
  answerFriend: ({ whom, how, ...by }) => ask(by, `${how}FriendRequest`, { userId: userId(whom) }),
  unfriend: ({ whom, ...by }) => ask(by, 'deleteFriend', { userId: userId(whom) }),
  noteFriend: ({ whom, starred, ...by }) =>
    ask(by, 'updateFriend', { userId: userId(whom), starred, remark: starred ? 'a dear one' : null }),
  readFriendRequests: by => ask(by, 'readFriendRequests', {}),
})
