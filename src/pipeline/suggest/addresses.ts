/** A contact has one address; files have several. Their columns are told apart here, so that two never mix. */
import { ADDRESS_GROUPS } from '../data/headers.js'
import { keyOf, withoutWords, type Header } from './header.js'
import type { Lexicon, Meaning } from './lexicon.js'

export interface Grouped {
  readonly column: number
  readonly group: string
  readonly meaning: Meaning
}

const ADDRESS_FIELDS = new Set(['addressLine1', 'addressLine2', 'city', 'stateOrProvince', 'postalCode', 'country'])

const groupByWord = new Map(
  ADDRESS_GROUPS.flatMap(({ name, words }) => words.split(' ').map((word) => [word, name] as const)),
)
const preferences = new Map(ADDRESS_GROUPS.map(({ name, preference }) => [name, preference]))

/** What `header` means as part of an address, and of which one: `Home City` is the City of `home`; null for other headers. */
export function groupedMeaning(
  header: Header,
  lexicon: Lexicon,
): { readonly group: string; readonly meaning: Meaning } | null {
  if (header.ordinal !== null && header.ordinal > 2) {
    return null
  }
  for (const reading of [...header.readings, ...(header.unprefixed === null ? [] : [header.unprefixed])]) {
    const word = reading.words.find((candidate) => groupByWord.has(candidate))
    if (word !== undefined) {
      const rest = withoutWords(reading.words, new Set([word]))
      const meaning = lexicon.exact
        .get(keyOf(rest))
        ?.find(({ target, alone }) => ADDRESS_FIELDS.has(target.name) && alone >= 0.9)
      if (meaning !== undefined) {
        return { group: groupByWord.get(word)!, meaning }
      }
    }
  }
  return null
}

export interface ChosenAddress {
  /** Null: the address without a qualifying word. */
  readonly group: string | null
  /** Other addresses in the file, which stay behind. */
  readonly others: readonly string[]
}

/**
 * Which of the addresses in a file is the record's: the plain one if there is one, else the one that is filled best,
 * and of equals the one that is usually meant. Null where the file has no grouped address column.
 */
export function chooseAddress(
  grouped: readonly Grouped[],
  plainFill: number | null,
  fillRate: (column: number) => number,
): ChosenAddress | null {
  if (grouped.length === 0) {
    return null
  }
  const fills = new Map<string, number[]>()
  for (const { group, column } of grouped) {
    fills.set(group, [...(fills.get(group) ?? []), fillRate(column)])
  }
  const scored = [...fills].map(([group, rates]) => ({
    group: group as string | null,
    score: (preferences.get(group) ?? 0) / 2 + rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
  }))
  if (plainFill !== null) {
    scored.push({ group: null, score: 0.5 + plainFill })
  }
  scored.sort((a, b) => b.score - a.score)
  return {
    group: scored[0]!.group,
    others: scored.slice(1).flatMap(({ group }) => (group === null ? [] : [group])),
  }
}
