/**
 * Applies one chunk inside the transaction that it is given: stage, resolve, match, write. The meaning is row by row (each
 * row sees every earlier row of the file and what it did), the execution set-based: rows that share a key were given
 * different passes by the reader, rows that turn out to mean one record are put into different passes here.
 */
import { constraintOf, type LaneTx, sqlState } from '../../db/lane.js'
import { one } from '../../db/tx.js'
import { FatalError, RetryableError } from '../../errors.js'
import { encodeId, newId } from '../../ids.js'
import type { Issue, IssueCode, IssueSeverity } from '../../pipeline/types.js'
import { ID_FIELD } from '../../records/index.js'
import type { RecordTypeName } from '../../records/types.js'
import { type ChunkSql, open, referenceIdentity, stretch, text } from './sql.js'
import { fieldNamed, stageCopy, type WritePlan } from './stage.js'

/** A chunk as the reader hands it over. */
export interface StagedChunk {
  readonly firstRow: number
  readonly lastRow: number
  /** COPY text of the staged rows. */
  readonly copy: readonly Uint8Array[]
  readonly staged: number
  /** Highest pass of a row: 0 where no two rows share a key. */
  readonly lastPass: number
  /** Rows that carry a warning of the reader's. */
  readonly warned: readonly number[]
  /** Rows that are staged as copies of others: right in their pass, or in the one behind it. */
  readonly copies?: readonly { readonly row: number; readonly of: number; readonly behind: boolean }[]
}

/** What the rows of a chunk say about one record that each of them refers to. */
export interface RelatedChunk extends StagedChunk {
  /** Name of the reference, e.g. `contact`. */
  readonly path: string
  /** Rows that say the same as an earlier row of the chunk about the same record. */
  readonly same: readonly (readonly [row: number, as: number])[]
}

/** How the records are written that rows of another type refer to: by the same code, as rows of their own type. */
export interface RelatedWriting {
  readonly path: string
  readonly plan: WritePlan
  readonly sql: ChunkSql
  readonly turn: Turn
}

/** What became of the staged rows. Rows without a verdict were created. */
export interface AppliedChunk {
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly deleted: number
  /** Problems found by the database: duplicates, ambiguous matches, missing relations, constraints. */
  readonly issues: readonly Issue[]
  /** Rows that could not even be staged; they count as failed. */
  readonly refused: readonly { readonly row: number; readonly byte: number }[]
  /** The one outcome of all staged rows; null where the temporary table `verdict` holds those that were not created. */
  readonly whole: 'CREATED' | 'UNCHANGED' | null
}

/** Of a chunk without a staged row. */
const nothing: AppliedChunk = {
  created: 0,
  updated: 0,
  unchanged: 0,
  skipped: 0,
  failed: 0,
  deleted: 0,
  issues: [],
  refused: [],
  whole: 'CREATED',
}

/** Keeps chunks that are written side by side from seeing each other half done. */
export interface Turn {
  /**
   * Resolves when this chunk may look at the records: everything before it is committed or known not to matter. True: it was
   * a commit, and what was read of the records before is old. `unchanged`: a first look says that no row changes anything.
   */
  beforeMatch(unchanged: boolean): Promise<boolean>
  /** Says, once, whether this chunk changes existing records; the next chunk waits for that word. */
  changesExisting(changes: boolean): void
  /** Resolves when rows of this chunk may make records; not asked where every row means an existing one. */
  beforeCreate?(): Promise<void>
}

const ALL_PASSES = 32_767

/** In the place of a version in a plan: the record is one that an earlier row of the file makes. */
const OWN_RECORD = -1

/** In the place of a version in a plan: more than one record matched. */
const SEVERAL_RECORDS = -2

const UNIQUE_VIOLATION = '23505'

/** Rows that are matched at once where rows clash one after the other. */
const LEAST_WINDOW = 16

/** Rows of one chunk that are picked out of the stage; with more the chunk fails, for something else is wrong. */
const REFUSED_ROWS = 100

/** What a run remembers from chunk to chunk: constraints that were hit are tried up front from then on. */
export interface WriterState {
  checks: readonly { readonly name: string; readonly sql: string }[] | null
  /** The chunk before changed nothing, so this one may be the same: it is worth a look of its own. */
  unchanging: boolean
  /** Locks records before it changes them: an earlier try met somebody who changed one at that moment. */
  readonly holds?: boolean
}

export async function applyChunk(
  tx: LaneTx,
  plan: WritePlan,
  sql: ChunkSql,
  state: WriterState,
  chunk: StagedChunk & { readonly related?: readonly RelatedChunk[] },
  turn: Turn,
  relatedWriting: readonly RelatedWriting[] = [],
): Promise<AppliedChunk> {
  const related = (chunk.related ?? []).filter((one) => one.staged > 0)
  if (related.length === 0) {
    return new ChunkWriter(tx, plan, sql, state, chunk).apply(turn)
  }
  // A row has one outcome: what it says about related records is written only if the row itself is. So rows that fail or are
  // skipped are learned of by trying, and everything is done again without what they said.
  const settled = new Map<number, SettledRow>()
  const apart = new Map(related.map(({ path }) => [path, new Set<number>()]))
  for (;;) {
    await tx.query('savepoint related')
    const { failed, overtaken } = await writeRelated(tx, relatedWriting, related, settled, apart)
    if (failed.size === 0 && !overtaken) {
      const writer = new ChunkWriter(tx, plan, sql, { ...state, unchanging: false }, chunk, {
        settled,
        links: relatedWriting,
      })
      const applied = await writer.apply(turn)
      for (const [row, one] of await unwrittenRows(tx, applied, settled)) {
        failed.set(row, one)
      }
      if (failed.size === 0) {
        await tx.query('release savepoint related')
        return applied
      }
    }
    await tx.query('rollback to savepoint related')
    for (const [row, one] of failed) {
      settled.set(row, one)
    }
  }
}

/** A row whose outcome is known before its chunk is written. */
interface SettledRow {
  readonly outcome: 'FAILED' | 'SKIPPED'
  readonly recordId: string | null
  readonly issues: readonly Issue[]
  /** The record that it meant (more than one where `n` is 2), which a plan notes; null for none. */
  readonly met: { readonly recordId: string; readonly n: number } | null
}

/**
 * The rows of a chunk that go with others. A row whose own stand-in is settled (it failed, say) speaks for itself, and for
 * those behind it, and so does one in `apart`.
 */
function standIns(
  chunk: RelatedChunk,
  settled: ReadonlyMap<number, SettledRow>,
  apart: ReadonlySet<number>,
): RelatedChunk {
  const same: (readonly [number, number])[] = []
  const copies: { row: number; of: number; behind: boolean }[] = []
  const standing = new Map<number, number>()
  for (const [row, as] of chunk.same) {
    const before = standing.get(as) ?? as
    if (apart.has(row) || settled.has(before)) {
      copies.push({ row, of: as, behind: apart.has(row) })
      standing.set(as, row)
    } else {
      same.push([row, before])
    }
  }
  return copies.length === 0
    ? { ...chunk, same }
    : {
        ...chunk,
        same,
        copies,
        staged: chunk.staged + copies.length,
        lastRow: Math.max(chunk.lastRow, copies.at(-1)?.row ?? 0),
        lastPass: chunk.lastPass + (copies.some(({ behind }) => behind) ? 1 : 0),
      }
}

/**
 * Writes what the rows say about the records that they refer to, and notes in `kin` which those are. Answers the rows that
 * have to fail for it, and whether rows have come into `apart`: then this has to be done again.
 */
async function writeRelated(
  tx: LaneTx,
  writing: readonly RelatedWriting[],
  chunks: readonly RelatedChunk[],
  settled: ReadonlyMap<number, SettledRow>,
  apart: ReadonlyMap<string, Set<number>>,
): Promise<{ readonly failed: Map<number, SettledRow>; readonly overtaken: boolean }> {
  const failed = new Map<number, SettledRow>()
  let overtaken = false
  for (const whole of chunks) {
    const read = { ...whole, same: whole.same.filter(([row]) => !settled.has(row)) }
    const apartHere = apart.get(read.path) ?? new Set<number>()
    const chunk = standIns(read, settled, apartHere)
    const one = writing.find(({ path }) => path === chunk.path)
    if (one === undefined) {
      throw new Error(`nothing was prepared to write the ${chunk.path} of a row`)
    }
    const nowhere = new Map(
      [...settled.keys()].map((row) => [row, { outcome: 'SKIPPED', recordId: null, issues: [], met: null } as const]),
    )
    const applied = await new ChunkWriter(tx, one.plan, one.sql, { checks: null, unchanging: false }, chunk, {
      settled: nowhere,
      links: [],
    }).apply(one.turn)
    await tx.query(
      `insert into kin (row_number, path, record_type, record_id, outcome)
       select s.row_number, $1, $2, coalesce(v.record_id, case when h.n = 1 then h.record_id when v.outcome is null and $3 = 'CREATED' then s.id end),
         coalesce(v.outcome, $3)
       from stage s left join verdict v on v.row_number = s.row_number left join hit h on h.row_number = s.row_number`,
      [one.path, one.plan.recordType.name, applied.whole === 'UNCHANGED' ? 'UNCHANGED' : 'CREATED'],
    )
    if (chunk.same.length > 0) {
      if (applied.updated > 0) {
        const late = await overtakenRows(tx, read, chunk)
        late.forEach((row) => apartHere.add(row))
        overtaken ||= late.length > 0
      }
      await tx.query(
        `insert into kin (row_number, path, record_type, record_id, outcome)
         select x.row_number, k.path, k.record_type, k.record_id, case when k.outcome in ('CREATED', 'UPDATED') then 'UNCHANGED' else k.outcome end
         from unnest($2::bigint[], $3::bigint[]) as x (row_number, as_row) join kin k on k.row_number = x.as_row and k.path = $1`,
        [one.path, chunk.same.map(([row]) => row), chunk.same.map(([, as]) => as)],
      )
    }
    for (const table of ['stage', 'hit', 'link', 'verdict', 'expected']) {
      await tx.query(`delete from ${table}`)
    }
    const rows = await tx.query<{ row: number }>(
      "select row_number as row from kin where path = $1 and outcome = 'FAILED' order by 1",
      [one.path],
    )
    const sameAs = new Map(chunk.same)
    const issues = Map.groupBy(applied.issues, (issue) => issue.row)
    for (const { row } of rows) {
      const told = sameAs.get(row) ?? row
      failed.set(row, {
        outcome: 'FAILED',
        recordId: null,
        met: null,
        issues: (issues.get(told) ?? []).map((issue) => ({
          ...issue,
          row,
          field: issue.field === null ? one.path : `${one.path}.${issue.field}`,
          message: `Of its ${one.path}: ${issue.message}`,
        })),
      })
    }
  }
  return { failed, overtaken }
}

/**
 * Rows that say the same as an earlier one, where the row before said something else of that record by another key that it is
 * known by. Of those with one stand-in the last says it anew, for that is what the record has in the end: if all did, a chunk
 * of rows in turns would be written row by row.
 */
async function overtakenRows(tx: LaneTx, read: RelatedChunk, chunk: RelatedChunk): Promise<number[]> {
  const written = await tx.query<{ row: number; id: string | null }>(
    'select row_number as row, record_id as id from kin where path = $1 order by 1',
    [chunk.path],
  )
  const idOf = new Map(written.map(({ row, id }) => [row, id]))
  const firstOf = new Map(read.same)
  const lastOf = new Map(read.same.map(([row, as]) => [as, row]))
  /** Of each record the first row that said what was said of it last. */
  const said = new Map<string | null, number>()
  const late: number[] = []
  let at = 0
  for (const [row, as] of chunk.same) {
    for (let other = written[at]; other !== undefined && other.row < row; other = written[++at]) {
      said.set(other.id, firstOf.get(other.row) ?? other.row)
    }
    const id = idOf.get(as) ?? null
    const saying = firstOf.get(row) ?? row
    if (id !== null && lastOf.get(saying) === row && said.get(id) !== saying) {
      late.push(row)
    }
    said.set(id, saying)
  }
  return late
}

/**
 * Rows that turned out not to be written, if something was written of what one of them says about others. All at once: of rows
 * that say the same the first has written it, and without that one the next would.
 */
async function unwrittenRows(
  tx: LaneTx,
  applied: AppliedChunk,
  settled: ReadonlyMap<number, SettledRow>,
): Promise<Map<number, SettledRow>> {
  const rows = await tx.query<{
    row: number
    outcome: 'FAILED' | 'SKIPPED'
    record_id: string | null
    wrote: boolean | null
    met: string | null
    n: number | null
  }>(
    `select v.row_number as row, v.outcome, v.record_id, h.record_id as met, h.n,
       (select bool_or(k.outcome in ('CREATED', 'UPDATED')) from kin k where k.row_number = v.row_number) as wrote
     from verdict v left join hit h on h.row_number = v.row_number where v.outcome in ('FAILED', 'SKIPPED')`,
  )
  const unwritten = rows.filter(({ row, wrote }) => wrote !== null && !settled.has(row))
  if (!unwritten.some(({ wrote }) => wrote === true)) {
    return new Map()
  }
  const issues = Map.groupBy(applied.issues, (issue) => issue.row)
  return new Map(
    unwritten.map(({ row, outcome, record_id, met, n }) => [
      row,
      {
        outcome,
        recordId: record_id,
        issues: issues.get(row) ?? [],
        met: met === null || n === null ? null : { recordId: met, n },
      },
    ]),
  )
}

interface Given {
  /** Rows of the chunk whose outcome is known already. */
  readonly settled: ReadonlyMap<number, SettledRow>
  /** References whose records have just been written, see `kin`. */
  readonly links: readonly RelatedWriting[]
}

const nothingGiven: Given = { settled: new Map(), links: [] }

class ChunkWriter {
  readonly #tx: LaneTx
  readonly #plan: WritePlan
  readonly #sql: ChunkSql
  readonly #state: WriterState
  readonly #chunk: StagedChunk
  readonly #issues: Issue[] = []
  #decided = false
  /** Rows of which the plan that binds this run knows more than that they are creations. */
  #expected = 0
  #allUnchanged = false
  /** A record was found by another key than its external id: the row may bring it a further identity. */
  #foundByOtherKeys = false
  #lastPass: number

  readonly #given: Given

  constructor(
    tx: LaneTx,
    plan: WritePlan,
    sql: ChunkSql,
    state: WriterState,
    chunk: StagedChunk,
    given: Given = nothingGiven,
  ) {
    this.#given = given
    this.#tx = tx
    this.#plan = plan
    this.#sql = sql
    this.#state = state
    this.#chunk = chunk
    this.#lastPass = chunk.lastPass
    this.#yielding = plan.onDuplicate === 'CREATE'
    this.#ownReferences = plan.recordType.fields
      .filter((field) => field.reference?.to === plan.recordType.name)
      .map((field) => field.name)
  }

  async apply(turn: Turn): Promise<AppliedChunk> {
    let mayCreate = turn.beforeCreate === undefined
    const { firstRow, lastRow, staged } = this.#chunk
    if (staged === 0) {
      await turn.beforeMatch(false)
      turn.changesExisting(false)
      return nothing
    }
    const refused = await this.#stage()
    await this.#take()
    if (this.#plan.onDrift !== null) {
      await this.#expect()
    }
    // Statistics of the session's own tables: without them the planner takes the stage for a few rows.
    await this.#tx.query('analyze stage (row_number, pass)')
    // Looked at before its turn: what a chunk before it creates is none of the records that its rows name.
    let unchanged = await this.#isUnchanged(refused.length)
    if (await turn.beforeMatch(unchanged)) {
      unchanged &&= await this.#isUnchanged(refused.length)
    }
    this.#state.unchanging = unchanged
    if (unchanged) {
      turn.changesExisting(false)
      await this.#remember('UNCHANGED')
      return { ...nothing, unchanged: staged, whole: 'UNCHANGED' }
    }
    const identities = await this.#hasIdentities()
    let announced = false
    // Rows that clash cut the chunk into stretches. The window that is matched at once shrinks with them: matching all the
    // rest again for each of a thousand stretches would be quadratic.
    let window = lastRow - firstRow + 1
    for (let from = firstRow; from <= lastRow; ) {
      const end = Math.min(lastRow, from + window - 1)
      await this.#links(from, end)
      const hits = await this.#match(from, end, 0, ALL_PASSES, identities)
      const to = hits === 0 ? end : await this.#stretchEnd(from, end)
      window = to < end ? Math.max(LEAST_WINDOW, 2 * (to - from + 1)) : window * 4
      const single = to === lastRow && from === firstRow && this.#lastPass === 0
      if (!single && !announced) {
        turn.changesExisting(this.#changes())
        announced = true
      }
      for (let pass = 0; pass <= this.#lastPass; pass++) {
        const found = pass === 0 ? hits : await this.#rematch(from, to, pass, identities)
        // Rows that met nothing then and meet nothing now are creations as planned.
        if (this.#plan.onDrift !== null && (found > 0 || this.#expected > 0)) {
          await this.#keepToPlan(from, to, pass, this.#plan.onDrift)
        }
        await this.#checkUnique(from, to, pass)
        // Every row of the chunk means a record, and none of them wants to be listed by itself: then the rest is short.
        const all = single && found === this.#chunk.staged && this.#chunk.warned.length === 0
        const changed = found === 0 ? 0 : await this.#settleHits(from, to, pass, all)
        if (!announced) {
          turn.changesExisting(changed > 0)
          announced = true
        }
        if (this.#allUnchanged) {
          this.#state.unchanging = true
          await this.#remember('UNCHANGED')
          return { ...nothing, unchanged: this.#chunk.staged, whole: 'UNCHANGED' }
        }
        if (!all) {
          if (!mayCreate && this.#plan.operation === 'UPSERT') {
            await turn.beforeCreate?.()
            mayCreate = true
          }
          await this.#settleOthers(from, to, pass, found === 0)
        }
      }
      from = to + 1
      if (from <= lastRow) {
        await this.#tx.query('delete from hit where row_number >= $1', [from])
        await this.#tx.query('delete from link where row_number >= $1 and not field = any ($2::text[])', [
          from,
          this.#given.links.map(({ path }) => path),
        ])
      }
    }
    if (this.#plan.onDrift !== null && this.#plan.onDrift !== 'APPLY') {
      await this.#checkVersions()
    }
    await this.#keepPending()
    await this.#remember('CREATED')
    await this.#giveMet()
    return this.#tally(refused)
  }

  /** Of an import of a migration: what the source said of its records, for the passes to come. */
  async #remember(others: 'CREATED' | 'UNCHANGED'): Promise<void> {
    const { remember } = this.#sql.guard
    if (remember !== null) {
      await this.#tx.execute(remember, [this.#tx.tenantId, this.#plan.runId, others])
    }
  }

  /** Fields that were changed here since the source said them stay as they are, and the row says so. */
  async #keepEdited(params: readonly unknown[]): Promise<void> {
    const { keep, told } = this.#sql.guard
    if (keep === null || (await this.#tx.execute(keep, params)) === 0 || told === null) {
      return
    }
    const rows = await this.#tx.query<{ row_number: number; field: string; value: string | null }>(told, params)
    for (const { row_number: row, field, value } of rows) {
      const { label } = fieldNamed(this.#plan.recordType, field)
      this.#issue(
        row,
        'CHANGED_SINCE_IMPORT',
        'WARNING',
        `${label} was changed here since the source last said it; what the source says now was left out.`,
        'Correct one of the two, or migrate with changedHere: OVERWRITE.',
        field,
        value ?? undefined,
      )
    }
  }

  /** Records that are gone at the source and were changed here since stay. */
  async #spareEdited(params: readonly unknown[]): Promise<void> {
    if (this.#sql.guard.changed === null) {
      return
    }
    const rows = await this.#tx.query<{ row_number: number }>(this.#sql.guard.changed, params)
    for (const { row_number: row } of rows) {
      this.#issue(
        row,
        'SOURCE_RECORD_GONE',
        'WARNING',
        `The ${this.#label()} is gone at the source. It was changed here since the source last said something of it, so it stays.`,
        'Delete it here if nobody needs it, or migrate with changedHere: OVERWRITE.',
      )
    }
    await this.#fail(
      rows.map(({ row_number }) => row_number),
      'SKIPPED',
    )
  }

  /** Rows whose outcome was known were not matched again: what they met before is put to what the others met. */
  async #giveMet(): Promise<void> {
    const rows = [...this.#given.settled].flatMap(([row, { met }]) => (met === null ? [] : [{ row, ...met }]))
    if (rows.length > 0) {
      await this.#tx.execute(
        `insert into hit (row_number, record_id, n, rule)
         select x.row_number, x.record_id, x.n, 0 from unnest($1::bigint[], $2::uuid[], $3::smallint[]) as x (row_number, record_id, n)
         where exists (select from stage s where s.row_number = x.row_number) on conflict do nothing`,
        [rows.map(({ row }) => row), rows.map(({ recordId }) => recordId), rows.map(({ n }) => n)],
      )
    }
  }

  /** Rows that step aside come by again; what is said of their values is said once. */
  readonly #toldValues = new Set<string>()

  /** Rules that ask for unique values: rows whose value another record has, the run's own records among them. */
  async #checkUnique(from: number, to: number, pass: number): Promise<void> {
    for (const { rule, sql } of this.#sql.unique) {
      const rows = await this.#tx.query<{ row_number: number; value: string }>(sql, this.#params(from, to, pass))
      for (const { row_number: row, value } of rows) {
        const told = `${row} ${rule.field} ${rule.message}`
        if (!this.#toldValues.has(told)) {
          this.#toldValues.add(told)
          const suggestion = `Another ${this.#label()} has this value.`
          this.#issue(row, 'RULE_FAILED', rule.severity, rule.message, suggestion, rule.field, value)
        }
      }
      if (rule.severity === 'ERROR') {
        await this.#fail(rows.map(({ row_number }) => row_number))
      }
    }
  }

  /** Takes what is known of the rows: outcomes, and records that they refer to. */
  async #take(): Promise<void> {
    const { settled, links } = this.#given
    if (settled.size > 0) {
      const taken = await this.#tx.query<{ row: number }>(
        `insert into verdict (row_number, outcome, record_id)
         select x.row_number, x.outcome, x.record_id from unnest($1::bigint[], $2::text[], $3::uuid[]) as x (row_number, outcome, record_id)
         where exists (select from stage s where s.row_number = x.row_number) returning row_number as row`,
        [
          [...settled.keys()],
          [...settled.values()].map(({ outcome }) => outcome),
          [...settled.values()].map(({ recordId }) => recordId),
        ],
      )
      this.#decided ||= taken.length > 0
      for (const { row } of taken) {
        this.#issues.push(...(settled.get(row)?.issues ?? []))
      }
    }
    for (const { path, plan } of links) {
      // Held as a link by key holds them: see `ChunkSql.links`.
      await this.#tx.query(
        `select count(*) from (select from ${plan.recordType.table} r join kin k on k.path = $2 and r.id = k.record_id
           where r.tenant_id = $1 for key share of r) l`,
        [this.#tx.tenantId, path],
      )
      await this.#tx.query(
        `insert into link (row_number, field, record_id, n)
         select k.row_number, k.path, k.record_id, 1 from kin k join stage s on s.row_number = k.row_number
         where k.path = $1 and k.record_id is not null`,
        [path],
      )
    }
  }

  /** Notes what the plan that binds this run came to for the rows of the chunk. */
  async #expect(): Promise<void> {
    const { firstRow, lastRow } = this.#chunk
    this.#expected += await this.#tx.execute(
      `insert into expected (row_number, record_id, version, outcome)
       select x.row_number, x.record_id, x.version, p.outcome
       from plan_chunk c cross join lateral unnest(c.row_numbers, c.record_ids, c.versions) as x (row_number, record_id, version)
         left join plan_row p on p.tenant_id = $1 and p.run_id = $2 and p.row_number = x.row_number and p.outcome in ('FAILED', 'SKIPPED')
       where c.tenant_id = $1 and c.run_id = $2 and c.from_row <= $4 and c.to_row >= $3 and x.row_number between $3 and $4`,
      [this.#tx.tenantId, this.#plan.runId, firstRow, lastRow],
    )
    this.#expected += await this.#tx.execute(
      `insert into expected (row_number, outcome)
       select row_number, outcome from plan_row
       where tenant_id = $1 and run_id = $2 and row_number between $3 and $4 and outcome in ('FAILED', 'SKIPPED')
       on conflict do nothing`,
      [this.#tx.tenantId, this.#plan.runId, firstRow, lastRow],
    )
  }

  /**
   * Holds what the rows of a pass mean now against what the plan knew: rows whose record changed, appeared or went since are
   * dealt with as `onDrift` says. Rows that failed or were skipped in the plan do so again, for that is what was approved.
   */
  async #keepToPlan(from: number, to: number, pass: number, onDrift: 'SKIP_ROW' | 'APPLY' | 'FAIL_RUN'): Promise<void> {
    const mates = this.#plan.plannedWith ?? null
    const params = [...this.#params(from, to, pass), mates ?? [this.#plan.runId]]
    const { table } = this.#plan.recordType
    const drifted = await this.#tx.query<{
      row: number
      drift: 'APPEARED' | 'GONE' | 'CHANGED'
      record: string | null
    }>(
      `select s.row_number as row, h.record_id as record,
         case when e.version is null then 'APPEARED' when h.n is distinct from 1 or h.record_id <> e.record_id then 'GONE' else 'CHANGED' end as drift
       from (select row_number from hit union select row_number from expected) k join stage s on s.row_number = k.row_number
         left join hit h on h.row_number = s.row_number left join expected e on e.row_number = s.row_number
         left join lateral (select r.version, r.pristine_version, r.created_run_id from ${table} r
           where r.tenant_id = $1 and r.id = h.record_id limit 1) r on true
       where ${stretch} and ${open} and case
         when e.version is null then h.row_number is not null
         when e.version = ${SEVERAL_RECORDS} then coalesce(h.n, 0) < 2
         when h.n is distinct from 1 then true
         when e.version = ${OWN_RECORD} then not coalesce(r.created_run_id = any ($6), false) or (r.version <> r.pristine_version${
           mates === null
             ? ''
             : ` and not exists (
           -- Imports that were planned together are no drift to one another.
           select from (select max(c.after_version) as last from run_change c
             where c.tenant_id = $1 and c.run_id = any ($6) and c.record_id = h.record_id) c where c.last = r.version)`
         })
         else h.record_id <> e.record_id or (r.version <> e.version and not exists (
           -- Earlier rows of the same run are no drift: the record stood at the planned version before the first of them.
           select from (select min(c.before_version) as first, max(c.after_version) as last from run_change c
             where c.tenant_id = $1 and c.run_id = any ($6) and c.record_id = h.record_id) c
           where c.first = e.version and c.last = r.version)) end
       order by 1`,
      params,
    )
    for (const { row, drift } of drifted) {
      const message = this.#driftMessage(drift)
      if (onDrift === 'FAIL_RUN') {
        throw new FatalError('DRIFTED_SINCE_PLAN', `Row ${row}: ${message} onDrift is FAIL_RUN.`)
      }
      this.#drifted(row, message, onDrift)
    }
    if (drifted.length > 0 && onDrift === 'SKIP_ROW') {
      this.#decided = true
      await this.#tx.execute(
        `insert into verdict (row_number, outcome, record_id)
         select row_number, 'SKIPPED', record_id from unnest($1::bigint[], $2::uuid[]) as x (row_number, record_id)`,
        [drifted.map((row) => row.row), drifted.map((row) => row.record)],
      )
    }
    const settled = await this.#tx.query<{ row: number }>(
      `insert into verdict (row_number, outcome, record_id)
       select s.row_number, e.outcome, case when h.n = 1 then h.record_id end
       from stage s join expected e on e.row_number = s.row_number left join hit h on h.row_number = s.row_number
       where ${stretch} and ${open} and e.outcome is not null and $1::uuid is not null and not s.row_number = any ($6::bigint[])
       returning row_number as row`,
      [...this.#params(from, to, pass), drifted.map((row) => row.row)],
    )
    if (settled.length > 0) {
      this.#decided = true
      this.#issues.push(
        ...(await this.#tx.query<Issue>(
          `select row_number as row, column_name as column, field, code, severity, value, message, suggestion from plan_issue
           where tenant_id = $1 and run_id = $2 and row_number = any ($3::bigint[]) and decided order by row_number, seq`,
          [this.#tx.tenantId, this.#plan.runId, settled.map((row) => row.row)],
        )),
      )
    }
  }

  /** A record has taken the key of a row that was to create one. */
  #appeared(row: number, onDrift: 'SKIP_ROW' | 'FAIL_RUN'): void {
    const message = `When the plan was made, no other ${this.#label()} had the external id of this row; now one has.`
    if (onDrift === 'FAIL_RUN') {
      throw new FatalError('DRIFTED_SINCE_PLAN', `Row ${row}: ${message} onDrift is FAIL_RUN.`)
    }
    this.#drifted(row, message, onDrift)
  }

  #driftMessage(drift: 'APPEARED' | 'GONE' | 'CHANGED'): string {
    switch (drift) {
      case 'APPEARED':
        return `When the plan was made, no ${this.#label()} matched this row; now one does.`
      case 'GONE':
        return `The ${this.#label()} that this row meant when the plan was made is not the one that it matches now.`
      case 'CHANGED':
        return `The ${this.#label()} of this row was changed after the plan was made.`
    }
  }

  #drifted(row: number, message: string, onDrift: 'SKIP_ROW' | 'APPLY'): void {
    this.#issue(
      row,
      'DRIFTED_SINCE_PLAN',
      'WARNING',
      `${message} ${onDrift === 'APPLY' ? 'It was applied to what there is now.' : 'It was left out.'}`,
      onDrift === 'APPLY' ? null : 'Look at the record, then import the row again.',
    )
  }

  /**
   * Whether every record still stood at the planned version when it was written, or where this run had left it: somebody may
   * have changed one between the look at it and the write. Then the chunk is undone and tried again, and the look finds the change.
   */
  async #checkVersions(): Promise<void> {
    const { firstRow, lastRow } = this.#chunk
    const between = await this.#tx.query(
      // A record that the run has made stands at version 1 until it is changed.
      `select from expected e join run_change c on c.tenant_id = $1 and c.run_id = $2 and c.row_number = e.row_number
       where e.version <> ${SEVERAL_RECORDS} and c.row_number between $3 and $4 and c.record_type = $5 and c.before_version <> coalesce(
         (select max(p.after_version) from run_change p
          where p.tenant_id = $1 and p.run_id = any ($6) and p.record_id = c.record_id and (p.run_id <> $2 or p.row_number < c.row_number)),
         nullif(e.version, ${OWN_RECORD}), 1)
       limit 1`,
      [
        this.#tx.tenantId,
        this.#plan.runId,
        firstRow,
        lastRow,
        this.#plan.recordType.name,
        this.#plan.plannedWith ?? [this.#plan.runId],
      ],
    )
    if (between.length > 0) {
      throw raced()
    }
  }

  /**
   * Copies the rows into the stage. A value that the column's type does not take should have been an issue of its row long
   * before; if one gets here, its row fails and the others go on, instead of the chunk failing for ever.
   */
  async #stage(): Promise<{ row: number; byte: number }[]> {
    const refused: { row: number; byte: number }[] = []
    let copy = this.#chunk.copy
    for (;;) {
      await this.#tx.query('savepoint staging')
      try {
        await this.#tx.copyIn(stageCopy(this.#plan), copy)
        await this.#stageCopies()
        await this.#tx.query('release savepoint staging')
        return refused
      } catch (error) {
        const line = copyLineOf(error)
        if (line === null || refused.length === REFUSED_ROWS) {
          throw error
        }
        await this.#tx.query('rollback to savepoint staging')
        const lines = Buffer.concat(copy).toString().split('\n')
        const [row = '', , byte = ''] = (lines[line - 1] ?? '').split('\t')
        lines.splice(line - 1, 1)
        copy = [Buffer.from(lines.join('\n'))]
        refused.push({ row: Number(row), byte: Number(byte) })
        this.#issue(
          Number(row),
          'INTERNAL',
          'ERROR',
          'The row could not be processed: the database does not take one of its values.',
          'Correct the row, or leave out its unusual values.',
        )
      }
    }
  }

  async #stageCopies(): Promise<void> {
    const { copies = [] } = this.#chunk
    if (copies.length === 0) {
      return
    }
    const columns = ['byte', 'missing', 'cleared', ...this.#plan.stageColumns.map((column) => column.name)]
    await this.#tx.execute(
      `insert into stage (row_number, id, pass, ${columns.join(', ')})
       select x.row_number, x.id, s.pass + x.behind, ${columns.map((column) => `s.${column}`).join(', ')}
       from unnest($1::bigint[], $2::bigint[], $3::int[], $4::uuid[]) as x (row_number, of_row, behind, id) join stage s on s.row_number = x.of_row`,
      [
        copies.map(({ row }) => row),
        copies.map(({ of }) => of),
        copies.map(({ behind }) => (behind ? 1 : 0)),
        copies.map(() => newId()),
      ],
    )
  }

  /** Whether a row that means an existing record may change it. */
  #changes(): boolean {
    return this.#plan.operation === 'DELETE' || (this.#plan.onDuplicate !== 'SKIP' && this.#plan.onDuplicate !== 'FAIL')
  }

  /**
   * Whether every staged row names an existing record by its external id and changes nothing of it. That holds for each of
   * them by itself, so it holds for all of them one after the other, whatever they share.
   */
  async #isUnchanged(refused: number): Promise<boolean> {
    const { firstRow, lastRow, staged, warned } = this.#chunk
    if (
      this.#sql.unchanged === null ||
      !this.#state.unchanging ||
      refused > 0 ||
      warned.length > 0 ||
      // A run that is bound by a plan looks at the version of every record.
      this.#plan.onDrift !== null
    ) {
      return false
    }
    const params = [this.#tx.tenantId, firstRow, lastRow]
    return (await one<{ rows: number }>(this.#tx, this.#sql.unchanged, params)).rows === staged
  }

  async #hasIdentities(): Promise<boolean> {
    if (this.#sql.matchIdentities === null || this.#plan.rules.every((rule) => rule[0] !== 'externalId')) {
      return false
    }
    const found = await one<{ some: boolean }>(
      this.#tx,
      'select exists (select from record_identity where tenant_id = $1 and record_type = $2) as some',
      [this.#tx.tenantId, this.#plan.recordType.name],
    )
    return found.some
  }

  #params(from: number, to: number, firstPass: number, lastPass = firstPass): unknown[] {
    return [this.#tx.tenantId, from, to, firstPass, lastPass]
  }

  async #match(from: number, to: number, firstPass: number, lastPass: number, identities: boolean): Promise<number> {
    if (this.#plan.onDuplicate === 'CREATE' && this.#plan.operation === 'UPSERT') {
      return 0
    }
    const params = this.#params(from, to, firstPass, lastPass)
    let hits = 0
    for (const [number, rule] of this.#plan.rules.entries()) {
      if (hits === this.#chunk.staged) {
        // Every row has its record: the rules behind this one are for those without.
        break
      }
      const found = await this.#tx.execute(this.#sql.match(number, { hits: hits > 0, verdicts: this.#decided }), params)
      hits += found
      this.#foundByOtherKeys ||= found > 0 && !(rule.length === 1 && rule[0] === 'externalId')
      if (identities && rule[0] === 'externalId' && this.#sql.matchIdentities !== null) {
        hits += await this.#tx.execute(this.#sql.matchIdentities, params)
      }
    }
    return hits
  }

  /**
   * Last row up to which rows can be taken together: before the first row that means a record which an earlier row of the
   * same or a later pass means as well (found by another key, so the reader could not know).
   */
  async #stretchEnd(from: number, to: number): Promise<number> {
    const found = await one<{ row: number | null }>(
      this.#tx,
      // A row that only refers to a record clashes with an earlier one that may change it, but not the other way round.
      `select min(row_number) as row from (
         select m.row_number, s.pass <= max(s.pass) filter (where m.means) over (partition by m.record_id order by m.row_number
           range between unbounded preceding and 1::bigint preceding) as clash
         from (select row_number, record_id, true as means from hit
               union all select row_number, other_id, true from hit where other_id is not null
               union all select row_number, record_id, false from link where field = any ($3)
               ${this.#sql.near.map((select) => `union all ${select}`).join(' ')}) m
           join stage s on s.row_number = m.row_number
         where m.row_number between $1 and $2) x where clash`,
      this.#sql.near.length === 0
        ? [from, to, this.#ownReferences]
        : [from, to, this.#ownReferences, this.#tx.tenantId],
    )
    return found.row === null ? to : found.row - 1
  }

  /** Rows of a later pass see what the passes before have done. */
  async #rematch(from: number, to: number, pass: number, identities: boolean): Promise<number> {
    const params = this.#params(from, to, pass)
    await this.#tx.query(
      'delete from hit h using stage s where s.row_number = h.row_number and s.row_number between $1 and $2 and s.pass = $3',
      [from, to, pass],
    )
    if (this.#sql.links.length > 0) {
      await this.#tx.query(
        `delete from link l using stage s where s.row_number = l.row_number and s.row_number between $1 and $2 and s.pass = $3
           and not l.field = any ($4::text[])`,
        [from, to, pass, this.#given.links.map(({ path }) => path)],
      )
      for (const link of this.#sql.links) {
        await this.#tx.execute(link.sql, params)
      }
    }
    const hits = await this.#match(from, to, pass, pass, identities)
    if (hits > 0) {
      const later = await this.#tx.query<{ row: number }>(
        `select row_number as row from (
           select h.row_number, row_number() over (partition by h.record_id order by h.row_number) as nth
           from hit h join stage s on s.row_number = h.row_number
           where h.row_number between $1 and $2 and s.pass = $3 and h.n = 1) x where nth > 1`,
        [from, to, pass],
      )
      if (later.length > 0) {
        await this.#postpone(
          pass,
          later.map((row) => row.row),
        )
      }
    }
    return hits
  }

  /** Moves rows into a new pass right after `pass`. */
  async #postpone(pass: number, rows: readonly number[]): Promise<void> {
    await this.#tx.query('update stage set pass = pass + 1 where pass > $1', [pass])
    await this.#tx.query('update stage set pass = $1 where row_number = any ($2::bigint[])', [pass + 1, rows])
    await this.#tx.query('delete from hit where row_number = any ($1::bigint[])', [rows])
    this.#lastPass += 1
  }

  async #links(from: number, to: number): Promise<void> {
    for (const link of this.#sql.links) {
      await this.#tx.execute(link.sql, this.#params(from, to, 0, ALL_PASSES))
    }
  }

  /** Decides the rows that mean an existing record. Answers how many records were changed. */
  async #settleHits(from: number, to: number, pass: number, all: boolean): Promise<number> {
    const params = this.#params(from, to, pass)
    await this.#decide(
      `select s.row_number, 'FAILED', null::text[] from stage s join hit h on h.row_number = s.row_number where ${stretch} and h.n > 1 and ${open}`,
      params,
      (row) =>
        this.#issue(
          row,
          'AMBIGUOUS_MATCH',
          'ERROR',
          `More than one ${this.#label()} matches this row, so none was changed.`,
          'Merge or tell apart the existing records, or match on a field that is unique.',
        ),
    )
    if (this.#sql.links.length > 0 && this.#plan.operation !== 'DELETE') {
      await this.#missingLinks(from, to, pass)
    }
    await this.#warnOfOthers(params)
    let changed = 0
    if (this.#plan.operation === 'DELETE') {
      await this.#tx.query(this.#sql.lockHits, params)
      await this.#spareEdited(params)
      changed = await this.#tx.execute(this.#sql.remove, [...params, this.#plan.runId])
      this.#decided ||= changed > 0
      // Found, and gone before it could be deleted here.
      await this.#skipUnfound(`${stretch} and ${open}`, params)
      return changed
    }
    if (this.#plan.onDuplicate === 'SKIP' || this.#plan.onDuplicate === 'FAIL') {
      await this.#refuseDuplicates(params, this.#plan.onDuplicate)
      return 0
    }
    if (this.#state.holds) {
      await this.#tx.query(this.#sql.lockHits, params)
    }
    await this.#keepEdited(params)
    if (this.#sql.update !== '') {
      changed += await this.#guarded(from, to, pass, 'updated', (low, high) =>
        this.#tx.execute(this.#sql.update, [...this.#params(low, high, pass), this.#plan.runId]),
      )
    }
    if (this.#sql.identities !== null && this.#foundByOtherKeys) {
      // Joins what it has written back to the hits, for which there is no index: the one place where hashing is right.
      await this.#tx.query("select set_config('enable_hashjoin', 'on', true)")
      changed += await this.#tx.execute(this.#sql.identities, [...params, this.#plan.runId])
      await this.#tx.query("select set_config('enable_hashjoin', 'off', true)")
    }
    if (all && changed === 0 && !this.#decided && this.#issues.length === 0) {
      this.#allUnchanged = true
      return 0
    }
    this.#decided = true
    await this.#tx.execute(
      `insert into verdict (row_number, outcome, record_id)
       select s.row_number, 'UNCHANGED', h.record_id from stage s join hit h on h.row_number = s.row_number
       where ${stretch} and h.n = 1 and ${open} and $1::uuid is not null`,
      params,
    )
    return changed
  }

  async #refuseDuplicates(params: readonly unknown[], policy: 'SKIP' | 'FAIL'): Promise<void> {
    const outcome = policy === 'SKIP' ? 'SKIPPED' : 'FAILED'
    const rows = await this.#tx.query<{ row_number: number; rule: number; own: boolean }>(
      `with d as (
         insert into verdict (row_number, outcome, record_id)
         select s.row_number, '${outcome}', h.record_id from stage s join hit h on h.row_number = s.row_number
         where ${stretch} and h.n = 1 and ${open} and $1::uuid is not null
         returning row_number, record_id)
       select d.row_number, h.rule, coalesce(r.created_run_id = $6, false) as own
       from d join hit h on h.row_number = d.row_number
         left join ${this.#plan.recordType.table} r on r.tenant_id = $1 and r.id = d.record_id`,
      [...params, this.#plan.runId],
    )
    this.#decided ||= rows.length > 0
    for (const row of rows) {
      const by = (this.#plan.rules[row.rule] ?? []).join(' and ')
      const what = row.own
        ? `An earlier row of this file has the same ${by}`
        : `A ${this.#label()} with the same ${by} exists already`
      this.#issue(
        row.row_number,
        row.own ? 'DUPLICATE_IN_FILE' : 'DUPLICATE_RECORD',
        policy === 'SKIP' ? 'WARNING' : 'ERROR',
        `${what}; onDuplicate is ${policy}.`,
        null,
      )
    }
  }

  /** Decides the rows that mean no existing record: creations, unless something forbids it. */
  async #settleOthers(from: number, to: number, pass: number, clean: boolean): Promise<void> {
    const params = this.#params(from, to, pass)
    await this.#failUnknown(params)
    const unmatched = `${stretch} and ${open} and not exists (select from hit h where h.row_number = s.row_number)`
    if (this.#plan.operation !== 'UPSERT') {
      await this.#skipUnfound(unmatched, params)
      return
    }
    if (clean && this.#sql.links.length > 0) {
      await this.#missingLinks(from, to, pass)
    }
    await this.#decide(
      `select s.row_number, 'FAILED', s.missing from stage s where ${unmatched} and s.missing is not null`,
      params,
      (row, missing) => {
        for (const field of missing ?? []) {
          this.#issue(
            row,
            'REQUIRED_MISSING',
            'ERROR',
            `A new ${this.#label()} needs ${field}, and this row has none.`,
            `Fill the column of ${field}, or map a default value to it.`,
            field,
          )
        }
      },
    )
    if (this.#state.checks !== null) {
      await this.#tryChecks(from, to, pass, 'created')
    }
    const bare = clean && !this.#decided
    await this.#guarded(from, to, pass, 'created', async (low, high) => {
      const inserted = await this.#tx.execute(
        this.#sql.insert({ clean: bare && !this.#decided, yielding: this.#yielding }),
        [...this.#params(low, high, pass), this.#plan.runId],
      )
      if (this.#yielding) {
        await this.#afterInsert(low, high, pass)
      }
      return inserted
    })
  }

  /** Whether rows may name their record by its id here. Where every row makes a record of its own, ids mean nothing. */
  #namesRecords(): boolean {
    return this.#sql.namedId !== null && !(this.#plan.onDuplicate === 'CREATE' && this.#plan.operation === 'UPSERT')
  }

  /** Rows that name a record which is not there, and mean no other: what was meant to be changed is not made anew. */
  async #failUnknown(params: readonly unknown[]): Promise<void> {
    if (!this.#namesRecords() || this.#plan.operation !== 'UPSERT') {
      return
    }
    const rows = await this.#tx.query<{ row: number; id: string }>(
      `select s.row_number as row, s.${this.#sql.namedId} as id from stage s
       where ${stretch} and ${open} and $1::uuid is not null and s.${this.#sql.namedId} is not null
         and not exists (select from hit h where h.row_number = s.row_number) order by 1`,
      params,
    )
    for (const { row, id } of rows) {
      this.#issue(
        row,
        'RECORD_NOT_FOUND',
        'ERROR',
        `No ${this.#label()} has this id, or none any more, and nothing else in the row matches one.`,
        `Empty the id if the row is to create a ${this.#label()}, or leave the column out of the mapping.`,
        ID_FIELD,
        encodeId(this.#plan.recordType.name, id),
      )
    }
    await this.#fail(rows.map(({ row }) => row))
  }

  /** Rows that name a record which is not there, and mean another one by their other fields: they say so. */
  async #warnOfOthers(params: readonly unknown[]): Promise<void> {
    if (!this.#namesRecords()) {
      return
    }
    const rows = await this.#tx.query<{ row: number; id: string; rule: number }>(
      `select s.row_number as row, s.${this.#sql.namedId} as id, h.rule from hit h join stage s on s.row_number = h.row_number
       where ${stretch} and ${open} and $1::uuid is not null and h.n = 1 and s.${this.#sql.namedId} <> h.record_id order by 1`,
      params,
    )
    for (const { row, id, rule } of rows) {
      const by = (this.#plan.rules[rule] ?? []).join(' and ')
      this.#issue(
        row,
        'RECORD_NOT_FOUND',
        'WARNING',
        `No ${this.#label()} has this id, or none any more; the row was taken for the one with the same ${by}.`,
        null,
        ID_FIELD,
        encodeId(this.#plan.recordType.name, id),
      )
    }
  }

  /** Rows of an operation that creates nothing, and for which there is nothing. */
  async #skipUnfound(where: string, params: readonly unknown[]): Promise<void> {
    await this.#decide(`select s.row_number, 'SKIPPED', null::text[] from stage s where ${where}`, params, (row) =>
      this.#issue(
        row,
        'RECORD_NOT_FOUND',
        'WARNING',
        `No ${this.#label()} matches this row; the operation is ${this.#plan.operation}, which creates none.`,
        null,
      ),
    )
  }

  /** Rows that another record's unique key kept out: they are matched again, and fail if that finds nothing either. */
  async #afterInsert(from: number, to: number, pass: number): Promise<void> {
    const rows = await this.#tx.query<{ row: number }>(
      `select s.row_number as row from stage s
       where ${stretch} and ${open} and not exists (select from hit h where h.row_number = s.row_number)
         and ${this.#sql.kept} and not exists (select from ${this.#plan.recordType.table} r where r.tenant_id = $1 and r.id = s.id)`,
      this.#params(from, to, pass),
    )
    if (rows.length === 0) {
      return
    }
    const numbers = rows.map((row) => row.row)
    const rematchable = this.#plan.onDuplicate !== 'CREATE' && this.#plan.rules.some((rule) => rule[0] === 'externalId')
    const again = rematchable ? numbers.filter((row) => !this.#postponed.has(row)) : []
    const refused = numbers.filter((row) => !again.includes(row))
    if (again.length > 0) {
      for (const row of again) {
        this.#postponed.add(row)
      }
      await this.#postpone(pass, again)
    }
    if (refused.length > 0) {
      const { onDrift } = this.#plan
      // Those that the plan knew of have their outcome already.
      const drifted = onDrift === 'SKIP_ROW' || onDrift === 'FAIL_RUN'
      await this.#fail(refused, drifted ? 'SKIPPED' : 'FAILED')
      for (const row of refused) {
        if (drifted) {
          this.#appeared(row, onDrift)
          continue
        }
        this.#issue(
          row,
          'DUPLICATE_RECORD',
          'ERROR',
          `Another ${this.#label()} has the same external id in the same source system, so this row could not create one.`,
          null,
        )
      }
    }
  }

  readonly #postponed = new Set<number>()

  /** Relations of rows to records that are not there yet. */
  readonly #pending: { readonly row: number; readonly field: string; readonly key: string; readonly value: string }[] =
    []

  /**
   * Notes the relations that wait for their record, and forgets those of records that have got their link now. A relation
   * under FILL_BLANKS does not wait where the record refers to another one already.
   */
  async #keepPending(): Promise<void> {
    if (this.#sql.links.length > 0) {
      const some = await one<{ some: boolean }>(
        this.#tx,
        'select exists (select from pending_relation where tenant_id = $1 and record_type = $2) as some',
        [this.#tx.tenantId, this.#plan.recordType.name],
      )
      if (some.some) {
        // Kept as it was, for the rollback of this import.
        await this.#tx.query(
          `with gone as (
             delete from pending_relation p using link l join verdict v on v.row_number = l.row_number
             where l.n = 1 and v.outcome in ('UPDATED', 'UNCHANGED') and p.tenant_id = $1 and p.record_type = $2 and p.record_id = v.record_id and p.field = l.field
             returning p.*)
           insert into pending_relation_was (tenant_id, run_id, record_type, record_id, field, before)
           select distinct on (g.record_id, g.field) $1, $3, g.record_type, g.record_id, g.field, to_jsonb(g) from gone g where g.run_id <> $3
           on conflict do nothing`,
          [this.#tx.tenantId, this.#plan.recordType.name, this.#plan.runId],
        )
      }
    }
    const systemColumn = this.#plan.stageColumns.find(
      (column) => column.role === 'value' && column.field === 'sourceSystem',
    )?.name
    const system =
      systemColumn === undefined
        ? text(this.#plan.sourceSystem)
        : `coalesce(s.${systemColumn}, ${text(this.#plan.sourceSystem)})`
    const named = referenceIdentity(this.#plan, 'x.value', system)
    const byExternalId = `x.key = 'externalId'`
    for (const [name, waiting] of Map.groupBy(this.#pending, (relation) => relation.field)) {
      const field = fieldNamed(this.#plan.recordType, name)
      await this.#tx.query(
        // Not coalesce: behind row-level security the planner would not use it for an index, and go through the whole table.
        `with wanted as (
         select distinct on (r.id) r.id as record_id, x.row_number, x.key,
           case when ${byExternalId} then ${named.id} else x.value end as value, case when ${byExternalId} then ${named.system} else ${system} end as source_system, r.${field.column} as was
         from unnest($6::bigint[], $7::text[], $8::text[]) as x (row_number, key, value)
           join stage s on s.row_number = x.row_number left join verdict v on v.row_number = s.row_number
           cross join lateral (select id, ${field.column} from ${this.#plan.recordType.table} r
             where r.tenant_id = (select $1::uuid) and r.id = case when v.record_id is null then s.id else v.record_id end limit 1) r
         where coalesce(v.outcome, 'CREATED') in ('CREATED', 'UPDATED', 'UNCHANGED')
           and ($9 or r.${field.column} is null)
         order by r.id, x.row_number desc),
         -- What another import had waiting for the same field is kept, for the rollback of this one.
         taken as (
           insert into pending_relation_was (tenant_id, run_id, record_type, record_id, field, before)
           select $1, $4, $2, p.record_id, $3, to_jsonb(p) from wanted w
             join pending_relation p on p.tenant_id = (select $1::uuid) and p.record_type = $2 and p.record_id = w.record_id and p.field = $3
           where p.run_id <> $4 on conflict do nothing)
         insert into pending_relation (tenant_id, record_type, record_id, field, run_id, row_number, to_type, key, value, source_system, was)
         select $1, $2, w.record_id, $3, $4, w.row_number, $5, w.key, w.value, w.source_system, w.was from wanted w
         on conflict (tenant_id, record_type, record_id, field) do update set run_id = excluded.run_id, row_number = excluded.row_number,
           to_type = excluded.to_type, key = excluded.key, value = excluded.value, source_system = excluded.source_system, was = excluded.was,
           settled_at = null, settled_by_run = null`,
        [
          this.#tx.tenantId,
          this.#plan.recordType.name,
          name,
          this.#plan.runId,
          field.reference?.to,
          waiting.map(({ row }) => row),
          waiting.map(({ key }) => key),
          waiting.map(({ value }) => value),
          this.#plan.onDuplicate !== 'FILL_BLANKS',
        ],
      )
    }
  }

  /** References to records of the type that is being written. */
  readonly #ownReferences: readonly string[]

  /** Rows whose unique key is taken step aside instead of raising: from the first time that one was, or if nothing is matched. */
  #yielding: boolean

  async #missingLinks(from: number, to: number, pass: number): Promise<void> {
    for (const link of groupLinks(this.#sql.links)) {
      // What people know it by is told rather than its id.
      const told = [...link.keys.filter((key) => key !== ID_FIELD), ...link.keys.filter((key) => key === ID_FIELD)]
      const columns = told.map((key) => ({
        key,
        column:
          this.#plan.stageColumns.find((c) => c.role === 'key' && c.field === link.field && c.key === key)?.name ?? '',
      }))
      const rows = await this.#tx.query<{ row: number; value: string; key: string; many: boolean }>(
        `select s.row_number as row, coalesce(l.n, 0) > 1 as many,
           ${`coalesce(${columns.map((c) => `s.${c.column}`).join(', ')})`} as value,
           case ${columns.map((c) => `when s.${c.column} is not null then ${text(c.key)}`).join(' ')} end as key
         from stage s left join link l on l.row_number = s.row_number and l.field = $6
         where ${stretch} and ${open} and $1::uuid is not null and (${columns.map((c) => `s.${c.column} is not null`).join(' or ')}) and coalesce(l.n, 0) <> 1
           and not exists (${this.#linkedAlready(link.field, columns)})
           ${this.#plan.operation === 'UPSERT' ? '' : 'and exists (select from hit h where h.row_number = s.row_number)'}`,
        [...this.#params(from, to, pass), link.field],
      )
      const failed: number[] = []
      const drifted =
        link.field === 'ownerEmail'
          ? null
          : await this.#newlyMissing(
              link.field,
              rows.map((row) => row.row),
            )
      for (const row of rows) {
        if (drifted?.has(row.row) === true) {
          continue
        }
        const owner = link.field === 'ownerEmail'
        const named = row.key === ID_FIELD
        // An id is given by us: no record to come will have it.
        const pending = !owner && !row.many && !named && this.#plan.onMissingRelation === 'KEEP_PENDING'
        const drop =
          owner ||
          pending ||
          this.#plan.onMissingRelation === 'DROP_LINK' ||
          (named && this.#plan.onMissingRelation === 'KEEP_PENDING')
        const value = named ? encodeId(this.#toType(link.field), row.value) : row.value
        const name = owner ? 'ownerEmail' : `${link.field}.${row.key}`
        const message = owner
          ? `No active member of this tenant has the e-mail "${row.value}"; the record got ${this.#plan.defaultOwnerId === null ? 'no owner' : 'the default owner'}.`
          : row.many
            ? `More than one ${link.field} has ${row.key} "${value}".`
            : `No ${link.field} has ${row.key} "${value}".`
        this.#issue(
          row.row,
          owner ? 'OWNER_NOT_FOUND' : row.many ? 'RELATION_AMBIGUOUS' : 'RELATION_NOT_FOUND',
          drop ? 'WARNING' : 'ERROR',
          pending
            ? `${message} The link is made when it is imported.`
            : drop && !owner
              ? `${message} The link was left out.`
              : message,
          owner || pending
            ? null
            : 'Import the related records first, or set onMissingRelation to CREATE or KEEP_PENDING.',
          name,
          value,
        )
        if (pending) {
          this.#pending.push({ row: row.row, field: link.field, key: row.key, value: row.value })
        }
        if (!drop) {
          failed.push(row.row)
        }
      }
      if (failed.length > 0) {
        await this.#fail(failed)
      }
    }
  }

  /** The record type that a field refers to. */
  #toType(field: string): RecordTypeName {
    const to = fieldNamed(this.#plan.recordType, field).reference?.to ?? 'member'
    if (to === 'member') {
      throw new Error(`${field} is no relation to a record`)
    }
    return to
  }

  /**
   * SQL that finds something for rows whose record has the link that they name, though it could not be made today: the member is
   * not active any more, the record deleted, or one of several. What is so stays so.
   */
  #linkedAlready(name: string, keys: readonly { readonly key: string; readonly column: string }[]): string {
    const { recordType: type } = this.#plan
    const field = fieldNamed(type, name)
    const to = field.reference?.to ?? 'member'
    const same = keys.flatMap(({ key, column }) =>
      key === ID_FIELD
        ? [`r.${field.column} = s.${column}::uuid`]
        : // In a plan the table of the type itself holds only what can be found.
          to === type.name
          ? []
          : [
              `exists (select from ${to} x where x.tenant_id = $1 and x.id = r.${field.column} and x.${snakeCase(key)} = s.${column})`,
            ],
    )
    return `select from hit h join ${type.table} r on r.tenant_id = $1 and r.id = h.record_id
             where h.row_number = s.row_number and h.n = 1 and (${same.length === 0 ? 'false' : same.join(' or ')})`
  }

  /** Rows of a run bound by a plan that had their relation when the plan was made: they are left out. */
  async #newlyMissing(field: string, rows: readonly number[]): Promise<ReadonlySet<number> | null> {
    const { onDrift } = this.#plan
    if (onDrift === null || onDrift === 'APPLY' || rows.length === 0) {
      return null
    }
    const known = await this.#tx.query<{ row: number }>(
      `select row_number as row from plan_issue where tenant_id = $1 and run_id = $2 and row_number = any ($3::bigint[])
         and code in ('RELATION_NOT_FOUND', 'RELATION_AMBIGUOUS') and split_part(field, '.', 1) = $4`,
      [this.#tx.tenantId, this.#plan.runId, rows, field],
    )
    const planned = new Set(known.map((row) => row.row))
    const drifted = rows.filter((row) => !planned.has(row))
    const message = 'The record that this row refers to was there when the plan was made, and is not to be found now.'
    for (const row of drifted) {
      if (onDrift === 'FAIL_RUN') {
        throw new FatalError('DRIFTED_SINCE_PLAN', `Row ${row}: ${message} onDrift is FAIL_RUN.`)
      }
      this.#drifted(row, message, onDrift)
    }
    await this.#fail(drifted, 'SKIPPED')
    return new Set(drifted)
  }

  async #fail(rows: readonly number[], outcome: 'FAILED' | 'SKIPPED' = 'FAILED'): Promise<void> {
    if (rows.length === 0) {
      return
    }
    this.#decided = true
    await this.#tx.execute(
      'insert into verdict (row_number, outcome) select unnest($1::bigint[]), $2 on conflict do nothing',
      [rows, outcome],
    )
  }

  /** Gives the selected rows (row number, outcome, missing fields) their verdict and reports each of them. */
  async #decide(
    select: string,
    params: readonly unknown[],
    report: (row: number, missing: readonly string[] | null) => void,
  ): Promise<void> {
    const rows = await this.#tx.query<{ row_number: number; missing: string[] | null }>(
      `with d (row_number, outcome, missing) as (${select}),
         w as (insert into verdict (row_number, outcome) select row_number, outcome from d)
       select row_number, missing from d where $1::uuid is not null order by 1`,
      params,
    )
    this.#decided ||= rows.length > 0
    for (const row of rows) {
      report(row.row_number, row.missing)
    }
  }

  /**
   * A write that may hit a constraint. The rows to blame are found set-based for CHECK constraints (each is tried on the
   * rows as they would stand) and by halving for anything else; the rest is written.
   */
  async #guarded(
    from: number,
    to: number,
    pass: number,
    kind: 'created' | 'updated',
    write: (from: number, to: number) => Promise<number>,
  ): Promise<number> {
    await this.#tx.query('savepoint guarded')
    const issues = this.#issues.length
    const postponed = this.#lastPass
    try {
      const written = await write(from, to)
      await this.#tx.query('release savepoint guarded')
      return written
    } catch (error) {
      const state = sqlState(error) ?? ''
      // Data exceptions and integrity violations, and what a trigger may raise: these are a row's own fault.
      if (!/^(22|23|P0001)/.test(state)) {
        throw error
      }
      await this.#tx.query('rollback to savepoint guarded')
      this.#issues.length = issues
      this.#lastPass = postponed
      if (state === UNIQUE_VIOLATION && kind === 'created' && !this.#yielding) {
        // Somebody took a key since it was looked for.
        this.#yielding = true
        return this.#guarded(from, to, pass, kind, write)
      }
      if (state === '23514') {
        // The other lane may have learned of the constraints meanwhile; the rows of this one have not been tried on them.
        this.#state.checks ??= await this.#loadChecks()
        if ((await this.#tryChecks(from, to, pass, kind)) > 0) {
          return this.#guarded(from, to, pass, kind, write)
        }
      }
      if (from === to) {
        const message = this.#constraintMessage(constraintOf(error))
        await this.#fail([from])
        this.#issue(from, 'CONSTRAINT_VIOLATION', 'ERROR', message, null)
        return 0
      }
      const middle = from + Math.floor((to - from) / 2)
      const lower = await this.#guarded(from, middle, pass, kind, write)
      return lower + (await this.#guarded(middle + 1, to, pass, kind, write))
    }
  }

  async #loadChecks(): Promise<{ name: string; sql: string }[]> {
    return this.#tx.query<{ name: string; sql: string }>(
      `select conname as name, pg_get_expr(conbin, conrelid) as sql from pg_constraint
       where conrelid = $1::regclass and contype = 'c' order by conname`,
      [this.#plan.recordType.table],
    )
  }

  async #tryChecks(from: number, to: number, pass: number, kind: 'created' | 'updated'): Promise<number> {
    // Constraints over columns that no field feeds (version, tenant) cannot be broken by a row and are not in the projection.
    const columns = new Set(this.#plan.recordType.fields.map((field) => field.column))
    const checks = (this.#state.checks ?? []).filter((check) => mentionsOnly(check.sql, columns))
    if (checks.length === 0) {
      return 0
    }
    const rows = await this.#tx.query<{ row: number; name: string }>(
      `select p.row_number as row, c.name from (${this.#sql.projection(kind)}) p
       cross join lateral (values ${checks.map((check) => `(${text(check.name)}, (${check.sql}))`).join(', ')}) as c (name, ok)
       where c.ok is false and $1::uuid is not null order by 1`,
      this.#params(from, to, pass),
    )
    if (rows.length > 0) {
      await this.#fail(rows.map((row) => row.row))
      for (const row of rows) {
        this.#issue(row.row, 'CONSTRAINT_VIOLATION', 'ERROR', this.#constraintMessage(row.name), null)
      }
    }
    return rows.length
  }

  #constraintMessage(constraint: string | null): string {
    const table = this.#plan.recordType.table
    const check = this.#plan.recordType.checks.find((candidate) => `${table}_${candidate.name}` === constraint)
    return check?.message ?? `The database does not accept this ${this.#label()}: a rule on its values refuses it.`
  }

  #label(): string {
    return this.#plan.recordType.label.toLowerCase()
  }

  #issue(
    row: number,
    code: IssueCode,
    severity: IssueSeverity,
    message: string,
    suggestion: string | null,
    field: string | null = null,
    value: string | null = null,
  ): void {
    this.#issues.push({
      row,
      column: null,
      field,
      code,
      severity,
      value: value === null ? null : value.slice(0, 500),
      message,
      suggestion,
    })
  }

  async #tally(refused: readonly { readonly row: number; readonly byte: number }[]): Promise<AppliedChunk> {
    const tally = { UPDATED: 0, UNCHANGED: 0, SKIPPED: 0, FAILED: 0, DELETED: 0, RACED: 0 }
    let decided = 0
    if (this.#decided) {
      for (const row of await this.#tx.query<{ outcome: keyof typeof tally; n: number }>(
        'select outcome, count(*) as n from verdict group by 1',
      )) {
        tally[row.outcome] = row.n
        decided += row.n
      }
    }
    if (tally.RACED > 0) {
      throw raced()
    }
    const created = this.#chunk.staged - refused.length - decided
    if (created > 0 && this.#plan.operation !== 'UPSERT') {
      throw new Error(`${created} rows of an operation that creates nothing have no outcome`)
    }
    return {
      created,
      updated: tally.UPDATED,
      unchanged: tally.UNCHANGED,
      skipped: tally.SKIPPED,
      failed: tally.FAILED + refused.length,
      deleted: tally.DELETED,
      issues: this.#issues,
      refused,
      whole: decided > 0 || refused.length > 0 ? null : 'CREATED',
    }
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function raced(): RetryableError {
  return new RetryableError('RECORD_CHANGED', 'A record was changed while its row was being written.')
}

function groupLinks(
  links: readonly { readonly field: string; readonly key: string }[],
): { field: string; keys: string[] }[] {
  const groups = new Map<string, string[]>()
  for (const link of links) {
    groups.set(link.field, [...(groups.get(link.field) ?? []), link.key])
  }
  return [...groups].map(([field, keys]) => ({ field, keys }))
}

/** Whether a constraint's expression names no column but these. Function names and casts do not matter: only identifiers that are columns of the table could. */
function mentionsOnly(sql: string, columns: ReadonlySet<string>): boolean {
  const others = [
    'tenant_id',
    'custom_fields',
    'version',
    'pristine_version',
    'created_at',
    'updated_at',
    'deleted_at',
    'created_run_id',
    'created_row',
  ]
  const words = new Set(sql.replaceAll(/'(?:[^']|'')*'/g, '').match(/[a-z_][a-z0-9_]*/g) ?? [])
  return !others.some((column) => words.has(column)) && [...words].some((word) => columns.has(word))
}

/** The line of a COPY that an error is about, counted from 1; null if it is about something else. */
function copyLineOf(error: unknown): number | null {
  const state = sqlState(error) ?? ''
  const where = typeof error === 'object' && error !== null && 'where' in error ? String(error.where) : ''
  const line = state.startsWith('22') ? /^COPY stage, line (\d+)/.exec(where)?.[1] : undefined
  return line === undefined ? null : Number(line)
}
