/** From what was found in a file to its rows. */
import { Refusal } from '../../errors.js'
import { FILE_HEAD_BYTES_MAX } from '../../limits.js'
import type { Source } from '../source.js'
import type { OpenBytes } from './bytes.js'
import { type Dialect, openCsv } from './csv.js'
import { transcoder } from './decode.js'
import type { Compression, Detection, Encoding } from './detection.js'
import { type FileType, fileTypeOf, kindOfZip } from './file-type.js'
import { bytesOf, gunzip } from './gzip.js'
import { RowFileSource } from './row-file.js'
import { dialectOf } from './sniff.js'
import { headOf, streamBytes } from './stream-bytes.js'
import { openZip, type ZipEntry } from './zip.js'

/**
 * Whether reading can go on at any row, by the row's place in the file: then runs read the file itself. All else is turned
 * into a row file first.
 */
export function isResumable(detection: Detection): boolean {
  if (detection.compression !== 'NONE') {
    return false
  }
  if (detection.format === 'CSV') {
    return isReadNatively(detection.encoding)
  }
  return false
}

/** Where the rows of an import are read from. */
export interface RowsPlace {
  readonly detection: Detection
  /** The bytes are a row file, made from the file that the detection is about. */
  readonly isRowFile: boolean
}

/** The rows of a file that `isResumable`, or of a row file. Fails as its bytes do. */
export async function openRows(open: OpenBytes, { detection, isRowFile }: RowsPlace): Promise<Source> {
  if (isRowFile) {
    return new RowFileSource(
      open,
      detection.columns.map((column) => column.name),
    )
  }
  return openCsv(open, csvDialect(detection))
}

/** How the lines of a file become cells, as its detection has it. */
export function csvDialect(detection: Detection): Dialect {
  return dialectOf(detection as unknown as Parameters<typeof dialectOf>[0])
}

/** A file without what it is packed in. */
export interface Unpacked {
  readonly compression: Compression
  readonly open: OpenBytes
  /** As far as the archive tells; null where it does not. */
  readonly byteSize: number | null
  readonly head: Buffer
  /** Whether the head is all there is. */
  readonly whole: boolean
}

/** Names of entries that are no data: what operating systems leave in archives. */
const IGNORED = /(?:^|\/)(?:__MACOSX\/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$)/i

/** Names of archives within archives. */
const ARCHIVE = /\.(?:zip|7z|rar|tar|tgz|gz|bz2|xz|zst)$/i

/**
 * Takes a file out of its GZIP or ZIP; a workbook's own archive is left as it is. Refuses FILE_UNSAFE for archives within
 * archives, FILE_TYPE_UNSUPPORTED for an archive of several data files or none, and as the archives do.
 */
export async function unpack(open: OpenBytes, byteSize: number): Promise<Unpacked> {
  const head = await headOf(open, FILE_HEAD_BYTES_MAX)
  const type = fileTypeOf(head)
  if (isArchive(type, 'GZIP')) {
    return within(
      'GZIP',
      streamBytes(() => gunzipped(open)),
      null,
    )
  }
  if (isArchive(type, 'ZIP')) {
    await using bytes = await open()
    const zip = await openZip(bytes)
    if (kindOfZip(zip.entries.map(({ name }) => name)).kind === 'archive') {
      const entry = onlyEntry(zip.entries)
      return within(
        'ZIP',
        streamBytes(() => unzipped(open, entry.name)),
        entry.unpackedBytes,
      )
    }
  }
  return { compression: 'NONE', open, byteSize, head, whole: byteSize <= head.length }
}

async function within(compression: Compression, open: OpenBytes, byteSize: number | null): Promise<Unpacked> {
  const head = await headOf(open, FILE_HEAD_BYTES_MAX + 1)
  if (isArchive(fileTypeOf(head), 'GZIP')) {
    throw nested()
  }
  const whole = head.length <= FILE_HEAD_BYTES_MAX
  return {
    compression,
    open,
    byteSize: whole ? head.length : byteSize,
    head: head.subarray(0, FILE_HEAD_BYTES_MAX),
    whole,
  }
}

/** UTF-8 of a text in another encoding; what does not decode is the byte 0xFF. */
export function transcoded(open: OpenBytes, encoding: Encoding): OpenBytes {
  return streamBytes(async function* () {
    await using bytes = await open()
    const text = transcoder(encoding)
    for await (const block of bytesOf(bytes)) {
      yield text.push(block, false)
    }
    yield text.push(new Uint8Array(), true)
  })
}

/** Encodings that the reader of CSV reads by itself. */
export function isReadNatively(encoding: Encoding | null): boolean {
  return encoding === 'utf-8' || encoding === 'utf-16le' || encoding === 'utf-16be'
}

async function* gunzipped(open: OpenBytes): AsyncGenerator<Uint8Array> {
  await using bytes = await open()
  yield* gunzip(bytes)
}

async function* unzipped(open: OpenBytes, name: string): AsyncGenerator<Uint8Array> {
  await using bytes = await open()
  const zip = await openZip(bytes)
  const entry = zip.entries.find((each) => each.name === name)
  if (entry !== undefined) {
    yield* zip.read(entry)
  }
}

function isArchive(type: FileType, compression: Compression): boolean {
  return type.kind === 'archive' && type.compression === compression
}

function onlyEntry(entries: readonly ZipEntry[]): ZipEntry {
  const data = entries.filter(({ name }) => !IGNORED.test(name))
  const [first, ...more] = data
  if (first === undefined) {
    throw new Refusal('FILE_TYPE_UNSUPPORTED', 'The archive holds no file.')
  }
  if (more.length > 0) {
    const names = data.slice(0, 5).map(({ name }) => `"${shown(name)}"`)
    throw new Refusal(
      'FILE_TYPE_UNSUPPORTED',
      `The archive holds ${data.length} files: ${names.join(', ')}${data.length > 5 ? ' and more' : ''}. Upload the one that is to be imported.`,
    )
  }
  if (ARCHIVE.test(first.name)) {
    throw nested()
  }
  return first
}

/** The refusal of an archive within an archive. */
export function nested(): Refusal {
  return new Refusal('FILE_UNSAFE', 'The archive holds another archive. Upload the file that is in it.')
}

function shown(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80).toWellFormed()}…` : name
}
