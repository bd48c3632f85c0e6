/** `portage audit export` and `portage audit verify`: the audit of a tenant as a file, and whether it is as it was written. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type AuditEntry, brokenLink, CHAIN_START, isSigned, linkHash } from '../access/audit.js'
import { ApiError } from './api.js'
import { only, parse, UsageError } from './arguments.js'
import type { Connect } from './commands.js'
import { counted, type Io } from './io.js'

/** Entries of one page. */
const PAGE = 500

const headQuery = '{ viewer { tenantId } auditHead { sequence hash signature keyId publicKey signedAt } }'

const entriesQuery = `query Entries($first: Int!, $after: String) { auditEntries(first: $first, after: $after) {
  nodes { id at actor action target detail { name value } sequence hash previousHash outcome ip userAgent requestId }
  pageInfo { hasNextPage endCursor } } }`

const verificationQuery = `query Verify($sequence: SafeInt, $hash: String) {
  auditVerification(sequence: $sequence, hash: $hash) { valid checked firstBrokenSequence } }`

interface Head {
  readonly sequence: number
  readonly hash: string
  readonly signature: string
  readonly keyId: string
  readonly publicKey: string
  readonly signedAt: string
}

interface Entry extends AuditEntry {
  readonly sequence: number | null
  readonly hash: string | null
  readonly previousHash: string | null
}

/** First line of a file; entries follow, one a line. */
interface Opening {
  readonly portageAudit: 1
  readonly tenant: string
  /** The link before the first one of the file; null or absent where the file begins with the chain. */
  readonly start?: { readonly sequence: number; readonly hash: string } | null
  readonly head: Head | null
}

/** What a file or a server is found to be. */
interface Finding {
  readonly valid: boolean
  readonly checked: number
  /** The first entry that was looked at, where it is not the first of the chain; else null. */
  readonly since: number | null
  readonly firstBrokenSequence: number | null
  /** Why; null where all is well or where the server said no more. */
  readonly reason: string | null
}

/** `portage audit`. */
export async function audit(args: readonly string[], connect: Connect, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    output: { type: 'string', short: 'o' },
    head: { type: 'string' },
    key: { type: 'string' },
    json: { type: 'boolean', default: false },
    url: { type: 'string' },
    token: { type: 'string' },
  })
  const [action, ...rest] = positionals
  if (action === 'export') {
    if (values.output === undefined || rest.length > 0) {
      throw new UsageError('audit export needs -o FILE: where the entries are to be written.')
    }
    return exportEntries(connect(values), values.output, io)
  }
  if (action !== 'verify') {
    throw new UsageError('audit is followed by export or verify.')
  }
  const head = values.head === undefined ? null : headOf(values.head)
  const path = rest.length === 0 ? null : only(rest, 'FILE')
  const found =
    path === null
      ? await verifyOnline(connect(values), head)
      : await verifyFile(path, { head, key: values.key ?? null })
  if (values.json) {
    io.out(JSON.stringify(found))
  } else if (found.valid) {
    const since = found.since === null ? '' : `, from entry ${found.since} on`
    io.out(`${counted(found.checked, 'entry', 'entries')} checked${since}, all as they were written.`)
  } else {
    const at = found.firstBrokenSequence === null ? '' : ` at entry ${found.firstBrokenSequence}`
    io.out(`The audit is broken${at}${found.reason === null ? '' : `: ${found.reason}`}.`)
  }
  return found.valid ? 0 : 1
}

function headOf(text: string): { readonly sequence: number; readonly hash: string } {
  const [, sequence = '', hash = ''] = /^(\d{1,15}):([0-9a-f]{64})$/i.exec(text) ?? []
  if (hash === '') {
    throw new UsageError('--head is SEQUENCE:HASH, as `auditHead` or the log told it.')
  }
  return { sequence: Number(sequence), hash: hash.toLowerCase() }
}

type Client = ReturnType<Connect>

async function exportEntries(api: Client, path: string, io: Io): Promise<number> {
  const { viewer, auditHead: head } = await api.run<{ viewer: { tenantId: string }; auditHead: Head | null }>(
    headQuery,
    {},
  )
  const file = await open(path, 'wx', 0o600)
  let count = 0
  try {
    const opening: Opening = { portageAudit: 1, tenant: viewer.tenantId, head }
    await file.write(`${JSON.stringify(opening)}\n`)
    let after: string | null = null
    for (;;) {
      const {
        auditEntries: page,
      }: { auditEntries: { nodes: Entry[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } } =
        await api.run(entriesQuery, { first: PAGE, after })
      // What was sealed after the head, or not yet, belongs to the next export.
      const kept = page.nodes.filter(({ sequence }) => sequence !== null && sequence <= (head?.sequence ?? 0))
      if (kept.length > 0) {
        await file.write(`${kept.map((entry) => JSON.stringify(entry)).join('\n')}\n`)
      }
      count += kept.length
      io.status(`${counted(count, 'entry', 'entries')} written`)
      if (!page.pageInfo.hasNextPage) {
        break
      }
      after = page.pageInfo.endCursor
    }
    await file.sync()
  } finally {
    await file.close()
  }
  io.status('')
  io.note(`${counted(count, 'entry', 'entries')} in ${path}`)
  if (head !== null) {
    io.out(`${head.sequence}:${head.hash}`)
  }
  return 0
}

async function verifyOnline(
  api: Client,
  head: { readonly sequence: number; readonly hash: string } | null,
): Promise<Finding> {
  const { auditVerification: found } = await api.run<{ auditVerification: Omit<Finding, 'reason' | 'since'> }>(
    verificationQuery,
    head ?? {},
  )
  return { ...found, since: null, reason: null }
}

interface Link {
  readonly sequence: number
  readonly previousHash: string
  readonly hash: string
  readonly changed: boolean
}

/**
 * Checks a file by itself: every entry against its hash, the chain from its first link to the head, and the head's signature.
 * The key in the file only tells that nobody without it made the head; `key` says whose it has to be.
 */
export async function verifyFile(
  path: string,
  against: { readonly head: { readonly sequence: number; readonly hash: string } | null; readonly key: string | null },
): Promise<Finding> {
  const links: Link[] = []
  let opening: Opening | null = null
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (opening === null) {
      opening = openingOf(line)
    } else if (line !== '') {
      links.push(linkOf(opening, line))
    }
  }
  if (opening === null) {
    throw new ApiError('NOT_AN_AUDIT', 'The file is empty.')
  }
  const { head, tenant } = opening
  links.sort((left, right) => left.sequence - right.sequence)
  const start = opening.start ?? { sequence: 0, hash: CHAIN_START }
  const since = start.sequence === 0 ? null : start.sequence + 1
  let before = start
  const broken = (reason: string): Finding => ({
    valid: false,
    checked: before.sequence - start.sequence,
    since,
    firstBrokenSequence: before.sequence + 1,
    reason,
  })
  if (against.head !== null && against.head.sequence < start.sequence) {
    return { ...broken('it begins after the head that you have kept'), firstBrokenSequence: null }
  }
  if (against.head?.sequence === start.sequence && against.head.hash !== start.hash) {
    return broken('it does not follow the head that you have kept')
  }
  for (const link of links) {
    const reason = link.changed ? 'its entry was changed' : brokenLink(before, link)
    if (reason !== null) {
      return broken(reason)
    }
    if (link.sequence === against.head?.sequence && link.hash !== against.head.hash) {
      return broken('it is not the one of the head that you have kept')
    }
    before = link
  }
  const reach = Math.max(head?.sequence ?? 0, against.head?.sequence ?? 0)
  if (before.sequence < reach) {
    return broken('the end was cut off')
  }
  if (head !== null) {
    const { publicKey, signedAt, ...rest } = head
    if (before.hash !== head.hash || !isSigned(publicKey, tenant, { ...rest, signedAt: new Date(signedAt) })) {
      return { ...broken('the head is not signed for this chain'), firstBrokenSequence: null }
    }
    if (against.key !== null && against.key !== publicKey) {
      return { ...broken('the head is signed with another key'), firstBrokenSequence: null }
    }
  }
  return { valid: true, checked: links.length, since, firstBrokenSequence: null, reason: null }
}

function openingOf(line: string): Opening {
  const opening = parsed(line) as Partial<Opening>
  if (opening.portageAudit !== 1 || typeof opening.tenant !== 'string') {
    throw new ApiError('NOT_AN_AUDIT', 'The file does not begin as an audit of Portage.')
  }
  const { tenant, head = null, start = null } = opening
  const isStart =
    start === null || (Number.isSafeInteger(start.sequence) && start.sequence >= 0 && /^[0-9a-f]{64}$/.test(start.hash))
  if (!isStart || (start?.sequence === 0 && start.hash !== CHAIN_START)) {
    throw new ApiError('NOT_AN_AUDIT', 'The file does not say where it begins.')
  }
  return { portageAudit: 1, tenant, start, head }
}

function linkOf({ tenant }: Opening, line: string): Link {
  const entry = parsed(line) as Entry
  const { sequence, previousHash, hash } = entry
  if (typeof sequence !== 'number' || typeof previousHash !== 'string' || typeof hash !== 'string') {
    throw new ApiError('NOT_AN_AUDIT', 'A line of the file is no sealed entry.')
  }
  const own = { ...entry, id: entry.id.replace(/^aud_/, '') }
  return { sequence, previousHash, hash, changed: linkHash(tenant, sequence, previousHash, own) !== hash }
}

function parsed(line: string): object {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) {
      return value
    }
  } catch {
    // Told below.
  }
  throw new ApiError('NOT_AN_AUDIT', 'A line of the file is no JSON object.')
}
