/** What the ledger of quotas says after many runs that were canceled, paused and killed. */
import { setTenantQuotas } from '../../src/access/quotas.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { Refusal } from '../../src/errors.js'
import { laneOptions } from '../../src/jobs/context.js'
import { cancelRun, pauseRun, resumeRun } from '../../src/runs/control.js'
import { newContacts } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import type { House } from './house.js'
import type { Result } from './scenarios.js'

/** Runs that are under way at a time: more than the tenant may have running, so that some are deferred. */
const AT_ONCE = 12

const RUNNING_AT_ONCE = 3

/**
 * Random runs of a tenant with little room, `kills` of them with the worker that has them in hand. In the end nothing is reserved, every
 * run's reservations are what it used and what it gave back, and the rows used are the rows settled.
 */
export async function ledger(
  house: House,
  { runs, kills }: { readonly runs: number; readonly kills: number },
  seed: number,
): Promise<Result> {
  await house.hire({ PORTAGE_CHUNK_ROWS: '100' })
  const random = new Random(seed * 31)
  const tenantId = await house.tenant('ledger')
  await setTenantQuotas(house.db.ownerUrl, tenantId, { overrides: { runningRuns: RUNNING_AT_ONCE } })
  const lane = await Lane.open(laneOptions(house.db.workerUrl, 'chaos ledger'))
  const done = { cancel: 0, pause: 0, kill: 0, deferred: 0 }
  const open: string[] = []
  const act = async (runId: string, what: typeof cancelRun): Promise<boolean> =>
    withTenant(lane, tenantId, (tx) => what(tx, runId)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Refusal) {
          return false
        }
        throw error
      },
    )
  const oneEnded = async (): Promise<void> => {
    const ended = await house.until('one of the runs has ended', async () => {
      const rows = await house.rows<{ id: string }>(
        'select id from run where id = any ($1::uuid[]) and finished_at is not null limit 1',
        [open],
      )
      return rows[0]?.id ?? null
    })
    open.splice(open.indexOf(ended), 1)
  }
  try {
    for (let i = 0; i < runs; i++) {
      const type = 'contact'
      open.push(await house.startImport(tenantId, type, newContacts(seed + i, 1 + random.below(400), i * 1000)))
      const target = random.pick(open)
      if (random.chance(0.2) && (await act(target, cancelRun))) {
        done.cancel += 1
      } else if (random.chance(0.2) && (await act(target, pauseRun))) {
        done.pause += 1
        await act(target, resumeRun)
      }
      if (i % Math.ceil(runs / kills) === 0) {
        const active = await house.crew.active()
        if (!active.ended) {
          house.crew.kill(active)
          await active.exited
          done.kill += 1
        }
      }
      const { n } = await house.one<{ n: number }>(
        "select count(*)::int as n from run where tenant_id = $1 and status = 'DEFERRED'",
        [tenantId],
      )
      done.deferred = Math.max(done.deferred, n)
      while (open.length >= AT_ONCE) {
        await oneEnded()
      }
    }
    while (open.length > 0) {
      await oneEnded()
    }
  } finally {
    await lane.close()
  }
  return {
    name: 'the ledger after runs with kills and cancels [QF-2]',
    faults: await ledgerFaults(house, tenantId),
    figures: { runs, kills: done.kill, cancels: done.cancel, pauses: done.pause, 'deferred at once': done.deferred },
  }
}

/** Everything in the ledger of a tenant without runs or uploads under way that does not add up. */
export async function ledgerFaults(house: Pick<House, 'rows' | 'one'>, tenantId: string): Promise<string[]> {
  const open = await house.rows<{ subject: string; name: string }>(
    'select subject, name from quota_entry where tenant_id = $1 and reserved <> used + released',
    [tenantId],
  )
  const drift = await house.rows<{ name: string }>(
    `select coalesce(l.name, e.name) as name
     from (select * from quota_ledger where tenant_id = $1 and name not in ('storageBytes', 'crmCallsPerDay')) l
       full join (select name, period, sum(used) as used, sum(reserved - used - released) as open from quota_entry
                  where tenant_id = $1 group by name, period) e using (name, period)
     where l.reserved <> 0 or l.used is distinct from e.used or e.open <> 0`,
    [tenantId],
  )
  const { settled, used } = await house.one<{ settled: string; used: string }>(
    `select (select coalesce(sum(run_settled(r)), 0) from run r where tenant_id = $1 and kind = 'IMPORT')::text as settled,
       (select coalesce(sum(used), 0) from quota_ledger where tenant_id = $1 and name = 'rowsPerDay')::text as used`,
    [tenantId],
  )
  return [
    ...open.map(({ subject, name }) => `${subject} still has a reservation of ${name}`),
    ...drift.map(({ name }) => `the ledger of ${name} is not the sum of its entries`),
    ...(settled === used ? [] : [`${settled} rows were settled, and ${used} counted`]),
  ]
}
