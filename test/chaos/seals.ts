/** The audit while imports run and the workers that seal it are killed: what sealing costs, how late it is, and that the chain is whole. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { auditKeys, verifyChain } from '../../src/access/audit.js'
import { loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { laneOptions } from '../../src/jobs/context.js'
import { newContacts } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import type { House } from './house.js'
import { quantile } from './kills.js'
import type { Result } from './scenarios.js'

/** Entries are written in so many transactions a second, while imports run and while workers die. */
const ENTRIES_PER_SECOND = 100

/** Between two looks at the oldest entry that waits. Milliseconds. */
const LOOK_MS = 50

/** First key of the locks that let one worker at a time seal a tenant. */
const SEAL_LOCKS = 7_270_436

/** Writes entries until it is stopped. Answers what stops it, with how many there were. */
function writing(house: House, tenantId: string): () => Promise<number> {
  const stop = new AbortController()
  const client = new pg.Client({ connectionString: house.db.ownerUrl, options: '-c search_path=portage' })
  const run = async (): Promise<number> => {
    await client.connect()
    let count = 0
    const started = performance.now()
    while (!stop.signal.aborted) {
      await client.query(
        `insert into audit_entry (tenant_id, actor, action, target, outcome, detail) values ($1, 'ada@example.com', 'Mutation.memberSave', null, 'OK', '{}')`,
        [tenantId],
      )
      count += 1
      await pause(Math.max(0, started + (count * 1000) / ENTRIES_PER_SECOND - performance.now()))
    }
    await client.end()
    return count
  }
  const running = run()
  return () => {
    stop.abort()
    return running
  }
}

/** Looks how old the oldest entry is that waits, until it is stopped. Answers the ages, in seconds. */
function watching(house: House, tenantId: string): () => Promise<readonly number[]> {
  const stop = new AbortController()
  const ages: number[] = []
  const run = async (): Promise<readonly number[]> => {
    while (!stop.signal.aborted) {
      const [row] = await house.rows<{ age: number }>(
        `select greatest(0, coalesce(extract(epoch from clock_timestamp() - min(uuid_extract_timestamp(entry_id))), 0))::float8 as age
         from audit_pending where tenant_id = $1`,
        [tenantId],
      )
      ages.push(row?.age ?? 0)
      await pause(LOOK_MS)
    }
    return ages
  }
  const running = run()
  return () => {
    stop.abort()
    return running
  }
}

/** `rounds` imports with sealing and as many without; then `kills` of the worker that seals. */
export async function seals(
  house: House,
  sizes: {
    readonly rows: number
    readonly rounds: number
    readonly kills: number
    readonly cost: number
    readonly lagSeconds: number
  },
  seed: number,
): Promise<Result> {
  const { rows, rounds, kills, cost, lagSeconds } = sizes
  const faults: string[] = []
  const random = new Random(seed * 37)
  await house.hire()
  const busy = await house.tenant('sealed')
  const took = { sealed: [] as number[], unsealed: [] as number[] }
  const holder = new pg.Client({ connectionString: house.db.ownerUrl })
  await holder.connect()
  for (let i = 0; i < 2 * rounds; i++) {
    const kind = i % 2 === 0 ? 'sealed' : 'unsealed'
    if (kind === 'unsealed') {
      // Whoever wants to seal finds that somebody is at it.
      await holder.query('select pg_advisory_lock($1, hashtext($2::text))', [SEAL_LOCKS, busy])
    }
    const stop = writing(house, busy)
    const tenantId = await house.tenant(`import ${i}`)
    const started = performance.now()
    const run = await house.startImport(tenantId, 'contact', newContacts(seed + i, rows))
    await house.ended(tenantId, run)
    took[kind].push(performance.now() - started)
    await stop()
    if (kind === 'unsealed') {
      await holder.query('select pg_advisory_unlock_all()')
    }
  }
  await holder.end()
  const [sealed, unsealed] = [quantile(took.sealed, 0.5) ?? 0, quantile(took.unsealed, 0.5) ?? 0]
  const dearer = sealed / Math.max(1, unsealed) - 1
  if (dearer > cost) {
    faults.push(`imports took ${(100 * dearer).toFixed(1)} % longer with sealing`)
  }

  const tenantId = await house.tenant('chain')
  const stopWriting = writing(house, tenantId)
  const stopWatching = watching(house, tenantId)
  for (let i = 0; i < kills; i++) {
    await house.crew.complete()
    await pause(random.below(400))
    house.crew.kill(await house.crew.active())
  }
  await house.crew.complete()
  const written = await stopWriting()
  await house.until('everything is sealed', async () => {
    const [row] = await house.rows<{ n: number }>('select count(*)::int as n from audit_pending where tenant_id = $1', [
      tenantId,
    ])
    return row?.n === 0 ? true : null
  })
  const ages = await stopWatching()
  const p99 = quantile(ages, 0.99) ?? 0
  if (p99 > lagSeconds) {
    faults.push(`the oldest entry had waited ${p99.toFixed(1)} s (p99)`)
  }
  const [counted] = await house.rows<{ seals: number; distinct: number; last: number; entries: number }>(
    `select count(*)::int as seals, count(distinct s.entry_id)::int as distinct, coalesce(max(s.sequence), 0)::int as last,
       (select count(*)::int from audit_entry where tenant_id = $1) as entries from audit_seal s where s.tenant_id = $1`,
    [tenantId],
  )
  if (
    counted === undefined ||
    counted.entries !== written ||
    counted.seals !== written ||
    counted.distinct !== written ||
    counted.last !== written
  ) {
    faults.push(`${written} entries were written: ${JSON.stringify(counted)}`)
  }
  const lane = await Lane.open(laneOptions(house.db.workerUrl, 'chaos seals'))
  const keys = auditKeys(loadConfig({ PORTAGE_DATA_DIR: house.dataDir }))
  const found = await withTenant(lane, tenantId, (tx) => verifyChain(tx, keys))
  await lane.close()
  if (!found.valid || found.checked !== written) {
    faults.push(`the chain is broken: ${JSON.stringify(found)}`)
  }
  await house.dismiss()
  return {
    name: 'sealing beside imports, and kills of who seals [AU-4]',
    faults,
    figures: {
      'import s': (unsealed / 1000).toFixed(2),
      'with sealing s': (sealed / 1000).toFixed(2),
      'dearer %': (100 * dearer).toFixed(1),
      kills,
      entries: written,
      'lag p50 s': (quantile(ages, 0.5) ?? 0).toFixed(2),
      'lag p99 s': p99.toFixed(2),
      'lag max s': (quantile(ages, 1) ?? 0).toFixed(2),
    },
  }
}
