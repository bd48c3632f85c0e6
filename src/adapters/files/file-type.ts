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
