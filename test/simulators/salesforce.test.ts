import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { randomFaults } from './common/faults.js'
import type { Json, Row } from './common/types.js'
import { entities, isCompound } from './salesforce/fields.js'
import { type SalesforceOptions, type SalesforceSimulator, startSalesforce, VERSION } from './salesforce/index.js'
import { checksum, idOf, indexOf, SALESFORCE_COUNTS } from './salesforce/records.js'
import { recordViolations } from './salesforce/schemas.js'
import { fits, Malformed, parseSoql } from './salesforce/soql.js'

type Record_ = Readonly<Record<string, unknown>>
interface Page {
  readonly totalSize: number
  readonly done: boolean
  readonly nextRecordsUrl?: string
  readonly records: readonly Record_[]
}
interface Job {
  readonly id: string
  readonly state: string
  readonly numberRecordsProcessed?: number
  readonly errorMessage?: string
}
type Refusal = readonly { readonly errorCode: string; readonly message: string }[]

const BASE = `/services/data/v${VERSION}`

/** A client that trusts everything it is told: what it misses shows what the simulator hides. */
class Naive {
  readonly simulator: SalesforceSimulator
  token: string
  constructor(simulator: SalesforceSimulator) {
    this.simulator = simulator
    this.token = simulator.oauth.connect().accessToken
  }
  ask(path: string, init: RequestInit = {}, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(path.startsWith('http') ? path : `${this.simulator.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
    })
  }
  async json<T>(path: string): Promise<T> {
    return (await (await this.ask(path)).json()) as T
  }
  post(path: string, body: unknown, method = 'POST'): Promise<Response> {
    return this.ask(path, { method, body: JSON.stringify(body) }, { 'content-type': 'application/json' })
  }
  query(soql: string, resource = 'query', size = 2000): Promise<Response> {
    return this.ask(
      `${BASE}/${resource}?q=${encodeURIComponent(soql)}`,
      {},
      { 'sforce-query-options': `batchSize=${size}` },
    )
  }
  async refused(soql: string): Promise<string | undefined> {
    const response = await this.query(soql)
    assert.ok(response.status >= 400, `${soql}: ${response.status}`)
    return ((await response.json()) as Refusal)[0]?.errorCode
  }
  /** All pages, at most 60. */
  async pages(soql: string, resource = 'query', size = 5): Promise<readonly Page[]> {
    const pages: Page[] = []
    let page = (await (await this.query(soql, resource, size)).json()) as Page
    pages.push(page)
    while (!page.done && page.nextRecordsUrl !== undefined && pages.length < 60) {
      const response = await this.ask(page.nextRecordsUrl, {}, { 'sforce-query-options': `batchSize=${size}` })
      page = (await response.json()) as Page
      pages.push(page)
    }
    return pages
  }
  async all(soql: string, resource = 'query', size = 5): Promise<readonly Record_[]> {
    return (await this.pages(soql, resource, size)).flatMap(({ records }) => records)
  }
  async job(query: string, operation = 'query'): Promise<Job> {
    const made = await this.post(`${BASE}/jobs/query`, { operation, query, contentType: 'CSV' })
    assert.equal(made.status, 200, await made.clone().text())
    let job = (await made.json()) as Job
    for (let polls = 0; polls < 20 && (job.state === 'UploadComplete' || job.state === 'InProgress'); polls++) {
      job = await this.json<Job>(`${BASE}/jobs/query/${job.id}`)
    }
    return job
  }
  results(id: string, size: number, locator = ''): Promise<Response> {
    return this.ask(`${BASE}/jobs/query/${id}/results?maxRecords=${size}${locator === '' ? '' : `&locator=${locator}`}`)
  }
  /** All pages of a job, at most 60. */
  async bulk(query: string, operation = 'query', size = 5): Promise<readonly (readonly Record<string, string>[])[]> {
    const { id, state } = await this.job(query, operation)
    assert.equal(state, 'JobComplete')
    const pages: Record<string, string>[][] = []
    for (let locator = ''; locator !== 'null' && pages.length < 60; ) {
      const response = await this.results(id, size, locator)
      assert.equal(response.status, 200)
      const rows = parse<Record<string, string>>(await response.text(), { columns: true, skip_empty_lines: true })
      assert.equal(Number(response.headers.get('sforce-numberofrecords')), rows.length)
      pages.push(rows)
      locator = response.headers.get('sforce-locator') ?? 'null'
    }
    return pages
  }
}

async function organization(
  options: SalesforceOptions = {},
): Promise<AsyncDisposable & { client: Naive; at: SalesforceSimulator }> {
  const at = await startSalesforce(options)
  return { client: new Naive(at), at, [Symbol.asyncDispose]: () => at.close() }
}

const ids = (rows: readonly Record_[]): string[] => rows.map(({ Id }) => said(Id))
const without = ({ attributes: _, ...rest }: Record_): Record_ => rest
const fieldsOf = (object: string, compound = true): string =>
  (entities().get(object)?.fields ?? [])
    .filter((field) => compound || !isCompound(field))
    .map(({ name }) => name)
    .join(', ')
/** A text as it is, anything else as JSON has it. */
const said = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
const soon = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

test('reads SOQL and refuses what it does not know', () => {
  const query = parseSoql(
    "select Id, Owner.Email from Contact where (LastName = 'O\\'Brien' or Email like '%@x.org') and not IsDeleted = true and SystemModstamp >= 2026-01-01T00:00:00.000Z and Id in ('1','2') order by SystemModstamp desc nulls last, Id limit 7 offset 2",
  )
  assert.deepEqual(query.fields, ['Id', 'Owner.Email'])
  assert.deepEqual([query.limit, query.offset, query.orderBy.length], [7, 2, 2])
  assert.deepEqual(query.orderBy[0], { field: 'SystemModstamp', descending: true, nullsLast: true })
  const record: Record<string, Json> = {
    LastName: "O'Brien",
    IsDeleted: false,
    SystemModstamp: '2026-01-01T00:00:00.000Z',
    Id: '2',
  }
  const { where } = query
  assert.ok(where !== null && fits(where, (field) => record[field]))
  assert.ok(!fits(where, (field) => (field === 'SystemModstamp' ? '2025-12-31T23:59:59.000Z' : record[field])))
  assert.ok(!fits(where, (field) => (field === 'LastName' ? 'Other' : record[field])))
  const bounds = parseSoql('SELECT COUNT() FROM Task WHERE A > 1 AND B <= 2 AND C != null AND D NOT IN (3)').where
  const fitting: Record<string, Json> = { A: 1.5, B: 2, C: 'c', D: 4 }
  assert.ok(bounds !== null && fits(bounds, (field) => fitting[field]))
  for (const values of [{ A: 1 }, { B: 2.5 }, { C: null }, { D: 3 }, { A: null }]) {
    assert.ok(
      !fits(bounds, (field) => (field in values ? Object.values(values)[0] : fitting[field])),
      JSON.stringify(values),
    )
  }
  for (const wrong of [
    'SELECT FROM Lead',
    'SELECT Id FROM Lead WHERE',
    'SELECT Id FROM Lead LIMIT x',
    'SELECT Id, COUNT() FROM Lead',
    'SELECT Id FROM Lead; DROP',
    "SELECT Id FROM Lead WHERE Name = 'x",
    'SELECT (SELECT Id FROM Contacts) FROM Account',
    'DELETE FROM Lead',
  ]) {
    assert.throws(() => parseSoql(wrong), Malformed, wrong)
  }
})

test('ids have 18 characters, the last three of them a check', () => {
  assert.equal(checksum('0015g00000ABCde'), 'AAH')
  for (const index of [0, 61, 62, 200_000, 900_000_123]) {
    const id = idOf('003', index)
    assert.equal(id.length, 18)
    assert.equal(indexOf('003', id), index)
    assert.equal(indexOf('003', id.slice(0, 15)), index)
    assert.equal(indexOf('00Q', id), null)
  }
  assert.equal(indexOf('003', `${idOf('003', 5).slice(0, 15)}ZZZ`), null)
  const many = Array.from({ length: 500 }, (_, at) => idOf('00T', at * 37))
  assert.deepEqual([...many].sort(), many)
})

test('every object is given whole by queries, page by page, each record once', async () => {
  await using it = await organization()
  for (const object of Object.keys(SALESFORCE_COUNTS)) {
    const truth = soon([...it.at.rows(object)])
    const rows = await it.client.all(`SELECT ${fieldsOf(object)} FROM ${object}`, 'queryAll')
    const alive = rows.filter(({ IsDeleted }) => IsDeleted !== true)
    assert.deepEqual(alive.map(without), truth, object)
  }
  const pages = await it.client.pages('SELECT Id FROM Contact', 'query', 10)
  assert.deepEqual(
    pages.map(({ records }) => records.length),
    [10, 8, 10, 8, 7],
    'a page may be shorter than asked for',
  )
  assert.ok(pages.every(({ totalSize }) => totalSize === it.at.count('Contact')))
  assert.equal(pages.at(-1)?.nextRecordsUrl, undefined)
  assert.match(pages[0]?.nextRecordsUrl ?? '', /^\/services\/data\/v67\.0\/query\/01g\w+-10$/)
})

test('conditions, orders, counts and fields behind references are answered', async () => {
  await using it = await organization()
  const client = it.client
  const count = (await (await client.query('SELECT COUNT() FROM Lead WHERE IsConverted = true')).json()) as Page
  const truth = [...it.at.rows('Lead')].filter(({ IsConverted }) => IsConverted === true)
  assert.deepEqual([count.totalSize, count.records.length], [truth.length, 0])
  const ordered = await client.all('SELECT Id, Email FROM Contact ORDER BY Email DESC NULLS LAST, Id LIMIT 11')
  assert.equal(ordered.length, 11)
  const emails = ordered.map(({ Email }) => said(Email))
  assert.deepEqual(emails, [...emails].sort().reverse())
  const [one = {}] = await client.all('SELECT Id, Owner.Email, Account.Name, Account.Owner.Name FROM Contact LIMIT 1')
  const [contact] = it.at.rows('Contact')
  const account = [...it.at.rows('Account')].find(({ Id }) => Id === contact?.AccountId)
  assert.equal((one.Owner as Record_).Email, 'agent1@agency.example')
  assert.equal((one.Account as Record_).Name, account?.Name)
  assert.match(said(((one.Account as Record_).Owner as Record_).Name), / /)
  const tasks = await client.all('SELECT Id, WhoId, Who.Type, What.Type FROM Task', 'query', 100)
  const types = new Set(tasks.map(({ Who }) => (Who as Record_ | null)?.Type))
  assert.deepEqual(types, new Set(['Contact', 'Lead', undefined]))
  assert.ok(tasks.some(({ WhoId, Who }) => WhoId !== null && Who === null, 'some ids lead nowhere'))
  const since = '2026-03-02T08:55:00.000Z'
  const window = await client.all(
    `SELECT Id, SystemModstamp FROM Contact WHERE SystemModstamp >= ${since} AND SystemModstamp < 2026-03-02T08:58:00Z ORDER BY SystemModstamp, Id`,
  )
  assert.ok(window.length > 3 && window.every(({ SystemModstamp }) => said(SystemModstamp) >= since.slice(0, 19)))
  const some = ids([...it.at.rows('Contact')]).slice(3, 5)
  const byShort = await client.all(
    `SELECT Id FROM Contact WHERE Id IN ('${some[0]?.slice(0, 15)}', '${some[1]}') AND DoNotCall = false`,
  )
  assert.deepEqual(ids(byShort), some)
  for (const [soql, code] of [
    ['SELECT Nothing__c FROM Lead', 'INVALID_FIELD'],
    ['SELECT Id FROM Lead WHERE Nothing = 1', 'INVALID_FIELD'],
    ['SELECT Nobody.Name FROM Lead', 'INVALID_FIELD'],
    ["SELECT Id FROM Lead WHERE Description = 'x'", 'INVALID_FIELD'],
    ["SELECT Id FROM Lead WHERE SystemModstamp > '2026-01-01T00:00:00Z'", 'INVALID_FIELD'],
    ['SELECT Id FROM Nothing', 'INVALID_TYPE'],
    ['SELECT Id Lead', 'MALFORMED_QUERY'],
  ] as const) {
    assert.equal(await client.refused(soql), code, soql)
  }
})

test('versions, descriptions, limits, counts and single records are answered', async () => {
  await using it = await organization()
  const versions = await it.client.json<readonly { version: string }[]>('/services/data')
  assert.equal(versions.at(-1)?.version, VERSION)
  const { sobjects } = await it.client.json<{ sobjects: readonly Record_[] }>(`${BASE}/sobjects`)
  assert.deepEqual(
    sobjects.filter(({ custom }) => custom === true).map(({ name }) => name),
    ['Property__c', 'Broker__c'],
  )
  for (const { name } of sobjects) {
    const described = await it.client.json<{ fields: readonly Record_[] }>(`${BASE}/sobjects/${said(name)}/describe`)
    assert.ok(described.fields.length >= 8, said(name))
  }
  const property = await it.client.json<{ fields: readonly Record_[] }>(`${BASE}/sobjects/Property__c/describe`)
  const field = (name: string) => property.fields.find((candidate) => candidate.name === name)
  assert.equal(field('Days_On_Market__c')?.calculated, true)
  assert.equal(field('Location__c')?.type, 'location')
  assert.equal(field('Location__Latitude__s')?.compoundFieldName, 'Location__c')
  const limits = await it.client.json<{ DailyApiRequests: Record_ }>(`${BASE}/limits`)
  assert.equal(limits.DailyApiRequests.Max, 115_000)
  const counts = await it.client.json<{ sObjects: readonly Record_[] }>(
    `${BASE}/limits/recordCount?sObjects=Lead,Contact,Nothing`,
  )
  assert.deepEqual(counts.sObjects, [
    { name: 'Lead', count: it.at.count('Lead') },
    { name: 'Contact', count: it.at.count('Contact') },
  ])
  const [lead] = it.at.rows('Lead')
  const path = `${BASE}/sobjects/Lead/${said(lead?.Id)}`
  assert.deepEqual(without(await it.client.json<Record_>(path)), soon(lead))
  assert.deepEqual(without(await it.client.json<Record_>(`${path}?fields=Id,Email`)), {
    Id: lead?.Id,
    Email: lead?.Email,
  })
  const me = await it.client.json<Record_>('/services/oauth2/userinfo')
  assert.match(said(me.organization_id), /^00D/)
  const batch = (await (
    await it.client.post(`${BASE}/composite/batch`, {
      batchRequests: ['Lead', 'Nothing'].map((name) => ({
        method: 'GET',
        url: `v${VERSION}/sobjects/${name}/describe`,
      })),
    })
  ).json()) as { hasErrors: boolean; results: readonly { statusCode: number }[] }
  assert.deepEqual(
    batch.results.map(({ statusCode }) => statusCode),
    [200, 404],
  )
  const collection = (await (
    await it.client.post(`${BASE}/composite/sobjects/Lead`, { ids: [lead?.Id, idOf('00Q', 99_999)], fields: ['Email'] })
  ).json()) as readonly (Record_ | null)[]
  assert.deepEqual(
    collection.map((row) => row?.Email ?? null),
    [lead?.Email, null],
  )
  assert.equal((await it.client.ask('/services/data/v12.0/query?q=x')).status, 404)
  assert.equal((await it.client.ask(`${BASE}/nothing`)).status, 404)
})

test('a query job is complete after a while and gives every record once as CSV', async () => {
  await using it = await organization()
  const { client, at } = it
  const soql = `SELECT ${fieldsOf('Contact', false)} FROM Contact`
  const made = await client.post(`${BASE}/jobs/query`, { operation: 'query', query: soql, contentType: 'CSV' })
  const { id } = (await made.json()) as Job
  const states = [(await client.json<Job>(`${BASE}/jobs/query/${id}`)).state]
  const early = await client.results(id, 10)
  assert.equal(early.status, 412)
  for (let polls = 0; polls < 2; polls++) {
    states.push((await client.json<Job>(`${BASE}/jobs/query/${id}`)).state)
  }
  assert.deepEqual(states, ['UploadComplete', 'InProgress', 'JobComplete'])
  const first = await client.results(id, 10)
  const text = await first.text()
  const locator = first.headers.get('sforce-locator') ?? ''
  assert.notEqual(locator, 'null')
  const second = await (await client.results(id, 10, locator)).text()
  assert.equal(second.split('\n')[0], text.split('\n')[0], 'every page repeats the names of the columns')
  at.edit('Contact', 20)
  assert.equal(await (await client.results(id, 10, locator)).text(), second, 'a page can be read again')
  const pages = await client.bulk(soql)
  const rows = pages.flat()
  const truth = [...at.rows('Contact')]
  assert.deepEqual(ids(rows), ids(truth))
  for (const [row, real] of rows.map((given, index) => [given, truth[index]] as const)) {
    assert.equal(row.SystemModstamp, said(real?.SystemModstamp).replace('+0000', 'Z'))
    assert.equal(row.IsPersonAccount, said(real?.IsPersonAccount))
    assert.equal(row.MailingStreet, real?.MailingStreet, 'with line breaks')
    assert.equal(row.Email, real?.Email ?? '', 'null is an empty cell')
  }
  const [property] = (await client.bulk('SELECT Id, Beds__c, Location__Latitude__s FROM Property__c')).flat()
  assert.equal(property?.Beds__c, '1.0', 'whole numbers of a kind with fractions have one')
  const [tasks] = await client.bulk('SELECT Id, Owner.Email FROM Task LIMIT 3')
  assert.equal(tasks?.[0]?.['Owner.Email'], 'agent1@agency.example')
  const empty = await client.bulk("SELECT Id FROM Task WHERE Subject = 'none'")
  assert.deepEqual(empty, [[]])
})

test('results of jobs are refused to another version, after deletion, and after a week', async () => {
  await using it = await organization({ bulkPolls: 0 })
  const { client } = it
  const { id } = await client.job('SELECT Id FROM Lead')
  const other = await client.ask(`/services/data/v66.0/jobs/query/${id}/results`)
  assert.equal(other.status, 409)
  assert.equal((await client.results(id, 5, 'nonsense')).status, 400)
  assert.equal((await client.ask(`${BASE}/jobs/query/${id}`, { method: 'DELETE' })).status, 204)
  assert.equal((await client.results(id, 5)).status, 404)
  const { id: old } = await client.job('SELECT Id FROM Lead')
  const listed = await client.json<{ records: readonly Job[] }>(`${BASE}/jobs/query`)
  assert.deepEqual(
    listed.records.map((job) => job.id),
    [old],
  )
  it.at.advance(8 * 86_400_000)
  assert.equal((await client.results(old, 5)).status, 404)
  assert.equal(it.at.jobsMade, 2)
})

test('jobs fail, are given up, and do not read everything', async () => {
  await using it = await organization()
  const { client, at } = it
  at.script([{ kind: 'OWN', name: 'JOB_FAILED', after: 1, path: /jobs\/query\/\w/ }])
  const failed = await client.job('SELECT Id FROM Lead')
  assert.equal(failed.state, 'Failed')
  assert.match(failed.errorMessage ?? '', /retries exceeded/)
  const made = await client.post(`${BASE}/jobs/query`, { operation: 'query', query: 'SELECT Id FROM Lead' })
  const { id } = (await made.json()) as Job
  assert.equal((await client.ask(`${BASE}/jobs/query/${id}`, { method: 'DELETE' })).status, 400)
  const aborted = (await (await client.post(`${BASE}/jobs/query/${id}`, { state: 'Aborted' }, 'PATCH')).json()) as Job
  assert.equal(aborted.state, 'Aborted')
  assert.equal((await client.results(id, 5)).status, 412)
  for (const [query, code] of [
    ['SELECT Id, MailingAddress FROM Contact', 'INVALIDENTITY'],
    ['SELECT Location__c FROM Property__c', 'INVALIDENTITY'],
    ['SELECT COUNT() FROM Contact', 'INVALIDENTITY'],
    ['SELECT Id FROM TaskStatus', 'INVALIDENTITY'],
    ['SELECT Gone__c FROM Contact', 'INVALID_FIELD'],
  ] as const) {
    const response = await client.post(`${BASE}/jobs/query`, { operation: 'query', query })
    assert.equal(response.status, 400)
    assert.equal(((await response.json()) as Refusal)[0]?.errorCode, code, query)
  }
  at.script([{ kind: 'OWN', name: 'JOB_GONE', after: 0, path: /results/ }])
  const { id: lost } = await client.job('SELECT Id FROM Lead')
  assert.equal((await client.results(lost, 5)).status, 404)
})

test('too many rows take too long, in queries and in jobs', async () => {
  await using it = await organization({ timeoutRows: 20 })
  assert.equal(await it.client.refused('SELECT Id FROM Contact'), 'QUERY_TIMEOUT')
  const job = await it.client.job('SELECT Id FROM Contact')
  assert.equal(job.state, 'Failed')
  assert.match(job.errorMessage ?? '', /QUERY_TIMEOUT/)
  const half = await it.client.all('SELECT Id FROM Contact WHERE SystemModstamp >= 2026-03-02T08:58:00Z')
  assert.ok(half.length > 5 && half.length <= 20)
})

test('what was deleted, archived, merged and converted is told by those who are asked for it', async () => {
  await using it = await organization()
  const { client, at } = it
  at.advance(90_000)
  const gone = at.delete('Contact', 3)
  const { lost, kept } = at.merge('Contact')
  const asked = 'SELECT Id, MasterRecordId FROM Contact WHERE IsDeleted = true'
  const told = await client.all(asked, 'queryAll')
  assert.ok([...gone, lost].every((id) => ids(told).includes(id)))
  assert.equal(told.find(({ Id }) => Id === lost)?.MasterRecordId, kept)
  assert.equal((await client.all(asked)).length, 0)
  const archived = await client.all('SELECT Id FROM Task WHERE IsArchived = true', 'queryAll')
  assert.ok(archived.length > 2)
  assert.equal((await client.all('SELECT Id FROM Task WHERE IsArchived = true')).length, 0)
  const span = (from: number, to: number, object = 'Contact') =>
    `${BASE}/sobjects/${object}/deleted/?start=${new Date(from).toISOString()}&end=${encodeURIComponent(new Date(to).toISOString())}`
  at.advance(60_000)
  const deleted = await client.json<{ deletedRecords: readonly { id: string }[]; latestDateCovered: string }>(
    span(at.now() - 30 * 60_000, at.now()),
  )
  assert.deepEqual(deleted.deletedRecords.map(({ id }) => id).sort(), [...gone, lost].sort())
  assert.match(deleted.latestDateCovered, /:00\.000\+0000$/)
  const updated = await client.json<{ ids: readonly string[] }>(
    span(at.now() - 300_000, at.now()).replace('deleted', 'updated'),
  )
  assert.ok(updated.ids.includes(kept))
  const old = await client.ask(span(at.now() - 16 * 86_400_000, at.now()))
  assert.equal(((await old.json()) as Refusal)[0]?.errorCode, 'INVALID_REPLICATION_DATE')
  assert.equal((await client.ask(span(at.now() - 300_000, at.now(), 'TaskStatus'))).status, 400)
  at.advance(16 * 86_400_000)
  assert.deepEqual(await client.all(asked, 'queryAll'), [], 'gone for good after 15 days')
  await using small = await organization({ deletedIds: 1 })
  small.at.delete('Lead', 2)
  small.at.advance(60_000)
  const many = await small.client.ask(span(small.at.now() - 300_000, small.at.now(), 'Lead'))
  assert.equal(((await many.json()) as Refusal)[0]?.errorCode, 'EXCEEDED_ID_LIMIT')
})

test('person accounts are pairs of an account and a contact, converted leads lead to what they became', async () => {
  await using it = await organization()
  const contacts = new Map([...it.at.rows('Contact')].map((row) => [row.Id, row]))
  const personal = [...it.at.rows('Account')].filter(({ IsPersonAccount }) => IsPersonAccount === true)
  assert.ok(personal.length > 0)
  for (const account of personal) {
    const contact = contacts.get(account.PersonContactId ?? null)
    assert.deepEqual([contact?.AccountId, contact?.IsPersonAccount], [account.Id, true])
  }
  assert.equal([...contacts.values()].filter(({ IsPersonAccount }) => IsPersonAccount === true).length, personal.length)
  const converted = [...it.at.rows('Lead')].filter(({ IsConverted }) => IsConverted === true)
  assert.ok(converted.length > 0 && converted.every(({ ConvertedContactId: id }) => contacts.has(id ?? null)))
  await using none = await organization({ personAccounts: false })
  assert.ok([...none.at.rows('Account')].every(({ IsPersonAccount }) => IsPersonAccount === false))
})

test('requests of any 24 hours are counted, and the end of them is told by no header', async () => {
  await using it = await organization({ dayRequests: 3 })
  const ask = () => it.client.query('SELECT Id FROM User')
  assert.equal((await ask()).headers.get('sforce-limit-info'), 'api-usage=1/3')
  await ask()
  assert.equal((await ask()).headers.get('sforce-limit-info'), 'api-usage=3/3')
  const over = await ask()
  assert.equal(over.status, 403)
  assert.equal(over.headers.get('retry-after'), null)
  assert.deepEqual(await over.json(), [
    { message: 'TotalRequests Limit exceeded.', errorCode: 'REQUEST_LIMIT_EXCEEDED' },
  ])
  it.at.advance(24 * 3_600_000)
  assert.equal((await ask()).status, 200)
})

test('addresses of further pages end after two days', async () => {
  await using it = await organization()
  const first = (await (await it.client.query('SELECT Id FROM Contact', 'query', 5)).json()) as Page
  assert.equal((await it.client.ask(first.nextRecordsUrl ?? '')).status, 200)
  it.at.advance(49 * 3_600_000)
  const late = await it.client.ask(first.nextRecordsUrl ?? '')
  assert.equal(((await late.json()) as Refusal)[0]?.errorCode, 'INVALID_QUERY_LOCATOR')
})

test('signs in with a code and a verifier, tokens rotate, and the address can change', async () => {
  await using it = await organization({ moves: true })
  const { url, oauth } = it.at
  const { accessToken, refreshToken } = oauth.connect()
  const refresh = async (token: string) => {
    const response = await fetch(`${url}/services/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: token,
        client_id: oauth.clientId,
        client_secret: oauth.clientSecret,
      }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  it.client.token = accessToken
  assert.equal((await it.client.query('SELECT Id FROM User')).status, 200)
  const { body } = await refresh(refreshToken)
  assert.equal(body.instance_url, url.replace('127.0.0.1', 'localhost'))
  assert.equal(body.expires_in, undefined)
  assert.match(body.id ?? '', /\/id\/00D\w{15}\/005\w{15}$/)
  it.client.token = body.access_token ?? ''
  assert.equal((await it.client.query('SELECT Id FROM User')).status, 401, 'the old address is none any more')
  const there = await it.client.ask(`${body.instance_url}${BASE}/limits`)
  assert.equal(there.status, 200)
  const again = await refresh(refreshToken)
  assert.deepEqual([again.status, again.body.error], [400, 'invalid_grant'])
})

test('every fault happens as it is named', async () => {
  await using it = await organization()
  const { client, at } = it
  const ask = () => client.query('SELECT Id, LastName, NumberOfEmployees FROM Lead')
  const next = async (kind: Parameters<typeof at.script>[0][number]) => {
    at.script([kind])
    const response = await ask()
    return { status: response.status, text: await response.text() }
  }
  for (const kind of ['RESET_BEFORE_HEADERS', 'RESET_AFTER_HEADERS', 'RESET_IN_BODY', 'SHORT_BODY'] as const) {
    await assert.rejects(next({ kind, after: 0 }), kind)
  }
  for (const [kind, status] of [
    ['STATUS_500', 500],
    ['STATUS_502', 502],
    ['STATUS_503', 503],
    ['STATUS_504', 504],
    ['HTML_ERROR', 502],
    ['EMPTY_BODY', 200],
    ['HTML_AS_JSON', 200],
    ['BURST_LIMIT', 403],
    ['DAILY_LIMIT', 403],
    ['SLOW_BODY', 200],
    ['CLOCK_SKEW', 200],
    ['ROWS_MOVE', 200],
    ['ROWS_GO', 200],
    ['NEW_FIELD', 200],
  ] as const) {
    assert.equal((await next({ kind, after: 0 })).status, status, kind)
  }
  for (const [name, status] of [
    ['QUERY_TIMEOUT', 400],
    ['API_DISABLED', 403],
    ['NO_ACCESS', 403],
    ['METERING', 403],
    ['TOO_LARGE', 400],
    ['LOCATOR_EXPIRED', 200],
  ] as const) {
    assert.equal((await next({ kind: 'OWN', name, after: 0 })).status, status, name)
  }
  assert.match((await next({ kind: 'BURST_LIMIT', after: 0 })).text, /ConcurrentRequests/)
  assert.match((await next({ kind: 'UNKNOWN_FIELDS', after: 0 })).text, /brand_new_field/)
  assert.match((await next({ kind: 'NULL_FIELDS', after: 0 })).text, /"LastName":null/)
  at.script([{ kind: 'TYPE_CHANGE', after: 0 }])
  assert.match(await (await client.query('SELECT Id, Beds__c FROM Property__c')).text(), /"Beds__c":"N\/A"/)
  const described = await client.json<{ fields: readonly Record_[] }>(`${BASE}/sobjects/Lead/describe`)
  assert.ok(described.fields.some(({ name }) => name === 'New_Field_1__c'))
  at.script([{ kind: 'REMOVED_FIELD', after: 0 }])
  assert.equal(await client.refused('SELECT New_Field_1__c FROM Lead'), 'INVALID_FIELD')
  assert.equal((await next({ kind: 'EXPIRE_TOKEN', after: 0 })).status, 401)
  client.token = at.oauth.connect().accessToken
  assert.equal((await next({ kind: 'REFUSE_TOKENS', after: 0 })).status, 401)
  const { id } = await client.job('SELECT Id, Name FROM Lead')
  at.script([{ kind: 'UNKNOWN_FIELDS', after: 0 }])
  assert.match(await (await client.results(id, 5)).text(), /"brand_new_field"/)
  at.script([{ kind: 'RESET_IN_BODY', after: 0 }])
  await assert.rejects((await client.results(id, 5)).text())
  assert.deepEqual(at.pending, [])
  assert.ok(at.requests.every(({ secretInAddress }) => !secretInAddress))
})

test('a patient client reads the same through random faults', async () => {
  await using it = await organization()
  const truth = ids([...it.at.rows('Opportunity')])
  for (const seed of [1, 2, 3]) {
    it.at.script(randomFaults(seed, 60, { share: 0.3 }))
    const rows: Record_[] = []
    let path: string | null = `${BASE}/query?q=${encodeURIComponent('SELECT Id FROM Opportunity')}`
    for (let tries = 0; path !== null && tries < 90; tries++) {
      try {
        const response = await it.client.ask(path, {}, { 'sforce-query-options': 'batchSize=4' })
        const page = (await response.json()) as Page
        if (response.status === 200 && Array.isArray(page.records)) {
          rows.push(...page.records)
          path = page.nextRecordsUrl ?? null
        } else if (response.status === 401) {
          it.client.token = it.at.oauth.connect().accessToken
        }
      } catch {
        // The same page once more.
      }
    }
    assert.deepEqual(ids(rows), truth, `seed ${seed}`)
  }
})

test('every lie is told by lists and jobs alike, and by nothing that is asked for by its id', async () => {
  await using it = await organization({ counts: { Contact: 60, Event: 60 } })
  const { client, at } = it
  at.edit('Contact', 20)
  at.advance(120_000)
  at.delete('Contact', 4)
  at.advance(120_000)
  const soql = `SELECT ${fieldsOf('Contact', false)} FROM Contact`
  const changed = 'SELECT Id FROM Contact WHERE SystemModstamp >= 2026-03-02T09:00:00Z'
  const dropped = `${BASE}/sobjects/Contact/deleted/?start=2026-03-02T09:00:00Z&end=2026-03-02T10:00:00Z`
  const told = async () =>
    JSON.stringify([
      await client.pages(soql),
      await client.bulk(soql, 'query', 5),
      await client.pages(changed),
      await client.json(dropped),
      await client.pages('SELECT Id, StartDateTime, ActivityDate FROM Event'),
      await (await client.query('SELECT COUNT() FROM Contact')).json(),
    ]).replaceAll(/01g\w+-/g, '')
  const truth = await told()
  const some = ids([...at.rows('Contact')]).slice(0, 20)
  const byId = () => client.all(`${soql} WHERE Id IN ('${some.join("','")}')`)
  const real = await byId()
  for (const lie of at.lies) {
    at.lie(lie)
    assert.notEqual(await told(), truth, `${lie} is told`)
    assert.deepEqual(await byId(), real, `${lie} is not told of a record by its id`)
    const jobs = JSON.stringify(await client.bulk(soql, 'query', 5))
    at.lie(null)
    const quiet = JSON.stringify(await client.bulk(soql, 'query', 5))
    if (!['WRONG_COUNT', 'UNTOLD_CHANGE', 'UNTOLD_DELETION', 'SHIFTED_ZONE'].includes(lie)) {
      assert.notEqual(jobs, quiet, `${lie} is told by jobs`)
    }
  }
  assert.equal(await told(), truth)
  at.lie('PAGE_WITHOUT_ROWS')
  assert.deepEqual(ids(await client.all(soql)), ids([...at.rows('Contact')]), 'what follows an empty page is all there')
  assert.equal((await client.bulk(soql)).flat().length, at.count('Contact'))
  assert.throws(() => at.lie('NOTHING' as never))
})

test('a record that does not fit its description is found', () => {
  const entity = entities().get('Lead')
  assert.ok(entity !== undefined)
  const record: Row = { Id: idOf('003', 1), LastName: null, Email: 'x'.repeat(81), Nothing: 1, IsConverted: 'no' }
  assert.equal(recordViolations('record', entity, record).length, 5)
})

test('200,000 records are made while they are read', { timeout: 60_000 }, async () => {
  await using it = await organization({ counts: { Contact: 200_000 }, validate: false, nasty: false, bulkPolls: 0 })
  const before = process.memoryUsage().heapUsed
  const { id } = await it.client.job('SELECT Id, LastName, Email, SystemModstamp FROM Contact')
  let lines = 0
  for (let locator = ''; locator !== 'null'; ) {
    const response = await it.client.results(id, 50_000, locator)
    for await (const part of response.body ?? []) {
      lines +=
        Buffer.from(part as Uint8Array)
          .toString()
          .split('\n').length - 1
    }
    lines -= 1
    locator = response.headers.get('sforce-locator') ?? 'null'
  }
  assert.equal(lines, it.at.count('Contact'))
  assert.ok(process.memoryUsage().heapUsed - before < 150_000_000)
})
