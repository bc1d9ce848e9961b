// Owns running a command of the operator as a process of its own, as a person would run it.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
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

/** Its standard input is the caller's to end. @param script `projections/rebuild-command.ts` */
export const startCommand = (
  script: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): ChildProcessWithoutNullStreams => {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...words], {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment },
  })
  // A command that ends early takes no more of it.
  child.stdin.on('error', () => undefined)
  return child
}

/** @param input its whole standard input */
export const runCommand = async (
  script: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  input = '',
): Promise<CommandEnded> => {
  const child = startCommand(script, words, environment)
  child.stdin.end(input)
  const [out, told, [code]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'exit')])
  return { code, out: out.toString(), told: told.toString() }
}
