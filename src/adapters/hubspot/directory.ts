/** What is the same for all records of an account: its zone and currency, its owners, the stages of its pipelines. */
import { VendorRefused } from '../http/errors.js'
import type { Json, VendorApi } from '../vendor.js'
import { pagesOf, paths, type Received } from './requests.js'

/** The account behind the sign-in. */
export interface Account {
  readonly id: string
  /** IANA name; UTC where it was not told. */
  readonly timeZone: string
  readonly currency: string | null
  readonly serverTime: Date | null
}

export interface Stage {
  readonly id: string
  readonly label: string
  readonly pipeline: string
  /** What it says of the stage besides, e.g. `isClosed`, `probability`, `leadState`. */
  readonly metadata: Received
}

/** Asked for once in a slice of work, each when it is first needed. */
export class Directory {
  readonly #api: VendorApi
  #account: Promise<Account> | null = null
  #owners: Promise<ReadonlyMap<string, string>> | null = null
  readonly #stages = new Map<string, Promise<readonly Stage[]>>()

  constructor(api: VendorApi) {
    this.#api = api
  }

  account(signal: AbortSignal): Promise<Account> {
    this.#account ??= accountOf(this.#api, signal)
    // Who failed to ask does not keep others from asking.
    this.#account.catch(() => {
      this.#account = null
    })
    return this.#account
  }

  /** E-mail addresses of owners, by id; of those that have left, too. */
  owners(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    this.#owners ??= ownersOf(this.#api, signal)
    this.#owners.catch(() => {
      this.#owners = null
    })
    return this.#owners
  }

  /** Stages of all pipelines of an object; none where there are no pipelines or nobody may see them. */
  stages(object: string, signal: AbortSignal): Promise<readonly Stage[]> {
    const asked = this.#stages.get(object) ?? stagesOf(this.#api, object, signal)
    this.#stages.set(object, asked)
    asked.catch(() => this.#stages.delete(object))
    return asked
  }
}

const directories = new WeakMap<VendorApi, Directory>()

/** The directory of this sign-in. */
export function directoryOf(api: VendorApi): Directory {
  const directory = directories.get(api) ?? new Directory(api)
  directories.set(api, directory)
  return directory
}

/** Asks anew: the service's own time comes with it. Throws VendorRefused NO_ACCOUNT. */
export async function accountOf(api: VendorApi, signal: AbortSignal): Promise<Account> {
  const { value, serverTime } = await api.json<Received | null>({ method: 'GET', path: paths.account, signal })
  const id = value?.portalId
  if (typeof id !== 'number' && typeof id !== 'string') {
    throw new VendorRefused({
      code: 'NO_ACCOUNT',
      message: 'HubSpot did not say which account this sign-in is for.',
    })
  }
  const { timeZone, companyCurrency } = value ?? {}
  return {
    id: String(id),
    timeZone: typeof timeZone === 'string' && isZone(timeZone) ? timeZone : 'UTC',
    currency: typeof companyCurrency === 'string' && /^[A-Z]{3}$/.test(companyCurrency) ? companyCurrency : null,
    serverTime,
  }
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

async function ownersOf(api: VendorApi, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const owners = new Map<string, string>()
  for (const archived of [true, false]) {
    for await (const rows of pagesOf(api, paths.owners, { limit: 100, archived }, signal)) {
      for (const { id, email } of rows) {
        if ((typeof id === 'string' || typeof id === 'number') && typeof email === 'string' && email !== '') {
          owners.set(String(id), email)
        }
      }
    }
  }
  return owners
}

async function stagesOf(api: VendorApi, object: string, signal: AbortSignal): Promise<readonly Stage[]> {
  try {
    const stages: Stage[] = []
    for await (const rows of pagesOf(api, paths.pipelines(object), {}, signal)) {
      for (const row of rows) {
        for (const stage of listOf(row.stages)) {
          stages.push({
            id: textOf(stage.id),
            label: textOf(stage.label),
            pipeline: textOf(row.label),
            metadata: membersOf(stage.metadata) ?? {},
          })
        }
      }
    }
    return stages
  } catch (error) {
    if (error instanceof VendorRefused && error.reason !== 'request') {
      return []
    }
    throw error
  }
}

/** A text; '' for anything else but numbers. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** Objects of a list. */
export function listOf(value: Json | undefined): readonly Received[] {
  return (Array.isArray(value) ? (value as readonly Json[]) : []).map(membersOf).filter((one) => one !== null)
}

export function membersOf(value: Json | undefined): Received | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Received) : null
}
