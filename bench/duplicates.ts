/**
 * `npm run bench -- duplicates`: how well possible duplicates are found, on generated people that the weights were not fitted
 * on, and what the search costs for new records beside many others. The records are put into the table directly; the search is that of a worker.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { createTenant } from '../src/access/tenants.js'
import { Lane } from '../src/db/lane.js'
import { migrate } from '../src/db/migrate.js'
import { roleUrl, WORKER_ROLE } from '../src/db/roles.js'
import { laneOptions } from '../src/jobs/context.js'
import { searchSlice } from '../src/jobs/find-duplicates.js'
import { type GeneratedPerson, generatePeople, isSomebody } from '../test/duplicates-set/people.js'
import { fit, fitting, quality, testing } from './duplicates-fit.js'
import { keepResult, printTable } from './report.js'
import { startServer, withClient } from './server.js'

export interface DuplicatesOptions {
  /** New records. */
  readonly rows: number
  /** Records that are there before. */
  readonly base: number
  /** Prints weights instead. */
  readonly fit: boolean
}

const percent = (value: number): string => `${(value * 100).toFixed(1)} %`

/** Measures and prints. */
export async function benchDuplicates(options: DuplicatesOptions): Promise<void> {
  if (options.fit) {
    fit()
    return
  }
  const sets = [
    ...fitting.map((set) => ({ half: 'fitting', set })),
    ...testing.map((set) => ({ half: 'unseen', set })),
  ].map(({ half, set }) => ({ half, set, found: quality(set) }))
  printTable([
    ['half', 'people', 'slips', 'births', 'precision', 'recall', 'F1', 'met', 'compared'],
    ...sets.map(({ half, set, found }) => [
      half,
      set.kind,
      `0-${set.slips}`,
      set.noBirthDate === true ? 'no' : 'yes',
      percent(found.precision),
      percent(found.recall),
      percent(found.f1),
      percent(found.met),
      found.compared.toFixed(1),
    ]),
  ])
  const cost = await searchCost(options)
  console.log(
    `\n${options.base} records searched in ${cost.baseSeconds.toFixed(1)} s; then ${options.rows} more beside them in ` +
      `${cost.seconds.toFixed(1)} s, ${cost.pairs} pairs; blocks ${(cost.blockBytes / 1e6).toFixed(0)} MB of ` +
      `${(cost.recordBytes / 1e6).toFixed(0)} MB of records; ${(cost.rssBytes / 1e6).toFixed(0)} MB resident, ` +
      `${(cost.rssGrownBytes / 1e6).toFixed(0)} MB more than before the search`,
  )
  await keepResult('duplicates', {
    sets: sets.map(({ half, set, found }) => ({ half, ...set, ...found })),
    ...options,
    ...cost,
  })
}

interface Cost {
  readonly baseSeconds: number
  readonly seconds: number
  readonly pairs: number
  readonly blockBytes: number
  readonly recordBytes: number
  readonly rssBytes: number
  readonly rssGrownBytes: number
}

async function searchCost({ rows, base }: DuplicatesOptions): Promise<Cost> {
  await using server = await startServer()
  const ownerUrl = await server.createDatabase()
  const password = randomBytes(16).toString('hex')
  await migrate({ url: ownerUrl, apiPassword: password, workerPassword: password })
  const tenant = (await createTenant(ownerUrl, 'bench')).id
  const lane = await Lane.open(laneOptions(roleUrl(ownerUrl, WORKER_ROLE, password), 'portage bench'))
  try {
    return await withClient(ownerUrl, async (client) => {
      await client.query('set search_path = portage')
      const add = async (people: readonly GeneratedPerson[]): Promise<void> => {
        const run = randomUUID()
        for (let from = 0; from < people.length; from += 5000) {
          await insertPeople(client, tenant, run, people.slice(from, from + 5000), from)
        }
        await client.query("insert into duplicate_search (tenant_id, kind, run_id) values ($1, 'IMPORT', $2)", [
          tenant,
          run,
        ])
      }
      const searched = async (): Promise<number> => {
        const began = performance.now()
        while (await searchSlice(lane, tenant)) {
          rssBytes = Math.max(rssBytes, process.memoryUsage.rss())
        }
        return (performance.now() - began) / 1000
      }
      let people: GeneratedPerson[] | null = generatePeople({
        seed: 7,
        kind: 'crm',
        records: base + rows,
        repeats: 0.2,
        slips: 3,
        families: 0.1,
      }).filter(isSomebody)
      await add(people.slice(0, base))
      const rest = people.slice(base)
      people = null
      let rssBytes = 0
      const before = process.memoryUsage.rss()
      const baseSeconds = await searched()
      await client.query('vacuum analyze')
      await add(rest)
      const pairsBefore = await client.query<{ n: number }>('select count(*)::int as n from duplicate_pair')
      const seconds = await searched()
      const sizes = await client.query<{ pairs: number; blocks: number; records: number }>(
        `select (select count(*) from duplicate_pair)::int as pairs, (pg_total_relation_size('record_block') + pg_total_relation_size('record_keys'))::float8 as blocks,
           pg_total_relation_size('contact')::float8 as records`,
      )
      return {
        baseSeconds,
        seconds,
        pairs: (sizes.rows[0]?.pairs ?? 0) - (pairsBefore.rows[0]?.n ?? 0),
        blockBytes: sizes.rows[0]?.blocks ?? 0,
        recordBytes: sizes.rows[0]?.records ?? 0,
        rssBytes,
        rssGrownBytes: rssBytes - before,
      }
    })
  } finally {
    await lane.close()
    await server.dropDatabase(ownerUrl)
  }
}

async function insertPeople(
  client: pg.Client,
  tenant: string,
  run: string,
  people: readonly GeneratedPerson[],
  from: number,
): Promise<void> {
  await client.query(
    `insert into contact (tenant_id, id, display_name, first_name, last_name, email, phone, address_line1, address_line2, city, postal_code,
       state_or_province, birth_date, created_run_id, created_row)
     select $1, uuidv7(), coalesce(nullif(trim(coalesce(p."firstName", '') || ' ' || coalesce(p."lastName", '')), ''), '?'), nullif(p."firstName", ''),
       nullif(p."lastName", ''), nullif(p.email, ''), nullif(p.phone, ''), nullif(trim(p."houseNumber" || ' ' || p.street), ''), nullif(p."addressLine2", ''), nullif(p.city, ''), nullif(p."postalCode", ''),
       nullif(p.state, ''), case when pg_input_is_valid(p."birthDate", 'date') then p."birthDate"::date end, $2, $4 + row_number() over ()
     from jsonb_to_recordset($3::jsonb) as p ("firstName" text, "lastName" text, email text, phone text, "houseNumber" text, street text,
       "addressLine2" text, city text, "postalCode" text, state text, "birthDate" text)`,
    [tenant, run, JSON.stringify(people), from],
  )
}
