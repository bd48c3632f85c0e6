/** Whether ids that stand in a file are those of records here. */
import type { Tx } from '../../db/tx.js'
import { first } from '../../db/tx.js'
import type { RecordTypeName } from '../../records/types.js'

/** Whether one of these UUIDs is a record of the tenant, be it deleted. */
export async function knowsOneOf(tx: Tx, type: RecordTypeName, ids: readonly string[]): Promise<boolean> {
  const found = await first(tx, `select id from ${type} where tenant_id = $1 and id = any ($2::uuid[]) limit 1`, [
    tx.tenantId,
    ids,
  ])
  return found !== null
}
