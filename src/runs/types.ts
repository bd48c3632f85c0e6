import type { Permission } from '../access/permissions.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import type { RecordFilter, RecordOrder, RecordTypeName } from '../records/types.js'
import type { RunStatus } from './status.js'

export const runKinds = [
  'IMPORT',
  'ROLLBACK',
  'EXPORT',
  'BUNDLE_EXPORT',
  'BUNDLE_IMPORT',
  'MIGRATION',
  'AUDIT_EXPORT',
] as const

export type RunKind = (typeof runKinds)[number]

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
  /** Of a run that is DEFERRED: when it may start. ISO 8601 UTC. */
  readonly estimatedStartAt?: string
  /** Of a run that is DEFERRED: the quota that it waits for. */
  readonly quota?: string
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

export type ExportFileFormat = 'CSV' | 'XLSX' | 'JSON' | 'NDJSON'

/** How an export is written. Members that a format has no use for are passed over. */
export interface ExportFormat {
  readonly format: ExportFileFormat
  readonly compression: 'NONE' | 'GZIP'
  /** Of CSV: one character of ASCII, neither a quote nor the end of a line. */
  readonly delimiter: string
  /** Of CSV: as `readEncodingName` answers it, e.g. `utf-8`, `windows-1252`. JSON and NDJSON are always UTF-8. */
  readonly encoding: string
  /** Of CSV in UTF-8 and UTF-16. */
  readonly byteOrderMark: boolean
  /** Pattern of dates in CSV, e.g. `dd.MM.yyyy`, for columns without a format of their own; null: as ISO 8601 has them. */
  readonly dateFormat: string | null
  /** Name of the time zone that moments are written in, e.g. `Europe/Berlin`. */
  readonly timeZone: string
  /** Stands in CSV where there is no value; an empty text is quoted, so that it is told apart. */
  readonly nullText: string
  /** Of CSV. */
  readonly decimalSeparator: '.' | ','
  /** Of CSV: text that a spreadsheet would take for a formula is made harmless, see `pipeline/formula.ts`. */
  readonly escapeFormulas: boolean
}

/** One column of an export. */
export interface ExportColumn {
  /**
   * A field's name, `custom.<key>`, a path (`contact.email`, or any field of the record that a reference leads to), `ownerEmail`,
   * or one of `id`, `createdAt`, `updatedAt`, `version`. The name of a reference stands for the id of its record.
   */
  readonly field: string
  readonly header: string
  /** Pattern of a date or moment in CSV, or the number format of a column in a workbook; null for the usual one. */
  readonly format: string | null
}

/** What an export writes: all that there is to know of it. Checked before it is kept; see `exportSpec`. */
export interface ExportSpec {
  readonly recordType: RecordTypeName
  readonly filter: RecordFilter | null
  /** Empty: as the records are stored, which is fastest. */
  readonly orderBy: readonly RecordOrder[]
  readonly columns: readonly ExportColumn[]
  readonly format: ExportFormat
  /** What the file is called, with its extension. */
  readonly fileName: string
  /** What its actor was allowed when it was created: fields were chosen by it. */
  readonly permissions: readonly Permission[]
  /** Fields that an export without columns of its own does not have, because its actor may not see them. Absent for none. */
  readonly leftOut?: readonly string[]
}

export interface ExportRunRow extends RunBase {
  readonly kind: 'EXPORT'
  readonly recordType: RecordTypeName
  readonly spec: ExportSpec
  /** The moment that the file shows, of the attempt in hand; null until it has begun. */
  readonly snapshotAt: Date | null
  /** The template that it was made from; null for none. */
  readonly templateId: string | null
}

/** A run that writes a bundle, or one that takes a bundle in by imports of its own. */
export interface BundleRunRow extends RunBase {
  readonly kind: 'BUNDLE_EXPORT' | 'BUNDLE_IMPORT'
  /** In load order. */
  readonly recordTypes: readonly RecordTypeName[]
  /** The uploaded bundle; null of an export. */
  readonly sourceFileId: string | null
  /** Names the bundle; null until an export has written it. */
  readonly bundleId: string | null
  /** The moment that the bundle shows; null until an export has begun. */
  readonly snapshotAt: Date | null
  /** Whether a rollback has something to undo. */
  readonly reversible: boolean
}

/** A run that writes the sealed entries of the audit into a file. */
export interface AuditRunRow extends RunBase {
  readonly kind: 'AUDIT_EXPORT'
  /** Entries from this moment on; null: from the first one on. */
  readonly from: Date | null
  /** Entries before this moment; null: to the last one that was sealed when it ran. */
  readonly to: Date | null
}

export interface MigrationRunRow extends RunBase {
  readonly kind: 'MIGRATION'
  readonly integrationId: string
  readonly stage: MigrationStage
  /** The newest proof; null before there is one. */
  readonly verification: VerificationReport | null
  readonly schedule: string | null
  readonly timeZone: string | null
  readonly nextDueAt: Date | null
  /** Why the schedule stands still; null while it does not. */
  readonly scheduleDisabled: StatusReason | null
  /** Whether an import of it wrote something that a rollback would undo. */
  readonly reversible: boolean
}

export type MigrationStage =
  | 'DRAFT'
  | 'DISCOVERING'
  | 'AWAITING_MAPPING'
  | 'EXTRACTING'
  | 'STAGING'
  | 'AWAITING_REVIEW'
  | 'PROMOTING'
  | 'VERIFYING'
  | 'READY_FOR_DELTA'
  | 'COMPLETED'

/** One check of a proof. Counts and values stand as text, as people compare them. */
export interface VerificationCheck {
  readonly name: string
  /** Null for a check of the migration as a whole. */
  readonly object: string | null
  readonly expected: string
  readonly actual: string
  readonly passed: boolean
  readonly detail: string | null
}

export interface VerificationReport {
  readonly passed: boolean
  readonly checks: readonly VerificationCheck[]
  /** ISO 8601 UTC. */
  readonly createdAt: string
}

export type RunRow = ImportRunRow | RollbackRunRow | ExportRunRow | BundleRunRow | MigrationRunRow | AuditRunRow

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
