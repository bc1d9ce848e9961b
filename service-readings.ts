// Owns which numbers of the running parts are published as metrics. Reads counters that exist anyway; counts nothing itself.

import type { Node } from './eventstore/node.ts'
import type { RunningFollower } from './followers/runner.ts'
import type { Reading } from './metrics.ts'
import type { Runner } from './projections/runner.ts'
import type { SignalLine } from './projections/signals.ts'
import type { Realtime } from './realtime/server.ts'
import type { SyncTurns } from './realtime/sync-turns.ts'

export interface Parts {
  readonly node: Node
  readonly runner: Runner
  readonly realtime: Realtime | undefined
  readonly signalLine: SignalLine | undefined
  readonly syncTurns: SyncTurns
  readonly followers: readonly RunningFollower[]
}

const byName = <Value>(followers: readonly RunningFollower[], read: (follower: RunningFollower) => Value) =>
  Object.fromEntries(followers.map(follower => [follower.name, read(follower)]))

/** Every published number, with where it comes from. */
export const readings = ({ node, runner, realtime, signalLine, syncTurns, followers }: Parts): readonly Reading[] => [
  { kind: 'counter', name: 'commands', help: 'Commands taken', read: () => node.counters.commands },
  { kind: 'counter', name: 'rejections', help: 'Commands refused by a rule', read: () => node.counters.rejections },
  { kind: 'counter', name: 'appends', help: 'Appends tried', read: () => node.counters.appends },
  {
    kind: 'counter',
    name: 'append_conflicts',
    help: 'Appends that somebody else was faster than',
    read: () => node.counters.conflicts,
  },
  {
    kind: 'counter',
    name: 'append_unknown_outcomes',
    help: 'Appends asked for again',
    read: () => node.counters.unknownOutcomes,
  },
  { kind: 'gauge', name: 'commands_waiting', help: 'Commands waiting in queues', read: () => node.counters.waiting },
  { kind: 'gauge', name: 'states_held', help: 'Folded states in memory', read: () => node.states.size },
  { kind: 'gauge', name: 'send_keys_held', help: 'Keys of recent sends in memory', read: () => node.recentSends.size },
  { kind: 'counter', name: 'events_seen', help: 'Events of the log seen', read: () => node.eventsSeen },
  {
    kind: 'gauge',
    name: 'node_behind',
    help: '1 while this node is behind the log and decides nothing',
    read: () => Number(node.behind),
  },
  {
    kind: 'gauge',
    name: 'projection_lag_events',
    help: 'Events the read models lag behind the log, as far as they are fetched: at most some 13,000',
    read: () => runner.lag().events,
  },
  {
    kind: 'gauge',
    name: 'projection_lag_seconds',
    help: 'Age of the oldest event not yet in the read models',
    read: () => runner.lag().seconds,
  },
  {
    kind: 'counter',
    name: 'projection_events',
    help: 'Events folded into the read models',
    read: () => runner.counters.events,
  },
  {
    kind: 'counter',
    name: 'projection_failures',
    help: 'Times the read models had to try again',
    read: () => runner.counters.failures,
  },
  {
    kind: 'counter',
    name: 'follower_events',
    help: 'Events a follower is done with',
    read: () => byName(followers, follower => follower.counters.handled),
  },
  {
    kind: 'gauge',
    name: 'follower_lag_events',
    help: 'Events a follower lags behind the log',
    read: () => byName(followers, follower => follower.lagEvents),
  },
  {
    kind: 'gauge',
    name: 'follower_lag_seconds',
    help: 'Age of the oldest event a follower has in hand and is not done with',
    read: () =>
      byName(followers, ({ counters: { undoneAtMs } }) =>
        undoneAtMs === 0 ? 0 : Math.max(0, (node.clock.unixMs() - undoneAtMs) / 1_000),
      ),
  },
  {
    kind: 'counter',
    name: 'follower_failures',
    help: 'Times a follower had to try again',
    read: () => byName(followers, follower => follower.counters.failures),
  },
  { kind: 'gauge', name: 'sockets', help: 'Open sockets', read: () => realtime?.counters.sockets },
  {
    kind: 'gauge',
    name: 'users_followed',
    help: 'Users with a socket here now or a moment ago',
    read: () => realtime?.hub.users,
  },
  { kind: 'counter', name: 'frames_in', help: 'Frames received', read: () => realtime?.counters.framesIn },
  { kind: 'counter', name: 'frames_out', help: 'Frames sent or published', read: () => realtime?.counters.framesOut },
  { kind: 'counter', name: 'frames_dropped', help: 'Slow devices cut', read: () => realtime?.counters.dropped },
  { kind: 'counter', name: 'syncs', help: 'Syncs from the read models', read: () => realtime?.counters.syncs },
  { kind: 'counter', name: 'resumes', help: 'Resumes from memory', read: () => realtime?.counters.resumes },
  {
    kind: 'gauge',
    name: 'ring_bytes',
    help: 'Bytes of recent frames held for resuming devices',
    read: () => realtime?.hub.ring.bytes,
  },
  {
    kind: 'gauge',
    name: 'syncs_waiting',
    help: 'Devices waiting for their turn to sync',
    read: () => syncTurns.waiting,
  },
  {
    kind: 'gauge',
    name: 'syncs_held_bytes',
    help: 'Snapshots held for devices taking them',
    read: () => syncTurns.heldBytes,
  },
  {
    kind: 'counter',
    name: 'syncs_refused',
    help: 'Syncs sent away since the start: too many',
    read: () => syncTurns.refused,
  },
  { kind: 'counter', name: 'signals_sent', help: 'Signals told to other nodes', read: () => signalLine?.counters.sent },
  {
    kind: 'counter',
    name: 'signals_heard',
    help: 'Signals heard of other nodes',
    read: () => signalLine?.counters.heard,
  },
  {
    kind: 'counter',
    name: 'signals_dropped',
    help: 'Signals no other node was told of',
    read: () => signalLine?.counters.dropped,
  },
  {
    kind: 'gauge',
    name: 'signals_connected',
    help: '1 while this node hears the signals of the others',
    read: () => signalLine && Number(signalLine.connected),
  },
]
