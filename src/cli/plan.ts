/** What an import would do: `portage plan`, `portage confirm`, and the question that `portage import --plan` asks. */
import { randomUUID } from 'node:crypto'
import { type Api, ApiError, throwUserErrors, type UserError } from './api.js'
import { choice, only, parse, UsageError, whole } from './arguments.js'
import { clean, counted, type Io, number, table } from './io.js'
import { groupLines, words } from './report.js'
import type { Counts, IssueGroup, Reason } from './runs.js'
import { followToRest, watchRun } from './watch.js'

interface Change {
  readonly field: string
  readonly before: string | null
  readonly after: string | null
}

interface Related {
  readonly path: string
  readonly outcome: string
  readonly changes: readonly Change[]
}

/** A planned row, as asked for here. */
export interface PlannedRow {
  readonly rowNumber: number
  readonly outcome: string
  readonly recordId: string | null
  readonly sourceId: string | null
  readonly changes: readonly Change[]
  readonly related: readonly Related[]
  readonly issues: readonly {
    readonly code: string
    readonly field: string | null
    readonly value: string | null
    readonly message: string
  }[]
}

interface Rows {
  readonly totalCount: number
  readonly nodes: readonly PlannedRow[]
}

/** An import with its plan. */
export interface PlannedImport {
  readonly id: string
  readonly status: string
  readonly statusReason: Reason | null
  readonly source: { readonly name: string }
  readonly issueGroups: readonly IssueGroup[]
  readonly plan: {
    readonly hash: string
    readonly createdAt: string
    readonly counts: Counts
    readonly columnFormats: readonly {
      readonly column: string
      readonly field: string
      readonly format: string
      readonly ambiguous: boolean
      readonly provenByRow: number | null
    }[]
    readonly updated?: Rows
    readonly created?: Rows
    readonly deleted?: Rows
    readonly rows?: Rows
  } | null
}

/** Rows of each kind that are shown where nobody asked for more, and fields of a row that is made. */
const SHOWN = { UPDATED: 5, CREATED: 1, DELETED: 3 } as const
const FIELDS_SHOWN = 12

/** Values longer than this are cut where they are shown. Characters. */
const VALUE_SHOWN = 80

const rowFields = `totalCount nodes { rowNumber outcome recordId sourceId changes { field before after }
  related { path outcome changes { field before after } } issues { code field value message } }`

const planQuery = `query Plan($id: ID!, $listed: Boolean!, $first: Int!, $outcome: [RowOutcome!]) { importRun(id: $id) {
  id status statusReason { code message retryable } source { name }
  issueGroups { code column field count firstRow lastRow sampleValues message }
  plan { hash createdAt
    counts { total read created updated unchanged skipped failed unprocessed reverted kept deleted }
    columnFormats { column field format ambiguous provenByRow }
    rows(first: $first, outcome: $outcome) @include(if: $listed) { ${rowFields} }
    updated: rows(first: ${SHOWN.UPDATED}, outcome: [UPDATED]) @skip(if: $listed) { ${rowFields} }
    created: rows(first: ${SHOWN.CREATED}, outcome: [CREATED]) @skip(if: $listed) { ${rowFields} }
    deleted: rows(first: ${SHOWN.DELETED}, outcome: [DELETED]) @skip(if: $listed) { ${rowFields} }
  } } }`

const confirmMutation = `mutation Confirm($input: ImportConfirmInput!) { importConfirm(input: $input) {
  importRun { id } userErrors { code message } } }`

const outcomes = ['CREATED', 'UPDATED', 'UNCHANGED', 'SKIPPED', 'FAILED', 'DELETED']

/** Rows that are wanted one by one instead of the first ones of each kind. */
interface Listing {
  readonly first: number
  readonly outcomes: readonly string[] | null
}

/** The import and its plan. Throws ApiError NOT_FOUND for an id that is no import's. */
async function readPlan(api: Api, runId: string, listing: Listing | null): Promise<PlannedImport> {
  const { importRun } = await api.run<{ importRun: PlannedImport | null }>(planQuery, {
    id: runId,
    listed: listing !== null,
    first: listing?.first ?? 1,
    outcome: listing?.outcomes ?? null,
  })
  if (importRun === null) {
    throw new ApiError('NOT_FOUND', `There is no import with the id "${clean(runId)}".`)
  }
  return importRun
}

type WithPlan = PlannedImport & { readonly plan: NonNullable<PlannedImport['plan']> }

function withPlan(run: PlannedImport): WithPlan {
  if (run.plan === null) {
    throw new ApiError(
      'INVALID_STATE',
      run.status === 'PLANNING' || run.status === 'ANALYZING'
        ? `The plan is being made. npm run -s portage -- watch ${run.id} tells when it stands.`
        : `The import ${clean(run.id)} has no plan; it is ${words(run.status)}.`,
    )
  }
  return { ...run, plan: run.plan }
}

/** What a plan says, for a person. Pure: lines out. */
export function planLines(run: WithPlan): string[] {
  const { plan } = run
  const waits = run.status === 'AWAITING_CONFIRMATION'
  const sections = [
    [
      `Plan of ${clean(run.source.name)}${waits ? ': nothing has been written yet' : `; the import is ${words(run.status)}`}`,
      `Run ${run.id}`,
    ],
    countLines(plan.counts),
    formatLines(plan.columnFormats),
    // Once it runs, they are those of what was done.
    waits ? groupLines(run.issueGroups) : [],
    plan.rows === undefined ? [] : rowsSection('Rows', plan.rows, Number.POSITIVE_INFINITY),
    plan.updated === undefined ? [] : rowsSection('Would be updated', plan.updated, FIELDS_SHOWN),
    plan.created === undefined ? [] : rowsSection('Would be created', plan.created, FIELDS_SHOWN),
    plan.deleted === undefined ? [] : rowsSection('Would be deleted', plan.deleted, FIELDS_SHOWN),
  ]
  return sections
    .filter((section) => section.length > 0)
    .flatMap((section, index) => (index === 0 ? section : ['', ...section]))
}

function countLines(counts: Counts): string[] {
  const named: readonly (readonly [string, number])[] = [
    ['would be created', counts.created],
    ['would be updated', counts.updated],
    ['would be deleted', counts.deleted],
    ['unchanged', counts.unchanged],
    ['would be skipped', counts.skipped],
    ['would fail', counts.failed],
  ]
  const rows = [['rows', number(counts.total ?? counts.read)]]
  for (const [name, count] of named) {
    if (count > 0) {
      rows.push([name, number(count)])
    }
  }
  return table(rows, [1]).map((line) => `  ${line}`)
}

function formatLines(formats: WithPlan['plan']['columnFormats']): string[] {
  if (formats.length === 0) {
    return []
  }
  const rows = formats.map(({ column, format, ambiguous, provenByRow }) => [
    clean(column),
    clean(format),
    provenByRow !== null
      ? `proven by row ${number(provenByRow)}`
      : ambiguous
        ? 'not proven: its values can be read in other ways, too; --format says which is right'
        : 'as you said, or the only way to read it',
  ])
  return ['How columns are read', ...table(rows).map((line) => `  ${line}`)]
}

function rowsSection(title: string, { totalCount, nodes }: Rows, fields: number): string[] {
  if (nodes.length === 0) {
    return totalCount === 0 && title === 'Rows' ? ['No such rows'] : []
  }
  const more = totalCount - nodes.length
  return [title, ...nodes.flatMap((row) => rowLines(row, fields)), ...(more > 0 ? [`  and ${number(more)} more`] : [])]
}

function rowLines(row: PlannedRow, fields: number): string[] {
  const record = row.recordId === null ? '' : `, ${row.recordId}`
  const named = row.sourceId === null ? '' : ` (${quoted(row.sourceId)})`
  const shown = row.changes.slice(0, fields)
  const more = row.changes.length - shown.length
  return [
    `  row ${number(row.rowNumber)} ${words(row.outcome)}${record}${named}`,
    ...shown.map((change) => `      ${changeText(change, row.outcome === 'CREATED')}`),
    ...(more > 0 ? [`      and ${counted(more, 'more field')}`] : []),
    ...row.related.map(({ path, outcome, changes }) => {
      const what = changes.map((change) => changeText(change, outcome === 'CREATED')).join(', ')
      return `      its ${clean(path)} ${words(outcome)}${what === '' ? '' : `: ${what}`}`
    }),
    ...row.issues.map(({ code, message }) => `      ${code}: ${clean(message)}`),
  ]
}

function changeText({ field, before, after }: Change, made: boolean): string {
  return made ? `${clean(field)}: ${value(after)}` : `${clean(field)}: ${value(before)} -> ${value(after)}`
}

function value(text: string | null): string {
  return text === null ? 'blank' : quoted(text)
}

function quoted(text: string): string {
  const shown = clean(text)
  return JSON.stringify(shown.length > VALUE_SHOWN ? `${shown.slice(0, VALUE_SHOWN - 3)}...` : shown)
}

function tell(run: WithPlan, io: Io, json: boolean): void {
  if (json) {
    io.out(JSON.stringify({ event: 'plan', run }))
  } else {
    planLines(run).forEach((line) => io.out(line))
  }
}

/** `portage plan RUN`. */
export async function plan(
  args: readonly string[],
  connect: (values: { url?: string; token?: string }) => Api,
  io: Io,
): Promise<number> {
  const { values, positionals } = parse(args, {
    rows: { type: 'string' },
    outcome: { type: 'string', multiple: true },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const runId = only(positionals, 'RUN')
  const wanted = values.outcome?.map((text) => choice('--outcome', text, outcomes) ?? text) ?? null
  const listing =
    values.rows === undefined && wanted === null
      ? null
      : { first: values.rows === undefined ? ROWS_LISTED : whole('--rows', values.rows, 1, 500), outcomes: wanted }
  const run = withPlan(await readPlan(connect(values), runId, listing))
  tell(run, io, values.json)
  if (run.status === 'AWAITING_CONFIRMATION' && !values.json) {
    io.note(`To apply it: ${toConfirm(run.id)}`)
  }
  return 0
}

/** Rows that are listed where an outcome is asked for and no number is said. */
const ROWS_LISTED = 20

function toConfirm(runId: string): string {
  return `npm run -s portage -- confirm ${runId}`
}

/** `portage confirm RUN`. */
export async function confirm(
  args: readonly string[],
  connect: (values: { url?: string; token?: string }) => Api,
  io: Io,
): Promise<number> {
  const { values, positionals } = parse(args, {
    hash: { type: 'string' },
    yes: { type: 'boolean', short: 'y', default: false },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const runId = only(positionals, 'RUN')
  if (values.hash === '') {
    throw new UsageError('--hash is the hash of a plan; an empty one is none.')
  }
  return decide(connect(values), runId, io, {
    yes: values.yes,
    json: values.json,
    ...(values.hash === undefined ? {} : { hash: values.hash }),
  })
}

/**
 * Watches an import until its plan stands, shows the plan and asks whether to apply it; then watches on to the end. With
 * `yes` it is not asked: the import was made to start by itself if no row fails, and if one does, it waits. Answers the exit code.
 */
export async function planAndAsk(
  api: Api,
  runId: string,
  io: Io,
  options: { readonly yes: boolean; readonly json: boolean },
): Promise<number> {
  try {
    const seen = await followToRest(api, runId, io, options.json)
    const run = await readPlan(api, runId, null)
    if (run.status !== 'AWAITING_CONFIRMATION') {
      return await watchRun(api, runId, io, options.json)
    }
    if (options.yes) {
      tell(withPlan(run), io, options.json)
      waits(run, io, `${run.statusReason?.message ?? 'It waits.'} Nothing was written.`)
      return 1
    }
    return await decide(api, runId, io, { ...options, run, seen })
  } catch (error) {
    throw io.signal.aborted ? new Interrupted(runId, error) : error
  }
}

/** Ctrl-C while a plan is made or waits for an answer. */
export class Interrupted extends Error {
  constructor(runId: string, cause: unknown) {
    super(
      `Interrupted. Nothing was written unless you have agreed; the import stays. npm run -s portage -- plan ${runId} shows ` +
        `what it would do, and ${toConfirm(runId)} applies that.`,
      { cause },
    )
  }
}

async function decide(
  api: Api,
  runId: string,
  io: Io,
  options: {
    readonly yes: boolean
    readonly json: boolean
    readonly hash?: string
    readonly run?: PlannedImport
    readonly seen?: string | null
  },
): Promise<number> {
  const run = withPlan(options.run ?? (await readPlan(api, runId, null)))
  if (run.status !== 'AWAITING_CONFIRMATION') {
    throw new ApiError(
      'INVALID_STATE',
      `Only an import that waits for confirmation can be confirmed; this one is ${words(run.status)}.`,
    )
  }
  const { hash } = run.plan
  if (options.hash !== undefined && options.hash !== hash) {
    throw new ApiError(
      'PLAN_STALE',
      `The plan with this hash does not stand any more. Look at the one that does: npm run -s portage -- plan ${run.id}`,
    )
  }
  tell(run, io, options.json)
  if (!options.yes) {
    const answer = await ask(io, run.id)
    if (answer === null) {
      waits(run, io, 'Nobody is there to agree to this plan. Nothing was written.')
      return 1
    }
    if (!/^\s*(y|yes)\s*$/i.test(answer)) {
      waits(run, io, 'Nothing was written.')
      return 1
    }
  }
  interface Answer {
    readonly importConfirm: { readonly importRun: { readonly id: string } | null; readonly userErrors: UserError[] }
  }
  const { importConfirm } = await api.run<Answer>(confirmMutation, {
    input: { runId: run.id, planHash: hash, idempotencyKey: randomUUID() },
  })
  throwUserErrors(importConfirm.userErrors)
  if (options.json) {
    io.out(JSON.stringify({ event: 'confirmed', runId: run.id, planHash: hash }))
  }
  return watchRun(api, run.id, io, options.json, options.seen ?? null)
}

async function ask(io: Io, runId: string): Promise<string | null> {
  try {
    return await io.ask('Apply this plan? [y/N] ')
  } catch (error) {
    throw io.signal.aborted ? new Interrupted(runId, error) : error
  }
}

function waits(run: PlannedImport, io: Io, why: string): void {
  io.note(`${clean(why)} The plan waits: ${toConfirm(run.id)} applies it.`)
}
