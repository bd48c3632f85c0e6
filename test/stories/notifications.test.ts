/** E-mails: who gets one, about what, with which words, and that nobody gets one twice. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { permissions } from '../../src/access/permissions.js'
import { loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { encodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { startWorker } from '../../src/jobs/start.js'
import { warnOfQuota } from '../../src/runs/outbox.js'
import { MailSink, type ReceivedMail } from '../helpers/sinks.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'
import { type Actor, World } from '../server/world.js'

let world: World
let sink: MailSink
let tenantId: string
let count = 0
/** The CRM of each integration. */
const crms = new Map<string, SmallCrm>()

before(async () => {
  sink = await MailSink.start()
  world = await World.start({
    settings: sink.settings,
    openVendor: (_tenantId, integrationId) => {
      const crm = crms.get(integrationId)
      return crm === undefined ? Promise.reject(new Error('nobody is there')) : Promise.resolve(crm.open())
    },
  })
})
after(async () => {
  await world.close()
  await sink.close()
})
beforeEach(async () => {
  tenantId = await world.tenant()
})

/** Somebody whom no other test has written to. */
async function somebody(
  allowed: Parameters<World['actor']>[1] = permissions,
): Promise<Actor & { readonly email: string }> {
  const email = `reader${(count += 1)}@example.com`
  return { ...(await world.actor(tenantId, allowed, email)), email }
}

const mailsTo =
  (email: string) =>
  (all: readonly ReceivedMail[]): readonly ReceivedMail[] =>
    all.filter(({ to }) => to.includes(email))

async function mails(email: string, n: number): Promise<readonly ReceivedMail[]> {
  const all = await sink.mails.until((every) => mailsTo(email)(every).length >= n)
  return mailsTo(email)(all)
}

/** Nothing of the tenant waits to be told any more: what has not come will not come. */
async function quiet(): Promise<void> {
  for (;;) {
    const { rows } = await world.oracle.query<{ n: number }>(
      `select (select count(*) from outbox where tenant_id = $1 and spread_at is null)::int
         + (select count(*) from mail where tenant_id = $1 and next_attempt_at <= now() + interval '1 second')::int as n`,
      [tenantId],
    )
    if (rows[0]?.n === 0) {
      return
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const preferences =
  'mutation ($input: NotificationPreferencesInput!) { notificationPreferencesUpdate(input: $input) { preferences { tenantEmails myEmails myAddress mailConfigured } userErrors { code field } } }'

test('who started an import gets one e-mail with its facts and a link, and no value of the file', async () => {
  const ada = await somebody()
  const id = await world.import(
    ada,
    'CONTACT',
    'E-mail,Last name\ncanary-one@secret.example,Canaryname\nno address at all,Other\n',
    {},
    {
      mapping: [
        { column: 'E-mail', field: 'email' },
        { column: 'Last name', field: 'lastName' },
      ],
    },
  )
  const [mail] = await mails(ada.email, 1)
  assert.ok(mail !== undefined)
  assert.match(mail.subject, /^Import of contacts completed with 1 failed rows – tenant /)
  for (const part of [mail.text, mail.html]) {
    for (const fact of [
      'Created',
      'Failed',
      id,
      'COMPLETED_WITH_ERRORS',
      ada.email,
      `${world.url}/console/runs/${id}`,
    ]) {
      assert.ok(part.includes(fact), `${fact} in ${part}`)
    }
  }
  assert.doesNotMatch(mail.raw, /canary|people\.csv/i)
  assert.doesNotMatch(mail.text + mail.html, /canary|people\.csv|no address/i)
  assert.match(mail.raw, /^auto-submitted: auto-generated/im)
  await quiet()
  assert.equal(mailsTo(ada.email)(sink.mails.all).length, 1)
})

test('an import that waits says so each time it does, and one that fails says that', async () => {
  const ada = await somebody()
  const waiting = await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n', {}, { confirmation: 'ASK' })
  await mails(ada.email, 1)
  await world.ask(ada, 'mutation ($id: ID!) { importPlan(input: { runId: $id }) { userErrors { message } } }', {
    id: waiting,
  })
  await world.rested(ada, waiting)
  await mails(ada.email, 2)
  const mapping = [{ column: 'E-mail', field: 'email' }]
  await world.import(ada, 'CONTACT', 'E-mail\nnone\n', { onInvalidRow: 'FAIL_RUN' }, { mapping })
  const all = await mails(ada.email, 3)
  assert.deepEqual(
    all.map(({ subject }) => subject.split(' – ')[0]),
    [
      'Import of contacts waits for a confirmation',
      'Import of contacts waits for a confirmation',
      'Import of contacts failed',
    ],
  )
  assert.equal(new Set(all.map(({ messageId }) => messageId)).size, 3)
})

test('a name that tries to be markup or a header stays text', async () => {
  const ada = await somebody()
  await world.oracle.query('update tenant set name = $2 where id = $1', [
    tenantId,
    `<img src=x onerror=alert(1)>\r\nBcc: victim@example.com ${tenantId}`,
  ])
  await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n')
  const [mail] = await mails(ada.email, 1)
  assert.ok(mail !== undefined)
  assert.deepEqual(mail.to, [ada.email])
  assert.doesNotMatch(mail.raw.slice(0, mail.raw.indexOf('\r\n\r\n')), /^bcc:/im)
  assert.match(mail.html, /&lt;img src=x onerror=alert\(1\)&gt;/)
  assert.doesNotMatch(mail.html, /<img/)
})

test('an actor whose name is no single address gets nothing, whatever it looks like', async () => {
  const ada = await somebody()
  for (const name of [
    'a@example.com, victim@example.com',
    '"x" <victim@example.com>',
    'nobody',
    'a@b@victim.example.com',
  ]) {
    const odd = await world.actor(tenantId, permissions, name)
    await world.import(odd, 'CONTACT', 'E-mail\na@example.com\n')
    const { notificationPreferences } = await world.ask(odd, '{ notificationPreferences { myAddress myEmails } }')
    assert.deepEqual(notificationPreferences, { myAddress: null, myEmails: [] })
  }
  await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n')
  await mails(ada.email, 1)
  await quiet()
  assert.ok(sink.mails.all.every(({ to }) => to.length === 1 && !to[0]?.includes('victim')))
})

test('preferences of a person and of the tenant both have a say, each within its tenant', async () => {
  const [ada, ben] = [await somebody(), await somebody()]
  const told = await world.ask(ada, '{ notificationPreferences { tenantEmails myEmails myAddress mailConfigured } }')
  const all = ['RUN_COMPLETED', 'RUN_FAILED', 'ACTION_NEEDED', 'QUOTA_WARNING']
  assert.deepEqual(told.notificationPreferences, {
    tenantEmails: all,
    myEmails: all,
    myAddress: ada.email,
    mailConfigured: true,
  })
  await world.ask(ada, preferences, { input: { myEmails: ['RUN_FAILED'] } })
  await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n')
  await world.import(ben, 'CONTACT', 'E-mail\nb@example.com\n')
  await mails(ben.email, 1)
  const { notificationPreferencesUpdate } = await world.ask(ben, preferences, {
    input: { tenantEmails: ['RUN_FAILED'] },
  })
  assert.deepEqual(notificationPreferencesUpdate.preferences.myEmails, all)
  await world.import(ben, 'CONTACT', 'E-mail\nc@example.com\n')
  await quiet()
  assert.deepEqual([mailsTo(ada.email)(sink.mails.all).length, mailsTo(ben.email)(sink.mails.all).length], [0, 1])

  const neighbour = await world.actor(await world.tenant(), permissions, ada.email)
  const theirs = await world.ask(neighbour, '{ notificationPreferences { tenantEmails myEmails } }')
  assert.deepEqual(theirs.notificationPreferences, { tenantEmails: all, myEmails: all })
})

test('who may not manage settings changes their own e-mails and not those of the tenant', async () => {
  const reader = await somebody(['RECORD_READ'])
  const refused = await world.run(reader, preferences, { input: { tenantEmails: [] } })
  assert.equal(refused.errors[0]?.extensions.permission, 'SETTINGS_MANAGE')
  const { notificationPreferencesUpdate } = await world.ask(reader, preferences, { input: { myEmails: [] } })
  assert.deepEqual(notificationPreferencesUpdate.preferences.myEmails, [])
})

test('the run of an API key is told to who made the key, and an inactive member is told nothing', async () => {
  const ada = await somebody()
  const { apiKeyCreate } = await world.ask(
    ada,
    'mutation { apiKeyCreate(input: { name: "nightly", permissions: [IMPORT_RUN, RECORD_READ] }) { secret } }',
  )
  const key: Actor = { tenantId, token: apiKeyCreate.secret }
  await world.import(key, 'CONTACT', 'E-mail\na@example.com\n')
  const [mail] = await mails(ada.email, 1)
  assert.match(mail?.text ?? '', /Started by: key:nightly/)
  const boss = await somebody()
  await world.ask(
    boss,
    'mutation ($email: String!) { memberSave(input: { email: $email, active: false }) { userErrors { message } } }',
    { email: ada.email },
  )
  await world.import(key, 'CONTACT', 'E-mail\nb@example.com\n')
  await quiet()
  assert.equal(mailsTo(ada.email)(sink.mails.all).length, 1)
})

test('a quota warning is told once to who caused it and to members who look after settings', async () => {
  const [ada, keeper] = [await somebody(), await somebody()]
  await world.ask(
    ada,
    'mutation ($email: String!) { memberSave(input: { email: $email, permissions: [SETTINGS_MANAGE] }) { userErrors { message } } }',
    { email: keeper.email },
  )
  const lane = await Lane.open(laneOptions(world.db.workerUrl, 'portage test'))
  try {
    const warn = (): Promise<boolean> =>
      withTenant(lane, tenantId, (tx) =>
        warnOfQuota(tx, '2026-11-23 80%', ada.email, {
          quota: 'rowsPerDay',
          used: 80,
          limit: 100,
          unit: 'rows',
          resetsAt: null,
        }),
      )
    assert.deepEqual([await warn(), await warn()], [true, false])
  } finally {
    await lane.close()
  }
  const [one] = await mails(ada.email, 1)
  const [two] = await mails(keeper.email, 1)
  assert.match(one?.text ?? '', /Used: 80 of 100 rows/)
  assert.notEqual(one?.messageId, two?.messageId)
  await quiet()
  assert.equal([...mailsTo(ada.email)(sink.mails.all), ...mailsTo(keeper.email)(sink.mails.all)].length, 2)
})

test('a message that the server puts off comes later as the same message, and a refused one never', async () => {
  const ada = await somebody()
  sink.refuse.push(451)
  await world.import(ada, 'CONTACT', 'E-mail\na@example.com\n')
  const attempted = async (error: string): Promise<{ id: string; next: Date | null }> => {
    for (;;) {
      const { rows } = await world.oracle.query<{ id: string; next: Date | null }>(
        'select id, next_attempt_at as next from mail where tenant_id = $1 and error = $2',
        [tenantId, error],
      )
      if (rows[0] !== undefined) {
        return rows[0]
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const { id, next } = await attempted('MAIL_PUT_OFF')
  assert.ok(next !== null && next.getTime() > Date.now() + 30_000)
  await world.oracle.query('update mail set next_attempt_at = now() where id = $1', [id])
  await mails(ada.email, 1)
  await quiet()
  sink.refuse.push(550)
  await world.import(ada, 'CONTACT', 'E-mail\nb@example.com\n')
  assert.equal((await attempted('MAIL_REFUSED')).next, null)
  assert.equal(mailsTo(ada.email)(sink.mails.all).length, 1)
})

async function connected(email: string): Promise<string> {
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
     values ($1, uuidv7(), 'hubspot', 'CONNECTED', 'https://app.hubspot.com', 'acc1', 'https://api.hubapi.com', 'x', now(), $2) returning id`,
    [tenantId, email],
  )
  return rows[0]?.id ?? ''
}

test('a migration is told as one, not import by import, and so is its rollback', async () => {
  const ada = await somebody()
  const integrationId = await connected(ada.email)
  crms.set(integrationId, populated())
  const objects = [
    { object: 'companies', recordType: 'CONTACT' },
    { object: 'people', recordType: 'CONTACT' },
  ]
  const { migrationCreate } = await world.ask(
    ada,
    'mutation ($input: MigrationCreateInput!) { migrationCreate(input: $input) { migration { id } userErrors { message } } }',
    { input: { integrationId: encodeId('integration', integrationId), objects, idempotencyKey: 'm' } },
  )
  const { id } = migrationCreate.migration
  await world.rested(ada, id)
  for (const step of ['Stage', 'Promote']) {
    await world.ask(
      ada,
      `mutation ($input: MigrationInput!) { migration${step}(input: $input) { userErrors { message } } }`,
      { input: { migrationId: id, idempotencyKey: step } },
    )
    await world.rested(ada, id)
  }
  const { runRollback } = await world.ask(
    ada,
    'mutation ($id: ID!) { runRollback(input: { runId: $id, idempotencyKey: "b" }) { rollbackRun { id } } }',
    { id },
  )
  await world.rested(ada, runRollback.rollbackRun.id)
  await quiet()
  const { rows } = await world.oracle.query<{ kind: string; event: string }>(
    `select r.kind, o.event from outbox o join run r on r.tenant_id = o.tenant_id and r.id = o.run_id
     where o.tenant_id = $1 and o.event in ('RUN_COMPLETED', 'RUN_ROLLED_BACK', 'RUN_FAILED') order by o.id`,
    [tenantId],
  )
  assert.deepEqual(
    rows.map(({ kind, event }) => `${kind} ${event}`),
    ['MIGRATION RUN_COMPLETED', 'ROLLBACK RUN_COMPLETED', 'MIGRATION RUN_ROLLED_BACK'],
  )
  const subjects = mailsTo(ada.email)(sink.mails.all).map(({ subject }) => subject.split(' – ')[0] ?? '')
  assert.equal(subjects.filter((subject) => subject.startsWith('Migration completed')).length, 1)
  assert.equal(subjects.filter((subject) => subject.startsWith('Rollback completed')).length, 1)
  assert.ok(!subjects.some((subject) => subject.startsWith('Import')), subjects.join())
})

test('a sign-in that a CRM does not take any more is told once, to who connected it', async () => {
  const ada = await somebody()
  const integrationId = await connected(ada.email)
  const refuse = 'update integration set status = $2 where id = $1'
  await world.oracle.query(refuse, [integrationId, 'REAUTHORIZATION_REQUIRED'])
  await world.oracle.query(refuse, [integrationId, 'REAUTHORIZATION_REQUIRED'])
  const [mail] = await mails(ada.email, 1)
  assert.match(mail?.subject ?? '', /^HubSpot needs a new sign-in/)
  await world.oracle.query(
    "update integration set status = 'CONNECTED', token_version = token_version + 1 where id = $1",
    [integrationId],
  )
  await world.oracle.query(refuse, [integrationId, 'REAUTHORIZATION_REQUIRED'])
  await mails(ada.email, 2)
  await quiet()
  assert.equal(mailsTo(ada.email)(sink.mails.all).length, 2)
})

test('several workers at once tell each fact once', async () => {
  const config = loadConfig({
    ...sink.settings,
    PORTAGE_ROLE: 'worker',
    PORTAGE_DATA_DIR: world.dataDir,
    PORTAGE_LOG_LEVEL: 'error',
    DATABASE_URL: world.db.workerUrl,
  })
  const others = await Promise.all([startWorker(config), startWorker(config)])
  try {
    const readers = await Promise.all(Array.from({ length: 6 }, () => somebody()))
    await Promise.all(readers.map((reader) => world.import(reader, 'CONTACT', 'E-mail\na@example.com\n')))
    for (const { email } of readers) {
      await mails(email, 1)
    }
    await quiet()
    assert.deepEqual(
      readers.map(({ email }) => mailsTo(email)(sink.mails.all).length),
      readers.map(() => 1),
    )
  } finally {
    await Promise.all(others.map((worker) => worker.close()))
  }
})
