import 'reflect-metadata'
import type { FileUpload } from 'graphql-upload-ts'
import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { rowsOf, withAllColumns } from '../adapters/files/convert.js'
import { type Correction, corrections, type PlacedCorrection, retryLines } from '../adapters/files/retry-rows.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { StoredFile } from '../adapters/files/storage.js'
import type { Column } from '../adapters/source.js'
import { FatalError, Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import { CELL_BYTES_MAX } from '../limits.js'
import { failedRows, findRun } from '../runs/read.js'
import { checkRetryable, failedAmong, RowsChanged, startRetry } from '../runs/retry.js'
import type { ImportRunRow } from '../runs/types.js'
import { ImportRetryFailedInput, ImportRowsFixInput, ImportRunPayload, type RowFixInput } from '../schema/runs.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { openRunSource, type RunSource } from './run-source.js'
import { discard, dropUnlessKept, type ReceivedFile, receive, record } from './uploads.js'
import { type RunView, showRun } from './views.js'

/** Rows that are looked up at a time. */
const PAGE_ROWS = 1000

/** Another retry may end while the rows of this one are read: then they are read again, so often. */
const TRIES = 3

@Resolver()
export class RetryResolver {
  @Mutation(() => ImportRunPayload, {
    description:
      'Edits failed rows in place: they are applied with these cells by a new import over just those rows, the answer, and leave `failed` of this one as far as they succeed.',
  })
  importRowsFix(
    @Ctx() context: ApiContext,
    @Arg('input', () => ImportRowsFixInput) input: ImportRowsFixInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.importRowsFix')
    return settled({ importRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      checkFixes(input.rows)
      const asked = { key: input.idempotencyKey, operation: 'importRowsFix', input: { runId, rows: input.rows } }
      return {
        importRun: await retry(context, runId, asked, null, (run, { source }) =>
          placed(context, run, fixes(input.rows, source.columns), (row) => [
            'rows',
            String(input.rows.findIndex(({ rowNumber }) => rowNumber === row)),
            'rowNumber',
          ]),
        ),
      }
    })
  }

  @Mutation(() => ImportRunPayload, {
    description:
      'Tries failed rows again in a new import over just those rows, the answer. Those that succeed leave `failed` of this one.',
  })
  importRetryFailed(
    @Ctx() context: ApiContext,
    @Arg('input', () => ImportRetryFailedInput) input: ImportRetryFailedInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.importRetryFailed')
    return settled({ importRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      const { file, idempotencyKey: key } = input
      const operation = 'importRetryFailed'
      return {
        importRun:
          file == null
            ? await retry(context, runId, { key, operation, input: { runId } }, null, (run) => asTheyWere(context, run))
            : await retryWithFile(context, runId, { key, operation }, file),
      }
    })
  }
}

interface Asked {
  readonly key: string
  readonly operation: string
  readonly input: object
}

/** The file's first line names the columns: nothing that a person corrects changes that. */
const fileSource = { ...noSourceOptions, headerRow: 1 }

async function retryWithFile(
  context: ApiContext,
  runId: string,
  asked: Omit<Asked, 'input'>,
  file: Promise<FileUpload>,
): Promise<RunView> {
  const received = await receive(context, { file, name: null, sha256: null, source: fileSource })
  let recorded = false
  try {
    const request = { ...asked, input: { runId, file: received.stored.sha256 } }
    return await retry(
      context,
      runId,
      request,
      { received, onRecorded: () => (recorded = true) },
      async (run, { source }) =>
        placed(context, run, corrections(await opened(context, received), source.columns), () => ['file']),
    )
  } finally {
    if (!recorded) {
      await discard(context, received)
    }
  }
}

async function opened(context: ApiContext, { stored, name, detection: found }: ReceivedFile) {
  const open = context.services.files.openBytes(stored.key)
  const request = { name, byteSize: stored.byteSize, overrides: fileSource }
  const detection = await withAllColumns(open, { ...request, detection: found }, context.signal)
  return { columns: detection.columns, rows: () => rowsOf(open, { ...request, detection }, context.signal) }
}

/** Thrown by what is to happen once where it has not happened yet. */
class NotYet extends Error {}

/**
 * Starts a retry of the rows that `pick` chooses, once per key. The rows are read and written before the transaction that
 * starts it; where others were closed meanwhile, they are read again.
 */
async function retry(
  context: ApiContext,
  runId: string,
  asked: Asked,
  upload: { readonly received: ReceivedFile; readonly onRecorded: () => void } | null,
  pick: (
    run: ImportRunRow,
    source: RunSource,
  ) => AsyncIterable<PlacedCorrection> | Promise<AsyncIterable<PlacedCorrection>>,
): Promise<RunView> {
  const before = await inTenant(context, (tx) => once(tx, asked, () => Promise.reject(new NotYet()))).catch(
    (error: unknown) => {
      if (error instanceof NotYet) {
        return null
      }
      throw error
    },
  )
  if (before !== null) {
    return show(context, before.id)
  }
  for (let attempt = 1; ; attempt += 1) {
    const { run, closings } = await inTenant(context, async (tx) => {
      const count = await checkRetryable(tx, runId)
      return { run: await findRun(tx, runId), closings: count }
    })
    if (run?.kind !== 'IMPORT') {
      throw new Refusal('NOT_FOUND', 'There is no import with this id.', ['runId'])
    }
    const source = await openRunSource(context, run)
    if (source === null) {
      throw new Refusal('INVALID_STATE', 'The retention of the file has ended: import the rows anew.', ['runId'])
    }
    const { stored, rowCount } = await store(context, source, await pick(run, source))
    let kept = false
    try {
      const id = await inTenant(context, async (tx) => {
        const started = await once(tx, asked, async () => {
          const sourceFileId = upload === null ? null : await record(context, tx, upload.received)
          const rows = { ...stored, rowCount, detection: source.detection }
          return startRetry(tx, { actor: context.caller.actor, runId, closings, sourceFileId, rows })
        })
        // Stays true when the answer of the commit is lost: a file too many is better than a run without its rows.
        kept = !started.repeated
        if (kept) {
          upload?.onRecorded()
        }
        return started.id
      })
      return await show(context, id)
    } catch (error) {
      if (!(error instanceof RowsChanged)) {
        throw error
      }
      if (attempt === TRIES) {
        throw new Refusal('INVALID_STATE', 'Rows of this import are being closed just now. Try again.', ['runId'])
      }
    } finally {
      if (!kept) {
        await dropUnlessKept(context, stored.key)
      }
    }
  }
}

async function show(context: ApiContext, id: string): Promise<RunView> {
  const run = await inTenant(context, (tx) => findRun(tx, id))
  if (run === null) {
    throw new Error('a retry is gone')
  }
  return showRun(context, run)
}

/** Writes the row file of a retry. Refuses INVALID_INPUT where there is no row. */
async function store(
  context: ApiContext,
  { source }: RunSource,
  rows: AsyncIterable<PlacedCorrection>,
): Promise<{ readonly stored: StoredFile; readonly rowCount: number }> {
  let rowCount = 0
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for await (const line of retryLines(source, rows, context.signal)) {
      rowCount += 1
      yield Buffer.from(line)
    }
    if (rowCount === 0) {
      throw new Refusal('INVALID_INPUT', 'There is no row to try again.', ['file'])
    }
  }
  try {
    const stored = await context.services.files.put(context.caller.tenantId, bytes(), {
      maxBytes: Number.MAX_SAFE_INTEGER,
      signal: context.signal,
    })
    return { stored, rowCount }
  } catch (error) {
    if (error instanceof FatalError && error.code === 'FILE_UNREADABLE') {
      throw new Refusal('INVALID_STATE', 'The file of the import is gone: import the rows anew.', ['runId'])
    }
    throw error
  }
}

async function* asTheyWere(context: ApiContext, run: ImportRunRow): AsyncGenerator<PlacedCorrection> {
  let after = 0
  for (;;) {
    const rows = await inTenant(context, (tx) => failedRows(tx, run.id, after, PAGE_ROWS))
    yield* rows.map(({ number, byte }) => ({ number, byte, cells: null, fault: null }))
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) {
      return
    }
    after = last.number
  }
}

/** The corrections with their rows' places. Refuses INVALID_INPUT for a row that has not failed. */
async function* placed(
  context: ApiContext,
  run: ImportRunRow,
  wanted: AsyncIterable<Correction> | Iterable<Correction>,
  /** Where the argument names this row. */
  path: (row: number) => readonly string[],
): AsyncGenerator<PlacedCorrection> {
  let batch: Correction[] = []
  const look = async (): Promise<PlacedCorrection[]> => {
    const numbers = batch.map(({ number }) => number)
    const found = await inTenant(context, (tx) => failedAmong(tx, run.id, numbers))
    const places = new Map(found.map(({ number, byte }) => [number, byte]))
    return batch.map((correction) => {
      const byte = places.get(correction.number)
      if (byte === undefined) {
        throw new Refusal(
          'INVALID_INPUT',
          `Row ${correction.number} has not failed in this import, or was applied since. Leave it out.`,
          path(correction.number),
        )
      }
      return { ...correction, byte }
    })
  }
  for await (const correction of wanted) {
    batch.push(correction)
    if (batch.length === PAGE_ROWS) {
      yield* await look()
      batch = []
    }
  }
  if (batch.length > 0) {
    yield* await look()
  }
}

function checkFixes(rows: readonly RowFixInput[]): void {
  if (rows.length === 0) {
    throw new Refusal('INVALID_INPUT', 'Name at least one row.', ['rows'])
  }
  const seen = new Set<number>()
  for (const [at, { rowNumber, cells }] of rows.entries()) {
    if (seen.has(rowNumber)) {
      throw new Refusal('INVALID_INPUT', `Row ${rowNumber} is named twice.`, ['rows', String(at), 'rowNumber'])
    }
    seen.add(rowNumber)
    for (const [cell, { value }] of cells.entries()) {
      if (value != null && Buffer.byteLength(value) > CELL_BYTES_MAX) {
        throw new Refusal('LIMIT_EXCEEDED', `A cell has at most ${CELL_BYTES_MAX} bytes.`, [
          'rows',
          String(at),
          'cells',
          String(cell),
          'value',
        ])
      }
    }
  }
}

/** The corrections of `importRowsFix`, in order. Refuses UNKNOWN_COLUMN. */
function fixes(rows: readonly RowFixInput[], columns: readonly Column[]): Correction[] {
  const known = new Map(columns.map(({ name, index }) => [name, index]))
  return rows
    .map(({ rowNumber, cells }, at) => ({
      number: rowNumber,
      cells: new Map(
        cells.map(({ column, value }, cell): [number, string] => {
          const index = known.get(column)
          if (index === undefined) {
            throw new Refusal('UNKNOWN_COLUMN', `The file has no column ${JSON.stringify(column.slice(0, 200))}.`, [
              'rows',
              String(at),
              'cells',
              String(cell),
              'column',
            ])
          }
          return [index, (value ?? '').toWellFormed()]
        }),
      ),
      fault: null,
    }))
    .toSorted((a, b) => a.number - b.number)
}
