/** Names of people and things, built from their parts and split into them. */
import { cut } from './text.js'

/** Longest name that the tables keep. */
const NAME_LENGTH_MAX = 255

/** Titles and salutations before a name, without points. */
const prefixes: ReadonlySet<string> = new Set(
  (
    'mr mrs ms miss mx dr prof sir lady lord rev hon capt herr frau dipl ing hr fr m mme mlle monsieur madame mademoiselle me maître ' +
    'sr sra srta don doña dª señor señora señorita sig dott dottssa ing avv geom arch signor signora dhr mevr mw drs ir exmo exma d dna'
  ).split(' '),
)

/** What follows a name, without points. */
const suffixes: ReadonlySet<string> = new Set(
  'jr sr ii iii iv phd md esq mba dds dvm cpa rn msc bsc llm jun sen filho neto júnior'.split(' '),
)

/** Small words that belong to the family name behind them. */
const particles: ReadonlySet<string> = new Set(
  (
    "van von vom zu zum zur der den de del della dello di da das do dos du la le las los lo el al bin ibn ter ten te 't op y e af av " +
    'saint st san santa mac mc'
  ).split(' '),
)

/** Words that only names of companies have. */
const companyWords: ReadonlySet<string> = new Set(
  (
    'gmbh ag kg ohg ug mbh inc llc llp ltd limited corp corporation co company plc sa sas sarl srl spa sl slu bv nv oy ab as aps lda ' +
    'group gruppe holding immobilien realty properties estates associates partners bank'
  ).split(' '),
)

/** The parts of a person's full name. */
export interface NameParts {
  readonly prefix: string | null
  readonly first: string | null
  readonly last: string | null
  readonly suffix: string | null
}

function bare(word: string): string {
  return word.toLowerCase().replace(/[.,]/g, '')
}

/** The full name of a person: `first middle last suffix`, as far as there are any; null for none. */
export function fullName(
  first: string | null,
  middle: string | null,
  last: string | null,
  suffix: string | null,
): string | null {
  let name = first ?? ''
  if (middle !== null) {
    name = name === '' ? middle : `${name} ${middle}`
  }
  if (last !== null) {
    name = name === '' ? last : `${name} ${last}`
  }
  if (name === '') {
    return null
  }
  return cut(suffix === null ? name : `${name} ${suffix}`, NAME_LENGTH_MAX).trimEnd()
}

/**
 * The parts of a person's full name: `Dr. Anna Maria van der Berg jr.` or `Berg, Anna Maria`. The last word, with the
 * particles before it, is the family name; a name of one word is a family name. Null for the name of a company.
 */
export function splitName(name: string): NameParts | null {
  if (name.includes('@')) {
    return null
  }
  const comma = name.indexOf(',')
  const behind = comma < 0 ? '' : name.slice(comma + 1).trim()
  if (comma >= 0 && behind !== '' && !behind.includes(',') && !suffixes.has(bare(behind))) {
    return splitWords(`${behind} ${name.slice(0, comma)}`, behind.split(/\s+/).length)
  }
  return splitWords(name.replaceAll(',', ' '), null)
}

/** With `firstWords` that many words are given names, whatever they look like. */
function splitWords(name: string, firstWords: number | null): NameParts | null {
  let words = name.split(/\s+/).filter((word) => word !== '')
  if (words.some((word) => companyWords.has(bare(word)) || word === '&' || /\d/.test(word))) {
    return null
  }
  let given = firstWords
  const before: string[] = []
  while (words.length > 1 && prefixes.has(bare(words[0]!)) && isTitle(words)) {
    before.push(words[0]!)
    words = words.slice(1)
    given = given === null ? null : Math.max(0, given - 1)
  }
  const after: string[] = []
  while (words.length > 1 && suffixes.has(bare(words.at(-1)!))) {
    after.unshift(words.at(-1)!)
    words = words.slice(0, -1)
  }
  if (words.length === 0) {
    return null
  }
  let start = given ?? words.length - 1
  if (given === null) {
    while (start > 1 && particles.has(bare(words[start - 1]!))) {
      start--
    }
    if (start === 1 && words.length > 2 && particles.has(bare(words[0]!))) {
      start = 0
    }
  }
  start = Math.min(start, words.length)
  return {
    prefix: before.length === 0 ? null : before.join(' '),
    first: start === 0 ? null : words.slice(0, start).join(' '),
    last: start === words.length ? null : words.slice(start).join(' '),
    suffix: after.length === 0 ? null : after.join(' '),
  }
}

/** One letter without a point is an initial rather than a title: `M Dupont` may be Monsieur, `D Smith` is David. */
function isTitle(words: readonly string[]): boolean {
  const first = words[0]!
  return bare(first).length > 1 || first === 'M.' || (first === 'M' && words.length > 2)
}

/** Joins what there is with `, `, at most 255 characters; null for nothing. */
export function joined(...parts: readonly (string | null)[]): string | null {
  const present = parts.filter((part) => part !== null)
  return present.length === 0 ? null : cut(present.join(', '), NAME_LENGTH_MAX).trimEnd()
}

/** The first line of a text that has any letters, without HTML tags; null for none. */
export function firstLine(text: string): string | null {
  const head = text
    .slice(0, 2_000)
    .replace(/<br\s*\/?>|<\/(?:p|div|li|h\d)>/gi, '\n')
    .replace(/<[^<>]*>/g, '')
  const line = head.split(/[\r\n]+/).find((part) => part.trim() !== '')
  return line === undefined ? null : cut(line.trim(), NAME_LENGTH_MAX).trimEnd()
}
