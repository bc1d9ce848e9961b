// Owns small parts that the tests of the api share: fixed keys.

import { createHash } from 'node:crypto'
import { type Keys, loadKeys } from '../../api/keys.ts'

const signingKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----`

/** Keys that are the same in every run; each name has its own secret. */
export const testKeys = (name = 'test'): Keys =>
  loadKeys({
    tokenSigningKey: signingKey,
    identityHmacKey: createHash('sha256').update(name).digest('base64'),
    mayMake: false,
  })
