/** Turns a file that cannot be read on from any place in it into the lines of a row file. */
import type { Row } from '../source.js'
import type { OpenBytes } from './bytes.js'
import { openCsv } from './csv.js'
import type { DetectedColumn, Detection } from './detection.js'
import type { InspectRequest } from './inspect.js'
import { bytesAhead, jsonRows } from './json.js'
import { openNdjson } from './ndjson.js'
import { csvDialect, isReadNatively, isResumable, openRows, transcoded, type Unpacked, unpack } from './open.js'
import { RowFileSource, rowLine } from './row-file.js'
import { rowsInSandbox } from './sandbox.js'
import type { RowsEnd } from './sandbox-messages.js'
import type { FileStore, StoredFile } from './storage.js'
import { streamBytes } from './stream-bytes.js'
import { openWorkbook, placedBytes, workbookRows } from './workbooks.js'

/** A row file in the store, and the detection that reads it: with all columns, also those that were first seen far down. */
export interface Converted {
  readonly stored: StoredFile
  readonly rowCount: number
  readonly detection: Detection
}

export interface ConvertOptions {
  readonly tenantId: string
  readonly signal: AbortSignal
  /** Told a few times a second: bytes of the file that were read so far. */
  readonly onRead?: (bytes: number) => void
}

/** Plain JSON up to this size is converted where it is asked for: starting a process takes longer. Bytes. */
const CONVERTED_HERE_BYTES = 1024 * 1024

/**
 * Turns all rows of a file into a row file in the store; in the sandbox, if it is not small and plain. Whole or not at all: after
 * an error or an abort nothing is left. Fails as `rowsInSandbox` and the store do.
 */
export async function convert(
  files: FileStore,
  open: OpenBytes,
  request: InspectRequest & { readonly detection: Detection },
  { tenantId, signal, onRead }: ConvertOptions,
): Promise<Converted> {
  const here = request.byteSize <= CONVERTED_HERE_BYTES && isPlainJson(request.detection)
  const rows = here
    ? inBytes(convertedLines(open, request.detection, request, signal))
    : rowsInSandbox(open, request, { signal, ...(onRead === undefined ? {} : { onRead }) })
  let end: RowsEnd = { rows: 0, columns: [] }
  async function* bytes(): AsyncGenerator<Uint8Array> {
    end = yield* rows
  }
  const stored = await files.put(tenantId, bytes(), { maxBytes: Number.MAX_SAFE_INTEGER, signal })
  return { stored, rowCount: end.rows, detection: extended(request.detection, end.columns) }
}

async function* inBytes<End>(
  lines: AsyncGenerator<string, End, undefined>,
): AsyncGenerator<Uint8Array, End, undefined> {
  for (;;) {
    const step = await lines.next()
    if (step.done === true) {
      return step.value
    }
    yield Buffer.from(step.value)
  }
}

/** The detection with columns that its first look did not see. */
export function extended(detection: Detection, names: readonly string[]): Detection {
  const late = names.slice(detection.columns.length).map((name) => name.toWellFormed().replaceAll('\0', '\u2400'))
  if (late.length === 0) {
    return detection
  }
  const columns = late.map(
    (name, index): DetectedColumn => ({
      index: detection.columns.length + index,
      name,
      kind: 'TEXT',
      kindConfidence: 0,
      fillRate: 0,
      samples: [],
      distinctCount: null,
      topValues: [],
    }),
  )
  const shown = late.slice(0, 5).map((name) => `"${name}"`)
  const more = late.length > 5 ? ` and ${late.length - 5} more` : ''
  return {
    ...detection,
    columns: [...detection.columns, ...columns],
    warnings: [
      ...detection.warnings,
      `Some records far down have further names: ${shown.join(', ')}${more}. They are columns of their own.`,
    ],
  }
}

/**
 * All data rows of a file as the service reads them, pulled: those of a text that is read as it is right here, by our own code,
 * all others in the sandbox. Fails as they do.
 */
export async function* rowsOf(
  open: OpenBytes,
  request: InspectRequest & { readonly detection: Detection },
  signal: AbortSignal,
): AsyncGenerator<readonly Row[], void, undefined> {
  const { detection } = request
  if (isResumable(detection)) {
    const source = await openRows(open, { detection, isRowFile: false })
    yield* source.rows(null, signal)
    return
  }
  if (isPlainJson(detection)) {
    yield* rowsHere(open, detection, request, namesOf(detection), signal)
    return
  }
  const lines = streamBytes(() => rowsInSandbox(open, request, { signal }))
  yield* new RowFileSource(lines, namesOf(detection)).rows(null, signal)
}

/**
 * The detection with all columns of a file whose records may have further names below what was looked at: they are looked for
 * by reading all of it. Fails as `rowsInSandbox`.
 */
export async function withAllColumns(
  open: OpenBytes,
  request: InspectRequest & { readonly detection: Detection },
  signal: AbortSignal,
): Promise<Detection> {
  const { format, columns } = request.detection
  const isWhole = columns.every(({ distinctCount }) => distinctCount !== null)
  if (isWhole || (format !== 'JSON' && format !== 'NDJSON')) {
    return request.detection
  }
  const lines = isPlainJson(request.detection)
    ? convertedLines(open, request.detection, request, signal)
    : rowsInSandbox(open, request, { signal })
  for (;;) {
    const step = await lines.next()
    if (step.done === true) {
      return extended(request.detection, step.value.columns)
    }
  }
}

/** JSON that is neither packed nor in another encoding: nothing but our own code and the platform's parser reads it. */
function isPlainJson({ format, compression, encoding }: Detection): boolean {
  return (format === 'JSON' || format === 'NDJSON') && compression === 'NONE' && encoding === 'utf-8'
}

function namesOf(detection: Detection): string[] {
  return detection.columns.map((column) => column.name)
}

/** All rows of a file as lines of a row file, in this process: what runs in the sandbox. Answers how it ended. */
export async function* convertedLines(
  open: OpenBytes,
  detection: Detection,
  request: InspectRequest,
  signal: AbortSignal,
): AsyncGenerator<string, RowsEnd, undefined> {
  let rows = 0
  const names = namesOf(detection)
  for await (const group of rowsHere(open, detection, request, names, signal)) {
    let text = ''
    for (const row of group) {
      const line = rowLine(row)
      text += line.includes('\\u0000') || line.includes('\\ud') ? rowLine(storable(row)) : line
    }
    rows += group.length
    yield text
  }
  return { rows, columns: names }
}

/** No database keeps NUL, nor half of a character that takes two: formats other than CSV may hold either. */
function storable(row: Row): Pick<Row, 'number' | 'cells' | 'fault'> {
  const cells = row.cells.map((cell) => cell.toWellFormed())
  const fault =
    row.fault === null && cells.some((cell) => cell.includes('\0'))
      ? ({ code: 'UNPARSABLE_ROW', message: 'The row holds a NUL character.' } as const)
      : row.fault
  return { number: row.number, cells, fault }
}

/** Rows as the detection reads them; names that are first seen on the way are added to `names`. */
async function* rowsHere(
  open: OpenBytes,
  detection: Detection,
  request: InspectRequest,
  names: string[],
  signal: AbortSignal,
): AsyncGenerator<readonly Row[], void, undefined> {
  const unpacked = await unpack(open, request.byteSize)
  switch (detection.format) {
    case 'XLSX':
    case 'XLS':
    case 'XLSB':
    case 'ODS': {
      await using bytes = await placedBytes(unpacked)
      await using book = await openWorkbook(bytes, detection.format)
      yield* workbookRows(book, detection, signal)
      return
    }
    case 'JSON': {
      await using bytes = await utf8Of(unpacked, detection)()
      yield* jsonRows(bytesAhead(bytes), detection, names, signal)
      return
    }
    case 'NDJSON': {
      const source = await openNdjson(utf8Of(unpacked, detection), names, { firstDataRow: detection.firstDataRow })
      const known = names.length
      for await (const rows of source.rows(null, signal)) {
        names.push(...source.lateColumns().slice(names.length - known))
        yield rows
      }
      return
    }
    case 'CSV': {
      const { encoding } = detection
      const text = encoding === null || isReadNatively(encoding) ? unpacked.open : transcoded(unpacked.open, encoding)
      const source = await openCsv(text, csvDialect(detection))
      yield* source.rows(null, signal)
      return
    }
    default:
      detection.format satisfies never
  }
}

function utf8Of({ open }: Unpacked, { encoding }: Detection): OpenBytes {
  return encoding === null || encoding === 'utf-8' ? open : transcoded(open, encoding)
}
