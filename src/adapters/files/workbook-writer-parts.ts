/** The small parts of a workbook that is written, after ECMA-376, 5th edition, parts 1 and 2. */
import { WORKBOOK_SHEET_ROWS_MAX } from '../../limits.js'
import { columnName } from './workbook-writer-cells.js'

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006/relationships'
const METADATA = 'http://schemas.openxmlformats.org/package/2006/metadata/core-properties'
const CONTENT = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

/** A sheet that has been written. */
export interface SheetExtent {
  readonly name: string
  /** With the header. */
  readonly rows: number
  readonly columns: number
}

/** Text as it may stand between tags and in attributes. Characters that XML does not know become blanks. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\ufffe\uffff]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

export const relationshipsXml =
  `${HEAD}<Relationships xmlns="${PACKAGE}">` +
  `<Relationship Id="rId1" Type="${OFFICE}/officeDocument" Target="xl/workbook.xml"/>` +
  `<Relationship Id="rId2" Type="${PACKAGE}/metadata/core-properties" Target="docProps/core.xml"/>` +
  `<Relationship Id="rId3" Type="${OFFICE}/extended-properties" Target="docProps/app.xml"/>` +
  '</Relationships>'

export const appXml =
  `${HEAD}<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">` +
  '<Application>Portage</Application></Properties>'

export function coreXml(createdAt: Date): string {
  const moment = createdAt.toISOString().replace(/\.\d+Z$/, 'Z')
  return (
    `${HEAD}<cp:coreProperties xmlns:cp="${METADATA}" xmlns:dcterms="http://purl.org/dc/terms/" ` +
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">' +
    `<dcterms:created xsi:type="dcterms:W3CDTF">${moment}</dcterms:created></cp:coreProperties>`
  )
}

/** Numbers of own number formats begin here; those below are built in. */
const FORMAT_FIRST = 164

/** The styles of cells, in the order of `styles`, and one for each of `formats` behind them. */
export function stylesXml(formats: readonly string[]): string {
  const codes = ['yyyy\\-mm\\-dd', 'yyyy\\-mm\\-dd\\ hh:mm:ss', 'yyyy\\-mm\\-dd\\ hh:mm:ss.000', ...formats]
  const numberFormats = codes
    .map((code, index) => `<numFmt numFmtId="${FORMAT_FIRST + index}" formatCode="${escapeXml(code)}"/>`)
    .join('')
  const style = (format: number, more = ''): string =>
    `<xf numFmtId="${format}" fontId="0" fillId="0" borderId="0" xfId="0"${format === 0 ? '' : ' applyNumberFormat="1"'}${more}/>`
  const cells = [
    style(0),
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>',
    style(49),
    style(49, ' quotePrefix="1"'),
    style(2),
    ...codes.map((_, index) => style(FORMAT_FIRST + index)),
  ]
  const font = (bold: string): string => `<font>${bold}<sz val="11"/><name val="Calibri"/><family val="2"/></font>`
  return (
    `${HEAD}<styleSheet xmlns="${MAIN}"><numFmts count="${codes.length}">${numberFormats}</numFmts>` +
    `<fonts count="2">${font('')}${font('<b/>')}</fonts>` +
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>' +
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>' +
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>' +
    `<cellXfs count="${cells.length}">${cells.join('')}</cellXfs>` +
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
  )
}

/** What stands before the rows of a sheet: the header stays in sight, columns have their widths, in characters. */
export function sheetStartXml(widths: readonly number[], isFirst: boolean): string {
  const columns = widths
    .map((width, index) => `<col min="${index + 1}" max="${index + 1}" width="${width}" customWidth="1"/>`)
    .join('')
  return (
    `${HEAD}<worksheet xmlns="${MAIN}"><sheetViews><sheetView${isFirst ? ' tabSelected="1"' : ''} workbookViewId="0">` +
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' +
    '<selection pane="bottomLeft" activeCell="A2" sqref="A2"/></sheetView></sheetViews>' +
    `<sheetFormatPr defaultRowHeight="15"/><cols>${columns}</cols><sheetData>`
  )
}

/** What stands behind the rows: a filter on the header, and no green corners on numbers that are meant to be text. */
export function sheetEndXml(rows: number, columns: number): string {
  const all = `A1:${columnName(columns - 1)}${rows}`
  return (
    `</sheetData><autoFilter ref="${all}"/>` +
    `<ignoredErrors><ignoredError sqref="${all}" numberStoredAsText="1"/></ignoredErrors></worksheet>`
  )
}

export function workbookXml(sheets: readonly SheetExtent[]): string {
  const list = sheets
    .map(({ name }, index) => `<sheet name="${escapeXml(name)}" sheetId="${index + 1}" r:id="rId${index + 1}"/>`)
    .join('')
  // A filter is named here as well; Excel adds the name, and some programs show no filter without it.
  const filters = sheets
    .map(({ name, rows, columns }, index) => {
      const place = `'${name.replaceAll("'", "''")}'!$A$1:$${columnName(columns - 1)}$${Math.min(rows, WORKBOOK_SHEET_ROWS_MAX)}`
      return `<definedName name="_xlnm._FilterDatabase" localSheetId="${index}" hidden="1">${escapeXml(place)}</definedName>`
    })
    .join('')
  return (
    `${HEAD}<workbook xmlns="${MAIN}" xmlns:r="${OFFICE}"><workbookPr date1904="0"/><bookViews><workbookView/></bookViews>` +
    `<sheets>${list}</sheets><definedNames>${filters}</definedNames></workbook>`
  )
}

export function workbookRelationshipsXml(sheets: number): string {
  const list = Array.from(
    { length: sheets },
    (_, index) =>
      `<Relationship Id="rId${index + 1}" Type="${OFFICE}/worksheet" Target="worksheets/sheet${index + 1}.xml"/>`,
  ).join('')
  return `${HEAD}<Relationships xmlns="${PACKAGE}">${list}<Relationship Id="rId${sheets + 1}" Type="${OFFICE}/styles" Target="styles.xml"/></Relationships>`
}

export function contentTypesXml(sheets: number): string {
  const override = (part: string, type: string): string => `<Override PartName="${part}" ContentType="${type}"/>`
  const list = Array.from({ length: sheets }, (_, index) =>
    override(`/xl/worksheets/sheet${index + 1}.xml`, `${CONTENT}.worksheet+xml`),
  ).join('')
  return (
    `${HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
    '<Default Extension="xml" ContentType="application/xml"/>' +
    override('/xl/workbook.xml', `${CONTENT}.sheet.main+xml`) +
    list +
    override('/xl/styles.xml', `${CONTENT}.styles+xml`) +
    override('/docProps/core.xml', 'application/vnd.openxmlformats-package.core-properties+xml') +
    override('/docProps/app.xml', 'application/vnd.openxmlformats-officedocument.extended-properties+xml') +
    '</Types>'
  )
}
