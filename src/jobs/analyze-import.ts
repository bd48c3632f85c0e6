/** The first pass of an import: reads the whole file once, then decides whether it can go on by itself. */
import { loadRecordTypeOf, noteRecordType } from '../adapters/crm/custom-fields.js'
import { knowsOneOf } from '../adapters/crm/known-ids.js'
import { type Converted, convert } from '../adapters/files/convert.js'
import type { Detection } from '../adapters/files/detection.js'
import { inspectFile } from '../adapters/files/inspect.js'
import { isResumable, type RowsPlace } from '../adapters/files/open.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { StoreLocation } from '../adapters/files/storage.js'
import { first, one, withTenant } from '../db/tx.js'
import { FatalError, Refusal } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { readableEvidence } from '../pipeline/evidence.js'
import { namedIds, ownMapping } from '../pipeline/own-files.js'
import { resolveMapping } from '../pipeline/resolve.js'
import { suggestMapping } from '../pipeline/suggest.js'
import { applyTemplate, signatureOf } from '../pipeline/template.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import type { RecordType, RecordTypeName } from '../records/types.js'
import { statusChanged } from '../runs/events.js'
import { earlierMappings, learnHeader, type MappingTemplateRow, templateVersion } from '../runs/mapping-templates.js'
import type { RunStatus } from '../runs/status.js'
import type { StatusReason } from '../runs/types.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { analyzeFile } from './reading.js'
import { type SliceEnd, StoppedError, stillOurs } from './slice.js'

/** How often a person's word is looked for while the file is read, in milliseconds. */
const LOOK_MS = 250

/** How often it is told how much of a file has been turned into rows, in milliseconds: each time is a small transaction. */
const CONVERT_PROGRESS_MS = 500

export interface ImportFile {
  readonly location: StoreLocation
  /** How the bytes at `location` become rows: those of the file itself, or of the row file that it was turned into. */
  readonly place: RowsPlace
  readonly source: SourceOptions
}

interface UploadedFile {
  readonly key: string
  readonly name: string
  readonly byteSize: number
  readonly source: SourceOptions
  /** What people have said about the file, as a row file is marked with. */
  readonly said: string
  readonly rows: RowFile | null
  /** What the mapping was made with; null before it was, and of imports that were analyzed before it was kept. */
  readonly detection: Detection | null
}

interface RowFile {
  readonly key: string
  readonly detection: Converted['detection']
  readonly said: string
}

/**
 * The file of an import that has been analyzed, read as its mapping was made for, whatever would be found in it today.
 * FatalError FILE_GONE when retention has taken it, or the rows that it was turned into are missing.
 */
export async function openImportFile(context: WorkerContext, claim: Claim): Promise<ImportFile> {
  const file = await findFile(context, claim)
  if (file.rows !== null) {
    return rowFile(context, file, file.rows)
  }
  const detection = file.detection ?? (await inspect(context, file, context.stopping))
  if (!isResumable(detection)) {
    throw new FatalError('FILE_GONE', 'The rows that the file was turned into are missing. Import it again.')
  }
  return inspected(context, file, detection)
}

async function inspected(context: WorkerContext, file: UploadedFile, detection: Detection): Promise<ImportFile> {
  const location = await context.files.location(file.key)
  return { location, place: { detection, isRowFile: false }, source: file.source }
}

async function rowFile(context: WorkerContext, file: UploadedFile, rows: Pick<RowFile, 'key' | 'detection'>) {
  const location = await context.files.location(rows.key)
  return { location, place: { detection: rows.detection, isRowFile: true }, source: file.source }
}

async function findFile(context: WorkerContext, claim: Claim): Promise<UploadedFile> {
  const file = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{
        storage_key: string
        name: string
        byte_size: number
        purged_at: Date | null
        run_source: Partial<SourceOptions> | null
        file_source: Partial<SourceOptions> | null
        rows_key: string | null
        rows_detection: Detection
        rows_said: string
        detection: Detection | null
      }>(
        tx,
        `select f.storage_key, f.name, f.byte_size::float8 as byte_size, f.purged_at, r.source_options as run_source,
           f.source_options as file_source, m.storage_key as rows_key, m.detection as rows_detection, m.made_with as rows_said,
           r.detection
         from run r join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id
         left join run_file m on m.tenant_id = r.tenant_id and m.run_id = r.id and m.kind = 'ROWS'
         where r.tenant_id = $1 and r.id = $2`,
        [claim.tenantId, claim.runId],
      ),
    ),
  )
  if (file.purged_at !== null) {
    throw new FatalError('FILE_GONE', 'The file was removed when its retention ended. Upload it again.')
  }
  const source = { ...noSourceOptions, ...given(file.file_source), ...given(file.run_source) }
  return {
    key: file.storage_key,
    name: file.name,
    byteSize: file.byte_size,
    source,
    said: saidOf(source),
    rows: file.rows_key === null ? null : { key: file.rows_key, detection: file.rows_detection, said: file.rows_said },
    detection: file.detection,
  }
}

/** What people have said about a file, as a row file is marked with it. */
export function saidOf(source: SourceOptions): string {
  return JSON.stringify(Object.entries(source).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function given(options: Partial<SourceOptions> | null): Partial<SourceOptions> {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== null && value !== undefined))
}

function inspect(context: WorkerContext, file: UploadedFile, signal: AbortSignal): Promise<Detection> {
  const request = { name: file.name, byteSize: file.byteSize, overrides: file.source }
  return refusing(inspectFile(context.files.openBytes(file.key), request, signal))
}

/** A file that is refused ends its run: another try would end the same way. */
async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Refusal) {
      throw new FatalError(error.code, error.message, { cause: error })
    }
    throw error
  }
}

/**
 * The file of an import as the first pass reads it: where reading cannot go on at any row, it is turned into a row file
 * first, unless that was done before with the same words about the file.
 */
async function prepareFile(
  context: WorkerContext,
  claim: Claim,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<ImportFile> {
  const file = await findFile(context, claim)
  if (file.rows !== null && file.rows.said === file.said) {
    return rowFile(context, file, file.rows)
  }
  const detection = await inspect(context, file, signal)
  if (isResumable(detection)) {
    await recordRows(context, claim, file, null)
    return inspected(context, file, detection)
  }
  const request = { name: file.name, byteSize: file.byteSize, overrides: file.source, detection }
  const converted = await refusing(
    convert(context.files, context.files.openBytes(file.key), request, {
      tenantId: claim.tenantId,
      signal,
      onRead: onProgress,
    }),
  )
  try {
    await recordRows(context, claim, file, converted)
  } catch (error) {
    // Unless the answer of the commit was lost, nobody knows of the file; then the purge of the store finds it.
    if (error instanceof StoppedError) {
      await context.files.delete(converted.stored.key)
    }
    throw error
  }
  return rowFile(context, file, { key: converted.stored.key, detection: converted.detection })
}

/** Puts a row file in the place of the one before; null for a file that is read as it is. */
async function recordRows(
  context: WorkerContext,
  claim: Claim,
  file: UploadedFile,
  converted: Converted | null,
): Promise<void> {
  if (converted === null && file.rows === null) {
    return
  }
  const before = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const ours = await first(
        tx,
        `select id from run where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'ANALYZING' for update`,
        [claim.tenantId, claim.runId, claim.token],
      )
      if (ours === null) {
        throw new StoppedError('the run was stopped or taken over')
      }
      const rows = await tx.query<{ storage_key: string }>(
        `delete from run_file where tenant_id = $1 and run_id = $2 and kind = 'ROWS' returning storage_key`,
        [claim.tenantId, claim.runId],
      )
      if (converted !== null) {
        await tx.query(
          `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, detection, made_with)
           values ($1, $2, 'ROWS', $3, $4, $5, $6, $7::jsonb, $8)`,
          [
            claim.tenantId,
            claim.runId,
            converted.stored.byteSize,
            converted.rowCount,
            converted.stored.sha256,
            converted.stored.key,
            JSON.stringify(converted.detection),
            file.said,
          ],
        )
      }
      // What is read from now on, so that progress has an end.
      await tx.query('update run set bytes_total = $3 where tenant_id = $1 and id = $2', [
        claim.tenantId,
        claim.runId,
        converted?.stored.byteSize ?? file.byteSize,
      ])
      return rows
    }),
  )
  for (const { storage_key } of before) {
    await context.files.delete(storage_key)
  }
}

export async function analyzeImport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const run = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{
        record_type: RecordTypeName
        mapping: ColumnMapping[] | null
        template_id: string | null
        template_version: number
        evidence: ColumnEvidence[] | null
        total: number | null
        options: ImportOptions
      }>(
        tx,
        `select record_type, mapping, mapping_template_id as template_id, mapping_template_version as template_version, evidence, total,
           options from run where tenant_id = $1 and id = $2`,
        [claim.tenantId, claim.runId],
      ),
    ),
  )
  const started = performance.now()
  const { file, rows, evidence } =
    run.evidence !== null && run.total !== null
      ? { file: await openImportFile(context, claim), rows: run.total, evidence: run.evidence }
      : await firstPass(context, claim, lost)

  const type = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      run.mapping === null
        ? noteRecordType(tx, { id: claim.runId, recordType: run.record_type })
        : loadRecordTypeOf(tx, { id: claim.runId, recordType: run.record_type }),
    ),
  )
  // Once a person has given the mapping, it is no longer the template's, nor compared with it.
  const { mapping, template, drift } =
    run.mapping === null
      ? await mappingOf(context, claim, run, { type, rows, evidence: readableEvidence(evidence, file.source) })
      : { mapping: run.mapping, template: null, drift: [] }
  const {
    conflicts: resolved,
    unmappedRequired,
    refusal,
  } = resolve({
    type,
    mapping,
    evidence,
    options: run.options,
    source: file.source,
  })
  const conflicts = [...drift, ...resolved]
  const waiting = refusal ?? waitingReason(mapping, conflicts, unmappedRequired)
  const to = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const moved = await first<{ status: RunStatus }>(
        tx,
        `update run set status = case when $4 then 'AWAITING_MAPPING' when confirmation = 'ALWAYS' then 'QUEUED' else 'PLANNING' end,
           plan_hash = null, status_reason = $5::jsonb, total = $6, evidence = $7::jsonb, mapping = $8::jsonb, mapping_conflicts = $9::jsonb,
           unmapped_required = $10, rows_read = 0, bytes_read = 0, queued_at = clock_timestamp(), attempts = 0,
           stage_ms = stage_ms || jsonb_build_object('analyze', coalesce((stage_ms ->> 'analyze')::numeric, 0) + $11::numeric),
           detection = $12::jsonb
         where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'ANALYZING' returning status`,
        [
          claim.tenantId,
          claim.runId,
          claim.token,
          waiting !== null,
          waiting === null ? null : JSON.stringify(waiting),
          rows,
          JSON.stringify(evidence),
          JSON.stringify(mapping),
          JSON.stringify(conflicts),
          unmappedRequired,
          Math.round(performance.now() - started),
          file.place.isRowFile ? null : JSON.stringify(withoutValues(file.place.detection)),
        ],
      )
      if (moved === null) {
        throw new StoppedError('the run was stopped or taken over')
      }
      if (template !== null && template.header === null && drift.length === 0 && refusal === null) {
        const header = evidence.map(({ name }) => name)
        await learnHeader(tx, template, header, signatureOf(header))
      }
      await statusChanged(tx, claim.runId, 'IMPORT', 'ANALYZING', moved.status, waiting)
      await failpoint('analyze.before-commit', lane)
      return moved.status
    }),
  )
  await failpoint('analyze.after-commit')
  return to === 'AWAITING_MAPPING' ? { kind: 'done' } : { kind: 'more', delayMs: 0 }
}

/** The mapping of an import that nobody has given one: from its template, or as suggested. */
async function mappingOf(
  context: WorkerContext,
  claim: Claim,
  run: {
    readonly options: ImportOptions
    readonly template_id: string | null
    readonly template_version: number
  },
  file: { readonly type: RecordType; readonly rows: number; readonly evidence: readonly ColumnEvidence[] },
): Promise<{
  readonly mapping: readonly ColumnMapping[]
  readonly template: MappingTemplateRow | null
  readonly drift: readonly MappingConflict[]
}> {
  const { type, rows, evidence } = file
  const ids = namedIds(type, evidence)
  const { template, earlier, own } = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => ({
      template: run.template_id === null ? null : await templateVersion(tx, run.template_id, run.template_version),
      earlier: await earlierMappings(tx, type.name),
      own: ids !== null && (await knowsOneOf(tx, type.name, ids)),
    })),
  )
  const guessed = suggestMapping({
    type,
    columns: evidence.map((column) => ({
      index: column.index,
      name: column.name,
      kind: column.kind,
      kindConfidence: column.kindConfidence,
      fillRate: rows === 0 ? 0 : column.filled / rows,
      samples: column.samples,
      topValues: column.topValues,
    })),
    minConfidence: run.options.minConfidence,
    earlier,
  })
  const suggested = own ? ownMapping(type, evidence, guessed) : guessed
  return template === null
    ? { mapping: suggested, template, drift: [] }
    : { template, ...applyTemplate({ template, type, suggested }) }
}

/** What reading takes of a detection: a file's values stay in it, so that they go with it. */
function withoutValues(detection: Detection): Detection {
  return { ...detection, columns: detection.columns.map((column) => ({ ...column, samples: [], topValues: [] })) }
}

async function firstPass(
  context: WorkerContext,
  claim: Claim,
  lost: AbortSignal,
): Promise<{ file: ImportFile; rows: number; evidence: readonly ColumnEvidence[] }> {
  const stop = new AbortController()
  const look = setInterval(() => {
    stillOurs(context, claim, 'ANALYZING').catch((error: unknown) => stop.abort(error))
  }, LOOK_MS)
  const progress = (rows: number, bytes: number): void => {
    tellProgress(context, claim, rows, bytes).catch((error: unknown) => stop.abort(error))
  }
  let told = performance.now()
  try {
    const signal = AbortSignal.any([stop.signal, lost, context.stopping])
    const file = await prepareFile(context, claim, signal, (bytes) => {
      if (performance.now() - told > CONVERT_PROGRESS_MS) {
        told = performance.now()
        progress(0, bytes)
      }
    })
    const { location, place } = file
    return { file, ...(await analyzeFile({ kind: 'analyze', location, place }, progress, signal)) }
  } finally {
    clearInterval(look)
  }
}

/** Lets subscribers see how far the first pass is: `read` counts its rows until the import itself begins. */
async function tellProgress(context: WorkerContext, claim: Claim, rows: number, bytes: number): Promise<void> {
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query(
        `with r as (
           update run set rows_read = $4, bytes_read = $5
           where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'ANALYZING' returning run)
         select append_events($2, 'IMPORT', jsonb_build_array(jsonb_build_object('type', 'RunProgressed', 'body',
           jsonb_build_object('counts', run_counts(r.run), 'progress', run_progress(r.run))))) from r`,
        [claim.tenantId, claim.runId, claim.token, rows, bytes],
      ),
    ),
  )
}

/** The conflicts of a mapping; what it asks for and cannot be had at all (an unknown column, field or format) is a reason to wait, too. */
function resolve(input: Parameters<typeof resolveMapping>[0]): {
  readonly conflicts: readonly MappingConflict[]
  readonly unmappedRequired: readonly string[]
  readonly refusal: StatusReason | null
} {
  try {
    return { ...resolveMapping(input), refusal: null }
  } catch (error) {
    if (error instanceof Refusal) {
      return {
        conflicts: [],
        unmappedRequired: [],
        refusal: { code: error.code, message: error.message, retryable: true },
      }
    }
    throw error
  }
}

/** Why the import has to wait for a person; null if it can go on. */
function waitingReason(
  mapping: readonly ColumnMapping[],
  conflicts: readonly MappingConflict[],
  unmappedRequired: readonly string[],
): StatusReason | null {
  const conflict = conflicts[0]
  if (conflict !== undefined) {
    return {
      code: conflict.code,
      message: conflicts.length === 1 ? conflict.message : `${conflict.message} (and ${conflicts.length - 1} more)`,
      retryable: true,
    }
  }
  if (unmappedRequired.length > 0) {
    return {
      code: 'REQUIRED_UNMAPPED',
      message: `Map a column, or a constant, to: ${unmappedRequired.join(', ')}.`,
      retryable: true,
    }
  }
  if (!mapping.some((column) => column.field !== null)) {
    return {
      code: 'NOTHING_MAPPED',
      message: 'No column was recognised with enough confidence. Map at least one column to a field.',
      retryable: true,
    }
  }
  return null
}
