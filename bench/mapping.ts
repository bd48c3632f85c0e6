/** The mapping suggestion against labelled columns (test/mapping-set) and against what comparing headers alone would find. */

import type { OpenBytes } from '../src/adapters/files/bytes.js'
import { inspectFile } from '../src/adapters/files/inspect.js'
import { noSourceOptions } from '../src/adapters/files/sniff.js'
import { guessRecordType, suggestMapping } from '../src/pipeline/suggest.js'
import { recordTypes } from '../src/records/index.js'
import { csvOf, type Half, halves, type LabelledColumn, type Layout, layoutsOf } from '../test/mapping-set/set.js'
import { baselines } from './mapping-baselines.js'
import { keepResult, machine, printTable, type Spread, showSpread, spread } from './report.js'

/** The default of imports: with less confidence than this no field is set. */
const MIN_CONFIDENCE = 0.9
/** Lower ends of the bins of the reliability table. */
const BINS = [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
/** The file whose suggestion is timed. */
const TIMED_COLUMNS = 200
const TIMED_ROWS = 1_000
const TIMED_ROUNDS = 15
/** Above this the suggestion would be felt. Milliseconds. */
const TIMED_MOST_MS = 300

/** A full name or address may as well be split: then its parts are right, each of them beside the others. */
const partsOf: Readonly<Record<string, readonly string[]>> = {
  displayName: ['namePrefix', 'firstName', 'middleName', 'lastName', 'nameSuffix'],
  addressLine1: ['addressLine2', 'unitNumber', 'city', 'stateOrProvince', 'postalCode', 'country'],
}

interface Answer {
  readonly layout: Layout
  readonly label: LabelledColumn
  /** Fields that were applied; several where a column is split; none where it stays without. */
  readonly fields: readonly string[]
  /** The best guess, applied or not, with its confidence; null for none. */
  readonly guess: { readonly field: string; readonly confidence: number } | null
}

interface Sums {
  readonly columns: number
  /** Columns that must have a field; those that may stay without one do not count. */
  readonly wanted: number
  readonly applied: number
  readonly right: number
  readonly precision: number
  readonly recall: number
  readonly f1: number
}

export interface MappingOptions {
  /** Null for all. */
  readonly half: Half | null
}

/** Prints and keeps the figures of one part of the set or of all. Which suggestions are wrong is not told of the unseen half. */
export async function benchMapping({ half }: MappingOptions): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  const kept: Record<string, object> = {}
  for (const each of halves.filter((name) => half === null || name === half)) {
    kept[each] = await score(each)
  }
  const timed = await time()
  console.log(`\n${date}; ${JSON.stringify(before)}`)
  if (half === null) {
    await keepResult('mapping', { date, machine: before, minConfidence: MIN_CONFIDENCE, ...kept, timed })
  }
}

async function score(half: Half): Promise<object> {
  const layouts = layoutsOf(half)
  const answers: Answer[] = []
  let typesRight = 0
  for (const layout of layouts) {
    const { columns } = await read(csvOf(layout))
    // A column with neither header nor value is none to the reader.
    const named = layout.columns.filter(
      ({ header }, at) => header !== '' || layout.rows.some((cells) => cells[at] !== ''),
    )
    if (columns.length !== named.length) {
      throw new Error(`${half}: a file of ${named.length} columns was read with ${columns.length}`)
    }
    typesRight += Number(guessRecordType(columns).recordType === layout.recordType)
    answers.push(...suggested(layout, columns))
  }
  const others = Object.entries(baselines).map(([name, baseline]) => ({
    name,
    sums: sum(
      layouts.flatMap((layout) => {
        const headers = layout.columns.map(({ header }) => header)
        const fields = baseline(headers, recordTypes[layout.recordType])
        return layout.columns.map((label, at) => ({
          layout,
          label,
          fields: [fields[at] ?? []].flat(),
          guess: null,
        }))
      }),
    ),
  }))
  const all = sum(answers)
  const languages = [...new Set(layouts.map(({ language }) => language))].toSorted()
  const byLanguage = languages.map((language) => ({
    language,
    ...sum(answers.filter(({ layout }) => layout.language === language)),
  }))
  const byType = Object.keys(recordTypes).map((recordType) => ({
    recordType,
    ...sum(answers.filter(({ layout }) => layout.recordType === recordType)),
  }))
  const reliability = reliabilityOf(answers)

  console.log(`\n${half} half: ${layouts.length} files, ${all.columns} columns, ${all.wanted} of them with a field\n`)
  printTable([
    ['', 'applied', 'right', 'wrong', 'precision', 'recall', 'F1'],
    line('suggestion', all),
    ...others.map(({ name, sums }) => line(name, sums)),
  ])
  printTable([
    ['of the suggestion', 'applied', 'right', 'wrong', 'precision', 'recall', 'F1'],
    ...byLanguage.map((sums) => line(sums.language, sums)),
    ...byType.map((sums) => line(sums.recordType, sums)),
  ])
  printTable([
    ['confidence from', 'guesses', 'right', 'share', 'mean confidence'],
    ...reliability.map(({ from, guesses, right, mean }) => [
      from.toFixed(2),
      String(guesses),
      String(right),
      guesses === 0 ? '' : (right / guesses).toFixed(3),
      guesses === 0 ? '' : mean.toFixed(3),
    ]),
  ])
  console.log(`record type guessed: ${typesRight} of ${layouts.length} right`)
  if (half !== 'unseen') {
    listWrong(answers)
  }
  return { files: layouts.length, all, byLanguage, byType, baselines: others, reliability, typesRight }
}

function line(name: string, { applied, right, precision, recall, f1 }: Sums): string[] {
  return [
    name,
    String(applied),
    String(right),
    String(applied - right),
    precision.toFixed(3),
    recall.toFixed(3),
    f1.toFixed(3),
  ]
}

/** What is suggested for a file of this type, beside its labels. */
function suggested(layout: Layout, columns: Parameters<typeof suggestMapping>[0]['columns']): Answer[] {
  const mapping = suggestMapping({ type: recordTypes[layout.recordType], columns, minConfidence: MIN_CONFIDENCE })
  return layout.columns.map((label, at) => {
    const ours = mapping.filter(({ columnIndex }) => columnIndex === at)
    // A custom field is made only when a person says so: until then the column has no place.
    const fields = ours.flatMap(({ field }) => (field === null || field.startsWith('custom.') ? [] : [field]))
    const [one] = ours
    const other = one?.alternatives[0]
    const guess = fields[0] === undefined ? (other ?? null) : { field: fields[0], confidence: one?.confidence ?? 1 }
    return { layout, label, fields, guess }
  })
}

/** Whether a column may become these fields; none of them is none. */
function isRight({ accepted }: LabelledColumn, fields: readonly string[]): boolean {
  const isPart = (field: string): boolean =>
    fields.length > 1 && accepted.some((each) => each !== null && partsOf[each]?.includes(field) === true)
  return fields.every((field) => accepted.includes(field) || isPart(field))
}

function sum(answers: readonly Answer[]): Sums {
  const rightly = answers.filter(({ label, fields }) => fields.length > 0 && isRight(label, fields))
  const applied = answers.filter(({ fields }) => fields.length > 0).length
  const must = ({ label }: Answer): boolean => !label.accepted.includes(null)
  const wanted = answers.filter(must).length
  const precision = applied === 0 ? 1 : rightly.length / applied
  const recall = wanted === 0 ? 1 : rightly.filter(must).length / wanted
  const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall)
  return { columns: answers.length, wanted, applied, right: rightly.length, precision, recall, f1 }
}

/** How often guesses of a confidence are right; applied or not. */
function reliabilityOf(answers: readonly Answer[]) {
  return BINS.map((from, at) => {
    const to = BINS[at + 1] ?? Number.POSITIVE_INFINITY
    const inBin = answers.flatMap(({ label, guess, fields }) =>
      guess !== null && guess.confidence >= from && guess.confidence < to
        ? [{ confidence: guess.confidence, right: isRight(label, fields.length > 0 ? fields : [guess.field]) }]
        : [],
    )
    return {
      from,
      guesses: inBin.length,
      right: inBin.filter(({ right }) => right).length,
      mean: inBin.reduce((total, { confidence }) => total + confidence, 0) / Math.max(inBin.length, 1),
    }
  })
}

function listWrong(answers: readonly Answer[]): void {
  console.log('\nwrong:')
  for (const { layout, label, fields, guess } of answers) {
    if (!isRight(label, fields)) {
      console.log(
        `  ${layout.id}, "${label.header}": ${fields.join(' + ')} (${guess?.confidence}), expected ${shown(label)}`,
      )
    }
  }
  console.log('\nmissed:')
  for (const { layout, label, fields, guess } of answers) {
    if (fields.length === 0 && !label.accepted.includes(null)) {
      const best = guess === null ? 'no guess' : `${guess.field} (${guess.confidence})`
      console.log(`  ${layout.id}, "${label.header}": expected ${shown(label)}; ${best}`)
    }
  }
}

function shown({ accepted }: LabelledColumn): string {
  return accepted.map((field) => field ?? 'none').join(' or ')
}

/** A wide file of the tuning half's columns: how long detection and suggestion take. */
async function time(): Promise<object> {
  const layouts = layoutsOf('tuning')
  const columns = layouts.flatMap((layout) =>
    layout.columns.map(({ header }, at) => ({ header, values: layout.rows.map((cells) => cells[at] ?? '') })),
  )
  const wide = columns.slice(0, TIMED_COLUMNS)
  const rows = Array.from({ length: TIMED_ROWS }, (_, row) =>
    wide.map(({ values }) => values[row % values.length] ?? ''),
  )
  const text = [wide.map(({ header }) => header), ...rows]
    .map((cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(','))
    .join('\n')
  const { columns: found } = await read(text)
  const suggest: number[] = []
  for (let round = 0; round < TIMED_ROUNDS; round++) {
    const started = performance.now()
    suggestMapping({ type: recordTypes.contact, columns: found, minConfidence: MIN_CONFIDENCE })
    suggest.push(performance.now() - started)
  }
  const inspect: number[] = []
  for (let round = 0; round < TIMED_ROUNDS / 3; round++) {
    const started = performance.now()
    await read(text)
    inspect.push(performance.now() - started)
  }
  const times: Record<string, Spread> = { suggest: spread(suggest), inspect: spread(inspect) }
  console.log(
    `\n${found.length} columns of ${TIMED_ROWS} rows: suggested in ${showSpread(spread(suggest), 1)} ms (at most ${TIMED_MOST_MS}); ` +
      `before that the file is looked at in ${showSpread(spread(inspect), 1)} ms`,
  )
  return { columns: found.length, rows: TIMED_ROWS, ms: times }
}

/** A file as the service looks at it when it is uploaded. */
function read(text: string) {
  const bytes = Buffer.from(text)
  const open: OpenBytes = async () => ({
    byteSize: bytes.length,
    async read(target, at, length, position) {
      return bytes.copy(target, at, position, position + length)
    },
    async [Symbol.asyncDispose]() {},
  })
  return inspectFile(open, { name: 'file.csv', byteSize: bytes.length, overrides: noSourceOptions })
}
