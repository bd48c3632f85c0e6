import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { doctor, examine, type Finding } from '../../src/cli/doctor.js'
import { help } from '../../src/cli/help.js'
import { MailSink } from '../helpers/sinks.js'
import { World } from '../server/world.js'

let world: World
let mail: MailSink
let folder: string

before(async () => {
  mail = await MailSink.start()
  world = await World.start()
  folder = await mkdtemp(join(tmpdir(), 'portage-doctor-'))
})
after(async () => {
  await world.close()
  await mail.close()
  await rm(folder, { recursive: true, force: true })
})

const settings = (changes: Readonly<Record<string, string>> = {}) => ({
  PORTAGE_DATA_DIR: world.dataDir,
  DATABASE_URL: world.db.ownerUrl,
  ...mail.settings,
  ...changes,
})

async function findings(changes: Readonly<Record<string, string>> = {}, url = world.url) {
  const found = new Map<string, Finding>()
  for await (const finding of examine(settings(changes), url)) {
    found.set(finding.check, finding)
  }
  return found
}

test('where everything is there, each line says so and nothing is left behind', async () => {
  const found = await findings()
  assert.deepEqual(
    [...found].filter(([, { state }]) => state !== 'ok'),
    [],
  )
  assert.deepEqual(
    [...found.keys()],
    [
      'settings',
      'database',
      'schema',
      'roles',
      'policies',
      'clock',
      'workers',
      'queue',
      'store',
      'disk',
      'mail',
      'scanner',
      'api',
    ],
  )
  assert.equal(mail.mails.all.length, 0)
})

test('what is wrong is named with what to do, and the rest is looked at all the same', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`
  const found = await findings(
    { PORTAGE_SMTP_URL: `smtp://${nowhere}`, PORTAGE_NONSENSE: '1', PORTAGE_CLAMD: nowhere },
    `http://${nowhere}`,
  )
  const states = Object.fromEntries([...found].map(([check, { state }]) => [check, state]))
  assert.deepEqual(
    [states.settings, states.mail, states.scanner, states.api, states.database, states.store],
    ['warning', 'failed', 'failed', 'failed', 'ok', 'ok'],
  )
  assert.match(found.get('settings')?.message ?? '', /PORTAGE_NONSENSE/)
  for (const { state, advice } of found.values()) {
    assert.equal(advice === null, state === 'ok')
  }
})

test('settings that cannot be read are told one by one', async () => {
  const lines: Finding[] = []
  for await (const finding of examine({ PORTAGE_PORT: 'x', PORTAGE_DB_POOL: 'y' }, world.url)) {
    lines.push(finding)
  }
  assert.deepEqual(
    lines.map(({ check, state }) => [check, state]),
    [
      ['settings', 'failed'],
      ['settings', 'failed'],
    ],
  )
})

test('a database that is away, and no store, are told without an address or a password', async () => {
  const port = await freePort()
  const found = await findings({ DATABASE_URL: `postgres://postgres:canary@127.0.0.1:${port}/none` })
  assert.equal(found.get('database')?.state, 'failed')
  assert.match(found.get('database')?.message ?? '', /ECONNREFUSED/)
  assert.ok(!JSON.stringify([...found.values()]).includes('canary'))
})

test('a role that may pass by row-level security, and a table without it, are found', async () => {
  await world.oracle.query('alter table api_key no force row level security')
  try {
    const found = await findings()
    assert.equal(found.get('policies')?.state, 'failed')
    assert.match(found.get('policies')?.message ?? '', /api_key/)
  } finally {
    await world.oracle.query('alter table api_key force row level security')
  }
  await world.oracle.query('create table owned_by_api (x int)')
  await world.oracle.query('alter table owned_by_api owner to portage_api')
  try {
    const found = await findings()
    assert.equal(found.get('roles')?.state, 'failed')
    assert.match(found.get('roles')?.message ?? '', /portage_api owns tables/)
  } finally {
    await world.oracle.query('drop table owned_by_api')
  }
})

test('a run that waits for long, and an older schema, are told', async () => {
  const tenantId = await world.tenant()
  // Of a time that no worker of this test looks at: it is held by nobody and due long ago, but sent a moment ago.
  await world.oracle.query(
    `insert into run_wakeup (run_id, tenant_id, due_at, sent_until) values (uuidv7(), $1, now() - interval '1 hour', now() + interval '1 hour')`,
    [tenantId],
  )
  const found = await findings()
  assert.equal(found.get('queue')?.state, 'warning')
  await world.oracle.query('delete from run_wakeup where tenant_id = $1', [tenantId])
  const { rows } = await world.oracle.query<{ name: string }>(
    'select name from migration order by name collate "C" desc limit 1',
  )
  await world.oracle.query('update migration set name = $2 where name = $1', [
    rows[0]?.name,
    'Migration20200101000000_x',
  ])
  try {
    const older = (await findings()).get('schema')
    assert.equal(older?.state, 'failed')
    assert.match(older?.advice ?? '', /bootstrap/)
  } finally {
    await world.oracle.query('update migration set name = $1 where name = $2', [
      rows[0]?.name,
      'Migration20200101000000_x',
    ])
  }
})

test('the command answers by its exit code, as text and as JSON', async () => {
  const lines: string[] = []
  const io = {
    out: (line: string) => void lines.push(line),
    write: async () => undefined,
    note: () => undefined,
    status: () => undefined,
    ask: async () => null,
    interactive: false,
    signal: new AbortController().signal,
  }
  const saved = { ...process.env }
  Object.assign(process.env, settings(), { PORTAGE_URL: world.url })
  try {
    const connect = () => {
      throw new Error('asks no operation')
    }
    assert.equal(await doctor([], connect, io), 0)
    assert.ok(lines.every((line) => /^(ok|warning|FAILED) +[a-z]+: /.test(line)) && lines.length > 10)
    lines.length = 0
    process.env.PORTAGE_URL = `http://127.0.0.1:${await freePort()}`
    assert.equal(await doctor(['--json'], connect, io), 1)
    assert.ok(lines.map((line): Finding => JSON.parse(line)).some(({ state }) => state === 'failed'))
  } finally {
    process.env = saved
  }
  assert.match(help('doctor'), /what to do/)
})

test('a store that cannot be written is told', async () => {
  const found = await findings({ PORTAGE_DATA_DIR: folder, PORTAGE_SECRET: 'x'.repeat(40) })
  assert.equal(found.get('store')?.state, 'ok')
  await rm(join(folder, 'files'), { recursive: true })
  // Where a folder would have to be, a file is.
  await writeFile(join(folder, 'files'), '')
  const broken = await findings({ PORTAGE_DATA_DIR: folder, PORTAGE_SECRET: 'x'.repeat(40) })
  assert.equal(broken.get('store')?.state, 'failed')
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
