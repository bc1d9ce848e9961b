// Owns the random commands about announcements, and what random people do for each (see random-commands.ts and random-people.ts).

import fc from 'fast-check'
import type { Arguments } from './operation-request.ts'

const group = fc.constantFrom(0, 0, 1)
const mostly = fc.constantFrom(true, true, true, false)
/** Counted from the newest one back. */
const back = fc.nat(3)

export const announcementKinds = {
  announce: [4, fc.record({ group, popup: mostly, asOwner: mostly })],
  unannounce: [3, fc.record({ group, back, asOwner: mostly })],
  seeAnnouncement: [5, fc.record({ group, back })],
} as const satisfies Record<string, readonly [number, fc.Arbitrary<object>]>

interface By {
  readonly who: number
  readonly device: number
}

interface Hands {
  readonly ask: (by: By, op: string, args: Arguments) => Promise<Arguments>
  readonly group: (number: number) => { readonly groupId: string; readonly owner: number } | undefined
}

type Of = By & { readonly group: number }

export const announcementDeeds = ({ ask, group: groupOf }: Hands) => {
  const published: { readonly groupId: string; readonly announcementId: string }[] = []
  const of = async (command: Of & { readonly asOwner?: boolean }, op: string, more: (groupId: string) => Arguments) => {
    const found = groupOf(command.group)
    if (found === undefined) return undefined
    const by = { who: command.asOwner === true ? found.owner : command.who, device: command.device }
    return ask(by, op, { groupId: found.groupId, ...more(found.groupId) })
  }
  const idAt = (back: number) => (groupId: string) => {
    const known = published.filter(one => one.groupId === groupId).toReversed()
    return { announcementId: known[back]?.announcementId ?? 'a'.repeat(26) }
  }
  return {
    announce: async (command: Of & { readonly popup: boolean; readonly asOwner: boolean }) => {
      const text = `number ${published.length}`
      const made = await of(command, 'publishAnnouncement', () => ({ text, popup: command.popup }))
      const groupId = groupOf(command.group)?.groupId
      if (made !== undefined && groupId !== undefined)
        published.push({ groupId, announcementId: String(made.announcementId) })
    },
    unannounce: (command: Of & { readonly back: number; readonly asOwner: boolean }) =>
      of(command, 'deleteAnnouncement', idAt(command.back)),
    seeAnnouncement: (command: Of & { readonly back: number }) => of(command, 'seeAnnouncement', idAt(command.back)),
  }
}
