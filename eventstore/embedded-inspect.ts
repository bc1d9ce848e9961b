// Owns the look at an LMDB file before LMDB maps it into memory: reading a page that is not there would kill the process.
// Never writes. Knows LMDB's file format 2 as lmdb 3.5 writes it: 4 KiB and larger pages, little-endian, 64 bit.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { corruption } from './embedded-record.ts'
import { CorruptLog } from './port.ts'

const magic = 0xbeefc0de
const fileFormat = 2
const pageHeaderBytes = 24
const metaBytes = 144
const nodeHeaderBytes = 8
const pageFlags = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const
const nodeFlags = { overflow: 1, subTree: 2 } as const
const noPage = 0xffff_ffff_ffff_ffffn
const pageBytesMin = 256
const pageBytesMax = 65_536

interface Meta {
  readonly pageBytes: number
  /** Of the two roots: they never change. */
  readonly flags: readonly number[]
  readonly pageCount: number
  readonly transaction: bigint
  readonly roots: readonly bigint[]
}

/** Most bytes of tree pages that are looked at, the newest of the log first: at every opening a blink, else about a second. */
const usualBytesMax = 67_108_864
const thoroughBytesMax = 1_073_741_824

/**
 * Checks that the file is an LMDB file of the known format, that every page it needs is there, and that the inside of the pages
 * makes sense: LMDB ends the process over a page that does not.
 * @param isThorough looks at more pages
 * @throws CorruptLog naming the file
 */
export const inspectFile = (path: string, isThorough: boolean): void => {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const meta = newestMeta(file, path)
    const pagesHere = Math.floor(size / meta.pageBytes)
    // A file may be shorter than its page count when the last pages are free; only then each page has to be asked for.
    const isCutOff = pagesHere < meta.pageCount
    const bytesMax = isThorough ? thoroughBytesMax : usualBytesMax
    const pagesMax = isCutOff ? Number.POSITIVE_INFINITY : Math.floor(bytesMax / meta.pageBytes)
    const problem = firstProblem(file, meta, pagesHere, pagesMax)
    if (problem) throw new CorruptLog(corruption(path, problem))
  } finally {
    closeSync(file)
  }
}

const newestMeta = (file: number, path: string): Meta => {
  const first = metaAt(file, 0, path)
  const second = metaAt(file, first.pageBytes, path)
  if (!belongTogether(first, second) || ![first, second].every(meta => isOfItsTree(file, meta)))
    throw new CorruptLog(corruption(path, damagedBeginning))
  return second.transaction > first.transaction ? second : first
}

/**
 * Transactions write the first and the second beginning by turns, so one is the other's successor. With a number that is wrong
 * LMDB would take the older one for the newest, and what was committed last would be lost without a word.
 */
const belongTogether = (first: Meta, second: Meta): boolean => {
  const isUnwritten = first.transaction === 0n && second.transaction === 0n
  const step = first.transaction - second.transaction
  const isStep = first.transaction % 2n === 0n && (step === 1n || step === -1n)
  return (isUnwritten || isStep) && String(first.flags) === String(second.flags)
}

/** The root of the tree of trees was written by the very transaction that the beginning tells of. */
const isOfItsTree = (file: number, { roots, pageBytes, transaction }: Meta): boolean => {
  const root = roots[1]
  if (root === undefined || root === noPage) return transaction === 0n
  const header = Buffer.alloc(pageHeaderBytes)
  readSync(file, header, 0, header.length, Number(root) * pageBytes)
  // A page that is not there, or is another one, is told of when the trees are walked.
  return header.readBigUInt64LE(0) !== root || header.readBigUInt64LE(8) === transaction
}

const damagedBeginning = 'this is not the file of an event log, or its beginning is damaged'

const metaAt = (file: number, offset: number, path: string): Meta => {
  const page = Buffer.alloc(pageHeaderBytes + metaBytes)
  const read = readSync(file, page, 0, page.length, offset)
  const isMeta = read === page.length && (page.readUInt16LE(18) & pageFlags.meta) !== 0
  const meta = page.subarray(pageHeaderBytes)
  const pageBytes = meta.readUInt32LE(24)
  if (
    !isMeta ||
    meta.readUInt32LE(0) !== magic ||
    pageBytes < pageBytesMin ||
    pageBytes > pageBytesMax ||
    (pageBytes & (pageBytes - 1)) !== 0
  ) {
    throw new CorruptLog(corruption(path, damagedBeginning))
  }
  const format = meta.readUInt32LE(4) & 0xffff
  if (format !== fileFormat) {
    throw new CorruptLog(corruption(path, `the file has LMDB format ${format}; this version reads ${fileFormat}`))
  }
  const pageCount = Number(meta.readBigUInt64LE(120)) + 1
  if (pageCount * pageBytes > Number(meta.readBigUInt64LE(16))) throw new CorruptLog(corruption(path, damagedBeginning))
  return {
    pageBytes,
    pageCount,
    flags: [meta.readUInt16LE(24 + 4), meta.readUInt16LE(72 + 4)],
    transaction: meta.readBigUInt64LE(128),
    roots: [meta.readBigUInt64LE(24 + 40), meta.readBigUInt64LE(72 + 40)],
  }
}

/** Walks the trees from their newest side: the first page in use that is not there or makes no sense. */
const firstProblem = (file: number, meta: Meta, pagesHere: number, pagesMax: number): string | undefined => {
  const waiting = meta.roots.filter(root => root !== noPage)
  const page = Buffer.alloc(meta.pageBytes)
  const cutOff = `the file is cut off: ${pagesHere} of ${meta.pageCount} pages are there`
  for (let pages = 0; pages < pagesMax; pages++) {
    const number = waiting.pop()
    if (number === undefined) return undefined
    if (number >= pagesHere) return cutOff
    readSync(file, page, 0, page.length, Number(number) * meta.pageBytes)
    const runs = runsBelow(page, number)
    if (!runs) return `page ${number} is damaged`
    for (const run of runs) {
      if (run.end > pagesHere) return run.end > meta.pageCount ? `page ${number} is damaged` : cutOff
      if (run.isTree) waiting.push(run.start)
      else if (!isOverflow(file, meta, run)) return `page ${run.start} is damaged`
    }
    if (waiting.length > meta.pageCount) return `page ${number} is damaged`
  }
  return undefined
}

interface PageRun {
  readonly start: bigint
  readonly end: bigint
  readonly isTree: boolean
}

/** What a branch or leaf page points to; undefined for a page that is neither, or whose inside makes no sense. */
const runsBelow = (page: Buffer, number: bigint): PageRun[] | undefined => {
  const flags = page.readUInt16LE(18)
  const isBranch = flags === pageFlags.branch
  if (page.readBigUInt64LE(0) !== number || (!isBranch && flags !== pageFlags.leaf)) return undefined
  const lower = page.readUInt16LE(20)
  const upper = page.readUInt16LE(22)
  const nodeCount = lower >> 1
  const isSound = lower % 2 === 0 && lower <= upper && upper <= page.length - pageHeaderBytes
  if (!isSound || nodeCount < (isBranch ? 2 : 1)) return undefined
  const runs: PageRun[] = []
  for (let index = 0; index < nodeCount; index++) {
    const offset = page.readUInt16LE(pageHeaderBytes + index * 2)
    if (offset < upper || offset + pageHeaderBytes + nodeHeaderBytes > page.length) return undefined
    const node = pageHeaderBytes + offset
    const value = node + nodeHeaderBytes + page.readUInt16LE(node + 6)
    if (value > page.length) return undefined
    if (isBranch) runs.push(childOf(page, node))
    else if (!addLeafNode(runs, page, node, value)) return undefined
  }
  return runs
}

const childOf = (page: Buffer, node: number): PageRun => {
  const start = BigInt(page.readUInt32LE(node)) | (BigInt(page.readUInt16LE(node + 4)) << 32n)
  return { start, end: start + 1n, isTree: true }
}

const addLeafNode = (runs: PageRun[], page: Buffer, node: number, value: number): boolean => {
  const flags = page.readUInt16LE(node + 4)
  if (flags === 0) return value + page.readUInt32LE(node) <= page.length
  if (flags === nodeFlags.overflow && value + 24 <= page.length) {
    const start = page.readBigUInt64LE(value)
    runs.push({ start, end: start + page.readBigUInt64LE(value + 16), isTree: false })
    return true
  }
  if (flags === nodeFlags.subTree && value + 48 <= page.length) {
    const start = page.readBigUInt64LE(value + 40)
    if (start !== noPage) runs.push({ start, end: start + 1n, isTree: true })
    return true
  }
  return false
}

const isOverflow = (file: number, meta: Meta, { start, end }: PageRun): boolean => {
  const header = Buffer.alloc(pageHeaderBytes)
  readSync(file, header, 0, header.length, Number(start) * meta.pageBytes)
  const isPage = header.readBigUInt64LE(0) === start && header.readUInt16LE(18) === pageFlags.overflow
  return isPage && BigInt(header.readUInt32LE(20)) === end - start
}
