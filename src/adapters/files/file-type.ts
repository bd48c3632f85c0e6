/** Tells by the content, never by the name, that a file is none that can be read. */
import { Refusal } from '../../errors.js'

/** First bytes, in hex, of formats that people upload by mistake. */
const SIGNATURES: readonly (readonly [hex: string, what: string])[] = [
  ['1f8b', 'a gzip archive. Unpack it'],
  ['255044462d', 'a PDF document'],
  ['d0cf11e0a1b11ae1', 'an old Excel or Office document (.xls)'],
  ['425a68', 'a bzip2 archive. Unpack it'],
  ['fd377a585a00', 'an xz archive. Unpack it'],
  ['28b52ffd', 'a zstd archive. Unpack it'],
  ['377abcaf271c', 'a 7z archive. Unpack it'],
  ['526172211a07', 'a RAR archive. Unpack it'],
  ['53514c69746520666f726d6174203300', 'a SQLite database'],
  ['50415231', 'a Parquet file'],
  ['89504e470d0a1a0a', 'a picture'],
  ['ffd8ff', 'a picture'],
  ['474946383961', 'a picture'],
  ['474946383761', 'a picture'],
  ['7f454c46', 'a program'],
  ['4d5a9000', 'a program'],
]

const OPENINGS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^<(?:!doctype\s+html|html|head|body|table|script)[\s>]/i, 'a web page (HTML)'],
  [/^<(?:\?xml|!doctype|svg)[\s>]/i, 'an XML document'],
  [/^\{\\rtf/, 'a rich text document (RTF)'],
  [/^(?:\{\s*(?:"|\}\s*$)|\[\s*(?:\{|\[|\]\s*$))/, 'JSON'],
  [/^BEGIN:V(?:CARD|CALENDAR)\s/i, 'a vCard or calendar file'],
]

/** Characters that no text holds. TAB, line ends, form feed and the separators that some exports use are text. */
const CONTROL_SHARE_MAX = 0.02

/** Throws `Refusal` FILE_TYPE_UNSUPPORTED if the first bytes are those of a format that is not read. */
export function refuseKnownBinary(head: Buffer): void {
  const start = head.toString('hex', 0, 32)
  if (/^504b0(?:304|506|708)/.test(start)) {
    refuse(archive(head))
  }
  for (const [hex, what] of SIGNATURES) {
    if (start.startsWith(hex)) {
      refuse(what)
    }
  }
  if (start.startsWith('fffe0000') || start.startsWith('0000feff')) {
    const message = 'The file is text in UTF-32, which is not read. Save it as CSV in UTF-8 and upload that file.'
    throw new Refusal('FILE_TYPE_UNSUPPORTED', message)
  }
}

/** Throws `Refusal` FILE_TYPE_UNSUPPORTED if what was decoded is text of another format, or no text at all. */
export function refuseOtherText(text: Buffer): void {
  const start = text.toString('utf8', 0, 512).trimStart()
  for (const [pattern, what] of OPENINGS) {
    if (pattern.test(start)) {
      refuse(what)
    }
  }
}

/** Throws `Refusal` FILE_TYPE_UNSUPPORTED if the bytes hold more control characters than any text does. */
export function refuseNoText(text: Buffer): void {
  let controls = 0
  for (const byte of text) {
    if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13 && byte !== 1 && byte !== 31) {
      controls += 1
    }
  }
  if (controls > text.length * CONTROL_SHARE_MAX) {
    refuse('no text file')
  }
}

function archive(head: Buffer): string {
  const names = head.toString('latin1')
  if (names.includes('xl/') || names.includes('[Content_Types].xml')) {
    return 'an Excel workbook (.xlsx)'
  }
  return names.includes('opendocument.spreadsheet') ? 'an OpenDocument spreadsheet (.ods)' : 'a zip archive. Unpack it'
}

function refuse(what: string): never {
  const advice = what.includes('. ')
    ? `${what} and upload the CSV file in it.`
    : `${what}. Save it as CSV and upload that file.`
  throw new Refusal('FILE_TYPE_UNSUPPORTED', `The file is ${advice}`)
}

/** What a file is, told by its bytes alone: neither its name nor its declared type counts. */
export type FileType =
  | { readonly kind: 'workbook'; readonly format: 'XLSX' | 'XLSB' | 'ODS' | 'XLS' }
  | { readonly kind: 'archive'; readonly compression: 'ZIP' | 'GZIP' }
  /** CSV and JSON are told apart in the decoded text. */
  | { readonly kind: 'text' }
  | { readonly kind: 'markup'; readonly what: 'html' | 'xml-spreadsheet' | 'xml' }
  | { readonly kind: 'refused'; readonly code: 'FILE_TYPE_UNSUPPORTED' | 'FILE_ENCRYPTED'; readonly message: string }

/** The first records of Excel 2 to 5 workbooks that stand in no compound file: BOF with its length. */
const BARE_BIFF = /^09(?:000400|020600|040600|080800|081000)/

/** How much text tells what markup it is, in characters. */
const MARKUP_CHARS = 8192

/**
 * Tells a file by its first bytes. A ZIP is an archive here: `kindOfZip` tells by its names what it holds. `tail` are the
 * last bytes of the file, for compound files (.xls) whose directory stands at the end; one whose directory is in neither
 * is taken for XLS, and its reader says otherwise. A file that begins as one format and goes on as another is the first.
 */
export function fileTypeOf(head: Buffer, tail?: Buffer): FileType {
  const start = head.toString('hex', 0, 32)
  if (/^504b0(?:304|506|708)/.test(start)) {
    return { kind: 'archive', compression: 'ZIP' }
  }
  if (start.startsWith('1f8b')) {
    return { kind: 'archive', compression: 'GZIP' }
  }
  if (start.startsWith('d0cf11e0a1b11ae1')) {
    return compoundKind([...streamNames(head, 0), ...(tail === undefined ? [] : streamNames(tail, tail.length % 128))])
  }
  if (BARE_BIFF.test(start)) {
    return { kind: 'workbook', format: 'XLS' }
  }
  const isUtf32 = start.startsWith('fffe0000') || start.startsWith('0000feff')
  const binary = isUtf32 ? undefined : SIGNATURES.find(([hex]) => start.startsWith(hex))
  if (binary !== undefined) {
    return unsupported(binary[1])
  }
  return textKind(openingText(head))
}

/**
 * Tells by the names in its central directory what a ZIP is: a workbook, another document (refused, saying which), or an
 * archive.
 */
export function kindOfZip(names: readonly string[]): FileType {
  const all = new Set(names)
  if (all.has('xl/workbook.bin')) {
    return { kind: 'workbook', format: 'XLSB' }
  }
  if (all.has('xl/workbook.xml') || (all.has('[Content_Types].xml') && names.some((name) => name.startsWith('xl/')))) {
    return { kind: 'workbook', format: 'XLSX' }
  }
  if (all.has('content.xml') && (all.has('mimetype') || all.has('META-INF/manifest.xml'))) {
    return { kind: 'workbook', format: 'ODS' }
  }
  if (all.has('Index/Document.iwa') || all.has('Index.zip')) {
    const message =
      'The file is a document of Apple Numbers, Pages or Keynote. Export its table as CSV or Excel (File > Export To) and upload that file.'
    return { kind: 'refused', code: 'FILE_TYPE_UNSUPPORTED', message }
  }
  if (all.has('[Content_Types].xml')) {
    const holds = (folder: string): boolean => names.some((name) => name.startsWith(folder))
    if (holds('word/')) {
      return unsupported('a Word document')
    }
    if (holds('ppt/')) {
      return unsupported('a PowerPoint presentation')
    }
    if (holds('visio/')) {
      return unsupported('a Visio drawing')
    }
  }
  return { kind: 'archive', compression: 'ZIP' }
}

function unsupported(what: string): FileType {
  const advice = what.includes('. ')
    ? `${what} and upload the CSV file in it.`
    : `${what}. Save it as CSV and upload that file.`
  return { kind: 'refused', code: 'FILE_TYPE_UNSUPPORTED', message: `The file is ${advice}` }
}

/**
 * Tells by the names of its streams what a compound file (OLE) is; one of no known name is taken for XLS. A workbook comes
 * before a document: Excel keeps documents that were put into a sheet beside its own stream.
 */
export function compoundKind(names: readonly string[]): FileType {
  if (names.includes('EncryptedPackage')) {
    const message =
      'The file is protected by a password. Open it in Excel, remove the password, save it and upload it again.'
    return { kind: 'refused', code: 'FILE_ENCRYPTED', message }
  }
  if (names.includes('Workbook') || names.includes('Book')) {
    return { kind: 'workbook', format: 'XLS' }
  }
  if (names.includes('WordDocument')) {
    return unsupported('an old Word document (.doc)')
  }
  if (names.includes('PowerPoint Document')) {
    return unsupported('an old PowerPoint presentation (.ppt)')
  }
  if (names.includes('__properties_version1.0')) {
    return unsupported('a mail of Outlook (.msg)')
  }
  return { kind: 'workbook', format: 'XLS' }
}

/** Names of streams in a compound file. Entries of its directory have 128 bytes and stand at multiples of them. */
function streamNames(bytes: Buffer, from: number): string[] {
  const names: string[] = []
  for (let at = from; at + 128 <= bytes.length; at += 128) {
    const length = bytes.readUInt16LE(at + 64)
    if (bytes[at + 66] === 2 && length > 2 && length <= 64 && length % 2 === 0) {
      names.push(bytes.toString('utf16le', at, at + length - 2))
    }
  }
  return names
}

function openingText(head: Buffer): string {
  if (head[0] === 0xff && head[1] === 0xfe) {
    return head.toString('utf16le', 2, MARKUP_CHARS * 2)
  }
  if (head[0] === 0xfe && head[1] === 0xff) {
    const pairs = Buffer.from(head.subarray(2, 2 + Math.min(MARKUP_CHARS * 2, (head.length - 2) & ~1)))
    return pairs.swap16().toString('utf16le')
  }
  const text = head.toString('utf8', 0, MARKUP_CHARS)
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

function textKind(text: string): FileType {
  const opening = text.trimStart()
  if (opening.startsWith('{\\rtf')) {
    return unsupported('a rich text document (RTF)')
  }
  if (/^BEGIN:V(?:CARD|CALENDAR)\s/i.test(opening)) {
    return unsupported('a vCard or calendar file')
  }
  const root = opening.replace(/^(?:<\?[^]*?\?>|<!--[^]*?-->|\s)+/, '')
  if (/^<office:document[\s>]/.test(root)) {
    return { kind: 'workbook', format: 'ODS' }
  }
  if (/^<(?:!doctype\s+html|html|head|body|table|script|meta|style|div)[\s>]/i.test(root)) {
    return { kind: 'markup', what: 'html' }
  }
  if (/^<(?:\w+:)?Workbook\s/.test(root) && root.includes('urn:schemas-microsoft-com:office:spreadsheet')) {
    return { kind: 'markup', what: 'xml-spreadsheet' }
  }
  return /^<(?:\?xml|!doctype|svg)[\s>]/i.test(opening) ? { kind: 'markup', what: 'xml' } : { kind: 'text' }
}
