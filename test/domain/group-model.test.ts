// Any sequence of commands against a second, naive telling of the same rules: sets of names and nothing else.
// Holds what must always be true: one owner while open, never over capacity, roles consistent, counts right, snapshots faithful.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { GroupAttributes } from '../../domain/group/attributes.ts'
import type { MutedUntil } from '../../domain/group/events.ts'
import { type Group, type GroupCommand, type GroupEvent, group } from '../../domain/group/group.ts'
import { mutedUntil } from '../../domain/group/mutes.ts'
import { type GroupId, type Instant, systemUserId, type UserId } from '../../domain/ids.ts'
import { limits } from '../../domain/limits.ts'
import { fold } from '../support/specify.ts'

const groupId = 'g1' as GroupId
const people = Array.from({ length: 15 }, (_, index) => `p${index}` as UserId)
const creator = people[0] as UserId

const person = fc.constantFrom(...people)
/** What this telling of the rules knows. */
type Told = Extract<
  GroupCommand,
  {
    type:
      | 'AddMembers'
      | 'RemoveMembers'
      | 'LeaveGroup'
      | 'TransferGroup'
      | 'AddAdmin'
      | 'RemoveAdmin'
      | 'UpdateGroup'
      | 'MuteMember'
      | 'UnmuteMember'
      | 'SetMuteAll'
      | 'DissolveGroup'
      | 'AcceptInvitation'
      | 'RejectInvitation'
      | 'RecallInvitation'
      | 'JoinGroup'
      | 'WithdrawApplication'
      | 'ApproveApplication'
      | 'RejectApplication'
  }
>
const instant = (index: number): Instant => new Date(1_795_000_000_000 + index).toISOString() as Instant
/** Commands by the owner, the app or anybody; the first two more often, or hardly anything would ever be allowed. */
type Planned = { readonly as: 'owner' | 'app' | 'anybody'; readonly command: Told }

const actor = { by: person }
const requestId = fc.constant('r')
const asked = { requestId, blockedBy: fc.constant([]), isFriendOfOwner: fc.constant(false) }
const ownsMost = fc.constantFrom(true, false, false, false)
const somebody = fc.array(person, { maxLength: 4 })
const changes: fc.Arbitrary<Partial<GroupAttributes>> = fc.oneof(
  fc.record({ memberLimit: fc.integer({ min: 1, max: 16 }) }),
  fc.record({ inviteMode: fc.constantFrom('managers', 'everyone') }),
  fc.record({ editMode: fc.constantFrom('managers', 'everyone') }),
  fc.record({ inviteeConsent: fc.constantFrom('required', 'none') }),
  fc.record({ joinMode: fc.constantFrom('free', 'approval', 'approval', 'nobody') }),
  fc.record({ name: fc.constantFrom('One', 'Other') }),
)
const muteAll = fc.constantFrom('none', 'members', 'everyone')
/** Soon over, as time goes on here, or never. */
const until: fc.Arbitrary<MutedUntil> = fc.oneof(
  fc.constant('forever' as const),
  fc.nat(60).map(index => instant(index)),
)
const command: fc.Arbitrary<Told> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.record({ type: fc.constant('AddMembers' as const), userIds: somebody, requestId, ...actor }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('RemoveMembers' as const), userIds: somebody, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('LeaveGroup' as const), ...actor }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('TransferGroup' as const),
        to: person,
        leave: fc.boolean(),
        ownsMost,
        ...actor,
      }),
    },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('AddAdmin' as const), userId: person, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('RemoveAdmin' as const), userId: person, ...actor }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('AcceptInvitation' as const), ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('RejectInvitation' as const), ...actor }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('RecallInvitation' as const), userId: person, ...actor }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('JoinGroup' as const), ...asked, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('WithdrawApplication' as const), ...actor }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('ApproveApplication' as const), userId: person, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('RejectApplication' as const), userId: person, ...actor }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('UpdateGroup' as const), changes, ...actor }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('MuteMember' as const), userId: person, until, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('UnmuteMember' as const), userId: person, ...actor }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('SetMuteAll' as const), mode: muteAll, ...actor }) },
  )
  .map(planned => ({ ...planned, at: '' as Instant }))
const dissolution: fc.Arbitrary<Told> = person.map(by => ({ type: 'DissolveGroup', by, at: '' as Instant }))
const plan: fc.Arbitrary<Planned> = fc.record({
  as: fc.constantFrom('owner' as const, 'owner' as const, 'app' as const, 'anybody' as const, 'anybody' as const),
  command: fc.oneof({ weight: 40, arbitrary: command }, { weight: 1, arbitrary: dissolution }),
})
const setting = fc.record({
  memberLimit: fc.integer({ min: 2, max: 16 }),
  inviteMode: fc.constantFrom('managers' as const, 'everyone' as const),
  inviteeConsent: fc.constantFrom('required' as const, 'none' as const),
  joinMode: fc.constantFrom('free' as const, 'approval' as const, 'approval' as const, 'nobody' as const),
  memberIds: fc.array(person, { maxLength: 14 }),
})

interface Model {
  owner: UserId
  admins: Set<UserId>
  members: Set<UserId>
  /** With who asked them. */
  invited: Map<UserId, UserId>
  applicants: Set<UserId>
  dissolved: boolean
  memberLimit: number
  inviteMode: string
  inviteeConsent: string
  joinMode: string
  editMode: string
  name: string
  muteAll: string
  /** Of members and former members; null or absent: none. */
  mutes: Map<UserId, MutedUntil>
}

/** What one does only for oneself: nobody can do it as the app. */
const ownTypes: ReadonlySet<Told['type']> = new Set([
  'AcceptInvitation',
  'RejectInvitation',
  'JoinGroup',
  'WithdrawApplication',
])

/** Whether the command is allowed, and what the sets are afterwards. */
const allowed = (model: Model, planned: Told): boolean => {
  const { by } = planned
  const { inviteeConsent, joinMode } = model
  const limit = model.memberLimit
  const hasRoom = model.members.size < limit
  if (model.dissolved) return false
  switch (planned.type) {
    case 'AcceptInvitation':
      return model.members.has(by) || (model.invited.has(by) && hasRoom)
    case 'RejectInvitation':
      return model.invited.has(by)
    case 'JoinGroup':
      return !model.members.has(by) && joinMode !== 'nobody' && hasRoom
    case 'WithdrawApplication':
      return model.applicants.has(by)
  }
  if (by === systemUserId) return allowedAsApp(model, planned)
  if (!model.members.has(by)) return false
  const isOwner = by === model.owner
  const manages = isOwner || model.admins.has(by)
  switch (planned.type) {
    case 'AddMembers': {
      if (!manages && model.inviteMode === 'managers') return false
      const isIn = planned.userIds.every(userId => model.members.has(userId))
      return inviteeConsent === 'none' ? fits(model, planned.userIds, limit) : isIn || hasRoom
    }
    case 'RecallInvitation':
      return model.invited.has(planned.userId) && (manages || model.invited.get(planned.userId) === by)
    case 'ApproveApplication':
      return manages && model.applicants.has(planned.userId) && joinMode !== 'nobody' && hasRoom
    case 'RejectApplication':
      return manages && model.applicants.has(planned.userId)
    case 'UpdateGroup':
      return Object.entries(planned.changes).every(
        ([attribute, value]) =>
          model[attribute as 'name'] === value || updatable(model, attribute, value, isOwner, manages),
      )
    case 'MuteMember':
      return manages && planned.userId !== by && removable(model, planned.userId, isOwner)
    case 'UnmuteMember':
      return (
        manages &&
        planned.userId !== by &&
        (removable(model, planned.userId, isOwner) ||
          (!model.members.has(planned.userId) && model.mutes.has(planned.userId)))
      )
    case 'SetMuteAll':
      return manages && planned.mode !== 'everyone' && model.muteAll !== 'everyone'
    case 'RemoveMembers':
      return manages && planned.userIds.every(userId => userId !== by && removable(model, userId, isOwner))
    case 'LeaveGroup':
      return !isOwner
    case 'TransferGroup':
      return isOwner && planned.to !== by && model.members.has(planned.to) && !planned.ownsMost
    case 'AddAdmin': {
      const { userId } = planned
      const room = model.admins.has(userId) || model.admins.size < limits.groupAdminsMax
      return isOwner && model.members.has(userId) && userId !== model.owner && room
    }
    case 'RemoveAdmin':
      return isOwner && planned.userId !== model.owner
    case 'DissolveGroup':
      return isOwner
  }
}

/** The app is past the roles, and past nothing else: there must be room, one owner, and so many admins at most. */
const allowedAsApp = (model: Model, planned: Told): boolean => {
  switch (planned.type) {
    case 'AddMembers':
      return fits(model, planned.userIds, model.memberLimit)
    case 'UnmuteMember':
    case 'MuteMember': {
      const wasHere = planned.type === 'UnmuteMember' && model.mutes.has(planned.userId)
      return model.members.has(planned.userId) ? planned.userId !== model.owner : wasHere
    }
    case 'RemoveMembers':
      return planned.userIds.every(userId => model.members.has(userId) && userId !== model.owner)
    case 'TransferGroup':
    case 'AddAdmin':
    case 'RemoveAdmin':
    case 'UpdateGroup':
    case 'DissolveGroup':
      return allowed(model, { ...planned, by: model.owner })
    case 'SetMuteAll':
      return true
    default:
      return false
  }
}

const updatable = (model: Model, attribute: string, value: unknown, isOwner: boolean, manages: boolean): boolean => {
  if (attribute === 'name') return manages || model.editMode === 'everyone'
  const fitsAll = attribute !== 'memberLimit' || (Number(value) >= 2 && Number(value) >= model.members.size)
  return isOwner && fitsAll
}

const fits = (model: Model, userIds: readonly UserId[], limit: number): boolean => {
  const union = new Set([...model.members, ...userIds])
  return union.size <= limit || union.size === model.members.size
}

const removable = (model: Model, userId: UserId, byOwner: boolean): boolean =>
  model.members.has(userId) && userId !== model.owner && (byOwner || !model.admins.has(userId))

const perform = (model: Model, planned: Told) => {
  const { inviteeConsent, joinMode } = model
  const letIn = (userId: UserId) => {
    // A mute that has passed meanwhile does not come back with its bearer.
    if (!model.members.has(userId) && (model.mutes.get(userId) ?? 'forever') <= planned.at) model.mutes.delete(userId)
    model.members.add(userId)
    model.invited.delete(userId)
    model.applicants.delete(userId)
  }
  const drop = (userId: UserId) => {
    model.members.delete(userId)
    model.admins.delete(userId)
  }
  if (planned.type === 'AddMembers') {
    const others = planned.userIds.filter(userId => !model.members.has(userId))
    if (inviteeConsent === 'none' || planned.by === systemUserId) others.forEach(letIn)
    else for (const userId of others) model.invited.set(userId, planned.by)
  }
  if (planned.type === 'AcceptInvitation') letIn(planned.by)
  if (planned.type === 'RejectInvitation') model.invited.delete(planned.by)
  if (planned.type === 'RecallInvitation') model.invited.delete(planned.userId)
  if (planned.type === 'JoinGroup' && joinMode === 'free') letIn(planned.by)
  if (planned.type === 'JoinGroup' && joinMode === 'approval') model.applicants.add(planned.by)
  if (planned.type === 'WithdrawApplication') model.applicants.delete(planned.by)
  if (planned.type === 'ApproveApplication') letIn(planned.userId)
  if (planned.type === 'RejectApplication') model.applicants.delete(planned.userId)
  if (planned.type === 'RemoveMembers') planned.userIds.forEach(drop)
  if (planned.type === 'LeaveGroup') drop(planned.by)
  if (planned.type === 'UpdateGroup') Object.assign(model, planned.changes)
  if (planned.type === 'SetMuteAll') model.muteAll = planned.mode
  if (planned.type === 'UnmuteMember') model.mutes.delete(planned.userId)
  if (planned.type === 'MuteMember') {
    if (planned.until > planned.at) model.mutes.set(planned.userId, planned.until)
    else model.mutes.delete(planned.userId)
  }
  if (planned.type === 'AddAdmin') {
    if (!model.admins.has(planned.userId)) model.mutes.delete(planned.userId)
    model.admins.add(planned.userId)
  }
  if (planned.type === 'RemoveAdmin') model.admins.delete(planned.userId)
  if (planned.type === 'DissolveGroup') {
    model.dissolved = true
    model.invited.clear()
    model.applicants.clear()
  }
  if (planned.type !== 'TransferGroup') return
  const before = model.owner
  model.owner = planned.to
  model.admins.delete(planned.to)
  model.mutes.delete(planned.to)
  if (planned.leave) drop(before)
}

const expectSame = (state: Group, model: Model, now: Instant) => {
  if (state.status === 'none') return expect.fail('the group is gone')
  const having = (role: string) =>
    [...state.members].filter(([, member]) => member.role === role).map(([userId]) => userId)
  expect(having('owner')).toStrictEqual([state.ownerId])
  expect(state.ownerId).toBe(model.owner)
  expect(new Set(having('admin'))).toStrictEqual(model.admins)
  expect(new Set(state.members.keys())).toStrictEqual(model.members)
  expect(new Set(state.invitations.keys())).toStrictEqual(new Set(model.invited.keys()))
  expect(new Set(state.applications.keys())).toStrictEqual(model.applicants)
  expect(state.members.size).toBeLessThanOrEqual(state.memberLimit)
  const { memberLimit, inviteMode, inviteeConsent, joinMode, editMode, name, muteAll } = model
  expect(state).toMatchObject({ memberLimit, inviteMode, inviteeConsent, joinMode, editMode, name, muteAll })
  for (const userId of people) {
    const until = model.mutes.get(userId)
    expect(mutedUntil(state, userId, now)).toBe(until !== undefined && until > now ? until : null)
  }
  expect(having('admin').length).toBeLessThanOrEqual(limits.groupAdminsMax)
  expect(state.status).toBe(model.dissolved ? 'dissolved' : 'open')
}

/** The count that an event carries is the count after it, also in the middle of a decision. */
const foldCounting = (events: readonly GroupEvent[], start: Group): Group => {
  let state = start
  for (const event of events) {
    state = fold(group, [event], state)
    if (state.status === 'none') return expect.fail('no group')
    if ('memberCount' in event.data) expect(event.data.memberCount).toBe(state.members.size)
    expect([...state.members.values()].filter(member => member.role === 'owner')).toHaveLength(1)
  }
  return state
}

it('a group agrees with the naive telling of its rules under any sequence of commands', () => {
  const { load } = group
  if (load.by !== 'snapshot') return expect.fail('no snapshots')
  fc.assert(
    fc.property(setting, fc.array(plan, { maxLength: 60 }), (chosen, plans) => {
      const creation: GroupCommand = {
        type: 'CreateGroup',
        groupId,
        name: 'G',
        requestId: 'r',
        ...chosen,
        by: creator,
        at: instant(0),
      }
      const begun = group.decide(creation, group.initial, { groupsCreated: 0 })
      const members = new Set([creator, ...chosen.memberIds])
      expect('rejected' in begun).toBe(members.size > chosen.memberLimit)
      if ('rejected' in begun) return
      let state = foldCounting(begun, group.initial)
      const others = [...members].filter(userId => userId !== creator)
      const isAsked = chosen.inviteeConsent === 'required'
      const { memberLimit, inviteMode, inviteeConsent, joinMode } = chosen
      const model: Model = {
        owner: creator,
        admins: new Set(),
        members: isAsked ? new Set([creator]) : members,
        invited: new Map(isAsked ? others.map(userId => [userId, creator]) : []),
        applicants: new Set(),
        dissolved: false,
        memberLimit,
        inviteMode,
        inviteeConsent,
        joinMode,
        editMode: 'managers',
        name: 'G',
        muteAll: 'none',
        mutes: new Map(),
      }
      for (const [index, { as, command }] of plans.entries()) {
        const whole = { owner: model.owner, app: systemUserId, anybody: command.by }
        const by = ownTypes.has(command.type) ? command.by : whole[as]
        const planned = { ...command, by, at: instant(index + 1) }
        const decision = group.decide(planned, state, undefined)
        const may = allowed(model, planned)
        expect('rejected' in decision, JSON.stringify({ planned, decision })).toBe(!may)
        if ('rejected' in decision) continue
        perform(model, planned)
        state = foldCounting(decision, state)
        expectSame(state, model, planned.at)
      }
      const restored = load.decode(JSON.parse(JSON.stringify(load.encode(state))))
      expect(restored).toStrictEqual(state)
      // The order of joining is part of the state, and an equal map may hide another one.
      if (restored.status !== 'none' && state.status !== 'none') {
        expect([...restored.members]).toStrictEqual([...state.members])
      }
    }),
    { numRuns: 300 },
  )
})
