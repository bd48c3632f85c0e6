import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { auditKeys, isSigned, sealEntries, verifyChain } from '../../src/access/audit.js'
import { Database } from '../../src/db/database.js'
import { withTenant } from '../../src/db/tx.js'
import { encodeId, encodeUuid } from '../../src/ids.js'
import { apiSchema } from '../../src/resolvers/schema.js'
import { calls } from './calls.js'
import { type Actor, authorization, World } from './world.js'

const CANARY = `canary${randomBytes(6).toString('hex')}`

let world: World
let ada: Actor
let neighbour: Actor
let database: Database

interface Entry {
  readonly actor: string
  readonly action: string
  readonly target: string | null
  readonly outcome: string
  readonly detail: Readonly<Record<string, string>>
  readonly ip: string | null
  readonly user_agent: string | null
  readonly request_id: string
}

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant('Ada'))
  neighbour = await world.actor(await world.tenant('Neighbour'), undefined, 'eve@example.com')
  database = await Database.open({
    url: world.db.workerUrl,
    applicationName: 'test',
    poolSize: 2,
    statementMs: 30_000,
  })
})
after(async () => {
  await database.close()
  await world.close()
})

/** Entries of a tenant since the last call, oldest first; changes of status of runs only when asked for. */
async function entriesSince(tenantId: string, mark: string, runs = false): Promise<Entry[]> {
  const { rows } = await world.oracle.query<Entry>(
    "select * from audit_entry where tenant_id = $1 and id > $2 and ($3 or action <> 'run.status') order by id",
    [tenantId, mark, runs],
  )
  return rows
}

async function mark(tenantId: string): Promise<string> {
  const { rows } = await world.oracle.query<{ id: string }>(
    'select id from audit_entry where tenant_id = $1 order by id desc limit 1',
    [tenantId],
  )
  return rows[0]?.id ?? '00000000-0000-0000-0000-000000000000'
}

const mutations = Object.keys(apiSchema.getMutationType()?.getFields() ?? {})

function call(actor: Actor, mutation: string) {
  return mutation === 'fileUpload'
    ? world.upload(
        actor,
        'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }',
        {},
        `a,b\n${CANARY},2\n`,
        `${CANARY}.csv`,
      )
    : world.run(actor, calls[`Mutation.${mutation}`] ?? assert.fail(`no call of ${mutation}`))
}

test('every mutation leaves exactly one entry, whatever becomes of it [AU-1]', async () => {
  for (const mutation of mutations) {
    const before = await mark(ada.tenantId)
    const answer = await call(ada, mutation)
    const entries = await entriesSince(ada.tenantId, before)
    assert.deepEqual(
      entries.map(({ action, actor }) => [action, actor]),
      [[`Mutation.${mutation}`, 'ada@example.com']],
      `${mutation} ${answer.text}`,
    )
    const [entry] = entries
    const code = answer.data?.[mutation]?.userErrors[0]?.code ?? answer.errors[0]?.extensions.code
    assert.equal(
      entry?.outcome,
      code === undefined ? 'OK' : code === 'INTERNAL_SERVER_ERROR' ? 'FAILED' : 'REFUSED',
      answer.text,
    )
    assert.equal(entry?.detail.code, code)
    assert.equal(entry?.ip, '127.0.0.1')
    assert.equal(entry?.user_agent, 'node')
  }
})

test('every operation that is denied leaves exactly one entry [AU-1]', async () => {
  const nobody = await world.actor(ada.tenantId, [], 'nobody@example.com')
  for (const [operation, query] of Object.entries(calls)) {
    const before = await mark(ada.tenantId)
    const answer =
      operation === 'Mutation.fileUpload' ? await call(nobody, 'fileUpload') : await world.run(nobody, query)
    const permission = answer.errors.find(({ extensions }) => extensions.code === 'FORBIDDEN')?.extensions.permission
    const entries = await entriesSince(ada.tenantId, before)
    if (permission === undefined) {
      // What everybody may do is no denial: a mutation leaves the entry of its deed.
      assert.deepEqual(
        entries.map(({ action, outcome }) => [action, outcome]),
        operation.startsWith('Mutation.') ? [[operation, 'OK']] : [],
        operation,
      )
    } else {
      assert.deepEqual(
        entries.map(({ action, actor, outcome, detail }) => [action, actor, outcome, detail.permission]),
        [[operation, 'nobody@example.com', 'DENIED', permission]],
      )
    }
  }
})

test('an entry is committed with its deed or not at all [AU-1]', async () => {
  // The entry cannot be written: neither must the member be.
  await world.oracle.query("alter table audit_entry add constraint broken check (actor <> 'broken@example.com')")
  const broken = await world.actor(ada.tenantId, undefined, 'broken@example.com')
  const answer = await world.run(
    broken,
    'mutation { memberSave(input: { email: "unseen@example.com" }) { userErrors { code } } }',
  )
  assert.equal(answer.errors[0]?.extensions.code, 'INTERNAL_SERVER_ERROR')
  await world.oracle.query('alter table audit_entry drop constraint broken')
  const { rows } = await world.oracle.query('select from member where tenant_id = $1 and email = $2', [
    ada.tenantId,
    'unseen@example.com',
  ])
  assert.equal(rows.length, 0)
})

test('runs leave an entry for each status, and downloads one each, without the value of a field', async () => {
  const before = await mark(ada.tenantId)
  const id = await world.import(
    ada,
    'LEAD',
    `First name,Last name,E-mail\n${CANARY},${CANARY},not-${CANARY}\nOk,${CANARY},ok@${CANARY}.example\n`,
    {},
  )
  const statuses = (await entriesSince(ada.tenantId, before, true)).filter(({ action }) => action === 'run.status')
  for (let i = 1; i < statuses.length; i++) {
    assert.equal(statuses[i]?.detail.from, statuses[i - 1]?.detail.to)
  }
  const { run } = await world.ask(ada, 'query ($id: ID!) { run(id: $id) { status files { kind url } } }', { id })
  assert.equal(statuses.at(-1)?.detail.to, run.status)
  assert.equal(statuses[0]?.actor, 'ada@example.com', 'who asked for the run')
  assert.equal(statuses.at(-1)?.actor, 'portage')
  const started = (await entriesSince(ada.tenantId, before)).find(({ action }) => action === 'Mutation.importCreate')
  assert.equal(started?.request_id, statuses[0]?.request_id)

  const links: { kind: string; url: string }[] = run.files
  assert.ok(links.length > 0)
  for (const { url } of links) {
    const last = await mark(ada.tenantId)
    const response = await fetch(url)
    await response.text()
    assert.equal(response.status, 200)
    const entries = await entriesSince(ada.tenantId, last)
    assert.equal(entries.length, 1)
    assert.match(entries[0]?.action ?? '', /^download\./)
    assert.equal(entries[0]?.outcome, 'OK')
  }
  const { rows } = await world.oracle.query('select e::text as text from audit_entry e where tenant_id = $1', [
    ada.tenantId,
  ])
  for (const { text } of rows) {
    assert.doesNotMatch(text, new RegExp(CANARY))
  }
})

test('lists entries newest first, by action and actor, in pages, and never to the neighbour', async () => {
  const query =
    'query ($after: String, $action: String) { auditEntries(first: 3, after: $after, action: $action) { nodes { id at actor action outcome detail { name value } sequence hash previousHash ip userAgent requestId } pageInfo { hasNextPage endCursor } } }'
  const seen: string[] = []
  let after: string | null = null
  for (let page = 0; page < 4; page++) {
    const { auditEntries } = await world.ask(ada, query, { after })
    seen.push(...auditEntries.nodes.map(({ id }: { id: string }) => id))
    after = auditEntries.pageInfo.endCursor
  }
  assert.equal(new Set(seen).size, 12)
  assert.deepEqual(seen, seen.toSorted().toReversed())
  const { auditEntries } = await world.ask(ada, query, { action: 'Mutation.memberSave' })
  assert.ok(auditEntries.nodes.length > 0)
  assert.ok(auditEntries.nodes.every(({ action }: { action: string }) => action === 'Mutation.memberSave'))
  const theirs = await world.ask(neighbour, query)
  assert.deepEqual(theirs.auditEntries.nodes, [])
  const { node } = await world.ask(neighbour, 'query ($id: ID!) { node(id: $id) { id } }', { id: seen[0] })
  assert.equal(node, null)
  const own = await world.ask(ada, 'query ($id: ID!) { node(id: $id) { id ... on AuditEntry { action } } }', {
    id: seen[0],
  })
  assert.equal(own.node.id, seen[0])
})

test('the roles of the service can add entries, and change or remove none; nor can the owner [AU-2]', async () => {
  for (const [url, role] of [
    [world.db.apiUrl, 'api'],
    [world.db.workerUrl, 'worker'],
    [world.db.ownerUrl, 'owner'],
  ] as const) {
    const client = new pg.Client({ connectionString: url, options: '-c search_path=portage' })
    await client.connect()
    await client.query("select set_config('app.tenant_id', $1, false)", [ada.tenantId])
    for (const table of ['audit_entry', 'audit_seal', 'audit_head']) {
      for (const statement of [
        `update ${table} set tenant_id = tenant_id`,
        `delete from ${table}`,
        `truncate ${table}`,
      ]) {
        const { rows } = await client.query(`select count(*)::int as count from ${table}`)
        const outcome = client.query(statement)
        if (role === 'owner' && rows[0].count === 0 && !statement.startsWith('truncate')) {
          await outcome
        } else {
          await assert.rejects(outcome, { code: '42501' }, `${role}: ${statement}`)
        }
      }
    }
    await client.end()
  }
})

/** A tenant whose chain has so many links, without an API in between. */
async function chainOf(count: number): Promise<string> {
  const tenantId = await world.tenant()
  await world.oracle.query(
    `insert into audit_entry (tenant_id, actor, action, target, outcome, detail, ip, request_id)
     select $1, 'ada@example.com', 'Mutation.memberSave', 'mem_' || n, 'OK', jsonb_build_object('n', n::text), '127.0.0.1', 'r' || n
     from generate_series(1, $2::int) n`,
    [tenantId, count],
  )
  await sealed(tenantId)
  return tenantId
}

/** Seals until nothing waits: the worker of this world may be at it as well. */
async function sealed(tenantId: string): Promise<void> {
  for (;;) {
    await withTenant(database, tenantId, sealEntries)
    const { rows } = await world.oracle.query('select from audit_pending where tenant_id = $1 limit 1', [tenantId])
    if (rows.length === 0) {
      return
    }
  }
}

const check = (tenantId: string, from: { sequence: number; hash: string } | null = null) =>
  withTenant(database, tenantId, (tx) => verifyChain(tx, auditKeys(world.config), from))

test('finds each of 1,000 random tamperings and names the first broken link [AU-3]', async () => {
  const seed = Number(process.env.PORTAGE_TEST_SEED ?? Date.now() % 2 ** 31)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const links = 40
  const tenantId = await chainOf(links)
  assert.deepEqual(await check(tenantId), { valid: true, checked: links, firstBrokenSequence: null })
  const { rows } = await world.oracle.query<{ hash: string }>(
    "select encode(hash, 'hex') as hash from audit_seal where tenant_id = $1 order by sequence desc limit 1",
    [tenantId],
  )
  const head = { sequence: links, hash: rows[0]?.hash ?? '' }
  const columns = ['at', 'actor', 'action', 'target', 'outcome', 'detail', 'ip', 'user_agent', 'request_id']
  const values: Readonly<Record<string, string>> = {
    at: "at + interval '1 millisecond'",
    outcome: "case outcome when 'OK' then 'DENIED' else 'OK' end",
    detail: 'detail || \'{"x": "y"}\'',
  }
  const entryAt = '(select entry_id from audit_seal where tenant_id = $1 and sequence = $2)'
  const work = (sql: string, ...params: readonly unknown[]) => world.oracle.query(sql, [tenantId, ...params])
  const tamper: readonly (() => Promise<number>)[] = [
    async () => {
      const [n, column] = [1 + random(links), columns[random(columns.length)] ?? 'actor']
      await work(
        `update audit_entry set ${column} = ${values[column] ?? `coalesce(${column}, '') || 'x'`} where tenant_id = $1 and id = ${entryAt}`,
        n,
      )
      return n
    },
    async () => {
      const n = 1 + random(links)
      await work(`delete from audit_entry where tenant_id = $1 and id = ${entryAt}`, n)
      return n
    },
    async () => {
      const n = 1 + random(links)
      await work('delete from audit_seal where tenant_id = $1 and sequence = $2', n)
      return n
    },
    async () => {
      const n = 1 + random(links)
      const column = random(2) === 0 ? 'hash' : 'previous_hash'
      await work(
        `update audit_seal set ${column} = set_byte(${column}, 3, get_byte(${column}, 3) # 1) where tenant_id = $1 and sequence = $2`,
        n,
      )
      return n
    },
    async () => {
      // Two links change places with their entries.
      const a = 1 + random(links - 1)
      const b = a + 1 + random(links - a)
      await work('update audit_seal set sequence = 1000000 where tenant_id = $1 and sequence = $2', a)
      await work('update audit_seal set sequence = $3 where tenant_id = $1 and sequence = $2', b, a)
      await work('update audit_seal set sequence = $2 where tenant_id = $1 and sequence = 1000000', b)
      return a
    },
    async () => {
      await work(
        "insert into audit_entry (tenant_id, actor, action, outcome, at) values ($1, 'mallory', 'x', 'OK', now() - interval '1 day')",
      )
      return links + 1
    },
    async () => {
      // A link with an entry of its own, made to fit as well as it can be.
      const id = randomUUID()
      await work(
        "insert into audit_entry (tenant_id, id, actor, action, outcome) values ($1, $2, 'mallory', 'x', 'OK')",
        id,
      )
      await work(
        `insert into audit_seal (tenant_id, sequence, entry_id, previous_hash, hash)
         select $1, $2, $3, decode($4, 'hex'), sha256($5::bytea)`,
        links + 1,
        id,
        head.hash,
        encodeUuid(id),
      )
      return links + 1
    },
    async () => {
      // The end is cut off, entries and all: only a head that was kept shows it.
      const n = 1 + random(links)
      await work(
        'delete from audit_entry where tenant_id = $1 and id in (select entry_id from audit_seal where tenant_id = $1 and sequence >= $2)',
        n,
      )
      await work('delete from audit_seal where tenant_id = $1 and sequence >= $2', n)
      await work('delete from audit_head where tenant_id = $1 and sequence >= $2', n)
      return n
    },
  ]
  await world.oracle.query("set session_replication_role = 'replica'")
  for (let i = 0; i < 1000; i++) {
    const kind = random(tamper.length)
    // Nothing is committed, so each begins with the chain as it was.
    await world.oracle.query('begin')
    const broken = await tamper[kind]?.()
    const context = `seed ${seed}, number ${i}, kind ${kind}`
    const tx = {
      tenantId,
      query: async <R extends object>(sql: string, params: readonly unknown[] = []) =>
        // The oracle has no parser of 64-bit numbers.
        (await world.oracle.query<R & pg.QueryResultRow>(sql, [...params])).rows.map((row) =>
          'sequence' in row ? { ...row, sequence: row.sequence === null ? null : Number(row.sequence) } : row,
        ),
    }
    const keys = auditKeys(world.config)
    const found = await verifyChain(tx, keys)
    if (kind === tamper.length - 1) {
      assert.equal(found.valid, true, `${context}: nothing inside tells`)
      const byHead = await verifyChain(tx, keys, head)
      assert.deepEqual([byHead.valid, byHead.firstBrokenSequence], [false, broken], context)
    } else {
      assert.deepEqual([found.valid, found.firstBrokenSequence], [false, broken], context)
    }
    await world.oracle.query('rollback')
  }
  await world.oracle.query("set session_replication_role = 'origin'")
  assert.equal((await check(tenantId, head)).valid, true)
})

test('answers the signed head, and checks from one that was kept [AU-3]', async () => {
  await sealed(ada.tenantId)
  const { auditHead } = await world.ask(ada, '{ auditHead { sequence hash signature keyId signedAt } }')
  const head = { ...auditHead, signedAt: new Date(auditHead.signedAt) }
  const { publicText } = auditKeys(world.config)
  assert.equal(isSigned(publicText, encodeId('tenant', ada.tenantId), head), true)
  assert.equal(isSigned(publicText, encodeId('tenant', neighbour.tenantId), head), false)
  assert.equal(isSigned(publicText, encodeId('tenant', ada.tenantId), { ...head, sequence: head.sequence + 1 }), false)
  await world.ask(ada, 'mutation { memberSave(input: { email: "later@example.com" }) { userErrors { code } } }')
  await sealed(ada.tenantId)
  const query =
    'query ($sequence: SafeInt, $hash: String) { auditVerification(sequence: $sequence, hash: $hash) { valid checked firstBrokenSequence } }'
  const { auditVerification: since } = await world.ask(ada, query, { sequence: head.sequence, hash: head.hash })
  assert.equal(since.valid, true)
  assert.ok(since.checked >= 1 && since.checked < 10, `checked ${since.checked}`)
  const { auditVerification: whole } = await world.ask(ada, query)
  assert.ok(whole.valid && whole.checked > head.sequence)
  const { auditVerification: wrong } = await world.ask(ada, query, { sequence: head.sequence, hash: 'f'.repeat(64) })
  assert.deepEqual([wrong.valid, wrong.firstBrokenSequence], [false, head.sequence])
})

test('seals what commits late, and without a gap where several seal at once', async () => {
  const tenantId = await chainOf(5)
  const late = new pg.Client({ connectionString: world.db.ownerUrl, options: '-c search_path=portage' })
  await late.connect()
  const insert = "insert into audit_entry (tenant_id, actor, action, outcome) values ($1, 'ada', 'x', 'OK')"
  await late.query('begin')
  await late.query(insert, [tenantId])
  await world.oracle.query(insert, [tenantId])
  await sealed(tenantId)
  assert.equal((await check(tenantId)).checked, 6)
  await late.query('commit')
  await late.end()
  await Promise.all(Array.from({ length: 4 }, () => withTenant(database, tenantId, sealEntries)))
  await sealed(tenantId)
  assert.deepEqual(await check(tenantId), { valid: true, checked: 7, firstBrokenSequence: null })
})

test('an API key is named by its id', async () => {
  const made = await world.ask(
    ada,
    'mutation { apiKeyCreate(input: { name: "k", permissions: [SETTINGS_MANAGE] }) { apiKey { id } secret userErrors { code } } }',
  )
  const before = await mark(ada.tenantId)
  const response = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...authorization({ ...ada, token: made.apiKeyCreate.secret }),
      'x-request-id': 'mine-1',
      'user-agent': 'u'.repeat(500),
    },
    body: JSON.stringify({ query: calls['Mutation.memberSave'] }),
  })
  await response.text()
  const [entry] = await entriesSince(ada.tenantId, before)
  assert.equal(entry?.detail.key, made.apiKeyCreate.apiKey.id)
  assert.equal(entry?.request_id, 'mine-1')
  assert.equal(entry?.user_agent, 'u'.repeat(200))
})
