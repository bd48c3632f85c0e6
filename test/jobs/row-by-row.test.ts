/**
 * The meaning of an import is row by row: each row sees every earlier row of the file and what it did. The engine works
 * set-based, in chunks, two at a time. Here a model that really goes row by row is the oracle for random files.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ImportOptions } from '../../src/pipeline/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'

interface Row {
  readonly ext: string
  readonly email: string
  readonly last: string
  readonly phone: string
}

interface Person {
  ext: string | null
  email: string | null
  last: string | null
  phone: string | null
  deleted: boolean
  identities: string[]
}

let db: TestDatabase
before(async () => {
  db = await freshDatabase()
})
after(async () => {
  await db.drop()
})

/** More of them with PORTAGE_TEST_SEEDS, for a night. */
const seeds = Array.from({ length: Number(process.env.PORTAGE_TEST_SEEDS ?? 2) }, (_, i) => i + 1)

const RULES = { byExternalId: 'ext', byEmail: 'email' } as const

/** What the engine has to do, one row after the other. */
function model(people: Person[], rows: readonly Row[], options: Partial<ImportOptions>): string[] {
  return rows.map((row) => {
    const live = people.filter((person) => !person.deleted)
    let found: Person[] = []
    if (options.onDuplicate !== 'CREATE' || options.operation !== undefined) {
      if (row[RULES.byExternalId] !== '') {
        found = live.filter((person) => person.ext === row.ext || person.identities.includes(row.ext))
      }
      if (found.length === 0 && row[RULES.byEmail] !== '') {
        found = live.filter(
          (person) => person.email === row.email && (person.ext === null || row.ext === '' || person.ext === row.ext),
        )
      }
    }
    if (found.length > 1) {
      return 'FAILED'
    }
    const [person] = found
    if (person === undefined) {
      if (options.operation === 'UPDATE_ONLY' || options.operation === 'DELETE') {
        return 'SKIPPED'
      }
      if (row.ext !== '' && live.some((other) => other.ext === row.ext)) {
        return 'FAILED'
      }
      people.push({
        ext: row.ext || null,
        email: row.email || null,
        last: row.last || null,
        phone: row.phone || null,
        deleted: false,
        identities: [],
      })
      return 'CREATED'
    }
    if (options.operation === 'DELETE') {
      person.deleted = true
      return 'DELETED'
    }
    if (options.onDuplicate === 'SKIP') {
      return 'SKIPPED'
    }
    if (options.onDuplicate === 'FAIL') {
      return 'FAILED'
    }
    const before = JSON.stringify(person)
    for (const [field, value] of [
      ['email', row.email],
      ['last', row.last],
      ['phone', row.phone],
    ] as const) {
      if (value !== '' && (options.onDuplicate !== 'FILL_BLANKS' || person[field] === null)) {
        person[field] = value
      }
    }
    if (row.ext !== '' && person.ext === null) {
      person.ext = row.ext
    }
    return JSON.stringify(person) === before ? 'UNCHANGED' : 'UPDATED'
  })
}

function randomRows(random: Random, count: number): Row[] {
  return Array.from({ length: count }, () => ({
    ext: random.chance(0.5) ? `x${random.below(count / 3)}` : '',
    email: random.chance(0.7) ? `m${random.below(count / 3)}@example.com` : '',
    last: `L${random.below(5)}`,
    phone: random.chance(0.5) ? `+49 30 ${1000000 + random.below(6)}` : '',
  }))
}

const toCsv = (rows: readonly Row[]) =>
  `Ext,Mail,Last,Phone\n${rows.map((row) => `${row.ext},${row.email},${row.last},"${row.phone}"`).join('\n')}\n`
const map = { Ext: 'externalId', Mail: 'email', Last: 'lastName', Phone: 'department' }

async function outcomes(engine: Engine, runId: string): Promise<string[]> {
  const rows = await engine.rows<{ outcome: string }>(
    `select outcome from (
       select row_number, outcome from run_row where run_id = $1
       union all
       select generate_series(lower(span), upper(span) - 1), outcome from (select outcome, unnest(rows) as span from run_range where run_id = $1) r) x
     order by row_number`,
    [runId],
  )
  return rows.map((row) => row.outcome)
}

const cases: { name: string; options: Partial<ImportOptions> }[] = [
  { name: 'UPDATE', options: {} },
  { name: 'FILL_BLANKS', options: { onDuplicate: 'FILL_BLANKS' } },
  { name: 'SKIP', options: { onDuplicate: 'SKIP' } },
  { name: 'FAIL', options: { onDuplicate: 'FAIL' } },
  { name: 'CREATE', options: { onDuplicate: 'CREATE' } },
  { name: 'UPDATE_ONLY', options: { operation: 'UPDATE_ONLY' } },
  { name: 'DELETE', options: { operation: 'DELETE' } },
]

for (const { name, options } of cases) {
  for (const [chunkRows, chunksInFlight] of [
    [4, 2],
    [1000, 1],
  ] as const) {
    test(`${name} in chunks of ${chunkRows}, ${chunksInFlight} at a time, means what it means row by row`, async () => {
      const engine = await Engine.start(db, { chunkRows, chunksInFlight })
      try {
        for (const seed of seeds) {
          const random = new Random(seed * 7919)
          const tenant = await engine.tenant()
          const people: Person[] = []
          for (const [round, roundOptions] of [{}, options].entries()) {
            const rows = randomRows(random, 45)
            const expected = model(people, rows, roundOptions)
            const run = await engine.import(tenant, { type: 'contact', csv: toCsv(rows), map, options: roundOptions })
            const where = `seed ${seed}, round ${round}`
            assert.deepEqual(await outcomes(engine, run.id), expected, where)
            const count = (outcome: string) => expected.filter((one) => one === outcome).length
            assert.deepEqual(
              run.counts,
              {
                total: rows.length,
                read: rows.length,
                created: count('CREATED'),
                updated: count('UPDATED'),
                unchanged: count('UNCHANGED'),
                skipped: count('SKIPPED'),
                failed: count('FAILED'),
                deleted: count('DELETED'),
                unprocessed: 0,
                reverted: 0,
                kept: 0,
              },
              where,
            )
            const stored = await engine.rows<Omit<Person, 'identities'>>(
              `select external_id as ext, email, last_name as last, department as phone, deleted_at is not null as deleted from contact where tenant_id = $1`,
              [tenant],
            )
            assert.deepEqual(stored.map(shape).toSorted(), people.map(shape).toSorted(), where)
          }
        }
      } finally {
        await engine.close()
      }
    })
  }
}

const shape = (person: Omit<Person, 'identities'>): string =>
  JSON.stringify([person.ext, person.email, person.last, person.phone, person.deleted])
