/** Exports that a tenant keeps, and when they are due. */

import type { Permission } from '../access/permissions.js'
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { EXPORT_TEMPLATES_MAX, NAME_LENGTH_MAX } from '../limits.js'
import type { RecordFilter, RecordOrder, RecordTypeName } from '../records/types.js'
import { checkSchedule, dayIn, nextDue } from './schedule.js'
import type { ExportFormat, StatusReason } from './types.js'

/** A column as it was asked for. */
export interface AskedColumn {
  readonly field: string
  readonly header: string | null
  readonly format: string | null
}

/** What a template asks an export for: what was said, and nothing of what is usual. */
export interface AskedExport {
  readonly recordType: RecordTypeName
  /** With plain UUIDs. */
  readonly filter: RecordFilter | null
  readonly orderBy: readonly RecordOrder[]
  /** Null: all fields, chosen when it runs. */
  readonly columns: readonly AskedColumn[] | null
  readonly format: Partial<ExportFormat>
}

/** Whose exports those of a schedule are: see `access/owner`. */
export interface TemplateOwner {
  readonly actor: string
  readonly keyId: string | null
  readonly permissions: readonly Permission[]
}

export interface ExportTemplateRow extends AskedExport {
  readonly id: string
  readonly name: string
  /** Five fields of cron; null: none. */
  readonly schedule: string | null
  readonly timeZone: string | null
  /** Null: no schedule, or it is disabled. */
  readonly nextRunAt: Date | null
  /** Why the schedule is disabled; null while it is not. */
  readonly disabledReason: StatusReason | null
  readonly owner: TemplateOwner
  readonly createdAt: Date
}

export interface SaveExportTemplate extends AskedExport {
  /** Null for a new template. */
  readonly id: string | null
  readonly name: string
  readonly schedule: string | null
  readonly timeZone: string | null
  readonly owner: TemplateOwner
}

const columns = `id, name, record_type as "recordType", filter, order_by as "orderBy", columns, format, schedule, time_zone as "timeZone",
  next_run_at as "nextRunAt", disabled_reason as "disabledReason", created_at as "createdAt",
  json_build_object('actor', owner, 'keyId', owner_key_id, 'permissions', owner_permissions) as owner`

/** A template by id; null where there is none. */
export function findExportTemplate(tx: Tx, id: string): Promise<ExportTemplateRow | null> {
  return first<ExportTemplateRow>(tx, `select ${columns} from export_template where tenant_id = $1 and id = $2`, [
    tx.tenantId,
    id,
  ])
}

/** All templates, by name. */
export function listExportTemplates(tx: Tx): Promise<ExportTemplateRow[]> {
  return tx.query<ExportTemplateRow>(
    `select ${columns} from export_template where tenant_id = $1 order by lower(name), id`,
    [tx.tenantId],
  )
}

/**
 * Makes a template, or writes one anew; whoever saves it is its owner from then on. Answers its id. Refuses INVALID_INPUT for a
 * name that is taken or none and for a schedule that is none, NOT_FOUND, LIMIT_EXCEEDED.
 */
export async function saveExportTemplate(tx: Tx, input: SaveExportTemplate, now: Date): Promise<string> {
  const name = checkedName(input.name)
  const timeZone = input.timeZone ?? (input.schedule === null ? null : 'UTC')
  const schedule = input.schedule === null ? null : checkSchedule(input.schedule, timeZone ?? 'UTC', now)
  // Members who save at the same time take turns, so that names and numbers hold.
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`export templates ${tx.tenantId}`])
  const before = input.id === null ? null : await findExportTemplate(tx, input.id)
  if (input.id !== null) {
    checkSame(before, input.recordType)
  }
  await checkUnique(tx, name, input.id)
  if (before === null) {
    await checkCount(tx)
  }
  // What is due just now, and has not begun, is not forgotten because somebody changed the columns.
  const kept = before?.schedule === schedule && before.timeZone === timeZone ? before.nextRunAt : null
  const nextRunAt = schedule === null ? null : (kept ?? nextDue(schedule, timeZone ?? 'UTC', now))
  const id = before?.id ?? newId()
  await tx.query(
    `insert into export_template (tenant_id, id, record_type, name, filter, order_by, columns, format, schedule, time_zone, next_run_at,
       owner, owner_key_id, owner_permissions)
     values ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb, $8::jsonb, $9, $10, $11, $12, $13, $14::text[])
     on conflict (tenant_id, id) do update set name = excluded.name, filter = excluded.filter, order_by = excluded.order_by,
       columns = excluded.columns, format = excluded.format, schedule = excluded.schedule, time_zone = excluded.time_zone,
       next_run_at = excluded.next_run_at, disabled_reason = null, owner = excluded.owner, owner_key_id = excluded.owner_key_id,
       owner_permissions = excluded.owner_permissions, updated_at = clock_timestamp()`,
    [
      tx.tenantId,
      id,
      input.recordType,
      name,
      json(input.filter),
      json(input.orderBy),
      json(input.columns),
      json(input.format),
      schedule,
      timeZone,
      nextRunAt,
      input.owner.actor,
      input.owner.keyId,
      [...input.owner.permissions],
    ],
  )
  return id
}

/** Deletes a template, and gives its name free; its exports stay. False if there is none. */
export async function deleteExportTemplate(tx: Tx, id: string): Promise<boolean> {
  const gone = await tx.query('delete from export_template where tenant_id = $1 and id = $2 returning id', [
    tx.tenantId,
    id,
  ])
  return gone.length > 0
}

/** The newest export that was made from each of these templates; templates without one are absent. */
export async function lastRunsOf(tx: Tx, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx.query<{ id: string; run: string }>(
    `select t.id, (select e.run_id from run_export e where e.tenant_id = $1 and e.template_id = t.id order by e.run_id desc limit 1) as run
     from unnest($2::uuid[]) t (id)`,
    [tx.tenantId, ids],
  )
  return new Map(rows.flatMap(({ id, run }) => (run === null ? [] : [[id, run] as const])))
}

/** The template that an export asks for. Refuses NOT_FOUND, and INVALID_INPUT where it is for another record type. */
export async function exportTemplateFor(tx: Tx, id: string, recordType: RecordTypeName): Promise<ExportTemplateRow> {
  const template = await findExportTemplate(tx, id)
  if (template === null) {
    throw new Refusal('NOT_FOUND', 'There is no export template with this id.', ['templateId'])
  }
  if (template.recordType !== recordType) {
    throw new Refusal('INVALID_INPUT', `The template “${template.name}” is for ${template.recordType} records.`, [
      'templateId',
    ])
  }
  return template
}

/** What files of a template are called: its name and the day, where its owner is. */
export function templateFileName({ name, timeZone, format }: ExportTemplateRow, now: Date): string {
  return `${name} ${dayIn(timeZone ?? format.timeZone ?? 'UTC', now)}`
}

/**
 * Takes a template whose time has come, for the caller's transaction; null if another worker has it or had it, or somebody has
 * changed it.
 */
export function takeDue(tx: Tx, id: string, now: Date): Promise<ExportTemplateRow | null> {
  return first<ExportTemplateRow>(
    tx,
    `select ${columns} from export_template where tenant_id = $1 and id = $2 and next_run_at <= $3 for update skip locked`,
    [tx.tenantId, id, now],
  )
}

/** When a template is due next: after now, however many times it has missed. `reason`: it is disabled. */
export async function setNext(
  tx: Tx,
  template: Pick<ExportTemplateRow, 'id' | 'schedule' | 'timeZone'>,
  now: Date,
  reason: StatusReason | null,
): Promise<void> {
  const { schedule, timeZone } = template
  const next = schedule === null || reason !== null ? null : nextDue(schedule, timeZone ?? 'UTC', now)
  await tx.query(
    'update export_template set next_run_at = $3, disabled_reason = $4::jsonb where tenant_id = $1 and id = $2',
    [tx.tenantId, template.id, next, json(reason)],
  )
}

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))

function checkedName(said: string): string {
  const name = said.trim()
  if (name === '' || name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name)) {
    throw new Refusal('INVALID_INPUT', `A name has 1 to ${NAME_LENGTH_MAX} characters, on one line.`, ['name'])
  }
  return name
}

function checkSame(before: ExportTemplateRow | null, recordType: RecordTypeName): void {
  if (before === null) {
    throw new Refusal('NOT_FOUND', 'There is no export template with this id.', ['id'])
  }
  if (before.recordType !== recordType) {
    throw new Refusal('INVALID_INPUT', 'A template stays with its record type. Make a new one for the other.', [
      'recordType',
    ])
  }
}

async function checkUnique(tx: Tx, name: string, id: string | null): Promise<void> {
  const other = await first(
    tx,
    'select id from export_template where tenant_id = $1 and lower(name) = lower($2) and id is distinct from $3::uuid',
    [tx.tenantId, name, id],
  )
  if (other !== null) {
    throw new Refusal('INVALID_INPUT', `There is a template called “${name}” already.`, ['name'])
  }
}

async function checkCount(tx: Tx): Promise<void> {
  const { n } = await one<{ n: number }>(tx, 'select count(*)::float8 as n from export_template where tenant_id = $1', [
    tx.tenantId,
  ])
  if (n >= EXPORT_TEMPLATES_MAX) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `There are ${EXPORT_TEMPLATES_MAX} export templates already: delete one that is not used.`,
    )
  }
}
