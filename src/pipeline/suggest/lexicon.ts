/** What the headers of one record type's files mean: the synonym data of `data/`, looked up by header. */
import { distance } from 'fastest-levenshtein'
import { customFieldsOf, customKeyOf } from '../../records/custom.js'
import { fieldOf, keyField, mappableNames, referencePath } from '../../records/index.js'
import type { FieldDefinition, RecordType, RecordTypeName } from '../../records/types.js'
import { activityWords } from '../data/activity.js'
import { contactWords } from '../data/contact.js'
import { CONTEXT_RULES } from '../data/contexts.js'
import { ENTITY_WORDS, SYSTEM_WORDS, WISH_WORDS } from '../data/headers.js'
import { leadWords } from '../data/lead.js'
import { PLACELESS } from '../data/placeless.js'
import { propertyWords } from '../data/property.js'
import { SOURCE_PACKS } from '../data/sources.js'
import { LANGUAGE_NAMES, type Language, type Words } from '../data/words.js'
import { Alike, type Found } from './concepts.js'
import { type Entity, fold, type Header, keyOf, readHeader, wordsOf } from './header.js'

const wordsByType: Readonly<Record<RecordTypeName, Words>> = {
  contact: contactWords,
  lead: leadWords,
  property: propertyWords,
  activity: activityWords,
}

/** Something that a column can become: a field, or a reference by one of its keys. */
export interface Target {
  /** As in a mapping: `email`, `contact.email`, `ownerEmail`. */
  readonly name: string
  /** For people: `E-mail`, `Contact (e-mail)`. */
  readonly label: string
  /** What the values are read as: the field itself, or the key of the referred record. */
  readonly value: FieldDefinition
}

/** What a header says about one target. */
export interface Meaning {
  readonly target: Target
  /** Confidence if nothing but the header is known. */
  readonly alone: number
  /** Confidence if the values agree as clearly as values can. */
  readonly withValues: number
  readonly reason: string
  /** Languages in which the header is a word for the target; null where no language is meant. */
  readonly languages: readonly Language[] | null
}

export interface ContextMeaning extends Meaning {
  readonly has: readonly string[]
  readonly lacks: readonly string[]
}

export interface Pack {
  readonly source: string
  /** Meaning by header key; null for a header that is known and has no place. */
  readonly meanings: ReadonlyMap<string, Meaning | null>
  /** Names of several words, such as `hs_createdate`: they mean the same in files of others. */
  readonly own: ReadonlySet<string>
  /** Headers that are no common words: what tells this system's files from others. */
  readonly telling: ReadonlySet<string>
}

/** Languages in which one of `said` is a word for `target`; null where no language is meant. */
function languagesOf(said: readonly Said[], target: Target): readonly Language[] | null {
  const languages = said.filter((one) => one.target === target).map(({ language }) => language)
  return languages.some((language) => language === null) ? null : (languages as readonly Language[])
}

/** A synonym, ready to be compared with a header that is nearly the same. */
interface Phrase {
  readonly target: Target
  readonly key: string
  readonly words: readonly string[]
  readonly text: string
  readonly language: Language
  /** One bit per letter that occurs in `key`: words far apart are told apart without comparing them. */
  readonly letters: number
}

export interface Lexicon {
  readonly targets: readonly Target[]
  readonly exact: ReadonlyMap<string, readonly Meaning[]>
  readonly contexts: ReadonlyMap<string, readonly ContextMeaning[]>
  readonly packs: readonly Pack[]
  /** Keys of headers that are known and that the record type has no field for. */
  readonly placeless: ReadonlySet<string>
  /** Meanings of a header that says the same as a synonym in other words; `own` are the entities that the record is. */
  alike(header: Header, own: readonly Entity[]): readonly Meaning[]
  /** The words of a header without those for the record that it is about; null where it has none of these. */
  bare(header: Header, own: readonly Entity[]): readonly string[] | null
  /** The same for bare words, with nothing left out. */
  same(words: readonly string[]): readonly Meaning[]
  /** Meanings of a header that is written nearly like a synonym or shares words with it. */
  nearly(key: string, words: readonly string[]): readonly Meaning[]
}

/** From here on a header names a field outright; below it can mean other things as well. */
export const CLEAR = 0.9
/** Confidence of a synonym without values to look at, and the most that values can make of it. */
const SYNONYM = [0.93, 0.98] as const
/** The same for the field's own name, as in our exports and templates. */
const OWN_NAME = [0.95, 0.985] as const
/** The same for a header of a system that the whole header row looks like; each further choice of that system costs a little. */
const PACKED = [0.96, 0.985] as const
const PACK_STEP = 0.02
/** The same for a header that says what a synonym says in other words. */
const ALIKE = [0.905, 0.95] as const
/** The same for words that a full stop cuts short, and for words that look as if they were cut short. */
const ABBREVIATED = [0.9, 0.94] as const
const SHORTENED = [0.86, 0.92] as const
/** What is left of that where the words can mean several fields. */
const ALIKE_UNSURE = [0.6, 0.7] as const
/** Near misses stay below 0.9 whatever the values say. */
const NEARLY_MOST = 0.89

const lexicons = new WeakMap<RecordType, Lexicon>()

/** Lexicons of record types with fields of a tenant that are kept: building one takes a blink, and a tenant comes again. */
const KEPT = 8
const kept = new Map<string, Lexicon>()

/** The lexicon of `type`, built once; of record types with custom fields the latest few are kept. */
export function lexiconOf(type: RecordType): Lexicon {
  const known = lexicons.get(type)
  if (known !== undefined) {
    return known
  }
  // The whole definitions: two tenants may mean different things by one name.
  const key = JSON.stringify([type.name, mappableNames(type), customFieldsOf(type)])
  const lexicon = kept.get(key) ?? build(type)
  kept.delete(key)
  kept.set(key, lexicon)
  if (kept.size > KEPT) {
    kept.delete(kept.keys().next().value!)
  }
  lexicons.set(type, lexicon)
  return lexicon
}

function build(type: RecordType): Lexicon {
  const targets = mappableNames(type).map((name) => targetOf(type, name))
  const targetByName = new Map(targets.map((target) => [target.name, target]))
  const exact = new Map<string, Meaning[]>()
  const phrases: Phrase[] = []

  const add = (key: string, meaning: Meaning): void => {
    const known = exact.get(key)
    if (known === undefined) {
      exact.set(key, [meaning])
      return
    }
    const at = known.findIndex((other) => other.target === meaning.target)
    const same = known[at]
    if (same === undefined) {
      known.push(meaning)
    } else if (same.languages !== null && meaning.languages !== null) {
      known[at] = { ...same, languages: [...same.languages, ...meaning.languages] }
    }
  }
  for (const target of targets) {
    const { weak, ...languages } = wordsByType[type.name][target.name] ?? {}
    // A word that is weak for a field is never a sure sign of it as well.
    for (const [text, [alone, withValues]] of Object.entries(weak ?? {})) {
      const words = wordsOf(text)
      add(keyOf(words), {
        target,
        alone,
        withValues,
        reason: `“${text}” can mean ${target.label}, and other things.`,
        languages: null,
      })
    }
    // `contact.email` is ours as it stands, but `Contact Email` is anybody's and needs a synonym.
    for (const text of target.name.includes('.') ? [] : [target.name, target.label]) {
      const words = wordsOf(text)
      add(keyOf(words), ownMeaning(target))
      phrases.push(phraseOf(target, words, text, 'en'))
    }
    const customKey = customKeyOf(target.name)
    for (const text of customKey === null ? [] : [target.label, customKey, target.name]) {
      const words = wordsOf(text)
      // What means a field that everybody has goes on meaning that; these come last.
      if (!exact.has(keyOf(words))) {
        add(keyOf(words), ownMeaning(target))
      }
    }
    for (const [language, list] of Object.entries(languages) as [Language, string][]) {
      for (const text of list.split(',').map((phrase) => phrase.trim())) {
        const words = wordsOf(text)
        const reason = `“${text}” is ${LANGUAGE_NAMES[language]} for ${target.label}.`
        for (const key of spellings(text, words, language)) {
          add(key, { target, alone: SYNONYM[0], withValues: SYNONYM[1], reason, languages: [language] })
        }
        phrases.push(phraseOf(target, words, text, language))
      }
    }
  }

  const contexts = new Map<string, ContextMeaning[]>()
  for (const rule of CONTEXT_RULES) {
    const target = targetByName.get(rule.field)
    if (rule.types.includes(type.name) && target !== undefined) {
      for (const text of rule.headers.split(',')) {
        const key = keyOf(wordsOf(text))
        const meaning = {
          target,
          alone: rule.confidence[0],
          withValues: rule.confidence[1],
          reason: `“${text.trim()}” is ${target.label} ${besideText(rule.has, rule.lacks, targetByName)}.`,
          languages: null,
          has: rule.has,
          lacks: rule.lacks,
        }
        contexts.set(key, [...(contexts.get(key) ?? []), meaning])
      }
    }
  }

  const packs = SOURCE_PACKS.filter((pack) => pack.recordType === type.name).map(({ source, fields, none }): Pack => {
    const meanings = new Map<string, Meaning | null>()
    const own = new Set<string>()
    for (const [name, headers] of Object.entries(fields)) {
      const target = targetByName.get(name)
      if (target === undefined) {
        continue
      }
      for (const [position, header] of headersIn(headers).entries()) {
        const cost = position * PACK_STEP
        const reason = `In files of ${source}, “${header}” is ${target.label}.`
        const key = packKey(header)
        if (!meanings.has(key)) {
          meanings.set(key, { target, alone: PACKED[0] - cost, withValues: PACKED[1] - cost, reason, languages: null })
          if (wordsOf(header).length > 1) {
            own.add(key)
          }
        }
      }
    }
    for (const header of headersIn(none)) {
      const key = packKey(header)
      if (!meanings.has(key)) {
        meanings.set(key, null)
      }
    }
    return {
      source,
      meanings,
      own,
      telling: new Set(
        [...meanings.keys()].filter(
          (key) => !contexts.has(key) && !exact.get(key)?.some(({ alone }) => alone >= CLEAR),
        ),
      ),
    }
  })
  // Names that only one system uses are good synonyms in any file, where nothing else claims them.
  for (const { meanings, own } of packs) {
    for (const [key, meaning] of meanings) {
      if (meaning !== null && own.has(key) && !exact.has(key) && !contexts.has(key)) {
        exact.set(key, [
          {
            ...meaning,
            alone: Math.min(meaning.alone, SYNONYM[0] - PACK_STEP),
            withValues: Math.min(meaning.withValues, SYNONYM[1] - PACK_STEP),
          },
        ])
      }
    }
  }

  // `No email` wants none and is no `E-mail no.`: such words count as they stand.
  const sayable = phrases.filter(({ text, words }) => !(NEGATION.test(text) && words.length > 1))
  const said: [readonly string[], Said, boolean][] = sayable.map((phrase) => [
    phrase.words,
    { target: phrase.target, text: phrase.text, weak: null, language: phrase.language },
    COMPOUNDING.has(phrase.language),
  ])
  for (const target of targets) {
    for (const [text, weak] of Object.entries(wordsByType[type.name][target.name]?.weak ?? {})) {
      said.push([wordsOf(text), { target, text, weak, language: null }, true])
    }
  }
  // A number or code of the record itself is its id elsewhere; that of a listing is its own matter.
  for (const { entities, field, by } of NAMED_BY[type.name]) {
    const target = targetByName.get(field)!
    for (const words of entities.map((entity) => ENTITY_WORDS[entity])) {
      for (const word of words.split(' ')) {
        for (const id of by) {
          said.push([[word, id], { target, text: `${word} ${id}`, weak: null, language: null }, false])
        }
      }
    }
  }
  const id = targetByName.get('externalId')
  for (const word of id === undefined ? [] : SYSTEM_WORDS.split(' ')) {
    said.push([[word, 'id'], { target: id!, text: `${word} id`, weak: null, language: null }, false])
  }
  const index = new Alike(said)
  const phrasesByWord = new Map<string, Phrase[]>()
  for (const phrase of phrases) {
    for (const word of new Set(phrase.words)) {
      const list = phrasesByWord.get(word)
      if (list === undefined) {
        phrasesByWord.set(word, [phrase])
      } else {
        list.push(phrase)
      }
    }
  }
  return {
    targets,
    exact,
    contexts,
    packs,
    placeless: placelessKeys(type.name),
    alike: (header, own) => {
      const found = index.find(header, own)
      if (found !== null) {
        return meaningsSaid(found, header.text)
      }
      const wished = type.name === 'lead' ? index.without(header, wishWords) : null
      const wish = (wished === null ? [] : meaningsSaid(wished, header.text)).filter(({ target }) =>
        WISHED.has(target.name),
      )
      if (wish.length > 0) {
        return wish
      }
      const bare = index.bare(header, own)
      const meanings = bare === null ? [] : (exact.get(keyOf(bare)) ?? [])
      return meanings
        .filter(({ alone }) => alone >= CLEAR)
        .map((meaning) => ({ ...meaning, alone: ALIKE[0], withValues: ALIKE[1] }))
    },
    bare: (header, own) => index.bare(header, own),
    same: (words) => meaningsSaid({ values: index.same(words), abbreviated: 'no', lone: false }, words.join(' ')),
    nearly: (key, words) => nearly(phrases, phrasesByWord, key, words),
  }
}

const wishWords: ReadonlySet<string> = new Set(WISH_WORDS.split(' '))

/** What a lead says of the property that a person wishes for; where that is, no field of it says. */
const WISHED: ReadonlySet<string> = new Set([
  'propertyType',
  'bedroomsTotal',
  'budgetMin',
  'budgetMax',
  'transactionType',
])

function placelessKeys(type: RecordTypeName): ReadonlySet<string> {
  return new Set(PLACELESS[type].split(',').map((text) => keyOf(wordsOf(text))))
}

/** Begins what is not wanted, in words that also stand for a number. */
const NEGATION = /^(?:no|n) /i

/** Languages that write words together which others write apart. */
const COMPOUNDING: ReadonlySet<Language> = new Set(['de', 'nl'])

/** What the id of a record is called, beside the word for the record. */
const ID_WORDS: readonly string[] = ['id', 'number', 'code', 'reference', 'ref', 'key']

/** The words beside that for a record by which a file of each record type names it, and the target that they are. */
const NAMED_BY: Readonly<
  Record<
    RecordTypeName,
    readonly { readonly entities: readonly Entity[]; readonly by: readonly string[]; readonly field: string }[]
  >
> = {
  contact: [{ entities: ['contact'], by: ID_WORDS, field: 'externalId' }],
  lead: [{ entities: ['lead'], by: ID_WORDS, field: 'externalId' }],
  property: [],
  activity: [
    { entities: ['activity'], by: ID_WORDS, field: 'externalId' },
    { entities: ['contact'], by: ID_WORDS, field: 'contact.externalId' },
    { entities: ['contact'], by: ['email'], field: 'contact.email' },
    { entities: ['lead'], by: ID_WORDS, field: 'lead.externalId' },
  ],
}

/** A synonym as far as other words for it go; `weak` holds its confidences where it can mean other things. */
interface Said {
  readonly target: Target
  readonly text: string
  readonly weak: readonly [alone: number, withValues: number] | null
  /** Null where no language is meant. */
  readonly language: Language | null
}

function meaningsSaid({ values: said, abbreviated, lone }: Found<Said>, header: string): readonly Meaning[] {
  const best = new Map<Target, Said>()
  for (const one of said) {
    if (best.get(one.target)?.weak !== null) {
      best.set(one.target, one)
    }
  }
  const sure = [...best.values()].filter(({ weak }) => weak === null)
  const [most, mostWithValues] =
    sure.length > 1 ? ALIKE_UNSURE : abbreviated === 'no' ? ALIKE : abbreviated === 'marked' ? ABBREVIATED : SHORTENED
  return [...best.values()].map(({ target, text, weak }) => {
    const says = abbreviated === 'no' ? 'says the same as' : 'looks like a short form of'
    return {
      target,
      alone: Math.min(weak?.[0] ?? 1, most),
      withValues: Math.min(weak?.[1] ?? 1, mostWithValues),
      reason: `“${header}” ${says} “${text}”, which ${weak === null ? 'is' : 'can mean'} ${target.label}.`,
      languages: lone ? languagesOf(said, target) : null,
    }
  })
}

/** What a column means that is named like the field itself. */
export function ownMeaning(target: Target): Meaning {
  return {
    target,
    alone: OWN_NAME[0],
    withValues: OWN_NAME[1],
    reason: `The column is named like the field ${target.label}.`,
    languages: ['en'],
  }
}

function targetOf(type: RecordType, name: string): Target {
  const path = referencePath(type, name)
  if (path === null) {
    const field = fieldOf(type, name)
    if (field === null) {
      throw new Error(`${type.name} has no field ${name}`)
    }
    return { name, label: field.label, value: field }
  }
  const value = keyField(path)
  const label = path.reference.to === 'member' ? path.field.label : `${path.field.label} (${value.label.toLowerCase()})`
  return { name, label, value }
}

/** Headers of a pack are compared as they stand, nothing left out. */
function packKey(header: string): string {
  return readHeader(header).readings[0]?.key ?? ''
}

/** The headers of a list; `Phone {n}` stands for nine of them. */
function headersIn(list: string): string[] {
  return list
    .split(',')
    .map((header) => header.trim())
    .flatMap((header) =>
      header.includes('{n}') ? Array.from({ length: 9 }, (_, n) => header.replace('{n}', String(n + 1))) : [header],
    )
}

/** Keys of one synonym: also without umlauts, as people without the keys write them. */
function spellings(text: string, words: readonly string[], language: Language): string[] {
  const key = keyOf(words)
  if (language !== 'de' || !/[äöü]/.test(text)) {
    return [key]
  }
  const spelled = text.replaceAll('ä', 'ae').replaceAll('ö', 'oe').replaceAll('ü', 'ue')
  return [key, keyOf(wordsOf(spelled))]
}

function phraseOf(target: Target, words: readonly string[], text: string, language: Language): Phrase {
  const key = keyOf(words)
  return { target, key, words, text, language, letters: letterBits(key) }
}

function letterBits(key: string): number {
  let bits = 0
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i)
    bits |= code >= 97 && code <= 122 ? 1 << (code - 97) : code >= 48 && code <= 57 ? 1 << 26 : 1 << 27
  }
  return bits
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) {
    count++
  }
  return count
}

/** Letters that may differ: none in short words, where another letter is another word. */
function slipsIn(length: number): number {
  return length < 5 ? 0 : length < 9 ? 1 : 2
}

/** Whether two neighbouring letters have changed places and all else is the same: the commonest slip of a hand. */
function isSwapped(one: string, other: string): boolean {
  if (one.length !== other.length) {
    return false
  }
  let at = 0
  while (at < one.length && one[at] === other[at]) {
    at++
  }
  return (
    at + 1 < one.length &&
    one[at] === other[at + 1] &&
    one[at + 1] === other[at] &&
    one.slice(at + 2) === other.slice(at + 2)
  )
}

/** Words that many names share and that say little about which one is meant. */
const COMMON_WORDS = new Set(
  fold(
    'number no name date time code id type nummer numéro número nom nombre datum fecha data of de du del the di van y and e et is last first home work main other new total',
  ).split(' '),
)

function nearly(
  phrases: readonly Phrase[],
  phrasesByWord: ReadonlyMap<string, readonly Phrase[]>,
  key: string,
  words: readonly string[],
): Meaning[] {
  const best = new Map<string, Meaning>()
  const offer = (phrase: Phrase, alone: number, reason: string): void => {
    if ((best.get(phrase.target.name)?.alone ?? 0) < alone) {
      best.set(phrase.target.name, {
        target: phrase.target,
        alone,
        withValues: Math.min(NEARLY_MOST, alone + 0.08),
        reason,
        languages: null,
      })
    }
  }
  const slips = slipsIn(key.length)
  if (slips > 0) {
    const letters = letterBits(key)
    for (const phrase of phrases) {
      const { length } = phrase.key
      if (
        Math.abs(length - key.length) <= slips &&
        bitCount(phrase.letters ^ letters) <= 2 * slips &&
        slipsIn(length) > 0
      ) {
        const slipped = isSwapped(key, phrase.key) ? 1 : distance(key, phrase.key)
        if (slipped > 0 && slipped <= Math.min(slips, slipsIn(length))) {
          offer(phrase, 0.84 - 0.05 * slipped, `It is written almost like “${phrase.text}”.`)
        }
      }
    }
  }
  const weight = (word: string): number => (COMMON_WORDS.has(word) ? 0.35 : 1)
  const total = words.reduce((sum, word) => sum + weight(word), 0)
  const own = new Set(words)
  for (const word of own) {
    if (COMMON_WORDS.has(word)) {
      continue
    }
    for (const phrase of phrasesByWord.get(word) ?? []) {
      let shared = 0
      let all = total
      for (const other of phrase.words) {
        if (own.has(other)) {
          shared += weight(other)
        } else {
          all += weight(other)
        }
      }
      const share = shared / all
      if (share >= 0.45) {
        offer(phrase, 0.35 + 0.4 * share, `It shares words with “${phrase.text}”.`)
      }
    }
  }
  return [...best.values()]
}

function besideText(has: readonly string[], lacks: readonly string[], targets: ReadonlyMap<string, Target>): string {
  const labels = (names: readonly string[]): string =>
    names.map((name) => targets.get(name)?.label ?? name).join(' or ')
  const parts = [
    ...(has.length > 0 ? [`beside a column for ${labels(has).replaceAll(' or ', ' and ')}`] : []),
    ...(lacks.length > 0 ? [`where no column is for ${labels(lacks)}`] : []),
  ]
  return parts.join(' and ')
}
