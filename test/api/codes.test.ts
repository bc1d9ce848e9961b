// Owns the tests of code delivery: by mail through a real SMTP server, by an SMS service over HTTP, printed, dropped.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { SMTPServer } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type CodeMessage,
  codeSendersOf,
  createCodeDelivery,
  deliveriesWaitingMax,
  textOf,
} from '../../api/codes/delivery.ts'
import { smsBody } from '../../api/codes/sms.ts'

const logged: string[] = []
const logger = pino({ level: 'trace' }, { write: line => logged.push(line) })
const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  logged.length = 0
  for (const close of closing.splice(0)) await close()
})

const mail: CodeMessage = { channel: 'email', target: 'ada@example.org', purpose: 'login', code: '012345' }
const sms: CodeMessage = { channel: 'sms', target: '+4915123456789', purpose: 'login', code: '012345' }

const smtpServer = async () => {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _session, done) => {
      let mail = ''
      stream.on('data', chunk => (mail += chunk))
      stream.on('end', () => {
        mails.push(mail)
        done()
      })
    },
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  return { mails, url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}` }
}

const smsService = async (status = 200, headers: Record<string, string> = {}) => {
  const requests: { body: string; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => (body += chunk))
    request.on('end', () => {
      requests.push({ body, authorization: request.headers.authorization })
      response.writeHead(status, headers).end('{}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/send` }
}

const production = { production: true, logger }

describe('codes', () => {
  it('go out by e-mail', async () => {
    const { mails, url } = await smtpServer()
    const delivery = createCodeDelivery(
      codeSendersOf({ ...production, smtpUrl: url, mailFrom: 'App <app@example.org>' }),
      logger,
    )
    delivery.deliver(mail)
    delivery.deliver({ ...mail, code: null })
    delivery.deliver({ ...mail, purpose: 'changed', code: null })
    await delivery.close()
    expect(mails).toHaveLength(3)
    expect(mails[0]).toMatch(/^From: App <app@example.org>/m)
    expect(mails[0]).toMatch(/^To: ada@example.org/m)
    expect(mails[0]).toContain('012345')
    expect(mails[1]).not.toMatch(/\b\d{6}\b/)
    expect(mails[1]).toContain('already have an account')
    expect(mails[2]).toContain('was changed')
    expect(logged).toEqual([])
  })

  it('go out by text message, with the configured body and authorization', async () => {
    const { requests, url } = await smsService()
    const senders = codeSendersOf({
      ...production,
      smsUrl: url,
      smsBodyTemplate: '{"messages":[{"destination":"{{to}}","params":{"code":"{{code}}"}}]}',
      smsAuthorization: 'App secret',
    })
    const delivery = createCodeDelivery(senders, logger)
    delivery.deliver(sms)
    await delivery.close()
    expect(requests).toEqual([
      {
        body: '{"messages":[{"destination":"+4915123456789","params":{"code":"012345"}}]}',
        authorization: 'App secret',
      },
    ])
  })

  it('cannot change the shape of the body they stand in', () => {
    const evil = { ...sms, target: '","to":"eve' }
    expect(JSON.parse(smsBody('{"to":"{{to}}"}', evil))).toEqual({ to: '","to":"eve' })
    expect(JSON.parse(smsBody('{"text":"{{text}}"}', { ...sms, code: '$&' }))).toEqual({
      text: textOf({ ...sms, code: '$&' }),
    })
  })

  it('are not sent on to where a service redirects', async () => {
    const target = await smsService()
    const redirecting = await smsService(307, { location: target.url })
    const delivery = createCodeDelivery(codeSendersOf({ ...production, smsUrl: redirecting.url }), logger)
    delivery.deliver(sms)
    await delivery.close()
    expect(target.requests).toEqual([])
    expect(redirecting.requests.length).toBeGreaterThan(0)
  })

  it('that cannot be delivered are told of without the code or the target', async () => {
    const { url } = await smsService(500)
    const delivery = createCodeDelivery(codeSendersOf({ ...production, smsUrl: url }), logger)
    delivery.deliver(sms)
    await delivery.close()
    expect(logged).toHaveLength(1)
    expect(logged.join()).not.toMatch(/012345|4915123456789/)
  })

  it('are printed in the log where nothing is configured, but never in production', async () => {
    const printing = createCodeDelivery(codeSendersOf({ production: false, logger }), logger)
    expect([printing.serves('sms'), printing.serves('email')]).toEqual([true, true])
    printing.deliver(mail)
    await printing.close()
    expect(logged.join()).toContain('012345')
    const silent = createCodeDelivery(codeSendersOf(production), logger)
    expect([silent.serves('sms'), silent.serves('email')]).toEqual([false, false])
  })

  it('wait in a bounded queue, and the request never waits for them', async () => {
    let release = () => {}
    const held = new Promise<void>(resolve => (release = resolve))
    let sent = 0
    const sender = {
      send: async () => {
        await held
        sent++
      },
      close: () => undefined,
    }
    const delivery = createCodeDelivery({ email: sender }, logger)
    for (let index = 0; index < deliveriesWaitingMax + 5; index++) delivery.deliver(mail)
    expect(sent).toBe(0)
    expect(logged).toHaveLength(5)
    release()
    await delivery.settled()
    expect(sent).toBe(deliveriesWaitingMax)
  })

  it('need a template that is JSON, known at start', () => {
    expect(() => codeSendersOf({ ...production, smsUrl: 'http://127.0.0.1/', smsBodyTemplate: 'to={{to}}' })).toThrow()
  })
})
