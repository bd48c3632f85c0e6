/** Headers that say the same as a synonym in other words: reordered, inflected, abbreviated, compounded or half translated. */
import { COMPOUND_LINKS, CONCEPTS, EMPTY_WORDS, PRIMARY_WORDS } from '../data/concepts.js'
import { CONNECTOR_WORDS, ENTITY_WORDS, HARMLESS_WORDS } from '../data/headers.js'
import type { Entity, Header } from './header.js'

const conceptOf = new Map(
  Object.entries(CONCEPTS).flatMap(([concept, words]) =>
    words.split(' ').map((word) => [word, `=${concept}`] as const),
  ),
)
const wordSet = (list: string): ReadonlySet<string> => new Set(list.split(' '))
const connectors = wordSet(`${CONNECTOR_WORDS} and und et y e en ed`)
const emptyWords = wordSet(EMPTY_WORDS)
const primaryWords = wordSet(PRIMARY_WORDS)
const harmlessWords = wordSet(HARMLESS_WORDS)
const entityWords = new Map(
  (Object.entries(ENTITY_WORDS) as [Entity, string][]).map(([entity, words]) => [entity, wordSet(words)]),
)

/** Parts of a compound are no shorter: `ort` is a word of its own, `an` is not. */
const PART_LENGTH = 3
const COMPOUND_LENGTH = 7
/** Shorter words have no endings to lose. */
const STEM_LENGTH = 6

/** `word` without the ending that number and gender give it. Crude, and the same for both sides of a comparison. */
export function stem(word: string): string {
  return word.length < STEM_LENGTH ? word : word.replace(/(?:oes|aes)$/, 'ao').replace(/(?:en|es|er|e|s|n|i|o|a)$/, '')
}

function canonical(word: string): string {
  return conceptOf.get(word) ?? conceptOf.get(word.replace(/(?:es|s|n)$/, '')) ?? stem(word)
}

/** What `words` say, whatever their order; '' for nothing. */
function bagOf(words: readonly string[]): string {
  return [...new Set(words.filter((word) => !connectors.has(word)).map(canonical))].sort().join(' ')
}

/** An index of phrases by what they say. */
export class Alike<T> {
  readonly #byBag = new Map<string, T[]>()
  readonly #vocabulary: ReadonlySet<string>
  readonly #parts = new Map<string, readonly string[]>()

  constructor(phrases: Iterable<readonly [words: readonly string[], value: T]>) {
    const list = [...phrases]
    this.#vocabulary = new Set([
      ...list.flatMap(([words]) => words),
      ...conceptOf.keys(),
      ...[...entityWords.values()].flatMap((words) => [...words]),
    ])
    for (const [words, value] of list) {
      const bag = bagOf(words)
      if (bag !== '') {
        this.#byBag.set(bag, [...(this.#byBag.get(bag) ?? []), value])
      }
    }
  }

  /**
   * The phrases that say the same as `header`, from the whole of it to ever less: without what says nothing, without
   * what singles out the main one, without the words for the record that it is about (`own`). Empty where none does.
   */
  find(header: Header, own: readonly Entity[]): readonly T[] {
    const counted = header.ordinal !== null && header.ordinal !== 1
    const words = header.words
      .filter((word) => counted || !/^\d{1,2}$/.test(word))
      .flatMap((word) => this.#partsOf(word))
    const whole = this.#byBag.get(bagOf(words))
    if (whole !== undefined || header.foreign) {
      return whole ?? []
    }
    let rest = words
    for (const left of [
      (word: string) => emptyWords.has(word) || harmlessWords.has(word),
      (word: string) => primaryWords.has(word),
      (word: string) => own.some((entity) => entityWords.get(entity)!.has(word)),
    ]) {
      rest = rest.filter((word) => !left(word))
      const found = this.#byBag.get(bagOf(rest))
      if (found !== undefined) {
        return found
      }
    }
    return []
  }

  /** The phrases that `words` say, with nothing left out. */
  same(words: readonly string[]): readonly T[] {
    return this.#byBag.get(bagOf(words.flatMap((word) => this.#partsOf(word)))) ?? []
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
