import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import { knowsOneOf } from '../adapters/crm/known-ids.js'
import type { Detection } from '../adapters/files/detection.js'
import { Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import { namedIds, ownMapping } from '../pipeline/own-files.js'
import { guessRecordType, suggestMapping } from '../pipeline/suggest.js'
import { exampleText, transforms } from '../pipeline/transforms/index.js'
import type { ColumnMapping, SourceOptions, TransformCall } from '../pipeline/types.js'
import { defaultImportOptions } from '../runs/imports.js'
import { earlierMappings } from '../runs/mapping-templates.js'
import { RecordTypeEnum } from '../schema/enums.js'
import { SourceOptionsInput } from '../schema/files.js'
import { ColumnMappingType, MappingSuggestion, Transform, TransformDefinition } from '../schema/mapping.js'
import { type ApiContext, inTenant, may } from './context.js'
import { findFile } from './files.js'
import { checkMapping, over, sourceOptions } from './inputs.js'
import { requirePermission } from './permission.js'
import { asked } from './refusals.js'
import { detect } from './uploads.js'
import { hideValues, recordTypeEnum, recordTypeOf } from './views.js'

@Resolver()
export class MappingResolver {
  @Query(() => MappingSuggestion, {
    description:
      'What an import of this file would suggest, from the beginning of the file; the import itself looks at all of it. With `recordType` null the type is guessed too.',
  })
  mappingSuggestion(
    @Ctx() context: ApiContext,
    @Arg('fileId', () => ID) fileId: string,
    @Arg('recordType', () => RecordTypeEnum, { nullable: true }) recordType?: keyof typeof RecordTypeEnum | null,
    @Arg('source', () => SourceOptionsInput, { nullable: true }) source?: SourceOptionsInput | null,
  ): Promise<MappingSuggestion> {
    requirePermission(context, 'Query.mappingSuggestion')
    return asked(async () => {
      const said = sourceOptions(source)
      const file = await inTenant(context, (tx) => findFile(tx, decodeId('file', fileId)))
      if (file === null) {
        throw new Refusal('NOT_FOUND', 'There is no file with this id, or its retention has ended.', ['fileId'])
      }
      const options = over(file.sourceOptions as SourceOptions | null, said)
      const detection =
        said === null
          ? (file.detection as Detection)
          : await detect(context.services.files, { key: file.storageKey, byteSize: file.byteSize }, file.name, options)
      const { columns } = detection
      const guess =
        recordType == null ? guessRecordType(columns) : { recordType: recordTypeOf(recordType), confidence: 1 }
      const type = await inTenant(context, (tx) => loadRecordType(tx, guess.recordType))
      const ids = namedIds(type, columns)
      const [earlier, own] = await inTenant(context, async (tx) => [
        await earlierMappings(tx, type.name),
        ids !== null && (await knowsOneOf(tx, type.name, ids)),
      ])
      const guessed = suggestMapping({ type, columns, minConfidence: defaultImportOptions.minConfidence, earlier })
      const mapping = own ? ownMapping(type, columns, guessed) : guessed
      const { conflicts, unmappedRequired } = checkMapping({
        type,
        columns,
        mapping,
        options: defaultImportOptions,
        source: options,
      })
      return {
        recordType: recordTypeEnum(guess.recordType),
        recordTypeConfidence: guess.confidence,
        mapping: {
          columns: mapping,
          conflicts: may(context, 'PII_READ') ? conflicts : conflicts.map((conflict) => hideValues(type, conflict)),
          unmappedRequiredFields: unmappedRequired,
        },
      }
    })
  }

  @Query(() => [TransformDefinition], { description: 'Everything that a mapping can do to the text of a cell.' })
  transforms(@Ctx() context: ApiContext): TransformDefinition[] {
    requirePermission(context, 'Query.transforms')
    return transforms.map(({ name, description, parameters, example }) => ({
      name,
      description,
      arguments: parameters.map((parameter) => parameter.name),
      parameters: parameters.map((parameter) => ({ ...parameter, defaultValue: parameter.byDefault })),
      example: exampleText(name, example),
    }))
  }
}

@Resolver(() => ColumnMappingType)
export class ColumnMappingResolver {
  @FieldResolver(() => [Transform], { description: 'In the order in which they are applied.' })
  transforms(@Root() column: ColumnMapping): readonly TransformCall[] {
    return column.transforms ?? []
  }
}
