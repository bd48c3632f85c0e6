import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'csv-parse/sync'
import { type CellObject, read, utils } from 'xlsx'
import {
  type CellFault,
  type SheetColumn,
  sheetNameOf,
  type WorkbookOptions,
  writeWorkbook,
} from '../../../src/adapters/files/workbook-writer.js'
import { openXlsx } from '../../../src/adapters/files/xlsx/workbook.js'
import { CLOSE, NEED_MORE, OPEN, XmlScanner } from '../../../src/adapters/files/xlsx/xml.js'
import { openZip } from '../../../src/adapters/files/zip.js'
import { Refusal, type RefusalCode } from '../../../src/errors.js'
import { WORKBOOK_CELL_LENGTH_MAX, WORKBOOK_COLUMNS_MAX } from '../../../src/limits.js'
import type { FieldKind } from '../../../src/records/types.js'
import { Random } from '../../helpers/random.js'
import { bytesOf } from '../../helpers/zip-file.js'

const run = promisify(execFile)
const plain: WorkbookOptions = {
  sheetName: 'Contacts',
  timeZone: 'UTC',
  createdAt: new Date('2026-03-04T05:06:08.9Z'),
}

/** A value as COPY writes it; null is none. */
function copied(value: string | null): string {
  const escapes: Readonly<Record<string, string>> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
  }
  return value === null ? '\\N' : value.replaceAll(/[\\\b\f\n\r\t\v]/g, (found) => escapes[found] ?? found)
}

type Value = string | null

function copyOf(rows: readonly (readonly Value[])[]): Buffer {
  return Buffer.from(rows.map((row) => `${row.map(copied).join('\t')}\n`).join(''))
}

async function* split(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) {
    yield bytes.subarray(from, from + size)
  }
}

const columnsOf = (...kinds: readonly FieldKind[]): SheetColumn[] =>
  kinds.map((kind, index) => ({ header: `Column ${index + 1}`, kind, format: null }))

async function written(
  columns: readonly SheetColumn[],
  rows: readonly (readonly Value[])[] | Buffer,
  options: Partial<WorkbookOptions> = {},
  size = 64 * 1024,
): Promise<Buffer> {
  const blocks: Buffer[] = []
  const copy = Buffer.isBuffer(rows) ? rows : copyOf(rows)
  for await (const block of writeWorkbook(columns, split(copy, size), { ...plain, ...options })) {
    blocks.push(block)
  }
  return Buffer.concat(blocks)
}

/** As an import reads it: each sheet's rows, the header among them. */
async function imported(bytes: Buffer): Promise<{ readonly name: string; readonly rows: string[][] }[]> {
  await using workbook = await openXlsx(bytesOf(bytes))
  const sheets: { name: string; rows: string[][] }[] = []
  for (const { name, index } of workbook.sheets) {
    const rows: string[][] = []
    for await (const group of workbook.rows(index, new AbortController().signal)) {
      for (const { number, cells, fault } of group) {
        assert.equal(fault, null)
        rows[number - 1] = [...cells]
      }
    }
    sheets.push({ name, rows })
  }
  return sheets
}

async function partsOf(bytes: Buffer): Promise<Map<string, string>> {
  const zip = await openZip(bytesOf(bytes))
  const parts = new Map<string, string>()
  for (const entry of zip.entries) {
    const blocks: Uint8Array[] = []
    for await (const block of zip.read(entry)) {
      blocks.push(block)
    }
    parts.set(entry.name, Buffer.concat(blocks).toString())
  }
  return parts
}

const sheetOf = async (bytes: Buffer): Promise<string> => (await partsOf(bytes)).get('xl/worksheets/sheet1.xml') ?? ''

/** What SheetJS makes of a cell. */
function sheetJsCells(bytes: Buffer, sheet = 0): CellObject[][] {
  const book = read(bytes, { dense: true, cellDates: false, cellNF: true, cellStyles: false })
  return (book.Sheets[book.SheetNames[sheet]!] as { '!data'?: CellObject[][] })['!data'] ?? []
}

interface Case {
  readonly what: string
  readonly kind: FieldKind
  readonly value: string
  /** As an import reads it. */
  readonly imported: string
  /** As SheetJS reads it: type and value. */
  readonly cell: readonly [string, string | number | boolean]
  readonly timeZone?: string
  readonly format?: string
}

const text = (kind: FieldKind, what: string, value: string): Case => ({
  what,
  kind,
  value,
  imported: value,
  cell: ['s', asSheetJsReads(value)],
})

/** SheetJS makes a line feed of every CR LF, also where a workbook says otherwise. */
function asSheetJsReads(value: string): string {
  return value.replaceAll('\r\n', '\n')
}

const cases: readonly Case[] = [
  text('TEXT', 'text', 'Ada'),
  text('TEXT', 'what XML escapes', '<a href="x">&amp; \'b\'</a>'),
  text('TEXT', 'leading zeros', '007'),
  text('TEXT', 'long identifiers', '003000000000000001'),
  text('TEXT', 'what looks like a date', '1-2'),
  text('TEXT', 'what looks like an exponent', '1E5'),
  text('TEXT', 'what looks like a boolean', 'TRUE'),
  text('TEXT', 'emoji and other scripts', 'Zoë 東京 😀 עברית'),
  text('LONG_TEXT', 'lines', 'one\ntwo\r\nthree\rfour'),
  text('TEXT', 'blanks around', '  a \t'),
  text('TEXT', 'only blanks', '   '),
  text('TEXT', 'a line end at its end', 'a\n'),
  text('TEXT', 'backslashes', 'C:\\new\\table \\N'),
  text('TEXT', 'controls', 'a\u0001b\u000bc\u001fd\b\f\u007f'),
  text('TEXT', 'what XML has no character for', 'a\uffffb\ufffec\ufeffd'),
  text('TEXT', 'what stands for a control', '_x000D_'),
  text('TEXT', 'what stands for two', '_x0041_x0042_ _X0041_ _x00_ _x12345_'),
  text('TEXT', 'what would stand for one with the control behind it', '_x0041\r_x0042\u0001_x0043\uffff_x0044&'),
  text('TEXT', 'full-width signs', '＝1+1'),
  text('PHONE', 'phone numbers', '+4930123456'),
  text('PHONE', 'phone numbers with signs', '+49 (0)30 123-45'),
  text('TEXT', 'formulas', '=HYPERLINK("https://collect.example","open")'),
  text('TEXT', 'formulas behind a tab', '\t=1+1'),
  text('TEXT', 'protected formulas', "'=1+1"),
  text('TEXT', 'commands', "@SUM(1)*calculator|'/C x'!A0"),
  text('EMAIL', 'addresses', 'ada@example.org'),
  text('URL', 'links', 'https://example.org/?a=1&b=2'),
  text('ENUM', 'choices', 'NEW'),
  text('REFERENCE', 'identifiers', '0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee'),
  { what: 'whole numbers', kind: 'INTEGER', value: '42', imported: '42', cell: ['n', 42] },
  { what: 'zero', kind: 'INTEGER', value: '0', imported: '0', cell: ['n', 0] },
  { what: 'negative numbers', kind: 'DECIMAL', value: '-12.5', imported: '-12.5', cell: ['n', -12.5] },
  { what: 'small numbers', kind: 'DECIMAL', value: '0.00000001', imported: '0.00000001', cell: ['n', 1e-8] },
  { what: 'zeros at the end', kind: 'DECIMAL', value: '100.500', imported: '100.5', cell: ['n', 100.5] },
  { what: 'nothing behind the point', kind: 'DECIMAL', value: '100.000', imported: '100', cell: ['n', 100] },
  {
    what: 'numbers of 15 digits',
    kind: 'DECIMAL',
    value: '1234567.89012345',
    imported: '1234567.89012345',
    cell: ['n', 1234567.89012345],
  },
  text('DECIMAL', 'numbers of 16 digits', '12345678.90123456'),
  text('INTEGER', 'whole numbers of 16 digits', '1000000000000000'),
  text('DECIMAL', 'what is no number', 'NaN'),
  { what: 'amounts', kind: 'MONEY', value: '1234.50', imported: '1234.50', cell: ['n', 1234.5] },
  { what: 'whole amounts', kind: 'MONEY', value: '7', imported: '7.00', cell: ['n', 7] },
  { what: 'amounts with more digits', kind: 'MONEY', value: '0.1234', imported: '0.1234', cell: ['n', 0.1234] },
  {
    what: 'numbers in a format',
    kind: 'DECIMAL',
    value: '0.5',
    imported: '50%',
    cell: ['n', 0.5],
    format: '0%',
  },
  { what: 'yes', kind: 'BOOLEAN', value: 't', imported: 'TRUE', cell: ['b', true] },
  { what: 'no', kind: 'BOOLEAN', value: 'f', imported: 'FALSE', cell: ['b', false] },
  { what: 'yes of JSON', kind: 'BOOLEAN', value: 'true', imported: 'TRUE', cell: ['b', true] },
  { what: 'no of JSON', kind: 'BOOLEAN', value: 'false', imported: 'FALSE', cell: ['b', false] },
  { what: 'days', kind: 'DATE', value: '2024-02-29', imported: '2024-02-29', cell: ['n', 45351] },
  { what: 'the first day', kind: 'DATE', value: '1900-03-01', imported: '1900-03-01', cell: ['n', 61] },
  text('DATE', 'days before', '1900-02-28'),
  text('DATE', 'days long before', '0044-03-15 BC'),
  { what: 'the last day', kind: 'DATE', value: '9999-12-31', imported: '9999-12-31', cell: ['n', 2958465] },
  text('DATE', 'days behind', '10000-01-01'),
  {
    what: 'days in a format',
    kind: 'DATE',
    value: '2024-02-29',
    imported: '2024-02-29',
    cell: ['n', 45351],
    format: 'dd.mm.yyyy',
  },
  {
    what: 'moments',
    kind: 'DATE_TIME',
    value: '2024-07-01 12:00:00+00',
    imported: '2024-07-01 12:00:00',
    cell: ['n', 45474.5],
  },
  {
    what: 'midnight',
    kind: 'DATE_TIME',
    value: '2024-07-01 00:00:00+00',
    imported: '2024-07-01 00:00:00',
    cell: ['n', 45474],
  },
  {
    what: 'moments of JSON',
    kind: 'DATE_TIME',
    value: '2024-07-01T12:00:00.250Z',
    imported: '2024-07-01 12:00:00.250',
    cell: ['n', 45474.50000289352],
  },
  {
    what: 'moments in another zone',
    kind: 'DATE_TIME',
    value: '2024-07-01 23:30:00+00',
    imported: '2024-07-02 01:30:00',
    cell: ['n', 45475.0625],
    timeZone: 'Europe/Berlin',
  },
  {
    what: 'offsets of half an hour',
    kind: 'DATE_TIME',
    value: '2024-07-01 12:00:00-03:30',
    imported: '2024-07-01 15:30:00',
    cell: ['n', 45474.64583333333],
  },
  {
    what: 'an hour that comes twice, the first time',
    kind: 'DATE_TIME',
    value: '2024-10-27 00:30:00+00',
    imported: '2024-10-27 02:30:00',
    cell: ['n', 45592.104166666664],
    timeZone: 'Europe/Berlin',
  },
  {
    what: 'an hour that comes twice, the second time',
    kind: 'DATE_TIME',
    value: '2024-10-27 01:30:00.5+00',
    imported: '2024-10-27T02:30:00.5+01:00',
    cell: ['s', '2024-10-27T02:30:00.5+01:00'],
    timeZone: 'Europe/Berlin',
  },
  {
    what: 'moments before days are counted',
    kind: 'DATE_TIME',
    value: '1890-01-01 10:00:00+00',
    imported: '1890-01-01T10:00:00Z',
    cell: ['s', '1890-01-01T10:00:00Z'],
  },
  text('DATE_TIME', 'no moment', 'infinity'),
  {
    what: 'lists',
    kind: 'MULTI_ENUM',
    value: '{a,"b c","d\\"e\\\\f",NULL}',
    imported: 'a; b c; d"e\\f',
    cell: ['s', 'a; b c; d"e\\f'],
  },
  { what: 'lists of JSON', kind: 'MULTI_ENUM', value: '["a", "b"]', imported: 'a; b', cell: ['s', 'a; b'] },
  text('MULTI_ENUM', 'lists that are joined', 'a; b'),
]

describe('a workbook that is written', () => {
  for (const { what, kind, value, imported: expected, cell, timeZone = 'UTC', format = null } of cases) {
    it(`holds ${what} (${kind})`, async () => {
      const columns: SheetColumn[] = [{ header: 'It', kind, format }]
      const bytes = await written(columns, [[value]], { timeZone })
      const [sheet] = await imported(bytes)
      assert.deepEqual(sheet?.rows, [['It'], [expected]])
      const found = sheetJsCells(bytes)[1]?.[0]
      const [type, expectedValue] = cell
      // Moments have eleven digits behind the point: half a microsecond.
      const isNear = typeof expectedValue === 'number' && Math.abs(Number(found?.v) - expectedValue) < 1e-11
      assert.deepEqual([found?.t, isNear ? expectedValue : found?.v], [type, expectedValue])
      assert.equal(found?.f, undefined, 'a formula')
    })
  }

  it('leaves a cell out where there is no value, and keeps an empty text', async () => {
    const xml = await sheetOf(
      await written(columnsOf('TEXT', 'TEXT', 'INTEGER', 'MULTI_ENUM'), [[null, '', null, '{}']]),
    )
    assert.match(xml, /<row r="2"><c r="B2" s="2" t="inlineStr"><is><t><\/t><\/is><\/c><\/row>/)
  })

  it('gives the same cells for 10,000 values of every kind, to an import and to SheetJS', async () => {
    const from = new Random(20_261_123)
    const kinds: readonly FieldKind[] = [
      ...(['TEXT', 'LONG_TEXT', 'PHONE', 'REFERENCE', 'TEXT'] as const),
      ...(['DECIMAL', 'INTEGER', 'DATE', 'DATE_TIME', 'BOOLEAN'] as const),
    ]
    const rows = Array.from({ length: 1000 }, () =>
      kinds.map((kind) => (from.chance(0.05) ? null : valueOf(kind, from))),
    )
    const bytes = await written(columnsOf(...kinds), rows, { timeZone: 'America/New_York' }, 1000)
    const [sheet] = await imported(bytes)
    const sheetJs = sheetJsCells(bytes)
    let cells = 0
    for (const [index, row] of rows.entries()) {
      for (const [column, value] of row.entries()) {
        const kind = kinds[column]!
        const place = `row ${index + 2}, column ${column + 1}, ${JSON.stringify(value)}`
        const mine = sheet?.rows[index + 1]?.[column] ?? ''
        const theirs = sheetJs[index + 1]?.[column]
        cells += 1
        if (value === null) {
          assert.equal(mine, '', place)
          assert.equal(theirs, undefined, place)
        } else if (kind === 'DECIMAL' || kind === 'INTEGER') {
          const digits = value.replace(/\..*?0*$/, (fraction) => fraction.replace(/\.?0+$/, ''))
          assert.equal(mine, digits, place)
          assert.equal(theirs?.t === 'n' ? theirs.v : Number(theirs?.v), Number(value), place)
        } else if (kind === 'BOOLEAN') {
          assert.equal(mine, value === 't' ? 'TRUE' : 'FALSE', place)
          assert.equal(theirs?.v, value === 't', place)
        } else if (kind === 'DATE') {
          assert.equal(mine, value, place)
          const day =
            theirs?.t === 's'
              ? theirs.v
              : new Date((Number(theirs?.v) - 25_569) * 86_400_000).toISOString().slice(0, 10)
          assert.equal(day, value, place)
        } else if (kind === 'DATE_TIME') {
          assert.equal(mine, newYork(new Date(value)), place)
        } else {
          assert.equal(mine, value, place)
          assert.deepEqual([theirs?.t, theirs?.v], ['s', asSheetJsReads(value)], place)
        }
      }
    }
    assert.equal(cells, 10_000)
  })

  it('is the same wherever the bytes are split', async () => {
    const from = new Random(7)
    const columns = columnsOf('TEXT', 'LONG_TEXT', 'DECIMAL', 'DATE_TIME')
    const rows = Array.from({ length: 60 }, () => columns.map(({ kind }) => valueOf(kind, from)))
    const whole = await written(columns, rows)
    for (const size of [1, 2, 3, 17, 1000]) {
      assert.ok(whole.equals(await written(columns, rows, {}, size)), `blocks of ${size}`)
    }
  })

  it('goes on in further sheets with the header again', async () => {
    const rows = Array.from({ length: 25 }, (_, index) => [String(index), `name ${index}`])
    for (const [count, sheets] of [
      [0, 1],
      [9, 1],
      [10, 2],
      [18, 2],
      [25, 3],
    ] as const) {
      const told: number[] = []
      const bytes = await written(
        columnsOf('INTEGER', 'TEXT'),
        rows.slice(0, count),
        { sheetRows: 10, onRows: (done) => told.push(done) },
        5,
      )
      const read = await imported(bytes)
      assert.deepEqual(
        read.map(({ name }) => name),
        ['Contacts', 'Contacts 2', 'Contacts 3'].slice(0, sheets),
      )
      assert.ok(read.every(({ rows: [header] }) => header?.join() === 'Column 1,Column 2'))
      assert.deepEqual(
        read.flatMap((sheet) => sheet.rows.slice(1)),
        rows.slice(0, count),
      )
      assert.equal(told.at(-1), count)
      checkPackage(await partsOf(bytes))
    }
  })

  it('is a package in which every part is named and everything is related', async () => {
    const formats: SheetColumn[] = [
      { header: 'A "quoted" & <strange> header', kind: 'DATE', format: 'dd"/"mm' },
      { header: '=1+1', kind: 'DECIMAL', format: '0.000;[Red]-0.000' },
      { header: ' spaced ', kind: 'TEXT', format: null },
      { header: 'again', kind: 'MONEY', format: '0.000;[Red]-0.000' },
    ]
    const bytes = await written(formats, [['2024-01-01', '-1', '=1', '1']], { sheetName: "Ada's [new]: R&D" })
    const parts = await partsOf(bytes)
    checkPackage(parts)
    const sheet = parts.get('xl/worksheets/sheet1.xml') ?? ''
    assert.match(sheet, /<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"\/>/)
    assert.match(sheet, /<autoFilter ref="A1:D2"\/>/)
    assert.match(sheet, /<col min="4" max="4" width="\d+" customWidth="1"\/>/)
    const styles = parts.get('xl/styles.xml') ?? ''
    const xfs = [...(/<cellXfs.*<\/cellXfs>/s.exec(styles)?.[0] ?? '').matchAll(/<xf [^>]*>/g)].map(([xf]) => xf)
    const style = (cell: string): string => xfs[Number(new RegExp(`r="${cell}" s="(\\d+)"`).exec(sheet)?.[1])] ?? ''
    assert.match(style('A1'), /fontId="1"/)
    assert.match(style('C2'), /quotePrefix="1"/)
    assert.equal(style('B2'), style('D2'))
    assert.deepEqual(
      (await imported(bytes))[0]?.rows[0],
      formats.map(({ header }) => header),
    )
    assert.match(parts.get('docProps/core.xml') ?? '', /2026-03-04T05:06:08Z/)
    assert.doesNotMatch([...parts.values()].join(''), /creator|lastModifiedBy|<Company>/)
    assert.equal(read(bytes).Workbook?.Names?.[0]?.Ref, "'Ada''s new R&D'!$A$1:$D$2")
    assert.deepEqual(utils.decode_range(read(bytes).Sheets["Ada's new R&D"]?.['!autofilter']?.ref ?? ''), {
      s: { c: 0, r: 0 },
      e: { c: 3, r: 1 },
    })
  })

  it('is wide enough for what it shows, within reason', async () => {
    const columns: SheetColumn[] = [
      { header: 'Id', kind: 'TEXT', format: null },
      { header: 'A header that is longer than its values', kind: 'BOOLEAN', format: null },
      { header: 'Notes', kind: 'LONG_TEXT', format: null },
    ]
    const xml = await sheetOf(await written(columns, [['東京'.repeat(10), 't', 'long '.repeat(100)]]))
    assert.deepEqual(
      [...xml.matchAll(/ width="(\d+)"/g)].map(([, width]) => Number(width)),
      [21, 42, 50],
    )
  })

  it('takes the longest value that a cell holds, however many bytes it is', async () => {
    for (const piece of ['a', '😀'.slice(0, 2), '&', '\u0001', '=']) {
      const value = piece.repeat(WORKBOOK_CELL_LENGTH_MAX / piece.length)
      const bytes = await written(columnsOf('LONG_TEXT', 'TEXT'), [[value, 'b']])
      assert.deepEqual((await imported(bytes))[0]?.rows[1], [value, 'b'])
    }
  })

  it('refuses a longer value by row and column, and cuts nothing', async () => {
    const rows = [['a'], ['b'.repeat(WORKBOOK_CELL_LENGTH_MAX + 1)]]
    await assert.rejects(
      written(columnsOf('LONG_TEXT'), rows),
      refusal('LIMIT_EXCEEDED', /Row 2, column "Column 1": the value has 32,768 characters/),
    )
  })

  it('goes on where somebody is told of longer values, and shows that they are not there', async () => {
    const faults: CellFault[] = []
    const long = '\n&'.repeat(20_000)
    const bytes = await written(
      columnsOf('TEXT', 'LONG_TEXT'),
      [
        ['a', long],
        ['b', 'c'],
      ],
      {
        onFault: (fault) => faults.push(fault),
      },
    )
    assert.deepEqual(faults, [{ code: 'VALUE_TOO_LONG', row: 1, header: 'Column 2', length: 40_000 }])
    assert.deepEqual((await imported(bytes))[0]?.rows.slice(1), [
      ['a', '#N/A'],
      ['b', 'c'],
    ])
  })

  it('is no workbook where the rows are cut off or have other values than columns', async () => {
    const columns = columnsOf('TEXT', 'TEXT')
    await assert.rejects(written(columns, Buffer.from('a\tb\nc\td')), /ends within a row/)
    await assert.rejects(written(columns, Buffer.from('a\tb\nc\td'), {}, 4), /ends within a row/)
    await assert.rejects(written(columns, Buffer.from('a\n')), /has not 2 values/)
    await assert.rejects(written(columns, Buffer.from('a\tb\tc\n')), /has not 2 values/)
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('a\tb\n')
      throw new Error('the connection is gone')
    }
    await assert.rejects(drained(writeWorkbook(columns, broken(), plain)), /the connection is gone/)
  })

  it('closes its rows when it is left early, aborted or refused', async () => {
    const columns = columnsOf('TEXT')
    for (const leave of ['break', 'abort', 'refuse'] as const) {
      let closed = false
      const stop = new AbortController()
      async function* endless(): AsyncGenerator<Buffer> {
        try {
          for (;;) {
            yield Buffer.from('a row that comes again\n'.repeat(1000))
          }
        } finally {
          closed = true
        }
      }
      const timeZone = leave === 'refuse' ? 'Nowhere/At all' : 'UTC'
      const reading = (async () => {
        let blocks = 0
        for await (const block of writeWorkbook(columns, endless(), { ...plain, timeZone, signal: stop.signal })) {
          blocks += block.length > 0 ? 1 : 0
          if (blocks === 5 && leave === 'abort') {
            stop.abort(new Error('stopped'))
          } else if (blocks === 5) {
            break
          }
        }
      })()
      if (leave === 'break') {
        await reading
      } else {
        await assert.rejects(reading, leave === 'abort' ? /stopped/ : refusal('INVALID_INPUT', /no time zone/))
      }
      assert.ok(closed || leave === 'refuse', leave)
    }
  })

  it('refuses what no workbook can have', async () => {
    const many = Array.from({ length: WORKBOOK_COLUMNS_MAX + 1 }, () => columnsOf('TEXT')[0]!)
    await assert.rejects(written(many, []), refusal('LIMIT_EXCEEDED', /1 to 16,384 columns; the export has 16,385/))
    await assert.rejects(written([], []), refusal('LIMIT_EXCEEDED', /has 0/))
    for (const format of ['', '0'.repeat(256), '0\n', 'yyyy "open', '[Purpleish']) {
      const columns: SheetColumn[] = [{ header: 'Due', kind: 'DATE', format }]
      await assert.rejects(written(columns, []), refusal('INVALID_INPUT', /format of the column "Due"/), format)
    }
  })

  it('names its sheets as Excel allows', () => {
    assert.equal(sheetNameOf('Contacts', 0), 'Contacts')
    assert.equal(sheetNameOf('Contacts', 2), 'Contacts 3')
    assert.equal(sheetNameOf("'[a]:*?/\\b\n'", 0), 'a b')
    assert.equal(sheetNameOf('History', 0), 'History 1')
    assert.equal(sheetNameOf(' ', 0), 'Sheet')
    assert.equal(sheetNameOf('x'.repeat(40), 11), `${'x'.repeat(28)} 12`)
    assert.ok(sheetNameOf(`${'x'.repeat(30)}😀`, 0).isWellFormed())
  })

  it('is converted by LibreOffice to the same cells', { timeout: 120_000 }, (t) => throughLibreOffice(t))
})

const refusal =
  (code: RefusalCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }

async function drained(blocks: AsyncIterable<Buffer>): Promise<void> {
  for await (const block of blocks) {
    assert.ok(Buffer.isBuffer(block))
  }
}

const PIECES =
  'a Zoë 東京 😀 \u00a0 \n \r \r\n \t \\ & < > " \' = + - @ _x0041_ _x0042 _ x000D_ \u0001 \u001f \u2028 \uffff 0 12 \\N ]]> ＝ blank'
    .split(' ')
    .map((piece) => (piece === 'blank' ? ' ' : piece))

/** A value as the database has it. */
function valueOf(kind: FieldKind, from: Random): string {
  switch (kind) {
    case 'DECIMAL':
    case 'INTEGER': {
      const digits = (length: number): string => Array.from({ length }, () => from.below(10)).join('')
      const whole = `${1 + from.below(9)}${digits(from.below(19))}`
      const sign = from.chance(0.3) ? '-' : ''
      return kind === 'INTEGER' || from.chance(0.3)
        ? `${sign}${whole}`
        : `${sign}${from.chance(0.2) ? '0' : whole}.${digits(from.below(8))}${1 + from.below(9)}`
    }
    case 'DATE':
      return new Date(Date.UTC(1880, 0, 1) + from.below(200 * 365) * 86_400_000).toISOString().slice(0, 10)
    case 'DATE_TIME': {
      // Every second around the ends of summer time as likely as all others together.
      const around = from.chance(0.5)
        ? Date.UTC(2024, from.pick([2, 10]), from.pick([3, 10]))
        : Date.UTC(from.below(120) + 1905, 0, 1)
      const fraction = from.pick([0, 0, 500, from.below(1000)])
      return new Date(around + from.below(86_400) * 1000 + fraction).toISOString().replace('T', ' ').replace('Z', '+00')
    }
    case 'BOOLEAN':
      return from.pick(['t', 'f'])
    default:
      return Array.from({ length: 1 + from.below(6) }, () => from.pick(PIECES)).join('')
  }
}

const clocks = new Intl.DateTimeFormat('sv-SE', {
  timeZone: 'America/New_York',
  dateStyle: 'short',
  timeStyle: 'medium',
})

/** What clocks in New York show, with the offset where they show it for the second time. */
function newYork(moment: Date): string {
  const shown = clocks.format(moment)
  const hourBefore = clocks.format(new Date(moment.getTime() - 3_600_000))
  const milliseconds = moment.getUTCMilliseconds()
  const fraction = String(milliseconds).padStart(3, '0')
  if (shown === hourBefore) {
    return `${shown.replace(' ', 'T')}${milliseconds === 0 ? '' : `.${fraction.replace(/0+$/, '')}`}-05:00`
  }
  return milliseconds === 0 ? shown : `${shown}.${fraction}`
}

/** What the conventions of packages ask for, which programs take badly where it is missing. */
function checkPackage(parts: ReadonlyMap<string, string>): void {
  const attributes = (xml: string, tag: string): Record<string, string>[] =>
    [...xml.matchAll(new RegExp(`<${tag} ([^>]*?)/?>`, 'g'))].map(([, all = '']) =>
      Object.fromEntries([...all.matchAll(/([\w:]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])),
    )
  for (const [name, xml] of parts) {
    wellFormed(name, xml)
  }
  const types = parts.get('[Content_Types].xml') ?? ''
  const overrides = attributes(types, 'Override').map(({ PartName }) => PartName)
  const defaults = attributes(types, 'Default').map(({ Extension }) => Extension)
  assert.equal(new Set(overrides).size, overrides.length)
  for (const part of overrides) {
    assert.ok(parts.has(part?.slice(1) ?? ''), `${part} is named and not there`)
  }
  for (const name of parts.keys()) {
    assert.ok(
      name === '[Content_Types].xml' ||
        overrides.includes(`/${name}`) ||
        (name.endsWith('.rels') && defaults.includes('rels')),
      `${name} has no type of its own`,
    )
  }
  for (const [rels, base] of [
    ['_rels/.rels', ''],
    ['xl/_rels/workbook.xml.rels', 'xl/'],
  ] as const) {
    const related = attributes(parts.get(rels) ?? '', 'Relationship')
    assert.ok(related.length > 0)
    assert.equal(new Set(related.map(({ Id }) => Id)).size, related.length)
    for (const { Target } of related) {
      assert.ok(parts.has(`${base}${Target}`), `${Target} is related and not there`)
    }
  }
  const ids = attributes(parts.get('xl/_rels/workbook.xml.rels') ?? '', 'Relationship').map(({ Id }) => Id)
  const sheets = attributes(parts.get('xl/workbook.xml') ?? '', 'sheet')
  assert.ok(sheets.every((sheet) => ids.includes(sheet['r:id'])))
  const styles = parts.get('xl/styles.xml') ?? ''
  for (const [list, tag] of [
    ['numFmts', 'numFmt'],
    ['fonts', 'font'],
    ['cellXfs', 'xf'],
  ] as const) {
    const inner = new RegExp(`<${list} count="(\\d+)">(.*)</${list}>`, 's').exec(styles)
    assert.equal(inner?.[2]?.split(new RegExp(`<${tag}[ >]`)).length, Number(inner?.[1]) + 1, list)
  }
  const known = Number(/<cellXfs count="(\d+)"/.exec(styles)?.[1])
  for (const [name, xml] of parts) {
    if (name.startsWith('xl/worksheets/')) {
      const used = [...xml.matchAll(/<c r="[A-Z]+\d+" s="(\d+)"/g)].map(([, style]) => Number(style))
      assert.ok(used.every((style) => style < known))
      const order = ['<sheetViews>', '<sheetFormatPr', '<cols>', '<sheetData>', '<autoFilter', '<ignoredErrors>']
      const places = order.map((tag) => xml.indexOf(tag))
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
        'the order of the schema',
      )
    }
  }
}

/** Every tag that is opened is closed, in order, and there is nothing that XML has no character for. */
function wellFormed(name: string, xml: string): void {
  const scanner = new XmlScanner()
  const open: string[] = []
  scanner.text = xml
  for (let token = scanner.next(); token !== NEED_MORE; token = scanner.next()) {
    if (token === OPEN && !scanner.empty) {
      open.push(scanner.name)
    } else if (token === CLOSE) {
      assert.equal(open.pop(), scanner.name, name)
    }
  }
  assert.deepEqual(open, [], name)
  assert.match(xml, /^<\?xml version="1\.0" encoding="UTF-8" standalone="yes"\?>\n</)
  assert.doesNotMatch(xml, /[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u, name)
  assert.doesNotMatch(xml, /&(?!amp;|lt;|gt;|quot;)/, name)
}

/** Through the program itself where it is installed: to CSV, read by another library. */
async function throughLibreOffice(t: TestContext): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'portage-office-'))
  t.after(() => rm(folder, { recursive: true }))
  const program = 'soffice'
  try {
    await run(program, ['--version'])
  } catch {
    t.skip('LibreOffice is not on this machine')
    return
  }
  // Older versions show `_x000D_` as it stands.
  const texts = cases.filter(({ kind, value }) => kind !== 'DECIMAL' && !/[\p{Cc}\uffff\ufffe]|_x/iu.test(value))
  const columns: SheetColumn[] = [
    { header: 'Text', kind: 'TEXT', format: null },
    { header: 'Number', kind: 'DECIMAL', format: null },
    { header: 'Day', kind: 'DATE', format: null },
    { header: 'Moment', kind: 'DATE_TIME', format: null },
  ]
  const rows = texts.map(({ value }, index) => [
    value,
    `${index}.25`,
    '2024-02-29',
    `2024-02-29 12:00:${String(index % 60).padStart(2, '0')}+00`,
  ])
  const path = join(folder, 'a.xlsx')
  await writeFile(path, await written(columns, rows))
  const profile = `-env:UserInstallation=file://${folder}/profile`
  // Commas, double quotes, UTF-8, from the first line, cells as they are shown.
  const format = 'csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false'
  await run(program, [profile, '--headless', '--convert-to', format, '--outdir', folder, path], { timeout: 100_000 })
  const cells = parse(await readFile(join(folder, 'a.csv')), { bom: true }) as string[][]
  assert.deepEqual(
    cells.slice(1),
    rows.map(([first, number, day, moment]) => [first, number, day, moment?.slice(0, 19)]),
  )
}
