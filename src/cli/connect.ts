/** Where the API and the database are, and what to sign in with. */
import { permissions } from '../access/permissions.js'
import { signToken } from '../access/tokens.js'
import { type CliSettings, type Config, cliSettings, loadConfig } from '../config.js'
import { embeddedUrl } from '../db/embedded.js'
import { Api, ApiError } from './api.js'
import { UsageError } from './arguments.js'
import type { Io } from './io.js'

const DEMO = 'demo'

/** A token that we make for ourselves is good for so long, and replaced when half of that is over. Seconds. */
const OWN_TOKEN_SECONDS = 3600

/** A client of the API that the options, the environment or this machine name. */
export function connectApi(values: { readonly url?: string; readonly token?: string }, io: Io): Api {
  const settings = cliSettings()
  const url = values.url ?? settings.url
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new UsageError(`"${url}" is not an address of an API, e.g. http://127.0.0.1:4000.`)
  }
  const token = values.token ?? settings.token
  return new Api({
    url: url.replace(/\/graphql\/?$/, ''),
    token: token === null ? demoToken(settings) : async () => token,
    signal: io.signal,
  })
}

/** Makes tokens for the tenant `demo` of this machine, a new one when the last has aged. */
function demoToken(settings: CliSettings): () => Promise<string> {
  let made: { readonly token: string; readonly at: number } | null = null
  return async () => {
    if (made === null || performance.now() - made.at > OWN_TOKEN_SECONDS * 500) {
      made = { token: await signForDemo(settings), at: performance.now() }
    }
    return made.token
  }
}

async function signForDemo(settings: CliSettings): Promise<string> {
  const missing =
    'No sign-in token: set PORTAGE_TOKEN or say --token. `npm run -s portage -- token --help` tells how to make one.'
  if (!settings.hasSecret) {
    throw new ApiError('UNAUTHENTICATED', missing)
  }
  const config = loadConfig()
  const url = ownerUrl(config)
  if (url === null || config.verification.kind !== 'local') {
    throw new ApiError('UNAUTHENTICATED', missing)
  }
  const tenant = await findTenant(url, DEMO).catch((cause: unknown) => {
    throw new ApiError(
      'UNAUTHENTICATED',
      `${missing} (To make one for the tenant "${DEMO}" of this machine, Portage must be running: \`npm start\`.)`,
      {
        cause,
      },
    )
  })
  if (tenant === null) {
    throw new ApiError('UNAUTHENTICATED', missing)
  }
  return signToken({ tenantId: tenant.id, actor: 'portage', permissions, expiresIn: OWN_TOKEN_SECONDS }, config)
}

/** Connection string of whoever may look at all tenants; null where this machine has no database. */
function ownerUrl(config: Config): string | null {
  return config.databaseUrl ?? embeddedUrl(config.dataDir)
}

/** As `ownerUrl`, for commands that cannot do without. Throws ApiError. */
export function neededOwnerUrl(config: Config): string {
  const url = ownerUrl(config)
  if (url === null) {
    throw new ApiError(
      'NO_DATABASE',
      'There is no database here yet. Start Portage once with `npm start`, or set DATABASE_URL.',
    )
  }
  return url
}

/** The tenant of this name or id; null for none. */
export async function findTenant(
  url: string,
  nameOrId: string,
): Promise<{ readonly id: string; readonly name: string } | null> {
  const { listTenants } = await import('../access/tenants.js')
  const tenants = await listTenants(url)
  return (
    tenants.find(({ name }) => name === nameOrId) ?? tenants.find(({ id }) => id === nameOrId.toLowerCase()) ?? null
  )
}
