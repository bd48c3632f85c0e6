import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql'
import { loadRecordType, loadSchema } from '../adapters/crm/custom-fields.js'
import type { DetectedColumn } from '../adapters/files/detection.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { COLUMN_NAME_LENGTH_MAX } from '../limits.js'
import { applyTemplate, headerOf, namedColumns, noLongerRight, signatureOf } from '../pipeline/template.js'
import type { ColumnMapping } from '../pipeline/types.js'
import type { RecordType, RecordTypeName } from '../records/types.js'
import { defaultImportOptions } from '../runs/imports.js'
import {
  archiveTemplate,
  findTemplate,
  listTemplates,
  type MappingTemplateRow,
  offeredTemplate,
  saveTemplate,
} from '../runs/mapping-templates.js'
import { RecordTypeEnum } from '../schema/enums.js'
import { type Mapping, MappingSuggestion } from '../schema/mapping.js'
import {
  MappingTemplate,
  MappingTemplateArchiveInput,
  MappingTemplatePayload,
  MappingTemplateSaveInput,
} from '../schema/mapping-templates.js'
import { type ApiContext, inTenant } from './context.js'
import { checkMapping, columnMappings } from './inputs.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** A template as the API shows it. */
export type MappingTemplateView = MappingTemplate & { readonly __typename: 'MappingTemplate'; readonly id: string }

/** What everybody who may see templates sees of one. */
export async function showTemplate(tx: Tx, template: MappingTemplateRow): Promise<MappingTemplateView> {
  return viewOf(template, await loadRecordType(tx, template.recordType))
}

function viewOf(template: MappingTemplateRow, type: RecordType): MappingTemplateView {
  return {
    __typename: 'MappingTemplate',
    id: encodeId('mappingTemplate', template.id),
    name: template.name,
    recordType: recordTypeEnum(template.recordType),
    version: template.version,
    mapping: mappingOf(template, type),
    createdAt: template.createdAt,
    updatedAt: template.updatedAt,
    archivedAt: template.archivedAt,
  }
}

@Resolver()
export class MappingTemplateResolver {
  @Query(() => [MappingTemplate], { description: 'Templates of the tenant that are not archived, by name.' })
  async mappingTemplates(
    @Ctx() context: ApiContext,
    @Arg('recordType', () => RecordTypeEnum, { nullable: true }) recordType?: keyof typeof RecordTypeEnum | null,
  ): Promise<MappingTemplate[]> {
    requirePermission(context, 'Query.mappingTemplates')
    return inTenant(context, async (tx) => {
      const templates = await listTemplates(tx, recordType == null ? null : recordTypeOf(recordType))
      const types = new Map<RecordTypeName, RecordType>()
      for (const { recordType: name } of templates) {
        types.set(name, types.get(name) ?? (await loadRecordType(tx, name)))
      }
      return templates.flatMap((template) => {
        const type = types.get(template.recordType)
        return type === undefined ? [] : [viewOf(template, type)]
      })
    })
  }

  @Mutation(() => MappingTemplatePayload, {
    description: 'Keeps a mapping for all members of the tenant. Each call with an id makes a new version.',
  })
  mappingTemplateSave(
    @Ctx() context: ApiContext,
    @Arg('input', () => MappingTemplateSaveInput) input: MappingTemplateSaveInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.mappingTemplateSave')
    return settled({ mappingTemplate: null }, async () => {
      const mappingTemplate = await inTenant(context, async (tx) => {
        const { type, version } = await loadSchema(tx, recordTypeOf(input.recordType))
        const mapping = savable(type, columnMappings(input.mapping))
        const header = headerOf(mapping)
        const id = await saveTemplate(tx, {
          id: input.id == null ? null : decodeId('mappingTemplate', input.id),
          name: input.name,
          recordType: type.name,
          mapping,
          header,
          signature: signatureOf(header ?? namedColumns(mapping)),
          schemaVersion: version,
          actor: context.caller.actor,
        })
        return found(tx, id)
      })
      return { mappingTemplate }
    })
  }

  @Mutation(() => MappingTemplatePayload, {
    description: 'Offers a template no more and gives its name free. Imports that use it go on.',
  })
  mappingTemplateArchive(
    @Ctx() context: ApiContext,
    @Arg('input', () => MappingTemplateArchiveInput) input: MappingTemplateArchiveInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.mappingTemplateArchive')
    return settled({ mappingTemplate: null }, async () => {
      const id = decodeId('mappingTemplate', input.id)
      const mappingTemplate = await inTenant(context, async (tx) => {
        await archiveTemplate(tx, id)
        return found(tx, id)
      })
      return { mappingTemplate }
    })
  }
}

@Resolver(() => MappingSuggestion)
export class OfferedTemplateResolver {
  @FieldResolver(() => MappingTemplate, {
    nullable: true,
    description:
      'The template for files with this header row: the very same columns, or nearly. Null: none is. Use it by `mappingTemplateId`.',
  })
  template(
    @Root() { recordType, mapping }: MappingSuggestion,
    @Ctx() context: ApiContext,
  ): Promise<MappingTemplate | null> {
    const type = recordTypeOf(recordType as keyof typeof RecordTypeEnum)
    return inTenant(context, async (tx) => {
      const offered = await offeredTemplate(
        tx,
        type,
        signatureOf(namedColumns(mapping.columns as readonly ColumnMapping[])),
      )
      return offered === null ? null : showTemplate(tx, offered)
    })
  }
}

async function found(tx: Tx, id: string): Promise<MappingTemplateView> {
  const template = await findTemplate(tx, id)
  if (template === null) {
    throw new Error('a template that was just written is not there')
  }
  return showTemplate(tx, template)
}

/** A mapping as templates keep it: by names alone. Refuses what can never be right for any file. */
function savable(type: RecordType, mapping: readonly ColumnMapping[]): ColumnMapping[] {
  for (const [position, { column, columnIndex }] of mapping.entries()) {
    const field = ['mapping', `${position}`, 'column']
    if (column === null && columnIndex !== null) {
      throw new Refusal(
        'INVALID_INPUT',
        'Name the column by `column`: positions change from file to file, so a template keeps none.',
        field,
      )
    }
    if (column !== null && (column === '' || column.length > COLUMN_NAME_LENGTH_MAX || column.includes('\0'))) {
      throw new Refusal('INVALID_INPUT', `The name of a column has 1 to ${COLUMN_NAME_LENGTH_MAX} characters.`, field)
    }
  }
  const kept = mapping.map((entry) => ({ ...entry, columnIndex: null }))
  if (!kept.some(({ field }) => field !== null)) {
    throw new Refusal('INVALID_INPUT', 'Map at least one column to a field.', ['mapping'])
  }
  checkMapping(imagined(type, kept))
  return kept
}

/** The mapping with what can be said about it without a file. */
function mappingOf(template: MappingTemplateRow, type: RecordType): Mapping {
  const suggested = namedColumns(template.mapping).map(unmapped)
  const { mapping, drift } = applyTemplate({ template: { ...template, header: null }, type, suggested })
  const shown = mapping.map((entry) => ({ ...entry, columnIndex: null, reasons: [] }))
  try {
    const { conflicts, unmappedRequired } = checkMapping(imagined(type, mapping))
    return { columns: shown, conflicts: [...drift, ...conflicts], unmappedRequiredFields: unmappedRequired }
  } catch (error) {
    if (error instanceof Refusal) {
      return { columns: shown, conflicts: [...drift, noLongerRight(error.message)], unmappedRequiredFields: [] }
    }
    throw error
  }
}

/** A file with the columns that the mapping speaks of, and nothing in them. */
function imagined(type: RecordType, mapping: readonly ColumnMapping[]): Parameters<typeof checkMapping>[0] {
  return {
    type,
    mapping,
    columns: namedColumns(mapping).map(emptyColumn),
    options: defaultImportOptions,
    source: noSourceOptions,
  }
}

function emptyColumn(name: string, index: number): DetectedColumn {
  const none = { fillRate: 0, samples: [], distinctCount: null, topValues: [] }
  return { index, name, kind: 'TEXT', kindConfidence: 0, ...none }
}

function unmapped(column: string, columnIndex: number): ColumnMapping {
  const nothing = { field: null, constant: null, defaultValue: null, valueMap: [], onBlank: null, format: null }
  return { column, columnIndex, ...nothing, confidence: 0, reasons: [], alternatives: [] }
}
