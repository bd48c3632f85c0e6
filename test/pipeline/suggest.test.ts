import assert from 'node:assert/strict'
import { test } from 'node:test'
import { activityWords } from '../../src/pipeline/data/activity.js'
import { contactWords } from '../../src/pipeline/data/contact.js'
import { leadWords } from '../../src/pipeline/data/lead.js'
import { propertyWords } from '../../src/pipeline/data/property.js'
import { SOURCE_PACKS } from '../../src/pipeline/data/sources.js'
import type { Words } from '../../src/pipeline/data/words.js'
import { assign, type Option } from '../../src/pipeline/suggest/assign.js'
import { keyOf, readHeader, wordsOf } from '../../src/pipeline/suggest/header.js'
import { lexiconOf } from '../../src/pipeline/suggest/lexicon.js'
import { type ColumnLike, guessRecordType, suggestMapping } from '../../src/pipeline/suggest.js'
import type { ColumnMapping } from '../../src/pipeline/types.js'
import { mappableNames, recordTypes } from '../../src/records/index.js'
import type { RecordTypeName } from '../../src/records/types.js'

type Given = string | readonly [name: string, ...samples: string[]]

function columns(given: readonly Given[]): ColumnLike[] {
  return given.map((column, index) => {
    const [name, ...samples] = typeof column === 'string' ? [column] : column
    return { index, name: name!, kind: 'TEXT', kindConfidence: 0, fillRate: samples.length === 0 ? 0 : 1, samples }
  })
}

function suggested(type: RecordTypeName, given: readonly Given[], minConfidence = 0.9): ColumnMapping[] {
  return suggestMapping({ type: recordTypes[type], columns: columns(given), minConfidence })
}

function fields(type: RecordTypeName, given: readonly Given[]): (string | null)[] {
  return suggested(type, given).map(({ field }) => field)
}

const EMAILS = ['ana@example.com', 'b.ortiz@example.net', 'info@example.org', 'lee@mail.example']
const NAMES = ['Ana Keller', 'Björn Ortiz', 'Chloé van Dijk', 'Diego O’Brien']

// ------------------------------------------------------------------------------------------------------------ headers

test('reads the same header in all its spellings', () => {
  for (const header of [
    'First Name',
    'FIRST_NAME',
    'firstName',
    'first-name',
    ' First  name* ',
    'first.name',
    '"First Name"',
    '3. First name:',
  ]) {
    assert.deepEqual(fields('contact', [header]), ['firstName'], header)
  }
  for (const header of ['Straße', 'STRASSE', 'Strasse', 'straße ']) {
    assert.deepEqual(fields('contact', [header]), ['addressLine1'], header)
  }
  for (const header of ['Wohnfläche', 'Wohnflaeche', 'Wohnfläche (m²)', 'Wohnfläche in qm', 'WOHNFLÄCHE']) {
    assert.deepEqual(fields('property', [header]), ['livingArea'], header)
  }
  for (const header of [
    'E-Mail',
    'email',
    'EMail',
    'E mail',
    'e_mail',
    'Email__c',
    'Contact.Email',
    'Person - Email',
    'E-mail 1',
    'Email (required)',
  ]) {
    assert.deepEqual(fields('contact', [header]), ['email'], header)
  }
})

test('takes words apart where people write them together', () => {
  assert.deepEqual(wordsOf('BathroomsTotalInteger'), ['bathrooms', 'total', 'integer'])
  assert.deepEqual(wordsOf('MLSNumber'), ['mls', 'number'])
  assert.deepEqual(wordsOf('MLS #'), ['mls', 'number'])
  assert.deepEqual(wordsOf('Address1'), ['address', '1'])
  assert.deepEqual(wordsOf('E-Mail-Adresse'), ['email', 'adresse'])
  assert.equal(keyOf(wordsOf("Complément d'adresse")), keyOf(wordsOf('complement d’adresse')))
})

test('knows a made-up name from a name', () => {
  for (const name of ['', ' ', 'Column 3', 'Unnamed: 0', 'Spalte 12', 'col_4', '7']) {
    assert.equal(readHeader(name).nameless, true, name)
  }
  for (const name of ['Colour', 'Field agent', 'Columbia', 'PLZ']) {
    assert.equal(readHeader(name).nameless, false, name)
  }
})

// ------------------------------------------------------------------------------------------------------------- values

test('values that agree make a clear header surer, values that contradict it make it doubtful', () => {
  const [alone] = suggested('contact', ['E-mail address'])
  const [agreeing] = suggested('contact', [['E-mail address', ...EMAILS]])
  const [contradicting] = suggested('contact', [['E-mail address', ...NAMES]])
  assert.equal(alone?.confidence, 0.93)
  assert.ok(agreeing!.confidence! >= 0.97)
  assert.equal(contradicting?.field, null)
  assert.ok(contradicting!.confidence! < 0.5)
  assert.equal(contradicting?.alternatives[0]?.field, 'email')
})

test('a few bad values do not make an e-mail column doubtful', () => {
  const [column] = suggested('contact', [
    ['Email', ...EMAILS, 'n/a', 'd@example.com', 'e@example.com', 'f@example.com', 'g@example.com', 'none'],
  ])
  assert.equal(column?.field, 'email')
  assert.ok(column.confidence! >= 0.97)
})

test('what was detected in the file counts where there are no samples', () => {
  const email = (kind: ColumnLike['kind']): number =>
    suggestMapping({
      type: recordTypes.contact,
      columns: [{ index: 0, name: 'Email', kind, kindConfidence: 0.95, fillRate: 1, samples: [] }],
      minConfidence: 0.9,
    })[0]!.confidence!
  assert.ok(email('EMAIL') > email('TEXT'))
  assert.ok(email('DATE') < 0.9)
})

test('a nameless column of e-mails is guessed weakly, never applied', () => {
  for (const name of ['', 'Column 2', 'Stuff']) {
    const [column] = suggested('contact', [[name, ...EMAILS]])
    assert.equal(column?.field, null)
    assert.equal(column.alternatives[0]?.field, 'email')
    assert.ok(column.alternatives[0].confidence >= 0.4 && column.alternatives[0].confidence < 0.7)
  }
})

test('an owner is a member only if the values are e-mail addresses', () => {
  for (const type of ['contact', 'lead', 'activity'] as const) {
    assert.deepEqual(fields(type, [['Owner', ...EMAILS]]), ['ownerEmail'], type)
    assert.deepEqual(fields(type, [['Owner', ...NAMES]]), [null], type)
    assert.deepEqual(fields(type, ['Owner']), [null], type)
    assert.deepEqual(fields(type, [['Owner ID', '005A1', '005A2', '005A3']]), [null], type)
  }
  assert.deepEqual(fields('property', [['Owner', ...NAMES]]), ['ownerName'])
})

test('a title is a job or a salutation, as its values say', () => {
  assert.deepEqual(fields('contact', [['Title', 'Broker', 'Head of Sales', 'Partner']]), ['jobTitle'])
  assert.deepEqual(fields('contact', [['Title', 'Mr.', 'Mrs.', 'Dr.']]), ['namePrefix'])
  assert.deepEqual(fields('contact', ['Title', 'Job Title', 'Last Name']), ['namePrefix', 'jobTitle', 'lastName'])
  assert.deepEqual(fields('lead', ['Title', 'Job Title', 'Last Name']), ['title', 'jobTitle', 'lastName'])
})

test('minutes and milliseconds are no seconds', () => {
  const minutes = ['5', '30', '45']
  for (const header of ['Duration (min)', 'Duration', 'DurationInMinutes', 'Duration ms', 'Dauer']) {
    assert.deepEqual(fields('activity', [[header, ...minutes]]), [null], header)
  }
  assert.deepEqual(fields('activity', [['Duration (seconds)', ...minutes]]), ['durationSeconds'])
})

test('a time of day without a day fills no field of a moment', () => {
  assert.deepEqual(fields('activity', [['Start Time', '09:30', '14:00', '17:15']]), [null])
  assert.deepEqual(fields('activity', [['Start Time', '2024-03-01 09:30', '2024-03-02 14:00', '2024-11-30 17:15']]), [
    'startAt',
  ])
})

test('a price per square metre is no price, and whether an address is the first one is no address', () => {
  assert.deepEqual(fields('property', ['Price', 'Price/SqFt', 'Preis pro m²', 'precio_m2']), [
    'listPrice',
    null,
    null,
    null,
  ])
  assert.deepEqual(fields('property', ['Preis in EUR', 'Fläche in m²']), ['listPrice', 'livingArea'])
  assert.deepEqual(fields('contact', ['Email Id', 'Is Primary (email)', 'Has phone']), ['email', null, null])
})

test('opting in is not opting out', () => {
  for (const header of ['Email Opt In', 'Subscribed', 'Newsletter', 'Marketing consent', 'Email allowed']) {
    assert.deepEqual(fields('contact', [[header, 'yes', 'no']]), [null], header)
  }
  assert.deepEqual(fields('contact', [['Email Opt Out', 'yes', 'no']]), ['emailOptOut'])
})

// ----------------------------------------------------------------------------------------------- what belongs to whom

test('an id is the external id of its own record type only', () => {
  const ids = ['0035f00000A1', '0035f00000A2', '0035f00000A3']
  for (const header of ['Id', 'Record ID', 'Contact ID']) {
    assert.deepEqual(fields('contact', [[header, ...ids]]), ['externalId'], header)
  }
  assert.deepEqual(fields('contact', [['Account ID', ...ids]]), ['organization.externalId'])
  assert.deepEqual(fields('contact', [['Owner ID', ...ids]]), [null])
  assert.deepEqual(fields('lead', [['Contact ID', ...ids]]), ['contact.externalId'])
  assert.deepEqual(fields('lead', [['Lead ID', ...ids]]), ['externalId'])
  assert.deepEqual(fields('property', [['Contact ID', ...ids]]), [null])
  assert.deepEqual(
    fields('activity', [
      ['Contact ID', ...ids],
      ['Listing ID', 'A-1', 'A-2', 'A-3'],
    ]),
    ['contact.externalId', 'property.listingId'],
  )
})

test('an id that few rows have, or that holds several, is no external id', () => {
  const rare = suggestMapping({
    type: recordTypes.contact,
    columns: [{ index: 0, name: 'ID', kind: 'TEXT', kindConfidence: 0, fillRate: 0.2, samples: ['a1', 'a2', 'a3'] }],
    minConfidence: 0.9,
  })
  assert.equal(rare[0]?.field, null)
  assert.deepEqual(fields('contact', [['Associated Company IDs', '12;14', '15', '17; 18', '12;19']]), [null])
})

test('what belongs to a spouse, an assistant or a company stays away from the person', () => {
  const others = [
    'Spouse First Name',
    'Spouse Email',
    "Assistant's Phone",
    'Manager Name',
    'Deal - Title',
    'Property Address',
    'Emergency Contact Phone',
    'Phonetic First Name',
  ]
  assert.deepEqual(
    fields('contact', others),
    others.map(() => null),
  )
})

test('an account name is the company of a person, and names a property nowhere', () => {
  assert.deepEqual(fields('contact', [['Account Name', 'Keller & Sons', 'Nordwind GmbH']]), ['companyName'])
  assert.deepEqual(fields('lead', ['Account Name']), ['companyName'])
  assert.deepEqual(fields('property', ['Account Name']), [null])
  assert.deepEqual(fields('property', ['Name']), ['name'])
})

test('a name is whole, first or last depending on the columns beside it', () => {
  assert.deepEqual(fields('contact', ['Name']), ['displayName'])
  assert.deepEqual(fields('contact', ['Name', 'Vorname']), ['lastName', 'firstName'])
  assert.deepEqual(fields('contact', ['Nom', 'Prénom']), ['lastName', 'firstName'])
  assert.deepEqual(fields('contact', ['Nombre', 'Apellidos']), ['firstName', 'lastName'])
  assert.deepEqual(fields('contact', ['Nome', 'Cognome']), ['firstName', 'lastName'])
  assert.deepEqual(fields('contact', ['Name', 'First Name', 'Last Name']), ['displayName', 'firstName', 'lastName'])
})

test('the state of a lead is its status, that of a contact is only a text', () => {
  assert.deepEqual(fields('lead', [['Status', 'New', 'Contacted', 'Qualified']]), ['status'])
  assert.deepEqual(fields('contact', [['Lead Status', 'New', 'Contacted', 'Qualified']]), [null])
  assert.deepEqual(fields('lead', [['Stage', 'New', 'Contacted', 'Won']]), ['status'])
  assert.deepEqual(fields('lead', [['Stage', 'Appointment scheduled', 'Contract sent']]), [null])
  assert.deepEqual(fields('lead', ['Ciudad', 'Código postal', ['Estado', 'Nuevo', 'Contactado', 'Perdido']]), [
    'city',
    'postalCode',
    'status',
  ])
  assert.deepEqual(fields('lead', ['Cidade', 'Código postal', ['Estado', 'SP', 'RJ', 'MG']]), [
    'city',
    'postalCode',
    'stateOrProvince',
  ])
})

test('dates of the source are told from dates of the record', () => {
  assert.deepEqual(fields('contact', ['Created', 'Modified', 'Last Activity Date']), [
    'sourceCreatedAt',
    'sourceUpdatedAt',
    null,
  ])
  assert.deepEqual(fields('lead', ['Close Date', 'Created Date', 'Date received']), [
    'expectedCloseDate',
    'sourceCreatedAt',
    'receivedAt',
  ])
  assert.deepEqual(fields('property', ['Close Date', 'Expiration Date']), ['closeDate', 'expirationDate'])
})

test('one address is taken whole, never mixed from two', () => {
  const both = ['Home Street', 'Home City', 'Home Postal Code', 'Work Street', 'Work City', 'Work Postal Code']
  const open = suggested('contact', both)
  assert.deepEqual(
    open.map(({ field }) => field),
    both.map(() => null),
    'which of them is the address is for a person to say',
  )
  assert.deepEqual(
    open.slice(0, 3).map(({ alternatives }) => alternatives[0]?.field),
    ['addressLine1', 'city', 'postalCode'],
  )
  const filled = suggestMapping({
    type: recordTypes.contact,
    columns: both.map((name, index) => ({
      ...columns([name])[0]!,
      index,
      fillRate: name.startsWith('Work') ? 0.9 : 0.02,
    })),
    minConfidence: 0.9,
  })
  assert.deepEqual(
    filled.map(({ field }) => field),
    [null, null, null, 'addressLine1', 'city', 'postalCode'],
  )
  assert.deepEqual(fields('contact', ['Street', 'City', 'Other Street', 'Other City']), [
    'addressLine1',
    'city',
    null,
    null,
  ])
})

test('the second of several has a field of its own or none', () => {
  assert.deepEqual(fields('contact', ['Email 1', 'Email 2', 'Email 3']), ['email', 'secondaryEmail', null])
  assert.deepEqual(fields('contact', ['Phone', 'Phone (2)', 'Email', 'Email (2)']), [
    'phone',
    null,
    'email',
    'secondaryEmail',
  ])
  assert.deepEqual(fields('contact', ['Address 1', 'Address 2', 'City']), ['addressLine1', 'addressLine2', 'city'])
  assert.deepEqual(fields('contact', ['Email 1', 'Email 1 - Type']), ['email', null])
})

// -------------------------------------------------------------------------------------------------------- whole files

test('a system is recognised by its header row, and words mean there what they mean there', () => {
  const outlook = [
    'Title',
    'First Name',
    'Last Name',
    'Suffix',
    'E-mail Address',
    'E-mail 2 Address',
    "Assistant's Phone",
    'Car Phone',
    'Business Phone',
  ]
  assert.equal(fields('contact', outlook)[0], 'namePrefix')
  const [title] = suggested('contact', outlook)
  assert.match(title!.reasons[0]!, /Outlook/)
  const hubspot = [
    'Record ID',
    'First Name',
    'Last Name',
    'Email',
    'Lifecycle Stage',
    'Associated Deal',
    'Associated Company',
  ]
  assert.equal(suggested('contact', hubspot)[6]?.field, 'companyName')
  const joined: readonly Given[] = [
    ...hubspot.slice(0, 6),
    ['Associated Company', 'Acme (85177310)', 'Nordwind (91400310)', 'Blue (1234567)'],
  ]
  assert.equal(suggested('contact', joined)[6]?.field, null, 'names and ids in one cell')
  assert.match(suggested('contact', hubspot)[6]!.reasons[0]!, /HubSpot/)
})

test('a word of another language than the rest of the file is not trusted', () => {
  assert.deepEqual(fields('contact', ['First Name', 'Last Name', 'Phone', 'Company', 'Service']), [
    'firstName',
    'lastName',
    'phone',
    'companyName',
    null,
  ])
  assert.deepEqual(fields('contact', ['ID', 'Nom', 'Prénom', 'Email', 'Téléphone']), [
    'externalId',
    'lastName',
    'firstName',
    'email',
    'phone',
  ])
  assert.deepEqual(fields('contact', ['Prénom', 'Nom', 'Téléphone', 'Société', 'Service']), [
    'firstName',
    'lastName',
    'phone',
    'companyName',
    'department',
  ])
})

test('two columns that fit one field equally well are left to a person', () => {
  const [first, second] = suggested('contact', [
    ['E-mail address', ...EMAILS],
    ['Mail address', 'x@example.com', 'y@example.com', 'z@example.com', 'w@example.com'],
    ['Second email', 'p@example.com', 'q@example.com', 'r@example.com'],
  ])
  assert.equal(first?.field, null)
  assert.equal(second?.field, null)
  assert.match([...first!.reasons, ...second!.reasons].join(' '), /equally well/)
  const same = fields('contact', [
    ['E-mail address', ...EMAILS],
    ['Mail address', ...EMAILS],
    ['Second email', 'p@example.com', 'q@example.com', 'r@example.com'],
  ])
  assert.deepEqual(same, ['email', null, 'secondaryEmail'], 'columns with the same values are no choice')
})

test('below minConfidence no field is set and the guess stands first among the alternatives', () => {
  const given: Given[] = [['Emial', ...EMAILS]]
  const [open] = suggested('contact', given)
  assert.equal(open?.field, null)
  assert.equal(open.alternatives[0]?.field, 'email')
  assert.equal(open.confidence, open.alternatives[0].confidence)
  const [set] = suggested('contact', given, 0.5)
  assert.equal(set?.field, 'email')
  assert.ok(set.confidence! < 0.9, 'a near miss is never sure')
  assert.ok(set.alternatives.every(({ field }) => field !== 'email'))
})

test('headers without a field stay without one', () => {
  const none = [
    'Christmas card',
    'IBAN',
    'Tax class',
    'Favourite colour',
    'Net worth',
    'foo',
    'x1',
    '???',
    'Lorem ipsum dolor',
    'Facebook',
    'Number of children',
  ]
  for (const type of Object.keys(recordTypes) as RecordTypeName[]) {
    assert.deepEqual(
      fields(type, none),
      none.map(() => null),
      type,
    )
  }
  assert.deepEqual(fields('contact', ['Deal Value', 'Amount', 'List Price', 'Bedrooms', 'Due Date', 'MLS #']), [
    null,
    null,
    null,
    null,
    null,
    null,
  ])
})

test('every column is answered in its place, with reasons and at most three alternatives', () => {
  const given = ['Email', 'Nothing', '', 'Work email', 'Name', 'Owner']
  const mapping = suggested('contact', given)
  assert.deepEqual(
    mapping.map(({ column, columnIndex }) => [column, columnIndex]),
    given.map((name, index) => [name, index]),
  )
  for (const entry of mapping) {
    assert.ok(entry.reasons.length > 0, entry.column!)
    assert.ok(entry.alternatives.length <= 3)
    assert.ok(entry.confidence! >= 0 && entry.confidence! < 1)
    assert.deepEqual(
      [entry.constant, entry.defaultValue, entry.valueMap, entry.onBlank, entry.format],
      [null, null, [], null, null],
    )
    const confidences = entry.alternatives.map(({ confidence }) => confidence)
    assert.deepEqual(
      confidences,
      confidences.toSorted((a, b) => b - a),
    )
  }
})

test('an empty file of columns has an empty mapping', () => {
  assert.deepEqual(suggested('contact', []), [])
  assert.equal(guessRecordType([]).recordType, 'contact')
})

test('no field is suggested twice, whatever the headers', () => {
  const random = generator(7)
  const words =
    'first last full name email mail phone mobile home work 2 3 address street city zip state id owner status date created price beds due start end note'.split(
      ' ',
    )
  for (let round = 0; round < 200; round++) {
    const given = Array.from({ length: 1 + Math.floor(random() * 40) }, () =>
      Array.from({ length: 1 + Math.floor(random() * 3) }, () => words[Math.floor(random() * words.length)]).join(' '),
    )
    const type = (Object.keys(recordTypes) as RecordTypeName[])[round % 4]!
    const taken = suggested(type, given, round % 2 === 0 ? 0.9 : 0).flatMap(({ field }) => field ?? [])
    assert.equal(new Set(taken).size, taken.length, given.join(', '))
    const known = new Set(mappableNames(recordTypes[type]))
    assert.ok(taken.every((field) => known.has(field)))
  }
})

test('every field is found by its own name and by its label', () => {
  for (const type of Object.values(recordTypes)) {
    const names = mappableNames(type)
    assert.deepEqual(fields(type.name, names), names, type.name)
    for (const { name, label } of lexiconOf(type).targets.filter((target) => !target.name.includes('.'))) {
      const meant = lexiconOf(type).exact.get(keyOf(wordsOf(label)))
      assert.ok(
        meant?.some(({ target }) => target.name === name),
        `${type.name}: ${label}`,
      )
    }
  }
})

test('200 columns take less than 100 ms', () => {
  const random = generator(11)
  const words =
    'customer first last home billing email phone number date of birth created status source agent owner price area square feet garage year built list expiration remarks'.split(
      ' ',
    )
  const given = Array.from(
    { length: 200 },
    (): Given => [
      Array.from({ length: 1 + Math.floor(random() * 4) }, () => words[Math.floor(random() * words.length)]).join(' '),
      ...Array.from({ length: 20 }, (_, index) => (random() < 0.5 ? `value ${index}` : `a${index}@example.com`)),
    ],
  )
  suggested('property', ['Name'])
  const times = [1, 2, 3].map(() => {
    const started = performance.now()
    suggested('property', given)
    return performance.now() - started
  })
  assert.ok(Math.min(...times) < 100, `${times.join(', ')} ms`)
})

// --------------------------------------------------------------------------------------------------------------- data

test('no word is a sure sign of two fields of one record type', () => {
  for (const type of Object.values(recordTypes)) {
    for (const [key, meanings] of lexiconOf(type).exact) {
      const sure = meanings.filter(({ alone }) => alone >= 0.9)
      assert.ok(sure.length <= 1, `${type.name}: “${key}” is ${sure.map(({ target }) => target.name).join(' and ')}`)
    }
  }
})

test('the synonym data speaks of fields that exist, in every language', () => {
  const all: Readonly<Record<RecordTypeName, Words>> = {
    contact: contactWords,
    lead: leadWords,
    property: propertyWords,
    activity: activityWords,
  }
  for (const type of Object.values(recordTypes)) {
    const known = new Set(mappableNames(type))
    assert.deepEqual(
      Object.keys(all[type.name]).filter((name) => !known.has(name) && !OTHER_TYPES.has(name)),
      [],
      type.name,
    )
    for (const name of known) {
      assert.ok(all[type.name][name] !== undefined, `${type.name}.${name} has no words`)
    }
  }
  for (const { source, recordType, fields: headers } of SOURCE_PACKS) {
    const known = new Set(mappableNames(recordTypes[recordType]))
    assert.deepEqual(
      Object.keys(headers).filter((name) => !known.has(name)),
      [],
      `${source} ${recordType}`,
    )
  }
})

/** Shared by all people, but a field of contacts only. */
const OTHER_TYPES = new Set(['middleName', 'nameSuffix'])

// --------------------------------------------------------------------------------------------------------- assignment

test('the assignment is the best there is', () => {
  const random = generator(3)
  for (let round = 0; round < 300; round++) {
    const columnCount = 1 + Math.floor(random() * 5)
    const fieldCount = 1 + Math.floor(random() * 5)
    const options: Option[] = []
    for (let column = 0; column < columnCount; column++) {
      for (let field = 0; field < fieldCount; field++) {
        if (random() < 0.6) {
          options.push({ column, field, worth: Math.round(random() * 100) / 10 - 2 })
        }
      }
    }
    const worthOf = (column: number, field: number): number =>
      options.find((option) => option.column === column && option.field === field)?.worth ?? Number.NaN
    const assigned = assign(columnCount, fieldCount, options)
    const fieldsTaken = [...assigned].filter((field) => field >= 0)
    assert.equal(new Set(fieldsTaken).size, fieldsTaken.length)
    const total = [...assigned].reduce((sum, field, column) => sum + (field < 0 ? 0 : worthOf(column, field)), 0)
    assert.ok(Math.abs(total - best(0, new Set())) < 1e-6, `round ${round}: ${total}`)

    function best(column: number, taken: ReadonlySet<number>): number {
      if (column === columnCount) {
        return 0
      }
      let most = best(column + 1, taken)
      for (let field = 0; field < fieldCount; field++) {
        const worth = worthOf(column, field)
        if (!taken.has(field) && worth > 0) {
          most = Math.max(most, worth + best(column + 1, new Set([...taken, field])))
        }
      }
      return most
    }
  }
})

/** Numbers from 0 to 1, the same every time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
