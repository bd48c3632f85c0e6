/** What rules make of single values: compared as what they are, in whatever form they stand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StageColumn } from '../../src/pipeline/mapped.js'
import { compileRules, uniqueRules } from '../../src/pipeline/rules.js'
import type { BusinessRule, RuleKind } from '../../src/pipeline/types.js'
import { customDefinition, withCustomFields } from '../../src/records/custom.js'
import { fieldOf, recordTypes } from '../../src/records/index.js'
import type { RecordType } from '../../src/records/types.js'

const type = withCustomFields(recordTypes.lead, [
  customDefinition({ key: 'exact', label: 'Exact', kind: 'DECIMAL', options: null }),
  customDefinition({ key: 'open', label: 'Open', kind: 'MULTI_ENUM', options: null }),
])

function rule(
  kind: RuleKind,
  fields: readonly string[],
  said: Readonly<Record<string, string | readonly string[]>> = {},
): BusinessRule {
  return {
    id: '1',
    kind,
    fields,
    arguments: Object.entries(said).flatMap(([name, value]) => [value].flat().map((one) => ({ name, value: one }))),
    severity: 'ERROR',
    message: 'broken',
  }
}

/** Fields that a rule finds at fault in a row with these values; null where there is nothing to judge. */
function judged(
  one: BusinessRule,
  row: Readonly<Record<string, string | null>>,
  {
    of = type,
    creates = true,
    defaults = {},
  }: { of?: RecordType; creates?: boolean; defaults?: Record<string, string> } = {},
): string[] | null {
  const stageColumns = Object.keys(row).map((name): StageColumn => {
    const [field = '', role] = name.split('/')
    const column = fieldOf(type, field)?.column ?? field
    return {
      name: column,
      sqlType: 'text',
      field,
      role: role === undefined ? 'value' : (role as 'new' | 'key'),
      key: null,
    }
  })
  const judge = compileRules([one], { type: of, stageColumns, creates, defaults })
  return judge === null ? null : judge(Object.values(row), null).map(({ field }) => field)
}

const holds = (one: BusinessRule, row: Readonly<Record<string, string | null>>) => judged(one, row)?.length === 0

test('numbers are compared to the last digit, whatever zeros they carry', () => {
  const most = rule('RANGE', ['custom.exact'], { max: '899999999999.12345678' })
  assert.ok(holds(most, { 'custom.exact': '899999999999.12345678' }))
  assert.ok(!holds(most, { 'custom.exact': '899999999999.12345679' }))
  assert.ok(holds(rule('RANGE', ['custom.exact'], { min: '-0.5' }), { 'custom.exact': '-0.49999999' }))
  assert.ok(
    !holds(rule('RANGE', ['custom.exact'], { min: '-899999999999.5' }), { 'custom.exact': '-899999999999.50000001' }),
  )
  const some = rule('ONE_OF', ['custom.exact'], { value: ['1.50', '-2', '0'] })
  for (const value of ['1.5', '1.500', '-2.00', '0.00', '0']) {
    assert.ok(holds(some, { 'custom.exact': value }), value)
  }
  assert.ok(!holds(some, { 'custom.exact': '150' }))
  assert.ok(
    holds(rule('COMPARE', ['budgetMin', 'budgetMax'], { operator: 'EQ' }), { budgetMin: '10', budgetMax: '10.00' }),
  )
})

test('moments are compared as moments, days as days', () => {
  const compare = (operator: string) => rule('COMPARE', ['sourceCreatedAt', 'sourceUpdatedAt'], { operator })
  const same = { sourceCreatedAt: '2026-02-03T09:00:00Z', sourceUpdatedAt: '2026-02-03T09:00:00.000Z' }
  assert.ok(holds(compare('EQ'), same))
  assert.ok(!holds(compare('LT'), same))
  assert.ok(holds(compare('GTE'), same))
  const bound = rule('RANGE', ['sourceCreatedAt'], { min: '2026-02-03T10:00:00+01:00' })
  assert.ok(holds(bound, { sourceCreatedAt: '2026-02-03T09:00:00Z' }))
  assert.ok(!holds(bound, { sourceCreatedAt: '2026-02-03T08:59:59.999Z' }))
})

test('lists hold entry by entry, texts in whole or in part', () => {
  const open = rule('ONE_OF', ['custom.open'], { value: ['a, b', 'C'], ignoreCase: 'true' })
  assert.ok(holds(open, { 'custom.open': '{"A, b","c"}' }))
  assert.ok(!holds(open, { 'custom.open': '{"a","c"}' }))
  assert.ok(holds(rule('PATTERN', ['source'], { pattern: 'b', anywhere: 'true' }), { source: 'abc' }))
  assert.ok(!holds(rule('PATTERN', ['source'], { pattern: 'b' }), { source: 'abc' }))
  assert.ok(holds(rule('PATTERN', ['source'], { pattern: 'ABC', ignoreCase: 'true' }), { source: 'abc' }))
  assert.ok(holds(rule('ONE_OF', ['emailOptOut'], { value: 'yes' }), { emailOptOut: 't' }))
})

test('a value may be built or be a default where the row makes a record, and may not where it makes none', () => {
  const asks = rule('REQUIRED_IF', ['displayName'])
  assert.deepEqual(judged(asks, { displayName: null, 'displayName/new': 'Ada' }), [])
  assert.deepEqual(judged(asks, { displayName: null, 'displayName/new': 'Ada' }, { creates: false }), ['displayName'])
  const when = rule('REQUIRED_IF', ['email'], { when: 'status', is: 'NEW' })
  assert.deepEqual(judged(when, { email: null }, { defaults: { status: 'NEW' } }), ['email'])
  assert.deepEqual(judged(when, { email: null, status: 'QUALIFIED' }, { defaults: { status: 'NEW' } }), [])
  assert.deepEqual(judged(when, { email: null }, { creates: false }), [])
  assert.equal(judged(when, { status: 'NEW' }, { creates: false }), null, 'the file says nothing of the field')
  assert.deepEqual(judged(rule('REQUIRED_IF', ['tags']), { tags: '{}' }), ['tags'], 'an emptied list is no value')
  assert.deepEqual(judged(rule('REQUIRED_IF', ['contact']), { 'contact/key': 'c1' }), [])
  const blank = rule('REQUIRED_IF', ['phone'], { when: 'email', blank: 'true' })
  assert.deepEqual(
    [judged(blank, { phone: null, email: null }), judged(blank, { phone: null, email: 'a@x.com' })],
    [['phone'], []],
  )
})

test('rules over fields that the reader does not know judge nothing, except that they are missing', () => {
  assert.equal(judged(rule('RANGE', ['custom.gone'], { min: '1' }), { email: null }), null)
  assert.equal(judged(rule('COMPARE', ['custom.gone', 'score'], { operator: 'LT' }), { score: '1' }), null)
  assert.deepEqual(judged(rule('REQUIRED_IF', ['custom.gone']), { email: null }), ['custom.gone'])
  assert.equal(judged(rule('UNIQUE', ['email']), { email: 'a@x.com' }), null)
  assert.deepEqual(uniqueRules([rule('UNIQUE', ['email']), rule('UNIQUE', ['phone'])], ['email']), [
    { field: 'email', severity: 'ERROR', message: 'broken' },
  ])
})

test('fields whose cells could not be read are left out', () => {
  const judge = compileRules([rule('REQUIRED_IF', ['email'], { when: 'score' })], {
    type,
    stageColumns: [
      { name: 'email', sqlType: 'text', field: 'email', role: 'value', key: null },
      { name: 'score', sqlType: 'integer', field: 'score', role: 'value', key: null },
    ],
    creates: true,
    defaults: {},
  })
  assert.equal(judge?.([null, '1'], null).length, 1)
  assert.equal(judge?.([null, '1'], new Set(['email'])).length, 0)
  assert.equal(judge?.([null, '1'], new Set(['score'])).length, 0)
})
