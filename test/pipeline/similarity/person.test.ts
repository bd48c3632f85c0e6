import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quality, testing } from '../../../bench/duplicates-fit.js'
import {
  comparePeople,
  MAX_KEYS,
  type PersonFields,
  person,
  personKeys,
} from '../../../src/pipeline/similarity/person.js'
import { comparePlaces, type PropertyFields, place, placeKeys } from '../../../src/pipeline/similarity/property.js'

const nobody: PersonFields = {
  organization: false,
  firstName: null,
  middleName: null,
  lastName: null,
  displayName: null,
  companyName: null,
  emails: [],
  phones: [],
  addressLine1: null,
  addressLine2: null,
  city: null,
  stateOrProvince: null,
  postalCode: null,
  birthDate: null,
  custom: {},
}
const erika = {
  firstName: 'Erika',
  lastName: 'Mustermann',
  addressLine1: 'Heidestraße 17',
  city: 'Köln',
  postalCode: '51147',
  birthDate: '1964-08-12',
  emails: ['erika@example.com'],
  phones: ['+49 221 1234567'],
}

function alike(changes: Partial<PersonFields>, base: Partial<PersonFields> = erika): number {
  return comparePeople(person({ ...nobody, ...base }), person({ ...nobody, ...base, ...changes }), 5)?.score ?? 0
}

function meet(changes: Partial<PersonFields>): boolean {
  const keys = new Set(personKeys('contact', person({ ...nobody, ...erika })))
  return personKeys('contact', person({ ...nobody, ...erika, ...changes })).some((key) => keys.has(key))
}

const same: readonly (readonly [string, Partial<PersonFields>])[] = [
  ['a slip in the name', { lastName: 'Musterman', emails: [], phones: [] }],
  ['swapped names', { firstName: 'Mustermann', lastName: 'Erika', emails: [], phones: [] }],
  ['no accents', { city: 'Koln', addressLine1: 'Heidestrasse 17', emails: [], phones: [] }],
  [
    'a phone in another form',
    { phones: ['0221-1234567'], emails: [], addressLine1: null, city: null, postalCode: null, birthDate: null },
  ],
  ['a married name with the same e-mail', { lastName: 'Gabler' }],
  ['a move', { addressLine1: 'Domplatz 1', city: 'Berlin', postalCode: '10115', phones: [] }],
  ['day and month in each other’s places', { birthDate: '1964-12-08', emails: [], phones: [] }],
]
for (const [what, changes] of same) {
  test(`${what} leaves two records alike, and they meet`, () => {
    assert.ok(alike(changes) >= 0.5, `${alike(changes)}`)
    assert.ok(meet(changes))
  })
}

const different: readonly (readonly [string, Partial<PersonFields>])[] = [
  ['a brother in the same house', { firstName: 'Heinrich', birthDate: '1967-03-01', emails: ['heinrich@example.com'] }],
  ['a wife of whom no birth date is known', { firstName: 'Gudrun', birthDate: null, emails: [] }],
  ['a neighbour', { firstName: 'Hans', lastName: 'Schmitz', birthDate: '1950-01-01', emails: [], phones: [] }],
]
for (const [what, changes] of different) {
  test(`${what} is somebody else`, () => {
    assert.ok(alike(changes) < 0.5, `${alike(changes)}`)
  })
}

test('two of a frequent name are less likely one than two of a rare one', () => {
  const moved = { addressLine1: 'Domplatz 1', city: 'Berlin', postalCode: '10115' }
  const john = {
    firstName: 'John',
    lastName: 'Smith',
    addressLine1: 'Heidestraße 17',
    city: 'Köln',
    postalCode: '51147',
  }
  const left = person({ ...nobody, ...john })
  const right = person({ ...nobody, ...john, ...moved })
  const [rare, frequent] = [2, 50].map((namesakes) => comparePeople(left, right, namesakes)?.score ?? 0)
  assert.ok((rare ?? 0) > 0.5 && (frequent ?? 1) < 0.2, `${rare} ${frequent}`)
})

test('an organization is none of its people, and its legal form does not make it another one', () => {
  const firm = { organization: true, companyName: 'Acme Immobilien GmbH', city: 'Berlin', postalCode: '10115' }
  assert.equal(comparePeople(person({ ...nobody, ...firm }), person({ ...nobody, ...erika }), 1), null)
  assert.ok(alike({ companyName: 'ACME Immobilien' }, firm) > 0.5)
  assert.ok(alike({ companyName: 'Zenit Immobilien GmbH' }, firm) < 0.5)
})

test('a record has a bounded number of keys, and reasons name fields without values', () => {
  const full = person({
    ...nobody,
    ...erika,
    emails: ['a.long@x.io', 'b.long@x.io'],
    phones: ['123456789', '223456789', '323456789'],
    custom: { a: '12345678' },
  })
  assert.ok(personKeys('contact', full).length <= MAX_KEYS)
  assert.notDeepEqual(personKeys('contact', full), personKeys('lead', full), 'a lead never meets a contact')
  assert.deepEqual(personKeys('contact', person(nobody)), [])
  const reasons = comparePeople(full, full, 1)?.reasons ?? []
  assert.ok(reasons.includes('same birth date') && reasons.includes('same first name'))
  assert.doesNotMatch(reasons.join(), /erika|1964|heide/i)
})

test('an address that endless text stands in costs no time', () => {
  const endless = {
    firstName: 'a '.repeat(500_000),
    lastName: 'b'.repeat(1_000_000),
    addressLine1: '1 '.repeat(500_000),
  }
  const began = performance.now()
  alike({ firstName: 'x '.repeat(500_000) }, endless)
  assert.ok(performance.now() - began < 1000)
})

test('people of sets that the weights were not fitted on are found as measured', () => {
  const [heavy, light, , crm] = testing.map((set) => ({ ...set, records: 3000 })).map((set) => quality(set))
  assert.ok((heavy?.f1 ?? 0) > 0.94, `${heavy?.f1}`)
  assert.ok((light?.f1 ?? 0) > 0.97, `${light?.f1}`)
  assert.ok((crm?.f1 ?? 0) > 0.92, `${crm?.f1}`)
})

const house: PropertyFields = {
  listingId: 'L-100',
  parcelNumber: null,
  addressLine1: '12 Main Street',
  addressLine2: null,
  unitNumber: null,
  city: 'Hampton',
  postalCode: '23666',
  propertyType: 'House',
  bedroomsTotal: 3,
  livingArea: 140,
}

test('a property is known by its address and not by its neighbour’s', () => {
  const score = (changes: Partial<PropertyFields>): number =>
    comparePlaces(place(house), place({ ...house, ...changes })).score
  assert.ok(score({ listingId: 'X-7', addressLine1: '12 Main St.' }) > 0.5)
  assert.ok(score({ listingId: 'X-7', addressLine1: '12 Mian Street', city: 'Hamton' }) > 0.5)
  assert.ok(score({ listingId: 'X-7', addressLine1: '14 Main Street' }) < 0.5)
  assert.ok(score({ listingId: 'X-7', unitNumber: '3' }) < score({ listingId: 'X-7' }))
  assert.ok(
    comparePlaces(place({ ...house, unitNumber: 'Apt 3' }), place({ ...house, listingId: 'X', unitNumber: '4' }))
      .score < 0.5,
  )
  assert.ok(
    comparePlaces(place({ ...house, unitNumber: 'Apt 3' }), place({ ...house, listingId: 'X', unitNumber: 'Unit 3' }))
      .score > 0.5,
  )
  const keys = placeKeys(place({ ...house, listingId: null, addressLine1: '12 main st' }))
  assert.ok(placeKeys(place(house)).some((key) => keys.includes(key)))
})

test('what agrees together counts together: a given name that is missing says less in one house than one that is there', () => {
  const house = { emails: [], phones: [], birthDate: null }
  const base = { ...erika, ...house }
  const none = alike({ ...house, firstName: null }, base)
  assert.ok(none < alike(house, base) - 0.2, 'anybody of the family may be meant')
  assert.ok(none > alike({ ...house, firstName: 'Hartmut' }, base) + 0.2, 'but it may be the same person')
  const apart = { ...house, addressLine1: 'Domplatz 1', city: 'Berlin', postalCode: '10115' }
  assert.ok(alike(apart, base) < alike(house, base) - 0.2, 'two people of one name live in two towns')
})
