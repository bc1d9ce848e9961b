// Owns how values become COPY's text format, and what of a user's text a database cannot store.
// Hot: a few of these run for every message.

/** Postgres text cannot hold U+0000; JSON text can (escaped), so only bare columns need this. */
export const storableText = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text)

const special = /[\\\t\n\r]/
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** A text as a COPY field. */
export const copyField = (text: string): string =>
  special.test(text) ? text.replace(/[\\\t\n\r]/g, character => escapes[character] as string) : text

/** JSON text as a COPY field: it holds no raw control characters, so only backslashes matter. */
export const copyJsonField = (json: string): string => (json.includes('\\') ? json.replaceAll('\\', '\\\\') : json)
