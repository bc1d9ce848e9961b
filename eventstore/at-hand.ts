// Owns how a value that is mostly at hand, and sometimes must be read, is worked with: without a promise when it is at hand.

export const isPromise = <Value>(value: Value | Promise<Value>): value is Promise<Value> => value instanceof Promise

/** Waits on both only if one is not at hand. */
export const both = <One, Other, Result>(
  one: One | Promise<One>,
  other: Other | Promise<Other>,
  then: (one: One, other: Other) => Result | Promise<Result>,
): Result | Promise<Result> =>
  isPromise(one) || isPromise(other)
    ? Promise.all([one, other]).then(([first, second]) => then(first, second))
    : then(one, other)
