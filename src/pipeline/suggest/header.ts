/** Takes a header apart, so that `Person - E-Mail (Work)*`, `person_email_work` and `PersonEmailWork` read alike. */
import {
  ADDRESS_WORDS,
  AREA_UNITS,
  CONNECTOR_WORDS,
  ENTITY_WORDS,
  FILLER_WORDS,
  FOREIGN_WORDS,
  HARMLESS_WORDS,
  KIND_WORDS,
  NAMELESS,
  QUESTION_WORDS,
  VALUE_WORDS,
} from '../data/headers.js'
import { cut } from '../text.js'

/** Characters of a header that are read: longer ones are sentences, and their ends say nothing more. */
const HEADER_LENGTH_READ = 200

export type Entity = keyof typeof ENTITY_WORDS

/** One way to read a header, as words; two readings are the same when their `key` is. */
export interface Reading {
  /** The words without blanks: what synonyms are looked up by. */
  readonly key: string
  readonly words: readonly string[]
  /** A unit of area was left out at its end. */
  readonly ofArea: boolean
}

export interface Header {
  readonly text: string
  /** From the whole header to ever less of it; the first one that a vocabulary knows counts. */
  readonly readings: readonly Reading[]
  /** The words of the first reading. */
  readonly words: readonly string[]
  /** What a prefix says that the column belongs to, and whether a separator made it clear (`Deal - Title`); or null. */
  readonly entity: { readonly names: readonly Entity[]; readonly explicit: boolean } | null
  /** The reading without that prefix; null where there is none. */
  readonly unprefixed: Reading | null
  /** Which of several it is (`Phone 2`, `Phone (2)`); null where the header does not count. */
  readonly ordinal: number | null
  /** Names the kind of another column's value (`Email 1 - Type`), or has a word that makes it somebody else's. */
  readonly foreign: boolean
  /** Those of its words that a full stop cuts short: `Tel. gesch.`. */
  readonly abbreviated: ReadonlySet<string>
  /** The words on either side of a slash, if it has one: `Town/City`. */
  readonly choices: readonly (readonly string[])[]
  /** No name at all, or one made up by whoever wrote the file (`Column 3`). */
  readonly nameless: boolean
}

const wordSet = (list: string): ReadonlySet<string> => new Set(list.split(' '))

const entityNames = new Map<string, Entity[]>()
for (const [entity, words] of Object.entries(ENTITY_WORDS) as [Entity, string][]) {
  for (const word of words.split(' ')) {
    entityNames.set(word, [...(entityNames.get(word) ?? []), entity])
  }
}
const foreignWords = wordSet(FOREIGN_WORDS)
const areaUnits = wordSet(AREA_UNITS)
const harmlessWords = new Set([...wordSet(HARMLESS_WORDS), ...areaUnits])
const questionWords = wordSet(QUESTION_WORDS)
const fillerWords = wordSet(FILLER_WORDS)
const connectorWords = wordSet(CONNECTOR_WORDS)
const valueWords = wordSet(VALUE_WORDS)
const kindWords = wordSet(KIND_WORDS)
const addressWords = wordSet(ADDRESS_WORDS)

const LETTERS: Readonly<Record<string, string>> = {
  ß: 'ss',
  ø: 'o',
  æ: 'ae',
  œ: 'oe',
  ł: 'l',
  đ: 'd',
  ı: 'i',
  '€': ' eur ',
  $: ' usd ',
  '£': ' gbp ',
}

/** `text` in lower case without accents; letters that have no accent to lose are written as most keyboards would. */
export function fold(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[ßøæœłđı€$£]/g, (letter) => LETTERS[letter]!)
}

/** Units in two words, as one. */
const SPELLED_UNITS: Readonly<Record<string, string>> = {
  'sq ft': 'sqft',
  'sq feet': 'sqft',
  'square feet': 'sqft',
  'square foot': 'sqft',
  'sq m': 'sqm',
  'sq mt': 'sqm',
  'square meters': 'sqm',
  'square metres': 'sqm',
}

/** The words of `text`, folded; `FirstName`, `first_name` and `E-Mail` have two, two and one. */
export function wordsOf(text: string): string[] {
  const spaced = text
    .replace(/№|#/g, ' number ')
    .replace(/R\$/g, ' brl ')
    .replace(/&/g, ' and ')
    // `Seller's phone` is the phone of the seller.
    .replace(/(?<=\p{L}{2})['’]s(?!\p{L})/gu, '')
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
  const words = fold(spaced)
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .flatMap((word) => {
      // `2nd`, `2e` and `2º` count as `2` does; the first of several needs no number, and `1st name` is none.
      const counted = /^([2-9])(?:e|o|a|os|as|nd|rd|th|de|ste|er|eme|te|ter|tes)$/.exec(word)
      if (counted !== null) {
        return [counted[1]!]
      }
      const numbered = /^(\p{L}{3,})(\d{1,2})$/u.exec(word)
      return numbered === null ? [word] : [numbered[1]!, numbered[2]!]
    })
  for (let i = 0; i + 1 < words.length; i++) {
    const unit = SPELLED_UNITS[`${words[i]} ${words[i + 1]}`]
    if (unit !== undefined) {
      words.splice(i, 2, unit)
    } else if (words[i] === 'e' && words[i + 1]!.startsWith('mail')) {
      words.splice(i, 2, `e${words[i + 1]}`)
    }
  }
  return words
}

/** Whether a folded word makes what it stands beside somebody else's: the phone of an assistant. */
export function isForeign(word: string): boolean {
  return foreignWords.has(word)
}

/** What synonyms and headers are compared by. */
export function keyOf(words: readonly string[]): string {
  return words.join('')
}

export function readHeader(name: string): Header {
  const text = cut(name, HEADER_LENGTH_READ).replaceAll('\uFEFF', '').trim()
  // `__c` marks a custom field and `__r` the way to another object; stars and colons mark what a form requires.
  let bare = text
    .replace(/^["']+|["']+$/g, '')
    .replace(/(__p?c|__s)(?=\.|$)/g, '')
    .replace(/__r(?=\.)/g, '')
    .replace(/[\s*:?!]+$/u, '')
    .replace(/^[\s*]+/u, '')
    .replace(/^\(?\d{1,3}\s*[.):-]\s*(?=\p{L})/u, '')
    // That the answer is yes or no, the values say.
    .replace(/(?<=[\p{L}\s?])\s*[([]?\b(?:y|j|s|o)\s*\/\s*n\b[)\]]?$/iu, '')
    // `Social - LinkedIn` is LinkedIn, and `Phone (work fax)` a fax.
    .replace(/^(?:social(?: media| network| profiles?)?)\s*[-–:(>]\s*(?=\p{L})/iu, '')
    .replace(/^(?:phones?|telephone|tel\w*|tél\w*)\.?(?:\s+numbers?)?\s*[-–:(>]\s*(?=[^)]*\bfax)/iu, '')
  // A source makes equal names unique by a number in brackets.
  const repeated = /\s*\((\d{1,2})\)$/.exec(bare)
  bare = repeated === null ? bare : bare.slice(0, repeated.index)

  let words = wordsOf(bare)
  const numberAt = words.findIndex((word) => /^\d{1,2}$/.test(word))
  const ordinal = repeated !== null ? Number(repeated[1]) : numberAt < 0 ? null : Number(words[numberAt])
  // In `E-mail 1 - Label` it is the other column, `Value`, that holds the address.
  const labelled = ordinal !== null && kindWords.has(words.at(-1) ?? '')
  if (ordinal !== null && valueWords.has(words.at(-1) ?? '')) {
    words = words.slice(0, -1)
  }

  const readings: Reading[] = []
  const add = (candidate: readonly string[], ofArea = false): void => {
    const key = keyOf(candidate)
    if (key !== '' && !readings.some((reading) => reading.key === key)) {
      readings.push({ key, words: candidate, ofArea })
    }
  }
  const uncounted = numberAt < 0 ? words : words.toSpliced(numberAt, 1)
  const question = questionWords.has(words[0] ?? '')
  if (repeated !== null) {
    // The second `Phone` is read as `Phone 2`, never as another `Phone`.
    add([...words, String(ordinal)])
  } else {
    add(words)
    if (numberAt >= 0) {
      add([...uncounted, String(ordinal)])
    }
  }
  if (!labelled && !question && (ordinal === null || ordinal === 1)) {
    const bared = withoutEnd(uncounted)
    const ofArea = uncounted.slice(bared.length).some((word) => areaUnits.has(word))
    add(uncounted)
    add(bared, ofArea)
    // `Your email`, `What is your phone number?`
    const asked = bared.findIndex((word) => !fillerWords.has(word) && !questionWords.has(word))
    if (asked > 0) {
      add(bared.slice(asked), ofArea)
    }
    // `Mitgliedsnr.` and `Mitglieds-Nr.` are what `Mitgliedsnummer` is.
    if (/.{4}nr$/.test(bared.at(-1)!) || (bared.length > 1 && bared.at(-1) === 'nr')) {
      add([...bared.slice(0, -1), `${bared.at(-1)!.slice(0, -2)}nummer`], ofArea)
    }
    // `hs_price` is HubSpot's way to write its own properties, `address_city` that of many tables.
    if ((bared[0] === 'hs' || addressWords.has(bared[0] ?? '')) && bared.length > 1 && !kindWords.has(bared[1]!)) {
      add(bared.slice(1), ofArea)
    }
  }
  return {
    text,
    readings,
    words,
    ...entityOf(bare, uncounted, ordinal),
    ordinal,
    // A third phone number is no near miss of the second one.
    foreign: labelled || question || (ordinal !== null && ordinal > 1) || words.some((word) => foreignWords.has(word)),
    abbreviated: new Set(
      [...bare.matchAll(/(\p{L}{2,})\./gu)]
        .map(([, word]) => fold(word!))
        // `Klantnr.` is a compound of a word and one that everybody knows.
        .filter((word) => word.length < 5 || !word.endsWith('nr')),
    ),
    choices: /\p{L}[).]?\s*\/\s*\p{L}/u.test(bare) ? bare.split('/').map((part) => wordsOf(part)) : [],
    nameless: NAMELESS.test(fold(text)),
  }
}

/** `words` without those that only say that they are about an address; as they are where nothing else is left. */
export function withoutAddressWords(words: readonly string[]): readonly string[] {
  const rest = withoutWords(words, addressWords)
  return rest.length > 0 ? rest : words
}

/** `words` without those in `left`, and without what then hangs loose at its ends. */
export function withoutWords(words: readonly string[], left: ReadonlySet<string>): readonly string[] {
  const rest = words.filter((word) => !left.has(word))
  while (rest.length > 0 && connectorWords.has(rest.at(-1)!)) {
    rest.pop()
  }
  while (rest.length > 0 && connectorWords.has(rest[0]!)) {
    rest.shift()
  }
  return rest
}

/** `words` without a unit, a currency or a format at their end. */
function withoutEnd(words: readonly string[]): readonly string[] {
  let end = words.length
  while (end > 1 && harmlessWords.has(words[end - 1]!)) {
    end--
  }
  // `Wohnfläche in m²`
  if (end > 1 && end < words.length && ['in', 'en', 'em'].includes(words[end - 1]!)) {
    end--
  }
  return words.slice(0, end)
}

function entityOf(
  bare: string,
  words: readonly string[],
  ordinal: number | null,
): Pick<Header, 'entity' | 'unprefixed'> {
  const separated = /^([\p{L}\s]+?)\s*(?:\s[-–—:>|]\s|::|\.|>|\/\/)\s*(\S.*)$/u.exec(bare)
  const prefix = separated === null ? null : wordsOf(separated[1]!)
  const explicit = prefix !== null && prefix.length === 1 && entityNames.has(prefix[0]!)
  const names = entityNames.get(words[0] ?? '')
  if (names === undefined || words.length < 2) {
    return { entity: null, unprefixed: null }
  }
  const rest = withoutEnd(words.slice(1))
  const counted = ordinal !== null && ordinal !== 1 ? [...rest, String(ordinal)] : rest
  return { entity: { names, explicit }, unprefixed: { key: keyOf(counted), words: counted, ofArea: false } }
}
