// Owns how an operation runs a command of the domain, and how what a command makes gets its id.

import type { Decider, DomainEvent, Rejection } from '../domain/decider.ts'
import type { RejectionCode } from '../domain/rejections.ts'
import { derivedId, newId } from '../eventstore/clock.ts'
import type { Handled } from '../eventstore/handle.ts'
import type { Node } from '../eventstore/node.ts'
import type { Call } from './operation.ts'

/** Runs a command with the caller's key, if there is one. */
export const runCommand = <State, Command, Event extends DomainEvent, Code extends RejectionCode, Facts>(
  node: Node,
  call: Call,
  decider: Decider<State, Command, Event, Code, Facts>,
  stream: string,
  command: Command,
  facts: Facts,
): Promise<Handled<State, Event> | Rejection> => node.handle(decider, stream, command, { facts, key: call.command })

/** The id of what a command makes: the same at every repeat of a keyed command. `maker` is who or what it is made for. */
export const madeId = (node: Node, call: Call, maker: string): string =>
  call.command === undefined ? newId(node.clock) : derivedId(maker, call.command.key)
