/** Inputs of the API as the engine takes them, refused where they can never be right. */
import type { DetectedColumn } from '../adapters/files/detection.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import { Refusal } from '../errors.js'
import { MATCH_RULES_MAX, NAME_LENGTH_MAX } from '../limits.js'
import { resolveMapping } from '../pipeline/resolve.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import { type CustomField, checkedCustomField, customName } from '../records/custom.js'
import type { RecordType } from '../records/types.js'
import type { SourceOptionsInput } from '../schema/files.js'
import type { ColumnMappingInput } from '../schema/mapping.js'
import type { ImportOptionsInput } from '../schema/runs.js'

/** What a person says about a file; null where they say nothing. */
export function sourceOptions(input: SourceOptionsInput | null | undefined): SourceOptions | null {
  return input === null || input === undefined
    ? null
    : {
        format: input.format ?? null,
        encoding: input.encoding ?? null,
        delimiter: input.delimiter ?? null,
        quote: input.quote ?? null,
        headerRow: input.headerRow ?? null,
        sheet: input.sheet ?? null,
        jsonPath: input.jsonPath ?? null,
        decimalSeparator: input.decimalSeparator ?? null,
        dateFormat: input.dateFormat ?? null,
        timeZone: input.timeZone ?? null,
        defaultCountry: input.defaultCountry ?? null,
        formulasEscaped: input.formulasEscaped ?? null,
      }
}

/** What was said later over what was said before, member by member. */
export function over(before: SourceOptions | null, later: SourceOptions | null): SourceOptions {
  const said = Object.entries(later ?? {}).filter(([, value]) => value !== null)
  return { ...noSourceOptions, ...before, ...Object.fromEntries(said) }
}

/** The options that the caller gave, and only those. Refuses INVALID_INPUT; match rules are checked with the mapping. */
export function importOptions(input: ImportOptionsInput | null | undefined): Partial<ImportOptions> {
  if (input === null || input === undefined) {
    return {}
  }
  checkOptions(input)
  // What cannot be null is left as it is by null; what can be is reset.
  const always = {
    onDuplicate: input.onDuplicate,
    matchOn: input.matchOn,
    onInvalidRow: input.onInvalidRow,
    allOrNothing: input.allOrNothing,
    sideEffects: input.sideEffects,
    operation: input.operation,
    onBlank: input.onBlank,
    onDrift: input.onDrift,
    changedHere: input.changedHere,
    minConfidence: input.minConfidence,
  }
  const resettable = {
    maxFailedRows: input.maxFailedRows,
    maxFailedFraction: input.maxFailedFraction,
    sourceSystem: input.sourceSystem?.trim() ?? input.sourceSystem,
    clearText: input.clearText,
    onMissingRelation: input.onMissingRelation,
    defaultOwnerEmail: input.defaultOwnerEmail?.trim().toLowerCase() ?? input.defaultOwnerEmail,
  }
  return {
    ...Object.fromEntries(Object.entries(always).filter(([, value]) => value !== undefined && value !== null)),
    ...Object.fromEntries(Object.entries(resettable).filter(([, value]) => value !== undefined)),
  }
}

function invalid(message: string, option: string): Refusal {
  return new Refusal('INVALID_INPUT', message, ['options', option])
}

function checkOptions(input: ImportOptionsInput): void {
  if ((input.matchOn?.length ?? 0) > MATCH_RULES_MAX) {
    throw invalid(`At most ${MATCH_RULES_MAX} match rules are taken.`, 'matchOn')
  }
  if (input.maxFailedRows != null && input.maxFailedRows < 0) {
    throw invalid('A number of rows is not negative.', 'maxFailedRows')
  }
  for (const name of ['maxFailedFraction', 'minConfidence'] as const) {
    const value = input[name]
    if (value != null && !(value >= 0 && value <= 1)) {
      throw invalid(`${name} is from 0 to 1.`, name)
    }
  }
  const system = input.sourceSystem
  if (system != null && (system.trim() === '' || system.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(system))) {
    throw invalid(`A source system has 1 to ${NAME_LENGTH_MAX} characters, on one line.`, 'sourceSystem')
  }
  const { clearText } = input
  if (clearText != null && (clearText === '' || clearText.length > NAME_LENGTH_MAX || clearText.includes('\0'))) {
    throw invalid(
      `clearText has 1 to ${NAME_LENGTH_MAX} characters; what a blank cell does is said by onBlank.`,
      'clearText',
    )
  }
}

/** The mapping that a person gave, as it is stored. */
export function columnMappings(input: readonly ColumnMappingInput[]): ColumnMapping[] {
  return input.map((entry) => ({
    column: entry.column ?? null,
    columnIndex: entry.columnIndex ?? null,
    field: entry.createCustomField == null ? (entry.field ?? null) : customName(entry.createCustomField.key),
    constant: entry.constant ?? null,
    defaultValue: entry.defaultValue ?? null,
    ...transformCalls(entry),
    valueMap: (entry.valueMap ?? []).map(({ from, to }) => ({ from, to })),
    onBlank: entry.onBlank ?? null,
    format: entry.format ?? null,
    confidence: null,
    reasons: [],
    alternatives: [],
  }))
}

function transformCalls({ transforms }: ColumnMappingInput): Pick<ColumnMapping, 'transforms'> {
  return transforms == null || transforms.length === 0
    ? {}
    : {
        transforms: transforms.map((call) => ({
          name: call.name,
          arguments: (call.arguments ?? []).map(({ name, value }) => ({ name, value })),
        })),
      }
}

/** A custom field that a mapping makes, and where in the input it stands. */
export interface NewCustomField {
  readonly field: CustomField
  readonly path: readonly string[]
}

/** The custom fields that a mapping makes. Refuses INVALID_INPUT. */
export function newCustomFields(input: readonly ColumnMappingInput[]): NewCustomField[] {
  const fields = input.flatMap(({ createCustomField, field }, index): NewCustomField[] => {
    if (createCustomField == null) {
      return []
    }
    const path = ['mapping', String(index), 'createCustomField']
    const custom = checkedCustomField(createCustomField, path)
    const name = customName(custom.key)
    if (field != null && field !== name) {
      throw new Refusal('INVALID_INPUT', `The column is mapped to ${name} and to ${field}. Leave one of them.`, path)
    }
    return [{ field: custom, path }]
  })
  const keys = fields.map(({ field }) => field.key)
  const twice = fields.find(({ field }, index) => keys.indexOf(field.key) !== index)
  if (twice !== undefined) {
    throw new Refusal('INVALID_INPUT', `The custom field ${twice.field.key} is made twice.`, [...twice.path, 'key'])
  }
  return fields
}

export interface MappingRequest {
  readonly type: RecordType
  readonly columns: readonly DetectedColumn[]
  readonly mapping: readonly ColumnMapping[]
  readonly options: ImportOptions
  readonly source: SourceOptions
}

/**
 * What the beginning of the file says about a mapping. Refuses what can never be right: unknown columns, fields, formats
 * and match rules, constants that are no values of their fields. Conflicts are the run's matter, which reads the whole file.
 */
export function checkMapping(request: MappingRequest): {
  readonly conflicts: readonly MappingConflict[]
  readonly unmappedRequired: readonly string[]
} {
  const { columns, ...rest } = request
  if (/\\u0000/.test(JSON.stringify([request.mapping, request.options]))) {
    throw new Refusal('INVALID_INPUT', 'A text cannot hold NUL.', ['mapping'])
  }
  return resolveMapping({ ...rest, evidence: columns.map(evidenceOf) })
}

/** The little that the first rows prove: nothing about formats, and values only where all of them were seen. */
function evidenceOf(column: DetectedColumn): ColumnEvidence {
  return {
    index: column.index,
    name: column.name,
    filled: 0,
    kind: column.kind,
    kindConfidence: column.kindConfidence,
    samples: column.samples,
    distinct: column.distinctCount,
    topValues: column.topValues,
    dateFormats: null,
    numberFormats: null,
    provenByRow: null,
    ambiguousValues: [],
  }
}
