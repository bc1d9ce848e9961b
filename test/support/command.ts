// Owns running a command of the operator as a process of its own, as a person would run it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface CommandEnded {
  readonly code: number | null
  /** Standard output and standard error. */
  readonly out: string
  readonly told: string
}

/** @param script `projections/rebuild-command.ts` */
export const runCommand = async (
  script: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<CommandEnded> => {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...words], {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, told, [code]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'exit')])
  return { code, out: out.toString(), told: told.toString() }
}
