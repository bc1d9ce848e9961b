// Owns the folder of the embedded log: one owner at a time, the format marker, and refusing a folder that must not be touched.
// Never deletes or recreates data: whatever looks wrong is reported with what to do about it.

import { randomUUID } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { inspectFile } from './embedded-inspect.ts'
import { corruption } from './embedded-record.ts'
import { CorruptLog, Unavailable } from './port.ts'
import { isRunning, ownerOf, type ProcessOwner } from './process-owner.ts'

/** The format this version writes; a folder with a higher number is refused. */
export const logFormat = 1
/** Tries to take the folder while other processes come and go. */
const takeTriesMax = 5

/** An LMDB file without any content: its two first pages. */
const emptyFileBytes = 8_192
/** Room that making a log takes, with some to spare. */
const newLogBytes = 131_072
/** Room for LMDB's table of readers. */
const lockFileBytes = 12_288

export interface LogFolder {
  readonly path: string
  readonly dataFile: string
  /** The log that lives here; undefined for a new folder. */
  readonly logId: string | undefined
  /** Says durably which log lives here. */
  mark(logId: string): void
  /** Gives the folder up. */
  release(): void
}

interface Owner extends ProcessOwner {
  readonly token: string
}

/**
 * Takes `<dataDir>/log` for this process and checks what lies in it.
 * @throws Unavailable when it is in use, cannot be written or is of a newer format; CorruptLog when it is damaged
 */
export const takeFolder = (dataDir: string): LogFolder => {
  const path = join(dataDir, 'log')
  const { token, wasLeft } = takeOwnership(path)
  const release = () => releaseOwnership(path, token)
  try {
    const dataFile = join(path, 'data.mdb')
    const logId = readMarker(path)
    requireSoundFile(dataFile, logId, wasLeft)
    if (logId === undefined) requireRoom(path)
    reserveLockFile(path)
    return { path, dataFile, logId, mark: id => writeMarker(path, id), release }
  } catch (error) {
    release()
    throw error
  }
}

const requireSoundFile = (dataFile: string, logId: string | undefined, wasLeft: boolean): void => {
  const bytes = statSync(dataFile, { throwIfNoEntry: false })?.size ?? 0
  if (logId === undefined && bytes < emptyFileBytes) {
    // The making of a log was broken off before anything could be in it: the disk was full.
    rmSync(dataFile, { force: true })
  } else if (bytes === 0) {
    throw new CorruptLog(corruption(dataFile, 'the file is missing or empty, although a log was made here'))
  } else {
    // Whoever did not give the folder up may have been ended by damage, so then it pays to look further.
    inspectFile(dataFile, wasLeft)
  }
}

/** LMDB ends the process when the disk is full while it makes its first pages. */
const requireRoom = (path: string): void => {
  writeWhole(join(path, 'room'), newLogBytes)
  rmSync(join(path, 'room'), { force: true })
}

/** LMDB writes to this file through memory, where a full disk would end the process: so it gets its room beforehand. */
const reserveLockFile = (path: string): void => {
  const file = join(path, 'lock.mdb')
  if (!existsSync(file)) writeWhole(file, lockFileBytes)
}

const writeWhole = (file: string, bytes: number): void => {
  try {
    writeFileSync(file, Buffer.alloc(bytes), { flush: true })
  } catch (cause) {
    discard(file)
    throw notWritable(file, cause)
  }
}

/** After a failure that is to be told, not a second one. */
const discard = (file: string): void => {
  try {
    rmSync(file, { force: true })
  } catch {
    // The folder itself cannot be used, and that is what the caller says.
  }
}

const notWritable = (path: string, cause: unknown): Unavailable =>
  new Unavailable(`${path} cannot be written: ${(cause as Error).message}. Choose another DATA_DIR.`, { cause })

const markerName = 'format.json'

const readMarker = (path: string): string | undefined => {
  const file = join(path, markerName)
  const text = readIfThere(file)
  if (text === undefined) return undefined
  const marker = parsed(text)
  const format = marker?.format
  if (typeof format === 'number' && format > logFormat) {
    throw new Unavailable(
      `${path} was written in format ${format} by a newer version; this version knows ${logFormat}. Start the newer version.`,
    )
  }
  if (format !== logFormat || typeof marker?.logId !== 'string') {
    throw new CorruptLog(corruption(file, 'the file does not say which log lives here'))
  }
  return marker.logId
}

const writeMarker = (path: string, logId: string): void => {
  const file = join(path, markerName)
  const draft = `${file}.new`
  writeFileSync(draft, `${JSON.stringify({ product: 'ledgerline', format: logFormat, logId })}\n`)
  flush(draft)
  renameSync(draft, file)
  flush(path)
}

const flush = (path: string): void => {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

const ownerName = 'owner.json'

/** The file that names the owner of the log in a data folder. */
export const ownerFileOf = (dataDir: string): string => join(dataDir, 'log', ownerName)

/** Makes this process the owner; `wasLeft` when the one before ended without giving the folder up. */
const takeOwnership = (path: string): { token: string; wasLeft: boolean } => {
  const file = join(path, ownerName)
  const token = randomUUID()
  const draft = `${file}.${token}`
  try {
    // Password hashes and messages lie here in the clear: for this user only.
    mkdirSync(path, { recursive: true, mode: 0o700 })
    writeFileSync(draft, JSON.stringify({ ...ownerOf(process.pid), token } satisfies Owner))
  } catch (cause) {
    discard(draft)
    throw notWritable(path, cause)
  }
  let wasLeft = false
  try {
    for (let tries = 0; tries < takeTriesMax; tries++) {
      if (linkedAs(draft, file)) return { token, wasLeft }
      const text = readIfThere(file)
      if (text === undefined) continue
      const owner = parsed(text) as Partial<Owner> | undefined
      if (owner && isRunning(owner)) throw new Unavailable(inUse(path, owner))
      setAside(file, text, token)
      wasLeft = true
    }
    throw new Unavailable(`${path} is being taken by other processes. Give this one another DATA_DIR.`)
  } finally {
    rmSync(draft, { force: true })
  }
}

const inUse = (path: string, owner: Partial<Owner>): string =>
  `${path} is in use by process ${owner.pid}. Stop that process first, or give this one another DATA_DIR.`

/** Removes the file of an owner that is gone, and only that file: somebody else may have taken the folder meanwhile. */
const setAside = (file: string, text: string, token: string): void => {
  const aside = `${file}.${token}.gone`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  if (readIfThere(aside) !== text) linkedAs(aside, file)
  rmSync(aside, { force: true })
}

const releaseOwnership = (path: string, token: string): void => {
  const file = join(path, ownerName)
  const owner = parsed(readIfThere(file) ?? '') as Partial<Owner> | undefined
  if (owner?.token === token) rmSync(file, { force: true })
}

/** Gives a file a second name in one step; false when the name is taken. */
const linkedAs = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new Unavailable(`${to} cannot be made: ${(error as Error).message}. Choose another DATA_DIR.`, {
      cause: error,
    })
  }
}

const readIfThere = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error))) return undefined
    throw new Unavailable(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? ''
