/** Mappings that a tenant keeps, and what its members said about columns before. */
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { MAPPING_TEMPLATE_VERSIONS_MAX, MAPPING_TEMPLATES_MAX, NAME_LENGTH_MAX } from '../limits.js'
import type { ColumnMapping } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'

/** Imports whose mappings say how this tenant maps: the newest ones. */
const EARLIER_RUNS = 100
/** Columns that are taken from them. */
const EARLIER_COLUMNS = 2_000
/** Header rows that have so much in common are those of one kind of file: common columns of all columns of both. */
const OVERLAP_MIN = 0.75

/** A template with its newest version. */
export interface MappingTemplateRow {
  readonly id: string
  readonly name: string
  readonly recordType: RecordTypeName
  readonly version: number
  readonly mapping: readonly ColumnMapping[]
  /** All columns of the files that it is for; null while that is not known. */
  readonly header: readonly string[] | null
  /** Of the record type when this version was saved. */
  readonly schemaVersion: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly archivedAt: Date | null
}

/** What is saved as a version. */
export interface TemplateContent {
  readonly mapping: readonly ColumnMapping[]
  readonly header: readonly string[] | null
  /** What a header row is recognised by: see `signatureOf`. */
  readonly signature: readonly string[]
  readonly schemaVersion: number
}

export interface SaveTemplate extends TemplateContent {
  /** Null for a new template. */
  readonly id: string | null
  readonly name: string
  readonly recordType: RecordTypeName
  readonly actor: string
}

/** What members have said about a column of this name: the field that they gave it, or null for none, and how often. */
export interface EarlierMapping {
  readonly column: string
  readonly field: string | null
  readonly times: number
}

const columns = `t.id, t.name, t.record_type as "recordType", t.version, v.mapping, v.header, v.schema_version as "schemaVersion",
  t.created_at as "createdAt", t.updated_at as "updatedAt", t.archived_at as "archivedAt"`

const newest = `mapping_template t join mapping_template_version v
  on v.tenant_id = t.tenant_id and v.template_id = t.id and v.version = t.version`

/** A template by id, archived or not; null where there is none. */
export function findTemplate(tx: Tx, id: string): Promise<MappingTemplateRow | null> {
  return first<MappingTemplateRow>(tx, `select ${columns} from ${newest} where t.tenant_id = $1 and t.id = $2`, [
    tx.tenantId,
    id,
  ])
}

/** Templates that are not archived, by name; of one record type, or of all for null. */
export function listTemplates(tx: Tx, recordType: RecordTypeName | null): Promise<MappingTemplateRow[]> {
  return tx.query<MappingTemplateRow>(
    `select ${columns} from ${newest}
     where t.tenant_id = $1 and t.archived_at is null and ($2::text is null or t.record_type = $2)
     order by lower(t.name), t.id`,
    [tx.tenantId, recordType],
  )
}

/**
 * Saves a new template, or the next version of one; the versions before stay with the runs that they were used by. Answers
 * its id. Refuses INVALID_INPUT for a name that is taken or none, NOT_FOUND and INVALID_STATE for a template that is not
 * there or archived, LIMIT_EXCEEDED.
 */
export async function saveTemplate(tx: Tx, input: SaveTemplate): Promise<string> {
  const name = checkedName(input.name)
  // Members who save at the same time take turns, so that names and numbers hold.
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`mapping templates ${tx.tenantId}`])
  const before = input.id === null ? null : await findTemplate(tx, input.id)
  if (input.id !== null) {
    checkSavable(before, input.recordType)
  }
  await checkUnique(tx, { ...input, name })
  if (before === null) {
    await checkCount(tx)
  }
  const id = before?.id ?? newId()
  const version = (before?.version ?? 0) + 1
  if (version > MAPPING_TEMPLATE_VERSIONS_MAX) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `A template has at most ${MAPPING_TEMPLATE_VERSIONS_MAX} versions. Archive it and save a new one.`,
    )
  }
  if (before === null) {
    await tx.query(
      `insert into mapping_template (tenant_id, id, record_type, name, version, created_by) values ($1, $2, $3, $4, $5, $6)`,
      [tx.tenantId, id, input.recordType, name, version, input.actor],
    )
  } else {
    await tx.query(
      `update mapping_template set name = $3, version = $4, updated_at = clock_timestamp() where tenant_id = $1 and id = $2`,
      [tx.tenantId, id, name, version],
    )
  }
  await tx.query(
    `insert into mapping_template_version (tenant_id, template_id, version, mapping, header, signature, schema_version, created_by)
     values ($1, $2, $3, $4::jsonb, $5::text[], $6::text[], $7, $8)`,
    [
      tx.tenantId,
      id,
      version,
      JSON.stringify(input.mapping),
      input.header,
      input.signature,
      input.schemaVersion,
      input.actor,
    ],
  )
  return id
}

/** Offers a template no more and gives its name free. Archiving again changes nothing. Refuses NOT_FOUND. */
export async function archiveTemplate(tx: Tx, id: string): Promise<void> {
  const found = await first(
    tx,
    `update mapping_template set archived_at = coalesce(archived_at, clock_timestamp())
     where tenant_id = $1 and id = $2 returning id`,
    [tx.tenantId, id],
  )
  if (found === null) {
    throw noTemplate(['id'])
  }
}

/** The template that an import asks for. Refuses NOT_FOUND, and INVALID_STATE and INVALID_INPUT where it cannot be used. */
export async function templateFor(tx: Tx, id: string, recordType: RecordTypeName): Promise<MappingTemplateRow> {
  const template = await findTemplate(tx, id)
  const field = ['mappingTemplateId']
  if (template === null) {
    throw noTemplate(field)
  }
  if (template.archivedAt !== null) {
    throw new Refusal('INVALID_STATE', `The template “${template.name}” is archived.`, field)
  }
  if (template.recordType !== recordType) {
    throw new Refusal(
      'INVALID_INPUT',
      `The template “${template.name}” is for records of the type ${template.recordType.toUpperCase()}.`,
      field,
    )
  }
  return template
}

/** A version that a run holds on to. */
export function templateVersion(tx: Tx, id: string, version: number): Promise<MappingTemplateRow> {
  return one<MappingTemplateRow>(
    tx,
    `select t.id, t.name, t.record_type as "recordType", v.version, v.mapping, v.header, v.schema_version as "schemaVersion",
       t.created_at as "createdAt", t.updated_at as "updatedAt", t.archived_at as "archivedAt"
     from mapping_template t join mapping_template_version v on v.tenant_id = t.tenant_id and v.template_id = t.id
     where t.tenant_id = $1 and t.id = $2 and v.version = $3`,
    [tx.tenantId, id, version],
  )
}

/**
 * The template to offer for a header row: one for the very same columns, or else the one that has most in common with them;
 * null where none is for such a file. While a template names some columns only, having all of them is enough.
 */
export function offeredTemplate(
  tx: Tx,
  recordType: RecordTypeName,
  signature: readonly string[],
): Promise<MappingTemplateRow | null> {
  return first<MappingTemplateRow>(
    tx,
    `select ${columns} from ${newest}
       cross join lateral (select count(*)::float8 as shared from unnest(v.signature) s where s = any ($3::text[])) o
     where t.tenant_id = $1 and t.record_type = $2 and t.archived_at is null
       and (v.signature = $3::text[]
         or o.shared / (cardinality(v.signature) + cardinality($3::text[]) - o.shared) >= $4
         or v.header is null and o.shared >= 2 and o.shared = cardinality(v.signature))
     order by v.signature = $3::text[] desc, o.shared / (cardinality(v.signature) + cardinality($3::text[]) - o.shared) desc,
       t.updated_at desc, t.id
     limit 1`,
    [tx.tenantId, recordType, signature, OVERLAP_MIN],
  )
}

/** Keeps the columns of the first file that a version was used for: with them, new ones are told from others. */
export async function learnHeader(
  tx: Tx,
  template: Pick<MappingTemplateRow, 'id' | 'version'>,
  header: readonly string[],
  signature: readonly string[],
): Promise<void> {
  await tx.query(
    `update mapping_template_version set header = $4::text[], signature = $5::text[]
     where tenant_id = $1 and template_id = $2 and version = $3 and header is null`,
    [tx.tenantId, template.id, template.version, header, signature],
  )
}

/**
 * How the members of this tenant mapped columns in their last completed imports, where they gave the mapping or confirmed
 * the plan made with it. Columns that need transforms are left out: a field alone does not say what was done.
 */
export function earlierMappings(tx: Tx, recordType: RecordTypeName): Promise<EarlierMapping[]> {
  return tx.query<EarlierMapping>(
    `with recent as (
       select mapping, confirmation from run
       where tenant_id = $1 and kind = 'IMPORT' and record_type = $2 and status in ('COMPLETED', 'COMPLETED_WITH_ERRORS')
       order by id desc limit $3)
     select e ->> 'column' as "column", e ->> 'field' as field, count(*)::int as times
     from recent cross join jsonb_array_elements(recent.mapping) e
     where e ->> 'column' is not null and coalesce(jsonb_array_length(e -> 'transforms'), 0) = 0
       and (e ->> 'confidence' is null or recent.confirmation = 'ASK' and e ->> 'field' is not null)
     group by 1, 2 order by times desc, 1, 2 limit $4`,
    [tx.tenantId, recordType, EARLIER_RUNS, EARLIER_COLUMNS],
  )
}

function noTemplate(field: readonly string[]): Refusal {
  return new Refusal('NOT_FOUND', 'There is no mapping template with this id.', field)
}

function checkedName(given: string): string {
  const name = given.trim()
  if (name === '' || name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name)) {
    throw new Refusal('INVALID_INPUT', `The name of a template has 1 to ${NAME_LENGTH_MAX} characters, on one line.`, [
      'name',
    ])
  }
  return name
}

function checkSavable(template: MappingTemplateRow | null, recordType: RecordTypeName): void {
  if (template === null) {
    throw noTemplate(['id'])
  }
  if (template.archivedAt !== null) {
    throw new Refusal('INVALID_STATE', 'This template is archived: save it as a new one, without an id.', ['id'])
  }
  if (template.recordType !== recordType) {
    throw new Refusal(
      'INVALID_INPUT',
      `This template is for records of the type ${template.recordType.toUpperCase()}, and stays so.`,
      ['recordType'],
    )
  }
}

async function checkUnique(tx: Tx, { id, name, recordType }: SaveTemplate): Promise<void> {
  const other = await first(
    tx,
    `select id from mapping_template
     where tenant_id = $1 and record_type = $2 and lower(name) = lower($3) and archived_at is null and id is distinct from $4::uuid`,
    [tx.tenantId, recordType, name, id],
  )
  if (other !== null) {
    throw new Refusal(
      'INVALID_INPUT',
      `There is a template “${name}” for this record type. Give its id to save a new version of it, or take another name.`,
      ['name'],
    )
  }
}

async function checkCount(tx: Tx): Promise<void> {
  const { count } = await one<{ count: number }>(
    tx,
    'select count(*)::int as count from mapping_template where tenant_id = $1 and archived_at is null',
    [tx.tenantId],
  )
  if (count >= MAPPING_TEMPLATES_MAX) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `A tenant keeps at most ${MAPPING_TEMPLATES_MAX} mapping templates. Archive some that are no longer used.`,
    )
  }
}
