/**
 * Reading records: lists with filter, order and pages, single ones, and what is known about where they came from. Works
 * from the definitions in `src/records`; every value is a bind, only names from the definitions stand in the SQL. Deleted
 * records do not exist here.
 */
import { one, type Tx } from '../../db/tx.js'
import { Refusal } from '../../errors.js'
import { FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX, LIST_LENGTH_MAX, ORDER_FIELDS_MAX } from '../../limits.js'
import { customFieldsOf, customKeyOf } from '../../records/custom.js'
import { fieldOf, keyField, recordTypes, referencePath } from '../../records/index.js'
import type {
  Condition,
  FieldDefinition,
  FieldKind,
  RecordFilter,
  RecordOrder,
  RecordType,
  RecordTypeName,
} from '../../records/types.js'
import type { Page, PageRequest, RowOutcome } from '../../runs/types.js'
import { loadRecordType } from './custom-fields.js'
import { storedValue } from './sql.js'

/** A record as it stands. */
export interface RecordRow {
  readonly type: RecordTypeName
  readonly id: string
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
  /**
   * By name of the field: text, number (integers), boolean, Date, list of texts; exact numbers and days as text. A
   * reference holds the id of the record, `ownerEmail` the e-mail address of the member.
   */
  readonly values: Readonly<Record<string, unknown>>
  /** Those of the custom fields that stand, in their order, which have a value; in the text form of changes, lists with `; ` between. */
  readonly customFields: readonly { readonly key: string; readonly value: string }[]
}

/** What one run did to one record. */
export interface Touch {
  readonly runId: string
  readonly rowNumber: number | null
  readonly action: RowOutcome
  readonly at: Date
  /** Names of fields; empty for a created record. */
  readonly changedFields: readonly string[]
}

export interface Identity {
  readonly sourceSystem: string
  readonly externalId: string
  readonly url: string | null
}

/** Names of all fields that a filter or an order asks about, as the caller wrote them. */
export function fieldsAskedAbout(filter: RecordFilter | null, orderBy: readonly RecordOrder[] | null): string[] {
  const names = (orderBy ?? []).map(({ field }) => field)
  const walk = (node: RecordFilter, depth: number): void => {
    if (depth > FILTER_DEPTH_MAX) {
      throw tooDeep()
    }
    for (const child of [...(node.and ?? []), ...(node.or ?? []), ...(node.not ? [node.not] : [])]) {
      walk(child, depth + 1)
    }
    if (node.where) {
      names.push(node.where.field)
    }
  }
  if (filter !== null) {
    walk(filter, 1)
  }
  return names
}

/** The field behind a name in a filter: of the type itself, or of the record that a path leads to. Null for our own columns and unknown names. */
export function fieldBehind(type: RecordType, name: string): FieldDefinition | null {
  const path = referencePath(type, name)
  return path === null ? fieldOf(type, name) : keyField(path)
}

/**
 * One page of records: by default those of the newest run first and then by row number; otherwise as `orderBy` says, ties
 * newest first. Refuses INVALID_INPUT or UNKNOWN_FIELD for what it does not understand. `totalCount` stays null, see
 * `countRecords`.
 */
export async function listRecords(
  tx: Tx,
  name: RecordTypeName,
  page: PageRequest,
  filter: RecordFilter | null,
  orderBy: readonly RecordOrder[] | null,
): Promise<Page<RecordRow>> {
  const type = await typeAskedAbout(tx, name, filter, orderBy)
  if (orderBy === null || orderBy.length === 0) {
    return filter === null ? listByRun(tx, type, page) : listOrdered(tx, type, page, filter, runOrder)
  }
  return listOrdered(tx, type, page, filter, orderKeys(type, orderBy))
}

/** The record type, with the tenant's fields where a filter or an order asks about one. */
async function typeAskedAbout(
  tx: Tx,
  name: RecordTypeName,
  filter: RecordFilter | null,
  orderBy: readonly RecordOrder[] | null,
): Promise<RecordType> {
  return fieldsAskedAbout(filter, orderBy).some((field) => customKeyOf(field) !== null)
    ? loadRecordType(tx, name)
    : recordTypes[name]
}

/** The condition and the order of a list as SQL about the record `r`; `$1` and so on stand for `values`, the first one for the tenant. */
export interface ListSql {
  readonly condition: string
  /** What stands behind `order by`; empty for no order. */
  readonly order: string
  readonly values: readonly unknown[]
}

/**
 * The same questions and order as those of `listRecords`, for whoever reads all of a list; refuses the same. Without an order
 * the records come as they are stored.
 */
export function listSql(
  type: RecordType,
  tenantId: string,
  filter: RecordFilter | null,
  orderBy: readonly RecordOrder[],
): ListSql {
  const binds = new Binds(tenantId)
  const condition = filter === null ? 'true' : compileFilter(type, filter, binds)
  const keys = orderBy.length === 0 ? [] : orderKeys(type, orderBy)
  return {
    condition,
    order: keys.map(({ sql, descending }) => `${sql} ${descending ? 'desc' : 'asc'} nulls last`).join(', '),
    values: binds.values,
  }
}

/** How many records the filter finds. */
export async function countRecords(tx: Tx, name: RecordTypeName, filter: RecordFilter | null): Promise<number> {
  const type = await typeAskedAbout(tx, name, filter, null)
  const binds = new Binds(tx.tenantId)
  const condition = filter === null ? 'true' : compileFilter(type, filter, binds)
  const { n } = await one<{ n: number }>(
    tx,
    `select count(*)::float8 as n from ${type.table} r where r.tenant_id = $1 and r.deleted_at is null and (${condition})`,
    binds.values,
  )
  return n
}

/** The record with this id; null where there is none. */
export async function findRecord(tx: Tx, type: RecordTypeName, id: string): Promise<RecordRow | null> {
  return (await findRecords(tx, type, [id])).get(id) ?? null
}

/** Records by id; ids that do not exist are absent. */
export async function findRecords(
  tx: Tx,
  name: RecordTypeName,
  ids: readonly string[],
): Promise<Map<string, RecordRow>> {
  const type = recordTypes[name]
  const rows = await tx.query<Stored>(
    `select ${selection(type)} from ${type.table} r where r.tenant_id = $1 and r.deleted_at is null and r.id = any ($2::uuid[])`,
    [tx.tenantId, ids],
  )
  const record = await recordReader(tx, type, rows)
  return new Map(rows.map((row) => [row.id, record(row)]))
}

/** What runs did to each of these records, newest first, `limit` touches of each. */
export async function provenanceOf(
  tx: Tx,
  name: RecordTypeName,
  ids: readonly string[],
  limit: number,
): Promise<Map<string, Touch[]>> {
  const type = recordTypes[name]
  const rows = await tx.query<{
    id: string
    run_id: string
    row_number: number | null
    action: RowOutcome
    at: Date
    columns: string[] | null
  }>(
    `select r.id, t.run_id, t.row_number::float8 as row_number, t.action, t.at, t.columns
     from ${type.table} r cross join lateral (
       select * from (
         select r.created_run_id as run_id, r.created_row as row_number, 'CREATED' as action, r.created_at as at, null::text[] as columns, 0 as step
         where r.created_run_id is not null
         union all
         select c.run_id, c.row_number,
           case when jsonb_typeof(c.after -> 'deleted_at') = 'string' then 'DELETED' else 'UPDATED' end, c.at,
           array(select jsonb_object_keys(c.after)), 1
         from run_change c where c.tenant_id = r.tenant_id and c.record_id = r.id and c.record_type = $4
         union all
         select undo.id, null, 'REVERTED', max(c.reverted_at), array_agg(distinct k.name), 2
         from run_change c cross join lateral (
           select q.id from run q where q.tenant_id = c.tenant_id and q.of_run_id = c.run_id and q.created_at <= c.reverted_at
           order by q.id desc limit 1) undo cross join lateral jsonb_object_keys(c.after) as k (name)
         where c.tenant_id = r.tenant_id and c.record_id = r.id and c.record_type = $4 and c.reverted_at is not null
         group by undo.id) touches
       order by at desc, step desc, row_number desc nulls last limit $3) t
     where r.tenant_id = $1 and r.id = any ($2::uuid[]) order by r.id, t.at desc, t.step desc, t.row_number desc nulls last`,
    [tx.tenantId, ids, limit, name],
  )
  const names = new Map(type.fields.map((field) => [field.column, field.name]))
  return group(
    rows,
    ({ id }) => id,
    (row) => ({
      runId: row.run_id,
      rowNumber: row.row_number,
      action: row.action,
      at: row.at,
      changedFields: (row.columns ?? []).flatMap(
        (column) => names.get(column) ?? (customKeyOf(column) === null ? [] : column),
      ),
    }),
  )
}

/** Every place that each of these records is known by, the first one first. */
export async function identitiesOf(
  tx: Tx,
  name: RecordTypeName,
  ids: readonly string[],
): Promise<Map<string, Identity[]>> {
  const rows = await tx.query<{ id: string } & Identity>(
    `select id, "sourceSystem", "externalId", url from (
       select r.id, r.source_system as "sourceSystem", r.external_id as "externalId", null::text as url, 0 as rank
       from ${recordTypes[name].table} r where r.tenant_id = $1 and r.id = any ($2::uuid[]) and r.external_id is not null
       union all
       select i.record_id, i.source_system, i.external_id, i.url, 1 from record_identity i
       where i.tenant_id = $1 and i.record_type = $3 and i.record_id = any ($2::uuid[])) x
     order by id, rank, "sourceSystem", "externalId"`,
    [tx.tenantId, ids, name],
  )
  return group(
    rows,
    ({ id }) => id,
    ({ sourceSystem, externalId, url }) => ({ sourceSystem, externalId, url }),
  )
}

function group<R, T>(rows: readonly R[], key: (row: R) => string, value: (row: R) => T): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const list = groups.get(key(row))
    if (list === undefined) {
      groups.set(key(row), [value(row)])
    } else {
      list.push(value(row))
    }
  }
  return groups
}

// ------------------------------------------------------------------------------------------------ rows

type Stored = { readonly id: string; readonly '#': Readonly<Record<string, unknown>> } & Readonly<
  Record<string, unknown>
>

/** Custom values come as text: a number of JSON would lose digits on its way. */
const OWN = `id, r.version, r.created_at as "#createdAt", r.updated_at as "#updatedAt", case when r.custom_fields <> '{}' then
  (select jsonb_object_agg(e.key, e.value) from jsonb_each_text(r.custom_fields) e) end as "#customFields"`

/** The columns of a record by names of fields; our own ones are marked so that no field can collide with them. */
function selection(type: RecordType): string {
  const columns = recordTypes[type.name].fields.map((field) =>
    field.reference?.to === 'member'
      ? `(select m.email from member m where m.tenant_id = r.tenant_id and m.id = r.${field.column}) as "${field.name}"`
      : `r.${field.column} as "${field.name}"`,
  )
  return [`r.${OWN}`, ...columns].join(', ')
}

type CustomValues = Readonly<Record<string, string>> | null

/** Makes records of rows. The tenant's fields are looked up only if there is a value of one. */
async function recordReader(tx: Tx, type: RecordType, rows: readonly Stored[]): Promise<(row: Stored) => RecordRow> {
  const some = rows.some((row) => row['#customFields'] !== null)
  const fields = some ? customFieldsOf(await loadRecordType(tx, type.name)) : []
  return (row) => toRecord(type, row, fields)
}

/** A custom value as the API gives it: what the same text in a file would be read as again. */
function customText(field: FieldDefinition, value: string): string {
  if (field.kind === 'MULTI_ENUM') {
    return (JSON.parse(value) as string[]).join('; ')
  }
  return field.kind === 'DATE_TIME' ? new Date(value).toISOString() : value
}

function toRecord(type: RecordType, row: Stored, fields: readonly FieldDefinition[]): RecordRow {
  const custom = row['#customFields'] as CustomValues
  return {
    type: type.name,
    id: row.id,
    version: Number(row.version),
    createdAt: row['#createdAt'] as Date,
    updatedAt: row['#updatedAt'] as Date,
    values: row,
    customFields: fields.flatMap((field) => {
      const key = field.customKey ?? ''
      const value = custom === null || !Object.hasOwn(custom, key) ? undefined : custom[key]
      return value === undefined ? [] : [{ key, value: customText(field, value) }]
    }),
  }
}

// ------------------------------------------------------------------------------------------------ pages

interface OrderKey {
  readonly sql: string
  readonly sqlType: string
  readonly descending: boolean
}

/** Newest run first, its rows as they stand in the file; what no run made comes last. Served by the index on the creating run and row. */
const runOrder: readonly OrderKey[] = [
  { sql: 'r.created_run_id', sqlType: 'uuid', descending: true },
  { sql: 'r.created_row', sqlType: 'bigint', descending: false },
  { sql: 'r.id', sqlType: 'uuid', descending: false },
]

function orderKeys(type: RecordType, orderBy: readonly RecordOrder[]): OrderKey[] {
  if (orderBy.length > ORDER_FIELDS_MAX) {
    throw new Refusal('INVALID_INPUT', `A list can be ordered by ${ORDER_FIELDS_MAX} fields at most.`, ['orderBy'])
  }
  const keys = orderBy.map(({ field, direction }): OrderKey => {
    const target = targetOf(type, field)
    if (target.kind === 'MULTI_ENUM') {
      throw new Refusal('INVALID_INPUT', `A list cannot be ordered by ${field}, which holds several values.`, [
        'orderBy',
      ])
    }
    return { sql: target.scalar, sqlType: target.sqlType, descending: direction === 'DESC' }
  })
  return [...keys, { sql: 'r.id', sqlType: 'uuid', descending: true }]
}

async function listOrdered(
  tx: Tx,
  type: RecordType,
  page: PageRequest,
  filter: RecordFilter | null,
  keys: readonly OrderKey[],
): Promise<Page<RecordRow>> {
  const binds = new Binds(tx.tenantId)
  const condition = filter === null ? 'true' : compileFilter(type, filter, binds)
  const after = page.after === null ? 'true' : behind(keys, decodeCursor(page.after, keys), binds)
  const order = keys.map(({ sql, descending }) => `${sql} ${descending ? 'desc' : 'asc'} nulls last`)
  const rows = await tx.query<Stored>(
    `select ${selection(type)}, array[${keys.map(({ sql }) => `(${sql})::text`).join(', ')}] as "#keys"
     from ${type.table} r where r.tenant_id = $1 and r.deleted_at is null and (${condition}) and (${after})
     order by ${order.join(', ')} limit ${binds.add(page.first + 1)}::int`,
    binds.values,
  )
  return toPage(tx, type, rows, page)
}

/**
 * The default list without a filter. The sort of `listOrdered` would read every record; this walks the index on the
 * creating run and row: run by run, newest first, each in file order, until the page is full.
 */
async function listByRun(tx: Tx, type: RecordType, page: PageRequest): Promise<Page<RecordRow>> {
  const { table } = type
  const limit = page.first + 1
  const columns = `${selection(type)}, array[r.created_run_id::text, r.created_row::text, r.id::text] as "#keys"`
  const [run, row, id] = page.after === null ? [null, null, null] : decodeCursor(page.after, runOrder)
  const rows: Stored[] = []
  if (typeof run === 'string') {
    rows.push(
      ...(await tx.query<Stored>(
        `select ${columns} from ${table} r
         where r.tenant_id = $1 and r.deleted_at is null and r.created_run_id = $2::uuid
           and (r.created_row, r.id) > ($3::bigint, $4::uuid)
         order by r.created_row, r.id limit $5`,
        [tx.tenantId, run, row, id, limit],
      )),
    )
  }
  if (rows.length < limit && (page.after === null || run !== null)) {
    // Runs come out of the recursion newest first and rows of the lateral join in order; the nested loop keeps both, and
    // the limit ends it early. There is nothing for a sort to do.
    rows.push(
      ...(await tx.query<Stored>(
        `with recursive runs (run) as (
           (select c.created_run_id from ${table} c
            where c.tenant_id = $1 and c.created_run_id is not null and ($2::uuid is null or c.created_run_id < $2)
            order by c.created_run_id desc limit 1)
           union all
           select (select c.created_run_id from ${table} c
                   where c.tenant_id = $1 and c.created_run_id is not null and c.created_run_id < runs.run
                   order by c.created_run_id desc limit 1) from runs where runs.run is not null)
         select made.* from runs cross join lateral (
           select ${columns} from ${table} r where r.tenant_id = $1 and r.deleted_at is null and r.created_run_id = runs.run
           order by r.created_row, r.id limit $3) made
         where runs.run is not null limit $3`,
        [tx.tenantId, run, limit - rows.length],
      )),
    )
  }
  if (rows.length < limit) {
    rows.push(
      ...(await tx.query<Stored>(
        `select ${columns} from ${table} r
         where r.tenant_id = $1 and r.deleted_at is null and r.created_run_id is null and ($2::uuid is null or r.id > $2)
         order by r.id limit $3`,
        [tx.tenantId, page.after !== null && run === null ? id : null, limit - rows.length],
      )),
    )
  }
  return toPage(tx, type, rows, page)
}

async function toPage(tx: Tx, type: RecordType, rows: readonly Stored[], page: PageRequest): Promise<Page<RecordRow>> {
  const record = await recordReader(tx, type, rows)
  return {
    items: rows.slice(0, page.first).map((row) => ({ cursor: encodeCursor(row['#keys'] as Key[]), node: record(row) })),
    hasNext: rows.length > page.first,
    hasPrevious: page.after !== null,
    totalCount: null,
  }
}

type Key = string | null

function encodeCursor(keys: readonly Key[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url')
}

const cursorPatterns: readonly (readonly [RegExp, RegExp])[] = [
  [/^uuid$/, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
  [/^(bigint|integer|numeric.*)$/, /^-?\d{1,30}(\.\d{1,20})?$/],
  [/^boolean$/, /^(t|f|true|false)$/],
  [/^(date|timestamptz)$/, /^\d{4,6}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?\+00)?$/],
]

function decodeCursor(cursor: string, keys: readonly OrderKey[]): Key[] {
  const fail = () => new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  let values: unknown
  try {
    values = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    throw fail()
  }
  if (!Array.isArray(values) || values.length !== keys.length) {
    throw fail()
  }
  return values.map((value: unknown, index): Key => {
    const pattern = cursorPatterns.find(([types]) => types.test(keys[index]?.sqlType ?? ''))?.[1]
    const last = index === keys.length - 1
    if (
      value === null
        ? last
        : typeof value !== 'string' || (pattern !== undefined && !pattern.test(value)) || value.includes('\0')
    ) {
      throw fail()
    }
    return value as Key
  })
}

/** True for rows behind the one with these keys; NULLs are last whatever the direction. */
function behind(keys: readonly OrderKey[], values: readonly Key[], binds: Binds): string {
  const same: string[] = []
  const alternatives: string[] = []
  keys.forEach(({ sql, sqlType, descending }, index) => {
    const value = values[index] ?? null
    if (value === null) {
      same.push(`${sql} is null`)
      return
    }
    const bind = `${binds.add(value)}::${sqlType}`
    alternatives.push([...same, `(${sql} ${descending ? '<' : '>'} ${bind} or ${sql} is null)`].join(' and '))
    same.push(`${sql} = ${bind}`)
  })
  return alternatives.map((alternative) => `(${alternative})`).join(' or ')
}

// ------------------------------------------------------------------------------------------------ filters

/** Values of a statement; the first one is always the tenant. */
class Binds {
  readonly values: unknown[]
  constructor(tenantId: string) {
    this.values = [tenantId]
  }
  add(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}

/** What a name in a filter or an order stands for. */
interface Target {
  readonly name: string
  readonly kind: FieldKind
  readonly sqlType: string
  readonly options: readonly string[] | null
  /** One SQL expression with its value, NULL where there is none. */
  readonly scalar: string
  /** SQL that is true where `test` holds for the value; `test` gets the column. An index can serve it. */
  readonly holds: (test: (column: string) => string) => string
}

const own: Readonly<Record<string, { readonly column: string; readonly kind: FieldKind; readonly sqlType: string }>> = {
  createdAt: { column: 'created_at', kind: 'DATE_TIME', sqlType: 'timestamptz' },
  updatedAt: { column: 'updated_at', kind: 'DATE_TIME', sqlType: 'timestamptz' },
  version: { column: 'version', kind: 'INTEGER', sqlType: 'integer' },
  id: { column: 'id', kind: 'REFERENCE', sqlType: 'uuid' },
}

function targetOf(type: RecordType, name: string): Target {
  const path = referencePath(type, name)
  if (path !== null) {
    const to = path.reference.to
    const field = keyField(path)
    const source = `${to} x where x.tenant_id = $1${to === 'member' ? '' : ' and x.deleted_at is null'}`
    return {
      ...describe(field),
      name,
      scalar: `(select x.${field.column} from ${source} and x.id = r.${path.field.column})`,
      holds: (test) => `r.${path.field.column} in (select x.id from ${source} and ${test(`x.${field.column}`)})`,
    }
  }
  const field = fieldOf(type, name)
  if (field?.reference != null && field.reference.to !== 'member') {
    // A reference to a deleted record is none.
    const scalar = `(select x.id from ${field.reference.to} x where x.tenant_id = $1 and x.id = r.${field.column} and x.deleted_at is null)`
    return { ...describe(field), name, scalar, holds: (test) => test(`r.${field.column}`) }
  }
  if (field !== null) {
    const stored = storedValue(field)
    return { ...describe(field), name, scalar: stored, holds: (test) => test(stored) }
  }
  const mine = Object.hasOwn(own, name) ? own[name] : undefined
  if (mine === undefined) {
    throw new Refusal(
      'UNKNOWN_FIELD',
      `${type.label} records have no field ${JSON.stringify(name.slice(0, 100))} that a list can ask about.`,
      ['filter'],
    )
  }
  return { ...mine, name, options: null, scalar: `r.${mine.column}`, holds: (test) => test(`r.${mine.column}`) }
}

function describe(field: FieldDefinition): Pick<Target, 'kind' | 'sqlType' | 'options'> {
  return { kind: field.kind, sqlType: field.sqlType, options: field.options }
}

function tooDeep(): Refusal {
  return new Refusal('INVALID_INPUT', `A filter can be nested ${FILTER_DEPTH_MAX} levels deep at most.`, ['filter'])
}

function compileFilter(type: RecordType, filter: RecordFilter, binds: Binds): string {
  let conditions = 0
  const compile = (node: RecordFilter, depth: number): string => {
    if (depth > FILTER_DEPTH_MAX) {
      throw tooDeep()
    }
    const members = [node.and, node.or, node.not, node.where].filter(
      (member) => member !== undefined && member !== null,
    )
    if (members.length !== 1) {
      throw new Refusal('INVALID_INPUT', 'Each part of a filter sets exactly one of and, or, not, where.', ['filter'])
    }
    if (node.and) {
      return node.and.length === 0 ? 'true' : node.and.map((child) => `(${compile(child, depth + 1)})`).join(' and ')
    }
    if (node.or) {
      return node.or.length === 0 ? 'false' : node.or.map((child) => `(${compile(child, depth + 1)})`).join(' or ')
    }
    if (node.not) {
      // Not `not`: what is unknown is not so, and its opposite is.
      return `(${compile(node.not, depth + 1)}) is not true`
    }
    conditions += 1
    if (conditions > FILTER_CONDITIONS_MAX) {
      throw new Refusal('INVALID_INPUT', `A filter can have ${FILTER_CONDITIONS_MAX} conditions at most.`, ['filter'])
    }
    return compileCondition(type, node.where as Condition, binds)
  }
  return compile(filter, 1)
}

const comparisons = { LT: '<', LTE: '<=', GT: '>', GTE: '>=' } as const
const ordered: ReadonlySet<FieldKind> = new Set([
  'TEXT',
  'LONG_TEXT',
  'EMAIL',
  'PHONE',
  'URL',
  'INTEGER',
  'DECIMAL',
  'MONEY',
  'DATE',
  'DATE_TIME',
])
const textual: ReadonlySet<FieldKind> = new Set(['TEXT', 'LONG_TEXT', 'EMAIL', 'PHONE', 'URL'])

function compileCondition(type: RecordType, condition: Condition, binds: Binds): string {
  const target = targetOf(type, condition.field)
  const { operator } = condition
  const unfit = () =>
    new Refusal('INVALID_INPUT', `${operator} cannot be asked about ${target.name}, which is of kind ${target.kind}.`, [
      'filter',
    ])
  const several = target.kind === 'MULTI_ENUM'
  const oneOf = (values: readonly string[]): string => {
    const list = `${binds.add(values.map((value) => parseValue(target, value)))}::${several ? 'text' : target.sqlType}[]`
    return target.holds((column) => (several ? `${column} && ${list}` : `${column} = any (${list})`))
  }
  switch (operator) {
    case 'EQ':
      return oneOf([given(condition)])
    case 'NEQ':
      return `(${oneOf([given(condition)])}) is not true`
    case 'IN':
      return oneOf(givenList(condition))
    case 'NOT_IN':
      return `(${oneOf(givenList(condition))}) is not true`
    case 'LT':
    case 'LTE':
    case 'GT':
    case 'GTE': {
      if (!ordered.has(target.kind)) {
        throw unfit()
      }
      const bind = `${binds.add(parseValue(target, given(condition)))}::${target.sqlType}`
      return target.holds((column) => `${column} ${comparisons[operator]} ${bind}`)
    }
    case 'CONTAINS':
    case 'STARTS_WITH': {
      if (!textual.has(target.kind)) {
        throw unfit()
      }
      const escaped = given(condition).replace(/[\\%_]/g, '\\$&')
      const bind = `${binds.add(operator === 'CONTAINS' ? `%${escaped}%` : `${escaped}%`)}::text`
      return target.holds((column) => `${column} ilike ${bind}`)
    }
    case 'IS_NULL':
      return absent(condition, several ? `cardinality(${target.scalar}) = 0` : `${target.scalar} is null`)
    case 'IS_NOT_NULL':
      return absent(condition, several ? `cardinality(${target.scalar}) > 0` : `${target.scalar} is not null`)
    default:
      return operator satisfies never
  }
}

function given({ field, operator, value, values }: Condition): string {
  if (typeof value !== 'string' || (values !== undefined && values !== null) || value.includes('\0')) {
    throw new Refusal('INVALID_INPUT', `${operator} asks about ${field} with \`value\`.`, ['filter'])
  }
  return value
}

function givenList({ field, operator, value, values }: Condition): readonly string[] {
  if (!Array.isArray(values) || (value !== undefined && value !== null) || values.length > LIST_LENGTH_MAX) {
    throw new Refusal('INVALID_INPUT', `${operator} asks about ${field} with \`values\`, at most ${LIST_LENGTH_MAX}.`, [
      'filter',
    ])
  }
  return values
}

function absent({ field, operator, value, values }: Condition, sql: string): string {
  if ((value !== undefined && value !== null) || (values !== undefined && values !== null)) {
    throw new Refusal('INVALID_INPUT', `${operator} asks about ${field} without \`value\` and \`values\`.`, ['filter'])
  }
  return sql
}

const INTEGER_MAX = 2_147_483_647

/** The value of a condition in PostgreSQL's text form, or a Refusal that says what was expected. */
function parseValue(target: Target, value: string): string {
  const refuse = (expected: string): never => {
    throw new Refusal(
      'INVALID_INPUT',
      `${JSON.stringify(value.slice(0, 100))} is not ${expected}, as ${target.name} needs it.`,
      ['filter'],
    )
  }
  if (value.includes('\0')) {
    refuse('a text without NUL')
  }
  switch (target.kind) {
    case 'EMAIL':
      return value.trim().toLowerCase()
    case 'INTEGER':
      return /^-?\d{1,10}$/.test(value) && Math.abs(Number(value)) <= INTEGER_MAX ? value : refuse('a whole number')
    case 'DECIMAL':
    case 'MONEY':
      return /^-?\d{1,12}(\.\d{1,8})?$/.test(value) ? value : refuse('a number such as 1234.56')
    case 'BOOLEAN':
      return value === 'true' || value === 'false' ? value : refuse('true or false')
    case 'DATE':
      return isDay(value) ? value : refuse('a day such as 2026-11-22')
    case 'DATE_TIME':
      return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/.test(value) &&
        !Number.isNaN(Date.parse(value))
        ? value
        : refuse('a moment such as 2026-11-22T09:30:00Z')
    case 'ENUM':
      return target.options?.includes(value) === true ? value : refuse(`one of ${target.options?.join(', ')}`)
    case 'REFERENCE':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value) ? value : refuse('an id')
    case 'TEXT':
    case 'LONG_TEXT':
    case 'PHONE':
    case 'URL':
    case 'MULTI_ENUM':
      return value
    default:
      return target.kind satisfies never
  }
}

function isDay(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text)
  )
}
