/**
 * The custom fields of a tenant: where they are kept, and the one place that loads them. What comes out is a record type
 * with further field definitions, so that everyone else sees just fields.
 */
import { first, one, type Tx } from '../../db/tx.js'
import { Refusal } from '../../errors.js'
import { newId } from '../../ids.js'
import { CUSTOM_FIELD_KEYS_MAX, CUSTOM_FIELDS_MAX } from '../../limits.js'
import { type CustomField, type CustomFieldKind, customDefinition, withCustomFields } from '../../records/custom.js'
import { recordTypes } from '../../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../../records/types.js'

/** A record type as one tenant has it. */
export interface RecordSchema {
  readonly type: RecordType
  /** Goes up with every change that the tenant makes to its fields; 0 before the first one. */
  readonly version: number
  /** Ids of the custom fields, by name. */
  readonly ids: ReadonlyMap<string, string>
}

interface Stored extends CustomField {
  readonly id: string
}

const columns = 'c.id, c.key, c.label, c.kind, c.options'

/** The fields of a record type as they stand. */
export async function loadSchema(tx: Tx, name: RecordTypeName): Promise<RecordSchema> {
  // One statement: fields and version belong together also while somebody changes them.
  const rows = await tx.query<{ version: number } & (Stored | { readonly id: null })>(
    `select s.version, ${columns} from record_schema s
     left join custom_field c on c.tenant_id = s.tenant_id and c.record_type = s.record_type and c.to_version is null
     where s.tenant_id = $1 and s.record_type = $2 order by c.position`,
    [tx.tenantId, name],
  )
  const fields = rows.filter((row) => row.id !== null)
  const definitions = definitionsOf(fields)
  return {
    type: withCustomFields(recordTypes[name], definitions),
    version: rows[0]?.version ?? 0,
    ids: new Map(definitions.map((field, index) => [field.name, fields[index]?.id ?? ''])),
  }
}

/** The record type with the custom fields that stand. */
export async function loadRecordType(tx: Tx, name: RecordTypeName): Promise<RecordType> {
  return (await loadSchema(tx, name)).type
}

/** The record type of a run with the custom fields that its mapping was made for, whatever has been archived since. */
export async function loadRecordTypeOf(
  tx: Tx,
  run: { readonly id: string; readonly recordType: RecordTypeName },
): Promise<RecordType> {
  const fields = await tx.query<Stored>(
    `select ${columns} from run r join custom_field c on c.tenant_id = r.tenant_id and c.record_type = r.record_type
       and c.from_version <= r.schema_version and (c.to_version is null or c.to_version > r.schema_version)
     where r.tenant_id = $1 and r.id = $2 order by c.position`,
    [tx.tenantId, run.id],
  )
  return withCustomFields(recordTypes[run.recordType], definitionsOf(fields))
}

/** The record type with the fields that stand, as the one that the mapping of this run is made for. */
export async function noteRecordType(
  tx: Tx,
  run: { readonly id: string; readonly recordType: RecordTypeName },
): Promise<RecordType> {
  const { type, version } = await loadSchema(tx, run.recordType)
  await tx.query('update run set schema_version = $3 where tenant_id = $1 and id = $2 and schema_version <> $3', [
    tx.tenantId,
    run.id,
    version,
  ])
  return type
}

function definitionsOf(fields: readonly CustomField[]): FieldDefinition[] {
  return fields.map(({ key, label, kind, options }) => customDefinition({ key, label, kind, options }))
}

/**
 * Adds fields to a record type, all in one version. An archived key is revived with its id, and only with its old kind, as
 * values of that kind are still there. `known`: what a field that stands already means; USE takes it if its kind is the same
 * and it has the options. Refuses INVALID_INPUT and LIMIT_EXCEEDED at the `path` of the field.
 */
export async function addCustomFields(
  tx: Tx,
  name: RecordTypeName,
  fields: readonly { readonly field: CustomField; readonly path: readonly string[] }[],
  by: { readonly actor: string; readonly known: 'REFUSE' | 'USE' },
): Promise<void> {
  if (fields.length === 0) {
    return
  }
  const version = await lockSchema(tx, name)
  const counted = await one<{ standing: number; keys: number }>(
    tx,
    `select count(*) filter (where to_version is null)::int as standing, count(distinct key)::int as keys
     from custom_field where tenant_id = $1 and record_type = $2`,
    [tx.tenantId, name],
  )
  let { standing, keys } = counted
  let changed = false
  for (const { field, path } of fields) {
    const before = await newestOf(tx, name, field.key)
    if (before !== null && before.kind !== field.kind) {
      throw new Refusal(
        'INVALID_INPUT',
        `${before.archived ? 'An archived' : 'A'} custom field has the key ${field.key} already, of kind ${before.kind}; it cannot become one of kind ${field.kind}. Take another key.`,
        [...path, 'key'],
      )
    }
    if (before !== null && !before.archived) {
      checkKnown(before, field, by.known, path)
      continue
    }
    standing += 1
    keys += before === null ? 1 : 0
    if (standing > CUSTOM_FIELDS_MAX || keys > CUSTOM_FIELD_KEYS_MAX) {
      throw new Refusal(
        'LIMIT_EXCEEDED',
        standing > CUSTOM_FIELDS_MAX
          ? `A record type has at most ${CUSTOM_FIELDS_MAX} custom fields. Archive one first.`
          : `A record type has at most ${CUSTOM_FIELD_KEYS_MAX} keys of custom fields, archived ones with them. Revive one of those.`,
        path,
      )
    }
    await tx.query(
      `insert into custom_field (tenant_id, id, record_type, key, position, label, kind, options, from_version, created_by)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        tx.tenantId,
        before?.id ?? newId(),
        name,
        field.key,
        before?.position ?? keys,
        field.label,
        field.kind,
        field.options === null ? null : [...field.options],
        version + 1,
        by.actor,
      ],
    )
    changed = true
  }
  if (changed) {
    await setVersion(tx, name, version + 1)
  }
}

/**
 * Archives a field: nothing can be mapped to it any more and nobody sees it, but its values stay where they are. Answers the
 * record type that it belongs to; null where no such field stands.
 */
export async function archiveCustomField(tx: Tx, id: string): Promise<RecordTypeName | null> {
  const find = () =>
    first<{ record_type: RecordTypeName }>(
      tx,
      'select record_type from custom_field where tenant_id = $1 and id = $2 and to_version is null',
      [tx.tenantId, id],
    )
  const found = await find()
  if (found === null) {
    return null
  }
  const version = await lockSchema(tx, found.record_type)
  const ended = await tx.query(
    'update custom_field set to_version = $3 where tenant_id = $1 and id = $2 and to_version is null returning id',
    [tx.tenantId, id, version + 1],
  )
  if (ended.length === 0) {
    return null
  }
  await setVersion(tx, found.record_type, version + 1)
  return found.record_type
}

/** The version of a record type's fields, held until the transaction ends: changes of the fields go one after the other. */
async function lockSchema(tx: Tx, name: RecordTypeName): Promise<number> {
  await tx.query(
    'insert into record_schema (tenant_id, record_type, version) values ($1, $2, 0) on conflict do nothing',
    [tx.tenantId, name],
  )
  const { version } = await one<{ version: number }>(
    tx,
    'select version from record_schema where tenant_id = $1 and record_type = $2 for update',
    [tx.tenantId, name],
  )
  return version
}

async function setVersion(tx: Tx, name: RecordTypeName, version: number): Promise<void> {
  await tx.query('update record_schema set version = $3 where tenant_id = $1 and record_type = $2', [
    tx.tenantId,
    name,
    version,
  ])
}

interface Known {
  readonly id: string
  readonly kind: CustomFieldKind
  readonly options: readonly string[] | null
  readonly position: number
  readonly archived: boolean
}

/** What a key means or has meant last. */
function newestOf(tx: Tx, name: RecordTypeName, key: string): Promise<Known | null> {
  return first<Known>(
    tx,
    `select id, kind, options, position, to_version is not null as archived from custom_field
     where tenant_id = $1 and record_type = $2 and key = $3 order by from_version desc limit 1`,
    [tx.tenantId, name, key],
  )
}

function checkKnown(before: Known, field: CustomField, known: 'REFUSE' | 'USE', path: readonly string[]): void {
  if (known === 'REFUSE') {
    throw new Refusal('INVALID_INPUT', `There is a custom field with the key ${field.key} already.`, [...path, 'key'])
  }
  const missing =
    before.options === null ? [] : (field.options ?? []).filter((option) => !before.options?.includes(option))
  if (missing.length > 0) {
    throw new Refusal(
      'INVALID_INPUT',
      `The custom field ${field.key} is there already, without the options ${missing.slice(0, 5).join(', ')}. Map the column to it with a value map for these, or archive the field and create it again with more options.`,
      [...path, 'options'],
    )
  }
}
