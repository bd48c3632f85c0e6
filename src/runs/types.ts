import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'
import type { RunStatus } from './status.js'

export type RunKind = 'IMPORT' | 'ROLLBACK'

export type RowOutcome =
  | 'CREATED'
  | 'UPDATED'
  | 'UNCHANGED'
  | 'SKIPPED'
  | 'FAILED'
  | 'UNPROCESSED'
  | 'REVERTED'
  | 'KEPT'
  | 'DELETED'

/** The contract's RowCounts. `total` is null until the first pass has counted the rows. */
export interface Counts {
  readonly total: number | null
  readonly read: number
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly unprocessed: number
  readonly reverted: number
  readonly kept: number
  readonly deleted: number
}

/** What a plan comes to, in rows. */
export type PlanCounts = Pick<Counts, 'read' | 'created' | 'updated' | 'unchanged' | 'skipped' | 'failed' | 'deleted'>

/** Why a run failed, paused or was deferred. */
export interface StatusReason {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export interface Progress {
  readonly fraction: number | null
  readonly rowsPerSecond: number | null
  readonly bytesRead: number
  readonly bytesTotal: number | null
  /** ISO 8601 UTC. */
  readonly etaAt: string | null
}

interface RunBase {
  readonly tenantId: string
  readonly id: string
  readonly status: RunStatus
  readonly statusReason: StatusReason | null
  readonly counts: Counts
  readonly progress: Progress
  readonly createdBy: string
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly chunks: number
  /** Attempts since the cursor last moved. */
  readonly attempts: number
  readonly queuedMs: number
  readonly runningMs: number
  readonly peakRssBytes: number | null
  readonly stages: readonly { readonly stage: string; readonly ms: number }[]
}

export interface ImportRunRow extends RunBase {
  readonly kind: 'IMPORT'
  readonly recordType: RecordTypeName
  readonly sourceFileId: string
  readonly sourceOptions: SourceOptions | null
  readonly mapping: readonly ColumnMapping[]
  readonly conflicts: readonly MappingConflict[]
  readonly unmappedRequired: readonly string[]
  /** Null until the first pass has ended. */
  readonly evidence: readonly ColumnEvidence[] | null
  readonly options: ImportOptions
  readonly confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS'
  readonly parentRunId: string | null
  /** Whether failed rows of it, or of an import of its family, are being tried again just now. */
  readonly retrying: boolean
  /** Whether a rollback has something to undo, and no retry stands whose rows would have to be undone before. */
  readonly reversible: boolean
  /** False for a retry of an import that has been rolled back. */
  readonly rootStands: boolean
  /** The plan that stands; null before there is one and once it is void. A run that started with one is bound by it. */
  readonly plan: { readonly hash: string; readonly counts: PlanCounts; readonly createdAt: Date } | null
}

export type OnRollbackConflict = 'KEEP' | 'FORCE' | 'ABORT'

export interface RollbackRunRow extends RunBase {
  readonly kind: 'ROLLBACK'
  readonly ofRunId: string
  readonly onConflict: OnRollbackConflict
}

export type RunRow = ImportRunRow | RollbackRunRow

/** One page of a list: `cursor` of each item is opaque; `hasNext`/`hasPrevious` as in Relay. */
export interface Page<T> {
  readonly items: readonly { readonly cursor: string; readonly node: T }[]
  readonly hasNext: boolean
  readonly hasPrevious: boolean
  /** Null where counting was not asked for. */
  readonly totalCount: number | null
}

export interface PageRequest {
  readonly first: number
  readonly after: string | null
}

export interface ImportRowView {
  readonly rowNumber: number
  readonly outcome: RowOutcome
  readonly recordId: string | null
  readonly sourceId: string | null
  /** Where the row starts in the source, for its cells; null for a plain created or unchanged row. */
  readonly byte: number | null
  readonly changes: readonly FieldChangeView[]
  readonly issues: readonly RowIssueView[]
}

export interface FieldChangeView {
  readonly field: string
  readonly before: string | null
  readonly after: string | null
}

export interface RowIssueView {
  readonly rowNumber: number
  readonly column: string | null
  readonly field: string | null
  readonly code: string
  readonly severity: 'ERROR' | 'WARNING'
  readonly value: string | null
  readonly message: string
  readonly suggestion: string | null
}

export interface IssueGroupView {
  readonly code: string
  readonly column: string | null
  readonly field: string | null
  readonly count: number
  readonly firstRow: number
  readonly lastRow: number
  readonly sampleValues: readonly string[]
  readonly message: string
  /** The one that most of them have; null where none has one. */
  readonly suggestion: string | null
}

/** A relation of a record to one that is not there yet. */
export interface PendingRelationView {
  readonly rowNumber: number
  readonly recordType: RecordTypeName
  readonly recordId: string
  /** As a mapping names it, e.g. `contact.email`. */
  readonly field: string
  /** What names the record, e.g. an e-mail address. */
  readonly key: string
}

/** A record of another type that a row made or changed. */
export interface RelatedView {
  readonly path: string
  readonly recordType: RecordTypeName
  readonly recordId: string | null
  readonly outcome: 'CREATED' | 'UPDATED'
  readonly changes: readonly FieldChangeView[]
}

export interface RollbackConflictView {
  readonly recordType: RecordTypeName
  readonly recordId: string
  readonly field: string | null
  readonly rowNumber: number | null
  readonly before: string | null
  readonly imported: string | null
  readonly current: string | null
  readonly message: string
}
