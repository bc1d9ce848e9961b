// Owns from where a socket really comes: behind proxies that are trusted it is what they say, else who connected.
// Must never believe anybody else: rate limits hold for an address.

import { BlockList, isIP } from 'node:net'

/** @param remote who connected @param forwardedFor the header X-Forwarded-For, empty when there is none */
export type ClientAddress = (remote: string, forwardedFor: string) => string

/** Most entries of the header that are looked at; a chain of trusted proxies is short. */
const hopsMax = 20

const familyOf = (address: string) => (isIP(address) === 4 ? 'ipv4' : 'ipv6')

const networksOf = (trusted: readonly string[]): BlockList => {
  const networks = new BlockList()
  for (const entry of trusted) {
    const [address = '', bits] = entry.split('/')
    if (bits === undefined) networks.addAddress(address, familyOf(address))
    else networks.addSubnet(address, Number(bits), familyOf(address))
  }
  return networks
}

/** The last address that no trusted proxy vouches for being one of them; as Fastify reads the header for HTTP. */
export const createClientAddress = (trusted: readonly string[] | undefined): ClientAddress => {
  if (trusted === undefined) return remote => remote
  const networks = networksOf(trusted)
  return (remote, forwardedFor) => {
    let address = remote
    for (const said of forwardedFor
      .split(',', hopsMax + 1)
      .slice(0, hopsMax)
      .toReversed()) {
      if (!networks.check(address, familyOf(address))) return address
      const next = said.trim()
      if (isIP(next) === 0) return address
      address = next
    }
    return address
  }
}
