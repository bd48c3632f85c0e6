import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { isSensitive, masked } from '../access/privacy.js'
import { deleteRecord, updateRecord } from '../adapters/crm/edit.js'
import {
  countRecords,
  fieldBehind,
  fieldsAskedAbout,
  findRecord,
  type Identity,
  listRecords,
  type RecordRow,
  type Touch,
} from '../adapters/crm/read.js'
import { decodeId, encodeId } from '../ids.js'
import { customKeyOf } from '../records/custom.js'
import { fieldOf, recordTypes } from '../records/index.js'
import type { RecordFilter, RecordOrder, RecordTypeName } from '../records/types.js'
import { searchRecord } from '../runs/duplicates.js'
import { recordChanged } from '../runs/outbox.js'
import type { Connection } from '../schema/common.js'
import {
  ActivityConnection,
  ActivityLink,
  ContactConnection,
  isFloat,
  LeadConnection,
  PropertyConnection,
  RecordDeleteInput,
  RecordDeletePayload,
  RecordFilterInput,
  RecordIdentity,
  RecordInterface,
  RecordOrderInput,
  RecordPayload,
  RecordTouch,
  RecordUpdateInput,
  recordClasses,
  recordTypeNames,
} from '../schema/records.js'
import { type ApiContext, inTenant, may } from './context.js'
import { filterWithUuids } from './filters.js'
import { connection, pageRequest } from './pages.js'
import { forbidden, requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** A record as the API shows it: fields by name. What resolvers need beside them stands under `$`, where no field can be. */
export interface RecordView {
  readonly __typename: string
  readonly id: string
  readonly recordType: string
  readonly $: {
    readonly type: RecordTypeName
    readonly uuid: string
    /** References as plain UUIDs, by field. */
    readonly references: Readonly<Record<string, string | null>>
  }
  readonly [field: string]: unknown
}

/** What the caller may see of a record. */
export function showRecord(context: ApiContext, row: RecordRow): RecordView {
  const type = recordTypes[row.type]
  const open = may(context, 'PII_READ')
  const fields: Record<string, unknown> = {}
  const references: Record<string, string | null> = {}
  for (const field of type.fields) {
    const value = row.values[field.name] ?? null
    if (field.reference !== null && field.reference.to !== 'member') {
      references[field.name] = value as string | null
    } else if (!open && isSensitive(type, field.name)) {
      fields[field.name] = masked(value)
    } else {
      fields[field.name] = isFloat(row.type, field) && value !== null ? Number(value) : value
    }
  }
  return {
    ...fields,
    __typename: recordTypeNames[row.type],
    $: { type: row.type, uuid: row.id, references },
    id: encodeId(row.type, row.id),
    recordType: recordTypeEnum(row.type),
    version: row.version,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    customFields: open ? row.customFields : row.customFields.map(({ key, value }) => ({ key, value: masked(value) })),
  }
}

async function list(
  context: ApiContext,
  name: RecordTypeName,
  first: number,
  after: string | null | undefined,
  filter: RecordFilter | null | undefined,
  orderBy: readonly RecordOrder[] | null | undefined,
): Promise<Connection<RecordView>> {
  const type = recordTypes[name]
  return asked(async () => {
    if (!may(context, 'PII_READ')) {
      // Asking about a value, or sorting by it, would tell it bit by bit.
      const hidden = fieldsAskedAbout(filter ?? null, orderBy ?? null).some(
        (field) => customKeyOf(field) !== null || (fieldBehind(type, field) !== null && isSensitive(type, field)),
      )
      if (hidden) {
        throw forbidden('PII_READ')
      }
    }
    const plain = filter == null ? null : filterWithUuids(type, filter)
    const page = await inTenant(context, (tx) =>
      listRecords(tx, name, pageRequest(first, after), plain, orderBy ?? null),
    )
    return {
      ...connection(page, (row) => showRecord(context, row)),
      get totalCount() {
        return asked(() => inTenant(context, (tx) => countRecords(tx, name, plain)))
      },
    }
  })
}

@Resolver()
export class RecordListResolver {
  @Query(() => ContactConnection, {
    description: 'The newest first, those of one import as they stand in its file, unless orderBy says otherwise.',
  })
  contacts(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('filter', () => RecordFilterInput, { nullable: true }) filter?: RecordFilterInput | null,
    @Arg('orderBy', () => [RecordOrderInput], { nullable: true }) orderBy?: RecordOrderInput[] | null,
  ): Promise<Connection<RecordView>> {
    requirePermission(context, 'Query.contacts')
    return list(context, 'contact', first, after, filter, orderBy)
  }

  @Query(() => LeadConnection)
  leads(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('filter', () => RecordFilterInput, { nullable: true }) filter?: RecordFilterInput | null,
    @Arg('orderBy', () => [RecordOrderInput], { nullable: true }) orderBy?: RecordOrderInput[] | null,
  ): Promise<Connection<RecordView>> {
    requirePermission(context, 'Query.leads')
    return list(context, 'lead', first, after, filter, orderBy)
  }

  @Query(() => PropertyConnection)
  properties(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('filter', () => RecordFilterInput, { nullable: true }) filter?: RecordFilterInput | null,
    @Arg('orderBy', () => [RecordOrderInput], { nullable: true }) orderBy?: RecordOrderInput[] | null,
  ): Promise<Connection<RecordView>> {
    requirePermission(context, 'Query.properties')
    return list(context, 'property', first, after, filter, orderBy)
  }

  @Query(() => ActivityConnection)
  activities(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('filter', () => RecordFilterInput, { nullable: true }) filter?: RecordFilterInput | null,
    @Arg('orderBy', () => [RecordOrderInput], { nullable: true }) orderBy?: RecordOrderInput[] | null,
  ): Promise<Connection<RecordView>> {
    requirePermission(context, 'Query.activities')
    return list(context, 'activity', first, after, filter, orderBy)
  }

  @Mutation(() => RecordPayload, {
    description: 'Changes the given fields of one record, under the rules that an import obeys.',
  })
  recordUpdate(
    @Ctx() context: ApiContext,
    @Arg('input', () => RecordUpdateInput) input: RecordUpdateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.recordUpdate')
    const name = recordTypeOf(input.recordType)
    const type = recordTypes[name]
    return settled({ record: null }, async () => {
      const id = decodeId(name, input.id)
      const values = input.fields.map(({ field, value }) => {
        const to = fieldOf(type, field)?.reference?.to
        const text = value ?? null
        return {
          field,
          value:
            text !== null && text.trim() !== '' && to !== undefined && to !== 'member'
              ? decodeId(to, text.trim())
              : text,
        }
      })
      return inTenant(context, async (tx) => {
        await updateRecord(tx, name, { id, version: input.version ?? null, values })
        await searchRecord(tx, name, id)
        await recordChanged(tx, context.caller.actor, name, id, 'UPDATED')
        const row = await findRecord(tx, name, id)
        return { record: row === null ? null : showRecord(context, row) }
      })
    })
  }

  @Mutation(() => RecordDeletePayload, {
    description: 'Deletes one record. A rollback of the import that made it still counts it as deleted.',
  })
  recordDelete(
    @Ctx() context: ApiContext,
    @Arg('input', () => RecordDeleteInput) input: RecordDeleteInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.recordDelete')
    const name = recordTypeOf(input.recordType)
    return settled({ deletedId: null }, async () => {
      const id = decodeId(name, input.id)
      await inTenant(context, async (tx) => {
        await deleteRecord(tx, name, { id, version: input.version ?? null })
        await searchRecord(tx, name, id)
        await recordChanged(tx, context.caller.actor, name, id, 'DELETED')
      })
      return { deletedId: encodeId(name, id) }
    })
  }
}

@Resolver(() => RecordInterface)
export class RecordResolver {
  @FieldResolver(() => [RecordTouch], { description: 'Runs that created or changed this record, newest first.' })
  async provenance(
    @Root() record: RecordView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { nullable: true, defaultValue: 10 }) first?: number | null,
  ): Promise<object[]> {
    const touches: readonly Touch[] = await context.loaders.provenance(record.$.type, record.$.uuid, first ?? 10)
    return touches.map((touch) => ({ ...touch, runId: encodeId('run', touch.runId) }))
  }

  @FieldResolver(() => [RecordIdentity])
  identities(@Root() record: RecordView, @Ctx() context: ApiContext): Promise<readonly Identity[]> {
    return context.loaders.identities(record.$.type, record.$.uuid)
  }
}

@Resolver(() => recordClasses.activity)
export class ActivityResolver {
  @FieldResolver(() => [ActivityLink])
  async links(@Root() record: RecordView, @Ctx() context: ApiContext): Promise<ActivityLink[]> {
    const links = await Promise.all(
      recordTypes.activity.fields.map(async (field): Promise<ActivityLink[]> => {
        const to = field.reference?.to ?? 'member'
        const found = to === 'member' ? null : await referred(context, record, field.name, to)
        return found === null || to === 'member'
          ? []
          : [{ role: 'PRIMARY', recordType: recordTypeEnum(to), recordId: found.id }]
      }),
    )
    return links.flat()
  }
}

async function referred(
  context: ApiContext,
  record: RecordView,
  field: string,
  to: RecordTypeName,
): Promise<RecordView | null> {
  const id = record.$.references[field] ?? null
  const row = id === null ? null : await context.loaders.record(to, id)
  return row === null ? null : showRecord(context, row)
}

/** One resolver class per record type, with a method for each field that refers to another record. */
export const referenceResolvers: Function[] = Object.values(recordTypes).map((type) => {
  const resolver = class {}
  Resolver(() => recordClasses[type.name])(resolver)
  for (const field of type.fields) {
    const to = field.reference?.to
    if (to === undefined || to === 'member') {
      continue
    }
    const method = (record: RecordView, context: ApiContext) => referred(context, record, field.name, to)
    const descriptor = { value: method, writable: true, configurable: true }
    Object.defineProperty(resolver.prototype, field.name, descriptor)
    Root()(resolver.prototype, field.name, 0)
    Ctx()(resolver.prototype, field.name, 1)
    FieldResolver(() => recordClasses[to], { nullable: !field.required })(resolver.prototype, field.name, descriptor)
  }
  return resolver
})
