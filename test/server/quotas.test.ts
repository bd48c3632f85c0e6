import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTenantQuotas } from '../../src/access/quotas.js'
import { type Actor, authorization, dataOf, type Json, World } from './world.js'

let world: World
let idle: World
before(async () => {
  ;[world, idle] = await Promise.all([World.start(), World.start({ worker: false })])
})
after(async () => {
  await Promise.all([world.close(), idle.close()])
})

const key = () => randomBytes(8).toString('hex')
const csv = (rows: number, from = 0) =>
  `Id,Mail\n${Array.from({ length: rows }, (_, i) => `${from + i},p${from + i}@example.com\n`).join('')}`

const fileUpload =
  'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code message retryAt } } }'
const importCreate =
  'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id status } userErrors { code message retryAt } } }'
const runQuery =
  'query ($id: ID!) { run(id: $id) { status availableActions statusReason { code message retryable estimatedStartAt } } }'

/** Somebody of a new tenant with these limits of its own. */
async function member(of: World, overrides: Parameters<typeof setTenantQuotas>[2]['overrides'] = {}): Promise<Actor> {
  const tenant = await of.tenant()
  await setTenantQuotas(of.db.ownerUrl, tenant, { overrides })
  return of.actor(tenant)
}

async function uses(of: World, actor: Actor): Promise<Record<string, Json>> {
  const { quotas } = await of.ask(actor, '{ quotas { name used limit unit resetsAt } }')
  return Object.fromEntries(quotas.map(({ name, ...rest }: Json) => [name, rest]))
}

/** Starts an import of contacts, and does not wait for it. */
async function begin(of: World, actor: Actor, text: string, recordType = 'CONTACT'): Promise<string> {
  const answer = dataOf(await of.upload(actor, importCreate, { recordType, idempotencyKey: key() }, text))
  assert.deepEqual(answer.importCreate.userErrors, [])
  return answer.importCreate.importRun.id
}

/** Waits until a run has this status. */
async function becomes(of: World, actor: Actor, id: string, status: string): Promise<Json> {
  for (;;) {
    const { run } = await of.ask(actor, runQuery, { id })
    if (run.status === status) {
      return run
    }
    assert.ok(!['COMPLETED', 'FAILED', 'CANCELED'].includes(run.status), `it is ${run.status}, not ${status}`)
    await changed(of)
  }
}

/** The next event of anybody, or a moment. */
async function changed(of: World): Promise<void> {
  await of.oracle.query('listen portage_events')
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 250)
    of.oracle.once('notification', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** What the ledger has reserved and used against what each run and upload has: differences, which there must not be. */
async function drift(of: World, tenantId: string): Promise<Json[]> {
  const { rows } = await of.oracle.query(
    `select coalesce(l.name, e.name) as name, l.used, l.reserved, e.entries_used, e.entries_open
     from (select * from quota_ledger where tenant_id = $1 and name <> 'storageBytes') l
       full join (select name, period, sum(used) as entries_used, sum(reserved - used - released) as entries_open
                  from quota_entry where tenant_id = $1 and name <> 'storageBytes' group by name, period) e using (name, period)
     where (l.used, l.reserved) is distinct from (e.entries_used, e.entries_open)`,
    [tenantId],
  )
  return rows
}

test('of 200 imports that are started at once as many are taken as the queue has room for, and no more [QF-1]', async () => {
  const actor = await member(idle, { queuedRuns: 50 })
  const file = dataOf(await idle.upload(actor, fileUpload, {}, csv(1))).fileUpload.file.id
  const answers = await Promise.all(
    Array.from({ length: 200 }, () =>
      idle.run(actor, importCreate, { input: { fileId: file, recordType: 'CONTACT', idempotencyKey: key() } }),
    ),
  )
  const payloads = answers.map((answer) => dataOf(answer).importCreate)
  assert.equal(payloads.filter(({ importRun }) => importRun !== null).length, 50)
  const refused = payloads.filter(({ importRun }) => importRun === null)
  assert.equal(refused.length, 150)
  for (const { userErrors } of refused) {
    assert.equal(userErrors[0].code, 'QUOTA_EXCEEDED')
    assert.match(userErrors[0].message, /50 runs of this tenant wait already, of 50/)
    assert.ok(new Date(userErrors[0].retryAt) > new Date())
  }
  assert.deepEqual((await uses(idle, actor)).queuedRuns, { used: 50, limit: 50, unit: 'runs', resetsAt: null })
  assert.deepEqual(await drift(idle, actor.tenantId), [])
  const neighbour = await member(idle)
  assert.equal((await uses(idle, neighbour)).queuedRuns.used, 0)
  // One that ends makes room for one.
  const cancel = 'mutation ($id: ID!) { runCancel(input: { runId: $id }) { run { status } userErrors { code } } }'
  await idle.oracle.query("update run set status = 'QUEUED' where tenant_id = $1", [actor.tenantId])
  await idle.ask(actor, cancel, { id: payloads.find(({ importRun }) => importRun !== null)?.importRun.id })
  const again = { input: { fileId: file, recordType: 'CONTACT', idempotencyKey: key() } }
  assert.deepEqual((await idle.ask(actor, importCreate, again)).importCreate.userErrors, [])
  const full = { input: { fileId: file, recordType: 'CONTACT', idempotencyKey: key() } }
  assert.equal((await idle.ask(actor, importCreate, full)).importCreate.userErrors[0].code, 'QUOTA_EXCEEDED')
})

test('a run that has no room waits as DEFERRED with an estimate, starts by itself, and can be canceled', async () => {
  const actor = await member(world, { runningRuns: 1 })
  // Somebody else's session holds the table, so that the first import cannot end until we want it to.
  await world.oracle.query('begin')
  await world.oracle.query('lock table contact in share mode')
  let first = ''
  let second = ''
  let third = ''
  try {
    first = await begin(world, actor, csv(10))
    await becomes(world, actor, first, 'RUNNING')
    second = await begin(world, actor, 'Name\nGreen house\n', 'PROPERTY')
    third = await begin(world, actor, 'Name\nRed house\n', 'PROPERTY')
    for (const id of [second, third]) {
      const run = await becomes(world, actor, id, 'DEFERRED')
      assert.equal(run.statusReason.code, 'QUOTA_EXCEEDED')
      assert.match(run.statusReason.message, /1 runs of this tenant are running/)
      assert.equal(run.statusReason.retryable, true)
      assert.ok(new Date(run.statusReason.estimatedStartAt) > new Date(Date.now() - 60_000))
      assert.deepEqual(run.availableActions, ['CANCEL'])
    }
    assert.equal((await uses(world, actor)).runningRuns.used, 1)
    await world.ask(actor, 'mutation ($id: ID!) { runCancel(input: { runId: $id }) { userErrors { code } } }', {
      id: third,
    })
    assert.equal((await world.ask(actor, runQuery, { id: third })).run.status, 'CANCELED')
  } finally {
    await world.oracle.query('commit')
  }
  assert.equal(await world.rested(actor, first), 'COMPLETED')
  const freed = performance.now()
  assert.match(await world.rested(actor, second), /^COMPLETED/)
  assert.ok(performance.now() - freed < 5000, 'it waited for its own look rather than for the other run’s end')
  assert.equal((await uses(world, actor)).runningRuns.used, 0)
  assert.deepEqual(await drift(world, actor.tenantId), [])
})

test('rows beyond the day’s wait for the next day, or for a larger plan; what a run does not need comes back', async () => {
  const actor = await member(world, { rowsPerDay: 15 })
  assert.equal(await world.rested(actor, await begin(world, actor, csv(10))), 'COMPLETED')
  const second = await begin(world, actor, csv(10, 100))
  const run = await becomes(world, actor, second, 'DEFERRED')
  const midnight = new Date(Math.floor(Date.now() / 86_400_000 + 1) * 86_400_000).toISOString()
  assert.equal(run.statusReason.estimatedStartAt, midnight)
  assert.match(run.statusReason.message, /Of 15 rows a day 10 are used or reserved, and the import has 10 to go/)
  assert.deepEqual((await uses(world, actor)).rowsPerDay, { used: 10, limit: 15, unit: 'rows', resetsAt: midnight })
  // Five rows fit, and are not held up by those that do not.
  assert.equal(await world.rested(actor, await begin(world, actor, csv(5, 200))), 'COMPLETED')
  await setTenantQuotas(world.db.ownerUrl, actor.tenantId, { overrides: { rowsPerDay: null } })
  assert.equal(await world.rested(actor, second), 'COMPLETED')
  assert.equal((await uses(world, actor)).rowsPerDay.used, 25)
  assert.deepEqual(await drift(world, actor.tenantId), [])
  const { rows } = await world.oracle.query(
    "select event, data from outbox where tenant_id = $1 and event = 'QUOTA_WARNING'",
    [actor.tenantId],
  )
  assert.deepEqual(
    rows.map(({ data }) => [data.quota, data.used, data.limit, data.resetsAt]),
    [['rowsPerDay', 15, 15, midnight]],
  )
})

test('an import that a whole day has no room for fails and says so', async () => {
  const actor = await member(world, { rowsPerDay: 5 })
  const id = await begin(world, actor, csv(10))
  assert.equal(await world.rested(actor, id), 'FAILED')
  const { run } = await world.ask(actor, runQuery, { id })
  assert.equal(run.statusReason.code, 'QUOTA_EXCEEDED')
  assert.match(run.statusReason.message, /10 rows to go, and the plan of this tenant takes 5 a day/)
  assert.deepEqual(await drift(world, actor.tenantId), [])
})

/** Files of a tenant in the store. */
async function stored(of: World, tenantId: string): Promise<string[]> {
  const names = await readdir(join(of.dataDir, 'files'), { recursive: true })
  return names.filter((name) => name.includes(tenantId) && name.split('/').length > 1)
}

/** An upload of so many bytes as it goes over the wire. */
async function send(of: World, actor: Actor, bytes: number): Promise<Response> {
  const form = new FormData()
  form.append('operations', JSON.stringify({ query: fileUpload, variables: { input: { file: null } } }))
  form.append('map', JSON.stringify({ 0: ['variables.input.file'] }))
  form.append('0', new Blob([`Name\n${'x'.repeat(bytes - 5)}`]), 'a.csv')
  return fetch(`${of.url}/graphql`, {
    method: 'POST',
    headers: { 'apollo-require-preflight': 'true', accept: 'application/json', ...authorization(actor) },
    body: form,
  })
}

/** What every refusal for a limit has in its headers. */
function assertHeaders(response: Response, quota: string): void {
  assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.match(response.headers.get('ratelimit-policy') ?? '', new RegExp(`^"${quota}";q=\\d+`))
  assert.match(response.headers.get('ratelimit') ?? '', new RegExp(`^"${quota}";r=\\d+;t=[1-9]\\d*`))
}

test('every refusal for a limit says in headers when to come again, before a byte is stored [QF-6]', async () => {
  const daily = await member(idle, { uploadBytesPerDay: 10_000 })
  assert.equal((await send(idle, daily, 5_000)).status, 200)
  const before = await stored(idle, daily.tenantId)
  const tooMuch = await send(idle, daily, 9_000)
  assert.equal(tooMuch.status, 429)
  assertHeaders(tooMuch, 'uploadBytesPerDay')
  assert.match(tooMuch.headers.get('ratelimit-policy') ?? '', /;qu="content-bytes";w=86400$/)
  const [error] = ((await tooMuch.json()) as Json).errors
  assert.equal(error.extensions.code, 'QUOTA_EXCEEDED')
  assert.match(
    error.message,
    /of 10,000 bytes that the plan of this tenant takes a day, .* are used. The count begins anew at/,
  )
  assert.deepEqual(await stored(idle, daily.tenantId), before)

  const small = await member(idle, { storageBytes: 2_000 })
  const never = await send(idle, small, 9_000)
  assert.equal(never.status, 413)
  assertHeaders(never, 'storageBytes')
  await never.body?.cancel()
  assert.deepEqual(await stored(idle, small.tenantId), [])

  const begun = await fetch(`${idle.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization(small) },
    body: JSON.stringify({
      query: `mutation { uploadBegin(input: { name: "a.csv", byteSize: 5000, sha256: "${'0'.repeat(64)}", idempotencyKey: "k" }) { uploadSession { id } userErrors { code message } } }`,
    }),
  })
  const refusedSession = (await begun.json()) as Json
  assert.equal(refusedSession.data?.uploadBegin.uploadSession, null, JSON.stringify(refusedSession))
  assert.equal(refusedSession.data.uploadBegin.userErrors[0].code, 'QUOTA_EXCEEDED', JSON.stringify(refusedSession))
  assertHeaders(begun, 'storageBytes')

  const full = await member(idle, { queuedRuns: 0 })
  const file = dataOf(await idle.upload(full, fileUpload, {}, csv(1))).fileUpload.file.id
  const queued = await fetch(`${idle.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization(full) },
    // Not even asking for the errors.
    body: JSON.stringify({
      query: `mutation { importCreate(input: { fileId: "${file}", recordType: LEAD, idempotencyKey: "k" }) { importRun { id } } }`,
    }),
  })
  assertHeaders(queued, 'queuedRuns')
  await queued.body?.cancel()
})

const post = (of: World, actor: Actor, query: string): Promise<Response> =>
  fetch(`${of.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization(actor) },
    body: JSON.stringify({ query }),
  })

const aliased = (count: number) =>
  `{ ${Array.from({ length: count }, (_, i) => `a${i}: viewer { tenantId }`).join(' ')} }`

test('rates count the operations of a request, not requests; fifty aliases in one are refused [GQ-4]', async () => {
  const actor = await member(idle, { operationsPerMinute: 25 })
  const first = await post(idle, actor, aliased(10))
  assert.equal(first.status, 200)
  assert.match(first.headers.get('ratelimit-policy') ?? '', /^"tenant";q=25;w=60, "actor";q=\d+;w=60$/)
  assert.match(first.headers.get('ratelimit') ?? '', /^"tenant";r=15;t=\d+, "actor";/)
  const start = (i: number) =>
    `a${i}: importCreate(input: { fileId: "x", recordType: LEAD, idempotencyKey: "${i}" }) { userErrors { code } }`
  const fifty = await post(idle, actor, `mutation { ${Array.from({ length: 50 }, (_, i) => start(i)).join(' ')} }`)
  assert.equal(((await fifty.json()) as Json).errors[0].extensions.code, 'OPERATION_TOO_LARGE')
  assert.equal((await post(idle, actor, aliased(10))).status, 200)
  const over = await post(idle, actor, aliased(10))
  assert.equal(over.status, 429)
  const wait = Number(over.headers.get('retry-after'))
  assert.ok(wait >= 1 && wait <= 60, `${wait} s`)
  const [error] = ((await over.json()) as Json).errors
  assert.deepEqual(error.extensions, { code: 'RATE_LIMITED', retryAfterSeconds: wait })
  // Two of one request's operations are all that is left: then its body is not even read.
  for (let i = 0; i < 4; i++) {
    await (await post(idle, actor, '{ viewer { tenantId } }')).body?.cancel()
  }
  const none = await send(idle, actor, 100)
  assert.equal(none.status, 429)
  assert.ok(none.headers.get('retry-after') !== null && none.headers.get('ratelimit') !== null)
  await none.body?.cancel()
  assert.deepEqual(await stored(idle, actor.tenantId), [])
  const neighbour = await member(idle)
  assert.equal((await post(idle, neighbour, aliased(10))).status, 200)
})

test('what an upload reserves is used or given back, whether it arrives, is refused or given up', async () => {
  const actor = await member(idle)
  const text = csv(100)
  await idle.upload(actor, fileUpload, {}, text)
  await idle.upload(actor, fileUpload, {}, '')
  const sha256 = '0'.repeat(64)
  const { uploadBegin } = await idle.ask(
    actor,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id url } } }',
    { input: { name: 'a.csv', byteSize: 5000, sha256, idempotencyKey: key() } },
  )
  const while_ = await uses(idle, actor)
  assert.ok(while_.uploadBytesPerDay.used >= 5000 + text.length)
  await fetch(uploadBegin.uploadSession.url, { method: 'DELETE', headers: authorization(actor) })
  // The connections of the uploads are closed by us, a moment after their answers.
  for (;;) {
    const now = await uses(idle, actor)
    if (now.uploadBytesPerDay.used === text.length) {
      assert.equal(now.storageBytes.used, text.length)
      break
    }
    assert.ok(now.uploadBytesPerDay.used > text.length)
  }
  assert.deepEqual(await drift(idle, actor.tenantId), [])
})

test('with too little room on the disk nothing new is taken, and what is there can be read', async () => {
  let space = { free: 2 ** 40, total: 2 ** 40 }
  const narrow = await World.start({ worker: false, spaceNow: async () => space })
  try {
    const actor = await narrow.actor(await narrow.tenant())
    const { file } = dataOf(await narrow.upload(actor, fileUpload, {}, csv(100))).fileUpload
    const start = () =>
      narrow.ask(actor, importCreate, { input: { fileId: file.id, recordType: 'CONTACT', idempotencyKey: key() } })
    // Less than a tenth of a small disk; less than 10 GiB of a large one; less than three times the file.
    for (const full of [
      { free: 9e9, total: 1e11 },
      { free: 1e10, total: 1e12 },
      { free: 3000, total: 20_000 },
    ]) {
      space = full
      const { importRun, userErrors } = (await start()).importCreate
      assert.equal(importRun, null)
      assert.equal(userErrors[0].code, 'QUOTA_EXCEEDED')
      assert.match(userErrors[0].message, /The disk of the service has too little room/)
      assert.ok(new Date(userErrors[0].retryAt) > new Date())
      const refused = await send(narrow, actor, 5000)
      assert.equal(refused.status, 429)
      assertHeaders(refused, 'freeSpace')
      await refused.body?.cancel()
    }
    assert.equal((await narrow.ask(actor, '{ runs(first: 5) { nodes { id } } }')).runs.nodes.length, 0)
    space = { free: 11e9, total: 1e11 }
    assert.deepEqual((await start()).importCreate.userErrors, [])
  } finally {
    await narrow.close()
  }
})
