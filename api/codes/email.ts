// Owns sending a code by e-mail over SMTP.

import { createTransport } from 'nodemailer'
import { type CodeSender, subjectOf, textOf } from './delivery.ts'

const smtpMsMax = 10_000

interface EmailOptions {
  /** SMTP_URL, as nodemailer reads it: `smtps://user:password@host:465`. */
  readonly smtpUrl: string
  readonly from: string
}

export const emailSender = ({ smtpUrl, from }: EmailOptions): CodeSender => {
  const transport = createTransport({
    url: smtpUrl,
    pool: true,
    connectionTimeout: smtpMsMax,
    greetingTimeout: smtpMsMax,
    socketTimeout: smtpMsMax,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    send: async message => {
      const to = { name: '', address: message.target }
      await transport.sendMail({ from, to, subject: subjectOf(message), text: textOf(message) })
    },
    close: () => transport.close(),
  }
}
