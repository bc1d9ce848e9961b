// Owns the way of a one-time code to the person: which sender serves which channel, and the queue between the request and it.
// A request never waits for a delivery, so that its answer and its time are the same whether anything is sent or not.

import type { Logger } from 'pino'
import type { CodePurpose } from '../../domain/code/events.ts'
import { limits } from '../../domain/limits.ts'
import { emailSender } from './email.ts'
import { logSender } from './log.ts'
import { smsSender } from './sms.ts'

export const channels = ['sms', 'email'] as const
export type Channel = (typeof channels)[number]

/** What is told to the target: a code, that it needs none because it already has an account, or that its account changed. */
export interface CodeMessage {
  readonly channel: Channel
  /** A phone number in E.164, or an e-mail address. */
  readonly target: string
  /** `changed`: what the account signs in by is another. */
  readonly purpose: CodePurpose | 'changed'
  /** Null: somebody wanted to register with a target that has an account, or to bind it to another; or it is no code at all. */
  readonly code: string | null
}

/** The port: one way out. Rejects when the message was not taken. */
export interface CodeSender {
  send(message: CodeMessage): Promise<void>
  close(): void
}

export interface CodeDelivery {
  /** Whether this server can send there at all. */
  readonly serves: (channel: Channel) => boolean
  /** Takes the message and returns at once. */
  deliver(message: CodeMessage): void
  /** Resolves when everything taken was sent or given up. */
  settled(): Promise<void>
  close(): Promise<void>
}

export interface CodeDeliveryOptions {
  readonly smtpUrl?: string | undefined
  readonly mailFrom?: string | undefined
  readonly smsUrl?: string | undefined
  readonly smsBodyTemplate?: string | undefined
  readonly smsAuthorization?: string | undefined
  /** In production a channel without a sender is off; elsewhere its codes are printed in the log. */
  readonly production: boolean
  readonly logger: Logger
}

/** Messages waiting for a sender; beyond it they are dropped with a line in the log. */
export const deliveriesWaitingMax = 1_000
/** Messages on their way at once. */
const deliveriesAtOnceMax = 4
const deliveryTriesMax = 2

/** What the message is about, for senders that have a place for it. */
export const subjectOf = ({ purpose, code }: CodeMessage): string => {
  if (purpose === 'changed') return 'Your account was changed'
  return code === null ? 'You already have an account' : 'Your code'
}

/** What the message says, without markup. */
export const textOf = ({ purpose, code }: CodeMessage): string => {
  if (purpose === 'changed') {
    return 'A phone number, e-mail address or user name that your account signs in by was changed. If that was not you, set a new password and change it back.'
  }
  return code === null
    ? 'Somebody tried to register with this address or to add it to another account, but it already belongs to an account of yours. Sign in, or reset your password.'
    : `Your code is ${code}. It is valid for ${limits.codeLifeSeconds / 60} minutes. Never tell it to anybody.`
}

/** Which sender serves each channel, by configuration. */
export const codeSendersOf = (options: CodeDeliveryOptions): Partial<Record<Channel, CodeSender>> => {
  const printed = options.production ? undefined : logSender(options.logger)
  const { smtpUrl, smsUrl, smsBodyTemplate } = options
  const email =
    smtpUrl === undefined
      ? printed
      : emailSender({ smtpUrl, from: options.mailFrom ?? 'Ledgerline <no-reply@localhost>' })
  const sms =
    smsUrl === undefined
      ? printed
      : smsSender({
          url: smsUrl,
          ...(smsBodyTemplate === undefined ? undefined : { bodyTemplate: smsBodyTemplate }),
          ...(options.smsAuthorization === undefined ? undefined : { authorization: options.smsAuthorization }),
        })
  return { ...(email && { email }), ...(sms && { sms }) }
}

/** Starts the queue in front of the senders. */
export const createCodeDelivery = (senders: Partial<Record<Channel, CodeSender>>, logger: Logger): CodeDelivery => {
  const waiting: CodeMessage[] = []
  const settledListeners: (() => void)[] = []
  let underWay = 0

  const sendOne = async (message: CodeMessage) => {
    const sender = senders[message.channel]
    if (sender === undefined) return
    for (let tries = 1; ; tries++) {
      try {
        return await sender.send(message)
      } catch (error) {
        // Neither target nor code may stand in the log.
        if (tries >= deliveryTriesMax) {
          logger.error({ channel: message.channel, reason: reasonOf(error) }, 'a code could not be delivered')
          return
        }
      }
    }
  }

  const work = () => {
    while (underWay < deliveriesAtOnceMax) {
      const message = waiting.shift()
      if (message === undefined) break
      underWay++
      sendOne(message)
        .catch(() => undefined)
        .finally(() => {
          underWay--
          work()
        })
    }
    if (underWay === 0 && waiting.length === 0) for (const settle of settledListeners.splice(0)) settle()
  }

  const settled = () =>
    new Promise<void>(resolve => {
      settledListeners.push(resolve)
      work()
    })

  return {
    serves: channel => senders[channel] !== undefined,
    deliver: message => {
      if (waiting.length >= deliveriesWaitingMax) {
        logger.error({ channel: message.channel }, 'a code was dropped: too many are waiting to be delivered')
        return
      }
      waiting.push(message)
      // After the reply is on its way.
      setImmediate(work)
    },
    settled,
    close: async () => {
      await settled()
      for (const sender of new Set(Object.values(senders))) sender.close()
    },
  }
}

const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
