import 'reflect-metadata'
import type { ClassType } from 'type-graphql'
import { Field, Float, ID, InputType, Int, InterfaceType, ObjectType } from 'type-graphql'
import { recordTypes } from '../records/index.js'
import type { FieldDefinition, FieldKind, RecordTypeName } from '../records/types.js'
import type { RowOutcome } from '../runs/types.js'
import { connectionOf, Node, Payload, type Typed } from './common.js'
import {
  enumOf,
  FieldKindEnum,
  FilterOperator,
  LinkRole,
  OrderDirection,
  RecordTypeEnum,
  RowOutcomeEnum,
} from './enums.js'
import { CalendarDate, DateTime, Decimal, SafeInt } from './scalars.js'

@ObjectType('CustomFieldValue')
export class CustomFieldValue {
  @Field(() => String)
  readonly key!: string

  @Field(() => String, { nullable: true })
  readonly value!: string | null
}

@ObjectType('RecordTouch', { description: 'What one run did to one record.' })
export class RecordTouch {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => SafeInt, { nullable: true })
  readonly rowNumber!: number | null

  @Field(() => RowOutcomeEnum)
  readonly action!: RowOutcome

  @Field(() => DateTime)
  readonly at!: Date

  @Field(() => [String], { description: 'Empty for a created record: every field came with it.' })
  readonly changedFields!: readonly string[]
}

@ObjectType('RecordIdentity', {
  description: 'One place that this record is known by: the external system, account and object, and its id there.',
})
export class RecordIdentity {
  @Field(() => String)
  readonly sourceSystem!: string

  @Field(() => String)
  readonly externalId!: string

  @Field(() => String, { nullable: true })
  readonly url!: string | null
}

@ObjectType('ActivityLink')
export class ActivityLink {
  @Field(() => LinkRole)
  readonly role!: keyof typeof LinkRole

  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => ID)
  readonly recordId!: string
}

@InterfaceType('Record', {
  description:
    'What every CRM record has. The concrete types Contact, Lead, Property and Activity add their own typed fields.',
  resolveType: (value: Typed) => value.__typename,
})
export class RecordInterface {
  @Field(() => ID)
  readonly id!: string

  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => String, {
    nullable: true,
    description: 'The system that the record came from, e.g. `salesforce`, `file`; null for records made here.',
  })
  readonly sourceSystem!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'Its id there; unique per tenant, record type and sourceSystem.',
  })
  readonly externalId!: string | null

  @Field(() => Int, { description: 'Goes up by one at every change.' })
  readonly version!: number

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => DateTime)
  readonly updatedAt!: Date

  @Field(() => [CustomFieldValue], {
    description:
      'Those of the custom fields of recordSchema that have a value, in its order. Lists are separated by `; `.',
  })
  readonly customFields!: readonly CustomFieldValue[]
}

/** GraphQL enums of the fields that have options, by record type and field. */
const enumNames: Readonly<Record<string, string>> = {
  'contact.kind': 'ContactKind',
  'lead.leadType': 'LeadType',
  'lead.status': 'LeadStatus',
  'lead.rating': 'LeadRating',
  'lead.transactionType': 'TransactionType',
  'property.transactionType': 'TransactionType',
  'property.standardStatus': 'StandardStatus',
  'property.livingAreaUnits': 'AreaUnits',
  'property.lotSizeUnits': 'AreaUnits',
  'activity.type': 'ActivityType',
  'activity.status': 'ActivityStatus',
  'activity.priority': 'ActivityPriority',
  'activity.direction': 'ActivityDirection',
}

const enums = new Map<string, object>()

function fieldEnum(type: RecordTypeName, field: FieldDefinition): object {
  const name = enumNames[`${type}.${field.name}`]
  if (name === undefined) {
    throw new Error(`the enum of ${type}.${field.name} has no name in the API`)
  }
  const known = enums.get(name) ?? enumOf(name, field.options ?? [])
  enums.set(name, known)
  return known
}

/** Exact numbers are text in the API, coordinates are not. */
const floats: ReadonlySet<string> = new Set(['property.latitude', 'property.longitude'])

/** Whether the API shows this exact number as a float. */
export function isFloat(type: RecordTypeName, field: FieldDefinition): boolean {
  return floats.has(`${type}.${field.name}`)
}

const scalarsByKind = {
  TEXT: String,
  LONG_TEXT: String,
  EMAIL: String,
  PHONE: String,
  URL: String,
  INTEGER: Int,
  DECIMAL: Decimal,
  MONEY: Decimal,
  BOOLEAN: Boolean,
  DATE: CalendarDate,
  DATE_TIME: DateTime,
  ENUM: null,
  MULTI_ENUM: [String],
  REFERENCE: null,
} as const satisfies Record<FieldKind, unknown>

/** Names of the API's types by record type. */
export const recordTypeNames = {
  contact: 'Contact',
  lead: 'Lead',
  property: 'Property',
  activity: 'Activity',
} as const satisfies Record<RecordTypeName, string>

/** One class per record type, with a field for each field of its definition. */
export const recordClasses = Object.fromEntries(
  (Object.keys(recordTypeNames) as RecordTypeName[]).map((name) => [name, class {}]),
) as Record<RecordTypeName, ClassType>

const inherited: ReadonlySet<string> = new Set(['sourceSystem', 'externalId'])

for (const type of Object.values(recordTypes)) {
  const target = recordClasses[type.name]
  ObjectType(recordTypeNames[type.name], { implements: [RecordInterface, Node] })(target)
  for (const field of type.fields.filter(({ name }) => !inherited.has(name))) {
    // Not within the thunk: an enum has to be registered before the schema is built.
    const output = outputType(type.name, field)
    Field(() => output, {
      nullable: !field.required,
      description: field.description,
      // Each reference is looked up, though for all records of a list at once.
      complexity: field.reference === null || field.reference.to === 'member' ? undefined : 1,
    })(target.prototype, field.name)
  }
}
Field(() => [ActivityLink], { description: 'Records that it is about, of any type.' })(
  recordClasses.activity.prototype,
  'links',
)

function outputType(type: RecordTypeName, field: FieldDefinition) {
  if (field.reference !== null) {
    return field.reference.to === 'member' ? String : recordClasses[field.reference.to]
  }
  if (field.kind === 'ENUM') {
    return fieldEnum(type, field)
  }
  return isFloat(type, field) ? Float : (scalarsByKind[field.kind] ?? String)
}

export const ContactConnection = connectionOf('Contact', () => recordClasses.contact, true)
export const LeadConnection = connectionOf('Lead', () => recordClasses.lead, true)
export const PropertyConnection = connectionOf('Property', () => recordClasses.property, true)
export const ActivityConnection = connectionOf('Activity', () => recordClasses.activity, true)

@ObjectType('RecordField')
export class RecordField {
  @Field(() => ID, {
    nullable: true,
    description: 'Of a custom field, as customFieldArchive takes it; null for others.',
  })
  readonly id!: string | null

  @Field(() => String, {
    description:
      'Stable name used in mappings, filters and exports, e.g. `email`, `addressLine1`, `custom.favouriteColour`.',
  })
  readonly name!: string

  @Field(() => String)
  readonly label!: string

  @Field(() => String, { nullable: true })
  readonly description!: string | null

  @Field(() => FieldKindEnum)
  readonly kind!: FieldKind

  @Field(() => Boolean, {
    description: 'A created record must have a value; where the field has a default, it serves.',
  })
  readonly required!: boolean

  @Field(() => Boolean, {
    description: 'No two records have the same value; of `externalId`, none of the same source system.',
  })
  readonly unique!: boolean

  @Field(() => Boolean, { description: 'Made by this tenant: see customFieldCreate.' })
  readonly custom!: boolean

  @Field(() => Int, { nullable: true })
  readonly maxLength!: number | null

  @Field(() => [String], { nullable: true })
  readonly options!: readonly string[] | null

  @Field(() => RecordTypeEnum, { nullable: true })
  readonly references!: string | null

  @Field(() => Boolean, { description: 'Masked for actors without PII_READ.' })
  readonly sensitive!: boolean
}

@ObjectType('RecordSchema')
export class RecordSchema {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => Int, { description: 'Goes up when a field is added, archived or changed.' })
  readonly version!: number

  @Field(() => [RecordField])
  readonly fields!: readonly RecordField[]

  @Field(() => [String], { description: 'Fields that `matchOn` can name.' })
  readonly matchableFields!: readonly string[]
}

@InputType('FieldConditionInput', {
  description:
    '`value` for EQ, NEQ, LT, LTE, GT, GTE, CONTAINS and STARTS_WITH, `values` for IN and NOT_IN, neither for IS_NULL and IS_NOT_NULL. ' +
    'Values are texts as mappings take them: dates YYYY-MM-DD, booleans true or false, references ids. ' +
    'A path such as `contact.email` asks about the record referred to. A field without a value matches only IS_NULL, NEQ and NOT_IN.',
})
export class FieldConditionInput {
  @Field(() => String)
  readonly field!: string

  @Field(() => FilterOperator)
  readonly operator!: keyof typeof FilterOperator

  @Field(() => String, { nullable: true })
  readonly value?: string | null

  @Field(() => [String], { nullable: true })
  readonly values?: string[] | null
}

@InputType('RecordFilterInput', { description: 'Exactly one of the members is set.' })
export class RecordFilterInput {
  @Field(() => [RecordFilterInput], { nullable: true })
  readonly and?: RecordFilterInput[] | null

  @Field(() => [RecordFilterInput], { nullable: true })
  readonly or?: RecordFilterInput[] | null

  @Field(() => RecordFilterInput, { nullable: true })
  readonly not?: RecordFilterInput | null

  @Field(() => FieldConditionInput, { nullable: true })
  readonly where?: FieldConditionInput | null
}

@InputType('RecordOrderInput', { description: 'Records without a value come last. Ties are broken newest first.' })
export class RecordOrderInput {
  @Field(() => String)
  readonly field!: string

  @Field(() => OrderDirection, { nullable: true, description: 'ASC by default.' })
  readonly direction?: keyof typeof OrderDirection | null
}

@InputType('FieldValueInput', {
  description: 'Null empties the field. A reference takes the id of a record, `ownerEmail` an e-mail address.',
})
export class FieldValueInput {
  @Field(() => String)
  readonly field!: string

  @Field(() => String, { nullable: true })
  readonly value?: string | null
}

@InputType('RecordUpdateInput', {
  description: 'With `version`, a record that has changed since is not touched: VERSION_CONFLICT.',
})
export class RecordUpdateInput {
  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => ID)
  readonly id!: string

  @Field(() => Int, { nullable: true })
  readonly version?: number | null

  @Field(() => [FieldValueInput])
  readonly fields!: FieldValueInput[]
}

@InputType('RecordDeleteInput', {
  description: 'With `version`, a record that has changed since is not touched: VERSION_CONFLICT.',
})
export class RecordDeleteInput {
  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => ID)
  readonly id!: string

  @Field(() => Int, { nullable: true })
  readonly version?: number | null
}

@ObjectType('RecordPayload')
export class RecordPayload extends Payload {
  @Field(() => RecordInterface, { nullable: true })
  readonly record!: RecordInterface | null
}

@ObjectType('RecordDeletePayload')
export class RecordDeletePayload extends Payload {
  @Field(() => ID, { nullable: true })
  readonly deletedId!: string | null
}
