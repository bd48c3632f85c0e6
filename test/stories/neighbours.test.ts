/** Two tenants do everything side by side; then all that came of it is searched for what is the other's. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync, inflateRawSync } from 'node:zlib'
import { permissions } from '../../src/access/permissions.js'
import { decodeId, encodeId } from '../../src/ids.js'
import { HookSink, MailSink } from '../helpers/sinks.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'
import { bookOf } from '../helpers/xlsx-file.js'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

/** A tenant, and the word that stands in everything it has. */
interface Side {
  readonly actor: Actor
  readonly canary: string
  readonly email: string
}

let world: World
let mails: MailSink
let hooks: HookSink
const sides: Side[] = []
const crms = new Map<string, SmallCrm>()
/** Every line that the API and the worker have logged. */
const logged: string[] = []

before(async () => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    const text = typeof chunk === 'string' ? chunk : ''
    if (text.startsWith('{"level"')) {
      logged.push(text)
      return true
    }
    return write(chunk, ...rest)
  }) as typeof process.stdout.write
  mails = await MailSink.start()
  hooks = await HookSink.start()
  world = await World.start({
    settings: {
      ...mails.settings,
      PORTAGE_WEBHOOK_ORIGINS: hooks.origin,
      PORTAGE_LOG_LEVEL: 'debug',
      PORTAGE_HUBSPOT_CLIENT_ID: 'app',
      PORTAGE_HUBSPOT_CLIENT_SECRET: 'a secret of the app',
    },
    openVendor: (tenantId) => {
      const crm = crms.get(tenantId)
      return crm === undefined ? Promise.reject(new Error('nobody is there')) : Promise.resolve(crm.open())
    },
  })
  for (const [index, canary] of ['zqxalpha', 'zqxbravo'].entries()) {
    const tenantId = await world.tenant(`${canary} Ltd`)
    const email = `person${index}@example.com`
    sides.push({ actor: await world.actor(tenantId, permissions, email), canary, email })
  }
})
after(async () => {
  await world.close()
  await mails.close()
  await hooks.close()
})

const key = () => randomBytes(8).toString('hex')

/** The part of a mutation's answer that must have no error in it. */
async function ask(actor: Actor, mutation: string, inputType: string, input: object, answer: string): Promise<Json> {
  const query = `mutation ($input: ${inputType}!) { ${mutation}(input: $input) { ${answer} userErrors { code message } } }`
  const data = await world.ask(actor, query, { input })
  assert.deepEqual(data[mutation].userErrors, [], mutation)
  return data[mutation]
}

async function imported(
  { actor }: Side,
  name: string,
  file: string | Uint8Array<ArrayBuffer>,
  mapping: readonly object[],
) {
  const query =
    'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code message } } }'
  const input = { recordType: 'CONTACT', idempotencyKey: key(), mapping, confirmation: 'ALWAYS' }
  const { importCreate } = dataOf(await world.upload(actor, query, input, file, name))
  assert.deepEqual(importCreate.userErrors, [])
  return { id: importCreate.importRun.id as string, status: await world.rested(actor, importCreate.importRun.id) }
}

/** Files of every format, with rows that fail, and a rollback of one of them. */
async function imports(side: Side): Promise<void> {
  const { actor, canary } = side
  const mapping = [
    { column: `Last ${canary}`, field: 'lastName' },
    { column: `Mail ${canary}`, field: 'email' },
  ]
  const header = `Last ${canary},Mail ${canary}\n`
  const rows = (of: string) =>
    Array.from(
      { length: 20 },
      (_, n) => `${canary} ${n},${n % 5 === 0 ? `wrong ${canary}` : `${of}${n}@${canary}.example`}\n`,
    )
  const csv = await imported(side, `${canary}.csv`, header + rows('csv').join(''), mapping)
  assert.equal(csv.status, 'COMPLETED_WITH_ERRORS')
  const utf16 = new Uint8Array(Buffer.from(`\u{FEFF}${header}${rows('wide').join('')}`, 'utf16le'))
  await imported(side, `${canary}-16.csv`, utf16, mapping)
  await imported(side, `${canary}.csv.gz`, new Uint8Array(gzipSync(header + rows('packed').join(''))), mapping)
  const objects = rows('json').map((row) => {
    const [last, mail] = row.trimEnd().split(',')
    return { [`Last ${canary}`]: last, [`Mail ${canary}`]: mail }
  })
  const json = await imported(side, `${canary}.json`, JSON.stringify(objects), mapping)
  assert.equal(json.status, 'COMPLETED_WITH_ERRORS')
  const cell = (at: string, text: string) => `<c r="${at}" t="inlineStr"><is><t>${text}</t></is></c>`
  const sheet = [header, ...rows('book')]
    .map((row, n) => {
      const [last = '', mail = ''] = row.trimEnd().split(',')
      return `<row r="${n + 1}">${cell(`A${n + 1}`, last)}${cell(`B${n + 1}`, mail)}</row>`
    })
    .join('')
  const book = await imported(side, `${canary}.xlsx`, new Uint8Array(bookOf({ sheet })), mapping)
  assert.equal(book.status, 'COMPLETED_WITH_ERRORS')
  const undone = await ask(
    actor,
    'runRollback',
    'RunRollbackInput',
    { runId: json.id, idempotencyKey: key() },
    'rollbackRun { id }',
  )
  await world.rested(actor, undone.rollbackRun.id)
}

/** Exports of every format, bundles, and the audit. */
async function exports({ actor, canary }: Side): Promise<void> {
  const started = await Promise.all([
    ...(['CSV', 'JSON', 'NDJSON', 'XLSX'] as const).map(async (format) => {
      const input = {
        recordType: 'CONTACT',
        format: { format, compression: format === 'NDJSON' ? 'GZIP' : 'NONE' },
        fileName: `out ${canary}`,
        idempotencyKey: key(),
      }
      return (await ask(actor, 'exportCreate', 'ExportCreateInput', input, 'exportRun { id }')).exportRun.id
    }),
    ask(actor, 'bundleExport', 'BundleExportInput', { idempotencyKey: key() }, 'bundleRun { id }').then(
      ({ bundleRun }) => bundleRun.id,
    ),
    ask(actor, 'auditExport', 'AuditExportInput', { idempotencyKey: key() }, 'run { id }').then(({ run }) => run.id),
  ])
  for (const id of started) {
    assert.equal(await world.rested(actor, id), 'COMPLETED')
  }
}

/** A CRM that is connected. Answers the integration. */
async function connected({ actor, canary }: Side): Promise<string> {
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into integration (tenant_id, id, system, status, login_origin, account, account_name, api_origin, access_token, connected_at, created_by)
     values ($1, uuidv7(), 'hubspot', 'CONNECTED', $2, $2, $2, $2, $2, now(), $2) returning id`,
    [actor.tenantId, `hub ${canary}`],
  )
  return encodeId('integration', rows[0]?.id ?? '')
}

/** A move from another CRM up to its proof. */
async function migration({ actor, canary }: Side, integrationId: string): Promise<void> {
  const crm = populated(3)
  for (const record of Object.values(crm.records).flat()) {
    record.values = Object.fromEntries(
      Object.entries(record.values).map(([name, value]) => [
        name,
        name === 'kind' ? value : name === 'mail' ? `moved${record.id}@${canary}.example` : `${value} ${canary}`,
      ]),
    )
  }
  crms.set(actor.tenantId, crm)
  const object = (name: string, recordType: string) => ({ object: name, recordType })
  const { migration: made } = await ask(
    actor,
    'migrationCreate',
    'MigrationCreateInput',
    {
      integrationId,
      objects: [
        object('companies', 'CONTACT'),
        object('people', 'CONTACT'),
        object('deals', 'LEAD'),
        object('calls', 'ACTIVITY'),
      ],
      idempotencyKey: key(),
    },
    'migration { id }',
  )
  assert.equal(await world.rested(actor, made.id), 'AWAITING_MAPPING')
  for (const step of ['migrationStage', 'migrationPromote']) {
    await ask(actor, step, 'MigrationInput', { migrationId: made.id, idempotencyKey: key() }, '__typename')
    await world.rested(actor, made.id)
  }
  const { migration: proven } = await world.ask(actor, 'query ($id: ID!) { migration(id: $id) { stage } }', {
    id: made.id,
  })
  assert.equal(proven.stage, 'READY_FOR_DELTA')
}

/** All texts in a file: its bytes, what is packed in it, and both as UTF-16. */
function textsOf(bytes: Buffer): string[] {
  const inner: Buffer[] = []
  if (bytes.readUInt16BE(0) === 0x1f8b) {
    inner.push(gunzipSync(bytes))
  }
  // Entries of an archive, by its directory.
  for (let at = bytes.indexOf('PK\x01\x02', 0, 'latin1'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 4, 'latin1')) {
    const [method, size, start] = [
      bytes.readUInt16LE(at + 10),
      bytes.readUInt32LE(at + 20),
      bytes.readUInt32LE(at + 42),
    ]
    const data = start + 30 + bytes.readUInt16LE(start + 26) + bytes.readUInt16LE(start + 28)
    inner.push(method === 8 ? inflateRawSync(bytes.subarray(data, data + size)) : bytes.subarray(data, data + size))
  }
  return [bytes.toString('latin1'), bytes.toString('utf16le'), ...inner.flatMap(textsOf)]
}

async function storedFiles(): Promise<{ readonly tenantId: string; readonly bytes: Buffer }[]> {
  const root = join(world.dataDir, 'files')
  const found: { tenantId: string; bytes: Buffer }[] = []
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name)
      found.push({ tenantId: path.slice(root.length + 1).split('/')[0] ?? '', bytes: await readFile(path) })
    }
  }
  return found
}

/** What is offered of all runs, fetched; asking has files of rows that failed made. */
async function downloads({ actor }: Side): Promise<{ readonly kind: string; readonly bytes: Buffer }[]> {
  const { runs } = await world.ask(actor, '{ runs(first: 100) { nodes { files { kind url } } } }')
  return Promise.all(
    runs.nodes
      .flatMap(({ files }: Json) => files)
      .map(async ({ kind, url }: Json) => {
        const answer = await fetch(url)
        assert.equal(answer.status, 200)
        return { kind, bytes: Buffer.from(await answer.arrayBuffer()) }
      }),
  )
}

const holds = (bytes: Buffer, word: string) => textsOf(bytes).some((text) => text.toLowerCase().includes(word))

test('files, failed rows, exports, e-mails, webhooks, logs and metrics hold nothing of the neighbour [IS-9]', async () => {
  for (const side of sides) {
    await ask(
      side.actor,
      'webhookSave',
      'WebhookSaveInput',
      { url: `${hooks.origin}/${side.canary}`, events: ['RUN_COMPLETED', 'RUN_ROLLED_BACK', 'RECORDS_CHANGED'] },
      'webhook { id }',
    )
  }
  await Promise.all(sides.map(imports))
  const integrations: string[] = []
  for (const side of sides) {
    integrations.push(await connected(side))
  }
  await Promise.all([...sides.map((side, i) => migration(side, integrations[i] ?? '')), ...sides.map(exports)])
  const offered = await Promise.all(sides.map(downloads))
  const told = sides.map(({ actor }) => decodeId('tenant', encodeId('tenant', actor.tenantId)))
  for (;;) {
    const { rows } = await world.oracle.query<{ n: number }>(
      `select (select count(*) from outbox where spread_at is null)::int + (select count(*) from mail where next_attempt_at is not null)::int
         + (select count(*) from webhook_delivery where next_attempt_at is not null)::int as n`,
    )
    if (rows[0]?.n === 0) {
      break
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  const files = await storedFiles()
  assert.ok(
    files.every(({ tenantId }) => told.includes(tenantId)),
    'no file is outside a tenant',
  )
  for (const [index, { actor, canary, email }] of sides.entries()) {
    const other = sides[1 - index]
    assert.ok(other !== undefined)
    const own = files.filter(({ tenantId }) => tenantId === actor.tenantId)
    assert.equal(own.filter(({ bytes }) => holds(bytes, other.canary)).length, 0, 'a file has what is the neighbour’s')
    // As many of each as were made: five files that came, their row files, what the runs wrote and what was moved.
    assert.ok(own.filter(({ bytes }) => holds(bytes, canary)).length >= 15, 'and the search finds what is there')
    const kinds = new Set(offered[index]?.map(({ kind }) => kind))
    assert.deepEqual([...kinds].toSorted(), ['BUNDLE', 'FAILED_ROWS', 'REPORT', 'RESULT', 'SOURCE'])
    for (const { kind, bytes } of offered[index] ?? []) {
      assert.ok(!holds(bytes, other.canary), kind)
    }
    const letters = mails.mails.all.filter(({ to }) => to.includes(email))
    assert.ok(letters.length > 0)
    for (const { raw, text, html, subject } of letters) {
      assert.ok(!`${raw}${text}${html}${subject}`.includes(other.canary))
    }
    const calls = hooks.hooks.all.filter(({ path }) => path === `/${canary}`)
    assert.ok(calls.length > 0)
    for (const call of calls) {
      assert.ok(!JSON.stringify(call).includes(other.canary))
      assert.ok(!call.body.includes(encodeId('tenant', other.actor.tenantId)))
    }
  }
  const metrics = await (await fetch(`${world.url}/metrics`)).text()
  assert.ok(metrics.includes('portage_rows_total') && logged.length > 20)
  for (const { actor, canary, email } of sides) {
    for (const said of [canary, email, actor.tenantId, encodeId('tenant', actor.tenantId)]) {
      assert.ok(!metrics.includes(said), 'metrics name no tenant')
    }
    // Lines name tenants by their ids, and hold no value at all.
    assert.deepEqual(
      logged.filter((line) => line.includes(canary)),
      [],
    )
  }
})
