/** A record has one address; files have several. Their columns are told apart here, so that two never mix. */
import type { RecordType } from '../../records/types.js'
import { ADDRESS_GROUPS } from '../data/headers.js'
import { type Header, keyOf, withoutAddressWords, withoutWords } from './header.js'
import { CLEAR, type Lexicon, type Meaning } from './lexicon.js'

/** A column as far as addresses go. */
export interface AddressColumn {
  readonly header: Header
  readonly fillRate: number
  /** What its header means outright. */
  readonly exact: readonly Meaning[]
}

/** A column of a qualified address: `Home City` is the City of `home`. */
interface Grouped {
  readonly column: number
  readonly group: string
  readonly meaning: Meaning
}

const ADDRESS_FIELDS = new Set(['addressLine1', 'addressLine2', 'city', 'stateOrProvince', 'postalCode', 'country'])
/** Without one of these an address is none. */
const PLACES = new Set(['addressLine1', 'city', 'postalCode'])

const groupByWord = new Map(
  ADDRESS_GROUPS.flatMap(({ name, words }) => words.split(' ').map((word) => [word, name] as const)),
)
const preferences = new Map(ADDRESS_GROUPS.map(({ name, preference }) => [name, preference]))

/** Addresses that may be somebody else's: good guesses, never sure. */
const UNSURE_GROUPS = new Set(['other', 'company'])
const UNSURE_MOST = 0.86
/** Addresses that are as likely to be the record's as each other, and how close their scores are then: a third of the rows. */
const EQUAL_GROUPS = new Set(['home', 'work'])
const EQUAL_SCORES = 0.33
/** A part of the address that is taken: by the header alone, and when the values agree. */
const TAKEN = [0.92, 0.95] as const
/** A part of an address that stays behind. */
const LEFT = [0.35, 0.4] as const

/**
 * Meanings of columns that are part of an address, by column, where the words alone would mix addresses up: the columns
 * of qualified addresses and, where such a one is taken instead of it, those of the plain address.
 */
export function addressMeanings(
  columns: readonly AddressColumn[],
  type: RecordType,
  lexicon: Lexicon,
): ReadonlyMap<number, readonly Meaning[]> {
  const plain = new Map<number, Meaning>()
  const grouped: Grouped[] = []
  for (const [column, { header, exact }] of columns.entries()) {
    const clear = exact.find(({ alone }) => alone >= CLEAR)
    if (clear !== undefined) {
      if (ADDRESS_FIELDS.has(clear.target.name)) {
        plain.set(column, clear)
      }
    } else {
      const found = groupedMeaning(header, lexicon)
      if (found !== null) {
        grouped.push({ column, ...found })
      }
    }
  }
  const chosen = choose(plain, grouped, columns)
  const meanings = new Map<number, readonly Meaning[]>()
  const offer = (column: number, meaning: Meaning, taken: boolean, name: string, most: number): void => {
    const [alone, withValues] = taken ? TAKEN : LEFT
    const reason = taken
      ? `It is part of the ${name} address.`
      : `It is part of the ${name} address, and the record gets the ${chosen.group ?? 'plain'} one.`
    meanings.set(column, [
      {
        target: meaning.target,
        alone: Math.min(alone, most),
        withValues: Math.min(withValues, most),
        reason,
        languages: null,
      },
    ])
  }
  for (const { column, group, meaning } of grouped) {
    // A property is where it is: a `Mailing City` beside it is somebody's.
    const most = type.name === 'property' || UNSURE_GROUPS.has(group) || chosen.open ? UNSURE_MOST : 1
    offer(column, meaning, group === chosen.group, group, most)
  }
  if (!chosen.plain) {
    for (const [column, meaning] of plain) {
      offer(column, meaning, false, 'plain', 1)
    }
  }
  return meanings
}

/** What `header` means as part of a qualified address, and of which one; null for other headers. */
function groupedMeaning(
  header: Header,
  lexicon: Lexicon,
): { readonly group: string; readonly meaning: Meaning } | null {
  if (header.ordinal !== null && header.ordinal > 2) {
    return null
  }
  for (const reading of [...header.readings, ...(header.unprefixed === null ? [] : [header.unprefixed])]) {
    // `Code postal (bureau)` has two such words, of which one is part of what it names.
    for (const word of reading.words.filter((candidate) => groupByWord.has(candidate))) {
      const rest = withoutWords(reading.words, new Set([word]))
      const meaning = [rest, withoutAddressWords(rest)]
        .flatMap((words) => lexicon.exact.get(keyOf(words)) ?? lexicon.same(words))
        .find(({ target, alone }) => ADDRESS_FIELDS.has(target.name) && alone >= CLEAR)
      if (meaning !== undefined) {
        return { group: groupByWord.get(word)!, meaning }
      }
    }
  }
  return null
}

/**
 * Which address is the record's: the plain one if there is one, else the one that is filled best, and of equals the one
 * that is usually meant. `Home Address` beside a plain `City` and `Zip` completes these.
 */
function choose(
  plain: ReadonlyMap<number, Meaning>,
  grouped: readonly Grouped[],
  columns: readonly AddressColumn[],
): { readonly group: string | null; readonly plain: boolean; readonly open: boolean } {
  const groups = Map.groupBy(grouped, ({ group }) => group)
  const plainFields = new Set([...plain.values()].map(({ target }) => target.name))
  const completing = [...groups].filter(([, parts]) =>
    parts.every(({ meaning }) => !plainFields.has(meaning.target.name)),
  )
  if (completing.length === 1) {
    return { group: completing[0]![0], plain: true, open: false }
  }
  const scoreOf = (preference: number, parts: readonly number[]): number =>
    preference / 2 + parts.reduce((sum, column) => sum + columns[column]!.fillRate, 0) / parts.length
  const scored = [...groups].map(([group, parts]) => ({
    group: group as string | null,
    score: scoreOf(
      preferences.get(group) ?? 0,
      parts.map(({ column }) => column),
    ),
  }))
  if ([...plainFields].some((name) => PLACES.has(name))) {
    scored.push({ group: null, score: scoreOf(1, [...plain.keys()]) })
  }
  scored.sort((a, b) => b.score - a.score)
  const [first, second] = scored
  const best = first?.group ?? null
  return {
    group: best,
    plain: best === null || plainFields.size === 0 || !scored.some(({ group }) => group === null),
    // Whether somebody is at home or at work is for a person to say, unless one of them is hardly ever filled.
    open:
      [first?.group, second?.group].every((group) => EQUAL_GROUPS.has(group ?? '')) &&
      first!.score - second!.score < EQUAL_SCORES,
  }
}
