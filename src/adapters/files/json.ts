/** JSON as a table: where its records stand, which columns they have, and its rows. */
import { Refusal } from '../../errors.js'
import { FILE_HEAD_BYTES_MAX, SOURCE_BLOCK_BYTES } from '../../limits.js'
import type { SourceOptions } from '../../pipeline/types.js'
import type { Row } from '../source.js'
import type { ByteReader } from './bytes.js'
import type { Detection } from './detection.js'
import { cellsOfList, Flattener, VALUE_COLUMN } from './json-flatten.js'
import { type JsonOptions, type JsonRecord, JsonSlicer } from './json-slicer.js'
import { isBlank, type JsonKind, JsonWalker } from './json-walker.js'
import { ndjsonRecords } from './ndjson.js'
import { describeTable } from './sniff.js'

export type { JsonOptions, JsonRecord } from './json-slicer.js'

export interface JsonSniffOptions {
  /** As the file was called where it came from. */
  readonly name: string
  readonly overrides: SourceOptions
}

/**
 * The records of JSON that comes as UTF-8 in chunks of any size, in groups; leaving the loop ends the reading. `path` are
 * dotted names, '' for the whole. Fails as `JsonSlicer` does.
 */
export async function* jsonRecords(
  chunks: AsyncIterable<Uint8Array>,
  { path, signal, ...options }: JsonOptions & { readonly path: string; readonly signal: AbortSignal },
): AsyncGenerator<readonly JsonRecord[], void, undefined> {
  const slicer = new JsonSlicer(path, options)
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    slicer.push(chunk)
    for (let records = slicer.next(false); records.length > 0; records = slicer.next(false)) {
      yield records
    }
  }
  for (let records = slicer.next(true); records.length > 0; records = slicer.next(true)) {
    yield records
  }
}

/** The bytes of a file, each block good until the next one is asked for, which is read meanwhile. Fails as `bytes` does. */
export async function* bytesAhead(bytes: ByteReader): AsyncGenerator<Uint8Array, void, undefined> {
  const blocks = [Buffer.allocUnsafeSlow(SOURCE_BLOCK_BYTES), Buffer.allocUnsafeSlow(SOURCE_BLOCK_BYTES)] as const
  const read = (turn: number, at: number): Promise<number> => {
    const reading = bytes.read(blocks[turn % 2 === 0 ? 0 : 1], 0, SOURCE_BLOCK_BYTES, at)
    // It fails where it is waited for, which may be later than it happens.
    reading.catch(() => undefined)
    return reading
  }
  let next = read(0, 0)
  try {
    for (let turn = 0, at = 0; ; turn += 1) {
      const length = await next
      if (length === 0) {
        return
      }
      at += length
      next = read(turn + 1, at)
      yield blocks[turn % 2 === 0 ? 0 : 1].subarray(0, length)
    }
  } finally {
    await next.catch(() => undefined)
  }
}

/**
 * The data rows of JSON as its detection has it, each with the columns known by then; names that are first seen on the way
 * are added to `names`. There is no going on from a row: `byte` and `end` are 0.
 */
export async function* jsonRows(
  chunks: AsyncIterable<Uint8Array>,
  { jsonPath, firstDataRow }: Pick<Detection, 'jsonPath' | 'firstDataRow'>,
  names: string[],
  signal: AbortSignal,
): AsyncGenerator<readonly Row[], void, undefined> {
  const flattener = new Flattener(names)
  for await (const records of jsonRecords(chunks, { path: jsonPath ?? '', signal })) {
    const rows: Row[] = []
    for (const record of records) {
      if (record.number >= firstDataRow) {
        const { cells, fault } = flattener.flatten(record)
        rows.push({ number: record.number, byte: 0, end: 0, cells, fault })
      }
    }
    names.push(...flattener.columns.slice(names.length))
    if (rows.length > 0) {
      yield rows
    }
  }
}

/** Openings of text that is surely meant as JSON. */
const OPENING = /^(?:\{\s*(?:"|\}\s*$)|\[\s*(?:\{|\[|\]\s*$))/

/** Last names of paths where records usually stand. */
const RECORDS_NAME =
  /(?:^|\.)(?:data|records?|items?|results?|rows|entries|values?|list|docs|documents|hits|features|objects|elements)$/i

/** An array with a larger share of the bytes is where the records stand, whatever its name. */
const RECORDS_SHARE = 0.5

/**
 * Looks at the first bytes of a file, in UTF-8 (`byteSize` as well), for a JSON document: an array of objects or of lists,
 * at the top or within objects, a single object, or objects one behind another. Null: it is none. Throws `Refusal`:
 * FILE_UNREADABLE for broken JSON, FILE_TYPE_UNSUPPORTED for JSON without records, FILE_EMPTY, LIMIT_EXCEEDED (columns),
 * INVALID_INPUT for an override that means nothing here.
 */
export function sniffJson(
  head: Buffer,
  whole: boolean,
  byteSize: number,
  { name, overrides }: JsonSniffOptions,
): Detection | null {
  const isSaid = overrides.format === 'JSON' || (overrides.format === null && overrides.jsonPath != null)
  if (overrides.format !== null && overrides.format !== 'JSON') {
    return null
  }
  const start = contentStart(head)
  const opening = head.toString('utf8', start, start + OPENING_BYTES)
  const isSure = isSaid || OPENING.test(opening) || (/\.json$/i.test(name) && /^[[{]/.test(opening))
  if (!isSure && !opening.startsWith('[')) {
    return null
  }
  try {
    return described(head, whole, byteSize, name, overrides)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'FILE_UNREADABLE' && !isSure) {
      return null
    }
    throw error
  }
}

function described(head: Buffer, whole: boolean, byteSize: number, name: string, overrides: SourceOptions): Detection {
  const found = surveyed(head)
  const path = overrides.jsonPath == null ? chosen(found, whole, head.length) : readPath(overrides.jsonPath, found)
  const slicer = new JsonSlicer(path)
  slicer.push(head)
  const records: JsonRecord[] = []
  for (let next = slicer.next(whole); next.length > 0; next = slicer.next(whole)) {
    records.push(...next)
  }
  const start = found.values.get(path)?.start ?? 0
  const perRecord = (slicer.position - start) / Math.max(1, records.length)
  const others = found.arrays.filter((array) => array.path !== path).map((array) => `"${array.path}"`)
  const isSequence = found.values.get(path)?.kind === 'object' && path === '' && records.length > 1
  return {
    ...tableOf(records, whole, whole ? records.length : Math.round((byteSize - start) / perRecord), overrides),
    format: 'JSON',
    jsonPath: path,
    lineTerminator: null,
    warnings: [
      ...nameWarning(name, 'JSON'),
      ...(others.length > 0 && overrides.jsonPath == null
        ? [`The records of ${path === '' ? 'the whole' : `"${path}"`} are read, not those of ${listed(others)}.`]
        : []),
      ...(isSequence ? ['The file is not one JSON value but several, one behind another; each is a row.'] : []),
      ...faultWarnings(records),
    ],
  }
}

/**
 * The same for a file of one JSON value per line. Null where the lines are none; `sniffJson` comes after it, as a single
 * line is a JSON document too unless the name or a person says otherwise.
 */
export function sniffNdjson(
  head: Buffer,
  whole: boolean,
  byteSize: number,
  { name, overrides }: JsonSniffOptions,
): Detection | null {
  if ((overrides.format !== null && overrides.format !== 'NDJSON') || overrides.jsonPath != null) {
    return null
  }
  const isSaid = overrides.format === 'NDJSON'
  const start = contentStart(head)
  if (!isSaid && head[start] !== 0x7b && head[start] !== 0x5b) {
    return null
  }
  const { records, bytes } = ndjsonRecords(head, whole)
  const good = records.filter(({ value }) => typeof value === 'object' && value !== null).length
  const isNamed = /\.(?:ndjson|jsonl)(?:\.gz)?$/i.test(name)
  if (!isSaid && (good < (isNamed ? 1 : 2) || good < records.length * GOOD_SHARE_MIN)) {
    return null
  }
  if (records.length === 0) {
    throw nothingWithinHead(whole)
  }
  const count = whole ? records.length : Math.round((records.length * byteSize) / Math.max(1, bytes))
  return {
    ...tableOf(records, whole, count, overrides),
    format: 'NDJSON',
    jsonPath: null,
    lineTerminator: head.includes('\r\n') ? '\r\n' : '\n',
    warnings: [...nameWarning(name, 'NDJSON'), ...faultWarnings(records)],
  }
}

/** Of the lines of a file that is taken for one value per line, so many are. */
const GOOD_SHARE_MIN = 0.6

const OPENING_BYTES = 512

function contentStart(head: Buffer): number {
  let at = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0
  while (at < head.length && (isBlank(head[at]!) || head[at] === 0x1e)) {
    at += 1
  }
  return at
}

interface Found {
  /** Values that stand in objects alone, by their path. */
  readonly values: ReadonlyMap<string, { readonly kind: JsonKind; readonly start: number }>
  /** Arrays of objects or lists among them. */
  readonly arrays: readonly { readonly path: string; readonly bytes: number }[]
  /** Whether the first value of the file ends within the head. */
  readonly isWhole: boolean
}

function surveyed(head: Buffer): Found {
  const values = new Map<string, { readonly kind: JsonKind; readonly start: number; end: number }>()
  const walker = new JsonWalker(
    (path, kind, start) => {
      if (!values.has(path)) {
        values.set(path, { kind, start, end: head.length })
      }
      return false
    },
    (path, start, end) => {
      const value = path === null ? undefined : values.get(path)
      if (value?.start === start) {
        value.end = end
      }
    },
  )
  const from = contentStart(head)
  try {
    walker.walk(head, from, head.length, false)
  } catch (error) {
    // What was found up to here tells where records stand; what is broken there is told when they are read.
    if (!(error instanceof Refusal)) {
      throw error
    }
  }
  const arrays = [...values]
    .filter(([, { kind, start }]) => {
      const first = kind === 'array' ? head[contentBehind(head, start + 1)] : undefined
      return first === 0x7b || first === 0x5b
    })
    .map(([path, { start, end }]) => ({ path, bytes: end - start }))
  return { values, arrays, isWhole: walker.isDone }
}

function contentBehind(head: Buffer, from: number): number {
  let at = from
  while (at < head.length && isBlank(head[at]!)) {
    at += 1
  }
  return at
}

/** The largest array of objects or lists; the whole where there is none, or only small ones within a single record. */
function chosen({ values, arrays, isWhole }: Found, whole: boolean, bytes: number): string {
  if (values.get('')?.kind !== 'object') {
    return ''
  }
  const largest = arrays.toSorted((a, b) => b.bytes - a.bytes)
  const found =
    largest.find((array) => array.bytes >= bytes * RECORDS_SHARE) ??
    largest.find((array) => RECORDS_NAME.test(array.path))
  if (found !== undefined) {
    return found.path
  }
  if (!whole && !isWhole) {
    throw new Refusal(
      'FILE_UNREADABLE',
      `No array of records begins within the first ${FILE_HEAD_BYTES_MAX / 1024} KiB of the JSON.`,
    )
  }
  return ''
}

/** `$.data.items[*]` is `data.items`. */
function readPath(said: string, { values, arrays }: Found): string {
  const path = said
    .trim()
    .replace(/^\$\.?/, '')
    .replace(/(?:\.\*|\[\*?\])$/, '')
  const value = values.get(path)
  if (value !== undefined && value.kind !== 'scalar') {
    return path
  }
  const known = arrays.length === 0 ? '' : ` Records stand in ${listed(arrays.map((array) => `"${array.path}"`))}.`
  throw new Refusal(
    'INVALID_INPUT',
    `The JSON holds ${value === undefined ? 'nothing' : 'a single value'} at "${path.slice(0, 100).toWellFormed()}".${known}`,
    ['source', 'jsonPath'],
  )
}

function tableOf(
  records: readonly JsonRecord[],
  whole: boolean,
  count: number,
  { headerRow, decimalSeparator }: SourceOptions,
): Omit<Detection, 'format' | 'jsonPath' | 'lineTerminator' | 'warnings'> {
  const values = records.filter(({ value }) => typeof value === 'object' && value !== null)
  const [first] = values
  const isSingle = first === undefined && records.some(({ fault }) => fault === null)
  if (first === undefined && !isSingle) {
    const fault = records[0]?.fault
    if (fault == null) {
      throw nothingWithinHead(whole)
    }
    throw new Refusal(
      'FILE_UNREADABLE',
      `No record of the JSON can be read. Row ${records[0]!.number}: ${fault.message}`,
    )
  }
  const isListed = first !== undefined && Array.isArray(first.value)
  const options = { whole, rowCount: whole ? null : count, decimalSeparator }
  const table = isListed
    ? describeTable(listRows(records), { ...options, headerRow })
    : {
        ...describeTable(isSingle ? singleRows(records) : objectRows(records), { ...options, headerRow: 1 }),
        headerRow: null,
        firstDataRow: 1,
      }
  return {
    compression: 'NONE',
    encoding: 'utf-8',
    encodingConfidence: 1,
    delimiter: null,
    quote: null,
    escape: null,
    dialectConfidence: null,
    headerRow: table.headerRow,
    firstDataRow: table.firstDataRow,
    sheets: [],
    sheet: null,
    columns: table.columns,
    estimatedRowCount: isListed ? table.estimatedRowCount : Math.max(count, records.length),
  }
}

function listRows(records: readonly JsonRecord[]): Row[] {
  return records
    .filter(({ value }) => Array.isArray(value))
    .map(({ number, value }) => ({ number, byte: 0, end: 0, cells: cellsOfList(value as unknown[]), fault: null }))
}

/** The rows of single values, below the name that they have for want of their own. */
function singleRows(records: readonly JsonRecord[]): Row[] {
  const flattener = new Flattener([VALUE_COLUMN])
  return [
    { number: 1, byte: 0, end: 0, cells: [VALUE_COLUMN], fault: null },
    ...records.map((record, index) => ({ number: index + 2, byte: 0, end: 0, ...flattener.flatten(record) })),
  ]
}

/** The rows of records, below their names. */
function objectRows(records: readonly JsonRecord[]): Row[] {
  const seen = new Flattener([], { keepsEmpty: true })
  for (const record of records) {
    if (!Array.isArray(record.value)) {
      seen.flatten(record)
    }
  }
  const names = seen.settled()
  if (names.length === 0) {
    throw new Refusal('FILE_EMPTY', 'The records of the JSON hold no values.')
  }
  const flattener = new Flattener(names)
  const rows = records.map((record, index): Row => {
    const { cells, fault } = flattener.flatten(record)
    return { number: index + 2, byte: 0, end: 0, cells, fault }
  })
  return [{ number: 1, byte: 0, end: 0, cells: names, fault: null }, ...rows]
}

function nothingWithinHead(whole: boolean): Refusal {
  return whole
    ? new Refusal('FILE_EMPTY', 'The JSON holds no records.')
    : new Refusal(
        'FILE_UNREADABLE',
        `The first record does not end within the first ${FILE_HEAD_BYTES_MAX / 1024} KiB.`,
      )
}

function nameWarning(name: string, format: string): string[] {
  const extension = /\.(csv|tsv|txt|xlsx?|xlsb|xlsm|ods|xml|pdf)$/i.exec(name)?.[1]?.toLowerCase()
  return extension === undefined || extension === 'txt'
    ? []
    : [`The name ends in .${extension}, but the file holds ${format} and is read as such.`]
}

function faultWarnings(records: readonly JsonRecord[]): string[] {
  const isObject = ({ value }: JsonRecord) => typeof value === 'object' && value !== null
  const hasObjects = records.some(isObject)
  const broken = records.filter((record) => record.fault !== null || (hasObjects && !isObject(record)))
  const first = broken[0]
  return first === undefined
    ? []
    : [
        `Records that cannot be read: ${broken.length} of the first ${records.length}. The first one is row ${first.number}. ${first.fault?.message ?? 'It is no object.'}`,
      ]
}

function listed(names: readonly string[]): string {
  return names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '')
}
