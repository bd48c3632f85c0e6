import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql'
import { makeLink } from '../access/links.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { FileFormat, RecordTypeEnum } from '../schema/enums.js'
import { RecordSchema } from '../schema/records.js'
import type { ApiContext } from './context.js'
import { requirePermission } from './permission.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** Goes up when a record type changes, so that clients know when to ask again. */
const RECORD_SCHEMA_VERSION = 1

type RecordSchemaView = RecordSchema & { readonly type: RecordTypeName }

@Resolver(() => RecordSchema)
export class RecordSchemaResolver {
  @Query(() => RecordSchema, {
    description: 'The fields of a record type, as mappings, filters and updates name them.',
  })
  recordSchema(
    @Ctx() context: ApiContext,
    @Arg('recordType', () => RecordTypeEnum) recordType: keyof typeof RecordTypeEnum,
  ): RecordSchemaView {
    requirePermission(context, 'Query.recordSchema')
    const type = recordTypes[recordTypeOf(recordType)]
    return {
      type: type.name,
      recordType,
      version: RECORD_SCHEMA_VERSION,
      fields: type.fields.map((field) => ({
        name: field.name,
        label: field.label,
        description: field.description,
        kind: field.kind,
        required: field.required,
        unique: field.name === 'externalId',
        custom: false,
        maxLength: field.maxLength,
        options: field.options,
        references:
          field.reference === null || field.reference.to === 'member' ? null : recordTypeEnum(field.reference.to),
        sensitive: field.sensitive,
      })),
      matchableFields: type.matchable,
    }
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
      { kind: 'template', tenantId: context.caller.tenantId, object: schema.type },
      `${schema.type}-template.csv`,
    ).url
  }
}
