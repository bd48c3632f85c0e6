/** Workbooks of older and other makes than XLSX: XLS of all ages and what is named so, XLSB, ODS. */
import { Refusal } from '../../errors.js'
import { LEGACY_WORKBOOK_BYTES_MAX } from '../../limits.js'
import type { ByteReader } from './bytes.js'
import { transcoder } from './decode.js'
import { findEncoding, readEncodingName } from './encoding.js'
import { fileTypeOf } from './file-type.js'
import { htmlTables } from './html-table.js'
import { openXls, openXlsb } from './legacy-workbook-binary.js'
import { openFods, openOds } from './legacy-workbook-ods.js'
import { grouped, type HeldSheet } from './legacy-workbook-rows.js'
import { openXmlSpreadsheet } from './legacy-workbook-xml.js'
import type { Workbook } from './workbook.js'

const HEAD_BYTES = 64 * 1024

/**
 * Opens a workbook. `bytes` is needed until the workbook is disposed of, and is the caller's to close. XLS, XLSB and web pages
 * are held in memory; ODS and XML spreadsheets are not. Throws `Refusal`: FILE_UNREADABLE, FILE_UNSAFE, FILE_ENCRYPTED,
 * LIMIT_EXCEEDED, FILE_TYPE_UNSUPPORTED for what turns out to be no table; and what `bytes` throws.
 */
export async function openLegacyWorkbook(bytes: ByteReader, format: 'XLS' | 'XLSB' | 'ODS'): Promise<Workbook> {
  const head = await bytesFrom(bytes, Math.min(HEAD_BYTES, bytes.byteSize))
  const type = fileTypeOf(head)
  if (type.kind === 'refused') {
    throw new Refusal(type.code, type.message)
  }
  switch (format) {
    case 'ODS':
      return type.kind === 'archive' ? openOds(bytes) : openFods(bytes)
    case 'XLSB':
      refuseLarge(bytes)
      return openXlsb(bytes)
    case 'XLS':
      if (type.kind === 'markup') {
        return type.what === 'html' ? openHtml(bytes) : openXmlSpreadsheet(bytes)
      }
      refuseLarge(bytes)
      return openXls(await bytesFrom(bytes, bytes.byteSize))
    default:
      return format satisfies never
  }
}

async function openHtml(bytes: ByteReader): Promise<Workbook> {
  refuseLarge(bytes)
  return heldWorkbook(htmlTables(pageText(await bytesFrom(bytes, bytes.byteSize))))
}

/** The text of a page: in the encoding of its byte-order mark, else the one it declares, else the one it looks like. */
function pageText(page: Buffer): string {
  const marked = /^(?:efbbbf|fffe|feff)/.test(page.toString('hex', 0, 3))
  const head = page.toString('latin1', 0, 4096)
  const declared =
    /<meta[^>]{1,1000}charset\s*=\s*["']?\s*([\w.:-]{1,40})/i.exec(head)?.[1] ??
    /^\s*<\?xml[^>]{1,200}encoding\s*=\s*["']([\w.:-]{1,40})/i.exec(head)?.[1]
  const said = marked || declared === undefined ? null : readEncodingName(declared)
  // What was read as single bytes cannot be in UTF-16, whatever it says.
  const { encoding } = findEncoding(page, true, said?.startsWith('utf-16') === true ? null : said)
  return transcoder(encoding)
    .push(page, true)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
}

function heldWorkbook(tables: readonly HeldSheet[]): Workbook {
  return {
    sheets: tables.map(({ name, hidden, rows }, index) => ({ name, index, hidden, estimatedRowCount: rows.length })),
    async *rows(sheet, signal) {
      const table = tables[sheet]
      if (table === undefined) {
        throw new Refusal('INVALID_INPUT', `The workbook has no sheet ${sheet + 1}.`)
      }
      for (const group of grouped(table.rows)) {
        signal.throwIfAborted()
        yield await Promise.resolve(group)
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function refuseLarge({ byteSize }: ByteReader): void {
  if (byteSize > LEGACY_WORKBOOK_BYTES_MAX) {
    const most = LEGACY_WORKBOOK_BYTES_MAX / (1024 * 1024)
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `A workbook in this format is read up to ${most} MiB. Save it as XLSX or CSV and upload that file.`,
    )
  }
}

async function bytesFrom(bytes: ByteReader, length: number): Promise<Buffer> {
  const all = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const read = await bytes.read(all, filled, length - filled, filled)
    if (read === 0) {
      break
    }
    filled += read
  }
  return all.subarray(0, filled)
}
