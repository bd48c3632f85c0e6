import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Int, Mutation, Resolver, Root } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { harmlessColumns, isSensitive, masked, maskIssue } from '../access/privacy.js'
import { loadRecordTypeOf } from '../adapters/crm/custom-fields.js'
import type { Row } from '../adapters/source.js'
import type { PoolTx } from '../db/database.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { compileMapping, createDefaults } from '../pipeline/map.js'
import type { RowMapper } from '../pipeline/mapped.js'
import { resolveMapping } from '../pipeline/resolve.js'
import type { ResolvedMapping, SourceOptions } from '../pipeline/types.js'
import { recordTypes } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { rulesOfToday } from '../runs/business-rules.js'
import { confirmPlan, requestPlan } from '../runs/plan.js'
import { findRun, listRows, plannedPlaces, relatedOfRows } from '../runs/read.js'
import type { ImportRowView, ImportRunRow, RelatedView, RowOutcome } from '../runs/types.js'
import type { Connection } from '../schema/common.js'
import { RowOutcomeEnum } from '../schema/enums.js'
import {
  Cell,
  ColumnFormat,
  FieldChange,
  ImportConfirmInput,
  ImportPlan,
  ImportPlanInput,
  ImportRun,
  ImportRunPayload,
  PlannedRow,
  PlannedRowConnection,
  RelatedOutcome,
} from '../schema/runs.js'
import { type ApiContext, inTenant, may } from './context.js'
import { over } from './inputs.js'
import { connection, pageRequest } from './pages.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { openRunSource } from './run-source.js'
import { type ImportRunView, type RunView, showChanges, showRelated, showRun } from './views.js'

@Resolver()
export class PlanResolver {
  @Mutation(() => ImportRunPayload, {
    description:
      'Asks for a plan of an import that has not started: once nothing is in the way of that, it is rehearsed and waits for ' +
      'importConfirm. A plan that waits for confirmation is made anew.',
  })
  importPlan(@Ctx() context: ApiContext, @Arg('input', () => ImportPlanInput) input: ImportPlanInput): Promise<object> {
    requirePermission(context, 'Mutation.importPlan')
    return settled({ importRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      return inTenant(context, async (tx) => {
        await requestPlan(tx, runId)
        return { importRun: await showImport(context, tx, runId) }
      })
    })
  }

  @Mutation(() => ImportRunPayload, { description: 'Applies exactly the plan with this hash.' })
  importConfirm(
    @Ctx() context: ApiContext,
    @Arg('input', () => ImportConfirmInput) input: ImportConfirmInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.importConfirm')
    return settled({ importRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      const planHash = input.planHash ?? null
      return inTenant(context, async (tx) => {
        const request = { key: input.idempotencyKey, operation: 'importConfirm', input: { runId, planHash } }
        await once(tx, request, async () => {
          const { digest: rules } = await rulesOfToday(tx, runId)
          await confirmPlan(tx, { runId, planHash, rules })
          return runId
        })
        return { importRun: await showImport(context, tx, runId) }
      })
    })
  }
}

async function showImport(context: ApiContext, tx: PoolTx, runId: string): Promise<RunView> {
  const run = await findRun(tx, runId)
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no import with this id.', ['runId'])
  }
  return showRun(context, run)
}

type PlanView = Pick<ImportPlan, 'hash' | 'counts' | 'createdAt'> & { readonly run: ImportRunRow }

@Resolver(() => ImportRun)
export class PlanRunResolver {
  @FieldResolver(() => ImportPlan, {
    nullable: true,
    description: 'What the import would do, or was started with; null where none was made or it is void.',
  })
  plan(@Root() { run }: ImportRunView): PlanView | null {
    if (run.plan === null) {
      return null
    }
    const { hash, counts, createdAt } = run.plan
    return { hash, createdAt, run, counts: { ...counts, total: counts.read, unprocessed: 0, reverted: 0, kept: 0 } }
  }
}

/** A planned row, with what its cells and the fields of a record that is to be made need to be read. */
type PlannedRowView = Omit<ImportRowView, 'byte'> & {
  readonly run: ImportRunRow
  readonly read: () => Promise<RowsAgain>
  readonly relatedOf: () => Promise<Map<number, RelatedView[]>>
}

/** Rows of the file by number, and what they become. */
interface RowsAgain {
  readonly columns: readonly { readonly index: number; readonly name: string }[]
  readonly rows: ReadonlyMap<number, Row>
  /** With the custom fields that the mapping was made for. */
  readonly type: RecordType
  readonly mapper: RowMapper
  readonly defaults: Readonly<Record<string, string>>
}

@Resolver(() => ImportPlan)
export class ImportPlanResolver {
  @FieldResolver(() => PlannedRowConnection, { description: 'In file order.' })
  rows(
    @Root() { run }: PlanView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('outcome', () => [RowOutcomeEnum], { nullable: true }) outcome?: RowOutcome[] | null,
  ): Promise<Connection<PlannedRowView>> {
    const type = recordTypes[run.recordType]
    const open = may(context, 'PII_READ')
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listRows(tx, run.id, pageRequest(first, after), { outcomes: outcome ?? null }, 'PLANNED'),
      )
      let again: Promise<RowsAgain> | null = null
      let others: Promise<Map<number, RelatedView[]>> | null = null
      const numbers = page.items.map(({ node }) => node.rowNumber)
      const read = () => (again ??= readAgain(context, run, numbers))
      const relatedOf = () => (others ??= inTenant(context, (tx) => relatedOfRows(tx, run.id, numbers, 'PLANNED')))
      return connection(page, ({ byte: _, ...row }) => ({
        ...row,
        recordId: row.recordId === null ? null : encodeId(run.recordType, row.recordId),
        issues: open ? row.issues : row.issues.map((issue) => maskIssue(type, issue)),
        run,
        read,
        relatedOf,
      }))
    })
  }

  @FieldResolver(() => [ColumnFormat], { description: 'One for each column of dates and numbers that is mapped.' })
  async columnFormats(@Root() { run }: PlanView, @Ctx() context: ApiContext): Promise<ColumnFormat[]> {
    const type = await inTenant(context, (tx) => loadRecordTypeOf(tx, run))
    const resolved = await resolvedMapping(context, run, type)
    return resolved.columns.flatMap(({ index, columnName, field, format }) => {
      if (format === null || columnName === null) {
        return []
      }
      const evidence = run.evidence?.find((column) => column.index === index)
      const said = run.mapping.find((entry) => entry.field === field)?.format ?? null
      const open = evidence?.dateFormats ?? evidence?.numberFormats ?? []
      return [
        {
          column: columnName,
          field,
          format,
          ambiguous: said === null && open.length > 1,
          provenByRow: said === null ? (evidence?.provenByRow ?? null) : null,
        },
      ]
    })
  }
}

@Resolver(() => PlannedRow)
export class PlannedRowResolver {
  @FieldResolver(() => [Cell])
  async cells(@Root() row: PlannedRowView, @Ctx() context: ApiContext): Promise<readonly Cell[]> {
    const { columns, rows } = await row.read()
    const cells = rows.get(row.rowNumber)?.cells
    if (cells === undefined) {
      return []
    }
    const type = recordTypes[row.run.recordType]
    const visible = may(context, 'PII_READ') ? null : harmlessColumns(type, row.run.mapping)
    return columns.map(({ index, name }) => ({
      column: name,
      value: visible === null || visible.has(name) ? (cells[index] ?? null) : null,
    }))
  }

  @FieldResolver(() => [FieldChange])
  async changes(@Root() row: PlannedRowView, @Ctx() context: ApiContext): Promise<FieldChange[]> {
    const type = recordTypes[row.run.recordType]
    if (row.outcome === 'CREATED') {
      return created(context, await row.read(), row.rowNumber)
    }
    return showChanges(context, type, row.changes)
  }

  @FieldResolver(() => [RelatedOutcome])
  async related(@Root() row: PlannedRowView, @Ctx() context: ApiContext): Promise<RelatedOutcome[]> {
    return showRelated(context, (await row.relatedOf()).get(row.rowNumber) ?? [])
  }
}

/** The fields that a new record gets from its row and from the mapping. References are named as the file names them. */
function created(context: ApiContext, again: RowsAgain, number: number): FieldChange[] {
  const { type } = again
  const row = again.rows.get(number)
  if (row === undefined) {
    return []
  }
  const open = may(context, 'PII_READ')
  const { values } = again.mapper.map(row)
  const fields = new Map<string, string>()
  for (const [slot, column] of again.mapper.stageColumns.entries()) {
    const value = column.role === 'id' ? null : (values[slot] ?? null)
    const name = column.key === null ? column.field : `${column.field}.${column.key}`
    // What a row gives stands before what is built from its other cells.
    if (value !== null && !fields.has(name)) {
      fields.set(name, plain(value, column.sqlType))
    }
  }
  for (const [column, value] of Object.entries(again.defaults)) {
    const field = type.fields.find((candidate) => candidate.column === column)
    if (field !== undefined && !fields.has(field.name)) {
      fields.set(field.name, plain(value, field.sqlType))
    }
  }
  // An empty list is what a new record has without being told.
  return [...fields]
    .filter(([, value]) => value !== '')
    .map(([field, value]) => ({
      field,
      before: null,
      after: open || !isSensitive(type, field) ? value : masked(value),
    }))
}

/** PostgreSQL's input text of a value as people read it. */
export function plain(value: string, sqlType: string): string {
  if (sqlType === 'boolean') {
    return value === 't' ? 'true' : 'false'
  }
  if (!sqlType.endsWith('[]')) {
    return value
  }
  const items = value.slice(1, -1).match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []
  return items.map((item) => (item.startsWith('"') ? item.slice(1, -1).replaceAll(/\\(.)/g, '$1') : item)).join('; ')
}

async function resolvedMapping(context: ApiContext, run: ImportRunRow, type: RecordType): Promise<ResolvedMapping> {
  const file = await context.loaders.file(run.sourceFileId)
  return resolveMapping({
    type,
    mapping: run.mapping,
    evidence: run.evidence ?? [],
    options: run.options,
    source: over((file?.sourceOptions ?? null) as SourceOptions | null, run.sourceOptions),
  }).resolved
}

/** Reads rows of the file again: plain creations of a plan are not kept, but made anew when somebody looks. */
async function readAgain(context: ApiContext, run: ImportRunRow, numbers: readonly number[]): Promise<RowsAgain> {
  const type = await inTenant(context, (tx) => loadRecordTypeOf(tx, run))
  const resolved = await resolvedMapping(context, run, type)
  const rows = new Map<number, Row>()
  const opened = await openRunSource(context, run)
  if (opened !== null) {
    const wanted = new Set(numbers)
    for (const { row, byte, last } of await inTenant(context, (tx) => plannedPlaces(tx, run.id, numbers))) {
      await collect(opened.source.rows({ byte, row }, context.signal), wanted, last, rows)
    }
  }
  return {
    columns: opened?.source.columns ?? [],
    rows,
    type,
    mapper: compileMapping(resolved, type),
    defaults: createDefaults(resolved, type),
  }
}

async function collect(
  groups: AsyncIterable<readonly Row[]>,
  wanted: ReadonlySet<number>,
  last: number,
  into: Map<number, Row>,
): Promise<void> {
  for await (const group of groups) {
    for (const row of group) {
      if (wanted.has(row.number)) {
        into.set(row.number, row)
      }
      if (row.number >= last) {
        return
      }
    }
  }
}
