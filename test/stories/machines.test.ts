/** Two APIs and two workers on four machines, over one database and one object store: any of them may die. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { permissions } from '../../src/access/permissions.js'
import { createTenant } from '../../src/access/tenants.js'
import { signToken } from '../../src/access/tokens.js'
import { loadConfig } from '../../src/config.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { newContacts } from '../helpers/files.js'
import { Hosts } from '../helpers/hosts.js'
import { RoleProcess, type Settings } from '../helpers/processes.js'
import { TestS3 } from '../helpers/s3.js'
import { SocketClient } from '../server/socket-client.js'
import type { Json } from '../server/world.js'

const ROWS = 12_000
const PORT = 4000
const SECRET = 'a secret of several machines, long enough'

let db: TestDatabase
let s3: TestS3
let hosts: Hosts
let folder: string
let oracle: pg.Client
let token: string
let tenantId: string

/** A machine with one process, which is started again when it has died. */
class Machine {
  readonly role: 'api' | 'worker'
  readonly url: string
  readonly #index: number
  readonly #settings: Settings
  #process: RoleProcess
  #closing = false

  private constructor(role: 'api' | 'worker', index: number, settings: Settings) {
    this.role = role
    this.#index = index
    this.#settings = settings
    this.url = `http://${hosts.all[index]?.address}:${PORT}`
    this.#process = this.#start()
  }

  static async open(role: 'api' | 'worker', index: number): Promise<Machine> {
    const databaseUrl = await hosts.reach(index, role === 'api' ? db.apiUrl : db.workerUrl)
    const machine = new Machine(role, index, {
      PORTAGE_ROLE: role,
      PORTAGE_HOST: hosts.all[index]?.address ?? '',
      PORTAGE_PORT: String(PORT),
      PORTAGE_PUBLIC_URL: 'http://portage.example.com',
      // Nothing of a disk is shared.
      PORTAGE_DATA_DIR: join(folder, `machine-${index}`),
      PORTAGE_SECRET: SECRET,
      PORTAGE_LOG_LEVEL: 'error',
      ...s3.environment(),
      PORTAGE_S3_ENDPOINT: (await hosts.reach(index, s3.url)).replace(/\/$/, ''),
      PORTAGE_CHUNK_ROWS: '100',
      DATABASE_URL: databaseUrl,
    })
    await machine.ready
    return machine
  }

  #start(): RoleProcess {
    const started = new RoleProcess(this.role, this.#settings, [], undefined, hosts.all[this.#index]?.launcher)
    void started.exited.then(() => {
      if (!this.#closing) {
        this.#process = this.#start()
      }
    })
    return started
  }

  get ready(): Promise<void> {
    return this.#process.ready
  }

  /** Kills its process; another one is started in its place. */
  async kill(): Promise<void> {
    const { exited } = this.#process
    this.#process.signal('SIGKILL')
    await exited
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#process.signal('SIGKILL')
    await this.#process.exited
  }
}

const machines: Machine[] = []

before(async () => {
  db = await freshDatabase()
  s3 = await TestS3.start()
  hosts = Hosts.open(4)
  folder = await mkdtemp(join(tmpdir(), 'portage-machines-'))
  oracle = new pg.Client({ connectionString: db.ownerUrl, options: '-c search_path=portage' })
  await oracle.connect()
  tenantId = (await createTenant(db.ownerUrl, 'Machines')).id
  const config = loadConfig({ PORTAGE_SECRET: SECRET, PORTAGE_DATA_DIR: folder, PORTAGE_ROLE: 'all' })
  token = await signToken({ tenantId, actor: 'ada@example.com', permissions, expiresIn: 3600 }, config)
  for (const [index, role] of (['api', 'api', 'worker', 'worker'] as const).entries()) {
    machines.push(await Machine.open(role, index))
  }
})
after(async () => {
  await Promise.all(machines.map((machine) => machine.close()))
  hosts.close()
  await oracle.end()
  await s3.close()
  await db.drop()
  await rm(folder, { recursive: true, force: true })
})

async function ask(machine: Machine, query: string, variables: object = {}): Promise<Json> {
  const answer = await fetch(`${machine.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = JSON.parse(await answer.text())
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data
}

/** Bytes go to the same address, whichever API is asked for it. */
const at = (machine: Machine, url: string) => `${machine.url}${new URL(url).pathname}`

/** Hears all of a run, from whichever API lives, each time behind the last event it has. */
async function hear(runId: string, apis: readonly Machine[]): Promise<readonly Json[]> {
  const events: Json[] = []
  for (let tries = 0; ; tries++) {
    const api = apis[tries % apis.length]
    let socket: SocketClient | null = null
    try {
      socket = await SocketClient.open(api?.url ?? '', token)
      socket.subscribe(
        '1',
        `subscription ($id: ID!, $after: String) { runEvents(runId: $id, after: $after, minIntervalMs: 0) {
           __typename sequence previousSequence ... on RunStatusChanged { to } ... on RowsSettled { fromRow toRow } } }`,
        { id: runId, after: events.at(-1)?.sequence ?? null },
      )
      for (;;) {
        const message = await socket.next(({ type }) => type === 'next' || type === 'error')
        assert.equal(message.type, 'next', JSON.stringify(message))
        const event = message.payload.data.runEvents
        assert.equal(event.previousSequence, events.at(-1)?.sequence ?? null, 'nothing is missed or told twice')
        events.push(event)
        if (event.__typename === 'RunStatusChanged' && /^(COMPLETED|FAILED|CANCELED)/.test(event.to)) {
          return events
        }
      }
    } catch (error) {
      if (error instanceof assert.AssertionError || tries > 2000) {
        throw error
      }
      // The API died, or is not back: the other one is asked.
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      socket?.close()
    }
  }
}

async function rowsRead(id: string): Promise<{ readonly read: number; readonly finished: boolean }> {
  const { rows } = await oracle.query<{ read: number; finished: boolean }>(
    'select rows_read::int as read, finished_at is not null as finished from run where id = $1',
    [id],
  )
  return rows[0] ?? { read: 0, finished: true }
}

test('four machines share a database and a store: each is killed, and everybody hears everything once', async (context) => {
  context.diagnostic(`machines are ${hosts.kind}`)
  const [first, second, ...workers] = machines
  assert.ok(first !== undefined && second !== undefined)
  const file = Buffer.from(newContacts(7, ROWS).csv)
  const sha256 = createHash('sha256').update(file).digest('hex')
  // No session sticks to a machine: begun at one, continued at the other, completed at the first.
  const { uploadBegin } = await ask(
    first,
    'mutation ($input: UploadBeginInput!) { uploadBegin(input: $input) { uploadSession { id url } userErrors { message } } }',
    { input: { name: 'people.csv', byteSize: file.length, sha256, idempotencyKey: randomBytes(8).toString('hex') } },
  )
  const { id: uploadSessionId, url } = uploadBegin.uploadSession
  const half = Math.floor(file.length / 2)
  for (const [machine, from, to] of [
    [second, 0, half],
    [first, half, file.length],
  ] as const) {
    const answer = await fetch(at(machine, url), {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'upload-offset': String(from) },
      body: new Uint8Array(file.subarray(from, to)),
    })
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`)
  }
  const { uploadComplete } = await ask(
    second,
    'mutation ($input: UploadCompleteInput!) { uploadComplete(input: $input) { file { id } userErrors { message } } }',
    { input: { uploadSessionId } },
  )
  assert.deepEqual(uploadComplete.userErrors, [])
  const { importCreate } = await ask(
    first,
    `mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { message } } }`,
    {
      input: {
        fileId: uploadComplete.file.id,
        recordType: 'CONTACT',
        confirmation: 'ALWAYS',
        idempotencyKey: randomBytes(8).toString('hex'),
        mapping: Object.entries(newContacts(7, 1).map).map(([column, field]) => ({ column, field })),
      },
    },
  )
  assert.deepEqual(importCreate.userErrors, [])
  const runId: string = importCreate.importRun.id
  const heard = Promise.all([hear(runId, [first, second]), hear(runId, [second, first]), hear(runId, [second, first])])
  heard.catch(() => undefined)
  const { rows } = await oracle.query<{ id: string }>('select id from run where tenant_id = $1', [tenantId])
  const uuid = rows[0]?.id ?? ''
  // Whoever has the run, then the APIs in turn, then the workers again.
  const victims = [...workers, first, ...workers, second]
  let killed = 0
  for (const [index, victim] of victims.entries()) {
    const goal = ((index + 0.5) / (victims.length + 1)) * ROWS
    for (;;) {
      const { read, finished } = await rowsRead(uuid)
      if (finished) {
        break
      }
      if (read >= goal) {
        await victim.kill()
        killed += 1
        break
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.equal(killed, victims.length, 'all of them died while the import ran')
  const all = await heard
  const { rows: written } = await oracle.query<{ sequence: string }>(
    "select lpad(sequence::text, 20, '0') as sequence from event where tenant_id = $1 and run_id = $2 order by event.sequence",
    [tenantId, uuid],
  )
  for (const events of all) {
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      written.map(({ sequence }) => sequence),
    )
    assert.equal(events.at(-1).to, 'COMPLETED')
  }
  const { rows: people } = await oracle.query<{ n: number }>(
    'select count(*)::int as n from contact where tenant_id = $1',
    [tenantId],
  )
  assert.equal(people[0]?.n, ROWS)
  // What one machine has stored, the other gives out.
  await Promise.all([first.ready, second.ready])
  const { run } = await ask(first, 'query ($id: ID!) { run(id: $id) { files { kind url } } }', { id: runId })
  const source = run.files.find(({ kind }: Json) => kind === 'SOURCE')
  const given = Buffer.from(await (await fetch(at(second, source.url))).arrayBuffer())
  assert.equal(createHash('sha256').update(given).digest('hex'), sha256)
})
