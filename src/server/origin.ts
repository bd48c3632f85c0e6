/** Where requests come from, for the audit. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Request, Response } from 'express'
import { type AuditCaller, type Deed, type Origin, writeEntry } from '../access/audit.js'
import type { Caller } from '../access/identify.js'
import { withTenant } from '../db/tx.js'
import { AUDIT_REQUEST_ID_CHARS_MAX, AUDIT_USER_AGENT_CHARS_MAX } from '../limits.js'
import { auditName, type Services } from '../resolvers/context.js'
import { refuseBody } from './refuse.js'

const requestIds = new RegExp(`^[\\w.-]{1,${AUDIT_REQUEST_ID_CHARS_MAX}}$`)

/** The origin of a request. An `X-Request-Id` that looks like one is kept; else the request gets an id of ours. */
export function originOf(request: IncomingMessage): Origin {
  const given = request.headers['x-request-id']
  const agent = request.headers['user-agent']?.replaceAll(/\p{C}/gu, '').slice(0, AUDIT_USER_AGENT_CHARS_MAX) ?? null
  return {
    // An IPv4 address on a socket that takes both kinds.
    ip: request.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? null,
    userAgent: agent,
    requestId: typeof given === 'string' && requestIds.test(given) ? given : randomUUID(),
  }
}

/** Writes the entry of something that is no operation of GraphQL. */
export async function writeDeed(
  services: Services,
  tenantId: string,
  who: Pick<AuditCaller, 'actor' | 'key'>,
  request: IncomingMessage,
  deed: Deed,
): Promise<void> {
  await withTenant(services.database, tenantId, (tx) => writeEntry(tx, { ...originOf(request), ...who }, deed))
}

/** Answers an upload of somebody who may not, after its entry: bytes are refused before any operation is known. */
export async function denyUpload(
  services: Services,
  caller: Caller | undefined,
  request: Request,
  response: Response,
  { action, permission }: { readonly action: string; readonly permission: string },
): Promise<void> {
  if (caller !== undefined) {
    const deed = { action, target: null, outcome: 'DENIED', detail: { code: 'FORBIDDEN', permission } } as const
    await writeDeed(services, caller.tenantId, auditName(caller), request, deed).catch((error: unknown) =>
      services.log.error({ err: error }, 'an entry of the audit could not be written'),
    )
  }
  refuseBody(request, response, 403, 'FORBIDDEN', `This needs the permission ${permission}.`, { permission })
}
