import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { isSensitive, MASK, maskIssue } from '../access/privacy.js'
import type { PoolTx } from '../db/database.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { cancelRun, pauseRun, resumeRun } from '../runs/control.js'
import {
  availableActions,
  childrenOf,
  findRun,
  issueGroups,
  listConflicts,
  listIssues,
  listPending,
  listRows,
  listRuns,
  type RowsOf,
  relatedOfRows,
  rollbackOf,
} from '../runs/read.js'
import { previewRollback, startRollback } from '../runs/rollback.js'
import type { RunAction, RunStatus } from '../runs/status.js'
import type {
  ImportRowView,
  ImportRunRow,
  RelatedView,
  RollbackConflictView,
  RowIssueView,
  RowOutcome,
  RunKind,
} from '../runs/types.js'
import type { Connection } from '../schema/common.js'
import {
  IssueCodeEnum,
  IssueSeverityEnum,
  RowOutcomeEnum,
  RunActionEnum,
  RunKindEnum,
  RunStatusEnum,
} from '../schema/enums.js'
import { SourceFileType } from '../schema/files.js'
import {
  Cell,
  FieldChange,
  ImportRow,
  ImportRowConnection,
  ImportRun,
  IssueGroup,
  PendingRelation,
  PendingRelationConnection,
  RelatedOutcome,
  RollbackConflictConnection,
  RollbackPreview,
  RollbackRun,
  RowIssueConnection,
  RunConnection,
  RunFile,
  RunInput,
  RunInterface,
  RunMetrics,
  RunPayload,
  RunRollbackInput,
  RunRollbackPayload,
} from '../schema/runs.js'
import { type ApiContext, inTenant, may } from './context.js'
import { connection, pageRequest } from './pages.js'
import { controlPermissions, requireOneOf, requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { mayDownload, runFiles } from './run-files.js'
import { type CellReader, openCells } from './run-source.js'
import {
  type FileView,
  type ImportRunView,
  type RollbackRunView,
  type RunView,
  recordTypeEnum,
  showChanges,
  showFile,
  showRelated,
  showRun,
  showStored,
  storedField,
} from './views.js'

async function findImport(context: ApiContext, id: string): Promise<RunView | null> {
  const run = await inTenant(context, (tx) => findRun(tx, id))
  return run?.kind === 'IMPORT' ? showRun(context, run) : null
}

/** Pauses, resumes or cancels: the permission is that of the run's kind. */
function control(
  context: ApiContext,
  input: RunInput,
  act: (tx: PoolTx, runId: string) => Promise<void>,
): Promise<object> {
  return settled({ run: null }, async () => {
    const id = decodeId('run', input.runId)
    return inTenant(context, async (tx) => {
      const before = await findRun(tx, id)
      if (before === null) {
        throw new Refusal('NOT_FOUND', 'There is no run with this id.', ['runId'])
      }
      requireOneOf(context, controlPermissions[before.kind])
      await act(tx, id)
      const run = await findRun(tx, id)
      return { run: run === null ? null : showRun(context, run) }
    })
  })
}

@Resolver()
export class RunListResolver {
  @Query(() => RunInterface, { nullable: true })
  async run(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<RunView | null> {
    requirePermission(context, 'Query.run')
    const run = await inTenant(context, (tx) => findRun(tx, decodeId('run', id)))
    return run === null ? null : showRun(context, run)
  }

  @Query(() => ImportRun, { nullable: true })
  importRun(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<RunView | null> {
    requirePermission(context, 'Query.importRun')
    return findImport(context, decodeId('run', id))
  }

  @Query(() => RunConnection, { description: 'Newest first.' })
  async runs(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('kinds', () => [RunKindEnum], { nullable: true }) kinds?: RunKind[] | null,
    @Arg('statuses', () => [RunStatusEnum], { nullable: true }) statuses?: RunStatus[] | null,
  ): Promise<Connection<RunView>> {
    requirePermission(context, 'Query.runs')
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listRuns(tx, pageRequest(first, after), { kinds: kinds ?? null, statuses: statuses ?? null }),
      )
      return connection(page, (run) => showRun(context, run))
    })
  }

  @Query(() => RollbackPreview, { description: 'What `runRollback` would do now.' })
  rollbackPreview(@Ctx() context: ApiContext, @Arg('runId', () => ID) runId: string): Promise<RollbackPreview> {
    requirePermission(context, 'Query.rollbackPreview')
    return asked(() => inTenant(context, (tx) => previewRollback(tx, decodeId('run', runId))))
  }

  @Mutation(() => RunPayload)
  runPause(@Ctx() context: ApiContext, @Arg('input', () => RunInput) input: RunInput): Promise<object> {
    requirePermission(context, 'Mutation.runPause')
    return control(context, input, pauseRun)
  }

  @Mutation(() => RunPayload)
  runResume(@Ctx() context: ApiContext, @Arg('input', () => RunInput) input: RunInput): Promise<object> {
    requirePermission(context, 'Mutation.runResume')
    return control(context, input, resumeRun)
  }

  @Mutation(() => RunPayload, {
    description: 'What is settled stays and can be rolled back; the rest counts as unprocessed.',
  })
  runCancel(@Ctx() context: ApiContext, @Arg('input', () => RunInput) input: RunInput): Promise<object> {
    requirePermission(context, 'Mutation.runCancel')
    return control(context, input, cancelRun)
  }

  @Mutation(() => RunRollbackPayload, { description: 'Undoes an import, field by field, as a run of its own.' })
  runRollback(
    @Ctx() context: ApiContext,
    @Arg('input', () => RunRollbackInput) input: RunRollbackInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.runRollback')
    return settled({ rollbackRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      const onConflict = input.onConflict ?? 'KEEP'
      return inTenant(context, async (tx) => {
        const request = { key: input.idempotencyKey, operation: 'runRollback', input: { runId, onConflict } }
        const { id } = await once(tx, request, () =>
          startRollback(tx, { runId, onConflict, actor: context.caller.actor }),
        )
        const run = await findRun(tx, id)
        return { rollbackRun: run === null ? null : showRun(context, run) }
      })
    })
  }
}

@Resolver(() => RunInterface)
export class RunResolver {
  @FieldResolver(() => [RunActionEnum], { description: 'What this caller may do with it now.' })
  async availableActions(@Root() { run }: RunView, @Ctx() context: ApiContext): Promise<RunAction[]> {
    const actions = availableActions(run, context.caller.permissions)
    const there =
      mayDownload(context, run) &&
      ((run.kind !== 'EXPORT' && run.kind !== 'AUDIT_EXPORT') ||
        !actions.includes('DOWNLOAD') ||
        (await context.loaders.resultOfRun(run.id)) !== null)
    return there ? actions : actions.filter((action) => action !== 'DOWNLOAD')
  }

  @FieldResolver(() => [RunFile], {
    complexity: 20,
    description:
      'Empty for whoever may not see what is in them: without PII_READ, of an export unless it has no sensitive field. The failed rows ' +
      'of an import, and the RESULT of an export, come with its end.',
  })
  files(@Root() { run }: RunView, @Ctx() context: ApiContext): Promise<RunFile[]> {
    return runFiles(context, run)
  }

  @FieldResolver(() => RunMetrics)
  metrics(@Root() { run }: RunView): RunMetrics {
    return {
      queuedMs: run.queuedMs,
      runningMs: run.runningMs,
      rowsPerSecond: run.progress.rowsPerSecond,
      chunks: run.chunks,
      attempts: run.attempts,
      peakRssBytes: run.peakRssBytes,
      stages: run.stages,
    }
  }
}

/** Until a planned import starts, its problems are those that the plan found. */
function toldBy(run: ImportRunRow): RowsOf {
  return run.plan !== null && run.status === 'AWAITING_CONFIRMATION' ? 'PLANNED' : 'DONE'
}

/** A row, with what its cells need to be read. */
type RowView = Omit<ImportRowView, 'byte'> & {
  readonly type: RecordType
  readonly at: number | null
  readonly cellsOf: () => Promise<CellReader>
  readonly relatedOf: () => Promise<Map<number, RelatedView[]>>
}

@Resolver(() => ImportRun)
export class ImportRunResolver {
  @FieldResolver(() => SourceFileType)
  async source(@Root() { run }: ImportRunView, @Ctx() context: ApiContext): Promise<FileView> {
    const file = await context.loaders.file(run.sourceFileId)
    if (file === null) {
      throw new Error('a run without its file')
    }
    return showFile(context, file)
  }

  @FieldResolver(() => ImportRowConnection, { description: 'In file order.' })
  rows(
    @Root() { run }: ImportRunView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('outcome', () => [RowOutcomeEnum], { nullable: true }) outcome?: RowOutcome[] | null,
  ): Promise<Connection<RowView>> {
    const type = recordTypes[run.recordType]
    const open = may(context, 'PII_READ')
    let reader: Promise<CellReader> | null = null
    const cellsOf = () => (reader ??= openCells(context, run))
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listRows(tx, run.id, pageRequest(first, after), { outcomes: outcome ?? null }),
      )
      let others: Promise<Map<number, RelatedView[]>> | null = null
      const relatedOf = () =>
        (others ??= inTenant(context, (tx) =>
          relatedOfRows(
            tx,
            run.id,
            page.items.map(({ node }) => node.rowNumber),
            'DONE',
          ),
        ))
      return connection(page, ({ byte, ...row }) => ({
        ...row,
        relatedOf,
        recordId: row.recordId === null ? null : encodeId(run.recordType, row.recordId),
        type,
        issues: open ? row.issues : row.issues.map((issue) => maskIssue(type, issue)),
        at: byte,
        cellsOf,
      }))
    })
  }

  @FieldResolver(() => RowIssueConnection, {
    description: 'In file order; those of the plan while it waits for confirmation.',
  })
  issues(
    @Root() { run }: ImportRunView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('code', () => [IssueCodeEnum], { nullable: true }) code?: string[] | null,
    @Arg('severity', () => [IssueSeverityEnum], { nullable: true }) severity?: string[] | null,
  ): Promise<Connection<RowIssueView>> {
    const type = recordTypes[run.recordType]
    const open = may(context, 'PII_READ')
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listIssues(
          tx,
          run.id,
          pageRequest(first, after),
          { codes: code ?? null, severities: severity ?? null },
          toldBy(run),
        ),
      )
      return connection(page, (issue) => (open ? issue : maskIssue(type, issue)))
    })
  }

  @FieldResolver(() => [IssueGroup], {
    description: 'Issues of one code, column and field together, most frequent first; at most 200 groups.',
  })
  async issueGroups(@Root() { run }: ImportRunView, @Ctx() context: ApiContext): Promise<IssueGroup[]> {
    const type = recordTypes[run.recordType]
    const groups = await inTenant(context, (tx) => issueGroups(tx, run.id, toldBy(run)))
    if (may(context, 'PII_READ')) {
      return [...groups]
    }
    return groups.map((group) => {
      const { value: _value, ...hidden } = maskIssue(type, { ...group, value: null })
      return hidden.message === group.message ? group : { ...hidden, sampleValues: group.sampleValues.map(() => MASK) }
    })
  }

  @FieldResolver(() => PendingRelationConnection, {
    description: 'Links of its records that wait for their record (onMissingRelation KEEP_PENDING), in file order.',
  })
  pendingRelations(
    @Root() { run }: ImportRunView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
  ): Promise<Connection<PendingRelation>> {
    const type = recordTypes[run.recordType]
    const open = may(context, 'PII_READ')
    return asked(async () => {
      const page = await inTenant(context, (tx) => listPending(tx, run.id, pageRequest(first, after)))
      return connection(page, (waiting) => ({
        ...waiting,
        recordType: recordTypeEnum(waiting.recordType),
        recordId: encodeId(waiting.recordType, waiting.recordId),
        key: open || !isSensitive(type, waiting.field) ? waiting.key : MASK,
      }))
    })
  }

  @FieldResolver(() => RollbackRun, {
    nullable: true,
    description: 'The newest rollback of this import; null if it was never rolled back.',
  })
  async rollback(@Root() { run }: ImportRunView, @Ctx() context: ApiContext): Promise<RunView | null> {
    const rollback = await inTenant(context, (tx) => rollbackOf(tx, run.id))
    return rollback === null ? null : showRun(context, rollback)
  }

  @FieldResolver(() => ImportRun, {
    nullable: true,
    description: 'The import whose failed rows this one tries again; null for none.',
  })
  parent(@Root() { run }: ImportRunView, @Ctx() context: ApiContext): Promise<RunView | null> | null {
    return run.parentRunId === null ? null : findImport(context, run.parentRunId)
  }

  @FieldResolver(() => [ImportRun])
  async children(@Root() { run }: ImportRunView, @Ctx() context: ApiContext): Promise<RunView[]> {
    const children = await inTenant(context, (tx) => childrenOf(tx, run.id))
    return children.filter((child) => child.kind === 'IMPORT').map((child) => showRun(context, child))
  }
}

@Resolver(() => ImportRow)
export class ImportRowResolver {
  @FieldResolver(() => [RelatedOutcome])
  async related(@Root() row: RowView, @Ctx() context: ApiContext): Promise<RelatedOutcome[]> {
    return showRelated(context, (await row.relatedOf()).get(row.rowNumber) ?? [])
  }

  @FieldResolver(() => [Cell])
  async cells(@Root() row: RowView): Promise<readonly Cell[]> {
    if (row.at === null) {
      return []
    }
    const read = await row.cellsOf()
    return read(row.at, row.rowNumber)
  }

  @FieldResolver(() => [FieldChange])
  changes(@Root() row: RowView, @Ctx() context: ApiContext): Promise<FieldChange[]> {
    return showChanges(context, row.type, row.changes)
  }
}

@Resolver(() => RollbackRun)
export class RollbackRunResolver {
  @FieldResolver(() => RollbackConflictConnection, { description: 'What was kept because it had been changed since.' })
  conflicts(
    @Root() { run }: RollbackRunView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
  ): Promise<Connection<object>> {
    return asked(async () => {
      const page = await inTenant(context, (tx) => listConflicts(tx, run.id, pageRequest(first, after)))
      const shown = await Promise.all(
        page.items.map(async ({ cursor, node }) => ({ cursor, node: await showConflict(context, node) })),
      )
      return connection({ ...page, items: shown }, (conflict) => conflict)
    })
  }
}

async function showConflict(context: ApiContext, conflict: RollbackConflictView): Promise<object> {
  const field = conflict.field === null ? null : storedField(recordTypes[conflict.recordType], conflict.field)
  const values =
    field === null
      ? {}
      : {
          before: await showStored(context, field, conflict.before),
          imported: await showStored(context, field, conflict.imported),
          current: await showStored(context, field, conflict.current),
        }
  return {
    ...conflict,
    ...values,
    field: field?.name ?? null,
    recordType: recordTypeEnum(conflict.recordType),
    recordId: encodeId(conflict.recordType, conflict.recordId),
  }
}
