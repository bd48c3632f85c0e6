/** What a mapping means, and what a person has to decide before anything is written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../../src/errors.js'
import { compileMapping } from '../../src/pipeline/map.js'
import { effectiveMatchRules } from '../../src/pipeline/resolve.js'
import { protectedColumns, recordTypes, referencePath } from '../../src/records/index.js'
import { defaultOptions, mapFile, resolveFile, type TestFile } from './map-world.js'

function refused(file: TestFile, code: string, words: RegExp, field?: readonly string[]): void {
  assert.throws(
    () => resolveFile(file),
    (error: unknown) => {
      assert.ok(error instanceof Refusal, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, words)
      if (field !== undefined) {
        assert.deepEqual(error.field, field)
      }
      return true
    },
  )
}

function conflicts(file: TestFile): (readonly [string, string])[] {
  return resolveFile(file).conflicts.map(({ code, field }) => [code, field] as const)
}

const person = { field: 'lastName', cells: ['Berg'] }

test('a mapping without doubt has no conflicts', () => {
  const {
    conflicts: none,
    unmappedRequired,
    resolved,
  } = resolveFile({
    type: 'contact',
    columns: [person, { column: 'Geb.', field: 'birthDate', cells: ['31.12.1980'] }, { field: null, cells: ['x'] }],
    source: { timeZone: 'Europe/Berlin', defaultCountry: 'de' },
  })
  assert.deepEqual(none, [])
  assert.deepEqual(unmappedRequired, [])
  assert.equal(resolved.timeZone, 'Europe/Berlin')
  assert.equal(resolved.defaultCountry, 'DE')
  assert.deepEqual(resolved.columns[1], {
    index: 1,
    columnName: 'Geb.',
    field: 'birthDate',
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: 'KEEP',
    format: 'dd.MM.yyyy',
  })
  assert.equal(resolved.columns.length, 2)
})

test('a field that two columns feed is a conflict that names both', () => {
  const { conflicts: found, resolved } = resolveFile({
    type: 'contact',
    columns: [
      person,
      { column: 'Mail', field: 'email', cells: ['a@b.de'] },
      { column: 'E-Mail', field: 'email', cells: ['c@d.de'] },
    ],
  })
  assert.deepEqual(
    found.map(({ code, field, columns }) => [code, field, columns]),
    [['FIELD_MAPPED_TWICE', 'email', ['Mail', 'E-Mail']]],
  )
  assert.equal(resolved.columns.filter((column) => column.field === 'email').length, 1)
  assert.deepEqual(
    conflicts({
      type: 'contact',
      columns: [person, { field: 'status', constant: 'A' }, { field: 'status', cells: ['B'] }],
    }),
    [['FIELD_MAPPED_TWICE', 'status']],
  )
})

test('two keys of one reference are no conflict', () => {
  assert.deepEqual(
    conflicts({
      type: 'contact',
      columns: [
        person,
        { field: 'organization.email', cells: ['a@b.de'] },
        { field: 'organization.externalId', cells: ['1'] },
      ],
    }),
    [],
  )
})

test('a required field that nothing gives or builds is a conflict, unless nothing is created', () => {
  const file: TestFile = {
    type: 'activity',
    columns: [
      { field: 'externalId', cells: ['1'] },
      { field: 'body', cells: ['x'] },
    ],
  }
  const { conflicts: found, unmappedRequired } = resolveFile(file)
  assert.deepEqual(unmappedRequired, ['type'])
  assert.deepEqual(
    found.map(({ code, field }) => [code, field]),
    [['REQUIRED_UNMAPPED', 'type']],
  )
  assert.match(found[0]?.message ?? '', /UPDATE_ONLY/)
  assert.deepEqual(conflicts({ ...file, options: { operation: 'UPDATE_ONLY' } }), [])
  assert.deepEqual(conflicts({ ...file, options: { operation: 'DELETE' } }), [])
  assert.deepEqual(conflicts({ type: 'activity', columns: [...file.columns, { field: 'type', constant: 'NOTE' }] }), [])
})

test('a name that can be built from mapped parts is not missing', () => {
  assert.deepEqual(conflicts({ type: 'contact', columns: [{ field: 'email', cells: ['a@b.de'] }] }), [])
  assert.deepEqual(conflicts({ type: 'contact', columns: [{ field: 'phone', cells: ['1'] }] }), [
    ['REQUIRED_UNMAPPED', 'displayName'],
  ])
  assert.deepEqual(conflicts({ type: 'property', columns: [{ field: 'listingId', cells: ['1'] }] }), [])
  assert.deepEqual(conflicts({ type: 'property', columns: [{ field: 'city', cells: ['x'] }] }), [
    ['REQUIRED_UNMAPPED', 'name'],
  ])
  assert.deepEqual(conflicts({ type: 'lead', columns: [{ field: 'contact.email', cells: ['a@b.de'] }] }), [])
  assert.deepEqual(conflicts({ type: 'lead', columns: [{ field: 'title', cells: ['Deal'] }] }), [
    ['REQUIRED_UNMAPPED', 'displayName'],
  ])
})

test('dates that can be read in two ways wait for a person, with both readings', () => {
  const file: TestFile = {
    type: 'contact',
    columns: [person, { column: 'Born', field: 'birthDate', cells: ['03/04/1980', '05/06/1981'] }],
  }
  const [conflict] = resolveFile(file).conflicts
  assert.equal(conflict?.code, 'AMBIGUOUS_FORMAT')
  assert.deepEqual(conflict?.columns, ['Born'])
  assert.deepEqual(conflict?.readings, [
    { format: 'dd/MM/yyyy', exampleValue: '03/04/1980', exampleReading: '1980-04-03' },
    { format: 'MM/dd/yyyy', exampleValue: '03/04/1980', exampleReading: '1980-03-04' },
  ])
  // Decided by the column, by the file, by the values.
  const decided = {
    ...file,
    columns: [person, { column: 'Born', field: 'birthDate', format: 'MM/DD/YYYY', cells: ['03/04/1980'] }],
  }
  assert.deepEqual(conflicts(decided), [])
  assert.equal(mapFile(decided)[0]?.values.birth_date, '1980-03-04')
  assert.deepEqual(conflicts({ ...file, source: { dateFormat: 'dd/MM/yyyy' } }), [])
  assert.equal(mapFile({ ...file, source: { dateFormat: 'dd/MM/yyyy' } })[0]?.values.birth_date, '1980-04-03')
  assert.deepEqual(
    conflicts({ type: 'contact', columns: [person, { field: 'birthDate', cells: ['03/04/1980', '31/12/1980'] }] }),
    [],
  )
})

test('what is said of the dates of the whole file does not touch columns with one reading', () => {
  const { resolved, conflicts: none } = resolveFile({
    type: 'lead',
    columns: [
      person,
      { field: 'receivedAt', cells: ['2026-03-01 10:00'] },
      { field: 'expectedCloseDate', cells: ['03/04/2026'] },
      { field: 'nextFollowUpAt', cells: [''] },
    ],
    source: { dateFormat: 'MM/dd/yyyy' },
  })
  assert.deepEqual(none, [])
  assert.deepEqual(
    resolved.columns.map(({ format }) => format),
    [null, 'yyyy-MM-dd', 'MM/dd/yyyy', 'MM/dd/yyyy'],
  )
})

test('the same dates mean nothing to a column of text', () => {
  assert.deepEqual(conflicts({ type: 'contact', columns: [person, { field: 'notes', cells: ['03/04/1980'] }] }), [])
})

test('numbers that can be read in two ways wait for a person, unless the field has no room for the other', () => {
  const cells = ['1,850', '2,100']
  const [conflict] = resolveFile({
    type: 'property',
    columns: [
      { field: 'name', cells: ['A'] },
      { field: 'livingArea', cells },
    ],
  }).conflicts
  assert.equal(conflict?.code, 'AMBIGUOUS_FORMAT')
  assert.deepEqual(
    conflict?.readings.map(({ exampleReading }) => exampleReading),
    ['1850', '1.850'],
  )
  const money: TestFile = {
    type: 'property',
    columns: [
      { field: 'name', cells: ['A'] },
      { field: 'listPrice', cells: ['350,000', '1,250'] },
    ],
  }
  assert.deepEqual(conflicts(money), [])
  assert.equal(mapFile(money)[0]?.values.list_price, '350000')
  const euros: TestFile = {
    type: 'property',
    columns: [
      { field: 'name', cells: ['A'] },
      { field: 'listPrice', cells: ['350.000', '1.250'] },
    ],
  }
  assert.deepEqual(conflicts(euros), [])
  assert.equal(mapFile(euros)[0]?.values.list_price, '350000')
  const mixed: TestFile = {
    type: 'property',
    columns: [
      { field: 'name', cells: ['A'] },
      { field: 'listPrice', cells: ['350.000', '1,250'] },
    ],
  }
  assert.deepEqual(conflicts(mixed), [['AMBIGUOUS_FORMAT', 'listPrice']])
  assert.deepEqual(conflicts({ ...mixed, source: { decimalSeparator: ',' } }), [])
})

test('values that a choice does not know wait for a person', () => {
  const cells = ['New', 'Stage 7', 'won', 'Stage 8', '', '#N/A', '-']
  const file: TestFile = {
    type: 'lead',
    columns: [person, { column: 'Stage', field: 'status', cells }],
    options: { clearText: '-' },
  }
  const [conflict] = resolveFile(file).conflicts
  assert.equal(conflict?.code, 'UNKNOWN_VALUES')
  assert.deepEqual(conflict?.values, ['Stage 7', 'Stage 8'])
  assert.match(conflict?.message ?? '', /"Stage 7", "Stage 8"/)
  const valueMap = [
    { from: 'STAGE 7', to: 'Qualified' },
    { from: 'stage 8', to: '' },
  ]
  const mapped: TestFile = {
    ...file,
    columns: [person, { column: 'Stage', field: 'status', cells: cells.map((cell) => cell.toLowerCase()), valueMap }],
  }
  assert.deepEqual(conflicts(mapped), [])
})

test('values of a choice with too many to count are left to the rows', () => {
  const cells = Array.from({ length: 1_500 }, (_, index) => `Stage ${index}`)
  assert.deepEqual(conflicts({ type: 'lead', columns: [person, { field: 'status', cells }] }), [])
})

test('match rules are the external id and then the natural keys, as far as they are mapped', () => {
  const { contact, lead, property, activity } = recordTypes
  assert.deepEqual(effectiveMatchRules(contact, defaultOptions, ['externalId', 'email', 'phone']), [
    ['externalId'],
    ['email'],
  ])
  assert.deepEqual(effectiveMatchRules(lead, defaultOptions, ['email']), [['email']])
  assert.deepEqual(effectiveMatchRules(property, defaultOptions, ['listingId', 'name']), [['listingId']])
  assert.deepEqual(effectiveMatchRules(activity, defaultOptions, ['subject']), [])
})

test('match rules of the options are used in their order, as far as they are mapped', () => {
  const options = { ...defaultOptions, matchOn: [['phone', 'lastName'], ['email'], ['externalId']] }
  assert.deepEqual(effectiveMatchRules(recordTypes.contact, options, ['phone', 'lastName', 'email']), [
    ['phone', 'lastName'],
    ['email'],
  ])
  assert.deepEqual(effectiveMatchRules(recordTypes.contact, options, ['phone', 'email']), [['email']])
})

test('match rules that can never work are refused', () => {
  const columns = [person]
  refused({ type: 'contact', columns, options: { matchOn: [['email'], ['nickname']] } }, 'UNKNOWN_FIELD', /nickname/, [
    'options',
    'matchOn',
    '1',
  ])
  refused(
    { type: 'contact', columns, options: { matchOn: [['lastName']] } },
    'INVALID_INPUT',
    /externalId, email, phone/,
  )
  refused(
    { type: 'contact', columns, options: { matchOn: [['email', 'organization']] } },
    'INVALID_INPUT',
    /organization/,
  )
  refused({ type: 'contact', columns, options: { matchOn: [['email', 'tags']] } }, 'INVALID_INPUT', /tags/)
  refused({ type: 'contact', columns, options: { matchOn: [[]] } }, 'INVALID_INPUT', /at least one/)
})

test('a run that has to find records needs a mapped key', () => {
  const columns = [person]
  assert.deepEqual(conflicts({ type: 'contact', columns }), [])
  assert.deepEqual(conflicts({ type: 'contact', columns, options: { operation: 'UPDATE_ONLY' } }), [
    ['MATCH_FIELD_UNMAPPED', 'externalId'],
  ])
  assert.deepEqual(conflicts({ type: 'contact', columns, options: { operation: 'DELETE' } }), [
    ['MATCH_FIELD_UNMAPPED', 'externalId'],
  ])
  assert.deepEqual(conflicts({ type: 'contact', columns, options: { matchOn: [['email']] } }), [
    ['MATCH_FIELD_UNMAPPED', 'email'],
  ])
})

test('columns and fields that do not exist are refused', () => {
  refused({ type: 'contact', columns: [{ field: 'nickname', cells: ['x'] }] }, 'UNKNOWN_FIELD', /nickname/, [
    'mapping',
    '0',
    'field',
  ])
  refused(
    { type: 'contact', columns: [{ field: 'organization', cells: ['x'] }] },
    'UNKNOWN_FIELD',
    /organization\.externalId or organization\.email/,
  )
  refused(
    { type: 'contact', columns: [{ field: 'organization.phone', cells: ['x'] }] },
    'UNKNOWN_FIELD',
    /organization\.phone/,
  )
  refused(
    {
      type: 'contact',
      columns: [
        { ...person, column: 'Last', columnIndex: 7 },
        { ...person, column: 'Gone', columnIndex: 3 },
        { field: 'email', column: null, columnIndex: 9 },
      ],
    },
    'UNKNOWN_COLUMN',
    /number 9/,
  )
  refused(
    { type: 'contact', columns: [{ field: 'email', column: null, columnIndex: null }] },
    'UNKNOWN_COLUMN',
    /constant/,
  )
})

test('no mapping can write a protected column [AR-5]', () => {
  for (const type of Object.values(recordTypes)) {
    for (const column of protectedColumns) {
      const name = column.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
      for (const field of [column, name, `${type.name}.${name}`, `contact.${name}`]) {
        if (field === 'id' || referencePath(type, field)?.key === 'id') {
          // Matched by, and in none of the columns that are written.
          const { resolved } = resolveFile({
            type: type.name,
            columns: [{ field, cells: ['0192f0aa-1111-7abc-8def-000000000001'] }],
          })
          const [stage] = compileMapping(resolved, type).stageColumns
          assert.equal(stage?.role, field === 'id' ? 'id' : 'key')
          continue
        }
        refused({ type: type.name, columns: [{ field, cells: ['x'] }] }, 'UNKNOWN_FIELD', /field/)
        refused({ type: type.name, columns: [{ field, constant: 'x' }] }, 'UNKNOWN_FIELD', /field/)
      }
    }
  }
})

test('values of the mapping itself have to be values of their field', () => {
  refused({ type: 'lead', columns: [{ field: 'status', constant: 'Foo' }] }, 'INVALID_INPUT', /none of/, [
    'mapping',
    '0',
    'constant',
  ])
  refused({ type: 'lead', columns: [{ field: 'status', constant: ' ' }] }, 'INVALID_INPUT', /empty/)
  refused(
    { type: 'lead', columns: [{ field: 'score', cells: ['1'], defaultValue: 'many' }] },
    'INVALID_INPUT',
    /whole number/,
    ['mapping', '0', 'defaultValue'],
  )
  refused(
    { type: 'lead', columns: [{ field: 'status', cells: ['x'], valueMap: [{ from: 'x', to: 'y' }] }] },
    'INVALID_INPUT',
    /none of/,
    ['mapping', '0', 'valueMap'],
  )
  refused(
    { type: 'lead', columns: [{ field: 'contact.email', cells: ['a@b.de'], defaultValue: 'c@d.de' }] },
    'INVALID_INPUT',
    /no default/,
  )
  refused(
    { type: 'lead', columns: [{ field: 'ownerEmail', cells: ['a@b.de'], defaultValue: 'c@d.de' }] },
    'INVALID_INPUT',
    /defaultOwnerEmail/,
  )
})

test('formats, zones and countries that do not exist are refused', () => {
  const born = { field: 'birthDate', cells: ['2026-01-01'] }
  refused({ type: 'contact', columns: [{ ...born, format: 'dd of MM' }] }, 'INVALID_INPUT', /dd\/MM\/yyyy/, [
    'mapping',
    '0',
    'format',
  ])
  refused({ type: 'contact', columns: [born], source: { dateFormat: 'x' } }, 'INVALID_INPUT', /format/, [
    'source',
    'dateFormat',
  ])
  refused(
    { type: 'lead', columns: [{ field: 'score', cells: ['1'] }], source: { decimalSeparator: ';' } },
    'INVALID_INPUT',
    /format/,
    ['source', 'decimalSeparator'],
  )
  refused({ type: 'contact', columns: [person], source: { timeZone: 'Berlin' } }, 'INVALID_INPUT', /IANA/, [
    'source',
    'timeZone',
  ])
  refused({ type: 'contact', columns: [person], source: { defaultCountry: 'Germany' } }, 'INVALID_INPUT', /ISO/, [
    'source',
    'defaultCountry',
  ])
})
