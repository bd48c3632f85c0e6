/** What is asked once for all objects: who the users are, and which object an id belongs to. */
import { VendorRefused, vendorUnavailable } from '../http/errors.js'
import type { VendorApi } from '../vendor.js'
import { pages } from './query.js'
import { DATA, lengthened, select } from './soql.js'

/** An object as the list of all of them has it. */
export interface GlobalObject {
  readonly name: string
  readonly label: string
  readonly keyPrefix: string | null
  readonly custom: boolean
  readonly queryable: boolean
  readonly deprecatedAndHidden?: boolean
  readonly customSetting?: boolean
}

/** Of the objects that every organisation has. Those of custom objects differ from one to the next. */
const PREFIXES: Readonly<Record<string, string>> = {
  '001': 'Account',
  '003': 'Contact',
  '005': 'User',
  '006': 'Opportunity',
  '00Q': 'Lead',
  '00T': 'Task',
  '00U': 'Event',
  '701': 'Campaign',
}

/** True for custom objects that by their name hold real estate. */
export function isPropertyLike({ name, label }: { readonly name: string; readonly label: string }): boolean {
  return (
    name.endsWith('__c') &&
    /propert|listing|\bunits?\b|building|\bhomes?\b|apartment|real.?estate/i.test(`${words(name)} ${label}`)
  )
}

/** `ns__Rental_Unit__c` as `Rental Unit`. */
function words(name: string): string {
  return name
    .replace(/__c$/, '')
    .replace(/^[A-Za-z0-9]+__/, '')
    .replaceAll('_', ' ')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
}

/** One for each door to an account, which lives as long as a worker's turn: names of users do change. */
const kept = new WeakMap<VendorApi, Directory>()

export function directoryOf(api: VendorApi): Directory {
  const known = kept.get(api) ?? new Directory(api)
  kept.set(api, known)
  return known
}

export class Directory {
  readonly #api: VendorApi
  #emails: Promise<ReadonlyMap<string, string>> | null = null
  #objects: Promise<readonly GlobalObject[]> | null = null

  constructor(api: VendorApi) {
    this.#api = api
  }

  objects(signal: AbortSignal): Promise<readonly GlobalObject[]> {
    this.#objects ??= this.#readObjects(signal).catch((error: unknown) => {
      this.#objects = null
      throw error
    })
    return this.#objects
  }

  /** E-mail addresses of users by id; queues and users without one are not among them. */
  emails(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    this.#emails ??= this.#readEmails(signal).catch((error: unknown) => {
      this.#emails = null
      throw error
    })
    return this.#emails
  }

  /** Name of the object that the id belongs to; null: none that there is. */
  async objectOf(id: string, signal: AbortSignal): Promise<string | null> {
    const prefix = id.slice(0, 3)
    const known = PREFIXES[prefix]
    if (known !== undefined) {
      return known
    }
    return (await this.objects(signal)).find(({ keyPrefix }) => keyPrefix === prefix)?.name ?? null
  }

  async #readObjects(signal: AbortSignal): Promise<readonly GlobalObject[]> {
    const { value } = await this.#api.json<{ readonly sobjects: readonly GlobalObject[] } | null>({
      method: 'GET',
      path: `${DATA}/sobjects`,
      signal,
    })
    if (!Array.isArray(value?.sobjects)) {
      throw vendorUnavailable('Salesforce’s answer does not list its objects.')
    }
    return value.sobjects
  }

  async #readEmails(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const emails = new Map<string, string>()
    try {
      for await (const records of pages(this.#api, select(['Id', 'Email'], 'User', ''), false, signal)) {
        for (const { Id: id, Email: email } of records) {
          if (typeof id === 'string' && typeof email === 'string' && email !== '') {
            emails.set(lengthened(id), email)
          }
        }
      }
    } catch (error) {
      // A sign-in that may not see users still may read records: they come without owners, as the proof will tell.
      if (!(error instanceof VendorRefused) || error.reason === 'gone') {
        throw error
      }
    }
    return emails
  }
}
