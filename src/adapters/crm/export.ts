/**
 * Records on their way out: what an export may ask for, and the one statement that reads it. `COPY` takes no binds, so values
 * of the filter stand in the statement as literals; names come from the definitions alone. Row-level security holds for
 * `COPY (query)` as for any query, and the tenant is a condition besides.
 */
import type { Permission } from '../../access/permissions.js'
import type { CopyOut } from '../../db/copy-out.js'
import { type LaneTx, literal } from '../../db/lane.js'
import type { Tx } from '../../db/tx.js'
import { Refusal } from '../../errors.js'
import { EXPORT_COLUMNS_MAX, NAME_LENGTH_MAX } from '../../limits.js'
import { customKeyOf } from '../../records/custom.js'
import { fieldOf, keyField, portableNames, recordTypes, referencePath } from '../../records/index.js'
import type {
  FieldDefinition,
  FieldKind,
  RecordFilter,
  RecordOrder,
  RecordType,
  RecordTypeName,
} from '../../records/types.js'
import type { ExportColumn, ExportFormat, ExportSpec } from '../../runs/types.js'
import { loadRecordType } from './custom-fields.js'
import { compiledFormat, databaseEncoding, guardedText, knownTimeZone } from './export-text.js'
import { fieldBehind, fieldsAskedAbout, listSql } from './read.js'
import { storedValue, text } from './sql.js'

/** What somebody asks an export for. */
export interface ExportRequest {
  readonly recordType: RecordTypeName
  readonly filter: RecordFilter | null
  readonly orderBy: readonly RecordOrder[] | null
  /** Null: `id`, then all fields in their order, references by what names their records, as an import wants them. */
  readonly columns:
    | readonly { readonly field: string; readonly header?: string | null; readonly format?: string | null }[]
    | null
  readonly format: ExportFormat
  /** Null: named after the record type and the day. An extension that fits is added. */
  readonly fileName: string | null
  readonly permissions: ReadonlySet<Permission>
}

/** A column of an export as it is read. */
export interface ExportedColumn {
  readonly field: string
  readonly header: string
  readonly kind: FieldKind
  readonly format: string | null
  /** SQL of its value, in the type of the field. */
  readonly sql: string
  /** The reference whose record it is read from, by the name of its field; null for the record's own. */
  readonly via: string | null
  /** Values that only such texts can be: nothing in them is a formula. */
  readonly plain: boolean
}

// ------------------------------------------------------------------------------------------------ what may be asked

/**
 * Checks a request and answers what is to be written. Throws a Refusal UNKNOWN_FIELD or INVALID_INPUT that says what does not
 * fit, also where a field needs PII_READ (`hiddenFields` tells before).
 */
export async function exportSpec(tx: Tx, request: ExportRequest): Promise<ExportSpec> {
  const { recordType, filter, permissions, format } = request
  const orderBy = request.orderBy ?? []
  const type = await loadRecordType(tx, recordType)
  checkFormat(format)
  await checkTimeZone(tx, format.timeZone)
  // Compiled once to see that it can be.
  listSql(type, tx.tenantId, filter, orderBy)
  const asked: NonNullable<ExportRequest['columns']> = request.columns ?? defaultColumns(type, permissions)
  const columns = asked.map(
    (column): ExportColumn => ({
      field: column.field,
      header: column.header ?? column.field,
      format: column.format ?? null,
    }),
  )
  checkColumns(type, columns, format)
  const hidden = hiddenFields(type, { filter, orderBy, columns }, permissions)
  if (hidden.length > 0) {
    throw new Refusal('INVALID_INPUT', `Exporting ${hidden.join(', ')} needs the permission PII_READ.`, ['columns'])
  }
  return {
    recordType,
    filter,
    orderBy,
    columns,
    format,
    fileName: nameOfFile(request.fileName, recordType, format),
    permissions: [...permissions],
    ...(request.columns === null ? leftOutOf(type, permissions) : {}),
  }
}

/** What `defaultColumns` leaves out. */
function leftOutOf(type: RecordType, permissions: ReadonlySet<Permission>): Pick<ExportSpec, 'leftOut'> {
  const all = portableNames(type)
  const taken = new Set(defaultColumns(type, permissions).map(({ field }) => field))
  return taken.size === all.length ? {} : { leftOut: all.filter((name) => !taken.has(name)) }
}

/** Fields that an export shows or asks about and that a caller with these permissions may not see. Unknown names are none of them. */
export function hiddenFields(
  type: RecordType,
  asked: {
    readonly filter: RecordFilter | null
    readonly orderBy: readonly RecordOrder[]
    readonly columns: readonly { readonly field: string }[]
  },
  permissions: ReadonlySet<Permission>,
): string[] {
  if (permissions.has('PII_READ')) {
    return []
  }
  const names = [...asked.columns.map(({ field }) => field), ...fieldsAskedAbout(asked.filter, asked.orderBy)]
  return [...new Set(names)].filter((name) => isSensitive(type, name))
}

function isSensitive(type: RecordType, name: string): boolean {
  if (customKeyOf(name) !== null) {
    return true
  }
  const path = referencePath(type, name)
  if (path !== null) {
    // Owners are colleagues: their addresses are part of the work.
    return path.reference.to !== 'member' && keyField(path).sensitive
  }
  return (targetOfPath(type, name)?.target ?? fieldBehind(type, name))?.sensitive ?? false
}

/** The columns of an export that names none: what an import of the file needs, as far as these permissions go. */
export function defaultColumns(type: RecordType, permissions: ReadonlySet<Permission>): { readonly field: string }[] {
  const open = permissions.has('PII_READ')
  return portableNames(type)
    .filter((name) => open || !isSensitive(type, name))
    .map((field) => ({ field }))
}

function checkFormat(format: ExportFormat): void {
  const refuse = (member: keyof ExportFormat, message: string): never => {
    throw new Refusal('INVALID_INPUT', message, ['format', member])
  }
  const { delimiter, nullText } = format
  if (!/^[\t\x20-\x7e]$/.test(delimiter) || delimiter === '"' || delimiter === '\\' || /[0-9A-Za-z]/.test(delimiter)) {
    refuse('delimiter', 'A delimiter is one sign such as a comma, a semicolon, a pipe or a tab.')
  }
  if (databaseEncoding(format.encoding) === null) {
    refuse('encoding', `${JSON.stringify(format.encoding.slice(0, 50))} is no encoding that files are written in.`)
  }
  if (nullText.length > NAME_LENGTH_MAX || /["\r\n\0\\]/.test(nullText) || nullText.includes(delimiter)) {
    refuse('nullText', 'What stands for no value is short and holds no quote, backslash, delimiter or line break.')
  }
  if (format.dateFormat !== null && compiledFormat(format.dateFormat) === null) {
    refuse(
      'dateFormat',
      'A date format is a pattern of yyyy, yy, MM, MMM, dd, d, HH, mm, ss and SSS, such as dd.MM.yyyy.',
    )
  }
}

/** Both sides have to know it: whoever reads the file here, and the server that writes it. */
async function checkTimeZone(tx: Tx, name: string): Promise<void> {
  if (name === 'UTC') {
    return
  }
  const there = knownTimeZone(name)
    ? await tx.query('select from pg_timezone_names where lower(name) = lower($1)', [name])
    : []
  if (there.length === 0) {
    const message = `${JSON.stringify(name.slice(0, 50))} is no time zone such as Europe/Berlin.`
    throw new Refusal('INVALID_INPUT', message, ['format', 'timeZone'])
  }
}

/** The longest name that PostgreSQL keeps, in bytes: headers become names of columns in JSON. */
const JSON_HEADER_BYTES = 63

function checkColumns(type: RecordType, columns: readonly ExportColumn[], { format }: ExportFormat): void {
  const refuse = (index: number, message: string, code: 'INVALID_INPUT' | 'UNKNOWN_FIELD' = 'INVALID_INPUT'): never => {
    throw new Refusal(code, message, ['columns', String(index)])
  }
  if (columns.length === 0 || columns.length > EXPORT_COLUMNS_MAX) {
    throw new Refusal('INVALID_INPUT', `An export has from 1 to ${EXPORT_COLUMNS_MAX} columns.`, ['columns'])
  }
  const headers = new Set<string>()
  const json = format === 'JSON' || format === 'NDJSON'
  columns.forEach(({ field, header, format: pattern }, index) => {
    const kind = exportedColumn(type, { field, header, format: pattern })?.kind
    if (kind === undefined) {
      const shown = JSON.stringify(field.slice(0, 100))
      refuse(index, `${type.label} records have no field ${shown} that can be exported.`, 'UNKNOWN_FIELD')
    }
    if (header === '' || header.length > NAME_LENGTH_MAX || header.includes('\0')) {
      refuse(index, `A header has from 1 to ${NAME_LENGTH_MAX} characters.`)
    }
    if (json && Buffer.byteLength(header) > JSON_HEADER_BYTES) {
      refuse(index, `A name in JSON has at most ${JSON_HEADER_BYTES} bytes.`)
    }
    if (headers.has(header)) {
      refuse(index, `Two columns are called ${JSON.stringify(header)}.`)
    }
    headers.add(header)
    if (format === 'CSV' && pattern !== null && (!isTime(kind!) || compiledFormat(pattern) === null)) {
      refuse(index, `${JSON.stringify(pattern.slice(0, 50))} is no format that ${field} can be written in.`)
    }
  })
}

const isTime = (kind: FieldKind): boolean => kind === 'DATE' || kind === 'DATE_TIME'

const extensions = { CSV: 'csv', XLSX: 'xlsx', JSON: 'json', NDJSON: 'ndjson' } as const

function nameOfFile(asked: string | null, recordType: RecordTypeName, { format, compression }: ExportFormat): string {
  const day = new Date().toISOString().slice(0, 10)
  // What no file system takes, what turns the direction of writing, and what would lead elsewhere.
  const said = (asked ?? '').replaceAll(/[\p{Cc}\p{Bidi_Control}<>:"/\\|?*]/gu, ' ')
  const extension = `.${extensions[format]}`
  const base = said
    .trim()
    .replace(/^[. ]+/, '')
    .replace(/\.gz$/i, '')
    .trim()
  const bare = base.toLowerCase().endsWith(extension) ? base.slice(0, -extension.length) : base
  const end = compression === 'GZIP' ? `${extension}.gz` : extension
  const name = bare === '' ? `${recordType}-${day}` : bare
  return `${Array.from(name)
    .slice(0, NAME_LENGTH_MAX - end.length)
    .join('')}${end}`
}

// ------------------------------------------------------------------------------------------------ columns

const own: Readonly<Record<string, { readonly column: string; readonly kind: FieldKind }>> = {
  id: { column: 'id', kind: 'REFERENCE' },
  createdAt: { column: 'created_at', kind: 'DATE_TIME' },
  updatedAt: { column: 'updated_at', kind: 'DATE_TIME' },
  version: { column: 'version', kind: 'INTEGER' },
}

/** A field of the record that a reference leads to, keys or not: `contact.email`, `contact.firstName`, `contact.id`. */
function targetOfPath(
  type: RecordType,
  name: string,
): { readonly field: FieldDefinition; readonly target: FieldDefinition | null } | null {
  const path = referencePath(type, name)
  if (path !== null) {
    return { field: path.field, target: keyField(path) }
  }
  const dot = name.indexOf('.')
  const field = dot < 0 ? null : fieldOf(type, name.slice(0, dot))
  const to = field?.reference?.to ?? 'member'
  if (field === null || to === 'member') {
    return null
  }
  const key = name.slice(dot + 1)
  const target = key === 'id' ? null : fieldOf(recordTypes[to], key)
  return key !== 'id' && (target === null || target.reference !== null) ? null : { field, target }
}

/** Kinds whose text is always a number, a date, a word of ours or an id. */
const plainKinds: ReadonlySet<FieldKind> = new Set([
  'INTEGER',
  'DECIMAL',
  'MONEY',
  'BOOLEAN',
  'DATE',
  'DATE_TIME',
  'REFERENCE',
])

function exportedColumn(type: RecordType, column: ExportColumn): ExportedColumn | null {
  const { field: name } = column
  const path = targetOfPath(type, name)
  if (path !== null) {
    const { target } = path
    const alias = aliasOf(path.field)
    return target === null
      ? { ...column, kind: 'REFERENCE', sql: `${alias}.id`, via: path.field.name, plain: true }
      : { ...column, kind: target.kind, sql: `${alias}.${target.column}`, via: path.field.name, plain: isPlain(target) }
  }
  const field = fieldOf(type, name)
  if (field?.reference != null) {
    // A reference to a deleted record is none.
    return { ...column, kind: 'REFERENCE', sql: `${aliasOf(field)}.id`, via: field.name, plain: true }
  }
  if (field !== null) {
    return { ...column, kind: field.kind, sql: storedValue(unpadded(field)), via: null, plain: isPlain(field) }
  }
  const mine = Object.hasOwn(own, name) ? own[name] : undefined
  return mine === undefined ? null : { ...column, kind: mine.kind, sql: `r.${mine.column}`, via: null, plain: true }
}

/** A custom number as it was written: cast to a scale it would get zeros that it never had. */
function unpadded(field: FieldDefinition): FieldDefinition {
  return field.customKey !== undefined && field.sqlType.startsWith('numeric') ? { ...field, sqlType: 'numeric' } : field
}

function isPlain({ kind, customKey }: FieldDefinition): boolean {
  return plainKinds.has(kind) || (kind === 'ENUM' && customKey === undefined)
}

const aliasOf = (field: FieldDefinition): string => `x_${field.column}`

/** The columns of an export, in their order. Throws where one is no field any more; custom fields of the run's time are still there. */
export function exportedColumns(type: RecordType, columns: readonly ExportColumn[]): ExportedColumn[] {
  return columns.map((column) => {
    const found = exportedColumn(type, column)
    if (found === null) {
      throw new Refusal('UNKNOWN_FIELD', `There is no field ${column.field} to export.`, ['columns'])
    }
    return found
  })
}

// ------------------------------------------------------------------------------------------------ the statement

/** What is read and in which form: the part of a spec that exports of every kind have. */
export type Exported = Pick<ExportSpec, 'recordType' | 'filter' | 'orderBy' | 'columns'>

/** One export as SQL, ready for COPY. */
export interface ExportSql {
  readonly columns: readonly ExportedColumn[]
  /** Counts the rows. */
  readonly count: string
  /** `select <values> from ...`, with the values in the types of their fields. */
  readonly typed: string
  /** The same with each value as its CSV has it. */
  csv(format: ExportFormat): string
  /** One object of JSON for each row. */
  readonly json: string
  /** The first `rows` rows: `cells` as the CSV has them, `values` as they are, both as lists of texts. */
  preview(format: ExportFormat, rows: number): string
}

/** The statements of an export. `type` has the custom fields that its columns name. */
export function exportSql(tenantId: string, type: RecordType, exported: Exported): ExportSql {
  const columns = exportedColumns(type, exported.columns)
  const listed = listSql(type, tenantId, exported.filter, exported.orderBy)
  const tenant = literal(tenantId)
  const withValues = (sql: string): string => withLiterals(sql, listed.values)
  const joins = [...new Set(columns.flatMap(({ via }) => via ?? []))].map((name) => {
    const field = fieldOf(type, name)
    const to = field?.reference?.to
    if (field == null || to === undefined) {
      throw new Error(`${name} is no reference`)
    }
    const alias = aliasOf(field)
    const alive = to === 'member' ? '' : ` and ${alias}.deleted_at is null`
    return ` left join ${to} ${alias} on ${alias}.tenant_id = ${tenant} and ${alias}.id = r.${field.column}${alive}`
  })
  const where = `where r.tenant_id = ${tenant} and r.deleted_at is null${listed.condition === 'true' ? '' : ` and (${withValues(listed.condition)})`}`
  const from = `from ${type.table} r${joins.join('')} ${where}${listed.order === '' ? '' : ` order by ${withValues(listed.order)}`}`
  return {
    columns,
    count: `select count(*)::float8 as rows from ${type.table} r ${where}`,
    typed: `select ${columns.map(({ sql }) => sql).join(', ')} ${from}`,
    preview: (format, rows) => {
      const array = (how: ExportFormat, of: readonly ExportedColumn[]) =>
        `array[${of.map((column) => `(${csvValue(column, how)})::text`).join(', ')}]::text[]`
      const plain = columns.map((column) => ({ ...column, format: null }))
      return `select ${array(format, columns)} as cells, ${array(asItIs(format), plain)} as values ${from} limit ${rows}`
    },
    csv: (format) => `select ${columns.map((column) => csvValue(column, format)).join(', ')} ${from}`,
    json: `select row_to_json(o) from (select ${columns.map(({ sql, header }) => `${sql} as ${identifier(header)}`).join(', ')} ${from}) o`,
  }
}

/** Nothing is escaped, and dates and numbers are written as the service has them. */
function asItIs(format: ExportFormat): ExportFormat {
  return { ...format, dateFormat: null, decimalSeparator: '.', escapeFormulas: false }
}

/** Puts literals for `$1` and so on. The SQL holds names of ours alone, so nothing else in it looks like that. */
function withLiterals(sql: string, values: readonly unknown[]): string {
  return sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1]
    if (Array.isArray(value)) {
      return `array[${value.map((entry) => literal(String(entry))).join(', ')}]`
    }
    if (value === null || typeof value === 'string') {
      return literal(value)
    }
    throw new Error('a value of a filter is a text or a list of texts')
  })
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** SQL for a list as one text, NULL where it is empty. An entry that could be taken for two, or for one in quotes, stands in quotes. */
function listText(sql: string): string {
  const quoted = `select string_agg(case when e.v ~ '^"|[;,|]|:::' then '"' || replace(e.v, '"', '""') || '"' else e.v end, '; ' order by e.at)
    from unnest(${sql}) with ordinality as e (v, at)`
  return `case when array_to_string(${sql}, ' ') ~ '[";,|]|:::' then (${quoted}) else nullif(array_to_string(${sql}, '; '), '') end`
}

function csvValue(column: ExportedColumn, format: ExportFormat): string {
  const { sql, kind, plain } = column
  const guarded = (value: string): string => (format.escapeFormulas && !plain ? guardedText(value) : value)
  switch (kind) {
    case 'INTEGER':
    case 'REFERENCE':
      return sql
    case 'DECIMAL':
    case 'MONEY':
      return format.decimalSeparator === '.' ? sql : `replace((${sql})::text, '.', ',')`
    case 'BOOLEAN':
      return `(${sql})::text`
    case 'DATE':
    case 'DATE_TIME': {
      const pattern = column.format ?? format.dateFormat
      const compiled = pattern === null ? null : compiledFormat(pattern)
      if (compiled === null) {
        // PostgreSQL's own text of a moment has no T and half an offset; its JSON has both.
        return kind === 'DATE' ? sql : `(to_json(${sql}) #>> '{}')`
      }
      return `to_char(${sql}, ${text(kind === 'DATE' ? compiled.day : compiled.moment)})`
    }
    case 'MULTI_ENUM':
      return guarded(listText(sql))
    case 'TEXT':
    case 'LONG_TEXT':
    case 'EMAIL':
    case 'PHONE':
    case 'URL':
    case 'ENUM':
      return guarded(sql)
    default:
      return kind satisfies never
  }
}

// ------------------------------------------------------------------------------------------------ reading

/** Settings of the transaction that reads: how dates and moments look, and no cut of what takes long. */
export function exportSettings(timeZone: string): string {
  return `set local datestyle = 'ISO, YMD'; set local timezone = ${literal(timeZone)}; set local statement_timeout = 0; set local extra_float_digits = 1`
}

/**
 * The records as COPY text writes them: tabs between values, `\N` for none, backslash escapes; values as PostgreSQL writes
 * those of their fields: `t` and `f`, `2026-11-22`, `2026-11-22 09:30:00+00` in `timeZone` (UTC), lists as `{a,"b c"}`.
 * Buffers end with whole rows. `tx` is best one of a lane's `snapshot`.
 */
export async function exportRows(
  tx: LaneTx,
  exported: Exported & { readonly type: RecordType; readonly timeZone?: string },
): Promise<CopyOut & { readonly columns: readonly ExportedColumn[] }> {
  const { columns, typed } = exportSql(tx.tenantId, exported.type, exported)
  await tx.query(exportSettings(exported.timeZone ?? 'UTC'))
  return Object.assign(tx.copyOut(`copy (${typed}) to stdout`), { columns })
}

/** The records as lines of CSV, without their header, in the encoding of the format; UTF-16 is left to whoever writes. */
export async function exportCsv(
  tx: LaneTx,
  exported: Exported & { readonly type: RecordType; readonly format: ExportFormat },
): Promise<CopyOut> {
  const { format } = exported
  const sql = exportSql(tx.tenantId, exported.type, exported).csv(format)
  await tx.query(exportSettings(format.timeZone))
  const options = [
    'format csv',
    `delimiter ${literal(format.delimiter)}`,
    `null ${literal(format.nullText)}`,
    `encoding ${literal(databaseEncoding(format.encoding) ?? 'UTF8')}`,
  ]
  return tx.copyOut(`copy (${sql}) to stdout (${options.join(', ')})`, { lineEnd: '\r\n' })
}

/**
 * The records as objects of JSON: lines of NDJSON, or with commas between them for an array. Values have their types: numbers
 * with all their digits, lists as arrays, moments as ISO 8601 in `timeZone`; a path is one name with a dot.
 */
export async function exportJson(
  tx: LaneTx,
  exported: Exported & { readonly type: RecordType; readonly timeZone: string },
  { array }: { readonly array: boolean },
): Promise<CopyOut> {
  const { json } = exportSql(tx.tenantId, exported.type, exported)
  await tx.query(exportSettings(exported.timeZone))
  // CSV with a quote and a delimiter that JSON never holds as they are: nothing is quoted, and unlike in COPY text no
  // backslash is doubled.
  const copy = `copy (${json}) to stdout (format csv, quote e'\\x01', delimiter e'\\x02', null '')`
  return tx.copyOut(copy, array ? { between: ',\n', lineEnd: '' } : {})
}
