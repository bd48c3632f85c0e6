import { setTimeout as delay } from 'node:timers/promises'
import { type AuditCaller, type Deed, type Origin, tellCaller, writeEntry } from '../access/audit.js'
import type { Caller } from '../access/identify.js'
import type { Permission } from '../access/permissions.js'
import type { SpaceOf } from '../access/space.js'
import type { Scanner } from '../adapters/antivirus/clamd.js'
import type { FileStore } from '../adapters/files/storage.js'
import type { Config } from '../config.js'
import type { Database, PoolTx } from '../db/database.js'
import { sqlState } from '../db/lane.js'
import { withTenant } from '../db/tx.js'
import type { QuotaState } from '../errors.js'
import type { EventFeed } from '../events.js'
import { failpoint } from '../failpoints.js'
import { encodeId, parseId } from '../ids.js'
import type { Log } from '../log.js'
import type { OpenVendorOf } from '../runs/vendors.js'
import { currentTrace } from '../tracing.js'
import { createLoaders, type Loaders } from './loaders.js'

/** What an API process has open, the same for every request. */
export interface Services {
  readonly config: Config
  readonly database: Database
  readonly files: FileStore
  /** Null: files are not looked at for viruses. */
  readonly scanner: Scanner | null
  readonly events: EventFeed
  readonly openVendor: OpenVendorOf
  readonly spaceNow: SpaceOf
  readonly log: Log
}

/** What a resolver can do to the HTTP request that it answers, and its answer. */
export interface Exchange {
  /** Counts bytes of the request's upload that are in the store, for what it has reserved. */
  countStored(bytes: number): void
  /** Says in headers which quota something was refused for, and when to come again. */
  tellQuota(quota: QuotaState): void
  /** Takes operations from what the caller may ask for in a minute: null, or the error to answer. */
  meter(operations: number): Promise<Error | null>
}

/** What a resolver gets: who asks, and what to answer with. One per request; on a socket one per operation. */
export interface ApiContext {
  readonly caller: Caller
  readonly services: Services
  readonly loaders: Loaders
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal
  /** Gives the caller's browser a cookie for the page that it comes back to from a CRM; null on sockets. */
  readonly setCallbackCookie: ((name: string, value: string) => void) | null
  readonly origin: Origin
  /** Null on sockets. */
  readonly exchange: Exchange | null
  /** What is being done, where the audit wants to know; see `resolvers/audited`. */
  readonly deed?: DeedUnderWay
}

/** A deed whose entry is to be written in the transaction that does it. */
export interface DeedUnderWay extends Omit<Deed, 'outcome'> {
  /** Whether some transaction of it has taken the entry along. */
  written: boolean
}

/** The context of one operation of `caller`. */
export function createContext(
  services: Services,
  caller: Caller,
  signal: AbortSignal,
  origin: Origin,
  setCallbackCookie: ApiContext['setCallbackCookie'] = null,
  exchange: Exchange | null = null,
): ApiContext {
  return {
    caller,
    services,
    loaders: createLoaders((work) => withTenant(services.database, caller.tenantId, work)),
    signal,
    origin,
    setCallbackCookie,
    exchange,
  }
}

/** Who the audit says it was. */
export function callerOf({ caller, origin }: Pick<ApiContext, 'caller' | 'origin'>): AuditCaller {
  return { ...origin, ...auditName(caller) }
}

/** A caller's name in the audit. */
export function auditName({ actor, identity: { keyId } }: Caller): Pick<AuditCaller, 'actor' | 'key'> {
  return { actor, key: keyId === null ? null : encodeId('apiKey', keyId) }
}

/** Errors of the database after which a transaction may be done again: it stood in another's way, and nothing of it is left. */
const CLASHES: ReadonlySet<string | null> = new Set(['40001', '40P01'])

/** Tries of a transaction that clashes with others. */
const TRIES = 8

/** Before each further try, at most so long times the tries before it. Milliseconds: those that clashed begin apart from each other. */
const APART_MS = 50

/**
 * Runs `work` in a transaction of the caller's tenant, once more where it clashes with others. The first one of a mutation that changes anything takes the entry of the
 * audit along: one cannot be committed without the other.
 */
export async function inTenant<R>(context: ApiContext, work: (tx: PoolTx) => Promise<R>): Promise<R> {
  return unlessClashing(() => tryInTenant(context, work))
}

/** Does a transaction once more where it clashes with others, some times at most. */
export async function unlessClashing<R>(transaction: () => Promise<R>): Promise<R> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await transaction()
    } catch (error) {
      if (tries === TRIES || !CLASHES.has(sqlState(error))) {
        throw error
      }
      await delay(Math.random() * APART_MS * tries)
    }
  }
}

async function tryInTenant<R>(context: ApiContext, work: (tx: PoolTx) => Promise<R>): Promise<R> {
  const { services, caller, deed } = context
  if (deed === undefined) {
    return withTenant(services.database, caller.tenantId, work)
  }
  const auditor = callerOf(context)
  let wrote = false
  try {
    const answer = await withTenant(services.database, caller.tenantId, async (tx) => {
      await tellCaller(tx, auditor, currentTrace())
      const result = await work(tx)
      await tx.em.flush()
      if (!deed.written) {
        // Before the statement: another transaction of the same deed must not write a second one meanwhile.
        deed.written = true
        wrote = true
        wrote = deed.written = await writeEntry(tx, auditor, { ...deedOf(deed, result), outcome: 'OK' }, true)
      }
      await failpoint('request.before-commit', cutting(tx))
      return result
    })
    await failpoint('request.after-commit')
    return answer
  } catch (error) {
    if (wrote) {
      deed.written = false
    }
    throw error
  }
}

/** A connection of the pool can only be cut by the server. */
function cutting(tx: PoolTx): { destroy(): unknown } {
  return { destroy: () => tx.query('select pg_terminate_backend(pg_backend_pid())') }
}

/** Whether the caller may do this; for what is shown in part. */
export function may(context: ApiContext, permission: Permission): boolean {
  return context.caller.permissions.has(permission)
}

/** The deed as far as it is known; what was made is known by what was answered. */
export function deedOf(under: DeedUnderWay, result: unknown = null): Omit<Deed, 'outcome'> {
  return { action: under.action, target: under.target ?? madeIn(result), detail: under.detail }
}

/** The public id of what a mutation answers. */
function madeIn(result: unknown): string | null {
  const own = idOf(result)
  if (own !== null || typeof result !== 'object' || result === null) {
    return own
  }
  return (
    Object.values(result)
      .map(idOf)
      .find((id) => id !== null) ?? null
  )
}

function idOf(value: unknown): string | null {
  const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : null
  return typeof id === 'string' && parseId(id) !== null ? id : null
}
