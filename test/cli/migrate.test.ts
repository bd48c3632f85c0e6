/** `portage migrate` against the service, with a small CRM in memory. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Api } from '../../src/cli/api.js'
import { UsageError } from '../../src/cli/arguments.js'
import type { Io } from '../../src/cli/io.js'
import { migrate } from '../../src/cli/migrate.js'
import { encodeId } from '../../src/ids.js'
import { populated, type SmallCrm } from '../helpers/small-crm.js'
import { type Actor, World } from '../server/world.js'

let world: World
let crm: SmallCrm

before(async () => {
  crm = populated()
  world = await World.start({ openVendor: () => Promise.resolve(crm.open()) })
})
after(() => world.close())

function terminal(): Io & { readonly lines: string[]; readonly notes: string[] } {
  const lines: string[] = []
  const notes: string[] = []
  return {
    lines,
    notes,
    out: (line) => void lines.push(line),
    write: async (text) => void lines.push(text),
    note: (line) => void notes.push(line),
    status: () => undefined,
    ask: async () => null,
    interactive: false,
    signal: new AbortController().signal,
  }
}

const connectAs = (actor: Actor) => () => new Api({ url: world.url, token: async () => actor.token })

async function connected(): Promise<{ ada: Actor; integration: string }> {
  const ada = await world.actor(await world.tenant())
  const { rows } = await world.oracle.query<{ id: string }>(
    `insert into integration (tenant_id, id, system, status, login_origin, account, api_origin, access_token, connected_at, created_by)
     values ($1, uuidv7(), 'hubspot', 'CONNECTED', 'https://app.hubspot.com', 'acc1', 'https://api.hubapi.com', 'x', now(), 'ada') returning id`,
    [ada.tenantId],
  )
  return { ada, integration: encodeId('integration', rows[0]?.id ?? '') }
}

test('a company moves in from the command line, step by step, and says what comes next', async () => {
  const { ada, integration } = await connected()
  const run = async (...args: string[]) => {
    const io = terminal()
    const code = await migrate(args, connectAs(ada), io)
    return { code, text: io.lines.join('\n'), notes: io.notes.join('\n') }
  }
  assert.match((await run('connections')).text, new RegExp(`${integration} +HubSpot|${integration} +Hubspot`, 'i'))
  const listed = await run('objects', integration)
  assert.match(listed.text, /people .*7 +contact/)

  const created = await run('create', integration)
  assert.equal(created.code, 0, created.text)
  const id = /Migration (\S+)/.exec(created.notes)?.[1] ?? ''
  assert.match(created.notes, new RegExp(`Next: migrate stage ${id}`))
  const staged = await run('stage', id)
  assert.equal(staged.code, 0, staged.text)
  assert.match(staged.notes, /nothing has been written so far/)
  const promoted = await run('promote', id)
  assert.equal(promoted.code, 0, promoted.text)
  assert.match(promoted.text, /Proven: all \d+ checks passed/)
  assert.match(promoted.text, /people +contact +7 +7 /)
  assert.match(promoted.notes, /migrate delta/)
  crm.remove('deals', '5', '2026-03-02T00:00:02.000Z')
  crm.now = '2026-03-03T00:00:00.000000Z'
  const synced = await run('delta', id)
  assert.equal(synced.code, 0, synced.text)
  const shown = await run('show', id, '--json')
  const { migration } = JSON.parse(shown.text) as { migration: { stage: string; counts: { deleted: number } } }
  assert.deepEqual([migration.stage, migration.counts.deleted], ['READY_FOR_DELTA', 1])
  await assert.rejects(run('stage', id), /can be staged when/)
})

test('what cannot be right is refused before anything is asked of the service', async () => {
  const never = () => {
    throw new Error('nothing was to be asked')
  }
  for (const [args, message] of [
    [[], /followed by/],
    [['create'], /CONNECTION is missing/],
    [['create', 'int_1', '--object', 'contacts'], /--object is OBJECT=/],
    [['create', 'int_1', '--sample', '0'], /--sample is a whole number/],
    [['create', 'int_1', '--changed-here', 'maybe'], /--changed-here/],
    [['stage', 'run_1', '--sample', '5'], /go with migrate create/],
    [['stage'], /MIGRATION is missing/],
  ] as const) {
    await assert.rejects(
      migrate(args, never, terminal()),
      (error) => error instanceof UsageError && message.test(error.message),
      args.join(' '),
    )
  }
})
