/** The record types and how to look things up in them. */
import { activity } from './activity.js'
import { contact } from './contact.js'
import { email, idOf } from './field.js'
import { lead } from './lead.js'
import { property } from './property.js'
import type { FieldDefinition, RecordCheck, RecordType, RecordTypeName, ReferenceDefinition } from './types.js'

export const recordTypes: Readonly<Record<RecordTypeName, RecordType>> = { contact, lead, property, activity }

/**
 * Columns of every record table that no mapping can write: keys, versions, times of our own, what runs leave behind,
 * and custom fields, which have names of their own. Every other column belongs to exactly one field.
 */
export const protectedColumns = [
  'tenant_id',
  'id',
  'custom_fields',
  'version',
  'pristine_version',
  'created_at',
  'updated_at',
  'deleted_at',
  'created_run_id',
  'created_row',
] as const

/** A reference and the key by which a file names the record, e.g. `contact.email`. */
export interface ReferencePath {
  readonly field: FieldDefinition
  readonly reference: ReferenceDefinition
  /** Field of the referred type. */
  readonly key: string
}

/** The name of the pseudo-field that holds a record's id here: a file of our own finds its records again by it. */
export const ID_FIELD = 'id'

const idFields: Readonly<Record<RecordTypeName, FieldDefinition>> = {
  contact: idOf('contact'),
  lead: idOf('lead'),
  property: idOf('property'),
  activity: idOf('activity'),
}

/** What a column of ids of `type` is read as. It stands in no list of fields, because nothing ever writes it. */
export function idField(type: RecordTypeName): FieldDefinition {
  return idFields[type]
}

const memberEmail = email('email', 'E-mail', 'E-mail address of a member.')

/** By the type itself and not by its name: a tenant's type has custom fields besides. */
const fieldsByType = new WeakMap<RecordType, ReadonlyMap<string, FieldDefinition>>()

const pathsByType = new Map<RecordTypeName, ReadonlyMap<string, ReferencePath>>(
  Object.values(recordTypes).map((type) => [
    type.name,
    new Map(
      type.fields.flatMap((field) => {
        const { reference } = field
        return reference === null
          ? []
          : [...(reference.to === 'member' ? [] : [ID_FIELD]), ...reference.keys].map(
              (key): [string, ReferencePath] => [pathName(field, reference, key), { field, reference, key }],
            )
      }),
    ),
  ]),
)

/** The field called `name`, references included (`contact`, not `contact.email`); null if there is none. */
export function fieldOf(type: RecordType, name: string): FieldDefinition | null {
  let fields = fieldsByType.get(type)
  if (fields === undefined) {
    fields = new Map(type.fields.map((field) => [field.name, field]))
    fieldsByType.set(type, fields)
  }
  return fields.get(name) ?? null
}

/** The reference and key that a mappable name stands for: `contact.email`, or `ownerEmail` itself; null for other names. */
export function referencePath(type: RecordType, name: string): ReferencePath | null {
  return pathsByType.get(type.name)?.get(name) ?? null
}

/** A field of a record that a row refers to, e.g. `contact.firstName`: with it one row feeds records of two types. */
export interface RelatedPath {
  /** The reference, e.g. `contact`. */
  readonly field: FieldDefinition
  readonly to: RecordTypeName
  /** The field of the referred record. */
  readonly target: FieldDefinition
}

/**
 * The referred record's field that a mappable name stands for, its keys aside: `contact.firstName`, but not `contact.email`,
 * by which the record is found, and nothing of records of the row's own type. Null for other names.
 */
export function relatedPath(type: RecordType, name: string): RelatedPath | null {
  const dot = name.indexOf('.')
  const field = dot < 0 ? null : fieldOf(type, name.slice(0, dot))
  const to = field?.reference?.to ?? 'member'
  if (field === null || to === 'member' || to === type.name || referencePath(type, name) !== null) {
    return null
  }
  const target = fieldOf(recordTypes[to], name.slice(dot + 1))
  return target === null || target.reference !== null ? null : { field, to, target }
}

/**
 * Everything a column of a file of anybody's can become, in the order of the fields: `email`, `contact.email`, `ownerEmail`. Ids of
 * ours (`id`, `contact.id`) are mappable as well, but nobody looks for them by their names: see `isMappable`.
 */
export function mappableNames(type: RecordType): readonly string[] {
  return type.fields.flatMap((field) =>
    field.reference === null ? [field.name] : field.reference.keys.map((key) => pathName(field, field.reference!, key)),
  )
}

/** What finds a record and all that it holds again: its id, every field, and of each reference the id and the other keys. */
export function portableNames(type: RecordType): readonly string[] {
  return [
    ID_FIELD,
    ...type.fields.flatMap((field) =>
      field.reference === null
        ? [field.name]
        : [...(field.reference.to === 'member' ? [] : [ID_FIELD]), ...field.reference.keys].map((key) =>
            pathName(field, field.reference!, key),
          ),
    ),
  ]
}

/** Whether a mapping may lead a column to `name`: one of `mappableNames`, `id`, or the id of a referred record, `contact.id`. */
export function isMappable(type: RecordType, name: string): boolean {
  return name === ID_FIELD || referencePath(type, name) !== null || fieldOf(type, name)?.reference === null
}

/** The field of the referred type that a reference's key is read as. */
export function keyField(path: ReferencePath): FieldDefinition {
  if (path.key === ID_FIELD && path.reference.to !== 'member') {
    return idField(path.reference.to)
  }
  const found = path.reference.to === 'member' ? memberEmail : fieldOf(recordTypes[path.reference.to], path.key)
  if (found === null) {
    throw new Error(`${path.reference.to} has no field ${path.key}`)
  }
  return found
}

/** Every rule that the table enforces over values: the type's own ones, the options of its choices and its ranges. */
export function checksOf(type: RecordType): readonly RecordCheck[] {
  return [
    {
      name: 'source_named',
      sql: 'external_id is null or source_system is not null',
      message: 'An external id needs the source system that it belongs to.',
      fields: ['externalId', 'sourceSystem'],
    },
    ...type.fields.flatMap(fieldChecks),
    ...type.checks,
  ]
}

/** The rule behind a violated constraint of the type's table, by the constraint's full name; null for other constraints. */
export function checkOfConstraint(type: RecordType, constraint: string): RecordCheck | null {
  return checksOf(type).find((check) => `${type.table}_${check.name}` === constraint) ?? null
}

/** An owner is a member and named by e-mail only, so the field's own name says it all. */
function pathName(field: FieldDefinition, reference: ReferenceDefinition, key: string): string {
  return reference.to === 'member' ? field.name : `${field.name}.${key}`
}

function fieldChecks(field: FieldDefinition): RecordCheck[] {
  const checks: RecordCheck[] = []
  if (field.options !== null) {
    checks.push({
      name: `${field.column}_options`,
      sql: `${field.column} in (${field.options.map((option) => `'${option}'`).join(', ')})`,
      message: `${field.label} is none of: ${field.options.join(', ')}.`,
      fields: [field.name],
    })
  }
  // The range of the column's type needs no rule of its own.
  if (field.min !== null && field.max !== null && field.min > -2_147_483_648) {
    checks.push({
      name: `${field.column}_range`,
      sql: `${field.column} between ${field.min} and ${field.max}`,
      message: `${field.label} is not between ${field.min} and ${field.max}.`,
      fields: [field.name],
    })
  }
  return checks
}
