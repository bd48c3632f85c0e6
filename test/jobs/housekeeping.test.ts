import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createTenant } from '../../src/access/tenants.js'
import { type FileStore, localFileStore } from '../../src/adapters/files/storage.js'
import { type Config, loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { laneOptions } from '../../src/jobs/context.js'
import { keepHouse } from '../../src/jobs/housekeeping.js'
import { NOTICE_RETENTION_DAYS } from '../../src/limits.js'
import { createLog } from '../../src/log.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'

/* What is in the store and what the records say of it, brought together by the scheduled housekeeping. */

let db: TestDatabase
let lane: Lane
let oracle: pg.Client
let config: Config
let root = ''

before(async () => {
  db = await freshDatabase()
  root = await mkdtemp(join(tmpdir(), 'portage-house-'))
  config = loadConfig({ PORTAGE_DATA_DIR: root, PORTAGE_ROLE: 'worker', DATABASE_URL: db.workerUrl })
  lane = await Lane.open(laneOptions(db.workerUrl, 'portage test'))
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
})

after(async () => {
  await oracle.end()
  await lane.close()
  await db.drop()
  await rm(root, { recursive: true })
})

interface Place {
  readonly tenantId: string
  readonly directory: string
  readonly files: FileStore
}

async function place(): Promise<Place> {
  // Records of other tests have no files in this test's folder.
  await oracle.query('update source_file set purged_at = now() where purged_at is null')
  const { id } = await createTenant(db.ownerUrl, `house ${randomUUID()}`)
  const directory = await mkdtemp(join(root, 'files-'))
  return { tenantId: id, directory, files: localFileStore(directory) }
}

/** Stores a file of so many hours. */
async function stored({ tenantId, directory, files }: Place, hours: number): Promise<string> {
  const { key } = await files.put(tenantId, Readable.from([Buffer.from('a')]), { maxBytes: 1 })
  const when = new Date(Date.now() - hours * 3_600_000)
  await utimes(join(directory, key), when, when)
  return key
}

async function recorded(tenantId: string, key: string, hours: number): Promise<string> {
  const id = randomUUID()
  await oracle.query(
    `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, uploaded_at, expires_at)
     values ($1, $2, 'a.csv', 1, 'x', $3, '{}', 'test', now() - $4 * interval '1 hour', now() + interval '1 day')`,
    [tenantId, id, key, hours],
  )
  return id
}

/** Which of these files count as purged. */
async function purged(ids: readonly string[]): Promise<boolean[]> {
  const { rows } = await oracle.query<{ id: string }>('select id from source_file where purged_at is not null')
  return ids.map((id) => rows.some((row) => row.id === id))
}

test('removes files that no record knows of when they are a day old, and no others', async () => {
  const here = await place()
  const known = await stored(here, 1000)
  await recorded(here.tenantId, known, 1000)
  const fresh = await stored(here, 23)
  const orphan = await stored(here, 25)
  const foreign = join(here.directory, here.tenantId, 'notes.txt')
  await writeFile(foreign, 'none of ours')
  await utimes(foreign, new Date(0), new Date(0))
  await keepHouse(lane, here.files, config, { thorough: false })
  assert.notEqual(await here.files.stat(orphan), null)
  await keepHouse(lane, here.files, config)
  assert.deepEqual(readdirSync(join(here.directory, here.tenantId)).toSorted(), [
    ...[known, fresh].toSorted().map((key) => key.slice(key.indexOf('/') + 1)),
    'notes.txt',
  ])
})

test('leaves the files of a tenant alone that this database does not know', async () => {
  const here = await place()
  const foreign = await stored({ ...here, tenantId: randomUUID() }, 1000)
  await keepHouse(lane, here.files, config)
  assert.notEqual(await here.files.stat(foreign), null)
})

test('says of a record whose file is gone that it is, and of no other', async () => {
  const here = await place()
  const ids: string[] = []
  for (const hours of [2, 2, 2, 2]) {
    ids.push(await recorded(here.tenantId, await stored(here, hours), hours))
  }
  const lost = await recorded(here.tenantId, `${here.tenantId}/${'0'.repeat(32)}`, 2)
  const last = await recorded(here.tenantId, `${here.tenantId}/${'f'.repeat(32)}`, 2)
  const recent = await recorded(here.tenantId, `${here.tenantId}/${'8'.repeat(32)}`, 0)
  await keepHouse(lane, here.files, config)
  assert.deepEqual(await purged([...ids, lost, last, recent]), [false, false, false, false, true, true, false])
})

test('changes no record where most files are missing, and says so', async () => {
  const here = await place()
  const kept = await recorded(here.tenantId, await stored(here, 2), 2)
  const missing = [await recorded(here.tenantId, `${here.tenantId}/${'1'.repeat(32)}`, 2)]
  missing.push(await recorded(here.tenantId, `${here.tenantId}/${'2'.repeat(32)}`, 2))
  const lines: string[] = []
  const log = createLog({ level: 'info', process: 'test' }, { write: (line) => lines.push(line) })
  await keepHouse(lane, here.files, config, { log })
  assert.deepEqual(await purged([kept, ...missing]), [false, false, false])
  assert.match(lines.join(''), /is it the right one/)
})

/** Keys that look like the store's, for files that are not there. */
function absent(tenantId: string): string {
  return `${tenantId}/${randomUUID().replaceAll('-', '')}`
}

async function all<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  for (let number = 0; number < count; number += 1) {
    made.push(await make())
  }
  return made
}

test('changes nothing of a tenant of whom a tenth of the files is missing, and goes on with the next', async () => {
  const here = await place()
  await all(54, async () => recorded(here.tenantId, await stored(here, 2), 2))
  const missing = await all(6, () => recorded(here.tenantId, absent(here.tenantId), 2))
  const orphan = await stored(here, 25)
  const other = { ...here, tenantId: (await createTenant(db.ownerUrl, `house ${randomUUID()}`)).id }
  const orphanOfOther = await stored(other, 25)
  await keepHouse(lane, here.files, config)
  assert.deepEqual(
    await purged(missing),
    missing.map(() => false),
  )
  assert.notEqual(await here.files.stat(orphan), null)
  assert.equal(await here.files.stat(orphanOfOther), null)
})

test('deletes nothing of a tenant who has more files than the database knows of', async () => {
  const here = await place()
  const [known = ''] = await all(5, async () => recorded(here.tenantId, await stored(here, 1000), 1000))
  const later = await all(6, () => stored(here, 1000))
  const lines: string[] = []
  const log = createLog({ level: 'info', process: 'test' }, { write: (line) => lines.push(line) })
  await keepHouse(lane, here.files, config, { log })
  assert.deepEqual(await purged([known]), [false])
  for (const key of later) {
    assert.notEqual(await here.files.stat(key), null)
  }
  assert.match(lines.join(''), new RegExp(`${here.tenantId}.*is it the right one`))
})

test('takes a file back that is there again, unless its retention has ended', async () => {
  const here = await place()
  await all(3, async () => recorded(here.tenantId, await stored(here, 2), 2))
  const keys = await all(2, () => stored(here, 1000))
  const ids = [await recorded(here.tenantId, keys[0] ?? '', 1000)]
  ids.push(await recorded(here.tenantId, keys[1] ?? '', 1000))
  await oracle.query('update source_file set purged_at = now() where id = any($1::uuid[])', [ids])
  await oracle.query("update source_file set expires_at = now() - interval '1 hour' where id = $1", [ids[1]])
  await keepHouse(lane, here.files, config)
  assert.deepEqual(await purged(ids), [false, true])
  assert.notEqual(await here.files.stat(keys[0] ?? ''), null)
  assert.equal(await here.files.stat(keys[1] ?? ''), null)
})

test('goes on where the store does not give up one file, says so, and tries again', async () => {
  const here = await place()
  const other = { ...here, tenantId: (await createTenant(db.ownerUrl, `house ${randomUUID()}`)).id }
  const keys: string[] = []
  for (const each of [here, here, other]) {
    const key = await stored(each, 25)
    const id = await recorded(each.tenantId, key, 2)
    await oracle.query("update source_file set expires_at = now() - interval '1 hour' where id = $1", [id])
    keys.push(key)
  }
  const infected = await all(2, () => stored(here, 2))
  for (const key of infected) {
    await oracle.query(
      `insert into quarantined_file (tenant_id, id, name, byte_size, sha256, storage_key, signature, uploaded_by, uploaded_at, expires_at)
       values ($1, gen_random_uuid(), 'a', 1, 'x', $2, 'EICAR', 'test', now(), now())`,
      [here.tenantId, key],
    )
  }
  const stuck = new Set([keys[0], infected[0]])
  const files: FileStore = {
    ...here.files,
    delete: (key) => (stuck.has(key) ? Promise.reject(new Error('no')) : here.files.delete(key)),
  }
  const left = async () => {
    const found = await Promise.all([...keys, ...infected].map((key) => here.files.stat(key)))
    return found.filter((file) => file !== null).length
  }
  const lines: string[] = []
  const log = createLog({ level: 'warn', process: 'test' }, { write: (line) => lines.push(line) })
  await keepHouse(lane, files, config, { thorough: false, log })
  assert.equal(await left(), 2)
  assert.equal(lines.filter((line) => line.includes('a file could not be removed')).length, 2)
  assert.match(lines.at(-1) ?? '', /"count":2.*could not be removed/)
  // What a purged record's file left is found by the look through the whole store.
  await keepHouse(lane, here.files, config)
  assert.equal(await left(), 0)
})

test('goes on with the next tenant where the database fails for one, and says so at the end', async () => {
  const here = await place()
  const key = await stored(here, 2)
  const id = await recorded(here.tenantId, key, 2)
  await oracle.query("update source_file set expires_at = now() - interval '1 hour' where id = $1", [id])
  const bad = (await createTenant(db.ownerUrl, `house ${randomUUID()}`)).id
  await recorded(bad, `${bad}/${'0'.repeat(32)}`, 2)
  await oracle.query("update source_file set expires_at = now() - interval '1 hour' where tenant_id = $1", [bad])
  await oracle.query(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
     create trigger refuse before update on source_file for each row when (old.tenant_id = '${bad}') execute function refuse()`,
  )
  try {
    await assert.rejects(keepHouse(lane, here.files, config, { thorough: false }), /failed for 1 of/)
    assert.equal(await here.files.stat(key), null)
  } finally {
    await oracle.query('drop trigger refuse on source_file')
    await oracle.query('drop function refuse()')
  }
})

test('asks once more for a file before it is deleted', async () => {
  const here = await place()
  const orphans = (await all(2, () => stored(here, 25))).toSorted()
  const [first = '', second = ''] = orphans
  const files: FileStore = {
    ...here.files,
    delete: async (key) => {
      await recorded(here.tenantId, second, 25)
      await here.files.delete(key)
    },
  }
  await keepHouse(lane, files, config)
  assert.equal(await here.files.stat(first), null)
  assert.notEqual(await here.files.stat(second), null)
})

test('removes the file of an export past its retention, and no other', async () => {
  const here = await place()
  const keys = [await stored(here, 1), await stored(here, 1)]
  for (const [index, key] of keys.entries()) {
    const runId = randomUUID()
    await oracle.query(
      `insert into run (tenant_id, id, kind, status, created_by, record_type) values ($1, $2, 'EXPORT', 'RUNNING', 'test', 'contact')`,
      [here.tenantId, runId],
    )
    await oracle.query(
      `insert into run_file (tenant_id, run_id, kind, byte_size, row_count, sha256, storage_key, name, expires_at)
       values ($1, $2, 'RESULT', 1, 0, 'x', $3, 'contacts.csv', now() + $4 * interval '1 minute')`,
      [here.tenantId, runId, key, index === 0 ? -1 : 1],
    )
  }
  await keepHouse(lane, here.files, config)
  const { rows } = await oracle.query<{ storage_key: string }>(
    'select storage_key from run_file where tenant_id = $1',
    [here.tenantId],
  )
  assert.deepEqual(
    rows.map((row) => row.storage_key),
    keys.slice(1),
  )
  assert.equal(await here.files.stat(keys[0] ?? ''), null)
  assert.notEqual(await here.files.stat(keys[1] ?? ''), null)
})

test('knows every table that holds keys of the store', async () => {
  const { rows } = await oracle.query<{ name: string }>(
    `select table_name as name from information_schema.columns
     where table_schema = 'portage' and column_name = 'storage_key' order by 1`,
  )
  const here = await place()
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['migration_page', 'quarantined_file', 'run_bundle_rows', 'run_file', 'source_file', 'upload_part'],
    'reconcile-files.ts would remove files of a table that it does not ask',
  )
  const part = await stored(here, 1000)
  const infected = await stored(here, 1000)
  const split = await stored(here, 1000)
  const bundle = randomUUID()
  await oracle.query(
    `insert into run (tenant_id, id, kind, status, created_by) values ($1, $2, 'BUNDLE_EXPORT', 'QUEUED', 'test')`,
    [here.tenantId, bundle],
  )
  await oracle.query(
    `insert into run_bundle_rows (tenant_id, run_id, record_type, storage_key, byte_size, row_count, sha256, columns)
     values ($1, $2, 'contact', $3, 1, 1, 'x', '[]')`,
    [here.tenantId, bundle, split],
  )
  const session = randomUUID()
  await oracle.query(
    `insert into upload_session (tenant_id, id, name, byte_size, sha256, created_by, expires_at)
     values ($1, $2, 'a', 1, 'x', 'test', now() + interval '1 day')`,
    [here.tenantId, session],
  )
  await oracle.query(
    'insert into upload_part (tenant_id, session_id, start_byte, byte_size, storage_key) values ($1, $2, 0, 1, $3)',
    [here.tenantId, session, part],
  )
  await oracle.query(
    `insert into quarantined_file (tenant_id, id, name, byte_size, sha256, storage_key, signature, uploaded_by, uploaded_at, expires_at)
     values ($1, gen_random_uuid(), 'a', 1, 'x', $2, 'EICAR', 'test', now(), now() + interval '1 day')`,
    [here.tenantId, infected],
  )
  await keepHouse(lane, here.files, config)
  assert.notEqual(await here.files.stat(part), null)
  assert.notEqual(await here.files.stat(infected), null)
  assert.notEqual(await here.files.stat(split), null)
})

/** Runs a process that stores files in the folder, and kills it at its word. */
async function killed(directory: string, tenantId: string, body: string): Promise<void> {
  const module = new URL('../../src/adapters/files/storage.js', import.meta.url).href
  const code = `
    import { localFileStore } from ${JSON.stringify(module)}
    const store = localFileStore(${JSON.stringify(directory)})
    const tenantId = ${JSON.stringify(tenantId)}
    setInterval(() => 0, 1000)
    const say = () => new Promise(() => process.stdout.write('now'))
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.once('data', () => child.kill('SIGKILL'))
  await new Promise((resolve) => child.once('exit', resolve))
  assert.equal(child.signalCode, 'SIGKILL')
}

test('leaves nothing of a process that was killed while it stored, or before it recorded', async () => {
  const here = await place()
  await killed(
    here.directory,
    here.tenantId,
    "await store.put(tenantId, (async function* () { yield Buffer.from('half'); await say() })(), { maxBytes: 100 })",
  )
  await killed(
    here.directory,
    here.tenantId,
    "await store.put(tenantId, [Buffer.from('whole')], { maxBytes: 100 }); await say()",
  )
  const left = () =>
    readdirSync(here.directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  assert.equal(left().length, 2)
  await keepHouse(lane, here.files, config)
  assert.equal(left().length, 1, 'the process is gone, but a record of the whole file may still come')
  const dayAgo = new Date(Date.now() - 25 * 3_600_000)
  for (const entry of left()) {
    await utimes(join(entry.parentPath, entry.name), dayAgo, dayAgo)
  }
  await keepHouse(lane, here.files, config)
  assert.deepEqual(left(), [])
})

test('what was told goes after a month, except what waits', async () => {
  const { tenantId, files } = await place()
  const days = NOTICE_RETENTION_DAYS
  await oracle.query(
    `insert into outbox (tenant_id, fact, event, data, created_at, spread_at) values
       ($1, 'old', 'RUN_COMPLETED', '{}', now() - $2 * interval '1 day' - interval '1 hour', now()),
       ($1, 'new', 'RUN_COMPLETED', '{}', now() - $2 * interval '1 day' + interval '1 hour', now()),
       ($1, 'waits', 'RUN_COMPLETED', '{}', now() - $2 * interval '2 days', null)`,
    [tenantId, days],
  )
  await oracle.query(
    "insert into mail (tenant_id, outbox_id, receiver, sent_at) select tenant_id, id, 'a', now() from outbox where tenant_id = $1",
    [tenantId],
  )
  await oracle.query(
    `insert into webhook (tenant_id, id, url, events, secret, previous_secret, previous_until, created_by)
     values ($1, $2, 'https://a.example.com/', '{}', 'a', 'b', now() - interval '1 minute', 'a')`,
    [tenantId, tenantId],
  )
  await oracle.query(
    `insert into webhook_delivery (tenant_id, webhook_id, outbox_id, part, event, body, created_at, next_attempt_at) values
       ($1, $1, $1, 0, 'old', '', now() - $2 * interval '2 days', null),
       ($1, $1, $1, 1, 'waits', '', now() - $2 * interval '2 days', now() + interval '1 hour'),
       ($1, $1, $1, 2, 'new', '', now(), null)`,
    [tenantId, days],
  )
  await keepHouse(lane, files, config)
  const names = async (sql: string): Promise<string[]> =>
    (await oracle.query<{ name: string }>(sql, [tenantId])).rows.map(({ name }) => name).toSorted()
  assert.deepEqual(await names('select fact as name from outbox where tenant_id = $1'), ['new', 'waits'])
  assert.deepEqual(
    await names('select o.fact as name from mail m join outbox o on o.id = m.outbox_id where m.tenant_id = $1'),
    ['new', 'waits'],
  )
  assert.deepEqual(await names('select event as name from webhook_delivery where tenant_id = $1'), ['new', 'waits'])
  const { rows } = await oracle.query('select previous_secret from webhook where tenant_id = $1', [tenantId])
  assert.deepEqual(rows, [{ previous_secret: null }])
})
