/** Lies about single records of a list, the same for every service: it says which of its fields are what. */
import type { Json, LieName, Row } from './types.js'

/** What the fields of one kind of record are. Names that a record lacks are left alone. */
export interface FieldSorts {
  readonly id: string
  readonly texts: readonly string[]
  /** Anything that is not one of the others, e.g. a price. */
  readonly values: readonly string[]
  /** Moments: texts with a time of day. */
  readonly moments: readonly string[]
  readonly dates: readonly string[]
  readonly relations: readonly string[]
  readonly owner: string | null
  /** An id that no record of this account has. */
  readonly foreignId: Json
}

/** Lies that `bentRows` tells; the others are the service's business, as they are about pages and counts. */
export const ROW_LIES: readonly LieName[] = [
  'DROPPED_ROW',
  'DUPLICATED_ROW',
  'TRUNCATED_TEXT',
  'CHANGED_VALUE',
  'LOST_FIELD',
  'SHIFTED_ZONE',
  'SHIFTED_DATE',
  'SWAPPED_ROWS',
  'LOST_RELATION',
  'WRONG_RELATION',
  'WRONG_OWNER',
  'FOREIGN_ROW',
]

/** The records as the lie has them: at least one of every page is touched, if one of them has what it takes. */
export function bentRows(lie: LieName | null, rows: readonly Row[], sorts: FieldSorts): readonly Row[] {
  const middle = Math.floor(rows.length / 2)
  const victim = rows[middle]
  if (lie === null || victim === undefined) {
    return rows
  }
  const changed = (names: readonly string[], change: (value: Json, row: Row) => Json | undefined): readonly Row[] => {
    let found = false
    // From the middle on, and then from the start, the first record that has such a field.
    const order = [...rows.keys()].map((at) => (at + middle) % rows.length)
    const result = [...rows]
    for (const at of order) {
      const row = rows[at]
      for (const name of found || row === undefined ? [] : names) {
        const value = row?.[name]
        const other = value === null || value === undefined || row === undefined ? undefined : change(value, row)
        if (row !== undefined && other !== undefined) {
          result[at] = { ...row, [name]: other }
          found = true
          break
        }
      }
    }
    return result
  }
  switch (lie) {
    case 'DROPPED_ROW':
      return rows.filter((_, at) => at !== middle)
    case 'DUPLICATED_ROW':
      return [...rows.slice(0, middle + 1), ...rows.slice(middle, -1)]
    case 'TRUNCATED_TEXT':
      return changed(sorts.texts, (value) =>
        typeof value === 'string' && value.length > 3 ? value.slice(0, Math.ceil(value.length / 2)) : undefined,
      )
    case 'CHANGED_VALUE':
      return changed(sorts.values, (value) =>
        typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}0` : undefined,
      )
    case 'LOST_FIELD':
      return changed([...sorts.values, ...sorts.texts], () => null)
    case 'SHIFTED_ZONE':
      return changed(sorts.moments, (value) => shifted(value, 3_600_000))
    case 'SHIFTED_DATE':
      return changed(sorts.dates, (value) => shifted(value, -86_400_000))
    case 'SWAPPED_ROWS': {
      const other = rows[middle === 0 ? 1 : middle - 1]
      return other === undefined
        ? rows
        : rows.map((row) =>
            row === victim
              ? { ...other, [sorts.id]: victim[sorts.id] ?? null }
              : row === other
                ? { ...victim, [sorts.id]: other[sorts.id] ?? null }
                : row,
          )
    }
    case 'LOST_RELATION':
      return changed(sorts.relations, () => null)
    case 'WRONG_RELATION': {
      const name = sorts.relations.find((relation) => new Set(rows.map((row) => row[relation] ?? null)).size > 1)
      const values = name === undefined ? [] : rows.map((row) => row[name] ?? null).filter((value) => value !== null)
      return name === undefined
        ? rows
        : changed([name], (value) => values.find((candidate) => candidate !== value) ?? undefined)
    }
    case 'WRONG_OWNER': {
      const { owner } = sorts
      const values = owner === null ? [] : rows.map((row) => row[owner] ?? null).filter((value) => value !== null)
      return owner === null
        ? rows
        : changed([owner], (value) => values.find((candidate) => candidate !== value) ?? undefined)
    }
    case 'FOREIGN_ROW':
      return rows.map((row, at) => (at === middle ? { ...row, [sorts.id]: sorts.foreignId } : row))
    default:
      return rows
  }
}

/** The same way of writing, another moment. */
function shifted(value: Json, milliseconds: number): Json | undefined {
  if (typeof value !== 'string') {
    return undefined
  }
  if (/^\d\d:\d\d/.test(value)) {
    const hours = (Number(value.slice(0, 2)) + Math.round(milliseconds / 3_600_000) + 24) % 24
    return `${String(hours).padStart(2, '0')}${value.slice(2)}`
  }
  const [, date = '', between = '', time = '', rest = ''] =
    /^(\d{4}-\d\d-\d\d)(?:([T ])(\d\d:\d\d:\d\d))?(.*)$/.exec(value) ?? []
  const at = Date.parse(`${date}T${time === '' ? '00:00:00' : time}Z`)
  if (Number.isNaN(at)) {
    return undefined
  }
  const moved = new Date(at + milliseconds).toISOString()
  return time === '' ? moved.slice(0, 10) : `${moved.slice(0, 10)}${between}${moved.slice(11, 19)}${rest}`
}
