/** What the values of a column mean as choices of a field, further than the importer reads them by itself. */
import type { FieldDefinition, RecordTypeName } from '../../records/types.js'
import { CHOICES } from '../data/choices.js'
import { plainWord } from '../text.js'
import { valueParser } from '../values.js'
import { wordsOf } from './header.js'

/** Longer values are sentences, not choices. */
const CHOICE_LENGTH = 60
/** Entries of one column that a person would still look through. */
const VALUE_MAP_LENGTH = 200
const STEM_LENGTH = 5

export interface ChoiceReader {
  /** The option that `value` means to the importer as it stands; null where it knows none. '' where it means none. */
  readonly known: (value: string) => string | null
  /** The option that it means to the importer or to other systems; null where that is not known. */
  readonly meant: (value: string) => string | null
}

const readers = new WeakMap<FieldDefinition, ChoiceReader>()

/** How the choices of `field`, an ENUM of record type `type`, are read. */
export function choiceReader(field: FieldDefinition, type: RecordTypeName): ChoiceReader {
  let reader = readers.get(field)
  if (reader === undefined) {
    const parser = valueParser(field, { format: null, timeZone: 'UTC', defaultCountry: null })
    const options = wordIndex(field, CHOICES[type]?.[field.name] ?? {})
    const known = (value: string): string | null => parser.parse(value)
    reader = {
      known,
      meant: (value) => (value.length > CHOICE_LENGTH ? null : (known(value) ?? options.get(wordKey(value)) ?? null)),
    }
    readers.set(field, reader)
  }
  return reader
}

/** Options by word; a word that would mean two of them means none. */
function wordIndex(field: FieldDefinition, more: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const options = new Map<string, string | null>()
  const add = (text: string, option: string): void => {
    const key = wordKey(text)
    options.set(key, (options.get(key) ?? option) === option ? option : null)
  }
  for (const [option, words] of Object.entries(field.synonyms ?? {})) {
    for (const word of option === '' ? [] : words) {
      add(word, option)
    }
  }
  for (const [option, list] of Object.entries(more)) {
    for (const word of list.split(',')) {
      add(word, option)
    }
  }
  return new Map([...options].flatMap(([key, option]) => (option === null ? [] : [[key, option] as const])))
}

/** `Reservada` and `reservado` alike; leading numbers, as in `3 - Won`, say only where it stands in a list. */
function wordKey(text: string): string {
  return wordsOf(text.replace(/^\s*\d{1,2}\s*[.):–-]\s*(?=\p{L})/u, ''))
    .map((word) => (word.length < STEM_LENGTH ? word : word.replace(/(?:es|s)$/, '').replace(/[aeo]$/, '')))
    .join(' ')
}

/**
 * The entries that turn `values` into choices of `field`. Values that are written like their option need none; those
 * that mean nothing known are left for a person to decide.
 */
export function suggestValueMap(
  field: FieldDefinition,
  type: RecordTypeName,
  values: readonly string[],
): { from: string; to: string }[] {
  if (field.kind !== 'ENUM') {
    return []
  }
  const reader = choiceReader(field, type)
  const entries = new Map<string, string>()
  for (const value of values) {
    const from = value.trim()
    const to = reader.meant(from)
    if (from !== '' && to !== null && to !== '' && plainWord(from) !== plainWord(to)) {
      entries.set(from, to)
    }
  }
  return [...entries].slice(0, VALUE_MAP_LENGTH).map(([from, to]) => ({ from, to }))
}
