/** Makes a database ready: roles, schema, queue and, to start with, the tenant `demo`. */
import { permissions } from './access/permissions.js'
import { ensureTenant } from './access/tenants.js'
import { signToken } from './access/tokens.js'
import type { Config } from './config.js'
import { migrate } from './db/migrate.js'
import { installQueue } from './jobs/job.js'

const DEMO = 'demo'

const DEMO_TOKEN_DAYS = 30

export interface Bootstrapped {
  /** Null in production, and where sign-in tokens come from an outside issuer. */
  readonly demo: { readonly token: string; readonly expiresAt: string } | null
}

/** Idempotent. `url` is that of a user who may create roles. */
export async function bootstrap(config: Config, url: string): Promise<Bootstrapped> {
  await migrate({
    url,
    apiPassword: config.secret.text('database role portage_api'),
    workerPassword: config.secret.text('database role portage_worker'),
  })
  await installQueue(url)
  if (config.production || config.verification.kind !== 'local') {
    return { demo: null }
  }
  const tenantId = await ensureTenant(url, DEMO)
  const expiresIn = DEMO_TOKEN_DAYS * 86_400
  const token = await signToken({ tenantId, actor: DEMO, permissions, expiresIn }, config)
  return { demo: { token, expiresAt: new Date(Date.now() + expiresIn * 1000).toISOString() } }
}
