import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { utils, type WorkBook } from 'xlsx'
import { BOOK_TYPES, bookOf, opened, record, rowsOf, tableOf, written } from './legacy-rows.js'

/** What a workbook holds, the formats of its cells, and what a person sees. */
const cases: readonly {
  readonly what: string
  readonly rows: readonly (readonly unknown[])[]
  readonly formats?: Readonly<Record<string, string>>
  readonly expected: readonly (readonly unknown[])[]
}[] = [
  {
    what: 'texts, also those that look like numbers',
    rows: [
      ['Name', 'Zip', 'Id'],
      ['Ann', '00123', '123456789012345678'],
      ['Bob', '1e5', '=1+1'],
    ],
    expected: [
      [1, 'Name', 'Zip', 'Id'],
      [2, 'Ann', '00123', '123456789012345678'],
      [3, 'Bob', '1e5', '=1+1'],
    ],
  },
  {
    what: 'numbers without the noise of binary fractions',
    rows: [['n'], [0.1 + 0.2], [1 / 3], [-5], [1e21], [123456789012345], [0]],
    expected: [
      [1, 'n'],
      [2, '0.3'],
      [3, '0.333333333333333'],
      [4, '-5'],
      [5, '1E+21'],
      [6, '123456789012345'],
      [7, '0'],
    ],
  },
  {
    what: 'leading zeros, thousands and percent, as their formats have them',
    rows: [
      ['zip', 'sum', 'share', 'part'],
      [123, 1234.5, 0.125, 1 / 3],
    ],
    formats: { A2: '00000', B2: '#,##0.00', C2: '0%', D2: '0.00%' },
    expected: [
      [1, 'zip', 'sum', 'share', 'part'],
      [2, '00123', '1,234.50', '13%', '33.33%'],
    ],
  },
  {
    what: 'dates as ISO has them',
    rows: [
      ['day', 'when', 'other'],
      [44927, 44927.75, 36526],
    ],
    formats: { A2: 'yyyy-mm-dd', B2: 'yyyy-mm-dd hh:mm', C2: 'm/d/yy' },
    expected: [
      [1, 'day', 'when', 'other'],
      [2, '2023-01-01', '2023-01-01 18:00:00', '2000-01-01'],
    ],
  },
  {
    what: 'yes and no',
    rows: [['ok'], [true], [false]],
    expected: [
      [1, 'ok'],
      [2, 'TRUE'],
      [3, 'FALSE'],
    ],
  },
  {
    what: 'blank rows and cells where they are',
    rows: [[], [null, 'a'], [], [], ['b', null, 'c']],
    expected: [
      [2, '', 'a'],
      [5, 'b', '', 'c'],
    ],
  },
  {
    what: 'blanks, quotes and signs within a text',
    rows: [['  two  blanks ', 'a "b" <c> & d', "it's", 'line\nbreak']],
    expected: [[1, '  two  blanks ', 'a "b" <c> & d', "it's", 'line\nbreak']],
  },
  {
    what: 'names of prototypes',
    rows: [
      ['__proto__', 'constructor'],
      ['prototype', 'toString'],
    ],
    expected: [
      [1, '__proto__', 'constructor'],
      [2, 'prototype', 'toString'],
    ],
  },
]

const UNICODE = [['Ünïcödé', '日本語', 'Привет', '😀']]

describe('a workbook of an older or another make', () => {
  for (const [bookType, format] of BOOK_TYPES) {
    for (const { what, rows, formats = {}, expected } of cases) {
      it(`gives ${what} (${bookType})`, async () => {
        assert.deepEqual(await tableOf(written(bookOf(rows, formats), bookType), format), expected)
      })
    }
  }

  for (const [bookType, format] of BOOK_TYPES.filter(([type]) => !/^biff[2-5]$/.test(type))) {
    it(`gives letters of all languages (${bookType})`, async () => {
      assert.deepEqual(await tableOf(written(bookOf(UNICODE), bookType), format), [[1, ...(UNICODE[0] ?? [])]])
    })
  }

  for (const [bookType, format] of BOOK_TYPES) {
    it(`gives the same rows as XLSX (${bookType})`, async () => {
      const book = mixed()
      assert.deepEqual(await rowsOf(written(book, bookType), format), await rowsOf(written(book, 'xlsx'), 'XLSX'))
    })
  }

  for (const [bookType, format] of BOOK_TYPES.filter(([type]) => /^(?:biff[58]|xlsb)$/.test(type))) {
    it(`marks hidden sheets, and gives each its rows (${bookType})`, async () => {
      const bytes = written(threeSheets(), bookType)
      await using book = await opened(bytes, format)
      assert.deepEqual(
        book.sheets.map(({ name, index, hidden }) => [name, index, hidden]),
        [
          ['Shown', 0, false],
          ['Hidden', 1, true],
          ['Very', 2, true],
        ],
      )
      assert.deepEqual(await tableOf(bytes, format, 1), [[1, 'two']])
      assert.deepEqual(await tableOf(bytes, format, 2), [[1, 'three']])
      await assert.rejects(tableOf(bytes, format, 3), { name: 'Refusal', code: 'INVALID_INPUT' })
    })

    it(`counts days from 1904 where the workbook does (${bookType})`, async () => {
      const book = bookOf([[44927]], { A1: 'yyyy-mm-dd' })
      book.Workbook = { WBProps: { date1904: true } }
      assert.deepEqual(await tableOf(written(book, bookType), format), [[1, '2027-01-02']])
    })

    it(`gives errors as they are shown, and merged cells once (${bookType})`, async () => {
      const book = bookOf([['a', 'b', 'c']])
      const sheet = book.Sheets['Leads'] ?? {}
      sheet['B1'] = { t: 'e', v: 0x2a }
      sheet['C1'] = { t: 'e', v: 0x07 }
      sheet['!merges'] = [utils.decode_range('A1:A3')]
      assert.deepEqual(await tableOf(written(book, bookType), format), [[1, 'a', '#N/A', '#DIV/0!']])
    })
  }

  it('reads old texts in the code page of their time', async () => {
    // Excel 2.0: BOF, CODEPAGE 1251, the text of A1 in Cyrillic letters, EOF.
    const text = Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2])
    const label = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, text.length]), text])
    const bytes = Buffer.concat([
      record(0x0009, Buffer.from([0x02, 0x00, 0x10, 0x00])),
      record(0x0042, Buffer.from([0xe3, 0x04])),
      record(0x0004, label),
      record(0x000a, Buffer.alloc(0)),
    ])
    assert.deepEqual(await tableOf(bytes, 'XLS'), [[1, 'Привет']])
  })

  it('says of an encrypted one that it is', async () => {
    const bytes = Buffer.concat([
      record(0x0809, Buffer.from([0x00, 0x06, 0x05, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
      record(0x002f, Buffer.from([0, 0, 1, 2, 3, 4])),
      record(0x000a, Buffer.alloc(0)),
    ])
    await assert.rejects(rowsOf(bytes, 'XLS'), { name: 'Refusal', code: 'FILE_ENCRYPTED', message: /password/ })
  })
})

function mixed(): WorkBook {
  return bookOf(
    [
      ['Name', 'Amount', 'Day', 'Share', 'Ok'],
      ['Ann', 1234.5, 44927, 0.5, true],
      [],
      ['Bob', -0.25, 60, 1, false],
      ['Cy', 1e-7, 36526.25, 2.005, true],
    ],
    { B2: '#,##0.00', C2: 'yyyy-mm-dd', C4: 'yyyy-mm-dd', C5: 'yyyy-mm-dd hh:mm:ss', D2: '0%', D5: '0.00' },
  )
}

function threeSheets(): WorkBook {
  return {
    SheetNames: ['Shown', 'Hidden', 'Very'],
    Sheets: {
      Shown: utils.aoa_to_sheet([['one']]),
      Hidden: utils.aoa_to_sheet([['two']]),
      Very: utils.aoa_to_sheet([['three']]),
    },
    Workbook: { Sheets: [{ Hidden: 0 }, { Hidden: 1 }, { Hidden: 2 }] },
  }
}
