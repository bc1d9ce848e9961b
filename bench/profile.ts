// Owns reading a CPU profile of V8: which functions the time went to, without their callees.

import { readFileSync } from 'node:fs'

const shownFunctions = 30
const busyMsMin = 3_000

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const nameOf = ({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string => {
  const file = url.split('/').slice(-2).join('/')
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`
}

/** The functions with the greatest self time, as text; threads that did next to nothing are left out. */
export const topFunctions = (file: string): string => {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const names = new Map(nodes.map(node => [node.id, nameOf(node)]))
  const selfMs = new Map<string, number>()
  let busyMs = 0
  samples.forEach((id, index) => {
    const name = names.get(id) ?? ''
    const milliseconds = (timeDeltas[index] ?? 0) / 1_000
    if (name === '(idle)') return
    busyMs += milliseconds
    selfMs.set(name, (selfMs.get(name) ?? 0) + milliseconds)
  })
  if (busyMs < busyMsMin) return ''
  const top = [...selfMs].sort(([, one], [, other]) => other - one).slice(0, shownFunctions)
  const lines = top.map(([name, ms]) => `${((ms / busyMs) * 100).toFixed(1).padStart(6)} %  ${name}`)
  return [`${file}: ${(busyMs / 1_000).toFixed(1)} s busy, self time as a share of it`, ...lines].join('\n')
}
