/**
 * Looks for records that could be one, after an import has ended, after a rollback, and after edits: never in their way. What
 * is to be searched stands in `duplicate_search`, written by the transaction that made it necessary. A slice of it is one
 * transaction: blocks, pairs, issues and the cursor commit together or not at all, so a killed worker costs the slice in hand.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ComparedRow,
  type ComparedType,
  comparedRows,
  comparedTypes,
  recordsByKey,
  replaceBlocks,
} from '../adapters/crm/duplicates.js'
import { Lane } from '../db/lane.js'
import { first, type Tx, withTenant } from '../db/tx.js'
import { DUPLICATE_BLOCK_RECORDS_MAX, DUPLICATE_CANDIDATES_MAX, DUPLICATE_SCORE_MIN } from '../limits.js'
import type { Log } from '../log.js'
import {
  comparePeople,
  type Likeness,
  namesakesKey,
  type Person,
  person,
  personKeys,
} from '../pipeline/similarity/person.js'
import { comparePlaces, type Place, place, placeKeys } from '../pipeline/similarity/property.js'
import { BEHIND_ALL_ROWS } from '../runs/changes.js'
import { type FoundPair, insertLookAlikes, keepPairs, type LookAlike, openPairsOf } from '../runs/duplicates.js'
import { heldByLiving } from './claim.js'
import { laneOptions } from './context.js'
import { type Loop, startLoop } from './loop.js'

/** Records of one slice: some tenths of a second of work. */
const SLICE_RECORDS = 500

/** Candidates are read and compared in groups of so many. */
const COMPARED_AT_ONCE = 2000

/** How often a worker looks whether there is something to search, in milliseconds. */
const LOOK_MS = 500

/** While runs are worked on, a search rests so many times as long as its slice took. */
const REST_BESIDE_RUNS = 3

/** A slice that failed is tried again after this, in seconds, and given up after so many attempts. */
const RETRY_SECONDS = 5
const ATTEMPTS_MAX = 8

/** What is to be searched, as it is kept. */
interface Search {
  readonly id: string
  readonly kind: 'IMPORT' | 'ROLLBACK' | 'RECORD' | 'ALL'
  readonly run_id: string | null
  readonly record_type: ComparedType | null
  readonly record_id: string | null
  readonly cursor: Cursor | null
}

/** Types one after the other; of each what the run created, by row, then what it changed, by id. */
interface Cursor {
  readonly type: number
  readonly phase: 'created' | 'changed'
  readonly row: number
  readonly id: string
}

/** A record to be searched, and the row of the import that made or changed it. */
interface Target {
  readonly id: string
  readonly row: number | null
}

const NIL = '00000000-0000-0000-0000-000000000000'

/**
 * Works off one slice of the next tenant after `last` that has something to search; null when there is none. Tenants take
 * turns. Two workers never search for one tenant at once: each would miss what the other has not committed yet.
 */
export async function findSome(lane: Lane, last: string): Promise<string | null> {
  const due = await lane.session<{ tenant_id: string }>(
    `select tenant_id from (select distinct tenant_id from duplicate_search where due_at <= clock_timestamp()) t
     order by tenant_id <= $1::uuid, tenant_id limit 100`,
    [last],
  )
  for (const { tenant_id: tenantId } of due) {
    if (await searchSlice(lane, tenantId)) {
      return tenantId
    }
  }
  return null
}

/** One slice for one tenant; false if there is nothing due, or another worker is at it. */
export async function searchSlice(lane: Lane, tenantId: string): Promise<boolean> {
  const taken: { search: Search | null } = { search: null }
  try {
    return await withTenant(lane, tenantId, async (tx) => {
      const lock = await first<{ taken: boolean }>(
        tx,
        'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as taken',
        [`portage duplicates ${tenantId}`],
      )
      if (lock?.taken !== true) {
        return false
      }
      // Plain look-ups by index, whatever the planner knows of tables that were just written.
      await tx.query("select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)")
      const item = await first<Search>(
        tx,
        `select id, kind, run_id, record_type, record_id, cursor from duplicate_search
         where tenant_id = $1 and due_at <= clock_timestamp() order by due_at, id limit 1 for update`,
        [tenantId],
      )
      taken.search = item
      if (item === null) {
        return false
      }
      if (item.kind === 'RECORD') {
        await searchRecords(tx, item.record_type ?? 'contact')
      } else {
        await advance(tx, item)
      }
      return true
    })
  } catch (error) {
    if (taken.search !== null && lane.broken === null) {
      await postpone(lane, tenantId, taken.search)
    }
    throw error
  }
}

/** A slice that fails is tried again later, a few times; meanwhile the tenant's other searches go on. */
async function postpone(lane: Lane, tenantId: string, search: Search): Promise<void> {
  await withTenant(lane, tenantId, async (tx) => {
    await tx.query(
      `update duplicate_search set attempts = attempts + 1, due_at = clock_timestamp() + ${RETRY_SECONDS} * interval '1 second'
       where tenant_id = $1 and id = $2`,
      [tenantId, search.id],
    )
    await tx.query('delete from duplicate_search where tenant_id = $1 and id = $2 and attempts >= $3', [
      tenantId,
      search.id,
      ATTEMPTS_MAX,
    ])
  })
}

/** Records that were edited: as many as a slice holds, each once however often it was edited. */
async function searchRecords(tx: Tx, type: ComparedType): Promise<void> {
  const taken = await tx.query<{ record_id: string }>(
    `delete from duplicate_search where tenant_id = $1 and id in (
       select id from duplicate_search where tenant_id = $1 and kind = 'RECORD' and record_type = $2 and due_at <= clock_timestamp()
       order by due_at, id limit ${SLICE_RECORDS}) returning record_id`,
    [tx.tenantId, type],
  )
  const ids = [...new Set(taken.map(({ record_id }) => record_id))]
  await search(
    tx,
    type,
    ids.map((id) => ({ id, row: null })),
    null,
  )
}

async function advance(tx: Tx, item: Search): Promise<void> {
  const cursor = item.cursor ?? { type: 0, phase: 'created', row: 0, id: NIL }
  const type = comparedTypes[cursor.type]
  if (type === undefined) {
    await tx.query('delete from duplicate_search where tenant_id = $1 and id = $2', [tx.tenantId, item.id])
    return
  }
  const targets = await nextTargets(tx, item, type, cursor)
  const last = targets.at(-1)
  if (last !== undefined) {
    await search(tx, type, targets, item.kind === 'IMPORT' ? item.run_id : null)
  }
  await tx.query(
    'update duplicate_search set cursor = $3::jsonb, attempts = 0, due_at = clock_timestamp() where tenant_id = $1 and id = $2',
    [tx.tenantId, item.id, JSON.stringify(next(item, cursor, targets))],
  )
}

function next(item: Search, cursor: Cursor, targets: readonly Target[]): Cursor {
  const last = targets.at(-1)
  if (last !== undefined && targets.length === SLICE_RECORDS) {
    return { ...cursor, row: last.row ?? 0, id: last.id }
  }
  return cursor.phase === 'created' && item.kind !== 'ALL'
    ? { ...cursor, phase: 'changed', row: 0, id: NIL }
    : { type: cursor.type + 1, phase: 'created', row: 0, id: NIL }
}

function nextTargets(tx: Tx, item: Search, type: ComparedType, cursor: Cursor): Promise<Target[]> {
  if (item.kind === 'ALL') {
    return tx.query<Target>(
      `select id, null::float8 as row from ${type} where tenant_id = $1 and id > $2 and deleted_at is null order by id limit ${SLICE_RECORDS}`,
      [tx.tenantId, cursor.id],
    )
  }
  return cursor.phase === 'created'
    ? tx.query<Target>(
        `select id, created_row::float8 as row from ${type}
         where tenant_id = $1 and created_run_id = $2 and created_row >= $3 and (created_row, id) > ($3, $4::uuid)
         order by created_row, id limit ${SLICE_RECORDS}`,
        [tx.tenantId, item.run_id, cursor.row, cursor.id],
      )
    : tx.query<Target>(
        `select c.record_id as id, max(c.row_number)::float8 as row from run_change c
         where c.tenant_id = $1 and c.run_id = $2 and c.record_type = $3 and c.record_id > $4
           and c.row_number < ${BEHIND_ALL_ROWS}
         group by c.record_id order by c.record_id limit ${SLICE_RECORDS}`,
        [tx.tenantId, item.run_id, type, cursor.id],
      )
}

type Compared = {
  readonly keys: readonly number[]
  /** The key that all have whose names sound like this one's; null for what has no such names. */
  readonly nameKey: number | null
  /** How many have that key. */
  namesakes: number
  like(other: Compared): Likeness | null
} & ({ readonly person: Person } | { readonly place: Place })

/** Gives the records their blocks, and keeps the pairs in which they are now. `runId`: the import whose rows are told of it. */
async function search(tx: Tx, type: ComparedType, targets: readonly Target[], runId: string | null): Promise<void> {
  const ids = targets.map(({ id }) => id)
  const rowOf = new Map(targets.map(({ id, row }) => [id, row]))
  const mine = new Map((await comparedRows(tx, type, ids)).map((row) => [row.id, compared(type, row)]))
  await replaceBlocks(tx, ids, new Map([...mine].map(([id, { keys }]) => [id, keys])))
  const candidates = await candidatesOf(tx, mine)
  for (const [left, right] of await openPairsOf(tx, ids)) {
    const [own, other] = mine.has(left) ? [left, right] : [right, left]
    candidates.get(own)?.add(other)
  }
  const found = await compareAll(tx, type, mine, candidates, rowOf)
  const open = await keepPairs(tx, type, runId, ids, found)
  if (runId !== null) {
    await insertLookAlikes(
      tx,
      runId,
      type,
      lookAlikes(
        found.filter((pair) => open.has(`${pair.leftId} ${pair.rightId}`)),
        rowOf,
      ),
    )
  }
}

/** For each record the others that it is to be compared with: a pair within the slice is had by one of the two. */
async function candidatesOf(tx: Tx, mine: ReadonlyMap<string, Compared>): Promise<Map<string, Set<string>>> {
  const keys = [...new Set([...mine.values()].flatMap((one) => one.keys))]
  const blocks = await recordsByKey(tx, keys, DUPLICATE_BLOCK_RECORDS_MAX)
  const chosen = new Map<string, Set<string>>()
  for (const [id, one] of mine) {
    // A key that is passed over is that of a frequent name.
    one.namesakes = one.nameKey === null ? 0 : (blocks.get(one.nameKey)?.length ?? Number.POSITIVE_INFINITY)
    const common = new Map<string, number>()
    for (const key of one.keys) {
      for (const other of blocks.get(key) ?? []) {
        if (other !== id && !(mine.has(other) && other < id)) {
          common.set(other, (common.get(other) ?? 0) + 1)
        }
      }
    }
    const others =
      common.size <= DUPLICATE_CANDIDATES_MAX
        ? [...common.keys()]
        : [...common]
            .toSorted(([, a], [, b]) => b - a)
            .slice(0, DUPLICATE_CANDIDATES_MAX)
            .map(([other]) => other)
    chosen.set(id, new Set(others))
  }
  return chosen
}

async function compareAll(
  tx: Tx,
  type: ComparedType,
  mine: ReadonlyMap<string, Compared>,
  candidates: ReadonlyMap<string, ReadonlySet<string>>,
  rowOf: ReadonlyMap<string, number | null>,
): Promise<FoundPair[]> {
  const askers = new Map<string, string[]>()
  for (const [id, others] of candidates) {
    for (const other of others) {
      const list = askers.get(other)
      if (list === undefined) {
        askers.set(other, [id])
      } else {
        list.push(id)
      }
    }
  }
  const found = new Map<string, FoundPair>()
  const wanted = [...askers.keys()]
  for (let from = 0; from < wanted.length; from += COMPARED_AT_ONCE) {
    const group = wanted.slice(from, from + COMPARED_AT_ONCE)
    const others = new Map<string, Compared>()
    for (const id of group) {
      const one = mine.get(id)
      if (one !== undefined) {
        others.set(id, one)
      }
    }
    const read = await comparedRows(
      tx,
      type,
      group.filter((id) => !mine.has(id)),
    )
    for (const row of read) {
      others.set(row.id, compared(type, row))
    }
    for (const [other, two] of others) {
      for (const id of askers.get(other) ?? []) {
        const likeness = mine.get(id)?.like(two) ?? null
        if (likeness !== null && likeness.score >= DUPLICATE_SCORE_MIN) {
          const [leftId, rightId] = id < other ? [id, other] : [other, id]
          const rows = [rowOf.get(id) ?? null, rowOf.get(other) ?? null].filter((row) => row !== null)
          found.set(`${leftId} ${rightId}`, {
            leftId,
            rightId,
            score: likeness.score,
            reasons: likeness.reasons,
            // Of two rows of one file the later one brought the pair.
            rowNumber: rows.length === 0 ? null : Math.max(...rows),
          })
        }
      }
    }
  }
  return [...found.values()]
}

/** One issue for each row, about the record that is most like its own. */
function lookAlikes(found: readonly FoundPair[], rowOf: ReadonlyMap<string, number | null>): LookAlike[] {
  const best = new Map<number, { pair: FoundPair; count: number }>()
  for (const pair of found) {
    if (pair.rowNumber !== null) {
      const before = best.get(pair.rowNumber)
      best.set(pair.rowNumber, {
        pair: before === undefined || pair.score > before.pair.score ? pair : before.pair,
        count: (before?.count ?? 0) + 1,
      })
    }
  }
  return [...best].map(([row, { pair, count }]) => ({
    row,
    other: rowOf.get(pair.leftId) === row ? pair.rightId : pair.leftId,
    score: pair.score,
    reasons: pair.reasons,
    more: count - 1,
  }))
}

function compared(type: ComparedType, row: ComparedRow): Compared {
  if (type === 'property') {
    const one = place({
      listingId: text(row['listing_id']),
      parcelNumber: text(row['parcel_number']),
      addressLine1: text(row['address_line1']),
      addressLine2: text(row['address_line2']),
      unitNumber: text(row['unit_number']),
      city: text(row['city']),
      postalCode: text(row['postal_code']),
      propertyType: text(row['property_type']),
      bedroomsTotal: number(row['bedrooms_total']),
      livingArea: number(row['living_area']),
    })
    return {
      place: one,
      keys: placeKeys(one),
      nameKey: null,
      namesakes: 0,
      like: (other) => ('place' in other ? comparePlaces(one, other.place) : null),
    }
  }
  const one = person({
    organization: row['kind'] === 'ORGANIZATION',
    firstName: text(row['first_name']),
    middleName: text(row['middle_name']),
    lastName: text(row['last_name']),
    displayName: text(row['display_name']),
    companyName: text(row['company_name']),
    emails: [text(row['email']), text(row['secondary_email'])],
    phones: [text(row['phone']), text(row['mobile_phone']), text(row['home_phone'])],
    addressLine1: text(row['address_line1']),
    addressLine2: text(row['address_line2']),
    city: text(row['city']),
    stateOrProvince: text(row['state_or_province']),
    postalCode: text(row['postal_code']),
    birthDate: text(row['birth_date']),
    custom: numbersOf(row['custom_fields']),
  })
  return {
    person: one,
    keys: personKeys(type, one),
    nameKey: namesakesKey(type, one),
    namesakes: 0,
    like(other) {
      return 'person' in other ? comparePeople(one, other.person, this.namesakes) : null
    },
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

/** Custom fields of a record that tell people apart: what holds six digits or more, of up to four fields. */
function numbersOf(custom: unknown): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [field, value] of Object.entries((custom ?? {}) as Record<string, unknown>).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const digits = (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
      .slice(0, 40)
      .replaceAll(/\D/g, '')
    if (digits.length >= 6 && Object.keys(found).length < 4) {
      found[field] = digits
    }
  }
  return found
}

/**
 * Searches as long as the worker works, beside everything else: on a connection of its own, which it has only while there is
 * something to do, and with long rests while runs are worked on.
 */
export function startFinder(options: {
  readonly databaseUrl: string
  readonly presence: Lane
  readonly log: Log
  readonly stopping: AbortSignal
}): Loop {
  const { databaseUrl, presence, log, stopping } = options
  const wanted = async (): Promise<boolean> =>
    (await presence.session('select from duplicate_search where due_at <= clock_timestamp() limit 1')).length > 0
  const busy = async (): Promise<boolean> =>
    (await presence.session(`select from run_wakeup w where w.due_at <= clock_timestamp() or ${heldByLiving} limit 1`))
      .length > 0
  const work = async (signal: AbortSignal): Promise<void> => {
    const lane = await Lane.open(laneOptions(databaseUrl, 'portage duplicates'))
    try {
      for (let last: string | null = NIL; last !== null && !signal.aborted; ) {
        const began = performance.now()
        last = await findSome(lane, last)
        if (last !== null && (await busy())) {
          await sleep(REST_BESIDE_RUNS * (performance.now() - began), undefined, { signal })
        }
      }
    } finally {
      await lane.close()
    }
  }
  return startLoop(
    { everyMs: LOOK_MS, stopping, log, failed: 'a search for duplicates was interrupted and will be tried again' },
    async (signal) => {
      if (await wanted()) {
        await work(signal)
      }
    },
  )
}
