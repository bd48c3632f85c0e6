/** Rules of a tenant's own, as a partner meets them: saved, refused, obeyed by imports, kept by plans and runs, switched off. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import {
  BUSINESS_RULES_MAX,
  RULE_ARGUMENT_LENGTH_MAX,
  RULE_ARGUMENTS_MAX,
  RULE_FIELDS_MAX,
  RULE_MESSAGE_LENGTH_MAX,
  RULE_PATTERN_LENGTH_MAX,
  RULE_PATTERN_VALUE_LENGTH_MAX,
} from '../../src/limits.js'
import { type Actor, type Json, World } from '../server/world.js'

let world: World

before(async () => {
  world = await World.start()
})
after(() => world.close())

const newcomer = async () => world.actor(await world.tenant())
const key = () => randomBytes(8).toString('hex')

const saveMutation = `mutation ($input: BusinessRuleSaveInput!) { businessRuleSave(input: $input) {
  businessRule { id recordType kind fields arguments { name value } severity message active } userErrors { code field message } } }`

interface Rule {
  readonly kind: string
  readonly fields: readonly string[]
  readonly recordType?: string
  readonly arguments?: readonly (readonly [string, string])[]
  readonly severity?: string
  readonly message?: string
  readonly active?: boolean
  readonly id?: string
}

async function save(actor: Actor, rule: Rule): Promise<Json> {
  const { arguments: said = [], ...rest } = rule
  const input = {
    recordType: 'CONTACT',
    severity: 'ERROR',
    message: `${rule.kind} of ${rule.fields.join(' and ')}`,
    ...rest,
    arguments: said.map(([name, value]) => ({ name, value })),
  }
  return (await world.ask(actor, saveMutation, { input })).businessRuleSave
}

async function saved(actor: Actor, ...rules: Rule[]): Promise<Json[]> {
  const made: Json[] = []
  for (const rule of rules) {
    const { businessRule, userErrors } = await save(actor, rule)
    assert.deepEqual(userErrors, [], JSON.stringify(rule))
    made.push(businessRule)
  }
  return made
}

const runQuery = `query ($id: ID!) { importRun(id: $id) { id status counts { created updated unchanged skipped failed }
  issues(first: 50) { nodes { rowNumber column field code severity value message suggestion } }
  plan { hash counts { created updated unchanged failed } } } }`

async function imported(
  actor: Actor,
  csv: string,
  map: object,
  options: object = {},
  input: object = {},
  type = 'CONTACT',
): Promise<Json> {
  const mapping = Object.entries(map).map(([column, field]) => ({ column, field }))
  const id = await world.import(actor, type, csv, options, { mapping, ...input })
  return (await world.ask(actor, runQuery, { id })).importRun
}

const told = (run: Json) =>
  run.issues.nodes.map((issue: Json) => `${issue.rowNumber} ${issue.severity} ${issue.message}`)

const leadMap = {
  Id: 'externalId',
  Name: 'displayName',
  Mail: 'email',
  Status: 'status',
  Score: 'score',
  From: 'budgetMin',
  To: 'budgetMax',
  Source: 'source',
  Tags: 'tags',
  Seen: 'sourceCreatedAt',
  Moved: 'sourceUpdatedAt',
}
const leadHeader = Object.keys(leadMap).join(',')

test('each kind of rule finds the rows that break it, and only those', async () => {
  const actor = await newcomer()
  await saved(
    actor,
    ...(
      [
        {
          kind: 'REQUIRED_IF',
          fields: ['email'],
          arguments: [
            ['when', 'status'],
            ['is', 'QUALIFIED'],
            ['is', 'new'],
          ],
        },
        { kind: 'REQUIRED_IF', fields: ['source'], arguments: [['when', 'score']] },
        {
          kind: 'REQUIRED_IF',
          fields: ['score'],
          arguments: [
            ['when', 'source'],
            ['blank', 'true'],
          ],
          severity: 'WARNING',
        },
        {
          kind: 'ONE_OF',
          fields: ['source'],
          arguments: [
            ['value', 'Web'],
            ['value', 'Phone'],
            ['ignoreCase', 'true'],
          ],
        },
        {
          kind: 'ONE_OF',
          fields: ['tags'],
          arguments: [
            ['value', 'hot'],
            ['value', 'cold'],
          ],
        },
        {
          kind: 'RANGE',
          fields: ['score'],
          arguments: [
            ['min', '1'],
            ['max', '10'],
          ],
        },
        { kind: 'RANGE', fields: ['sourceCreatedAt'], arguments: [['min', '2020-01-01']], severity: 'WARNING' },
        { kind: 'PATTERN', fields: ['externalId'], arguments: [['pattern', '[A-Z]\\d+']] },
        { kind: 'COMPARE', fields: ['sourceCreatedAt', 'sourceUpdatedAt'], arguments: [['operator', 'LTE']] },
        { kind: 'COMPARE', fields: ['budgetMin', 'budgetMax'], arguments: [['operator', 'LT']] },
      ] as const
    ).map((rule) => ({ ...rule, recordType: 'LEAD' })),
  )
  const rows = [
    'A1,Fine,a@x.com,,9,1.50,2,WEB,hot; cold,2021-01-01,2021-01-01',
    'A2,No mail,,new,5,,,web,,,',
    'A3,No source,c@x.com,,5,,,,,,',
    'A4,No score,d@x.com,,,,,,,,',
    'A5,Fax,e@x.com,,2,,,fax,,,',
    'A6,Warm,f@x.com,,2,,,web,hot;warm,,',
    'A7,Low,g@x.com,,0,,,web,,,',
    'A8,High,h@x.com,,11,,,web,,,',
    'A9,Old,i@x.com,,3,,,web,,2019-12-31,',
    'a10,Small,j@x.com,,3,,,web,,,',
    'A11,Backwards,k@x.com,,3,,,web,,2022-01-02,2022-01-01',
    'A12,Equal,l@x.com,,3,10.50,10.5,web,,,',
    'A13,Lost,m@x.com,Disqualified,3,,,web,,,',
  ]
  const run = await imported(actor, `${leadHeader}\n${rows.join('\n')}\n`, leadMap, {}, {}, 'LEAD')
  assert.deepEqual(
    told(run),
    [
      '3 ERROR REQUIRED_IF of email',
      '4 ERROR REQUIRED_IF of source',
      '5 WARNING REQUIRED_IF of score',
      '6 ERROR ONE_OF of source',
      '7 ERROR ONE_OF of tags',
      '8 ERROR RANGE of score',
      '9 ERROR RANGE of score',
      '10 WARNING RANGE of sourceCreatedAt',
      '11 ERROR PATTERN of externalId',
      '12 ERROR COMPARE of sourceCreatedAt and sourceUpdatedAt',
      '13 ERROR COMPARE of budgetMin and budgetMax',
    ],
    JSON.stringify(run, null, 1),
  )
  assert.deepEqual(run.counts, { created: 4, updated: 0, unchanged: 0, skipped: 0, failed: 9 })
  assert.deepEqual(run.issues.nodes[5], {
    rowNumber: 8,
    column: 'Score',
    field: 'score',
    code: 'RULE_FAILED',
    severity: 'ERROR',
    value: '0',
    message: 'RANGE of score',
    suggestion: 'Expected at least 1 and at most 10.',
  })
})

const people = { Id: 'externalId', Name: 'displayName', Mail: 'email', Job: 'jobTitle', Company: 'companyName' }

test('a rule judges the record that the row by itself would make, whatever the CRM holds', async () => {
  const actor = await newcomer()
  await imported(actor, 'Id,Name,Mail,Job,Company\n1,Ada,ada@x.com,Boss,Acme\n', people)
  await saved(
    actor,
    {
      kind: 'REQUIRED_IF',
      fields: ['email'],
      arguments: [
        ['when', 'kind'],
        ['is', 'PERSON'],
      ],
    },
    { kind: 'COMPARE', fields: ['jobTitle', 'companyName'], arguments: [['operator', 'NEQ']] },
  )
  // The kind is that of a new contact by default; the e-mail address that Ada has already is not looked at.
  const blank = await imported(actor, 'Id,Name,Mail,Job,Company\n1,Ada,,Boss,\n2,Bob,b@x.com,,Acme\n', people)
  assert.deepEqual(told(blank), ['2 ERROR REQUIRED_IF of email'])
  // A file that makes nothing is asked for nothing that it does not have; the company that Ada has is not compared.
  const only = await imported(
    actor,
    'Id,Job\n1,Acme\n',
    { Id: 'externalId', Job: 'jobTitle' },
    { operation: 'UPDATE_ONLY' },
  )
  assert.deepEqual([told(only), only.counts.updated], [[], 1])
  const both = await imported(
    actor,
    'Id,Job,Company\n1,Acme,Acme\n',
    { Id: 'externalId', Job: 'jobTitle', Company: 'companyName' },
    { operation: 'UPDATE_ONLY' },
  )
  assert.deepEqual(told(both), ['2 ERROR COMPARE of jobTitle and companyName'])
  const gone = await imported(actor, 'Id,Name,Mail,Job,Company\n1,,,x,x\n', people, { operation: 'DELETE' })
  assert.deepEqual(told(gone), [])
})

test('rules are about the records of the file, not about those that its rows feed besides', async () => {
  const actor = await newcomer()
  const pattern = ['pattern', '.*@x\\.com'] as const
  await saved(
    actor,
    { recordType: 'LEAD', kind: 'PATTERN', fields: ['email'], arguments: [pattern] },
    { recordType: 'LEAD', kind: 'PATTERN', fields: ['firstName'], arguments: [['pattern', 'X.*']] },
    { recordType: 'LEAD', kind: 'UNIQUE', fields: ['email'] },
  )
  const map = {
    Id: 'externalId',
    Mail: 'email',
    Person: 'contact.email',
    First: 'contact.firstName',
    Last: 'contact.lastName',
  }
  const csv =
    'Id,Mail,Person,First,Last\n1,a@x.com,ada@y.com,Ada,L\n2,b@x.com,ada@y.com,Ada,L\n3,c@y.com,cy@y.com,Cy,M\n'
  const run = await imported(actor, csv, map, { onMissingRelation: 'CREATE' }, {}, 'LEAD')
  assert.deepEqual(told(run), ['4 ERROR PATTERN of email'], JSON.stringify(run))
  assert.equal(run.counts.created, 2)
})

test('a value that cannot be read has its own issue and no other, and a default fulfils a rule', async () => {
  const actor = await newcomer()
  await saved(
    actor,
    { kind: 'REQUIRED_IF', fields: ['email'] },
    { kind: 'REQUIRED_IF', fields: ['organization'], arguments: [['when', 'jobTitle']] },
  )
  const run = await imported(actor, 'Id,Name,Mail,Job,Company\n1,Ada,nope,,\n2,Bob,b@x.com,Boss,\n', people)
  assert.deepEqual(
    run.issues.nodes.map(({ rowNumber, code, field }: Json) => `${rowNumber} ${code} ${field}`),
    ['2 INVALID_EMAIL email', '3 RULE_FAILED organization'],
  )
  const dropped = await imported(actor, 'Id,Name,Mail,Job,Company\n1,Ada,nope,,\n', people, {
    onInvalidRow: 'DROP_VALUE',
  })
  assert.deepEqual(
    dropped.issues.nodes.map(({ code, severity }: Json) => `${code} ${severity}`),
    ['INVALID_EMAIL WARNING', 'RULE_FAILED ERROR'],
  )
  const mapping = [
    { column: 'Name', field: 'displayName' },
    { column: 'Mail', field: 'email', defaultValue: 'office@x.com' },
  ]
  const byDefault = await imported(actor, 'Name,Mail\nCy,\n', {}, {}, { mapping })
  assert.equal(byDefault.counts.created, 1)
})

test('UNIQUE is judged in the file and against the CRM, in a plan as in the run', async () => {
  const actor = await newcomer()
  const matchOn = { matchOn: [['externalId']] }
  await imported(actor, 'Id,Name,Mail,Job,Company\n1,Ada,ada@x.com,,\n2,Old twin,ada@x.com,,\n', people, matchOn)
  await saved(actor, { kind: 'UNIQUE', fields: ['email'], message: 'One address, one person.' })
  const csv = [
    'Id,Name,Mail,Job,Company',
    '3,Bob,bob@x.com,,', // 2: created
    '4,Bob again,BOB@x.com,,', // 3: the row before has it
    '5,Ada too,ada@x.com,,', // 4: the CRM has it
    '1,Ada,ada@x.com,Boss,', // 5: her own, but the twin has it too
    '3,Bob,bob@x.com,Boss,', // 6: his own
    '6,No mail,,,', // 7
    '7,Cy,not an address,,', // 8: fails by itself
    '8,Cy,cy@x.com,,', // 9
    '',
  ].join('\n')
  const expected = [
    '3 ERROR One address, one person.',
    '4 ERROR One address, one person.',
    '5 ERROR One address, one person.',
  ]
  const planned = await imported(actor, csv, people, matchOn, { confirmation: 'ASK' })
  assert.deepEqual(
    told(planned).filter((text: string) => text.includes('One')),
    expected,
  )
  assert.deepEqual(planned.plan.counts, { created: 3, updated: 1, unchanged: 0, failed: 4 })
  await world.ask(
    actor,
    'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { message } } }',
    { input: { runId: planned.id, planHash: planned.plan.hash, idempotencyKey: key() } },
  )
  await world.rested(actor, planned.id)
  const { importRun: run } = await world.ask(actor, runQuery, { id: planned.id })
  assert.deepEqual(
    told(run).filter((text: string) => text.includes('One')),
    expected,
  )
  assert.deepEqual(run.counts, { created: 3, updated: 1, unchanged: 0, skipped: 0, failed: 4 })
})

test('UNIQUE as a warning lets the row through, and rows of two chunks see each other', async () => {
  const actor = await newcomer()
  await saved(actor, { kind: 'UNIQUE', fields: ['email'], severity: 'WARNING', message: 'Seen before.' })
  const rows = Array.from({ length: 4000 }, (_, i) => `${i},N${i},m${i % 3999}@x.com,,`)
  const run = await imported(actor, `Id,Name,Mail,Job,Company\n${rows.join('\n')}\n`, people, {
    matchOn: [['externalId']],
  })
  assert.deepEqual(told(run), ['4001 WARNING Seen before.'])
  assert.equal(run.counts.created, 4000)
  assert.deepEqual([run.issues.nodes[0].field, run.issues.nodes[0].value], ['email', 'm0@x.com'])
})

test('a plan is stale once the rules have changed, and a run keeps those that it was planned with', async () => {
  const actor = await newcomer()
  const [rule] = await saved(actor, { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', 'B.*']] })
  const csv = 'Id,Name,Mail,Job,Company\n1,Ada,,Boss,\n2,Bob,,Clerk,\n'
  const waiting = await imported(actor, csv, people, {}, { confirmation: 'ASK' })
  assert.equal(waiting.plan.counts.failed, 1)
  const confirm = async (planHash: string): Promise<Json> =>
    (
      await world.ask(
        actor,
        'mutation ($input: ImportConfirmInput!) { importConfirm(input: $input) { userErrors { code } } }',
        { input: { runId: waiting.id, planHash, idempotencyKey: key() } },
      )
    ).importConfirm.userErrors
  await saved(actor, { ...rule, arguments: [['pattern', 'C.*']] })
  assert.deepEqual(await confirm(waiting.plan.hash), [{ code: 'PLAN_STALE' }])
  await world.ask(actor, 'mutation ($input: ImportPlanInput!) { importPlan(input: $input) { userErrors { code } } }', {
    input: { runId: waiting.id },
  })
  await world.rested(actor, waiting.id)
  const { importRun: again } = await world.ask(actor, runQuery, { id: waiting.id })
  assert.notEqual(again.plan.hash, waiting.plan.hash)
  assert.deepEqual(told(again), ['2 ERROR PATTERN of jobTitle'])
  assert.deepEqual(await confirm(again.plan.hash), [])
  assert.equal(await world.rested(actor, waiting.id), 'COMPLETED_WITH_ERRORS')

  await saved(actor, { ...rule, arguments: [['pattern', 'C.*']], active: false })
  assert.deepEqual(told(await imported(actor, csv, people)), [], 'a rule that is not active says nothing')
  const deleted = await world.ask(
    actor,
    'mutation ($id: ID!) { businessRuleDelete(input: { id: $id }) { deletedId } }',
    {
      id: rule.id,
    },
  )
  assert.equal(deleted.businessRuleDelete.deletedId, rule.id)
  assert.deepEqual((await world.ask(actor, '{ businessRules { id } }')).businessRules, [])
})

test('rules are about custom fields, too, and rest while those are archived', async () => {
  const actor = await newcomer()
  const { customFieldCreate } = await world.ask(
    actor,
    `mutation { customFieldCreate(input: { recordType: CONTACT, field: { key: "rank", label: "Rank", kind: DECIMAL } }) { recordSchema { fields { id name } } } }`,
  )
  await saved(actor, {
    kind: 'RANGE',
    fields: ['custom.rank'],
    arguments: [['max', '900719925474.99333332']],
    message: 'Too high.',
  })
  const map = { Name: 'displayName', Rank: 'custom.rank', Job: 'jobTitle' }
  const run = await imported(actor, 'Name,Rank,Job\nAda,900719925474.99333332,\nBob,900719925474.99333333,\n', map)
  assert.deepEqual(told(run), ['3 ERROR Too high.'])
  await saved(actor, { kind: 'REQUIRED_IF', fields: ['custom.rank'], message: 'Rank, please.' })
  const unmapped = await imported(actor, 'Name\nCy\n', { Name: 'displayName' })
  assert.deepEqual(told(unmapped), ['2 ERROR Rank, please.'])
  const { id } = customFieldCreate.recordSchema.fields.find((field: Json) => field.name === 'custom.rank')
  await world.ask(actor, 'mutation ($id: ID!) { customFieldArchive(input: { id: $id }) { userErrors { code } } }', {
    id,
  })
  assert.deepEqual(told(await imported(actor, 'Name\nCy\n', { Name: 'displayName' })), [])
})

test('what cannot be a rule is refused, with what is expected and where', async () => {
  const actor = await newcomer()
  const cases: [Rule, string[], RegExp][] = [
    [{ kind: 'RANGE', fields: ['birthDate'] }, ['arguments'], /needs the argument min or max/],
    [
      { kind: 'RANGE', fields: ['birthDate'], arguments: [['min', 'soon']] },
      ['arguments', '0', 'value'],
      /"soon" is not a date|not a date/,
    ],
    [
      {
        kind: 'RANGE',
        fields: ['birthDate'],
        arguments: [
          ['min', '2020-01-02'],
          ['max', '2020-01-01'],
        ],
      },
      ['arguments'],
      /min is above max/,
    ],
    [
      { kind: 'RANGE', fields: ['email'], arguments: [['min', '1']] },
      ['fields', '0'],
      /about numbers, days and moments; email is of kind EMAIL/,
    ],
    [
      { kind: 'RANGE', fields: ['birthDate'], arguments: [['least', '1']] },
      ['arguments', '0', 'name'],
      /no argument "least". It takes: min, max/,
    ],
    [
      {
        kind: 'RANGE',
        fields: ['birthDate'],
        arguments: [
          ['min', '2020-01-01'],
          ['min', '2020-01-01'],
        ],
      },
      ['arguments', '1', 'name'],
      /given twice/,
    ],
    [{ kind: 'ONE_OF', fields: ['jobTitle'] }, ['arguments'], /needs the argument value/],
    [
      { kind: 'ONE_OF', fields: ['kind'], arguments: [['value', 'ROBOT']] },
      ['arguments', '0', 'value'],
      /none of: PERSON/,
    ],
    [
      {
        kind: 'ONE_OF',
        fields: ['jobTitle'],
        arguments: [
          ['value', 'a'],
          ['ignoreCase', 'yes'],
        ],
      },
      ['arguments', '1', 'value'],
      /true or false/,
    ],
    [{ kind: 'PATTERN', fields: ['jobTitle'] }, ['arguments'], /needs the argument pattern/],
    [
      { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', '(a']] },
      ['arguments', '0', 'value'],
      /RE2's syntax/,
    ],
    [
      { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', '(?=a)b']] },
      ['arguments', '0', 'value'],
      /look-around do not exist/,
    ],
    [
      { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', '((a{1,40}){1,40})']] },
      ['arguments', '0', 'value'],
      /RE2's syntax|repeats too much/,
    ],
    [
      { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', 'a{1,999}']] },
      ['arguments', '0', 'value'],
      /repeats too much/,
    ],
    [
      { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', 'x'.repeat(RULE_PATTERN_LENGTH_MAX + 1)]] },
      ['arguments', '0', 'value'],
      /at most 500/,
    ],
    [{ kind: 'PATTERN', fields: ['birthDate'], arguments: [['pattern', '.']] }, ['fields', '0'], /about texts/],
    [{ kind: 'COMPARE', fields: ['birthDate'], arguments: [['operator', 'LT']] }, ['fields'], /two fields/],
    [
      { kind: 'COMPARE', fields: ['birthDate', 'sourceCreatedAt'], arguments: [['operator', 'LT']] },
      ['fields'],
      /cannot be compared/,
    ],
    [{ kind: 'COMPARE', fields: ['city', 'country'], arguments: [['operator', 'LT']] }, ['arguments'], /have no order/],
    [
      { kind: 'COMPARE', fields: ['city', 'country'], arguments: [['operator', '<']] },
      ['arguments'],
      /one of: LT, LTE/,
    ],
    [{ kind: 'UNIQUE', fields: ['jobTitle'] }, ['fields', '0'], /has no index. Those that have: email, phone/],
    [{ kind: 'UNIQUE', fields: ['externalId'] }, ['fields', '0'], /unique for each source system already/],
    [{ kind: 'UNIQUE', fields: ['email', 'phone'] }, ['fields'], /about one field/],
    [{ kind: 'UNIQUE', fields: ['email'], arguments: [['x', 'y']] }, ['arguments', '0', 'name'], /takes none/],
    [{ kind: 'UNIQUE', fields: ['organization'] }, ['fields', '0'], /another record/],
    [{ kind: 'REQUIRED_IF', fields: ['email'], arguments: [['is', 'x']] }, ['arguments'], /needs the argument when/],
    [
      { kind: 'REQUIRED_IF', fields: ['email'], arguments: [['when', 'nothing']] },
      ['arguments', '0', 'value'],
      /no field "nothing"/,
    ],
    [
      {
        kind: 'REQUIRED_IF',
        fields: ['email'],
        arguments: [
          ['when', 'kind'],
          ['is', 'PERSON'],
          ['blank', 'true'],
        ],
      },
      ['arguments'],
      /either is or blank/,
    ],
    [
      {
        kind: 'REQUIRED_IF',
        fields: ['email'],
        arguments: [
          ['when', 'organization'],
          ['is', 'x'],
        ],
      },
      ['arguments', '0', 'value'],
      /ask whether it is blank/,
    ],
    [
      { kind: 'REQUIRED_IF', fields: ['organization.email'] },
      ['fields', '0'],
      /Name the reference itself: organization/,
    ],
    [{ kind: 'REQUIRED_IF', fields: [] }, ['fields'], /1 to 20 fields/],
    [{ kind: 'REQUIRED_IF', fields: ['email', 'email'] }, ['fields'], /named twice/],
    [{ kind: 'REQUIRED_IF', fields: ['email'], message: '  ' }, ['message'], /1 to 500 characters/],
    [
      { kind: 'REQUIRED_IF', fields: ['email'], message: 'x'.repeat(RULE_MESSAGE_LENGTH_MAX + 1) },
      ['message'],
      /1 to 500 characters/,
    ],
    [
      { kind: 'ONE_OF', fields: ['jobTitle'], arguments: [['value', 'x'.repeat(RULE_ARGUMENT_LENGTH_MAX + 1)]] },
      ['arguments', '0', 'value'],
      /at most 1000/,
    ],
  ]
  for (const [rule, field, message] of cases) {
    const { businessRule, userErrors } = await save(actor, rule)
    assert.equal(businessRule, null, JSON.stringify(rule))
    assert.deepEqual(userErrors[0].field, field, JSON.stringify([rule, userErrors]))
    assert.match(userErrors[0].message, message)
  }
  const many = Array.from({ length: RULE_ARGUMENTS_MAX }, (_, i) => ['value', `v${i}`] as const)
  await saved(actor, {
    kind: 'ONE_OF',
    fields: ['jobTitle'],
    arguments: many,
    message: 'x'.repeat(RULE_MESSAGE_LENGTH_MAX),
  })
  await saved(actor, {
    kind: 'PATTERN',
    fields: ['jobTitle'],
    arguments: [['pattern', 'x'.repeat(RULE_PATTERN_LENGTH_MAX)]],
  })
  assert.equal(
    (await save(actor, { kind: 'REQUIRED_IF', fields: Array.from({ length: RULE_FIELDS_MAX + 1 }, (_, i) => `f${i}`) }))
      .userErrors[0].code,
    'INVALID_INPUT',
  )
})

test('a record type has as many rules as the limit says', async () => {
  const actor = await newcomer()
  await saved(actor, { kind: 'REQUIRED_IF', fields: ['email'] })
  await world.oracle.query(
    `insert into business_rule select tenant_id, gen_random_uuid(), record_type, kind, fields, arguments, severity, message, false, created_by, created_at
     from business_rule, generate_series(2, $2) where tenant_id = $1`,
    [actor.tenantId, BUSINESS_RULES_MAX],
  )
  assert.equal((await save(actor, { kind: 'UNIQUE', fields: ['email'] })).userErrors[0].code, 'LIMIT_EXCEEDED')
  await saved(actor, { kind: 'UNIQUE', fields: ['email'], recordType: 'LEAD' })
})

test('a pattern takes time in proportion to the value, and a longer value fits none [UP-15]', async () => {
  const actor = await newcomer()
  await saved(actor, { kind: 'PATTERN', fields: ['notes'], arguments: [['pattern', '(a+)+']] })
  const most = 'a'.repeat(RULE_PATTERN_VALUE_LENGTH_MAX)
  const map = { Name: 'displayName', Notes: 'notes' }
  const run = await imported(actor, `Name,Notes\nAda,${most}\nBob,${most}a\nCy,${most.slice(1)}!\n`, map)
  assert.deepEqual(told(run), ['3 ERROR PATTERN of notes', '4 ERROR PATTERN of notes'])
})

test('a neighbour neither sees nor obeys nor changes a rule', async () => {
  const actor = await newcomer()
  const neighbour = await newcomer()
  const [rule] = await saved(actor, { kind: 'REQUIRED_IF', fields: ['email'] })
  assert.deepEqual((await world.ask(neighbour, '{ businessRules { id } }')).businessRules, [])
  assert.equal((await world.ask(neighbour, 'query ($id: ID!) { node(id: $id) { id } }', { id: rule.id })).node, null)
  assert.equal((await save(neighbour, { ...rule, arguments: [], message: 'mine' })).userErrors[0].code, 'NOT_FOUND')
  const deleted = await world.ask(
    neighbour,
    'mutation ($id: ID!) { businessRuleDelete(input: { id: $id }) { deletedId userErrors { code } } }',
    { id: rule.id },
  )
  assert.deepEqual(deleted.businessRuleDelete, { deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] })
  assert.deepEqual(told(await imported(neighbour, 'Name\nAda\n', { Name: 'displayName' })), [])
  const { node } = await world.ask(
    actor,
    'query ($id: ID!) { node(id: $id) { id ... on BusinessRule { message recordType active } } }',
    { id: rule.id },
  )
  assert.deepEqual(node, { id: rule.id, message: 'REQUIRED_IF of email', recordType: 'CONTACT', active: true })
  assert.equal((await save(actor, { ...rule, arguments: [], recordType: 'LEAD' })).userErrors[0].code, 'INVALID_INPUT')
})

test('a preview shows what rules say of the first rows, once there is a mapping', async () => {
  const actor = await newcomer()
  await saved(actor, { kind: 'PATTERN', fields: ['jobTitle'], arguments: [['pattern', 'B.*']] })
  const upload = await world.upload(
    actor,
    'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } } }',
    {},
    'Name,Job\nAda,Boss\nBob,Clerk\n',
  )
  const preview = async (mapping: object[]): Promise<Json[]> => {
    const { file } = await world.ask(
      actor,
      `query ($id: ID!, $mapping: [ColumnMappingInput!]) { file(id: $id) { preview(recordType: CONTACT, mapping: $mapping) {
         rows { rowNumber issues { code field message } } } } }`,
      { id: upload.data.fileUpload.file.id, mapping },
    )
    return file.preview.rows.map(({ issues }: Json) => issues)
  }
  const mapping = [
    { column: 'Name', field: 'displayName' },
    { column: 'Job', field: 'jobTitle' },
  ]
  assert.deepEqual(await preview(mapping), [
    [],
    [{ code: 'RULE_FAILED', field: 'jobTitle', message: 'PATTERN of jobTitle' }],
  ])
  await saved(actor, { kind: 'REQUIRED_IF', fields: ['email'] })
  assert.deepEqual(await preview([]), [[], []], 'nothing has been mapped yet')
})

test('what a rule says of a sensitive field is hidden from who may not see it', async () => {
  const actor = await newcomer()
  await saved(actor, { kind: 'PATTERN', fields: ['email'], arguments: [['pattern', '.*@x\\.com']] })
  const run = await imported(actor, 'Name,Mail\nAda,ada@y.com\n', { Name: 'displayName', Mail: 'email' })
  assert.equal(run.issues.nodes[0].value, 'ada@y.com')
  const blind = await world.actor(
    actor.tenantId,
    permissions.filter((permission) => permission !== 'PII_READ'),
  )
  const { importRun } = await world.ask(blind, runQuery, { id: run.id })
  assert.equal(importRun.issues.nodes[0].value, '***')
})
