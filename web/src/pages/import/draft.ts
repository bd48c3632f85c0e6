/** An import that is being put together, before the service knows of it. */
import type {
  ImportConflictFragment,
  ImportCreateMutationVariables,
  ImportFieldsFragment,
  ImportMappingFragment,
  ImportSchemasQuery,
} from '../../api/generated.ts'

export type CreateInput = ImportCreateMutationVariables['input']
export type Source = NonNullable<CreateInput['source']>
export type Options = NonNullable<CreateInput['options']>
export type ColumnInput = NonNullable<Extract<CreateInput['mapping'], readonly unknown[]>>[number]
export type RecordType = CreateInput['recordType']
export type Conflict = ImportConflictFragment
type ColumnMapping = ImportMappingFragment['columns'][number]
export type NewField = NonNullable<ColumnInput['createCustomField']>

/** A suggestion below this is offered and not taken: the service's own default (`ImportOptionsInput.minConfidence`). */
const TAKEN_FROM = 0.9

/** Where one column goes, or a field that is filled without one. */
export interface Entry {
  readonly key: string
  readonly column: string | null
  readonly columnIndex: number | null
  /** Null: the column goes nowhere. */
  readonly field: string | null
  readonly newField: NewField | null
  /** What was suggested, and how sure that is; null where a person decided. */
  readonly offer: { readonly field: string; readonly confidence: number | null } | null
  readonly reasons: readonly string[]
  readonly alternatives: ColumnMapping['alternatives']
  readonly constant: string | null
  readonly defaultValue: string | null
  readonly format: string | null
  readonly onBlank: 'CLEAR' | 'KEEP' | null
  readonly transforms: readonly {
    readonly name: string
    readonly arguments: readonly { name: string; value: string }[]
  }[]
  readonly valueMap: readonly { readonly from: string; readonly to: string }[]
}

let keys = 0

/** An entry of nothing yet. */
export function emptyEntry(given: Partial<Entry> = {}): Entry {
  return {
    key: `entry ${++keys}`,
    column: null,
    columnIndex: null,
    field: null,
    newField: null,
    offer: null,
    reasons: [],
    alternatives: [],
    constant: null,
    defaultValue: null,
    format: null,
    onBlank: null,
    transforms: [],
    valueMap: [],
    ...given,
  }
}

/** Entries of a mapping that was suggested; with `trusted` all of it is taken, because a person made it. */
export function entriesOf(mapping: ImportMappingFragment, trusted: boolean): Entry[] {
  return mapping.columns.map((each) => {
    const sure = trusted || each.confidence === null || each.confidence >= TAKEN_FROM
    return emptyEntry({
      column: each.column,
      columnIndex: each.columnIndex,
      field: sure ? each.field : null,
      offer: each.field === null ? null : { field: each.field, confidence: each.confidence },
      reasons: each.reasons,
      alternatives: each.alternatives,
      constant: each.constant,
      defaultValue: each.defaultValue,
      format: each.format,
      onBlank: each.onBlank,
      transforms: each.transforms,
      valueMap: each.valueMap,
    })
  })
}

/** A mapping as the service takes it. Columns that go nowhere are named, too: then a later file's new columns are told from them. */
export function mappingOf(entries: readonly Entry[]): ColumnInput[] {
  return entries
    .filter((each) => each.column !== null || each.columnIndex !== null || each.field !== null)
    .map((each) => ({
      ...(each.column === null ? {} : { column: each.column }),
      ...(each.columnIndex === null ? {} : { columnIndex: each.columnIndex }),
      ...(each.newField === null ? {} : { createCustomField: each.newField }),
      ...(each.field === null || each.newField !== null ? {} : { field: each.field }),
      ...(each.field === null && each.newField === null
        ? {}
        : {
            ...(each.constant === null ? {} : { constant: each.constant }),
            ...(each.defaultValue === null ? {} : { defaultValue: each.defaultValue }),
            ...(each.format === null ? {} : { format: each.format }),
            ...(each.onBlank === null ? {} : { onBlank: each.onBlank }),
            ...(each.transforms.length === 0
              ? {}
              : {
                  transforms: each.transforms.map(({ name, arguments: given }) => ({
                    name,
                    arguments: given.map(({ name: argument, value }) => ({ name: argument, value })),
                  })),
                }),
            ...(each.valueMap.length === 0 ? {} : { valueMap: each.valueMap.map(({ from, to }) => ({ from, to })) }),
          }),
    }))
}

/** All that was decided so far about a file. */
export interface Draft {
  readonly recordType: RecordType | null
  readonly source: Source
  readonly options: Options
  /** Null until columns were suggested. */
  readonly entries: readonly Entry[] | null
  /** The template that the entries come from unchanged. */
  readonly templateId: string | null
  readonly idempotencyKey: string
}

/** What was kept of a file in this window; null for nothing. */
export function keptDraft(fileId: string): Draft | null {
  try {
    return JSON.parse(sessionStorage.getItem(`portage.import.${fileId}`) ?? 'null') as Draft | null
  } catch {
    return null
  }
}

/** Keeps a draft, so that a reload loses nothing. */
export function keepDraft(fileId: string, draft: Draft): void {
  sessionStorage.setItem(`portage.import.${fileId}`, JSON.stringify(draft))
}

/** Forgets it: the service knows all of it now. */
export function dropDraft(fileId: string): void {
  sessionStorage.removeItem(`portage.import.${fileId}`)
}

/** A field that a column can go to. */
export interface Choice {
  readonly value: string
  readonly label: string
  readonly options: readonly string[] | null
  readonly kind: string
  readonly required: boolean
  readonly description: string | null
}

export type Schemas = ImportSchemasQuery

function schemaOf(schemas: Schemas, recordType: string): ImportFieldsFragment | undefined {
  return Object.values(schemas).find(
    (each): each is ImportFieldsFragment => typeof each === 'object' && each.recordType === recordType,
  )
}

/** Fields that identify a record of the type. */
export function matchable(schemas: Schemas, recordType: RecordType): readonly string[] {
  return schemaOf(schemas, recordType)?.matchableFields ?? []
}

/** Fields of the record type, and through its references those of the records that it names; by groups. */
export function choicesOf(
  schemas: Schemas,
  recordType: RecordType,
): { readonly group: string; readonly items: Choice[] }[] {
  const own = schemaOf(schemas, recordType)
  if (own === undefined) {
    return []
  }
  const choice = (field: ImportFieldsFragment['fields'][number], path = '', name = ''): Choice => ({
    value: `${path}${field.name}`,
    label: `${name}${field.label}`,
    options: field.options,
    kind: field.kind,
    required: field.required && path === '',
    description: field.description,
  })
  const groups = [
    {
      group: 'This record',
      items: own.fields.filter(({ kind, custom }) => kind !== 'REFERENCE' && !custom).map((field) => choice(field)),
    },
    { group: 'Custom fields', items: own.fields.filter(({ custom }) => custom).map((field) => choice(field)) },
  ]
  for (const reference of own.fields.filter(({ kind }) => kind === 'REFERENCE')) {
    const other = reference.references === null ? undefined : schemaOf(schemas, reference.references)
    if (other !== undefined) {
      groups.push({
        group: reference.label,
        items: other.fields
          .filter(({ kind, custom }) => kind !== 'REFERENCE' && !custom)
          .map((field) => choice(field, `${reference.name}.`, `${reference.label}: `)),
      })
    }
  }
  return groups.filter(({ items }) => items.length > 0)
}
