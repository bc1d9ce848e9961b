// Owns how tests read README.md: its sections, tables and blocks of commands; and the tables that must stand there as the sources
// have them. Run by itself (`npx tsx test/support/readme.ts`) it prints those tables, to be pasted.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorTable } from '../../api/errors.ts'
import { permissionsTable } from '../../api/group-permissions.ts'
import { configSchema } from '../../config.ts'
import { projectRoot } from './sources.ts'

const readme = (): string => readFileSync(join(projectRoot, 'README.md'), 'utf8')

/** The text under a heading of the second level. @throws Error when there is no such heading */
export const readmeSection = (heading: string): string => {
  const found = readme()
    .split(/^## /m)
    .find(section => section.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`README.md has no section "${heading}"`)
  return found
}

/** The cells of every row of the tables in a text, without their heads; code marks and links taken off. */
export const tableRows = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .filter(
      (line, at, lines) =>
        line.startsWith('|') && !/^\|[\s:|-]+\|$/.test(line) && !/^\|[\s:|-]+\|$/.test(lines[at + 1] ?? ''),
    )
    .map(line =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map(cell =>
          cell
            .trim()
            .replace(/^`(.*)`$/, '$1')
            .replace(/^\[`?([^\]`]+)`?\]\(.*\)$/, '$1'),
        ),
    )

export interface ReadmeBlock {
  /** The name in the comment before the block: `<!-- run: alice -->`. */
  readonly name: string
  readonly text: string
}

/** The blocks of commands that a comment before them names, in order. */
export const namedBlocks = (): readonly ReadmeBlock[] =>
  [...readme().matchAll(/^<!-- run: (?<name>[\w ]+) -->\n```\w+\n(?<text>[\s\S]*?)\n```$/gm)].map(({ groups }) => ({
    name: groups?.name ?? '',
    text: groups?.text ?? '',
  }))

/** A row for each variable: its default and what it is for. */
export const configurationTable = (): string => {
  const rows = Object.entries(configSchema.shape).map(([name, schema]) => {
    const parsed = schema.safeParse(undefined)
    const byDefault = parsed.success && parsed.data !== undefined ? `\`${String(parsed.data)}\`` : ''
    return `| \`${name}\` | ${byDefault} | ${(schema.description ?? '').replaceAll('|', '\\|')} |`
  })
  return ['| variable | default | what it is |', '|---|---|---|', ...rows].join('\n')
}

/** A row for each code of an error. */
export const errorsTable = (): string => {
  const rows = Object.entries(errorTable).map(
    ([code, { status, title, retryable }]) => `| \`${code}\` | ${status} | ${title} | ${retryable ? 'yes' : ''} |`,
  )
  return ['| code | status | meaning | again |', '|---|---|---|---|', ...rows].join('\n')
}

if (process.argv[1] === import.meta.filename) {
  process.stdout.write(`${configurationTable()}\n\n${permissionsTable()}\n\n${errorsTable()}\n`)
}
