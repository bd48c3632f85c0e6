import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomFaults } from './common/faults.js'
import { Description, descriptionFile, violationsOf } from './common/schema.js'
import { type PipedriveOptions, type PipedriveSimulator, startPipedrive, TOKEN_COSTS } from './pipedrive/index.js'

interface Body {
  readonly success: boolean
  readonly data: readonly Record<string, unknown>[]
  readonly error?: string
  readonly additional_data?: {
    readonly next_cursor?: string | null
    readonly pagination?: { readonly more_items_in_collection: boolean; readonly next_start?: number }
  }
}

/** A client that trusts everything it is told: what it misses shows what the simulator hides. */
class Naive {
  readonly simulator: PipedriveSimulator
  token: string
  constructor(simulator: PipedriveSimulator) {
    this.simulator = simulator
    this.token = simulator.oauth.connect().accessToken
  }
  get(path: string): Promise<Response> {
    return fetch(`${this.simulator.url}${path}`, { headers: { authorization: `Bearer ${this.token}` } })
  }
  async body(path: string): Promise<Body> {
    return (await (await this.get(path)).json()) as Body
  }
  /** All pages of a list of v2, at most 100. */
  async pages(path: string, limit = 7): Promise<(readonly Record<string, unknown>[])[]> {
    const pages: (readonly Record<string, unknown>[])[] = []
    for (let cursor: string | null = ''; cursor !== null && pages.length < 100; ) {
      const next = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const body = await this.body(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${next}`)
      assert.ok(body.success, body.error)
      pages.push(body.data)
      cursor = body.additional_data?.next_cursor ?? null
    }
    return pages
  }
  async all(path: string): Promise<readonly Record<string, unknown>[]> {
    return (await this.pages(path)).flat()
  }
  /** All pages of a list of v1, at most 100. */
  async offsets(path: string, between?: () => void): Promise<readonly Record<string, unknown>[]> {
    const rows: Record<string, unknown>[] = []
    let start: number | null = 0
    for (let pages = 0; start !== null && pages < 100; pages++) {
      const body: Body = await this.body(`${path}?limit=5&start=${start}`)
      rows.push(...(body.data ?? []))
      const { pagination } = body.additional_data ?? {}
      start = pagination?.more_items_in_collection === true ? (pagination.next_start ?? null) : null
      between?.()
    }
    return rows
  }
}

async function company(
  options: PipedriveOptions = {},
): Promise<AsyncDisposable & { client: Naive; at: PipedriveSimulator }> {
  const at = await startPipedrive(options)
  return { client: new Naive(at), at, [Symbol.asyncDispose]: () => at.close() }
}

const ids = (rows: readonly Record<string, unknown>[]): unknown[] => rows.map(({ id }) => id)

test('every list of v2 gives each record once, page by page', async () => {
  await using it = await company()
  for (const object of ['persons', 'organizations', 'activities']) {
    const truth = [...it.at.rows(object)]
    assert.deepEqual(await it.client.all(`/api/v2/${object}`), JSON.parse(JSON.stringify(truth)), object)
    assert.equal(it.at.count(object), truth.length)
  }
  const last = (await (await it.client.get('/api/v2/persons?limit=500')).json()) as Body
  assert.equal(last.additional_data?.next_cursor, null, 'a single page says that it is the last')
  const second = await it.client.body('/api/v2/persons?limit=39')
  const end = await it.client.body(`/api/v2/persons?limit=39&cursor=${second.additional_data?.next_cursor}`)
  assert.equal(end.additional_data, undefined, 'a later last page says nothing at all')
})

test('archived deals and leads are lists of their own, and lists of v1 count by offsets', async () => {
  await using it = await company()
  const deals = await it.client.all('/api/v2/deals')
  const archived = await it.client.all('/api/v2/deals/archived')
  assert.equal(deals.length + archived.length, it.at.count('deals'))
  assert.ok(archived.length > 0 && archived.every((row) => row.is_archived === true))
  const leads = await it.client.offsets('/v1/leads')
  const old = await it.client.offsets('/api/v1/leads/archived')
  assert.equal(new Set([...ids(leads), ...ids(old)]).size, it.at.count('leads'))
  assert.equal(new Set(ids(await it.client.offsets('/v1/notes'))).size, it.at.count('notes'))
})

test('small lists, descriptions and single records are answered', async () => {
  await using it = await company()
  const me = (await (await it.client.get('/v1/users/me')).json()) as { data: Record<string, unknown> }
  assert.equal(me.data.company_domain, 'simulated-agency')
  for (const [path, least] of [
    ['/v1/users', 4],
    ['/v1/activityTypes', 7],
    ['/v1/leadLabels', 3],
    ['/v1/leadSources', 2],
    ['/v1/currencies', 2],
    ['/v1/leadFields', 9],
    ['/v1/noteFields', 1],
    ['/api/v2/personFields', 20],
    ['/api/v2/organizationFields', 10],
    ['/api/v2/dealFields', 30],
    ['/api/v2/activityFields', 20],
    ['/api/v2/pipelines', 1],
    ['/api/v2/stages', 3],
  ] as const) {
    const body = await it.client.body(path)
    assert.ok(body.data.length >= least, `${path}: ${body.data.length}`)
  }
  for (const object of ['persons', 'organizations', 'deals', 'activities', 'leads', 'notes']) {
    const [truth] = it.at.rows(object)
    const path = `/${object === 'leads' || object === 'notes' ? 'v1' : 'api/v2'}/${object}/${JSON.stringify(truth?.id).replaceAll('"', '')}`
    const { data } = (await (await it.client.get(path)).json()) as { data: unknown }
    assert.deepEqual(data, JSON.parse(JSON.stringify(truth)), path)
  }
  assert.equal((await it.client.get('/api/v2/persons/99999')).status, 404)
  assert.equal((await it.client.get('/api/v2/nothing')).status, 404)
  const some = await it.client.body('/api/v2/persons?ids=3,1,99999')
  assert.deepEqual(ids(some.data), [1, 3], 'ids that are gone are left out')
})

test('custom fields stand under their hashes, spread over several keys in v1', async () => {
  await using it = await company()
  const { data: fields } = await it.client.body('/api/v2/dealFields')
  const address = fields.find((field) => field.field_type === 'address')?.field_code as string
  const money = fields.find((field) => field.is_custom_field === true && field.field_type === 'monetary')
  assert.match(address, /^[\da-f]{40}$/)
  const deals = await it.client.all('/api/v2/deals')
  const values = deals.map((deal) => (deal.custom_fields as Record<string, { locality?: string } | null>)[address])
  assert.ok(values.some((value) => value === null) && values.some((value) => value?.locality === 'Boston'))
  const leads = await it.client.offsets('/v1/leads')
  assert.ok(leads.some((lead) => lead[`${address}_locality`] === 'Boston'))
  assert.ok(leads.some((lead) => lead[`${String(money?.field_code)}_currency`] === 'EUR'))
})

test('reads what changed since a whole second, the second itself included', async () => {
  await using it = await company()
  it.at.setClock(new Date('2026-03-02T09:30:05Z'))
  const changed = it.at.edit('persons', 4)
  const since = (text: string) => it.client.body(`/api/v2/persons?updated_since=${text}&sort_by=update_time`)
  assert.deepEqual(
    ids((await since('2026-03-02T09:30:05Z')).data)
      .map(String)
      .sort(),
    [...changed].sort(),
  )
  assert.equal((await since('2026-03-02T09:30:06Z')).data.length, 0)
  const before = await it.client.body(
    '/api/v2/persons?updated_since=2026-03-02T09:30:00Z&updated_until=2026-03-02T09:30:05Z',
  )
  assert.equal(before.data.length, 0, 'the end is not included')
  for (const wrong of ['2026-03-02T09:30:05.000Z', '2026-03-02 09:30:05', '2026-03-02']) {
    assert.equal((await it.client.get(`/api/v2/persons?updated_since=${encodeURIComponent(wrong)}`)).status, 400, wrong)
  }
  const late = it.at.edit('persons', 1, { lateMs: 60_000 })
  const stamp = new Date(it.at.now()).toISOString().slice(0, 19)
  const hidden = await since(`${stamp}Z`)
  assert.ok(!ids(hidden.data).map(String).includes(String(late[0])), 'a late commit cannot be read yet')
  it.at.advance(61_000)
  const told = (await since(`${stamp}Z`)).data
  assert.ok(told.some(({ id, update_time }) => String(id) === late[0] && update_time === `${stamp}Z`))
})

test('a list by change gives what is moved while it is read once more', async () => {
  await using it = await company()
  const first = await it.client.body('/api/v2/persons?sort_by=update_time&limit=20')
  it.at.script([{ kind: 'ROWS_MOVE', after: 0 }])
  const rows = [...first.data]
  for (let cursor = first.additional_data?.next_cursor ?? null; cursor !== null; ) {
    const page = await it.client.body(`/api/v2/persons?sort_by=update_time&limit=20&cursor=${cursor}`)
    rows.push(...page.data)
    cursor = page.additional_data?.next_cursor ?? null
  }
  assert.ok(rows.length > it.at.count('persons'))
  assert.equal(new Set(ids(rows)).size, it.at.count('persons'))
})

test('offsets skip records when earlier ones go', async () => {
  await using it = await company()
  const read = await it.client.offsets('/v1/notes', () => {
    const [first] = it.at.rows('notes')
    if (it.at.count('notes') === 18 && first !== undefined) {
      it.at.delete('notes', 6)
    }
  })
  const left = ids([...it.at.rows('notes')] as Record<string, unknown>[])
  assert.ok(
    left.some((id) => !ids(read).includes(id)),
    'one that is still there was never given',
  )
})

test('deleted deals are told, everything else that is deleted is simply gone', async () => {
  await using it = await company()
  const [deal] = it.at.delete('deals', 1)
  const [one] = it.at.delete('persons', 1)
  const deleted = await it.client.all('/api/v2/deals?status=deleted')
  assert.deepEqual(ids(deleted).map(String), [deal])
  assert.equal(deleted[0]?.is_deleted, true)
  assert.ok(
    !ids(await it.client.all('/api/v2/deals'))
      .map(String)
      .includes(String(deal)),
  )
  assert.ok(
    !ids(await it.client.all('/api/v2/persons'))
      .map(String)
      .includes(String(one)),
  )
  assert.equal((await it.client.get(`/api/v2/persons/${one}`)).status, 404)
})

test('refuses what the documents do not allow', async () => {
  await using it = await company()
  for (const path of [
    '/api/v2/persons?limit=501',
    '/api/v2/persons?cursor=nonsense',
    '/api/v2/persons?sort_by=name',
    `/api/v2/persons?ids=${Array.from({ length: 101 }, (_, at) => at + 1).join(',')}`,
    '/api/v2/deals?status=everything',
    '/v1/leads?start=-1',
  ]) {
    const response = await it.client.get(path)
    const body = (await response.json()) as Body
    assert.equal(response.status, 400, path)
    assert.equal(body.success, false)
  }
})

test('counts tokens for the whole company, two sign-ins together, until the day is over', async () => {
  await using it = await company({ dayTokens: 55, now: new Date('2026-03-02T23:59:00Z') })
  const other = new Naive(it.at)
  const first = await it.client.get('/api/v2/persons')
  assert.equal(first.headers.get('x-daily-requests-left'), '45')
  await other.get('/v1/users')
  await it.client.get('/v1/users')
  assert.equal(it.at.tokensUsed, 50)
  const over = await other.get('/api/v2/persons')
  assert.equal(over.status, 429)
  assert.equal(over.headers.get('retry-after'), null)
  assert.ok(Number(over.headers.get('x-ratelimit-reset')) <= 60)
  it.at.advance(60_000)
  assert.equal((await other.get('/api/v2/persons')).status, 200)
})

test('a burst is answered with 429, and who goes on with the page of a proxy', async () => {
  await using it = await company({ burst: 5 })
  const statuses: number[] = []
  for (let at = 0; at < 17; at++) {
    statuses.push((await it.client.get('/api/v2/persons?limit=1')).status)
  }
  assert.deepEqual(statuses, [...Array(5).fill(200), ...Array(10).fill(429), 403, 403])
  assert.match(await (await it.client.get('/api/v2/persons')).text(), /^<!DOCTYPE html>/)
  it.at.advance(2100)
  const again = await it.client.get('/api/v2/persons')
  assert.equal(again.status, 200)
  assert.equal(again.headers.get('x-ratelimit-remaining'), '4')
})

test('token costs are those of the official descriptions', {
  skip: descriptionFile('pipedrive-v2-subset.openapi.json') === null,
}, () => {
  for (const version of ['v1', 'v2']) {
    const text = descriptionFile(`pipedrive-${version}-subset.openapi.json`) ?? '{"paths":{}}'
    const description = new Description(text)
    for (const operation of description.operations.filter((name) => TOKEN_COSTS[name] !== undefined)) {
      assert.equal(description.costOf(operation), TOKEN_COSTS[operation], operation)
    }
  }
})

test('a wrong answer is found by both kinds of schema', () => {
  const description = new Description(descriptionFile('pipedrive-v2-subset.openapi.json') ?? '{"paths":{}}')
  if (description.operations.length > 0) {
    const wrong = { success: true, data: [{ id: 'seven', emails: 'none' }] }
    assert.equal(description.violationsOf('getPersons', 200, wrong).length, 2)
  }
  const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a', 'b'] }
  assert.deepEqual(violationsOf(schema, { a: 1.5 }), ['$.b: missing', '$.a: number instead of integer'])
})

test('signs in with a code, Basic credentials and tokens that rotate and die unused', async () => {
  await using it = await company()
  const { url, oauth } = it.at
  const back = 'http://127.0.0.1:9/callback'
  const asked = await fetch(
    `${url}/oauth/authorize?client_id=${oauth.clientId}&redirect_uri=${encodeURIComponent(back)}&state=s1`,
    { redirect: 'manual' },
  )
  const to = new URL(asked.headers.get('location') ?? '')
  assert.equal(to.searchParams.get('state'), 's1')
  const basic = Buffer.from(`${oauth.clientId}:${oauth.clientSecret}`).toString('base64')
  const token = async (form: Record<string, string>, authorization = `Basic ${basic}`) => {
    const response = await fetch(`${url}/oauth/token`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams(form),
    })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  const code = { grant_type: 'authorization_code', code: to.searchParams.get('code') ?? '', redirect_uri: back }
  assert.equal((await token(code, 'Basic bm86bm8=')).status, 401)
  const { body: tokens } = await token(code)
  assert.equal(tokens.api_domain, url)
  assert.equal(Number(tokens.expires_in), 3599)
  assert.equal((await token(code)).body.error, 'invalid_grant', 'a code is good once')
  const refresh = (refreshToken: string | undefined) =>
    token({ grant_type: 'refresh_token', refresh_token: refreshToken ?? '' })
  const newer = await refresh(tokens.refresh_token)
  assert.notEqual(newer.body.refresh_token, tokens.refresh_token)
  assert.equal(oauth.refreshes, 1)
  it.at.advance(61 * 86_400_000)
  assert.equal((await refresh(newer.body.refresh_token)).status, 400, 'unused for 60 days')
  const { refreshToken } = oauth.connect()
  const after = await refresh(refreshToken)
  assert.equal((await refresh(refreshToken)).status, 400)
  assert.equal((await refresh(after.body.refresh_token)).status, 400, 'a token used twice ends the whole sign-in')
  assert.equal(oauth.denials, 4)
})

test('tokens end with time, and the log tells requests without secrets', async () => {
  await using it = await company()
  assert.equal((await it.client.get('/api/v2/persons?limit=1')).status, 200)
  it.at.advance(3_600_000)
  const late = await it.client.get('/api/v2/persons?limit=1')
  assert.equal(late.status, 401)
  await fetch(`${it.at.url}/api/v2/persons?api_token=${it.client.token}`)
  const [first, , third] = it.at.requests
  assert.equal(first?.headers.authorization, 'Bearer [hidden]')
  assert.deepEqual([first?.rows, first?.status, first?.secretInAddress, third?.secretInAddress], [1, 200, false, true])
  assert.ok(!JSON.stringify(it.at.requests.slice(0, 2)).includes(it.client.token))
})

test('every kind of fault happens at the request it is meant for', async () => {
  await using it = await company({ burst: 1000 })
  const outcome = async (path = '/api/v2/persons?limit=3'): Promise<string> => {
    try {
      const response = await it.client.get(path)
      const text = await response.text()
      try {
        const body = JSON.parse(text) as Body
        return `${response.status} ${body.success === false ? body.error : JSON.stringify(body.data)}`
      } catch {
        return `${response.status} ${text === '' ? 'empty' : text.slice(0, 6)}`
      }
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  const well = await outcome()
  const expected: readonly (readonly [string, RegExp])[] = [
    ['RESET_BEFORE_HEADERS', /^fetch failed/],
    ['RESET_AFTER_HEADERS', /^terminated/],
    ['RESET_IN_BODY', /^terminated/],
    ['SHORT_BODY', /^terminated/],
    ['STATUS_500', /^500/],
    ['STATUS_502', /^502/],
    ['STATUS_503', /^503/],
    ['STATUS_504', /^504/],
    ['HTML_ERROR', /^502 <html>/],
    ['EMPTY_BODY', /^200 empty/],
    ['HTML_AS_JSON', /^200 <html>/],
    ['BURST_LIMIT', /^429 request over limit/],
    ['DAILY_LIMIT', /^429 daily/],
    ['REFUSE_TOKENS', /^401/],
    ['UNKNOWN_FIELDS', /brand_new_field/],
    ['NULL_FIELDS', /"name":null/],
    ['TYPE_CHANGE', /N\/A/],
    ['OWN PAYMENT', /^402/],
    ['OWN GONE', /^410/],
    ['OWN CAPPED', /^403 You have reached/],
    ['OWN SCOPE', /^403 Scope/],
    ['OWN PROXY', /^403 <!DOCT/],
  ]
  for (const [fault, pattern] of expected) {
    const [kind = '', name] = fault.split(' ')
    it.at.script([{ kind: kind as 'OWN', ...(name === undefined ? {} : { name }), after: 1 }])
    assert.equal(await outcome(), well, `before ${fault}`)
    assert.match(await outcome(), pattern)
    assert.equal(await outcome(), well, `after ${fault}`)
    assert.equal(it.at.pending.length, 0)
  }
  it.at.script([{ kind: 'SLOW_BODY', after: 0, times: 2 }])
  assert.equal(await outcome(), well)
  assert.equal(await outcome(), well)
  it.at.script([{ kind: 'CLOCK_SKEW', after: 0 }])
  const skewed = await it.client.get('/api/v2/persons?limit=1')
  assert.ok(Math.abs(Date.parse(skewed.headers.get('date') ?? '') - it.at.now()) < 3000)
  it.at.script([{ kind: 'OWN', name: 'CURSOR_EXPIRED', after: 0 }])
  const cursor = (await it.client.body('/api/v2/persons?limit=3')).additional_data?.next_cursor
  it.at.script([{ kind: 'OWN', name: 'CURSOR_EXPIRED', after: 0 }])
  assert.match(await outcome(`/api/v2/persons?limit=3&cursor=${cursor}`), /^400/)
  it.at.script([{ kind: 'EXPIRE_TOKEN', after: 0 }])
  assert.match(await outcome(), /^401/)
})

test('custom fields come and go between requests', async () => {
  await using it = await company()
  const codes = async () =>
    ids((await it.client.body('/api/v2/personFields')).data.map((field) => ({ id: field.field_code })))
  const before = await codes()
  it.at.script([
    { kind: 'NEW_FIELD', after: 0, path: /persons/ },
    { kind: 'REMOVED_FIELD', after: 1, path: /persons/, times: 2 },
  ])
  const [row] = (await it.client.body('/api/v2/persons')).data
  const grown = await codes()
  assert.equal(grown.length, before.length + 1)
  assert.ok(Object.keys(row?.custom_fields as object).includes(String(grown.at(-1))))
  await it.client.body('/api/v2/persons')
  await it.client.body('/api/v2/persons')
  assert.equal((await codes()).length, before.length - 1)
})

test('each lie makes a trusting client miss or mistake something, and single records stay true', async () => {
  const at = await startPipedrive({ burst: 10_000, nasty: false })
  const client = new Naive(at)
  at.edit('persons', 9)
  at.edit('deals', 9)
  at.edit('notes', 6)
  at.delete('deals', 2)
  const start = '2026-03-02T09:00:00Z'
  const everything = async () =>
    JSON.stringify([
      await client.pages('/api/v2/persons'),
      await client.pages('/api/v2/deals'),
      await client.pages('/api/v2/deals?status=deleted'),
      await client.pages('/api/v2/activities'),
      await client.pages(`/api/v2/persons?updated_since=${start}`),
      await client.offsets('/v1/notes'),
    ])
  const truth = await everything()
  for (const lie of at.lies) {
    at.lie(lie)
    assert.notEqual(await everything(), truth, lie)
    const [first] = at.rows('persons')
    const { data } = await client.body('/api/v2/persons?ids=1')
    assert.deepEqual(data, [first], `${lie}: a record read by its id`)
  }
  at.lie(null)
  assert.equal(await everything(), truth)
  assert.throws(() => at.lie('WRONG_COUNT'), /cannot tell/)
  await at.close()
})

test('a script of random faults is the same for its seed', () => {
  assert.deepEqual(randomFaults(7, 100), randomFaults(7, 100))
  assert.notDeepEqual(randomFaults(7, 100), randomFaults(8, 100))
})

test('200,000 persons are made while they are read', { timeout: 60_000 }, async () => {
  await using it = await company({ counts: { persons: 200_000, organizations: 20_000 }, burst: 1e6, validate: false })
  const before = process.memoryUsage().rss
  let rows = 0
  let pages = 0
  for (let cursor: string | null = ''; cursor !== null && pages < 60; pages++) {
    const next = cursor === '' ? '' : `&cursor=${cursor}`
    const page: Body = await it.client.body(`/api/v2/persons?limit=500&sort_by=update_time${next}`)
    rows += page.data.length
    cursor = page.additional_data?.next_cursor ?? null
  }
  assert.equal(rows, 30_000)
  assert.equal(it.at.tokensUsed, 600)
  const grown = (process.memoryUsage().rss - before) / 1e6
  assert.ok(grown < 150, `${Math.round(grown)} MB more`)
})

test('two companies in one process know nothing of each other', async () => {
  await using one = await company({ seed: 1 })
  await using other = await company({ seed: 2 })
  assert.equal(
    (await fetch(`${other.at.url}/api/v2/persons`, { headers: { authorization: `Bearer ${one.client.token}` } }))
      .status,
    401,
  )
  assert.notDeepEqual([...one.at.rows('persons')][3], [...other.at.rows('persons')][3])
})
