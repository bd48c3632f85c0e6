/** Rows that nobody gets past: one throws, one never ends, one takes all memory. Each fails alone, and soon. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Arm, type FailpointAction, failpointArguments } from '../helpers/failpoints.js'
import { newContacts, type TestFile } from '../helpers/files.js'
import type { House } from './house.js'
import type { Result } from './scenarios.js'

/** All that the poison of one file may cost. Seconds. */
const LOST_SECONDS = 60

/** What other runs keep of their speed, at least. */
const OTHERS_KEEP = 0.8

/** Imports `rows` contacts, some rows of which do this to whoever reads them, beside an import of a neighbour. */
export async function poison(
  house: House,
  rows: number,
  actions: readonly FailpointAction[],
  seed: number,
): Promise<Result> {
  const log = join(house.dataDir, 'poison.log')
  writeFileSync(log, '')
  const file = newContacts(seed, rows)
  // Line 1 is the header; in the middle of each part of the file.
  const arms: Arm[] = actions.map((action, i) => ({
    name: 'read.row',
    action,
    n: 2 + Math.floor(((i + 0.5) * rows) / actions.length),
  }))
  await house.hire()
  const sound = await besideNeighbour(house, file, seed)
  await house.hire({}, failpointArguments(log, arms))
  const { tenantId, runId, status, seconds, neighbourSeconds } = await besideNeighbour(house, file, seed)
  const wrong = house.crew.losses.map((loss) => `a process ended by itself: ${loss.slice(-1000)}`)
  const counts = await house.one<{ created: number; failed: number; total: number; attempts: number }>(
    'select created::int, failed::int, total::int, attempts from run where tenant_id = $1 and id = $2',
    [tenantId, runId],
  )
  const issues = await house.rows<{ row: number; code: string; message: string }>(
    'select row_number::int as row, code, message from run_issue where tenant_id = $1 and run_id = $2 order by row_number',
    [tenantId, runId],
  )
  if (status !== 'COMPLETED_WITH_ERRORS' || counts.created !== rows - arms.length || counts.failed !== arms.length) {
    wrong.push(`the import is ${status}: ${JSON.stringify(counts)}`)
  }
  if (issues.map(({ row, code }) => `${row} ${code}`).join() !== arms.map(({ n }) => `${n} INTERNAL`).join()) {
    wrong.push(`the issues are ${JSON.stringify(issues)}`)
  }
  const lost = seconds - sound.seconds
  if (lost > LOST_SECONDS) {
    wrong.push(`the poison cost ${Math.round(lost)} s`)
  }
  if (actions.includes('loop') && sound.neighbourSeconds / neighbourSeconds < OTHERS_KEEP) {
    wrong.push(`a neighbour took ${neighbourSeconds} s beside it, and ${sound.neighbourSeconds} s beside a sound one`)
  }
  await house.dismiss()
  return {
    name: `rows that ${actions.join(', ')} [CS-6]`,
    faults: wrong,
    figures: {
      rows,
      poisoned: arms.length,
      seconds,
      'without poison s': sound.seconds,
      'neighbour s': neighbourSeconds,
      'neighbour without poison s': sound.neighbourSeconds,
    },
  }
}

/** Too few to reach the first poisoned row. */
const NEIGHBOUR_ROWS = 10_000

/** Imports the file, and meanwhile a smaller one of somebody else's. */
async function besideNeighbour(house: House, file: TestFile, seed: number) {
  const tenantId = await house.tenant('one')
  const other = await house.tenant('neighbour')
  const small = newContacts(seed, Math.min(NEIGHBOUR_ROWS, Math.floor(file.rows / 8)))
  const started = performance.now()
  const since = () => Math.round((performance.now() - started) / 100) / 10
  const runId = await house.startImport(tenantId, 'contact', file)
  await house.import(other, 'contact', small)
  const neighbourSeconds = since()
  const { status } = await house.ended(tenantId, runId)
  return { tenantId, runId, status, seconds: since(), neighbourSeconds }
}
