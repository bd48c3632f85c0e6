/** Answers of a made-up API about made-up runs. */
export const noCounts = {
  total: null,
  read: 0,
  created: 0,
  updated: 0,
  unchanged: 0,
  skipped: 0,
  failed: 0,
  unprocessed: 0,
  reverted: 0,
  kept: 0,
  deleted: 0,
}

const at = '2026-11-22T10:00:00.000Z'

/** An import that has ended, unless `over` says otherwise. */
export function importRun(over: Readonly<Record<string, unknown>> = {}) {
  return {
    __typename: 'ImportRun',
    id: 'run_1',
    kind: 'IMPORT',
    status: 'COMPLETED_WITH_ERRORS',
    statusReason: null,
    counts: { ...noCounts, total: 1000, read: 1000, created: 900, updated: 88, failed: 12 },
    createdBy: 'ada@example.com',
    createdAt: at,
    startedAt: at,
    finishedAt: '2026-11-22T10:00:12.300Z',
    availableActions: ['ROLL_BACK', 'DOWNLOAD'],
    files: [
      { kind: 'SOURCE', name: 'contacts.csv', rowCount: null, url: 'http://files/source', urlExpiresAt: at },
      { kind: 'FAILED_ROWS', name: 'contacts-failed.csv', rowCount: 12, url: 'http://files/failed', urlExpiresAt: at },
    ],
    metrics: { runningMs: 12_000, queuedMs: 10, rowsPerSecond: 80 },
    recordType: 'CONTACT',
    source: { name: 'contacts.csv' },
    mapping: { conflicts: [], unmappedRequiredFields: [] },
    issueGroups: [
      {
        code: 'INVALID_EMAIL',
        column: 'E-mail',
        field: 'email',
        count: 12,
        firstRow: 17,
        lastRow: 980,
        sampleValues: ['ada@', 'bob at example', 'c@d', 'e@f'],
        message: 'is not an e-mail address',
      },
    ],
    ...over,
  }
}

/** A rollback that has ended. */
export function rollbackRun(over: Readonly<Record<string, unknown>> = {}) {
  return {
    ...importRun(),
    __typename: 'RollbackRun',
    id: 'run_2',
    kind: 'ROLLBACK',
    status: 'COMPLETED',
    counts: { ...noCounts, total: 988, read: 988, reverted: 987, kept: 1 },
    availableActions: [],
    files: [],
    ofRunId: 'run_1',
    conflicts: {
      totalCount: 1,
      nodes: [
        {
          recordType: 'CONTACT',
          recordId: 'con_1',
          field: 'phone',
          rowNumber: 7,
          before: null,
          imported: '+491',
          current: '+492',
          message: 'changed since the import',
        },
      ],
    },
    ...over,
  }
}

/** An event of run_1. */
export function event(sequence: number, type: string, over: Readonly<Record<string, unknown>> = {}) {
  const shown = (number: number) => String(number).padStart(20, '0')
  const previousSequence = sequence === 1 ? null : shown(sequence - 1)
  return { __typename: type, sequence: shown(sequence), previousSequence, at, runId: 'run_1', ...over }
}

export function statusEvent(sequence: number, from: string | null, to: string) {
  return event(sequence, 'RunStatusChanged', { from, to, reason: null })
}

export function progressEvent(sequence: number, created: number, total: number) {
  return event(sequence, 'RunProgressed', {
    counts: { ...noCounts, total, read: created, created },
    progress: { fraction: created / total, rowsPerSecond: 5000, bytesRead: created, bytesTotal: total, etaAt: null },
  })
}
