/** A CRM in memory with an adapter of its own: companies, people, deals and calls that refer to one another. */
import type {
  ExtractPage,
  ExtractRequest,
  Json,
  VendorAdapter,
  VendorField,
  VendorObject,
  VendorRow,
} from '../../src/adapters/vendor.js'
import { PlannedPause } from '../../src/adapters/vendor.js'
import type { ColumnMapping } from '../../src/pipeline/types.js'
import type { RecordTypeName } from '../../src/records/types.js'
import type { OpenVendor } from '../../src/runs/vendors.js'

export interface SmallRecord {
  id: string
  updatedAt: string
  deleted?: boolean
  values: Record<string, string | null>
  derived: Record<string, string | null>
}

const references: Readonly<Record<string, string>> = {
  'portage.company': 'companies',
  'portage.person': 'people',
  'portage.deal': 'deals',
}

/** Where the columns go, by object. */
const fields: Readonly<
  Record<string, { readonly type: RecordTypeName; readonly map: Readonly<Record<string, string>> }>
> = {
  companies: { type: 'contact', map: { id: 'externalId', name: 'companyName', kind: 'kind' } },
  people: {
    type: 'contact',
    map: {
      id: 'externalId',
      first: 'firstName',
      last: 'lastName',
      mail: 'email',
      updatedAt: 'sourceUpdatedAt',
      'portage.company': 'organization.externalId',
      'portage.ownerEmail': 'ownerEmail',
    },
  },
  deals: { type: 'lead', map: { id: 'externalId', title: 'title', 'portage.person': 'contact.externalId' } },
  calls: {
    type: 'activity',
    map: {
      id: 'externalId',
      kind: 'type',
      subject: 'subject',
      'portage.person': 'contact.externalId',
      'portage.deal': 'lead.externalId',
    },
  },
}

function column(name: string, field: string): ColumnMapping {
  return {
    column: name,
    columnIndex: null,
    field,
    constant: null,
    defaultValue: null,
    valueMap: [],
    onBlank: null,
    format: null,
    confidence: null,
    reasons: [],
    alternatives: [],
  }
}

/** What is known of one request, for counting. */
export interface Asked {
  readonly what: 'page' | 'count' | 'ids' | 'read' | 'deletions' | 'discover' | 'check'
  readonly object: string | null
  readonly at: string | null
}

export class SmallCrm {
  readonly records: Record<string, SmallRecord[]> = { companies: [], people: [], deals: [], calls: [] }
  readonly asked: Asked[] = []
  now = '2026-03-01T00:00:00.000000Z'
  pageRows = 3
  /** Thrown once by the page that starts at this id. */
  readonly pausesAt = new Map<string, Date>()
  readonly faultsAt = new Map<string, Error>()
  /** Ids that pages leave out although they are there. */
  readonly dropped = new Set<string>()
  /** What a page waits for before it is answered. */
  waits: (() => Promise<unknown>) | null = null
  /** Whether all pages of an object come in one answer. */
  inAnswer = false
  /** Whether dropped records come neither by id. */
  silent = false
  readonly #gone = new Map<string, { id: string; at: string }[]>()

  remove(object: string, id: string, at: string): void {
    this.records[object] = (this.records[object] ?? []).filter((record) => record.id !== id)
    this.#gone.set(object, [...(this.#gone.get(object) ?? []), { id, at }])
  }

  describe(object: string): VendorObject {
    const { type, map } = fields[object] ?? { type: 'contact', map: {} }
    return {
      name: object,
      label: object,
      custom: false,
      recordCount: this.records[object]?.length ?? 0,
      suggestedRecordType: type,
      fields: Object.keys(map).map(
        (name): VendorField => ({
          name,
          label: name,
          kind: 'TEXT',
          custom: false,
          references: references[name] === undefined ? [] : [references[name]],
          options: null,
          calculated: false,
        }),
      ),
    }
  }

  open(): OpenVendor {
    const never = () => Promise.reject(new Error('the small CRM is asked without requests'))
    return { adapter: this.#adapter(), api: { json: never, stream: never }, close: () => Promise.resolve() }
  }

  #row(record: SmallRecord): VendorRow {
    return {
      externalId: record.id,
      updatedAt: record.updatedAt,
      deleted: record.deleted ?? false,
      mergedInto: null,
      data: { id: record.id, updatedAt: record.updatedAt, ...record.values },
      derived: record.derived,
    }
  }

  async *#extract({ object, state, window, ids, signal }: ExtractRequest): AsyncGenerator<ExtractPage> {
    const all = (this.records[object.name] ?? []).filter(
      ({ id, updatedAt }) =>
        (ids === null ? !this.dropped.has(id) : ids.includes(id) && !(this.silent && this.dropped.has(id))) &&
        (window.since === null || updatedAt >= window.since) &&
        updatedAt < window.until,
    )
    let at = state === null ? 0 : Number((state as { readonly at: Json }).at)
    while (at < all.length) {
      signal.throwIfAborted()
      const page = all.slice(at, at + this.pageRows)
      const first = page[0]?.id ?? ''
      this.asked.push({ what: 'page', object: object.name, at: first })
      const until = this.pausesAt.get(first)
      if (until !== undefined) {
        this.pausesAt.delete(first)
        throw new PlannedPause({ kind: 'wait', until, reason: 'DAILY_QUOTA' })
      }
      const fault = this.faultsAt.get(first)
      if (fault !== undefined) {
        this.faultsAt.delete(first)
        throw fault
      }
      await this.waits?.()
      at += page.length
      const inAnswer = this.inAnswer && at < all.length
      yield { rows: page.map((record) => this.#row(record)), state: { at }, problems: [], inAnswer }
    }
  }

  #adapter(): VendorAdapter {
    return {
      system: 'hubspot',
      clock: () => Promise.resolve(this.now),
      check: () => {
        this.asked.push({ what: 'check', object: null, at: null })
        return Promise.resolve({ id: 'acc1', name: 'Small', apiVersion: '1' })
      },
      discover: () => {
        this.asked.push({ what: 'discover', object: null, at: null })
        return Promise.resolve(Object.keys(fields).map((name) => this.describe(name)))
      },
      count: (_api, object) => {
        this.asked.push({ what: 'count', object: object.name, at: null })
        return Promise.resolve({ count: this.records[object.name]?.length ?? 0, exact: true })
      },
      extract: (_api, request) => this.#extract(request),
      tellsDeletions: (object) => object.name !== 'calls',
      deletions: async function* (
        this: SmallCrm,
        _api: unknown,
        { object, since, until }: { object: VendorObject; since: string; until: string },
      ) {
        const gone = (this.#gone.get(object.name) ?? []).filter(({ at }) => at >= since && at < until)
        yield { externalIds: gone.map(({ id, at }) => ({ id, deletedAt: at, mergedInto: null })), state: null }
      }.bind(this) as VendorAdapter['deletions'],
      listIds: async function* (this: SmallCrm, _api: unknown, object: VendorObject) {
        this.asked.push({ what: 'ids', object: object.name, at: null })
        yield (this.records[object.name] ?? []).map(({ id }) => id)
      }.bind(this) as VendorAdapter['listIds'],
      read: (_api, object, ids) => {
        this.asked.push({ what: 'read', object: object.name, at: null })
        return Promise.resolve(
          (this.records[object.name] ?? []).filter(({ id }) => ids.includes(id)).map((record) => this.#row(record)),
        )
      },
      idOf: (_object, line) => (line as { readonly id?: string }).id ?? null,
      mapping: (object) => Object.entries(fields[object.name]?.map ?? {}).map(([name, field]) => column(name, field)),
      callsFor: (_object, records) => Math.ceil(records / this.pageRows),
    }
  }
}

/** Companies, people who work there, deals of theirs and calls about both. */
export function populated(people = 7): SmallCrm {
  const crm = new SmallCrm()
  const at = (n: number) => `2026-02-01T00:00:${String(n % 60).padStart(2, '0')}.000Z`
  for (let n = 1; n <= 2; n++) {
    crm.records.companies?.push({
      id: String(n),
      updatedAt: at(n),
      values: { name: `Company ${n}`, kind: 'ORGANIZATION' },
      derived: {},
    })
  }
  for (let n = 1; n <= people; n++) {
    crm.records.people?.push({
      id: String(n),
      updatedAt: at(n),
      values: { first: `First ${n}`, last: `Last ${n}`, mail: `p${n}@example.com` },
      derived: { company: `companies/${1 + (n % 2)}` },
    })
    crm.records.deals?.push({
      id: String(n),
      updatedAt: at(n),
      values: { title: `Deal ${n}` },
      derived: { person: `people/${n}` },
    })
    crm.records.calls?.push({
      id: String(n),
      updatedAt: at(n),
      values: { kind: 'CALL', subject: `Call ${n}` },
      derived: { person: `people/${n}`, deal: `deals/${n}` },
    })
  }
  return crm
}
