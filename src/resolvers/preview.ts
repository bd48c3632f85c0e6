import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql'
import { hideIssue, masked } from '../access/privacy.js'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import type { Row } from '../adapters/source.js'
import { Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import { PREVIEW_ROWS_MAX } from '../limits.js'
import { RowPreview } from '../pipeline/preview.js'
import { resolveMapping } from '../pipeline/resolve.js'
import { fieldsOfRule } from '../pipeline/rules.js'
import { guessRecordType } from '../pipeline/suggest.js'
import type { BusinessRule, ColumnMapping, SourceOptions } from '../pipeline/types.js'
import { customDefinition, withCustomFields } from '../records/custom.js'
import { fieldOf } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { listRules } from '../runs/business-rules.js'
import { defaultImportOptions } from '../runs/imports.js'
import { RecordTypeEnum } from '../schema/enums.js'
import { SourceFileType, SourceOptionsInput } from '../schema/files.js'
import { ColumnMappingInput } from '../schema/mapping.js'
import { FilePreview, type PreviewRow } from '../schema/preview.js'
import { type ApiContext, inTenant, may } from './context.js'
import { findFile } from './files.js'
import { columnMappings, newCustomFields, over, sourceOptions } from './inputs.js'
import { requirePermission } from './permission.js'
import { plain } from './plan.js'
import { type FileHead, fileHead } from './preview-rows.js'
import { asked } from './refusals.js'
import { type FileView, hideQuotes, recordTypeOf, showDetection } from './views.js'

@Resolver(() => SourceFileType)
export class FilePreviewResolver {
  @FieldResolver(() => FilePreview, {
    complexity: 20,
    description:
      'The first rows as they would be read and, with a mapping, as they would become: what a mapping editor shows live. With ' +
      '`recordType` null the type is guessed. Formats of columns are those of the beginning of the file; an import looks at all of it. Without PII_READ no cell and no value is shown.',
  })
  preview(
    @Root() file: FileView,
    @Ctx() context: ApiContext,
    @Arg('source', () => SourceOptionsInput, { nullable: true }) source?: SourceOptionsInput | null,
    @Arg('recordType', () => RecordTypeEnum, { nullable: true }) recordType?: keyof typeof RecordTypeEnum | null,
    @Arg('mapping', () => [ColumnMappingInput], { nullable: true }) mapping?: ColumnMappingInput[] | null,
    @Arg('first', () => Int, { nullable: true, defaultValue: 20 }) first?: number | null,
  ): Promise<FilePreview> {
    requirePermission(context, 'Query.file')
    return asked(async () => {
      const count = first ?? 20
      if (count < 1 || count > PREVIEW_ROWS_MAX) {
        throw new Refusal('INVALID_INPUT', `A preview shows 1 to ${PREVIEW_ROWS_MAX} rows.`, ['first'])
      }
      // Looked up each time: what is kept of a file is shown as long as the file is there, and to its tenant.
      const stored = await inTenant(context, (tx) => findFile(tx, decodeId('file', file.id)))
      if (stored === null) {
        throw new Refusal('NOT_FOUND', 'The retention of this file has ended: upload it again.')
      }
      const said = sourceOptions(source)
      const head = await fileHead(context.services, stored, said)
      const name = recordType == null ? guessRecordType(head.detection.columns).recordType : recordTypeOf(recordType)
      const entries = mapping == null ? [] : columnMappings(mapping)
      const [standing, rules] = await inTenant(context, async (tx) => [
        await loadRecordType(tx, name),
        await listRules(tx, name),
      ])
      return shown(context, {
        head,
        type: withNewFields(standing, mapping ?? []),
        rules: rules.filter(
          (rule) => rule.active && fieldsOfRule(rule).every((field) => fieldOf(standing, field) !== null),
        ),
        mapping: entries,
        source: over(stored.sourceOptions as SourceOptions | null, said),
        rows: head.rows.slice(0, count),
      })
    })
  }
}

/** The type with the custom fields that the mapping would make: nothing is made by looking. */
function withNewFields(type: RecordType, mapping: readonly ColumnMappingInput[]): RecordType {
  const made = newCustomFields(mapping).map(({ field }) => customDefinition(field))
  return withCustomFields(
    type,
    made.filter(({ name }) => fieldOf(type, name) === null),
  )
}

interface PreviewRequest {
  readonly head: FileHead
  readonly type: RecordType
  readonly mapping: readonly ColumnMapping[]
  /** Those that an import would obey now; what only the records can tell about is not told here. */
  readonly rules: readonly BusinessRule[]
  readonly source: SourceOptions
  readonly rows: readonly Row[]
}

/** Refuses a mapping that can never be right, as an import does. */
function shown(context: ApiContext, { head, type, mapping, rules, source, rows }: PreviewRequest): FilePreview {
  const { resolved, conflicts } = resolveMapping({
    type,
    mapping,
    evidence: head.evidence,
    options: defaultImportOptions,
    source,
  })
  // Whoever asks chooses the mapping, so it says nothing of what is harmless: without PII_READ no cell is shown at all.
  const open = may(context, 'PII_READ')
  // Where nothing is mapped yet, everything is missing.
  const view = new RowPreview(type, rules.length === 0 || mapping.length === 0 ? resolved : { ...resolved, rules })
  return {
    detection: showDetection(context, head.detection),
    // Without a mapping nobody has decided anything that could be wrong.
    conflicts: mapping.length === 0 ? [] : conflicts.map((conflict) => (open ? conflict : hideQuotes(conflict))),
    rows: rows.map((row): PreviewRow => {
      const { values, issues } = view.show(row)
      return {
        rowNumber: row.number,
        cells: head.detection.columns.map(({ index, name }) => ({
          column: name,
          value: open ? (row.cells[index] ?? null) : null,
        })),
        values: values.map(({ key, text, sqlType }) => ({
          key,
          value: text === null ? null : open ? plain(text, sqlType) : masked(text),
        })),
        issues: issues
          .map(({ row: rowNumber, ...issue }) => ({ rowNumber, ...issue }))
          .map((issue) => (open ? issue : hideIssue(issue))),
      }
    }),
  }
}
