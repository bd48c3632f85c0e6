/**
 * Rehearses an import: the same reading, the same statements, on shadow tables that only this session sees. What the rows
 * would come to is kept chunk by chunk; the rehearsal itself starts over when it is interrupted, for it has written nothing
 * that matters and its shadows end with the session.
 */
import { createHash } from 'node:crypto'
import { shadowDdl, shadowRecords, shadowTables } from '../adapters/crm/shadow.js'
import { chunkSql, laneSettings, text } from '../adapters/crm/sql.js'
import { stageDdl, stageDrop, type WritePlan } from '../adapters/crm/stage.js'
import {
  type AppliedChunk,
  applyChunk,
  type RelatedWriting,
  type Turn,
  type WriterState,
} from '../adapters/crm/write.js'
import { Lane, type LaneTx } from '../db/lane.js'
import { first, one, withTenant } from '../db/tx.js'
import { FatalError, RetryableError } from '../errors.js'
import type { RecordType } from '../records/types.js'
import { freezeRules } from '../runs/business-rules.js'
import { clearPlan, finishPlan, insertPlannedIssues } from '../runs/plan.js'
import type { PlanCounts, RowOutcome } from '../runs/types.js'
import { openImportFile } from './analyze-import.js'
import type { ReadChunk } from './chunk-builder.js'
import { type Claim, laneName } from './claim.js'
import { laneOptions, type WorkerContext } from './context.js'
import { type Import, loadImport, withoutType } from './import-job.js'
import { keySeed as newKeySeed } from './key-table.js'
import { findRecurrence, Reading } from './reading.js'
import type { Recurrence } from './recurrence.js'
import { type SliceEnd, StoppedError } from './slice.js'

/**
 * Rows of a chunk. One number for the whole file, not one that follows the clock: the hash chains chunk by chunk, and the
 * same file over the same records has the same hash.
 */
const PLAN_CHUNK_ROWS = 10_000

/** How often it is told how far the rehearsal is, in milliseconds. */
const PROGRESS_MS = 500

const OUTCOMES = ['created', 'updated', 'unchanged', 'skipped', 'failed', 'deleted'] as const

export async function planImport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const stage = await Stage.open(context, laneName(context.holder, claim.runId))
  try {
    return await planOn(context, stage, claim, lost)
  } finally {
    await stage.close()
  }
}

/**
 * Plans imports one after the other in one session, so that each is rehearsed on the records as those before it would leave
 * them. All of them are held by the caller's worker. Null when each of them has its plan.
 */
export async function planTogether(
  context: WorkerContext,
  name: string,
  claims: readonly Claim[],
  lost: AbortSignal,
): Promise<SliceEnd | null> {
  const stage = await Stage.open(context, name)
  try {
    for (const claim of claims) {
      const end = await planOn(context, stage, claim, lost)
      if (context.stopping.aborted) {
        return end
      }
    }
    return null
  } finally {
    await stage.close()
  }
}

async function planOn(context: WorkerContext, stage: Stage, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const started = performance.now()
  const file = await openImportFile(context, claim)
  const job = await loadImport(context, claim, file)
  const frame = await loadFrame(context, claim)
  await context.control.use((lane) => withTenant(lane, claim.tenantId, (tx) => clearPlan(tx, claim.runId)))
  const rehearsal = await stage.rehearse(job)
  const hash = createHash('sha256').update(frame.text)
  const counts = { read: 0, created: 0, updated: 0, unchanged: 0, skipped: 0, failed: 0, deleted: 0 }
  const keySeed = keepsEveryRecord(job.plan) ? null : newKeySeed()
  const recurrence =
    keySeed === null
      ? null
      : () =>
          findRecurrence(
            {
              kind: 'recurrence',
              location: file.location,
              place: file.place,
              resolved: job.resolved,
              plan: withoutType(job.plan),
              keySeed,
            },
            lost,
          )
  const reading = Reading.start({
    kind: 'read',
    location: file.location,
    place: file.place,
    from: null,
    resolved: job.resolved,
    plan: withoutType(job.plan),
    chunkRows: Math.min(PLAN_CHUNK_ROWS, context.chunkRows),
    stopAtFailure: false,
    keySeed,
  })
  let beside: Stage | null = null
  let second: Rehearsal | null = null
  try {
    let told = performance.now()
    const count = (chunk: ReadChunk, planned: PlannedChunk): void => {
      hash.update(planned.digest)
      counts.read += chunk.read
      for (const outcome of OUTCOMES) {
        counts[outcome] += planned.counts[outcome]
      }
    }
    for (let chunk = await reading.next(lost); chunk !== null; chunk = await reading.next(lost)) {
      const planning = rehearsal.chunk(chunk, recurrence)
      // It may fail while the next chunk is still being read; that is told where it is waited for.
      planning.catch(() => undefined)
      // Chunks that leave everything as it is do not wait for one another.
      const next = second !== null && rehearsal.untouched ? await reading.next(lost) : null
      const ahead = next === null || second === null ? null : second.unchanged(next, planning, rehearsal)
      // If the first one fails, that is told; the other fails with it.
      ahead?.catch(() => undefined)
      count(chunk, await planning)
      if (next !== null) {
        count(next, (await ahead) ?? (await rehearsal.chunk(next, recurrence)))
      }
      if (context.stopping.aborted) {
        return { kind: 'more', delayMs: 0 }
      }
      if (performance.now() - told > PROGRESS_MS) {
        told = performance.now()
        await tellProgress(context, claim, counts.read, (next ?? chunk).next.byte)
      }
      if (beside === null && rehearsal.untouched && job.total - counts.read > 2 * PLAN_CHUNK_ROWS) {
        beside = await Stage.open(context, laneName(context.holder, claim.runId))
        second = await beside.rehearse(job)
      }
    }
  } finally {
    await reading.close()
    await beside?.close()
  }
  if (counts.read !== job.total) {
    throw new FatalError(
      'ROWS_MISSING',
      `The first pass counted ${job.total} rows, and ${counts.read} could be read. Upload the file again.`,
    )
  }
  const to = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      // Read last: a person may have asked for a plan to look at while this one was made.
      const { confirmation } = await one<{ confirmation: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS' }>(
        tx,
        'select confirmation from run where tenant_id = $1 and id = $2 for update',
        [claim.tenantId, claim.runId],
      )
      return finishPlan(
        tx,
        { id: claim.runId, token: claim.token, confirmation },
        { hash: hash.digest('hex'), counts, rules: frame.rules, ms: performance.now() - started },
      )
    }),
  )
  if (to === null) {
    throw new StoppedError('the run was stopped or taken over')
  }
  return to === 'QUEUED' ? { kind: 'more', delayMs: 0 } : { kind: 'done' }
}

/** A row of a file that the records do not say the same as. */
export interface Difference {
  readonly row: number
  readonly sourceId: string | null
  /** CREATED: its record is missing; UPDATED: it differs; FAILED or SKIPPED: it could not be compared. */
  readonly outcome: RowOutcome
  /** What the record says, and what the file says, by column; empty unless it differs. */
  readonly before: Readonly<Record<string, string | null>>
  readonly after: Readonly<Record<string, string | null>>
}

/**
 * Compares a file that has been imported with the records as they stand, by rehearsing it once more: rows that would change
 * nothing are proven. `told` is called for every other row that could be read. Answers the number of rows compared. Nothing
 * is kept.
 */
export async function compareImport(
  context: WorkerContext,
  claim: Claim,
  lost: AbortSignal,
  told: (difference: Difference) => void,
): Promise<{ readonly rows: number; readonly unchanged: number; readonly unreadable: number }> {
  const file = await openImportFile(context, claim)
  const job = await loadImport(context, claim, file)
  const stage = await Stage.open(context, laneName(context.holder, claim.runId))
  const plan = {
    ...job.plan,
    onDrift: null,
    onDuplicate: 'UPDATE' as const,
    rules: job.plan.rules.slice(0, 1),
    // What a pass has left as it was here, and said so, is no difference.
    guard: 'KNOWN' as const,
  }
  const reading = Reading.start({
    kind: 'read',
    location: file.location,
    place: file.place,
    from: null,
    resolved: job.resolved,
    plan: withoutType(plan),
    chunkRows: Math.min(PLAN_CHUNK_ROWS, context.chunkRows),
    stopAtFailure: false,
    keySeed: null,
  })
  try {
    const rehearsal = await stage.rehearse({ ...job, plan, related: [] })
    const sum = { rows: 0, unchanged: 0, unreadable: 0 }
    for (let chunk = await reading.next(lost); chunk !== null; chunk = await reading.next(lost)) {
      const compared = await rehearsal.compare(chunk)
      sum.rows += chunk.read
      sum.unchanged += compared.unchanged
      sum.unreadable += chunk.failed.length
      for (const difference of compared.differences) {
        told(difference)
      }
    }
    return sum
  } finally {
    await reading.close()
    await stage.close()
  }
}

/** What a plan is about besides the records: file, reading of it, mapping, options, rules. */
async function loadFrame(context: WorkerContext, claim: Claim): Promise<{ text: string; rules: string }> {
  return context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const { digest: rules } = await freezeRules(tx, claim.runId, false)
      const { text } = await one<{ text: string }>(
        tx,
        // jsonb has one text for one value.
        `select concat_ws(E'\\n', f.sha256, f.source_options::text, r.source_options::text, r.record_type, r.mapping::text, r.options::text) as text
         from run r join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id
         where r.tenant_id = $1 and r.id = $2`,
        [claim.tenantId, claim.runId],
      )
      return { text: `${text}\n${rules}`, rules }
    }),
  )
}

async function tellProgress(context: WorkerContext, claim: Claim, rows: number, bytes: number): Promise<void> {
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query(
        `with r as (
           update run set rows_read = $4, bytes_read = $5
           where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'PLANNING' returning run)
         select append_events($2, 'IMPORT', jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
           jsonb_build_object('counts', run_counts(r.run), 'progress', run_progress(r.run))))) from r`,
        [claim.tenantId, claim.runId, claim.token, rows, bytes],
      ),
    ),
  )
}

/**
 * Whether every created record has to be kept, also one whose keys no other row has: where external ids are not looked up, one
 * that is taken shows only in the table, and a key that a default value gives is none that the row has.
 */
function keepsEveryRecord(plan: WritePlan): boolean {
  const { recordType, stageColumns, rules, onDuplicate, createDefaults } = plan
  return (
    // Rows of an import that is rehearsed after this one may mean any of them.
    plan.plannedWith !== undefined ||
    onDuplicate === 'CREATE' ||
    (stageColumns.some((column) => column.field === 'externalId' && column.role === 'value') &&
      !rules.some((rule) => rule.length === 1 && rule[0] === 'externalId')) ||
    recordType.fields.some(
      (field) => recordType.matchable.includes(field.name) && createDefaults[field.column] !== undefined,
    )
  )
}

/** A chunk is about to create records, and which keys recur is not known yet: it is undone, and done again when that is known. */
class RecurrenceAwaited extends Error {}

interface PlannedChunk {
  readonly counts: Omit<PlanCounts, 'read'>
  readonly digest: string
}

/** A chunk that was rehearsed beside another would change something, or the other did. */
class NotUnchanged extends Error {}

/** A session with the shadows of the records that imports write which are rehearsed in it. */
class Stage {
  readonly #lane: Lane
  readonly #shadowed = new Set<RecordType['table']>()

  private constructor(lane: Lane) {
    this.#lane = lane
  }

  static async open(context: WorkerContext, name: string): Promise<Stage> {
    let lane: Lane
    try {
      lane = await Lane.open(laneOptions(context.databaseUrl, name))
    } catch (error) {
      throw error instanceof FatalError
        ? error
        : new RetryableError('DATABASE_BUSY', 'The database gave no connection for the plan.', { cause: error })
    }
    try {
      await lane.session(laneSettings)
      // A chunk sees one state of the records, so that what it compares and the version that it notes belong together.
      await lane.session("set default_transaction_isolation = 'repeatable read'")
    } catch (error) {
      await lane.close()
      throw error
    }
    return new Stage(lane)
  }

  close(): Promise<void> {
    return this.#lane.close()
  }

  /** A rehearsal of the import on the records as those before it in this session would leave them. */
  async rehearse(job: Import): Promise<Rehearsal> {
    const plans = [job.plan, ...job.related.map(({ plan }) => plan)]
    const types = plans.map(({ recordType }) => recordType)
    const before = new Set(this.#shadowed)
    const missing = types.filter(({ table }) => !before.has(table))
    const ddl = before.size === 0 ? shadowDdl(types) : [stageDrop, ...shadowTables(missing)]
    for (const statement of [...ddl, ...stageDdl(job.plan, plans.slice(1))]) {
      await this.#lane.session(statement)
    }
    for (const { table } of types) {
      this.#shadowed.add(table)
    }
    return new Rehearsal(this.#lane, job, before)
  }
}

class Rehearsal {
  readonly #lane: Lane
  readonly #job: Import
  readonly #sql: ReturnType<typeof chunkSql>
  readonly #copies: readonly string[]
  readonly #related: readonly (Omit<RelatedWriting, 'turn'> & { readonly copies: readonly string[] })[]
  /** Columns of references to records that rows of the file may make, with the tables of those. */
  readonly #references: readonly { readonly column: string; readonly table: string }[]
  /** Imports whose made-up records may be met: this one, and those that are planned together with it. */
  readonly #together: readonly string[]
  readonly #state: WriterState
  #recurrence: Recurrence | null = null

  constructor(lane: Lane, job: Import, shadowed: ReadonlySet<string>) {
    this.#lane = lane
    this.#job = job
    this.#sql = chunkSql(job.plan, true)
    this.#copies = shadowRecords(job.plan, shadowed)
    this.#related = job.related.map(({ path, plan }) => ({
      path,
      plan,
      sql: chunkSql(plan, true),
      copies: shadowRecords(plan, shadowed),
    }))
    this.#together = job.plan.plannedWith ?? [job.claim.runId]
    // What earlier imports of the session did to records of the type shows in the shadow alone, where the glance does not look.
    this.#state = { checks: null, unchanging: !shadowed.has(job.plan.recordType.table) }
    this.#isTouched = shadowed.size > 0
    const made = new Set([job.plan, ...job.related.map(({ plan }) => plan)].map(({ recordType }) => recordType.table))
    this.#references = job.plan.recordType.fields.flatMap(({ column, reference }) => {
      const to = reference?.to ?? 'member'
      return to !== 'member' && (made.has(to) || shadowed.has(to)) ? [{ column, table: to }] : []
    })
  }

  /**
   * Rehearses a chunk. `recurrence` reads the file for its keys, which is worth its time only once a chunk creates something;
   * null where every record is kept. It is waited for between transactions, since a chunk holds its run.
   */
  async chunk(chunk: ReadChunk, recurrence: (() => Promise<Recurrence>) | null): Promise<PlannedChunk> {
    if (recurrence === null || this.#recurrence !== null) {
      return this.#chunk(chunk, recurrence !== null)
    }
    try {
      return await this.#chunk(chunk, true)
    } catch (error) {
      if (!(error instanceof RecurrenceAwaited)) {
        throw error
      }
    }
    this.#recurrence = await recurrence()
    return this.#chunk(chunk, true)
  }

  /**
   * Rehearses a chunk beside the one before it, which `first` is about in a session of its own: kept if both leave all records
   * as they are. Null if not: then it is to be rehearsed after the other.
   */
  async unchanged(chunk: ReadChunk, before: Promise<unknown>, first: Rehearsal): Promise<PlannedChunk | null> {
    try {
      return await withTenant(this.#lane, this.#job.claim.tenantId, async (tx) => {
        await this.#hold(tx)
        this.#onlyUnchanged = true
        const applied = await this.#apply(tx, chunk, true)
        const digest = await this.#record(tx, chunk, applied)
        await Promise.race([before, first.#touched.promise])
        if (!first.untouched) {
          throw new NotUnchanged()
        }
        const { created, updated, unchanged, skipped, deleted } = applied
        return {
          counts: { created, updated, unchanged, skipped, failed: chunk.failed.length + applied.failed, deleted },
          digest,
        }
      })
    } catch (error) {
      if (error instanceof NotUnchanged) {
        return null
      }
      throw error
    }
  }

  /** Whether every chunk so far has left all records as they are: then none has been copied, and the shadows are empty. */
  get untouched(): boolean {
    return !this.#isTouched
  }

  #isTouched = false
  readonly #touched = Promise.withResolvers<void>()
  #onlyUnchanged = false

  /** Held until the transaction ends: whoever takes the run over waits for this chunk and then clears it away. */
  async #hold(tx: LaneTx): Promise<void> {
    const { claim } = this.#job
    const ours = await first(
      tx,
      "select from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'PLANNING' for share",
      [claim.tenantId, claim.runId, claim.token],
    )
    if (ours === null) {
      throw new StoppedError('the run was stopped or taken over')
    }
  }

  /** `asks`: new records are kept only if their keys recur. */
  #chunk(chunk: ReadChunk, asks: boolean): Promise<PlannedChunk> {
    return withTenant(this.#lane, this.#job.claim.tenantId, async (tx) => {
      await this.#hold(tx)
      const applied = await this.#apply(tx, chunk, asks)
      const digest = await this.#record(tx, chunk, applied)
      const { created, updated, unchanged, skipped, deleted } = applied
      return {
        counts: { created, updated, unchanged, skipped, failed: chunk.failed.length + applied.failed, deleted },
        digest,
      }
    })
  }

  #apply(tx: LaneTx, chunk: ReadChunk, asks: boolean): Promise<AppliedChunk> {
    const turn = (copies: readonly string[], onlyRecurring: boolean): Turn => ({
      beforeMatch: async (unchanged) => {
        if (!unchanged) {
          if (this.#onlyUnchanged) {
            throw new NotUnchanged()
          }
          this.#isTouched = true
          this.#touched.resolve()
          for (const copy of copies) {
            await tx.execute(copy, [tx.tenantId, chunk.firstRow, chunk.lastRow])
          }
        }
        return false
      },
      beforeCreate: async () => {
        if (onlyRecurring && this.#recurrence === null) {
          throw new RecurrenceAwaited()
        }
        const recurring = onlyRecurring && chunk.keys !== null ? this.#recurrence?.recurring(chunk.keys) : null
        await tx.query('delete from recurring')
        await tx.query(
          `insert into recurring select row_number from stage where $1::bigint[] is null or row_number = any ($1)`,
          [recurring ?? null],
        )
      },
      changesExisting: () => undefined,
    })
    return applyChunk(
      tx,
      this.#job.plan,
      this.#sql,
      this.#state,
      chunk,
      turn(this.#copies, asks),
      this.#related.map(({ copies, ...writing }) => ({ ...writing, turn: turn(copies, false) })),
    )
  }

  /** Which of the chunk's rows would change something, and what. */
  compare(chunk: ReadChunk): Promise<{ readonly unchanged: number; readonly differences: readonly Difference[] }> {
    return withTenant(this.#lane, this.#job.claim.tenantId, async (tx) => {
      const applied = await this.#apply(tx, chunk, false)
      if (applied.whole === 'UNCHANGED') {
        return { unchanged: applied.unchanged, differences: [] }
      }
      const sourceId = this.#job.plan.stageColumns.find(
        (column) => column.field === 'externalId' && column.role === 'value',
      )?.name
      const differences = await tx.query<Difference>(
        `select s.row_number as row, ${sourceId === undefined ? 'null::text' : `s.${sourceId}`} as "sourceId",
           coalesce(v.outcome, 'CREATED') as outcome, coalesce(c.before, '{}') as before, coalesce(c.after, '{}') as after
         from stage s left join verdict v on v.row_number = s.row_number
           left join run_change c on c.row_number = s.row_number and c.record_type = ${text(this.#job.plan.recordType.name)}
         where coalesce(v.outcome, 'CREATED') <> 'UNCHANGED' order by 1`,
      )
      return { unchanged: applied.unchanged, differences }
    })
  }

  /** Keeps what the chunk came to. Answers a digest of it that is the same whenever rows and records are the same. */
  async #record(tx: LaneTx, chunk: ReadChunk, applied: AppliedChunk): Promise<string> {
    const { runId } = this.#job.claim
    const { table } = this.#job.plan.recordType
    const issues = [
      ...chunk.issues.map((issue) => ({ ...issue, decided: false })),
      ...applied.issues.map((issue) => ({ ...issue, decided: true })),
    ].toSorted((a, b) => a.row - b.row)
    await insertPlannedIssues(tx, runId, issues)
    const failed = [...chunk.failed, ...applied.refused.map((row) => ({ ...row, sourceId: null }))]
    if (failed.length > 0) {
      await tx.query(
        `insert into plan_row (tenant_id, run_id, row_number, outcome, source_id, byte)
         select $1, $2, row_number, 'FAILED', source_id, byte from unnest($3::bigint[], $4::text[], $5::bigint[]) as x (row_number, source_id, byte)`,
        [
          tx.tenantId,
          runId,
          failed.map((row) => row.row),
          failed.map((row) => row.sourceId),
          failed.map((row) => row.byte),
        ],
      )
    }
    const listed = [...new Set([...chunk.warned, ...applied.issues.map((issue) => issue.row)])]
    const sourceId = this.#job.plan.stageColumns.find(
      (column) => column.field === 'externalId' && column.role === 'value',
    )?.name
    // The glance that finds a whole chunk unchanged leaves no hits, but what it met.
    const met =
      applied.whole === 'UNCHANGED' && (await one<{ n: number }>(tx, 'select count(*)::int as n from hit')).n === 0
        ? 'select row_number, record_id, null::bigint as made_by, version from glanced'
        : `select h.row_number, case when h.n = 1 and not coalesce(r.created_run_id = any ($8), false) then h.record_id end as record_id,
             case when h.n = 1 and r.created_run_id = $4 then r.created_row end as made_by,
             case when h.n > 1 then -2 when r.created_run_id = any ($8) then -1 else coalesce(c.version, r.version) end as version
           from hit h left join ${table} r on r.tenant_id = $1 and r.id = h.record_id left join shadowed c on c.id = h.record_id
           where h.row_number between $2 and $3`
    // A record that the rehearsal made up has an id of this moment: it is told by the row that makes it.
    const told = (values: string) =>
      this.#references.reduce((changes, { column, table: to }) => byRow(to, changes, column), values)
    // The rows are joined with what was just found about them, for which there is no index: here hashing is right.
    await tx.query("select set_config('enable_hashjoin', 'on', true)")
    const digest = await one<{ digest: string }>(
      tx,
      `with met as materialized (${met}),
         rows as materialized (
           select s.row_number, coalesce(v.outcome, $7) as outcome, m.record_id, m.made_by, m.version, s.byte,
             ${sourceId === undefined ? 'null::text' : `s.${sourceId}`} as source_id,
             ${told("c.before - 'deleted_at'")} as before, ${told("c.after - 'deleted_at'")} as after
           from stage s left join verdict v on v.row_number = s.row_number left join met m on m.row_number = s.row_number
             left join run_change c on c.row_number = s.row_number and c.record_type = ${text(this.#job.plan.recordType.name)}),
         listed as (
           insert into plan_row (tenant_id, run_id, row_number, outcome, record_id, made_by_row, source_id, byte, before, after)
           select $1, $4, row_number, outcome, record_id, made_by, source_id, byte, before, after from rows
           where outcome not in ('CREATED', 'UNCHANGED') or row_number = any ($5::bigint[])),
         ranged as (
           insert into plan_range (tenant_id, run_id, from_row, outcome, rows, row_count)
           select $1, $4, $2, outcome, range_agg(int8range(row_number, row_number + 1)), count(*) from rows
           where outcome in ('CREATED', 'UNCHANGED') and not row_number = any ($5::bigint[]) group by outcome),
         related as (
           insert into plan_related (tenant_id, run_id, row_number, path, record_type, record_id, outcome, before, after)
           select $1, $4, k.row_number, k.path, k.record_type, (select o.id from shadowed o where o.id = k.record_id), k.outcome, c.before, c.after
           from kin k left join run_change c on c.row_number = k.row_number and c.record_type = k.record_type
           where k.outcome in ('CREATED', 'UPDATED') returning row_number, path, record_type, record_id, outcome, after),
         kept as (
           insert into plan_chunk (tenant_id, run_id, from_row, to_row, byte, row_numbers, record_ids, versions)
           select $1, $4, $2, $3, $6, coalesce(array_agg(row_number order by row_number), '{}'),
             coalesce(array_agg(record_id order by row_number), '{}'), coalesce(array_agg(version order by row_number), '{}')
           from rows where version is not null)
       select encode(sha256(convert_to(coalesce(string_agg(concat_ws(' ', row_number, outcome, record_id, made_by, version, before, after), E'\\n'
         order by row_number) filter (where outcome <> 'CREATED' or version is not null), '')
         || (select coalesce(string_agg(concat_ws(' ', row_number, path, record_id, outcome, after), E'\\n' order by row_number, path), '') from related), 'UTF8')), 'hex') as digest from rows where $8::uuid[] is not null`,
      [
        tx.tenantId,
        chunk.firstRow,
        chunk.lastRow,
        runId,
        listed,
        chunk.from.byte,
        applied.whole === 'UNCHANGED' ? 'UNCHANGED' : 'CREATED',
        this.#together,
      ],
    )
    return `${digest.digest}\n${chunk.read} ${chunk.failed.map((row) => row.row).join(' ')}\n${JSON.stringify(issues)}\n`
  }
}

/**
 * SQL for the changes `values` in which `column` says `row 7` for a record that row 7 of the file makes, and `row 7 (contact)`
 * where another import that is planned together with it does; `$1` tenant, `$4` run, `$8` those imports.
 */
function byRow(table: string, values: string, column: string): string {
  return `(select case when made.created_row is null then x.v else jsonb_set(x.v, '{${column}}', to_jsonb('row ' || made.created_row
      || case when made.created_run_id = $4 then '' else ' (${table})' end)) end
    from (select ${values} as v) x left join ${table} made on made.tenant_id = $1 and made.id = (x.v ->> '${column}')::uuid and made.created_run_id = any ($8))`
}
