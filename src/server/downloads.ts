/** Downloads by signed links: the link is the permission. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { NextFunction, Request, Response } from 'express'
import type { AuditOutcome } from '../access/audit.js'
import { LINK_PATH, type LinkTarget, readLink } from '../access/links.js'
import { SourceFile } from '../db/entities.js'
import { first, withTenant } from '../db/tx.js'
import { encodeId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import type { Services } from '../resolvers/context.js'
import { failedRowsName, safeName, unprocessedRowsName } from '../resolvers/names.js'
import { templateNames } from '../resolvers/record-schema.js'
import { writeDeed } from './origin.js'
import { refuse } from './refuse.js'

/** Path pattern of links in the router. */
export const DOWNLOAD_ROUTE = `${LINK_PATH}/:signed/{:name}`

/** What we write ourselves, and what somebody uploaded: that is nothing a browser should try to show. */
const CSV_TYPE = 'text/csv; charset=utf-8'
const ANY_TYPE = 'application/octet-stream'

/** Types of files that runs have made, by the end of their names; no charset for CSV, which may have any. */
const typesByEnd: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  zip: 'application/zip',
  gz: 'application/gzip',
}

interface Download {
  readonly name: string
  readonly contentType: string
  readonly byteSize: number
  /** Strong: stored files never change. Null for what is made on the spot. */
  readonly etag: string | null
  open(start: number, end: number): Readable
}

/**
 * Answers a link with its file: 403 for what is no link of ours, 410 for one that has ended or whose file is no longer there. A
 * link is looked at when a download starts. `now`: milliseconds since 1970.
 */
export function downloads(services: Services, now: () => number = Date.now) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    try {
      const target = readLink(services.config, String(request.params.signed), String(request.params.name ?? ''), now())
      if (target === null) {
        refuse(
          response,
          403,
          'FORBIDDEN',
          'This link is none of ours, or it was changed: ask for a new one where you got it.',
        )
        return
      }
      if (target === 'ended') {
        refuse(response, 410, 'GONE', 'The link has ended: ask for a new one where you got it.')
        return
      }
      const download = await find(services, target)
      if (download === null) {
        await note(services, request, target, 'REFUSED').catch(() => undefined)
        refuse(response, 410, 'GONE', 'The file is no longer there: its time is over, or it has been replaced.')
        return
      }
      // Before the first byte: nothing is handed out whose entry could not be written.
      if (request.method !== 'HEAD') {
        await note(services, request, target, 'OK')
      }
      await send(request, response, download)
    } catch (error) {
      if (response.headersSent) {
        // The file ended early or the client left: a short body must not look like a whole one.
        response.destroy()
        return
      }
      next(error)
    }
  }
}

/** The entry of a download. Whoever has a link needs no other credentials: named is who asked for it. */
function note(services: Services, request: Request, target: LinkTarget, outcome: AuditOutcome): Promise<void> {
  const { kind, tenantId, object, actor } = target
  return writeDeed(services, tenantId, { actor, key: null }, request, {
    action: `download.${kind}`,
    target: kind === 'template' ? null : encodeId(kind === 'source' ? 'file' : 'run', object),
    outcome,
    detail: outcome === 'OK' ? { by: 'link' } : { by: 'link', code: 'GONE' },
  })
}

async function find(services: Services, { kind, tenantId, object }: LinkTarget): Promise<Download | null> {
  switch (kind) {
    case 'template':
      return template(services, tenantId, object)
    case 'source':
      return withTenant(services.database, tenantId, async (tx) => {
        const file = await tx.em.findOne(SourceFile, { tenantId, id: object, purgedAt: null })
        return file === null ? null : stored(services, file.storageKey, file.byteSize, file.sha256, file.name, ANY_TYPE)
      })
    case 'failed-rows':
    case 'unprocessed-rows':
      return withTenant(services.database, tenantId, async (tx) => {
        const file = await first<{ storage_key: string; byte_size: number; sha256: string; name: string }>(
          tx,
          `select f.storage_key, f.byte_size::float8 as byte_size, f.sha256, s.name from run_file f
           join run r on r.tenant_id = f.tenant_id and r.id = f.run_id
           join source_file s on s.tenant_id = r.tenant_id and s.id = r.source_file_id
           where f.tenant_id = $1 and f.run_id = $2 and f.kind = $3
             -- Rows that were applied since stand in the one before.
             and (f.kind <> 'FAILED_ROWS' or coalesce(f.made_with, '0') = r.closings::text)`,
          [tenantId, object, kind === 'failed-rows' ? 'FAILED_ROWS' : 'UNPROCESSED_ROWS'],
        )
        const nameOf = kind === 'failed-rows' ? failedRowsName : unprocessedRowsName
        return file === null
          ? null
          : stored(services, file.storage_key, file.byte_size, file.sha256, nameOf(file.name), CSV_TYPE)
      })
    case 'result':
    case 'report':
    case 'bundle':
      return withTenant(services.database, tenantId, async (tx) => {
        const file = await first<{ storage_key: string; byte_size: number; sha256: string; name: string }>(
          tx,
          `select storage_key, byte_size::float8 as byte_size, sha256, name from run_file
           where tenant_id = $1 and run_id = $2 and kind = $3 and expires_at > now()`,
          [tenantId, object, kind.toUpperCase()],
        )
        return file === null
          ? null
          : stored(services, file.storage_key, file.byte_size, file.sha256, file.name, typeOf(file.name))
      })
    default:
      return kind satisfies never
  }
}

function typeOf(name: string): string {
  return typesByEnd[/[^.]*$/.exec(name)?.[0].toLowerCase() ?? ''] ?? ANY_TYPE
}

async function stored(
  services: Services,
  key: string,
  byteSize: number,
  sha256: string,
  name: string,
  contentType: string,
): Promise<Download | null> {
  const { files } = services
  return (await files.stat(key)) === null
    ? null
    : { name, contentType, byteSize, etag: `"${sha256}"`, open: (start, end) => files.read(key, { start, end }) }
}

async function template(services: Services, tenantId: string, name: string): Promise<Download | null> {
  if (!Object.hasOwn(recordTypes, name)) {
    return null
  }
  const names = await withTenant(services.database, tenantId, (tx) => templateNames(tx, name as RecordTypeName))
  const bytes = Buffer.from(`${names.join(',')}\r\n`)
  return {
    name: `${name}-template.csv`,
    contentType: CSV_TYPE,
    byteSize: bytes.length,
    etag: null,
    open: (start, end) => Readable.from([bytes.subarray(start, end)]),
  }
}

async function send(request: Request, response: Response, download: Download): Promise<void> {
  response.setHeader('content-type', download.contentType)
  response.setHeader('content-disposition', attachment(download.name))
  response.setHeader('x-content-type-options', 'nosniff')
  // Should a browser show it all the same: nothing in it runs, and nothing is loaded.
  response.setHeader('content-security-policy', "default-src 'none'; sandbox")
  response.setHeader('cache-control', 'no-store')
  response.setHeader('accept-ranges', 'bytes')
  if (download.etag !== null) {
    response.setHeader('etag', download.etag)
  }
  const range = rangeOf(request, download)
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${download.byteSize}`)
    // What follows is an answer in JSON and no download.
    response.removeHeader('content-disposition')
    response.removeHeader('etag')
    refuse(response, 416, 'BAD_REQUEST', `The file has ${download.byteSize} bytes.`)
    return
  }
  const { start, end } = range ?? { start: 0, end: download.byteSize }
  response.status(range === null ? 200 : 206)
  response.setHeader('content-length', end - start)
  if (range !== null) {
    response.setHeader('content-range', `bytes ${start}-${end - 1}/${download.byteSize}`)
  }
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  await pipeline(download.open(start, end), response)
}

/** One range, as RFC 9110 section 14 has it; null for the whole file, also where several are asked for. */
function rangeOf(
  request: Request,
  { byteSize, etag }: Download,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.headers.range ?? '')
  const condition = request.headers['if-range']
  if (match === null || (condition !== undefined && condition !== etag)) {
    return null
  }
  const [, from = '', to = ''] = match
  if (from === '' && to === '') {
    return null
  }
  if (from !== '' && to !== '' && Number(to) < Number(from)) {
    // No range at all, says the RFC.
    return null
  }
  const start = from === '' ? Math.max(0, byteSize - Number(to)) : Number(from)
  const end = from === '' || to === '' ? byteSize : Math.min(Number(to) + 1, byteSize)
  return start >= byteSize || end <= start ? 'unsatisfiable' : { start, end }
}

/** RFC 6266: a plain name for old clients, the whole one in UTF-8 for the others; neither can leave the header or the folder. */
export function attachment(name: string): string {
  const safe = safeName(name)
  const plain = safe.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const encoded = encodeURIComponent(safe).replaceAll(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
