import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql'
import { makeLink } from '../access/links.js'
import {
  addCustomFields,
  archiveCustomField,
  loadSchema,
  type RecordSchema as Schema,
} from '../adapters/crm/custom-fields.js'
import type { PoolTx } from '../db/database.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { checkedCustomField } from '../records/custom.js'
import { mappableNames } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { CustomFieldCreateInput, IdInput, RecordSchemaPayload } from '../schema/custom-fields.js'
import { FileFormat, RecordTypeEnum } from '../schema/enums.js'
import { RecordSchema } from '../schema/records.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** Goes up when a record type changes for everybody; what a tenant changes is counted on top of it. */
export const RECORD_SCHEMA_VERSION = 1

type RecordSchemaView = RecordSchema & { readonly type: RecordTypeName }

@Resolver(() => RecordSchema)
export class RecordSchemaResolver {
  @Query(() => RecordSchema, {
    description: 'The fields of a record type, as mappings, filters and updates name them; custom fields come last.',
  })
  async recordSchema(
    @Ctx() context: ApiContext,
    @Arg('recordType', () => RecordTypeEnum) recordType: keyof typeof RecordTypeEnum,
  ): Promise<RecordSchemaView> {
    requirePermission(context, 'Query.recordSchema')
    return showSchema(await inTenant(context, (tx) => loadSchema(tx, recordTypeOf(recordType))))
  }

  @Mutation(() => RecordSchemaPayload, {
    description:
      'Adds a field of your own to a record type. An archived one comes back with its values, as the kind that it was.',
  })
  customFieldCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => CustomFieldCreateInput) input: CustomFieldCreateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.customFieldCreate')
    return settled({ recordSchema: null }, async () => {
      const field = checkedCustomField(input.field, ['field'])
      const name = recordTypeOf(input.recordType)
      return inTenant(context, async (tx) => {
        const { actor } = context.caller
        await addCustomFields(tx, name, [{ field, path: ['field'] }], { actor, known: 'REFUSE' })
        return schemaPayload(tx, name)
      })
    })
  }

  @Mutation(() => RecordSchemaPayload, {
    description:
      'Takes a custom field out of use: it is neither shown nor mapped to any more. Its values stay, and are back once it is ' +
      'created again. Imports that were started with it go on with it.',
  })
  customFieldArchive(@Ctx() context: ApiContext, @Arg('input', () => IdInput) input: IdInput): Promise<object> {
    requirePermission(context, 'Mutation.customFieldArchive')
    return settled({ recordSchema: null }, () =>
      inTenant(context, async (tx) => {
        const name = await archiveCustomField(tx, decodeId('customField', input.id))
        if (name === null) {
          throw new Refusal('NOT_FOUND', 'There is no custom field with this id, or it is archived.', ['id'])
        }
        return schemaPayload(tx, name)
      }),
    )
  }

  @FieldResolver(() => String, {
    description:
      'A file with nothing but the header row: every name that a mapping needs no help with. The link works without other credentials and expires.',
  })
  templateFileUrl(
    @Root() schema: RecordSchemaView,
    @Ctx() context: ApiContext,
    @Arg('format', () => FileFormat, { nullable: true, defaultValue: FileFormat.CSV }) _format?:
      | keyof typeof FileFormat
      | null,
  ): string {
    const { config } = context.services
    return makeLink(
      config,
      { kind: 'template', tenantId: context.caller.tenantId, object: schema.type, actor: context.caller.actor },
      `${schema.type}-template.csv`,
    ).url
  }
}

/** Every name that a column can have to be mapped without help, custom fields included. */
export async function templateNames(tx: PoolTx, name: RecordTypeName): Promise<readonly string[]> {
  return mappableNames((await loadSchema(tx, name)).type)
}

async function schemaPayload(tx: PoolTx, name: RecordTypeName): Promise<object> {
  return { recordSchema: showSchema(await loadSchema(tx, name)) }
}

function showSchema({ type, version, ids }: Schema): RecordSchemaView {
  return {
    type: type.name,
    recordType: recordTypeEnum(type.name),
    version: RECORD_SCHEMA_VERSION + version,
    fields: type.fields.map((field) => {
      const id = ids.get(field.name)
      return {
        id: id === undefined ? null : encodeId('customField', id),
        name: field.name,
        label: field.label,
        description: field.description,
        kind: field.kind,
        required: field.required,
        unique: field.name === 'externalId',
        custom: field.customKey !== undefined,
        maxLength: field.maxLength,
        options: field.options,
        references:
          field.reference === null || field.reference.to === 'member' ? null : recordTypeEnum(field.reference.to),
        sensitive: field.sensitive,
      }
    }),
    matchableFields: type.matchable,
  }
}
