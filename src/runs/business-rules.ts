/** Business rules of a tenant: kept here, copied into a run when it is planned or starts, so that it goes on with what it began with. */
import { createHash } from 'node:crypto'
import { first, one, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { BUSINESS_RULES_MAX } from '../limits.js'
import type { BusinessRule } from '../pipeline/types.js'
import type { RecordTypeName } from '../records/types.js'

/** A rule as a tenant has it. */
export interface StoredRule extends BusinessRule {
  readonly recordType: RecordTypeName
  /** False: no import looks at it. */
  readonly active: boolean
}

const columns = 'id, record_type as "recordType", kind, fields, arguments, severity, message, active'

/** All rules, or those of one record type, oldest first. */
export function listRules(tx: Tx, recordType: RecordTypeName | null): Promise<StoredRule[]> {
  return tx.query<StoredRule>(
    `select ${columns} from business_rule where tenant_id = $1 and ($2::text is null or record_type = $2) order by record_type, created_at, id`,
    [tx.tenantId, recordType],
  )
}

/** The rule with this id; null where there is none. */
export function findRule(tx: Tx, id: string): Promise<StoredRule | null> {
  return first<StoredRule>(tx, `select ${columns} from business_rule where tenant_id = $1 and id = $2`, [
    tx.tenantId,
    id,
  ])
}

/** Adds a rule. Refuses LIMIT_EXCEEDED. */
export async function addRule(tx: Tx, rule: Omit<StoredRule, 'id'>, actor: string): Promise<StoredRule> {
  const { n } = await one<{ n: number }>(
    tx,
    'select count(*)::int as n from business_rule where tenant_id = $1 and record_type = $2',
    [tx.tenantId, rule.recordType],
  )
  if (n >= BUSINESS_RULES_MAX) {
    throw new Refusal('LIMIT_EXCEEDED', `A record type has at most ${BUSINESS_RULES_MAX} rules. Delete one first.`)
  }
  return one<StoredRule>(
    tx,
    `insert into business_rule (tenant_id, id, record_type, kind, fields, arguments, severity, message, active, created_by)
     values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10) returning ${columns}`,
    [tx.tenantId, newId(), rule.recordType, ...said(rule), actor],
  )
}

/** Puts other words into a rule. Null where there is none. */
export function changeRule(tx: Tx, rule: StoredRule): Promise<StoredRule | null> {
  return first<StoredRule>(
    tx,
    `update business_rule set kind = $3, fields = $4, arguments = $5::jsonb, severity = $6, message = $7, active = $8
     where tenant_id = $1 and id = $2 returning ${columns}`,
    [tx.tenantId, rule.id, ...said(rule)],
  )
}

function said(rule: Omit<StoredRule, 'id'>): unknown[] {
  return [rule.kind, [...rule.fields], JSON.stringify(rule.arguments), rule.severity, rule.message, rule.active]
}

/** False where there was none. */
export async function deleteRule(tx: Tx, id: string): Promise<boolean> {
  const gone = await tx.query('delete from business_rule where tenant_id = $1 and id = $2 returning id', [
    tx.tenantId,
    id,
  ])
  return gone.length > 0
}

/** The rules that a run obeys: plain data, and one text for one set of rules. */
export interface RunRules {
  readonly rules: readonly BusinessRule[]
  /** Empty where there are none. */
  readonly digest: string
}

/**
 * The rules of a run, which it keeps from its plan or its start on. With `anew` (a plan is being made) they are those of
 * today; otherwise those that it has, and those of today if it has none yet.
 */
export async function freezeRules(tx: Tx, runId: string, anew: boolean): Promise<RunRules> {
  const { rules } = await one<{ rules: BusinessRule[] }>(
    tx,
    `with frozen as (
       update run r set rules = ${today} where r.tenant_id = $1 and r.id = $2 and (r.rules is null or $3) returning r.rules)
     select rules from frozen
     union all select r.rules from run r where r.tenant_id = $1 and r.id = $2 and not exists (select from frozen)`,
    [tx.tenantId, runId, anew],
  )
  return { rules, digest: digestOf(rules) }
}

/** The active rules of today that the record type of a run has, as `freezeRules` would give them to it; it is given none. */
export async function rulesOfToday(tx: Tx, runId: string): Promise<RunRules> {
  const run = await first<{ rules: BusinessRule[] }>(
    tx,
    `select ${today} as rules from run r where r.tenant_id = $1 and r.id = $2`,
    [tx.tenantId, runId],
  )
  const rules = run?.rules ?? []
  return { rules, digest: digestOf(rules) }
}

/** SQL for the active rules of the record type of the run `r`, oldest first. */
const today = `coalesce((select jsonb_agg(jsonb_build_object('id', b.id, 'kind', b.kind, 'fields', b.fields, 'arguments', b.arguments,
  'severity', b.severity, 'message', b.message) order by b.created_at, b.id)
  from business_rule b where b.tenant_id = r.tenant_id and b.record_type = r.record_type and b.active), '[]')`

function digestOf(rules: readonly BusinessRule[]): string {
  if (rules.length === 0) {
    return ''
  }
  const plain = rules.map(({ id, kind, fields, arguments: given, severity, message }) => [
    id,
    kind,
    fields,
    given.map(({ name, value }) => [name, value]),
    severity,
    message,
  ])
  return createHash('sha256').update(JSON.stringify(plain)).digest('hex')
}
