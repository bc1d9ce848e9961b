// Owns the contract of the event store: every rule of port.ts, asserted field by field over any adapter.
// Never looks behind the port, and never says what only one adapter does (test/eventstore/ has those).

import { describe } from 'vitest'
import { appendContract, inputContract, repeatContract } from './event-store-append.ts'
import { keepsLastContract, readAllContract, readContract, restartContract } from './event-store-read.ts'
import { subscribeContract } from './event-store-subscribe.ts'
import type { ContractFactory } from './fixture.ts'
import { contractTests } from './fixture.ts'

/** Declares the whole suite for one adapter; the factory is called once for each test. */
export const eventStoreContract = (name: string, factory: ContractFactory): void => {
  const { check, checkRestart } = contractTests(factory)
  describe(`event store contract: ${name}`, () => {
    describe('append', () => appendContract(check))
    describe('repeated appends', () => repeatContract(check))
    describe('bad input', () => inputContract(check))
    describe('read', () => readContract(check))
    describe('readAll', () => readAllContract(check))
    describe('streams that keep only their last event', () => keepsLastContract(check))
    describe('subscribe', () => subscribeContract(check))
    describe('restart', () => restartContract(checkRestart))
  })
}
