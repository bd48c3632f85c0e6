/** Download links: they work without other credentials, for a short time, and for exactly one object. */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import type { Config } from '../config.js'
import { decodeUuid, encodeUuid } from '../ids.js'
import { LINK_SECONDS } from '../limits.js'
import { clockNow } from './clock.js'

/**
 * `source`: an uploaded file; `failed-rows` and `unprocessed-rows`: those of an import; `result`, `report` and `bundle`: what a run
 * has made; `template`: the header of a record type.
 */
export type LinkKind = 'source' | 'failed-rows' | 'unprocessed-rows' | 'result' | 'report' | 'bundle' | 'template'

export interface LinkTarget {
  readonly kind: LinkKind
  readonly tenantId: string
  /** UUID of the file or the run, or the name of the record type. */
  readonly object: string
  /** Who it was made for, which the audit names; whoever has the link can use it. */
  readonly actor: string
}

export interface Link {
  readonly url: string
  readonly expiresAt: Date
}

/** Path below which the server answers links. */
export const LINK_PATH = '/files'

const kinds: readonly LinkKind[] = [
  'source',
  'failed-rows',
  'unprocessed-rows',
  'result',
  'report',
  'bundle',
  'template',
]

/** A link to `target` from `now` on, in milliseconds since 1970. The name is for people: what it says is not believed. */
export function makeLink(config: Config, target: LinkTarget, name: string, now = clockNow()): Link {
  const expires = Math.floor(now / 1000) + LINK_SECONDS
  const object = target.kind === 'template' ? target.object : encodeUuid(target.object)
  const about = [target.kind, encodeUuid(target.tenantId), object, expires.toString(36)].join('.')
  const claim = `${about}.${hide(config, about, target.actor)}`
  return {
    url: `${config.publicUrl}${LINK_PATH}/${claim}.${sign(config, claim, name)}/${encodeURIComponent(name)}`,
    expiresAt: new Date(expires * 1000),
  }
}

/**
 * What a link stands for at `now`, by its signed part and the name behind it; `ended` for one past its end, null for one that is
 * changed anywhere or made up.
 */
export function readLink(config: Config, signed: string, name: string, now = clockNow()): LinkTarget | 'ended' | null {
  const cut = signed.lastIndexOf('.')
  const claim = signed.slice(0, Math.max(cut, 0))
  const given = Buffer.from(signed.slice(cut + 1))
  const right = Buffer.from(sign(config, claim, name))
  if (given.length !== right.length || !timingSafeEqual(given, right)) {
    return null
  }
  const [kind = '', tenant = '', object = '', expires = '', hidden = ''] = claim.split('.')
  const known = kinds.find((candidate) => candidate === kind)
  const tenantId = decodeUuid(tenant)
  const target = known === 'template' ? object : decodeUuid(object)
  if (known === undefined || tenantId === null || target === null) {
    return null
  }
  if (Number.parseInt(expires, 36) * 1000 <= now) {
    return 'ended'
  }
  return { kind: known, tenantId, object: target, actor: reveal(config, hidden) }
}

function sign(config: Config, claim: string, name: string): string {
  return createHmac('sha256', config.secret.key('link signing')).update(`${claim}/${name}`).digest('base64url')
}

/** Bytes of what the text of an actor is hidden with. */
const IV_BYTES = 16

/**
 * An actor as nobody else can read it: addresses of people are not to stand in the logs of proxies. That it is not changed is the
 * signature's matter. What it is hidden with follows from the rest, so that the same link is the same text.
 */
function hide(config: Config, about: string, actor: string): string {
  const key = config.secret.key('link actors')
  const iv = createHmac('sha256', key).update(`${about}/${actor}`).digest().subarray(0, IV_BYTES)
  const cipher = createCipheriv('aes-256-ctr', key, iv)
  return Buffer.concat([iv, cipher.update(actor, 'utf8'), cipher.final()]).toString('base64url')
}

function reveal(config: Config, hidden: string): string {
  const bytes = Buffer.from(hidden, 'base64url')
  const decipher = createDecipheriv('aes-256-ctr', config.secret.key('link actors'), bytes.subarray(0, IV_BYTES))
  return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES)), decipher.final()]).toString('utf8')
}
