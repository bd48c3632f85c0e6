/** Everything that each column of a file may become, and how sure that is. */
import type { RecordType } from '../../records/types.js'
import { ADDRESS_GROUPS } from '../data/headers.js'
import { LANGUAGE_NAMES, type Language } from '../data/words.js'
import { addressMeanings } from './addresses.js'
import type { ColumnLike } from './column.js'
import { isEmail, isSpelledPhone, isUrl, Values } from './fit.js'
import { type Entity, type Header, keyOf, readHeader } from './header.js'
import { CLEAR, type Lexicon, type Meaning, ownMeaning, type Target } from './lexicon.js'
import { packedMeaning, recognise } from './packs.js'
import { askedMeanings, listedMeanings, tailedMeanings } from './questions.js'

/** One field that a column may become. */
export interface Candidate {
  readonly target: Target
  readonly confidence: number
  readonly reasons: readonly string[]
}

export interface Reading {
  /** Candidates of each column, the surest first; empty where nothing comes to mind. */
  readonly candidates: readonly (readonly Candidate[])[]
  /** Columns that the system whose file this is always has, and that have no place in the record type. */
  readonly placeless: readonly (string | null)[]
}

/** Guesses below this are noise, to people and to the assignment. */
export const LEAST_CONFIDENCE = 0.15
/** What a header loses that belongs to this record type by its prefix only: `Client phone`. */
const PREFIX_COST = 0.005
/** Part of the columns that must be named as our fields are for the file to count as one of ours. */
const OWN_NAMES_SHARE = 0.8
/** From this verdict down values contradict what a header says. */
const CONTRADICTED = -0.25
/** Columns that must speak one language before a single word of another one counts as strange. */
const OTHER_LANGUAGE_COLUMNS = 2
/** What is left of a word of a language that nothing else in the file speaks. */
const STRANGE = [0.8, 0.86] as const
/** Reads the header row as a whole and each column in its light. */
export function candidatesOf(columns: readonly ColumnLike[], type: RecordType, lexicon: Lexicon): Reading {
  const headers = columns.map(({ name }) => readHeader(name))
  const pack = recognise(headers, lexicon.packs)
  const packed = headers.map((header) => (pack === null ? undefined : packedMeaning(header, pack)))
  const ownNames = hasOwnNames(headers, lexicon)
  const outright = headers.map(
    (header) => (ownNames ? ownMeanings(header, lexicon) : null) ?? exactMeanings(header, type, lexicon),
  )
  const addresses = addressMeanings(
    columns.map(({ fillRate }, index) => ({ fillRate, header: headers[index]!, exact: outright[index]! })),
    type,
    lexicon,
  )
  const unknown = headers.map(
    (header, index) =>
      outright[index]!.length === 0 &&
      [...header.readings, ...(header.unprefixed !== null && isOwn(header, type) ? [header.unprefixed] : [])].some(
        ({ key }) => lexicon.placeless.has(key),
      ),
  )
  const valuesOf = columns.map((column) => new Values(column))
  const exact = inOneLanguage(
    headers,
    outright.map((meanings, index) =>
      meanings.length > 0 || addresses.has(index) || unknown[index] === true
        ? meanings
        : otherMeanings(headers[index]!, type, lexicon, valuesOf[index]!),
    ),
  )
  // A column `Emails` with how many were sent names no address.
  const named = namedOutright(
    exact.map((meanings, index) =>
      meanings.filter(({ target, alone }) => alone >= CLEAR && valuesOf[index]!.fit(target).verdict > CONTRADICTED),
    ),
  )
  const hasEmail = exact.some((meanings) =>
    meanings.some(({ target, alone }) => target.value.kind === 'EMAIL' && alone >= CLEAR),
  )

  const candidates = headers.map((header, index) => {
    const system = packed[index]
    if (system === null || (system === undefined && unknown[index] === true && !addresses.has(index))) {
      return []
    }
    const values = valuesOf[index]!
    const meanings: Meaning[] = []
    const offer = (more: readonly Meaning[]): void => {
      meanings.push(...more.filter(({ target }) => !meanings.some((other) => other.target === target)))
    }
    // The first to speak of a field has the say about it.
    offer(system === undefined ? [] : [system])
    offer(contextMeanings(header, type, lexicon, named, index, exact[index]!.length === 0))
    offer(addresses.get(index) ?? [])
    offer(exact[index]!)
    if (meanings.length === 0 && !header.nameless && mayBeNear(header, type)) {
      const reading = header.unprefixed !== null && isOwn(header, type) ? header.unprefixed : header.readings.at(-1)
      offer(reading === undefined ? [] : lexicon.nearly(reading.key, reading.words))
    }
    if (meanings.length === 0 || header.nameless) {
      offer(meaningsOfValues(values, type, lexicon, hasEmail))
    }
    // Of several fields that a word is known for, the one that alone can hold the values is meant.
    const fitting = meanings.filter(({ target }) => values.fit(target).verdict >= 0.5)
    const decided =
      fitting.length === 1 &&
      meanings.some((other) => other.alone >= CLEAR && values.fit(other.target).verdict <= CONTRADICTED)
        ? fitting[0]
        : undefined
    return meanings
      .map((meaning) => weigh(meaning, values, meaning === decided))
      .filter(({ confidence }) => confidence >= LEAST_CONFIDENCE)
      .sort((a, b) => b.confidence - a.confidence)
  })
  return {
    candidates: withFirstAsMain(candidates, headers, type),
    placeless: packed.map((meaning) => (meaning === null ? pack!.source : null)),
  }
}

const groupWords = (group: string): ReadonlySet<string> =>
  new Set(ADDRESS_GROUPS.find(({ name }) => name === group)!.words.split(' '))
const atHome = groupWords('home')
const atWork = groupWords('work')

/**
 * Of an e-mail address at home and one at work neither is the main one by its name: the first in the file is, as it is of
 * `E-mail 1` and `E-mail 2`. A record type with one address alone has nothing to choose.
 */
function withFirstAsMain(
  candidates: readonly (readonly Candidate[])[],
  headers: readonly Header[],
  type: RecordType,
): readonly (readonly Candidate[])[] {
  const named = (field: string, group: ReadonlySet<string>): readonly number[] =>
    candidates.flatMap(([best], column) =>
      best?.target.name === field && best.confidence >= CLEAR && headers[column]!.words.some((word) => group.has(word))
        ? [column]
        : [],
    )
  const [[main, ...moreMain], [second, ...moreSecond]] = [named('email', atWork), named('secondaryEmail', atHome)]
  // A plain `Email` is the main one wherever it stands.
  const plain = candidates.some(
    ([best], column) => column !== main && best?.target.name === 'email' && best.confidence >= CLEAR,
  )
  if (
    type.name !== 'contact' ||
    main === undefined ||
    second === undefined ||
    moreMain.length + moreSecond.length > 0 ||
    plain ||
    second > main
  ) {
    return candidates
  }
  const [mainBest, secondBest] = [candidates[main]![0]!, candidates[second]![0]!]
  const as = (target: Target, column: number): readonly Candidate[] => [
    {
      target,
      confidence: Math.min(mainBest.confidence, secondBest.confidence),
      reasons: [
        'Of the e-mail addresses at home and at work the first in the file is the main one.',
        ...candidates[column]![0]!.reasons.slice(1),
      ],
    },
    ...candidates[column]!.slice(1).filter((other) => other.target !== target),
  ]
  return candidates.map((list, column) =>
    column === main ? as(secondBest.target, column) : column === second ? as(mainBest.target, column) : list,
  )
}

/** Confidence of a header's meaning in the light of the values. */
function weigh(meaning: Meaning, values: Values, decided: boolean): Candidate {
  const { target, alone, withValues, reason } = meaning
  const { verdict, telling, reason: valueReason } = values.fit(target)
  // Values that any field could have confirm a clear header; only telling ones decide an unclear one.
  const lift = alone >= CLEAR || telling || decided ? verdict : verdict * 0.3
  const confidence = verdict >= 0 ? alone + (withValues - alone) * lift : alone * (1 + 0.65 * verdict)
  return { target, confidence, reasons: valueReason === null ? [reason] : [reason, valueReason] }
}

/** What the vocabulary says outright about `header`, read in full or without what does not matter. */
export function exactMeanings(header: Header, type: RecordType, lexicon: Lexicon): readonly Meaning[] {
  if (header.text.includes('.')) {
    const own = ownMeanings(header, lexicon)
    if (own !== null) {
      return own
    }
  }
  for (const reading of header.readings) {
    // A price per square foot is no price.
    const meanings = lexicon.exact
      .get(reading.key)
      ?.filter(({ target }) => !(reading.ofArea && target.value.kind === 'MONEY'))
    if (meanings !== undefined) {
      // The very name of a field, in its spelling, is that field even where the words could mean others.
      const own = meanings.filter(({ target }) => target.name === header.text)
      return own.length > 0 ? own : alsoSpokenBy(meanings, header, lexicon)
    }
    if (lexicon.contexts.has(reading.key)) {
      return []
    }
  }
  if (header.unprefixed !== null && isOwn(header, type)) {
    const meanings = lexicon.exact.get(header.unprefixed.key) ?? []
    const known = header.readings.some(({ key }) => lexicon.placeless.has(key))
    if (known || (meanings.length === 0 && lexicon.placeless.has(header.unprefixed.key))) {
      return []
    }
    const said = meanings.some(({ alone }) => alone >= CLEAR) ? [] : lexicon.alike(header, ownEntities(type))
    if (said.some(({ alone }) => alone >= CLEAR)) {
      return said
    }
    return meanings.map((meaning) => ({
      ...meaning,
      alone: meaning.alone - PREFIX_COST,
      withValues: meaning.withValues - PREFIX_COST,
    }))
  }
  return []
}

/** What a header says that is no synonym as it stands but says the same as one; nothing where context decides. */
export function alikeMeanings(header: Header, type: RecordType, lexicon: Lexicon): readonly Meaning[] {
  if (
    header.nameless ||
    header.readings.some(({ key }) => lexicon.contexts.has(key)) ||
    (header.entity?.explicit === true && !isOwn(header, type))
  ) {
    return []
  }
  const chosen = header.foreign ? [] : choiceMeanings(header, lexicon)
  return chosen.length > 0 ? chosen : lexicon.alike(header, ownEntities(type))
}

/** What a header means that is no synonym: one in other words, with an idle last word, a list of choices or a question. */
function otherMeanings(header: Header, type: RecordType, lexicon: Lexicon, values: Values): readonly Meaning[] {
  const alike = alikeMeanings(header, type, lexicon)
  if (
    alike.some(({ alone }) => alone >= CLEAR) ||
    header.nameless ||
    header.readings.some(({ key }) => lexicon.contexts.has(key)) ||
    (header.entity?.explicit === true && !isOwn(header, type))
  ) {
    return alike
  }
  const own = ownEntities(type)
  const listed = listedMeanings(header, type, lexicon)
  if (listed.length > 0) {
    return listed
  }
  const tailed = tailedMeanings(header, lexicon, (words) => {
    const rest = isOwn(header, type) ? words.slice(1) : words
    return [
      ...(lexicon.exact.get(keyOf(rest)) ?? []),
      ...lexicon.alike(readHeader(words.join(' ')), own),
      ...lexicon.same(rest),
    ]
  })
  if (tailed.length > 0) {
    return tailed
  }
  const asked = askedMeanings(header, type, lexicon, values)
  return asked.length > 0 ? asked : alike
}

/** What every side of a slash means: `Town/City`. Where they mean different things (`Phone/Mobile`), none is sure. */
function choiceMeanings(header: Header, lexicon: Lexicon): readonly Meaning[] {
  const sides = header.choices.map((words) =>
    (lexicon.exact.get(keyOf(words)) ?? lexicon.same(words)).filter(({ alone }) => alone >= CLEAR),
  )
  if (sides.length < 2 || sides.some((meanings) => meanings.length === 0)) {
    return []
  }
  const shared = sides[0]!.filter(({ target }) =>
    sides.every((meanings) => meanings.some((other) => other.target === target)),
  )
  return shared.length > 0
    ? shared
    : sides.flat().map((meaning) => ({ ...meaning, alone: meaning.alone * 0.7, withValues: meaning.withValues * 0.75 }))
}

/** `area_m2` is a Portuguese synonym as it stands and an English one without its unit: it speaks both languages. */
function alsoSpokenBy(meanings: readonly Meaning[], header: Header, lexicon: Lexicon): readonly Meaning[] {
  const shorter = header.readings.flatMap(({ key }) => lexicon.exact.get(key) ?? [])
  return meanings.map((meaning) => {
    const same = shorter.filter(({ target, alone }) => target === meaning.target && alone >= CLEAR)
    return meaning.languages === null
      ? meaning
      : { ...meaning, languages: [...meaning.languages, ...same.flatMap(({ languages }) => languages ?? [])] }
  })
}

/** Whether the file names its columns as we name our fields: an export or a template of ours. */
function hasOwnNames(headers: readonly Header[], lexicon: Lexicon): boolean {
  const names = new Set(lexicon.targets.map(({ name }) => name))
  const own = headers.filter(({ text }) => names.has(text))
  // Plain words such as `email` are anybody's names; `firstName` and `contact.email` are ours.
  return own.length >= OWN_NAMES_SHARE * headers.length && own.some(({ text }) => /[A-Z.]/.test(text))
}

function ownMeanings(header: Header, lexicon: Lexicon): readonly Meaning[] | null {
  const target = lexicon.targets.find(({ name }) => name === header.text)
  return target === undefined ? null : [ownMeaning(target)]
}

/** A word of a language that no other column speaks is more likely another word that looks like it. */
function inOneLanguage(headers: readonly Header[], exact: readonly (readonly Meaning[])[]): (readonly Meaning[])[] {
  const spoken = exact.map(
    (meanings) => new Set(meanings.flatMap(({ alone, languages }) => (alone >= CLEAR ? (languages ?? []) : []))),
  )
  // Only words that no other language has (`Vorname`, not `Status`) tell what a file speaks.
  const languages = Object.keys(LANGUAGE_NAMES) as Language[]
  const own = new Map(
    languages.map((language) => [language, spoken.filter((by) => by.size === 1 && by.has(language)).length]),
  )
  const strange = new Map(
    languages.map((language) => [
      language,
      language !== 'en' &&
        own.get(language)! <= 1 &&
        languages.some((other) => other !== language && own.get(other)! >= OTHER_LANGUAGE_COLUMNS),
    ]),
  )
  return exact.map((meanings, index) =>
    meanings.map((meaning) =>
      meaning.alone < CLEAR ||
      meaning.languages === null ||
      // An accent is a language's own.
      /[^\p{ASCII}]/u.test(headers[index]!.text) ||
      meaning.languages.some((language) => !strange.get(language)!)
        ? meaning
        : {
            ...meaning,
            alone: STRANGE[0],
            withValues: STRANGE[1],
            reason: `${meaning.reason} The other columns are in another language.`,
          },
    ),
  )
}

/** The fields that a column names outright, with those columns: what context rules look at. */
function namedOutright(exact: readonly (readonly Meaning[])[]): ReadonlyMap<string, ReadonlySet<number>> {
  const named = new Map<string, Set<number>>()
  for (const [column, meanings] of exact.entries()) {
    for (const { target, alone } of meanings) {
      if (alone >= CLEAR) {
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
  unprefixed: boolean,
): readonly Meaning[] {
  const byOther = (field: string): boolean => [...(named.get(field) ?? [])].some((other) => other !== column)
  // `Naam huurder` is what `Huurder - Naam` is.
  const bare = unprefixed ? lexicon.bare(header, ownEntities(type)) : null
  for (const key of [
    ...header.readings.map((reading) => reading.key),
    ...(unprefixed && header.unprefixed !== null && isOwn(header, type) ? [header.unprefixed.key] : []),
    ...(bare === null ? [] : [keyOf(bare)]),
  ]) {
    const rules = lexicon.contexts.get(key)
    if (rules !== undefined) {
      return rules.filter(({ has, lacks }) => has.every(byOther) && !lacks.some(byOther))
    }
  }
  return []
}

/** Whether the header's prefix names this record type, or, for a lead, the person behind it. */
function isOwn(header: Header, type: RecordType): boolean {
  return header.entity !== null && header.entity.names.some((entity) => ownEntities(type).includes(entity))
}

function ownEntities(type: RecordType): readonly Entity[] {
  return type.name === 'lead' ? ['lead', 'contact'] : [type.name]
}

/** Whether a near miss can count: not where the header says that it is about somebody or something else. */
function mayBeNear(header: Header, type: RecordType): boolean {
  return !header.foreign && !(header.entity?.explicit === true && !isOwn(header, type))
}

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
