/**
 * Whether two records mean one property: by its address, or by the numbers that authorities and listing services give it.
 * The weights are log-odds set by hand; an address with the same house number and unit is nearly everything.
 */
import type { Likeness } from './person.js'
import { fold, jaroWinkler, oneSlip, sound, textKey } from './text.js'

/** What of a property is compared. Null for what it does not have. */
export interface PropertyFields {
  readonly listingId: string | null
  readonly parcelNumber: string | null
  readonly addressLine1: string | null
  readonly addressLine2: string | null
  readonly unitNumber: string | null
  readonly city: string | null
  readonly postalCode: string | null
  readonly propertyType: string | null
  readonly bedroomsTotal: number | null
  readonly livingArea: number | null
}

/** A property as it is compared; made once per record. */
export interface Place {
  readonly listing: string
  readonly parcel: string
  readonly number: string
  readonly street: string
  readonly unit: string
  readonly city: string
  readonly postal: string
  readonly type: string
  readonly bedrooms: number | null
  readonly area: number | null
}

const short: Readonly<Record<string, string>> = {
  street: 'st',
  strasse: 'str',
  road: 'rd',
  avenue: 'av',
  ave: 'av',
  drive: 'dr',
  lane: 'ln',
  court: 'ct',
  place: 'pl',
  boulevard: 'blvd',
  north: 'n',
  south: 's',
  east: 'e',
  west: 'w',
}

/** Prepares a property for comparing. */
export function place(fields: PropertyFields): Place {
  const words = fold(fields.addressLine1)
    .split(' ')
    .map((word) => short[word] ?? word.replace(/strasse$/, 'str'))
  const number = words.find((word) => /^\d+[a-z]?$/.test(word)) ?? ''
  const unit = fold(fields.unitNumber) === '' ? fold(fields.addressLine2) : fold(fields.unitNumber)
  return {
    listing: fold(fields.listingId).replaceAll(' ', ''),
    parcel: fold(fields.parcelNumber).replaceAll(' ', ''),
    number,
    street: words.filter((word) => word !== number).join(' '),
    unit: unit.replace(/^(unit|apt|apartment|flat|suite|wohnung|whg) ?/, ''),
    city: fold(fields.city),
    postal: fold(fields.postalCode).replaceAll(' ', ''),
    type: fold(fields.propertyType),
    bedrooms: fields.bedroomsTotal,
    area: fields.livingArea,
  }
}

/** The keys under which a property meets others that could be the same. */
export function placeKeys(p: Place): number[] {
  const texts: string[] = []
  const add = (kind: string, ...parts: readonly string[]): void => {
    if (parts.every((part) => part !== '')) {
      texts.push(`property ${kind}|${parts.join('|')}`)
    }
  }
  add('l', p.listing)
  add('p', p.parcel)
  add('s', p.number, sound(p.street), p.postal)
  add('c', p.number, sound(p.street), p.city.slice(0, 5))
  add('z', p.number, p.postal, p.unit)
  return [...new Set(texts)].map(textKey)
}

/** How likely two properties are one. */
export function comparePlaces(a: Place, b: Place): Likeness {
  let sum = -7
  const reasons: string[] = []
  const weigh = (weight: number, reason?: string): void => {
    sum += weight
    if (reason !== undefined) {
      reasons.push(reason)
    }
  }
  if (a.parcel !== '' && b.parcel !== '') {
    // A building has one parcel and many flats.
    if (a.parcel === b.parcel) {
      weigh(5, 'same parcel number')
    } else {
      weigh(-4)
    }
  }
  if (a.listing !== '' && b.listing !== '') {
    if (a.listing === b.listing) {
      weigh(6, 'same listing id')
    } else {
      weigh(-1)
    }
  }
  if (a.number !== '' && b.number !== '') {
    if (a.number === b.number) {
      weigh(2.5, 'same house number')
    } else {
      weigh(-6)
    }
  }
  if (a.street !== '' && b.street !== '') {
    const likeness = a.street === b.street ? 1 : jaroWinkler(a.street, b.street)
    if (likeness === 1) {
      weigh(3, 'same street')
    } else if (likeness >= 0.9 || oneSlip(a.street, b.street)) {
      weigh(2.2, 'similar street')
    } else {
      weigh(likeness >= 0.8 ? 0 : -4)
    }
  }
  if (a.unit === b.unit) {
    weigh(a.unit === '' ? 0.7 : 2, a.unit === '' ? undefined : 'same unit')
  } else {
    weigh(a.unit === '' || b.unit === '' ? -1.5 : -8)
  }
  if (a.postal !== '' && b.postal !== '') {
    if (a.postal === b.postal) {
      weigh(2, 'same postal code')
    } else {
      weigh(oneSlip(a.postal, b.postal) ? 0.5 : -3)
    }
  }
  if (a.city !== '' && b.city !== '') {
    if (a.city === b.city) {
      weigh(1.5, 'same city')
    } else {
      weigh(jaroWinkler(a.city, b.city) >= 0.88 ? 0.7 : -2)
    }
  }
  if (a.bedrooms !== null && b.bedrooms !== null) {
    weigh(a.bedrooms === b.bedrooms ? 0.5 : -1)
  }
  if (a.area !== null && b.area !== null && a.area > 0) {
    weigh(Math.abs(a.area - b.area) <= 0.02 * a.area ? 0.8 : -0.7)
  }
  if (a.type !== '' && b.type !== '' && a.type !== b.type) {
    weigh(-0.5)
  }
  return { score: 1 / (1 + Math.exp(-sum)), reasons }
}
