/** What each answer looks like, in the project's own words, and what a record of an object may hold by its description. */
import { type Schema, violationsOf } from '../common/schema.js'
import type { Json, Row } from '../common/types.js'
import { type Entity, type Field } from './fields.js'

const text: Schema = { type: 'string' }
const whole: Schema = { type: 'integer' }
const flag: Schema = { type: 'boolean' }
const MOMENT = String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000$`
const moment: Schema = { type: 'string', pattern: MOMENT }
const ID = '^[0-9A-Za-z]{15}[A-Z0-5]{3}$'
const id: Schema = { type: 'string', pattern: ID }
const list = (items: Schema, maxItems?: number): Schema => ({
  type: 'array',
  items,
  ...(maxItems === undefined ? {} : { maxItems }),
})

function object(
  properties: { readonly [name: string]: Schema },
  more: { readonly [name: string]: Schema } = {},
): Schema {
  return { type: 'object', properties: { ...properties, ...more }, required: Object.keys(properties) }
}

const described = object({
  name: text,
  label: text,
  labelPlural: text,
  keyPrefix: { type: 'string', pattern: '^[0-9A-Za-z]{3}$' },
  custom: flag,
  queryable: flag,
  replicateable: flag,
  retrieveable: flag,
  urls: object({ sobject: text, describe: text, rowTemplate: text }),
})
const record = object({ attributes: object({ type: text, url: text }) })
const pair = object({ Max: whole, Remaining: whole })
const job = object(
  {
    id,
    operation: { type: 'string', enum: ['query', 'queryAll'] },
    object: text,
    createdById: id,
    createdDate: moment,
    systemModstamp: moment,
    state: { type: 'string', enum: ['UploadComplete', 'InProgress', 'JobComplete', 'Failed', 'Aborted'] },
    concurrencyMode: { type: 'string', enum: ['Parallel'] },
    contentType: { type: 'string', enum: ['CSV'] },
    apiVersion: { type: 'number' },
    lineEnding: text,
    columnDelimiter: text,
  },
  { numberRecordsProcessed: whole, retries: whole, totalProcessingTime: whole, errorMessage: text },
)

/** By the kind of answer. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  error: { ...list(object({ message: text, errorCode: { type: 'string', pattern: '^[A-Z0-9_]+$' } })) },
  versions: list(object({ label: text, url: text, version: { type: 'string', pattern: String.raw`^\d\d\.0$` } })),
  resources: object({ sobjects: text, query: text, queryAll: text, jobs: text }),
  identity: object({ sub: text, user_id: id, organization_id: id, preferred_username: text, email: text }),
  limits: object({
    DailyApiRequests: pair,
    DailyBulkApiBatches: pair,
    DailyBulkV2QueryJobs: pair,
    DailyBulkV2QueryFileStorageMB: pair,
  }),
  recordCount: object({ sObjects: list(object({ name: text, count: whole })) }),
  global: object({ encoding: text, maxBatchSize: whole, sobjects: list(described) }),
  basic: object({ objectDescribe: described, recentItems: list({}) }),
  describe: {
    allOf: [
      described,
      object({
        fields: list(
          object({
            name: text,
            label: text,
            type: text,
            length: whole,
            precision: whole,
            scale: whole,
            nillable: flag,
            custom: flag,
            calculated: flag,
            referenceTo: list(text),
            relationshipName: { type: 'string', nullable: true },
            polymorphicForeignKey: flag,
            picklistValues: list(object({ active: flag, label: text, value: text })),
            restrictedPicklist: flag,
            compoundFieldName: { type: 'string', nullable: true },
            externalId: flag,
            unique: flag,
            defaultedOnCreate: flag,
          }),
        ),
      }),
    ],
  },
  query: object({ totalSize: whole, done: flag, records: list(record, 2000) }, { nextRecordsUrl: text }),
  record,
  collection: list({ ...record, nullable: true }, 2000),
  deleted: object({
    deletedRecords: list(object({ id, deletedDate: moment })),
    earliestDateAvailable: moment,
    latestDateCovered: moment,
  }),
  updated: object({ ids: list(id), latestDateCovered: moment }),
  batch: object({ hasErrors: flag, results: list(object({ statusCode: whole, result: {} }), 25) }),
  job,
  jobs: object({ done: flag, nextRecordsUrl: { type: 'string', nullable: true }, records: list(job) }),
}

const said = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null))

function schemaOf({ type, nillable }: Field): Schema {
  const nullable = { nullable: nillable }
  switch (type) {
    case 'boolean':
      return { type: 'boolean', ...nullable }
    case 'int':
      return { type: 'integer', ...nullable }
    case 'double':
    case 'currency':
    case 'percent':
      return { type: 'number', ...nullable }
    case 'date':
      return { type: 'string', format: 'date', ...nullable }
    case 'datetime':
      return { ...moment, ...nullable }
    case 'id':
    case 'reference':
      return { ...id, ...nullable }
    case 'address':
    case 'location':
      return { type: 'object', nullable: true, properties: {} }
    default:
      return { type: 'string', ...nullable }
  }
}

/** Everything in the records of an answer that their description does not allow. */
export function recordViolations(schema: string, { name, fields, prefix }: Entity, value: Json): readonly string[] {
  const given = (schema === 'query' ? (value as Row).records : schema === 'record' ? [value] : []) as readonly Row[]
  const known = new Map(fields.map((field) => [field.name, field]))
  const relationships = new Set(fields.map(({ relationship }) => relationship))
  const wrong: string[] = []
  for (const row of given) {
    for (const [key, cell] of Object.entries(row)) {
      const field = known.get(key)
      if (field === undefined) {
        if (key !== 'attributes' && !relationships.has(key)) {
          wrong.push(`${name}.${key}: no such field`)
        }
        continue
      }
      wrong.push(...violationsOf(schemaOf(field), cell, undefined, `${name}.${key}`))
      if (typeof cell === 'string' && field.length > 0 && cell.length > field.length) {
        wrong.push(`${name}.${key}: ${cell.length} characters instead of at most ${field.length}`)
      }
    }
    if (typeof row.Id === 'string' && !row.Id.startsWith(prefix)) {
      wrong.push(`${name}.Id: ${row.Id} does not begin with ${prefix}`)
    }
    if (wrong.length > 20) {
      break
    }
  }
  return wrong
}

interface Recorded {
  readonly recorded: Readonly<Record<string, { readonly fields: readonly Row[] } & Row>>
  readonly derived: Readonly<Record<string, { readonly fields: readonly Row[] } & Row>>
}

/** Fields that these objects have in other organizations, or only with a setting. */
const FURTHER =
  /^(HasOptedOutOfEmail|DoNotCall|IsPersonAccount|Person\w+|LastName|FirstName|Salutation|New_Field\w+)$|__c$/
const COMPARED = ['type', 'length', 'precision', 'scale', 'nillable', 'custom', 'calculated', 'polymorphicForeignKey']

/** Where a description differs from one that was recorded of a real organization; nothing if none of the object was. */
export function recordedViolations(file: string, object: string, value: Json): readonly string[] {
  const { recorded, derived } = JSON.parse(file) as Recorded
  const real = recorded[object] ?? derived[object]
  if (real === undefined) {
    return []
  }
  const own = value as { readonly fields: readonly Row[]; readonly keyPrefix: string }
  const wrong: string[] = own.keyPrefix === real.keyPrefix ? [] : [`${object}: prefix ${own.keyPrefix}`]
  const byName = new Map(real.fields.map((field) => [field.name, field]))
  const [attributes = {}] = real.fields
  for (const field of own.fields) {
    const its = byName.get(field.name)
    if (its === undefined) {
      if (!FURTHER.test(said(field.name))) {
        wrong.push(`${object}.${said(field.name)}: no real organization has it`)
      }
      continue
    }
    for (const name of COMPARED) {
      if (field[name] !== its[name]) {
        wrong.push(`${object}.${said(field.name)}.${name}: ${said(field[name])} instead of ${said(its[name])}`)
      }
    }
    for (const name of Object.keys(attributes).filter((attribute) => field[attribute] === undefined)) {
      wrong.push(`${object}.${said(field.name)}.${name}: missing`)
    }
  }
  return wrong
}
