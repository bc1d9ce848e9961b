// A claim that its account never came to list is not for ever, and freeing an old one never frees a newer one (R1).

import { describe, expect, it } from 'vitest'
import {
  type ClaimFacts,
  type IdentityCommand,
  type IdentityEvent,
  identity,
  isHeldBy,
} from '../../domain/identity/identity.ts'
import type { Instant, UserId } from '../../domain/ids.ts'
import { instantPlusSeconds } from '../../domain/instants.ts'
import { limits } from '../../domain/limits.ts'
import { specify } from '../support/specify.ts'

const { given } = specify(identity)
const at = '2026-11-23T08:00:00.000Z' as Instant
const ann = 'ann' as UserId
const bob = 'bob' as UserId
const past = (seconds: number) => instantPlusSeconds(at, seconds)
const longAfter = past(limits.identityClaimSeconds)

const claim = (userId: UserId, moment: Instant = at): IdentityCommand => ({
  type: 'ClaimIdentity',
  kind: 'email',
  userId,
  at: moment,
})
const claimed = (userId: UserId, moment: Instant = at): IdentityEvent => ({
  type: 'IdentityClaimed',
  data: { kind: 'email', userId, at: moment },
})
const released = (userId: UserId, moment: Instant): IdentityEvent => ({
  type: 'IdentityReleased',
  data: { kind: 'email', userId, at: moment },
})
const release = (userId: UserId, replacedAt: Instant): IdentityCommand => ({
  type: 'ReleaseIdentity',
  kind: 'email',
  userId,
  replacedAt,
  at: longAfter,
})
const annLists: ClaimFacts = { holder: ann, isListed: true, changedAt: past(5) }
const annDoesNot: ClaimFacts = { holder: ann, isListed: false, changedAt: at }

describe('a claim that its account does not list (R1)', () => {
  it('can be taken over once it is old', () => {
    const state = given(claimed(ann))
      .when(claim(bob, longAfter), annDoesNot)
      .then([released(ann, longAfter), claimed(bob, longAfter)])
    expect(state).toEqual({ claimedBy: bob, claimedAt: longAfter })
  })

  it('is left to its maker while it is young', () => {
    given(claimed(ann))
      .when(claim(bob, past(limits.identityClaimSeconds - 1)), annDoesNot)
      .rejects('identity.taken')
  })

  it('is free at once when its account changed its list later: it was let go of', () => {
    const letGo: ClaimFacts = { ...annDoesNot, changedAt: past(1) }
    given(claimed(ann))
      .when(claim(bob, past(2)), letGo)
      .then([released(ann, past(2)), claimed(bob, past(2))])
    given(claimed(ann), claimed(ann, past(2)))
      .when(claim(bob, past(3)), letGo)
      .rejects('identity.taken')
    given(claimed(ann))
      .when(claim(bob, past(2)), { ...letGo, changedAt: null })
      .rejects('identity.taken')
  })

  it('is never taken from one who lists it, however old, nor on a fact about somebody else', () => {
    given(claimed(ann)).when(claim(bob, longAfter), annLists).rejects('identity.taken')
    given(claimed(ann)).when(claim(bob, longAfter)).rejects('identity.taken')
    given(claimed(ann))
      .when(claim(bob, longAfter), { holder: 'cid' as UserId, isListed: false, changedAt: past(5) })
      .rejects('identity.taken')
  })

  it('is made anew when its maker comes again, so that nobody takes it over in that moment', () => {
    const state = given(claimed(ann))
      .when(claim(ann, longAfter), annDoesNot)
      .then([claimed(ann, longAfter)])
    expect(state).toEqual({ claimedBy: ann, claimedAt: longAfter })
    given(claimed(ann)).when(claim(ann, longAfter), annLists).then([])
  })
})

describe('freeing what an account let go of (R1)', () => {
  it('frees the claim that was there then', () => {
    given(claimed(ann))
      .when(release(ann, past(1)))
      .then([released(ann, longAfter)])
    given(claimed(ann))
      .when(release(ann, at))
      .then([released(ann, longAfter)])
  })

  it('leaves alone a claim that the same account made later: it took the identity back', () => {
    given(claimed(ann), claimed(ann, past(2)))
      .when(release(ann, past(1)))
      .then([])
  })

  it('does nothing a second time, or when it is another’s meanwhile', () => {
    given(claimed(ann), released(ann, past(1)))
      .when(release(ann, past(1)))
      .then([])
    given(claimed(ann), released(ann, past(1)), claimed(bob, past(1)))
      .when(release(ann, past(1)))
      .then([])
  })
})

describe('what a user has already, and needs no other code for (R1)', () => {
  const state = { claimedBy: ann, claimedAt: at }
  it('is what the account lists and has claimed, however long ago', () => {
    expect(isHeldBy(state, ann, annLists, longAfter)).toBe(true)
    expect(isHeldBy({ claimedBy: bob, claimedAt: at }, ann, annLists, at)).toBe(false)
    expect(isHeldBy({ claimedBy: null, claimedAt: null }, ann, annLists, at)).toBe(false)
  })

  it('is what was claimed a moment ago, and is about to be listed', () => {
    const open = { isListed: false, changedAt: '2026-11-23T07:59:59.999Z' as Instant }
    const lastMoment = past(limits.identityClaimSeconds - 1)
    expect(isHeldBy(state, ann, open, lastMoment)).toBe(true)
    expect(isHeldBy(state, ann, { ...open, changedAt: null }, lastMoment)).toBe(true)
    expect(isHeldBy(state, ann, open, longAfter)).toBe(false)
    expect(isHeldBy(state, bob, open, at)).toBe(false)
  })

  it('is not what the account has let go of since', () => {
    expect(isHeldBy(state, ann, { isListed: false, changedAt: at }, at)).toBe(false)
    expect(isHeldBy(state, ann, { isListed: false, changedAt: past(1) }, past(2))).toBe(false)
  })
})
