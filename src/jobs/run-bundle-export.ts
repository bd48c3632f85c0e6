/**
 * Writes a bundle: all record types from one snapshot, through signature and envelope into the store, and one transaction that
 * makes the file known and ends the run. Nothing of it lasts before: whoever takes the run up again starts from the first
 * record, on a new snapshot, and what an earlier attempt left in the store belongs to nobody and is cleared away.
 */
import type { RecordNames } from '../access/bundles.js'
import { bundleRows, countRecords } from '../adapters/crm/bundle-records.js'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import { seal, unpackEnvelopeKey } from '../adapters/files/bundle-envelope.js'
import type { BundleField, BundleRecord } from '../adapters/files/bundle-format.js'
import { type BundleContent, writeBundle } from '../adapters/files/bundle-writer.js'
import type { StoredFile } from '../adapters/files/storage.js'
import { Lane } from '../db/lane.js'
import { one, type Tx, withTenant } from '../db/tx.js'
import { FatalError } from '../errors.js'
import { rows as rowsTotal, runsEnded } from '../metrics.js'
import { customFieldsOf } from '../records/custom.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../records/types.js'
import { endRun } from '../runs/control.js'
import { type Claim, laneName } from './claim.js'
import { laneOptions, type WorkerContext } from './context.js'
import { inControl, moveOn, type SliceEnd, StoppedError } from './slice.js'

/** How often progress is told and the run is looked at. Milliseconds. */
const PROGRESS_MS = 500

interface Attempt {
  readonly context: WorkerContext
  readonly claim: Claim
  readonly recordTypes: readonly RecordTypeName[]
  readonly envelope: Buffer | null
  readonly signal: AbortSignal
  readonly started: number
  /** How far it is. `id` names the bundle once it is known. */
  readonly reached: { records: number; total: number; bytes: number; bundleId: string }
}

export async function runBundleExport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const bundle = await inControl(context, claim, (tx) =>
    one<{ record_types: RecordTypeName[]; envelope: Buffer | null }>(
      tx,
      'select record_types, envelope from run_bundle where tenant_id = $1 and run_id = $2',
      [claim.tenantId, claim.runId],
    ),
  )
  const giveUp = new AbortController()
  const attempt: Attempt = {
    context,
    claim,
    recordTypes: bundle.record_types,
    envelope: bundle.envelope,
    signal: AbortSignal.any([lost, context.stopping, giveUp.signal]),
    started: performance.now(),
    reached: { records: 0, total: 0, bytes: 0, bundleId: '' },
  }
  const look = setInterval(() => {
    tell(attempt).catch((error: unknown) => giveUp.abort(error))
  }, PROGRESS_MS)
  try {
    const stored = await write(attempt)
    clearInterval(look)
    await finish(attempt, stored)
  } catch (error) {
    throw attempt.signal.aborted ? attempt.signal.reason : error
  } finally {
    clearInterval(look)
  }
  return { kind: 'done' }
}

async function write(attempt: Attempt): Promise<StoredFile> {
  const { context, claim, signal } = attempt
  // However slow the store is: only this worker, or one that takes over, ends the reading.
  const options = { ...laneOptions(context.databaseUrl, laneName(context.holder, claim.runId)), idleInTransactionMs: 0 }
  const lane = await Lane.open(options)
  try {
    signal.throwIfAborted()
    return await withTenant(lane.snapshot(), claim.tenantId, async (tx) => {
      const { at } = await one<{ at: Date }>(tx, 'select now() as at')
      let total = 0
      for (const name of attempt.recordTypes) {
        total += await countRecords(tx, name)
      }
      await begin(attempt, at, total)
      return store(attempt, await contentOf(attempt, tx, at))
    })
  } finally {
    await lane.close()
  }
}

async function contentOf(attempt: Attempt, tx: Tx, snapshotAt: Date): Promise<BundleContent> {
  const { context, claim } = attempt
  const names = context.bundles.recordNames(claim.tenantId)
  const types: BundleContent['types'][number][] = []
  for (const recordType of attempt.recordTypes) {
    const type = await loadRecordType(tx, recordType)
    types.push({
      recordType,
      fields: type.fields.filter(isBuiltIn).map(describe),
      customFields: customFieldsOf(type).map(({ customKey, label, kind, options }) => ({
        key: customKey ?? '',
        label,
        kind,
        options,
      })),
      records: () => lines(attempt, tx, type, names),
    })
  }
  return { createdAt: new Date(), snapshotAt, origin: context.bundles.originOf(claim.tenantId), types }
}

function isBuiltIn({ name, customKey }: FieldDefinition): boolean {
  return customKey === undefined && name !== 'sourceSystem' && name !== 'externalId'
}

function describe({ name, label, kind, reference }: FieldDefinition): BundleField {
  return { name, label, kind, refersTo: reference?.to ?? null }
}

async function* lines(attempt: Attempt, tx: Tx, type: RecordType, names: RecordNames): AsyncGenerator<string> {
  for await (const row of bundleRows(tx, type)) {
    const record: BundleRecord = {
      id: names.conceal(row.id),
      values: row.values,
      customFields: row.custom,
      relations: Object.fromEntries(Object.entries(row.relations).map(([name, id]) => [name, names.conceal(id)])),
      sources: row.sources,
      createdAt: row.createdAt,
      updatedAt: row.updatedAt,
    }
    attempt.reached.records += 1
    yield JSON.stringify(record)
  }
}

async function store(attempt: Attempt, content: BundleContent): Promise<StoredFile> {
  const { context, claim, signal, reached } = attempt
  const archive = counted(
    writeBundle(content, context.bundles.signing, (bundleId) => {
      reached.bundleId = bundleId
    }),
    attempt,
  )
  return context.files.put(claim.tenantId, enveloped(archive, attempt), { maxBytes: Number.MAX_SAFE_INTEGER, signal })
}

async function* counted(chunks: AsyncIterable<Buffer>, { reached }: Attempt): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    reached.bytes += chunk.length
    yield chunk
  }
}

function enveloped(archive: AsyncIterable<Buffer>, { context, envelope }: Attempt): AsyncIterable<Buffer> {
  if (envelope === null) {
    return archive
  }
  const key = context.bundles.unseal(envelope)
  if (key === null) {
    throw new FatalError('PASSPHRASE_WRONG', 'The passphrase cannot be read any more. Export the bundle again.')
  }
  return seal(archive, unpackEnvelopeKey(key))
}

/** The counters start from nothing: no record of an earlier attempt is in the file. */
async function begin(attempt: Attempt, snapshotAt: Date, total: number): Promise<void> {
  const { context, claim } = attempt
  attempt.reached.total = total
  await inControl(context, claim, async (tx) => {
    await moveOn(tx, claim, 'rows_read = 0, total = $4, bytes_read = 0', [total])
    await tx.query('update run_bundle set snapshot_at = $3, origin = $4 where tenant_id = $1 and run_id = $2', [
      tx.tenantId,
      claim.runId,
      snapshotAt,
      context.bundles.originOf(claim.tenantId),
    ])
  })
}

/** Lets subscribers see how far the bundle is. Fails when the run was stopped or lost. */
async function tell({ context, claim, started, reached }: Attempt): Promise<void> {
  if (reached.total > 0) {
    await inControl(context, claim, (tx) =>
      moveOn(tx, claim, 'rows_read = $4, bytes_read = $5, running_ms = $6', [
        Math.min(reached.records, reached.total),
        reached.bytes,
        Math.round(performance.now() - started),
      ]),
    )
  }
}

/** Makes the file known and ends the run, both or neither. */
async function finish({ context, claim, started, reached, envelope }: Attempt, stored: StoredFile): Promise<void> {
  const { records, total, bundleId } = reached
  if (records !== total) {
    await context.files.delete(stored.key)
    throw new Error(`the snapshot has ${total} records, and ${records} were written`)
  }
  try {
    await inControl(context, claim, async (tx) => {
      const ms = Math.round(performance.now() - started)
      await moveOn(
        tx,
        claim,
        `rows_read = $4, total = $4, bytes_read = $5, running_ms = $6, peak_rss_bytes = greatest(peak_rss_bytes, $7),
         attempts = 0, stage_ms = jsonb_build_object('write', $6::bigint)`,
        [records, stored.byteSize, ms, process.memoryUsage.rss()],
      )
      await tx.query('update run_bundle set bundle_id = $3 where tenant_id = $1 and run_id = $2', [
        tx.tenantId,
        claim.runId,
        bundleId,
      ])
      await tx.query(
        `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, name, expires_at)
         select $1, $2, 'BUNDLE', $3, $4, $5, $6, 'portage-' || to_char(snapshot_at at time zone 'UTC', 'YYYY-MM-DD-HH24MI') || $7,
           now() + $8 * interval '1 day'
         from run_bundle where tenant_id = $1 and run_id = $2`,
        [
          tx.tenantId,
          claim.runId,
          stored.byteSize,
          records,
          stored.sha256,
          stored.key,
          envelope === null ? '.bundle.zip' : '.bundle',
          context.fileRetentionDays,
        ],
      )
      const run = { id: claim.runId, kind: claim.kind, ofRunId: null }
      if (!(await endRun(tx, run, 'RUNNING', 'COMPLETED', null, claim.token))) {
        throw new StoppedError('the run was stopped or taken over')
      }
    })
  } catch (error) {
    // After any other error nobody knows whether it was recorded: a file too many is cleared away in time.
    if (error instanceof StoppedError) {
      await context.files.delete(stored.key)
    }
    throw error
  }
  rowsTotal.inc({ outcome: 'exported' }, records)
  runsEnded.inc({ kind: 'BUNDLE_EXPORT', status: 'COMPLETED' })
}
