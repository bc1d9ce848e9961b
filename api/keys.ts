// Owns the secrets of the service: the key pair that signs access tokens, and the one secret that everything keyed is made from.
// They live in a file of their own (0600) beside the embedded log, or come from the environment. Must never be logged,
// and never be made anew beside a log that was written with others: every identity would be lost.

import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { IdentityKind } from '../domain/account/events.ts'
import type { CodePurpose } from '../domain/code/events.ts'

/** Least entropy of a secret from outside, in bytes. */
export const secretBytesMin = 32

export interface Keys {
  readonly signing: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }
  /** Names the stream of a phone number, e-mail address or user name without saying it. */
  identityHmac(kind: IdentityKind, normalised: string): string
  /** What is stored of a code. */
  codeHash(targetHmac: string, purpose: CodePurpose, code: string): string
  /** Seals a refresh token. */
  refreshMac(text: string): Buffer
  /** Tells a repeated command from another under its key. Keyed, because a command may hold a password. */
  fingerprint(text: string): string
}

/** The keys cannot be used; the message says what to do. */
export class KeyError extends Error {
  readonly code = 'keys'
}

export interface KeyOptions {
  /** Folder of the key files; undefined when keys come from the environment only. */
  readonly folder?: string | undefined
  /** TOKEN_SIGNING_KEY: an Ed25519 private key, PKCS #8 in PEM, or the same in base64. */
  readonly tokenSigningKey?: string | undefined
  /** IDENTITY_HMAC_KEY: at least 32 random bytes in base64 or hex. */
  readonly identityHmacKey?: string | undefined
  /** Whether missing files may be made: only while the log is empty. */
  readonly mayMake: boolean
}

const signingFile = 'token-signing.pem'
const secretFile = 'identity-hmac.key'

/** Reads a file, or makes it so that a crash leaves all of it or nothing, and another process at the same time does not win twice. */
const readOrMake = (folder: string, file: string, mayMake: boolean, content: () => string): string => {
  const path = join(folder, file)
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new KeyError(`${path} cannot be read: ${message}. This user must be able to read it.`)
  }
  if (!mayMake) {
    throw new KeyError(
      `${path} is missing, but the event log was written with it. Restore it from a backup; a new one would make every account unreachable.`,
    )
  }
  try {
    return make(folder, path, content())
  } catch (error) {
    throw new KeyError(`${path} cannot be made: ${(error as Error).message}. This user must be able to write there.`)
  }
}

const make = (folder: string, path: string, content: string): string => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  const descriptor = openSync(temporary, 'w', 0o600)
  writeSync(descriptor, content)
  fsyncSync(descriptor)
  closeSync(descriptor)
  try {
    linkSync(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(temporary)
  }
  const directory = openSync(folder, 'r')
  fsyncSync(directory)
  closeSync(directory)
  return readFileSync(path, 'utf8')
}

const newSigningKey = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

const newSecret = (): string => `${randomBytes(secretBytesMin).toString('base64')}\n`

const signingKeyOf = (given: string, from: string): Keys['signing'] => {
  const pem = given.includes('-----BEGIN')
    ? given.replaceAll('\\n', '\n')
    : Buffer.from(given, 'base64').toString('utf8')
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(pem)
  } catch {
    throw new KeyError(`${from} is not a private key. Make one with: openssl genpkey -algorithm ed25519`)
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new KeyError(`${from} must be an Ed25519 key. Make one with: openssl genpkey -algorithm ed25519`)
  }
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

const secretOf = (given: string, from: string): Buffer => {
  const trimmed = given.trim()
  const secret = /^([0-9a-f]{2})+$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64')
  // One repeated byte is what a placeholder looks like.
  if (secret.length < secretBytesMin || new Set(secret).size < 8) {
    throw new KeyError(
      `${from} must be at least ${secretBytesMin} random bytes. Make them with: openssl rand -base64 32`,
    )
  }
  return secret
}

/** Reads the keys from the environment's values, else from files, which are made when that is allowed. @throws KeyError */
export const loadKeys = (options: KeyOptions): Keys => {
  const { folder, mayMake } = options
  const fromFolder = (file: string, variable: string, content: () => string): string => {
    if (folder === undefined) throw new KeyError(`${variable} must be set when the roles run apart from each other.`)
    return readOrMake(folder, file, mayMake, content)
  }
  const signing = signingKeyOf(
    options.tokenSigningKey ?? fromFolder(signingFile, 'TOKEN_SIGNING_KEY', newSigningKey),
    options.tokenSigningKey === undefined ? signingFile : 'TOKEN_SIGNING_KEY',
  )
  const secret = secretOf(
    options.identityHmacKey ?? fromFolder(secretFile, 'IDENTITY_HMAC_KEY', newSecret),
    options.identityHmacKey === undefined ? secretFile : 'IDENTITY_HMAC_KEY',
  )
  return keysOf(signing, secret)
}

/** Whether keys from the environment can be used, which may be known before the stores are there. @throws KeyError */
export const checkGivenKeys = ({ tokenSigningKey, identityHmacKey }: Omit<KeyOptions, 'mayMake'>): void => {
  if (tokenSigningKey !== undefined) signingKeyOf(tokenSigningKey, 'TOKEN_SIGNING_KEY')
  if (identityHmacKey !== undefined) secretOf(identityHmacKey, 'IDENTITY_HMAC_KEY')
}

/** Each use has a key of its own, so that no value of one can stand for a value of another. */
const keysOf = (signing: Keys['signing'], secret: Buffer): Keys => {
  const derived = (use: string) => Buffer.from(hkdfSync('sha256', secret, '', `ledgerline ${use}`, 32))
  const identityKey = derived('identity')
  const codeKey = derived('code')
  const refreshKey = derived('refresh')
  const fingerprintKey = derived('fingerprint')
  const mac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  return {
    signing,
    identityHmac: (kind, normalised) => mac(identityKey, `${kind}\n${normalised}`).toString('hex'),
    codeHash: (targetHmac, purpose, code) => mac(codeKey, `${targetHmac}\n${purpose}\n${code}`).toString('base64url'),
    refreshMac: text => mac(refreshKey, text),
    fingerprint: text => mac(fingerprintKey, text).toString('base64url').slice(0, fingerprintCharacters),
  }
}

/** 96 bits: enough to tell commands of one key apart. */
const fingerprintCharacters = 16
