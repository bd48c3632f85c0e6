import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eraseTenant } from '../../src/access/erasure.js'
import { openFileStore } from '../../src/adapters/files/storage.js'
import { Api } from '../../src/cli/api.js'
import { bundle } from '../../src/cli/bundle.js'
import type { Io } from '../../src/cli/io.js'
import { eraseForGood } from '../../src/cli/tenant.js'
import { type Actor, World } from '../server/world.js'

let world: World
let folder: string

before(async () => {
  world = await World.start()
  folder = await mkdtemp(join(tmpdir(), 'portage-cli-'))
})
after(async () => {
  await world.close()
  await rm(folder, { recursive: true, force: true })
})

function terminal(answer: string | null = null): Io & { readonly lines: string[] } {
  const lines: string[] = []
  return {
    lines,
    out: (line) => void lines.push(line),
    write: async (text) => void lines.push(text),
    note: () => undefined,
    status: () => undefined,
    ask: async () => answer,
    interactive: false,
    signal: new AbortController().signal,
  }
}

const connectAs = (actor: Actor) => () => new Api({ url: world.url, token: async () => actor.token })

/** Rows of a tenant by table, and its files. */
async function remains(tenantId: string): Promise<{ rows: Record<string, number>; files: number }> {
  const tables = await world.oracle.query<{ name: string }>(
    `select table_name as name from information_schema.columns where table_schema = 'portage' and column_name = 'tenant_id'
       and table_name <> 'tenant_tombstone'`,
  )
  const rows: Record<string, number> = {}
  for (const { name } of tables.rows) {
    const counted = await world.oracle.query(`select from ${name} where tenant_id = $1`, [tenantId])
    if ((counted.rowCount ?? 0) > 0) {
      rows[name] = counted.rowCount ?? 0
    }
  }
  const store = await openFileStore(world.config.store, join(world.dataDir, 'files'))
  let files = 0
  for await (const page of store.list(tenantId)) {
    files += page.length
  }
  return { rows, files }
}

/** Text that stands in a row of the database or in the queue. */
async function mentions(text: string): Promise<string[]> {
  const tables = await world.oracle.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('portage', 'pgboss') and c.relkind = 'r' and c.relname <> 'tenant_tombstone'`,
  )
  const found: string[] = []
  for (const { name } of tables.rows) {
    const hits = await world.oracle.query(`select from ${name} x where to_jsonb(x)::text like $1`, [`%${text}%`])
    if ((hits.rowCount ?? 0) > 0) {
      found.push(name)
    }
  }
  return found
}

async function filled(name: string): Promise<Actor> {
  const actor = await world.actor(await world.tenant(name))
  const csv = [
    'ref,company,email,org',
    'o1,Ångström,o@example.com,o2',
    'o2,Ring,r@example.com,o1',
    ...Array.from({ length: 30 }, (_, n) => `p${n},,p${n}@example.com,o1`),
    'x,,not an address,',
  ].join('\n')
  const mapping = [
    ['ref', 'externalId'],
    ['company', 'companyName'],
    ['email', 'email'],
    ['org', 'organization.externalId'],
  ].map(([column, field]) => ({ column, field }))
  await world.import(actor, 'CONTACT', csv, { onMissingRelation: 'KEEP_PENDING' }, { mapping })
  const update = await world.import(actor, 'CONTACT', 'email,city\np1@example.com,Bonn\np2@example.com,Ulm\n')
  await world.ask(actor, 'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } } }', {
    input: { runId: update, idempotencyKey: randomBytes(8).toString('hex') },
  })
  await world.import(
    actor,
    'LEAD',
    'title,contact\nBuys,p1@example.com\n',
    {},
    {
      mapping: [
        { column: 'title', field: 'title' },
        { column: 'contact', field: 'contact.email' },
      ],
    },
  )
  return actor
}

test('a tenant that is erased leaves no row and no byte, and its neighbour is as before [IS-10]', async () => {
  const name = `leaver ${randomBytes(6).toString('hex')}`
  const leaver = await filled(name)
  const neighbour = await filled(`stayer ${randomBytes(6).toString('hex')}`)
  // Records that look alike are searched for after an import has ended.
  let searching = true
  while (searching) {
    const left = await world.oracle.query('select from duplicate_search where tenant_id = $1 limit 1', [
      neighbour.tenantId,
    ])
    searching = left.rowCount === 1
  }
  const before = await remains(neighbour.tenantId)
  const there = await remains(leaver.tenantId)
  assert.ok(Object.keys(there.rows).length > 10 && there.files >= 3, JSON.stringify(there))

  const environment = { ...process.env }
  process.env.PORTAGE_DATA_DIR = world.dataDir
  process.env.DATABASE_URL = world.db.ownerUrl
  try {
    await assert.rejects(
      eraseForGood(name, { confirm: 'something else', json: false }, terminal()),
      /Nothing was erased/,
    )
    await assert.rejects(eraseForGood(name, { json: false }, terminal()), /Nothing was erased/)
    assert.deepEqual((await remains(leaver.tenantId)).rows.contact, there.rows.contact)

    // Broken off in the middle, and called again.
    let steps = 0
    const broken = eraseTenant(world.db.ownerUrl, leaver.tenantId, () => {
      steps += 1
      if (steps === 3) {
        throw new Error('the operator’s machine went down')
      }
    })
    await assert.rejects(broken, /went down/)
    const closed = await world.run(leaver, '{ viewer { actor } }')
    assert.equal(closed.errors[0]?.extensions.code, 'UNAUTHENTICATED')

    const io = terminal()
    assert.equal(await eraseForGood(name, { confirm: name, json: true }, io), 0)
    const { deleted, files } = JSON.parse(io.lines.at(-1) ?? '{}')
    assert.equal(deleted.contact, there.rows.contact)
    assert.equal(deleted.run, there.rows.run)
    assert.equal(files, there.files)
    assert.equal(await eraseForGood(leaver.tenantId, { confirm: leaver.tenantId, json: true }, terminal()), 0)
  } finally {
    process.env = environment
  }
  assert.deepEqual(await remains(leaver.tenantId), { rows: {}, files: 0 })
  assert.deepEqual(await mentions(leaver.tenantId), [])
  assert.deepEqual(await mentions(name), [])
  // What waits for a worker is worked off meanwhile.
  const settled = ({
    rows: {
      duplicate_search: _search,
      run_wakeup: _wakeup,
      audit_pending: pending = 0,
      audit_seal: seals = 0,
      audit_head: _head,
      outbox: _outbox,
      ...rows
    },
    files,
  }: Awaited<ReturnType<typeof remains>>) => ({
    rows: { ...rows, audited: pending + seals },
    files,
  })
  assert.deepEqual(settled(await remains(neighbour.tenantId)), settled(before))
  const tomb = await world.oracle.query<{ finished_at: Date | null }>(
    'select finished_at from tenant_tombstone where tenant_id = $1',
    [leaver.tenantId],
  )
  assert.ok(tomb.rows[0]?.finished_at)
})

test('a bundle is written to a file and taken in again by the command line', async () => {
  const actor = await filled(`bundler ${randomBytes(6).toString('hex')}`)
  const path = join(folder, 'all.bundle')
  const passphraseFile = join(folder, 'passphrase')
  await writeFile(passphraseFile, 'correct horse battery\n')
  const out = terminal()
  const args = ['export', '-o', path, '--passphrase-file', passphraseFile]
  assert.equal(await bundle([...args, '--json'], connectAs(actor), out), 0)
  const written = JSON.parse(out.lines.at(-1) ?? '{}')
  const file = await readFile(path)
  assert.deepEqual([written.event, written.byteSize, written.records], ['bundle', file.length, 33])
  await assert.rejects(bundle(['import', path], connectAs(actor), terminal()), /encrypted: give the passphrase/)
  const back = terminal()
  assert.equal(await bundle(['import', path, '--passphrase-file', passphraseFile, '--json'], connectAs(actor), back), 0)
  const { run } = JSON.parse(back.lines.at(-1) ?? '{}')
  assert.deepEqual([run.status, run.counts.unchanged], ['COMPLETED', 33])
})
