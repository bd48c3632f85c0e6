/**
 * Erasing a person, by the operator alone: the contact, the leads and activities that are about it, and every value of them that is kept
 * anywhere else. What cannot be told apart goes as a whole: files of the tenant, plans, and what problems of rows quote. The audit stays as it
 * is: it has ids, which lead nowhere any more, and no values.
 */
import { type Operator, withOperator } from '../db/operator.js'
import { Refusal } from '../errors.js'
import { encodeId } from '../ids.js'

/** What has become of a person. */
export interface ErasedPerson {
  /** Records that were deleted for good, by type. */
  readonly records: Readonly<Record<'contact' | 'lead' | 'activity', number>>
  /** Rows that were deleted or emptied, by table. */
  readonly rows: Readonly<Record<string, number>>
  /** Keys of files in the store that are the caller's to delete. */
  readonly files: readonly string[]
}

/** Records to be erased, by type. */
type Ids = Readonly<Record<'contact' | 'lead' | 'activity', readonly string[]>>

/**
 * Erases a person from a tenant, all of it or nothing. Refuses NOT_FOUND for an id that is no contact of the tenant, INVALID_STATE while a run
 * of the tenant has not ended: it may hold what is to be forgotten.
 */
export async function erasePerson(ownerUrl: string, tenantId: string, contactId: string): Promise<ErasedPerson> {
  return withOperator(ownerUrl, async (operator) => {
    await operator.query("select set_config('app.tenant_id', $1, true)", [tenantId])
    // Whoever starts a run shares the row of its tenant: none starts meanwhile.
    await operator.query('select from tenant where id = $1 for update', [tenantId])
    const open = await operator.query('select from run where tenant_id = $1 and finished_at is null limit 1', [
      tenantId,
    ])
    if (open.length > 0) {
      throw new Refusal('INVALID_STATE', 'A run of the tenant has not ended. Wait for it, or cancel it.')
    }
    const ids = await recordsOf(operator, tenantId, contactId)
    if (ids.contact.length === 0) {
      throw new Refusal('NOT_FOUND', 'There is no contact with this id in the tenant.')
    }
    const rows: Record<string, number> = {}
    const count = async (table: string, sql: string, params: readonly unknown[]): Promise<void> => {
      const found = await operator.query(`${sql} returning 1`, params)
      rows[table] = (rows[table] ?? 0) + found.length
    }
    const all = [...ids.contact, ...ids.lead, ...ids.activity]
    const words = await wordsOf(operator, tenantId, ids)
    const files = await forgetFiles(operator, tenantId, count)
    await forgetJournal(tenantId, all, words, count)
    await forgetQuotes(tenantId, words, count)
    const records = { contact: 0, lead: 0, activity: 0 }
    const remove = async (type: keyof Ids): Promise<void> => {
      const gone = await operator.query(
        `delete from ${type} where tenant_id = $1 and id = any ($2::uuid[]) returning 1`,
        [tenantId, ids[type]],
      )
      records[type] = gone.length
    }
    await remove('activity')
    await remove('lead')
    await cutReferences(operator, tenantId, ids)
    await remove('contact')
    await operator.query(
      `insert into audit_entry (tenant_id, actor, action, target, outcome, detail) values ($1, 'operator', 'person.erase', $2, 'OK', $3::jsonb)`,
      [tenantId, encodeId('contact', contactId), JSON.stringify({ files: String(files.length) })],
    )
    return { records, rows: Object.fromEntries(Object.entries(rows).filter(([, n]) => n > 0)), files }
  })
}

/** The contact, those that were merged into it, and what is about them. */
async function recordsOf(operator: Operator, tenantId: string, contactId: string): Promise<Ids> {
  const list = async (sql: string, params: readonly unknown[]): Promise<string[]> =>
    (await operator.query<{ id: string }>(sql, [tenantId, ...params])).map(({ id }) => id)
  const contact = await list(
    `with recursive same (id) as (
       select c.id from contact c where c.tenant_id = $1 and c.id = $2
       union select m.removed_id from duplicate_merge m join same s on s.id = m.survivor_id
         where m.tenant_id = $1 and m.record_type = 'contact' and m.undone_at is null)
     select id from same`,
    [contactId],
  )
  const lead = await list('select id from lead where tenant_id = $1 and contact_id = any ($2::uuid[])', [contact])
  const activity = await list(
    'select id from activity where tenant_id = $1 and (contact_id = any ($2::uuid[]) or lead_id = any ($3::uuid[]))',
    [contact, lead],
  )
  return { contact, lead, activity }
}

/** What names the person: addresses, numbers and ids at other systems. */
async function wordsOf(operator: Operator, tenantId: string, ids: Ids): Promise<string[]> {
  const rows = await operator.query<{ word: string }>(
    `select distinct word from (
       select unnest(array[email, secondary_email, phone, mobile_phone, home_phone, fax, external_id]) as word from contact
         where tenant_id = $1 and id = any ($2::uuid[])
       union all select unnest(array[email, phone, mobile_phone, external_id]) from lead where tenant_id = $1 and id = any ($3::uuid[])
       union all select external_id from activity where tenant_id = $1 and id = any ($4::uuid[])
       union all select external_id from record_identity where tenant_id = $1 and record_id = any ($2::uuid[] || $3::uuid[] || $4::uuid[])) w
     where word <> ''`,
    [tenantId, ids.contact, ids.lead, ids.activity],
  )
  return rows.map(({ word }) => word)
}

type Count = (table: string, sql: string, params: readonly unknown[]) => Promise<void>

/** Every file of the tenant, and what was noted of what is in them: nobody can say in which of them the person is. */
async function forgetFiles(operator: Operator, tenantId: string, count: Count): Promise<string[]> {
  const keys = await operator.query<{ key: string }>(
    `select storage_key as key from source_file where tenant_id = $1 and purged_at is null
     union all select storage_key from run_file where tenant_id = $1
     union all select storage_key from run_bundle_rows where tenant_id = $1
     union all select storage_key from migration_page where tenant_id = $1
     union all select storage_key from upload_part where tenant_id = $1
     union all select storage_key from quarantined_file where tenant_id = $1`,
    [tenantId],
  )
  const samples = `(select coalesce(jsonb_agg(c || '{"samples": [], "topValues": []}'), '[]') from jsonb_array_elements(detection -> 'columns') c)`
  const bare = `case when jsonb_typeof(detection -> 'columns') = 'array' then jsonb_set(detection, '{columns}', ${samples}) else detection end`
  await count(
    'source_file',
    `update source_file set purged_at = coalesce(purged_at, now()), detection = ${bare} where tenant_id = $1`,
    [tenantId],
  )
  await count(
    'run',
    `update run set evidence = null, mapping_conflicts = '[]', detection = ${bare}
     where tenant_id = $1 and (evidence is not null or mapping_conflicts <> '[]' or detection is not null)`,
    [tenantId],
  )
  for (const table of ['run_file', 'run_bundle_rows', 'migration_page', 'upload_part', 'quarantined_file']) {
    await count(table, `delete from ${table} where tenant_id = $1`, [tenantId])
  }
  await count('upload_session', 'delete from upload_session where tenant_id = $1', [tenantId])
  return keys.map(({ key }) => key)
}

/** What is kept about these records beside themselves. */
async function forgetJournal(
  tenantId: string,
  ids: readonly string[],
  words: readonly string[],
  count: Count,
): Promise<void> {
  for (const table of [
    'run_change',
    'run_conflict',
    'run_related',
    'record_block',
    'record_keys',
    'pending_relation_was',
  ]) {
    await count(table, `delete from ${table} where tenant_id = $1 and record_id = any ($2::uuid[])`, [tenantId, ids])
  }
  await count(
    'pending_relation',
    'delete from pending_relation where tenant_id = $1 and (record_id = any ($2::uuid[]) or value = any ($3::text[]))',
    [tenantId, ids, words],
  )
  await count(
    'source_base',
    `delete from source_base b where b.tenant_id = $1 and (b.external_id = any ($3::text[]) or exists (select from record_identity i
       where i.tenant_id = $1 and i.record_id = any ($2::uuid[]) and i.external_id = b.external_id))`,
    [tenantId, ids, words],
  )
  await count('record_identity', 'delete from record_identity where tenant_id = $1 and record_id = any ($2::uuid[])', [
    tenantId,
    ids,
  ])
  const merges =
    'select id from duplicate_merge where tenant_id = $1 and (survivor_id = any ($2::uuid[]) or removed_id = any ($2::uuid[]))'
  await count(
    'duplicate_merge_link',
    `delete from duplicate_merge_link where tenant_id = $1 and (record_id = any ($2::uuid[]) or merge_id in (${merges}))`,
    [tenantId, ids],
  )
  await count('duplicate_merge', `delete from duplicate_merge where tenant_id = $1 and id in (${merges})`, [
    tenantId,
    ids,
  ])
  await count(
    'duplicate_pair',
    'delete from duplicate_pair where tenant_id = $1 and (left_id = any ($2::uuid[]) or right_id = any ($2::uuid[]))',
    [tenantId, ids],
  )
  await count(
    'duplicate_search',
    'delete from duplicate_search where tenant_id = $1 and record_id = any ($2::uuid[])',
    [tenantId, ids],
  )
  await count('migration_row', 'delete from migration_row where tenant_id = $1 and external_id = any ($2::text[])', [
    tenantId,
    words,
  ])
  await count(
    'run_row',
    'update run_row set source_id = null, record_id = null where tenant_id = $1 and record_id = any ($2::uuid[])',
    [tenantId, ids],
  )
}

/** What is quoted of rows: in problems, in events that told of them, in plans, and in what exports were asked for. */
async function forgetQuotes(tenantId: string, words: readonly string[], count: Count): Promise<void> {
  await count(
    'run_issue',
    `update run_issue set value = null, suggestion = null, message = 'What this was about has been erased.' where tenant_id = $1`,
    [tenantId],
  )
  await count('run_row', 'update run_row set source_id = null where tenant_id = $1 and source_id is not null', [
    tenantId,
  ])
  for (const table of ['plan_issue', 'plan_related', 'plan_row', 'plan_range', 'plan_chunk']) {
    await count(table, `delete from ${table} where tenant_id = $1`, [tenantId])
  }
  await count(
    'event',
    `update event set body = jsonb_set(body, '{issues}', '[]') where tenant_id = $1 and jsonb_array_length(coalesce(body -> 'issues', '[]')) > 0`,
    [tenantId],
  )
  await count(
    'run_export',
    `update run_export set spec = jsonb_set(spec, '{filter}', 'null') where tenant_id = $1 and exists (
       select from unnest($2::text[]) w where position(lower(w) in lower(spec ->> 'filter')) > 0)`,
    [tenantId, words],
  )
  await count(
    'export_template',
    `update export_template set filter = null where tenant_id = $1 and exists (
       select from unnest($2::text[]) w where position(lower(w) in lower(filter::text)) > 0)`,
    [tenantId, words],
  )
}

/** Other records stay, and refer to nobody. */
async function cutReferences(operator: Operator, tenantId: string, ids: Ids): Promise<void> {
  const references = await operator.query<{ table: string; column: string; to: 'contact' | 'lead' | 'activity' }>(
    `select c.conrelid::regclass::text as table, a.attname::text as column, c.confrelid::regclass::text as to from pg_constraint c
       cross join lateral unnest(c.conkey) k (number) join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number
     where c.contype = 'f' and c.connamespace = 'portage'::regnamespace and a.attname <> 'tenant_id'
       and c.confrelid in ('contact'::regclass, 'lead'::regclass, 'activity'::regclass)`,
  )
  for (const { table, column, to } of references) {
    await operator.query(`update ${table} set ${column} = null where tenant_id = $1 and ${column} = any ($2::uuid[])`, [
      tenantId,
      ids[to],
    ])
  }
}
