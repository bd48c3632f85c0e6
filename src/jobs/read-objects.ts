/**
 * Reads the objects of a migration in load order: each page by page, then counted against what the service says it has. What
 * is missing is looked for by id; a gap that stays is told and never passed over.
 */
import { createInterface } from 'node:readline'
import type { VendorObject } from '../adapters/vendor.js'
import { withTenant } from '../db/tx.js'
import type { MigrationObjectRow } from '../runs/migrations.js'
import {
  assemble,
  DERIVED,
  deletedInPages,
  type Extraction,
  type ExtractionEnd,
  extractPages,
  finishPass,
} from './extract-object.js'
import type { MigrationWork } from './run-migration.js'

export type ReadingEnd =
  | ExtractionEnd
  /** The service says that there is more than it gives; a person has to know. */
  | { readonly kind: 'incomplete'; readonly message: string }

/** A share of all records that is gone at once is more likely a fault than a wish: it is asked about. From tap-salesforce's and HubSpot's own guards. */
const DELETED_SHARE_MAX = 0.2

/** Whether so many of the records that are known lack at the service that somebody should look first. */
export function isMuchGone(gone: number, known: number): boolean {
  return gone > 10 && gone > known * DELETED_SHARE_MAX
}

/** What the state of an object says while its sample is made whole: the sample itself has been read. */
const CLOSING = { closing: true } as const

export async function readObjects(work: MigrationWork, begun: number): Promise<ReadingEnd> {
  const { migration, objects } = work
  const unread = objects.filter(({ extractedPass }) => extractedPass !== migration.pass)
  const sampled = migration.pass === 0 && objects.some(({ sampleSize }) => sampleSize !== null)
  const ready: Extraction[] = []
  for (const object of unread) {
    const end = await readOne({ ...work, object }, begun)
    if (end.kind !== 'done') {
      return end
    }
    ready.push({ ...work, object })
  }
  if (sampled) {
    const end = await closeSample(work)
    if (end.kind !== 'done') {
      return end
    }
  }
  for (const one of ready) {
    const end = await finish(one)
    if (end.kind !== 'done') {
      return end
    }
  }
  return { kind: 'done' }
}

function isClosing(state: unknown): boolean {
  return typeof state === 'object' && state !== null && 'closing' in state
}

/** All pages of one object, or of its sample. */
async function readOne(one: Extraction, begun: number): Promise<ExtractionEnd> {
  const { migration, object } = one
  if (isClosing(object.state)) {
    return { kind: 'done' }
  }
  const end = await extractPages(one, {
    fields: fieldsOf(object),
    since: migration.pass === 0 ? null : object.watermark,
    until: migration.windowUntil ?? '',
    ids: null,
    most: migration.pass === 0 ? object.sampleSize : null,
    begun,
  })
  if (end.kind === 'done') {
    await mark(one, CLOSING)
  }
  return end
}

/** Everything that can be read, so that another mapping needs no other reading. */
function fieldsOf(object: MigrationObjectRow<VendorObject>): string[] {
  return (object.descriptor?.fields ?? []).map(({ name }) => name).filter((name) => !name.startsWith(`${DERIVED}.`))
}

async function mark({ context, claim, object }: Extraction, state: object): Promise<void> {
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query(`update migration_object set state = $4::jsonb where tenant_id = $1 and run_id = $2 and object = $3`, [
        tx.tenantId,
        claim.runId,
        object.object,
        JSON.stringify(state),
      ]),
    ),
  )
}

/** Counts what was read, looks for what is missing, and makes the files of the pass. */
async function finish(one: Extraction): Promise<ReadingEnd> {
  const { migration, object } = one
  const whole = migration.pass === 0 && object.sampleSize === null && object.filter === null
  if (whole) {
    const end = await complete(one)
    if (end.kind !== 'done') {
      return end
    }
  }
  const deleted = migration.pass === 0 ? { kind: 'ids' as const, ids: [] } : await deletedSince(one)
  if (deleted.kind !== 'ids') {
    return deleted
  }
  if (deleted.ids.length > 0) {
    await noteGone(one, deleted.ids)
  }
  const files = await assemble(one, migration.pass === 0 ? [] : await deletedInPages(one))
  await finishPass(one, files, one.context.fileRetentionDays)
  return { kind: 'done' }
}

/** Whether the service still says that it has more records than it listed. */
async function countsMore({ adapter, api, object, lost }: Extraction, listed: number): Promise<boolean> {
  const counted = object.descriptor === null ? null : await adapter.count(api, object.descriptor, lost, listed)
  return counted?.exact === true && listed < counted.count
}

/** Whether the pages hold every record that the service has; those that they lack are read by id. */
async function complete(one: Extraction): Promise<ReadingEnd> {
  const { adapter, api, object, lost, migration } = one
  const descriptor = object.descriptor
  if (descriptor === null) {
    throw new Error(`nobody has looked at ${object.object}`)
  }
  const known = await knownIds(one)
  const counted = await adapter.count(api, descriptor, lost, known.size)
  if (counted.exact ? counted.count === known.size : adapter.readsWhole?.(descriptor) === true) {
    return { kind: 'done' }
  }
  const missing = new Set<string>()
  let there = 0
  for await (const page of adapter.listIds(api, descriptor, lost)) {
    for (const id of page) {
      there += 1
      if (!known.has(id)) {
        missing.add(id)
      }
    }
  }
  if (missing.size > 0) {
    const end = await extractPages(
      { ...one, object: { ...object, state: null } },
      {
        fields: fieldsOf(object),
        since: null,
        until: migration.windowUntil ?? '',
        ids: [...missing],
        most: null,
        begun: null,
      },
    )
    if (end.kind !== 'done') {
      return end
    }
    await mark(one, CLOSING)
  }
  const found = await knownIds(one)
  const still = [...missing].filter((id) => !found.has(id))
  // Records made since the window was closed come with the next pass; fewer than the service lists is a gap, and so is a list
  // that is shorter than what the service counts before and after it.
  const unlisted = counted.exact && there < counted.count && (await countsMore(one, there))
  if (unlisted || still.length > 0 || found.size < Math.min(there, counted.exact ? counted.count : there)) {
    const again = await adapter.read(api, descriptor, still.slice(0, 100), [], lost)
    if (unlisted || again.length > 0 || still.length === 0) {
      return {
        kind: 'incomplete',
        message: `${object.object}: ${adapter.system} says that it has ${counted.count} records and gave ${found.size}${still.length === 0 ? '' : `; for example ${still.slice(0, 5).join(', ')} did not come`}. Nothing of it was imported. Resume the migration to read them again.`,
      }
    }
  }
  return { kind: 'done' }
}

async function knownIds({ context, claim, migration, object }: Extraction): Promise<Set<string>> {
  const rows = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ external_id: string }>(
        `select external_id from migration_row where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4`,
        [tx.tenantId, claim.runId, object.object, migration.pass],
      ),
    ),
  )
  return new Set(rows.map(({ external_id }) => external_id))
}

type Deleted = { readonly kind: 'ids'; readonly ids: readonly string[] } | ReadingEnd

/** What is gone at the service since the pass before: told by itself, or found by comparing all ids with those of the records here. */
async function deletedSince(one: Extraction): Promise<Deleted> {
  const { adapter, api, object, lost, migration, context, claim } = one
  const descriptor = object.descriptor
  if (descriptor === null || object.sampleSize !== null || object.filter !== null) {
    return { kind: 'ids', ids: [] }
  }
  const window = { since: object.watermark ?? '', until: migration.windowUntil ?? '' }
  if (adapter.tellsDeletions(descriptor, window)) {
    const ids: string[] = []
    for await (const page of adapter.deletions(api, { object: descriptor, ...window, signal: lost })) {
      ids.push(...page.externalIds.map(({ id }) => id))
    }
    return { kind: 'ids', ids }
  }
  const there = new Set<string>()
  for await (const page of adapter.listIds(api, descriptor, lost)) {
    for (const id of page) {
      there.add(id)
    }
  }
  const here = await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query<{ external_id: string }>(
        `select external_id from ${object.recordType} where tenant_id = $1 and source_system = $2 and external_id is not null and deleted_at is null`,
        [tx.tenantId, `${adapter.system}/${migration.account?.id ?? ''}/${object.object}`],
      ),
    ),
  )
  const ids = here.map(({ external_id }) => external_id).filter((id) => !there.has(id))
  if (isMuchGone(ids.length, here.length)) {
    return {
      kind: 'incomplete',
      message: `${object.object}: ${ids.length} of ${here.length} records are gone at ${adapter.system}, more than a fifth at once. If that is right, delete them here; otherwise look at the sign-in's rights, then resume.`,
    }
  }
  return { kind: 'ids', ids }
}

/** Reads what the records of a sample refer to, and what those refer to, until nothing is missing. */
async function closeSample(work: MigrationWork): Promise<ExtractionEnd> {
  for (;;) {
    const wanted = await missingReferences(work)
    if (wanted.size === 0) {
      return { kind: 'done' }
    }
    for (const [name, ids] of wanted) {
      const object = work.objects.find((candidate) => candidate.object === name)
      if (object === undefined) {
        throw new Error(`${name} is no object of the migration`)
      }
      const one = { ...work, object: { ...object, state: null } }
      const end = await extractPages(one, {
        fields: fieldsOf(object),
        since: null,
        until: work.migration.windowUntil ?? '',
        ids: [...ids],
        most: null,
        // Ended before all was asked for, it would begin anew.
        begun: null,
      })
      if (end.kind !== 'done') {
        await mark(one, CLOSING)
        return end
      }
      await mark(one, CLOSING)
      // What is gone at the source is looked for once.
      const known = await knownIds(one)
      await noteGone(
        one,
        [...ids].filter((id) => !known.has(id)),
      )
    }
  }
}

/** Ids, by object, that records of the pages refer to and that no page has. */
async function missingReferences(work: MigrationWork): Promise<Map<string, Set<string>>> {
  const { context, claim, migration, objects } = work
  const chosen = new Set(objects.map(({ object }) => object))
  const wanted = new Map<string, Set<string>>()
  for (const object of objects) {
    const references = (object.descriptor?.fields ?? []).flatMap(({ name, references: to }) => {
      const targets = to.filter((target) => chosen.has(target))
      return targets.length === 0 ? [] : [{ path: name.split('.'), targets }]
    })
    const pages = await context.control.use((lane) =>
      withTenant(lane, claim.tenantId, (tx) =>
        tx.query<{ storage_key: string }>(
          `select storage_key from migration_page where tenant_id = $1 and run_id = $2 and object = $3 and pass = $4 order by number`,
          [tx.tenantId, claim.runId, object.object, migration.pass],
        ),
      ),
    )
    for (const { storage_key } of references.length === 0 ? [] : pages) {
      for await (const line of createInterface({ input: context.files.read(storage_key), crlfDelay: Infinity })) {
        const row: unknown = JSON.parse(line)
        for (const { path, targets } of references) {
          for (const text of idsAt(row, path)) {
            // A derived reference says which object it is about, `Contact/0035e0`; one of the service's own only where there is a choice.
            const named = targets.find((target) => text.startsWith(`${target}/`))
            const target = named ?? (targets.length === 1 && !text.includes('/') ? targets[0] : undefined)
            if (target !== undefined) {
              const ids = wanted.get(target) ?? new Set()
              wanted.set(target, ids.add(named === undefined ? text : text.slice(named.length + 1)))
            }
          }
        }
      }
    }
  }
  for (const object of objects) {
    const ids = wanted.get(object.object)
    if (ids !== undefined) {
      const known = await knownIds({ ...work, object })
      const missing = new Set([...ids].filter((id) => !known.has(id)))
      if (missing.size === 0) {
        wanted.delete(object.object)
      } else {
        wanted.set(object.object, missing)
      }
    }
  }
  return wanted
}

function idsAt(row: unknown, path: readonly string[]): string[] {
  let value = row
  for (const [at, name] of path.entries()) {
    if (typeof value !== 'object' || value === null) {
      return []
    }
    const members = value as Readonly<Record<string, unknown>>
    const rest = path.slice(at).join('.')
    // A name may have dots of its own.
    if (rest in members) {
      value = members[rest]
      break
    }
    value = members[name]
  }
  if (typeof value === 'number') {
    return [String(value)]
  }
  return typeof value === 'string' ? value.split(';').filter((id) => id !== '') : []
}

/** Notes records that are gone at the service: they are not asked for again, and belong to the pass that found it out. */
async function noteGone({ context, claim, migration, object }: Extraction, ids: readonly string[]): Promise<void> {
  await context.control.use((lane) =>
    withTenant(lane, claim.tenantId, (tx) =>
      tx.query(
        `insert into migration_row (tenant_id, run_id, object, pass, external_id, page, line, updated_at, deleted)
         select $1, $2, $3, $4, id, 0, 0, null, true from unnest($5::text[]) as id on conflict (tenant_id, run_id, object, pass, external_id) do update set deleted = true`,
        [tx.tenantId, claim.runId, object.object, migration.pass, ids],
      ),
    ),
  )
}
