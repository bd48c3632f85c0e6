/**
 * Which column is which field: from the words of the header, the columns beside it and the values below it. A wrong
 * mapping is ten times worse than none, so what is not sure stays open and is only named among the alternatives.
 */
import { recordTypes } from '../records/index.js'
import type { FieldKind, RecordType, RecordTypeName } from '../records/types.js'
import { chooseAddress, groupedMeaning, type Grouped } from './suggest/addresses.js'
import { assign, type Option } from './suggest/assign.js'
import { isEmail, isSpelledPhone, isUrl, Values } from './suggest/fit.js'
import { type Entity, type Header, readHeader } from './suggest/header.js'
import { type Lexicon, lexiconOf, type Meaning, ownMeaning, type Pack, type Target } from './suggest/lexicon.js'
import type { Language } from './data/words.js'
import type { ColumnMapping } from './types.js'

/** A column of a file as far as it is known from its first rows. */
export interface ColumnLike {
  readonly index: number
  /** As in the header; empty or made up (`Column 3`) where the file names none. */
  readonly name: string
  readonly kind: FieldKind
  /** From 0 to 1. */
  readonly kindConfidence: number
  /** Part of the rows with a value, from 0 to 1. */
  readonly fillRate: number
  /** First distinct values. */
  readonly samples: readonly string[]
}

export interface SuggestionInput {
  readonly type: RecordType
  readonly columns: readonly ColumnLike[]
  /** Below this no field is set: the best guess then stands first in `alternatives`. */
  readonly minConfidence: number
}

export interface RecordTypeGuess {
  readonly recordType: RecordTypeName
  /** From 0.25 (no idea) to 1. */
  readonly confidence: number
}

/** One field that a column may become. */
interface Candidate {
  readonly target: Target
  readonly confidence: number
  readonly reasons: readonly string[]
}

interface Reader {
  readonly column: ColumnLike
  readonly header: Header
  readonly values: Values
}

/** Alternatives shown per column. */
const ALTERNATIVES_SHOWN = 3
/** Guesses below this are noise, to people and to the assignment. */
const LEAST_CONFIDENCE = 0.15
/** Where a column stays without a field rather than take its field from a better one. */
const LEAST_WORTH = 0.45
/** Two columns as close as this fit a field equally well; which one is meant is for a person to say. */
const TIE = 0.012
const TIED_MOST = 0.88
/** What is left of a guess whose field went to another column. */
const TAKEN_FACTOR = 0.5
/** What a header loses that belongs to this record type by its prefix only: `Client phone`. */
const PREFIX_COST = 0.005
/** Most for the part of an address that is not the first choice of a contact's addresses (`Other City`, `Company City`). */
const SECOND_ADDRESS_MOST = 0.86
/** Part of the columns that must be named as our fields are for the file to count as one of ours. */
const OWN_NAMES_SHARE = 0.8
/** Columns that must speak some language before a word of another one counts less, and part of them that makes a language. */
const LANGUAGE_COLUMNS = 3
const LANGUAGE_SHARE = 0.15
/** What is left of a word of a language that nothing else in the file speaks. */
const STRANGE = [0.8, 0.86] as const
/** Part of the columns, and columns, that must be a known system's for its pack to count. */
const PACK_SHARE = 0.6
const PACK_COLUMNS = 4
/** Of these, columns whose names are no common words. */
const PACK_TELLING = 2

/**
 * Suggests a field for each of `columns`, in their order: each field at most once, and `field: null` where nothing is
 * sure enough. `confidence` is that of the suggestion or, where `field` is null, of the best guess (0 for none).
 */
export function suggestMapping({ type, columns, minConfidence }: SuggestionInput): ColumnMapping[] {
  const lexicon = lexiconOf(type)
  const readers = columns.map((column) => ({ column, header: readHeader(column.name), values: new Values(column) }))
  const pack = recognise(
    readers.map(({ header }) => header),
    lexicon.packs,
  )
  const candidates = candidatesOf(readers, type, lexicon, pack)
  const fieldIndex = new Map(lexicon.targets.map((target, index) => [target.name, index]))

  const options: Option[] = candidates.flatMap((list, column) =>
    list.map(({ target, confidence }) => ({
      column,
      field: fieldIndex.get(target.name)!,
      // Of equals the fuller column, then the earlier one.
      worth: logit(confidence) - logit(LEAST_WORTH) + readers[column]!.column.fillRate * 1e-3 - column * 1e-7,
    })),
  )
  const assigned = assign(columns.length, lexicon.targets.length, options)
  const columnOf = new Map<string, number>()
  const chosen = candidates.map((list, column) => {
    const field = lexicon.targets[assigned[column]!]
    const candidate = list.find(({ target }) => target === field) ?? null
    if (candidate !== null) {
      columnOf.set(candidate.target.name, column)
    }
    return candidate
  })
  return readers.map(({ column }, index) => describe(column, index))

  function describe(column: ColumnLike, index: number): ColumnMapping {
    const candidate = chosen[index]!
    const rival = candidate === null ? null : rivalOf(candidate, index)
    const confidence =
      candidate === null
        ? 0
        : rounded(rival === null ? candidate.confidence : Math.min(candidate.confidence, TIED_MOST))
    const sure = candidate !== null && confidence >= minConfidence
    const reasons = [...(candidate?.reasons ?? [])]
    if (candidate !== null && rival !== null) {
      reasons.push(`Column “${readers[rival]!.column.name}” fits ${candidate.target.label} equally well.`)
    }
    const others = candidates[index]!.filter((other) => other !== candidate)
      .map((other) => {
        const taken = columnOf.get(other.target.name)
        return {
          ...other,
          taken,
          confidence: rounded(taken === undefined ? other.confidence : other.confidence * TAKEN_FACTOR),
        }
      })
      .filter((other) => other.confidence >= LEAST_CONFIDENCE)
      .sort((a, b) => b.confidence - a.confidence)
    if (candidate === null) {
      const best = others[0]
      if (best !== undefined) {
        reasons.push(...best.reasons)
        if (best.taken !== undefined) {
          reasons.push(`${best.target.label} is taken by column “${readers[best.taken]!.column.name}”.`)
        }
      } else {
        reasons.push(
          pack !== null && packedMeaning(readers[index]!.header, pack) === null
            ? `Files of ${pack.source} have this column; the record type ${type.label} has no field for it.`
            : 'No field has a name like this, and the values show none.',
        )
      }
    }
    const alternatives = others.map(({ target, confidence: share }) => ({ field: target.name, confidence: share }))
    if (candidate !== null && !sure) {
      alternatives.unshift({ field: candidate.target.name, confidence })
    }
    return {
      column: column.name,
      columnIndex: column.index,
      field: sure ? candidate.target.name : null,
      constant: null,
      defaultValue: null,
      valueMap: [],
      onBlank: null,
      format: null,
      confidence: candidate === null ? (alternatives[0]?.confidence ?? 0) : confidence,
      reasons,
      alternatives: alternatives.slice(0, ALTERNATIVES_SHOWN),
    }
  }

  /** Another column without a field of its own that fits this field as well, unless it holds the same values; or null. */
  function rivalOf(candidate: Candidate, index: number): number | null {
    const { column } = readers[index]!
    const rival = readers.findIndex((other, at) => {
      const taken = chosen[at]
      return (
        at !== index &&
        (taken === null || taken === undefined || taken.confidence < minConfidence) &&
        other.column.fillRate > column.fillRate - 0.3 &&
        candidates[at]!.some(
          ({ target, confidence }) => target === candidate.target && confidence >= candidate.confidence - TIE,
        ) &&
        !sameValues(other.column, column)
      )
    })
    return rival < 0 ? null : rival
  }
}

/**
 * Guesses the record type of a file from its headers: what only contacts have speaks for contacts, what all record
 * types have for none.
 */
export function guessRecordType(columns: readonly ColumnLike[]): RecordTypeGuess {
  const headers = columns.map((column) => readHeader(column.name))
  const names = Object.keys(recordTypes) as RecordTypeName[]
  const scores = new Map<RecordTypeName, number>(names.map((name) => [name, PRIOR[name]]))
  const raise = (name: RecordTypeName, by: number): void => {
    scores.set(name, scores.get(name)! + by)
  }
  const lexiconByName = new Map(names.map((name) => [name, lexiconOf(recordTypes[name])]))
  for (const header of headers) {
    const strengths = names.map((name) => {
      const { meanings } = exactMeanings(header, recordTypes[name], lexiconByName.get(name)!)
      // That a reference to a property can stand in a lead makes no file of properties a file of leads.
      return Math.max(0, ...meanings.map(({ target, alone }) => (target.name.includes('.') ? alone * 0.5 : alone)))
    })
    const mean = strengths.reduce((sum, strength) => sum + strength, 0) / names.length
    names.forEach((name, index) => raise(name, strengths[index]! - mean))
    const words = header.words.join(' ')
    for (const [name, own] of OWN_IDS) {
      if (own.has(words)) {
        raise(name, 0.5)
      }
    }
    if (header.entity?.explicit === true) {
      for (const entity of header.entity.names) {
        if (entity !== 'organization') {
          raise(entity, 0.8)
        }
      }
    }
  }
  for (const name of names) {
    const pack = recognise(headers, lexiconByName.get(name)!.packs)
    if (pack !== null) {
      raise(name, 3 * shareOf(headers, pack))
    }
  }
  const ranked = [...scores].sort((a, b) => b[1] - a[1])
  const total = ranked.reduce((sum, [, score]) => sum + Math.exp(score - ranked[0]![1]), 0)
  return { recordType: ranked[0]![0], confidence: rounded(1 / total) }
}

/** Files of people are the most frequent ones and share most of their columns with leads. */
const PRIOR: Readonly<Record<RecordTypeName, number>> = { contact: 0.3, lead: 0, property: 0, activity: 0 }

const OWN_IDS: readonly (readonly [RecordTypeName, ReadonlySet<string>])[] = [
  ['contact', new Set(['contact id', 'person id', 'contact owner', 'client id', 'customer id'])],
  ['lead', new Set(['lead id', 'lead owner', 'lead status', 'deal id', 'deal owner', 'deal stage', 'opportunity id'])],
  ['property', new Set(['listing id', 'mls number', 'property id', 'list price', 'listing key'])],
  [
    'activity',
    new Set(['activity id', 'task id', 'event id', 'subject', 'due date', 'call duration', 'activity type']),
  ],
]

// ------------------------------------------------------------------------------------------------------- one column

function candidatesOf(
  readers: readonly Reader[],
  type: RecordType,
  lexicon: Lexicon,
  pack: Pack | null,
): Candidate[][] {
  const headers = readers.map(({ header }) => header)
  const ownNames = hasOwnNames(headers, lexicon)
  const exact = inOneLanguage(
    headers.map((header) => (ownNames ? ownMeanings(header, lexicon) : null) ?? exactMeanings(header, type, lexicon)),
  )
  const named = namedOutright(exact)
  const addresses = readAddresses(readers, exact, type, lexicon)
  const hasEmail = exact.some(({ meanings }) =>
    meanings.some(({ target, alone }) => target.value.kind === 'EMAIL' && alone >= 0.9),
  )

  return readers.map(({ header, values }, index) => {
    const packed = pack === null ? undefined : packedMeaning(header, pack)
    if (packed === null) {
      return []
    }
    const meanings: Meaning[] = []
    const offer = (more: readonly Meaning[]): void => {
      meanings.push(...more.filter(({ target }) => !meanings.some((other) => other.target === target)))
    }
    if (packed !== undefined) {
      offer([packed])
    }
    offer(contextMeanings(header, type, lexicon, named, index))
    offer(exact[index]!.meanings)
    offer(addresses.get(index) ?? [])
    if (meanings.length === 0 && !header.nameless && mayBeNear(header, type)) {
      const reading = header.unprefixed !== null && isOwn(header, type) ? header.unprefixed : header.readings.at(-1)
      if (reading !== undefined) {
        offer(lexicon.nearly(reading.key, reading.words))
      }
    }
    if (meanings.length === 0 || header.nameless) {
      offer(meaningsOfValues(values, type, lexicon, hasEmail))
    }
    return meanings
      .map((meaning) => weigh(meaning, values))
      .filter(({ confidence }) => confidence >= LEAST_CONFIDENCE)
      .sort((a, b) => b.confidence - a.confidence)
  })
}

/** Confidence of a header's meaning in the light of the values. */
function weigh(meaning: Meaning, values: Values): Candidate {
  const { target, alone, withValues, reason } = meaning
  const { verdict, telling, reason: valueReason } = values.fit(target)
  // Values that any field could have confirm a clear header; only telling ones decide an unclear one.
  const lift = alone >= 0.9 || telling ? verdict : verdict * 0.3
  const confidence = verdict >= 0 ? alone + (withValues - alone) * lift : alone * (1 + 0.65 * verdict)
  return { target, confidence, reasons: valueReason === null ? [reason] : [reason, valueReason] }
}

interface ExactMeanings {
  readonly meanings: readonly Meaning[]
}

/** What the vocabulary says outright about `header`, read in full or without what does not matter. */
function exactMeanings(header: Header, type: RecordType, lexicon: Lexicon): ExactMeanings {
  if (header.text.includes('.')) {
    const own = ownMeanings(header, lexicon)
    if (own !== null) {
      return own
    }
  }
  for (const reading of header.readings) {
    const meanings = lexicon.exact.get(reading.key)
    if (meanings !== undefined) {
      // The very name of a field, in its spelling, is that field even where the words could mean others.
      const own = meanings.filter(({ target }) => target.name === header.text)
      return { meanings: own.length > 0 ? own : meanings }
    }
    if (lexicon.contexts.has(reading.key)) {
      return { meanings: [] }
    }
  }
  if (header.unprefixed !== null && isOwn(header, type)) {
    const meanings = lexicon.exact.get(header.unprefixed.key) ?? []
    return {
      meanings: meanings.map((meaning) => ({
        ...meaning,
        alone: meaning.alone - PREFIX_COST,
        withValues: meaning.withValues - PREFIX_COST,
      })),
    }
  }
  return { meanings: [] }
}

/** Whether the file names its columns as we name our fields: an export or a template of ours. */
function hasOwnNames(headers: readonly Header[], lexicon: Lexicon): boolean {
  const names = new Set(lexicon.targets.map(({ name }) => name))
  const own = headers.filter(({ text }) => names.has(text))
  // Plain words such as `email` are anybody's names; `firstName` and `contact.email` are ours.
  return own.length >= OWN_NAMES_SHARE * headers.length && own.some(({ text }) => /[A-Z.]/.test(text))
}

function ownMeanings(header: Header, lexicon: Lexicon): ExactMeanings | null {
  const target = lexicon.targets.find(({ name }) => name === header.text)
  return target === undefined ? null : { meanings: [ownMeaning(target)] }
}

/** A word of a language that no other column speaks is more likely another word that looks like it. */
function inOneLanguage(exact: readonly ExactMeanings[]): ExactMeanings[] {
  // Words that English has too (`Status`) say nothing about another language.
  const votes = new Map<Language, number>()
  let total = 0
  for (const { meanings } of exact) {
    const languages = new Set(meanings.flatMap((meaning) => (meaning.alone >= 0.9 ? (meaning.languages ?? []) : [])))
    total += languages.size === 0 ? 0 : 1
    for (const language of languages.has('en') ? [] : languages) {
      votes.set(language, (votes.get(language) ?? 0) + 1)
    }
  }
  if (total < LANGUAGE_COLUMNS) {
    return [...exact]
  }
  const heard = (language: Language): boolean =>
    language === 'en' || (votes.get(language) ?? 0) - 1 >= Math.max(1, LANGUAGE_SHARE * total)
  return exact.map(({ meanings }) => ({
    meanings: meanings.map((meaning) =>
      meaning.alone < 0.9 || meaning.languages === null || meaning.languages.some(heard)
        ? meaning
        : {
            ...meaning,
            alone: STRANGE[0],
            withValues: STRANGE[1],
            reason: `${meaning.reason} The other columns are in another language.`,
          },
    ),
  }))
}

/** The fields that a column names outright, with those columns: what context rules look at. */
function namedOutright(exact: readonly ExactMeanings[]): ReadonlyMap<string, ReadonlySet<number>> {
  const named = new Map<string, Set<number>>()
  for (const [column, { meanings }] of exact.entries()) {
    for (const { target, alone } of meanings) {
      if (alone >= 0.9) {
        named.set(target.name, (named.get(target.name) ?? new Set()).add(column))
      }
    }
  }
  return named
}

function contextMeanings(
  header: Header,
  type: RecordType,
  lexicon: Lexicon,
  named: ReadonlyMap<string, ReadonlySet<number>>,
  column: number,
): readonly Meaning[] {
  const byOther = (field: string): boolean => [...(named.get(field) ?? [])].some((other) => other !== column)
  for (const reading of [
    ...header.readings,
    ...(header.unprefixed !== null && isOwn(header, type) ? [header.unprefixed] : []),
  ]) {
    const rules = lexicon.contexts.get(reading.key)
    if (rules !== undefined) {
      return rules.filter(({ has, lacks }) => has.every(byOther) && !lacks.some(byOther))
    }
  }
  return []
}

/** Whether the header's prefix names this record type, or, for a lead, the person behind it. */
function isOwn(header: Header, type: RecordType): boolean {
  const own: readonly Entity[] = type.name === 'lead' ? ['lead', 'contact'] : [type.name]
  return header.entity !== null && header.entity.names.some((entity) => own.includes(entity))
}

/** Whether a near miss can count: not where the header says that it is about somebody or something else. */
function mayBeNear(header: Header, type: RecordType): boolean {
  return !header.foreign && !(header.entity?.explicit === true && !isOwn(header, type))
}

// ----------------------------------------------------------------------------------------------------- the whole file

/** The system whose files have such a header row; null where it is nobody's in particular. */
function recognise(headers: readonly Header[], packs: readonly Pack[]): Pack | null {
  let best: { pack: Pack; share: number; telling: number } | null = null
  for (const pack of packs) {
    const known = headers.filter((header) => packedMeaning(header, pack) !== undefined)
    const telling = known.filter((header) => pack.telling.has(header.readings[0]!.key)).length
    const share = known.length / headers.length
    if (known.length >= PACK_COLUMNS && telling >= PACK_TELLING && share >= PACK_SHARE) {
      if (best === null || share > best.share || (share === best.share && telling > best.telling)) {
        best = { pack, share, telling }
      }
    }
  }
  return best?.pack ?? null
}

function shareOf(headers: readonly Header[], pack: Pack): number {
  return headers.filter((header) => packedMeaning(header, pack) !== undefined).length / headers.length
}

/** What `pack` says about the header as it stands; null for a known one without a place, undefined for an unknown one. */
function packedMeaning(header: Header, pack: Pack): Meaning | null | undefined {
  const reading = header.readings[0]
  return reading === undefined ? undefined : pack.meanings.get(reading.key)
}

/** Meanings of the columns of qualified addresses (`Home City`), by column. */
function readAddresses(
  readers: readonly Reader[],
  exact: readonly ExactMeanings[],
  type: RecordType,
  lexicon: Lexicon,
): ReadonlyMap<number, readonly Meaning[]> {
  const grouped: Grouped[] = readers.flatMap(({ header }, column) => {
    if (exact[column]!.meanings.some(({ alone }) => alone >= 0.9)) {
      return []
    }
    const found = groupedMeaning(header, lexicon)
    return found === null ? [] : [{ column, ...found }]
  })
  const plain = readers.filter((_, column) =>
    exact[column]!.meanings.some(({ target, alone }) => PLACE.has(target.name) && alone >= 0.9),
  )
  const plainFill =
    plain.length === 0 ? null : plain.reduce((sum, { column }) => sum + column.fillRate, 0) / plain.length
  const choice = chooseAddress(grouped, plainFill, (column) => readers[column]!.column.fillRate)
  const meanings = new Map<number, readonly Meaning[]>()
  for (const { column, group, meaning } of grouped) {
    const chosen = choice?.group === group
    // A property is where it is: a `Mailing City` beside it is somebody's.
    const most = type.name === 'property' || WEAK_GROUPS.has(group) ? SECOND_ADDRESS_MOST : 0.95
    const others = choice?.others ?? []
    const reason = chosen
      ? `It belongs to the ${group} address${others.length > 0 ? `; the file also has: ${others.join(', ')}` : ''}.`
      : `It belongs to the ${group} address, and the file has ${choice?.group === null ? 'a plain one' : `the ${choice?.group} address`}.`
    meanings.set(column, [
      {
        target: meaning.target,
        languages: null,
        alone: chosen ? Math.min(most, 0.92) : 0.35,
        withValues: chosen ? most : 0.4,
        reason,
      },
    ])
  }
  return meanings
}

const PLACE = new Set(['addressLine1', 'city', 'postalCode'])
/** Addresses that a person may have in mind when he speaks of another one. */
const WEAK_GROUPS = new Set(['other', 'company'])

/** What values alone say about a column without a telling name: never enough to apply, but a start. */
function meaningsOfValues(values: Values, type: RecordType, lexicon: Lexicon, hasEmail: boolean): Meaning[] {
  const looks: readonly (readonly [string, (value: string) => boolean, number, readonly string[]])[] = [
    ['email', isEmail, hasEmail ? 0.3 : 0.5, ['email', 'contact.email']],
    ['spelled phone', isSpelledPhone, 0.4, ['phone']],
    ['url', isUrl, 0.3, ['website', 'listingUrl']],
  ]
  return looks.flatMap(([name, test, alone, fields]) => {
    const target = lexicon.targets.find((candidate) => fields.includes(candidate.name))
    return target !== undefined && values.samples.length >= 3 && values.share(name, test) >= 0.8
      ? [
          {
            target,
            alone,
            withValues: alone + 0.05,
            reason: `The header says little, but ${type.label.toLowerCase()} files have such values in ${target.label}.`,
            languages: null,
          },
        ]
      : []
  })
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

function rounded(share: number): number {
  return Math.round(share * 1000) / 1000
}
