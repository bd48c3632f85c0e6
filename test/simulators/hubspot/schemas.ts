/** What answers of HubSpot look like, written from its documents: stricter than the official descriptions where those are loose. */
import type { Schema } from '../common/schema.js'

const text: Schema = { type: 'string' }
const time: Schema = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }
const numeric: Schema = { type: 'string', pattern: '^\\d+$' }

function object(properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', properties, required, additionalProperties: false }
}

const list = (items: Schema, maxItems?: number): Schema => ({
  type: 'array',
  items,
  ...(maxItems === undefined ? {} : { maxItems }),
})

const paging = object({ next: object({ after: text, link: text }, ['after']) }, ['next'])

const record = object(
  {
    id: numeric,
    properties: { type: 'object', additionalProperties: { type: 'string', nullable: true } },
    createdAt: time,
    updatedAt: time,
    archived: { type: 'boolean' },
    archivedAt: time,
    associations: {
      type: 'object',
      additionalProperties: object({ results: list(object({ id: numeric, type: text }, ['id', 'type'])), paging }, [
        'results',
      ]),
    },
  },
  ['id', 'properties', 'createdAt', 'updatedAt', 'archived'],
)

const problem = object(
  {
    status: text,
    category: text,
    subCategory: text,
    message: text,
    context: { type: 'object', additionalProperties: list(text) },
  },
  ['status', 'category', 'message'],
)

const batch = (items: Schema, most: number): Schema =>
  object(
    {
      status: { type: 'string', enum: ['PENDING', 'PROCESSING', 'CANCELED', 'COMPLETE'] },
      results: list(items, most),
      numErrors: { type: 'integer' },
      errors: list(problem),
      startedAt: time,
      completedAt: time,
    },
    ['status', 'results', 'startedAt', 'completedAt'],
  )

const property: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string', pattern: '^[a-z][a-z0-9_]*$' },
    label: text,
    type: {
      type: 'string',
      enum: [
        'string',
        'number',
        'date',
        'datetime',
        'enumeration',
        'bool',
        'phone_number',
        'object_coordinates',
        'json',
      ],
    },
    options: list(
      object({ label: text, value: text, displayOrder: { type: 'integer' }, hidden: { type: 'boolean' } }, [
        'label',
        'value',
        'hidden',
      ]),
    ),
    hubspotDefined: { type: 'boolean' },
    calculated: { type: 'boolean' },
    hasUniqueValue: { type: 'boolean' },
    archived: { type: 'boolean' },
  },
  required: ['name', 'label', 'type', 'fieldType', 'options', 'hubspotDefined', 'calculated', 'hasUniqueValue'],
}

const owner: Schema = {
  type: 'object',
  properties: {
    id: numeric,
    email: text,
    type: { type: 'string', enum: ['PERSON', 'QUEUE'] },
    archived: { type: 'boolean' },
  },
  required: ['id', 'type', 'createdAt', 'updatedAt', 'archived'],
}

const association = object(
  {
    from: object({ id: numeric }, ['id']),
    to: list(
      object(
        {
          toObjectId: { anyOf: [{ type: 'integer' }, numeric] },
          associationTypes: list(
            object(
              {
                category: { type: 'string', enum: ['HUBSPOT_DEFINED', 'USER_DEFINED', 'INTEGRATOR_DEFINED'] },
                typeId: { type: 'integer' },
                label: text,
              },
              ['category', 'typeId'],
            ),
          ),
        },
        ['toObjectId', 'associationTypes'],
      ),
      500,
    ),
    paging,
  },
  ['from', 'to'],
)

const schema: Schema = {
  type: 'object',
  properties: { objectTypeId: { type: 'string', pattern: '^\\d-\\d+$' }, properties: list(property) },
  required: ['id', 'name', 'labels', 'objectTypeId', 'fullyQualifiedName', 'properties', 'associations'],
}

/** By the name that answers carry. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  object: record,
  page: object({ results: list(record, 100), paging }, ['results']),
  found: object({ total: { type: 'integer' }, results: list(record, 200), paging }, ['total', 'results']),
  batch: batch(record, 100),
  associations: batch(association, 1000),
  property,
  properties: object({ results: list(property) }, ['results']),
  owner,
  owners: object({ results: list(owner, 500), paging }, ['results']),
  pipelines: { type: 'object', required: ['results'] },
  schema,
  schemas: object({ results: list(schema) }, ['results']),
  account: { type: 'object', required: ['portalId', 'timeZone', 'companyCurrency'] },
  error: {
    type: 'object',
    properties: {
      status: { type: 'string', enum: ['error'] },
      message: text,
      correlationId: { type: 'string', format: 'uuid' },
    },
    required: ['status', 'message', 'correlationId'],
  },
  any: {},
}
