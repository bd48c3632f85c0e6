/** Looks at a file, whatever it is: what it holds, how it is read, and how sure that is. One road for the service and the command line. */
import { isAscii } from 'node:buffer'
import { Refusal } from '../../errors.js'
import { FILE_HEAD_BYTES_MAX } from '../../limits.js'
import type { SourceOptions } from '../../pipeline/types.js'
import type { ByteReader, OpenBytes } from './bytes.js'
import { transcoder } from './decode.js'
import type { Detection, FileFormat } from './detection.js'
import { type FoundEncoding, findEncoding, readEncodingName } from './encoding.js'
import { fileTypeOf } from './file-type.js'
import { sniffJson, sniffNdjson } from './json.js'
import { isReadNatively, type Unpacked, unpack } from './open.js'
import { inspectInSandbox } from './sandbox.js'
import { sniff } from './sniff.js'
import { headOf } from './stream-bytes.js'
import { inspectWorkbook, openWorkbook, placedBytes, type WorkbookFormat, workbookFormat } from './workbooks.js'

export interface InspectRequest {
  /** As the file was called where it came from. */
  readonly name: string
  readonly byteSize: number
  /** What a person says about the file; it wins over what is found. */
  readonly overrides: SourceOptions
}

/**
 * Looks at a file: at the beginning of a text right here, at all else in the sandbox. Throws `Refusal` for what cannot be
 * read, with the reason and, for an override that means nothing, its field; `RetryableError` where the machine failed.
 */
export async function inspectFile(open: OpenBytes, request: InspectRequest, signal?: AbortSignal): Promise<Detection> {
  return storable(await inspectAny(open, request, signal))
}

/** No database keeps NUL, nor half of a character that takes two: names and samples show the signs for them. */
function storable(detection: Detection): Detection {
  const text = (_: string, value: unknown): unknown =>
    typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\u2400') : value
  return JSON.parse(JSON.stringify(detection, text)) as Detection
}

async function inspectAny(open: OpenBytes, request: InspectRequest, signal?: AbortSignal): Promise<Detection> {
  const head = await headOf(open, FILE_HEAD_BYTES_MAX)
  const type = fileTypeOf(head)
  if (type.kind === 'refused') {
    throw new Refusal(type.code, type.message)
  }
  if (type.kind === 'text') {
    return inspectText(
      { compression: 'NONE', open, byteSize: request.byteSize, head, whole: request.byteSize <= head.length },
      request,
    )
  }
  return inspectInSandbox(open, request, signal === undefined ? {} : { signal })
}

/** The same without a sandbox: what runs in it. */
export async function inspectHere(open: OpenBytes, request: InspectRequest): Promise<Detection> {
  const unpacked = await unpack(open, request.byteSize)
  const format = await workbookFormat(unpacked)
  if (format === null) {
    return inspectText(unpacked, request)
  }
  await using bytes = await placedBytes(unpacked)
  return await inspectBook(unpacked, bytes, format, request)
}

async function inspectBook(
  file: Unpacked,
  bytes: ByteReader,
  format: WorkbookFormat,
  { overrides }: InspectRequest,
): Promise<Detection> {
  refuseOtherFormat(overrides, format)
  await using book = await openWorkbook(bytes, format)
  return {
    format,
    compression: file.compression,
    encoding: null,
    encodingConfidence: null,
    delimiter: null,
    quote: null,
    escape: null,
    dialectConfidence: null,
    lineTerminator: null,
    jsonPath: null,
    ...(await inspectWorkbook(book, overrides)),
  }
}

/** A person may say that a text is JSON, but not that a workbook is. */
function refuseOtherFormat({ format }: SourceOptions, found: FileFormat): void {
  if (format !== null && format !== found) {
    throw new Refusal('INVALID_INPUT', `The file is ${found}; it cannot be read as ${format.slice(0, 20)}.`, [
      'source',
      'format',
    ])
  }
}

async function inspectText(file: Unpacked, request: InspectRequest): Promise<Detection> {
  const encoding = await encodingOf(file, request)
  const json = inspectJson(file, request, encoding)
  if (json !== null) {
    return json
  }
  const csv = inspectCsv(file, request, encoding)
  refuseBrokenJson(file, request, csv)
  return csv
}

/** Places in a long file that are looked at for its encoding, the end among them, and how much at each. Bytes. */
const ENCODING_PLACES = 16
const ENCODING_PLACE_BYTES = 64 * 1024

/** The encoding of the text. Where its beginning is ASCII, which is so in nearly every encoding, places further on tell. */
async function encodingOf(file: Unpacked, { overrides }: InspectRequest): Promise<FoundEncoding> {
  const { head, whole } = file
  const found = findEncoding(head, whole, saidEncoding(overrides))
  const isOpen = overrides.encoding === null && found.encoding === 'utf-8' && isAscii(head)
  // What is packed would have to be unpacked up to each place.
  if (whole || !isOpen || file.compression !== 'NONE' || file.byteSize === null) {
    return found
  }
  const lines = await linesFurtherOn(file.open, head.length, file.byteSize)
  const further = lines.length === 0 ? found : findEncoding(lines, false, null)
  // A text does not change the width of its characters on the way.
  return /^utf-(?:16|32)/.test(further.encoding) ? found : further
}

/** Whole lines of places behind `from`, of those places alone where not all is ASCII: no character is cut in two. */
async function linesFurtherOn(open: OpenBytes, from: number, byteSize: number): Promise<Buffer> {
  await using bytes = await open()
  const last = Math.max(from, byteSize - ENCODING_PLACE_BYTES)
  const places = Math.min(ENCODING_PLACES, Math.ceil((byteSize - from) / ENCODING_PLACE_BYTES))
  const lines: Buffer[] = []
  for (let place = 0; place < places; place += 1) {
    const at = places === 1 ? from : from + Math.floor((place * (last - from)) / (places - 1))
    const block = await blockAt(bytes, at)
    // The place may begin within a line, and end within one.
    const begin = block.indexOf('\n') + 1
    const end = at + block.length >= byteSize ? block.length : block.lastIndexOf('\n') + 1
    const text = block.subarray(begin, end)
    if (begin > 0 && !isAscii(text)) {
      lines.push(text)
    }
  }
  return Buffer.concat(lines)
}

async function blockAt(bytes: ByteReader, from: number): Promise<Buffer> {
  const block = Buffer.allocUnsafe(ENCODING_PLACE_BYTES)
  let filled = 0
  while (filled < block.length) {
    const read = await bytes.read(block, filled, block.length - filled, from + filled)
    if (read === 0) {
      break
    }
    filled += read
  }
  return block.subarray(0, filled)
}

/** A single column of text that calls itself JSON and is none was meant as such; of a real table the name is wrong. */
function refuseBrokenJson({ head, whole }: Unpacked, { name, overrides }: InspectRequest, csv: Detection): void {
  if (!whole || overrides.format !== null || csv.columns.length > 1 || !/\.json$/i.test(name)) {
    return
  }
  try {
    JSON.parse(
      transcoder(csv.encoding ?? 'utf-8')
        .push(head, true)
        .toString('utf8'),
    )
  } catch {
    throw new Refusal(
      'FILE_UNREADABLE',
      'The file is named as JSON, but its text is none. Export it again, or say that its format is CSV.',
    )
  }
}

/** Null where the text is no JSON. */
function inspectJson(
  file: Unpacked,
  { name, overrides }: InspectRequest,
  { encoding, confidence }: FoundEncoding,
): Detection | null {
  const { head, whole } = file
  const text = transcoder(encoding).push(head, whole)
  const size = sizeOfText(file, text)
  const found = sniffNdjson(text, whole, size, { name, overrides }) ?? sniffJson(text, whole, size, { name, overrides })
  return (
    found && {
      ...found,
      compression: file.compression,
      encoding,
      encodingConfidence: confidence,
      estimatedRowCount: !whole && file.byteSize === null ? null : found.estimatedRowCount,
    }
  )
}

/** As long as the text is when all of it becomes as much longer as its beginning did. Bytes of UTF-8. */
function sizeOfText({ head, whole, byteSize }: Unpacked, text: Buffer): number {
  return whole ? text.length : Math.round((byteSize ?? 0) * (text.length / Math.max(1, head.length)))
}

function inspectCsv(
  file: Unpacked,
  { name, overrides }: InspectRequest,
  { encoding, confidence }: FoundEncoding,
): Detection {
  const { head, whole } = file
  const native = isReadNatively(encoding)
  const text = native ? head : transcoder(encoding).push(head, whole)
  const size = sizeOfText(file, text)
  const found = sniff(text, {
    byteSize: whole ? text.length : Math.max(size, text.length + 1),
    name,
    overrides: { ...overrides, encoding: native ? encoding : 'utf-8' },
  })
  return {
    ...found,
    compression: file.compression,
    encoding,
    encodingConfidence: Math.min(confidence, found.encodingConfidence ?? 1),
    // Of what is packed nobody knows how long it is.
    estimatedRowCount: !whole && file.byteSize === null ? null : found.estimatedRowCount,
  }
}

function saidEncoding({ encoding }: SourceOptions): ReturnType<typeof readEncodingName> {
  if (encoding === null) {
    return null
  }
  const said = readEncodingName(encoding)
  if (said === null) {
    throw new Refusal(
      'INVALID_INPUT',
      `"${encoding.slice(0, 40).toWellFormed()}" is no encoding that is read. Examples: UTF-8, UTF-16, windows-1252, ISO-8859-2, Shift_JIS, GB18030.`,
      ['source', 'encoding'],
    )
  }
  return said
}
