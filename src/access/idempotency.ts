/** Starting something once, however often it is asked for: one key, one input, one result. */
import { createHash } from 'node:crypto'
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { IDEMPOTENCY_KEY_LENGTH_MAX } from '../limits.js'

export interface OnceRequest {
  /** Chosen by the caller; one name space per tenant. */
  readonly key: string
  /** Name of the mutation. */
  readonly operation: string
  /** What was asked for, a file replaced by its SHA-256; fields that are absent or null count as one. */
  readonly input: unknown
}

/**
 * Runs `create` and keeps the id that it answers under the key, in the caller's transaction: both or neither. A second
 * call with the same key and input answers the first one's id and creates nothing. Refuses IDEMPOTENCY_KEY_REUSED for
 * another input, INVALID_INPUT for a key that is empty or too long. A refusal by `create` leaves the key unused.
 */
export async function once(
  tx: Tx,
  request: OnceRequest,
  create: () => Promise<string>,
): Promise<{ readonly id: string; readonly repeated: boolean }> {
  const { key, operation } = request
  if (key.length === 0 || key.length > IDEMPOTENCY_KEY_LENGTH_MAX || key.includes('\0')) {
    throw new Refusal('INVALID_INPUT', `An idempotency key has 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} characters.`, [
      'idempotencyKey',
    ])
  }
  // Callers with one key take turns, so that the second finds the first one's result instead of doing its work again.
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`idempotency ${tx.tenantId} ${key}`])
  const hash = requestHash(operation, request.input)
  const known = await first<{ request_hash: string; result: { readonly id: string } }>(
    tx,
    'select request_hash, result from idempotency where tenant_id = $1 and key = $2',
    [tx.tenantId, key],
  )
  if (known !== null) {
    if (known.request_hash !== hash) {
      throw new Refusal(
        'IDEMPOTENCY_KEY_REUSED',
        'This idempotency key has been used with other input. Use a new key, or send the same input again.',
        ['idempotencyKey'],
      )
    }
    return { id: known.result.id, repeated: true }
  }
  const id = await create()
  const claimed = await tx.query(
    `insert into idempotency (tenant_id, key, operation, request_hash, result) values ($1, $2, $3, $4, $5::jsonb)
     on conflict do nothing returning key`,
    [tx.tenantId, key, operation, hash, JSON.stringify({ id })],
  )
  if (claimed.length === 0) {
    throw new Error('an idempotency key was claimed without its lock')
  }
  return { id, repeated: false }
}

function requestHash(operation: string, input: unknown): string {
  return createHash('sha256')
    .update(`${operation} ${canonical(input)}`)
    .digest('hex')
}

/** JSON with sorted keys and without what is null or absent. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(',')}]`
  }
  if (value instanceof Date) {
    return JSON.stringify(value)
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, member]) => member !== null && member !== undefined)
    const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
    return `{${sorted.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
  }
  return JSON.stringify(value ?? null)
}
