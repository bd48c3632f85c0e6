/**
 * The one kind of job: take charge of a run, do what its status asks for, hand it back. Whatever goes wrong in between,
 * the run row says how far it came, and the next claim goes on there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sqlState } from '../db/lane.js'
import { first, withTenant } from '../db/tx.js'
import { FatalError, RetryableError } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { jobSeconds } from '../metrics.js'
import type { RecordTypeName } from '../records/types.js'
import { LEASE_SECONDS, settleRefusal } from '../runs/commit.js'
import { endRun, pauseForSpace } from '../runs/control.js'
import { clearUnfinishedPlan } from '../runs/plan.js'
import type { RunStatus } from '../runs/status.js'
import { inSpan, type SpanInHand } from '../tracing.js'
import { analyzeImport } from './analyze-import.js'
import { type Claim, claimRun, releaseRun } from './claim.js'
import type { WorkerContext } from './context.js'
import type { AdvanceRunPayload } from './job.js'
import { planImport } from './plan-import.js'
import { bundleOf, rollBackBundle } from './roll-back-bundle.js'
import { rollBackRun } from './roll-back-run.js'
import { runAuditExport } from './run-audit-export.js'
import { runBundleExport } from './run-bundle-export.js'
import { cancelWhole, runBundleImport } from './run-bundle-import.js'
import { runExport } from './run-export.js'
import { runImport } from './run-import.js'
import { runMigration } from './run-migration.js'
import { settleRelations } from './settle-relations.js'
import { type SliceEnd, StoppedError } from './slice.js'
import { watchClaim } from './watch.js'

/** Claims without progress before a run is given up. */
export const MAX_ATTEMPTS = 8

/** Pause before the second, third ... attempt, in milliseconds; the last one repeats. */
const BACK_OFF_MS = [0, 250, 1000, 2000, 5000]

/** The lease is renewed this often by the worker's own clock, besides by every chunk. */
const RENEW_MS = 1000

/** Takes charge of a run and works on it for a slice. False: there was nothing to take. */
export async function advanceRun(context: WorkerContext, payload: AdvanceRunPayload): Promise<boolean> {
  const claim = await context.control.use((lane) => claimRun(lane, payload, context.holder))
  if (claim === null) {
    return false
  }
  const { tenantId, runId, kind, trace } = claim
  await inSpan(
    `run ${kind}`,
    {
      parent: trace,
      role: 'consumer',
      attributes: {
        'portage.tenant.id': tenantId,
        'portage.run.id': runId,
        'portage.run.status': claim.status,
        'portage.run.attempt': claim.attempts,
      },
      tenantId,
      runId,
    },
    (span) => advanceClaimed(context, claim, span),
  )
  return true
}

async function advanceClaimed(context: WorkerContext, claim: Claim, span: SpanInHand): Promise<void> {
  const { kind, status, attempts: attempt } = claim
  const started = performance.now()
  context.log.info({ operation: kind, status, attempt }, 'a run was taken up')
  const held = watchClaim(claim)
  const lost = new AbortController()
  const renewal = renewLease(context, claim, lost)
  let end: SliceEnd = { kind: 'more', delayMs: 0 }
  let progressed = true
  try {
    await failpoint('claim.after-commit')
    end = await work(context, claim, lost.signal)
  } catch (error) {
    const full = isDiskFull(error)
    // Neither a stop nor a full disk is the run's doing.
    progressed = context.stopping.aborted || full
    end = full ? await waitForSpace(context, claim, error) : await settleFailure(context, claim, error)
  } finally {
    renewal.stop()
    held()
  }
  await context.control.use((lane) => releaseRun(lane, claim, context.holder, end, progressed))
  const milliseconds = Math.round(performance.now() - started)
  const outcome = end.kind === 'done' ? 'done' : progressed ? 'more' : 'again'
  span.set({ 'portage.job.outcome': outcome })
  jobSeconds.observe({ kind, outcome }, milliseconds / 1000)
  context.log.info({ operation: kind, outcome, milliseconds }, 'a run was handed back')
}

async function work(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  if (claim.status === 'CANCELING') {
    return cancel(context, claim)
  }
  if (claim.attempts > MAX_ATTEMPTS) {
    throw new FatalError(
      'NO_PROGRESS',
      `The run was tried ${MAX_ATTEMPTS} times from the same row without getting past it.`,
    )
  }
  if (claim.kind === 'ROLLBACK') {
    const bundle = await bundleOf(context, claim)
    if (bundle !== null) {
      return rollBackBundle(context, claim, bundle)
    }
    return rollBackRun(context, claim, lost)
  }
  if (claim.kind === 'MIGRATION') {
    return runMigration(context, claim, lost)
  }
  if (claim.kind === 'EXPORT') {
    return runExport(context, claim, lost)
  }
  if (claim.kind === 'AUDIT_EXPORT') {
    return runAuditExport(context, claim, lost)
  }
  if (claim.kind === 'BUNDLE_EXPORT') {
    return runBundleExport(context, claim, lost)
  }
  if (claim.kind === 'BUNDLE_IMPORT') {
    return runBundleImport(context, claim, lost)
  }
  if (claim.status === 'ANALYZING') {
    return analyzeImport(context, claim, lost)
  }
  if (claim.status === 'PLANNING') {
    return planImport(context, claim, lost)
  }
  return runImport(context, claim, lost)
}

async function cancel(context: WorkerContext, claim: Claim): Promise<SliceEnd> {
  if (claim.kind === 'BUNDLE_IMPORT' || claim.kind === 'MIGRATION') {
    return cancelWhole(context, claim)
  }
  if (claim.kind === 'IMPORT') {
    await settleCanceled(context, claim)
  }
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const run = await tx.query<{ of_run_id: string | null }>(
        'select of_run_id from run where tenant_id = $1 and id = $2',
        [claim.tenantId, claim.runId],
      )
      const ended = await endRun(
        tx,
        { id: claim.runId, kind: claim.kind, ofRunId: run[0]?.of_run_id ?? null },
        'CANCELING',
        'CANCELED',
        null,
        claim.token,
      )
      if (ended) {
        await clearUnfinishedPlan(tx, claim.runId)
      }
      await failpoint('cancel.before-commit', lane)
    }),
  )
  await failpoint('cancel.after-commit')
  return { kind: 'done' }
}

/** What a canceled import has written stays, so what waited for it is linked. One that wrote nothing changes nothing here either. */
async function settleCanceled(context: WorkerContext, claim: Claim): Promise<void> {
  const written = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      first<{ record_type: RecordTypeName; related: RecordTypeName[] }>(
        tx,
        `select r.record_type, array(select distinct x.record_type from run_related x where x.tenant_id = $1 and x.run_id = $2) as related
         from run r where r.tenant_id = $1 and r.id = $2 and r.created + r.updated + r.deleted > 0`,
        [claim.tenantId, claim.runId],
      ),
    ),
  )
  if (written !== null) {
    const { record_type: recordType, related } = written
    await settleRelations(context, claim, { status: 'CANCELING', recordType, written: related })
  }
}

/** SQLSTATE of a server that cannot write for want of space. */
const DISK_FULL = '53100'

/** After this a run that found no space tries again, in seconds. */
const SPACE_SECONDS = 10

function isDiskFull(error: unknown): boolean {
  return sqlState(error) === DISK_FULL || (error instanceof RetryableError && error.code === 'STORAGE_FULL')
}

/** Pauses the run until there is space again, as far as even that can be written. */
async function waitForSpace(context: WorkerContext, claim: Claim, error: unknown): Promise<SliceEnd> {
  context.log.warn(
    { tenantId: claim.tenantId, runId: claim.runId, err: error },
    'there is no space left; the run waits',
  )
  await context.control
    .use((lane) =>
      withTenant(lane, claim.tenantId, (tx) =>
        pauseForSpace(tx, { id: claim.runId, kind: claim.kind }, claim.token, SPACE_SECONDS),
      ),
    )
    .catch((err: unknown) => {
      context.log.warn(
        { tenantId: claim.tenantId, runId: claim.runId, err },
        'not even the pause of a run could be noted',
      )
    })
  return { kind: 'more', delayMs: SPACE_SECONDS * 1000 }
}

/** Decides what an error means for the run: nothing (it was stopped or taken over), another attempt, or its end. */
async function settleFailure(context: WorkerContext, claim: Claim, error: unknown): Promise<SliceEnd> {
  const refusal = settleRefusal(error)
  if (refusal === 'TAKEN_OVER') {
    return { kind: 'done' }
  }
  if (refusal === 'STOPPED' || error instanceof StoppedError) {
    return stopped(context, claim)
  }
  if (context.stopping.aborted && !(error instanceof FatalError)) {
    return { kind: 'more', delayMs: 0 }
  }
  const fatal = error instanceof FatalError ? error : null
  if (fatal === null) {
    context.log.warn(
      { tenantId: claim.tenantId, runId: claim.runId, attempt: claim.attempts, err: error },
      'a run was interrupted and will be tried again',
    )
    return { kind: 'more', delayMs: BACK_OFF_MS[Math.min(claim.attempts, BACK_OFF_MS.length) - 1] ?? 0 }
  }
  context.log.warn({ tenantId: claim.tenantId, runId: claim.runId, err: error }, 'a run failed')
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const run = await tx.query<{ status: RunStatus; of_run_id: string | null }>(
        // Another worker may have taken it over meanwhile: what becomes of it is no more for this one to say.
        'select status, of_run_id from run where tenant_id = $1 and id = $2 and fencing_token = $3 for update',
        [claim.tenantId, claim.runId, claim.token],
      )
      const status = run[0]?.status
      if (status === 'ANALYZING' || status === 'PLANNING' || status === 'RUNNING') {
        const ended = await endRun(
          tx,
          { id: claim.runId, kind: claim.kind, ofRunId: run[0]?.of_run_id ?? null },
          status,
          'FAILED',
          { code: fatal.code, message: fatal.message, retryable: false },
          claim.token,
        )
        if (ended) {
          await clearUnfinishedPlan(tx, claim.runId)
        }
      }
      await failpoint('fail.before-commit', lane)
    }),
  )
  await failpoint('fail.after-commit')
  return { kind: 'done' }
}

/** A person has paused or canceled the run: cancel it now, or leave it until somebody resumes it. */
async function stopped(context: WorkerContext, claim: Claim): Promise<SliceEnd> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ status: RunStatus }>('select status from run where tenant_id = $1 and id = $2', [
        claim.tenantId,
        claim.runId,
      ]),
    ),
  )
  return rows[0]?.status === 'CANCELING' ? cancel(context, claim) : { kind: 'done' }
}

function renewLease(context: WorkerContext, claim: Claim, lost: AbortController): { stop(): void } {
  const stop = new AbortController()
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await sleep(RENEW_MS, undefined, { signal: stop.signal })
      await failpoint('lease.before-renewal', context.presence)
      const rows = await context.presence.session(
        `update run_wakeup set lease_until = clock_timestamp() + ${LEASE_SECONDS} * interval '1 second' where run_id = $1 and holder = $2 returning run_id`,
        [claim.runId, context.holder],
      )
      if (rows.length === 0) {
        // Another worker thought us dead: every further chunk would be refused, so stop at once.
        lost.abort(new RetryableError('LEASE_LOST', 'Another worker has taken over the run.'))
        return
      }
    }
  }
  loop().catch((error: unknown) => {
    if (!stop.signal.aborted) {
      lost.abort(new RetryableError('LEASE_LOST', 'The lease of the run could not be renewed.', { cause: error }))
    }
  })
  return { stop: () => stop.abort() }
}
