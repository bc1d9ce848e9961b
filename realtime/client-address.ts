// Owns from where a socket really comes: behind proxies that are trusted it is what they say, else who connected.
// Must never believe anybody else: rate limits hold for an address.

import { BlockList, isIP } from 'node:net'

/** @param remote who connected @param forwardedFor the header X-Forwarded-For, empty when there is none */
export type ClientAddress = (remote: string, forwardedFor: string) => string

/** Most entries looked at, from the header's end: a chain of trusted proxies is short, and what clients make up stands first. */
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

/** The last entries of the header, the nearest first; a long one is not taken apart. */
const nearestFirst = (header: string): readonly string[] => {
  const entries: string[] = []
  for (let end = header.length; end >= 0 && entries.length < hopsMax; ) {
    const comma = end === 0 ? -1 : header.lastIndexOf(',', end - 1)
    entries.push(header.slice(comma + 1, end))
    end = comma
  }
  return entries
}

/** The last address that no trusted proxy vouches for being one of them; as Fastify reads the header for HTTP. */
export const createClientAddress = (trusted: readonly string[] | undefined): ClientAddress => {
  if (trusted === undefined) return remote => remote
  const networks = networksOf(trusted)
  return (remote, forwardedFor) => {
    let address = remote
    for (const said of nearestFirst(forwardedFor)) {
      if (!networks.check(address, familyOf(address))) return address
      const next = said.trim()
      if (isIP(next) === 0) return address
      address = next
    }
    return address
  }
}
