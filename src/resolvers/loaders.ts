/** Look-ups of one request, gathered: what a list's items ask for one by one is read in one statement. */

import {
  findRecords,
  type Identity,
  identitiesOf,
  provenanceOf,
  type RecordRow,
  type Touch,
} from '../adapters/crm/read.js'
import type { PoolTx } from '../db/database.js'
import { Member, SourceFile } from '../db/entities.js'
import type { RecordTypeName } from '../records/types.js'
import { lastRunsOf } from '../runs/export-templates.js'
import { findRun } from '../runs/read.js'
import type { RunRow } from '../runs/types.js'

type InTenant = <R>(work: (tx: PoolTx) => Promise<R>) => Promise<R>

/** Looks up one thing; calls of the same turn of the event loop share one statement. */
export type Loader<T> = (id: string) => Promise<T>

/** What an export has made. */
export interface ResultFile {
  readonly name: string
  readonly byteSize: number
  readonly rowCount: number | null
  readonly sha256: string
}

export interface Loaders {
  /** The record with this id; null where there is none. */
  record(type: RecordTypeName, id: string): Promise<RecordRow | null>
  provenance(type: RecordTypeName, id: string, limit: number): Promise<readonly Touch[]>
  identities(type: RecordTypeName, id: string): Promise<readonly Identity[]>
  /** The uploaded file with this id, purged ones included; null where there is none. */
  file: Loader<SourceFile | null>
  /** E-mail address of a member, inactive ones included; null where there is none. */
  memberEmail: Loader<string | null>
  /** What an import or a rollback is about; null where there is no such run. Remembered: it never changes. */
  recordTypeOfRun: Loader<RecordTypeName | null>
  /** The file that a run has made; null while there is none, and when its time is over. */
  resultOfRun: Loader<ResultFile | null>
  /** The newest export that was made from a template; null for none. */
  lastRunOfTemplate: Loader<RunRow | null>
}

export function createLoaders(inTenant: InTenant): Loaders {
  const byKey = new Map<string, Loader<unknown>>()
  const runTypes = new Map<string, Promise<RecordTypeName | null>>()
  const keyed = <T>(
    key: string,
    read: (tx: PoolTx, ids: readonly string[]) => Promise<ReadonlyMap<string, T>>,
    absent: T,
  ): Loader<T> => {
    const known = byKey.get(key) ?? gather(inTenant, read, absent)
    byKey.set(key, known)
    return known as Loader<T>
  }
  return {
    record: (type, id) => keyed<RecordRow | null>(`record ${type}`, (tx, ids) => findRecords(tx, type, ids), null)(id),
    provenance: (type, id, limit) =>
      keyed<readonly Touch[]>(`provenance ${type} ${limit}`, (tx, ids) => provenanceOf(tx, type, ids, limit), [])(id),
    identities: (type, id) =>
      keyed<readonly Identity[]>(`identities ${type}`, (tx, ids) => identitiesOf(tx, type, ids), [])(id),
    file: (id) =>
      keyed<SourceFile | null>(
        'file',
        async (tx, ids) => {
          const files = await tx.em.find(SourceFile, { tenantId: tx.tenantId, id: { $in: [...ids] } })
          return new Map(files.map((file) => [file.id, file]))
        },
        null,
      )(id),
    memberEmail: (id) =>
      keyed<string | null>(
        'member',
        async (tx, ids) => {
          const members = await tx.em.find(Member, { tenantId: tx.tenantId, id: { $in: [...ids] } })
          return new Map(members.map((member) => [member.id, member.email]))
        },
        null,
      )(id),
    recordTypeOfRun: (id) => {
      const known = runTypes.get(id) ?? keyed<RecordTypeName | null>('run', typesOfRuns, null)(id)
      runTypes.set(id, known)
      return known
    },
    resultOfRun: (id) => keyed<ResultFile | null>('result', resultsOfRuns, null)(id),
    lastRunOfTemplate: (id) => keyed<RunRow | null>('template', lastRunsOfTemplates, null)(id),
  }
}

async function typesOfRuns(tx: PoolTx, ids: readonly string[]): Promise<Map<string, RecordTypeName>> {
  const runs = await tx.query<{ id: string; record_type: RecordTypeName }>(
    'select id, record_type from run where tenant_id = $1 and id = any ($2::uuid[]) and record_type is not null',
    [tx.tenantId, ids],
  )
  return new Map(runs.map((run) => [run.id, run.record_type]))
}

async function resultsOfRuns(tx: PoolTx, ids: readonly string[]): Promise<Map<string, ResultFile>> {
  const files = await tx.query<ResultFile & { run: string }>(
    `select run_id as run, name, byte_size::float8 as "byteSize", row_count::float8 as "rowCount", sha256 from run_file
     where tenant_id = $1 and run_id = any ($2::uuid[]) and kind = 'RESULT' and expires_at > now()`,
    [tx.tenantId, ids],
  )
  return new Map(files.map(({ run, ...file }) => [run, file]))
}

async function lastRunsOfTemplates(tx: PoolTx, ids: readonly string[]): Promise<Map<string, RunRow>> {
  const found = new Map<string, RunRow>()
  for (const [template, id] of await lastRunsOf(tx, ids)) {
    const run = await findRun(tx, id)
    if (run !== null) {
      found.set(template, run)
    }
  }
  return found
}

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

function gather<T>(
  inTenant: InTenant,
  read: (tx: PoolTx, ids: readonly string[]) => Promise<ReadonlyMap<string, T>>,
  absent: T,
): Loader<T> {
  let waiting = new Map<string, Waiting<T>[]>()
  const flush = async (): Promise<void> => {
    const batch = waiting
    waiting = new Map()
    try {
      const found = await inTenant((tx) => read(tx, [...batch.keys()]))
      for (const [id, callers] of batch) {
        callers.forEach(({ resolve }) => resolve(found.get(id) ?? absent))
      }
    } catch (error) {
      for (const callers of batch.values()) {
        callers.forEach(({ reject }) => reject(error))
      }
    }
  }
  return (id) =>
    new Promise<T>((resolve, reject) => {
      if (waiting.size === 0) {
        // Not a microtask: all resolvers of one level have asked by the time this runs.
        setImmediate(() => void flush())
      }
      waiting.set(id, [...(waiting.get(id) ?? []), { resolve, reject }])
    })
}
