// Owns sending a code by text message through a vendor's HTTP API: one POST whose body is configured.
// The URL is the operator's, never a client's. Values are escaped for JSON, so no code or number can change the body's shape.

import { type CodeMessage, type CodeSender, textOf } from './delivery.ts'

const smsMsMax = 5_000
const defaultBodyTemplate = '{"to":"{{to}}","text":"{{text}}"}'

interface SmsOptions {
  /** SMS_URL. */
  readonly url: string
  /** SMS_BODY_TEMPLATE: JSON with the placeholders {{to}}, {{code}}, {{text}} and {{purpose}} inside strings. */
  readonly bodyTemplate?: string
  /** SMS_AUTHORIZATION: value of the Authorization header. */
  readonly authorization?: string
}

const placeholder = /\{\{(to|code|text|purpose)\}\}/g

/** The template with its placeholders filled in, each escaped as the inside of a JSON string. */
export const smsBody = (template: string, message: CodeMessage): string => {
  const values: Readonly<Record<string, string>> = {
    to: message.target,
    code: message.code ?? '',
    text: textOf(message),
    purpose: message.purpose,
  }
  return template.replace(placeholder, (_, key: string) => JSON.stringify(values[key] ?? '').slice(1, -1))
}

export const smsSender = (options: SmsOptions): CodeSender => {
  const template = options.bodyTemplate ?? defaultBodyTemplate
  // A template that is not JSON would fail at every message: better at start.
  JSON.parse(smsBody(template, { channel: 'sms', target: '+10000000000', purpose: 'login', code: '000000' }))
  return {
    send: async message => {
      const response = await fetch(options.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(options.authorization === undefined ? undefined : { authorization: options.authorization }),
        },
        body: smsBody(template, message),
        redirect: 'error',
        signal: AbortSignal.timeout(smsMsMax),
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`the SMS service answered ${response.status}`)
    },
    close: () => undefined,
  }
}
