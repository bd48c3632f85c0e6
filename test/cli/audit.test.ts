import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { auditKeys, sealEntries } from '../../src/access/audit.js'
import { Api } from '../../src/cli/api.js'
import { audit, verifyFile } from '../../src/cli/audit.js'
import type { Io } from '../../src/cli/io.js'
import { Database } from '../../src/db/database.js'
import { withTenant } from '../../src/db/tx.js'
import { type Actor, World } from '../server/world.js'

const ENTRIES = 1200

let world: World
let folder: string
let ada: Actor
let path: string
let head: { sequence: number; hash: string }

before(async () => {
  world = await World.start({ worker: false })
  folder = await mkdtemp(join(tmpdir(), 'portage-audit-'))
  ada = await world.actor(await world.tenant())
  await world.oracle.query(
    `insert into audit_entry (tenant_id, actor, action, target, outcome, detail)
     select $1, 'ada@example.com', 'Mutation.memberSave', 'mem_' || n, 'OK', '{"code": "x"}' from generate_series(1, $2::int) n`,
    [ada.tenantId, ENTRIES],
  )
  const database = await Database.open({
    url: world.db.workerUrl,
    applicationName: 'test',
    poolSize: 1,
    statementMs: 30_000,
  })
  while ((await withTenant(database, ada.tenantId, sealEntries)) > 0) {
    // Until nothing waits.
  }
  await database.close()
  path = join(folder, 'audit.ndjson')
  const io = terminal()
  assert.equal(await audit(['export', '-o', path], connect, io), 0)
  const [sequence = '', hash = ''] = io.lines[0]?.split(':') ?? []
  head = { sequence: Number(sequence), hash }
})
after(async () => {
  await world.close()
  await rm(folder, { recursive: true, force: true })
})

function terminal(): Io & { readonly lines: string[] } {
  const lines: string[] = []
  return {
    lines,
    out: (line) => void lines.push(line),
    write: async (text) => void lines.push(text),
    note: () => undefined,
    status: () => undefined,
    ask: async () => null,
    interactive: false,
    signal: new AbortController().signal,
  }
}

const connect = () => new Api({ url: world.url, token: async () => ada.token })
const offline = () => {
  throw new Error('needs no server')
}

test('an exported audit is checked without a server', async () => {
  const io = terminal()
  const { publicText } = auditKeys(world.config)
  const given = ['verify', path, '--head', `${head.sequence}:${head.hash}`, '--key', publicText]
  assert.equal(await audit(given, offline, io), 0)
  assert.deepEqual(io.lines, ['1,200 entries checked, all as they were written.'])
  assert.equal(await audit(['verify'], connect, io), 0)
  assert.equal(await audit(['verify', '--head', `${head.sequence}:${head.hash}`], connect, io), 0)
})

test('every change of an exported audit is found', async () => {
  const [opening = '', ...lines] = (await readFile(path, 'utf8')).trimEnd().split('\n')
  const changed = join(folder, 'changed.ndjson')
  const verdict = async (
    first: string,
    rest: readonly string[],
    kept: typeof head | null = null,
    key: string | null = null,
  ) => {
    await writeFile(changed, `${[first, ...rest].join('\n')}\n`)
    const { valid, firstBrokenSequence } = await verifyFile(changed, { head: kept, key })
    return valid ? 'valid' : firstBrokenSequence
  }
  const at = (sequence: number) => lines.findIndex((line) => JSON.parse(line).sequence === sequence)
  assert.equal(await verdict(opening, lines), 'valid')
  assert.equal(await verdict(opening, lines.toReversed()), 'valid', 'the order of lines does not matter')
  assert.equal(await verdict(opening, lines.with(at(500), (lines[at(500)] ?? '').replace('mem_', 'mem-'))), 500)
  assert.equal(await verdict(opening, lines.toSpliced(at(7), 1)), 7)
  assert.equal(await verdict(opening, [...lines, lines[at(9)] ?? '']), 10)
  const cut = lines.filter((line) => JSON.parse(line).sequence <= 900)
  assert.equal(await verdict(opening, cut), 901, 'the head in the file tells')
  const last = JSON.parse(cut.find((line) => JSON.parse(line).sequence === 900) ?? '{}')
  const without = JSON.stringify({ ...JSON.parse(opening), head: null })
  assert.equal(await verdict(without, cut, head), 901, 'the head that was kept tells')
  const forged = JSON.parse(opening)
  forged.head = { ...forged.head, sequence: 900, hash: last.hash }
  assert.equal(await verdict(JSON.stringify(forged), cut), null, 'a head cannot be made')
  assert.equal(await verdict(opening, lines, null, 'A'.repeat(43)), null, 'nor be signed by somebody else')
  await assert.rejects(verdict('{}', lines), { code: 'NOT_AN_AUDIT' })
})
