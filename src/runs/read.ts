/** Reading runs: rows of `run` as the API shows them, and the lists that belong to one. */

import type { Permission } from '../access/permissions.js'
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'
import { defaultImportOptions } from './imports.js'
import { actionsByStatus, type RunAction, type RunStatus } from './status.js'
import type {
  Counts,
  ExportSpec,
  FieldChangeView,
  ImportRowView,
  IssueGroupView,
  MigrationStage,
  OnRollbackConflict,
  Page,
  PageRequest,
  PendingRelationView,
  PlanCounts,
  Progress,
  RelatedView,
  RollbackConflictView,
  RollbackRunRow,
  RowIssueView,
  RowOutcome,
  RunKind,
  RunRow,
  StatusReason,
  VerificationReport,
} from './types.js'

/** Other imports of the family of the run `r`. */
const relatives = 'c.tenant_id = r.tenant_id and c.root_run_id = coalesce(r.root_run_id, r.id) and c.id <> r.id'

/** Rows of the run `r` that the retry `c` has applied: what those wrote is for its own rollback to undo. */
const closedBy = `x.tenant_id = r.tenant_id and x.closed_by = c.id and x.run_id = r.id and x.outcome in ('CREATED', 'UPDATED', 'DELETED')`

const columns = `r.id, r.kind, r.status, r.status_reason, r.created_by, r.created_at, r.started_at, r.finished_at, r.record_type,
  r.source_file_id, r.source_options, r.mapping, r.mapping_conflicts, r.unmapped_required, r.evidence, r.options, r.confirmation,
  r.parent_run_id, r.plan_hash, r.plan_counts, r.planned_at, r.of_run_id, r.on_conflict, r.chunks::float8 as chunks, r.attempts, r.queued_ms::float8 as queued_ms,
  r.running_ms::float8 as running_ms, r.peak_rss_bytes::float8 as peak_rss_bytes, r.stage_ms, run_counts(r) as counts, run_progress(r) as progress,
  exists (select from run c where c.tenant_id = r.tenant_id and c.root_run_id = coalesce(r.root_run_id, r.id) and c.finished_at is null) as retrying,
  (r.created + r.updated + r.deleted > case when r.closings = 0 then 0 else (select count(*) from run c join run_row x on ${closedBy}
       where ${relatives}) end
     or exists (select from run_related d where d.tenant_id = r.tenant_id and d.run_id = r.id))
   and not (r.closings > 0 and exists (select from run c where ${relatives} and c.status not in ('ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS')
     and exists (select from run_row x where ${closedBy}))) as reversible,
  coalesce((select f.status not in ('ROLLING_BACK', 'ROLLED_BACK', 'ROLLED_BACK_WITH_CONFLICTS') from run f
    where f.tenant_id = r.tenant_id and f.id = r.root_run_id), true) as root_stands,
  e.spec, e.snapshot_at, e.template_id, b.record_types as bundle_types, b.bundle_id, b.snapshot_at as bundle_snapshot_at,
  m.integration_id, m.stage, m.verification, m.schedule, m.time_zone, m.next_due_at, m.schedule_disabled, a.from_at, a.to_at`

const source = `run r left join run_export e on e.tenant_id = r.tenant_id and e.run_id = r.id
  left join run_bundle b on b.tenant_id = r.tenant_id and b.run_id = r.id
  left join run_migration m on m.tenant_id = r.tenant_id and m.run_id = r.id
  left join run_audit_export a on a.tenant_id = r.tenant_id and a.run_id = r.id`

interface Stored {
  readonly id: string
  readonly kind: RunKind
  readonly status: RunStatus
  readonly status_reason: StatusReason | null
  readonly spec: ExportSpec | null
  readonly snapshot_at: Date | null
  readonly template_id: string | null
  readonly bundle_types: RecordTypeName[] | null
  readonly bundle_id: string | null
  readonly bundle_snapshot_at: Date | null
  readonly integration_id: string | null
  readonly stage: MigrationStage | null
  readonly verification: VerificationReport | null
  readonly schedule: string | null
  readonly time_zone: string | null
  readonly next_due_at: Date | null
  readonly schedule_disabled: StatusReason | null
  readonly from_at: Date | null
  readonly to_at: Date | null
  readonly created_by: string
  readonly created_at: Date
  readonly started_at: Date | null
  readonly finished_at: Date | null
  readonly record_type: RecordTypeName | null
  readonly source_file_id: string | null
  readonly source_options: SourceOptions | null
  readonly mapping: ColumnMapping[] | null
  readonly mapping_conflicts: MappingConflict[] | null
  readonly unmapped_required: string[] | null
  readonly evidence: ColumnEvidence[] | null
  readonly options: ImportOptions | null
  readonly confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS' | null
  readonly parent_run_id: string | null
  readonly retrying: boolean
  readonly reversible: boolean
  readonly root_stands: boolean
  readonly plan_hash: string | null
  readonly plan_counts: PlanCounts | null
  readonly planned_at: Date | null
  readonly of_run_id: string | null
  readonly on_conflict: OnRollbackConflict | null
  readonly chunks: number
  readonly attempts: number
  readonly queued_ms: number
  readonly running_ms: number
  readonly peak_rss_bytes: number | null
  readonly stage_ms: Record<string, number>
  readonly counts: Counts
  readonly progress: Progress
}

function toRun(tenantId: string, row: Stored): RunRow {
  const base = {
    tenantId,
    id: row.id,
    status: row.status,
    statusReason: row.status_reason,
    counts: row.counts,
    progress: row.progress,
    createdBy: row.created_by,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    chunks: row.chunks,
    attempts: row.attempts,
    queuedMs: row.queued_ms,
    runningMs: row.running_ms,
    peakRssBytes: row.peak_rss_bytes,
    stages: Object.entries(row.stage_ms)
      .map(([stage, ms]) => ({ stage, ms: Math.round(ms) }))
      .toSorted((a, b) => b.ms - a.ms),
  }
  if (row.kind === 'ROLLBACK') {
    return { ...base, kind: 'ROLLBACK', ofRunId: row.of_run_id ?? '', onConflict: row.on_conflict ?? 'KEEP' }
  }
  if (row.kind === 'EXPORT') {
    if (row.record_type === null || row.spec === null) {
      throw new Error(`export ${row.id} lacks what the table requires of it`)
    }
    return {
      ...base,
      kind: 'EXPORT',
      recordType: row.record_type,
      spec: row.spec,
      snapshotAt: row.snapshot_at,
      templateId: row.template_id,
    }
  }
  if (row.kind === 'AUDIT_EXPORT') {
    return { ...base, kind: 'AUDIT_EXPORT', from: row.from_at, to: row.to_at }
  }
  if (row.kind === 'BUNDLE_EXPORT' || row.kind === 'BUNDLE_IMPORT') {
    return {
      ...base,
      kind: row.kind,
      recordTypes: row.bundle_types ?? [],
      sourceFileId: row.source_file_id,
      bundleId: row.bundle_id,
      snapshotAt: row.bundle_snapshot_at,
      reversible: row.reversible,
    }
  }
  if (row.kind === 'MIGRATION') {
    if (row.integration_id === null || row.stage === null) {
      throw new Error(`migration ${row.id} lacks what the table requires of it`)
    }
    const { created, updated, deleted } = row.counts
    return {
      ...base,
      kind: 'MIGRATION',
      integrationId: row.integration_id,
      stage: row.stage,
      verification: row.verification,
      schedule: row.schedule,
      timeZone: row.time_zone,
      nextDueAt: row.next_due_at,
      scheduleDisabled: row.schedule_disabled,
      reversible: created + updated + deleted > 0,
    }
  }
  if (row.record_type === null || row.source_file_id === null || row.options === null) {
    throw new Error(`import ${row.id} lacks what the table requires of it`)
  }
  return {
    ...base,
    kind: 'IMPORT',
    recordType: row.record_type,
    sourceFileId: row.source_file_id,
    sourceOptions: row.source_options,
    mapping: row.mapping ?? [],
    conflicts: row.mapping_conflicts ?? [],
    unmappedRequired: row.unmapped_required ?? [],
    evidence: row.evidence,
    // Options that are younger than the run have their default.
    options: Object.assign({}, defaultImportOptions, row.options),
    confirmation: row.confirmation ?? 'ALWAYS',
    parentRunId: row.parent_run_id,
    retrying: row.retrying,
    reversible: row.reversible,
    rootStands: row.root_stands,
    plan:
      row.plan_hash === null || row.plan_counts === null || row.planned_at === null
        ? null
        : { hash: row.plan_hash, counts: row.plan_counts, createdAt: row.planned_at },
  }
}

/** A run by its id; null if the tenant has none. */
export async function findRun(tx: Tx, id: string): Promise<RunRow | null> {
  const row = await first<Stored>(tx, `select ${columns} from ${source} where r.tenant_id = $1 and r.id = $2`, [
    tx.tenantId,
    id,
  ])
  return row === null ? null : toRun(tx.tenantId, row)
}

/** Runs, newest first; `kinds` and `statuses` null for all. */
export async function listRuns(
  tx: Tx,
  page: PageRequest,
  filter: { readonly kinds: readonly RunKind[] | null; readonly statuses: readonly RunStatus[] | null },
): Promise<Page<RunRow>> {
  const after = page.after === null ? null : decodeUuid(page.after)
  const rows = await tx.query<Stored>(
    `select ${columns} from ${source} where r.tenant_id = $1 and ($2::uuid is null or r.id < $2)
       and ($3::text[] is null or r.kind = any ($3)) and ($4::text[] is null or r.status = any ($4))
     order by r.id desc limit $5`,
    [tx.tenantId, after, filter.kinds, filter.statuses, page.first + 1],
  )
  return toPage(
    rows,
    page,
    (row) => encode(row.id),
    (row) => toRun(tx.tenantId, row),
    null,
  )
}

/** Imports over files with this content, newest first. */
export async function runsOfFile(tx: Tx, sha256: string, limit: number): Promise<RunRow[]> {
  const rows = await tx.query<Stored>(
    `select ${columns} from ${source} join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id
     where r.tenant_id = $1 and f.sha256 = $2 order by r.id desc limit $3`,
    [tx.tenantId, sha256, limit],
  )
  return rows.map((row) => toRun(tx.tenantId, row))
}

/** Runs that were made from this one (a retry of its failed rows), newest first. */
export async function childrenOf(tx: Tx, runId: string): Promise<RunRow[]> {
  const rows = await tx.query<Stored>(
    `select ${columns} from ${source} where r.tenant_id = $1 and r.parent_run_id = $2 order by r.id desc`,
    [tx.tenantId, runId],
  )
  return rows.map((row) => toRun(tx.tenantId, row))
}

/** The imports by which a bundle is taken in, in load order. */
export async function importsOf(tx: Tx, bundleRunId: string): Promise<RunRow[]> {
  const rows = await tx.query<Stored>(
    `select ${columns} from ${source} where r.tenant_id = $1 and r.bundle_run_id = $2 order by r.id`,
    [tx.tenantId, bundleRunId],
  )
  return rows.map((row) => toRun(tx.tenantId, row))
}

/** The newest rollback of an import; null if it was never rolled back. */
export async function rollbackOf(tx: Tx, importId: string): Promise<RollbackRunRow | null> {
  const row = await first<Stored>(
    tx,
    `select ${columns} from ${source} where r.tenant_id = $1 and r.of_run_id = $2 order by r.id desc limit 1`,
    [tx.tenantId, importId],
  )
  const run = row === null ? null : toRun(tx.tenantId, row)
  return run?.kind === 'ROLLBACK' ? run : null
}

const permissionFor: Readonly<Record<RunAction, Permission>> = {
  MAP: 'IMPORT_RUN',
  PLAN: 'IMPORT_RUN',
  CONFIRM: 'IMPORT_RUN',
  PAUSE: 'IMPORT_RUN',
  RESUME: 'IMPORT_RUN',
  CANCEL: 'IMPORT_RUN',
  RETRY_FAILED: 'IMPORT_RUN',
  ROLL_BACK: 'ROLLBACK_RUN',
  DOWNLOAD: 'RECORD_READ',
}

function neededFor(kind: RunKind, action: RunAction): Permission {
  if (kind === 'EXPORT') {
    return 'EXPORT_RUN'
  }
  if (kind === 'AUDIT_EXPORT') {
    return 'AUDIT_READ'
  }
  if ((kind === 'BUNDLE_EXPORT' || kind === 'BUNDLE_IMPORT') && action !== 'ROLL_BACK') {
    return 'BUNDLE_RUN'
  }
  if (kind === 'MIGRATION') {
    return action === 'ROLL_BACK' ? 'ROLLBACK_RUN' : 'MIGRATION_RUN'
  }
  return kind === 'ROLLBACK' && action !== 'DOWNLOAD' ? 'ROLLBACK_RUN' : permissionFor[action]
}

/** What a caller with these permissions may do with the run now. */
export function availableActions(run: RunRow, permissions: ReadonlySet<Permission>): RunAction[] {
  const { failed, unprocessed } = run.counts
  return actionsByStatus[run.status].filter((action) => {
    if (!permissions.has(neededFor(run.kind, action))) {
      return false
    }
    switch (action) {
      case 'ROLL_BACK':
        return run.kind === 'BUNDLE_IMPORT' || run.kind === 'MIGRATION'
          ? run.reversible
          : run.kind === 'IMPORT' && run.reversible && !run.retrying
      case 'MAP':
      case 'PLAN':
      case 'CONFIRM':
        // A migration is mapped, staged and promoted by operations of its own.
        return run.kind === 'IMPORT'
      case 'RETRY_FAILED':
        return run.kind === 'IMPORT' && failed > 0 && run.rootStands && !run.retrying
      case 'DOWNLOAD':
        return run.kind === 'EXPORT' || run.kind === 'BUNDLE_EXPORT' || run.kind === 'AUDIT_EXPORT'
          ? run.status === 'COMPLETED'
          : run.kind === 'MIGRATION'
            ? run.verification !== null
            : run.kind === 'IMPORT' && failed + unprocessed > 0
      default:
        return true
    }
  })
}

/** Where the rows of a run are kept: what was done, and what was planned. */
const kept = {
  // What was wrong with a row that a retry has applied since is no issue any more.
  DONE: { rows: 'run_row', ranges: 'run_range', issues: '(select * from run_issue where closed_by is null)' },
  PLANNED: { rows: 'plan_row', ranges: 'plan_range', issues: 'plan_issue' },
} as const

/** Rows as they were settled, or as the plan of the run has them. */
export type RowsOf = keyof typeof kept

/**
 * Rows of an import in file order. Plain created and unchanged rows stand in ranges and come by number alone; the record
 * of a created one is found by the row that made it.
 */
export async function listRows(
  tx: Tx,
  runId: string,
  page: PageRequest,
  filter: { readonly outcomes: readonly RowOutcome[] | null },
  of: RowsOf = 'DONE',
): Promise<Page<ImportRowView>> {
  const tables = kept[of]
  const run = await first<{ record_type: RecordTypeName | null }>(
    tx,
    'select record_type from run where tenant_id = $1 and id = $2',
    [tx.tenantId, runId],
  )
  if (run?.record_type === null || run === null) {
    throw new Refusal('NOT_FOUND', 'There is no such import.')
  }
  const after = page.after === null ? 0 : decodeNumber(page.after)
  const outcomes = filter.outcomes
  const limit = page.first + 1
  const rows = await tx.query<{
    row_number: number
    outcome: RowOutcome
    record_id: string | null
    source_id: string | null
    byte: number | null
  }>(
    // A range holds a chunk's rows at most, so a page needs no more ranges than it has rows.
    `with listed as (
       select row_number::float8 as row_number, outcome, record_id, source_id, byte::float8 as byte from ${tables.rows}
       where tenant_id = $1 and run_id = $2 and row_number > $3 and ($4::text[] is null or outcome = any ($4))
       order by row_number limit $5),
     ranged as (
       select n::float8 as row_number, g.outcome, null::uuid as record_id, null::text as source_id, null::float8 as byte
       from (select r.outcome, unnest(r.rows * int8multirange(int8range($3 + 1, null))) as span from ${tables.ranges} r
             where r.tenant_id = $1 and r.run_id = $2 and ($4::text[] is null or r.outcome = any ($4)) and upper(r.rows) > $3 + 1
             order by r.from_row limit $5) g
         cross join lateral generate_series(lower(g.span), least(upper(g.span) - 1, lower(g.span) + $5)) as n
       order by n limit $5)
     select * from (select * from listed union all select * from ranged) rows order by row_number limit $5`,
    [tx.tenantId, runId, after, outcomes, limit],
  )
  const numbers = rows.map((row) => row.row_number)
  const created = rows.filter((row) => row.outcome === 'CREATED').map((row) => row.row_number)
  // A planned creation has no record yet.
  const records =
    of === 'PLANNED' ? new Map<number, string>() : await recordsOfRows(tx, run.record_type, runId, created)
  const changes = await changesOfRows(tx, runId, run.record_type, numbers, of)
  const issues = await issuesOfRows(tx, runId, numbers, tables.issues)
  const total = await one<{ n: number }>(
    tx,
    `select ((select count(*) from ${tables.rows} where tenant_id = $1 and run_id = $2 and ($3::text[] is null or outcome = any ($3)))
       + (select coalesce(sum(row_count), 0) from ${tables.ranges} where tenant_id = $1 and run_id = $2 and ($3::text[] is null or outcome = any ($3))))::float8 as n`,
    [tx.tenantId, runId, outcomes],
  )
  return toPage(
    rows,
    page,
    (row) => encode(String(row.row_number)),
    (row) => {
      const change = changes.get(row.row_number)
      return {
        rowNumber: row.row_number,
        outcome: row.outcome,
        recordId: row.record_id ?? change?.recordId ?? records.get(row.row_number) ?? null,
        sourceId: row.source_id,
        byte: row.byte,
        changes: change?.fields ?? [],
        issues: issues.get(row.row_number) ?? [],
      }
    },
    total.n,
  )
}

async function recordsOfRows(
  tx: Tx,
  type: RecordTypeName,
  runId: string,
  rows: readonly number[],
): Promise<Map<number, string>> {
  if (rows.length === 0) {
    return new Map()
  }
  // The table is one of four names that the database's own CHECK admits.
  const found = await tx.query<{ row: number; id: string }>(
    `select created_row::float8 as row, id from ${type} where tenant_id = $1 and created_run_id = $2 and created_row = any ($3::bigint[])`,
    [tx.tenantId, runId, rows],
  )
  return new Map(found.map((record) => [record.row, record.id]))
}

async function changesOfRows(
  tx: Tx,
  runId: string,
  type: RecordTypeName,
  rows: readonly number[],
  of: RowsOf,
): Promise<Map<number, { recordId: string | null; fields: FieldChangeView[] }>> {
  if (rows.length === 0) {
    return new Map()
  }
  const found = await tx.query<{
    row: number
    record_id: string | null
    before: Record<string, unknown>
    after: Record<string, unknown>
  }>(
    `select row_number::float8 as row, record_id, before, after from ${of === 'PLANNED' ? 'plan_row' : 'run_change'}
     where tenant_id = $1 and row_number = any ($3::bigint[]) and after is not null and run_id in (select $2::uuid${
       of === 'PLANNED'
         ? ''
         : ` union select closed_by from run_row where tenant_id = $1 and run_id = $2 and row_number = any ($3::bigint[])`
     })
       ${of === 'PLANNED' ? '' : `and record_type = '${type}'`}`,
    [tx.tenantId, runId, rows],
  )
  return new Map(
    found.map((change) => [
      change.row,
      {
        recordId: change.record_id,
        fields: Object.keys(change.after).map((column) => ({
          field: camel(column),
          before: shown(change.before[column]),
          after: shown(change.after[column]),
        })),
      },
    ]),
  )
}

async function issuesOfRows(
  tx: Tx,
  runId: string,
  rows: readonly number[],
  table: string,
): Promise<Map<number, RowIssueView[]>> {
  const byRow = new Map<number, RowIssueView[]>()
  if (rows.length > 0) {
    const found = await tx.query<StoredIssue>(
      `select ${issueColumns} from ${table} where tenant_id = $1 and run_id = $2 and row_number = any ($3::bigint[]) order by row_number, seq`,
      [tx.tenantId, runId, rows],
    )
    for (const issue of found) {
      byRow.set(issue.row_number, [...(byRow.get(issue.row_number) ?? []), toIssue(issue)])
    }
  }
  return byRow
}

interface StoredIssue {
  readonly row_number: number
  readonly seq: number
  readonly code: string
  readonly severity: 'ERROR' | 'WARNING'
  readonly column_name: string | null
  readonly field: string | null
  readonly value: string | null
  readonly message: string
  readonly suggestion: string | null
}

const issueColumns =
  'row_number::float8 as row_number, seq, code, severity, column_name, field, value, message, suggestion'

function toIssue(issue: StoredIssue): RowIssueView {
  return {
    rowNumber: issue.row_number,
    column: issue.column_name,
    field: issue.field,
    code: issue.code,
    severity: issue.severity,
    value: issue.value,
    message: issue.message,
    suggestion: issue.suggestion,
  }
}

/** Issues of a run by row number; filters null for all. */
export async function listIssues(
  tx: Tx,
  runId: string,
  page: PageRequest,
  filter: { readonly codes: readonly string[] | null; readonly severities: readonly string[] | null },
  of: RowsOf = 'DONE',
): Promise<Page<RowIssueView>> {
  const table = kept[of].issues
  const [row = 0, seq = -1] = page.after === null ? [] : decode(page.after).split('.').map(Number)
  const rows = await tx.query<StoredIssue>(
    `select ${issueColumns} from ${table} where tenant_id = $1 and run_id = $2 and (row_number, seq) > ($3, $4)
       and ($5::text[] is null or code = any ($5)) and ($6::text[] is null or severity = any ($6))
     order by row_number, seq limit $7`,
    [tx.tenantId, runId, row, seq, filter.codes, filter.severities, page.first + 1],
  )
  const total = await one<{ n: number }>(
    tx,
    `select count(*)::float8 as n from ${table} where tenant_id = $1 and run_id = $2
       and ($3::text[] is null or code = any ($3)) and ($4::text[] is null or severity = any ($4))`,
    [tx.tenantId, runId, filter.codes, filter.severities],
  )
  return toPage(rows, page, (issue) => encode(`${issue.row_number}.${issue.seq}`), toIssue, total.n)
}

/** Problems of a run by kind, most frequent first: what a person reads before any single row. At most 200 groups. */
export async function issueGroups(tx: Tx, runId: string, of: RowsOf = 'DONE'): Promise<IssueGroupView[]> {
  const rows = await tx.query<{
    code: string
    column_name: string | null
    field: string | null
    n: number
    first_row: number
    last_row: number
    samples: string[] | null
    message: string
    suggestion: string | null
  }>(
    `select code, column_name, field, count(*)::float8 as n, min(row_number)::float8 as first_row, max(row_number)::float8 as last_row,
       (array_agg(distinct value) filter (where value is not null))[1:5] as samples, (array_agg(message order by row_number, seq))[1] as message,
       mode() within group (order by suggestion) as suggestion
     from ${kept[of].issues} where tenant_id = $1 and run_id = $2
     group by code, column_name, field order by count(*) desc, code, column_name limit 200`,
    [tx.tenantId, runId],
  )
  return rows.map((row) => ({
    code: row.code,
    column: row.column_name,
    field: row.field,
    count: row.n,
    firstRow: row.first_row,
    lastRow: row.last_row,
    sampleValues: row.samples ?? [],
    message: row.message,
    suggestion: row.suggestion,
  }))
}

/** What a rollback kept because it had been changed since, by record and field. */
export async function listConflicts(
  tx: Tx,
  rollbackId: string,
  page: PageRequest,
): Promise<Page<RollbackConflictView>> {
  const [record = '00000000-0000-0000-0000-000000000000', field = ''] =
    page.after === null ? [] : decode(page.after).split(' ')
  const rows = await tx.query<{
    record_type: RecordTypeName
    record_id: string
    field: string
    row_number: number | null
    before: string | null
    imported: string | null
    current: string | null
    message: string
  }>(
    `select record_type, record_id, field, row_number::float8 as row_number, before, imported, current, message from run_conflict
     where tenant_id = $1 and run_id = $2 and (record_id, field) > ($3::uuid, $4) order by record_id, field limit $5`,
    [tx.tenantId, rollbackId, record, page.after === null ? '' : field, page.first + 1],
  )
  const total = await one<{ n: number }>(
    tx,
    'select count(*)::float8 as n from run_conflict where tenant_id = $1 and run_id = $2',
    [tx.tenantId, rollbackId],
  )
  return toPage(
    rows,
    page,
    (row) => encode(`${row.record_id} ${row.field}`),
    (row) => ({
      recordType: row.record_type,
      recordId: row.record_id,
      field: row.field === '' ? null : camel(row.field),
      rowNumber: row.row_number,
      before: row.before,
      imported: row.imported,
      current: row.current,
      message: row.message,
    }),
    total.n,
  )
}

/** Relations of the rows of an import that still wait for their record, in file order. */
export async function listPending(tx: Tx, runId: string, page: PageRequest): Promise<Page<PendingRelationView>> {
  const [row = '0', field = ''] = page.after === null ? [] : decode(page.after).split(' ')
  const rows = await tx.query<{
    row_number: number
    record_type: RecordTypeName
    record_id: string
    field: string
    key: string
    value: string
  }>(
    `select row_number::float8 as row_number, record_type, record_id, field, key, value from pending_relation
     where tenant_id = $1 and run_id = $2 and settled_at is null and (row_number, lower(field)) > ($3::bigint, $4)
     order by row_number, lower(field) limit $5`,
    [tx.tenantId, runId, row, field, page.first + 1],
  )
  const total = await one<{ n: number }>(
    tx,
    'select count(*)::float8 as n from pending_relation where tenant_id = $1 and run_id = $2 and settled_at is null',
    [tx.tenantId, runId],
  )
  return toPage(
    rows,
    page,
    (one) => encode(`${one.row_number} ${one.field.toLowerCase()}`),
    (one) => ({
      rowNumber: one.row_number,
      recordType: one.record_type,
      recordId: one.record_id,
      field: `${one.field}.${one.key}`,
      key: one.value,
    }),
    total.n,
  )
}

/** Records of other types that these rows made or changed, by row; of a plan, as it has them. */
export async function relatedOfRows(
  tx: Tx,
  runId: string,
  rows: readonly number[],
  of: RowsOf,
): Promise<Map<number, RelatedView[]>> {
  const found =
    rows.length === 0
      ? []
      : await tx.query<{
          row: number
          path: string
          record_type: RecordTypeName
          record_id: string | null
          outcome: 'CREATED' | 'UPDATED'
          before: Record<string, unknown> | null
          after: Record<string, unknown> | null
        }>(
          of === 'PLANNED'
            ? `select row_number::float8 as row, path, record_type, record_id, outcome, before, after from plan_related
               where tenant_id = $1 and run_id = $2 and row_number = any ($3::bigint[]) order by row_number, path`
            : `select r.row_number::float8 as row, r.path, r.record_type, r.record_id, r.outcome, c.before, c.after
               from run_related r left join run_change c
                 on c.tenant_id = r.tenant_id and c.run_id = r.run_id and c.record_id = r.record_id and c.row_number = r.row_number
               where r.tenant_id = $1 and r.run_id = $2 and r.row_number = any ($3::bigint[]) order by r.row_number, r.path`,
          [tx.tenantId, runId, rows],
        )
  const byRow = new Map<number, RelatedView[]>()
  for (const { row, record_type, record_id, before, after, ...one } of found) {
    const changes = Object.keys(after ?? {}).map((column) => ({
      field: camel(column),
      before: shown(before?.[column]),
      after: shown(after?.[column]),
    }))
    byRow.set(row, [...(byRow.get(row) ?? []), { ...one, recordType: record_type, recordId: record_id, changes }])
  }
  return byRow
}

/** Numbers and bytes of the failed rows, in file order, for the file that gives them back. */
export async function failedRows(
  tx: Tx,
  runId: string,
  after: number,
  limit: number,
): Promise<{ number: number; byte: number; errors: string }[]> {
  return tx.query(
    `select r.row_number::float8 as number, r.byte::float8 as byte,
       coalesce((select string_agg(case when i.column_name is null then i.message else i.column_name || ': ' || i.message end, ' | ' order by i.seq)
         from run_issue i where i.tenant_id = r.tenant_id and i.run_id = r.run_id and i.row_number = r.row_number and i.severity = 'ERROR'), '') as errors
     from run_row r where r.tenant_id = $1 and r.run_id = $2 and r.outcome = 'FAILED' and r.row_number > $3 order by r.row_number limit $4`,
    [tx.tenantId, runId, after, limit],
  )
}

function toPage<R, T>(
  rows: readonly R[],
  page: PageRequest,
  cursor: (row: R) => string,
  node: (row: R) => T,
  totalCount: number | null,
): Page<T> {
  return {
    items: rows.slice(0, page.first).map((row) => ({ cursor: cursor(row), node: node(row) })),
    hasNext: rows.length > page.first,
    hasPrevious: page.after !== null,
    totalCount,
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64url')

function decode(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!/^[0-9a-z. _-]{1,200}$/.test(text)) {
    throw new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  }
  return text
}

function decodeNumber(cursor: string): number {
  const value = Number(decode(cursor))
  if (!Number.isSafeInteger(value)) {
    throw new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  }
  return value
}

function decodeUuid(cursor: string): string {
  const value = decode(cursor)
  if (!/^[0-9a-f-]{36}$/.test(value)) {
    throw new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  }
  return value
}

function camel(column: string): string {
  return column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** Where each planned row can be read again: the start of the stretch of the file that it stands in. */
export async function plannedPlaces(
  tx: Tx,
  runId: string,
  rows: readonly number[],
): Promise<{ readonly row: number; readonly byte: number; readonly last: number }[]> {
  return tx.query(
    `select c.from_row::float8 as row, c.byte::float8 as byte, max(n)::float8 as last
     from unnest($3::bigint[]) as n join lateral (
       select from_row, byte from plan_chunk where tenant_id = $1 and run_id = $2 and from_row <= n order by from_row desc limit 1) c on true
     group by 1, 2 order by 1`,
    [tx.tenantId, runId, rows],
  )
}

/** A stored value as text: lists as `a; b`, everything else as it reads. */
export function shown(value: unknown): string | null {
  if (value === null || value === undefined) {
    return null
  }
  return Array.isArray(value) ? value.join('; ') : typeof value === 'string' ? value : JSON.stringify(value)
}
