/**
 * Files that come home: exports of this tenant, which name their columns like our fields and their records by our ids. Nothing
 * about them is guessed, so that they import again without anybody's help.
 */
import { uuidOf } from '../ids.js'
import { ID_FIELD, isMappable, referencePath } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import type { ColumnEvidence, ColumnMapping } from './types.js'

/** What is known of a column; formats only once the whole file was read. */
export type OwnColumn = Pick<ColumnEvidence, 'index' | 'name' | 'samples'> &
  Partial<Pick<ColumnEvidence, 'numberFormats' | 'dateFormats'>>

/**
 * The UUIDs in a column `id` whose values all look like ids of records of this type; null where there is no such column. That
 * one of them is a record of the tenant is the proof that the file is its own: other systems have columns of that name, too.
 */
export function namedIds(type: RecordType, columns: readonly OwnColumn[]): readonly string[] | null {
  const column = columns.find(isIdColumn)
  if (column === undefined || column.samples.length === 0) {
    return null
  }
  const ids = column.samples.map((sample) => uuidOf(type.name, sample.trim()))
  return ids.some((id) => id === null) ? null : ids.filter((id) => id !== null)
}

/**
 * The suggestion for a file that has proved to be the tenant's own: a column that is called like a field is that field, its
 * values are read as exports write them where they all fit that, and what was suggested for the rest stays.
 */
export function ownMapping(
  type: RecordType,
  columns: readonly OwnColumn[],
  suggested: readonly ColumnMapping[],
): ColumnMapping[] {
  const own = new Map<number, ColumnMapping>()
  const taken = new Set<string>()
  for (const column of columns) {
    const field = isIdColumn(column) ? ID_FIELD : column.name.trim()
    if (!isMappable(type, field) || taken.has(field)) {
      continue
    }
    taken.add(field)
    own.set(column.index, {
      column: column.name,
      columnIndex: column.index,
      field,
      constant: null,
      defaultValue: null,
      valueMap: [],
      onBlank: null,
      format: formatOf(column),
      confidence: 1,
      reasons: [reasonOf(type, field)],
      alternatives: [],
    })
  }
  const seen = new Set<number>()
  return suggested.flatMap((entry) => {
    const mine = entry.columnIndex === null ? undefined : own.get(entry.columnIndex)
    if (mine !== undefined) {
      // A column with several fields in its cells has further entries, which a column of ours never needs.
      const first = !seen.has(mine.columnIndex ?? -1)
      seen.add(mine.columnIndex ?? -1)
      return first ? [mine] : []
    }
    return [entry.field !== null && taken.has(entry.field) ? { ...entry, field: null, valueMap: [] } : entry]
  })
}

function isIdColumn({ name }: OwnColumn): boolean {
  return name.trim().toLowerCase() === ID_FIELD
}

/** Numbers as we write them, never with thousands apart, can be read in other ways as well (`1.234`); that they are ours decides it. */
function formatOf({ numberFormats, dateFormats }: OwnColumn): string | null {
  if (dateFormats?.includes('yyyy-MM-dd') === true) {
    return 'yyyy-MM-dd'
  }
  return ['1234.56', '1234,56'].find((format) => numberFormats?.includes(format) === true) ?? null
}

function reasonOf(type: RecordType, field: string): string {
  if (field === ID_FIELD) {
    return `The values are ids of ${type.label.toLowerCase()} records here.`
  }
  return referencePath(type, field) === null
    ? 'The file is an export of ours, and the column is named like the field.'
    : 'The file is an export of ours, and the column is named like the relation and its key.'
}
