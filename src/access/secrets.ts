/**
 * Sealing of what must not be read in a dump: tokens of connected CRMs. Each tenant has a data key of its own, kept wrapped
 * by a master key that is never in the database. A sealed text is bound to its tenant and its purpose, so that a row's text
 * put in another row's place cannot be opened.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import type { MasterKeys } from '../config.js'
import { first, type Tx } from '../db/tx.js'
import { RetryableError } from '../errors.js'
import { Hidden } from '../hidden.js'
import { decodeUuid, encodeUuid, newId } from '../ids.js'

/** Stands in front of every sealed text; another way of sealing would have another. */
const VERSION = 'ptg1'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

/** Seals and opens texts of one tenant. Keys are read once; make a new one for each transaction or job. */
export interface Sealer {
  /** `ptg1.<data key>.<nonce, ciphertext and tag>`. Purpose: what the text is and whose, e.g. `integration <id> refresh token`. */
  seal(purpose: string, secret: Hidden): string
  /** Throws RetryableError SECRET_UNREADABLE: another tenant's or purpose's, changed, or its master key is not set. */
  open(purpose: string, sealed: string): Hidden
}

interface DataKeyRow {
  readonly id: string
  readonly master_key: string
  readonly wrapped: Buffer
}

/** The sealer of this transaction's tenant, whose first data key is made if there is none. */
export async function openSealer(tx: Tx, masters: MasterKeys): Promise<Sealer> {
  let rows = await dataKeys(tx)
  if (rows.length === 0) {
    const id = newId()
    const wrapped = encrypt(masterKey(masters, masters.current), wrapContext(tx.tenantId, id), randomBytes(KEY_BYTES))
    // Two processes may be the first at once: one row stands, which both read.
    await tx.query(
      `insert into data_key (tenant_id, id, ordinal, master_key, wrapped) values ($1, $2, 1, $3, $4)
       on conflict (tenant_id, ordinal) do nothing`,
      [tx.tenantId, id, masters.current, wrapped],
    )
    rows = await dataKeys(tx)
  }
  return sealerOf(tx.tenantId, rows, masters)
}

function sealerOf(tenantId: string, rows: readonly DataKeyRow[], masters: MasterKeys): Sealer {
  const unwrapped = new Map<string, Buffer>()
  const keyOf = (id: string): Buffer => {
    const known = unwrapped.get(id)
    if (known !== undefined) {
      return known
    }
    const row = rows.find((candidate) => candidate.id === id)
    if (row === undefined) {
      throw unreadable('the data key is not there')
    }
    const key = decrypt(masterKey(masters, row.master_key), wrapContext(tenantId, id), row.wrapped)
    unwrapped.set(id, key)
    return key
  }
  return {
    seal: (purpose, secret) => {
      const id = rows[0]?.id ?? ''
      const bytes = encrypt(keyOf(id), sealContext(tenantId, id, purpose), Buffer.from(secret.reveal()))
      return `${VERSION}.${encodeUuid(id)}.${bytes.toString('base64url')}`
    },
    open: (purpose, sealed) => {
      const [version, key = '', text = '', ...rest] = sealed.split('.')
      const id = decodeUuid(key)
      if (version !== VERSION || id === null || rest.length > 0) {
        throw unreadable('it is no sealed text')
      }
      const bytes = decrypt(keyOf(id), sealContext(tenantId, id, purpose), Buffer.from(text, 'base64url'))
      return new Hidden(bytes.toString())
    },
  }
}

/**
 * Wraps the data keys of this transaction's tenant with the current master key where they are wrapped with another. Answers
 * how many it wrapped. Sealed texts stay as they are and stay readable throughout.
 */
export async function rewrapDataKeys(tx: Tx, masters: MasterKeys): Promise<number> {
  const rows = await tx.query<DataKeyRow>(
    `select id, master_key, wrapped from data_key where tenant_id = $1 and master_key <> $2 order by ordinal for update`,
    [tx.tenantId, masters.current],
  )
  for (const row of rows) {
    const context = wrapContext(tx.tenantId, row.id)
    const key = decrypt(masterKey(masters, row.master_key), context, row.wrapped)
    await tx.query('update data_key set master_key = $3, wrapped = $4 where tenant_id = $1 and id = $2', [
      tx.tenantId,
      row.id,
      masters.current,
      encrypt(masterKey(masters, masters.current), context, key),
    ])
  }
  return rows.length
}

/** What a secret is recognised by without being kept, e.g. a state: its SHA-256. For random texts of 128 bits or more only. */
export function fingerprint(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

/** Master keys that data keys of this tenant are wrapped with. */
export async function masterKeysInUse(tx: Tx): Promise<readonly string[]> {
  const row = await first<{ names: string[] | null }>(
    tx,
    'select array_agg(distinct master_key order by master_key) as names from data_key where tenant_id = $1',
    [tx.tenantId],
  )
  return row?.names ?? []
}

function dataKeys(tx: Tx): Promise<DataKeyRow[]> {
  return tx.query<DataKeyRow>(
    'select id, master_key, wrapped from data_key where tenant_id = $1 order by ordinal desc',
    [tx.tenantId],
  )
}

function masterKey(masters: MasterKeys, id: string): Uint8Array {
  const key = Object.hasOwn(masters.byId, id) ? masters.byId[id] : undefined
  if (key === undefined) {
    throw unreadable(`the master key "${id}" is not in PORTAGE_MASTER_KEYS`)
  }
  return key
}

/** No part holds a zero byte, so two different contexts never read the same. */
const wrapContext = (tenantId: string, keyId: string): string => ['portage data key', tenantId, keyId].join('\0')
const sealContext = (tenantId: string, keyId: string, purpose: string): string =>
  ['portage sealed text', tenantId, keyId, purpose].join('\0')

function encrypt(key: Uint8Array, context: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Uint8Array, context: string, bytes: Buffer): Buffer {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) {
    throw unreadable('it is cut short')
  }
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()])
  } catch {
    // The cause says nothing, and nothing of it may be told.
    throw unreadable('it was changed, belongs elsewhere, or its key is another one')
  }
}

/** Mends itself where a master key was forgotten, hence no verdict for good. */
function unreadable(reason: string): RetryableError {
  return new RetryableError('SECRET_UNREADABLE', `A sealed secret cannot be opened: ${reason}.`)
}
