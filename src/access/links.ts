/** Download links: they work without other credentials, for a short time, and for exactly one object. */
import { createHmac, timingSafeEqual } from 'node:crypto'
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

/**
 * A link to `target` from `now` on, in milliseconds since 1970. The name is for people only: it is not signed and what it says is
 * not believed.
 */
export function makeLink(config: Config, target: LinkTarget, name: string, now = clockNow()): Link {
  const expires = Math.floor(now / 1000) + LINK_SECONDS
  const object = target.kind === 'template' ? target.object : encodeUuid(target.object)
  const claim = [target.kind, encodeUuid(target.tenantId), object, expires.toString(36)].join('.')
  return {
    url: `${config.publicUrl}${LINK_PATH}/${claim}.${sign(config, claim)}/${encodeURIComponent(name)}`,
    expiresAt: new Date(expires * 1000),
  }
}

/** What a link's signed part stands for at `now`; `ended` for one past its end, null for one that is changed or made up. */
export function readLink(config: Config, signed: string, now = clockNow()): LinkTarget | 'ended' | null {
  const cut = signed.lastIndexOf('.')
  const claim = signed.slice(0, Math.max(cut, 0))
  const given = Buffer.from(signed.slice(cut + 1))
  const right = Buffer.from(sign(config, claim))
  if (given.length !== right.length || !timingSafeEqual(given, right)) {
    return null
  }
  const [kind, tenant = '', object = '', expires = ''] = claim.split('.')
  const known = kinds.find((candidate) => candidate === kind)
  const tenantId = decodeUuid(tenant)
  const target = known === 'template' ? object : decodeUuid(object)
  if (known === undefined || tenantId === null || target === null) {
    return null
  }
  return Number.parseInt(expires, 36) * 1000 > now ? { kind: known, tenantId, object: target } : 'ended'
}

function sign(config: Config, claim: string): string {
  return createHmac('sha256', config.secret.key('link signing')).update(claim).digest('base64url')
}
