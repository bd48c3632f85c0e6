/** Files that mean harm, or look as if they did, and what has to become of each. */
import { crc32, gzipSync } from 'node:zlib'
import { CFB, utils, write } from 'xlsx'
import type { ByteReader, OpenBytes } from '../../src/adapters/files/bytes.js'
import { bookOf, bookParts } from '../helpers/xlsx-file.js'
import { type ZipPart, zipOf } from '../helpers/zip-file.js'

/** Bytes, or a byte that is repeated: long files take no memory and no disk. */
type Piece = Buffer | { readonly byte: number; readonly length: number }

/** One hostile file. */
export interface HostileFile {
  /** What it is. */
  readonly title: string
  readonly name: string
  readonly make: () => readonly Piece[]
  /** The code that it is refused with; or how many rows it has, with faults among them or not. */
  readonly expected: string | { readonly rows: number; readonly faults?: number; readonly first?: readonly string[] }
}

/** The file, without ever being held as a whole. */
export function openPieces(pieces: readonly Piece[]): { readonly open: OpenBytes; readonly byteSize: number } {
  const byteSize = pieces.reduce((sum, { length }) => sum + length, 0)
  const reader: ByteReader = {
    byteSize,
    read(target, at, length, position) {
      let start = 0
      for (const piece of pieces) {
        const from = position - start
        if (from < piece.length) {
          const taken = Math.min(length, piece.length - from)
          if (Buffer.isBuffer(piece)) {
            target.set(piece.subarray(from, from + taken), at)
          } else {
            target.fill(piece.byte, at, at + taken)
          }
          return Promise.resolve(taken)
        }
        start += piece.length
      }
      return Promise.resolve(0)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  return { open: () => Promise.resolve(reader), byteSize }
}

const MIB = 1024 * 1024
const X = 'x'.charCodeAt(0)
const table = 'id,name\n1,Ada\n2,Grace\n'
const laughs = `<!DOCTYPE lolz [<!ENTITY a "${'ha'.repeat(50)}">${Array.from('bcdefghij')
  .map((name, index) => `<!ENTITY ${name} "${`&${'abcdefghi'[index]};`.repeat(10)}">`)
  .join('')}]>`
const outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY j SYSTEM "http://127.0.0.1:9/">]>'
const spreadsheet = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'

function text(content: string): Piece[] {
  return [Buffer.from(content)]
}

function inline(reference: string, content: string): string {
  return `<c r="${reference}" t="inlineStr"><is><t>${content}</t></is></c>`
}

const plainSheet = `<row r="1">${inline('A1', 'id')}${inline('B1', 'name')}</row><row r="2"><c r="A2"><v>1</v></c>${inline('B2', 'Ada')}</row>`

/** A workbook whose last part has `length` times `x` in place of the mark in it, not packed. */
function swollenBook(sheet: string, length: number): Piece[] {
  const [before = '', after = ''] = sheetXml(sheet).split('MARK')
  let sum = crc32(before)
  const block = Buffer.alloc(MIB, X)
  for (let done = 0; done < length; done += MIB) {
    sum = crc32(block, sum)
  }
  sum = crc32(after, sum)
  const size = Buffer.byteLength(before) + length + Buffer.byteLength(after)
  const parts = bookParts({ sheet: '' }).filter(({ name }) => name !== 'xl/worksheets/sheet1.xml')
  const said = { crc32: sum, packed: size, unpacked: size }
  const bytes = zipOf([...parts, { name: 'xl/worksheets/sheet1.xml', data: before + after, method: 0, said }])
  const end = bytes.length - 22
  bytes.writeUInt32LE(bytes.readUInt32LE(end + 16) + length, end + 16)
  const at = bytes.indexOf(before.slice(0, 60)) + Buffer.byteLength(before)
  return [bytes.subarray(0, at), { byte: X, length }, bytes.subarray(at)]
}

function sheetXml(rows: string, head = ''): string {
  return `<?xml version="1.0"?>${head}<worksheet xmlns="${spreadsheet}"><sheetData>${rows}</sheetData></worksheet>`
}

function ods(head: string, cell: string): Buffer {
  return zipOf([
    { name: 'mimetype', data: 'application/vnd.oasis.opendocument.spreadsheet', method: 0 },
    {
      name: 'content.xml',
      data: `<?xml version="1.0"?>${head}<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet><table:table table:name="S"><table:table-row>${cell}</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>`,
    },
  ])
}

function encrypted(): Buffer {
  const container = CFB.utils.cfb_new() as object
  CFB.utils.cfb_add(container, '/EncryptionInfo', Buffer.alloc(200, 7))
  CFB.utils.cfb_add(container, '/EncryptedPackage', Buffer.alloc(9_000, 8))
  return Buffer.from(CFB.write(container, { type: 'buffer' }) as Uint8Array)
}

function excel(type: 'biff8' | 'ods' | 'xlsb'): Buffer {
  const book = utils.book_new()
  utils.book_append_sheet(
    book,
    utils.aoa_to_sheet([
      ['id', 'name'],
      [1, 'Ada'],
      [2, 'Grace'],
    ]),
    'People',
  )
  return Buffer.from(write(book, { type: 'buffer', bookType: type }) as Uint8Array)
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 0x10
  return copy
}

function columnsOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${index}`)
}

function letters(index: number): string {
  return (index >= 26 ? letters(Math.floor(index / 26) - 1) : '') + String.fromCharCode(65 + (index % 26))
}

const bomb = (): Buffer => Buffer.alloc(64 * MIB, 'x,y\n')

function overlapping(): ZipPart[] {
  const parts = bookParts({ sheet: plainSheet })
  return [...parts, { name: 'xl/worksheets/sheet2.xml', data: 'x', said: { offset: 40, packed: 400, unpacked: 400 } }]
}

/** All of them. */
export const hostileFiles: readonly HostileFile[] = [
  // Archives.
  {
    title: 'ZIP of one file, 1:1000 [UP-2]',
    name: 'bomb.zip',
    make: () => [zipOf([{ name: 'a.csv', data: bomb() }])],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'the same, its size understated [UP-2]',
    name: 'bomb.zip',
    make: () => [zipOf([{ name: 'a.csv', data: bomb(), said: { unpacked: 100 } }])],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'GZIP of 64 MB, 1:1000 [UP-2]',
    name: 'bomb.csv.gz',
    make: () => [gzipSync(bomb())],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ZIP in ZIP',
    name: 'nested.zip',
    make: () => [zipOf([{ name: 'b.zip', data: zipOf([{ name: 'a.csv', data: table }]) }])],
    expected: 'FILE_UNSAFE',
  },
  {
    title: '16 ZIPs in a ZIP, as 42.zip [UP-2]',
    name: '42.zip',
    make: () => [
      zipOf(
        Array.from({ length: 16 }, (_, index) => ({ name: `${index}.zip`, data: zipOf([{ name: 'a', data: 'x' }]) })),
      ),
    ],
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'ZIP in ZIP, named as a table',
    name: 'nested.zip',
    make: () => [zipOf([{ name: 'a.csv', data: zipOf([{ name: 'a.csv', data: table }]) }])],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'GZIP of 2,000,000 members of one byte',
    name: 'a.csv.gz',
    make: () => Array<Piece>(2_000).fill(Buffer.concat(Array<Buffer>(1_000).fill(gzipSync('a')))),
    expected: 'FILE_UNSAFE',
  },
  { title: 'GZIP in GZIP', name: 'a.csv.gz', make: () => [gzipSync(gzipSync(table))], expected: 'FILE_UNSAFE' },
  {
    title: 'ZIP of 100,000 files [UP-2]',
    name: 'many.zip',
    make: () => [
      zipOf(
        Array.from({ length: 100_000 }, (_, index) => ({ name: `${index}`, data: '', method: 0 })),
        { zip64: true },
      ),
    ],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ZIP whose entries overlap [UP-2]',
    name: 'overlap.xlsx',
    make: () => [zipOf(overlapping())],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ZIP with a path out of its folder [UP-5]',
    name: 'path.zip',
    make: () => [zipOf([{ name: '../../../../etc/cron.d/a.csv', data: table }])],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ZIP with a password',
    name: 'secret.zip',
    make: () => [zipOf([{ name: 'a.csv', data: table, flags: 1 }])],
    expected: 'FILE_ENCRYPTED',
  },
  {
    title: 'ZIP with a checksum that is wrong',
    name: 'a.zip',
    make: () => [zipOf([{ name: 'a.csv', data: table, said: { crc32: 1 } }])],
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'truncated ZIP',
    name: 'a.zip',
    make: () => [zipOf([{ name: 'a.csv', data: table }]).subarray(0, -30)],
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'truncated GZIP',
    name: 'a.csv.gz',
    make: () => [gzipSync(table.repeat(99)).subarray(0, -12)],
    expected: 'FILE_UNREADABLE',
  },
  // Workbooks.
  {
    title: 'XLSX whose sheet is 1:1000 [UP-2]',
    name: 'bomb.xlsx',
    make: () => [bookOf({ sheet: sheetXml(`<row r="1">${' '.repeat(64 * MIB)}</row>`) })],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'XLSX with the cell XFD1048576 [UP-3]',
    name: 'far.xlsx',
    make: () => [bookOf({ sheet: `${plainSheet}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>` })],
    expected: { rows: 2, faults: 1, first: ['1', 'Ada'] },
  },
  {
    title: 'XLSX with entities within entities [UP-5]',
    name: 'laughs.xlsx',
    make: () => [bookOf({ sheet: sheetXml(`<row r="1">${inline('A1', '&j;')}</row>`, laughs) })],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'XLSX with an entity from a file [UP-5]',
    name: 'outside.xlsx',
    make: () => [bookOf({ sheet: sheetXml(`<row r="1">${inline('A1', '&a;&j;')}</row>`, outside) })],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'XLSX with a part from outside [UP-5]',
    name: 'target.xlsx',
    make: () => [
      bookOf({
        sheet: plainSheet,
        parts: [
          {
            name: 'xl/_rels/workbook.xml.rels',
            data: '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="../../../../etc/passwd" TargetMode="External"/></Relationships>',
          },
        ],
      }),
    ],
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'truncated XLSX',
    name: 'cut.xlsx',
    make: () => {
      const book = bookOf({ sheet: plainSheet })
      return [book.subarray(0, book.length >> 1)]
    },
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'XLSX with one bit flipped',
    name: 'flip.xlsx',
    make: () => {
      const book = bookOf({ sheet: plainSheet })
      return [flipped(book, book.indexOf('sheet1.xml') + 40)]
    },
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'XLSX with 10,000 columns',
    name: 'wide.xlsx',
    make: () => [
      bookOf({
        sheet: `<row r="1">${columnsOf(10_000)
          .map((name, index) => inline(`${letters(index)}1`, name))
          .join('')}</row>`,
      }),
    ],
    expected: 'LIMIT_EXCEEDED',
  },
  {
    title: 'XLSX with a cell of 100 MB',
    name: 'swollen.xlsx',
    make: () =>
      swollenBook(
        `<row r="1">${inline('A1', 'id')}${inline('B1', 'name')}</row><row r="2">${inline('A2', 'MARK')}${inline('B2', 'b')}</row><row r="3">${inline('A3', '3')}${inline('B3', 'c')}</row>`,
        100 * MIB,
      ),
    expected: { rows: 2, faults: 1 },
  },
  {
    title: 'XLSX with an attribute of 100 MB',
    name: 'swollen.xlsx',
    make: () => swollenBook(`<row r="1" a="MARK">${inline('A1', 'id')}</row>`, 100 * MIB),
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'XLSX with names of the prototype [UP-4]',
    name: '__proto__.xlsx',
    make: () => [
      bookOf({
        sheet: `<row r="1">${inline('A1', '__proto__')}${inline('B1', 'constructor')}</row><row r="2">${inline('A2', 'polluted')}${inline('B2', 'x')}</row>`,
        parts: [{ name: '__proto__', data: 'x' }],
      }),
    ],
    expected: { rows: 1, first: ['polluted', 'x'] },
  },
  { title: 'XLSX with a password (OLE)', name: 'secret.xlsx', make: () => [encrypted()], expected: 'FILE_ENCRYPTED' },
  {
    title: 'XLS cut in half',
    name: 'cut.xls',
    make: () => {
      const book = excel('biff8')
      return [book.subarray(0, book.length >> 1)]
    },
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'ODS with entities within entities',
    name: 'laughs.ods',
    make: () => [ods(laughs, '<table:table-cell office:value-type="string"><text:p>&j;</text:p></table:table-cell>')],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ODS with an entity from a file [UP-5]',
    name: 'outside.ods',
    make: () => [ods(outside, '<table:table-cell office:value-type="string"><text:p>&a;</text:p></table:table-cell>')],
    expected: 'FILE_UNSAFE',
  },
  {
    title: 'ODS with a cell repeated 2,000,000,000 times',
    name: 'repeat.ods',
    make: () => [
      ods(
        '',
        '<table:table-cell table:number-columns-repeated="2000000000" office:value-type="string"><text:p>a</text:p></table:table-cell>',
      ),
    ],
    expected: 'LIMIT_EXCEEDED',
  },
  {
    title: 'XML spreadsheet with entities within entities',
    name: 'laughs.xls',
    make: () =>
      text(
        `<?xml version="1.0"?>${laughs}<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="S"><Table><Row><Cell><Data ss:Type="String">&j;</Data></Cell></Row></Table></Worksheet></Workbook>`,
      ),
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'HTML table saved as .xls',
    name: 'page.xls',
    make: () =>
      text('<html><body><table><tr><th>id</th><th>name</th></tr><tr><td>1</td><td>Ada</td></tr></table></body></html>'),
    expected: { rows: 1, first: ['1', 'Ada'] },
  },
  {
    title: 'HTML without a table saved as .xls',
    name: 'login.xls',
    make: () => text('<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>'),
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'XML without a table saved as .xls',
    name: 'feed.xls',
    make: () => text('<?xml version="1.0"?><rss><channel><title>x</title></channel></rss>'),
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  // Text.
  {
    title: 'CSV with names of the prototype [UP-4]',
    name: '__proto__.csv',
    make: () => text('__proto__,constructor,toString\npolluted,a,b\n'),
    expected: { rows: 1, first: ['polluted', 'a', 'b'] },
  },
  {
    title: 'CSV with 10,000 columns [UP-3]',
    name: 'wide.csv',
    make: () => text(`${columnsOf(10_000).join(',')}\n${columnsOf(10_000).join(',')}\n`),
    expected: 'LIMIT_EXCEEDED',
  },
  {
    title: 'CSV with a cell of 100 MB',
    name: 'swollen.csv',
    make: () => [Buffer.from('id,name\n1,"'), { byte: X, length: 100 * MIB }, Buffer.from('"\n2,Grace\n')],
    expected: { rows: 2, faults: 1 },
  },
  {
    title: 'CSV, 200 MB without a line end',
    name: 'endless.csv',
    make: () => [Buffer.from('id,name\n'), { byte: X, length: 200 * MIB }],
    expected: { rows: 1, faults: 1 },
  },
  {
    title: 'CSV, 200 MB of commas',
    name: 'commas.csv',
    make: () => [Buffer.from('id,name\n1,a\n'), { byte: 44, length: 200 * MIB }],
    expected: { rows: 2, faults: 1 },
  },
  {
    title: 'CSV, a quote and 200 MB of lines',
    name: 'quote.csv',
    make: () => [Buffer.from('id,name\n1,"'), { byte: 34, length: 200 * MIB + 1 }],
    expected: { rows: 1, faults: 1 },
  },
  {
    title: 'CSV in Shift_JIS with a cell of 100 MB',
    name: 'swollen.csv',
    make: () => [
      Buffer.from('69642c96bc914f0a312c93fa967b8cea82c582b70a322c', 'hex'),
      { byte: X, length: 100 * MIB },
      Buffer.from('\n3,Grace\n'),
    ],
    expected: { rows: 3, faults: 1 },
  },
  {
    title: 'JSON with names of the prototype [UP-4]',
    name: '__proto__.json',
    make: () => text('[{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"id":1}]'),
    expected: { rows: 1 },
  },
  {
    title: 'JSON of 1,000,000 brackets',
    name: 'deep.json',
    make: () => [{ byte: 91, length: 1_000_000 }],
    expected: 'FILE_UNREADABLE',
  },
  {
    title: 'JSON, one record 100,000 levels deep',
    name: 'deep.json',
    make: () => text(`[{"id":1},{"id":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}},{"id":3}]`),
    expected: { rows: 3, faults: 1 },
  },
  {
    title: 'JSON with a text of 100 MB',
    name: 'swollen.json',
    make: () => [Buffer.from('[{"id":1},{"id":"'), { byte: X, length: 100 * MIB }, Buffer.from('"},{"id":3}]')],
    expected: { rows: 3, faults: 1 },
  },
  {
    title: 'JSON with 10,000 names',
    name: 'wide.json',
    make: () => text(JSON.stringify([Object.fromEntries(columnsOf(10_000).map((name) => [name, 1]))])),
    expected: 'LIMIT_EXCEEDED',
  },
  {
    title: 'NDJSON with a line of 100 MB',
    name: 'swollen.ndjson',
    make: () => [Buffer.from('{"id":1}\n{"id":"'), { byte: X, length: 100 * MIB }, Buffer.from('"}\n{"id":3}\n')],
    expected: { rows: 3, faults: 1 },
  },
  // What is something else, or two things at once.
  {
    title: 'PDF that is CSV too [UP-12]',
    name: 'table.csv',
    make: () => text(`%PDF-1.7\n${table}%%EOF\n`),
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'HTML in GZIP [UP-12]',
    name: 'page.csv.gz',
    make: () => [gzipSync('<html><script>alert(1)</script></html>')],
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'image with a ZIP behind [UP-12]',
    name: 'image.zip',
    make: () => [Buffer.from('GIF89a\x01\x00\x01\x00', 'latin1'), zipOf([{ name: 'a.csv', data: table }])],
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'SVG with a script [UP-12]',
    name: 'image.csv',
    make: () => text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'program for Windows',
    name: 'setup.csv',
    make: () => [Buffer.from(`MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff${'\0'.repeat(200)}PE\0\0`, 'latin1')],
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
  {
    title: 'program for Linux',
    name: 'a.out.csv',
    make: () => [Buffer.from(`\x7fELF\x02\x01\x01${'\0'.repeat(200)}`, 'latin1')],
    expected: 'FILE_TYPE_UNSUPPORTED',
  },
]
