/**
 * The proof of a migration: every row of every file that was read is held against the records as they stand, the numbers
 * against what the service counts, and a random sample is read from the service once more.
 */
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import type { VendorObject, VendorRow } from '../adapters/vendor.js'
import { one, withTenant } from '../db/tx.js'
import { FatalError } from '../errors.js'
import { VERIFICATION_DETAILS_MAX, VERIFICATION_SAMPLE_RECORDS } from '../limits.js'
import { recordTypes } from '../records/index.js'
import { type MigrationObjectRow, migrationPasses } from '../runs/migrations.js'
import type { PlanCounts, VerificationCheck, VerificationReport } from '../runs/types.js'
import { compareImport, type Difference } from './plan-import.js'
import { isMuchGone } from './read-objects.js'
import type { MigrationWork } from './run-migration.js'

/** Null when the worker was asked to stop: the proof is made anew by whoever goes on. */
export async function verifyMigration(work: MigrationWork): Promise<VerificationReport | null> {
  const checks: VerificationCheck[] = []
  for (const object of work.objects) {
    if (work.context.stopping.aborted) {
      return null
    }
    checks.push(...(await verifyObject(work, object)))
  }
  return { passed: checks.every(({ passed }) => passed), checks, createdAt: new Date().toISOString() }
}

interface Child {
  readonly importRunId: string
  readonly sourceFileId: string
  readonly pass: number
  readonly planned: PlanCounts | null
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
}

async function verifyObject(
  work: MigrationWork,
  object: MigrationObjectRow<VendorObject>,
): Promise<VerificationCheck[]> {
  const { context, claim, migration, adapter } = work
  const sourceSystem = `${adapter.system}/${migration.account?.id ?? ''}/${object.object}`
  const children = await childrenOf(work, object.object)
  const checks: VerificationCheck[] = []
  const check = (
    name: string,
    expected: string | number,
    actual: string | number,
    detail: string | null = null,
  ): void => {
    checks.push({
      name,
      object: object.object,
      expected: String(expected),
      actual: String(actual),
      passed: String(expected) === String(actual),
      detail,
    })
  }

  // What staging said against what happened.
  for (const child of children.filter(({ planned }) => planned !== null)) {
    const said = (['created', 'updated', 'unchanged', 'skipped', 'failed'] as const).map((name) => [
      `${name} ${child.planned?.[name] ?? 0}`,
      `${name} ${child[name]}`,
    ])
    check('staging', said.map(([planned]) => planned).join(', '), said.map(([, done]) => done).join(', '))
  }

  // Every row of every file, a record's newest reading alone.
  let rows = 0
  let proven = 0
  let refused = 0
  /** Files that retention has taken: of their rows nothing can be said any more. */
  let lost = 0
  /** Refused, and not read again by a later pass. */
  const differing = new Map<string, { n: number; examples: string[] }>()
  const note = (what: string, { row, sourceId }: Difference): void => {
    const one = differing.get(what) ?? { n: 0, examples: [] }
    one.n += 1
    if (one.examples.length < VERIFICATION_DETAILS_MAX) {
      one.examples.push(sourceId ?? `row ${row}`)
    }
    differing.set(what, one)
  }
  for (const child of children.toReversed()) {
    const failed = await failedRows(work, child.importRunId)
    const later = await readSince(work, object.object, child.pass)
    const comparing = compareImport(
      context,
      { ...claim, runId: child.importRunId, kind: 'IMPORT' },
      work.lost,
      (difference) => {
        if (failed.has(difference.row)) {
          refused += 1
        } else if (difference.sourceId !== null && later.has(difference.sourceId)) {
          proven += 1
        } else if (difference.outcome === 'CREATED') {
          note('missing', difference)
        } else {
          const fields = Object.keys(difference.after)
          for (const field of fields.length === 0 ? [difference.outcome.toLowerCase()] : fields) {
            note(field, difference)
          }
        }
      },
    )
    const sum = await comparing.catch((error: unknown) => {
      if (error instanceof FatalError && error.code === 'FILE_GONE') {
        return null
      }
      throw error
    })
    if (sum === null) {
      lost += 1
      continue
    }
    rows += sum.rows
    proven += sum.unchanged
    refused += sum.unreadable
  }
  check(
    'rows',
    rows - refused,
    proven,
    refused === 0
      ? null
      : `${refused} rows failed when they were imported: they are among the failed rows of the import.`,
  )
  if (lost > 0) {
    check(
      'files',
      0,
      lost,
      'Files that were read have been removed by their retention: their rows cannot be compared again.',
    )
  }
  for (const [what, { n, examples }] of differing) {
    const about = what === 'missing' ? 'missing records' : `field ${what}`
    check(about, 0, n, `For example ${examples.join(', ')}.`)
  }

  // Numbers: of the service, of the file, of the records here. What is gone at the service is looked for where something lacks.
  let looked: Promise<ReadonlySet<string>> | null = null
  const gone = (): Promise<ReadonlySet<string>> => (looked ??= goneSince(work, object))
  const here = await recordsHere(work, object, sourceSystem)
  check('records', here.due, here.known, 'Of the records that were read, those whose rows did not fail.')
  check('orphans', 0, here.orphans, 'Records of this object here that no file of the migration has.')
  if (object.sampleSize === null && object.filter === null && object.descriptor !== null) {
    const counted = await adapter.count(work.api, object.descriptor, work.lost, here.expected)
    if (counted.exact) {
      // Records made or deleted since the window was closed come with the next pass: the service lists the ones, which were not
      // read, and the others not any more.
      const deleted = counted.count < here.expected ? (await gone()).size : 0
      const due = here.expected - deleted
      const made = counted.count > due ? Math.min(await unread(work, object), counted.count - due) : 0
      check('source count', counted.count - made, due, sincePass(made, deleted))
    }
  }
  checks.push(...(await sampleAgain(work, object, gone)))
  return checks
}

/** How many records the service lists that no pass has read. */
async function unread(
  { context, claim, adapter, api, lost }: MigrationWork,
  object: MigrationObjectRow<VendorObject>,
): Promise<number> {
  if (object.descriptor === null) {
    return 0
  }
  let unknown = 0
  for await (const ids of adapter.listIds(api, object.descriptor, lost)) {
    const { n } = await context.control.use((lane) =>
      withTenant(lane, claim.tenantId, (tx) =>
        one<{ n: number }>(
          tx,
          `select count(*)::float8 as n from unnest($4::text[]) as l (id) where not exists (
             select from migration_row r where r.tenant_id = $1 and r.run_id = $2 and r.object = $3 and r.external_id = l.id and not r.deleted)`,
          [tx.tenantId, claim.runId, object.object, ids],
        ),
      ),
    )
    unknown += n
  }
  return unknown
}

/** How many records are newer than the pass, or were deleted since, for people; null for none. */
function sincePass(made: number, deleted: number): string | null {
  const told = [
    ...(made > 0 ? [`${made} records are newer than this pass.`] : []),
    ...(deleted > 0 ? [`${deleted} records were deleted at the source after this pass.`] : []),
  ]
  return told.length === 0 ? null : told.join(' ')
}

/**
 * Records that were read and that the service does not list any more. Empty where so many lack that the sign-in's rights are the
 * more likely reason: then nothing excuses them.
 */
async function goneSince(work: MigrationWork, object: MigrationObjectRow<VendorObject>): Promise<ReadonlySet<string>> {
  const { context, claim, adapter, api, lost } = work
  const gone = new Set<string>()
  if (object.descriptor === null) {
    return gone
  }
  const read = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ external_id: string; deleted: boolean }>(
        `select distinct on (external_id) external_id, deleted from migration_row
         where tenant_id = $1 and run_id = $2 and object = $3 order by external_id, pass desc`,
        [tx.tenantId, claim.runId, object.object],
      ),
    ),
  )
  for (const { external_id, deleted } of read) {
    if (!deleted) {
      gone.add(external_id)
    }
  }
  const known = gone.size
  for await (const page of adapter.listIds(api, object.descriptor, lost)) {
    for (const id of page) {
      gone.delete(id)
    }
  }
  return isMuchGone(gone.size, known) ? new Set() : gone
}

async function childrenOf({ context, claim }: MigrationWork, object: string): Promise<Child[]> {
  return context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<Child>(
        `select p.import_run_id as "importRunId", p.source_file_id as "sourceFileId", p.pass, r.plan_counts as planned,
           r.created::float8 as created, r.updated::float8 as updated, r.unchanged::float8 as unchanged,
           r.skipped::float8 as skipped, r.failed::float8 as failed
         from migration_pass p join run r on r.tenant_id = p.tenant_id and r.id = p.import_run_id
         where p.tenant_id = $1 and p.run_id = $2 and p.object = $3 and p.kind = 'CHANGED'
           and r.status in ('COMPLETED', 'COMPLETED_WITH_ERRORS') order by p.pass`,
        [tx.tenantId, claim.runId, object],
      ),
    ),
  )
}

async function failedRows({ context, claim }: MigrationWork, importId: string): Promise<Set<number>> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ row: number }>(
        `select row_number as row from run_row where tenant_id = $1 and run_id = $2 and outcome in ('FAILED', 'SKIPPED')`,
        [tx.tenantId, importId],
      ),
    ),
  )
  return new Set(rows.map(({ row }) => row))
}

/** Records that a later pass has read again or found gone. */
async function readSince({ context, claim }: MigrationWork, object: string, pass: number): Promise<Set<string>> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ external_id: string }>(
        'select distinct external_id from migration_row where tenant_id = $1 and run_id = $2 and object = $3 and pass > $4',
        [tx.tenantId, claim.runId, object, pass],
      ),
    ),
  )
  return new Set(rows.map(({ external_id }) => external_id))
}

/**
 * In numbers: records that were read and are there still (`expected`), those of them that are here (`known`), those that have
 * to be here because no row of theirs failed (`due`), and records of the object here that were never read (`orphans`).
 */
async function recordsHere(
  { context, claim }: MigrationWork,
  { object, recordType }: MigrationObjectRow,
  sourceSystem: string,
): Promise<{ readonly expected: number; readonly known: number; readonly due: number; readonly orphans: number }> {
  const { table } = recordTypes[recordType]
  return context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{ expected: number; known: number; due: number; orphans: number }>(
        tx,
        `with here as materialized (
           select external_id from ${table} where tenant_id = $1 and source_system = $4 and external_id is not null and deleted_at is null
           union select i.external_id from record_identity i join ${table} r on r.tenant_id = i.tenant_id and r.id = i.record_id and r.deleted_at is null
           where i.tenant_id = $1 and i.record_type = $5 and i.source_system = $4),
         newest as materialized (
           select distinct on (external_id) external_id, deleted from migration_row
           where tenant_id = $1 and run_id = $2 and object = $3 order by external_id, pass desc),
         refused as materialized (
           select x.source_id as external_id from migration_pass p
             join run_row x on x.tenant_id = p.tenant_id and x.run_id = p.import_run_id and x.outcome in ('FAILED', 'SKIPPED')
           where p.tenant_id = $1 and p.run_id = $2 and p.object = $3),
         there as materialized (
           select n.external_id, h.external_id is not null as known,
             exists (select from refused f where f.external_id = n.external_id) as refused
           from newest n left join here h on h.external_id = n.external_id where not n.deleted)
         select count(*)::float8 as expected, (count(*) filter (where known))::float8 as known,
           -- A row can fail before it is known what names its record.
           (count(*) filter (where known) + greatest(0, count(*) filter (where not known and not refused)
             - (select count(*) from refused where external_id is null)))::float8 as due,
           (select count(*) from here h where not exists (select from there t where t.external_id = h.external_id)
             -- Gone at the source, and kept here because somebody changed it.
             and not exists (select from refused f where f.external_id = h.external_id))::float8 as orphans
         from there`,
        [tx.tenantId, claim.runId, object, sourceSystem, recordType],
      ),
    ),
  )
}

/** Reads random records of the newest file from the service once more: what it says now is what was read. */
async function sampleAgain(
  work: MigrationWork,
  object: MigrationObjectRow<VendorObject>,
  goneSincePass: () => Promise<ReadonlySet<string>>,
): Promise<VerificationCheck[]> {
  const { context, claim, adapter, api, lost, migration } = work
  const passes = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const all = await migrationPasses(tx, claim.runId)
      return all.filter(
        (pass) => pass.object === object.object && pass.kind === 'CHANGED' && pass.pass === migration.pass,
      )
    }),
  )
  const pass = passes[0]
  if (pass === undefined || object.descriptor === null) {
    return []
  }
  const { ids, key } = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => ({
      ids: await tx.query<{ external_id: string }>(
        `select external_id from migration_row where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 and not deleted
         order by random() limit $5`,
        [tx.tenantId, claim.runId, object.object, migration.pass, VERIFICATION_SAMPLE_RECORDS],
      ),
      key: await one<{ key: string | null }>(
        tx,
        'select case when purged_at is null then storage_key end as key from source_file where tenant_id = $1 and id = $2',
        [tx.tenantId, pass.sourceFileId],
      ),
    })),
  )
  if (key.key === null) {
    // Retention has taken it, which the check of files says.
    return []
  }
  const wanted = new Set(ids.map(({ external_id }) => external_id))
  const fields = object.descriptor.fields.map(({ name }) => name).filter((name) => !name.startsWith('portage.'))
  const described = new Set(fields)
  const again = new Map(
    (await adapter.read(api, object.descriptor, [...wanted], fields, lost)).map((row) => [row.externalId, row]),
  )
  const differing: string[] = []
  let compared = 0
  for await (const line of createInterface({ input: context.files.read(key.key), crlfDelay: Infinity })) {
    const before: unknown = JSON.parse(line)
    const id = adapter.idOf(object.descriptor, before)
    const now = id === null ? undefined : again.get(id)
    if (id === null || now === undefined || !wanted.has(id)) {
      continue
    }
    if (now.updatedAt !== null && migration.windowUntil !== null && now.updatedAt >= migration.windowUntil) {
      // Changed since: it comes with the next pass.
      wanted.delete(id)
      continue
    }
    compared += 1
    differing.push(...difference(id, before, now, described))
  }
  const lacking = [...wanted].filter((id) => !again.has(id))
  // What the service does not list any more either was deleted since, and comes with the next pass.
  const deleted = lacking.length === 0 ? null : await goneSincePass()
  const gone = lacking.filter((id) => deleted?.has(id) !== true)
  for (const id of lacking) {
    if (!gone.includes(id)) {
      wanted.delete(id)
    }
  }
  return [
    {
      name: 'sample',
      object: object.object,
      expected: `${wanted.size} the same`,
      actual: `${compared - new Set(differing.map((text) => text.split(':')[0])).size} the same`,
      passed: differing.length === 0 && gone.length === 0,
      detail:
        differing.length + gone.length === 0
          ? `${compared} random records were read from the service again, field by field.`
          : [...differing, ...gone.map((id) => `${id}: gone`)].slice(0, VERIFICATION_DETAILS_MAX).join('; '),
    },
  ]
}

/** A value without what says nothing: the first line of a file has a null for every field. */
function stated(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value ?? undefined
  }
  if (Array.isArray(value)) {
    return value.map(stated)
  }
  const members = Object.entries(value)
    .map(([name, member]) => [name, stated(member)] as const)
    .filter(([, member]) => member !== undefined)
  return members.length === 0 ? undefined : Object.fromEntries(members)
}

/**
 * Fields in which a record is not what it was when it was read. Of a member that holds fields, such as HubSpot's `properties`, those
 * count that the service has described: it may answer with others at any time.
 */
function difference(id: string, before: unknown, now: VendorRow, described: ReadonlySet<string>): string[] {
  const was = before as Readonly<Record<string, unknown>>
  return Object.entries(now.data)
    .filter(
      ([name, value]) =>
        name in was && !isDeepStrictEqual(told(name, was[name], described), told(name, value, described)),
    )
    .map(([name]) => `${id}: ${name}`)
}

function told(name: string, value: unknown, described: ReadonlySet<string>): unknown {
  if (described.has(name) || typeof value !== 'object' || value === null || Array.isArray(value)) {
    return stated(value)
  }
  const members = Object.entries(value).filter(([member]) => described.has(`${name}.${member}`))
  // Whatever is not described by its members is described as a whole.
  return stated(members.length === 0 ? value : Object.fromEntries(members))
}
