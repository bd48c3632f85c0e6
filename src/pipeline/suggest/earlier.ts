/** What the members of a tenant said about columns of the same name in earlier imports. */
import type { Candidate, Reading } from './candidates.js'
import type { ColumnLike } from './column.js'
import { Values } from './fit.js'
import { keyOf, wordsOf } from './header.js'
import type { Target } from './lexicon.js'

/** How often a column of this name was given this field; `field` null: it was left out. */
export interface EarlierMapping {
  readonly column: string
  readonly field: string | null
  readonly times: number
}

/** People may change their minds; a name that was given one field so much less often than this part of the times says nothing. */
const AGREEMENT_MIN = 0.8
/** What a person decided before is as sure as a header can be. */
const DECIDED = 0.97
/** What is left of other guesses for a column that people gave another field, or none. */
const OTHERWISE_MOST = 0.5
/** Values that say no more than this against a field leave it to what people said. From -1 to 1. */
const CONTRADICTED = -0.2

/** The candidates in the light of what people decided before; those of columns that nobody spoke of stay as they are. */
export function withEarlier(
  { candidates, placeless }: Reading,
  columns: readonly ColumnLike[],
  targets: readonly Target[],
  earlier: readonly EarlierMapping[],
): Reading {
  if (earlier.length === 0) {
    return { candidates, placeless }
  }
  const decided = decisions(earlier)
  const byName = new Map(targets.map((target) => [target.name, target]))
  return {
    placeless,
    candidates: candidates.map((before, index) => {
      const column = columns[index]!
      const decision = decided.get(keyOf(wordsOf(column.name)))
      return decision === undefined ? before : decide(before, column, decision, byName)
    }),
  }
}

/** By column name, what was decided about it nearly always. */
function decisions(earlier: readonly EarlierMapping[]): ReadonlyMap<string, EarlierMapping> {
  const all = new Map<string, EarlierMapping[]>()
  for (const each of earlier) {
    const key = keyOf(wordsOf(each.column))
    all.set(key, [...(all.get(key) ?? []), each])
  }
  return new Map(
    [...all].flatMap(([key, said]) => {
      const total = said.reduce((sum, { times }) => sum + times, 0)
      // Names that differ in case and punctuation alone count together.
      const fields = Map.groupBy(said, ({ field }) => field)
      return [...fields].flatMap(([field, ones]) => {
        const times = ones.reduce((sum, each) => sum + each.times, 0)
        return key !== '' && times / total >= AGREEMENT_MIN ? [[key, { column: ones[0]!.column, field, times }]] : []
      })
    }),
  )
}

function decide(
  before: readonly Candidate[],
  column: ColumnLike,
  { field, times }: EarlierMapping,
  targets: ReadonlyMap<string, Target>,
): readonly Candidate[] {
  const often = times === 1 ? 'in an earlier import' : `in ${times} earlier imports`
  const fewer = before
    .filter(({ target }) => target.name !== field)
    .map((candidate) => ({
      ...candidate,
      confidence: Math.min(candidate.confidence, OTHERWISE_MOST),
      reasons: field === null ? [...candidate.reasons, `This column was left out ${often}.`] : candidate.reasons,
    }))
  if (field === null) {
    return fewer
  }
  const target = targets.get(field)
  // A field that is gone, or values of another kind than then: what was said does not hold for this file.
  if (target === undefined || new Values(column).fit(target).verdict < CONTRADICTED) {
    return before
  }
  const known = before.find((candidate) => candidate.target === target)
  const mapped = `Mapped to ${target.label} ${often}.`
  return [
    { target, confidence: Math.max(known?.confidence ?? 0, DECIDED), reasons: [mapped, ...(known?.reasons ?? [])] },
    ...fewer,
  ]
}
