/** What a suggestion says besides the field: value maps, columns that come apart or belong together, custom fields. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ColumnLike, customFieldFor, suggestMapping } from '../../../src/pipeline/suggest.js'
import { transformNamed } from '../../../src/pipeline/transforms/index.js'
import { recordTypes } from '../../../src/records/index.js'
import type { RecordTypeName } from '../../../src/records/types.js'

type Given = readonly [name: string, ...samples: string[]]

function columnsOf(given: readonly Given[]): ColumnLike[] {
  return given.map(([name, ...samples], index) => ({
    index,
    name,
    kind: 'TEXT',
    kindConfidence: 0,
    fillRate: samples.length === 0 ? 0 : 1,
    samples,
  }))
}

function suggested(type: RecordTypeName, given: readonly Given[], minConfidence = 0.9) {
  return suggestMapping({ type: recordTypes[type], columns: columnsOf(given), minConfidence })
}

test('words of other systems are mapped to choices, unknown ones are left to a person', () => {
  const [status] = suggested('lead', [['Status', 'Closed - Converted', 'New', 'Trash', 'Sleeping', '3 - Won']])
  assert.equal(status!.field, 'status')
  assert.deepEqual(status!.valueMap, [
    { from: 'Closed - Converted', to: 'CONVERTED' },
    { from: 'Trash', to: 'UNQUALIFIED' },
    { from: '3 - Won', to: 'CONVERTED' },
  ])
  const [type] = suggested('property', [['Finalidade', 'Locação', 'Venda', 'Locação']])
  assert.deepEqual(
    [type!.field, type!.valueMap],
    [
      'transactionType',
      [
        { from: 'Locação', to: 'LEASE' },
        { from: 'Venda', to: 'SALE' },
      ],
    ],
  )
})

test('all values of a column are mapped where they are known, not its samples alone', () => {
  const [column] = columnsOf([['Status', 'sold', 'active', 'sold']])
  const topValues = ['sold', 'active', 'vendue'].map((value) => ({ value, count: 3 }))
  const [status] = suggestMapping({
    type: recordTypes.property,
    columns: [{ ...column!, topValues }],
    minConfidence: 0.9,
  })
  assert.deepEqual(status!.valueMap, [
    { from: 'sold', to: 'CLOSED' },
    { from: 'vendue', to: 'CLOSED' },
  ])
})

test('city, state and postal code in one cell come apart, behind the columns in their places', () => {
  const mapping = suggested('contact', [
    ['City, State ZIP', 'Austin, TX 78701', 'San Jose, CA 94105', 'Albany, NY 10001'],
    ['Email', 'ana@example.com', 'bo@example.com', 'cy@example.com'],
  ])
  assert.deepEqual(
    mapping.map(({ columnIndex, field, transforms }) => [columnIndex, field, transforms?.[0]?.arguments[0]?.value]),
    [
      [0, 'city', 'city'],
      [1, 'email', undefined],
      [0, 'stateOrProvince', 'state'],
      [0, 'postalCode', 'postalCode'],
    ],
  )
  assert.ok(transformNamed('splitAddress'))
  const plain = suggested('contact', [['City', 'Austin', 'San Jose', 'Albany']])
  assert.equal(plain[0]!.transforms, undefined)
})

test('two addresses in one file are not mixed, and a surer caller gets none apart', () => {
  const cells = ['Austin, TX 78701', 'San Jose, CA 94105', 'Albany, NY 10001'] as const
  const two = suggested('contact', [
    ['Location', ...cells],
    ['Address', ...cells],
  ])
  assert.ok(two.every(({ transforms }) => transforms === undefined))
  assert.ok(suggested('contact', [['Location', ...cells]], 0.99).every(({ transforms }) => transforms === undefined))
})

test('the number of a house is joined to its street, in the order of the language', () => {
  const [street, number] = suggested('contact', [
    ['Straße', 'Hauptstraße', 'Am Markt', 'Gartenweg'],
    ['Hausnummer', '12', '3a', '7'],
  ])
  assert.deepEqual(
    street!.transforms?.[0]?.arguments.map(({ value }) => value),
    ['Straße', 'Hausnummer', ' '],
  )
  assert.equal(number!.field, null)
  const [road] = suggested('contact', [
    ['Street', 'Elm St', 'Congress Ave', 'W 5th St'],
    ['House number', '12', '900', '44'],
  ])
  assert.deepEqual(
    road!.transforms?.[0]?.arguments.map(({ value }) => value),
    ['House number', 'Street', ' '],
  )
  const [whole] = suggested('contact', [
    ['Street', '12 Elm St', '900 Congress Ave', '44 W 5th St'],
    ['Number', '1', '2', '3'],
  ])
  assert.equal(whole!.transforms, undefined, 'it has its number')
})

test('a column without a place is told which custom field could hold it', () => {
  const [column] = suggested('contact', [['Favourite colour!', 'red', 'blue', 'green']])
  assert.equal(column!.field, null)
  assert.ok(column!.reasons.some((reason) => reason.includes('`favouriteColour`')))
  const [choice] = columnsOf([['T-Shirt Größe', 'S', 'M', 'L']])
  assert.deepEqual(customFieldFor({ ...choice!, kind: 'ENUM' }), {
    key: 'tShirtGrosse',
    label: 'T-Shirt Größe',
    kind: 'ENUM',
    options: ['S', 'M', 'L'],
  })
  assert.equal(customFieldFor({ ...choice!, name: '№' })?.key, 'number')
  assert.equal(customFieldFor({ ...choice!, name: '2024' }), null, 'no key begins with a digit')
})
