/** Runs as the API shows them, and what is asked about them. */
import type { Api } from './api.js'

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

export interface Progress {
  readonly fraction: number | null
  readonly rowsPerSecond: number | null
  readonly bytesRead: number
  readonly bytesTotal: number | null
  readonly etaAt: string | null
}

export interface Reason {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

interface RunBase {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly statusReason: Reason | null
  readonly counts: Counts
  readonly createdBy: string
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
}

export interface RunListed extends RunBase {
  readonly recordType?: string
  readonly source?: { readonly name: string }
  readonly ofRunId?: string
}

export interface IssueGroup {
  readonly code: string
  readonly column: string | null
  readonly field: string | null
  readonly count: number
  readonly firstRow: number
  readonly lastRow: number
  readonly sampleValues: readonly string[]
  readonly message: string
}

export interface RunFile {
  readonly kind: string
  readonly name: string
  readonly rowCount: number | null
  readonly url: string
  readonly urlExpiresAt: string
}

export interface MappingConflict {
  readonly field: string
  readonly columns: readonly string[]
  readonly message: string
  readonly code: string
  readonly values: readonly string[]
  readonly readings: readonly {
    readonly format: string
    readonly exampleValue: string
    readonly exampleReading: string
  }[]
}

export interface RollbackConflict {
  readonly recordType: string
  readonly recordId: string
  readonly field: string | null
  readonly rowNumber: number | null
  readonly before: string | null
  readonly imported: string | null
  readonly current: string | null
  readonly message: string
}

/** One run with what its report tells. */
export type RunReport = RunListed & {
  readonly availableActions: readonly string[]
  readonly files: readonly RunFile[]
  readonly metrics: { readonly runningMs: number; readonly queuedMs: number; readonly rowsPerSecond: number | null }
  readonly issueGroups?: readonly IssueGroup[]
  readonly mapping?: {
    readonly conflicts: readonly MappingConflict[]
    readonly unmappedRequiredFields: readonly string[]
  }
  readonly conflicts?: { readonly totalCount: number; readonly nodes: readonly RollbackConflict[] }
}

/** Statuses in which nothing more happens by itself. ROLLING_BACK is none: its end follows. */
export const ended: ReadonlySet<string> = new Set([
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
  'EXPIRED',
])

/** Statuses in which a run waits for a person's decision. */
export const undecided: ReadonlySet<string> = new Set(['AWAITING_MAPPING', 'AWAITING_CONFIRMATION'])

const exitCodes: Readonly<Record<string, number>> = {
  COMPLETED: 0,
  ROLLED_BACK: 0,
  COMPLETED_WITH_ERRORS: 2,
  ROLLED_BACK_WITH_CONFLICTS: 2,
}

/** 0 completed, 2 completed with errors, 1 anything else. */
export function exitCode(status: string): number {
  return exitCodes[status] ?? 1
}

const counts = 'counts { total read created updated unchanged skipped failed unprocessed reverted kept deleted }'

const base = `id kind status statusReason { code message retryable } ${counts} createdBy createdAt startedAt finishedAt
  ... on ImportRun { recordType source { name } }
  ... on ExportRun { recordType }
  ... on RollbackRun { ofRunId }`

const conflict = 'recordType recordId field rowNumber before imported current message'

/** Conflicts that a report lists; all of them are counted. */
const CONFLICTS_LISTED = 10

const reportQuery = `query Report($id: ID!, $conflicts: Int!) { run(id: $id) { ${base}
  availableActions
  files { kind name rowCount url urlExpiresAt }
  metrics { runningMs queuedMs rowsPerSecond }
  ... on ImportRun {
    issueGroups { code column field count firstRow lastRow sampleValues message }
    mapping { unmappedRequiredFields conflicts { field columns message code values readings { format exampleValue exampleReading } } }
  }
  ... on RollbackRun { conflicts(first: $conflicts) { totalCount nodes { ${conflict} } } }
} }`

const statusQuery = 'query Status($id: ID!) { run(id: $id) { status } }'

const listQuery = `query Runs($first: Int!, $statuses: [RunStatus!]) {
  runs(first: $first, statuses: $statuses) { nodes { ${base} } pageInfo { hasNextPage } } }`

/** The run and its report; null for an id that is no run's. */
export async function readReport(api: Api, id: string): Promise<RunReport | null> {
  const { run } = await api.run<{ run: RunReport | null }>(reportQuery, { id, conflicts: CONFLICTS_LISTED })
  return run
}

/** Null for an id that is no run's. */
export async function readStatus(api: Api, id: string): Promise<string | null> {
  const { run } = await api.run<{ run: { readonly status: string } | null }>(statusQuery, { id })
  return run?.status ?? null
}

/** Newest first. */
export async function listRuns(
  api: Api,
  first: number,
  statuses: readonly string[] | null,
): Promise<{ nodes: readonly RunListed[]; more: boolean }> {
  const { runs } = await api.run<{ runs: { nodes: readonly RunListed[]; pageInfo: { hasNextPage: boolean } } }>(
    listQuery,
    { first, statuses },
  )
  return { nodes: runs.nodes, more: runs.pageInfo.hasNextPage }
}

/** An event of a run, as asked for by `eventsQuery`. */
export type RunEvent = {
  readonly sequence: string
  readonly previousSequence: string | null
  readonly at: string
  readonly runId: string | null
} & (
  | {
      readonly __typename: 'RunStatusChanged'
      readonly from: string | null
      readonly to: string
      readonly reason: Reason | null
    }
  | { readonly __typename: 'RunProgressed'; readonly counts: Counts; readonly progress: Progress }
  | {
      readonly __typename: 'RowsSettled'
      readonly fromRow: number
      readonly toRow: number
      readonly counts: Counts
      readonly issueCount: number
    }
  | { readonly __typename: 'StreamGap'; readonly fromSequence: string; readonly toSequence: string }
)

/** The subscription to one run's events. */
export const eventsQuery = `subscription Watch($runId: ID!, $after: String) { runEvents(runId: $runId, after: $after) {
  __typename sequence previousSequence at runId
  ... on RunStatusChanged { from to reason { code message retryable } }
  ... on RunProgressed { ${counts} progress { fraction rowsPerSecond bytesRead bytesTotal etaAt } }
  ... on RowsSettled { fromRow toRow ${counts} issueCount }
  ... on StreamGap { fromSequence toSequence }
} }`
