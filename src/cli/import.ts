/** `portage import`: upload, show what becomes what, start, watch, report. */
import { randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { type Api, throwUserErrors, type UserError } from './api.js'
import { type Assignment, assignments, choice, matchRules, only, parse, sizeOf, UsageError } from './arguments.js'
import { readingOptions, readingSaid } from './inspect.js'
import { bytes, clean, counted, type Io, table } from './io.js'
import { planAndAsk } from './plan.js'
import type { MappingConflict } from './runs.js'
import { uploadFile } from './upload.js'
import { watchRun } from './watch.js'

/** A transform of a column, as it is shown and sent back. */
interface Transform {
  readonly name: string
  readonly arguments: readonly { readonly name: string; readonly value: string }[]
}

/** Of the API's ColumnMapping, what is shown and sent back. */
export interface SuggestedColumn {
  readonly column: string | null
  readonly columnIndex: number | null
  readonly field: string | null
  readonly constant: string | null
  readonly defaultValue: string | null
  readonly transforms: readonly Transform[]
  readonly valueMap: readonly { readonly from: string; readonly to: string }[]
  readonly confidence: number | null
  readonly reasons: readonly string[]
  readonly alternatives: readonly { readonly field: string; readonly confidence: number }[]
}

interface Suggestion {
  readonly mapping: {
    readonly columns: readonly SuggestedColumn[]
    readonly conflicts: readonly MappingConflict[]
    readonly unmappedRequiredFields: readonly string[]
  }
}

const suggestionQuery = `query Suggestion($fileId: ID!, $recordType: RecordType!, $source: SourceOptionsInput) {
  mappingSuggestion(fileId: $fileId, recordType: $recordType, source: $source) { mapping {
    columns { column columnIndex field constant defaultValue transforms { name arguments { name value } } valueMap { from to } confidence reasons alternatives { field confidence } }
    conflicts { field columns message code values readings { format exampleValue exampleReading } }
    unmappedRequiredFields } } }`

const createMutation = `mutation Import($input: ImportCreateInput!) { importCreate(input: $input) {
  importRun { id } userErrors { code message } } }`

const recordTypes = ['CONTACT', 'LEAD', 'PROPERTY', 'ACTIVITY']

/** Runs the command; answers its exit code. */
export async function importFile(
  args: readonly string[],
  connect: (values: { url?: string; token?: string }) => Api,
  io: Io,
): Promise<number> {
  const { values, positionals } = parse(args, {
    type: { type: 'string' },
    'on-duplicate': { type: 'string' },
    'match-on': { type: 'string', multiple: true, default: [] },
    map: { type: 'string', multiple: true, default: [] },
    format: { type: 'string', multiple: true, default: [] },
    'source-system': { type: 'string' },
    operation: { type: 'string' },
    plan: { type: 'boolean', default: false },
    'on-drift': { type: 'string' },
    'date-format': { type: 'string' },
    'time-zone': { type: 'string' },
    country: { type: 'string' },
    ...readingOptions,
    yes: { type: 'boolean', short: 'y', default: false },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const path = only(positionals, 'FILE')
  if (values.type === undefined) {
    throw new UsageError('--type is missing: contact, lead, property or activity.')
  }
  const recordType = choice('--type', values.type, recordTypes)
  const matchOn = matchRules(values['match-on'])
  const options = set({
    onDuplicate: choice('--on-duplicate', values['on-duplicate'], ['UPDATE', 'FILL_BLANKS', 'SKIP', 'CREATE', 'FAIL']),
    matchOn: matchOn.length === 0 ? undefined : matchOn,
    sourceSystem: values['source-system'],
    onDrift: choice('--on-drift', values['on-drift'], ['SKIP_ROW', 'APPLY', 'FAIL_RUN']),
    operation: choice('--operation', values.operation, ['UPSERT', 'UPDATE_ONLY', 'DELETE']),
  })
  const source = set({
    ...readingSaid(values),
    dateFormat: values['date-format'],
    timeZone: values['time-zone'],
    defaultCountry: values.country?.toUpperCase(),
  })
  const maps = assignments(values.map)
  const formats = assignments(values.format)
  const byteSize = await sizeOf(path)
  const api = connect(values)

  const file = await uploadFile(api, { path, name: basename(path), byteSize }, orUndefined(source), io)
  if (values.json) {
    io.out(JSON.stringify({ event: 'uploaded', file }))
  } else {
    const rows =
      file.detection.estimatedRowCount === null ? '' : `, about ${counted(file.detection.estimatedRowCount, 'row')}`
    io.note(`Uploaded ${clean(file.name)} (${bytes(file.byteSize)}${rows})`)
    file.detection.warnings.forEach((warning) => io.note(`Note: ${clean(warning)}`))
  }

  const { mappingSuggestion } = await api.run<{ mappingSuggestion: Suggestion }>(suggestionQuery, {
    fileId: file.id,
    recordType,
    source: orNull(source),
  })
  const { columns, conflicts, unmappedRequiredFields } = mappingSuggestion.mapping
  const chosen = choose(columns, maps, formats)
  if (values.json) {
    io.out(JSON.stringify({ event: 'mapping', columns: chosen, conflicts, unmappedRequiredFields }))
  } else {
    mappingLines(chosen).forEach((line) => io.note(line))
    conflicts.forEach((conflict) => io.note(`Note: ${clean(conflict.message)}`))
  }
  // A plan shows what the mapping comes to before anything is written: one question is enough.
  const asked = !values.yes && (!values.plan || io.interactive)
  if (asked && !values.plan && !(await agreed(io))) {
    return 1
  }
  // A mapping that a person has seen or given is sent as it is; otherwise the server applies what it is sure of.
  const mapping =
    asked || maps.length > 0 || formats.length > 0 ? chosen.filter(({ field }) => field !== null).map(toInput) : null
  const { importCreate } = await api.run<{
    importCreate: { importRun: { id: string } | null; userErrors: UserError[] }
  }>(createMutation, {
    input: set({
      fileId: file.id,
      recordType,
      source: orUndefined(source),
      mapping: mapping ?? undefined,
      options: orUndefined(options),
      confirmation: values.plan ? (values.yes ? 'IF_NO_ERRORS' : 'ASK') : 'ALWAYS',
      idempotencyKey: randomUUID(),
    }),
  })
  throwUserErrors(importCreate.userErrors)
  const runId = importCreate.importRun?.id ?? ''
  if (values.json) {
    io.out(JSON.stringify({ event: 'started', runId }))
  } else {
    io.note(`Started ${runId}`)
  }
  return values.plan
    ? planAndAsk(api, runId, io, { yes: values.yes, json: values.json })
    : watchRun(api, runId, io, values.json)
}

type Chosen = SuggestedColumn & { readonly format?: string }

/**
 * The suggestion with what the person said over it. A field that the person gives to one column is taken from the column
 * that it was suggested for. Throws UsageError for a column that the file does not have.
 */
export function choose(
  columns: readonly SuggestedColumn[],
  maps: readonly Assignment[],
  formats: readonly Assignment[],
): Chosen[] {
  const fields = new Map(maps.map(({ column, field }) => [find(columns, column), field]))
  const formatOf = new Map(formats.map(({ column, field }) => [find(columns, column), field]))
  const taken = new Set(fields.values())
  return columns.map((column) => {
    const format = formatOf.get(column) ?? null
    const shaped = format === null ? column : { ...column, format }
    const given = fields.get(column)
    if (given !== undefined) {
      // What was suggested for another field is not meant for this one.
      const kept = given === column.field ? column : { transforms: [], valueMap: [] }
      return { ...shaped, field: given, confidence: null, transforms: kept.transforms, valueMap: kept.valueMap }
    }
    return column.field !== null && taken.has(column.field) ? { ...shaped, field: null } : shaped
  })
}

function find(columns: readonly SuggestedColumn[], name: string): SuggestedColumn {
  const alike = columns.filter(({ column }) => column?.toLowerCase() === name.toLowerCase())
  const found = columns.find(({ column }) => column === name) ?? (alike.length === 1 ? alike[0] : undefined)
  if (found === undefined) {
    const names = columns.map(({ column }) => `"${clean(column ?? '')}"`).join(', ')
    throw new UsageError(`The file has no column "${name}". Its columns: ${names}.`)
  }
  return found
}

function toInput(column: Chosen): object {
  const { column: name, columnIndex, field, constant, defaultValue, transforms, valueMap, format } = column
  return set({
    column: name ?? undefined,
    columnIndex: columnIndex ?? undefined,
    field: field ?? undefined,
    constant: constant ?? undefined,
    defaultValue: defaultValue ?? undefined,
    transforms: transforms.length === 0 ? undefined : transforms.map(transformInput),
    valueMap: valueMap.length === 0 ? undefined : valueMap.map(({ from, to }) => ({ from, to })),
    format,
  })
}

function transformInput({ name, arguments: given }: Transform): object {
  return { name, arguments: given.map((argument) => ({ name: argument.name, value: argument.value })) }
}

/** One line per column: what it becomes, how sure that is and why, or what it might be. */
export function mappingLines(columns: readonly Chosen[]): string[] {
  const rows = columns.map(({ column, constant, field, transforms, confidence, reasons, alternatives }) => {
    const name = clean(column ?? `"${constant ?? ''}"`)
    if (field === null) {
      const maybe = alternatives[0]
      return [
        name,
        '(left out)',
        '',
        maybe === undefined ? '' : `perhaps ${clean(maybe.field)} (${maybe.confidence.toFixed(2)})`,
      ]
    }
    const made = transforms.length === 0 ? '' : ` (${transforms.map((transform) => clean(transform.name)).join(', ')})`
    return [name, clean(field) + made, confidence === null ? 'you' : confidence.toFixed(2), clean(reasons[0] ?? '')]
  })
  return table([['Column', 'becomes', 'sure', 'because'], ...rows], [2]).map((line) => `  ${line}`)
}

async function agreed(io: Io): Promise<boolean> {
  const answer = await io.ask('Import with this mapping? [y/N] ')
  if (answer === null) {
    io.note(
      'Nobody is there to agree to this mapping. Say --yes to import with it, or change it with --map "Column=field".',
    )
    return false
  }
  if (!/^\s*(y|yes)\s*$/i.test(answer)) {
    io.note('Nothing was imported. Change the mapping with --map "Column=field"; "Column=" leaves a column out.')
    return false
  }
  return true
}

/** Without the members that are undefined. */
function set(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

function orUndefined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | undefined {
  return Object.keys(values).length === 0 ? undefined : values
}

function orNull(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  return orUndefined(values) ?? null
}
