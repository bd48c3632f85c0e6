import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyTemplate, headerOf, namedColumns, type SavedMapping, signatureOf } from '../../src/pipeline/template.js'
import type { ColumnMapping } from '../../src/pipeline/types.js'
import { recordTypes } from '../../src/records/index.js'

/** An entry as a person makes it, or, with a confidence, as it is suggested. */
function entry(column: string | null, field: string | null, more: Partial<ColumnMapping> = {}): ColumnMapping {
  return {
    column,
    columnIndex: null,
    field,
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: null,
    format: null,
    confidence: null,
    reasons: [],
    alternatives: [],
    ...more,
  }
}

function file(...columns: (string | readonly [name: string, suggested: string])[]): ColumnMapping[] {
  return columns.map((column, columnIndex) => {
    const [name, field] = typeof column === 'string' ? [column, null] : column
    return entry(name, field, { columnIndex, confidence: field === null ? 0 : 0.95 })
  })
}

function template(
  mapping: readonly ColumnMapping[],
  header: readonly string[] | null = headerOf(mapping),
): SavedMapping {
  return { name: 'T', version: 3, mapping, header }
}

const saved = [entry('E-mail', 'email'), entry('Phone', 'phone'), entry('Colour', null)]
const type = recordTypes.contact

function apply(
  mapping: readonly ColumnMapping[],
  suggested: readonly ColumnMapping[],
  header?: readonly string[] | null,
) {
  const { mapping: applied, drift } = applyTemplate({ template: template(mapping, header), type, suggested })
  return {
    fields: Object.fromEntries(applied.map(({ column, columnIndex, field }) => [`${columnIndex} ${column}`, field])),
    drift: drift.map(({ code, field, columns }) => `${code} ${field} ${columns.join(' ')}`),
    messages: drift.map(({ message }) => message),
    applied,
  }
}

test('columns are found by name, whatever their order, case and punctuation', () => {
  const { fields, drift } = apply(saved, file('colour', 'PHONE', 'e_mail'))
  assert.deepEqual(fields, { '2 e_mail': 'email', '1 PHONE': 'phone', '0 colour': null })
  assert.deepEqual(drift, [])
})

test('a column of two that differ in spelling alone is taken by its very name', () => {
  const { fields, drift } = apply([entry('email', 'email'), entry('E-Mail', 'secondaryEmail')], file('E-Mail', 'email'))
  assert.deepEqual(fields, { '1 email': 'email', '0 E-Mail': 'secondaryEmail' })
  assert.deepEqual(drift, [])
})

test('a missing column that goes nowhere troubles nobody', () => {
  assert.deepEqual(apply(saved, file('E-mail', 'Phone')).drift, [])
})

test('a missing column names the new one that is meant for its field, though it is called otherwise', () => {
  const { drift, fields } = apply(saved, file('E-mail', 'Colour', ['Ruf', 'phone']))
  assert.deepEqual(drift, ['TEMPLATE_DRIFT phone Phone Ruf'])
  assert.equal(fields['2 Ruf'], null)
})

test('a missing column without a successor is named alone', () => {
  assert.deepEqual(apply(saved, file('E-mail', 'Colour', 'Zzz')).drift, ['TEMPLATE_DRIFT phone Phone'])
})

test('a new column for a field that the template does not feed is asked about', () => {
  const { drift, messages, applied } = apply(saved, file('E-mail', 'Phone', 'Colour', ['Ort', 'city']))
  assert.deepEqual(drift, ['TEMPLATE_DRIFT city Ort'])
  assert.match(messages[0] ?? '', /“Ort” is new, looks like city; .* importMappingUpdate/)
  assert.deepEqual(applied.at(-1)?.alternatives, [{ field: 'city', confidence: 0.95 }])
})

test('a new column for a field that is fed already, or for none, goes nowhere', () => {
  assert.deepEqual(apply(saved, file('E-mail', 'Phone', 'Colour', ['Erreichbar', 'email'], 'Zzz')).drift, [])
})

test('while the header row is not known, no column is new', () => {
  const some = saved.slice(0, 2)
  assert.equal(headerOf(some), null)
  assert.deepEqual(apply(some, file('E-mail', 'Phone', 'Phone 2', ['Ort', 'city'])).drift, [])
  assert.deepEqual(apply(some, file('E-mail', 'Phone', 'Phone 2'), ['E-mail', 'Phone']).drift, [
    'TEMPLATE_DRIFT phone Phone 2',
  ])
})

test('a column that is suggested for two fields is one column', () => {
  const twice = ['firstName', 'lastName'].map((field) => entry('Name', field, { columnIndex: 0, confidence: 0.95 }))
  const { applied, drift } = apply([entry('Name', 'displayName')], twice)
  assert.deepEqual(
    applied.map(({ column, field }) => [column, field]),
    [['Name', 'displayName']],
  )
  assert.deepEqual(drift, [])
})

test('constants stay, and a field that is gone becomes no other', () => {
  const { fields, drift } = apply(
    [entry(null, 'source', { constant: 'Fair' }), entry('Old', 'custom.old')],
    file('Old'),
  )
  assert.deepEqual(fields, { 'null null': 'source', '0 Old': null })
  assert.deepEqual(drift, ['TEMPLATE_DRIFT custom.old Old'])
})

test('a column that a transform reads is missed as one with a field', () => {
  const joined = entry('First', 'displayName', {
    transforms: [{ name: 'join', arguments: [{ name: 'column', value: 'Last' }] }],
  })
  assert.deepEqual(namedColumns([joined]), ['First', 'Last'])
  assert.deepEqual(apply([joined], file('First', 'Last')).drift, [])
  const { drift, applied } = apply([joined], file('First', 'Last name'))
  assert.deepEqual(drift, ['TEMPLATE_DRIFT displayName Last Last name'])
  assert.ok(applied.every(({ field }) => field === null))
})

test('a header row is recognised in any order and spelling', () => {
  assert.deepEqual(signatureOf(['E-Mail', 'phone 1']), signatureOf(['Phone_1', 'email']))
  assert.notDeepEqual(signatureOf(['Phone 1']), signatureOf(['Phone 2']))
  assert.deepEqual(signatureOf(['Größe']), signatureOf(['grösse'.replace('ss', 'ß')]))
})
