/**
 * Faults at named moments: a seed says what breaks where, in the API and in both workers, while a client uploads, imports,
 * rolls back and exports. Whatever breaks, one key makes one run, and what it leaves is what an undisturbed one leaves.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Failpoint, failpoints } from '../../src/failpoints.js'
import { decodeId, encodeId } from '../../src/ids.js'
import { type Arm, armsText, type FailpointAction, failpointArguments } from '../helpers/failpoints.js'
import { contactUpsert, newContacts, type TestFile, updatesOf } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import { differences, eventFaults, sinceSnapshot, snapshot } from './compare.js'
import { Front } from './front.js'
import type { House } from './house.js'
import { quantile } from './kills.js'
import type { Result } from './scenarios.js'

const ROWS = 300

/** Several chunks, so that there is something between the first and the last. */
const SETTINGS = { PORTAGE_CHUNK_ROWS: '100' }

/** An arm goes off at one of so many first times. */
const TIMES = 4

/** Delays outlast a lease, so they are rare. */
const ACTIONS: readonly FailpointAction[] = [
  ...Array.from({ length: 6 }, () => 'throw' as const),
  ...Array.from({ length: 6 }, () => 'drop' as const),
  ...Array.from({ length: 5 }, () => 'kill' as const),
  'delay',
]

/** A row is no moment between two steps; what becomes of one that cannot be processed is told elsewhere. */
const moments = failpoints.filter((name) => name !== 'read.row')

const CREATE =
  'mutation ($input: ImportCreateInput!) { importCreate(input: $input) { importRun { id } userErrors { code message } } }'
const ROLL_BACK =
  'mutation ($input: RunRollbackInput!) { runRollback(input: $input) { rollbackRun { id } userErrors { code message } } }'
const CANCEL = 'mutation ($input: RunInput!) { runCancel(input: $input) { userErrors { code message } } }'
const EXPORT =
  'mutation ($input: ExportCreateInput!) { exportCreate(input: $input) { exportRun { id } userErrors { code message } } }'

/** What breaks under this seed. */
export function armsOf(seed: number): Arm[] {
  const random = new Random(seed * 7919 + 1)
  // The first one goes through all moments in turn, so that a few dozen seeds have had each.
  return Array.from({ length: 1 + random.below(3) }, (_, i) => ({
    name: i === 0 ? (moments[seed % moments.length] ?? random.pick(moments)) : random.pick(moments),
    action: random.pick(ACTIONS),
    n: random.chance(0.6) ? 1 : 1 + random.below(TIMES),
  }))
}

function requestOf(file: TestFile, key: string): object {
  return {
    input: {
      recordType: 'CONTACT',
      idempotencyKey: key,
      mapping: Object.entries(file.map).map(([column, field]) => ({ column, field })),
    },
  }
}

/** Imports two files, the second over the first one's records; answers the second run's id. */
async function twoImports(
  house: House,
  front: Front,
  tenantId: string,
  token: string,
  [first, second]: readonly [TestFile, TestFile],
  key: string,
): Promise<{ readonly runId: string; readonly before: string }> {
  await imported(house, front, tenantId, token, first, `${key} 1`)
  const before = await snapshot(house, 'contact', tenantId)
  return { runId: await imported(house, front, tenantId, token, second, `${key} 2`), before }
}

async function imported(
  house: House,
  front: Front,
  tenantId: string,
  token: string,
  file: TestFile,
  key: string,
): Promise<string> {
  const { importCreate } = await front.ask(token, CREATE, requestOf(file, key), file.csv)
  if (importCreate.importRun === null) {
    throw new Error(`the import was refused: ${JSON.stringify(importCreate.userErrors)}`)
  }
  const runId = decodeId('run', importCreate.importRun.id as string)
  await house.ended(tenantId, runId)
  return runId
}

/** `seeds` runs, the first of them with `seed`. Each is a tenant of its own. */
export async function faults(house: House, seed: number, seeds: number): Promise<Result> {
  const log = join(house.dataDir, `failpoints-${seed}.log`)
  writeFileSync(log, '')
  const options = failpointArguments(log)
  await house.hire(SETTINGS, options)
  const front = await Front.open(house, { options })
  const files = [newContacts(seed, updatesOf(ROWS)), contactUpsert(seed + 1, ROWS)] as const
  const wrong: string[] = []
  const hits = new Map<string, number>()
  let hitSeeds = 0
  const times: number[] = []
  try {
    const reference = await house.tenant('undisturbed')
    const expected = {
      tenantId: reference,
      runId: (await twoImports(house, front, reference, await front.token(reference), files, 'reference')).runId,
    }
    for (let at = seed; at < seed + seeds; at++) {
      const arms = armsOf(at)
      const started = performance.now()
      const tenantId = await house.tenant(`seed ${at}`)
      const token = await front.token(tenantId)
      const from = readFileSync(log, 'utf8').length
      const arm = (text: string) => {
        for (const process of [front.process, ...house.crew.members]) {
          process.send({ type: 'failpoints', arms: text })
        }
      }
      const found: string[] = []
      arm(armsText(arms))
      try {
        found.push(...(await oneSeed(house, front, { tenantId, token, expected, files, at })))
      } catch (error) {
        found.push(error instanceof Error ? error.message.slice(0, 3000) : String(error))
      }
      arm('')
      times.push(performance.now() - started)
      const broken = readFileSync(log, 'utf8').slice(from).split('\n').filter(Boolean)
      hitSeeds += broken.length > 0 ? 1 : 0
      for (const hit of broken) {
        const what = hit.split(':').slice(0, 2).join(':')
        hits.set(what, (hits.get(what) ?? 0) + 1)
      }
      wrong.push(...found.map((fault) => `seed ${at} (${armsText(arms)}; went off: ${broken.join(', ')}): ${fault}`))
      if (wrong.length > 20) {
        break
      }
    }
  } finally {
    await front.close()
    await house.dismiss()
  }
  const names = new Set([...hits.keys()].map((hit) => hit.split(':')[0] as Failpoint))
  const counted = (action: FailpointAction) =>
    [...hits].reduce((sum, [hit, n]) => sum + (hit.endsWith(`:${action}`) ? n : 0), 0)
  return {
    name: 'faults at named moments [CS-10]',
    faults: wrong,
    figures: {
      seeds,
      'with a fault': hitSeeds,
      moments: moments.length,
      'moments that broke': names.size,
      thrown: counted('throw'),
      kills: counted('kill'),
      dropped: counted('drop'),
      delayed: counted('delay'),
      'asked again': front.retries,
      'seed p50 ms': Math.round(quantile(times, 0.5) ?? 0),
      'seed max ms': Math.round(quantile(times, 1) ?? 0),
      'never broken': moments.filter((name) => !names.has(name)).join(' '),
    },
  }
}

async function oneSeed(
  house: House,
  front: Front,
  {
    tenantId,
    token,
    expected,
    files,
    at,
  }: {
    readonly tenantId: string
    readonly token: string
    readonly expected: { readonly tenantId: string; readonly runId: string }
    readonly files: readonly [TestFile, TestFile]
    readonly at: number
  },
): Promise<string[]> {
  const { runId, before } = await twoImports(house, front, tenantId, token, files, 'key')
  const wrong = await differences(house, 'contact', expected, { tenantId, runId })
  const exported = await front.ask(token, EXPORT, { input: { recordType: 'CONTACT', idempotencyKey: 'key 3' } })
  const exportId = decodeId('run', exported.exportCreate.exportRun.id as string)
  const ended = await house.ended(tenantId, exportId)
  wrong.push(...(ended.status === 'COMPLETED' ? [] : [`the export is ${ended.status}`]))
  wrong.push(...(await exportFaults(house, tenantId, exportId)))
  if (at % 2 === 0) {
    const undone = await front.ask(token, ROLL_BACK, {
      input: { runId: encodeId('run', runId), idempotencyKey: 'key 4', onConflict: 'KEEP' },
    })
    const undoId = undone.runRollback.rollbackRun?.id as string | undefined
    if (undoId === undefined) {
      wrong.push(`the rollback was refused: ${JSON.stringify(undone.runRollback.userErrors)}`)
    } else {
      await house.ended(tenantId, decodeId('run', undoId))
      wrong.push(...(await sinceSnapshot(house, 'contact', tenantId, before, [], 'last_name')))
    }
  }
  if (at % 3 === 0) {
    // Canceled wherever it is: what was settled and what was not still add up, which the table checks.
    const { importCreate } = await front.ask(token, CREATE, requestOf(files[1], 'key 5'), files[1].csv)
    await front.ask(token, CANCEL, { input: { runId: importCreate.importRun.id } })
    const { status } = await house.ended(tenantId, decodeId('run', importCreate.importRun.id as string))
    wrong.push(...(/^(CANCELED|COMPLETED)/.test(status) ? [] : [`the canceled import is ${status}`]))
  }
  wrong.push(...(await eventFaults(house, tenantId)))
  const { runs } = await house.one<{ runs: number }>('select count(*)::int as runs from run where tenant_id = $1', [
    tenantId,
  ])
  const wanted = 3 + (at % 2 === 0 ? 1 : 0) + (at % 3 === 0 ? 1 : 0)
  if (runs !== wanted) {
    wrong.push(`${wanted} keys made ${runs} runs`)
  }
  return wrong
}

/** A file that is offered is whole: its sum is right, and it has a line for each record. */
async function exportFaults(house: House, tenantId: string, runId: string): Promise<string[]> {
  const files = await house.rows<{ key: string; rows: number }>(
    `select storage_key as key, row_count::int as rows from run_file where tenant_id = $1 and run_id = $2 and kind = 'RESULT'`,
    [tenantId, runId],
  )
  const { records } = await house.one<{ records: number }>(
    'select count(*)::int as records from contact where tenant_id = $1 and deleted_at is null',
    [tenantId],
  )
  const [file] = files
  if (file === undefined || files.length > 1) {
    return [`the export has ${files.length} files`]
  }
  const text = (await buffer(house.files.read(file.key))).toString()
  const ids = new Set([...text.matchAll(/^[^\n"]{0,200}?(con_[0-9A-Za-z_-]+)/gm)].map(([, id]) => id))
  return file.rows === records && (ids.size === 0 || ids.size === records)
    ? []
    : [`the export says ${file.rows} rows and has ${ids.size} of ${records} records`]
}
