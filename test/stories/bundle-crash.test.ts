/** Bundles whose workers are cut off again and again: whole or not there at all, and nothing twice. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { bundleOrder } from '../../src/adapters/files/bundle-format.js'
import { bundleRecords, verifyBundle } from '../../src/adapters/files/bundle-reader.js'
import { withTenant } from '../../src/db/tx.js'
import { advanceRun } from '../../src/jobs/advance-run.js'
import type { WorkerContext } from '../../src/jobs/context.js'
import { createBundleExport, createBundleImport } from '../../src/runs/bundles.js'
import { defaultImportOptions } from '../../src/runs/imports.js'
import { CuttingProxy } from '../helpers/cutting-proxy.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'

const seed = Number(process.env.PORTAGE_TEST_SEED ?? 4711)
const PEOPLE = 900

let db: TestDatabase
let engine: Engine
before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 150 })
})
after(async () => {
  await engine.close()
  await db.drop()
})

/** Advances all runs of a tenant until none is left to do; calls `look` after each step. */
async function advanceAll(context: WorkerContext, tenantId: string, look: () => Promise<void>): Promise<number> {
  for (let steps = 1; ; steps += 1) {
    const due = await engine.rows<{ run_id: string }>(
      "update run_wakeup set due_at = now() - interval '1 second', sent_until = null where tenant_id = $1 returning run_id",
      [tenantId],
    )
    if (due.length === 0) {
      return steps
    }
    for (const { run_id } of due) {
      await advanceRun(context, { tenantId, runId: run_id })
      await look()
    }
    assert.ok(steps < 300, 'the runs do not come to an end')
  }
}

/** Runs `work` with lanes whose connections are cut at some of their messages. */
async function cut(gap: number, work: (context: WorkerContext) => Promise<unknown>): Promise<number> {
  const random = new Random(seed)
  let next = 3 + random.below(gap)
  let seen = 0
  const proxy = await CuttingProxy.start(db.workerUrl, () => {
    seen += 1
    if (seen < next) {
      return null
    }
    // Rarer each time, so that a run that starts over comes to its end.
    next = seen + gap * 2 ** (proxy.cuts.length + 1) + random.below(gap)
    return random.pick(['before the server hears of it', 'before its answer arrives'] as const)
  })
  try {
    await work({ ...engine.context, databaseUrl: proxy.through(db.workerUrl) })
    return proxy.cuts.length
  } finally {
    await proxy.close()
  }
}

test('a bundle whose writer and taker are cut off again and again is whole, and taken in once', async () => {
  const origin = await engine.tenant()
  const csv = [
    'ref,first,last,org',
    ...Array.from({ length: PEOPLE }, (_, n) => `p${n},Zoë ${n},Test,${n % 3 === 1 ? `p${n - 1}` : ''}`),
  ].join('\n')
  const map = { ref: 'externalId', first: 'firstName', last: 'lastName', org: 'organization.externalId' }
  const filled = await engine.import(origin, { type: 'contact', csv, map })
  assert.equal(filled.counts.created, PEOPLE)

  const exportId = await engine.context.control.use((lane) =>
    withTenant(lane, origin, (tx) =>
      createBundleExport(tx, { actor: 'test', recordTypes: bundleOrder, envelope: null }),
    ),
  )
  const offered = () =>
    engine.rows<{ storage_key: string; status: string }>(
      `select f.storage_key, r.status from run_file f join run r on r.tenant_id = f.tenant_id and r.id = f.run_id where f.tenant_id = $1 and f.kind = 'BUNDLE'`,
      [origin],
    )
  const cuts = await cut(4, (context) =>
    advanceAll(context, origin, async () => {
      assert.ok((await offered()).every(({ status }) => status === 'COMPLETED'))
    }),
  )
  assert.ok(cuts >= 3, `seed ${seed}: ${cuts} cuts`)
  const exported = await engine.run(origin, exportId)
  assert.deepEqual([exported.status, exported.counts.read], ['COMPLETED', PEOPLE])
  const [file] = await offered()
  const open = engine.files.openBytes(file?.storage_key ?? '')
  const bundle = await verifyBundle(open, engine.context.bundles.trusted)
  const names = new Set<string>()
  for (const type of bundle.manifest.recordTypes) {
    for await (const record of bundleRecords(open, bundle, type)) {
      names.add(record.id)
    }
  }
  assert.equal(names.size, PEOPLE)

  const target = await engine.tenant()
  const stored = await engine.files.put(target, engine.files.read(file?.storage_key ?? ''), { maxBytes: 1 << 30 })
  const runId = await engine.context.control.use((lane) =>
    withTenant(lane, target, async (tx) => {
      const [row] = await tx.query<{ id: string }>(
        `insert into source_file (tenant_id, id, name, byte_size, sha256, storage_key, detection, uploaded_by, expires_at)
         values ($1, uuidv7(), 'a.bundle.zip', $2, $3, $4, '{}', 'test', now() + interval '1 day') returning id`,
        [target, stored.byteSize, stored.sha256, stored.key],
      )
      return createBundleImport(tx, {
        actor: 'test',
        sourceFileId: row?.id ?? '',
        recordTypes: bundle.manifest.recordTypes.map(({ recordType }) => recordType),
        bundleId: bundle.manifest.bundleId,
        origin: bundle.manifest.origin,
        snapshotAt: new Date(bundle.manifest.snapshotAt),
        total: PEOPLE,
        envelope: null,
        options: {
          ...defaultImportOptions,
          onMissingRelation: 'KEEP_PENDING',
          sourceSystem: `portage/${bundle.manifest.origin}`,
        },
        confirmation: 'ALWAYS',
      })
    }),
  )
  const importCuts = await cut(15, (context) => advanceAll(context, target, async () => undefined))
  assert.ok(importCuts >= 3, `seed ${seed}: ${importCuts} cuts`)
  const taken = await engine.run(target, runId)
  assert.deepEqual([taken.status, taken.counts.created, taken.counts.total], ['COMPLETED', PEOPLE, PEOPLE])
  const [counted] = await engine.rows<{ records: number; linked: number }>(
    `select count(*)::int as records, count(o.id)::int as linked from contact c
     left join contact o on o.tenant_id = c.tenant_id and o.id = c.organization_id where c.tenant_id = $1 and c.deleted_at is null`,
    [target],
  )
  assert.deepEqual(counted, { records: PEOPLE, linked: PEOPLE / 3 })
})
