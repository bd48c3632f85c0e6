/**
 * Uploads that come in several requests: how far each has come, and where in the store its bytes are until it is whole.
 * A part counts from the commit that says so, and only where it begins exactly at what had arrived until then: so
 * requests that run at the same time, in whatever processes, cannot mix.
 */
import { first, type Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { newId } from '../ids.js'
import { UPLOAD_CLAIM_SECONDS, UPLOAD_PARTS_MAX, UPLOAD_SESSION_HOURS, UPLOAD_SESSIONS_MAX } from '../limits.js'

export interface UploadSession {
  readonly id: string
  readonly name: string
  readonly byteSize: number
  /** What the caller says that the whole file's SHA-256 is; lower-case hex. */
  readonly sha256: string
  /** Bytes that have arrived without a gap. */
  readonly offset: number
  readonly parts: number
  /** The file that it has become; null while it has not. */
  readonly fileId: string | null
  readonly expiresAt: Date
}

/** A stretch of the file in the store. */
export interface UploadPart {
  readonly start: number
  readonly byteSize: number
  readonly key: string
}

interface SessionRow {
  readonly id: string
  readonly name: string
  readonly byte_size: number
  readonly sha256: string
  readonly received: number
  readonly parts: number
  readonly file_id: string | null
  readonly expires_at: Date
}

/**
 * Opens a session and answers its id. The declared sizes of a tenant's open sessions may add up to `stagedBytesMax`;
 * beyond that, and beyond UPLOAD_SESSIONS_MAX sessions, refuses LIMIT_EXCEEDED.
 */
export async function openSession(
  tx: Tx,
  input: { readonly name: string; readonly byteSize: number; readonly sha256: string; readonly createdBy: string },
  stagedBytesMax: number,
): Promise<string> {
  // Sessions of one tenant are opened one after the other, so that together they keep to the cap.
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`upload sessions ${tx.tenantId}`])
  const open = await first<{ count: number; bytes: string }>(
    tx,
    `select count(*)::int as count, coalesce(sum(byte_size), 0)::text as bytes from upload_session
     where tenant_id = $1 and file_id is null and expires_at > now()`,
    [tx.tenantId],
  )
  if (Number(open?.bytes) + input.byteSize > stagedBytesMax || (open?.count ?? 0) >= UPLOAD_SESSIONS_MAX) {
    throw new Refusal(
      'LIMIT_EXCEEDED',
      `Uploads that are under way may have ${stagedBytesMax} bytes and be ${UPLOAD_SESSIONS_MAX} together. Complete or delete others first.`,
      ['byteSize'],
    )
  }
  const id = newId()
  await tx.query(
    `insert into upload_session (tenant_id, id, name, byte_size, sha256, created_by, expires_at)
     values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 hour')`,
    [tx.tenantId, id, input.name, input.byteSize, input.sha256, input.createdBy, UPLOAD_SESSION_HOURS],
  )
  return id
}

/** The session with this id, unless it has expired. */
export async function findSession(tx: Tx, id: string): Promise<UploadSession | null> {
  const row = await first<SessionRow>(
    tx,
    `select id, name, byte_size, sha256, received, parts, file_id, expires_at from upload_session
     where tenant_id = $1 and id = $2 and expires_at > now()`,
    [tx.tenantId, id],
  )
  return row === null
    ? null
    : {
        id: row.id,
        name: row.name,
        byteSize: row.byte_size,
        sha256: row.sha256,
        offset: row.received,
        parts: row.parts,
        fileId: row.file_id,
        expiresAt: row.expires_at,
      }
}

/** Gives a session its full time again; nothing for one that has expired. */
export async function keepSession(tx: Tx, id: string): Promise<void> {
  await tx.query(
    `update upload_session set expires_at = now() + $3 * interval '1 hour'
     where tenant_id = $1 and id = $2 and expires_at > now()`,
    [tx.tenantId, id, UPLOAD_SESSION_HOURS],
  )
}

/** Adds what has arrived. False where the session does not stand at the part's start (any more): nothing is added then. */
export async function appendPart(tx: Tx, id: string, part: UploadPart): Promise<boolean> {
  const moved = await tx.query(
    `update upload_session set received = received + $4, parts = parts + 1, expires_at = now() + $5 * interval '1 hour'
     where tenant_id = $1 and id = $2 and received = $3 and received + $4 <= byte_size and parts < $6
       and file_id is null and expires_at > now()
     returning id`,
    [tx.tenantId, id, part.start, part.byteSize, UPLOAD_SESSION_HOURS, UPLOAD_PARTS_MAX],
  )
  if (moved.length === 0) {
    return false
  }
  await tx.query(
    'insert into upload_part (tenant_id, session_id, start_byte, byte_size, storage_key) values ($1, $2, $3, $4, $5)',
    [tx.tenantId, id, part.start, part.byteSize, part.key],
  )
  return true
}

/** Where the bytes of a session are, in order. */
export async function partsOf(tx: Tx, id: string): Promise<UploadPart[]> {
  const rows = await tx.query<{ start_byte: number; byte_size: number; storage_key: string }>(
    `select start_byte, byte_size, storage_key from upload_part where tenant_id = $1 and session_id = $2
     order by start_byte`,
    [tx.tenantId, id],
  )
  return rows.map((row) => ({ start: row.start_byte, byteSize: row.byte_size, key: row.storage_key }))
}

/**
 * Claims the completion of a session for UPLOAD_CLAIM_SECONDS, or keeps the claim that `claimant` has. False where somebody
 * else holds it, or the session has been completed, has expired or is gone.
 */
export async function claimCompletion(tx: Tx, id: string, claimant: string): Promise<boolean> {
  // The clock of the statement: one that waited for another's claim must not judge it by the time it came.
  const claimed = await tx.query(
    `update upload_session set completing_by = $3, completing_until = clock_timestamp() + $4 * interval '1 second'
     where tenant_id = $1 and id = $2 and file_id is null and expires_at > now()
       and (completing_by = $3 or completing_until is null or completing_until < clock_timestamp())
     returning id`,
    [tx.tenantId, id, claimant, UPLOAD_CLAIM_SECONDS],
  )
  return claimed.length > 0
}

/** Gives a claim back, if `claimant` still holds it. */
export async function releaseCompletion(tx: Tx, id: string, claimant: string): Promise<void> {
  await tx.query(
    `update upload_session set completing_by = null, completing_until = null
     where tenant_id = $1 and id = $2 and completing_by = $3`,
    [tx.tenantId, id, claimant],
  )
}

/** Says what file the session has become. False where it has been completed, has expired or is gone. */
export async function closeSession(tx: Tx, id: string, fileId: string): Promise<boolean> {
  const closed = await tx.query(
    `update upload_session set file_id = $3
     where tenant_id = $1 and id = $2 and file_id is null and expires_at > now() returning id`,
    [tx.tenantId, id, fileId],
  )
  return closed.length > 0
}

/**
 * Ends a session that has become nothing: from now on there is none. Its parts are for `removeParts`, or housekeeping.
 * False where it has become a file, or had ended before.
 */
export async function endSession(tx: Tx, id: string): Promise<boolean> {
  // Not now(), which is when this transaction began: to one that began earlier the session would still be open.
  const ended = await tx.query(
    `update upload_session set expires_at = '-infinity'
     where tenant_id = $1 and id = $2 and file_id is null and expires_at > now() returning id`,
    [tx.tenantId, id],
  )
  return ended.length > 0
}

/** Forgets parts of a session whose bytes have been deleted: those, and none that came meanwhile. */
export async function removeParts(tx: Tx, id: string, keys: readonly string[]): Promise<void> {
  await tx.query('delete from upload_part where tenant_id = $1 and session_id = $2 and storage_key = any($3::text[])', [
    tx.tenantId,
    id,
    keys,
  ])
}

/** Keys of parts that nobody needs any more: of sessions that have expired or become a file. At most `limit` of them. */
export async function unneededParts(tx: Tx, limit: number): Promise<string[]> {
  const rows = await tx.query<{ storage_key: string }>(
    `select p.storage_key from upload_part p
     join upload_session s on s.tenant_id = p.tenant_id and s.id = p.session_id
     where p.tenant_id = $1 and (s.expires_at <= now() or s.file_id is not null) limit $2`,
    [tx.tenantId, limit],
  )
  return rows.map((row) => row.storage_key)
}

/** Forgets parts by their keys, once their bytes are gone, and expired sessions that have none left. */
export async function forgetParts(tx: Tx, keys: readonly string[]): Promise<void> {
  await tx.query('delete from upload_part where tenant_id = $1 and storage_key = any($2::text[])', [tx.tenantId, keys])
  await tx.query(
    `delete from upload_session s where s.tenant_id = $1 and s.expires_at <= now()
       and not exists (select from upload_part p where p.tenant_id = $1 and p.session_id = s.id)`,
    [tx.tenantId],
  )
}
