import { keyExtractor, type WritePlan } from '../adapters/crm/stage.js'
import type { RelatedChunk } from '../adapters/crm/write.js'
import type { Row } from '../adapters/source.js'
import { compileMapping } from '../pipeline/map.js'
import { type MappedRow, matchableFields } from '../pipeline/mapped.js'
import { type RelatedMapping, relatedColumns } from '../pipeline/related.js'
import type { Issue } from '../pipeline/types.js'
import { ID_FIELD, recordTypes } from '../records/index.js'
import { ChunkBuilder } from './chunk-builder.js'
import { RowKeys } from './key-table.js'

const NO_ISSUES: readonly Issue[] = []

/**
 * What the rows of a chunk say about one record that they refer to. Files repeat such records (one agent, a hundred leads): a
 * row that says the same as the last one with its keys is not staged again, but goes with that one.
 */
export class RelatedReader {
  readonly #mapping: RelatedMapping
  readonly #map: (row: Row) => MappedRow
  readonly #keys: RowKeys
  readonly #keysOf: (row: MappedRow) => readonly (string | null)[]
  readonly #slots: number
  readonly #ids: () => string
  /** Names of the key fields: what is wrong with those is said by the row's own mapping. */
  readonly #named: ReadonlySet<string>
  #builder: ChunkBuilder
  /** By the keys of the row in hand: the last row of the chunk that was staged with them, and what it said. */
  #staged = new Map<string, { readonly row: number; readonly said: string }>()
  #same: (readonly [number, number])[] = []
  #mapped: MappedRow | null = null
  #group = ''
  #said = ''
  issues: readonly Issue[] = NO_ISSUES
  ok = true

  constructor(mapping: RelatedMapping, plan: WritePlan, ids: () => string) {
    const type = recordTypes[mapping.to]
    const mapper = compileMapping(mapping.resolved, type)
    const stageColumns = relatedColumns(mapping.path, mapper.stageColumns)
    const reference = plan.recordType.fields.find((field) => field.name === mapping.path)?.reference
    const rules = [[ID_FIELD], ['externalId'], ...type.naturalKeys]
    const { slots, keysOf } = keyExtractor({
      ...plan,
      recordType: type,
      stageColumns,
      rules: staged(rules, stageColumns),
      unique: [],
    })
    this.#mapping = mapping
    this.#map = (row) => mapper.map(row)
    this.#keys = new RowKeys(slots)
    this.#keysOf = keysOf
    this.#slots = slots.length
    this.#ids = ids
    this.#named = new Set(reference?.keys)
    this.#builder = new ChunkBuilder(0, null)
  }

  begin(rows: number): void {
    this.#builder = new ChunkBuilder(rows * this.#slots, null)
    this.#staged = new Map()
    this.#same = []
  }

  /** Maps what a row says; `issues` and `ok` are about it then. A row that does not name the record says nothing about it. */
  read(row: Row): void {
    this.issues = NO_ISSUES
    this.ok = true
    const mapped = row.fault === null ? this.#map(row) : null
    const keys = mapped === null ? [] : this.#keysOf(mapped)
    if (mapped === null || keys.every((key) => key === null)) {
      this.#mapped = null
      return
    }
    this.#mapped = mapped
    this.#group = JSON.stringify(keys)
    this.#said = JSON.stringify([mapped.values, mapped.cleared])
    const issues = mapped.issues.filter((issue) => !this.#named.has(issue.field ?? ''))
    if (issues.length > 0) {
      this.issues = issues.map((issue) => ({ ...issue, field: `${this.#mapping.path}.${issue.field}` }))
      this.ok = issues.every((issue) => issue.severity !== 'ERROR')
    }
  }

  /** The pass that the row in hand would be in. */
  pass(): number {
    if (this.#mapped === null || this.#staged.get(this.#group)?.said === this.#said) {
      return 0
    }
    this.#keys.set(this.#keysOf(this.#mapped))
    return this.#builder.passOf(this.#keys)
  }

  /** Stages the row in hand. */
  stage(row: Row): void {
    if (this.#mapped === null) {
      return
    }
    const before = this.#staged.get(this.#group)
    if (before?.said === this.#said) {
      this.#same.push([row.number, before.row])
      return
    }
    const pass = this.pass()
    this.#builder.stage(row, { ...this.#mapped, issues: NO_ISSUES }, this.#keys, pass, this.#ids())
    if (pass > 0) {
      // Rows before mean the same record by other keys, and this one changes it.
      this.#staged.clear()
    }
    this.#staged.set(this.#group, { row: row.number, said: this.#said })
  }

  get bytes(): number {
    return this.#builder.bytes
  }

  finish(): RelatedChunk {
    return this.#builder.finishRelated(this.#mapping.path, this.#same)
  }
}

/** Match rules whose fields are all staged. */
function staged(rules: readonly (readonly string[])[], columns: WritePlan['stageColumns']): string[][] {
  const fields = new Set(matchableFields(columns))
  return rules.filter((rule) => rule.every((name) => fields.has(name))).map((rule) => [...rule])
}
