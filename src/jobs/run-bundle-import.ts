/**
 * Takes a bundle in: verifies all of it, turns the records of each type into a row file, and has an ordinary import run over
 * each, one after the other in load order. The bundle writes no record itself; between its imports it only looks on.
 */
import { Readable } from 'node:stream'
import type { RecordNames } from '../access/bundles.js'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import { openEnvelope, unpackEnvelopeKey } from '../adapters/files/bundle-envelope.js'
import type { BundleRecord, BundleType } from '../adapters/files/bundle-format.js'
import { bundleRecords, type OpenedBundle, verifyBundle } from '../adapters/files/bundle-reader.js'
import { type BundleColumn, bundleColumns, bundleLine } from '../adapters/files/bundle-rows.js'
import type { OpenBytes } from '../adapters/files/bytes.js'
import type { Detection } from '../adapters/files/detection.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import { first, one, type Tx } from '../db/tx.js'
import { FatalError, Refusal } from '../errors.js'
import { BUNDLE_FETCH_RECORDS } from '../limits.js'
import { runsEnded } from '../metrics.js'
import type { ColumnMapping, ImportOptions, SourceOptions } from '../pipeline/types.js'
import type { RecordType, RecordTypeName } from '../records/types.js'
import { createBundlePart, foldParts, keepSources, partsOf, welcomeHome } from '../runs/bundles.js'
import { endRun } from '../runs/control.js'
import { openImportsOf } from '../runs/migration-parts.js'
import type { StatusReason } from '../runs/types.js'
import { saidOf } from './analyze-import.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { inControl, type SliceEnd, StoppedError, stillOurs } from './slice.js'

/** How often a bundle looks how far its import has come. Milliseconds. */
const LOOK_MS = 500

interface BundleRun {
  readonly record_types: readonly RecordTypeName[]
  readonly storage_key: string
  readonly purged_at: Date | null
  readonly envelope: Buffer | null
  readonly options: ImportOptions
  readonly bundle_id: string
}

export async function runBundleImport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const run = await inControl(context, claim, (tx) =>
    one<BundleRun>(
      tx,
      `select b.record_types, f.storage_key, f.purged_at, b.envelope, r.options, b.bundle_id from run r
       join run_bundle b on b.tenant_id = r.tenant_id and b.run_id = r.id
       join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id
       where r.tenant_id = $1 and r.id = $2`,
      [claim.tenantId, claim.runId],
    ),
  )
  const parts = await inControl(context, claim, (tx) => partsOf(tx, claim.runId))
  if (parts.length === 0) {
    await splitAll(context, claim, run, lost)
  }
  const stuck = parts.find(({ status }) => status === 'FAILED' || status === 'CANCELED')
  if (stuck !== undefined) {
    const what = `The import of the bundle’s ${stuck.recordType} records`
    if (stuck.status === 'FAILED') {
      const message = `${what} failed: ${stuck.reason?.message ?? 'see that run.'}`
      await end(context, claim, 'FAILED', { code: 'BUNDLE_PART_FAILED', message, retryable: false })
    } else {
      const message = `${what} was canceled.`
      await end(context, claim, 'CANCELED', { code: 'BUNDLE_PART_CANCELED', message, retryable: false })
    }
    return { kind: 'done' }
  }
  await progress(context, claim)
  if (parts.some(({ finished }) => !finished)) {
    return { kind: 'more', delayMs: LOOK_MS }
  }
  const ended = parts.at(-1)
  if (ended !== undefined) {
    await keepAllSources(context, claim, run, ended, lost)
  }
  const next = run.record_types.find((name) => !parts.some(({ recordType }) => recordType === name))
  if (next !== undefined) {
    await startPart(context, claim, next)
    return { kind: 'more', delayMs: LOOK_MS }
  }
  const { failed } = await inControl(context, claim, (tx) =>
    one<{ failed: number }>(tx, 'select failed::float8 as failed from run where tenant_id = $1 and id = $2', [
      claim.tenantId,
      claim.runId,
    ]),
  )
  await end(context, claim, failed > 0 ? 'COMPLETED_WITH_ERRORS' : 'COMPLETED', null)
  return { kind: 'done' }
}

/** Ends a bundle or a migration that a person has canceled, once its imports have ended. */
export async function cancelWhole(context: WorkerContext, claim: Claim): Promise<SliceEnd> {
  const open = await inControl(context, claim, async (tx) =>
    claim.kind === 'MIGRATION'
      ? openImportsOf(tx, claim.runId)
      : (await partsOf(tx, claim.runId)).filter(({ finished }) => !finished),
  )
  if (open.length > 0) {
    return { kind: 'more', delayMs: LOOK_MS }
  }
  await inControl(context, claim, (tx) =>
    endRun(tx, { id: claim.runId, kind: claim.kind, ofRunId: null }, 'CANCELING', 'CANCELED', null, claim.token),
  )
  return { kind: 'done' }
}

/** Makes the row files that are missing. Verified first, all of it: the store may not have what was uploaded. */
async function splitAll(context: WorkerContext, claim: Claim, run: BundleRun, lost: AbortSignal): Promise<void> {
  const done = await inControl(context, claim, (tx) =>
    tx.query<{ record_type: string }>('select record_type from run_bundle_rows where tenant_id = $1 and run_id = $2', [
      claim.tenantId,
      claim.runId,
    ]),
  )
  const missing = run.record_types.filter((name) => !done.some(({ record_type }) => record_type === name))
  if (missing.length === 0) {
    return
  }
  if (run.purged_at !== null) {
    throw new FatalError('FILE_GONE', 'The file was removed when its retention ended. Upload it again.')
  }
  const stop = new AbortController()
  const look = setInterval(() => {
    stillOurs(context, claim, 'RUNNING').catch((error: unknown) => stop.abort(error))
  }, LOOK_MS)
  const signal = AbortSignal.any([stop.signal, lost, context.stopping])
  try {
    const open = insideOf(context, run)
    const bundle = await verifyBundle(open, context.bundles.trusted, signal)
    if (!bundle.trusted || bundle.manifest.bundleId !== run.bundle_id) {
      throw new FatalError('BUNDLE_TAMPERED', 'The stored file is not the bundle that was verified. Import it again.')
    }
    for (const name of missing) {
      const type = bundle.manifest.recordTypes.find(({ recordType }) => recordType === name)
      if (type !== undefined) {
        await split(context, claim, run, { open, bundle, type }, signal)
      }
    }
  } catch (error) {
    if (signal.aborted) {
      throw signal.reason
    }
    throw error instanceof Refusal ? new FatalError(error.code, error.message, { cause: error }) : error
  } finally {
    clearInterval(look)
  }
}

function insideOf(context: WorkerContext, run: BundleRun): OpenBytes {
  const outside = context.files.openBytes(run.storage_key)
  if (run.envelope === null) {
    return outside
  }
  const key = context.bundles.unseal(run.envelope)
  if (key === null) {
    throw new FatalError('PASSPHRASE_WRONG', 'The passphrase cannot be read any more. Import the bundle again.')
  }
  return openEnvelope(outside, unpackEnvelopeKey(key))
}

interface Opened {
  readonly open: OpenBytes
  readonly bundle: OpenedBundle
  readonly type: BundleType
}

/** Writes the row file of one record type and records it, both or neither. */
async function split(
  context: WorkerContext,
  claim: Claim,
  run: BundleRun,
  opened: Opened,
  signal: AbortSignal,
): Promise<void> {
  const { recordType, count } = opened.type
  const target = await inControl(context, claim, (tx) => loadRecordType(tx, recordType))
  const columns = bundleColumns(opened.type, fieldsOf(target))
  const lines = Readable.from(linesOf(context, claim, run, opened, columns))
  const stored = await context.files.put(claim.tenantId, lines, { maxBytes: Number.MAX_SAFE_INTEGER, signal })
  const recorded = await inControl(context, claim, (tx) =>
    first(
      tx,
      `insert into run_bundle_rows (tenant_id, run_id, record_type, storage_key, byte_size, row_count, sha256, columns)
       select $1, $2, $4, $5, $6, $7, $8, $9::jsonb from run
       where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for update
       returning run_id`,
      [
        claim.tenantId,
        claim.runId,
        claim.token,
        recordType,
        stored.key,
        stored.byteSize,
        count,
        stored.sha256,
        JSON.stringify(columns),
      ],
    ),
  )
  if (recorded === null) {
    await context.files.delete(stored.key)
    throw new StoppedError('the run was stopped or taken over')
  }
}

function fieldsOf(type: RecordType): Parameters<typeof bundleColumns>[1] {
  return type.fields.map(({ name, kind, customKey, reference }) => ({
    name,
    kind,
    customKey: customKey ?? null,
    refersTo: reference?.to ?? null,
  }))
}

async function* linesOf(
  context: WorkerContext,
  claim: Claim,
  run: BundleRun,
  { open, bundle, type }: Opened,
  columns: readonly BundleColumn[],
): AsyncGenerator<Buffer> {
  const names = context.bundles.recordNames(claim.tenantId)
  const system = `portage/${context.bundles.originOf(claim.tenantId)}`
  let number = 0
  let batch: BundleRecord[] = []
  const flush = async (): Promise<Buffer> => {
    const home = await homeIds(context, claim, run, type.recordType, batch, { names, system })
    const text = batch.map((record) => bundleLine(++number, record, home.get(record.id) ?? null, columns)).join('')
    batch = []
    return Buffer.from(text)
  }
  for await (const record of bundleRecords(open, bundle, type)) {
    batch.push(record)
    if (batch.length === BUNDLE_FETCH_RECORDS) {
      yield await flush()
    }
  }
  if (batch.length > 0) {
    yield await flush()
  }
}

/** The records of a batch that come home, with their ids here. */
async function homeIds(
  context: WorkerContext,
  claim: Claim,
  run: BundleRun,
  recordType: RecordTypeName,
  batch: readonly BundleRecord[],
  own: { readonly names: RecordNames; readonly system: string },
): Promise<ReadonlyMap<string, string>> {
  const sourceSystem = run.options.sourceSystem ?? ''
  const coming = batch.flatMap((record) => {
    // In a bundle of this very tenant a record's own name is what is known of it here.
    const name =
      sourceSystem === own.system ? record.id : record.sources.find(({ system }) => system === own.system)?.id
    const id = name === undefined ? null : own.names.reveal(name)
    return id === null ? [] : [{ id, externalId: record.id }]
  })
  if (coming.length === 0) {
    return new Map()
  }
  const there = await inControl(context, claim, (tx) =>
    welcomeHome(tx, { bundleRunId: claim.runId, recordType, sourceSystem, records: coming }),
  )
  return new Map(coming.filter(({ id }) => there.has(id)).map(({ id, externalId }) => [externalId, id]))
}

/** Values of a bundle are what they are: none of them was protected from being a formula. */
const exact: SourceOptions = { ...noSourceOptions, formulasEscaped: false }

/**
 * Notes by which ids other systems knew the records of the import that has just ended. Done again after a crash it changes
 * nothing. Not for records that come home: what the other tenant's systems call them is theirs.
 */
async function keepAllSources(
  context: WorkerContext,
  claim: Claim,
  run: BundleRun,
  part: { readonly id: string; readonly recordType: RecordTypeName },
  lost: AbortSignal,
): Promise<void> {
  const own = `portage/${context.bundles.originOf(claim.tenantId)}`
  const sourceSystem = run.options.sourceSystem ?? ''
  if (run.purged_at !== null || sourceSystem === own) {
    return
  }
  const open = insideOf(context, run)
  const bundle = await verifyBundle(open, context.bundles.trusted, AbortSignal.any([lost, context.stopping]))
  const type = bundle.manifest.recordTypes.find(({ recordType }) => recordType === part.recordType)
  let sources: { name: string; system: string; id: string }[] = []
  const flush = async (): Promise<void> => {
    if (sources.length > 0) {
      await stillOurs(context, claim, 'RUNNING')
      await inControl(context, claim, (tx) =>
        keepSources(tx, { importRunId: part.id, recordType: part.recordType, sourceSystem, sources }),
      )
      sources = []
    }
  }
  for await (const record of type === undefined ? [] : bundleRecords(open, bundle, type)) {
    if (!record.sources.some(({ system }) => system === own)) {
      sources.push(...record.sources.map(({ system, id }) => ({ name: record.id, system, id })))
    }
    if (sources.length >= BUNDLE_FETCH_RECORDS) {
      await flush()
    }
  }
  await flush()
}

/** Creates the import of one record type. */
async function startPart(context: WorkerContext, claim: Claim, recordType: RecordTypeName): Promise<void> {
  await inControl(context, claim, async (tx) => {
    const ours = await first(
      tx,
      `select id from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for update`,
      [claim.tenantId, claim.runId, claim.token],
    )
    if (ours === null) {
      throw new StoppedError('the run was stopped or taken over')
    }
    const { columns } = await one<{ columns: BundleColumn[] }>(
      tx,
      'select columns from run_bundle_rows where tenant_id = $1 and run_id = $2 and record_type = $3',
      [claim.tenantId, claim.runId, recordType],
    )
    await createBundlePart(tx, {
      bundleRunId: claim.runId,
      recordType,
      mapping: columns.map(mappingOf),
      source: exact,
      said: saidOf(exact),
      detection: detectionOf(columns),
    })
  })
}

function mappingOf({ name, field, format }: BundleColumn, columnIndex: number): ColumnMapping {
  return {
    column: name,
    columnIndex,
    field,
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: null,
    format,
    confidence: null,
    reasons: [],
    alternatives: [],
  }
}

/** How a row file of a bundle is read. */
function detectionOf(columns: readonly BundleColumn[]): Detection {
  return {
    format: 'NDJSON',
    compression: 'NONE',
    encoding: 'utf-8',
    encodingConfidence: 1,
    delimiter: null,
    quote: null,
    escape: null,
    dialectConfidence: null,
    lineTerminator: null,
    headerRow: null,
    firstDataRow: 1,
    sheets: [],
    sheet: null,
    jsonPath: null,
    columns: columns.map(({ name }, index) => ({
      index,
      name,
      kind: 'TEXT',
      kindConfidence: 1,
      fillRate: 1,
      samples: [],
      distinctCount: null,
      topValues: [],
    })),
    estimatedRowCount: null,
    warnings: [],
  }
}

/** Tells how far all imports are together. Throws StoppedError unless the run is still this claim's to work on. */
async function progress(context: WorkerContext, claim: Claim): Promise<void> {
  await inControl(context, claim, async (tx) => {
    const ours = await first(
      tx,
      `select id from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING' for update`,
      [claim.tenantId, claim.runId, claim.token],
    )
    if (ours === null) {
      throw new StoppedError('the run was stopped or taken over')
    }
    const before = await counts(tx, claim)
    await foldParts(tx, claim.runId)
    const after = await counts(tx, claim)
    if (JSON.stringify(before) !== JSON.stringify(after)) {
      await tx.query(
        `select append_events($2, 'BUNDLE_IMPORT', jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
           jsonb_build_object('counts', run_counts(run), 'progress', run_progress(run))))) from run where tenant_id = $1 and id = $2`,
        [claim.tenantId, claim.runId],
      )
    }
  })
}

async function counts(tx: Tx, claim: Claim): Promise<object> {
  const { counted } = await one<{ counted: object }>(
    tx,
    'select run_counts(run) as counted from run where tenant_id = $1 and id = $2',
    [claim.tenantId, claim.runId],
  )
  return counted
}

async function end(
  context: WorkerContext,
  claim: Claim,
  to: 'COMPLETED' | 'COMPLETED_WITH_ERRORS' | 'FAILED' | 'CANCELED',
  reason: StatusReason | null,
): Promise<void> {
  await inControl(context, claim, async (tx) => {
    // RUNNING does not become CANCELED at once: by way of CANCELING, as when a person says so.
    const run = { id: claim.runId, kind: claim.kind, ofRunId: null }
    if (to === 'CANCELED') {
      await tx.query(
        `update run set status = 'CANCELING' where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'RUNNING'`,
        [claim.tenantId, claim.runId, claim.token],
      )
    }
    if (!(await endRun(tx, run, to === 'CANCELED' ? 'CANCELING' : 'RUNNING', to, reason, claim.token))) {
      throw new StoppedError('the run was stopped or taken over')
    }
  })
  runsEnded.inc({ kind: 'BUNDLE_IMPORT', status: to })
}
