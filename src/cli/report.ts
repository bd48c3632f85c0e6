/** What a run did, in words and numbers. Pure: lines in, lines out. */
import { clean, counted, duration, number, table } from './io.js'
import type { Counts, IssueGroup, MappingConflict, Progress, RollbackConflict, RunReport } from './runs.js'

const BAR_CELLS = 24

/** Sample values and issue groups that a report shows. */
const SAMPLES_SHOWN = 3
const GROUPS_SHOWN = 15

/** One line for a terminal: bar, rows, speed, time left, failures so far. */
export function progressLine(counts: Counts, progress: Progress, now: Date): string {
  const done = settled(counts)
  const parts: string[] = []
  if (progress.fraction === null) {
    parts.push(`${number(done)} rows`)
  } else {
    const cells = Math.round(progress.fraction * BAR_CELLS)
    parts.push(`[${'#'.repeat(cells)}${'-'.repeat(BAR_CELLS - cells)}] ${Math.floor(progress.fraction * 100)}%`)
    parts.push(counts.total === null ? number(done) : `${number(done)} of ${number(counts.total)} rows`)
  }
  if (progress.rowsPerSecond !== null) {
    parts.push(`${number(Math.round(progress.rowsPerSecond))}/s`)
  }
  if (progress.etaAt !== null) {
    parts.push(`${duration(Math.max(0, Date.parse(progress.etaAt) - now.getTime()))} left`)
  }
  if (counts.failed > 0) {
    parts.push(`${number(counts.failed)} failed`)
  }
  return parts.join('  ')
}

function settled(counts: Counts): number {
  const { created, updated, unchanged, skipped, failed, deleted, reverted, kept } = counts
  const rows = reverted + kept > 0 ? reverted + kept : created + updated + unchanged + skipped + failed + deleted
  // Of an export, and of a file that is being looked at: what has been read.
  return rows > 0 ? rows : counts.read
}

/** `COMPLETED_WITH_ERRORS` as people say it. */
export function words(constant: string): string {
  return constant.toLowerCase().replaceAll('_', ' ')
}

/** The whole report of a run that has ended or waits for a decision. */
export function report(run: RunReport): string[] {
  const sections = [
    headline(run),
    countLines(run),
    conflictLines(run),
    groupLines(run.issueGroups ?? []),
    rollbackLines(run),
    fileLines(run),
  ]
  const result = run.files.some(({ kind }) => kind === 'RESULT')
  const next = run.availableActions.includes('ROLL_BACK')
    ? [`To undo it: npm run -s portage -- rollback ${run.id}`]
    : run.status === 'AWAITING_CONFIRMATION'
      ? [
          `To see what it would do: npm run -s portage -- plan ${run.id}`,
          `To apply it: npm run -s portage -- confirm ${run.id}`,
        ]
      : result
        ? [`To download it: npm run -s portage -- download ${run.id}`]
        : []
  return [...sections, next]
    .filter((section) => section.length > 0)
    .flatMap((section, index) => (index === 0 ? section : ['', ...section]))
}

function headline(run: RunReport): string[] {
  const what =
    run.kind === 'IMPORT' && run.source !== undefined
      ? `Import of ${clean(run.source.name)}`
      : `${titled(run.kind)} ${run.id}`
  const time =
    run.finishedAt === null || run.startedAt === null
      ? ''
      : ` in ${duration(Date.parse(run.finishedAt) - Date.parse(run.startedAt))}`
  const lines = [`${what}: ${words(run.status)}${time}`]
  if (run.kind === 'IMPORT') {
    lines.push(`Run ${run.id}`)
  }
  // What a mapping waits for is told below, with what to do about it.
  if (run.statusReason !== null && run.status !== 'AWAITING_MAPPING') {
    lines.push(`${clean(run.statusReason.message)} (${run.statusReason.code})`)
  }
  return lines
}

function titled(kind: string): string {
  return `${kind.charAt(0)}${words(kind).slice(1)}`
}

const importCounts = ['created', 'updated', 'unchanged', 'skipped', 'failed', 'deleted', 'unprocessed'] as const
const exportCounts = ['unprocessed'] as const
const rollbackCounts = ['reverted', 'kept', 'unchanged', 'unprocessed'] as const

function countLines(run: RunReport): string[] {
  const { counts } = run
  if (counts.total === null) {
    return []
  }
  const names: readonly (keyof Counts)[] =
    run.kind === 'ROLLBACK' ? rollbackCounts : run.kind.endsWith('EXPORT') ? exportCounts : importCounts
  const shown = names.filter((name) => (counts[name] ?? 0) > 0)
  const undone = run.kind === 'ROLLBACK' ? [] : (['reverted', 'kept'] as const).filter((name) => counts[name] > 0)
  const rows = [
    ['rows', number(counts.total)],
    ...shown.map((name) => [name, number(counts[name] ?? 0)]),
    ...undone.map((name) => [`${name} by the rollback`, number(counts[name])]),
  ]
  return table(rows, [1]).map((line) => `  ${line}`)
}

/** Kinds of problems, with samples. */
export function groupLines(groups: readonly IssueGroup[]): string[] {
  if (groups.length === 0) {
    return []
  }
  const lines = ['Issues']
  for (const group of groups.slice(0, GROUPS_SHOWN)) {
    const place = group.column === null ? '' : `, column "${clean(group.column)}"`
    const where =
      group.firstRow === group.lastRow
        ? `row ${number(group.firstRow)}`
        : `rows ${number(group.firstRow)} to ${number(group.lastRow)}`
    lines.push(`  ${number(group.count)} x ${group.code}${place}, ${where}`, `      ${clean(group.message)}`)
    const samples = group.sampleValues.slice(0, SAMPLES_SHOWN).map((value) => JSON.stringify(clean(value)))
    if (samples.length > 0) {
      lines.push(`      for example ${samples.join(', ')}`)
    }
  }
  if (groups.length > GROUPS_SHOWN) {
    lines.push(`  and ${counted(groups.length - GROUPS_SHOWN, 'more kind')} of issue`)
  }
  return lines
}

function conflictLines(run: RunReport): string[] {
  if (run.status !== 'AWAITING_MAPPING' || run.mapping === undefined) {
    return []
  }
  const { conflicts, unmappedRequiredFields } = run.mapping
  // A required field that nothing becomes is a conflict, too; how to settle it is told once, below.
  const other = conflicts.filter(
    ({ code, field }) => code !== 'REQUIRED_UNMAPPED' || !unmappedRequiredFields.includes(field),
  )
  const lines = other.flatMap((conflict) => [`  ${clean(conflict.message)}`, ...readings(conflict)])
  for (const field of unmappedRequiredFields) {
    lines.push(`  No column becomes "${clean(field)}", which is required: --map "Column=${clean(field)}"`)
  }
  return ['The mapping needs a decision:', ...lines, 'Nothing has been written. Decide and import again.']
}

function readings(conflict: MappingConflict): string[] {
  return conflict.readings.map(
    ({ format, exampleValue, exampleReading }) =>
      `      ${clean(exampleValue)} is ${clean(exampleReading)} with --format "${clean(conflict.columns[0] ?? '')}=${clean(format)}"`,
  )
}

function rollbackLines(run: RunReport): string[] {
  const conflicts = run.conflicts
  if (conflicts === undefined || conflicts.totalCount === 0) {
    return []
  }
  const lines = conflicts.nodes.map((conflict) => `  ${describe(conflict)}`)
  const more = conflicts.totalCount - conflicts.nodes.length
  return [
    `${counted(conflicts.totalCount, 'conflict')}: changed since the import`,
    ...lines,
    ...(more > 0 ? [`  and ${number(more)} more`] : []),
  ]
}

function describe(conflict: RollbackConflict): string {
  const row = conflict.rowNumber === null ? '' : `row ${number(conflict.rowNumber)}, `
  const where = `${row}${words(conflict.recordType)} ${conflict.recordId}`
  if (conflict.field === null) {
    return `${where}: ${clean(conflict.message)}`
  }
  const value = (text: string | null) => (text === null ? 'blank' : JSON.stringify(clean(text)))
  return `${where}, ${conflict.field}: before ${value(conflict.before)}, imported ${value(conflict.imported)}, now ${value(conflict.current)}`
}

const fileNames: Readonly<Record<string, string>> = {
  FAILED_ROWS: 'Failed rows, to be corrected and imported again',
  UNPROCESSED_ROWS: 'Rows that were not processed',
  REPORT: 'Report',
  RESULT: 'Result',
  BUNDLE: 'Bundle',
}

function fileLines(run: RunReport): string[] {
  return run.files
    .filter((file) => file.kind !== 'SOURCE')
    .flatMap((file) => {
      const rows = file.rowCount === null ? '' : ` (${counted(file.rowCount, 'row')})`
      return [`${fileNames[file.kind] ?? titled(file.kind)}${rows}, until ${file.urlExpiresAt}:`, `  ${file.url}`]
    })
}
