import assert from 'node:assert/strict'
import { test } from 'node:test'
import { salesforceAdapter } from '../../../src/adapters/salesforce/index.js'
import { lengthened } from '../../../src/adapters/salesforce/soql.js'
import type { ExtractPage, ExtractRequest, Json, VendorObject } from '../../../src/adapters/vendor.js'
import { object, records, refused, type Scripted, ScriptedApi } from './scripted.js'

const waits: number[] = []
const salesforce = salesforceAdapter((milliseconds) => {
  waits.push(milliseconds)
  return Promise.resolve()
})
const { signal } = new AbortController()

const CONTACT = object(
  'Contact',
  'Id LastName Email:EMAIL Birthdate:DATE Score__c:DECIMAL IsDeleted:BOOLEAN MasterRecordId AccountId:REFERENCE:Account SystemModstamp:DATE_TIME',
)

const many = (of: VendorObject): VendorObject => ({ ...of, recordCount: 250_000 })

function asked(of: VendorObject, more: Partial<ExtractRequest> = {}): ExtractRequest {
  return {
    object: of,
    fields: of.fields.map(({ name }) => name),
    state: null,
    window: { since: null, until: '2026-03-02T09:00:00.123456Z' },
    ids: null,
    filter: null,
    signal,
    ...more,
  }
}

async function all(pages: AsyncIterable<ExtractPage>): Promise<ExtractPage[]> {
  const kept: ExtractPage[] = []
  for await (const page of pages) {
    kept.push(page)
  }
  return kept
}

const ids = (pages: readonly ExtractPage[]): string[] =>
  pages.flatMap(({ rows }) => rows.map(({ externalId }) => externalId))

const id = (n: number): string => `0035e0000${String(n).padStart(6, '0')}AAA`

const HEADER = 'Id,SystemModstamp,IsDeleted,MasterRecordId,LastName,Email,Birthdate,Score__c,AccountId'
const line = (n: number, name = 'Okafor'): string =>
  `"${id(n)}","2026-01-01T00:00:00.000Z","false","","${name}","","","5.0",""`
const csv = (rows: readonly string[], locator: string): Scripted => ({
  csv: `${[HEADER, ...rows].join('\n')}\n`,
  headers: { 'sforce-locator': locator, 'sforce-numberofrecords': String(rows.length) },
})

test('lengthens ids of 15 characters', () => {
  // Of Salesforce's own documentation.
  assert.equal(lengthened('0015g00000AbCdE'), '0015g00000AbCdEAAV')
  assert.equal(lengthened('500D00000034j5H'), '500D00000034j5HIAQ')
  assert.equal(lengthened('0015g00000AbCdEAAV'), '0015g00000AbCdEAAV')
  assert.equal(lengthened('anything'), 'anything')
})

test('reads few records by REST, in one page, with the window and without deleted ones', async () => {
  const api = new ScriptedApi(() =>
    records([
      {
        Id: id(1),
        SystemModstamp: '2026-01-01T00:00:00.000+0000',
        IsDeleted: false,
        MasterRecordId: null,
        LastName: 'Okafor',
        Score__c: 5,
        AccountId: '0015g00000AbCdEAAV',
      },
    ]),
  )
  const [page, ...more] = await all(
    salesforce.extract(api, asked({ ...CONTACT, recordCount: 1 }, { filter: 'Email != null' })),
  )
  assert.deepEqual(api.calls, [
    `GET query?q=SELECT ${HEADER.replaceAll(',', ', ')} FROM Contact WHERE SystemModstamp < 2026-03-02T09:00:00.123Z AND (Email != null)`,
  ])
  const [row] = page?.rows ?? []
  assert.equal(row?.externalId, id(1))
  assert.equal(row?.updatedAt, '2026-01-01T00:00:00.000Z')
  assert.deepEqual(row?.data, {
    Id: id(1),
    SystemModstamp: '2026-01-01T00:00:00.000Z',
    IsDeleted: 'false',
    MasterRecordId: null,
    LastName: 'Okafor',
    Email: null,
    Birthdate: null,
    Score__c: '5',
    AccountId: '0015g00000AbCdEAAV',
  })
  assert.deepEqual(row?.derived, { organization: 'Account/0015g00000AbCdEAAV' })
  assert.equal(more.length, 0)
  assert.deepEqual((page?.state as { windows: Json } | undefined)?.windows, [])
})

test('reads much with a job: kept before it is looked at, polled, fetched by locators to the word null', async () => {
  waits.length = 0
  let looks = 0
  const api = new ScriptedApi((_, text) => {
    if (text.startsWith('POST')) {
      return { json: { id: '7505g1', state: 'UploadComplete' } }
    }
    if (text === 'GET jobs/query/7505g1') {
      return { json: { id: '7505g1', state: ['UploadComplete', 'InProgress', 'JobComplete'][looks++] } }
    }
    return text.includes('locator=L2')
      ? csv([line(3)], 'null')
      : csv([line(1, 'two\nlines, ""quoted""'), line(2, 'NUL \u0000 gone')], 'L2')
  })
  const pages = await all(salesforce.extract(api, asked(many(CONTACT))))
  const [made] = pages
  assert.equal((made?.state as { job: string } | undefined)?.job, '7505g1')
  assert.deepEqual(api.requests[0]?.json, {
    operation: 'query',
    query: `SELECT ${HEADER.replaceAll(',', ', ')} FROM Contact WHERE SystemModstamp < 2026-03-02T09:00:00.123Z`,
    contentType: 'CSV',
    columnDelimiter: 'COMMA',
    lineEnding: 'LF',
  })
  assert.equal(api.requests[0]?.repeatable, false)
  assert.deepEqual(api.calls.slice(1), [
    'GET jobs/query/7505g1',
    'GET jobs/query/7505g1',
    'GET jobs/query/7505g1',
    'GET jobs/query/7505g1/results?maxRecords=100000',
    'GET jobs/query/7505g1/results?maxRecords=100000&locator=L2',
  ])
  assert.deepEqual(waits, [1000, 1000, 1000])
  assert.deepEqual(ids(pages), [id(1), id(2), id(3)])
  const names = pages.flatMap(({ rows }) => rows.map(({ data }) => data.LastName))
  assert.deepEqual(names, ['two\nlines, "quoted"', 'NUL  gone', 'Okafor'])
  assert.deepEqual(
    pages.flatMap(({ problems }) => problems.map(({ code }) => code)),
    ['NUL_REMOVED'],
  )
})

test('what both ways answer is written in one way', async () => {
  const stamp = { SystemModstamp: '2026-01-01T00:00:00.000+0000', IsDeleted: false, MasterRecordId: null }
  const rest = new ScriptedApi(() =>
    records([
      { Id: id(1), ...stamp, LastName: 'Okafor', Email: null, Birthdate: null, Score__c: 5.0, AccountId: null },
    ]),
  )
  const bulk = new ScriptedApi((_, text) =>
    text.includes('/results') ? csv([line(1)], 'null') : { json: { id: '750', state: 'JobComplete' } },
  )
  const [one] = await all(salesforce.extract(rest, asked({ ...CONTACT, recordCount: 3 })))
  const other = (await all(salesforce.extract(bulk, asked(many(CONTACT))))).find(({ rows }) => rows.length > 0)
  assert.deepEqual(one?.rows, other?.rows)
})

test('goes on behind the rows that were kept, from any state on', async () => {
  const rows = Array.from({ length: 4500 }, (_, at) => line(at))
  const answering = (_: unknown, text: string): Scripted =>
    text.includes('locator=L2')
      ? csv([line(9000)], 'null')
      : text.includes('/results')
        ? csv(rows, 'L2')
        : { json: { id: '750', state: 'JobComplete' } }
  const whole = await all(salesforce.extract(new ScriptedApi(answering), asked(many(CONTACT))))
  assert.deepEqual(
    whole.map((page) => page.rows.length),
    [0, 2000, 2000, 500, 1],
  )
  for (const [at, { state }] of whole.entries()) {
    const api = new ScriptedApi(answering)
    const rest = await all(salesforce.extract(api, asked(many(CONTACT), { state })))
    assert.deepEqual(ids(rest), ids(whole.slice(at + 1)), `after page ${at}`)
    assert.ok(!api.calls.some((call) => call.startsWith('POST')), 'no second job')
    assert.ok(at < whole.length - 1 || api.calls.length === 0, 'nothing is asked at the end')
  }
})

test('says which pages end within an answer, and goes on behind each without a record more or less', async () => {
  const all4500 = Array.from({ length: 4500 }, (_, at) => line(at + 1))
  const scripted = () =>
    new ScriptedApi((_, text) =>
      text.includes('/results')
        ? text.includes('locator=L2')
          ? csv([line(4501)], 'null')
          : csv(all4500, 'L2')
        : { json: { id: '750', state: 'JobComplete' } },
    )
  const pages = await all(salesforce.extract(scripted(), asked(many(CONTACT))))
  assert.deepEqual(
    pages.map(({ rows, inAnswer }) => [rows.length, inAnswer ?? false]),
    [
      [0, false],
      [2000, true],
      [2000, true],
      [500, false],
      [1, false],
    ],
  )
  for (const [at, { state }] of pages.entries()) {
    const before = ids(pages.slice(0, at + 1))
    const after = ids(await all(salesforce.extract(scripted(), asked(many(CONTACT), { state }))))
    assert.deepEqual([...before, ...after], ids(pages))
  }
})

test('an answer that is cut off or has other columns is thrown, and not taken for the end', async () => {
  const cases: readonly (readonly [string, Scripted])[] = [
    ['fewer rows', { ...csv([line(1)], 'null'), headers: { 'sforce-locator': 'null', 'sforce-numberofrecords': '2' } }],
    ['an open quote', { csv: `${HEADER}\n${line(1).slice(0, -40)}`, headers: { 'sforce-locator': 'null' } }],
    ['nothing at all', { csv: '' }],
    ['a page of a proxy', { csv: '<html>Please wait</html>' }],
    ['no header', { csv: '', headers: { 'sforce-locator': 'null' } }],
    ['another header', { csv: 'Id,Other\n"1","2"\n', headers: { 'sforce-locator': 'null' } }],
    ['a break', { ...csv([line(1), line(2)], 'null'), breaksAt: 150 }],
  ]
  for (const [what, answer] of cases) {
    const api = new ScriptedApi((_, text) =>
      text.includes('/results') ? answer : { json: { id: '750', state: 'JobComplete' } },
    )
    await assert.rejects(all(salesforce.extract(api, asked(many(CONTACT)))), /not whole|broke/, what)
  }
})

test('an empty answer is never taken for an end, wherever it comes', async () => {
  const empty: Scripted = { json: null }
  const pages: readonly Scripted[] = [
    empty,
    { json: { records: [] } },
    { json: { totalSize: 1, done: false, records: [] } },
  ]
  for (const page of pages) {
    const api = new ScriptedApi(() => page)
    await assert.rejects(all(salesforce.extract(api, asked({ ...CONTACT, recordCount: 1 }))), /Salesforce/)
    await assert.rejects(salesforce.count(api, CONTACT, signal), /Salesforce/)
  }
  await assert.rejects(salesforce.discover(new ScriptedApi(() => empty), signal), /list its objects/)
  await assert.rejects(all(salesforce.extract(new ScriptedApi(() => empty), asked(many(CONTACT)))), /no id/)
  const job = new ScriptedApi((_, text) => (text.startsWith('POST') ? { json: { id: '750' } } : empty))
  await assert.rejects(all(salesforce.extract(job, asked(many(CONTACT)))), /how far/)
})

test('a job, a locator or a page that is gone starts anew, but not for ever', async () => {
  let lost = 0
  const api = new ScriptedApi((_, text) => {
    if (text.startsWith('POST')) {
      return { json: { id: `75${lost}`, state: 'UploadComplete' } }
    }
    if (text.includes('/results')) {
      if (lost++ === 0) {
        throw refused(404, 'NOT_FOUND')
      }
      return csv([line(1)], 'null')
    }
    return { json: { id: '750', state: 'JobComplete' } }
  })
  const state: Json = {
    v: 1,
    windows: [[null, '2026-03-02T09:00:00.123Z']],
    how: 'BULK',
    job: '7509',
    locator: 'L7',
    taken: 100,
  }
  assert.deepEqual(ids(await all(salesforce.extract(api, asked(many(CONTACT), { state })))), [id(1)])
  const never = new ScriptedApi((_, text) => {
    if (text.startsWith('POST')) {
      return { json: { id: '750', state: 'UploadComplete' } }
    }
    throw refused(404, 'NOT_FOUND')
  })
  await assert.rejects(all(salesforce.extract(never, asked(many(CONTACT)))), /lost 5 times/)
  let pages = 0
  const rest = new ScriptedApi((_, text) => {
    pages += 1
    if (text.includes('01g-2000') && pages < 3) {
      throw refused(400, 'INVALID_QUERY_LOCATOR')
    }
    return text.includes('01g-2000')
      ? records([{ Id: id(2) }])
      : records([{ Id: id(1) }], { next: '/services/data/v67.0/query/01g-2000', totalSize: 2 })
  })
  assert.deepEqual(ids(await all(salesforce.extract(rest, asked({ ...CONTACT, recordCount: 2 })))), [
    id(1),
    id(1),
    id(2),
  ])
})

test('a window that takes too long is halved, in jobs and in REST', async () => {
  const windows: string[] = []
  const api = new ScriptedApi((request, text) => {
    if (text.includes('ORDER BY SystemModstamp ASC LIMIT 1')) {
      return records([{ SystemModstamp: '2026-01-01T00:00:00.000+0000' }])
    }
    if (text.startsWith('POST')) {
      windows.push((request.json as { query: string }).query.replace(/.*WHERE /, ''))
      return { json: { id: `75${windows.length}`, state: 'UploadComplete' } }
    }
    if (text.includes('/results')) {
      return csv([line(Number(/75(\d+)/.exec(text)?.[1]))], 'null')
    }
    const number = Number(/75(\d+)/.exec(text)?.[1])
    return number === 1
      ? {
          json: {
            id: '751',
            state: 'Failed',
            errorMessage: 'QUERY_TIMEOUT: Your query request was running for too long.',
          },
        }
      : { json: { id: `75${number}`, state: 'JobComplete' } }
  })
  const pages = await all(salesforce.extract(api, asked(many(CONTACT))))
  assert.deepEqual(windows, [
    'SystemModstamp < 2026-03-02T09:00:00.123Z',
    'SystemModstamp < 2026-01-31T04:30:00.061Z',
    'SystemModstamp >= 2026-01-31T04:30:00.061Z AND SystemModstamp < 2026-03-02T09:00:00.123Z',
  ])
  assert.deepEqual(ids(pages), [id(2), id(3)])
  const slow = new ScriptedApi(() => {
    throw refused(400, 'QUERY_TIMEOUT')
  })
  const changes = { since: '2026-03-02T08:59:00.000Z', until: '2026-03-02T09:00:00.000Z' }
  await assert.rejects(all(salesforce.extract(slow, asked(CONTACT, { window: changes }))), /in time/)
  assert.ok(slow.calls.length > 5 && slow.calls.length < 30, String(slow.calls.length))
})

test('changes are read with deleted and merged records, ten minutes back, by job only where they are many', async () => {
  const window = { since: '2026-03-01T00:00:00.000000Z', until: '2026-03-02T00:00:00.000000Z' }
  const api = new ScriptedApi(() =>
    records([
      { Id: id(1), SystemModstamp: '2026-03-01T10:00:00.000+0000', IsDeleted: true, MasterRecordId: '0035e0000000002' },
      { Id: id(3), SystemModstamp: '2026-03-01T11:00:00.000+0000', IsDeleted: false },
    ]),
  )
  const [page] = await all(salesforce.extract(api, asked(many(CONTACT), { window })))
  assert.match(
    api.calls[0] ?? '',
    /^GET queryAll\?.* WHERE SystemModstamp >= 2026-02-28T23:50:00.000Z AND SystemModstamp < 2026-03-02T00:00:00.000Z$/,
  )
  assert.deepEqual(
    page?.rows.map(({ externalId, deleted, mergedInto }) => [externalId, deleted, mergedInto]),
    [
      [id(1), true, '0035e0000000002AAA'],
      [id(3), false, null],
    ],
  )
  const large = new ScriptedApi((_, text) =>
    text.startsWith('GET queryAll')
      ? records([{ Id: id(1) }], { totalSize: 2001, next: '/services/data/v67.0/query/01g-2000' })
      : text.includes('/results')
        ? csv([line(1)], 'null')
        : { json: { id: '750', state: 'JobComplete' } },
  )
  assert.deepEqual(ids(await all(salesforce.extract(large, asked(CONTACT, { window })))), [id(1)])
  assert.equal((large.requests[1]?.json as { operation: string } | undefined)?.operation, 'queryAll')
})

test('tells deletions as long as the recycle bin holds them', async () => {
  const api = new ScriptedApi(() =>
    records([{ Id: '003000000000001', SystemModstamp: '2026-03-01T10:00:00.000+0000', MasterRecordId: null }]),
  )
  const window = { since: '2026-03-01T00:00:00.000Z', until: '2026-03-02T00:00:00.000Z' }
  const found = []
  for await (const page of salesforce.deletions(api, { object: CONTACT, ...window, signal })) {
    found.push(...page.externalIds)
  }
  assert.deepEqual(found, [{ id: '003000000000001AAA', deletedAt: '2026-03-01T10:00:00.000Z', mergedInto: null }])
  assert.match(api.calls[0] ?? '', /^GET queryAll\?.*IsDeleted = true$/)
  assert.equal(salesforce.tellsDeletions(CONTACT, window), true)
  assert.equal(salesforce.tellsDeletions(CONTACT, { ...window, since: '2026-02-01T00:00:00.000Z' }), false)
  assert.equal(salesforce.tellsDeletions(object('Thing__c', 'Id')), false)
})

test('activities are read with archived ones and without the rows that stand for a series', async () => {
  const task = object(
    'Task',
    'Id Status IsClosed:BOOLEAN IsArchived:BOOLEAN IsDeleted:BOOLEAN IsRecurrence:BOOLEAN SystemModstamp:DATE_TIME',
  )
  const api = new ScriptedApi(() => records([{ Id: id(1), Status: 'Held', IsClosed: true }]))
  const [page] = await all(salesforce.extract(api, asked({ ...task, recordCount: 5 })))
  assert.match(
    api.calls[0] ?? '',
    /^GET queryAll\?.*WHERE IsRecurrence = false AND IsDeleted = false AND SystemModstamp < /,
  )
  assert.equal(page?.rows[0]?.derived.status, 'Completed', 'closed by a word of their own')
  await salesforce.count(api, task, signal)
  assert.equal(api.calls[1], 'GET queryAll?q=SELECT COUNT() FROM Task WHERE IsRecurrence = false AND IsDeleted = false')
})

test('a field that went away is left out and told; a missing object is not', async () => {
  const api = new ScriptedApi((request, text) => {
    if (text.endsWith('Contact/describe')) {
      const fields = CONTACT.fields.filter(({ name }) => name !== 'Score__c')
      return {
        json: {
          name: 'Contact',
          label: 'Contact',
          custom: false,
          queryable: true,
          fields: fields.map(({ name }) => ({ name })),
        },
      }
    }
    if (String(request.query?.q).includes('Score__c')) {
      throw refused(400, 'INVALID_FIELD', "No such column 'Score__c' on entity 'Contact'")
    }
    return records([{ Id: id(1), LastName: 'Okafor' }])
  })
  const pages = await all(salesforce.extract(api, asked({ ...CONTACT, recordCount: 5 })))
  assert.deepEqual(
    pages.flatMap(({ problems }) => problems.map(({ code }) => code)),
    ['FIELD_GONE'],
  )
  assert.deepEqual(ids(pages), [id(1)])
  assert.deepEqual((pages.at(-1)?.state as { gone: Json } | undefined)?.gone, ['Score__c'])
  const gone = new ScriptedApi(() => {
    throw refused(400, 'INVALID_TYPE', "sObject type 'Contact' is not supported")
  })
  await assert.rejects(all(salesforce.extract(gone, asked({ ...CONTACT, recordCount: 5 }))), /not supported/)
})

test('records are read by id in portions, fields in groups that fit into an address', async () => {
  const wide = object(
    'Wide__c',
    ['Id', ...Array.from({ length: 600 }, (_, at) => `A_rather_long_name_of_a_field_${at}__c`)].join(' '),
  )
  const api = new ScriptedApi((request) => {
    const soql = String(request.query?.q)
    const fields = (/SELECT (.*) FROM/.exec(soql)?.[1] ?? '').split(', ')
    const wanted = [...soql.matchAll(/'(\w+)'/g)].map(([, found]) => found)
    return records(
      wanted
        .filter((found) => found !== lengthened('a005e0000000003'))
        .map((found) => Object.fromEntries(fields.map((name) => [name, name === 'Id' ? found : name]))),
    )
  })
  const wanted = Array.from({ length: 250 }, (_, at) => `a005e0000${String(at).padStart(6, '0')}`)
  const rows = await salesforce.read(
    api,
    wide,
    wanted,
    wide.fields.map(({ name }) => name),
    signal,
  )
  assert.equal(rows.length, 249)
  assert.ok(
    rows.every(({ data }) => Object.keys(data).length === 601 && data.A_rather_long_name_of_a_field_599__c !== null),
  )
  for (const { query } of api.requests) {
    assert.ok(encodeURIComponent(String(query?.q)).length <= 12_000)
  }
})

test('a job that Salesforce does not take for an object is read by REST', async () => {
  const api = new ScriptedApi((_, text) => {
    if (text.startsWith('POST')) {
      throw refused(400, 'INVALIDENTITY', "Entity 'Contact' is not supported by the Bulk API.")
    }
    return records([{ Id: id(1) }])
  })
  assert.deepEqual(ids(await all(salesforce.extract(api, asked(many(CONTACT))))), [id(1)])
})

test('finds the objects, their fields and where they would go', async () => {
  const field = (name: string, type = 'string', more: object = {}) => ({
    name,
    label: name,
    type,
    custom: name.endsWith('__c'),
    ...more,
  })
  const described: Readonly<Record<string, readonly object[]>> = {
    Account: [
      field('Id', 'id'),
      field('BillingAddress', 'address'),
      field('IsPersonAccount', 'boolean'),
      field('PersonContactId', 'reference', { referenceTo: ['Contact'] }),
    ],
    Contact: [
      field('Id', 'id'),
      field('OwnerId', 'reference', { referenceTo: ['User'] }),
      field('AccountId', 'reference', { referenceTo: ['Account'] }),
    ],
    Opportunity: [field('Id', 'id'), field('Home__c', 'reference', { referenceTo: ['Listing__c'] })],
    Listing__c: [
      field('Id', 'id'),
      field('Price__c', 'currency'),
      field('Status__c', 'picklist', { picklistValues: [{ value: 'Sold', label: null }] }),
      field('Age__c', 'double', { calculated: true }),
    ],
    Invoice__c: [field('Id', 'id')],
    Task: [field('Id', 'id'), field('WhoId', 'reference', { referenceTo: ['Contact', 'Lead'] })],
  }
  const api = new ScriptedApi((request, text) => {
    if (text === 'GET sobjects') {
      const names = ['Task', 'Invoice__c', 'Opportunity', 'Listing__c', 'Contact', 'Account', 'Hidden__c']
      return {
        json: {
          sobjects: names.map((name) => ({
            name,
            label: name,
            keyPrefix: null,
            custom: name.endsWith('__c'),
            queryable: name !== 'Hidden__c',
          })),
        },
      }
    }
    if (text.startsWith('POST composite/batch')) {
      const { batchRequests } = request.json as { batchRequests: readonly { url: string }[] }
      return {
        json: {
          hasErrors: false,
          results: batchRequests.map(({ url }) => {
            const name = url.split('/')[2] ?? ''
            return {
              statusCode: 200,
              result: { name, label: name, custom: name.endsWith('__c'), queryable: true, fields: described[name] },
            }
          }),
        },
      }
    }
    return { json: { sObjects: [{ name: 'Contact', count: 1234 }] } }
  })
  const found = await salesforce.discover(api, signal)
  assert.equal(api.calls.length, 3)
  assert.deepEqual(
    found.map(({ name, suggestedRecordType, recordCount }) => [name, suggestedRecordType, recordCount]),
    [
      ['Account', 'contact', null],
      ['Contact', 'contact', 1234],
      ['Listing__c', 'property', null],
      ['Opportunity', 'lead', null],
      ['Task', 'activity', null],
      ['Invoice__c', null, null],
    ],
  )
  const names = (name: string) => found.find((one) => one.name === name)?.fields.map((one) => one.name)
  assert.deepEqual(
    names('Account'),
    ['Id', 'IsPersonAccount', 'PersonContactId'],
    'parts of an address are fields of their own',
  )
  assert.deepEqual(names('Contact'), ['Id', 'OwnerId', 'AccountId', 'portage.organization', 'portage.ownerEmail'])
  assert.deepEqual(names('Opportunity')?.slice(2), [
    'Account.PersonContactId',
    'portage.status',
    'portage.contact',
    'portage.displayName',
    'portage.property',
  ])
  const property = found.find(({ name }) => name === 'Task')?.fields.find(({ name }) => name === 'portage.property')
  assert.deepEqual(property?.references, ['Listing__c'])
  const listing = found.find(({ name }) => name === 'Listing__c')
  assert.deepEqual(listing?.fields.find(({ name }) => name === 'Status__c')?.options, [
    { value: 'Sold', label: 'Sold' },
  ])
})

test('tells the time of the service, and whose account it is', async () => {
  const api = new ScriptedApi((_, text) =>
    text.includes('Organization') ? records([{ Id: '00D5g00000XXXXXEAQ', Name: 'Acme' }]) : { json: {} },
  )
  assert.equal(await salesforce.clock(api, signal), '2026-03-02T08:59:50.000000Z')
  assert.deepEqual(await salesforce.check(api, signal), { id: '00D5g00000XXXXX', name: 'Acme', apiVersion: '67.0' })
  assert.equal(salesforce.callsFor(CONTACT, 200_000), 6)
  assert.equal(salesforce.callsFor(CONTACT, 10), 1)
  assert.equal(salesforce.idOf(CONTACT, { Id: '0035e0000000001' }), '0035e0000000001AAA')
  assert.equal(salesforce.idOf(CONTACT, null), null)
})
