import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EarlierMapping } from '../../src/pipeline/suggest/earlier.js'
import { type ColumnLike, suggestMapping } from '../../src/pipeline/suggest.js'
import { recordTypes } from '../../src/records/index.js'

function column(
  index: number,
  name: string,
  samples: readonly string[],
  kind: ColumnLike['kind'] = 'TEXT',
): ColumnLike {
  return { index, name, kind, kindConfidence: 0.95, fillRate: 1, samples }
}

const towns = ['Leipzig', 'Mainz', 'Köln', 'Freiburg']
const mails = ['ada@example.com', 'grace@example.com', 'alan@example.com', 'edsger@example.com']

function suggest(columns: readonly ColumnLike[], ...earlier: readonly EarlierMapping[]) {
  return suggestMapping({ type: recordTypes.contact, columns, minConfidence: 0.9, earlier })
}

test('a column that was mapped before is mapped again, in whatever spelling, and says so', () => {
  const columns = [column(0, 'Wo_sitzt er', towns)]
  assert.equal(suggest(columns)[0]?.field, null)
  const [mapped] = suggest(columns, { column: 'wo sitzt er', field: 'city', times: 3 })
  assert.equal(mapped?.field, 'city')
  assert.match(mapped?.reasons[0] ?? '', /^Mapped to City in 3 earlier imports\.$/)
})

test('what people said wins over what a header says', () => {
  const columns = [column(0, 'City', towns)]
  assert.equal(suggest(columns)[0]?.field, 'city')
  assert.equal(suggest(columns, { column: 'City', field: 'stateOrProvince', times: 2 })[0]?.field, 'stateOrProvince')
})

test('a column that people left out stays without a field, its guess is shown', () => {
  const [left] = suggest([column(0, 'City', towns)], { column: 'City', field: null, times: 2 })
  assert.equal(left?.field, null)
  assert.equal(left?.alternatives[0]?.field, 'city')
  assert.ok(left?.reasons.includes('This column was left out in 2 earlier imports.'))
})

test('people who do not agree say nothing', () => {
  const columns = [column(0, 'Wo sitzt er', towns)]
  const twice = suggest(
    columns,
    { column: 'Wo sitzt er', field: 'city', times: 2 },
    { column: 'Wo sitzt er', field: 'country', times: 2 },
  )
  assert.equal(twice[0]?.field, null)
  const nearly = suggest(
    columns,
    { column: 'Wo sitzt er', field: 'city', times: 9 },
    { column: 'Wo sitzt er', field: 'country', times: 1 },
  )
  assert.equal(nearly[0]?.field, 'city')
})

test('values of another kind than then are not forced into the field', () => {
  const [phone] = suggest([column(0, 'Ruf', mails, 'EMAIL')], { column: 'Ruf', field: 'birthDate', times: 5 })
  assert.notEqual(phone?.field, 'birthDate')
})

test('a field that is gone is not suggested', () => {
  const columns = [column(0, 'Lieblingsfarbe', ['rot', 'blau'])]
  assert.deepEqual(suggest(columns, { column: 'Lieblingsfarbe', field: 'custom.colour', times: 4 }), suggest(columns))
})

test('no field is given twice', () => {
  const columns = [column(0, 'City', towns), column(1, 'Ort des Büros', towns.toReversed())]
  const fields = suggest(columns, { column: 'Ort des Büros', field: 'city', times: 1 }).map(({ field }) => field)
  assert.equal(fields.filter((field) => field === 'city').length <= 1, true)
})
