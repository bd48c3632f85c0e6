/**
 * Which column is which field: from the words of the header, the columns beside it and the values below it. A wrong
 * mapping is ten times worse than none, so what is not sure stays open and is only named among the alternatives.
 */

import { fieldOf } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { CALIBRATION } from './data/calibration.js'
import { assign } from './suggest/assign.js'
import { type Candidate, candidatesOf, LEAST_CONFIDENCE } from './suggest/candidates.js'
import { suggestValueMap } from './suggest/choices.js'
import type { ColumnLike } from './suggest/column.js'
import { customFieldReason } from './suggest/custom.js'
import { type EarlierMapping, withEarlier } from './suggest/earlier.js'
import { lexiconOf } from './suggest/lexicon.js'
import { withParts } from './suggest/parts.js'
import type { ColumnMapping } from './types.js'

export type { ColumnLike } from './suggest/column.js'
export { type CustomFieldProposal, customFieldFor } from './suggest/custom.js'
export { guessRecordType, type RecordTypeGuess } from './suggest/guess.js'

export interface SuggestionInput {
  readonly type: RecordType
  readonly columns: readonly ColumnLike[]
  /** Below this no field is set: the best guess then stands first in `alternatives`. */
  readonly minConfidence: number
  /** What the tenant's members said about columns in earlier imports; absent for nothing. */
  readonly earlier?: readonly EarlierMapping[]
}

/** Alternatives shown per column. */
const ALTERNATIVES_SHOWN = 3
/** Where a column stays without a field rather than take its field from a better one. */
const LEAST_WORTH = 0.45
/** Two columns as close as this fit a field equally well; which one is meant is for a person to say. */
const TIE = 0.012
const TIED_MOST = 0.88
/** A column that is filled so much less, as a part of all rows, is no rival. */
const RIVAL_FILL = 0.3
/** What is left of a guess whose field went to another column. */
const TAKEN_FACTOR = 0.5

/**
 * Suggests a field for each of `columns`, in their order: each field at most once, and `field: null` where nothing is
 * sure enough. A column with several fields in its cells has further entries behind those of all columns. `confidence` is that of the suggestion or, where `field` is null, of the best guess (0 for none).
 */
export function suggestMapping({ type, columns, minConfidence, earlier = [] }: SuggestionInput): ColumnMapping[] {
  const lexicon = lexiconOf(type)
  const { candidates, placeless } = withEarlier(candidatesOf(columns, type, lexicon), columns, lexicon.targets, earlier)
  const chosen = chooseEach(columns, candidates)
  const columnOf = new Map(
    chosen.flatMap((candidate, column) => (candidate === null ? [] : [[candidate.target.name, column]])),
  )
  const mapping = columns.map((column, index): ColumnMapping => {
    const candidate = chosen[index]!
    const others = candidates[index]!.filter((other) => other !== candidate)
    const alternatives = others
      .map(({ target, confidence, reasons }) => {
        const taken = columnOf.get(target.name)
        return taken === undefined
          ? { field: target.name, confidence, reasons }
          : {
              field: target.name,
              confidence: confidence * TAKEN_FACTOR,
              reasons: [...reasons, `${target.label} is taken by column “${columns[taken]!.name}”.`],
            }
      })
      .filter(({ confidence }) => confidence >= LEAST_CONFIDENCE)
      .sort((a, b) => b.confidence - a.confidence)

    const rival = candidate === null ? null : rivalOf(index)
    const guess =
      candidate === null
        ? null
        : {
            field: candidate.target.name,
            confidence: rival === null ? candidate.confidence : Math.min(candidate.confidence, TIED_MOST),
            reasons:
              rival === null
                ? candidate.reasons
                : [...candidate.reasons, `Column “${rival.name}” fits ${candidate.target.label} equally well.`],
          }
    const sure = guess !== null && rounded(guess.confidence) >= minConfidence
    if (guess !== null && !sure) {
      alternatives.unshift(guess)
    }
    const best = sure ? guess : alternatives[0]
    return {
      column: column.name,
      columnIndex: column.index,
      field: sure ? guess.field : null,
      constant: null,
      defaultValue: null,
      valueMap: sure ? valueMapOf(type, guess.field, column) : [],
      onBlank: null,
      format: null,
      confidence: rounded(best?.confidence ?? 0),
      reasons: best?.reasons ?? nothing(placeless[index]!, type, column),
      alternatives: alternatives
        .slice(0, ALTERNATIVES_SHOWN)
        .map(({ field, confidence }) => ({ field, confidence: rounded(confidence) })),
    }
  })
  return [...withParts(mapping, columns, type, minConfidence)]

  /** A column without a field of its own that fits the field of column `index` as well and holds other values; or null. */
  function rivalOf(index: number): ColumnLike | null {
    const { target, confidence } = chosen[index]!
    const { fillRate } = columns[index]!
    return (
      columns.find(
        (other, at) =>
          at !== index &&
          (chosen[at]?.confidence ?? 0) < minConfidence &&
          other.fillRate > fillRate - RIVAL_FILL &&
          candidates[at]!.some((guess) => guess.target === target && guess.confidence >= confidence - TIE) &&
          !sameValues(other, columns[index]!),
      ) ?? null
    )
  }
}

/** The one candidate of each column in the likeliest whole, or null. */
function chooseEach(
  columns: readonly ColumnLike[],
  candidates: readonly (readonly Candidate[])[],
): (Candidate | null)[] {
  const fields = [...new Set(candidates.flat().map(({ target }) => target))]
  const options = candidates.flatMap((list, column) =>
    list.map(({ target, confidence }) => ({
      column,
      field: fields.indexOf(target),
      // Of equals the fuller column, then the earlier one.
      worth: logit(confidence) - logit(LEAST_WORTH) + columns[column]!.fillRate * 1e-3 - column * 1e-7,
    })),
  )
  const assigned = assign(columns.length, fields.length, options)
  return candidates.map((list, column) => list.find(({ target }) => target === fields[assigned[column]!]) ?? null)
}

function nothing(system: string | null, type: RecordType, column: ColumnLike): string[] {
  const why =
    system === null
      ? 'No field has a name like this, and the values show none.'
      : `Files of ${system} have this column; the record type ${type.label} has no field for it.`
  const custom = customFieldReason(column)
  return custom === null ? [why] : [why, custom]
}

/** How the values of `column` become choices of the field, as far as their words are known. */
function valueMapOf(type: RecordType, name: string, column: ColumnLike): ColumnMapping['valueMap'] {
  const field = fieldOf(type, name)
  return field === null
    ? []
    : suggestValueMap(field, type.name, column.topValues?.map(({ value }) => value) ?? column.samples)
}

function sameValues(a: ColumnLike, b: ColumnLike): boolean {
  return (
    a.samples.length > 0 &&
    a.samples.length === b.samples.length &&
    a.samples.every((sample, index) => sample === b.samples[index])
  )
}

function logit(share: number): number {
  const bounded = Math.min(0.999, Math.max(0.001, share))
  return Math.log(bounded / (1 - bounded))
}

/** The confidence that a score is worth, in thousandths. */
function rounded(score: number): number {
  const at = Math.max(
    1,
    CALIBRATION.findIndex(([from]) => from >= score),
  )
  const [from, low] = CALIBRATION[at - 1]!
  const [to, high] = CALIBRATION[at]!
  return Math.round((low + ((high - low) * (score - from)) / (to - from)) * 1000) / 1000
}
