import assert from 'node:assert/strict'
import { test } from 'node:test'
import ExcelJS from 'exceljs'
import { type BookType, utils, write } from 'xlsx'
import { openXlsx, type XlsxOptions } from '../../../../src/adapters/files/xlsx/workbook.js'
import type { Row } from '../../../../src/adapters/source.js'
import { Refusal } from '../../../../src/errors.js'
import { CELL_BYTES_MAX, COLUMNS_MAX, WORKBOOK_PART_BYTES_MAX, WORKBOOK_SHEETS_MAX } from '../../../../src/limits.js'
import { Random } from '../../../helpers/random.js'
import { type BookParts, bookOf, bookParts } from '../../../helpers/xlsx-file.js'
import { bytesOf, zipOf } from '../../../helpers/zip-file.js'

const never = new AbortController().signal

async function rowsOf(data: Uint8Array, sheet = 0, options?: XlsxOptions): Promise<Row[]> {
  await using workbook = await openXlsx(bytesOf(data), options)
  const rows: Row[] = []
  for await (const group of workbook.rows(sheet, never)) {
    rows.push(...group)
  }
  return rows
}

/** Each row as its number and its cells; a fault as its code. */
async function read(data: Uint8Array, sheet = 0, options?: XlsxOptions): Promise<unknown[][]> {
  return (await rowsOf(data, sheet, options)).map(({ number, cells, fault }) =>
    fault === null ? [number, ...cells] : [number, { fault: fault.code }],
  )
}

const x = 'xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
const utf16 = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le')

/** What stands in a sheet, by hand, and the rows that are to come of it. */
const byHand: readonly (readonly [string, BookParts, readonly (readonly unknown[])[]])[] = [
  ['numbers', { sheet: '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>-2.5</v></c></row>' }, [[1, '1', '-2.5']]],
  [
    'shared texts',
    {
      sheet: '<row r="1"><c r="A1" t="s"><v>1</v></c><c r="B1" t="s"><v>0</v></c></row>',
      strings: '<si><t>b</t></si><si><t>a</t></si>',
    },
    [[1, 'a', 'b']],
  ],
  [
    'texts that stand in the cell',
    { sheet: '<row r="1"><c r="A1" t="inlineStr"><is><t>Ada</t></is></c></row>' },
    [[1, 'Ada']],
  ],
  [
    'rich text, shared',
    {
      sheet: '<row r="1"><c r="A1" t="s"><v>0</v></c></row>',
      strings: '<si><r><rPr><b/></rPr><t>Ada </t></r><r><t xml:space="preserve">Lovelace</t></r></si>',
    },
    [[1, 'Ada Lovelace']],
  ],
  [
    'rich text in the cell',
    { sheet: '<row r="1"><c r="A1" t="inlineStr"><is><r><t>Ada </t></r><r><t>Lovelace</t></r></is></c></row>' },
    [[1, 'Ada Lovelace']],
  ],
  [
    'no phonetic hints',
    {
      sheet:
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>京</t><rPh sb="0" eb="1"><t>キョウ</t></rPh></is></c></row>',
      strings: '<si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/></si>',
    },
    [[1, '東京', '京']],
  ],
  [
    'cached values of formulas',
    {
      sheet:
        '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>"a"&amp;"b"</f><v>a&amp;b</v></c><c r="C1"><f t="shared" si="0"/><v>3</v></c><c r="D1"><f>A1</f></c></row>',
    },
    [[1, '2', 'a&b', '3']],
  ],
  [
    'booleans',
    { sheet: '<row r="1"><c r="A1" t="b"><v>1</v></c><c r="B1" t="b"><v>0</v></c></row>' },
    [[1, 'TRUE', 'FALSE']],
  ],
  [
    'errors',
    { sheet: '<row r="1"><c r="A1" t="e"><v>#N/A</v></c><c r="B1" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>' },
    [[1, '#N/A', '#DIV/0!']],
  ],
  [
    'dates as text',
    {
      sheet:
        '<row r="1"><c r="A1" t="d"><v>2024-02-29T00:00:00</v></c><c r="B1" t="d"><v>2024-02-29T13:45:10.500Z</v></c><c r="C1" t="d"><v>2024-02-29</v></c></row>',
    },
    [[1, '2024-02-29', '2024-02-29 13:45:10.5', '2024-02-29']],
  ],
  [
    'entities and escapes',
    {
      sheet:
        '<row r="1"><c r="A1" t="inlineStr"><is><t>&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos; &#65;&#x42;&#x1F600;</t></is></c><c r="B1" t="inlineStr"><is><t>one_x000D__x000A_two _x005F_x000D_</t></is></c></row>',
    },
    [[1, '<a> & "b" \'c\' AB😀', 'one\r\ntwo _x000D_']],
  ],
  [
    'entities that nobody declared, as they stand',
    { sheet: '<row r="1"><c r="A1" t="inlineStr"><is><t>&nbsp; &#x110000; &;</t></is></c></row>' },
    [[1, '&nbsp; &#x110000; &;']],
  ],
  [
    'CDATA',
    { sheet: '<row r="1"><c r="A1" t="inlineStr"><is><t>a <![CDATA[<b> & &amp;]]> c</t></is></c></row>' },
    [[1, 'a <b> & &amp; c']],
  ],
  [
    'comments and instructions',
    {
      sheet:
        '<!-- <row r="9"> --><?x <row?><row r="1"><!-- > --><c r="A1"><!-- - --><v>1<!-- 2 -->3</v></c></row><!---->',
    },
    [[1, '13']],
  ],
  [
    'attributes in any order and quotes, and `>` in one',
    {
      sheet:
        "<row spans='1:2' r='2' ht=\"1\"><c t='s' x='a>b' s='0' r='B2'><v>0</v></c><c\n r = \"C2\"\tt=\"n\" ><v>7</v></c></row>",
      strings: "<si a='>'><t\n>a</t></si>",
    },
    [[2, '', 'a', '7']],
  ],
  [
    'prefixed names',
    {
      sheet: `<x:worksheet ${x}><x:sheetData><x:row r="1"><x:c r="A1" t="s"><x:v>0</x:v></x:c><x:c r="B1" t="inlineStr"><x:is><x:t>b</x:t></x:is></x:c></x:row></x:sheetData></x:worksheet>`,
      parts: [{ name: 'xl/sharedStrings.xml', data: `<x:sst ${x}><x:si><x:t>a</x:t></x:si></x:sst>` }],
    },
    [[1, 'a', 'b']],
  ],
  [
    'UTF-16',
    {
      sheet: '',
      parts: [
        {
          name: 'xl/worksheets/sheet1.xml',
          data: utf16(
            '<?xml version="1.0" encoding="UTF-16"?><worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Zoë 京</t></is></c></row></sheetData></worksheet>',
          ),
        },
      ],
    },
    [[1, 'Zoë 京']],
  ],
  [
    'a declared encoding',
    {
      sheet: '',
      parts: [
        {
          name: 'xl/worksheets/sheet1.xml',
          data: Buffer.from(
            '<?xml version="1.0" encoding="windows-1252"?><worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Zo\xeb \x80</t></is></c></row></sheetData></worksheet>',
            'latin1',
          ),
        },
      ],
    },
    [[1, 'Zoë €']],
  ],
  [
    'a byte-order mark',
    {
      sheet: '\uFEFF<?xml version="1.0"?><worksheet><sheetData><row><c><v>1</v></c></row></sheetData></worksheet>',
    },
    [[1, '1']],
  ],
  [
    'cells without a reference',
    { sheet: '<row r="3"><c><v>1</v></c><c r="D3"><v>4</v></c><c><v>5</v></c></row>' },
    [[3, '1', '', '', '4', '5']],
  ],
  [
    'rows without a number',
    { sheet: '<row><c><v>1</v></c></row><row r="5"><c><v>5</v></c></row><row><c><v>6</v></c></row>' },
    [
      [1, '1'],
      [5, '5'],
      [6, '6'],
    ],
  ],
  [
    'cells out of order',
    { sheet: '<row r="1"><c r="C1"><v>3</v></c><c r="A1"><v>1</v></c></row>' },
    [[1, '1', '', '3']],
  ],
  [
    'rows out of order',
    { sheet: '<row r="3"><c r="A3"><v>3</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>' },
    [
      [1, '1'],
      [3, '3'],
    ],
  ],
  [
    'a row in two pieces',
    { sheet: '<row r="1"><c r="A1"><v>1</v></c></row><row r="1"><c r="B1"><v>2</v></c></row>' },
    [[1, '1', '2']],
  ],
  [
    'no rows without a value',
    {
      sheet:
        '<row r="1"/><row r="2"><c r="A2" s="1"/></row><row r="4"><c r="B4"><v>1</v></c><c r="C4" t="inlineStr"><is><t/></is></c></row>',
    },
    [[4, '', '1']],
  ],
  [
    'cells with a style only',
    { sheet: '<row r="1"><c r="A1" s="1"/><c s="1"/><c><v>3</v></c></row>' },
    [[1, '', '', '3']],
  ],
  [
    'merged cells, the value top left',
    {
      sheet:
        '<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c><c r="B1" s="1"/><c r="C1"><v>2</v></c></row></sheetData><mergeCells count="1"><mergeCell ref="A1:B1"/></mergeCells></worksheet>',
    },
    [[1, '1', '', '2']],
  ],
  [
    'hidden rows and columns',
    {
      sheet:
        '<worksheet><cols><col min="1" max="1" hidden="1"/></cols><sheetData><row r="1" hidden="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>',
    },
    [[1, '1']],
  ],
  [
    'the far corner of a sheet',
    {
      sheet:
        '<worksheet><dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row></sheetData></worksheet>',
    },
    [
      [1, '1'],
      [1_048_576, { fault: 'ROW_TOO_LARGE' }],
    ],
  ],
  [
    'long whole numbers as they are',
    {
      sheet:
        '<row><c><v>123456789012345678</v></c><c><v>123456789012345</v></c><c><v>1.23456789012345E+17</v></c></row>',
    },
    [[1, '123456789012345678', '123456789012345', '123456789012345000']],
  ],
  [
    'ids of 18 digits that are texts',
    { sheet: '<row><c t="inlineStr"><is><t>123456789012345678</t></is></c><c t="str"><v>00123</v></c></row>' },
    [[1, '123456789012345678', '00123']],
  ],
  [
    'numbers without the noise of binary fractions',
    {
      sheet:
        '<row><c><v>0.10000000000000001</v></c><c><v>2.2999999999999998</v></c><c><v>-1E-3</v></c><c><v>1.5E-7</v></c><c><v>1E+25</v></c><c><v>2.5E-20</v></c><c><v>007</v></c><c><v>1.50</v></c><c><v>-0</v></c><c><v> 5 </v></c></row>',
    },
    [[1, '0.1', '2.3', '-0.001', '0.00000015', '1E+25', '2.5E-20', '7', '1.5', '0', '5']],
  ],
  ['a text where a number should be', { sheet: '<row><c><v>n/a</v></c></row>' }, [[1, 'n/a']]],
  [
    'cells whose value is empty',
    {
      sheet:
        '<row><c t="s"><v></v></c><c t="s"><v/></c><c><v></v></c><c t="b"><v/></c><c t="str"><v></v></c><c><v>6</v></c></row>',
      strings: '<si><t>a</t></si>',
    },
    [[1, '', '', '', '', '', '6']],
  ],
  [
    'a shared text that is not there, as a fault',
    { sheet: '<row><c t="s"><v>7</v></c></row><row><c t="s"><v>0</v></c></row>', strings: '<si><t>a</t></si>' },
    [
      [1, { fault: 'UNPARSABLE_ROW' }],
      [2, 'a'],
    ],
  ],
  ['an unknown style as none', { sheet: '<row><c s="99"><v>1.5</v></c></row>' }, [[1, '1.5']]],
  ['no shared texts at all', { sheet: '<row><c t="s"><v>0</v></c></row>' }, [[1, { fault: 'UNPARSABLE_ROW' }]]],
  [
    'empty shared texts',
    {
      sheet: '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c><c t="s"><v>3</v></c></row>',
      strings: '<si/><si></si><si><t/></si><si><t>d</t></si>',
    },
    [[1, '', '', '', 'd']],
  ],
  [
    'names of prototypes',
    {
      sheet:
        '<row><c t="inlineStr"><is><t>__proto__</t></is></c><c t="inlineStr"><is><t>constructor</t></is></c></row>',
    },
    [[1, '__proto__', 'constructor']],
  ],
  ['a sheet without rows', { sheet: '<worksheet><sheetData/></worksheet>' }, []],
  [
    'tabs and line breaks in a text',
    { sheet: '<row><c t="inlineStr"><is><t xml:space="preserve"> a\tb\r\nc\n</t></is></c></row>' },
    [[1, ' a\tb\nc\n']],
  ],
  [
    'extensions with rows of their own kind',
    {
      sheet:
        '<worksheet><sheetData><row><c><v>1</v><extLst><ext><v>9</v></ext></extLst></c></row></sheetData><extLst><row r="9"><c><v>9</v></c></row></extLst></worksheet>',
    },
    [[1, '1']],
  ],
  [
    'strict Open XML',
    {
      sheet:
        '<worksheet xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>',
      parts: [
        {
          name: '_rels/.rels',
          data: '<Relationships><Relationship Id="a" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" Target="/book/main.xml"/></Relationships>',
        },
        {
          name: 'book/main.xml',
          data: '<workbook xmlns:rel="http://purl.oclc.org/ooxml/officeDocument/relationships"><sheets><sheet name="Data" sheetId="4" rel:id="q"/></sheets></workbook>',
        },
        {
          name: 'book/_rels/main.xml.rels',
          data: '<Relationships><Relationship Id="q" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/worksheet" Target="../XL/Worksheets/./Sheet1.xml"/></Relationships>',
        },
      ],
    },
    [[1, '1']],
  ],
]

for (const [what, book, expected] of byHand) {
  test(`reads ${what}`, async () => {
    assert.deepEqual(await read(bookOf(book)), expected)
  })
}

/** A number, its format, and what comes of it: for imports, and as Excel shows it. */
const formatted: readonly (readonly [number, string, string, string])[] = [
  [45_351, 'm/d/yy', '2024-02-29', '2/29/24'],
  [45_351, 'yyyy\\-mm\\-dd;@', '2024-02-29', '2024-02-29'],
  [45_351.75, 'm/d/yyyy', '2024-02-29', '2/29/2024'],
  [45_351.573_032_407, 'm/d/yy h:mm', '2024-02-29 13:45:10', '2/29/24 13:45'],
  [45_351.573_032_407, 'yyyy-mm-dd"T"hh:mm:ss', '2024-02-29 13:45:10', '2024-02-29T13:45:10'],
  [45_351.999_999_99, 'dd.mm.yyyy hh:mm:ss', '2024-03-01 00:00:00', '01.03.2024 00:00:00'],
  [45_351.5, '[$-407]d. mmmm yyyy', '2024-02-29', '29. February 2024'],
  [45_351, 'mmm-yy', '2024-02-29', 'Feb-24'],
  [45_351, 'd-mmm', '2024-02-29', '29-Feb'],
  [45_351, 'yyyy', '2024', '2024'],
  [45_351, 'dddd', 'Thursday', 'Thursday'],
  [0.573_032_407, 'h:mm', '13:45', '13:45'],
  [0.573_032_407, 'h:mm AM/PM', '1:45 PM', '1:45 PM'],
  [1.5, '[h]:mm', '36:00', '36:00'],
  [1, 'yyyy-mm-dd', '1900-01-01', '1900-01-01'],
  [59, 'yyyy-mm-dd', '1900-02-28', '1900-02-28'],
  [60, 'yyyy-mm-dd', '1900-02-29', '1900-02-29'],
  [61, 'yyyy-mm-dd', '1900-03-01', '1900-03-01'],
  [0.1234, '0%', '12%', '12%'],
  [0.1234, '0.00%', '12.34%', '12.34%'],
  [1234.5, '#,##0.00', '1,234.50', '1,234.50'],
  [-1234.5, '#,##0', '-1,235', '-1,235'],
  [1.005, '0.00', '1.01', '1.01'],
  [-0.001, '0.00', '0.00', '0.00'],
  [1234.5, '"$"#,##0.00', '$1,234.50', '$1,234.50'],
  [1234.5, '#,##0.00\\ [$€-407]', '1,234.50 €', '1,234.50 €'],
  [-1234.5, '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\)', '$(1,234.50)', ' $(1,234.50)'],
  [7, '00000', '00007', '00007'],
  [5_551_234_567, '(000) 000\\-0000', '(555) 123-4567', '(555) 123-4567'],
  [0.75, '# ?/?', '3/4', ' 3/4'],
  [12_345, '0.00E+00', '1.23E+04', '1.23E+04'],
  [5, '0" pcs"', '5 pcs', '5 pcs'],
  [1_234_567, '0.0,,"M"', '1.2M', '1.2M'],
  [12.5, '@', '12.5', '12.5'],
  [12.5, 'General', '12.5', '12.5'],
  [1 / 3, 'General', '0.333333333333333', '0.333333333'],
  [123_456_789_012, 'General', '123456789012', '1.23457E+11'],
  [5, ';;;', '5', ''],
  [5, '[Red]0;[Blue]-0', '5', '5'],
]

for (const [value, format, exact, shown] of formatted) {
  test(`shows ${value} in the format ${format} as ${exact}`, async () => {
    const book = bookOf({ sheet: `<row><c s="1"><v>${value}</v></c><c><v>1</v></c></row>`, formats: [format] })
    assert.deepEqual(await read(book), [[1, exact, '1']])
    assert.deepEqual(await read(book, 0, { values: 'shown' }), [[1, shown, '1']])
  })
}

test('counts days from 1904 where the workbook does', async () => {
  const sheet = '<row><c s="1"><v>0</v></c><c s="1"><v>43889</v></c><c s="2"><v>43889.5</v></c></row>'
  assert.deepEqual(await read(bookOf({ sheet, formats: ['yyyy-mm-dd', 'd.m.yy h:mm'], date1904: true })), [
    [1, '1904-01-01', '2024-02-29', '2024-02-29 12:00:00'],
  ])
})

test('shows numbers that are no date as numbers in a date format', async () => {
  const sheet = '<row><c s="1"><v>-5</v></c><c s="1"><v>2958466</v></c><c s="1"><v>2958465</v></c></row>'
  assert.deepEqual(await read(bookOf({ sheet, formats: ['yyyy-mm-dd'] })), [[1, '-5', '2958466', '9999-12-31']])
})

test('takes a format as long as Excel allows, and a longer one for none', { timeout: 5_000 }, async () => {
  const formats = [`0"${'a'.repeat(252)}"`, `0"${'a'.repeat(253)}"`, '['.repeat(200_000), 'h m'.repeat(80_000)]
  const sheet = '<row><c s="1"><v>7</v></c><c s="2"><v>7</v></c><c s="3"><v>7</v></c><c s="4"><v>7</v></c></row>'
  assert.deepEqual(await read(bookOf({ sheet, formats })), [[1, `7${'a'.repeat(252)}`, '7', '7', '7']])
})

test('knows the built-in formats', async () => {
  const ids = [0, 1, 2, 3, 4, 9, 10, 14, 22, 27, 49]
  const styles = `<styleSheet><cellXfs>${ids.map((id) => `<xf numFmtId="${id}"/>`).join('')}</cellXfs></styleSheet>`
  const sheet = `<row>${ids.map((_, style) => `<c s="${style}"><v>1234.5</v></c>`).join('')}</row>`
  assert.deepEqual(await read(bookOf({ sheet, parts: [{ name: 'xl/styles.xml', data: styles }] })), [
    [
      1,
      '1234.5',
      '1235',
      '1234.50',
      '1,235',
      '1,234.50',
      '123450%',
      '123450.00%',
      '1903-05-18',
      '1903-05-18 12:00:00',
      '1903-05-18',
      '1234.5',
    ],
  ])
})

test('lists sheets in the order of their tabs, marks hidden ones and leaves out those without cells', async () => {
  const names = ['One & only', '__proto__', 'Hidden', 'Very hidden', 'Chart']
  const states = ['', '', ' state="hidden"', ' state="veryHidden"', '']
  const kinds = ['worksheet', 'worksheet', 'worksheet', 'worksheet', 'chartsheet']
  const workbook = `<workbook xmlns:r="r"><sheets>${names.map((name, index) => `<sheet name="${name.replace('&', '&amp;')}" sheetId="${index + 9}"${states[index]} r:id="i${index}"/>`).join('')}</sheets></workbook>`
  const rels = `<Relationships>${kinds.map((kind, index) => `<Relationship Id="i${index}" Type="http://x/${kind}" Target="sheets/s${9 - index}.xml"/>`).join('')}</Relationships>`
  const data = bookOf({
    sheet: '',
    parts: [
      { name: 'xl/workbook.xml', data: workbook },
      { name: 'xl/_rels/workbook.xml.rels', data: rels },
      ...kinds.map((_, index) => ({
        name: `xl/sheets/s${9 - index}.xml`,
        data: `<worksheet><dimension ref="A1:B${index + 2}"/><sheetData>${`<row><c><v>${index}</v></c></row>`.repeat(9)}</sheetData></worksheet>`,
      })),
    ],
  })
  await using book = await openXlsx(bytesOf(data))
  assert.deepEqual(book.sheets, [
    { name: 'One & only', index: 0, hidden: false, estimatedRowCount: 2 },
    { name: '__proto__', index: 1, hidden: false, estimatedRowCount: 3 },
    { name: 'Hidden', index: 2, hidden: true, estimatedRowCount: 4 },
    { name: 'Very hidden', index: 3, hidden: true, estimatedRowCount: 5 },
  ])
  assert.deepEqual((await read(data, 2))[0], [1, '2'])
})

test('estimates rows without believing what the sheet says', async () => {
  const estimate = async (sheet: string): Promise<number | null | undefined> =>
    (await openXlsx(bytesOf(bookOf({ sheet })))).sheets[0]?.estimatedRowCount
  const rows = '<row><c><v>1</v></c></row>'.repeat(20)
  assert.equal(await estimate(`<worksheet><dimension ref="A1:C20"/><sheetData>${rows}</sheetData></worksheet>`), 20)
  assert.equal(await estimate(`<worksheet><dimension ref="A1"/><sheetData>${rows}</sheetData></worksheet>`), 20)
  assert.equal(await estimate(`<worksheet><sheetData>${rows}</sheetData></worksheet>`), 20)
  assert.equal(await estimate('<worksheet><sheetData/></worksheet>'), 0)
  const liar = await estimate('<worksheet><dimension ref="A1:XFD1048576"/><sheetData/></worksheet>')
  assert.ok(liar !== null && liar !== undefined && liar < 10)
})

test('reads what was split anywhere', async () => {
  const cell = '<c r="A1" t="inlineStr"><is><t>Zoë &amp; 京😀</t></is></c><c r="B1" s="0"><v>12.5</v></c><!-- > -->'
  const rows = Array.from(
    { length: 3000 },
    (_, index) => `<row r="${index + 1}">${cell.replaceAll('1"', `${index + 1}"`)}${' '.repeat(index % 7)}</row>`,
  )
  const found = await read(bookOf({ sheet: rows.join(''), strings: '<si><t>a</t></si>'.repeat(20_000) }))
  assert.deepEqual(
    found,
    Array.from({ length: 3000 }, (_, index) => [index + 1, 'Zoë & 京😀', '12.5']),
  )
})

test('hands on groups of rows, and refuses rows out of order in a sheet that is too large to be sorted', async () => {
  const row = (number: number): string => `<row r="${number}"><c r="A${number}"><v>${number}</v></c></row>`
  const many = Array.from({ length: 120_000 }, (_, index) => row(index + 1)).join('')
  assert.equal((await rowsOf(bookOf({ sheet: many }))).length, 120_000)
  await assert.rejects(rowsOf(bookOf({ sheet: many + row(5) })), {
    code: 'FILE_UNREADABLE',
    message: /row 5 .*row 120000/,
  })
})

test('keeps no more of a small sheet than it may, though its rows are wide', async () => {
  const row = (number: number): string => `<row r="${number}"><c r="BXX${number}"><v>${number}</v></c></row>`
  const many = Array.from({ length: 3000 }, (_, index) => row(index + 1)).join('')
  await using book = await openXlsx(bytesOf(bookOf({ sheet: many })))
  let count = 0
  for await (const group of book.rows(0, never)) {
    for (const { number, cells } of group) {
      count += 1
      assert.deepEqual([number, cells.length, cells.at(-1)], [count, COLUMNS_MAX, String(count)])
    }
  }
  assert.equal(count, 3000)
  await assert.rejects(rowsOf(bookOf({ sheet: many + row(5) })), { code: 'FILE_UNREADABLE' })
})

test('stops when told to', async () => {
  const sheet = '<row><c><v>1</v></c></row>'.repeat(400_000)
  await using book = await openXlsx(bytesOf(bookOf({ sheet })))
  const stop = new AbortController()
  const reading = async (): Promise<void> => {
    for await (const _ of book.rows(0, stop.signal)) {
      stop.abort(new Error('enough'))
    }
  }
  await assert.rejects(reading(), /enough/)
})

test('faults a value that is too long, shared or not, and takes one that just is not', async () => {
  const random = new Random(3)
  const text = Array.from({ length: CELL_BYTES_MAX }, () => String.fromCharCode(97 + random.below(26))).join('')
  const sheet = `<row><c t="inlineStr"><is><t>${text}</t></is></c></row><row><c t="inlineStr"><is><t>${text}a</t></is></c></row><row><c t="s"><v>0</v></c></row><row><c t="s"><v>1</v></c></row><row><c t="s"><v>2</v></c></row>`
  const found = await read(
    bookOf({ sheet, strings: `<si><t>${text}</t></si><si><t>${text}a</t></si><si><t>b</t></si>` }),
  )
  const fault = { fault: 'VALUE_TOO_LONG' }
  assert.deepEqual(found, [
    [1, text],
    [2, fault],
    [3, text],
    [4, fault],
    [5, 'b'],
  ])
})

test('faults a row with a value beyond the last column, and takes one up to it', async () => {
  const wide = (count: number): string => `<row>${'<c><v>1</v></c>'.repeat(count)}</row>`
  const [last, beyond] = await rowsOf(bookOf({ sheet: wide(COLUMNS_MAX) + wide(COLUMNS_MAX + 1) }))
  assert.equal(last?.cells.length, COLUMNS_MAX)
  assert.equal(last?.fault, null)
  assert.equal(beyond?.fault?.code, 'ROW_TOO_LARGE')
})

test('faults a row that is too large as a whole', async () => {
  const text = 'a'.repeat(1_000_000)
  const sheet = `<row>${'<c t="s"><v>0</v></c>'.repeat(9)}</row><row><c><v>1</v></c></row>`
  assert.deepEqual(await read(bookOf({ sheet, strings: `<si><t>${text}</t></si>` })), [
    [1, { fault: 'ROW_TOO_LARGE' }],
    [2, '1'],
  ])
})

test('reads a list of sheets as large as the limit says, and none that is larger', async () => {
  const unlimited = { entries: 100, unpackedBytes: 1e9, ratio: Infinity, ratioBytes: 0 }
  for (const [beyond, code] of [
    [0, null],
    [1, 'LIMIT_EXCEEDED'],
  ] as const) {
    const name = 'xl/workbook.xml'
    const list = Buffer.from(bookParts({ sheet: '' }).find((part) => part.name === name)?.data ?? '')
    const padding = Buffer.alloc(WORKBOOK_PART_BYTES_MAX - list.length + beyond, '\n')
    const data = bookOf({ sheet: '<row/>', parts: [{ name, data: Buffer.concat([list, padding]) }] })
    const opening = openXlsx(bytesOf(data), { limits: unlimited })
    if (code === null) {
      assert.equal((await opening).sheets.length, 1)
    } else {
      await assert.rejects(opening, { code })
    }
  }
})

const laughs = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
const external = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
const bare = '<worksheet><sheetData><row><c t="inlineStr"><is><t>&a;</t></is></c></row></sheetData></worksheet>'
const manySheets = `<workbook xmlns:r="r"><sheets>${'<sheet name="a" r:id="rId1"/>'.repeat(WORKBOOK_SHEETS_MAX + 1)}</sheets></workbook>`

/** What does harm or is broken, and the code of its refusal. */
const refused: readonly (readonly [string, string, Uint8Array])[] = [
  ['a text', 'FILE_UNREADABLE', Buffer.from('Name,City\n')],
  ['an archive of something else', 'FILE_UNREADABLE', zipOf([{ name: 'a.csv', data: 'Name' }])],
  [
    'a document of Word',
    'FILE_UNREADABLE',
    zipOf([
      {
        name: '_rels/.rels',
        data: '<Relationships><Relationship Id="a" Type="http://x/officeDocument" Target="word/document.xml"/></Relationships>',
      },
      { name: 'word/document.xml', data: '<w:document/>' },
    ]),
  ],
  [
    'a workbook without a list of sheets',
    'FILE_UNREADABLE',
    zipOf(bookParts({ sheet: '' }).filter(({ name }) => name !== 'xl/workbook.xml')),
  ],
  [
    'a workbook without its relationships',
    'FILE_UNREADABLE',
    zipOf(bookParts({ sheet: '' }).filter(({ name }) => name !== 'xl/_rels/workbook.xml.rels')),
  ],
  [
    'a workbook without its sheet',
    'FILE_UNREADABLE',
    zipOf(bookParts({ sheet: '' }).filter(({ name }) => name !== 'xl/worksheets/sheet1.xml')),
  ],
  [
    'a sheet that is the list of sheets',
    'FILE_UNREADABLE',
    bookOf({
      sheet: '',
      parts: [
        {
          name: 'xl/_rels/workbook.xml.rels',
          data: '<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="workbook.xml"/></Relationships>',
        },
      ],
    }),
  ],
  [
    'a sheet of noise',
    'FILE_UNREADABLE',
    bookOf({ sheet: '', parts: [{ name: 'xl/worksheets/sheet1.xml', data: Buffer.alloc(1000, 7) }] }),
  ],
  [
    'a sheet elsewhere',
    'FILE_UNREADABLE',
    bookOf({
      sheet: '',
      parts: [
        {
          name: 'xl/_rels/workbook.xml.rels',
          data: '<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="../../../etc/passwd"/></Relationships>',
        },
      ],
    }),
  ],
  ['entities that multiply', 'FILE_UNSAFE', bookOf({ sheet: `<?xml version="1.0"?>${laughs}${bare}` })],
  ['entities from outside', 'FILE_UNSAFE', bookOf({ sheet: `<?xml version="1.0"?>${external}${bare}` })],
  [
    'entities in shared texts',
    'FILE_UNSAFE',
    bookOf({
      sheet: '<row/>',
      parts: [{ name: 'xl/sharedStrings.xml', data: `${laughs}<sst><si><t>&b;</t></si></sst>` }],
    }),
  ],
  [
    'entities in the list of sheets',
    'FILE_UNSAFE',
    bookOf({ sheet: '<row/>', parts: [{ name: 'xl/workbook.xml', data: `${laughs}<workbook/>` }] }),
  ],
  ['a sheet that is a bomb', 'FILE_UNSAFE', bookOf({ sheet: `<row><c><v>${'1'.repeat(20_000_000)}</v></c></row>` })],
  [
    'a text that is repeated without measure',
    'FILE_UNSAFE',
    bookOf({
      sheet: '<row><c t="s"><v>0</v></c></row>'.repeat(200),
      strings: `<si><t>${'a'.repeat(1_000_000)}</t></si>`,
    }),
  ],
  ['a tag without an end', 'FILE_UNREADABLE', bookOf({ sheet: `<row ${'a '.repeat(1_000_000)}` })],
  ['a sheet without its end', 'FILE_UNREADABLE', bookOf({ sheet: '<worksheet><sheetData><row><c><v>1</v></c></row>' })],
  ['a row beyond the last', 'FILE_UNREADABLE', bookOf({ sheet: '<row r="1048577"><c><v>1</v></c></row>' })],
  ['too many sheets', 'LIMIT_EXCEEDED', bookOf({ sheet: '', parts: [{ name: 'xl/workbook.xml', data: manySheets }] })],
  ['a sheet with a password', 'FILE_ENCRYPTED', zipOf(bookParts({ sheet: '' }).map((part) => ({ ...part, flags: 1 })))],
  [
    'two sheets of one name',
    'FILE_UNREADABLE',
    zipOf([...bookParts({ sheet: '' }), { name: 'xl/worksheets/sheet1.xml', data: '<worksheet/>' }]),
  ],
  [
    'a workbook cut off',
    'FILE_UNREADABLE',
    bookOf({ sheet: '<row><c><v>1</v></c></row>'.repeat(1000) }).subarray(0, -500),
  ],
]

for (const [what, code, data] of refused) {
  test(`refuses ${what} with ${code}`, { timeout: 60_000 }, async () => {
    await assert.rejects(rowsOf(data), (error) => {
      assert.ok(error instanceof Refusal, String(error))
      assert.equal(error.code, code)
      return true
    })
  })
}

test('reads a cell of 100 MB as a fault', { timeout: 60_000 }, async () => {
  // Four bits of noise for each byte, so that it is no bomb.
  const random = new Random(8)
  const block = Array.from({ length: 1 << 16 }, () => String.fromCharCode(97 + random.below(16))).join('')
  const sheet = `<row><c t="inlineStr"><is><t>${block.repeat(1600)}</t></is></c></row><row><c><v>1</v></c></row>`
  const unlimited = { entries: 100, unpackedBytes: 1e9, ratio: Infinity, ratioBytes: 0 }
  assert.deepEqual(await read(bookOf({ sheet }), 0, { limits: unlimited }), [
    [1, { fault: 'VALUE_TOO_LONG' }],
    [2, '1'],
  ])
})

for (const [bookType, what] of [
  ['xlsx', 'XLSX'],
  ['xlsm', 'XLSM'],
] as const satisfies readonly (readonly [BookType, string])[]) {
  for (const bookSST of [true, false]) {
    test(`reads ${what} of SheetJS ${bookSST ? 'with' : 'without'} shared texts`, async () => {
      const rows = [
        ['Name', 'Born', 'Active', 'Share', 'Id', 'Note'],
        ['Zoë', new Date(Date.UTC(1990, 1, 28)), true, 0.25, '001', null],
        ['a "b" <c> & d', null, false, 1234.5, '123456789012345678', 'one\ntwo'],
      ]
      const book = utils.book_new()
      utils.book_append_sheet(book, utils.aoa_to_sheet(rows, { UTC: true, dateNF: 'yyyy-mm-dd' }), '__proto__')
      const data = write(book, { type: 'buffer', bookType, bookSST, compression: true }) as Buffer
      assert.deepEqual(await read(data), [
        [1, 'Name', 'Born', 'Active', 'Share', 'Id', 'Note'],
        [2, 'Zoë', '1990-02-28', 'TRUE', '0.25', '001'],
        [3, 'a "b" <c> & d', '', 'FALSE', '1234.5', '123456789012345678', 'one\ntwo'],
      ])
    })
  }
}

test('reads what exceljs writes', async () => {
  const book = new ExcelJS.Workbook()
  const sheet = book.addWorksheet('Leads')
  sheet.addRow(['Leads of May'])
  sheet.mergeCells('A1:C1')
  sheet.addRow([])
  sheet.addRow(['Name', 'Born', 'Revenue', 'Code', 'Site'])
  sheet.addRow([
    { richText: [{ text: 'Ada ' }, { font: { bold: true }, text: 'Lovelace' }] },
    new Date(Date.UTC(1815, 11, 10)),
    { formula: '1+1', result: 2 },
    { error: '#N/A' },
    { text: 'home', hyperlink: 'https://example.org' },
  ])
  sheet.addRow(['Alan', new Date(Date.UTC(1912, 5, 23, 13, 45)), 1234.5, 7, null])
  sheet.getCell('B5').numFmt = 'dd/mm/yyyy hh:mm'
  sheet.getCell('C5').numFmt = '"£"#,##0.00'
  sheet.getCell('D5').numFmt = '0000'
  book.addWorksheet('Secret', { state: 'veryHidden' }).addRow([1])
  const data = Buffer.from(await book.xlsx.writeBuffer())
  assert.deepEqual(await read(data), [
    [1, 'Leads of May'],
    [3, 'Name', 'Born', 'Revenue', 'Code', 'Site'],
    // Excel has no days before 1900.
    [4, 'Ada Lovelace', '-30701', '2', '#N/A', 'home'],
    [5, 'Alan', '1912-06-23 13:45:00', '£1,234.50', '0007'],
  ])
  await using opened = await openXlsx(bytesOf(data))
  assert.deepEqual(
    opened.sheets.map(({ name, hidden }) => [name, hidden]),
    [
      ['Leads', false],
      ['Secret', true],
    ],
  )
})

test('a thousand damaged workbooks end in rows or in a refusal', { timeout: 60_000 }, async () => {
  const parts = bookParts({
    sheet: `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" s="1"><v>45351.5</v></c><c r="C1" t="inlineStr"><is><r><t>a&amp;b</t></r></is></c></row><row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="2"><f>1+1</f><v>2</v></c><c r="C2" t="b"><v>1</v></c></row>`,
    strings: '<si><t>Ada</t></si><si><r><t>Al</t></r><r><t>an</t></r><rPh><t>x</t></rPh></si>',
    formats: ['yyyy-mm-dd hh:mm', '0.00" [x]"'],
  })
  const before = Object.getOwnPropertyNames(Object.prototype).join()
  const words = [
    '<',
    '>',
    '"',
    '&',
    '&#x0;',
    '</c>',
    '<v>',
    '<![CDATA[',
    '-->',
    '<!--',
    'r="ZZZZ9"',
    '__proto__',
    '\0',
    ' t="s"',
    '-1',
    '1e999',
  ]
  for (let seed = 0; seed < 1000; seed += 1) {
    const random = new Random(seed)
    // Half of them are damaged inside, where no checksum tells, half as files.
    const inside = random.chance(0.7)
    const changed = parts.map((part) => {
      let data = Buffer.from(part.data)
      if (inside && random.chance(0.4)) {
        for (let changes = random.below(3); changes >= 0; changes -= 1) {
          const at = random.below(data.length)
          const cut = random.chance(0.3) ? random.below(40) : 1
          const word = random.chance(0.6) ? Buffer.from(random.pick(words)) : Buffer.from([random.below(256)])
          data = Buffer.concat([data.subarray(0, at), word, data.subarray(Math.min(data.length, at + cut))])
        }
      }
      return { ...part, data }
    })
    const file = zipOf(changed)
    if (!inside) {
      for (let changes = random.below(4); changes >= 0; changes -= 1) {
        file[random.below(file.length)] = random.below(256)
      }
    }
    try {
      for (const { number, cells } of await rowsOf(file)) {
        assert.ok(number > 0 && cells.every((cell) => typeof cell === 'string'), `seed ${seed}`)
      }
    } catch (error) {
      assert.ok(error instanceof Refusal, `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), before)
})
