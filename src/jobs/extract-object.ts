/**
 * Reads one object of another CRM into a file of rows. Each page is kept as it was received, with the state that reading goes
 * on from, in one transaction: a crash costs the page in hand. When the last page is there, the newest reading of each record
 * goes into one immutable file, which is imported like any other.
 */
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Detection } from '../adapters/files/detection.js'
import { inspectFile } from '../adapters/files/inspect.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { StoredFile } from '../adapters/files/storage.js'
import type { Json, VendorAdapter, VendorApi, VendorObject, VendorProblem, VendorRow } from '../adapters/vendor.js'
import { first, withTenant } from '../db/tx.js'
import { newId } from '../ids.js'
import { EXTRACTED_BYTES_MAX } from '../limits.js'
import type { MigrationObjectRow, MigrationRow } from '../runs/migrations.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { othersWait, SLICE_LEAST_MS, StoppedError } from './slice.js'

/** Lines that go into the store at a time, in UTF-16 code units. */
const BLOCK_CHARACTERS = 64 * 1024

/** The member of a line of the file under which stands what other answers said of the record. */
export const DERIVED = 'portage'

export interface Extraction {
  readonly context: WorkerContext
  readonly claim: Claim
  readonly migration: MigrationRow
  readonly object: MigrationObjectRow<VendorObject>
  readonly adapter: VendorAdapter
  readonly api: VendorApi
  readonly lost: AbortSignal
}

/** How reading ended: at the end, or because the worker is asked to stop or others wait. */
export type ExtractionEnd = { readonly kind: 'done' } | { readonly kind: 'again' }

/** What is asked of the service in this pass. */
export interface Wanted {
  readonly fields: readonly string[]
  readonly since: string | null
  readonly until: string
  /** Only these records; null for all of the window. */
  readonly ids: readonly string[] | null
  /** Stop after so many records; null for no end. */
  readonly most: number | null
  /** When reading began in this slice, of performance.now(), for making way to others in time; null: it does not make way. */
  readonly begun: number | null
}

/** What a slice asks for once, such as who the owners are, is not worth it for less. Milliseconds. */
const READING_LEAST_MS = 2000

/** An answer is read on for so long, though others wait: all of it would be sent again. Milliseconds since its first new row. */
const ANSWER_MS = 20_000

/** Reads on where the state of the object says, page by page. */
export async function extractPages(work: Extraction, wanted: Wanted): Promise<ExtractionEnd> {
  const { adapter, api, object, lost, context, claim } = work
  if (object.descriptor === null) {
    throw new Error(`nobody has looked at ${object.object}`)
  }
  let extracted = object.extracted
  let looked = 0
  let answerBegun: number | null = null
  const makesWay = async (inAnswer: boolean): Promise<boolean> => {
    const now = performance.now()
    answerBegun = inAnswer ? (answerBegun ?? now) : null
    const worked = now - (wanted.begun ?? now)
    const isEarly = worked < READING_LEAST_MS || (answerBegun !== null && now - answerBegun < ANSWER_MS)
    if (isEarly || now - looked < SLICE_LEAST_MS) {
      return false
    }
    looked = now
    return othersWait(context, claim, worked)
  }
  const pages = adapter.extract(api, {
    object: object.descriptor,
    fields: wanted.fields,
    state: object.state as Json,
    window: { since: wanted.since, until: wanted.until },
    ids: wanted.ids,
    filter: object.filter,
    signal: lost,
  })
  for await (const page of pages) {
    const rows = wanted.most === null ? page.rows : page.rows.slice(0, Math.max(0, wanted.most - extracted))
    extracted += await keepPage(work, rows, page.state, page.problems)
    if (wanted.most !== null && extracted >= wanted.most) {
      return { kind: 'done' }
    }
    if (context.stopping.aborted || (await makesWay(page.inAnswer === true))) {
      return { kind: 'again' }
    }
  }
  return { kind: 'done' }
}

/** Problems of a page, each code once. */
function byCode(problems: readonly VendorProblem[]): object[] {
  return [...Map.groupBy(problems, ({ code }) => code)].map(([code, all]) => ({
    code,
    count: all.length,
    message: all[0]?.message ?? '',
    external_id: all[0]?.externalId ?? null,
  }))
}

/** Keeps a page for good. Answers how many of its records had not been read before. */
async function keepPage(
  work: Extraction,
  rows: readonly VendorRow[],
  state: Json,
  problems: readonly VendorProblem[],
): Promise<number> {
  const { context, claim, migration, object } = work
  const stored = rows.length === 0 ? null : await storePage(work, rows)
  try {
    return await context.control.use((lane) =>
      withTenant(lane, claim.tenantId, async (tx) => {
        const ours = await first(
          tx,
          `select id from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for share`,
          [claim.tenantId, claim.runId, claim.token],
        )
        if (ours === null) {
          throw new StoppedError('the migration was stopped or taken over')
        }
        let fresh = 0
        if (stored !== null) {
          const [page] = await tx.query<{ number: number }>(
            `insert into migration_page (tenant_id, run_id, object, pass, number, storage_key, row_count, byte_size)
             select $1, $2, $3, $4, coalesce(max(number), 0) + 1, $5, $6, $7 from migration_page
             where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 returning number`,
            [tx.tenantId, claim.runId, object.object, migration.pass, stored.key, rows.length, stored.byteSize],
          )
          const counted = await tx.query<{ fresh: number }>(
            // A record twice in a page: its last line counts.
            `with w as (
               insert into migration_row (tenant_id, run_id, object, pass, external_id, page, line, updated_at, deleted)
               select distinct on (id) $1, $2, $3, $4, id, $5, line, updated_at, deleted
               from unnest($6::text[], $7::timestamptz[], $8::boolean[]) with ordinality as x (id, updated_at, deleted, line)
               order by id, updated_at desc nulls last, line desc
               on conflict (tenant_id, run_id, object, pass, external_id) do update
                 set page = excluded.page, line = excluded.line, updated_at = excluded.updated_at, deleted = excluded.deleted
                 where migration_row.updated_at is null or excluded.updated_at >= migration_row.updated_at
               returning old.external_id is null as fresh)
             select count(*) filter (where fresh)::int as fresh from w`,
            [
              tx.tenantId,
              claim.runId,
              object.object,
              migration.pass,
              page?.number ?? 0,
              rows.map((row) => row.externalId),
              rows.map((row) => row.updatedAt),
              rows.map((row) => row.deleted),
            ],
          )
          fresh = counted[0]?.fresh ?? 0
        }
        await tx.query(
          `update migration_object o set state = $4::jsonb, extracted = extracted + $5,
             problems = o.problems || coalesce((
               select jsonb_object_agg(p.code, jsonb_build_object(
                 'count', p.count + coalesce((o.problems -> p.code ->> 'count')::bigint, 0),
                 'message', coalesce(o.problems -> p.code ->> 'message', p.message),
                 'externalId', case when o.problems ? p.code then o.problems -> p.code -> 'externalId' else to_jsonb(p.external_id) end))
               from jsonb_to_recordset($6::jsonb) as p (code text, count bigint, message text, external_id text)), '{}'::jsonb)
           where tenant_id = $1 and run_id = $2 and object = $3`,
          [tx.tenantId, claim.runId, object.object, JSON.stringify(state), fresh, JSON.stringify(byCode(problems))],
        )
        await tellReading(tx, claim, fresh, stored?.byteSize ?? 0)
        return fresh
      }),
    )
  } catch (error) {
    // Unless the answer of the commit was lost, nobody knows of the page; then the purge of the store finds it.
    if (stored !== null && error instanceof StoppedError) {
      await context.files.delete(stored.key)
    }
    throw error
  }
}

type Tx = Parameters<Parameters<typeof withTenant>[2]>[0]

async function tellReading(tx: Tx, claim: Claim, rows: number, bytes: number): Promise<void> {
  await tx.query(
    `with r as (
       update run set rows_read = rows_read + $4, bytes_read = bytes_read + $5, attempts = 0
       where tenant_id = $1 and id = $2 and fencing_token = $3 returning run)
     select append_events($2, 'MIGRATION', jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
       jsonb_build_object('counts', run_counts(r.run), 'progress', run_progress(r.run))))) from r`,
    [claim.tenantId, claim.runId, claim.token, rows, bytes],
  )
}

function storePage({ context, claim, lost }: Extraction, rows: readonly VendorRow[]): Promise<StoredFile> {
  function* lines(): Generator<Buffer> {
    for (const { data, derived } of rows) {
      yield Buffer.from(
        `${JSON.stringify(Object.keys(derived).length === 0 ? data : { ...data, [DERIVED]: derived })}\n`,
      )
    }
  }
  return context.files.put(claim.tenantId, Readable.from(lines()), { maxBytes: EXTRACTED_BYTES_MAX, signal: lost })
}

/** A file of rows that a pass has come to; null where it has none. */
export interface PassFile {
  readonly kind: 'CHANGED' | 'DELETED'
  readonly name: string
  readonly stored: StoredFile
  readonly detection: Detection
}

/**
 * Makes files of what the pages hold: one of the records as they are, one of the ids of those that were deleted. Records that
 * no page has any more are left out; each record is in once.
 */
export async function assemble(work: Extraction, deleted: readonly string[]): Promise<PassFile[]> {
  const { context, claim, migration, object, adapter, lost } = work
  const pages = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ number: number; storage_key: string }>(
        `select number, storage_key from migration_page
         where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 order by number`,
        [tx.tenantId, claim.runId, object.object, migration.pass],
      ),
    ),
  )
  const gone = new Set(deleted)
  let rows = 0
  async function* lines(): AsyncGenerator<Buffer> {
    for (const page of pages) {
      let block = ''
      const newest = await newestOf(work, page.number, gone)
      let line = 0
      for await (const text of createInterface({ input: context.files.read(page.storage_key), crlfDelay: Infinity })) {
        line += 1
        if (newest.has(line)) {
          rows += 1
          block += `${rows === 1 ? withAllFields(text, object.descriptor) : text}\n`
          if (block.length > BLOCK_CHARACTERS) {
            yield Buffer.from(block)
            block = ''
          }
        }
      }
      if (block !== '') {
        yield Buffer.from(block)
      }
    }
  }
  const name = `${adapter.system}-${object.object.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
  const options = { maxBytes: EXTRACTED_BYTES_MAX, signal: lost }
  const files: PassFile[] = []
  const stored = await context.files.put(claim.tenantId, Readable.from(lines()), options)
  const keep = async (kind: PassFile['kind'], fileName: string, file: StoredFile): Promise<void> => {
    const request = {
      name: fileName,
      byteSize: file.byteSize,
      overrides: { ...noSourceOptions, format: 'NDJSON' as const },
    }
    files.push({
      kind,
      name: fileName,
      stored: file,
      detection: await inspectFile(context.files.openBytes(file.key), request, lost),
    })
  }
  if (rows > 0) {
    await keep('CHANGED', `${name}.ndjson`, stored)
  } else {
    await context.files.delete(stored.key)
  }
  if (gone.size > 0) {
    const ids = [Buffer.from([...gone].map((id) => `${JSON.stringify({ id })}\n`).join(''))]
    await keep(
      'DELETED',
      `${name}-deleted.ndjson`,
      await context.files.put(claim.tenantId, Readable.from(ids), options),
    )
  }
  return files
}

/**
 * The first line with a null for every field that it lacks: services leave out what is empty, and a mapping names columns that
 * the file has to have.
 */
function withAllFields(line: string, descriptor: VendorObject | null): string {
  const row = JSON.parse(line) as Record<string, unknown>
  for (const { name } of descriptor?.fields ?? []) {
    let place = row
    let rest = name
    for (let dot = rest.indexOf('.'); dot > 0 && !(rest in place); dot = rest.indexOf('.')) {
      const inner = (place[rest.slice(0, dot)] ??= {})
      if (typeof inner !== 'object' || Array.isArray(inner)) {
        break
      }
      place = inner as Record<string, unknown>
      rest = rest.slice(dot + 1)
    }
    place[rest] ??= null
  }
  return JSON.stringify(row)
}

async function newestOf(
  { context, claim, migration, object }: Extraction,
  page: number,
  gone: ReadonlySet<string>,
): Promise<Set<number>> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ line: number; external_id: string }>(
        `select line, external_id from migration_row
         where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 and page = $5 and not deleted`,
        [tx.tenantId, claim.runId, object.object, migration.pass, page],
      ),
    ),
  )
  return new Set(rows.filter(({ external_id }) => !gone.has(external_id)).map(({ line }) => line))
}

/** Ids that the pages of the pass say were deleted. */
export async function deletedInPages({ context, claim, migration, object }: Extraction): Promise<string[]> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ external_id: string }>(
        `select external_id from migration_row where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 and deleted`,
        [tx.tenantId, claim.runId, object.object, migration.pass],
      ),
    ),
  )
  return rows.map(({ external_id }) => external_id)
}

/** Puts the files of a pass in the place of its pages, in one transaction; the pages are removed after it. */
export async function finishPass(work: Extraction, files: readonly PassFile[], retentionDays: number): Promise<void> {
  const { context, claim, migration, object } = work
  const keys = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const ours = await first(
        tx,
        `select id from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for share`,
        [claim.tenantId, claim.runId, claim.token],
      )
      if (ours === null) {
        throw new StoppedError('the migration was stopped or taken over')
      }
      for (const { kind, name, stored, detection } of files) {
        const id = newId()
        await tx.query(
          `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
           select $1, $2, $3, $4, $5, $6, $9::jsonb, created_by, now() + $8 * interval '1 day' from run where tenant_id = $1 and id = $7`,
          [
            tx.tenantId,
            id,
            name,
            stored.byteSize,
            stored.sha256,
            stored.key,
            claim.runId,
            retentionDays,
            JSON.stringify(detection),
          ],
        )
        await tx.query(
          'insert into migration_pass (tenant_id, run_id, object, pass, kind, source_file_id) values ($1, $2, $3, $4, $5, $6)',
          [tx.tenantId, claim.runId, object.object, migration.pass, kind, id],
        )
      }
      await tx.query(
        `update migration_object set extracted_pass = $4, state = null where tenant_id = $1 and run_id = $2 and object = $3`,
        [tx.tenantId, claim.runId, object.object, migration.pass],
      )
      return tx.query<{ storage_key: string }>(
        `delete from migration_page where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 returning storage_key`,
        [tx.tenantId, claim.runId, object.object, migration.pass],
      )
    }),
  )
  for (const { storage_key } of keys) {
    await context.files.delete(storage_key)
  }
}
