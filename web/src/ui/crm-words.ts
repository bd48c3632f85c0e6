/** CRMs and migrations in words. */
import type { MigrationListQuery } from '../api/generated.ts'

type System = MigrationListQuery['migrations']['nodes'][number]['integration']['system']
export type Stage = MigrationListQuery['migrations']['nodes'][number]['stage']

/** As their makers write them. */
export const systemNames: Readonly<Record<System, string>> = {
  HUBSPOT: 'HubSpot',
  PIPEDRIVE: 'Pipedrive',
  SALESFORCE: 'Salesforce',
}

/** What a migration is called. */
export function migrationName({
  system,
  accountName,
}: {
  readonly system: System
  readonly accountName: string | null
}) {
  return accountName === null ? systemNames[system] : `${accountName} (${systemNames[system]})`
}

/** What a migration does, or waits for, at each stage. */
export const stageWords: Readonly<Record<Stage, string>> = {
  DRAFT: 'Beginning',
  DISCOVERING: 'Looking at the account',
  AWAITING_MAPPING: 'Fields to be matched',
  EXTRACTING: 'Reading',
  STAGING: 'Rehearsing',
  AWAITING_REVIEW: 'To be reviewed',
  PROMOTING: 'Importing',
  VERIFYING: 'Proving',
  READY_FOR_DELTA: 'Moved in',
  COMPLETED: 'Rolled back',
}
