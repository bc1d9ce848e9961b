// One-time codes: one a minute, five minutes, five wrong tries, one use, and never a word about why not (R1).

import { describe, it } from 'vitest'
import { type CodeCommand, type CodeEvent, code } from '../../domain/code/code.ts'
import type { Instant } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { limits } from '../../domain/limits.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(code)
const start = '2026-11-23T08:00:00.000Z' as Instant
const instantAt = (seconds: number): Instant => instantPlusSeconds(start, seconds)

const sent: CodeEvent = {
  type: 'CodeSent',
  data: { purpose: 'login', codeHash: 'right', expiresAt: '2026-11-23T08:05:00.000Z' as Instant, at: start },
}
const send = (at: Instant): CodeCommand => ({ type: 'SendCode', purpose: 'login', codeHash: 'right', at })
const use = (codeHash: string, at: Instant, purpose: 'login' | 'reset' = 'login'): CodeCommand => ({
  type: 'UseCode',
  purpose,
  codeHash,
  at,
})
const tried = (at: Instant): CodeEvent => ({ type: 'CodeTried', data: { at } })
const used = (at: Instant): CodeEvent => ({ type: 'CodeUsed', data: { purpose: 'login', at } })
const wrongTries = (count: number): CodeEvent[] => Array.from({ length: count }, () => tried(instantAt(1)))

describe('sending a code (R1)', () => {
  it('lets it live for five minutes', () => {
    given().when(send(start)).then([sent])
  })

  it('is refused within a minute of the last one, saying how long to wait', () => {
    given(sent).when(send(start)).rejects('code.too-soon', { retryAfterSeconds: 60 })
    given(sent)
      .when(send(instantAt(59.001)))
      .rejects('code.too-soon', { retryAfterSeconds: 1 })
    given(sent, used(instantAt(1)))
      .when(send(instantAt(20)))
      .rejects('code.too-soon', { retryAfterSeconds: 40 })
  })

  it('never asks for more than a minute, also when clocks differ', () => {
    given(sent)
      .when(send(instantAt(-30)))
      .rejects('code.too-soon', { retryAfterSeconds: 60 })
  })

  it('works again after a minute, with new tries, and voids the code before', () => {
    const second: CodeEvent = {
      type: 'CodeSent',
      data: { purpose: 'login', codeHash: 'new', expiresAt: instantAt(360), at: instantAt(60) },
    }
    given(sent, ...wrongTries(limits.codeWrongTriesMax))
      .when({ type: 'SendCode', purpose: 'login', codeHash: 'new', at: instantAt(60) })
      .then([second])
    given(sent, ...wrongTries(limits.codeWrongTriesMax), second)
      .when(use('new', instantAt(61)))
      .then([used(instantAt(61))])
    given(sent, second)
      .when(use('right', instantAt(61)))
      .then([tried(instantAt(61))])
  })
})

describe('using a code (R1)', () => {
  it('works once', () => {
    given(sent)
      .when(use('right', instantAt(10)))
      .then([used(instantAt(10))])
    given(sent, used(instantAt(10)))
      .when(use('right', instantAt(11)))
      .rejects('code.wrong')
  })

  it('counts a wrong code, or the right one for another purpose, as a try', () => {
    given(sent)
      .when(use('wrong', instantAt(10)))
      .then([tried(instantAt(10))])
    given(sent)
      .when(use('right', instantAt(10), 'reset'))
      .then([tried(instantAt(10))])
  })

  it('still works after four wrong tries, and no more after five', () => {
    given(sent, ...wrongTries(4))
      .when(use('right', instantAt(10)))
      .then([used(instantAt(10))])
    given(sent, ...wrongTries(4))
      .when(use('wrong', instantAt(10)))
      .then([tried(instantAt(10))])
    given(sent, ...wrongTries(5))
      .when(use('right', instantAt(10)))
      .rejects('code.wrong')
    given(sent, ...wrongTries(5))
      .when(use('wrong', instantAt(10)))
      .rejects('code.wrong')
  })

  it('works until just before five minutes are over', () => {
    given(sent)
      .when(use('right', instantAt(299.999)))
      .then([used(instantAt(299.999))])
    given(sent)
      .when(use('right', instantAt(300)))
      .rejects('code.wrong')
  })

  it('is refused when none was sent', () => {
    given().when(use('right', start)).rejects('code.wrong')
    given(tried(start), used(start)).when(use('right', start)).rejects('code.wrong')
  })
})
