// Holds docs/features.md against the project: every command, operation, event, read model and test it names exists, every
// requirement from R1 to R48 has its row, and every row says how far it is.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { operations } from '../api/operations.ts'
import { eventCatalogue } from '../domain/events.ts'
import { projections } from '../projections/projections.ts'
import { tableRows } from './support/readme.ts'
import { projectFiles, projectRoot, readSources } from './support/sources.ts'

const rows = tableRows(readFileSync(join(projectRoot, 'docs/features.md'), 'utf8')).map(
  ([requirement = '', feature = '', ...cells]) => {
    const [commands = [], operationIds = [], events = [], models = [], files = []] = cells.map(namesIn)
    return { requirement, feature, commands, operationIds, events, models, files, state: cells.at(-1) ?? '' }
  },
)

function namesIn(cell: string): readonly string[] {
  return cell
    .replaceAll('`', '')
    .split(/[\s,]+/)
    .filter(name => name !== '' && name !== '–')
}

/** Names of a column that are not there, with the row they stand in. */
const missing = (
  column: 'commands' | 'operationIds' | 'events' | 'models' | 'files',
  isThere: (name: string) => boolean,
) => rows.flatMap(row => row[column].filter(name => !isThere(name)).map(name => `${row.requirement}: ${name}`))

describe('docs/features.md', () => {
  test('has one row for every requirement on people and groups', () => {
    const expected = Array.from({ length: 48 }, (_, index) => `R${index + 1}`)
    expect(rows.map(({ requirement }) => requirement)).toEqual(expected)
    expect(rows.filter(({ feature }) => feature === '')).toEqual([])
  })

  test('names commands that the domain has', () => {
    const domain = readSources()
      .filter(({ room }) => room === 'domain')
      .map(({ uncommented }) => uncommented)
      .join('\n')
    expect(missing('commands', name => domain.includes(`readonly type: '${name}'`))).toEqual([])
  })

  test('names operations of the surface', () => {
    expect(missing('operationIds', name => operations.some(({ id }) => id === name))).toEqual([])
  })

  test('names events of the log', () => {
    expect(missing('events', name => Object.hasOwn(eventCatalogue, name))).toEqual([])
  })

  test('names tables of the read models', () => {
    const tables = new Set<string>(projections.flatMap(({ tables }) => tables))
    expect(missing('models', name => tables.has(name))).toEqual([])
  })

  test('names tests that exist', () => {
    const files = new Set(projectFiles())
    expect(missing('files', name => name.startsWith('test/') && name.endsWith('.test.ts') && files.has(name))).toEqual(
      [],
    )
  })

  test('says of every row how far it is, and a whole one names a test', () => {
    expect(rows.filter(({ state }) => !/^(whole|partly: .+|not yet: .+)$/.test(state))).toEqual([])
    expect(rows.filter(({ state, files }) => !state.startsWith('not yet') && files.length === 0)).toEqual([])
  })
})
