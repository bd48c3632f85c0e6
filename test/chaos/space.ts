/** A disk that is full: the chunk that did not fit leaves nothing, the run waits, and goes on by itself. */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { House } from './house.js'
import { faultsOf, prepare, type Reference, type Result } from './scenarios.js'

/** After there is space again a run goes on within this. */
const BACK_MS = 30_000

/** Room for the records of before and some more, and then for all. MiB. */
const ROOM = { small: 0.45, large: 4 } as const

/** Bytes of a contact with its indexes, about. */
const RECORD_BYTES = 1500

/** Needs the right to mount; says so as a fault where there is none: a statement that was not tried is not met. */
export async function fullDisk(house: House, reference: Reference): Promise<Result> {
  const name = 'full disk [CS-8]'
  const folder = join(house.dataDir, `small-disk-${process.pid}`)
  const size = (part: number) => `size=${Math.ceil((reference.rows * RECORD_BYTES * part) / 2 ** 20)}m`
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', size(ROOM.small), 'tmpfs', folder])
  } catch (error) {
    return { name, faults: [`no small disk can be mounted here: ${String(error)}`], figures: {} }
  }
  const wrong: string[] = []
  let [waited, chunks] = [0, 0]
  const onDisk = async (space: string) => {
    await house.rows(`alter table contact set tablespace ${space}`)
    for (const { index } of await house.rows<{ index: string }>(
      "select indexrelid::regclass::text as index from pg_index where indrelid = 'contact'::regclass",
    )) {
      await house.rows(`alter index ${index} set tablespace ${space}`)
    }
  }
  try {
    const { uid, gid } = statSync(join(house.dataDir, 'postgres'))
    chownSync(folder, uid, gid)
    await house.rows(`create tablespace small_disk location '${folder}'`)
    await house.hire()
    const tenantId = await prepare(house, 'full disk', reference.base)
    // Other tenants' records would take the room: this one has its table for itself.
    await onDisk('small_disk').catch(async () => {
      execFileSync('mount', ['-o', `remount,${size(1)}`, folder])
      await onDisk('small_disk')
      const used = Number(execFileSync('df', ['--output=used', '-k', folder]).toString().split('\n')[1])
      execFileSync('mount', ['-o', `remount,size=${used + 2048}k`, folder])
    })
    await house.hire({ PORTAGE_CHUNK_ROWS: '1000' })
    const runId = await house.startImport(tenantId, reference.type, reference.file)
    const state = () =>
      house.one<{ status: string; reason: string | null; exact: boolean; chunks: number; attempts: number }>(
        `select r.status, r.status_reason ->> 'code' as reason, r.chunks::int as chunks, r.attempts,
           r.created = (select count(*) from contact c where c.tenant_id = $1 and c.created_run_id = $2) as exact
         from run r where r.tenant_id = $1 and r.id = $2`,
        [tenantId, runId],
      )
    // Twice, so that it has looked again in vain.
    for (const times of [1, 2]) {
      const paused = await house.until(`the run waits for space (${times})`, async () => {
        const found = await state()
        return found.status === 'PAUSED' || /^(COMPLETED|FAILED)/.test(found.status) ? found : null
      })
      if (paused.status !== 'PAUSED' || paused.reason !== 'PAUSED_STORAGE' || !paused.exact) {
        wrong.push(`without space the run is ${JSON.stringify(paused)}`)
      }
      chunks = paused.chunks
      await house.until('it has looked again', async () => ((await state()).status === 'PAUSED' ? null : true))
    }
    const at = performance.now()
    execFileSync('mount', ['-o', `remount,${size(ROOM.large)}`, folder])
    await house.until('the run goes on', async () => ((await state()).chunks > chunks ? true : null))
    waited = performance.now() - at
    if (waited > BACK_MS) {
      wrong.push(`it went on ${Math.round(waited)} ms after there was space again`)
    }
    await house.ended(tenantId, runId)
    const faults = await faultsOf(house, reference, { tenantId, runId })
    wrong.push(...faults)
  } finally {
    await house.dismiss()
    await onDisk('pg_default').catch((error: unknown) => wrong.push(String(error)))
    await house.rows('drop tablespace if exists small_disk').catch((error: unknown) => wrong.push(String(error)))
    await unmount(folder)
  }
  return {
    name,
    faults: wrong,
    figures: { rows: reference.rows, 'chunks before it was full': chunks, 'went on after ms': Math.round(waited) },
  }
}

/** The server may hold a file of it for a moment yet. */
async function unmount(folder: string): Promise<void> {
  for (let tries = 0; readFileSync('/proc/mounts', 'utf8').includes(folder) && tries < 20; tries++) {
    try {
      execFileSync('umount', [folder], { stdio: 'ignore' })
    } catch {
      await pause(250)
    }
  }
}
