/**
 * The one table of a run's statuses and how it may go from one to the other. The database enforces the same table by
 * the trigger `run_transition`; docs draw their picture from it.
 */

export const runStatuses = [
  'ANALYZING',
  'AWAITING_MAPPING',
  'PLANNING',
  'AWAITING_CONFIRMATION',
  'QUEUED',
  'DEFERRED',
  'RUNNING',
  'PAUSED',
  'CANCELING',
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
  'ROLLING_BACK',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
  'EXPIRED',
] as const

export type RunStatus = (typeof runStatuses)[number]

/** Where a run may go from each status. */
export const transitions: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  ANALYZING: ['AWAITING_MAPPING', 'PLANNING', 'QUEUED', 'CANCELING', 'CANCELED', 'FAILED'],
  AWAITING_MAPPING: ['ANALYZING', 'PLANNING', 'QUEUED', 'CANCELED', 'EXPIRED'],
  PLANNING: ['AWAITING_CONFIRMATION', 'QUEUED', 'CANCELING', 'CANCELED', 'FAILED'],
  AWAITING_CONFIRMATION: ['AWAITING_MAPPING', 'PLANNING', 'QUEUED', 'CANCELED', 'EXPIRED'],
  QUEUED: ['RUNNING', 'DEFERRED', 'PAUSED', 'CANCELED', 'FAILED'],
  DEFERRED: ['QUEUED', 'CANCELED', 'EXPIRED'],
  RUNNING: ['PAUSED', 'QUEUED', 'CANCELING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED'],
  PAUSED: ['QUEUED', 'CANCELED', 'EXPIRED'],
  CANCELING: ['CANCELED'],
  // Failed rows that a retry applied, or that a rollback of it opened again.
  COMPLETED: ['COMPLETED_WITH_ERRORS', 'ROLLING_BACK'],
  COMPLETED_WITH_ERRORS: ['COMPLETED', 'ROLLING_BACK'],
  FAILED: ['ROLLING_BACK'],
  CANCELED: ['ROLLING_BACK'],
  ROLLING_BACK: [
    'ROLLED_BACK',
    'ROLLED_BACK_WITH_CONFLICTS',
    'COMPLETED',
    'COMPLETED_WITH_ERRORS',
    'FAILED',
    'CANCELED',
  ],
  ROLLED_BACK: [],
  ROLLED_BACK_WITH_CONFLICTS: ['ROLLING_BACK'],
  EXPIRED: [],
}

/** Where a migration may go besides: it rests between its stages, and reads changes again after it has ended. */
export const migrationTransitions: Readonly<Partial<Record<RunStatus, readonly RunStatus[]>>> = {
  RUNNING: ['AWAITING_MAPPING', 'AWAITING_CONFIRMATION'],
  COMPLETED: ['QUEUED'],
  COMPLETED_WITH_ERRORS: ['QUEUED'],
}

/** Statuses in which nothing more will happen by itself; the conservation law holds in every one of them. */
export const endedStatuses: ReadonlySet<RunStatus> = new Set<RunStatus>([
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
  'ROLLING_BACK',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
  'EXPIRED',
])

export type RunAction =
  | 'MAP'
  | 'PLAN'
  | 'CONFIRM'
  | 'PAUSE'
  | 'RESUME'
  | 'CANCEL'
  | 'RETRY_FAILED'
  | 'ROLL_BACK'
  | 'DOWNLOAD'

/** What a caller may ask for in each status, before permissions and what the run wrote are looked at. */
export const actionsByStatus: Readonly<Record<RunStatus, readonly RunAction[]>> = {
  ANALYZING: ['PLAN', 'CANCEL'],
  AWAITING_MAPPING: ['MAP', 'PLAN', 'CANCEL'],
  PLANNING: ['CANCEL'],
  AWAITING_CONFIRMATION: ['MAP', 'PLAN', 'CONFIRM', 'CANCEL'],
  QUEUED: ['PAUSE', 'CANCEL'],
  DEFERRED: ['CANCEL'],
  RUNNING: ['PAUSE', 'CANCEL'],
  PAUSED: ['RESUME', 'CANCEL'],
  CANCELING: [],
  COMPLETED: ['ROLL_BACK', 'DOWNLOAD'],
  COMPLETED_WITH_ERRORS: ['RETRY_FAILED', 'ROLL_BACK', 'DOWNLOAD'],
  FAILED: ['RETRY_FAILED', 'ROLL_BACK', 'DOWNLOAD'],
  CANCELED: ['RETRY_FAILED', 'ROLL_BACK', 'DOWNLOAD'],
  ROLLING_BACK: ['DOWNLOAD'],
  ROLLED_BACK: ['DOWNLOAD'],
  ROLLED_BACK_WITH_CONFLICTS: ['ROLL_BACK', 'DOWNLOAD'],
  EXPIRED: [],
}
