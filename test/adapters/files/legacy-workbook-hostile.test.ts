import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CFB, type WorkSheet } from 'xlsx'
import { openLegacyWorkbook } from '../../../src/adapters/files/legacy-workbook.js'
import { Refusal } from '../../../src/errors.js'
import { COLUMNS_MAX, LEGACY_UNPACKED_BYTES_MAX, LEGACY_WORKBOOK_BYTES_MAX } from '../../../src/limits.js'
import {
  BOOK_TYPES,
  bookOf,
  flat,
  type LegacyFormat,
  opened,
  page,
  record,
  rowsOf,
  spreadsheet,
  tableOf,
  written,
} from './legacy-rows.js'
import { type Random, random } from './random.js'

/** The first letters of a ZIP archive. */
const ZIP = 0x4b50

const MUTATIONS = Number(process.env['PORTAGE_TEST_MUTATIONS'] ?? 700)
const prototypeKeys = JSON.stringify(Reflect.ownKeys(Object.prototype).map(String))

function assertPrototype(): void {
  assert.equal(JSON.stringify(Reflect.ownKeys(Object.prototype).map(String)), prototypeKeys)
}

/** Rows of all sheets, or the refusal that stands in their place. Any other error fails the test. */
async function outcome(bytes: Buffer, format: LegacyFormat): Promise<number | Refusal> {
  try {
    await using book = await opened(bytes, format)
    let rows = 0
    for (const { index } of book.sheets) {
      for await (const group of book.rows(index, new AbortController().signal)) {
        rows += group.length
        for (const { cells } of group) {
          assert.ok(cells.every((cell) => typeof cell === 'string' && cell.isWellFormed()))
        }
      }
    }
    return rows
  } catch (error) {
    if (error instanceof Refusal) {
      return error
    }
    throw error
  }
}

function zipped(parts: Readonly<Record<string, Buffer | string>>): Buffer {
  const container = CFB.utils.cfb_new()
  for (const [name, part] of Object.entries(parts)) {
    CFB.utils.cfb_add(container, `/${name}`, Buffer.from(part))
  }
  return Buffer.from(CFB.write(container, { fileType: 'zip', type: 'buffer', compression: true }))
}

const row = (cells: string, more = ''): string => `<table:table-row ${more}>${cells}</table:table-row>`
const table = (rows: string): string => flat(`<table:table table:name="T">${rows}</table:table>`)
const text = (more: string): string =>
  `<table:table-cell office:value-type="string" ${more}><text:p>x</text:p></table:table-cell>`

describe('a workbook that means harm', () => {
  it('gives rows or a refusal, however it is damaged', async () => {
    const next = random(Number(process.env['PORTAGE_TEST_SEED'] ?? 20_260_711))
    const sound = [
      ...BOOK_TYPES.map(([type, format]) => ({ format, bytes: written(small(), type) })),
      { format: 'XLS' as const, bytes: Buffer.from(page('<tr><td colspan="2">a&eacute;</td></tr><tr><td>b')) },
    ]
    let refused = 0
    for (let round = 0; round < MUTATIONS; round += 1) {
      const { bytes, format } = sound[round % sound.length]!
      const result = await outcome(
        bytes.readUInt16LE(0) === ZIP && next.chance(0.8) ? mutatedWithin(bytes, next) : mutated(bytes, next),
        format,
      )
      refused += result instanceof Refusal ? 1 : 0
      assertPrototype()
    }
    assert.ok(refused > 0 && refused < MUTATIONS)
  })

  it('may put a value into the last corner of a sheet (XLSB)', async () => {
    const container = CFB.read(written(bookOf([['a'], ['z']]), 'xlsb'), { type: 'buffer' })
    const entry = CFB.find(container, '/xl/worksheets/sheet1.bin')
    const sheet = Buffer.from(entry.content)
    // The row of the last row header (record 0), the column of the cell behind it.
    let row = 0
    for (let at = 0; at < sheet.length; ) {
      const long = sheet[at]! >= 128 ? 2 : 1
      const length = sheet[at + long]! & 127
      if (long === 1 && sheet[at] === 0) {
        row = at + long + 1
      }
      at += long + 1 + length
    }
    sheet.writeUInt32LE(1_048_575, row)
    CFB.utils.cfb_add(container, '/xl/worksheets/sheet1.bin', sheet)
    const rows = await tableOf(Buffer.from(CFB.write(container, { fileType: 'zip', type: 'buffer' })), 'XLSB')
    assert.deepEqual(rows, [
      [1, 'a'],
      [1_048_576, 'z'],
    ])
  })

  it('may put a value into the last corner of a sheet (XLS)', async () => {
    const number = Buffer.alloc(14)
    number.writeUInt16LE(0xff_ff, 0)
    number.writeUInt16LE(0xff, 2)
    number.writeDoubleLE(7, 6)
    const bytes = Buffer.concat([
      record(0x0209, Buffer.from([0, 0, 0x10, 0, 0, 0])),
      record(0x0203, number),
      record(0x000a, Buffer.alloc(0)),
    ])
    const rows = await rowsOf(bytes, 'XLS')
    assert.deepEqual(
      rows.map((row) => [row.number, row.cells.length, row.cells.at(-1)]),
      [[65_536, 256, '7']],
    )
  })

  it('fails a row with a value beyond the last column that is read', async () => {
    const wide = Array.from({ length: COLUMNS_MAX + 1 }, (_, index) => (index === COLUMNS_MAX ? 'z' : null))
    const rows = await rowsOf(written(bookOf([wide]), 'xlsb'), 'XLSB')
    assert.deepEqual(
      rows.map(({ fault }) => fault?.code),
      ['ROW_TOO_LARGE'],
    )
    const most = Array.from({ length: COLUMNS_MAX }, () => 'z')
    assert.equal((await rowsOf(written(bookOf([most]), 'xlsb'), 'XLSB'))[0]?.fault, null)
  })

  it('changes no prototype by its names', async () => {
    const sheet: WorkSheet = { '!ref': 'A1', A1: { t: 's', v: 'a', c: [{ a: 'x', t: 'comment' }] } }
    for (const [type, format] of BOOK_TYPES) {
      const book = { SheetNames: ['__proto__'], Sheets: Object.assign(Object.create(null), { ['__proto__']: sheet }) }
      Object.defineProperty(book.Sheets, '__proto__', { value: sheet, enumerable: true })
      await outcome(written(book, type), format)
      assertPrototype()
    }
  })

  const repeats: readonly (readonly [what: string, xml: string, rows: number | string])[] = [
    ['a million empty rows', table(row('<table:table-cell/>', 'table:number-rows-repeated="1048576"')), 0],
    ['a thousand million empty rows', table(row('', 'table:number-rows-repeated="1000000000"')), 0],
    ['empty cells without end', table(row('<table:table-cell table:number-columns-repeated="999999999999"/>')), 0],
    [
      'a value in more rows than there are',
      table(row(text(''), 'table:number-rows-repeated="1048577"')),
      'FILE_UNREADABLE',
    ],
    [
      'a value in all cells',
      table(row(text('table:number-columns-repeated="16384"'), 'table:number-rows-repeated="1048576"')),
      'FILE_UNSAFE',
    ],
    ['a value in all cells of a row', table(row(text('table:number-columns-repeated="16384"'))), 1],
  ]
  for (const [what, xml, expected] of repeats) {
    it(`may repeat ${what} (ODS)`, async () => {
      const result = await outcome(Buffer.from(xml), 'ODS')
      assert.equal(result instanceof Refusal ? result.code : result, expected)
    })
  }

  it('takes the place of a workbook by declaring entities, and is refused', async () => {
    const doctype =
      '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    const xml = spreadsheet(
      '<Worksheet ss:Name="S"><Table><Row><Cell><Data ss:Type="String">&b;&c;</Data></Cell></Row></Table></Worksheet>',
    )
    await assert.rejects(tableOf(xml.replace('<Workbook', `${doctype}<Workbook`), 'XLS'), { name: 'Refusal' })
    await assert.rejects(
      tableOf(table(row(text(''))).replace('<office:document', `${doctype}<office:document`), 'ODS'),
      {
        name: 'Refusal',
      },
    )
    assert.deepEqual(await tableOf(`<!DOCTYPE html ${doctype.slice(11)}${page('<tr><td>&b;</td></tr>')}`, 'XLS'), [
      [1, '&b;'],
    ])
  })

  it('may have tags within tags a hundred thousand times', async () => {
    const deep = (tag: string): string => `<${tag}>`.repeat(100_000)
    assert.deepEqual(await tableOf(page(`<tr><td>${deep('div')}a</td></tr>`), 'XLS'), [[1, 'a']])
    assert.equal((await rowsOf(page(`<tr><td>${deep('table')}a`), 'XLS')).length, 1)
    assert.equal(
      ((await outcome(Buffer.from(table(row(`<table:table-cell>${deep('text:p')}`))), 'ODS')) as Refusal).code,
      'FILE_UNREADABLE',
    )
    assert.equal(
      ((await outcome(Buffer.from(spreadsheet(deep('Worksheet'))), 'XLS')) as Refusal).code,
      'LIMIT_EXCEEDED',
    )
  })

  it('may say that a cell of a page reaches over a thousand million others', async () => {
    const rows = await rowsOf(
      page('<tr><td colspan=1000000000 rowspan=1000000000>a</td><td>b</td></tr><tr><td>c</td></tr>'),
      'XLS',
    )
    assert.deepEqual(
      rows.map(({ fault }) => fault?.code ?? null),
      ['ROW_TOO_LARGE', 'ROW_TOO_LARGE'],
    )
    const many = page(`<tr><td colspan=2000 rowspan=65534>a${'<tr><td>'.repeat(60_000)}`)
    assert.equal(((await outcome(Buffer.from(many), 'XLS')) as Refusal).code, 'FILE_UNSAFE')
  })

  it('is refused above the size that is held in memory', async () => {
    const bytes = await heldBy(Buffer.from('d0cf11e0a1b11ae1', 'hex'), LEGACY_WORKBOOK_BYTES_MAX + 1)
    await assert.rejects(openLegacyWorkbook(bytes, 'XLS'), { code: 'LIMIT_EXCEEDED', message: /64 MiB/ })
    const bomb = zipped({
      '[Content_Types].xml': '<Types/>',
      'xl/workbook.bin': Buffer.alloc(LEGACY_UNPACKED_BYTES_MAX + 1),
    })
    await assert.rejects(tableOf(bomb, 'XLSB'), { name: 'Refusal' })
  })

  it('is told to be under a password (ODS)', async () => {
    const manifest =
      '<manifest:manifest><manifest:file-entry><manifest:encryption-data m="1"/></manifest:file-entry></manifest:manifest>'
    const bytes = zipped({ mimetype: 'x', 'content.xml': 'garbage', 'META-INF/manifest.xml': manifest })
    await assert.rejects(tableOf(bytes, 'ODS'), { code: 'FILE_ENCRYPTED', message: /password/ })
  })
})

function heldBy(head: Buffer, byteSize: number) {
  return Promise.resolve({
    byteSize,
    read: (target: Uint8Array, at: number, length: number, position: number) => {
      target.set(head.subarray(position, position + length), at)
      return Promise.resolve(length)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
}

function small() {
  return bookOf(
    [
      ['Name', 'Sum', 'Day'],
      ['Ann', 1234.5, 44927],
      ['Bob', 2, 44928],
    ],
    { B2: '#,##0.00', C2: 'yyyy-mm-dd' },
  )
}

function mutated(sound: Buffer, next: Random): Buffer {
  const bytes = Buffer.from(sound)
  const place = (): number => next.below(bytes.length)
  switch (next.below(4)) {
    case 0:
      return bytes.subarray(0, place())
    case 1:
      for (let count = 0; count < 8; count += 1) {
        bytes[place()] = next.below(256)
      }
      return bytes
    case 2: {
      const from = place()
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + next.below(64))])
    }
    default: {
      const from = place()
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(next.below(from + 1), from), bytes.subarray(from)])
    }
  }
}

/** An archive that is sound but for one file in it: its checksum is right. */
function mutatedWithin(sound: Buffer, next: Random): Buffer {
  const container = CFB.read(sound, { type: 'buffer' })
  const entry = next.pick((container.FileIndex as { content: Buffer; size: number }[]).filter(({ size }) => size > 0))
  entry.content = mutated(Buffer.from(entry.content), next)
  entry.size = entry.content.length
  return Buffer.from(CFB.write(container, { fileType: 'zip', type: 'buffer' }))
}
