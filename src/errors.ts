/**
 * Broken things are exceptions of one of two kinds; what a caller can act on is a `Refusal`, which the API answers as
 * a UserError. Row problems are neither: they are issues, values that travel with their row.
 */

/** Broken now, perhaps not later: the job is tried again. */
export class RetryableError extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RetryableError'
    this.code = code
  }
}

/** Broken for good: the run ends FAILED with this code and message, which a person reads. */
export class FatalError extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'FatalError'
    this.code = code
  }
}

export type RefusalCode =
  | 'NOT_FOUND'
  | 'INVALID_INPUT'
  | 'INVALID_STATE'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'FILE_TOO_LARGE'
  | 'FILE_EMPTY'
  | 'FILE_UNREADABLE'
  | 'FILE_ENCRYPTED'
  | 'FILE_TYPE_UNSUPPORTED'
  | 'FILE_UNSAFE'
  | 'FILE_CHECKSUM_MISMATCH'
  | 'UNKNOWN_COLUMN'
  | 'UNKNOWN_FIELD'
  | 'FIELD_MAPPED_TWICE'
  | 'REQUIRED_FIELD_UNMAPPED'
  | 'TRANSFORM_INVALID'
  | 'MATCH_FIELD_UNMAPPED'
  | 'LIMIT_EXCEEDED'
  | 'NOT_REVERSIBLE'
  | 'VERSION_CONFLICT'
  | 'PLAN_STALE'
  | 'UPLOAD_INCOMPLETE'
  | 'FILE_INFECTED'
  | 'INTEGRATION_NOT_CONNECTED'
  | 'OAUTH_STATE_INVALID'
  | 'BUNDLE_TAMPERED'
  | 'CONSENT_REQUIRED'
  | 'PASSPHRASE_WRONG'
  | 'SCHEMA_DRIFT'
  | 'QUOTA_EXCEEDED'

/** How a quota stands that something was refused for. */
export interface QuotaState {
  readonly name: string
  readonly limit: number
  /** Used and reserved. */
  readonly used: number
  readonly unit: string
  /** Seconds after which its count begins anew; null: it does not. */
  readonly windowSeconds: number | null
  /** When trying again makes sense. */
  readonly retryAt: Date
}

/** An expected refusal that the caller can act on. Thrown below the resolvers, answered by them as a UserError. */
export class Refusal extends Error {
  readonly code: RefusalCode
  /** Path of the input that was refused, e.g. `['options', 'matchOn']`; null where it is about the whole. */
  readonly field: readonly string[] | null
  /** What of which quota is left; null for a refusal that is about something else. */
  readonly quota: QuotaState | null
  constructor(
    code: RefusalCode,
    message: string,
    field: readonly string[] | null = null,
    quota: QuotaState | null = null,
  ) {
    super(message)
    this.name = 'Refusal'
    this.code = code
    this.field = field
    this.quota = quota
  }
}
