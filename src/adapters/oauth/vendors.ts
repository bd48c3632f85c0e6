/** How each CRM is signed in to: addresses, scopes and answers, as data. */

import type { CrmSystem } from '../../systems.js'
import { VendorRefused } from '../http/errors.js'
import { fitsHosts } from '../http/guard.js'

/** What a tenant chooses when it connects. */
export interface LoginChoice {
  readonly sandbox: boolean
  /** A host of its own, e.g. a My Domain; null: the vendor's common one. */
  readonly host: string | null
}

/** Where a sign-in ended up. */
export interface Account {
  /** The vendor's id of the account, of which a tenant has one integration. */
  readonly account: string
  /** For people. */
  readonly accountName: string
  /** Where the account's requests go, as told; the caller checks it against `apiHosts`. */
  readonly apiUrl: string
}

export interface OAuthVendor {
  readonly system: CrmSystem
  /** Hosts that a person may be sent to for signing in, and that codes and refresh tokens may go to. */
  readonly loginHosts: readonly string[]
  /** Hosts that access tokens may go to. */
  readonly apiHosts: readonly string[]
  /** The origin to sign in at; null: the vendor has no such choice. */
  loginOrigin(choice: LoginChoice): string | null
  /** Where codes and refresh tokens go, for a sign-in that began at `loginOrigin`. */
  tokenOrigin(loginOrigin: string): string
  readonly authorizePath: string
  readonly tokenPath: string
  readonly revokePath: string
  /** What is asked for; null: what the registered app has. */
  readonly scopes: readonly string[] | null
  /** Asked for besides, and may be denied. */
  readonly optionalScopes: readonly string[]
  /** How the app says who it is to the vendor: in the form, or as HTTP Basic. */
  readonly clientAuthentication: 'form' | 'basic'
  /** Reads the answer of the token endpoint; null: it lacks what there must be. */
  accountOf(answer: Readonly<Record<string, unknown>>, loginOrigin: string): Account | null
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/**
 * Salesforce: the tenant says whether its organisation is a sandbox, or names its My Domain. All requests go to the
 * `instance_url` of the newest answer. Experience sites of customers are below force.com, so that is no host for tokens.
 */
const salesforce: OAuthVendor = {
  system: 'salesforce',
  loginHosts: ['login.salesforce.com', 'test.salesforce.com', '.my.salesforce.com'],
  apiHosts: ['.salesforce.com'],
  loginOrigin: ({ sandbox, host }) => {
    const chosen = host ?? (sandbox ? 'test.salesforce.com' : 'login.salesforce.com')
    // A sandbox has its own login and its own kind of My Domain; one for the other would sign in somewhere else.
    const fits =
      host === null || !sandbox || host === 'test.salesforce.com' || host.endsWith('.sandbox.my.salesforce.com')
    return fits && fitsHosts(chosen, salesforce.loginHosts) ? `https://${chosen}` : null
  },
  tokenOrigin: (loginOrigin) => loginOrigin,
  authorizePath: '/services/oauth2/authorize',
  tokenPath: '/services/oauth2/token',
  revokePath: '/services/oauth2/revoke',
  scopes: ['api', 'refresh_token'],
  optionalScopes: [],
  clientAuthentication: 'form',
  accountOf: (answer) => {
    // https://login.salesforce.com/id/{organisation}/{user}; the first 15 characters are the id, the rest a checksum.
    const [, organisation] = /\/id\/(00D[A-Za-z0-9]{12})(?:[A-Za-z0-9]{3})?\//.exec(text(answer.id)) ?? []
    const apiUrl = text(answer.instance_url)
    return organisation === undefined || apiUrl === ''
      ? null
      : { account: organisation, accountName: nameOf(apiUrl), apiUrl }
  },
}

/**
 * HubSpot: one host for signing in, one for everything else; no sandbox hosts (a sandbox is an account like others). The dated
 * token endpoint: `/oauth/v1/token` ends in February 2027.
 */
const hubspot: OAuthVendor = {
  system: 'hubspot',
  loginHosts: ['app.hubspot.com', 'api.hubapi.com'],
  apiHosts: ['api.hubapi.com'],
  loginOrigin: ({ host }) => (host === null || host === 'app.hubspot.com' ? 'https://app.hubspot.com' : null),
  tokenOrigin: () => 'https://api.hubapi.com',
  authorizePath: '/oauth/authorize',
  tokenPath: '/oauth/2026-03/token',
  revokePath: '/oauth/2026-03/token/revoke',
  scopes: [
    'oauth',
    'crm.objects.contacts.read',
    'crm.objects.companies.read',
    'crm.objects.deals.read',
    'crm.objects.owners.read',
    'crm.schemas.contacts.read',
    'crm.schemas.companies.read',
    'crm.schemas.deals.read',
  ],
  // Of features that not every account has, and e-mail bodies.
  optionalScopes: [
    'crm.objects.leads.read',
    'crm.objects.listings.read',
    'crm.schemas.listings.read',
    'crm.schemas.custom.read',
    'crm.objects.custom.read',
    'sales-email-read',
  ],
  clientAuthentication: 'form',
  accountOf: (answer) => {
    const hub = typeof answer.hub_id === 'number' ? String(answer.hub_id) : text(answer.hub_id)
    return /^\d{1,20}$/.test(hub)
      ? { account: hub, accountName: `Account ${hub}`, apiUrl: 'https://api.hubapi.com' }
      : null
  },
}

/** Pipedrive: requests go to the `api_domain` of the newest answer, which names the company. */
const pipedrive: OAuthVendor = {
  system: 'pipedrive',
  loginHosts: ['oauth.pipedrive.com'],
  apiHosts: ['.pipedrive.com'],
  loginOrigin: ({ host }) => (host === null || host === 'oauth.pipedrive.com' ? 'https://oauth.pipedrive.com' : null),
  tokenOrigin: (loginOrigin) => loginOrigin,
  authorizePath: '/oauth/authorize',
  tokenPath: '/oauth/token',
  revokePath: '/oauth/revoke',
  scopes: null,
  optionalScopes: [],
  clientAuthentication: 'basic',
  accountOf: (answer) => {
    const apiUrl = text(answer.api_domain)
    const accountName = nameOf(apiUrl)
    return accountName === '' ? null : { account: accountName, accountName, apiUrl }
  },
}

const vendors: Readonly<Record<CrmSystem, OAuthVendor>> = { salesforce, hubspot, pipedrive }

/** How this CRM is signed in to. */
export function oauthVendor(system: CrmSystem): OAuthVendor {
  return vendors[system]
}

/** Origin of an address that a vendor told, if it may be given tokens. Throws VendorRefused ADDRESS_NOT_ALLOWED. */
export function apiOrigin(told: string, vendor: OAuthVendor, standIns: readonly string[] | null): string {
  const url = URL.canParse(told) ? new URL(told) : null
  const fits =
    url !== null &&
    url.username === '' &&
    (standIns === null
      ? url.protocol === 'https:' && url.port === '' && fitsHosts(url.hostname, vendor.apiHosts)
      : standIns.includes(url.origin))
  if (!fits) {
    throw new VendorRefused({ code: 'ADDRESS_NOT_ALLOWED', message: 'The CRM names a host that is not its own.' })
  }
  return url.origin
}

/** `acme` of `https://acme.pipedrive.com`. */
function nameOf(url: string): string {
  const hostname = URL.canParse(url) ? new URL(url).hostname : ''
  return hostname.split('.')[0] ?? ''
}
