// Owns the rules of how the sources may treat secrets: compared in constant time, made of real randomness. A place that does
// otherwise stands here with its reason.

import { describe, expect, test } from 'vitest'
import { readSources } from './support/sources.ts'

const product = readSources().filter(({ room }) => room !== 'test' && room !== 'bench')

/** Lines of the code, without comments and the contents of strings, that match. */
const linesLike = (pattern: RegExp): readonly string[] =>
  product.flatMap(({ path, code }) =>
    code.split('\n').flatMap(line => (pattern.test(line) ? [`${path}: ${line.trim()}`] : [])),
  )

const secret = '[\\w.?]*(?:[sS]ecret|[sS]eal|[hH]ash(?:Of)?|Mac|[tT]oken|[pP]assword)\\b(?:\\([^)]*\\))?'
const compared = new RegExp(`${secret} [!=]==? (?!null|undefined|'')|[!=]==? ${secret}(?!\\.length| [!=]==)`)

describe('a secret', () => {
  /** By the line. */
  const harmless: Readonly<Record<string, string>> = {
    'api/code-use.ts: const usedThisOne = latest?.used === true && latest.codeHash === codeHash && latest.purpose === purpose':
      'a keyed hash: how much of it is alike says nothing of the code',
    'domain/code/code.ts: const right = command.codeHash === code.codeHash && command.purpose === code.purpose':
      'a keyed hash, as above',
    'eventstore/embedded-folder.ts: if (owner?.token === token) rmSync(file, { force: true })':
      'tells one opening of the folder from another; it stands in the folder',
    'eventstore/send.ts: sent.conversationId === conversationId && sent.contentHash === contentHash':
      'of a text that the caller sends again',
  }

  test('is compared in constant time, unless comparing it tells nothing', () => {
    expect(linesLike(compared).toSorted()).toEqual(Object.keys(harmless).toSorted())
  })

  test('that is compared is seen', () => {
    const lines = ['a.secret === shown', 'if (hashOf(x) !== known)', 'shown === seal', 'token == given']
    expect(lines.filter(line => compared.test(line))).toEqual(lines)
    const others = ['token === undefined', 'hash !== null', 'status === 401', "secret === ''"]
    expect(others.filter(line => compared.test(line))).toEqual([])
  })

  test('is made by chance that nobody foresees; the other kind only spreads load', () => {
    expect(linesLike(/\bMath\.random\b/).map(line => line.split(':')[0])).toEqual([
      'eventstore/eventstoredb-subscribe.ts',
      'eventstore/handle.ts',
      'followers/runner.ts',
      'projections/signals.ts',
      'realtime/outbox.ts',
    ])
  })
})
