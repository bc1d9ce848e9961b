// Owns the helper processes of a bench: loads and ceilings, told over IPC what to do, one thing at a time.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadCommands } from './load.ts'

export interface HelperProcess<Commands> {
  readonly pid: number
  call<Name extends keyof Commands>(
    name: Name,
    args: Commands[Name] extends { args: infer Args } ? Args : never,
  ): Promise<Commands[Name] extends { answer: infer Answer } ? Answer : never>
  end(): void
}

export type LoadProcess = HelperProcess<LoadCommands>

const answerOf = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null) => {
      child.off('message', onMessage)
      reject(new Error(`a helper of the bench ended: ${signal ?? code}`))
    }
    const onMessage = (message: unknown) => {
      child.off('exit', onExit)
      const { answer, error } = message as { answer?: unknown; error?: string }
      if (error === undefined) resolve(answer)
      else reject(new Error(error))
    }
    child.once('exit', onExit)
    child.once('message', onMessage)
  })

/** Starts a helper. @param file name of its script in this folder */
export const startHelper = async <Commands>(file: string): Promise<HelperProcess<Commands>> => {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const killNow = () => {
    child.kill('SIGKILL')
  }
  process.on('exit', killNow)
  await answerOf(child)
  return {
    pid: child.pid as number,
    call: async (name, args) => {
      const answer = answerOf(child)
      child.send({ name, args })
      return (await answer) as never
    },
    end: () => {
      process.off('exit', killNow)
      killNow()
    },
  }
}

export const startLoad = (): Promise<LoadProcess> => startHelper<LoadCommands>('load.ts')
