/** What our processes say to each other. */

/** Messages between the supervisor and its children. */
export type Message =
  /** A child has opened everything and does its work, or stands by to do it. */
  | { readonly type: 'ready' }
  /** What a child measured; `source` names it once the supervisor passes it on. */
  | { readonly type: 'metrics'; readonly source?: string; readonly snapshot: object }
  | { readonly type: 'bootstrapped'; readonly demo: { readonly token: string; readonly expiresAt: string } | null }

/** Exit code of a child that failed for a reason that may pass: sysexits' EX_TEMPFAIL. */
export const EXIT_TRY_AGAIN = 75
