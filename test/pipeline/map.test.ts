/** Whole rows: what is staged for the database, and what a person reads about the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileMapping, createDefaults } from '../../src/pipeline/map.js'
import { recordTypes } from '../../src/records/index.js'
import { mapFile, outcome, resolveFile, rowsOf } from './map-world.js'

test('a contact is mapped field by field, and its full name is built', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      { field: 'externalId', cells: [' C-1 '] },
      { field: 'firstName', cells: ['Anna'] },
      { field: 'middleName', cells: ['Maria'] },
      { field: 'lastName', cells: ['van der Berg'] },
      { field: 'email', cells: ['Anna@Example.COM'] },
      { field: 'mobilePhone', cells: ['0171 1234567'] },
      { field: 'birthDate', cells: ['31.12.1980'] },
      { field: 'emailOptOut', cells: ['ja'] },
      { field: 'tags', cells: ['VIP; investor'] },
      { field: 'country', cells: ['Deutschland'] },
      { field: 'sourceCreatedAt', cells: ['2026-03-01 12:00'] },
      { field: 'organization.externalId', cells: ['O-7'] },
      { field: 'ownerEmail', cells: ['Boss@Agency.de'] },
      { field: null, cells: ['ignored'] },
    ],
    source: { defaultCountry: 'DE', timeZone: 'Europe/Berlin' },
  })
  assert.deepEqual(row, {
    values: {
      external_id: 'C-1',
      first_name: 'Anna',
      middle_name: 'Maria',
      last_name: 'van der Berg',
      email: 'anna@example.com',
      mobile_phone: '+491711234567',
      birth_date: '1980-12-31',
      email_opt_out: 't',
      tags: '{"VIP","investor"}',
      country: 'DE',
      source_created_at: '2026-03-01T11:00:00Z',
      organization_id__by_external_id: 'O-7',
      owner_member_id__by_email: 'boss@agency.de',
      display_name__new: 'Anna Maria van der Berg',
    },
    cleared: null,
    missing: null,
    ok: true,
    issues: [],
  })
})

test('stage columns carry the type of their field, or text for a key', () => {
  const { resolved, type } = resolveFile({
    type: 'lead',
    columns: [
      { field: 'budgetMax', cells: ['1'] },
      { field: 'contact.email', cells: ['a@b.de'] },
      { field: 'lastName', cells: ['A'] },
    ],
  })
  assert.deepEqual(compileMapping(resolved, type).stageColumns, [
    { name: 'budget_max', sqlType: 'numeric(14,2)', field: 'budgetMax', role: 'value', key: null },
    { name: 'contact_id__by_email', sqlType: 'text', field: 'contact', role: 'key', key: 'email' },
    { name: 'last_name', sqlType: 'text', field: 'lastName', role: 'value', key: null },
    { name: 'display_name__new', sqlType: 'text', field: 'displayName', role: 'new', key: null },
    { name: 'title__new', sqlType: 'text', field: 'title', role: 'new', key: null },
  ])
})

test('a full name is split where there are no parts, and only for people', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      {
        field: 'displayName',
        cells: [
          'Dr. Anna Maria van der Berg jr.',
          'Berg, Anna Maria',
          'Acme GmbH',
          'Cher',
          'Anna Berg',
          'Anna Berg',
          '',
        ],
      },
      { field: 'firstName', cells: ['', '', '', '', 'Annie', '', ''] },
      { field: 'kind', cells: ['', '', '', '', '', 'Company', ''] },
      { field: 'companyName', cells: ['', '', '', '', '', 'Berg AG', 'Berg AG'] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => [
      values.first_name__new,
      values.last_name__new,
      values.name_prefix__new,
      values.name_suffix__new,
      values.display_name__new,
    ]),
    [
      ['Anna Maria', 'van der Berg', 'Dr.', 'jr.', undefined],
      ['Anna Maria', 'Berg', undefined, undefined, undefined],
      [undefined, undefined, undefined, undefined, undefined],
      [undefined, 'Cher', undefined, undefined, undefined],
      [undefined, undefined, undefined, undefined, undefined],
      [undefined, undefined, undefined, undefined, undefined],
      [undefined, undefined, undefined, undefined, 'Berg AG'],
    ],
  )
})

test('the parts of one row never reach the next', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      { field: 'displayName', cells: ['Dr. Anna Berg', 'Dr. Anna Berg'] },
      { field: 'firstName', cells: ['', 'Bob'] },
      { field: 'lastName', cells: ['', 'Smith'] },
    ],
  })
  assert.equal(rows[0]?.values.name_prefix__new, 'Dr.')
  assert.equal(rows[1]?.values.name_prefix__new, undefined)
})

test('a full name that is the company’s has no parts', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      { field: 'displayName', cells: ['Acme Verwaltung', 'Anna Berg'] },
      { field: 'companyName', cells: ['Acme Verwaltung', 'Acme Verwaltung'] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => [values.first_name__new, values.last_name__new]),
    [
      [undefined, undefined],
      ['Anna', 'Berg'],
    ],
  )
})

test('an organization is called by its company, a person without a name by the e-mail', () => {
  const rows = mapFile({
    type: 'contact',
    columns: [
      { field: 'kind', cells: ['ORGANIZATION', '', ''] },
      { field: 'companyName', cells: ['Acme', 'Acme', ''] },
      { field: 'lastName', cells: ['Smith', 'Smith', ''] },
      { field: 'email', cells: ['', '', 'x@example.com'] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => values.display_name__new),
    ['Acme', 'Smith', 'x@example.com'],
  )
})

test('a lead gets its title from name and company, or from what it is reached by', () => {
  const rows = mapFile({
    type: 'lead',
    columns: [
      { field: 'title', cells: ['Flat in Berlin', '', '', '', '', ''] },
      { field: 'displayName', cells: ['', 'Anna Berg', '', '', '', ''] },
      { field: 'companyName', cells: ['', 'Acme', 'Acme', '', '', ''] },
      { field: 'email', cells: ['a@b.de', '', '', 'a@b.de', '', ''] },
      { field: 'contact.email', cells: ['', '', '', '', 'known@b.de', ''] },
      { field: 'status', cells: ['Open - Not Contacted', 'won', '', '', '', ''] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => values.title__new),
    [undefined, 'Anna Berg, Acme', 'Acme', 'a@b.de', 'known@b.de', undefined],
  )
  assert.deepEqual(
    rows.map(({ values }) => values.status),
    ['NEW', 'CONVERTED', undefined, undefined, undefined, undefined],
  )
  assert.deepEqual(
    rows.map(({ missing }) => missing),
    [null, null, null, null, null, ['title', 'displayName']],
  )
})

test('a lead that names nobody is missing a name even with a title', () => {
  const [row] = mapFile({
    type: 'lead',
    columns: [
      { field: 'title', cells: ['Deal'] },
      { field: 'email', cells: [''] },
    ],
  })
  assert.deepEqual(row?.missing, ['displayName'])
  assert.equal(row?.ok, true)
})

test('a property is called by its address, and a rent without a price makes it a lease', () => {
  const rows = mapFile({
    type: 'property',
    columns: [
      { field: 'addressLine1', cells: ['12 Main St', '', '', ''] },
      { field: 'unitNumber', cells: ['4B', '', '', ''] },
      { field: 'city', cells: ['Springfield', 'Springfield', '', ''] },
      { field: 'listingId', cells: ['L-1', 'L-2', '', 'L-4'] },
      { field: 'listPrice', cells: ['350,000.00', '', '', '100'] },
      { field: 'leaseAmount', cells: ['', '1,200.00', '', '90'] },
      { field: 'propertyType', cells: ['Residential', '', 'Residential Lease', ''] },
      { field: 'standardStatus', cells: ['Sold', 'For Rent', '', ''] },
      { field: 'ownerContact.email', cells: ['owner@example.com', '', '', ''] },
      { field: 'ownerEmail', cells: ['agent@example.com', '', '', ''] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => values.name__new),
    ['12 Main St, 4B, Springfield', 'L-2', undefined, 'L-4'],
  )
  assert.deepEqual(
    rows.map(({ values }) => values.transaction_type__new),
    [undefined, 'LEASE', 'LEASE', undefined],
  )
  assert.deepEqual(
    rows.map(({ values }) => values.list_price),
    ['350000.00', undefined, undefined, '100'],
  )
  assert.equal(rows[0]?.values.owner_contact_id__by_email, 'owner@example.com')
  assert.equal(rows[0]?.values.owner_member_id__by_email, 'agent@example.com')
  assert.deepEqual(rows[2]?.missing, ['name'])
})

test('an activity gets its subject from its body and its state from what it is', () => {
  const rows = mapFile({
    type: 'activity',
    columns: [
      { field: 'type', cells: ['Phone Call', 'note', 'task', 'task', 'meeting'] },
      { field: 'subject', cells: ['Hello', '', '', '', ''] },
      { field: 'body', cells: ['', '<p>First line</p><p>Second</p>', '', '\n  \nSecond paragraph\nmore', ''] },
      { field: 'completedAt', cells: ['', '', '2026-03-01', '', ''] },
      { field: 'durationSeconds', cells: ['90', '', '', '', ''] },
      { field: 'property.listingId', cells: ['L-1', '', '', '', ''] },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => values.subject__new),
    [undefined, 'First line', 'Task', 'Second paragraph', 'Meeting'],
  )
  assert.deepEqual(
    rows.map(({ values }) => values.status__new),
    [undefined, 'COMPLETED', 'COMPLETED', undefined, undefined],
  )
  assert.equal(rows[0]?.values.type, 'CALL')
  assert.equal(rows[0]?.values.property_id__by_listing_id, 'L-1')
  assert.equal(
    rows.every(({ missing }) => missing === null),
    true,
  )
})

test('all problems of a row are told at once, each with its column and value', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      { column: 'E-Mail', field: 'email', cells: ['nobody'] },
      { column: 'Site', field: 'website', cells: ['javascript:x'] },
      { column: 'Opt out', field: 'emailOptOut', cells: ['maybe'] },
      { column: 'Name', field: 'lastName', cells: ['#REF!'] },
      { column: 'First', field: 'firstName', cells: ['x'.repeat(700)] },
      { column: 'Org', field: 'organization.email', cells: ['nobody'] },
    ],
  })
  assert.equal(row?.ok, false)
  assert.deepEqual(
    row?.issues.map(({ row: number, column, field, code, severity, value }) => [
      number,
      column,
      field,
      code,
      severity,
      value?.length,
    ]),
    [
      [2, 'E-Mail', 'email', 'INVALID_EMAIL', 'ERROR', 6],
      [2, 'Site', 'website', 'INVALID_URL', 'ERROR', 12],
      [2, 'Opt out', 'emailOptOut', 'INVALID_BOOLEAN', 'ERROR', 5],
      [2, 'Name', 'lastName', 'FORMULA_CELL', 'ERROR', 5],
      [2, 'First', 'firstName', 'VALUE_TOO_LONG', 'ERROR', 500],
      [2, 'Org', 'organization.email', 'INVALID_EMAIL', 'ERROR', 6],
    ],
  )
})

test('a bad value is left out with a warning where the run says so', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      { field: 'email', cells: ['nobody'] },
      { field: 'lastName', cells: ['Berg'] },
    ],
    options: { onInvalidRow: 'DROP_VALUE' },
  })
  assert.equal(row?.ok, true)
  assert.equal(row?.values.email, undefined)
  assert.deepEqual(
    row?.issues.map(({ code, severity }) => [code, severity]),
    [['INVALID_EMAIL', 'WARNING']],
  )
})

test('a required value that is left out is missing for a created record', () => {
  const [row] = mapFile({
    type: 'activity',
    columns: [{ field: 'type', cells: ['???'] }],
    options: { onInvalidRow: 'DROP_VALUE' },
  })
  assert.deepEqual(row?.missing, ['type', 'subject'])
})

test('a blank cell keeps its field; CLEAR and the clearing text empty it', () => {
  const columns = [
    { field: 'lastName', cells: ['Berg', 'Berg', 'Berg'] },
    { field: 'phone', cells: ['', ' ', '-'] },
    { field: 'notes', cells: ['', 'x', ''], onBlank: 'CLEAR' as const },
    { field: 'tags', cells: ['', '', '-'], onBlank: 'CLEAR' as const },
    { field: 'organization.email', cells: ['', '', ''], onBlank: 'CLEAR' as const },
    { field: 'organization.externalId', cells: ['', 'O-1', ''], onBlank: 'CLEAR' as const },
  ]
  const rows = mapFile({ type: 'contact', columns, options: { clearText: '-' } })
  assert.deepEqual(
    rows.map(({ cleared }) => cleared),
    [['notes', 'organization'], null, ['phone', 'notes', 'organization']],
  )
  assert.deepEqual(
    rows.map(({ values }) => values.tags),
    ['{}', '{}', '{}'],
  )
  const everywhere = mapFile({ type: 'contact', columns, options: { onBlank: 'CLEAR' } })
  assert.deepEqual(everywhere[0]?.cleared, ['phone', 'notes', 'organization'])
})

test('opt-outs and required fields are never cleared', () => {
  const columns = [
    { field: 'lastName', cells: ['Berg', 'Berg'] },
    { field: 'displayName', cells: ['', 'NULL'] },
    { field: 'emailOptOut', cells: ['', 'NULL'] },
    { field: 'doNotCall', cells: ['', 'no'] },
  ]
  const [blank, text] = mapFile({ type: 'contact', columns, options: { onBlank: 'CLEAR', clearText: 'NULL' } })
  assert.equal(blank?.cleared, null)
  assert.deepEqual(blank?.issues, [])
  assert.equal(text?.cleared, null)
  assert.deepEqual(
    text?.issues.map(({ field, severity }) => [field, severity]),
    [
      ['displayName', 'WARNING'],
      ['emailOptOut', 'WARNING'],
    ],
  )
  assert.equal(text?.values.email_opt_out, undefined)
  assert.equal(text?.ok, true)
})

test('the clearing text may be the error of a formula', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      { field: 'lastName', cells: ['Berg'] },
      { field: 'phone', cells: ['#N/A'] },
    ],
    options: { clearText: '#N/A' },
  })
  assert.deepEqual(row?.cleared, ['phone'])
  assert.deepEqual(row?.issues, [])
})

test('value maps come before everything else, by exact text and then without case', () => {
  const rows = mapFile({
    type: 'lead',
    columns: [
      { field: 'lastName', cells: ['A', 'B', 'C', 'D', 'E', 'F'] },
      {
        field: 'status',
        cells: ['Stage 1', 'STAGE 1', 'Stage 2', 'n/a', '', 'new'],
        valueMap: [
          { from: 'stage 1', to: 'Qualified' },
          { from: 'Stage 2', to: 'LOST' },
          { from: 'n/a', to: '' },
          { from: '', to: 'OPEN' },
        ],
      },
    ],
  })
  assert.deepEqual(
    rows.map(({ values }) => values.status),
    ['QUALIFIED', 'QUALIFIED', 'LOST', undefined, 'OPEN', 'NEW'],
  )
})

test('constants stand in every row and defaults in none', () => {
  const file = {
    type: 'activity' as const,
    columns: [
      { field: 'type', constant: 'phone call' },
      { field: 'dueOn', constant: '2026-03-01' },
      { field: 'subject', cells: ['A', ''], defaultValue: 'No subject' },
      { field: 'priority', cells: ['', 'high'], defaultValue: 'medium' },
    ],
  }
  const rows = mapFile(file)
  assert.deepEqual(
    rows.map(({ values }) => [values.type, values.due_on, values.subject, values.priority]),
    [
      ['CALL', '2026-03-01', 'A', undefined],
      ['CALL', '2026-03-01', undefined, 'HIGH'],
    ],
  )
  assert.deepEqual(
    rows.map(({ missing }) => missing),
    [null, null],
  )
  const { resolved, type } = resolveFile(file)
  assert.deepEqual(createDefaults(resolved, type), {
    status: 'PLANNED',
    priority: 'NORMAL',
    subject: 'No subject',
    tags: '{}',
  })
})

test('created records get the defaults of their type', () => {
  const { resolved } = resolveFile({ type: 'property', columns: [{ field: 'name', cells: ['A'] }] })
  assert.deepEqual(createDefaults(resolved, recordTypes.property), {
    standard_status: 'INCOMPLETE',
    transaction_type: 'SALE',
    tags: '{}',
  })
})

test('a default value for the kind of deal beats the guess from the rent', () => {
  const [row] = mapFile({
    type: 'property',
    columns: [
      { field: 'name', cells: ['A'] },
      { field: 'leaseAmount', cells: ['900'] },
      { field: 'transactionType', cells: [''], defaultValue: 'BOTH' },
    ],
  })
  assert.equal(row?.values.transaction_type__new, undefined)
})

test('a row whose line is broken has its own issue and no values', () => {
  const { resolved, type } = resolveFile({ type: 'contact', columns: [{ field: 'lastName', cells: ['A', 'B'] }] })
  const mapper = compileMapping(resolved, type)
  const [good, other] = rowsOf([['A', 'B']])
  assert.ok(good !== undefined && other !== undefined)
  assert.equal(outcome(mapper.map(good), mapper.stageColumns).values.last_name, 'A')
  const broken = {
    ...other,
    fault: { code: 'WRONG_COLUMN_COUNT' as const, message: 'Row 3 has 5 cells; the header has 1.' },
  }
  assert.deepEqual(outcome(mapper.map(broken), mapper.stageColumns), {
    values: {},
    cleared: null,
    missing: null,
    ok: false,
    issues: [
      {
        row: 3,
        column: null,
        field: null,
        code: 'WRONG_COLUMN_COUNT',
        severity: 'ERROR',
        value: null,
        message: 'Row 3 has 5 cells; the header has 1.',
        suggestion: null,
      },
    ],
  })
})

test('a short row has blanks where its cells end', () => {
  const { resolved, type } = resolveFile({
    type: 'contact',
    columns: [
      { field: 'lastName', cells: ['A'] },
      { field: 'phone', cells: ['1'] },
    ],
  })
  const mapper = compileMapping(resolved, type)
  const [row] = rowsOf([['A']])
  assert.ok(row !== undefined)
  assert.deepEqual(outcome(mapper.map(row), mapper.stageColumns).values, { last_name: 'A', display_name__new: 'A' })
})

test('characters that PostgreSQL cannot store are left out with a warning', () => {
  const [row] = mapFile({
    type: 'contact',
    columns: [
      { field: 'lastName', cells: ['Be\0rg\ud83d'] },
      { field: 'notes', cells: ['\0'] },
    ],
  })
  assert.equal(row?.values.last_name, 'Berg')
  assert.equal(row?.values.notes, undefined)
  assert.equal(row?.ok, true)
  assert.deepEqual(
    row?.issues.map(({ code, severity }) => [code, severity]),
    [
      ['BAD_ENCODING', 'WARNING'],
      ['BAD_ENCODING', 'WARNING'],
    ],
  )
  assert.ok(row?.issues.every(({ value }) => value?.isWellFormed() === true && !value.includes('\0')))
})

test('one reader of rows gives the same for every order of rows', () => {
  const cells = ['Anna Berg', '', 'Dr. Bob Smith', 'x'.repeat(300), 'Cher']
  const file = (order: readonly number[]) => ({
    type: 'contact' as const,
    columns: [
      { field: 'displayName', cells: order.map((index) => cells[index] ?? '') },
      { field: 'email', cells: order.map((index) => (index % 2 === 0 ? `u${index}@example.com` : 'bad')) },
    ],
  })
  const forward = mapFile(file([0, 1, 2, 3, 4]))
  const backward = mapFile(file([4, 3, 2, 1, 0])).toReversed()
  const withoutRow = (outcomes: typeof forward) =>
    outcomes.map((one) => ({ ...one, issues: one.issues.map((issue) => ({ ...issue, row: 0 })) }))
  assert.deepEqual(withoutRow(forward), withoutRow(backward))
})
