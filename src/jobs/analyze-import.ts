/** The first pass of an import: reads the whole file once, then decides whether it can go on by itself. */
import { buffer } from 'node:stream/consumers'
import { type Detection, dialectOf, sniff } from '../adapters/files/sniff.js'
import type { FileStore, StoreLocation } from '../adapters/files/storage.js'
import { first, one, withTenant } from '../db/tx.js'
import { FatalError, Refusal } from '../errors.js'
import { resolveMapping } from '../pipeline/resolve.js'
import { suggestMapping } from '../pipeline/suggest.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, MappingConflict, SourceOptions } from '../pipeline/types.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { statusChanged } from '../runs/events.js'
import type { StatusReason } from '../runs/types.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'
import { analyzeFile } from './reading.js'
import { type SliceEnd, StoppedError, stillOurs } from './slice.js'

/** How much of a file is looked at to tell its dialect, in bytes. */
const HEAD_BYTES = 256 * 1024

/** How often a person's word is looked for while the file is read, in milliseconds. */
const LOOK_MS = 250

export interface ImportFile {
  readonly location: StoreLocation
  readonly detection: Detection
  readonly source: SourceOptions
}

/** The file of an import, as the run's own options read it. FatalError FILE_GONE when retention has taken it. */
export async function openImportFile(context: WorkerContext, claim: Claim): Promise<ImportFile> {
  const file = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{
        storage_key: string
        name: string
        byte_size: number
        purged_at: Date | null
        run_source: Partial<SourceOptions> | null
        file_source: Partial<SourceOptions> | null
      }>(
        tx,
        `select f.storage_key, f.name, f.byte_size, f.purged_at, r.source_options as run_source, f.source_options as file_source
         from run r join source_file f on f.tenant_id = r.tenant_id and f.id = r.source_file_id where r.tenant_id = $1 and r.id = $2`,
        [claim.tenantId, claim.runId],
      ),
    ),
  )
  if (file.purged_at !== null) {
    throw new FatalError('FILE_GONE', 'The file was removed when its retention ended. Upload it again.')
  }
  const source = { ...noSourceOptions, ...given(file.file_source), ...given(file.run_source) }
  try {
    return {
      location: await context.files.location(file.storage_key),
      source,
      detection: sniff(await head(context.files, file.storage_key), {
        byteSize: file.byte_size,
        name: file.name,
        overrides: source,
      }),
    }
  } catch (error) {
    if (error instanceof Refusal) {
      throw new FatalError(error.code, error.message, { cause: error })
    }
    throw error
  }
}

const noSourceOptions: SourceOptions = {
  format: null,
  encoding: null,
  delimiter: null,
  quote: null,
  headerRow: null,
  decimalSeparator: null,
  dateFormat: null,
  timeZone: null,
  defaultCountry: null,
}

function given(options: Partial<SourceOptions> | null): Partial<SourceOptions> {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== null && value !== undefined))
}

async function head(files: FileStore, key: string): Promise<Uint8Array> {
  try {
    return await buffer(files.read(key, { end: HEAD_BYTES }))
  } catch (error) {
    if (error instanceof FatalError && error.code === 'FILE_UNREADABLE') {
      const message = 'The uploaded file is no longer in the store. Upload it again.'
      throw new FatalError('FILE_GONE', message, { cause: error })
    }
    throw error
  }
}

export async function analyzeImport(context: WorkerContext, claim: Claim, lost: AbortSignal): Promise<SliceEnd> {
  const run = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      one<{
        record_type: RecordTypeName
        mapping: ColumnMapping[] | null
        evidence: ColumnEvidence[] | null
        total: number | null
        options: ImportOptions
      }>(tx, 'select record_type, mapping, evidence, total, options from run where tenant_id = $1 and id = $2', [
        claim.tenantId,
        claim.runId,
      ]),
    ),
  )
  const started = performance.now()
  const file = await openImportFile(context, claim)
  const { rows, evidence } =
    run.evidence !== null && run.total !== null
      ? { rows: run.total, evidence: run.evidence }
      : await firstPass(context, claim, file, lost)

  const type = recordTypes[run.record_type]
  const mapping =
    run.mapping ??
    suggestMapping({
      type,
      columns: evidence.map((column) => ({
        index: column.index,
        name: column.name,
        kind: column.kind,
        kindConfidence: column.kindConfidence,
        fillRate: rows === 0 ? 0 : column.filled / rows,
        samples: column.samples,
      })),
      minConfidence: run.options.minConfidence,
    })
  const { conflicts, unmappedRequired, refusal } = resolve({
    type,
    mapping,
    evidence,
    options: run.options,
    source: file.source,
  })
  const waiting = refusal ?? waitingReason(mapping, conflicts, unmappedRequired)
  const to = waiting === null ? 'QUEUED' : 'AWAITING_MAPPING'
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      const moved = await first(
        tx,
        `update run set status = $4, status_reason = $5::jsonb, total = $6, evidence = $7::jsonb, mapping = $8::jsonb, mapping_conflicts = $9::jsonb,
           unmapped_required = $10, rows_read = 0, bytes_read = 0, queued_at = clock_timestamp(), attempts = 0,
           stage_ms = stage_ms || jsonb_build_object('analyze', coalesce((stage_ms ->> 'analyze')::numeric, 0) + $11::numeric)
         where tenant_id = $1 and id = $2 and fencing_token = $3 and status = 'ANALYZING' returning id`,
        [
          claim.tenantId,
          claim.runId,
          claim.token,
          to,
          waiting === null ? null : JSON.stringify(waiting),
          rows,
          JSON.stringify(evidence),
          JSON.stringify(mapping),
          JSON.stringify(conflicts),
          unmappedRequired,
          Math.round(performance.now() - started),
        ],
      )
      if (moved === null) {
        throw new StoppedError('the run was stopped or taken over')
      }
      await statusChanged(tx, claim.runId, 'IMPORT', 'ANALYZING', to, waiting)
    }),
  )
  return to === 'QUEUED' ? { kind: 'more', delayMs: 0 } : { kind: 'done' }
}

async function firstPass(
  context: WorkerContext,
  claim: Claim,
  file: ImportFile,
  lost: AbortSignal,
): Promise<{ rows: number; evidence: readonly ColumnEvidence[] }> {
  const stop = new AbortController()
  const look = setInterval(() => {
    stillOurs(context, claim, 'ANALYZING').catch((error: unknown) => stop.abort(error))
  }, LOOK_MS)
  try {
    const signal = AbortSignal.any([stop.signal, lost, context.stopping])
    return await analyzeFile(
      { kind: 'analyze', location: file.location, dialect: dialectOf(file.detection) },
      (rows, bytes) => {
        tellProgress(context, claim, rows, bytes).catch((error: unknown) => stop.abort(error))
      },
      signal,
    )
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
