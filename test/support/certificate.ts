// Owns a certificate for tests that speak TLS on loopback: self-made, signed by its own key, so that it is its own authority.
// Written out by hand, because Node reads certificates and makes none.

import { generateKeyPairSync, sign } from 'node:crypto'

const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}
const sequence = (...parts: readonly Uint8Array[]) => tlv(0x30, ...parts)
const identifier = (hex: string) => tlv(0x06, Buffer.from(hex, 'hex'))
const time = (text: string) => tlv(0x17, Buffer.from(text))
const bits = (bytes: Uint8Array) => tlv(0x03, Buffer.of(0), bytes)
const extension = (id: string, value: Uint8Array) => sequence(identifier(id), tlv(0x04, value))

const ecdsaWithSha256 = sequence(identifier('2a8648ce3d040302'))
/** Its common name. */
const name = sequence(tlv(0x31, sequence(identifier('550403'), tlv(0x0c, Buffer.from('ledgerline test')))))
const validity = sequence(time('200101000000Z'), time('491231235959Z'))
const isAuthority = extension('551d13', sequence(tlv(0x01, Buffer.of(255))))
const isForLoopback = extension(
  '551d11',
  sequence(tlv(0x82, Buffer.from('localhost')), tlv(0x87, Buffer.of(127, 0, 0, 1))),
)

export interface TestCertificate {
  /** PEM, both. */
  readonly certificate: string
  readonly privateKey: string
}

/** For 127.0.0.1 and localhost. */
export const makeCertificate = (): TestCertificate => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, Buffer.of(1)),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(isAuthority, isForLoopback)),
  )
  const whole = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)))
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
