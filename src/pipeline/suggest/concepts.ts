/** Headers that say the same as a synonym in other words: reordered, inflected, abbreviated, compounded or half translated. */
import {
  COMPOUND_LINKS,
  CONCEPTS,
  DAY_WORDS,
  EMPTY_WORDS,
  IMPLIED_CONCEPTS,
  MODIFIER_CONCEPTS,
  PRIMARY_WORDS,
} from '../data/concepts.js'
import { AREA_UNITS, CONNECTOR_WORDS, ENTITY_WORDS, FILLER_WORDS, HARMLESS_WORDS } from '../data/headers.js'
import type { Entity, Header } from './header.js'

const mark = (concept: string): string => `=${concept}`
const conceptOf = new Map(
  Object.entries(CONCEPTS).flatMap(([concept, words]) =>
    words.split(' ').map((word) => [word, mark(concept)] as const),
  ),
)
const wordSet = (list: string): ReadonlySet<string> => new Set(list.split(' '))
const modifiers = new Set(MODIFIER_CONCEPTS.split(' ').map(mark))
const implied = IMPLIED_CONCEPTS.map((pair) => pair.map(mark) as [string, string])
const connectors = wordSet(`${CONNECTOR_WORDS} and und u et y e en ed`)
const dayWords = wordSet(DAY_WORDS)
const emptyWords = wordSet(`${EMPTY_WORDS} ${FILLER_WORDS}`)
const fillers = wordSet(FILLER_WORDS)
const primaryWords = wordSet(PRIMARY_WORDS)
const harmlessWords = wordSet(`${HARMLESS_WORDS} ${AREA_UNITS}`)
const entityWords = new Map(
  (Object.entries(ENTITY_WORDS) as [Entity, string][]).map(([entity, words]) => [entity, wordSet(words)]),
)

/** Parts of a compound are no shorter: `ort` is a word of its own, `an` is not. */
const PART_LENGTH = 3
const COMPOUND_LENGTH = 7
/** Shorter words have no endings to lose. */
const STEM_LENGTH = 6
/** An abbreviation that stands alone has more letters: `St.` can be anything. */
const LONE_ABBREVIATION_LENGTH = 3

/** Words whose comparison is remembered; far more than all synonyms have. */
const CANONICALS_KEPT = 20_000

/** `word` without the ending that number and gender give it. Crude, and the same for both sides of a comparison. */
function stem(word: string): string {
  return word.length < STEM_LENGTH
    ? word
    : word.replace(/(?:oes|aes)$/, 'ao').replace(/(?:ees|ee|en|es|er|e|s|n|i|o|a)$/, '')
}

const canonicals = new Map<string, string>()

/** `word` as it is compared; remembered for the words of synonyms, which all record types share. */
function canonical(word: string): string {
  const known = canonicals.get(word)
  if (known !== undefined) {
    return known
  }
  const canon = conceptOf.get(word) ?? conceptOf.get(word.replace(/(?:es|s|n)$/, '')) ?? stem(word)
  if (canonicals.size < CANONICALS_KEPT) {
    canonicals.set(word, canon)
  }
  return canon
}

/** One thing that a header or a phrase says, and the word by which it does. */
interface Token {
  readonly canon: string
  readonly word: string
}

const DAY = '=day'

/** What `words` say. */
function tokensOf(words: readonly string[], kept?: ReadonlySet<string>): readonly Token[] {
  const tokens = new Map<string, Token>()
  for (const [index, word] of words.entries()) {
    if (index > 0 && index === words.length - 1 && dayWords.has(word)) {
      tokens.set(DAY, { canon: DAY, word })
    } else if (!connectors.has(word) || kept?.has(word) === true) {
      const canon = canonical(word)
      tokens.set(canon, { canon, word })
    }
  }
  return [...tokens.values()]
}

function withoutImplied(tokens: readonly Token[]): readonly Token[] {
  if (tokens.length < 2) {
    return tokens
  }
  const concepts = new Set(tokens.map(({ canon }) => canon))
  const said = new Set(implied.filter(([concept]) => concepts.has(concept)).map(([, less]) => less))
  return tokens.filter(({ canon }) => !said.has(canon))
}

/** What `tokens` say, whatever their order; '' for nothing. */
function bagOf(tokens: readonly Token[]): string {
  return tokens
    .map(({ canon }) => canon)
    .sort()
    .join(' ')
}

interface Entry<T> {
  readonly tokens: readonly Token[]
  readonly value: T
}

/** What a header says in other words, and how sure that is. */
export interface Found<T> {
  readonly values: readonly T[]
  /** A word was cut short in the header, by a full stop or without one. */
  readonly abbreviated: 'no' | 'marked' | 'unmarked'
  /** It is one word, known by its stem alone: it counts in the languages that have such a word. */
  readonly lone: boolean
}

/** An index of phrases by what they say. */
export class Alike<T> {
  readonly #byBag = new Map<string, Entry<T>[]>()
  readonly #byCount = new Map<number, Entry<T>[]>()
  readonly #vocabulary: ReadonlySet<string>
  readonly #parts = new Map<string, readonly string[]>()

  /** `compounds`: whether the language of a phrase writes words together that others write apart. */
  constructor(phrases: Iterable<readonly [words: readonly string[], value: T, compounds: boolean]>) {
    const list = [...phrases]
    this.#vocabulary = new Set([
      ...list.flatMap(([words]) => words.filter((word) => !connectors.has(word))),
      ...conceptOf.keys(),
      ...[...entityWords.values()].flatMap((words) => [...words]),
    ])
    for (const [words, value, compounds] of list) {
      const apart = compounds
        ? words.flatMap((word) => (conceptOf.has(word) ? [word] : (this.#split(word, 1) ?? [word])))
        : words
      for (const variant of apart.length === words.length ? [words] : [words, apart]) {
        const tokens = tokensOf(variant)
        // `Valor de` is the lower end of a range; without its small word it is not.
        if (tokens.length > 1 || variant.length === 1) {
          this.#add(tokens, value)
        }
      }
    }
  }

  #add(tokens: readonly Token[], value: T): void {
    // What only says more about another word says nothing alone, whatever a synonym in these very words does.
    if (tokens.length === 0 || (tokens.length === 1 && modifiers.has(tokens[0]!.canon))) {
      return
    }
    const entry = { tokens, value }
    push(this.#byBag, bagOf(withoutImplied(tokens)), entry)
    push(this.#byCount, tokens.length, entry)
  }

  /**
   * The phrases that say the same as `header`, from the whole of it to ever less: without what says nothing, without
   * what singles out the main one, without the words for the record that it is about (`own`). Null where none does.
   */
  find(header: Header, own: readonly Entity[]): Found<T> | null {
    const counted = header.ordinal !== null && header.ordinal !== 1
    const variants: (readonly string[])[] = [
      header.words
        .filter((word) => counted || !/^\d{1,2}$/.test(word))
        .flatMap((word) => (header.abbreviated.has(word) ? [word] : this.#partsOf(word))),
    ]
    for (const left of header.foreign
      ? []
      : [
          (word: string) => emptyWords.has(word) || harmlessWords.has(word),
          (word: string) => primaryWords.has(word),
          (word: string) => own.some((entity) => entityWords.get(entity)!.has(word)),
        ]) {
      const words = variants.at(-1)!
      const rest = words.filter((word) => !left(word))
      if (rest.length < words.length && rest.length > 0) {
        variants.push(rest)
      }
    }
    const told = variants.map((words) => tokensOf(words, header.abbreviated))
    for (const tokens of told) {
      const found = this.#byBag.get(bagOf(withoutImplied(tokens)))
      if (found !== undefined) {
        return {
          values: closest(tokens, found),
          abbreviated: 'no',
          lone: tokens.length === 1 && !tokens[0]!.canon.startsWith('='),
        }
      }
    }
    for (const tokens of told) {
      const found = this.#abbreviated(tokens, header.abbreviated)
      if (found !== null) {
        return found
      }
    }
    return null
  }

  /** The phrases that say the same as `header` without its words in `left`; null where it has none or none does. */
  without(header: Header, left: ReadonlySet<string>): Found<T> | null {
    const words = header.words.flatMap((word) => this.#partsOf(word))
    const rest = words.filter((word) => !left.has(word) && !fillers.has(word))
    const found =
      header.foreign || rest.length === 0 || !words.some((word) => left.has(word))
        ? undefined
        : this.#byBag.get(bagOf(withoutImplied(tokensOf(rest))))
    return found === undefined ? null : { values: closest(tokensOf(rest), found), abbreviated: 'no', lone: false }
  }

  /** The words of `header` without those for the record that it is about; null where there are none of these. */
  bare(header: Header, own: readonly Entity[]): readonly string[] | null {
    const words = header.words.flatMap((word) => this.#partsOf(word))
    const rest = words.filter(
      (word) =>
        !connectors.has(word) && !emptyWords.has(word) && !own.some((entity) => entityWords.get(entity)!.has(word)),
    )
    return !header.foreign && rest.length > 0 && rest.length < words.length ? rest : null
  }

  /** The phrases that `words` say, with nothing left out. */
  same(words: readonly string[]): readonly T[] {
    const tokens = tokensOf(words.flatMap((word) => this.#partsOf(word)))
    return closest(tokens, this.#byBag.get(bagOf(withoutImplied(tokens))) ?? [])
  }

  /** Phrases of as many words, each of which is a word of the header or is cut short in it. */
  #abbreviated(tokens: readonly Token[], marked: ReadonlySet<string>): Found<T> | null {
    const least = tokens.length === 1 ? LONE_ABBREVIATION_LENGTH : 2
    const short = tokens.filter(({ word }) =>
      marked.has(word) ? word.length >= least : word.length > least && !this.#vocabulary.has(word),
    )
    if (short.length === 0) {
      return null
    }
    const whole = tokens.filter((token) => !short.includes(token))
    const values: T[] = []
    for (const entry of this.#byCount.get(tokens.length) ?? []) {
      if (
        whole.every(({ canon }) => entry.tokens.some((other) => other.canon === canon)) &&
        canStandFor(
          short,
          entry.tokens.filter(({ canon }) => !whole.some((other) => other.canon === canon)),
        )
      ) {
        values.push(entry.value)
      }
    }
    return values.length === 0
      ? null
      : {
          values,
          abbreviated: short.every(({ word }) => marked.has(word)) ? 'marked' : 'unmarked',
          lone: tokens.length === 1,
        }
  }

  /** The known words that an unknown one is made of: `objektbaujahr` is `objekt` and `baujahr`. */
  #partsOf(word: string): readonly string[] {
    if (word.length < COMPOUND_LENGTH || this.#vocabulary.has(word)) {
      return [word]
    }
    let parts = this.#parts.get(word)
    if (parts === undefined) {
      parts = this.#split(word, 2) ?? [word]
      this.#parts.set(word, parts)
    }
    return parts
  }

  #split(word: string, cuts: number): readonly string[] | null {
    const numbered = /^(.{3,}?)s?(nr|id)$/.exec(word)
    if (numbered !== null && this.#vocabulary.has(numbered[1]!)) {
      return [numbered[1]!, numbered[2]!]
    }
    for (let at = PART_LENGTH; at <= word.length - PART_LENGTH; at++) {
      const right = word.slice(at)
      if (!this.#vocabulary.has(right)) {
        continue
      }
      const left = word.slice(0, at)
      for (const link of COMPOUND_LINKS) {
        const bare = left.endsWith(link) ? left.slice(0, left.length - link.length) : ''
        if (bare.length >= PART_LENGTH && this.#vocabulary.has(bare)) {
          return [bare, right]
        }
      }
      const more = cuts > 1 && left.length >= COMPOUND_LENGTH ? this.#split(left, cuts - 1) : null
      if (more !== null) {
        return [...more, right]
      }
    }
    return null
  }
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key)
  if (list === undefined) {
    lists.set(key, [value])
  } else {
    list.push(value)
  }
}

/** Values of the entries with the most of the very words of `tokens`: of two readings, the one in the header's language. */
function closest<T>(tokens: readonly Token[], entries: readonly Entry<T>[]): readonly T[] {
  const stems = new Set(tokens.map(({ word }) => stem(word)))
  const shared = entries.map((entry) => entry.tokens.filter(({ word }) => stems.has(stem(word))).length)
  const most = Math.max(...shared)
  return entries.filter((_, index) => shared[index] === most).map(({ value }) => value)
}

/** Whether the `short` words can stand for the `full` ones, each for one of them. */
function canStandFor(short: readonly Token[], full: readonly Token[]): boolean {
  if (short.length !== full.length) {
    return false
  }
  const [first, ...others] = short
  return (
    first === undefined ||
    full.some(
      (token, index) =>
        (token.canon === first.canon || token.word.startsWith(first.word)) &&
        canStandFor(others, full.toSpliced(index, 1)),
    )
  )
}
