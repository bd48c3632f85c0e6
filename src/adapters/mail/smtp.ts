/** The only door to nodemailer: one message to one receiver, by the mail server that the operator has set. */
import { createTransport } from 'nodemailer'
import type { Hidden } from '../../hidden.js'
import { MAIL_MS_MAX } from '../../limits.js'

export interface MailMessage {
  /** Without angle brackets. The same at every attempt, so that a server or reader who sees it twice shows it once. */
  readonly messageId: string
  /** The one receiver. Taken as it is, never as a list. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  /** When the fact came about. */
  readonly date: Date
}

/** `refused`: this message will not be taken, now or later. `failed`: perhaps later. */
export type MailOutcome =
  | { readonly kind: 'sent' }
  | { readonly kind: 'refused' | 'failed'; readonly error: 'MAIL_REFUSED' | 'MAIL_SERVER_UNREACHABLE' | 'MAIL_PUT_OFF' }

export interface Mailer {
  send(message: MailMessage): Promise<MailOutcome>
  /** Whether the server answers and takes the sign-in; nothing is sent. */
  check(): Promise<boolean>
  close(): void
}

export interface MailerOptions {
  readonly url: Hidden
  readonly from: { readonly name: string; readonly address: string }
}

const CONNECT_MS = 10_000

/** A mailer with up to two connections, opened when they are needed. */
export function openMailer({ url, from }: MailerOptions): Mailer {
  const server = new URL(url.reveal())
  const secure = server.protocol === 'smtps:'
  const loopback = /^(localhost|127\..*|\[::1\])$/.test(server.hostname)
  const user = decodeURIComponent(server.username)
  const transport = createTransport({
    pool: true,
    maxConnections: 2,
    // A connection that the server has let go of meanwhile would cost the next message an attempt.
    maxMessages: 20,
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port === '' ? (secure ? 465 : 587) : Number(server.port),
    secure,
    // A password never goes over a line that somebody else may read.
    requireTLS: !secure && !loopback && user !== '',
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(server.password) } }),
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: MAIL_MS_MAX,
    // What a message is made of stands in it: nothing is read from files or fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    check: () =>
      transport.verify().then(
        () => true,
        () => false,
      ),
    send: async ({ messageId, to, subject, text, html, date }) => {
      try {
        await transport.sendMail({
          messageId: `<${messageId}>`,
          from,
          to: { name: '', address: to },
          envelope: { from: from.address, to: [to] },
          subject,
          text,
          html,
          date,
          // Out-of-office robots do not answer.
          headers: { 'auto-submitted': 'auto-generated', 'x-auto-response-suppress': 'All' },
        })
        return { kind: 'sent' }
      } catch (error) {
        return outcomeOf(error)
      }
    },
    close: () => transport.close(),
  }
}

/** By the code of the answer: 5xx is for good, except where it is about us and not about the message. */
function outcomeOf(error: unknown): MailOutcome {
  const { responseCode, code } = error as { readonly responseCode?: number; readonly code?: string }
  if (code === 'EENVELOPE' || code === 'EMESSAGE') {
    if (responseCode !== undefined && responseCode >= 400 && responseCode < 500) {
      return { kind: 'failed', error: 'MAIL_PUT_OFF' }
    }
    return { kind: 'refused', error: 'MAIL_REFUSED' }
  }
  return { kind: 'failed', error: responseCode === undefined ? 'MAIL_SERVER_UNREACHABLE' : 'MAIL_PUT_OFF' }
}
