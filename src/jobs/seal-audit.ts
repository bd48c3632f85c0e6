/** Seals entries of the audit a moment after they were written, and signs how far each chain goes once a day. */
import { type AuditKeys, keepHead, keptHead, sealEntries } from '../access/audit.js'
import { Lane } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import type { Log } from '../log.js'
import { laneOptions } from './context.js'
import { type Loop, startLoop } from './loop.js'

/** How often a worker looks for entries that wait, in milliseconds. */
const LOOK_MS = 1000

/** A head that was kept is followed by the next after so long, in milliseconds. */
const HEAD_MS = 86_400_000

/** Tenants that one look seals; the rest is for the next one. */
const TENANTS_AT_ONCE = 1000

/** Seals all that waits, tenant after tenant, and answers how many entries that were. */
export async function sealWaiting(lane: Lane, keys: AuditKeys, log?: Log, signal?: AbortSignal): Promise<number> {
  const tenants = await lane.session<{ tenant_id: string }>(
    `select distinct p.tenant_id from audit_pending p limit ${TENANTS_AT_ONCE}`,
  )
  let sealed = 0
  let more = tenants.map((tenant) => tenant.tenant_id)
  // In turns: a tenant with a great many entries does not hold up the others.
  while (more.length > 0 && signal?.aborted !== true) {
    const left: string[] = []
    for (const tenantId of more) {
      try {
        const count = await withTenant(lane, tenantId, sealEntries)
        sealed += count
        if (count > 0) {
          left.push(tenantId)
        } else {
          await signDaily(lane, keys, tenantId, log)
        }
      } catch (error) {
        if (lane.broken !== null) {
          throw error
        }
        log?.warn({ tenantId, err: error }, 'entries of the audit could not be sealed and will be tried again')
      }
    }
    more = left
  }
  return sealed
}

/** A head outside the database is what shows that the end of a chain was cut off: the log is such a place. */
async function signDaily(lane: Lane, keys: AuditKeys, tenantId: string, log?: Log): Promise<void> {
  const head = await withTenant(lane, tenantId, async (tx) => {
    const kept = await keptHead(tx)
    const now = new Date()
    return kept !== null && now.getTime() - kept.signedAt.getTime() < HEAD_MS ? null : keepHead(tx, keys, now)
  })
  if (head !== null) {
    log?.info(
      {
        tenantId,
        count: head.sequence,
        headHash: head.hash,
        headKey: head.keyId,
        headSignature: head.signature,
        headSignedAt: head.signedAt.toISOString(),
      },
      'signed the head of the audit',
    )
  }
}

/** Seals until `stopping` or `close`. Opens a connection only when there is something. */
export function startSealer(options: {
  readonly databaseUrl: string
  readonly presence: Lane
  readonly keys: AuditKeys
  readonly log: Log
  readonly stopping: AbortSignal
}): Loop {
  const { databaseUrl, presence, keys, log, stopping } = options
  const look = async (signal: AbortSignal): Promise<void> => {
    const [waiting] = await presence.session('select from audit_pending limit 1')
    if (waiting === undefined) {
      return
    }
    const lane = await Lane.open(laneOptions(databaseUrl, 'portage sealer'))
    try {
      await sealWaiting(lane, keys, log, signal)
    } finally {
      await lane.close()
    }
  }
  return startLoop(
    { everyMs: LOOK_MS, stopping, log, failed: 'the audit could not be sealed; the next look follows' },
    look,
  )
}
