/** What somebody asks an export for, as the engine takes it; refused where it can never be right, with the path to it. */
import type { Permission } from '../access/permissions.js'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import { exportSpec, hiddenFields } from '../adapters/crm/export.js'
import { fieldsAskedAbout, listSql } from '../adapters/crm/read.js'
import { readEncodingName } from '../adapters/files/encoding.js'
import type { Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import type { RecordFilter, RecordOrder, RecordType, RecordTypeName } from '../records/types.js'
import {
  type AskedExport,
  type ExportTemplateRow,
  exportTemplateFor,
  templateFileName,
} from '../runs/export-templates.js'
import { defaultExportFormat } from '../runs/exports.js'
import type { ExportFormat, ExportSpec } from '../runs/types.js'
import type { ExportColumnInput, ExportCreateInput, ExportFormatInput } from '../schema/exports.js'
import { filterWithUuids } from './filters.js'
import { recordTypeOf } from './views.js'

/** The members of an input that say something, and only those. Refuses INVALID_INPUT. */
export function exportFormat(input: ExportFormatInput | null | undefined): Partial<ExportFormat> {
  if (input == null) {
    return {}
  }
  const { compression, decimalSeparator, encoding } = input
  if (compression === 'ZIP') {
    throw new Refusal('INVALID_INPUT', 'An export is packed with GZIP or not at all.', ['format', 'compression'])
  }
  if (decimalSeparator != null && decimalSeparator !== '.' && decimalSeparator !== ',') {
    throw new Refusal('INVALID_INPUT', 'A decimal separator is a point or a comma.', ['format', 'decimalSeparator'])
  }
  const encodingName = encoding == null ? null : readEncodingName(encoding)
  if (encoding != null && encodingName === null) {
    throw new Refusal('INVALID_INPUT', `${JSON.stringify(encoding.slice(0, 50))} is no encoding that is known.`, [
      'format',
      'encoding',
    ])
  }
  const said = {
    format: input.format,
    compression,
    delimiter: input.delimiter,
    // UTF-16 is written little-endian where nobody says otherwise, as spreadsheets do.
    encoding: encodingName === 'utf-16' ? 'utf-16le' : encodingName,
    byteOrderMark: input.byteOrderMark,
    dateFormat: input.dateFormat,
    timeZone: input.timeZone,
    nullText: input.nullText,
    decimalSeparator,
    escapeFormulas: input.escapeFormulas,
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value != null)) as Partial<ExportFormat>
}

interface AskedInput {
  readonly filter?: RecordFilter | null
  readonly orderBy?: readonly RecordOrder[] | null
  readonly columns?: readonly ExportColumnInput[] | null
  readonly format?: ExportFormatInput | null
}

/** What the input says, over what the template says. */
function asked(type: RecordType, input: AskedInput, template: AskedExport | null): AskedExport {
  const { filter, orderBy, columns } = input
  return {
    recordType: type.name,
    filter: filter == null ? (template?.filter ?? null) : filterWithUuids(type, filter),
    orderBy:
      orderBy?.map(({ field, direction }) => ({ field, direction: direction ?? 'ASC' })) ?? template?.orderBy ?? [],
    columns:
      columns?.map(({ field, header, format }) => ({ field, header: header ?? null, format: format ?? null })) ??
      template?.columns ??
      null,
    format: { ...template?.format, ...exportFormat(input.format) },
  }
}

/**
 * What an export with this input writes, checked. Refuses NOT_FOUND for a template that is not there, UNKNOWN_FIELD and
 * INVALID_INPUT with the path to what is wrong; of columns and the like that the template says, the path is `templateId`.
 */
export async function exportOf(
  tx: Tx,
  input: ExportCreateInput,
  permissions: ReadonlySet<Permission>,
): Promise<{ readonly spec: ExportSpec; readonly type: RecordType; readonly templateId: string | null }> {
  const name = recordTypeOf(input.recordType)
  const type = await loadRecordType(tx, name)
  const template =
    input.templateId == null ? null : await exportTemplateFor(tx, decodeId('exportTemplate', input.templateId), name)
  try {
    const spec = await checked(tx, type, asked(type, input, template), permissions, nameOf(input, template))
    return { spec, type, templateId: template?.id ?? null }
  } catch (error) {
    const part = error instanceof Refusal ? error.field?.[0] : undefined
    if (template !== null && error instanceof Refusal && part !== undefined && !said(input, part, error.field?.[1])) {
      throw new Refusal(error.code, `The template “${template.name}”: ${error.message}`, ['templateId'])
    }
    throw error
  }
}

/** Whether the input itself says this, rather than its template. */
function said(input: ExportCreateInput, part: string, member: string | undefined): boolean {
  const value = (input as unknown as Readonly<Record<string, unknown>>)[part]
  if (part === 'format' && member !== undefined) {
    return (value as Readonly<Record<string, unknown>> | null | undefined)?.[member] != null
  }
  return value != null
}

function nameOf({ fileName }: ExportCreateInput, template: ExportTemplateRow | null): string | null {
  return fileName ?? (template === null ? null : templateFileName(template, new Date()))
}

/** What a template is to keep, checked as an export of it would be, by what its owner is allowed now. */
export async function templateOf(
  tx: Tx,
  recordType: RecordTypeName,
  input: AskedInput,
  permissions: ReadonlySet<Permission>,
): Promise<AskedExport> {
  const type = await loadRecordType(tx, recordType)
  const kept = asked(type, input, null)
  await checked(tx, type, kept, permissions, null)
  return kept
}

async function checked(
  tx: Tx,
  type: RecordType,
  { filter, orderBy, columns, format }: AskedExport,
  permissions: ReadonlySet<Permission>,
  fileName: string | null,
): Promise<ExportSpec> {
  at(['filter'], () => listSql(type, tx.tenantId, filter, []))
  orderBy.forEach((order, index) =>
    at(['orderBy', `${index}`, 'field'], () => listSql(type, tx.tenantId, null, [order])),
  )
  at(['orderBy'], () => listSql(type, tx.tenantId, null, orderBy))
  const refuseHidden = (path: readonly string[], fields: readonly string[]): void => {
    const asColumns = fields.map((field) => ({ field }))
    const [hidden] = hiddenFields(type, { filter: null, orderBy: [], columns: asColumns }, permissions)
    if (hidden !== undefined) {
      throw new Refusal('INVALID_INPUT', `Exporting by or with ${hidden} needs the permission PII_READ.`, path)
    }
  }
  // Asking about a value, or sorting by it, would tell it bit by bit.
  refuseHidden(['filter'], fieldsAskedAbout(filter, null))
  orderBy.forEach(({ field }, index) => refuseHidden(['orderBy', `${index}`, 'field'], [field]))
  columns?.forEach(({ field }, index) => refuseHidden(['columns', `${index}`, 'field'], [field]))
  return exportSpec(tx, {
    recordType: type.name,
    filter,
    orderBy,
    columns,
    format: { ...defaultExportFormat, ...format },
    fileName,
    permissions,
  })
}

/** Gives a refusal this path: lists of records say `filter` for both. */
function at(path: readonly string[], work: () => unknown): void {
  try {
    work()
  } catch (error) {
    throw error instanceof Refusal ? new Refusal(error.code, error.message, path) : error
  }
}
