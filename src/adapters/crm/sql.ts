/**
 * The statements of a chunk, built once per run from the record type's data. Everything is set-based over the staging
 * table; record tables are reached through an index, row by row of the stage, never by a scan (see `laneSettings`).
 */
import type { UniqueRule } from '../../pipeline/types.js'
import { ID_FIELD } from '../../records/index.js'
import type { FieldDefinition } from '../../records/types.js'
import { type GuardSql, guardSql } from './guard.js'
import { fieldNamed, type WritePlan } from './stage.js'

/**
 * Plans of a lane: index nested loops only. The planner knows nothing of a tenant's share of a table, and an un-analysed
 * table under LIMIT invites a sequential scan for every row of the chunk (measured: quadratic). Staging tables carry a
 * primary key, so a nested loop is right for them too.
 */
export const laneSettings =
  "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set jit = off; set temp_buffers = '32MB'"

/** Switches that cannot be turned off again by an import: a blank or `no` in a file does not undo an opt-out. */
const sticky = new Set(['emailOptOut', 'doNotCall'])

/** Rows of some passes over one stretch of the chunk: `$1` tenant, `$2`-`$3` rows, `$4`-`$5` passes; `$6` is the run. */
export const stretch = 's.row_number between $2 and $3 and s.pass between $4 and $5'
export const open = 'not exists (select from verdict v where v.row_number = s.row_number)'

/**
 * "Exactly one record", said so that the planner takes the hits for a handful (each expression counts as 1 in 200): it then
 * starts from them and probes the record table, whatever it believes of that table. Without statistics it starts from the
 * record table and scans the hits for each of its rows (measured: 3 s instead of 60 ms for a chunk of 10,000).
 */
const oneRecord = 'h.n = 1 and h.n + 0 = 1 and h.n - 0 = 1'

/**
 * A value, or another one where it is null. Not coalesce, which the planner takes for something that could leak: behind row-level
 * security a comparison with it serves no index, and the whole table is gone through for each row.
 */
export const otherwise = (value: string, other: string): string =>
  `case when ${value} is null then ${other} else ${value} end`

/** Records looked at for each row whose rule has several fields; an indexed field that more records share is a poor one. */
const NEAR_RECORDS = 100

/**
 * The tenant, where records are looked up. Not as `$1`: the planner would look that value up in the statistics of the table, and
 * takes a tenant that they do not know yet for one without records, for whom every index is as good as another (measured: 25,000
 * rows of a second tenant in 50 s instead of 2 s, for each look-up read all that the tenant had).
 */
export const tenant = '(select $1::uuid)'

export interface ChunkSql {
  /** SQL that is true for staged rows `s` whose record is to be found again: all but those that a rehearsal need not keep. */
  readonly kept: string
  /** The stage's column in which rows name their record by its id; null where no column is mapped to that. */
  readonly namedId: string | null
  /**
   * Of one match rule; `$1`-`$5`. Writes one hit for each row that it finds records for. What can be in the way of a row (a
   * hit of an earlier rule, a verdict) is looked up only where there is any: each look-up costs as much as the rule's own.
   */
  match(rule: number, inTheWay: { readonly hits: boolean; readonly verdicts: boolean }): string
  readonly matchIdentities: string | null
  /**
   * Of rules over several fields: records that an earlier row could turn into a match, as they have the indexed field in
   * common. Selects row, record and `false` ("does not mean it yet"); `$1`-`$2` rows, `$4` tenant.
   */
  readonly near: readonly string[]
  /** Writes link rows for one reference key; `$1`-`$5`. */
  readonly links: readonly { readonly field: string; readonly key: string; readonly sql: string }[]
  /**
   * `$1`-`$3`: counts the rows that name a record by its id or external id and change nothing of it. If these are all, nothing else
   * has to be asked. Null where rows can only be told apart the long way.
   */
  readonly unchanged: string | null
  /**
   * Of each field that has to be unique: rows that would write a value which another record has, as `row_number` and `value`;
   * `$1`-`$5`. Rows that mean several records, and rows that write nothing, are left out.
   */
  readonly unique: readonly { readonly rule: UniqueRule; readonly sql: string }[]
  readonly update: string
  /** Locks the records that `remove` is about, so that nobody is linking to them meanwhile. */
  readonly lockHits: string
  readonly remove: string
  readonly identities: string | null
  /**
   * `clean`: nothing in the stretch matched or was decided, so no look-up is needed. `yielding`: rows whose unique key is
   * taken are left out instead of raising; that costs a look-up per row and unique index, so it is the second try.
   */
  insert(options: { readonly clean: boolean; readonly yielding: boolean }): string
  readonly guard: GuardSql
  /** Rows as they would stand in the table: what its CHECK constraints are tried on when a write has met one. */
  projection(of: 'created' | 'updated'): string
}

/**
 * What the cell of a reference by external id names, as SQL over the cell: an id of the row's own source system or, in an
 * import of a migration, one of the object that the cell tells before it.
 */
export function referenceIdentity(
  plan: Pick<WritePlan, 'referenceBase'>,
  cell: string,
  system: string,
): { readonly system: string; readonly id: string } {
  return plan.referenceBase == null
    ? { system, id: cell }
    : {
        system: `(${text(plan.referenceBase)} || split_part(${cell}, '/', 1))`,
        id: `substr(${cell}, strpos(${cell}, '/') + 1)`,
      }
}

/**
 * `rehearsed`: in a session where shadows stand in for the tables that a chunk writes (see `shadow.ts`). Then nothing real is
 * locked, and the glance at rows that change nothing goes to the real table, past the shadow's own records.
 */
export function chunkSql(plan: WritePlan, rehearsed = false): ChunkSql {
  const type = plan.recordType
  const table = type.table
  const kept = rehearsed ? 'exists (select from recurring x where x.row_number = s.row_number)' : 'true'
  const keyShare = rehearsed ? '' : ' for key share of r'
  const [glanced, inShadow] = rehearsed
    ? [`portage.${table}`, ` and not exists (select from ${table} x where x.tenant_id = $1 and x.id = r.id)`]
    : [table, '']
  const staged = new Map(
    plan.stageColumns.filter((column) => column.role === 'value').map((column) => [column.field, column.name]),
  )
  const built = new Map(
    plan.stageColumns.filter((column) => column.role === 'new').map((column) => [column.field, column.name]),
  )
  /** Where the rows name their record by its id here. */
  const namedId = plan.stageColumns.find((column) => column.role === 'id')?.name ?? null
  const linked = new Set(plan.stageColumns.filter((column) => column.role === 'key').map((column) => column.field))
  const system = staged.has('sourceSystem')
    ? otherwise(`s.${staged.get('sourceSystem')}`, text(plan.sourceSystem))
    : text(plan.sourceSystem)
  const externalId = staged.has('externalId') ? `s.${staged.get('externalId')}` : null

  /** A row that means an existing record is refused or skipped, whatever it says. */
  const changesNothing = plan.onDuplicate !== 'UPDATE' && plan.onDuplicate !== 'FILL_BLANKS'

  const byExternalIdRule = plan.rules.findIndex((rule) => rule.length === 1 && rule[0] === 'externalId')

  /** A record found by another key is not this one if both have an id of the same system and the ids differ. */
  const sameIdentity =
    externalId === null
      ? ''
      : ` and (${externalId} is null or r.external_id is null or r.source_system <> ${system} or r.external_id = ${externalId})`

  const match = (number: number, inTheWay: { readonly hits: boolean; readonly verdicts: boolean }): string => {
    const rule = plan.rules[number] ?? []
    const blocked = `${inTheWay.hits ? 'and not exists (select from hit h where h.row_number = s.row_number)' : ''}
          ${inTheWay.verdicts ? `and ${open}` : ''}`
    if (byId(rule)) {
      return `insert into hit (row_number, record_id, n, rule)
        select s.row_number, m.id, 1, ${number} from stage s cross join lateral (
          select r.id from ${table} r where r.tenant_id = ${tenant} and r.id = s.${namedId} and r.deleted_at is null limit 1) m
        where ${stretch} and s.${namedId} is not null ${blocked}`
    }
    const byExternalId = rule.length === 1 && rule[0] === 'externalId'
    const keys = rule.map((name) => ({
      stored: storedValue(fieldNamed(type, name)),
      staged: `s.${staged.get(name) ?? name}`,
    }))
    const conditions = keys.map((key) => `${key.stored} = ${key.staged}`)
    if (byExternalId) {
      conditions.push(`r.source_system = ${system}`)
    }
    // A row that names what is to be deleted by its id means no other record.
    const unnamed = namedId !== null && plan.operation === 'DELETE' ? ` and s.${namedId} is null` : ''
    const rows = `${stretch} and ${keys.map((key) => `${key.staged} is not null`).join(' and ')}${unnamed}
          ${blocked}`
    if (byExternalId) {
      // The key is unique: there is one record or none.
      return `insert into hit (row_number, record_id, n, rule)
        select s.row_number, m.id, 1, ${number} from stage s cross join lateral (
          select r.id from ${table} r where r.tenant_id = ${tenant} and ${conditions.join(' and ')} and r.deleted_at is null limit 1) m
        where ${rows}`
    }
    // Grouped outside the look-up: a row that matches nothing, and most match nothing, costs the index probe alone.
    return `insert into hit (row_number, record_id, other_id, n, rule)
      select f.row_number, (array_agg(f.id))[1], (array_agg(f.id))[2], count(*), ${number} from (
        select s.row_number, m.id from stage s cross join lateral (
          select r.id from ${table} r
          where r.tenant_id = ${tenant} and ${conditions.join(' and ')} and r.deleted_at is null${sameIdentity}
          limit 2) m
        where ${rows}) f
      group by f.row_number`
  }

  const matchIdentities =
    externalId === null
      ? null
      : `insert into hit (row_number, record_id, n, rule)
      select s.row_number, m.id, 1, ${byExternalIdRule} from stage s cross join lateral (
        select r.id from record_identity i cross join lateral (
          select r.id from ${table} r where r.tenant_id = ${tenant} and r.id = i.record_id and r.deleted_at is null limit 1) r
        where i.tenant_id = ${tenant} and i.record_type = ${text(type.name)} and i.source_system = ${system} and i.external_id = ${externalId}
        limit 1) m
      where ${stretch} and ${externalId} is not null${namedId !== null && plan.operation === 'DELETE' ? ` and s.${namedId} is null` : ''}
        and not exists (select from hit h where h.row_number = s.row_number) and ${open}`

  const near = plan.rules
    .filter((rule) => rule.length > 1)
    .map((rule) => {
      const keys = rule.filter((name) => type.matchable.includes(name) && staged.has(name))
      const equal = keys.map((name) => `r.${fieldNamed(type, name).column} = s.${staged.get(name)}`)
      return `select s.row_number, n.id, false from stage s cross join lateral (
        select r.id from ${table} r where r.tenant_id = (select $4::uuid) and ${equal.join(' and ')} and r.deleted_at is null limit ${NEAR_RECORDS}) n
        where s.row_number between $1 and $2`
    })

  const links = plan.stageColumns
    .filter((column) => column.role === 'key')
    .map((column) => {
      const field = fieldNamed(type, column.field)
      const to = field.reference?.to ?? 'member'
      const key = column.key ?? ''
      return { field: column.field, key, sql: linkSql(field, to, key, `s.${column.name}`) }
    })

  function linkSql(field: FieldDefinition, to: string, key: string, value: string): string {
    const named = referenceIdentity(plan, value, system)
    const conditions =
      to === 'member'
        ? `r.${key} = ${value} and r.active`
        : `r.${snake(key)} = ${value}${key === ID_FIELD ? '::uuid' : ''} and r.deleted_at is null`
    // Locked as the foreign key will lock it anyway, but before it is taken for alive: whoever deletes a record locks it FOR
    // UPDATE first, so a record that is being deleted is waited for and then not found, and plain changes are not waited for.
    const records =
      to === 'member'
        ? `select r.id from member r where r.tenant_id = ${tenant} and ${conditions} limit 2`
        : key !== 'externalId'
          ? `select r.id from ${to} r where r.tenant_id = ${tenant} and ${conditions} limit 2${keyShare}`
          : // A record is known by every identity that it has. The limit keeps the planner from beginning with the record
            // table, all of which it would go through for every row (measured: 60 rows beside 660 records took minutes).
            `select r.id from (
               select i.id from ${to} i where i.tenant_id = ${tenant} and i.${snake(key)} = ${named.id} and i.deleted_at is null and i.source_system = ${named.system}
               union select i.record_id from record_identity i
               where i.tenant_id = ${tenant} and i.record_type = ${text(to)} and i.source_system = ${named.system} and i.external_id = ${named.id}) k
             cross join lateral (
               select r.id from ${to} r where r.tenant_id = ${tenant} and r.id = k.id and r.deleted_at is null limit 1${keyShare}) r
             limit 2`
    return `insert into link (row_number, field, record_id, n)
      select f.row_number, ${text(field.name)}, (array_agg(f.id))[1], count(*) from (
        select s.row_number, m.id from stage s cross join lateral (${records}) m
        where ${stretch} and ${value} is not null and ${open}
          and not exists (select from link l where l.row_number = s.row_number and l.field = ${text(field.name)})) f
      group by f.row_number`
  }

  /** Fields that this run can change, with the value that the row gives (null: keep). */
  const writable = type.fields.filter((field) => (staged.has(field.name) || linked.has(field.name)) && isSaid(field))
  const linkValue = (field: FieldDefinition) =>
    `(select l.record_id from link l where l.row_number = s.row_number and l.field = ${text(field.name)} and l.n = 1)`
  const given = (field: FieldDefinition) => (linked.has(field.name) ? linkValue(field) : `s.${staged.get(field.name)}`)

  /** Of a custom field as it stands in `custom_fields`: no value is no key, so there is neither null nor an empty list. */
  const mergedCustom = (field: FieldDefinition, key: string): string => {
    const value = `to_jsonb(${customValue(field, given(field))})`
    const current = `(r.custom_fields -> ${text(key)})`
    return unlessKept(
      field,
      current,
      plan.onDuplicate === 'FILL_BLANKS'
        ? `coalesce(${current}, ${value})`
        : `case when ${text(field.name)} = any (s.cleared) then null else coalesce(${value}, ${current}) end`,
    )
  }

  /** The new value of a field, where nothing says that the record keeps what it has. */
  const unlessKept = (field: FieldDefinition, current: string, value: string): string =>
    plan.guard == null ? value : `case when ${text(field.name)} = any (s.kept) then ${current} else ${value} end`

  const merged = (field: FieldDefinition): string => {
    const value = given(field)
    if (sticky.has(field.name)) {
      return `(r.${field.column} or coalesce(${value}, false))`
    }
    if (plan.onDuplicate === 'FILL_BLANKS') {
      return field.sqlType.endsWith('[]')
        ? `case when cardinality(r.${field.column}) = 0 then coalesce(${value}, r.${field.column}) else r.${field.column} end`
        : `coalesce(r.${field.column}, ${value})`
    }
    if (field.required || field.defaultValue !== null) {
      return `coalesce(${value}, r.${field.column})`
    }
    const empty = field.sqlType.endsWith('[]') ? `'{}'` : 'null'
    return `case when ${text(field.name)} = any (s.cleared) then ${empty} else coalesce(${value}, r.${field.column}) end`
  }

  const targets = writable
    .filter((field) => field.customKey === undefined)
    .map((field) => ({
      field: field.name,
      column: field.column,
      value: unlessKept(field, `r.${field.column}`, merged(field)),
    }))
  const customTargets = writable.flatMap((field) =>
    field.customKey === undefined
      ? []
      : [{ column: field.column, key: field.customKey, value: mergedCustom(field, field.customKey) }],
  )
  if (externalId !== null) {
    // A record without an external id takes the row's; one with another id keeps it and gets a further identity.
    targets.push({ field: 'externalId', column: 'external_id', value: `coalesce(r.external_id, ${externalId})` })
    targets.push({
      field: 'sourceSystem',
      column: 'source_system',
      value: `case when r.external_id is null and ${externalId} is not null then ${system} else r.source_system end`,
    })
  }

  /** Everything that an update may change, each with its name in changes: `r` is the record, `old` and `new` are its images. */
  const changing = [
    ...targets.map((target) => ({
      ...target,
      value: `(${target.value})::${sqlTypeOf(target.field)}`,
      of: (record: string) => `${record}.${target.column}`,
    })),
    ...customTargets.map((target) => ({
      ...target,
      of: (record: string) => `${record}.custom_fields -> ${text(target.key)}`,
    })),
  ]
  const differences = (operator: 'is distinct from' | 'is not distinct from') =>
    `(${changing.map((target) => target.value).join(', ')}, 0)
            ${operator} (${changing.map((target) => target.of('r')).join(', ')}, 0)`
  const assignments = targets.map((target) => `${target.column} = ${target.value}`)
  if (customTargets.length > 0) {
    assignments.push(`custom_fields = jsonb_strip_nulls(r.custom_fields || ${jsonbObject(customTargets)})`)
  }

  // RACED: somebody changed the record while this waited for its lock. What RETURNING calls old is then the record of before
  // that, where the table has a trigger (PostgreSQL 18.4), and would be a wrong before-image: the chunk has to be tried again.
  // Row by row: `update ... from` with the merged values compared first, so that a row that changes nothing is not written.
  const update =
    changing.length === 0
      ? ''
      : `with u as (
        update ${table} r set ${assignments.join(', ')},
          pristine_version = case when r.created_run_id = $6 and r.pristine_version = r.version then r.version + 1 else r.pristine_version end
        from hit h join stage s on s.row_number = h.row_number
        where ${stretch} and ${oneRecord} and r.tenant_id = ${tenant} and r.id = h.record_id and ${open}
          and ${differences('is distinct from')}
        returning s.row_number, r.id, old.version as before_version, new.version as after_version,
          ${changing.map((target, i) => `${target.of('old')} as o${i}, ${target.of('new')} as n${i}`).join(', ')}),
      c as (
        insert into run_change (tenant_id, run_id, record_id, row_number, record_type, before, after, before_version, after_version)
        select $1, $6, u.id, u.row_number, ${text(type.name)}, d.before, d.after, u.before_version, u.after_version
        from u cross join lateral (
          select jsonb_object_agg(f, o) as before, jsonb_object_agg(f, n) as after
          from (values ${changing.map((target, i) => `(${text(target.column)}, to_jsonb(u.o${i}), to_jsonb(u.n${i}))`).join(', ')}) as x (f, o, n)
          where o is distinct from n) d)
      insert into verdict (row_number, outcome, record_id)
      select row_number, case when after_version = before_version + 1 then 'UPDATED' else 'RACED' end, id from u`

  const glance = glanceOf(plan)
  // A rehearsal notes which records the rows name, and their versions, with the look that finds them unchanged.
  const [note, noted] = rehearsed
    ? [
        'with g as (insert into glanced select s.row_number, r.id, r.version',
        ' returning 1) select count(*)::int as rows from g',
      ]
    : ['select count(*)::int as rows', '']
  const unchanged =
    glance === null ||
    links.length > 0 ||
    plan.operation === 'DELETE' ||
    changesNothing ||
    // A value that two records have already is told, changed or not.
    (plan.unique ?? []).length > 0
      ? null
      : `${note} from stage s cross join lateral (
          select ${[...new Set([...(rehearsed ? ['id', 'version'] : []), ...targets.map((target) => target.column), ...(customTargets.length > 0 ? ['custom_fields'] : []), 'external_id', 'source_system'])].map((column) => `r.${column}`).join(', ')}
          from ${glanced} r
          where r.tenant_id = ${tenant} and ${glance} and r.deleted_at is null${inShadow}
          limit 1) r
        where s.row_number between $2 and $3
          and ${differences('is not distinct from')}${noted}`

  const written = changesNothing
    ? 'h.row_number is null'
    : plan.operation === 'UPSERT'
      ? 'coalesce(h.n, 1) = 1'
      : 'h.n = 1'
  const unique =
    plan.operation === 'DELETE'
      ? []
      : (plan.unique ?? []).map((rule) => ({
          rule,
          sql: `select s.row_number, s.${staged.get(rule.field)} as value from stage s left join hit h on h.row_number = s.row_number
            where ${stretch} and ${open} and s.${staged.get(rule.field)} is not null and ${written} and exists (
              select from ${table} r where r.tenant_id = ${tenant} and r.${fieldNamed(type, rule.field).column} = s.${staged.get(rule.field)}
                and r.deleted_at is null and r.id is distinct from h.record_id)
            order by s.row_number`,
        }))

  function sqlTypeOf(field: string): string {
    return fieldNamed(type, field).sqlType
  }

  // See the links: the plain update below would pass by whoever is linking to the record.
  const lockHits = `select count(*) from (
        select from hit h join stage s on s.row_number = h.row_number join ${table} r on r.tenant_id = ${tenant} and r.id = h.record_id
        where ${stretch} and ${oneRecord} and r.deleted_at is null and ${open} for update of r) l`

  const remove = `with u as (
        update ${table} r set deleted_at = now(),
          pristine_version = case when r.created_run_id = $6 and r.pristine_version = r.version then r.version + 1 else r.pristine_version end
        from hit h join stage s on s.row_number = h.row_number
        where ${stretch} and ${oneRecord} and r.tenant_id = ${tenant} and r.id = h.record_id and r.deleted_at is null and ${open}
        returning s.row_number, r.id, old.version as before_version, new.version as after_version, new.deleted_at),
      c as (
        insert into run_change (tenant_id, run_id, record_id, row_number, record_type, before, after, before_version, after_version)
        select $1, $6, id, row_number, ${text(type.name)}, jsonb_build_object('deleted_at', null),
          jsonb_build_object('deleted_at', to_jsonb(deleted_at)), before_version, after_version from u)
      insert into verdict (row_number, outcome, record_id) select row_number, 'DELETED', id from u`

  const identities =
    externalId === null
      ? null
      : `with i as (
        insert into record_identity (tenant_id, record_type, source_system, external_id, record_id, created_run_id)
        select $1, ${text(type.name)}, ${system}, ${externalId}, h.record_id, $6
        from hit h join stage s on s.row_number = h.row_number
          join ${table} r on r.tenant_id = ${tenant} and r.id = h.record_id
        where ${oneRecord} and ${stretch} and h.rule <> ${byExternalIdRule} and ${externalId} is not null
          and not exists (select from verdict v where v.row_number = s.row_number and v.outcome <> 'UPDATED')
          and r.external_id is not null and (r.source_system, r.external_id) is distinct from (${system}, ${externalId})${
            namedId === null
              ? ''
              : `
          -- A row that names its record by id may have an external id that is another record's.
          and not exists (select from ${table} o where o.tenant_id = ${tenant} and o.source_system = ${system}
            and o.external_id = ${externalId} and o.deleted_at is null)`
          }
        on conflict (tenant_id, record_type, source_system, external_id) do update
          set record_id = excluded.record_id, created_run_id = excluded.created_run_id
          -- An identity of a record that is gone is free again.
          where not exists (select from ${table} o where o.tenant_id = record_identity.tenant_id and o.id = record_identity.record_id
            and o.deleted_at is null)
        returning record_id, external_id),
      n as (
        select s.row_number, h.record_id, r.version from i join hit h on h.record_id = i.record_id
          join stage s on s.row_number = h.row_number and ${externalId} = i.external_id
          join ${table} r on r.tenant_id = ${tenant} and r.id = h.record_id
        where ${stretch}),
      c as (
        -- The row changed something, so it has a change, if only an empty one: rollback counts and undoes by these.
        insert into run_change (tenant_id, run_id, record_id, row_number, record_type, before, after, before_version, after_version)
        select $1, $6, record_id, row_number, ${text(type.name)}, '{}', '{}', version, version from n
        on conflict do nothing)
      insert into verdict (row_number, outcome, record_id) select row_number, 'UPDATED', record_id from n on conflict do nothing`

  const insert = ({ clean, yielding }: { readonly clean: boolean; readonly yielding: boolean }): string => {
    const columns: string[] = ['tenant_id', 'id', 'created_run_id', 'created_row']
    const values: string[] = ['$1', 's.id', '$6', 's.row_number']
    const custom: { key: string; value: string }[] = []
    for (const field of type.fields) {
      const value = createdValue(field)
      if (value === null) {
        continue
      }
      if (field.customKey === undefined) {
        columns.push(field.column)
        values.push(value)
      } else {
        custom.push({ key: field.customKey, value: customValue(field, value) })
      }
    }
    if (custom.length > 0) {
      columns.push('custom_fields')
      values.push(`jsonb_strip_nulls(${jsonbObject(custom)})`)
    }
    const rows = `select ${values.join(', ')} from stage s
      where ${stretch}${clean ? '' : ` and ${open} and not exists (select from hit h where h.row_number = s.row_number)`}`
    const into = (target: string, some: string) =>
      `insert into ${target} (${columns.join(', ')}) ${rows}${some} ${yielding ? 'on conflict do nothing' : ''}`
    // Rows that no other row can mean are tried on the rules of the table, and need no place in its indexes.
    return rehearsed
      ? `with rest as (${into(`${table}_rest`, ` and not ${kept}`)}) ${into(table, ` and ${kept}`)}`
      : into(table, '')
  }

  function createdValue(field: FieldDefinition): string | null {
    if (field.name === 'sourceSystem') {
      return externalId === null
        ? staged.has('sourceSystem')
          ? `s.${staged.get('sourceSystem')}`
          : text(plan.sourceSystem)
        : system
    }
    const candidates: string[] = []
    if (linked.has(field.name)) {
      candidates.push(linkValue(field))
    } else if (staged.has(field.name)) {
      candidates.push(`s.${staged.get(field.name)}`)
    }
    if (field.name === 'ownerEmail' && plan.defaultOwnerId !== null) {
      candidates.push(`${text(plan.defaultOwnerId)}::uuid`)
    }
    if (built.has(field.name)) {
      candidates.push(`s.${built.get(field.name)}`)
    }
    const fallback = plan.createDefaults[field.column] ?? field.defaultValue
    if (fallback !== null && fallback !== undefined) {
      candidates.push(`${text(fallback)}::${field.sqlType}`)
    } else if (field.sqlType.endsWith('[]') && field.customKey === undefined) {
      candidates.push(`'{}'::${field.sqlType}`)
    }
    if (candidates.length === 0) {
      return null
    }
    return candidates.length === 1 ? (candidates[0] ?? null) : `coalesce(${candidates.join(', ')})`
  }

  /** What the row would be as a created record, or its record after the update: every column of the type by name. */
  const projection = (of: 'created' | 'updated'): string => {
    const targeted = new Map(targets.map((target) => [target.column, target.value]))
    // Constraints are about columns, and custom fields have none.
    const columns = type.fields
      .filter((field) => field.customKey === undefined)
      .map((field) => {
        const value =
          of === 'created' ? (createdValue(field) ?? 'null') : (targeted.get(field.column) ?? `r.${field.column}`)
        return `(${value})::${field.sqlType} as ${field.column}`
      })
    return of === 'created'
      ? `select s.row_number, ${columns.join(', ')} from stage s
         where ${stretch} and ${open} and not exists (select from hit h where h.row_number = s.row_number)`
      : `select s.row_number, ${columns.join(', ')} from hit h join stage s on s.row_number = h.row_number
           join ${table} r on r.tenant_id = ${tenant} and r.id = h.record_id where ${oneRecord} and ${stretch} and ${open}`
  }

  const guarded = plan.operation === 'DELETE' ? type.fields.filter(isSaid) : writable
  const updatedAt = staged.get('sourceUpdatedAt')
  const guard: GuardSql =
    externalId === null
      ? { keep: null, told: null, changed: null, remember: null }
      : guardSql({
          plan,
          fields: guarded.map((field) => ({
            field,
            given:
              plan.operation === 'DELETE'
                ? 'null::text'
                : `(${field.customKey === undefined ? given(field) : customValue(field, given(field))})${field.customKey === undefined ? `::${field.sqlType}` : ''}`,
            now: field.customKey === undefined ? `r.${field.column}` : `(r.custom_fields -> ${text(field.customKey)})`,
          })),
          system,
          externalId,
          updatedAt: updatedAt === undefined ? null : `s.${updatedAt}`,
          rehearsed,
          tenant,
          stretch,
          oneRecord,
          open,
        })

  return {
    kept,
    namedId,
    match,
    matchIdentities,
    near,
    links,
    unchanged,
    unique,
    update,
    lockHits,
    remove,
    identities,
    insert,
    guard,
    projection,
  }
}

/** Whether a source says something of the field that could be changed here. */
function isSaid(field: FieldDefinition): boolean {
  return field.name !== 'sourceSystem' && field.name !== 'externalId'
}

/**
 * SQL that is true where the record `r` is surely the one that the row `s` means, and the row brings it no further identity: by the
 * first match rule, the id or the external id. Null where the first rule is another one.
 */
function glanceOf(plan: WritePlan): string | null {
  const valueOf = (field: string): string | null => {
    const found = plan.stageColumns.find(
      (column) => column.field === field && (column.role === 'value' || column.role === 'id'),
    )
    return found === undefined ? null : `s.${found.name}`
  }
  const [rule] = plan.rules
  const [externalId, said] = [valueOf('externalId'), valueOf('sourceSystem')]
  const system = said === null ? text(plan.sourceSystem) : otherwise(said, text(plan.sourceSystem))
  const same = `r.external_id = ${externalId} and r.source_system = ${system}`
  if (rule !== undefined && byId(rule)) {
    return `r.id = ${valueOf(ID_FIELD)}${externalId === null ? '' : ` and (${externalId} is null or (${same}))`}`
  }
  return rule?.length === 1 && rule[0] === 'externalId' && externalId !== null ? same : null
}

/** Whether a match rule is that of the id. */
export function byId(rule: readonly string[]): boolean {
  return rule.length === 1 && rule[0] === ID_FIELD
}

/** Pairs of key and value that one call of a function can be given: it takes 100 arguments. */
const OBJECT_PAIRS = 50

/** SQL for a jsonb object of these values. */
function jsonbObject(entries: readonly { readonly key: string; readonly value: string }[]): string {
  const objects: string[] = []
  for (let at = 0; at < entries.length; at += OBJECT_PAIRS) {
    const pairs = entries.slice(at, at + OBJECT_PAIRS).map(({ key, value }) => `${text(key)}, ${value}`)
    objects.push(`jsonb_build_object(${pairs.join(', ')})`)
  }
  return objects.join(' || ')
}

/** SQL for a value as `custom_fields` takes it: an exact number without the zeros that its column's scale would add. */
export function customValue(field: FieldDefinition, value: string): string {
  return field.kind === 'DECIMAL' ? `trim_scale(${value})` : value
}

/** SQL for the value of a field in the record `r`, in the field's own type; NULL for none. */
export function storedValue(field: FieldDefinition): string {
  const { customKey, column, sqlType } = field
  if (customKey === undefined) {
    return `r.${column}`
  }
  const value = `r.custom_fields -> ${text(customKey)}`
  return sqlType.endsWith('[]')
    ? `array(select jsonb_array_elements_text(${value}))`
    : `(r.custom_fields ->> ${text(customKey)})${sqlType === 'text' ? '' : `::${sqlType}`}`
}

/** A SQL text literal. Names and values here come from the record types and from options that were validated. */
export function text(value: string): string {
  return value.includes('\\')
    ? ` E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${value.replaceAll("'", "''")}'`
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
