/** What is known about a file from looking at it: plain data, stored with the file, shown by the API and by `inspect`. */
import type { FieldKind } from '../../records/types.js'

/** Formats of tables that are read. Workbooks (XLSX, XLS, XLSB, ODS) have sheets; HTML tables and XML spreadsheets count as XLS. */
export type FileFormat = 'CSV' | 'XLSX' | 'XLS' | 'XLSB' | 'ODS' | 'JSON' | 'NDJSON'

/** What the table is packed in: GZIP, or a ZIP archive with one data file. A workbook's own zip does not count. */
export type Compression = 'NONE' | 'GZIP' | 'ZIP'

/** Names as TextDecoder gives them (WHATWG, lower case), and those that it lacks: UTF-32 and the code pages of DOS and Mac. */
export type Encoding = string

export type LineTerminator = '\n' | '\r\n' | '\r'

/** A sheet of a workbook. */
export interface Sheet {
  readonly name: string
  /** Position in the workbook, from 0. */
  readonly index: number
  /** Not shown by the spreadsheet program; never chosen unless a person says so. */
  readonly hidden: boolean
  /** Null where the file does not say. */
  readonly estimatedRowCount: number | null
}

/** What was found by looking at a file. */
export interface Detection {
  readonly format: FileFormat
  readonly compression: Compression
  /** Null for workbooks, which say it themselves. */
  readonly encoding: Encoding | null
  readonly encodingConfidence: number | null
  /** As it stands between the cells, one or more characters; null where the file has a single column or is no CSV. */
  readonly delimiter: string | null
  /** One character; null where quotes are ordinary text, or the file is no CSV. */
  readonly quote: string | null
  /** How a quote inside a quoted value is written: doubled (as RFC 4180) or behind a backslash. Null without a quote. */
  readonly escape: 'DOUBLED' | 'BACKSLASH' | null
  /** Null where the file is no CSV. */
  readonly dialectConfidence: number | null
  /** The most frequent one; null where there is none, or the file is a workbook. */
  readonly lineTerminator: LineTerminator | null
  /** Row number of the header; null where the file has none. JSON: null, names stand with the values. */
  readonly headerRow: number | null
  /** Rows with a lower number are no data: the header and what stands above it. */
  readonly firstDataRow: number
  /** Rows with a higher number are footers or another table, and are faults. Null or absent: none were found. */
  readonly lastDataRow?: number | null
  /** Empty unless the file is a workbook. */
  readonly sheets: readonly Sheet[]
  /** Name of the sheet that is read; null unless the file is a workbook. */
  readonly sheet: string | null
  /** Where the array of records stands in a JSON file, as dotted names; '' for the whole; null unless JSON. */
  readonly jsonPath: string | null
  readonly columns: readonly DetectedColumn[]
  /** Data rows; exact where the whole file was seen. Null where no row was. */
  readonly estimatedRowCount: number | null
  /** What a person should look at, in words. */
  readonly warnings: readonly string[]
}

/** One column, from the rows that were seen. */
export interface DetectedColumn {
  readonly index: number
  /** Unique in the file. */
  readonly name: string
  readonly kind: FieldKind
  readonly kindConfidence: number
  /** Share of rows with a value, from 0 to 1. */
  readonly fillRate: number
  /** First distinct values, cut at SAMPLE_LENGTH_MAX. */
  readonly samples: readonly string[]
  /** Null unless the whole file was seen. */
  readonly distinctCount: number | null
  /** Most frequent values, cut as `samples` are, with how often they were seen. */
  readonly topValues: readonly { readonly value: string; readonly count: number }[]
}
