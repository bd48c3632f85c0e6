import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { crc32, createDeflateRaw } from 'node:zlib'
import { type ZipPart, zipOf } from './zip-file.js'

const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const RELATED = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006/relationships'
const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

/** A workbook by hand: what is given replaces what would be there. */
export interface BookParts {
  /** XML of the sheet's `sheetData`, or of the whole part where it begins with `<?xml` or `<worksheet`. */
  readonly sheet: string
  /** Inner XML of `sst`. */
  readonly strings?: string
  /** Format codes of custom number formats; style 1 is the first of them. */
  readonly formats?: readonly string[]
  readonly date1904?: boolean
  /** Further parts, or others in place of those with the same name. */
  readonly parts?: readonly ZipPart[]
}

export function bookParts(book: BookParts): ZipPart[] {
  const { sheet, strings, formats = [], date1904 = false, parts = [] } = book
  const whole = /^(?:\uFEFF)?<(?:\?xml|!DOCTYPE|(?:\w+:)?worksheet)/.test(sheet)
  const own: ZipPart[] = [
    {
      // Nothing of ours reads it, but spreadsheet programs and other libraries ask for it.
      name: '[Content_Types].xml',
      data: `${HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>${[
        ['workbook', 'sheet.main'],
        ['worksheets/sheet1', 'worksheet'],
        ['styles', 'styles'],
        ['sharedStrings', 'sharedStrings'],
      ]
        .map(
          ([part, type]) =>
            `<Override PartName="/xl/${part}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.${type}+xml"/>`,
        )
        .join('')}</Types>`,
    },
    {
      name: '_rels/.rels',
      data: `${HEAD}<Relationships xmlns="${PACKAGE}"><Relationship Id="rId1" Type="${RELATED}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
    },
    {
      name: 'xl/workbook.xml',
      data: `${HEAD}<workbook xmlns="${MAIN}" xmlns:r="${RELATED}"><workbookPr${date1904 ? ' date1904="1"' : ''}/><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    },
    {
      name: 'xl/_rels/workbook.xml.rels',
      data: `${HEAD}<Relationships xmlns="${PACKAGE}"><Relationship Id="rId1" Type="${RELATED}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="${RELATED}/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="rId3" Type="${RELATED}/styles" Target="styles.xml"/></Relationships>`,
    },
    {
      name: 'xl/styles.xml',
      data: `${HEAD}<styleSheet xmlns="${MAIN}"><numFmts>${formats.map((code, index) => `<numFmt numFmtId="${200 + index}" formatCode="${escaped(code)}"/>`).join('')}</numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>${formats.map((_, index) => `<xf numFmtId="${200 + index}"/>`).join('')}</cellXfs></styleSheet>`,
    },
    {
      name: 'xl/worksheets/sheet1.xml',
      data: whole ? sheet : `${HEAD}<worksheet xmlns="${MAIN}"><sheetData>${sheet}</sheetData></worksheet>`,
    },
    ...(strings === undefined
      ? []
      : [{ name: 'xl/sharedStrings.xml', data: `${HEAD}<sst xmlns="${MAIN}">${strings}</sst>` }]),
  ]
  const others = new Map(parts.map((part) => [part.name, part]))
  return [...own.filter(({ name }) => !others.has(name)), ...parts]
}

/** The workbook as the bytes of a file. */
export function bookOf(book: BookParts): Buffer {
  return zipOf(bookParts(book))
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

export interface LargeBook {
  readonly rows: number
  /** `unique`: shared, and three of the fifteen columns differ in every row. */
  readonly strings: 'shared' | 'inline' | 'unique'
  /** Of the packing, 1 to 9. */
  readonly level?: number
}

/** Names of the columns of a large workbook. */
export const largeColumns = [
  'Id',
  'First name',
  'Last name',
  'E-mail',
  'Company',
  'Phone',
  'Street',
  'City',
  'Postcode',
  'Country',
  'Born',
  'Revenue',
  'Share',
  'Active',
  'Note',
]

/** Cells of a data row, from 0, as they are to be read: the same for the same row, whatever the others. */
export function largeRow(row: number, strings: LargeBook['strings']): string[] {
  const unique = strings === 'unique'
  const mixed = Math.imul(row + 1, 2_654_435_761) >>> 0
  const person = unique ? row : row % 20_011
  return [
    String(row + 1),
    `First${mixed % 211}`,
    `Last${(mixed >>> 8) % 1013}`,
    `person.${person}@example${mixed % 97}.org`,
    `Company ${(mixed >>> 4) % 4999} Ltd`,
    `+44 20 ${String(unique ? row : mixed % 19_997).padStart(8, '0')}`,
    `${1 + (person % 300)} Market Street ${unique ? row : person % 997}`,
    `City ${mixed % 503}`,
    String(10_000 + (mixed % 80_000)),
    `Country ${mixed % 61}`,
    new Date(Date.UTC(1950, 0, 1 + (mixed % 20_000))).toISOString().slice(0, 10),
    ((mixed % 10_000_000) / 100).toFixed(2),
    `${mixed % 101}%`,
    mixed % 3 === 0 ? 'TRUE' : 'FALSE',
    `Met in ${1990 + (mixed % 30)} & liked`,
  ]
}

const UNIQUE_COLUMNS = [3, 5, 6]
const TEXT_COLUMNS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 14]
const EPOCH = Date.UTC(1899, 11, 30)
const letters = 'ABCDEFGHIJKLMNO'

/** Writes a workbook of any size, row by row: a header and `rows` rows of fifteen columns. */
export async function writeLargeXlsx(path: string, book: LargeBook): Promise<void> {
  const { rows, strings, level = 6 } = book
  const numbers = new Map<string, number>()
  const shared: string[] = []
  const numberOf = (text: string): number => {
    let number = numbers.get(text)
    if (number === undefined) {
      number = shared.length
      numbers.set(text, number)
      shared.push(text)
    }
    return number
  }
  const textCell = (reference: string, text: string, once: number | null): string => {
    if (strings === 'inline') {
      return `<c r="${reference}" t="inlineStr"><is><t>${escaped(text)}</t></is></c>`
    }
    return `<c r="${reference}" t="s"><v>${once ?? numberOf(text)}</v></c>`
  }
  // What differs in every row is counted down from a number that no other text reaches, and written behind the others.
  const POOL = 200_000
  function* sheet(): Generator<string> {
    yield `${HEAD}<worksheet xmlns="${MAIN}"><dimension ref="A1:O${rows + 1}"/><sheetData>`
    yield `<row r="1">${largeColumns.map((name, column) => textCell(`${letters[column]}1`, name, null)).join('')}</row>`
    for (let row = 0; row < rows; row += 1) {
      const number = row + 2
      const cells = largeRow(row, strings)
      let xml = `<row r="${number}">`
      for (const [column, text] of cells.entries()) {
        const reference = `${letters[column]}${number}`
        if (TEXT_COLUMNS.includes(column)) {
          const unique = strings === 'unique' ? UNIQUE_COLUMNS.indexOf(column) : -1
          xml += textCell(reference, text, unique < 0 ? null : POOL + row * UNIQUE_COLUMNS.length + unique)
        } else if (column === 0) {
          xml += `<c r="${reference}"><v>${text}</v></c>`
        } else if (column === 10) {
          xml += `<c r="${reference}" s="1"><v>${(Date.parse(text) - EPOCH) / 86_400_000}</v></c>`
        } else if (column === 11) {
          xml += `<c r="${reference}" s="2"><v>${Number(text)}</v></c>`
        } else if (column === 12) {
          xml += `<c r="${reference}" s="3"><v>${Number(text.slice(0, -1)) / 100}</v></c>`
        } else {
          xml += `<c r="${reference}" t="b"><v>${text === 'TRUE' ? 1 : 0}</v></c>`
        }
      }
      yield `${xml}</row>`
    }
    yield '</sheetData></worksheet>'
  }
  function* sharedStrings(): Generator<string> {
    yield `${HEAD}<sst xmlns="${MAIN}">`
    for (const text of shared) {
      yield `<si><t>${escaped(text)}</t></si>`
    }
    if (strings === 'unique') {
      for (let index = shared.length; index < POOL; index += 1) {
        yield '<si/>'
      }
      for (let row = 0; row < rows; row += 1) {
        const cells = largeRow(row, strings)
        yield UNIQUE_COLUMNS.map((column) => `<si><t>${escaped(cells[column] ?? '')}</t></si>`).join('')
      }
    }
    yield '</sst>'
  }

  const out = createWriteStream(path)
  const directory: Buffer[] = []
  let offset = 0
  let count = 0
  const write = async (block: Uint8Array): Promise<void> => {
    offset += block.length
    if (!out.write(block)) {
      await once(out, 'drain')
    }
  }
  const part = async (name: string, content: Iterable<string>): Promise<void> => {
    const start = offset
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(20, 4)
    local.writeUInt16LE(0x808, 6)
    local.writeUInt16LE(8, 8)
    local.writeUInt16LE(name.length, 26)
    await write(local)
    await write(Buffer.from(name))
    const dataStart = offset
    let sum = 0
    let unpacked = 0
    const deflate = createDeflateRaw({ level })
    const writing = (async () => {
      for await (const block of deflate as AsyncIterable<Buffer>) {
        await write(block)
      }
    })()
    const put = async (text: string): Promise<void> => {
      const block = Buffer.from(text)
      sum = crc32(block, sum)
      unpacked += block.length
      if (!deflate.write(block)) {
        await once(deflate, 'drain')
      }
    }
    let text = ''
    for (const piece of content) {
      text += piece
      if (text.length > 65_536) {
        await put(text)
        text = ''
      }
    }
    await put(text)
    deflate.end()
    await writing
    const packed = offset - dataStart
    const descriptor = Buffer.alloc(16)
    descriptor.writeUInt32LE(0x08074b50, 0)
    descriptor.writeUInt32LE(sum, 4)
    descriptor.writeUInt32LE(packed, 8)
    descriptor.writeUInt32LE(unpacked, 12)
    await write(descriptor)
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(20, 6)
    central.writeUInt16LE(0x808, 8)
    central.writeUInt16LE(8, 10)
    central.writeUInt32LE(sum, 16)
    central.writeUInt32LE(packed, 20)
    central.writeUInt32LE(unpacked, 24)
    central.writeUInt16LE(name.length, 28)
    central.writeUInt32LE(start, 42)
    directory.push(central, Buffer.from(name))
    count += 1
  }

  for (const { name, data } of bookParts({ sheet: '', formats: ['yyyy\\-mm\\-dd', '0.00', '0%'] })) {
    if (name !== 'xl/worksheets/sheet1.xml') {
      await part(name, [Buffer.from(data).toString()])
    }
  }
  await part('xl/worksheets/sheet1.xml', sheet())
  await part('xl/sharedStrings.xml', sharedStrings())
  const directoryStart = offset
  for (const block of directory) {
    await write(block)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(offset - directoryStart, 12)
  end.writeUInt32LE(directoryStart, 16)
  await write(end)
  out.end()
  await finished(out)
}
