/** `portage export`, `portage download` and `portage templates`. */
import { randomUUID } from 'node:crypto'
import { type Api, ApiError, throwUserErrors, type UserError } from './api.js'
import { choice, only, parse, UsageError } from './arguments.js'
import type { Connect } from './commands.js'
import { downloadFile, localName, offeredFile } from './download.js'
import { bytes, clean, counted, type Io, table } from './io.js'
import { words } from './report.js'
import { exitCode, readReport } from './runs.js'
import { followToRest, tell } from './watch.js'

const createMutation = `mutation Export($input: ExportCreateInput!) { exportCreate(input: $input) {
  exportRun { id leftOutFields } userErrors { code message field } } }`

const previewQuery = `query Preview($input: ExportCreateInput!, $first: Int) { exportPreview(input: $input, first: $first) {
  cells { column value } } }`

const templatesQuery = `{ exportTemplates { id name recordType format schedule timeZone nextRunAt owner disabledReason { code message }
  lastRun { id status statusReason { code message } finishedAt } } }`

const recordTypes = ['CONTACT', 'LEAD', 'PROPERTY', 'ACTIVITY']
const formats = ['CSV', 'XLSX', 'JSON', 'NDJSON']

/** Rows that `--preview` shows. */
const PREVIEWED = 10

const connection = {
  json: { type: 'boolean', default: false },
  url: { type: 'string' },
  token: { type: 'string' },
} as const

interface Template {
  readonly id: string
  readonly name: string
  readonly recordType: string
  readonly format: string
  readonly schedule: string | null
  readonly timeZone: string | null
  readonly nextRunAt: string | null
  readonly owner: string
  readonly disabledReason: { readonly code: string; readonly message: string } | null
  readonly lastRun: {
    readonly id: string
    readonly status: string
    readonly statusReason: { readonly code: string; readonly message: string } | null
    readonly finishedAt: string | null
  } | null
}

/** `portage export TYPE -o FILE`. */
export async function exportRecords(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    output: { type: 'string', short: 'o' },
    filter: { type: 'string', multiple: true, default: [] },
    columns: { type: 'string' },
    order: { type: 'string' },
    template: { type: 'string' },
    format: { type: 'string' },
    gzip: { type: 'boolean', default: false },
    delimiter: { type: 'string' },
    encoding: { type: 'string' },
    bom: { type: 'boolean', default: false },
    'date-format': { type: 'string' },
    'time-zone': { type: 'string' },
    'null-text': { type: 'string' },
    'decimal-separator': { type: 'string' },
    exact: { type: 'boolean', default: false },
    preview: { type: 'boolean', default: false },
    ...connection,
  })
  if (positionals.length > 1 || (positionals.length === 0 && values.template === undefined)) {
    throw new UsageError('Say what to export: contact, lead, property or activity; or --template.')
  }
  if (values.output === undefined && !values.preview) {
    throw new UsageError('-o is missing: the file to write.')
  }
  const typeSaid = choice('The record type', positionals[0], recordTypes)
  const format = set({
    format: choice('--format', values.format ?? formatOf(values.output), formats),
    compression: values.gzip || values.output?.toLowerCase().endsWith('.gz') === true ? 'GZIP' : undefined,
    delimiter: values.delimiter === 'tab' ? '\t' : values.delimiter,
    encoding: values.encoding,
    byteOrderMark: values.bom ? true : undefined,
    dateFormat: values['date-format'],
    timeZone: values['time-zone'],
    nullText: values['null-text'],
    decimalSeparator: values['decimal-separator'],
    escapeFormulas: values.exact ? false : undefined,
  })
  const asked = set({
    filter: filterOf(values.filter),
    columns: values.columns === undefined ? undefined : columnsOf(values.columns),
    orderBy: values.order === undefined ? undefined : orderOf(values.order),
    format: Object.keys(format).length === 0 ? undefined : format,
  })
  const api = connect(values)
  const template = values.template === undefined ? null : await templateNamed(api, values.template)
  const recordType = typeSaid ?? template?.recordType
  const input = { recordType, ...asked, ...set({ templateId: template?.id }), idempotencyKey: randomUUID() }
  return values.preview
    ? showPreview(api, input, io, values.json)
    : exportTo(api, input, values.output ?? '', io, values.json)
}

async function exportTo(api: Api, input: object, path: string, io: Io, json: boolean): Promise<number> {
  interface Answer {
    readonly exportCreate: {
      readonly exportRun: { readonly id: string; readonly leftOutFields: readonly string[] } | null
      readonly userErrors: readonly UserError[]
    }
  }
  const { exportCreate } = await api.run<Answer>(createMutation, { input })
  throwUserErrors(exportCreate.userErrors)
  const { exportRun } = exportCreate
  if (exportRun === null) {
    throw new ApiError('NO_ANSWER', 'The server neither started nor refused the export.')
  }
  if (json) {
    io.out(JSON.stringify({ event: 'started', runId: exportRun.id, leftOutFields: exportRun.leftOutFields }))
  } else if (exportRun.leftOutFields.length > 0) {
    io.note(`Left out, for want of the permission PII_READ: ${exportRun.leftOutFields.map(clean).join(', ')}`)
  }
  await followToRest(api, exportRun.id, io, json)
  const run = await readReport(api, exportRun.id)
  if (run === null) {
    throw new ApiError('NOT_FOUND', 'The export is gone.')
  }
  if (run.status !== 'COMPLETED') {
    tell(run, io, json)
    return exitCode(run.status)
  }
  return bring(api, exportRun.id, path, io, json)
}

/** `portage download RUN`. */
export async function download(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, { output: { type: 'string', short: 'o' }, ...connection })
  return bring(connect(values), only(positionals, 'RUN'), values.output ?? null, io, values.json)
}

/** Downloads what a run has made. */
async function bring(api: Api, runId: string, said: string | null, io: Io, json: boolean): Promise<number> {
  const file = await offeredFile(api, runId)
  if (file === null) {
    throw new ApiError(
      'NOT_FOUND',
      `The run ${clean(runId)} has no file for you: it has not ended yet, its file is past its time, or you may not see what is in it.`,
    )
  }
  const path = said ?? localName(file.name)
  try {
    await downloadFile(file, path, io, () => offeredFile(api, runId))
  } catch (error) {
    if (io.signal.aborted) {
      io.note(`What has arrived is kept: \`npm run -s portage -- download ${clean(runId)} -o ${clean(path)}\` goes on.`)
    }
    throw error
  }
  const { rowCount, byteSize, sha256 } = file
  if (json) {
    io.out(JSON.stringify({ event: 'downloaded', runId, path, rowCount, byteSize, sha256 }))
  } else {
    const rows = rowCount === null ? '' : `${counted(rowCount, 'row')}, `
    io.out(`${clean(path)}: ${rows}${bytes(byteSize)}, SHA-256 ${sha256}`)
  }
  return 0
}

async function showPreview(api: Api, input: object, io: Io, json: boolean): Promise<number> {
  interface Answer {
    readonly exportPreview: readonly {
      readonly cells: readonly { readonly column: string; readonly value: string | null }[]
    }[]
  }
  const { exportPreview: rows } = await api.run<Answer>(previewQuery, { input, first: PREVIEWED })
  if (json) {
    rows.forEach(({ cells }) => io.out(JSON.stringify(cells)))
    return 0
  }
  const [one] = rows
  if (one === undefined) {
    io.note('No records.')
    return 0
  }
  const shown = rows.map(({ cells }) => cells.map(({ value }) => clean(value ?? '')))
  table([one.cells.map(({ column }) => clean(column)), ...shown]).forEach((line) => io.out(line))
  return 0
}

/** `portage templates`. */
export async function templates(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, connection)
  if (positionals.length > 0) {
    throw new UsageError('templates takes no arguments, only options.')
  }
  const { exportTemplates } = await connect(values).run<{ exportTemplates: readonly Template[] }>(templatesQuery, {})
  if (values.json) {
    exportTemplates.forEach((template) => io.out(JSON.stringify(template)))
    return 0
  }
  if (exportTemplates.length === 0) {
    io.note('No export templates.')
    return 0
  }
  const head = ['Template', 'Of', 'Format', 'Schedule', 'Next', 'Last run']
  table([head, ...exportTemplates.map(listed)]).forEach((line) => io.out(line))
  for (const { name, disabledReason, lastRun } of exportTemplates) {
    const reason = disabledReason ?? lastRun?.statusReason ?? null
    if (reason !== null) {
      io.note(`${clean(name)}: ${clean(reason.message)} (${reason.code})`)
    }
  }
  return 0
}

function listed({
  name,
  recordType,
  format,
  schedule,
  timeZone,
  nextRunAt,
  disabledReason,
  lastRun,
}: Template): string[] {
  return [
    clean(name),
    words(recordType),
    words(format),
    schedule === null ? '' : `${schedule} ${timeZone ?? ''}`.trim(),
    disabledReason === null ? minute(nextRunAt) : 'disabled',
    lastRun === null ? '' : `${words(lastRun.status)} ${minute(lastRun.finishedAt)}`.trim(),
  ]
}

const minute = (time: string | null): string => (time === null ? '' : time.slice(0, 16).replace('T', ' '))

async function templateNamed(api: Api, name: string): Promise<Template> {
  const { exportTemplates } = await api.run<{ exportTemplates: readonly Template[] }>(templatesQuery, {})
  const found = exportTemplates.find((template) => template.name.toLowerCase() === name.trim().toLowerCase())
  if (found === undefined) {
    const names = exportTemplates.map((template) => `"${clean(template.name)}"`).join(', ')
    throw new ApiError(
      'NOT_FOUND',
      `There is no export template "${clean(name)}". ${names === '' ? 'There is none at all.' : `There are: ${names}.`}`,
    )
  }
  return found
}

/** The format that the name of a file says; undefined for none. */
function formatOf(path: string | undefined): string | undefined {
  const end = /\.(\w+?)(?:\.gz)?$/i.exec(path ?? '')?.[1]?.toUpperCase()
  return end !== undefined && formats.includes(end) ? end : undefined
}

const operators: Readonly<Record<string, string>> = {
  '=': 'EQ',
  '!=': 'NEQ',
  '<': 'LT',
  '<=': 'LTE',
  '>': 'GT',
  '>=': 'GTE',
  '*=': 'CONTAINS',
  '^=': 'STARTS_WITH',
}

/**
 * What all of `--filter` ask for together; undefined for none. Each is `field=value` with one of the signs above, where nothing
 * behind `=` and `!=` asks for no value and any value, or the JSON of a RecordFilterInput.
 */
export function filterOf(texts: readonly string[]): object | undefined {
  const filters = texts.map((text) => (text.trim().startsWith('{') ? fromJson(text) : condition(text)))
  return filters.length > 1 ? { and: filters } : filters[0]
}

function fromJson(text: string): object {
  try {
    return JSON.parse(text) as object
  } catch (error) {
    throw new UsageError(`--filter is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function condition(text: string): object {
  const [, field, sign = '', value = ''] = /^\s*([A-Za-z][\w.]*)\s*(!=|<=|>=|\*=|\^=|=|<|>)\s*(.*)$/s.exec(text) ?? []
  const operator = operators[sign]
  if (field === undefined || operator === undefined) {
    throw new UsageError(
      `--filter is a field, a sign and a value, e.g. "city=Berlin"; "${text}" is not. Signs are ${Object.keys(operators).join(' ')}; JSON of a RecordFilterInput is taken, too.`,
    )
  }
  if (value === '' && (operator === 'EQ' || operator === 'NEQ')) {
    return { where: { field, operator: operator === 'EQ' ? 'IS_NULL' : 'IS_NOT_NULL' } }
  }
  return { where: { field, operator, value } }
}

/** `--columns`: fields with commas between, each perhaps with its header as `Header=field`. */
export function columnsOf(text: string): { readonly field: string; readonly header?: string }[] {
  return text.split(',').map((part) => {
    const at = part.lastIndexOf('=')
    const field = part.slice(at + 1).trim()
    const header = part.slice(0, Math.max(0, at)).trim()
    if (field === '' || (at >= 0 && header === '')) {
      throw new UsageError(`--columns is a list of fields, e.g. id,email,"Family name=lastName"; "${text}" is not.`)
    }
    return header === '' ? { field } : { field, header }
  })
}

/** `--order`: fields with commas between, `:desc` behind those that go down. */
export function orderOf(text: string): { readonly field: string; readonly direction: 'ASC' | 'DESC' }[] {
  return text.split(',').map((part) => {
    const [, field, direction = 'asc'] = /^\s*([\w.]+)(?::(asc|desc))?\s*$/i.exec(part) ?? []
    if (field === undefined) {
      throw new UsageError(`--order is a list of fields, e.g. lastName,createdAt:desc; "${text}" is not.`)
    }
    return { field, direction: direction.toLowerCase() === 'desc' ? 'DESC' : 'ASC' }
  })
}

/** Without the members that are undefined. */
function set(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}
