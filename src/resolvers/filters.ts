/** Filters as callers write them, with public ids, and as the service keeps them, with UUIDs. */
import { isSensitive, MASK } from '../access/privacy.js'
import { decodeId, encodeId } from '../ids.js'
import { fieldOf } from '../records/index.js'
import type { Condition, RecordFilter, RecordType, RecordTypeName } from '../records/types.js'

/** Ids as they stand in exported files. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The filter with plain UUIDs where the caller wrote public ids; UUIDs, as exported files have them, stay. */
export function filterWithUuids(type: RecordType, filter: RecordFilter): RecordFilter {
  return mapped(filter, (condition) => {
    const to = idsOf(type, condition.field)
    return to === null ? condition : withValues(condition, (value) => (UUID.test(value) ? value : decodeId(to, value)))
  })
}

/**
 * A kept filter as its caller wrote it, members that say nothing left out. `open` false: values of sensitive fields are masked.
 */
export function shownFilter(type: RecordType, filter: RecordFilter, open: boolean): RecordFilter {
  return mapped(filter, (condition) => {
    const to = idsOf(type, condition.field)
    if (to !== null) {
      return withValues(condition, (value) => encodeId(to, value))
    }
    const hidden = !open && isSensitive(type, condition.field) && !own.has(condition.field)
    return withValues(condition, (value) => (hidden ? MASK : value))
  })
}

const own: ReadonlySet<string> = new Set(['createdAt', 'updatedAt', 'version'])

function mapped(filter: RecordFilter, map: (condition: Condition) => Condition): RecordFilter {
  const within = (children: readonly RecordFilter[]) => children.map((child) => mapped(child, map))
  return {
    ...(filter.and == null ? {} : { and: within(filter.and) }),
    ...(filter.or == null ? {} : { or: within(filter.or) }),
    ...(filter.not == null ? {} : { not: mapped(filter.not, map) }),
    ...(filter.where == null ? {} : { where: map(filter.where) }),
  }
}

/** The record type whose ids the values of this field are; null for other fields. */
function idsOf(type: RecordType, field: string): RecordTypeName | null {
  const to = field === 'id' ? type.name : fieldOf(type, field)?.reference?.to
  return to === undefined || to === 'member' ? null : to
}

function withValues({ field, operator, value, values }: Condition, map: (value: string) => string): Condition {
  return {
    field,
    operator,
    ...(value == null ? {} : { value: map(value) }),
    ...(values == null ? {} : { values: values.map(map) }),
  }
}
