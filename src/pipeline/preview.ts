/** Rows as they would become under one mapping, for somebody who is still at work on it. */
import type { Row } from '../adapters/source.js'
import { fieldOf } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { compileMapping, createDefaults } from './map.js'
import type { MappedRow, RowMapper } from './mapped.js'
import type { Issue, ResolvedMapping } from './types.js'

/** What a row gives one field. */
export interface PreviewValue {
  /** Name of the field as it was mapped: `email`, `contact.email`. */
  readonly key: string
  /** PostgreSQL input text of the value; null where the row leaves the field as it is. */
  readonly text: string | null
  readonly sqlType: string
}

/** Maps rows and shows what came of them. */
export class RowPreview {
  readonly #type: RecordType
  readonly #mapper: RowMapper
  /** Name under which each stage column is shown: the mapped one. */
  readonly #names: readonly string[]
  readonly #defaults: ReadonlyMap<string, string>
  readonly #isMapped: boolean

  constructor(type: RecordType, resolved: ResolvedMapping) {
    this.#type = type
    this.#isMapped = resolved.columns.length > 0
    this.#mapper = compileMapping(resolved, type)
    this.#names = this.#mapper.stageColumns.map(({ field }, slot) => resolved.columns[slot]?.field ?? field)
    // What a record gets where nobody says anything is not the mapping's doing and not shown.
    const defaults = createDefaults(resolved, type)
    this.#defaults = new Map(
      resolved.columns.flatMap(({ field, defaultValue }): [string, string][] => {
        const value = defaultValue === null ? undefined : defaults[fieldOf(type, field)?.column ?? '']
        return value === undefined ? [] : [[field, value]]
      }),
    )
  }

  /** Each mapped field, and what is built from others, where there is something; with what is wrong. */
  show(row: Row): { readonly values: readonly PreviewValue[]; readonly issues: readonly Issue[] } {
    const mapped = this.#mapper.map(row)
    return {
      values: row.fault === null ? this.#values(mapped) : [],
      issues: [...mapped.issues, ...this.#missing(row, mapped)],
    }
  }

  #values({ values }: MappedRow): PreviewValue[] {
    const shown = new Map<string, PreviewValue>()
    for (const [slot, { sqlType, role }] of this.#mapper.stageColumns.entries()) {
      const key = this.#names[slot]!
      const given = values[slot] ?? null
      if (role !== 'new') {
        shown.set(key, { key, text: given ?? this.#defaults.get(key) ?? null, sqlType })
      } else if (given !== null && (shown.get(key)?.text ?? null) === null) {
        shown.set(key, { key, text: given, sqlType })
      }
    }
    return [...shown.values()]
  }

  #missing(row: Row, { missingForCreate, ok }: MappedRow): Issue[] {
    // Without a mapping nothing is meant to be created, and a row that fails has its reasons already.
    if (missingForCreate === null || !ok || !this.#isMapped) {
      return []
    }
    const label = this.#type.label.toLowerCase()
    return missingForCreate.map((field) => ({
      row: row.number,
      column: null,
      field,
      code: 'REQUIRED_MISSING',
      severity: 'WARNING',
      value: null,
      message: `A new ${label} needs ${field}, and this row has none. The row fails unless it updates a ${label} that is there.`,
      suggestion: `Fill the column of ${field}, or map a default value to it.`,
    }))
  }
}
