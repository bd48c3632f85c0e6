/** Transforms within a mapping: what comes before them, what comes behind, and what they spare a person from. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../../../src/errors.js'
import { compileMapping } from '../../../src/pipeline/map.js'
import { recordTypes } from '../../../src/records/index.js'
import { mapFile, outcome, resolveFile } from '../map-world.js'
import { call } from './world.js'

const lastName = { field: 'lastName', cells: ['x', 'x', 'x', 'x', 'x'] }

test('texts are cleared, then transformed, then blank, then mapped, then read', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      {
        field: 'jobTitle',
        cells: ['NULL', '#REF!', '-', ' boss ', 'ceo'],
        transforms: [call('blankIf', { value: '-' }), call('upper')],
        valueMap: [{ from: 'BOSS', to: 'Owner' }],
        onBlank: 'CLEAR',
      },
      lastName,
    ],
    options: { clearText: 'NULL' },
  })
  assert.deepEqual(
    rows.map(({ values, cleared, issues }) => [values['job_title'] ?? null, cleared, issues.map(({ code }) => code)]),
    [
      [null, ['jobTitle'], []],
      [null, null, ['FORMULA_CELL']],
      [null, ['jobTitle'], []],
      ['Owner', null, []],
      ['CEO', null, []],
    ],
  )
})

test('a value that a transform cannot read follows onInvalidRow, and says which transform it was', () => {
  const columns = [
    {
      field: 'birthDate',
      cells: ['31/12/1980', 'soon'],
      transforms: [call('trim'), call('date', { format: 'dd/MM/yyyy' })],
    },
    lastName,
  ]
  const [good, bad] = mapFile({ type: 'contact', columns })
  assert.equal(good?.values['birth_date'], '1980-12-31')
  assert.equal(bad?.ok, false)
  assert.deepEqual(bad?.issues, [
    {
      row: 3,
      column: 'birthDate 0',
      field: 'birthDate',
      code: 'TRANSFORM_FAILED',
      severity: 'ERROR',
      value: 'soon',
      message: 'Transform 2, date, cannot read the value. Expected a date written as dd/MM/yyyy.',
      suggestion: 'Correct the cell, or the transforms of the column.',
    },
  ])
  const [, dropped] = mapFile({ type: 'contact', columns, options: { onInvalidRow: 'DROP_VALUE' } })
  assert.equal(dropped?.ok, true)
  assert.deepEqual(dropped?.values['birth_date'], undefined)
  assert.equal(dropped?.issues[0]?.severity, 'WARNING')
})

test('one column feeds several fields, and several columns feed one', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      {
        field: 'firstName',
        column: 'Name',
        cells: ['Dr. Ada van der Lovelace'],
        transforms: [call('splitName', { part: 'first' })],
      },
      {
        field: 'lastName',
        column: 'Name',
        columnIndex: 0,
        transforms: [call('splitName', { part: 'last' })],
        constant: null,
      },
      {
        field: 'addressLine1',
        column: 'Street',
        columnIndex: 2,
        cells: ['12 Main St'],
        transforms: [call('join', { column: ['Unit'], separator: ', ' })],
      },
      { field: null, column: 'Unit', cells: ['Unit 4'] },
      {
        field: 'notes',
        column: null,
        columnIndex: null,
        constant: null,
        transforms: [call('template', { text: '{Unit} of {Street}' })],
      },
    ].map((column) => ({ ...column, ...('cells' in column ? {} : { cells: [] }) })),
  })
  assert.equal(row?.values['first_name'], 'Ada')
  assert.equal(row?.values['last_name'], 'van der Lovelace')
  assert.equal(row?.values['address_line1'], '12 Main St, Unit 4')
  assert.equal(row?.values['notes'], 'Unit 4 of 12 Main St')
})

test('a cell that clears is blank to other columns, and the error of a formula is told', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      { field: 'notes', cells: ['a', 'a'], transforms: [call('join', { column: ['Other'] })] },
      { field: null, column: 'Other', cells: ['NULL', '#N/A'] },
      lastName,
    ],
    options: { clearText: 'NULL' },
  })
  assert.equal(rows[0]?.values['notes'], 'a')
  assert.deepEqual(
    rows[1]?.issues.map(({ code, value }) => [code, value]),
    [['FORMULA_CELL', '#N/A']],
  )
})

test('a question about dates or numbers is spared by a transform that says how to read them', () => {
  const ask = (transforms?: ReturnType<typeof call>[]) =>
    resolveFile({
      type: 'lead',
      columns: [
        lastName,
        {
          field: 'expectedCloseDate',
          cells: ['03/04/2025', '05/06/2025'],
          ...(transforms === undefined ? {} : { transforms }),
        },
      ],
    }).conflicts.map(({ code }) => code)
  assert.deepEqual(ask(), ['AMBIGUOUS_FORMAT'])
  assert.deepEqual(ask([call('trim')]), ['AMBIGUOUS_FORMAT'])
  assert.deepEqual(ask([call('date', { format: 'dd/MM/yyyy' })]), [])
})

test('what transforms leave of a column is proven, or asked', () => {
  const price = (cells: readonly string[]) =>
    resolveFile({
      type: 'property',
      columns: [
        { field: 'name', cells: cells.map(() => 'x') },
        { field: 'livingArea', cells, transforms: [call('removePrefix', { prefix: 'ca. area ' })] },
      ],
    })
  const proven = price(['ca. area 1.234,5', 'ca. area 1.234'])
  assert.deepEqual(proven.conflicts, [])
  assert.equal(proven.resolved.columns[1]?.format, '1.234,56')
  const open = price(['ca. area 1.234', 'ca. area 2.345'])
  assert.deepEqual(
    open.conflicts.map(({ code, values }) => [code, values.slice(0, 1)]),
    [['AMBIGUOUS_FORMAT', ['1.234']]],
  )
})

test('a format that the cells have proven does not read what transforms have made of them', () => {
  const columns = [
    { field: 'name', cells: ['x', 'x'] },
    { field: 'livingArea', cells: ['1234,567', '1,5'], transforms: [call('replace', { find: ',', with: '.' })] },
  ]
  const read = mapFile({ type: 'property', columns })
  assert.deepEqual(
    read.map(({ values }) => values['living_area']),
    ['1234.57', '1.5'],
  )
  // What only becomes blank says nothing: all cells have proven the format.
  const { resolved, conflicts } = resolveFile({
    type: 'property',
    columns: [
      { field: 'name', cells: ['x', 'x', 'x'] },
      { field: 'livingArea', cells: ['1.234', '1,5', '-'], transforms: [call('blankIf', { value: '-' })] },
    ],
  })
  assert.deepEqual(conflicts, [])
  assert.equal(resolved.columns[1]?.format, '1.234,56')
})

test('unknown values are those that transforms leave', () => {
  const ask = (transforms: ReturnType<typeof call>[]) =>
    resolveFile({
      type: 'lead',
      columns: [
        lastName,
        { field: 'status', cells: ['1: NEW', '2: Neverheard', 'x', '', '#N/A'], transforms },
        { field: null, column: 'B', cells: [] },
      ],
    }).conflicts.map(({ code, values }) => [code, values])
  assert.deepEqual(ask([call('after', { find: ': ' })]), [['UNKNOWN_VALUES', ['Neverheard']]])
  assert.deepEqual(
    ask([call('join', { column: ['B'] })]),
    [],
    'values that depend on other columns are not known beforehand',
  )
})

test('two entries for one field are a conflict whatever their transforms', () => {
  const { conflicts } = resolveFile({
    type: 'contact',
    columns: [
      { field: 'lastName', cells: ['a'], transforms: [call('upper')] },
      {
        field: 'lastName',
        column: null,
        columnIndex: null,
        constant: null,
        transforms: [call('template', { text: '{lastName 0}' })],
      },
    ],
  })
  assert.deepEqual(
    conflicts.map(({ code, message }) => [code, message]),
    [['FIELD_MAPPED_TWICE', 'lastName is fed by lastName 0 and by other columns. Leave one of them.']],
  )
})

test('a constant takes no transforms, and an entry without a column needs one that reads columns', () => {
  const refusal = (column: Parameters<typeof resolveFile>[0]['columns'][number]) => {
    try {
      resolveFile({ type: 'contact', columns: [lastName, column] })
      return null
    } catch (error) {
      assert.ok(error instanceof Refusal)
      return error.code
    }
  }
  assert.equal(refusal({ field: 'notes', constant: 'a', transforms: [call('upper')] }), 'TRANSFORM_INVALID')
  assert.equal(
    refusal({ field: 'notes', column: null, columnIndex: null, constant: null, transforms: [call('upper')] }),
    'UNKNOWN_COLUMN',
  )
})

test('the resolved mapping is plain data, as the reading thread needs it', () => {
  const { resolved, rows } = resolveFile({
    type: 'contact',
    columns: [
      { field: 'lastName', cells: ['a'], transforms: [call('upper'), call('template', { text: '{lastName 0}!' })] },
    ],
  })
  const sent = structuredClone(resolved)
  assert.deepEqual(sent, resolved)
  const type = recordTypes.contact
  const mapper = compileMapping(sent, type)
  assert.deepEqual(outcome(mapper.map(rows[0]!), mapper.stageColumns).values['last_name'], 'A!')
})

test('what transforms make can be stored', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [{ field: 'lastName', cells: ['a'], transforms: [call('padStart', { length: 4, with: '😀' })] }],
  })
  assert.deepEqual(row?.values['last_name'], '😀a')
  assert.deepEqual(
    row?.issues.map(({ code, severity, value }) => [code, severity, value?.isWellFormed()]),
    [['BAD_ENCODING', 'WARNING', true]],
  )
})
