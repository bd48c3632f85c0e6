/** Fits and measures the comparison of people, with no database: blocks, pairs and scores as the service makes them. */

import { DUPLICATE_BLOCK_RECORDS_MAX, DUPLICATE_SCORE_MIN } from '../src/limits.js'
import { comparePeople, type Person, person, personFeatures, personKeys } from '../src/pipeline/similarity/person.js'
import { type GeneratedPerson, generatePeople, isSomebody, type PeopleOptions } from '../test/duplicates-set/people.js'

const common = { repeats: 0.4, families: 0.1 }

/** Sets that the weights are fitted on. */
export const fitting: readonly PeopleOptions[] = [
  { ...common, seed: 1, kind: 'registry', records: 15_000, slips: 10 },
  { ...common, seed: 2, kind: 'registry', records: 15_000, slips: 5, families: 0 },
  { ...common, seed: 3, kind: 'registry', records: 15_000, slips: 8, noBirthDate: true },
  { ...common, seed: 4, kind: 'crm', records: 15_000, slips: 3 },
  { ...common, seed: 5, kind: 'crm', records: 15_000, slips: 2, families: 0.3 },
]

/** The same kinds, never looked at while fitting: other seeds, so other names, streets, towns and slips. */
export const testing: readonly PeopleOptions[] = fitting.map((options) => ({ ...options, seed: options.seed + 100 }))

/** A record of a set as the service compares it. */
export function comparable(record: GeneratedPerson): Person {
  return person({
    organization: false,
    firstName: record.firstName,
    middleName: null,
    lastName: record.lastName,
    displayName: `${record.firstName} ${record.lastName}`,
    companyName: null,
    emails: [record.email],
    phones: [record.phone],
    addressLine1: `${record.houseNumber} ${record.street}`.trim(),
    addressLine2: record.addressLine2,
    city: record.city,
    stateOrProvince: record.state,
    postalCode: record.postalCode,
    birthDate: record.birthDate,
    custom: {},
  })
}

interface Candidates {
  readonly people: readonly Person[]
  readonly truth: readonly number[]
  /** Pairs that meet in a block. */
  readonly pairs: readonly (readonly [number, number])[]
  /** How many records have names that sound like those of a record. */
  readonly namesakes: (one: Person | undefined) => number
  /** Pairs that are one person, whether or not they meet. */
  readonly same: number
}

function candidates(options: PeopleOptions): Candidates {
  const records = generatePeople(options).filter(isSomebody)
  const people = records.map(comparable)
  const blocks = new Map<number, number[]>()
  for (const [index, one] of people.entries()) {
    for (const key of personKeys('contact', one)) {
      const block = blocks.get(key)
      if (block === undefined) {
        blocks.set(key, [index])
      } else {
        block.push(index)
      }
    }
  }
  const seen = new Set<number>()
  for (const block of blocks.values()) {
    if (block.length <= DUPLICATE_BLOCK_RECORDS_MAX) {
      for (const [at, a] of block.entries()) {
        for (const b of block.slice(at + 1)) {
          seen.add(a * people.length + b)
        }
      }
    }
  }
  const truth = records.map((record) => record.person)
  const sizes = new Map<number, number>()
  for (const one of truth) {
    sizes.set(one, (sizes.get(one) ?? 0) + 1)
  }
  const same = [...sizes.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0)
  const pairs = [...seen].map((code): readonly [number, number] => [
    Math.floor(code / people.length),
    code % people.length,
  ])
  const named = Map.groupBy(people, ({ nameKey }) => nameKey)
  const namesakes = (one: Person | undefined): number => named.get(one?.nameKey ?? null)?.length ?? 1
  return { people, truth, pairs, same, namesakes }
}

/** How well pairs are found. */
export interface Quality {
  readonly precision: number
  readonly recall: number
  readonly f1: number
  /** Part of the true pairs that meet in a block at all. */
  readonly met: number
  /** Pairs compared for each record. */
  readonly compared: number
}

/** Measures one set. */
export function quality(options: PeopleOptions, least = DUPLICATE_SCORE_MIN): Quality {
  const { people, truth, pairs, same, namesakes } = candidates(options)
  let found = 0
  let right = 0
  let met = 0
  for (const [a, b] of pairs) {
    const isSame = truth[a] === truth[b]
    met += isSame ? 1 : 0
    const [left, other] = [people[a], people[b]]
    if (
      left !== undefined &&
      other !== undefined &&
      (comparePeople(left, other, namesakes(left))?.score ?? 0) >= least
    ) {
      found += 1
      right += isSame ? 1 : 0
    }
  }
  const precision = right / found
  const recall = right / same
  return {
    precision,
    recall,
    f1: (2 * precision * recall) / (precision + recall),
    met: met / same,
    compared: pairs.length / people.length,
  }
}

/** Fits log-odds by logistic regression over the levels at which the pairs of the fitting sets agree. Prints the table. */
export function fit(): void {
  const names = new Map<string, number>([['bias', 0]])
  const rows: { readonly features: readonly number[]; readonly same: boolean; readonly weight: number }[] = []
  for (const options of fitting) {
    const { people, truth, pairs, namesakes } = candidates(options)
    for (const [a, b] of pairs) {
      const [left, right] = [people[a], people[b]]
      if (left !== undefined && right !== undefined) {
        const features = personFeatures(left, right, namesakes(left)).map((feature) => {
          const index = names.get(feature) ?? names.size
          names.set(feature, index)
          return index
        })
        rows.push({ features: [0, ...features], same: truth[a] === truth[b], weight: 1 })
      }
    }
  }
  const weights = regress(rows, names.size)
  const lines = [...names]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, index]) => `  '${name}': ${(weights[index] ?? 0).toFixed(2)},`)
  console.log(lines.join('\n').replace("'bias'", 'bias'))
}

/** Adam over all rows, with a pull towards zero that keeps rare levels modest. */
function regress(
  rows: readonly { readonly features: readonly number[]; readonly same: boolean }[],
  size: number,
): Float64Array {
  const weights = new Float64Array(size)
  const momentum = new Float64Array(size)
  const spread = new Float64Array(size)
  const pull = 2 / rows.length
  for (let round = 1; round <= 600; round++) {
    const slope = new Float64Array(size)
    for (const { features, same } of rows) {
      let sum = 0
      for (const feature of features) {
        sum += weights[feature] ?? 0
      }
      const error = 1 / (1 + Math.exp(-sum)) - (same ? 1 : 0)
      for (const feature of features) {
        slope[feature] = (slope[feature] ?? 0) + error / rows.length
      }
    }
    for (let i = 0; i < size; i++) {
      const g = (slope[i] ?? 0) + (i === 0 ? 0 : pull * (weights[i] ?? 0))
      momentum[i] = 0.9 * (momentum[i] ?? 0) + 0.1 * g
      spread[i] = 0.999 * (spread[i] ?? 0) + 0.001 * g * g
      const rate = 0.08
      weights[i] =
        (weights[i] ?? 0) -
        (rate * ((momentum[i] ?? 0) / (1 - 0.9 ** round))) / (Math.sqrt((spread[i] ?? 0) / (1 - 0.999 ** round)) + 1e-8)
    }
  }
  return weights
}
