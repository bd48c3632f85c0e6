/** A saved mapping laid over a file: what of it still holds, and what a person has to look at because the file has changed. */
import { distance } from 'fastest-levenshtein'
import { isMappable } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { columnsRead } from './transforms/check.js'
import type { ColumnMapping, MappingConflict } from './types.js'

/** Names as similar as this, from 0 to 1, may be one name for people; less is chance. */
const ALIKE_MIN = 0.6
/** The same where the column that it resembles is still there: then it takes more to trouble somebody. */
const ALIKE_BESIDE_MIN = 0.8
/** Similarity of `Phone 1` or `Phone (work)` to `Phone`: more than a typing error, less than the same. */
const ALIKE_WITH_MORE = 0.9

/** One version of a template. */
export interface SavedMapping {
  readonly name: string
  readonly version: number
  /** Columns by name alone: their positions may change. */
  readonly mapping: readonly ColumnMapping[]
  /** All columns of the files that it is for; null while that is not known. */
  readonly header: readonly string[] | null
}

export interface TemplateRequest {
  readonly template: SavedMapping
  readonly type: RecordType
  /** What is suggested for the columns of the file, in order, an entry for each at least: the columns, and what new ones may be. */
  readonly suggested: readonly ColumnMapping[]
}

export interface AppliedTemplate {
  /** The template's entries as far as their columns and fields exist, and the other columns without a field. */
  readonly mapping: readonly ColumnMapping[]
  /** Conflicts of the code TEMPLATE_DRIFT; empty where the file is what the template is for. */
  readonly drift: readonly MappingConflict[]
}

/** A column name as headers are compared: without case, accents, punctuation and spaces. */
export function headerKey(name: string): string {
  return wordsOf(name).join('')
}

/** What a header row is recognised by, whatever the order of its columns. */
export function signatureOf(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => headerKey(name) || name))].toSorted()
}

/** The columns that a mapping names, those that its transforms read among them. */
export function namedColumns(mapping: readonly ColumnMapping[]): string[] {
  return [...new Set([...ownColumns(mapping), ...mapping.flatMap(({ transforms = [] }) => columnsRead(transforms))])]
}

function ownColumns(mapping: readonly ColumnMapping[]): string[] {
  return [...new Set(mapping.flatMap(({ column }) => (column === null ? [] : [column])))]
}

/**
 * The whole header row, where a mapping can be taken to name all of it: who names columns that go nowhere has named them
 * all. Null otherwise; then the first file tells.
 */
export function headerOf(mapping: readonly ColumnMapping[]): string[] | null {
  return mapping.some(({ column, field }) => column !== null && field === null) ? namedColumns(mapping) : null
}

/** Lays a template over a file. Never fails: what does not fit is drift. */
export function applyTemplate({ template, type, suggested: all }: TemplateRequest): AppliedTemplate {
  const suggested = eachOnce(all)
  const names = new Set(suggested.map(({ column }) => column))
  const places = placesOf(ownColumns(template.mapping), suggested)
  const taken = new Set(places.values())
  const fresh = suggested.filter((column) => !taken.has(column) && isNew(template, column))
  const drift: MappingConflict[] = []
  const explained = new Set<ColumnMapping>()

  const mapping = template.mapping.flatMap((entry): ColumnMapping[] => {
    if (entry.field !== null && !isMappable(type, entry.field)) {
      drift.push(fieldGone(template, type, entry))
      return entry.column === null ? [] : placed({ ...entry, field: null })
    }
    // Transforms name columns within their texts, which are left as they are: a name has to be the very same.
    const unread = columnsRead(entry.transforms ?? []).find((name) => !names.has(name))
    const gone = entry.column === null || places.has(entry.column) ? unread : entry.column
    if (gone === undefined) {
      return placed(entry)
    }
    if (entry.field !== null) {
      const like = successorOf(gone, entry, suggested, fresh)
      if (like !== null) {
        explained.add(like)
      }
      drift.push(columnGone(template, entry.field, gone, like?.column ?? null))
    }
    return []
  })

  const given = new Set(mapping.map(({ field }) => field))
  if (template.header !== null) {
    for (const column of fresh.filter((each) => !explained.has(each))) {
      const conflict = newColumn(template, given, column)
      if (conflict !== null) {
        drift.push(conflict)
      }
    }
  }
  const left = suggested.filter((column) => !taken.has(column)).map((column) => withoutField(template, column))
  return { mapping: [...mapping, ...left], drift }

  function placed(entry: ColumnMapping): ColumnMapping[] {
    const column = entry.column === null ? null : places.get(entry.column)
    return column === undefined
      ? []
      : [
          {
            ...entry,
            column: column?.column ?? null,
            columnIndex: column?.columnIndex ?? null,
            confidence: null,
            reasons: [`From the template “${template.name}”, version ${template.version}.`],
            alternatives: [],
          },
        ]
  }
}

/** One entry for each column, where one is split into several fields. */
function eachOnce(entries: readonly ColumnMapping[]): ColumnMapping[] {
  const seen = new Set<string>()
  return entries.filter(({ column }) => {
    const first = column !== null && !seen.has(column)
    seen.add(column ?? '')
    return first
  })
}

/** Where each named column stands in the file: under its very name, or else under the one name that differs in spelling alone. */
function placesOf(names: readonly string[], columns: readonly ColumnMapping[]): ReadonlyMap<string, ColumnMapping> {
  const places = new Map<string, ColumnMapping>()
  for (const name of names) {
    const column = columns.find((each) => each.column === name)
    if (column !== undefined) {
      places.set(name, column)
    }
  }
  const taken = new Set(places.values())
  for (const name of names.filter((each) => !places.has(each))) {
    const same = columns.filter((each) => !taken.has(each) && headerKey(each.column ?? '') === headerKey(name))
    if (same.length === 1 && headerKey(name) !== '') {
      places.set(name, same[0]!)
      taken.add(same[0]!)
    }
  }
  return places
}

/** Whether a column was not in the files that the template is for. While those are not known, every other one is. */
function isNew({ header }: SavedMapping, { column }: ColumnMapping): boolean {
  return header === null || !header.some((name) => headerKey(name) === headerKey(column ?? ''))
}

/** The column that most likely is the one that is missing: the same but for spelling, or a new one; null for none. */
function successorOf(
  gone: string,
  entry: ColumnMapping,
  columns: readonly ColumnMapping[],
  fresh: readonly ColumnMapping[],
): ColumnMapping | null {
  const meant =
    columns.find(({ column }) => headerKey(column ?? '') === headerKey(gone)) ??
    fresh.find(({ field }) => field !== null && field === entry.field && gone === entry.column)
  if (meant !== undefined) {
    return meant
  }
  const [best] = fresh
    .map((column) => ({ column, likeness: likenessOf(column.column ?? '', gone) }))
    .toSorted((a, b) => b.likeness - a.likeness)
  return best !== undefined && best.likeness >= ALIKE_MIN ? best.column : null
}

/** From 0 (nothing in common) to 1 (the same name). */
function likenessOf(a: string, b: string): number {
  const [one, other] = [wordsOf(a), wordsOf(b)]
  const [few, many] = one.length <= other.length ? [one, other] : [other, one]
  if (few.length > 0 && few.every((word) => many.includes(word))) {
    return few.length === many.length ? 1 : ALIKE_WITH_MORE
  }
  const [left, right] = [one.join(''), other.join('')]
  return 1 - distance(left, right) / Math.max(left.length, right.length, 1)
}

function wordsOf(name: string): string[] {
  return (
    name
      .normalize('NFKD')
      .replaceAll(/\p{M}/gu, '')
      .toLowerCase()
      .match(/\p{L}+|\p{N}+/gu) ?? []
  )
}

function columnGone(template: SavedMapping, field: string, column: string, like: string | null): MappingConflict {
  const found =
    like === null
      ? `Map another column to ${field} with importMappingUpdate, or leave it out there.`
      : `“${like}” is new, looks like “${column}”: take it for ${field} with importMappingUpdate, or leave it out there.`
  return conflictOf(
    field,
    like === null ? [column] : [column, like],
    `Column “${column}” of the template “${template.name}” is missing in this file. ${found} ${LATER}`,
  )
}

/** What a new column asks of a person; null where it resembles nothing and is known as nothing, so that it goes nowhere. */
function newColumn(
  template: SavedMapping,
  given: ReadonlySet<string | null>,
  { column, field }: ColumnMapping,
): MappingConflict | null {
  const name = column ?? ''
  const like = template.mapping.find(
    (entry) => entry.field !== null && entry.column !== null && likenessOf(entry.column, name) >= ALIKE_BESIDE_MIN,
  )
  const about = field !== null && !given.has(field) ? field : (like?.field ?? null)
  if (about === null) {
    return null
  }
  const what = about === field ? `looks like ${about}` : `looks like “${like?.column ?? about}”`
  return conflictOf(
    about,
    [name],
    `“${name}” is new, ${what}; the template “${template.name}” says nothing about it. ` +
      `Map it, or leave it out, with importMappingUpdate. ${LATER}`,
  )
}

function fieldGone(template: SavedMapping, type: RecordType, { column, field }: ColumnMapping): MappingConflict {
  return conflictOf(
    field ?? '',
    column === null ? [] : [column],
    `The template “${template.name}” gives ${field}, which is no field of a ${type.label.toLowerCase()} any more. ` +
      `Map the column to another field, or leave it out, with importMappingUpdate. ${LATER}`,
  )
}

const LATER = 'Save the template anew for the files to come.'

function conflictOf(field: string, columns: readonly string[], message: string): MappingConflict {
  return { code: 'TEMPLATE_DRIFT', field, columns, message, values: [], readings: [] }
}

/** Something that was right when a template was saved, and is refused now with this message. */
export function noLongerRight(message: string): MappingConflict {
  return conflictOf('', [], message)
}

/** A column that the template leaves out; what was suggested for it stays to be seen. */
function withoutField(template: SavedMapping, column: ColumnMapping): ColumnMapping {
  const { field, confidence, alternatives } = column
  return {
    ...column,
    field: null,
    transforms: [],
    valueMap: [],
    confidence: confidence ?? 0,
    reasons: [`Not in the template “${template.name}”, version ${template.version}.`],
    alternatives: field === null ? alternatives : [{ field, confidence: confidence ?? 0 }, ...alternatives],
  }
}
