/**
 * The audit: one entry for each deed, written in its transaction and never changed; a chain of hashes that seals entries a
 * moment later; and signed heads of that chain, by which somebody outside can tell that nothing was cut off.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { Config } from '../config.js'
import { first, type Tx } from '../db/tx.js'
import { encodeId, encodeUuid } from '../ids.js'

/** `REFUSED`: the rules said no, and the code is in the detail. `DENIED`: the caller may not. `FAILED`: for a fault of ours. */
export type AuditOutcome = 'OK' | 'REFUSED' | 'DENIED' | 'FAILED'

/** Where a request came from. */
export interface Origin {
  readonly ip: string | null
  /** Cut to `AUDIT_USER_AGENT_CHARS_MAX`. */
  readonly userAgent: string | null
  readonly requestId: string
}

/** Who did it, and from where. */
export interface AuditCaller extends Origin {
  readonly actor: string
  /** The public id of the API key; null for a sign-in. */
  readonly key: string | null
}

/** What was done. Names and ids only: nothing that somebody has typed into a field belongs here. */
export interface Deed {
  readonly action: string
  /** The public id of what it was done to; null where there is none yet. */
  readonly target: string | null
  readonly outcome: AuditOutcome
  readonly detail: Readonly<Record<string, string>>
}

/** An entry as everyone sees it: what the chain is over, too. */
export interface AuditEntry {
  /** 26 characters; see `encodeUuid`. */
  readonly id: string
  /** ISO 8601 in UTC, with milliseconds. */
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly target: string | null
  readonly outcome: string
  /** By name. */
  readonly detail: readonly { readonly name: string; readonly value: string }[]
  readonly ip: string | null
  readonly userAgent: string | null
  readonly requestId: string | null
}

/** An entry with its link of the chain; the three are null until it is sealed. Hashes are 64 hexadecimal digits. */
export interface SealedEntry extends AuditEntry {
  readonly sequence: number | null
  readonly previousHash: string | null
  readonly hash: string | null
}

/** A signed statement of how far a chain goes. */
export interface AuditHead {
  readonly sequence: number
  readonly hash: string
  readonly keyId: string
  /** Ed25519 over `headText`, base64url. */
  readonly signature: string
  readonly signedAt: Date
}

/** What the chain of a tenant begins with. */
export const CHAIN_START = '0'.repeat(64)

/** What heads are signed with. Printing it shows no key. */
export interface AuditKeys {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** 43 characters: `x` of the key as a JWK. */
  readonly publicText: string
  readonly keyId: string
}

/** PKCS #8 for an Ed25519 key, before its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The key of this deployment. */
export function auditKeys(config: Pick<Config, 'secret'>): AuditKeys {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8, config.secret.key('audit signing')]),
    format: 'der',
    type: 'pkcs8',
  })
  const publicKey = createPublicKey(privateKey)
  const publicText = publicKey.export({ format: 'jwk' }).x ?? ''
  return { privateKey, publicKey, publicText, keyId: auditKeyId(publicText) }
}

/** The id of a public key. */
export function auditKeyId(publicText: string): string {
  return createHash('sha256').update(Buffer.from(publicText, 'base64url')).digest('hex').slice(0, 16)
}

/**
 * The hash of a link. Its bytes are those of one JSON array in this order, version first; changing anything here needs another
 * version. `tenant` is the public id.
 */
export function linkHash(tenant: string, sequence: number, previousHash: string, entry: AuditEntry): string {
  const bytes = JSON.stringify([
    'portage audit 1',
    tenant,
    sequence,
    previousHash,
    entry.id,
    entry.at,
    entry.actor,
    entry.action,
    entry.target,
    entry.outcome,
    entry.detail.map(({ name, value }) => [name, value]),
    entry.ip,
    entry.userAgent,
    entry.requestId,
  ])
  return createHash('sha256').update(bytes).digest('hex')
}

/** What the signature of a head is over. */
function headText(tenant: string, head: Pick<AuditHead, 'sequence' | 'hash' | 'signedAt'>): Buffer {
  return Buffer.from(`portage audit head 1\n${tenant}\n${head.sequence}\n${head.hash}\n${head.signedAt.toISOString()}`)
}

/** Signs how far a chain goes. */
export function signHead(
  keys: AuditKeys,
  tenant: string,
  at: { readonly sequence: number; readonly hash: string },
  signedAt: Date,
): AuditHead {
  const signature = sign(null, headText(tenant, { ...at, signedAt }), keys.privateKey).toString('base64url')
  return { sequence: at.sequence, hash: at.hash, keyId: keys.keyId, signature, signedAt }
}

/** Whether a head was signed with this key for this tenant. */
export function isSigned(publicText: string, tenant: string, head: AuditHead): boolean {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: publicText } })
  return (
    head.keyId === auditKeyId(publicText) &&
    verify(null, headText(tenant, head), key, Buffer.from(head.signature, 'base64url'))
  )
}

/** What is wrong with a link after the one before it, its entry aside; null where nothing is. */
export function brokenLink(
  before: { readonly sequence: number; readonly hash: string },
  link: { readonly sequence: number; readonly previousHash: string },
): string | null {
  if (link.sequence !== before.sequence + 1) {
    return `after ${before.sequence} comes ${link.sequence}`
  }
  return link.previousHash === before.hash ? null : 'it does not follow the one before it'
}

/**
 * Tells the database who is at work in this transaction, for what leaves entries by itself there: changes of status of runs. And the
 * trace that runs belong to which are made there; null for none.
 */
export async function tellCaller(tx: Tx, caller: AuditCaller, trace: string | null): Promise<void> {
  const { actor, key, ip, userAgent, requestId } = caller
  await tx.query("select set_config('app.audit', $1, true), set_config('app.trace', $2, true)", [
    JSON.stringify({ actor, key, ip, userAgent, requestId }),
    trace ?? '',
  ])
}

/**
 * Writes the entry of a deed, in its transaction. With `ifChanged` only where the transaction has changed or locked something;
 * answers whether it wrote.
 */
export async function writeEntry(tx: Tx, caller: AuditCaller, deed: Deed, ifChanged = false): Promise<boolean> {
  const rows = await tx.query(
    `insert into audit_entry (tenant_id, actor, action, target, outcome, detail, ip, user_agent, request_id)
     select $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::jsonb, $7::text, $8::text, $9::text
     where not $10::boolean or pg_current_xact_id_if_assigned() is not null
     returning id`,
    [
      tx.tenantId,
      caller.actor,
      deed.action,
      deed.target,
      deed.outcome,
      JSON.stringify(caller.key === null ? deed.detail : { ...deed.detail, key: caller.key }),
      caller.ip,
      caller.userAgent,
      caller.requestId,
      ifChanged,
    ],
  )
  return rows.length > 0
}

interface EntryRow {
  readonly id: string
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly target: string | null
  readonly outcome: string
  readonly detail: Readonly<Record<string, string>>
  readonly ip: string | null
  readonly user_agent: string | null
  readonly request_id: string | null
}

const entryColumns = 'e.id, e.at, e.actor, e.action, e.target, e.outcome, e.detail, e.ip, e.user_agent, e.request_id'

/** Changes of status of runs are written by the database, which knows no public ids. */
const RUN_STATUS = 'run.status'

function entryOf(row: EntryRow): AuditEntry {
  return {
    id: encodeUuid(row.id),
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    target: row.action === RUN_STATUS && row.target !== null ? encodeId('run', row.target) : row.target,
    outcome: row.outcome,
    detail: Object.keys(row.detail)
      .toSorted()
      .map((name) => ({ name, value: String(row.detail[name]) })),
    ip: row.ip,
    userAgent: row.user_agent,
    requestId: row.request_id,
  }
}

interface LinkRow {
  readonly sequence: number | null
  readonly previous_hash: string | null
  readonly hash: string | null
}

const linkColumns = "s.sequence, encode(s.previous_hash, 'hex') as previous_hash, encode(s.hash, 'hex') as hash"

/** Which entries a list has. */
export interface EntryFilter {
  readonly action: string | null
  readonly actor: string | null
}

/** Entries, newest first, after the one with this UUID; one more than `count` where there are more. */
export async function listEntries(
  tx: Tx,
  filter: EntryFilter,
  page: { readonly count: number; readonly afterId: string | null },
): Promise<SealedEntry[]> {
  const rows = await tx.query<EntryRow & LinkRow>(
    `select ${entryColumns}, ${linkColumns} from audit_entry e
       left join audit_seal s on s.tenant_id = e.tenant_id and s.entry_id = e.id
     where e.tenant_id = $1 and ($2::text is null or e.action = $2) and ($3::text is null or e.actor = $3)
       and ($4::uuid is null or e.id < $4)
     order by e.id desc limit $5`,
    [tx.tenantId, filter.action, filter.actor, page.afterId, page.count + 1],
  )
  return rows.map(sealedOf)
}

/** One entry; null where there is none with this UUID. */
export async function findEntry(tx: Tx, id: string): Promise<SealedEntry | null> {
  const row = await first<EntryRow & LinkRow>(
    tx,
    `select ${entryColumns}, ${linkColumns} from audit_entry e
       left join audit_seal s on s.tenant_id = e.tenant_id and s.entry_id = e.id
     where e.tenant_id = $1 and e.id = $2`,
    [tx.tenantId, id],
  )
  return row === null ? null : sealedOf(row)
}

function sealedOf(row: EntryRow & LinkRow): SealedEntry {
  return { ...entryOf(row), sequence: row.sequence, previousHash: row.previous_hash, hash: row.hash }
}

/** A stretch of a chain: the link before its first one, and its last. */
export interface AuditStretch {
  readonly start: { readonly sequence: number; readonly hash: string }
  readonly end: { readonly sequence: number; readonly hash: string }
}

/**
 * The links of the entries from one moment on and before another; null for no such end. Entries are sealed almost in the order of
 * their times: the stretch reaches from the first to the last that is meant, with all that lies between. Null where there is none.
 */
export async function auditStretch(
  tx: Tx,
  { from, to }: { readonly from: Date | null; readonly to: Date | null },
): Promise<AuditStretch | null> {
  const bounds = await first<{ low: number | null; high: number | null }>(
    tx,
    `select min(s.sequence) filter (where $2::timestamptz is null or e.at >= $2) as low,
       max(s.sequence) filter (where $3::timestamptz is null or e.at < $3) as high
     from audit_seal s join audit_entry e on e.tenant_id = s.tenant_id and e.id = s.entry_id where s.tenant_id = $1`,
    [tx.tenantId, from, to],
  )
  const { low, high } = bounds ?? { low: null, high: null }
  if (low === null || high === null || low > high) {
    return null
  }
  const links = await tx.query<{ sequence: number; previous_hash: string; hash: string }>(
    `select sequence, encode(previous_hash, 'hex') as previous_hash, encode(hash, 'hex') as hash from audit_seal
     where tenant_id = $1 and sequence in ($2, $3) order by sequence`,
    [tx.tenantId, low, high],
  )
  const [begin, end] = [links.at(0), links.at(-1)]
  if (begin === undefined || end === undefined) {
    throw new Error('links of the audit went while they were read')
  }
  return {
    start: { sequence: low - 1, hash: begin.previous_hash },
    end: { sequence: high, hash: end.hash },
  }
}

/** Sealed entries behind one link up to another, in the order of the chain, at most `count`. */
export async function sealedBetween(tx: Tx, after: number, upTo: number, count: number): Promise<SealedEntry[]> {
  const rows = await tx.query<EntryRow & LinkRow>(
    `select ${entryColumns}, ${linkColumns} from audit_seal s
       join audit_entry e on e.tenant_id = s.tenant_id and e.id = s.entry_id
     where s.tenant_id = $1 and s.sequence > $2 and s.sequence <= $3 order by s.sequence limit $4`,
    [tx.tenantId, after, upTo, count],
  )
  return rows.map(sealedOf)
}

/** Whether an entry that is this old, or older, waits to be sealed. */
export async function waitsForSeal(tx: Tx, at: Date): Promise<boolean> {
  const waiting = await first(
    tx,
    `select from audit_pending p join audit_entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
     where p.tenant_id = $1 and e.at <= $2 limit 1`,
    [tx.tenantId, at],
  )
  return waiting !== null
}

/** Entries that one transaction seals. */
const SEALED_AT_ONCE = 1000

/** First key of the locks that let one worker at a time seal a tenant. */
const SEAL_LOCKS = 7_270_436

/**
 * Seals what waits, some of it, and answers how many entries that were: 0 also where another worker is at it. Should two ever
 * be at it at once, the key of the chain lets one of them through.
 */
export async function sealEntries(tx: Tx): Promise<number> {
  const lock = await first<{ taken: boolean }>(
    tx,
    'select pg_try_advisory_xact_lock($1, hashtext($2::text)) as taken',
    [SEAL_LOCKS, tx.tenantId],
  )
  if (lock?.taken !== true) {
    return 0
  }
  // After the lock: a statement sees what was committed before it began, the chain of the worker before included.
  const waiting = await tx.query<EntryRow>(
    `select ${entryColumns} from audit_pending p join audit_entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
     where p.tenant_id = $1 order by p.entry_id limit ${SEALED_AT_ONCE}`,
    [tx.tenantId],
  )
  if (waiting.length === 0) {
    return 0
  }
  const tenant = encodeId('tenant', tx.tenantId)
  const tail = await chainTail(tx)
  let { sequence, hash } = tail
  const links = waiting.map((row) => {
    const previous = hash
    sequence += 1
    hash = linkHash(tenant, sequence, previous, entryOf(row))
    return { id: row.id, previous, hash }
  })
  await tx.query(
    `with link as (
       insert into audit_seal (tenant_id, sequence, entry_id, previous_hash, hash)
       select $1, $2::bigint + l.position, l.id, decode(l.previous, 'hex'), decode(l.hash, 'hex')
       from unnest($3::uuid[], $4::text[], $5::text[]) with ordinality l (id, previous, hash, position))
     delete from audit_pending where tenant_id = $1 and entry_id = any ($3::uuid[])`,
    [
      tx.tenantId,
      tail.sequence,
      links.map(({ id }) => id),
      links.map(({ previous }) => previous),
      links.map((link) => link.hash),
    ],
  )
  return links.length
}

/** The last link of the chain; 0 and `CHAIN_START` for an empty one. */
export async function chainTail(tx: Tx): Promise<{ readonly sequence: number; readonly hash: string }> {
  const row = await first<{ sequence: number; hash: string }>(
    tx,
    "select sequence, encode(hash, 'hex') as hash from audit_seal where tenant_id = $1 order by sequence desc limit 1",
    [tx.tenantId],
  )
  return row ?? { sequence: 0, hash: CHAIN_START }
}

/** The newest head that was kept; null for none. */
export async function keptHead(tx: Tx): Promise<AuditHead | null> {
  const [head] = await keptHeads(tx, 1)
  return head ?? null
}

async function keptHeads(tx: Tx, count: number | null): Promise<AuditHead[]> {
  const rows = await tx.query<{ sequence: number; hash: string; key_id: string; signature: Buffer; signed_at: Date }>(
    `select sequence, encode(hash, 'hex') as hash, key_id, signature, signed_at from audit_head
     where tenant_id = $1 order by sequence desc limit $2`,
    [tx.tenantId, count],
  )
  return rows.map(({ sequence, hash, key_id: keyId, signature, signed_at: signedAt }) => ({
    sequence,
    hash,
    keyId,
    signature: Buffer.from(signature).toString('base64url'),
    signedAt,
  }))
}

/** Signs how far the chain goes and keeps it; null where there is nothing to sign, or nothing new. */
export async function keepHead(tx: Tx, keys: AuditKeys, now: Date): Promise<AuditHead | null> {
  const [tail, kept] = [await chainTail(tx), await keptHead(tx)]
  if (tail.sequence === 0 || tail.sequence === kept?.sequence) {
    return null
  }
  const head = signHead(keys, encodeId('tenant', tx.tenantId), tail, now)
  const rows = await tx.query(
    `insert into audit_head (tenant_id, sequence, hash, key_id, signature, signed_at)
     values ($1, $2, decode($3, 'hex'), $4, $5, $6) on conflict do nothing returning sequence`,
    [tx.tenantId, head.sequence, head.hash, head.keyId, Buffer.from(head.signature, 'base64url'), head.signedAt],
  )
  return rows.length === 0 ? null : head
}

/** What a check of a chain has found. */
export interface Verification {
  readonly valid: boolean
  /** Links that were looked at. */
  readonly checked: number
  /** The first link that is not as it was written; null where all are. One past the end: something is missing there. */
  readonly firstBrokenSequence: number | null
}

/** Links that one statement reads. */
const VERIFIED_AT_ONCE = 2000

/**
 * Checks the chain of a tenant: every link and its entry, the heads that were kept, and that no entry stands beside the chain.
 * With `from`, a head that somebody has kept outside, links are checked from that one on.
 */
export async function verifyChain(
  tx: Tx,
  keys: AuditKeys,
  from: { readonly sequence: number; readonly hash: string } | null = null,
): Promise<Verification> {
  const tenant = encodeId('tenant', tx.tenantId)
  // What is sealed while this reads is left to the next check.
  const end = await chainTail(tx)
  const heads = (await keptHeads(tx, null)).toReversed()
  const broken = (firstBrokenSequence: number, checked: number): Verification => ({
    valid: false,
    checked,
    firstBrokenSequence,
  })
  const wrongHead = (sequence: number, hash: string): boolean => {
    const head = heads.find((candidate) => candidate.sequence === sequence)
    // One that another key signed, before the secret was changed, still says which hash was there.
    return (
      head !== undefined &&
      (head.hash !== hash || (head.keyId === keys.keyId && !isSigned(keys.publicText, tenant, head)))
    )
  }
  let before = { sequence: 0, hash: CHAIN_START }
  let checked = 0
  if (from !== null && from.sequence > 0) {
    if (from.sequence > end.sequence) {
      return broken(end.sequence + 1, checked)
    }
    const link = await first<{ hash: string }>(
      tx,
      "select encode(hash, 'hex') as hash from audit_seal where tenant_id = $1 and sequence = $2",
      [tx.tenantId, from.sequence],
    )
    if (link?.hash !== from.hash) {
      return broken(from.sequence, checked)
    }
    before = { sequence: from.sequence, hash: from.hash }
  }
  while (before.sequence < end.sequence) {
    const rows = await tx.query<Omit<EntryRow, 'id'> & LinkRow & { id: string | null }>(
      `select ${entryColumns}, ${linkColumns} from audit_seal s
         left join audit_entry e on e.tenant_id = s.tenant_id and e.id = s.entry_id
       where s.tenant_id = $1 and s.sequence > $2 and s.sequence <= $3 order by s.sequence limit ${VERIFIED_AT_ONCE}`,
      [tx.tenantId, before.sequence, end.sequence],
    )
    for (const row of rows) {
      const link = { sequence: row.sequence ?? 0, previousHash: row.previous_hash ?? '', hash: row.hash ?? '' }
      const entry = row.id === null ? null : entryOf({ ...row, id: row.id })
      if (
        entry === null ||
        brokenLink(before, link) !== null ||
        linkHash(tenant, link.sequence, link.previousHash, entry) !== link.hash ||
        wrongHead(link.sequence, link.hash)
      ) {
        return broken(before.sequence + 1, checked)
      }
      before = link
      checked += 1
    }
    if (rows.length === 0) {
      return broken(before.sequence + 1, checked)
    }
  }
  const last = heads.at(-1)
  if (last !== undefined && last.sequence > end.sequence) {
    return broken(end.sequence + 1, checked)
  }
  const beside = await first(
    tx,
    `select from audit_entry e where e.tenant_id = $1
       and not exists (select from audit_seal s where s.tenant_id = $1 and s.entry_id = e.id)
       and not exists (select from audit_pending p where p.tenant_id = $1 and p.entry_id = e.id) limit 1`,
    [tx.tenantId],
  )
  return beside === null ? { valid: true, checked, firstBrokenSequence: null } : broken(end.sequence + 1, checked)
}
