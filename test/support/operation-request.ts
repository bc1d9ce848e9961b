// Owns how an operation of the table is called over HTTP with the arguments of a frame: which field goes into the path, the
// query and the body. Reads the table; knows no operation by name.

import { formsOf, type Operation } from '../../api/operation.ts'
import { operations } from '../../api/operations.ts'

export type Arguments = Readonly<Record<string, unknown>>

export interface OperationRequest {
  readonly method: string
  readonly path: string
  readonly body: Arguments | undefined
}

const byId = new Map(operations.map(operation => [operation.id, operation]))

/** @throws Error when there is no such operation */
export const operationNamed = (id: string): Operation => {
  const found = byId.get(id)
  if (found === undefined) throw new Error(`there is no operation ${id}`)
  return found
}

/** Of all forms together. */
const shapeOf = (fields: Operation['args']): object => Object.assign({}, ...formsOf(fields).map(({ shape }) => shape))

const pick = (shape: object, args: Arguments): [string, unknown][] =>
  Object.entries(args).filter(([name]) => Object.hasOwn(shape, name))

/** The request that does what a frame with these arguments does. */
export const requestOf = (operation: Operation, args: Arguments): OperationRequest => {
  const inPath = Object.fromEntries(pick(operation.params.shape, args))
  const path = operation.path.replace(/:([A-Za-z]+)/g, (_, name: string) => encodeURIComponent(String(inPath[name])))
  const query = new URLSearchParams(
    pick(operation.query.shape, args).map(([name, value]): [string, string] => [name, String(value)]),
  )
  const body = operation.body === undefined ? undefined : Object.fromEntries(pick(shapeOf(operation.body), args))
  return { method: operation.method, path: query.size === 0 ? path : `${path}?${query}`, body }
}
