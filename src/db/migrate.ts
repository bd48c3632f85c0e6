import { setTimeout as pause } from 'node:timers/promises'
import { Migrator } from '@mikro-orm/migrations'
import { MikroORM } from '@mikro-orm/postgresql'
import pg from 'pg'
import { Migration20261122000001_foundation } from '../../migrations/Migration20261122000001_foundation.js'
import { Migration20261122000002_records } from '../../migrations/Migration20261122000002_records.js'
import { Migration20261122000003_run_files } from '../../migrations/Migration20261122000003_run_files.js'
import { Migration20261122000004_uploads } from '../../migrations/Migration20261122000004_uploads.js'
import { Migration20261122000005_row_files } from '../../migrations/Migration20261122000005_row_files.js'
import { Migration20261122000006_wakeups } from '../../migrations/Migration20261122000006_wakeups.js'
import { Migration20261122000007_run_detection } from '../../migrations/Migration20261122000007_run_detection.js'
import { Migration20261122000008_plans } from '../../migrations/Migration20261122000008_plans.js'
import { Migration20261122000009_custom_fields } from '../../migrations/Migration20261122000009_custom_fields.js'
import { Migration20261122000010_mapping_templates } from '../../migrations/Migration20261122000010_mapping_templates.js'
import { Migration20261122000011_duplicates } from '../../migrations/Migration20261122000011_duplicates.js'
import { Migration20261122000012_upload_claims } from '../../migrations/Migration20261122000012_upload_claims.js'
import { Migration20261122000013_relations } from '../../migrations/Migration20261122000013_relations.js'
import { Migration20261122000014_retries } from '../../migrations/Migration20261122000014_retries.js'
import { Migration20261122000015_exports } from '../../migrations/Migration20261122000015_exports.js'
import { Migration20261122000016_export_templates } from '../../migrations/Migration20261122000016_export_templates.js'
import { Migration20261122000017_bundles } from '../../migrations/Migration20261122000017_bundles.js'
import { Migration20261122000018_integrations } from '../../migrations/Migration20261122000018_integrations.js'
import { Migration20261122000021_migrations } from '../../migrations/Migration20261122000021_migrations.js'
import { Migration20261122000024_erasing_searches } from '../../migrations/Migration20261122000024_erasing_searches.js'
import { Migration20261122000025_migration_schedules } from '../../migrations/Migration20261122000025_migration_schedules.js'
import { Migration20261122000026_audit } from '../../migrations/Migration20261122000026_audit.js'
import { Migration20261122000027_quotas } from '../../migrations/Migration20261122000027_quotas.js'
import { Migration20261122000028_notifications } from '../../migrations/Migration20261122000028_notifications.js'
import { Migration20261122000029_waiting_relations } from '../../migrations/Migration20261122000029_waiting_relations.js'
import { Migration20261122000030_source_base } from '../../migrations/Migration20261122000030_source_base.js'
import { Migration20261122000031_audit_exports } from '../../migrations/Migration20261122000031_audit_exports.js'
import { Migration20261122000032_traces } from '../../migrations/Migration20261122000032_traces.js'
import { Migration20261122000034_reading_problems } from '../../migrations/Migration20261122000034_reading_problems.js'
import { Migration20261123000035_quota_order } from '../../migrations/Migration20261123000035_quota_order.js'
import { FatalError } from '../errors.js'
import { sqlState } from './lane.js'
import { API_ROLE, OWNER_ROLE, WORKER_ROLE } from './roles.js'

const migrations = [
  Migration20261122000001_foundation,
  Migration20261122000002_records,
  Migration20261122000003_run_files,
  Migration20261122000004_uploads,
  Migration20261122000005_row_files,
  Migration20261122000006_wakeups,
  Migration20261122000007_run_detection,
  Migration20261122000008_plans,
  Migration20261122000009_custom_fields,
  Migration20261122000010_mapping_templates,
  Migration20261122000011_duplicates,
  Migration20261122000012_upload_claims,
  Migration20261122000013_relations,
  Migration20261122000014_retries,
  Migration20261122000015_exports,
  Migration20261122000016_export_templates,
  Migration20261122000017_bundles,
  Migration20261122000018_integrations,
  Migration20261122000021_migrations,
  Migration20261122000024_erasing_searches,
  Migration20261122000025_migration_schedules,
  Migration20261122000026_audit,
  Migration20261122000027_quotas,
  Migration20261122000028_notifications,
  Migration20261122000029_waiting_relations,
  Migration20261122000030_source_base,
  Migration20261122000031_audit_exports,
  Migration20261122000032_traces,
  Migration20261122000034_reading_problems,
  Migration20261123000035_quota_order,
]

/** PostgreSQL 18 brought `RETURNING old.*, new.*`, which before-images are taken with. */
const MINIMUM_SERVER_VERSION = 180_000

/**
 * A migration that does not get a lock at once must not stand in the queue for it: whoever comes after would wait behind it. It
 * gives up, and all of it is tried again. Milliseconds.
 */
const LOCK_MS = 2000

/** Between two tries, in milliseconds: those who have waited get their turn. */
const LOCKED_PAUSE_MS = 500

/** Tries before it is left to a person: then something holds a lock for minutes. */
const LOCKED_TRIES = 60

/** Serialises processes that start at once; any constant that nobody else uses. */
const MIGRATION_LOCK = 7_270_431

export interface MigrateOptions {
  /** Connection string of a user who may create roles (or in whose cluster they exist) and owns the database. */
  readonly url: string
  readonly apiPassword: string
  readonly workerPassword: string
  /** Name of the last migration that is carried out; default: the newest. For tests of what a deploy meets. */
  readonly upTo?: string
}

/**
 * Brings a database to the current schema: roles, grants, tables, queue. Idempotent; concurrent callers take turns.
 * Throws FatalError `DATABASE_TOO_OLD` for a server older than PostgreSQL 18.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const client = new pg.Client({ connectionString: options.url, application_name: 'portage migrate' })
  await client.connect()
  try {
    const version = await client.query<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    )
    const found = version.rows[0]?.version ?? 0
    if (found < MINIMUM_SERVER_VERSION) {
      throw new FatalError(
        'DATABASE_TOO_OLD',
        `Portage needs PostgreSQL 18 or newer; the server that DATABASE_URL names is ${Math.floor(found / 10_000)}.${found % 10_000}.`,
      )
    }
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await createRoles(client, options)
    await createSchemas(client)
    await untilUnlocked(() => runMigrations(options.url, options.upTo))
  } finally {
    await client.end()
  }
}

/** Tries again while others hold what a migration wants to change. */
async function untilUnlocked(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await work()
      return
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE || tries === LOCKED_TRIES) {
        throw error
      }
      await pause(LOCKED_PAUSE_MS)
    }
  }
}

const LOCK_NOT_AVAILABLE = '55P03'

async function createRoles(client: pg.Client, options: MigrateOptions): Promise<void> {
  const logins = [
    [API_ROLE, options.apiPassword],
    [WORKER_ROLE, options.workerPassword],
  ] as const
  await createRole(client, OWNER_ROLE, 'nologin nosuperuser nobypassrls')
  for (const [role, password] of logins) {
    await createRole(client, role, 'login nosuperuser nobypassrls noinherit')
    await client.query(`alter role ${role} password ${pg.escapeLiteral(password)}`)
  }
  await client.query(`grant ${OWNER_ROLE} to current_user`)
}

async function createRole(client: pg.Client, role: string, attributes: string): Promise<void> {
  const existing = await client.query('select 1 from pg_roles where rolname = $1', [role])
  if (existing.rowCount === 0) {
    // Two databases of one cluster may be set up at once: roles are the cluster's, the lock above is the database's.
    await client.query(`create role ${role} ${attributes}`).catch((error: unknown) => {
      if (!(error instanceof pg.DatabaseError && (error.code === '42710' || error.code === '23505'))) {
        throw error
      }
    })
  }
}

async function createSchemas(client: pg.Client): Promise<void> {
  const database = await client.query<{ name: string }>('select current_database() as name')
  const name = pg.escapeIdentifier(database.rows[0]?.name ?? '')
  await client.query(`grant create, connect, temporary on database ${name} to ${OWNER_ROLE}`)
  await client.query(`revoke all on database ${name} from public`)
  await client.query(`grant connect on database ${name} to ${API_ROLE}`)
  await client.query(`grant connect, temporary on database ${name} to ${WORKER_ROLE}`)
  await client.query('create schema if not exists portage')
  await client.query(`alter schema portage owner to ${OWNER_ROLE}`)
  await client.query('revoke all on schema public from public')
}

async function runMigrations(url: string, upTo: string | undefined): Promise<void> {
  const orm = await MikroORM.init({
    clientUrl: url,
    entities: [],
    discovery: { warnWhenNoEntities: false },
    extensions: [Migrator],
    schema: 'portage',
    pool: { min: 0, max: 2 },
    driverOptions: {
      application_name: 'portage migrate',
      options: `-c role=${OWNER_ROLE} -c search_path=portage -c timezone=UTC -c lock_timeout=${LOCK_MS}`,
    },
    migrations: {
      tableName: 'migration',
      snapshot: false,
      transactional: true,
      // Each in a transaction of its own: locks of one are not held while the next one works.
      allOrNothing: false,
      silent: true,
      migrationsList: migrations.map((migration) => ({ name: migration.name, class: migration })),
    },
  })
  try {
    await orm.migrator.up(upTo === undefined ? {} : { to: upTo })
  } finally {
    await orm.close(true)
  }
}
