/** Pairs of records that look like one: kept as they are found, listed, and decided. */
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { encodeId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { mergeRecords, undoMerge } from './merge-records.js'
import { recordChanged } from './outbox.js'
import type { Page, PageRequest } from './types.js'

/** What people have said of a pair; OPEN: nothing yet. */
export type DuplicateDecision = 'OPEN' | 'MERGED' | 'DISTINCT'

/** A pair as it is kept. `leftId` is the older record. */
export interface DuplicatePairRow {
  readonly id: string
  readonly recordType: RecordTypeName
  readonly leftId: string
  readonly rightId: string
  /** 0 to 1. */
  readonly score: number
  /** Which fields are alike; never their values. */
  readonly reasons: readonly string[]
  readonly decision: DuplicateDecision
  /** The import that brought the pair, and its row; null where an edit or the first search of all records did. */
  readonly runId: string | null
  readonly rowNumber: number | null
}

/** A pair that a search has found. */
export interface FoundPair {
  readonly leftId: string
  readonly rightId: string
  readonly score: number
  readonly reasons: readonly string[]
  readonly rowNumber: number | null
}

const columns = `p.id, p.record_type as "recordType", p.left_id as "leftId", p.right_id as "rightId", p.score, p.reasons, p.decision,
  p.run_id as "runId", p.row_number::float8 as "rowNumber"`

/** SQL that is true while both records of the pair `p` are there. */
const bothLive = `case p.record_type ${(['contact', 'lead', 'property'] as const)
  .map(
    (type) =>
      `when '${type}' then (select count(*) from ${type} r where r.tenant_id = p.tenant_id and r.id in (p.left_id, p.right_id) and r.deleted_at is null) = 2`,
  )
  .join(' ')} end`

export interface DuplicateFilter {
  readonly recordType: RecordTypeName | null
  readonly runId: string | null
  /** Null: whatever was decided. */
  readonly decision: DuplicateDecision | null
}

/** Pairs, the likeliest first. An open pair is shown while both of its records are there. */
export async function listPairs(tx: Tx, page: PageRequest, filter: DuplicateFilter): Promise<Page<DuplicatePairRow>> {
  const [score, id] = page.after === null ? [2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'] : decodeCursor(page.after)
  const conditions = `p.tenant_id = $1 and ($2::text is null or p.record_type = $2) and ($3::uuid is null or p.run_id = $3)
    and ($4::text is null or p.decision = $4) and (p.decision <> 'OPEN' or ${bothLive})`
  const binds = [tx.tenantId, filter.recordType, filter.runId, filter.decision]
  const rows = await tx.query<DuplicatePairRow>(
    `select ${columns} from duplicate_pair p where ${conditions} and (p.score, p.id) < ($5::float8, $6::uuid)
     order by p.score desc, p.id desc limit $7`,
    [...binds, score, id, page.first + 1],
  )
  const total = await one<{ n: number }>(
    tx,
    `select count(*)::float8 as n from duplicate_pair p where ${conditions}`,
    binds,
  )
  return {
    items: rows.slice(0, page.first).map((node) => ({
      node,
      cursor: Buffer.from(`${node.score} ${node.id}`).toString('base64url'),
    })),
    hasNext: rows.length > page.first,
    hasPrevious: page.after !== null,
    totalCount: total.n,
  }
}

function decodeCursor(cursor: string): readonly [number, string] {
  const found = /^(\d(?:\.\d+)?(?:e-\d+)?) ([0-9a-f-]{36})$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (found === null) {
    throw new Refusal('INVALID_INPUT', '`after` is not a cursor of this list.', ['after'])
  }
  return [Number(found[1]), found[2] ?? '']
}

/** One pair; null where there is none. */
export function findPair(tx: Tx, id: string, lock: '' | 'for update' = ''): Promise<DuplicatePairRow | null> {
  return first<DuplicatePairRow>(
    tx,
    `select ${columns} from duplicate_pair p where p.tenant_id = $1 and p.id = $2 ${lock}`,
    [tx.tenantId, id],
  )
}

/** Has a record searched again, as it was changed by something else than an import. */
export async function searchRecord(tx: Tx, type: RecordTypeName, id: string): Promise<void> {
  if (type !== 'activity') {
    await tx.query(
      "insert into duplicate_search (tenant_id, kind, record_type, record_id) values ($1, 'RECORD', $2, $3)",
      [tx.tenantId, type, id],
    )
  }
}

/**
 * Keeps what was found for some records: new pairs, new scores of open ones; open pairs of these records that were not found
 * any more go. What people have decided stays as it is. Answers the pairs that are open.
 */
export async function keepPairs(
  tx: Tx,
  type: RecordTypeName,
  runId: string | null,
  searched: readonly string[],
  found: readonly FoundPair[],
): Promise<Set<string>> {
  await tx.query(
    `delete from duplicate_pair p where p.tenant_id = $1 and p.decision = 'OPEN' and p.decided_at is null
       and p.id = any (array(
         select o.id from unnest($2::uuid[]) as i (id) cross join lateral (
           select id from duplicate_pair where tenant_id = $1 and left_id = i.id
           union all select id from duplicate_pair where tenant_id = $1 and right_id = i.id) o))
       and (p.left_id, p.right_id) not in (select * from unnest($3::uuid[], $4::uuid[]))`,
    [tx.tenantId, searched, found.map((pair) => pair.leftId), found.map((pair) => pair.rightId)],
  )
  if (found.length === 0) {
    return new Set()
  }
  const rows = await tx.query<{ pair: string }>(
    `insert into duplicate_pair as p (tenant_id, id, record_type, left_id, right_id, score, reasons, run_id, row_number)
     select $1, gen_random_uuid(), $2, (x ->> 'leftId')::uuid, (x ->> 'rightId')::uuid, (x ->> 'score')::float8,
       array(select jsonb_array_elements_text(x -> 'reasons')), $3, (x ->> 'rowNumber')::bigint
     from jsonb_array_elements($4::jsonb) as x
     on conflict (tenant_id, left_id, right_id) do update set score = excluded.score, reasons = excluded.reasons,
       run_id = coalesce(p.run_id, excluded.run_id), row_number = case when p.run_id is null then excluded.row_number else p.row_number end
     where p.decision = 'OPEN'
     returning p.left_id || ' ' || p.right_id as pair`,
    [tx.tenantId, type, runId, JSON.stringify(found)],
  )
  return new Set(rows.map(({ pair }) => pair))
}

/** Open pairs that these records are in, as `left right`: they are looked at again whether or not their records still meet. */
export async function openPairsOf(tx: Tx, ids: readonly string[]): Promise<[string, string][]> {
  const rows = await tx.query<{ left_id: string; right_id: string }>(
    // The decision is looked at last: by it the planner would read all open pairs for each record.
    `select distinct p.left_id, p.right_id from unnest($2::uuid[]) as i (id) cross join lateral (
       select * from (select left_id, right_id, decision from duplicate_pair where tenant_id = $1 and left_id = i.id offset 0) l
       union all
       select * from (select left_id, right_id, decision from duplicate_pair where tenant_id = $1 and right_id = i.id offset 0) r) p
     where p.decision = 'OPEN'`,
    [tx.tenantId, ids],
  )
  return rows.map(({ left_id, right_id }) => [left_id, right_id])
}

/** One row of an import whose record looks like another one. */
export interface LookAlike {
  readonly row: number
  readonly other: string
  readonly score: number
  readonly reasons: readonly string[]
  /** How many more records it looks like. */
  readonly more: number
}

/** Adds a POSSIBLE_DUPLICATE to rows of an import that has ended. */
export async function insertLookAlikes(
  tx: Tx,
  runId: string,
  type: RecordTypeName,
  rows: readonly LookAlike[],
): Promise<void> {
  if (rows.length === 0) {
    return
  }
  const label = recordTypes[type].label.toLowerCase()
  await tx.query(
    `insert into run_issue (tenant_id, run_id, row_number, seq, code, severity, message, suggestion)
     select $1, $2, x.row_number,
       (select coalesce(max(i.seq), -1) + 1 from run_issue i where i.tenant_id = $1 and i.run_id = $2 and i.row_number = x.row_number),
       'POSSIBLE_DUPLICATE', 'WARNING', x.message, $4
     from jsonb_to_recordset($3::jsonb) as x (row_number bigint, message text)
     where not exists (select from run_issue i where i.tenant_id = $1 and i.run_id = $2 and i.row_number = x.row_number
       and i.code = 'POSSIBLE_DUPLICATE')`,
    [
      tx.tenantId,
      runId,
      JSON.stringify(
        rows.map(({ row, other, score, reasons, more }) => ({
          row_number: row,
          message: `Looks like another ${label}, ${encodeId(type, other)} (score ${score.toFixed(2)}): ${reasons.join(', ')}.${
            more === 0 ? '' : ` It looks like ${more} more.`
          }`,
        })),
      ),
      'Compare both, then merge them or say that they are distinct: possibleDuplicates, possibleDuplicateDecide.',
    ],
  )
}

/** What a person says of a pair. */
export interface Decision {
  readonly id: string
  readonly decision: DuplicateDecision
  /** Which of the two stays when they are merged; null: the older one. */
  readonly survivorId: string | null
  readonly actor: string
}

/**
 * Decides a pair. MERGED merges the two records; anything else, said of a merged pair, undoes that merge. DISTINCT is
 * remembered. Saying again what is decided changes nothing. Refuses NOT_FOUND, INVALID_INPUT for a survivor that is neither
 * record, and INVALID_STATE where records were deleted or changed so that a merge or its undoing would lose something.
 */
export async function decidePair(tx: Tx, input: Decision): Promise<DuplicatePairRow> {
  const pair = await findPair(tx, input.id, 'for update')
  if (pair === null) {
    throw new Refusal('NOT_FOUND', 'There is no such pair.', ['id'])
  }
  const { survivorId } = input
  if (survivorId !== null && survivorId !== pair.leftId && survivorId !== pair.rightId) {
    throw new Refusal('INVALID_INPUT', 'The survivor is one of the two records of the pair.', ['survivorId'])
  }
  if (pair.decision === 'MERGED') {
    const merge = await one<{ id: string; survivor_id: string }>(
      tx,
      'select id, survivor_id from duplicate_merge where tenant_id = $1 and pair_id = $2 and undone_at is null',
      [tx.tenantId, pair.id],
    )
    if (input.decision === 'MERGED') {
      if (survivorId !== null && survivorId !== merge.survivor_id) {
        throw new Refusal(
          'INVALID_STATE',
          'The pair is merged, and the other record stayed. Decide OPEN first, which undoes that, then merge again.',
          ['survivorId'],
        )
      }
      return pair
    }
    await undoMerge(tx, merge.id, input.actor)
    for (const id of [pair.leftId, pair.rightId]) {
      await searchRecord(tx, pair.recordType, id)
      await recordChanged(tx, input.actor, pair.recordType, id, 'UPDATED')
    }
  } else if (input.decision === 'MERGED') {
    const survivor = survivorId ?? pair.leftId
    const removed = survivor === pair.leftId ? pair.rightId : pair.leftId
    await mergeRecords(tx, { pairId: pair.id, type: pair.recordType, survivor, removed, actor: input.actor })
    await searchRecord(tx, pair.recordType, pair.leftId)
    await searchRecord(tx, pair.recordType, pair.rightId)
    await recordChanged(tx, input.actor, pair.recordType, survivor, 'UPDATED')
    await recordChanged(tx, input.actor, pair.recordType, removed, 'DELETED')
  } else if (pair.decision === input.decision) {
    return pair
  }
  await tx.query(
    'update duplicate_pair set decision = $3, decided_by = $4, decided_at = now() where tenant_id = $1 and id = $2',
    [tx.tenantId, pair.id, input.decision, input.actor],
  )
  return { ...pair, decision: input.decision }
}
