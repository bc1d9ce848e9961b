// Owns cutting a stream of bytes into lines of text, each bounded. Knows nothing of what the lines say.

const newline = 10

export interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/**
 * The lines of a stream of bytes, cut at line feeds only.
 * @param tooLong makes the error for a line beyond that many bytes
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  bytesMax: number,
  tooLong: (line: number) => Error,
): AsyncGenerator<Line, void, void> {
  let parts: Uint8Array[] = []
  let partsBytes = 0
  let number = 1
  const take = (last: Uint8Array): string => {
    const text = Buffer.concat([...parts, last]).toString('utf8')
    parts = []
    partsBytes = 0
    return text
  }
  for await (const chunk of input) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      yield { text: take(chunk.subarray(start, end)), number: number++ }
      start = end + 1
    }
    if (start < chunk.length) parts.push(chunk.subarray(start))
    partsBytes += chunk.length - start
    if (partsBytes > bytesMax) throw tooLong(number)
  }
  if (partsBytes > 0) yield { text: take(new Uint8Array()), number }
}
