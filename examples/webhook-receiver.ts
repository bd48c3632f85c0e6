/**
 * Receives webhooks, checks who sent them, and does each one once. Runs on Node 24 as it is:
 *
 *   export PORTAGE_WEBHOOK_SECRET=whsec_...       # what webhookSave has shown
 *   node examples/webhook-receiver.ts 9000        # behind something that speaks https
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

/** Several secrets with spaces between, while one replaces the other. */
const keys = (process.env.PORTAGE_WEBHOOK_SECRET ?? '')
  .split(' ')
  .filter((secret) => secret.startsWith('whsec_'))
  .map((secret) => Buffer.from(secret.slice('whsec_'.length), 'base64'))
if (keys.length === 0) {
  throw new Error('PORTAGE_WEBHOOK_SECRET is not set')
}

const TOLERANCE_SECONDS = 300
const BODY_BYTES_MAX = 1024 * 1024

function isGenuine(headers: IncomingHttpHeaders, body: string): boolean {
  const id = String(headers['webhook-id'])
  const timestamp = String(headers['webhook-timestamp'])
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) {
    return false
  }
  const signatures = String(headers['webhook-signature'])
    .split(' ')
    .filter((signature) => signature.startsWith('v1,'))
    .map((signature) => Buffer.from(signature.slice('v1,'.length), 'base64'))
  return keys.some((key) => {
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
    return signatures.some((given) => given.length === expected.length && timingSafeEqual(given, expected))
  })
}

/** Ids that were done. A real receiver keeps them in its database, in the transaction of what it does. */
const done = new Set<string>()

interface Message {
  readonly type: string
  readonly data: {
    readonly run?: { readonly id: string; readonly status: string; readonly counts: Readonly<Record<string, number>> }
    readonly records?: readonly { readonly id: string; readonly change: string }[]
  }
}

const server = createServer((request, response) => {
  const answer = (status: number): void => {
    response.writeHead(status).end()
  }
  if (request.method !== 'POST' || Number(request.headers['content-length'] ?? Infinity) > BODY_BYTES_MAX) {
    answer(400)
    return
  }
  text(request).then(
    (body) => {
      if (!isGenuine(request.headers, body)) {
        answer(401)
        return
      }
      const id = String(request.headers['webhook-id'])
      // It may come again: after a broken connection, or because somebody replays it.
      if (!done.has(id)) {
        done.add(id)
        const { type, data } = JSON.parse(body) as Message
        const what =
          data.run === undefined ? `${data.records?.length ?? 0} records` : `${data.run.id} ${data.run.status}`
        console.log(`${type}: ${what}`)
      }
      answer(204)
    },
    () => answer(400),
  )
})
server.listen(Number(process.argv[2] ?? 9000), '127.0.0.1', () => console.log('listening'))
