/**
 * Where requests may go. A name is resolved once, every address of it is looked at, and the connection goes to an address
 * that was looked at: a name whose answer changes a moment later leads nowhere else.
 */
import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { VendorRefused } from './errors.js'

/** Hosts that one vendor's requests, or those to an address that a tenant gave, may go to. */
export interface HostRule {
  /**
   * Whole names (`api.hubapi.com`), or with a dot in front everything below (`.salesforce.com`). Lower case. `public`: every name
   * that could be one of the public internet; where it leads is looked at when a connection is made, as with any other.
   */
  readonly hosts: readonly string[] | 'public'
  /**
   * Origins that stand in for the vendor, for tests, by configuration alone: also without TLS, on any port, at private
   * addresses. Where there are any, nothing else is allowed. Null: none do.
   */
  readonly standIns: readonly string[] | null
}

/** Resolves a name to all its addresses. */
export type Resolve = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>

/** By the resolver of the operating system. */
export const systemResolve: Resolve = (hostname) =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true, verbatim: true }, (error, addresses) =>
      error === null ? resolve(addresses) : reject(error),
    )
  })

/** IANA's special-purpose registries for IPv4 and IPv6, multicast, and what embeds an IPv4 address in an IPv6 one. */
const special = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  special.addSubnet(network, prefix, 'ipv4')
}
// Of IPv6 only global unicast (2000::/3) is public; within it these are not.
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const) {
  special.addSubnet(network, prefix, 'ipv6')
}

/** Whether this is an address of the public internet. Text that is no address is not. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4')
    case 6:
      // A zone (`%eth0`) makes sense for link-local addresses alone.
      return !address.includes('%') && globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6')
    default:
      return false
  }
}

/** Whether this host name is, or is below, one of the rule's. An address never is. */
export function fitsHosts(hostname: string, hosts: readonly string[]): boolean {
  return (
    isIP(hostname.replace(/^\[|\]$/g, '')) === 0 &&
    hosts.some((host) => (host.startsWith('.') ? hostname.endsWith(host) && hostname !== host : hostname === host))
  )
}

/** Top-level names that are never public: of RFC 6761, RFC 6762, RFC 8375, RFC 9476, and ICANN's `.internal`. */
const privateSuffixes = [
  'localhost',
  'local',
  'internal',
  'home.arpa',
  'lan',
  'alt',
  'onion',
  'test',
  'invalid',
  'example',
  'arpa',
]

/** Whether this host name could be one of the public internet: no address, more than one label, none of the private suffixes. */
export function isPublicName(hostname: string): boolean {
  return (
    isIP(hostname.replace(/^\[|\]$/g, '')) === 0 &&
    // Letters, digits and hyphens; with the dot of the root behind it a name is another text for the same host.
    /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(hostname) &&
    !privateSuffixes.some((suffix) => hostname.endsWith(`.${suffix}`))
  )
}

/**
 * The address to ask, if the rule allows it; every redirect is checked like this too. Throws VendorRefused
 * ADDRESS_NOT_ALLOWED. The parser has brought decimal, octal, hexadecimal and full-width spellings into one form.
 */
export function allowedUrl(text: string | URL, rule: HostRule): URL {
  const url = typeof text === 'string' ? (URL.canParse(text) ? new URL(text) : null) : text
  if (url === null || url.username !== '' || url.password !== '') {
    throw notAllowed()
  }
  if (rule.standIns !== null) {
    if (!rule.standIns.includes(url.origin)) {
      throw notAllowed()
    }
    return url
  }
  const fits = rule.hosts === 'public' ? isPublicName(url.hostname) : fitsHosts(url.hostname, rule.hosts)
  if (url.protocol !== 'https:' || url.port !== '' || !fits) {
    throw notAllowed()
  }
  return url
}

/**
 * The look-up that connections use. Only addresses that were checked come out of it, and none does where one of them is not
 * public: such a name is a trap. Stand-ins resolve as they like.
 */
export function guardedLookup(resolve: Resolve, rule: HostRule): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        if (found.length === 0 || (rule.standIns === null && !found.every(({ address }) => isPublicAddress(address)))) {
          callback(notAllowed(), '', 0)
          return
        }
        if (options.all === true) {
          callback(null, [...found])
        } else {
          const [{ address, family } = { address: '', family: 0 }] = found
          callback(null, address, family)
        }
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, '', 0),
    )
  }
}

/** Says nothing of the address: it may have been told by somebody who wants to learn what is there. */
function notAllowed(): VendorRefused {
  return new VendorRefused({
    code: 'ADDRESS_NOT_ALLOWED',
    message: 'This address is none of the CRM’s: address not allowed.',
  })
}
