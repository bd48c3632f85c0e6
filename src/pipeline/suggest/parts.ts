/** Columns that hold more than one field, and fields that stand in more than one column. */
import { fieldOf } from '../../records/index.js'
import type { RecordType } from '../../records/types.js'
import { HOUSE_NUMBER_WORDS, NUMBER_FIRST_WORDS, PLACE_WORDS } from '../data/headers.js'
import { type AddressParts, splitAddress } from '../transforms/address.js'
import type { AddressPart } from '../transforms/parts.js'
import type { ColumnMapping } from '../types.js'
import type { ColumnLike } from './column.js'
import { keyOf, wordsOf } from './header.js'

/** Where each part of an address goes. */
const FIELD_OF: Readonly<Record<AddressPart, string>> = {
  line1: 'addressLine1',
  city: 'city',
  state: 'stateOrProvince',
  postalCode: 'postalCode',
  country: 'country',
}
const PARTS = Object.keys(FIELD_OF) as AddressPart[]
/** Part of the samples that must come apart, and in which a part must be for it to have a field. */
const SPLIT_SHARE = 0.8
const PART_SHARE = 0.5
const SAMPLES_MIN = 3
const CONFIDENCE = 0.93

const keys = (list: string): ReadonlySet<string> => new Set(list.split(',').map((text) => keyOf(wordsOf(text))))
const placeWords = keys(PLACE_WORDS)
const houseNumberWords = keys(HOUSE_NUMBER_WORDS)
const numberFirstWords = keys(NUMBER_FIRST_WORDS)

/**
 * `mapping` with addresses in one cell taken apart and house numbers put behind (or before) their street. The entries of
 * the columns stay in their places; further parts of a column follow at the end.
 */
export function withParts(
  mapping: readonly ColumnMapping[],
  columns: readonly ColumnLike[],
  type: RecordType,
  minConfidence: number,
): readonly ColumnMapping[] {
  return withHouseNumber(withPlaces(mapping, columns, type, minConfidence), columns)
}

/** `Austin, TX 78701` and `78701 Austin`: city, state and postal code of one cell. */
function withPlaces(
  mapping: readonly ColumnMapping[],
  columns: readonly ColumnLike[],
  type: RecordType,
  minConfidence: number,
): readonly ColumnMapping[] {
  if (minConfidence > CONFIDENCE || fieldOf(type, 'postalCode') === null) {
    return mapping
  }
  const found = mapping.flatMap((entry, at) => {
    const parts = isPlace(entry, columns[at]!) ? partsOf(columns[at]!) : []
    return parts.length < 2 ? [] : [{ at, parts }]
  })
  // Two addresses in one file would mix.
  const [place] = found
  if (place === undefined || found.length > 1) {
    return mapping
  }
  const others = new Set(mapping.flatMap(({ field }, at) => (at === place.at || field === null ? [] : [field])))
  const free = place.parts.filter((part) => !others.has(FIELD_OF[part]))
  if (free.length < 2) {
    return mapping
  }
  const entry = mapping[place.at]!
  const reason = 'The values hold several parts of an address, which come apart.'
  const entries = free.map(
    (part): ColumnMapping => ({
      ...entry,
      field: FIELD_OF[part],
      transforms: [{ name: 'splitAddress', arguments: [{ name: 'part', value: part }] }],
      confidence: CONFIDENCE,
      reasons: [reason],
      alternatives: [],
    }),
  )
  return [...mapping.with(place.at, entries[0]!), ...entries.slice(1)]
}

function isPlace({ field }: ColumnMapping, { name }: ColumnLike): boolean {
  if (field !== null) {
    return Object.values(FIELD_OF).includes(field)
  }
  const words = wordsOf(name)
  return placeWords.has(keyOf(words)) || (words.length > 1 && words.filter((word) => placeWords.has(word)).length > 1)
}

/** The parts that most samples have; empty where they are no addresses of several parts. */
function partsOf({ samples }: ColumnLike): AddressPart[] {
  const filled = samples.map((sample) => sample.trim()).filter((sample) => sample !== '')
  if (filled.length < SAMPLES_MIN) {
    return []
  }
  const split = filled.map((sample) => splitAddress(sample)).filter((parts) => parts !== null)
  const apart = split.filter((parts) => parts.city !== null && (parts.state !== null || parts.postalCode !== null))
  return apart.length < SPLIT_SHARE * filled.length
    ? []
    : PARTS.filter(
        (part) => apart.filter((parts: AddressParts) => parts[part] !== null).length >= PART_SHARE * filled.length,
      )
}

/** `Straße` and `Hausnummer`: one field in two columns. */
function withHouseNumber(mapping: readonly ColumnMapping[], columns: readonly ColumnLike[]): readonly ColumnMapping[] {
  const streetAt = mapping.findIndex(
    ({ field, transforms = [] }) => field === 'addressLine1' && transforms.length === 0,
  )
  const numberAt = columns.findIndex(
    ({ name, samples }, at) =>
      mapping[at]!.field === null &&
      houseNumberWords.has(keyOf(wordsOf(name))) &&
      samples.length > 0 &&
      samples.every((sample) => /^\s*\d{1,6}\s?[-/\p{L}\d\s]{0,6}$/u.test(sample)),
  )
  const street = columns[streetAt]
  const number = columns[numberAt]
  if (
    street === undefined ||
    number === undefined ||
    street.samples.length === 0 ||
    // Where the street has its number already, another number is that of something else.
    street.samples.filter((sample) => /^\d+\S*\s|\s\d+\s?[a-z]?$/iu.test(sample.trim())).length >
      (1 - SPLIT_SHARE) * street.samples.length ||
    columns.some(({ name }, at) => at !== streetAt && at !== numberAt && [street.name, number.name].includes(name))
  ) {
    return mapping
  }
  const first = wordsOf(number.name).some((word) => numberFirstWords.has(word))
  const names = first ? [number.name, street.name] : [street.name, number.name]
  const entry = mapping[streetAt]!
  return mapping
    .with(streetAt, {
      ...entry,
      transforms: [
        {
          name: 'join',
          arguments: [...names.map((value) => ({ name: 'column', value })), { name: 'separator', value: ' ' }],
        },
      ],
      reasons: [...entry.reasons, `The number of the house is in column “${number.name}”, and is joined to it.`],
    })
    .with(numberAt, {
      ...mapping[numberAt]!,
      reasons: [`It is the number of the house, which is joined to column “${street.name}”.`],
    })
}
