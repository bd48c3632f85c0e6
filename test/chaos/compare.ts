/** Whether a run that was disturbed did what the undisturbed one did: everything that it leaves behind, row by row. */

import { recordTypes } from '../../src/records/index.js'
import type { RecordTypeName } from '../../src/records/types.js'

/** Whoever sees all tables of all tenants. */
export interface Oracle {
  rows<R extends object>(sql: string, params?: readonly unknown[]): Promise<R[]>
}

export interface Subject {
  readonly tenantId: string
  readonly runId: string
}

/** Of two different rows so many are shown. */
const SAMPLES = 3

/** Columns that hold ids or times: they differ from run to run. */
const OWN = ['id', 'tenant_id', 'created_at', 'updated_at', 'created_run_id', 'custom_fields']

/** What the outside world calls a record, whatever its id is here. */
const NAMES: Readonly<Record<RecordTypeName, string>> = {
  contact: `coalesce(x.external_id, x.email)`,
  lead: `coalesce(x.external_id, x.email)`,
  property: `coalesce(x.external_id, x.listing_id)`,
  activity: `x.external_id`,
}

function name(type: RecordTypeName, id: string, tenant = '$1'): string {
  return `(select ${NAMES[type]} from ${type} x where x.tenant_id = ${tenant} and x.id = ${id})`
}

function references(type: RecordTypeName): { column: string; to: RecordTypeName }[] {
  return recordTypes[type].fields.flatMap(({ column, reference }) =>
    reference === null || reference.to === 'member' ? [] : [{ column, to: reference.to }],
  )
}

const textArray = (items: readonly string[]) => `array[${items.map((item) => `'${item}'`).join(', ')}]::text[]`

/** What a record says of its making: depends on the order of two runs that share it. */
const MADE = ['made_here', 'created_row']

/** Every record of the tenant, each business column, references by name, with its version and what made it. `$2` is the run. */
function recordsSql(type: RecordTypeName, without: readonly string[] = []): string {
  const links = references(type)
  const named = links.map(({ column, to }) => `'${column}', ${name(to, `r.${column}`)}`)
  return `select ((to_jsonb(r) - ${textArray([...OWN, ...links.map(({ column }) => column)])}
      || jsonb_build_object('deleted_at', r.deleted_at is not null,
           'made_here', r.created_run_id is not distinct from $2::uuid${named.length > 0 ? `, ${named.join(', ')}` : ''})) - ${textArray(without)})::text as row
    from ${type} r where r.tenant_id = $1`
}

/** Before-images, references left to the records' own comparison: their ids are not the same. */
function changesSql(type: RecordTypeName): string {
  const ids = textArray(references(type).map(({ column }) => column))
  return `select jsonb_build_array(${name(type, 'c.record_id')}, c.row_number, c.before - ${ids}, c.after - ${ids},
      (select array_agg(k order by k) from jsonb_object_keys(c.after) k), c.before_version, c.after_version, c.reverted_at is not null)::text as row
    from run_change c where c.tenant_id = $1 and c.run_id = $2`
}

/** Outcomes of the rows that are listed one by one. */
function rowsSql(type: RecordTypeName): string {
  return `select jsonb_build_array(o.row_number, o.outcome, o.source_id, o.byte, ${name(type, 'o.record_id')})::text as row
    from run_row o where o.tenant_id = $1 and o.run_id = $2`
}

/** The others, wherever the borders of the chunks were. */
const rangesSql = `select jsonb_build_array(outcome, range_agg(span order by span)::text, sum(upper(span) - lower(span)), (
      select sum(row_count) from run_range n where n.tenant_id = $1 and n.run_id = $2 and n.outcome = r.outcome))::text as row
    from (select outcome, unnest(rows) as span from run_range where tenant_id = $1 and run_id = $2) r group by outcome`

/** Possible duplicates are searched after the run, and told when that is done: they are no part of what the run leaves. */
const issuesSql = `select (to_jsonb(i) - array['tenant_id', 'run_id'])::text as row from run_issue i
    where i.tenant_id = $1 and i.run_id = $2 and i.code <> 'POSSIBLE_DUPLICATE'`

const conflictsSql = (type: RecordTypeName) => `select (to_jsonb(c) - array['tenant_id', 'run_id', 'record_id']
      || jsonb_build_object('record', ${name(type, 'c.record_id')}))::text as row
    from run_conflict c where c.tenant_id = $1 and c.run_id = $2`

const countersSql = `select jsonb_build_object('status', status, 'reason', status_reason, 'total', total, 'read', rows_read, 'created', created,
      'updated', updated, 'unchanged', unchanged, 'skipped', skipped, 'failed', failed, 'deleted', deleted, 'unprocessed', unprocessed,
      'reverted', reverted, 'kept', kept, 'bytes', bytes_read, 'of', bytes_total)::text as row
    from run where tenant_id = $1 and id = $2`

/** What differs between the two, in words; empty when they are equal. `type` is that of the records that the runs write. */
export async function differences(
  oracle: Oracle,
  type: RecordTypeName,
  expected: Subject,
  found: Subject,
): Promise<string[]> {
  const parts: [string, string][] = [
    [`${type} records`, recordsSql(type)],
    ['before-images', changesSql(type)],
    ['outcomes of rows', rowsSql(type)],
    ['outcomes as ranges', rangesSql],
    ['issues', issuesSql],
    ['conflicts', conflictsSql(type)],
    ['counters', countersSql],
  ]
  const different: string[] = []
  for (const [what, sql] of parts) {
    different.push(...(await compare(oracle, what, sql, expected, found)))
  }
  return different
}

/**
 * The same for runs of one type that happened at once: each row has its issues as ever, and the records come out the same;
 * which of the runs made a record that they share is a matter of turns, so outcomes are equal in their sum only.
 */
export async function jointDifferences(
  oracle: Oracle,
  type: RecordTypeName,
  expected: readonly Subject[],
  found: readonly Subject[],
): Promise<string[]> {
  const different: string[] = []
  for (const [i, subject] of expected.entries()) {
    const other = found[i]
    if (other !== undefined) {
      different.push(...(i > 0 ? [] : await compare(oracle, `${type} records`, recordsSql(type, MADE), subject, other)))
      different.push(...(await compare(oracle, 'issues', issuesSql, subject, other)))
    }
  }
  const sums = async (subjects: readonly Subject[]) =>
    oracle.rows<{ sums: string }>(
      `select jsonb_build_array(sum(total), sum(rows_read), sum(created), sum(updated), sum(unchanged), sum(skipped), sum(failed), sum(deleted), sum(unprocessed))::text as sums
       from run where id = any ($1::uuid[])`,
      [subjects.map(({ runId }) => runId)],
    )
  const [[wanted], [got]] = [await sums(expected), await sums(found)]
  if (wanted?.sums !== got?.sums) {
    different.push(`counters of all runs together: expected ${wanted?.sums}, found ${got?.sums}`)
  }
  return different
}

/** Keeps every record of a tenant as it is now. Answers the name of the table that holds them. */
export async function snapshot(oracle: Oracle, type: RecordTypeName, tenantId: string): Promise<string> {
  const table = `chaos.${type}_${tenantId.replaceAll('-', '')}`
  await oracle.rows(
    `create table ${table} as select * from ${type} where tenant_id = '${tenantId}' and deleted_at is null`,
  )
  return table
}

/** Columns that no undo brings back: they tell how often and when the record was written. */
const TIMES = ['version', 'pristine_version', 'updated_at']

/**
 * How the tenant's live records differ from those kept in `table`, ids included. `edited`: ids of records that a person has
 * changed since; of those that were kept, only `column` may differ.
 */
export async function sinceSnapshot(
  oracle: Oracle,
  type: RecordTypeName,
  tenantId: string,
  table: string,
  edited: readonly string[],
  column: string,
): Promise<string[]> {
  const row = (alias: string) =>
    `((to_jsonb(${alias}) - ${textArray(TIMES)}) - case when ${alias}.id = any ($2::uuid[]) then '${column}' else '' end)::text as row`
  const rows = await oracle.rows<{ side: string; row: string; n: number }>(
    `with a as materialized (select ${row('k')} from ${table} k),
       b as materialized (select ${row('r')} from ${type} r where r.tenant_id = $1 and r.deleted_at is null
         and (r.id <> all ($2::uuid[]) or exists (select from ${table} k where k.id = r.id))),
       missing as (select row from a except all select row from b), extra as (select row from b except all select row from a)
     (select 'missing' as side, row, count(*) over () ::int as n from missing order by row limit ${SAMPLES})
     union all (select 'unexpected' as side, row, count(*) over () ::int as n from extra order by row limit ${SAMPLES})`,
    [tenantId, edited],
  )
  return rows.map(
    ({ side, row: text, n }) => `records as they were before the import: ${n} ${side}, e.g. ${text.slice(0, 600)}`,
  )
}

async function compare(
  oracle: Oracle,
  what: string,
  sql: string,
  expected: Subject,
  found: Subject,
): Promise<string[]> {
  const other = sql.replaceAll('$1', '$3').replaceAll('$2', '$4')
  const rows = await oracle.rows<{ side: string; row: string; n: number }>(
    `with a as materialized (${sql}), b as materialized (${other}),
       missing as (select row from a except all select row from b), extra as (select row from b except all select row from a)
     (select 'missing' as side, row, count(*) over () ::int as n from missing order by row limit ${SAMPLES})
     union all (select 'unexpected' as side, row, count(*) over () ::int as n from extra order by row limit ${SAMPLES})`,
    [expected.tenantId, expected.runId, found.tenantId, found.runId],
  )
  return rows.map(({ side, row, n }) => `${what}: ${n} ${side}, e.g. ${row.slice(0, 600)}`)
}

/** What is wrong with the events of a tenant and its runs, in words. Runs are imports or rollbacks that have ended. */
export async function eventFaults(oracle: Oracle, tenantId: string): Promise<string[]> {
  const faults: string[] = []
  const holes = await oracle.rows<{ fault: string }>(
    `select format('%s events from %s to %s; the tenant''s sequence stands at %s', count(*), min(sequence), max(sequence), s.last) as fault
     from event e join tenant_sequence s using (tenant_id) where tenant_id = $1 group by s.last
     having count(*) <> s.last or min(sequence) <> 1 or max(sequence) <> s.last`,
    [tenantId],
  )
  faults.push(...holes.map(({ fault }) => fault))
  const gaps = await oracle.rows<{ fault: string }>(
    `with settled as (
       select run_id, sequence, (body ->> 'fromRow')::bigint as from_row, (body ->> 'toRow')::bigint as to_row, (body -> 'counts' ->> 'read')::bigint as read
       from event where tenant_id = $1 and type = 'RowsSettled'),
     chained as (select *, lag(to_row) over (partition by run_id order by sequence) as before from settled)
     select format('rows %s to %s of run %s settled after row %s, %s read', from_row, to_row, run_id, before, read) as fault
     from chained where from_row <> coalesce(before + 1, (select min(from_row) from settled s where s.run_id = chained.run_id)) or read <> to_row - from_row + 1
     union all
     select format('run %s: events settle %s rows, the run read %s of %s', r.id, coalesce(sum(s.read), 0), r.rows_read, r.total)
     from run r left join settled s on s.run_id = r.id where r.tenant_id = $1 and r.kind = 'IMPORT'
     group by r.id, r.rows_read, r.total, r.unprocessed having coalesce(sum(s.read), 0) <> r.rows_read or r.rows_read + r.unprocessed <> r.total
     limit 5`,
    [tenantId],
  )
  faults.push(...gaps.map(({ fault }) => fault))
  const sums = await oracle.rows<{ fault: string }>(
    `select format('run %s: the events'' outcomes add up to %s, the run''s are %s', r.id, e.sums, jsonb_build_array(r.created, r.updated, r.unchanged, r.skipped, r.failed, r.deleted)) as fault
     from run r join (
       select run_id, jsonb_build_array(${['created', 'updated', 'unchanged', 'skipped', 'failed', 'deleted']
         .map((outcome) => `coalesce(sum((body -> 'counts' ->> '${outcome}')::bigint), 0)`)
         .join(', ')}) as sums
       from event where tenant_id = $1 and type = 'RowsSettled' group by run_id) e on e.run_id = r.id
     where r.tenant_id = $1 and r.kind = 'IMPORT' and e.sums <> jsonb_build_array(r.created, r.updated, r.unchanged, r.skipped, r.failed, r.deleted)`,
    [tenantId],
  )
  faults.push(...sums.map(({ fault }) => fault))
  const statuses = await oracle.rows<{ fault: string }>(
    `select format('run %s says it went from %s to %s after it was %s', run_id, f, t, before) as fault from (
       select run_id, body ->> 'from' as f, body ->> 'to' as t, lag(body ->> 'to') over (partition by run_id order by sequence) as before
       from event where tenant_id = $1 and type = 'RunStatusChanged') x where f is distinct from before limit 5`,
    [tenantId],
  )
  faults.push(...statuses.map(({ fault }) => fault))
  return faults
}
