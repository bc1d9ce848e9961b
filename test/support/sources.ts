// Owns how tests read the project's own sources: every file of TypeScript and JavaScript, its imports, and its text with
// comments and the contents of strings blanked out, so that a rule is never broken by a word in a sentence.
// Knows the language only as far as that needs; lines and columns stay as they are.

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export interface Source {
  /** From the root, with `/`. */
  readonly path: string
  /** The first folder of the path; empty for a file in the root. */
  readonly room: string
  readonly text: string
  /** Comments blanked. */
  readonly uncommented: string
  /** Comments and the contents of strings, templates and regular expressions blanked. */
  readonly code: string
  /** What it imports, as written, types included. */
  readonly imports: readonly string[]
  /** Its regular expressions, as written, with their flags. */
  readonly regExps: readonly string[]
}

export const projectRoot = join(import.meta.dirname, '../..')

/** Of the build also what it is just writing. */
const foreignFolder = /^(node_modules|\.git|data|dist(\..*)?|coverage)$/

/** Every file below the root, except of folders that are not ours. */
export const projectFiles = (folder = projectRoot): readonly string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return foreignFolder.test(entry.name) ? [] : projectFiles(path)
    return entry.isFile() ? [relative(projectRoot, path).replaceAll('\\', '/')] : []
  })

const wordsBeforeRegExp = /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|do|else|yield|await)\s*$/
const isRegExpAhead = (code: string): boolean => {
  const before = code.trimEnd().slice(-12)
  return before === '' || /[(,=:[!&|?{};+\-*%~^<>]$/.test(before) || wordsBeforeRegExp.test(before)
}

const regExpLiteral = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//y
const regExpFlags = /[a-z]*/y
const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ')

/** The text without comments, and without the contents of strings as well; what was a regular expression stands apart. */
const blanked = (text: string): Pick<Source, 'uncommented' | 'code' | 'regExps'> => {
  const regExps: string[] = []
  let uncommented = ''
  let code = ''
  let at = 0
  /** For each template that is open around this place, how many braces are open in its expression. */
  const templates: number[] = []
  const take = (end: number, isComment: boolean, edge = 0) => {
    const part = text.slice(at, end)
    uncommented += isComment ? blank(part) : part
    code += edge === 0 ? blank(part) : part[0] + blank(part.slice(1, -edge)) + part.slice(-edge)
    at = end
  }
  const stringEnd = (quote: string) => {
    let end = at + 1
    while (end < text.length && text[end] !== quote) end += text[end] === '\\' ? 2 : 1
    return end + 1
  }
  /** Takes a template's text up to its end or its next expression; `at` stands on its backtick or closing brace. */
  const takeTemplate = () => {
    let end = at + 1
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    if (text[end] === '`') return take(end + 1, false, 1)
    take(end + 2, false, 2)
    templates.push(0)
  }
  while (at < text.length) {
    const character = text[at] as string
    if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) {
      const end = text.indexOf('\n', at)
      take(end < 0 ? text.length : end, true)
    } else if (text.startsWith('/*', at)) take(text.indexOf('*/', at) + 2, true)
    else if (character === "'" || character === '"') take(stringEnd(character), false, 1)
    else if (character === '`') takeTemplate()
    else if (character === '}' && templates.at(-1) === 0) {
      templates.pop()
      takeTemplate()
    } else if (character === '/' && isRegExpAhead(code)) {
      regExpLiteral.lastIndex = at
      const end = at + (regExpLiteral.exec(text)?.[0].length ?? 1)
      regExpFlags.lastIndex = end
      regExps.push(text.slice(at, end) + (regExpFlags.exec(text)?.[0] ?? ''))
      take(end, false, 1)
    } else {
      const depth = templates.length - 1
      if (depth >= 0 && character === '{') templates[depth] = (templates[depth] as number) + 1
      if (depth >= 0 && character === '}') templates[depth] = (templates[depth] as number) - 1
      uncommented += character
      code += character
      at++
    }
  }
  return { uncommented, code, regExps }
}

const importPattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])(?<name>[^'"\n]+)\1/g

/** A source by its path and text. */
export const sourceOf = (path: string, text: string): Source => {
  const { uncommented, code, regExps } = blanked(text)
  const found = [...uncommented.matchAll(importPattern)].filter(({ index }) => code[index] !== ' ')
  return {
    path,
    room: path.includes('/') ? path.slice(0, path.indexOf('/')) : '',
    text,
    uncommented,
    code,
    imports: found.map(({ groups }) => groups?.name ?? ''),
    regExps,
  }
}

/** All sources of the project. */
export const readSources = (): readonly Source[] =>
  projectFiles()
    .filter(path => /\.(ts|js|mjs|cjs)$/.test(path))
    .toSorted()
    .map(path => sourceOf(path, readFileSync(join(projectRoot, path), 'utf8')))

/** The package of an import: `pg`, `@fastify/cors`; undefined for a file of the project or a part of Node. */
export const packageOf = (imported: string): string | undefined => {
  if (imported.startsWith('.') || imported.startsWith('node:')) return undefined
  return imported
    .split('/')
    .slice(0, imported.startsWith('@') ? 2 : 1)
    .join('/')
}
