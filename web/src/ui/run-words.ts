/** Runs in words. */

const kinds: Readonly<Record<string, string>> = {
  IMPORT: 'Import',
  EXPORT: 'Export',
  AUDIT_EXPORT: 'Audit export',
  ROLLBACK: 'Rollback',
  BUNDLE_EXPORT: 'Bundle export',
  BUNDLE_IMPORT: 'Bundle import',
  MIGRATION: 'Migration',
}

/** What a run is called where its file has no name. */
export function kindInWords(kind: string): string {
  return kinds[kind] ?? kind
}

const writing = new Set(['EXPORT', 'BUNDLE_EXPORT', 'AUDIT_EXPORT'])

/** Whether it writes a file, and so has rows that were read and no outcomes. */
export function writesFile(kind: string): boolean {
  return writing.has(kind)
}

const moving = new Set(['QUEUED', 'ANALYZING', 'PLANNING', 'RUNNING', 'CANCELING', 'ROLLING_BACK'])

/** Whether the service works on it, or is about to. */
export function isMoving(status: string): boolean {
  return moving.has(status)
}

const waitingForPerson: Readonly<Record<string, string>> = {
  AWAITING_MAPPING: 'Columns are to be matched.',
  AWAITING_CONFIRMATION: 'The plan is to be confirmed.',
  PAUSED: 'Paused: resume it or cancel it.',
}

/** What a run waits for from a person, or null. */
export function needOf(status: string): string | null {
  return waitingForPerson[status] ?? null
}

/** Where a run is looked at. */
export function runHref({
  id,
  kind,
  status,
}: {
  readonly id: string
  readonly kind: string
  readonly status: string
}): string {
  if (kind === 'MIGRATION') {
    return `/console/migrations/${id}`
  }
  return kind === 'IMPORT' && (status === 'AWAITING_MAPPING' || status === 'AWAITING_CONFIRMATION')
    ? `/console/import/${id}`
    : `/console/runs/${id}`
}
