import { RetryableError } from '../../errors.js'

/** What an outside service said when it did not do what it was asked. Never holds a token, a body or an address. */
export interface VendorFault {
  /** The vendor's own code, e.g. `INVALID_FIELD`; ours where it gave none, e.g. `HTTP_404`. */
  readonly code: string
  /** The vendor's words, cut; or ours. */
  readonly message: string
  /** Null: there was no answer. */
  readonly status?: number | null
  /** What the vendor's support asks for; null: it gave none. */
  readonly correlationId?: string | null
}

/**
 * The vendor understood and will not, or the request was never sent because it may not go there: asking again changes
 * nothing. `reason` tells who must act: `permission` the person who connected, `gone` nobody (it is not there), `request`
 * the adapter.
 */
export class VendorRefused extends Error {
  readonly code: string
  readonly status: number | null
  readonly correlationId: string | null
  readonly reason: 'permission' | 'gone' | 'request'
  constructor(fault: VendorFault, reason: 'permission' | 'gone' | 'request' = 'request') {
    super(fault.message)
    this.name = 'VendorRefused'
    this.code = fault.code
    this.status = fault.status ?? null
    this.correlationId = fault.correlationId ?? null
    this.reason = reason
  }
}

/** The access token was not taken. Whoever holds the refresh token gets a new one, once. */
export class VendorUnauthorized extends Error {
  readonly code: string
  readonly status: number
  constructor(fault: VendorFault & { readonly status: number }) {
    super(fault.message)
    this.name = 'VendorUnauthorized'
    this.code = fault.code
    this.status = fault.status
  }
}

/** What is wrong now and perhaps not later, after all tries that were safe: the job is tried again. */
export function vendorUnavailable(message: string, options?: ErrorOptions): RetryableError {
  return new RetryableError('VENDOR_UNAVAILABLE', message, options)
}
