import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { flat, opened, spreadsheet, tableOf } from './legacy-rows.js'

type Expected = readonly (readonly unknown[])[]

const sheet = (rows: string): string => `<Worksheet ss:Name="S"><Table>${rows}</Table></Worksheet>`
const cell = (type: string, value: string, more = ''): string =>
  `<Cell ${more}><Data ss:Type="${type}">${value}</Data></Cell>`

describe('an XML spreadsheet of Excel 2003', () => {
  const style = (id: string, format: string): string =>
    `<Style ss:ID="${id}"><NumberFormat ss:Format="${format}"/></Style>`
  const cases: readonly (readonly [what: string, xml: string, expected: Expected])[] = [
    [
      'texts',
      spreadsheet(sheet(`<Row>${cell('String', '007')}${cell('String', 'a &lt;b&gt;')}</Row>`)),
      [[1, '007', 'a <b>']],
    ],
    ['places', spreadsheet(sheet(`<Row ss:Index="3">${cell('Number', '1', 'ss:Index="2"')}</Row>`)), [[3, '', '1']]],
    [
      'merged cells once',
      spreadsheet(sheet(`<Row>${cell('String', 'a', 'ss:MergeAcross="2"')}${cell('String', 'b')}</Row>`)),
      [[1, 'a', '', '', 'b']],
    ],
    [
      'dates without a format',
      spreadsheet(sheet(`<Row>${cell('DateTime', '2024-02-29T00:00:00.000')}</Row>`)),
      [[1, '2024-02-29']],
    ],
    [
      'dates with the time that their format shows',
      spreadsheet(
        sheet(`<Row>${cell('DateTime', '2024-02-29T10:30:00.000', 'ss:StyleID="d"')}</Row>`),
        style('d', 'General Date'),
      ),
      [[1, '2024-02-29 10:30:00']],
    ],
    [
      'named formats',
      spreadsheet(
        sheet(`<Row>${cell('Number', '0.5', 'ss:StyleID="p"')}${cell('Number', '1234', 'ss:StyleID="s"')}</Row>`),
        style('p', 'Percent') + style('s', 'Standard'),
      ),
      [[1, '50.00%', '1,234.00']],
    ],
    [
      'formats of the parent',
      spreadsheet(
        sheet(`<Row>${cell('Number', '7', 'ss:StyleID="c"')}</Row>`),
        `${style('p', '000')}<Style ss:ID="c" ss:Parent="p"/>`,
      ),
      [[1, '007']],
    ],
    [
      'parents in a circle',
      spreadsheet(sheet(`<Row>${cell('Number', '7', 'ss:StyleID="c"')}</Row>`), '<Style ss:ID="c" ss:Parent="c"/>'),
      [[1, '7']],
    ],
    [
      'booleans and errors',
      spreadsheet(sheet(`<Row>${cell('Boolean', '1')}${cell('Error', '#N/A')}</Row>`)),
      [[1, 'TRUE', '#N/A']],
    ],
    [
      'no comments',
      spreadsheet(
        sheet('<Row><Cell><Data ss:Type="String">a</Data><Comment><ss:Data>no</ss:Data></Comment></Cell></Row>'),
      ),
      [[1, 'a']],
    ],
    [
      'rich text',
      spreadsheet(sheet('<Row><Cell><ss:Data ss:Type="String"><B>bold</B> and <I>thin</I></ss:Data></Cell></Row>')),
      [[1, 'bold and thin']],
    ],
  ]
  for (const [what, xml, expected] of cases) {
    it(`gives ${what}`, async () => {
      assert.deepEqual(await tableOf(xml, 'XLS'), expected)
    })
  }

  it('marks hidden sheets', async () => {
    const hidden = '<WorksheetOptions><Visible>SheetHidden</Visible></WorksheetOptions></Worksheet>'
    await using book = await opened(spreadsheet(sheet('') + sheet('').replace('</Worksheet>', hidden)), 'XLS')
    assert.deepEqual(
      book.sheets.map((each) => each.hidden),
      [false, true],
    )
  })
})

describe('an OpenDocument spreadsheet', () => {
  const table = (rows: string, more = ''): string => `<table:table table:name="T" ${more}>${rows}</table:table>`
  const row = (cells: string, more = ''): string => `<table:table-row ${more}>${cells}</table:table-row>`
  const text = (value: string, more = ''): string =>
    `<table:table-cell office:value-type="string" ${more}><text:p>${value}</text:p></table:table-cell>`
  const number = (value: string, more = '', shown = value): string =>
    `<table:table-cell office:value-type="float" office:value="${value}" ${more}><text:p>${shown}</text:p></table:table-cell>`
  const cellStyle = (name: string, data: string): string =>
    `<style:style style:name="${name}" style:family="table-cell" style:data-style-name="${data}"/>`
  const dated = (value: string, more = ''): string =>
    `<table:table-cell office:value-type="date" office:date-value="${value}" ${more}><text:p>shown</text:p></table:table-cell>`
  const day = `<number:date-style style:name="N1"><number:day number:style="long"/><number:text>.</number:text><number:month number:style="long"/><number:text>.</number:text><number:year number:style="long"/></number:date-style>${cellStyle('day', 'N1')}`
  const cases: readonly (readonly [what: string, xml: string, expected: Expected])[] = [
    ['texts', flat(table(row(text('a &amp; b') + text('007')))), [[1, 'a & b', '007']]],
    [
      'blanks and lines',
      flat(table(row(text('a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d')))),
      [[1, 'a   b\tc\nd']],
    ],
    ['paragraphs as lines', flat(table(row(text('a</text:p><text:p>b')))), [[1, 'a\nb']]],
    ['spans and links', flat(table(row(text('<text:span>a</text:span><text:a>b</text:a>')))), [[1, 'ab']]],
    [
      'repeated cells',
      flat(table(row(text('a', 'table:number-columns-repeated="3"') + text('b')))),
      [[1, 'a', 'a', 'a', 'b']],
    ],
    [
      'repeated rows',
      flat(
        table(
          row(text('a'), 'table:number-rows-repeated="2"') +
            row('<table:table-cell/>', 'table:number-rows-repeated="10"') +
            row(text('b')),
        ),
      ),
      [
        [1, 'a'],
        [2, 'a'],
        [13, 'b'],
      ],
    ],
    [
      'merged cells once',
      flat(table(row(`${text('a')}<table:covered-table-cell table:number-columns-repeated="2"/>${text('b')}`))),
      [[1, 'a', '', '', 'b']],
    ],
    [
      'no comments',
      flat(table(row(text('a</text:p><office:annotation><text:p>no</text:p></office:annotation><text:p>b')))),
      [[1, 'a\nb']],
    ],
    ['numbers in full', flat(table(row(number('0.333333333333333', '', '0.33')))), [[1, '0.333333333333333']]],
    [
      'leading zeros',
      flat(
        table(row(number('7', 'table:style-name="z"', '007'))),
        `<number:number-style style:name="N"><number:number number:decimal-places="0" number:min-integer-digits="3"/></number:number-style>${cellStyle('z', 'N')}`,
      ),
      [[1, '007']],
    ],
    [
      'formats of the column',
      flat(
        table(`<table:table-column table:default-cell-style-name="z"/>${row(number('1234.5'))}`),
        `<number:number-style style:name="N"><number:number number:decimal-places="2" number:min-integer-digits="1" number:grouping="true"/></number:number-style>${cellStyle('z', 'N')}`,
      ),
      [[1, '1,234.50']],
    ],
    [
      'percent',
      flat(
        table(row('<table:table-cell office:value-type="percentage" office:value="0.125" table:style-name="p"/>')),
        `<number:percentage-style style:name="N"><number:number number:decimal-places="1" number:min-integer-digits="1"/><number:text>%</number:text></number:percentage-style>${cellStyle('p', 'N')}`,
      ),
      [[1, '12.5%']],
    ],
    ['dates', flat(table(row(dated('2024-02-29')))), [[1, '2024-02-29']]],
    ['dates with a time', flat(table(row(dated('2024-02-29T10:30:00')))), [[1, '2024-02-29 10:30:00']]],
    [
      'dates whose format shows no time',
      flat(table(row(dated('2024-02-29T10:30:00', 'table:style-name="day"'))), day),
      [[1, '2024-02-29']],
    ],
    [
      'booleans',
      flat(table(row('<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'))),
      [[1, 'TRUE']],
    ],
    [
      'times as they are shown',
      flat(
        table(
          row(
            '<table:table-cell office:value-type="time" office:time-value="PT10H30M00S"><text:p>10:30</text:p></table:table-cell>',
          ),
        ),
      ),
      [[1, '10:30']],
    ],
    [
      'no shapes',
      flat(
        table(
          `<table:shapes><draw:frame><table:table><table:table-row/></table:table></draw:frame></table:shapes>${row(text('a'))}`,
        ),
      ),
      [[1, 'a']],
    ],
    [
      'rows in groups and headers',
      flat(
        table(
          `<table:table-header-rows>${row(text('h'))}</table:table-header-rows><table:table-row-group>${row(text('a'))}</table:table-row-group>`,
        ),
      ),
      [
        [1, 'h'],
        [2, 'a'],
      ],
    ],
  ]
  for (const [what, xml, expected] of cases) {
    it(`gives ${what}`, async () => {
      assert.deepEqual(await tableOf(xml, 'ODS'), expected)
    })
  }

  it('marks hidden sheets', async () => {
    const hidden =
      '<style:style style:name="h" style:family="table"><style:table-properties table:display="false"/></style:style>'
    await using book = await opened(flat(table('') + table('', 'table:style-name="h"'), hidden), 'ODS')
    assert.deepEqual(
      book.sheets.map((each) => each.hidden),
      [false, true],
    )
  })

  it('is told from other documents', async () => {
    const letter = flat('').replaceAll('office:spreadsheet', 'office:text')
    await assert.rejects(tableOf(letter, 'ODS'), { code: 'FILE_TYPE_UNSUPPORTED', message: /text document/ })
  })
})
