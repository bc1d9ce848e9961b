// Owns what /metrics says in Prometheus' own words: what is a counter and what a gauge, and under which names.

import { expect, test } from 'vitest'
import { createRegistry } from '../metrics.ts'
import { readings } from '../service-readings.ts'

test('a counter and a gauge show what the parts count when they are asked, one value or one a label', async () => {
  let commands = 2
  let parts: Record<string, number> | undefined = { mail: 3, notices: 4 }
  const registry = createRegistry([
    { kind: 'counter', name: 'commands', help: 'Commands taken', read: () => commands },
    { kind: 'counter', name: 'follower_events', help: 'Events done with', read: () => parts },
    { kind: 'gauge', name: 'sockets', help: 'Open sockets', read: () => commands - 1 },
  ])
  const shown = async () =>
    (await registry.metrics()).split('\n').filter(line => /commands|follower|sockets/.test(line))
  expect(await shown()).toEqual([
    '# HELP ledgerline_commands_total Commands taken',
    '# TYPE ledgerline_commands_total counter',
    'ledgerline_commands_total 2',
    '# HELP ledgerline_follower_events_total Events done with',
    '# TYPE ledgerline_follower_events_total counter',
    'ledgerline_follower_events_total{part="mail"} 3',
    'ledgerline_follower_events_total{part="notices"} 4',
    '# HELP ledgerline_sockets Open sockets',
    '# TYPE ledgerline_sockets gauge',
    'ledgerline_sockets 1',
  ])
  commands = 5
  parts = undefined
  const later = await shown()
  expect(later).toContain('ledgerline_commands_total 5')
  expect(later.filter(line => line.startsWith('ledgerline_follower'))).toEqual([])
})

test('everything that only grows is published as a counter, and nothing else', () => {
  const all = readings({ followers: [] } as unknown as Parameters<typeof readings>[0])
  const names = (kind: 'counter' | 'gauge') => all.filter(reading => reading.kind === kind).map(({ name }) => name)
  expect(names('gauge')).toEqual([
    'commands_waiting',
    'states_held',
    'send_keys_held',
    'node_behind',
    'projection_lag_events',
    'projection_lag_seconds',
    'follower_lag_events',
    'follower_lag_seconds',
    'sockets',
    'users_followed',
    'ring_bytes',
    'syncs_waiting',
    'syncs_held_bytes',
    'signals_connected',
  ])
  expect(names('counter')).toEqual(
    expect.arrayContaining(['commands', 'appends', 'append_conflicts', 'frames_in', 'frames_out', 'frames_dropped']),
  )
})
