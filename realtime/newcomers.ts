// Owns how many sockets have not said hello yet, in all and from one network: each may have sent a part of a frame, and whoever
// opens many must not keep the others out. Counts; does nothing by itself.

/** Sockets that have not said hello yet. */
export const newcomersMax = 10_000
/** Of these, from one network: an IPv4 address, or an IPv6 network of 64 bits. */
export const newcomersPerNetworkMax = 1_000

export class Newcomers {
  readonly #ofNetwork = new Map<string, number>()
  readonly #perNetworkMax: number
  #count = 0

  /** @param perNetworkMax Infinity where one network is not bounded by itself */
  constructor(perNetworkMax: number) {
    this.#perNetworkMax = perNetworkMax
  }

  /** Whether one more may come from there; if not, because of whom. */
  refuses(network: string): 'all' | 'network' | undefined {
    if ((this.#ofNetwork.get(network) ?? 0) >= this.#perNetworkMax) return 'network'
    return this.#count >= newcomersMax ? 'all' : undefined
  }

  came(network: string): void {
    this.#count++
    this.#ofNetwork.set(network, (this.#ofNetwork.get(network) ?? 0) + 1)
  }

  /** Said hello, or went away. */
  settled(network: string): void {
    this.#count--
    const left = (this.#ofNetwork.get(network) ?? 0) - 1
    if (left > 0) this.#ofNetwork.set(network, left)
    else this.#ofNetwork.delete(network)
  }
}
