/**
 * Moments at which tests break things: a crash between two steps is worth most right where it hurts most. The code names the
 * moment; what happens there is put in by a test, from outside (`test/helpers/failpoints.ts`). Nothing here reads a setting,
 * and in production the place for it is sealed before anything else is loaded.
 */

/** Every moment, by its name: what is under way, and on which side of the step. */
export const failpoints = [
  'claim.before-commit',
  'claim.after-commit',
  'release.before-commit',
  'release.after-commit',
  'analyze.before-commit',
  'analyze.after-commit',
  'read.row',
  'chunk.before-write',
  'chunk.before-commit',
  'chunk.after-commit',
  'relations.before-commit',
  'relations.after-commit',
  'import-end.before-commit',
  'import-end.after-commit',
  'undo.before-commit',
  'undo.after-commit',
  'undo-end.before-commit',
  'undo-end.after-commit',
  'cancel.before-commit',
  'cancel.after-commit',
  'fail.before-commit',
  'fail.after-commit',
  'export.before-write',
  'export.after-write',
  'export-end.before-commit',
  'export-end.after-commit',
  'file.before-rename',
  'file.after-rename',
  'file.before-delete',
  'wake-up.before-enqueue',
  'wake-up.after-enqueue',
  'job.taken',
  'lease.before-renewal',
  'upload.after-store',
  'upload.before-commit',
  'request.before-commit',
  'request.after-commit',
  'mail.before-send',
  'mail.after-send',
  'webhook.before-send',
  'webhook.after-send',
] as const

export type Failpoint = (typeof failpoints)[number]

/** What a test may cut at this moment, or which row it is about. */
export type FailpointSubject = { destroy(): unknown } | number | null

export type FailpointHook = (name: Failpoint, subject: FailpointSubject) => Promise<void> | undefined

const place: { hook: FailpointHook | null } = { hook: null }

/** The moment `name`. Does nothing unless a test has put something in. */
export function failpoint(name: Failpoint, subject: FailpointSubject = null): Promise<void> | undefined {
  return place.hook === null ? undefined : place.hook(name, subject)
}

/** Puts in what happens at every moment; null: nothing. For tests. Throws once the place is sealed. */
export function plantFailpoints(hook: FailpointHook | null): void {
  place.hook = hook
}

/** Takes out whatever was put in, for good. */
export function sealFailpoints(): void {
  place.hook = null
  Object.freeze(place)
}
