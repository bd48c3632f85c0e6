/**
 * Rows that feed records of several types: a lead with its contact and its property. What the mapping says about a related
 * record is a mapping of its own, for a record of that type, and the row is mapped once for each.
 */
import { referencePath, relatedPath } from '../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../records/types.js'
import type { StageColumn } from './mapped.js'
import type { OnMissingRelation, ResolvedColumn, ResolvedMapping } from './types.js'

/** What a row says about one record that it refers to. */
export interface RelatedMapping {
  /** Name of the reference, e.g. `contact`. */
  readonly path: string
  readonly to: RecordTypeName
  /** Of a record of that type: its keys and its other fields. */
  readonly resolved: ResolvedMapping
  /** A record that is not there is made. */
  readonly creates: boolean
}

/** What happens to missing relations: as the options say, or CREATE where the mapping says what they are made of. */
export function onMissingRelation(resolved: ResolvedMapping, type: RecordType): OnMissingRelation {
  return (
    resolved.options.onMissingRelation ??
    (resolved.columns.some((column) => relatedPath(type, column.field) !== null) ? 'CREATE' : 'FAIL_ROW')
  )
}

/** The related records that rows make or change: where their fields are mapped, or where missing ones are created. */
export function relatedMappings(resolved: ResolvedMapping, type: RecordType): RelatedMapping[] {
  if (resolved.options.operation === 'DELETE') {
    return []
  }
  const creates = onMissingRelation(resolved, type) === 'CREATE'
  return type.fields.flatMap((field) => relatedMapping(resolved, type, field, creates) ?? [])
}

function relatedMapping(
  resolved: ResolvedMapping,
  type: RecordType,
  field: FieldDefinition,
  creates: boolean,
): RelatedMapping | null {
  const to = field.reference?.to ?? 'member'
  if (to === 'member' || to === type.name) {
    return null
  }
  const keys: ResolvedColumn[] = []
  const others: ResolvedColumn[] = []
  for (const column of resolved.columns) {
    const path = referencePath(type, column.field)
    const related = relatedPath(type, column.field)
    if (path?.field.name === field.name) {
      keys.push({ ...column, field: path.key, onBlank: 'KEEP' })
    } else if (related?.field.name === field.name) {
      others.push({ ...column, field: related.target.name })
    } else if (column.field === 'sourceSystem') {
      // External ids of a row belong to one system.
      others.push(column)
    }
  }
  const mapped = others.some((column) => column.field !== 'sourceSystem')
  if (keys.length === 0 || !(creates || mapped)) {
    return null
  }
  const { options } = resolved
  return {
    path: field.name,
    to,
    creates,
    resolved: {
      ...resolved,
      recordType: to,
      columns: [...keys, ...others],
      // Those are about the records of the file.
      rules: [],
      options: {
        ...options,
        matchOn: [],
        operation: creates ? 'UPSERT' : 'UPDATE_ONLY',
        // What happens to duplicates is said of the row's own record; a related one is never refused for being there.
        onDuplicate: options.onDuplicate === 'UPDATE' ? 'UPDATE' : 'FILL_BLANKS',
        defaultOwnerEmail: creates ? options.defaultOwnerEmail : null,
      },
    },
  }
}

/** Stage columns of a related record beside those of the row's own: by names that do not meet. */
export function relatedColumns(path: string, columns: readonly StageColumn[]): StageColumn[] {
  return columns.map((column) => ({ ...column, name: `${path.toLowerCase()}__of_${column.name}` }))
}
