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
  { name: 'commands', help: 'Commands taken since the start', read: () => node.counters.commands },
  { name: 'rejections', help: 'Commands refused by a rule since the start', read: () => node.counters.rejections },
  { name: 'appends', help: 'Appends tried since the start', read: () => node.counters.appends },
  { name: 'append_conflicts', help: 'Appends that somebody else was faster than', read: () => node.counters.conflicts },
  { name: 'append_unknown_outcomes', help: 'Appends asked for again', read: () => node.counters.unknownOutcomes },
  { name: 'commands_waiting', help: 'Commands waiting in queues', read: () => node.counters.waiting },
  { name: 'states_held', help: 'Folded states in memory', read: () => node.states.size },
  { name: 'send_keys_held', help: 'Keys of recent sends in memory', read: () => node.recentSends.size },
  { name: 'events_seen', help: 'Events of the log seen since the start', read: () => node.eventsSeen },
  {
    name: 'node_behind',
    help: '1 while this node is behind the log and decides nothing',
    read: () => Number(node.behind),
  },
  { name: 'projection_lag_events', help: 'Events the read models lag behind the log', read: () => runner.lag().events },
  {
    name: 'projection_lag_seconds',
    help: 'Age of the oldest event not yet in the read models',
    read: () => runner.lag().seconds,
  },
  {
    name: 'follower_events',
    help: 'Events a follower is done with',
    read: () => byName(followers, follower => follower.counters.handled),
  },
  {
    name: 'follower_lag_events',
    help: 'Events a follower lags behind the log',
    read: () => byName(followers, follower => Math.max(0, node.eventsSeen - follower.counters.handledLive)),
  },
  {
    name: 'follower_lag_seconds',
    help: 'Age of the oldest event a follower has in hand and is not done with',
    read: () =>
      byName(followers, ({ counters: { undoneAtMs } }) =>
        undoneAtMs === 0 ? 0 : Math.max(0, (node.clock.unixMs() - undoneAtMs) / 1_000),
      ),
  },
  {
    name: 'follower_failures',
    help: 'Times a follower had to try again',
    read: () => byName(followers, follower => follower.counters.failures),
  },
  { name: 'sockets', help: 'Open sockets', read: () => realtime?.counters.sockets },
  { name: 'users_followed', help: 'Users with a socket here now or a moment ago', read: () => realtime?.hub.users },
  { name: 'frames_in', help: 'Frames received since the start', read: () => realtime?.counters.framesIn },
  { name: 'frames_out', help: 'Frames sent or published since the start', read: () => realtime?.counters.framesOut },
  { name: 'frames_dropped', help: 'Slow devices cut since the start', read: () => realtime?.counters.dropped },
  { name: 'syncs', help: 'Syncs from the read models since the start', read: () => realtime?.counters.syncs },
  { name: 'resumes', help: 'Resumes from memory since the start', read: () => realtime?.counters.resumes },
  {
    name: 'ring_bytes',
    help: 'Bytes of recent frames held for resuming devices',
    read: () => realtime?.hub.ring.bytes,
  },
  { name: 'syncs_waiting', help: 'Devices waiting for their turn to sync', read: () => syncTurns.waiting },
  { name: 'syncs_held_bytes', help: 'Snapshots held for devices taking them', read: () => syncTurns.heldBytes },
  { name: 'syncs_refused', help: 'Syncs sent away since the start: too many', read: () => syncTurns.refused },
  { name: 'signals_sent', help: 'Signals told to other nodes', read: () => signalLine?.counters.sent },
  { name: 'signals_heard', help: 'Signals heard of other nodes', read: () => signalLine?.counters.heard },
  { name: 'signals_dropped', help: 'Signals no other node was told of', read: () => signalLine?.counters.dropped },
  {
    name: 'signals_connected',
    help: '1 while this node hears the signals of the others',
    read: () => signalLine && Number(signalLine.connected),
  },
]
