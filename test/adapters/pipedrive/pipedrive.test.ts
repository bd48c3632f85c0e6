/* Pipedrive's adapter against answers written by hand after the service's documents. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VendorRequest } from '../../../src/adapters/http/client.js'
import { VendorRefused } from '../../../src/adapters/http/errors.js'
import { pipedrive } from '../../../src/adapters/pipedrive/index.js'
import type { ExtractPage, ExtractRequest, VendorApi, VendorObject } from '../../../src/adapters/vendor.js'
import { recordTypes } from '../../../src/records/index.js'

const HASH = '9dc80c50d78a15643bfc4ca79d76156a73a1ca0e'
const MONEY = 'a0f81c50d78a15643bfc4ca79d76156a73a1ca0e'
const PERSON = 'b1f81c50d78a15643bfc4ca79d76156a73a1ca0e'
const SET = 'c2f81c50d78a15643bfc4ca79d76156a73a1ca0e'
const ADDRESS = 'd3f81c50d78a15643bfc4ca79d76156a73a1ca0e'
const USER = 'e4f81c50d78a15643bfc4ca79d76156a73a1ca0e'

type Answerer = (path: string, query: Readonly<Record<string, unknown>>) => unknown
const signal = new AbortController().signal

/** An account that answers so, and what it was asked. */
function account(answer: Answerer) {
  const asked: VendorRequest[] = []
  const api: VendorApi = {
    json: (request) => {
      asked.push(request)
      const value = request.path === '/v1/users' ? users : answer(request.path, request.query ?? {})
      if (value instanceof Error) {
        return Promise.reject(value)
      }
      const serverTime = new Date('2026-03-02T09:00:00Z')
      return Promise.resolve({ kind: 'answer', status: 200, headers: {}, serverTime, value: value as never })
    },
    stream: () => Promise.reject(new Error('Pipedrive is not streamed')),
  }
  return { api, asked, lists: () => asked.filter(({ path }) => path !== '/v1/users') }
}

const users = {
  success: true,
  data: [
    { id: 7, email: 'ada@agency.example.com', active_flag: true },
    { id: 8, email: 'left@agency.example.com', active_flag: false },
  ],
}

function definitions(path: string): unknown {
  if (path === '/v1/activityTypes') {
    return {
      success: true,
      data: [
        { id: 1, name: 'Call', key_string: 'call' },
        { id: 9, name: 'Viewing', key_string: 'viewing' },
      ],
    }
  }
  if (path === '/v1/leadLabels') {
    return {
      success: true,
      data: [
        { id: 'f08b42a0-4e75-11ea-9643-03698ef1cfd6', name: 'Hot' },
        { id: 'f08b42a1-4e75-11ea-9643-03698ef1cfd6', name: 'Lake; west' },
      ],
    }
  }
  if (path === '/api/v2/stages' || path === '/api/v2/pipelines') {
    return { success: true, data: [{ id: 3, name: 'Offer' }] }
  }
  if (path === '/v1/leadFields') {
    return {
      success: true,
      data: [
        { key: 'title', name: 'Title', field_type: 'varchar' },
        { key: HASH, name: 'Kind of house', field_type: 'enum', options: [{ id: 21, label: 'Villa' }] },
        { key: MONEY, name: 'Budget', field_type: 'monetary' },
      ],
      additional_data: { pagination: { start: 0, limit: 500, more_items_in_collection: false } },
    }
  }
  return {
    success: true,
    data: [
      {
        field_code: 'label_ids',
        field_name: 'Labels',
        field_type: 'set',
        options: [
          { id: 5, label: 'VIP' },
          { id: 6, label: 'Cold' },
        ],
        is_custom_field: false,
      },
      {
        field_code: HASH,
        field_name: 'Kind of house',
        field_type: 'enum',
        options: [{ id: 21, label: 'Villa' }],
        is_custom_field: true,
      },
      { field_code: MONEY, field_name: 'Budget', field_type: 'monetary', is_custom_field: true },
      { field_code: PERSON, field_name: 'Referred by', field_type: 'people', is_custom_field: true },
      {
        field_code: SET,
        field_name: 'Areas',
        field_type: 'set',
        options: [
          { id: 1, label: 'North' },
          { id: 2, label: 'Lake; west' },
        ],
        is_custom_field: true,
      },
      { field_code: ADDRESS, field_name: 'House', field_type: 'address', is_custom_field: true },
      { field_code: USER, field_name: 'Helper', field_type: 'user', is_custom_field: true },
    ],
    additional_data: { next_cursor: null },
  }
}

async function described(name: string): Promise<VendorObject> {
  const found = (await pipedrive.discover(account(definitions).api, signal)).find((object) => object.name === name)
  assert.ok(found)
  return found
}

async function pages(api: VendorApi, object: VendorObject, more: Partial<ExtractRequest> = {}): Promise<ExtractPage[]> {
  const found: ExtractPage[] = []
  for await (const page of pipedrive.extract(api, {
    object,
    fields: [],
    state: null,
    window: { since: null, until: '2026-03-02T08:59:50.000000Z' },
    ids: null,
    filter: null,
    signal,
    ...more,
  })) {
    found.push(page)
  }
  return found
}

const list = (data: unknown, cursor?: string) => ({
  success: true,
  data,
  ...(cursor === undefined ? {} : { additional_data: { next_cursor: cursor } }),
})
const ids = (found: readonly ExtractPage[]) => found.flatMap(({ rows }) => rows.map(({ externalId }) => externalId))

test('discovers six objects in load order, with fields of the account’s own by hash and label', async () => {
  const { api, asked } = account(definitions)
  const objects = await pipedrive.discover(api, signal)
  assert.deepEqual(
    objects.map(({ name }) => name),
    ['organizations', 'persons', 'leads', 'deals', 'activities', 'notes'],
  )
  assert.deepEqual(
    objects.map(({ suggestedRecordType }) => suggestedRecordType),
    ['contact', 'contact', 'lead', 'lead', 'activity', 'activity'],
  )
  const fields = new Map(objects[1]?.fields.map((field) => [field.name, field]))
  assert.deepEqual(fields.get(`portage.${HASH}`)?.options, [{ value: '21', label: 'Villa' }])
  assert.equal(fields.get(`portage.${HASH}`)?.label, 'Kind of house')
  assert.equal(fields.get(`portage.${MONEY}_currency`)?.kind, 'TEXT')
  assert.deepEqual(fields.get(`portage.${PERSON}`)?.references, ['persons'])
  assert.deepEqual(fields.get('portage.organization')?.references, ['organizations'])
  assert.deepEqual(fields.get('label_ids')?.options, [
    { value: '5', label: 'VIP' },
    { value: '6', label: 'Cold' },
  ])
  assert.deepEqual(
    asked.map(({ cost }) => cost),
    [10, 10, 20, 10, 10, 20, 10, 5, 5],
  )
})

test('reads persons by cursor, until additional data have none or are not there', async () => {
  const persons = await described('persons')
  const person = (id: number) => ({
    id,
    name: `P ${id}`,
    owner_id: 7,
    add_time: '2026-01-01T00:00:00Z',
    update_time: '2026-02-01T00:00:00Z',
  })
  const { api, lists } = account((_path, { cursor }) =>
    cursor === undefined ? list([person(1), person(2)], 'abc') : list([person(3)]),
  )
  const found = await pages(api, persons)
  assert.deepEqual(ids(found), ['1', '2', '3'])
  assert.deepEqual(
    lists().map(({ path, query, cost }) => [path, query?.limit, query?.sort_by, query?.cursor, cost]),
    [
      ['/api/v2/persons', 500, 'id', undefined, 10],
      ['/api/v2/persons', 500, 'id', 'abc', 10],
      // Whether there is more behind what the list says is its end.
      ['/api/v2/persons', 1, 'id', undefined, 10],
    ],
  )
  assert.equal(found[0]?.rows[0]?.updatedAt, '2026-02-01T00:00:00.000000Z')
  assert.equal(found[0]?.rows[0]?.derived.ownerEmail, 'ada@agency.example.com')
  // From the state of the first page the second one is read, and from that of the second nothing.
  assert.deepEqual(ids(await pages(api, persons, { state: found[0]?.state ?? null })), ['3'])
  assert.deepEqual(ids(await pages(api, persons, { state: found[1]?.state ?? null })), [])
})

test('takes apart what persons consist of', async () => {
  const persons = await described('persons')
  const row = {
    id: 11,
    name: 'Zoë Nowak',
    org_id: 4,
    owner_id: 99,
    emails: [
      { value: 'second@example.com', primary: false, label: 'home' },
      { value: 'first@example.com', primary: true, label: 'work' },
      { value: 'FIRST@example.com', primary: false, label: 'other' },
      { value: 'third@example.com', primary: false, label: 'other' },
    ],
    phones: [
      { value: '+1 512 555 0100', primary: true, label: 'mobile' },
      { value: '+1 512 555 0101', primary: false, label: 'work' },
      { value: '+1 512 555 0102', primary: false, label: 'work' },
      { value: '', primary: false, label: 'home' },
    ],
    label_ids: [5, 77],
    postal_address: { value: '12 Elm St, Austin', street_number: '12', route: 'Elm St', locality: 'Austin' },
    marketing_status: 'unsubscribed',
    update_time: null,
    add_time: '2026-01-01T00:00:00Z',
    custom_fields: {
      [HASH]: 21,
      [MONEY]: { value: 1000.5, currency: 'EUR' },
      [PERSON]: 12,
      [SET]: [1, 2],
      [ADDRESS]: { value: 'Ring 1, Wien', country: 'Austria' },
      [USER]: 8,
    },
  }
  const [page] = await pages(account(() => list([row])).api, persons)
  assert.deepEqual(page?.rows[0]?.data, row)
  assert.equal(page?.rows[0]?.updatedAt, '2026-01-01T00:00:00.000000Z')
  assert.deepEqual(page?.rows[0]?.derived, {
    ownerEmail: null,
    organization: 'organizations/4',
    email: 'first@example.com',
    secondaryEmail: 'second@example.com',
    furtherEmails: 'third@example.com',
    phone: '+1 512 555 0101',
    mobilePhone: '+1 512 555 0100',
    homePhone: null,
    fax: null,
    furtherPhones: '+1 512 555 0102',
    addressLine1: '12 Elm St',
    labels: 'VIP; 77',
    emailOptOut: 'true',
    [HASH]: 'Villa',
    [MONEY]: '1000.5',
    [`${MONEY}_currency`]: 'EUR',
    [PERSON]: 'persons/12',
    [SET]: 'North; "Lake; west"',
    [ADDRESS]: 'Ring 1, Wien',
    [USER]: 'left@agency.example.com',
  })
  assert.deepEqual(
    page?.problems.map(({ externalId, code }) => [externalId, code]),
    [['11', 'FURTHER_VALUES']],
  )
})

test('leaves out what no database takes, and says so', async () => {
  const notes = await described('notes')
  const rows = [
    { id: 1, content: 'a\u0000b \ud83d c \udc00 🏡', person: { name: 'x\u0000' } },
    { id: 2, content: 'fine 🏡' },
  ]
  const [page] = await pages(account(() => list(rows)).api, notes)
  assert.deepEqual(page?.rows[0]?.data, { id: 1, content: 'ab  c  🏡', person: { name: 'x' } })
  assert.equal(page?.rows[1]?.data, rows[1])
  assert.deepEqual(
    page?.problems.map(({ externalId, code }) => [externalId, code]),
    [['1', 'CHARACTERS_REMOVED']],
  )
})

test('keeps rows of which everything but the id is null or something else', async () => {
  for (const name of ['organizations', 'persons', 'leads', 'deals', 'activities', 'notes']) {
    const object = await described(name)
    const nulls = Object.fromEntries(object.fields.map((field) => [field.name, null]))
    const odd = {
      ...nulls,
      id: 2,
      emails: 'N/A',
      phones: { value: 1 },
      label_ids: 'N/A',
      due_date: 'N/A',
      due_time: 4,
      custom_fields: [],
      participants: [null],
    }
    const found = await pages(
      account((path) => list(path.endsWith('/archived') ? [] : [{ ...nulls, id: 1 }, odd])).api,
      object,
    )
    assert.deepEqual(ids(found), ['1', '2'], name)
  }
})

test('reads changes from two minutes before the window, without fractions, and leaves later ones to the next', async () => {
  const persons = await described('persons')
  const { api, lists } = account(() =>
    list(
      [
        { id: 9, update_time: '2026-03-02T07:58:00Z' },
        { id: 3, update_time: '2026-03-02T08:59:49Z' },
        { id: 5, update_time: '2026-03-02T08:59:50Z' },
      ],
      'more',
    ),
  )
  const found = await pages(api, persons, {
    window: { since: '2026-03-02T08:00:00.123456Z', until: '2026-03-02T08:59:50.000000Z' },
  })
  assert.deepEqual(ids(found), ['9', '3'])
  assert.deepEqual(
    lists().map(({ query }) => [query?.updated_since, query?.sort_by]),
    [['2026-03-02T07:58:00Z', 'update_time']],
  )
})

test('reads leads by offset from two lists, and goes back where the list has moved', async () => {
  const leads = await described('leads')
  let all = Array.from({ length: 1200 }, (_, index) => ({
    id: `lead-${index}`,
    title: `L ${index}`,
    person_id: 4,
    add_time: '2026-01-01 00:00:00',
  }))
  let requests = 0
  const { api, lists } = account((path, { start = 0 }) => {
    if (path === '/v1/leads/archived') {
      return {
        success: true,
        data: null,
        additional_data: { pagination: { start: 0, limit: 500, more_items_in_collection: false } },
      }
    }
    requests++
    if (requests === 2) {
      // Thirty of the first page are deleted: thirty of the second move to it.
      all = all.slice(30)
    }
    const rows = all.slice(Number(start), Number(start) + 500)
    const more = Number(start) + rows.length < all.length
    return {
      success: true,
      data: rows,
      additional_data: { pagination: { start, limit: 500, more_items_in_collection: more } },
    }
  })
  const found = await pages(api, leads)
  assert.deepEqual(new Set(ids(found)), new Set(Array.from({ length: 1200 }, (_, index) => `lead-${index}`)))
  // The second page does not begin with the end of the first: it is read, and what lies before it is read again.
  assert.deepEqual(
    lists().map(({ path, query }) => [path, query?.start]),
    [
      ['/v1/leads', 0],
      ['/v1/leads', 499],
      ['/v1/leads', 0],
      ['/v1/leads', 499],
      ['/v1/leads', 998],
      ['/v1/leads/archived', 0],
    ],
  )
})

test('asks for the newest archived leads first, as far back as the window', async () => {
  const leads = await described('leads')
  const { api, lists } = account((path) =>
    path === '/v1/leads'
      ? list([])
      : {
          success: true,
          data: [
            { id: 'a', is_archived: true, update_time: '2026-03-02 08:30:00' },
            { id: 'b', is_archived: true, update_time: '2026-03-01 08:30:00' },
          ],
          additional_data: { pagination: { start: 0, limit: 500, more_items_in_collection: true, next_start: 500 } },
        },
  )
  const found = await pages(api, leads, {
    window: { since: '2026-03-02T08:00:00Z', until: '2026-03-02T08:59:50.000000Z' },
  })
  assert.deepEqual(ids(found), ['a'])
  assert.deepEqual(
    lists().map(({ query }) => query?.sort),
    ['update_time ASC', 'update_time DESC'],
  )
})

test('says what leads, deals, activities and notes belong to', async () => {
  const one = async (name: string, row: Record<string, unknown>) => {
    const object = await described(name)
    const found = await pages(account((path) => list(path.endsWith('/archived') ? [] : [row])).api, object)
    return found[0]?.rows[0]?.derived ?? {}
  }
  const lead = await one('leads', {
    id: 'adf21080-0e10-11eb-879b-05d71fb426ec',
    person_id: null,
    organization_id: 3,
    label_ids: ['f08b42a1-4e75-11ea-9643-03698ef1cfd6', 'f08b42a0-4e75-11ea-9643-03698ef1cfd6'],
    [HASH]: 21,
    [MONEY]: 5,
    [`${MONEY}_currency`]: 'USD',
  })
  assert.deepEqual(
    [lead.contact, lead.rating, lead.labels, lead[HASH], lead[MONEY], lead[`${MONEY}_currency`]],
    ['organizations/3', 'HOT', '"Lake; west"; Hot', 'Villa', '5', 'USD'],
  )
  const deal = await one('deals', { id: 1, title: 'Alone', stage_id: 3, pipeline_id: 4 })
  assert.deepEqual([deal.contact, deal.displayName, deal.stage, deal.pipeline], [null, 'Alone', 'Offer', '4'])
  const meeting = await one('activities', {
    id: 1,
    type: 'meeting',
    due_date: '2026-03-05',
    due_time: '14:30',
    duration: '01:15',
    deal_id: 6,
    lead_id: 'adf21080-0e10-11eb-879b-05d71fb426ec',
    org_id: 3,
    participants: [
      { person_id: 2, primary: false },
      { person_id: 1, primary: true },
    ],
  })
  assert.deepEqual(
    [meeting.startAt, meeting.endAt, meeting.dueOn, meeting.durationSeconds],
    ['2026-03-05T14:30:00.000Z', '2026-03-05T15:45:00.000Z', null, '4500'],
  )
  assert.deepEqual(
    [meeting.contact, meeting.lead, meeting.furtherLinks],
    ['persons/1', 'deals/6', 'persons/2; organizations/3; leads/adf21080-0e10-11eb-879b-05d71fb426ec'],
  )
  const task = await one('activities', { id: 2, due_date: '2026-03-05', due_time: null, duration: null, org_id: 3 })
  assert.deepEqual([task.startAt, task.dueOn, task.contact], [null, '2026-03-05', 'organizations/3'])
  const note = await one('notes', {
    id: 4,
    content: '<p>Hi</p>',
    lead_id: 'x',
    user_id: 7,
    update_time: '2026-02-01 10:00:00',
  })
  assert.deepEqual([note.lead, note.contact, note.ownerEmail], ['leads/x', null, 'ada@agency.example.com'])
})

test('reads by ids a hundred at a time, looks among archived deals too, and leaves out what is gone', async () => {
  const deals = await described('deals')
  const { api, lists } = account((path, query) => {
    const asked = String(query.ids).split(',').map(Number)
    const here = asked.filter((id) => (path.endsWith('/archived') ? id % 10 === 0 : id % 10 !== 0 && id !== 3))
    return list(here.map((id) => ({ id, is_archived: path.endsWith('/archived') })))
  })
  const wanted = Array.from({ length: 150 }, (_, index) => String(index + 1))
  const rows = await pipedrive.read(api, deals, wanted, [], signal)
  assert.equal(rows.length, 149)
  assert.deepEqual(
    lists().map(({ path }) => path),
    ['/api/v2/deals', '/api/v2/deals/archived', '/api/v2/deals', '/api/v2/deals/archived'],
  )
  const notes = await described('notes')
  const single = account((path) =>
    path === '/v1/notes/2'
      ? new VendorRefused({ code: 'HTTP_404', message: 'gone', status: 404 }, 'gone')
      : { success: true, data: { id: Number(path.split('/')[3]) } },
  )
  const found = await pipedrive.read(single.api, notes, ['1', '2', '3'], [], signal)
  assert.deepEqual(
    found.map(({ externalId }) => externalId),
    ['1', '3'],
  )
})

test('tells deleted deals by their status, of the window alone', async () => {
  const deals = await described('deals')
  assert.deepEqual(
    [pipedrive.tellsDeletions(deals), pipedrive.tellsDeletions(await described('persons'))],
    [true, false],
  )
  const { api, lists } = account(() =>
    list([
      { id: 5, status: 'deleted', update_time: '2026-03-02T08:30:00Z' },
      { id: 6, status: 'deleted', update_time: '2026-03-02T08:59:50Z' },
    ]),
  )
  const gone: unknown[] = []
  for await (const page of pipedrive.deletions(api, {
    object: deals,
    since: '2026-03-02T08:00:00.000000Z',
    until: '2026-03-02T08:59:50.000000Z',
    signal,
  })) {
    gone.push(...page.externalIds)
  }
  assert.deepEqual(gone, [{ id: '5', deletedAt: '2026-03-02T08:30:00.000000Z', mergedInto: null }])
  assert.deepEqual([lists()[0]?.query?.status, lists()[0]?.query?.updated_since], ['deleted', '2026-03-02T07:58:00Z'])
})

test('finds a page that the service left out, in the middle or at the end', async () => {
  const persons = await described('persons')
  const row = (id: number) => ({ id, update_time: '2026-02-01T00:00:00Z' })
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => row(from + index))
  /** Ids up to 1500 without those of the gap, in pages that the list has. */
  const company = (there: (id: number) => boolean, ...told: readonly (readonly [number, number])[]) =>
    account((_path, { cursor, ids: asked, sort_direction }) => {
      if (typeof asked === 'string') {
        return list(
          asked
            .split(',')
            .map(Number)
            .filter((id) => id > 0 && id <= 5500 && there(id))
            .map(row),
        )
      }
      if (sort_direction === 'desc') {
        return list([row(there(5500) ? 5500 : 1500)])
      }
      const at = Number(cursor ?? 0)
      const [from, to] = told[at] ?? [1, 0]
      return list(range(from, to), at + 1 < told.length ? String(at + 1) : undefined)
    })
  const some = (id: number) => id <= 1500
  const dropped = company(some, [1, 500], [1001, 1500])
  const found = await pages(dropped.api, persons)
  assert.equal(new Set(ids(found)).size, 1500)
  assert.equal(
    found.flatMap(({ problems }) => problems).filter(({ code }) => code === 'LEFT_OUT_BY_SERVICE').length,
    500,
  )
  assert.equal(dropped.lists().length, 2 + 1 + 5 + 1)
  const ended = company(some, [1, 500], [501, 1000])
  assert.equal(new Set(ids(await pages(ended.api, persons))).size, 1500)
  // A gap in which there is nothing costs one request.
  const honest = company((id) => id <= 500 || id > 5000, [1, 500], [5001, 5500])
  assert.equal(new Set(ids(await pages(honest.api, persons))).size, 1000)
  assert.equal(honest.lists().length, 2 + 1 + 1)
})

test('begins a list anew when its cursor is not known any more, and gives up on one that leads in a circle', async () => {
  const persons = await described('persons')
  const state = { list: 0, place: { cursor: 'old' }, last: 5, probes: 0, restarts: 0 }
  const { api } = account((_path, { cursor }) =>
    cursor === 'old' ? new VendorRefused({ code: '400', message: 'bad cursor', status: 400 }) : list([{ id: 1 }]),
  )
  assert.deepEqual(ids(await pages(api, persons, { state })), ['1'])
  const circle = account(() => list([{ id: 1 }], 'again'))
  await assert.rejects(pages(circle.api, persons), /circle/)
})

test('asks again for an answer that says nothing, a few times', async () => {
  const persons = await described('persons')
  let asked = 0
  const { api } = account(() => (++asked < 3 ? null : list([{ id: 1 }])))
  assert.deepEqual(ids(await pages(api, persons)), ['1'])
  await assert.rejects(
    pages(account(() => ({ success: false, error: 'odd' })).api, persons),
    /without saying that it had succeeded/,
  )
})

test('knows who it is, what time it is there, and how many records there are', async () => {
  const { api } = account(() => ({
    success: true,
    data: { id: 7, company_id: 123, company_name: 'Acme Homes', company_domain: 'acme' },
  }))
  assert.deepEqual(await pipedrive.check(api, signal), { id: '123', name: 'Acme Homes', apiVersion: 'v2' })
  assert.equal(await pipedrive.clock(api, signal), '2026-03-02T08:59:50.000000Z')
  const small = account((_path, { sort_direction }) =>
    list(sort_direction === 'desc' ? [{ id: 9 }] : [{ id: 1 }, { id: 9 }]),
  )
  assert.deepEqual(await pipedrive.count(small.api, await described('persons'), signal), { count: 2, exact: true })
  const notes = account((_path, { start }) => list(Number(start) < 12_345 ? [{ id: 1 }] : null))
  assert.deepEqual(await pipedrive.count(notes.api, await described('notes'), signal), { count: 12_345, exact: true })
  // Whoever has read them all is told by two looks whether these were all; whoever has read others is told the truth.
  const searched = notes.asked.length
  for (const likely of [12_345, 12_344, 12_346, 0, 1, 100_000]) {
    const counted = await pipedrive.count(notes.api, await described('notes'), signal, likely)
    assert.deepEqual(counted, { count: 12_345, exact: true }, String(likely))
    if (likely === 12_345) {
      assert.equal(notes.asked.length, searched + 2)
    }
  }
  // Of two lists only what both hold is known.
  const leads = account((path, { start }) =>
    list(Number(start) < (path === '/v1/leads' ? 700 : 40) ? [{ id: 'x' }] : []),
  )
  for (const likely of [740, 700, 739, 3]) {
    const counted = await pipedrive.count(leads.api, await described('leads'), signal, likely)
    assert.deepEqual(counted, { count: 740, exact: true }, String(likely))
  }
  const many = account((_path, { limit }) =>
    limit === 1
      ? list([{ id: 100_000 }])
      : list(
          Array.from({ length: 500 }, (_, index) => ({ id: index * 2 + 1 })),
          'more',
        ),
  )
  const estimate = await pipedrive.count(many.api, await described('persons'), signal)
  assert.equal(estimate.exact, false)
  assert.ok(Math.abs(estimate.count - 50_000) < 100)
  assert.equal(pipedrive.callsFor(await described('persons'), 200_000), 400)
})

test('filters by a filter that was made in Pipedrive, and refuses other words', async () => {
  const persons = await described('persons')
  const { api, lists } = account(() => list([]))
  await pages(api, persons, { filter: 'filter_id=12' })
  assert.equal(lists()[0]?.query?.filter_id, '12')
  await assert.rejects(pages(api, persons, { filter: "name = 'x'" }), VendorRefused)
})

test('maps every field of its own to one that is there, or says why not', async () => {
  for (const object of await pipedrive.discover(account(definitions).api, signal)) {
    const type = object.suggestedRecordType ?? 'contact'
    const mapping = pipedrive.mapping(object, type) ?? []
    const columns = mapping.flatMap(({ column }) => column ?? [])
    assert.deepEqual(
      columns.toSorted(),
      object.fields
        .filter(({ custom }) => !custom)
        .map(({ name }) => name)
        .toSorted(),
      object.name,
    )
    const fields = new Map(recordTypes[type].fields.map((field) => [field.name, field]))
    const targets = mapping.flatMap(({ field }) => field ?? [])
    assert.equal(new Set(targets).size, targets.length, object.name)
    for (const { column, field, reasons, valueMap } of mapping) {
      assert.ok(
        reasons.every((reason) => reason !== ''),
        `${object.name} ${column}`,
      )
      if (field !== null) {
        const [name = '', key] = field.split('.')
        const known = fields.get(name)
        assert.ok(known, `${object.name} ${field}`)
        assert.ok(key === undefined || known.reference?.keys.includes(key), field)
        assert.ok(
          valueMap.every(({ to }) => known.options === null || known.options.includes(to)),
          field,
        )
      }
    }
    assert.ok(targets.includes('externalId') && targets.includes('ownerEmail'), object.name)
  }
  const persons = await described('persons')
  const to = (name: string) => pipedrive.mapping(persons, 'contact')?.find(({ column }) => column === name)?.field
  assert.deepEqual(
    [to('portage.organization'), to('portage.email'), to('add_time')],
    ['organization.externalId', 'email', 'sourceCreatedAt'],
  )
  const types = pipedrive
    .mapping(await described('activities'), 'activity')
    ?.find(({ field }) => field === 'type')?.valueMap
  assert.deepEqual(
    types?.map(({ from, to: into }) => `${from} ${into}`),
    ['call CALL', 'meeting MEETING', 'task TASK', 'deadline TASK', 'email EMAIL', 'lunch MEETING', 'viewing OTHER'],
  )
  const leads = pipedrive.mapping(persons, 'lead') ?? []
  assert.ok(leads.some(({ field }) => field === 'email') && leads.every(({ field }) => field !== 'birthDate'))
  assert.equal(pipedrive.mapping({ ...persons, name: 'products' }, 'contact'), null)
})
