/** The same table in every format, written once and kept for the next benchmark. */
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished, pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import * as xlsx from 'xlsx'
import { largeColumns, largeRow, writeLargeXlsx } from '../test/helpers/xlsx-file.js'

/** Part of the names of kept files; changed with every change of what is generated. */
const VERSION = 1

export const fileFormats = ['csv', 'csv.gz', 'xlsx', 'xls', 'xlsb', 'ods', 'json', 'ndjson'] as const

export type TableFormat = (typeof fileFormats)[number]

/** More rows do not fit into a sheet of this format. */
export const XLS_ROWS_MAX = 65_535

export interface TableFile {
  readonly path: string
  readonly rows: number
  readonly byteSize: number
}

/** The table of so many rows and fifteen columns. `unique`: three columns of texts differ in every row. */
export async function tableFile(folder: string, format: TableFormat, rows: number, unique = false): Promise<TableFile> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, `table-v${VERSION}-${rows}${unique ? '-unique' : ''}.${format}`)
  const exists = await stat(path).then(
    () => true,
    () => false,
  )
  if (!exists) {
    await write(`${path}.new`, format, rows, unique)
    await rename(`${path}.new`, path)
  }
  return { path, rows, byteSize: (await stat(path)).size }
}

async function write(path: string, format: TableFormat, rows: number, unique: boolean): Promise<void> {
  const strings = unique ? 'unique' : 'shared'
  const record = (row: number) => {
    const cells = largeRow(row, strings)
    return Object.fromEntries(largeColumns.map((name, column) => [name, cells[column]]))
  }
  switch (format) {
    case 'csv':
      return writeLines(path, rows, `${largeColumns.join(',')}\n`, (row) => `${largeRow(row, strings).join(',')}\n`)
    case 'csv.gz': {
      const plain = path.replace(/\.csv\.gz\.new$/, '.csv.plain')
      await write(plain, 'csv', rows, unique)
      return pipeline(createReadStream(plain), createGzip({ level: 6 }), createWriteStream(path))
    }
    case 'ndjson':
      return writeLines(path, rows, '', (row) => `${JSON.stringify(record(row))}\n`)
    case 'json':
      return writeLines(path, rows, '[', (row) => `${row === 0 ? '' : ',\n'}${JSON.stringify(record(row))}`, ']\n')
    case 'xlsx':
      return writeLargeXlsx(path, { rows, strings })
    case 'xls':
    case 'xlsb':
    case 'ods': {
      const cells = [largeColumns, ...Array.from({ length: rows }, (_, row) => largeRow(row, strings))]
      const book = xlsx.utils.book_new(xlsx.utils.aoa_to_sheet(cells, { dense: true }), 'Sheet1')
      await writeFile(path, xlsx.write(book, { type: 'buffer', bookType: format === 'xls' ? 'biff8' : format }))
      return
    }
    default:
      format satisfies never
  }
}

async function writeLines(
  path: string,
  rows: number,
  head: string,
  line: (row: number) => string,
  tail = '',
): Promise<void> {
  const stream = createWriteStream(path, { highWaterMark: 1024 * 1024 })
  let text = head
  for (let row = 0; row < rows; row++) {
    text += line(row)
    if (text.length > 256 * 1024) {
      if (!stream.write(text)) {
        await once(stream, 'drain')
      }
      text = ''
    }
  }
  stream.end(text + tail)
  await finished(stream)
}
