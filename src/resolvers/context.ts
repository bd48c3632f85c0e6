import type { Caller } from '../access/identify.js'
import type { Permission } from '../access/permissions.js'
import type { Scanner } from '../adapters/antivirus/clamd.js'
import type { FileStore } from '../adapters/files/storage.js'
import type { Config } from '../config.js'
import type { Database, PoolTx } from '../db/database.js'
import { withTenant } from '../db/tx.js'
import type { EventFeed } from '../events.js'
import type { Log } from '../log.js'
import type { OpenVendorOf } from '../runs/vendors.js'
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
  readonly log: Log
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
}

/** The context of one operation of `caller`. */
export function createContext(
  services: Services,
  caller: Caller,
  signal: AbortSignal,
  setCallbackCookie: ApiContext['setCallbackCookie'] = null,
): ApiContext {
  return {
    caller,
    services,
    loaders: createLoaders((work) => withTenant(services.database, caller.tenantId, work)),
    signal,
    setCallbackCookie,
  }
}

/** Runs `work` in a transaction of the caller's tenant. */
export function inTenant<R>(context: ApiContext, work: (tx: PoolTx) => Promise<R>): Promise<R> {
  return withTenant(context.services.database, context.caller.tenantId, work)
}

/** Whether the caller may do this; for what is shown in part. */
export function may(context: ApiContext, permission: Permission): boolean {
  return context.caller.permissions.has(permission)
}
