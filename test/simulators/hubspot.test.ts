/* The simulator of HubSpot itself: what its documents tell, endpoint by endpoint, asked by plain requests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LieName, Simulator } from './common/types.js'
import { type HubspotOptions, startHubspot } from './hubspot/index.js'

interface Row {
  readonly id: string
  readonly properties: { readonly [name: string]: string | null }
  readonly updatedAt: string
  readonly archived: boolean
}
interface Page {
  readonly results: readonly Row[]
  readonly total?: number
  readonly paging?: { readonly next: { readonly after: string } }
}

/** A started account and a way to ask it. */
async function account(options: HubspotOptions = {}) {
  const simulator = await startHubspot({ limits: false, ...options })
  let { accessToken } = simulator.oauth.connect()
  const ask = async <T>(path: string, json?: unknown, status: number | null = 200): Promise<T> => {
    const answer = await fetch(simulator.url + path, {
      method: json === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    assert.ok(status === null ? answer.ok : answer.status === status, `${path}: ${answer.status}`)
    return (await answer.json()) as T
  }
  return {
    simulator,
    ask,
    reconnect: () => {
      accessToken = simulator.oauth.connect().accessToken
    },
    token: () => accessToken,
    [Symbol.asyncDispose]: () => simulator.close(),
  }
}

type Account = Awaited<ReturnType<typeof account>>

async function all(ask: Account['ask'], path: string, pages = 100): Promise<readonly Row[]> {
  const rows: Row[] = []
  let after = ''
  for (let page = 0; page < pages; page++) {
    const { results, paging } = await ask<Page>(`${path}${path.includes('?') ? '&' : '?'}limit=100${after}`)
    rows.push(...results)
    if (paging === undefined) {
      break
    }
    after = `&after=${paging.next.after}`
  }
  return rows
}

const truth = (simulator: Simulator, object: string) => [...simulator.rows(object)] as unknown as readonly Row[]

test('lists every kind by cursor, and the last page has none', async () => {
  await using hubspot = await account()
  for (const object of hubspot.simulator.objects) {
    const rows = await all(hubspot.ask, `/crm/v3/objects/${object}`)
    assert.deepEqual(
      rows.map(({ id }) => id),
      truth(hubspot.simulator, object).map(({ id }) => id),
      object,
    )
  }
  const first = await hubspot.ask<Page>('/crm/v3/objects/contacts?limit=100')
  assert.deepEqual([first.results.length, first.paging?.next.after], [100, first.results.at(-1)?.id])
  await hubspot.ask('/crm/v3/objects/contacts?limit=101', undefined, 400)
  await hubspot.ask('/crm/v3/objects/contacts?after=zzz', undefined, 400)
  await hubspot.ask('/crm/v3/objects/nonsense', undefined, 400)
  const dated = await hubspot.ask<Page>('/crm/objects/2026-09/0-1?limit=3')
  assert.deepEqual(dated.results, (await hubspot.ask<Page>('/crm/v3/objects/contacts?limit=3')).results)
})

test('answers the properties that are asked for, all texts or null', async () => {
  await using hubspot = await account()
  const { results } = await hubspot.ask<Page>(
    '/crm/v3/objects/contacts?limit=100&properties=budget_max,fax&properties=city',
  )
  assert.deepEqual(Object.keys(results[0]?.properties ?? {}).sort(), [
    'budget_max',
    'city',
    'createdate',
    'fax',
    'hs_object_id',
    'lastmodifieddate',
  ])
  assert.ok(
    results.every(({ properties }) =>
      Object.values(properties).every((value) => value === null || typeof value === 'string'),
    ),
  )
  const long = `properties=${'x'.repeat(15_000)}`
  const answer = await fetch(`${hubspot.simulator.url}/crm/v3/objects/contacts?${long}`, {
    headers: { authorization: `Bearer ${hubspot.token()}` },
  })
  assert.equal(answer.status, 414)
})

test('describes properties, owners, pipelines, schemas and the account', async () => {
  await using hubspot = await account()
  const { results } = await hubspot.ask<{ results: { name: string; hubspotDefined: boolean; options: unknown[] }[] }>(
    '/crm/v3/properties/contacts',
  )
  assert.equal(results.find(({ name }) => name === 'preferred_areas')?.options.length, 3)
  assert.equal(results.find(({ name }) => name === 'email')?.hubspotDefined, true)
  await hubspot.ask('/crm/v3/properties/contacts/email')
  await hubspot.ask('/crm/v3/properties/contacts/none', undefined, 404)
  const owners = await hubspot.ask<{ results: { id: string; email: string }[]; paging?: unknown }>(
    '/crm/v3/owners?limit=2',
  )
  assert.equal(owners.results.length, 2)
  assert.ok(owners.paging !== undefined)
  const left = await hubspot.ask<{ results: { id: string }[] }>('/crm/v3/owners/?archived=true')
  assert.deepEqual(
    left.results.map(({ id }) => id),
    ['9005'],
  )
  await hubspot.ask('/crm/v3/owners/9001')
  await hubspot.ask('/crm/v3/owners/1', undefined, 404)
  const pipelines = await hubspot.ask<{ results: { stages: unknown[] }[] }>('/crm/v3/pipelines/0-420')
  assert.equal(pipelines.results[0]?.stages.length, 4)
  const schemas = await hubspot.ask<{ results: { objectTypeId: string }[] }>('/crm-object-schemas/v3/schemas')
  assert.deepEqual(
    schemas.results.map(({ objectTypeId }) => objectTypeId),
    ['2-7001'],
  )
  await hubspot.ask('/crm-object-schemas/v3/schemas/0-420')
  assert.equal((await hubspot.ask<{ portalId: number }>('/account-info/v3/details')).portalId, 7_654_321)
})

test('searches by id within a window of time', async () => {
  await using hubspot = await account({ counts: { contacts: 500 }, lagMs: 0 })
  hubspot.simulator.advance(60_000)
  const since = hubspot.simulator.now()
  const edited = hubspot.simulator.edit('contacts', 230)
  const found: string[] = []
  for (let last = '0'; ; ) {
    const page = await hubspot.ask<Page>('/crm/v3/objects/contacts/search', {
      filterGroups: [
        {
          filters: [
            { propertyName: 'lastmodifieddate', operator: 'GTE', value: String(since) },
            { propertyName: 'hs_object_id', operator: 'GT', value: last },
          ],
        },
      ],
      sorts: [{ propertyName: 'hs_object_id', direction: 'ASCENDING' }],
      limit: 100,
    })
    assert.equal(page.total, 230 - found.length)
    found.push(...page.results.map(({ id }) => id))
    if (page.paging === undefined) {
      break
    }
    last = page.results.at(-1)?.id ?? ''
  }
  assert.deepEqual(
    found,
    [...edited].sort((one, other) => Number(one) - Number(other)),
  )
})

test('refuses searches that go beyond what a search may', async () => {
  await using hubspot = await account({ counts: { contacts: 10_300 }, plateau: 20_000 })
  const search = (body: unknown, status: number) => hubspot.ask<Page>('/crm/v3/objects/contacts/search', body, status)
  const last = await search({ after: '9800', limit: 200 }, 200)
  assert.deepEqual([last.results.length, last.total, last.paging?.next.after], [200, 10_300, '10000'])
  await search({ after: '10000', limit: 200 }, 400)
  await search({ limit: 201 }, 400)
  await search({ sorts: ['email', 'city'] }, 400)
  const filters = [{ propertyName: 'email', operator: 'HAS_PROPERTY' }]
  await search({ filterGroups: Array.from({ length: 6 }, () => ({ filters })) }, 400)
  await search({ filterGroups: [{ filters: [{ propertyName: 'none', operator: 'HAS_PROPERTY' }] }] }, 400)
  await search({ filterGroups: [{ filters: [{ propertyName: 'email', operator: 'LIKE', value: 'x' }] }] }, 400)
  // All of them changed in one moment: no window of time is small enough.
  const moments = new Set(truth(hubspot.simulator, 'contacts').map(({ updatedAt }) => updatedAt))
  assert.equal(moments.size, 1)
})

test('finds a change only after a while, and never what was archived', async () => {
  await using hubspot = await account({ lagMs: 5000 })
  const since = hubspot.simulator.now() - 10
  const body = {
    filterGroups: [{ filters: [{ propertyName: 'hs_lastmodifieddate', operator: 'GTE', value: String(since) }] }],
  }
  hubspot.simulator.advance(10)
  const [id = ''] = hubspot.simulator.edit('deals', 1)
  hubspot.simulator.add('deals', 1)
  const search = () => hubspot.ask<Page>('/crm/v3/objects/deals/search', body)
  assert.equal((await search()).total, 0)
  assert.ok(Date.parse((await hubspot.ask<Row>(`/crm/v3/objects/deals/${id}`)).updatedAt) >= since)
  hubspot.simulator.advance(5000)
  assert.equal((await search()).total, 2)
  hubspot.simulator.delete('deals', 40)
  assert.equal((await search()).results.filter((row) => row.archived).length, 0)
})

test('reads batches, and tells with 207 which ids are gone', async () => {
  await using hubspot = await account()
  const [one = '', other = ''] = truth(hubspot.simulator, 'contacts').map(({ id }) => id)
  const whole = await hubspot.ask<Page>('/crm/v3/objects/contacts/batch/read', {
    inputs: [{ id: one }, { id: other }],
    properties: ['email'],
  })
  assert.deepEqual(
    whole.results.map(({ id }) => id),
    [one, other],
  )
  const partly = await hubspot.ask<
    Page & { numErrors: number; errors: { category: string; context: { ids: string[] } }[] }
  >('/crm/v3/objects/contacts/batch/read', { inputs: [{ id: one }, { id: '77' }], properties: ['email'] }, 207)
  assert.deepEqual(
    partly.results.map(({ id }) => id),
    [one],
  )
  assert.deepEqual(
    [partly.numErrors, partly.errors[0]?.category, partly.errors[0]?.context.ids],
    [1, 'OBJECT_NOT_FOUND', ['77']],
  )
  const many = Array.from({ length: 101 }, () => ({ id: one }))
  await hubspot.ask('/crm/v3/objects/contacts/batch/read', { inputs: many }, 400)
})

test('keeps archived records in a list of their own, but not those that were forgotten', async () => {
  await using hubspot = await account()
  const gone = hubspot.simulator.delete('contacts', 3)
  hubspot.simulator.script([{ kind: 'OWN', name: 'FORGOTTEN', after: 0 }])
  await hubspot.ask('/crm/v3/objects/contacts?limit=1')
  const archived = await all(hubspot.ask, '/crm/v3/objects/contacts?archived=true')
  assert.deepEqual(
    archived.map(({ id }) => id),
    [...gone].sort(),
  )
  assert.ok(archived.every((row) => row.archived && 'archivedAt' in row))
  assert.equal((await all(hubspot.ask, '/crm/v3/objects/contacts')).length, 120 - 6)
  await hubspot.ask(`/crm/v3/objects/contacts/${gone[0]}`, undefined, 404)
  await hubspot.ask(`/crm/v3/objects/contacts/${gone[0]}?archived=true`)
})

test('answers the id of a merged record with the record that it became', async () => {
  await using hubspot = await account()
  const before = truth(hubspot.simulator, 'contacts').map(({ id }) => id)
  hubspot.simulator.script([{ kind: 'OWN', name: 'MERGED', after: 0 }])
  await hubspot.ask('/crm/v3/objects/contacts?limit=1')
  const after = new Set(truth(hubspot.simulator, 'contacts').map(({ id }) => id))
  const [loser = ''] = before.filter((id) => !after.has(id))
  const winner = await hubspot.ask<Row>(`/crm/v3/objects/contacts/${loser}?properties=hs_merged_object_ids`)
  assert.notEqual(winner.id, loser)
  assert.equal(winner.properties.hs_merged_object_ids, loser)
})

interface Associations {
  readonly results: readonly {
    readonly from: { readonly id: string }
    readonly to: readonly {
      readonly toObjectId: number
      readonly associationTypes: readonly { typeId: number; label?: string }[]
    }[]
    readonly paging?: { readonly next: { readonly after: string } }
  }[]
  readonly errors?: readonly { readonly subCategory: string }[]
}

test('tells associations in batches, in pages, and both ways', async () => {
  await using hubspot = await account({ counts: { contacts: 1300 } })
  const contacts = truth(hubspot.simulator, 'contacts')
  const batch = await hubspot.ask<Associations>(
    '/crm/v4/associations/contacts/companies/batch/read',
    { inputs: contacts.slice(0, 20).map(({ id }) => ({ id })) },
    207,
  )
  // Of 20 contacts every second one has a company; every tenth has two.
  assert.deepEqual(
    batch.results.map(({ to }) => to.length),
    [2, 1, 1, 1, 1, 2, 1, 1, 1, 1],
  )
  assert.deepEqual(
    batch.results[0]?.to[0]?.associationTypes.map(({ typeId, label }) => [typeId, label]),
    [
      [1, 'Primary'],
      [279, undefined],
    ],
  )
  assert.ok((batch.errors?.length ?? 0) > 0 && (batch.errors?.length ?? 0) < 10)
  const [meeting] = truth(hubspot.simulator, 'meetings')
  const guests: number[] = []
  for (let after: string | undefined; ; ) {
    const { results } = await hubspot.ask<Associations>('/crm/v4/associations/meetings/contacts/batch/read', {
      inputs: [{ id: meeting?.id, ...(after === undefined ? {} : { after }) }],
    })
    guests.push(...(results[0]?.to.map(({ toObjectId }) => toObjectId) ?? []))
    after = results[0]?.paging?.next.after
    if (after === undefined) {
      break
    }
  }
  assert.equal(new Set(guests).size, 1200)
  await hubspot.ask(
    '/crm/v4/associations/contacts/companies/batch/read',
    { inputs: Array.from({ length: 1001 }, () => ({ id: '1' })) },
    400,
  )
  // Whatever one side says the other says too.
  const said = (object: string, other: string) =>
    [...hubspot.simulator.rows(object)].flatMap((row) =>
      (((row.associations as Record<string, string[]> | undefined) ?? {})[other] ?? []).map(
        (id) => `${row.id as string} ${id}`,
      ),
    )
  for (const [one, other] of [
    ['contacts', 'companies'],
    ['meetings', 'contacts'],
    ['calls', '0-420'],
    ['leads', 'contacts'],
  ] as const) {
    const backwards = said(other, one).map((pair) => pair.split(' ').reverse().join(' '))
    assert.deepEqual(said(one, other).sort(), backwards.sort(), `${one} ${other}`)
    assert.ok(backwards.length > 0)
  }
  const inline = await hubspot.ask<{
    results: { associations?: { companies?: { results: { id: string; type: string }[] } } }[]
  }>('/crm/v3/objects/contacts?limit=1&associations=companies')
  assert.equal(inline.results[0]?.associations?.companies?.results[0]?.type, 'contact_to_company_primary')
  await hubspot.ask(`/crm/v4/objects/meetings/${meeting?.id}/associations/contacts`)
})

test('has no listings until they are activated, and refuses what no scope was given for', async () => {
  await using hubspot = await account({ listings: false, scopes: ['crm.objects.contacts.read'] })
  const refusal = await hubspot.ask<{ category: string }>('/crm/v3/properties/0-420', undefined, 403)
  assert.equal(refusal.category, 'MISSING_SCOPES')
  await hubspot.ask('/crm/v3/objects/deals', undefined, 403)
  await hubspot.ask('/crm/v3/objects/contacts')
})

test('keeps the limits of ten seconds, of searches and of a day', async () => {
  await using hubspot = await account({ limits: true, perTenSeconds: 7, perDay: 12, clock: () => 1_772_000_000_000 })
  const search = (status: number) => hubspot.ask<{ policyName?: string }>('/crm/v3/objects/contacts/search', {}, status)
  for (let asked = 0; asked < 5; asked++) {
    await search(200)
  }
  assert.equal((await search(429)).policyName, 'SECONDLY')
  await hubspot.ask('/crm/v3/objects/contacts')
  await hubspot.ask('/crm/v3/objects/contacts')
  const list = () => hubspot.ask<{ policyName?: string }>('/crm/v3/objects/contacts', undefined, 429)
  assert.equal((await list()).policyName, 'TEN_SECONDLY_ROLLING')
  for (let asked = 0; asked < 3; asked++) {
    await list()
  }
  assert.equal((await list()).policyName, 'DAILY')
})

test('tells the limits on every answer but those of searches', async () => {
  await using hubspot = await account()
  const headers = { authorization: `Bearer ${hubspot.token()}`, 'content-type': 'application/json' }
  const list = await fetch(`${hubspot.simulator.url}/crm/v3/objects/contacts`, { headers })
  assert.equal(list.headers.get('x-hubspot-ratelimit-max'), '110')
  assert.equal(list.headers.get('x-hubspot-ratelimit-daily'), null)
  const found = await fetch(`${hubspot.simulator.url}/crm/v3/objects/contacts/search`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  assert.deepEqual([found.status, found.headers.get('x-hubspot-ratelimit-max')], [200, null])
})

test('says its own kinds of failure as the service does', async () => {
  await using hubspot = await account()
  const cases: readonly (readonly [string, number])[] = [
    ['LOCKED', 423],
    ['MIGRATION', 477],
    ['SECONDLY', 429],
    ['LIMIT_WITH_TIME', 429],
    ['CLOUDFLARE', 522],
    ['MISSING_SCOPES', 403],
    ['INVALID_TOKEN', 401],
  ]
  for (const [name, status] of cases) {
    hubspot.simulator.script([{ kind: 'OWN', name, after: 0 }])
    const answer = await fetch(`${hubspot.simulator.url}/crm/v3/objects/contacts`, {
      headers: { authorization: `Bearer ${hubspot.token()}` },
    })
    assert.equal(answer.status, status, name)
    if (name === 'MIGRATION' || name === 'LIMIT_WITH_TIME') {
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
    }
    await answer.arrayBuffer()
  }
  hubspot.simulator.script([{ kind: 'OWN', name: 'LISTINGS_OFF', after: 0 }])
  await hubspot.ask('/crm/v3/objects/contacts')
  await hubspot.ask('/crm/v3/objects/0-420', undefined, 403)
  hubspot.simulator.script([{ kind: 'OWN', name: 'MASS_UPDATE', after: 0 }])
  await hubspot.ask('/crm/v3/objects/contacts')
  assert.equal(new Set(truth(hubspot.simulator, 'contacts').map(({ updatedAt }) => updatedAt.slice(0, 16))).size, 1)
})

test('goes wrong in every common way when it is told to', async () => {
  await using hubspot = await account()
  const get = () =>
    fetch(`${hubspot.simulator.url}/crm/v3/objects/contacts?limit=100&properties=budget_max,city`, {
      headers: { authorization: `Bearer ${hubspot.token()}` },
    })
  const script = (kind: Parameters<Simulator['script']>[0][number]['kind']) =>
    hubspot.simulator.script([{ kind, after: 0 }])
  for (const [kind, status] of [
    ['EXPIRE_TOKEN', 401],
    ['STATUS_500', 500],
    ['STATUS_502', 502],
    ['STATUS_503', 503],
    ['STATUS_504', 504],
    ['HTML_ERROR', 502],
    ['BURST_LIMIT', 429],
    ['DAILY_LIMIT', 429],
  ] as const) {
    script(kind)
    const answer = await get()
    assert.equal(answer.status, status, kind)
    await answer.arrayBuffer()
    hubspot.reconnect()
  }
  for (const kind of [
    'RESET_BEFORE_HEADERS',
    'RESET_AFTER_HEADERS',
    'RESET_IN_BODY',
    'SHORT_BODY',
    'EMPTY_BODY',
    'HTML_AS_JSON',
  ] as const) {
    script(kind)
    await assert.rejects(async () => (await get()).json(), kind)
  }
  for (const kind of ['SLOW_BODY', 'CLOCK_SKEW', 'ROWS_MOVE', 'ROWS_GO'] as const) {
    script(kind)
    assert.equal((await get()).status, 200, kind)
  }
  const rows = async () => ((await (await get()).json()) as Page).results
  script('UNKNOWN_FIELDS')
  assert.ok((await rows()).every(({ properties }) => properties.brand_new_field === 'unknown'))
  script('NULL_FIELDS')
  const plain = await rows()
  assert.ok(plain.length > 3)
  script('TYPE_CHANGE')
  assert.ok((await rows()).some(({ properties }) => properties.budget_max === 'N/A'))
  script('NEW_FIELD')
  await rows()
  script('REMOVED_FIELD')
  await rows()
  const { results } = await hubspot.ask<{ results: { name: string }[] }>('/crm/v3/properties/contacts')
  const names = results.map(({ name }) => name)
  assert.deepEqual([names.includes('new_property_1'), names.includes('budget_max')], [true, false])
})

/** Everything that an honest reader of lists, searches and associations learns. */
async function learned(hubspot: Account): Promise<unknown> {
  const names = 'firstname,city,jobtitle,phone,budget_max,move_in_date,hubspot_owner_id,createdate'
  const rows = await all(hubspot.ask, `/crm/v3/objects/contacts?properties=${names}`, 8)
  const times = await all(hubspot.ask, '/crm/v3/objects/calls?properties=hs_timestamp', 8)
  const archived = await all(hubspot.ask, '/crm/v3/objects/contacts?archived=true', 8)
  const found = await hubspot.ask<Page>('/crm/v3/objects/contacts/search', { limit: 200 })
  const contacts = [...hubspot.simulator.rows('calls')].map(({ id }) => ({ id }))
  const related = await hubspot.ask<Associations>(
    '/crm/v4/associations/calls/contacts/batch/read',
    {
      inputs: contacts.slice(0, 50),
    },
    null,
  )
  return [rows, times, archived.map(({ id }) => id), found.total, found.results.map(({ id }) => id), related.results]
}

test('tells every lie so that an answer differs, while ids still lead to the truth', async () => {
  await using hubspot = await account({ counts: { contacts: 530 }, lagMs: 0 })
  hubspot.simulator.edit('contacts', 100)
  hubspot.simulator.delete('contacts', 10)
  const honest = await learned(hubspot)
  assert.deepEqual(await learned(hubspot), honest)
  assert.ok(hubspot.simulator.lies.length >= 20)
  const [known = {}] = truth(hubspot.simulator, 'contacts').filter(({ id }) => Number(id) % 10 === 0) as Partial<Row>[]
  for (const lie of hubspot.simulator.lies) {
    hubspot.simulator.lie(lie)
    assert.notDeepEqual(await learned(hubspot), honest, lie)
    const row = await hubspot.ask<Row>(`/crm/v3/objects/contacts/${known.id}?properties=city,jobtitle`)
    assert.equal(row.properties.jobtitle, known.properties?.jobtitle, lie)
  }
  hubspot.simulator.lie(null)
  assert.deepEqual(await learned(hubspot), honest)
  assert.throws(() => hubspot.simulator.lie('NONE' as LieName), /cannot tell/)
})

test('gives tokens by code with proof and by refresh, and each refresh token once', async () => {
  const simulator = await startHubspot()
  const token = (form: Record<string, string>) =>
    fetch(`${simulator.url}/oauth/2026-03/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: simulator.oauth.clientId,
        client_secret: simulator.oauth.clientSecret,
        ...form,
      }),
    })
  const { refreshToken } = simulator.oauth.connect()
  const first = await token({ grant_type: 'refresh_token', refresh_token: refreshToken })
  const given = (await first.json()) as Record<string, unknown>
  assert.deepEqual([first.status, given.expires_in, given.hub_id, given.token_type], [200, 1800, 7_654_321, 'bearer'])
  assert.ok(String(given.access_token).length >= 512)
  assert.notEqual(given.refresh_token, refreshToken)
  const again = await token({ grant_type: 'refresh_token', refresh_token: refreshToken })
  assert.equal(again.status, 400)
  assert.equal(((await again.json()) as { status: string }).status, 'BAD_REFRESH_TOKEN')
  assert.deepEqual([simulator.oauth.refreshes, simulator.oauth.denials], [1, 1])
  await simulator.close()
})

test('holds 600,000 records in little memory', async () => {
  await using hubspot = await account({ counts: { contacts: 200_000, calls: 400_000 }, validate: false })
  global.gc?.()
  const before = process.memoryUsage().heapUsed
  const far = await hubspot.ask<Page>(`/crm/v3/objects/calls?limit=100&after=${580_000_001 + 399_000 * 3}`)
  assert.equal(far.results.length, 100)
  const { total } = await hubspot.ask<Page>('/crm/v3/objects/contacts/search', { limit: 1 })
  assert.equal(total, 200_000)
  assert.ok(process.memoryUsage().heapUsed - before < 100_000_000)
})
