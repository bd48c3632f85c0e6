/** What one tenant does, and how long another one waits for it. */
import { newContacts } from '../helpers/files.js'
import type { House } from './house.js'
import type { Result } from './scenarios.js'

/** Rows of the import that somebody else waits for. */
const SMALL_ROWS = 1000

interface Times {
  /** From its creation until a worker first had it, and until it had ended. Milliseconds, by the clock of the database. */
  readonly started: number
  readonly ended: number
}

async function times(house: House, runId: string): Promise<Times> {
  return house.one<Times>(
    `select extract(epoch from started_at - created_at)::float8 * 1000 as started,
       extract(epoch from finished_at - created_at)::float8 * 1000 as ended from run where id = $1`,
    [runId],
  )
}

/**
 * A tenant imports a large file, or several, and has a hundred imports in the queue; then another one imports a thousand rows, several
 * times over.
 */
export async function queueFairness(
  house: House,
  {
    rows,
    queued,
    rounds,
    waitMs,
  }: { readonly rows: number; readonly queued: number; readonly rounds: number; readonly waitMs: number },
  seed: number,
): Promise<Result> {
  await house.hire()
  const large = await house.tenant('large')
  const first = await house.startImport(large, 'contact', newContacts(seed, rows))
  await house.reached(large, first, 1)
  const queue: string[] = []
  for (let i = 0; i < queued; i++) {
    queue.push(await house.startImport(large, 'contact', newContacts(seed + 1 + i, 100)))
  }
  const faults: string[] = []
  const starts: number[] = []
  const ends: number[] = []
  for (let i = 0; i < rounds; i++) {
    const small = await house.tenant('small')
    const run = await house.startImport(small, 'contact', newContacts(seed + 1000 + i, SMALL_ROWS))
    await house.ended(small, run)
    const { started, ended } = await times(house, run)
    starts.push(started)
    ends.push(ended)
  }
  const { left } = await house.one<{ left: number }>(
    'select count(*)::int as left from run where tenant_id = $1 and finished_at is null',
    [large],
  )
  if (left === 0) {
    faults.push('the large tenant had nothing to do any more, so nothing was shown')
  }
  const longest = Math.max(...starts)
  if (longest > waitMs) {
    faults.push(`a run of another tenant started after ${Math.round(longest)} ms, of ${waitMs}`)
  }
  for (const run of [first, ...queue]) {
    await house.ended(large, run)
  }
  return {
    name: `a tenant with a large import and ${queued} in the queue beside another one [QF-3]`,
    faults,
    figures: {
      rows,
      'start max ms': Math.round(longest),
      'end max ms': Math.round(Math.max(...ends)),
      'runs of the other left': left,
    },
  }
}

/** Three tenants import files of one size at once. */
export async function threeTenants(
  house: House,
  { rows, ratio }: { readonly rows: number; readonly ratio: number },
  seed: number,
): Promise<Result> {
  await house.hire()
  const started = await Promise.all(
    [1, 2, 3].map(async (n) => {
      const tenant = await house.tenant(`tenant ${n}`)
      return { tenant, run: await house.startImport(tenant, 'contact', newContacts(seed + n, rows)) }
    }),
  )
  const took = await Promise.all(
    started.map(async ({ tenant, run }) => {
      await house.ended(tenant, run)
      return (await times(house, run)).ended
    }),
  )
  const measured = Math.max(...took) / Math.min(...took)
  return {
    name: 'three tenants at once [QF-4]',
    faults: measured > ratio ? [`the slowest took ${measured.toFixed(2)} times as long as the fastest`] : [],
    figures: { rows, ratio: measured.toFixed(2), 'slowest ms': Math.round(Math.max(...took)) },
  }
}
