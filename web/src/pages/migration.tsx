/** A migration, step by step: looked at, matched, read, rehearsed, reviewed, imported, proven, and kept up to date. */
import { Button, Group, Progress, Stack, Text } from '@mantine/core'
import { useThrottledCallback } from '@mantine/hooks'
import { type ReactNode, useEffect, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import {
  MigrationDeltaDocument,
  MigrationPageDocument,
  type MigrationPageQuery,
  MigrationPromotionDocument,
  MigrationProofDocument,
  MigrationStagingDocument,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { migrationName, type Stage, stageWords, systemNames } from '../ui/crm-words.ts'
import { count, counted } from '../ui/format.ts'
import { newKey } from '../ui/key.ts'
import { useTenantEvents } from '../ui/live.ts'
import { useLiveRuns } from '../ui/live-runs.ts'
import { Copyable, Empty, GoButton, Page, Problem, Section, Status, Time, To } from '../ui/parts.tsx'
import { isMoving } from '../ui/run-words.ts'
import { Waiting } from '../ui/waiting.tsx'
import { Objects } from './migration/objects.tsx'
import { Proof } from './migration/proof.tsx'
import { Schedule } from './migration/schedule.tsx'
import { RunActions } from './run/actions.tsx'
import { RollBack } from './run/rollback.tsx'

export type Migration = NonNullable<MigrationPageQuery['migration']>

/** While numbers move, what no event tells is read again so often. Milliseconds. */
const READ_AGAIN_MS = 1500

export default function MigrationPage({ id }: { readonly id: string }) {
  const [result, again] = useQuery({ query: MigrationPageDocument, variables: { id } })
  const live = useLiveRuns()
  const refresh = () => again({ requestPolicy: 'network-only' })
  const soon = useThrottledCallback(refresh, READ_AGAIN_MS)
  const read = result.data?.migration
  const mine = new Set([id, ...(read?.objects ?? []).flatMap(({ importRun }) => importRun?.id ?? [])])
  useTenantEvents((events) => {
    const stale = live.add(events)
    if (stale || events.some(({ runId }) => runId === null || mine.has(runId))) {
      soon()
    }
  }, refresh)
  const { clear } = live
  // Whenever an answer comes, what was laid over the one before is old.
  useEffect(clear, [result.data])
  const problem = trouble(result)
  if (read === undefined || read === null) {
    return (
      <Page title="Migration">
        {problem !== null ? (
          <Problem message={problem} again={refresh} />
        ) : result.fetching ? (
          <Waiting what="the migration" />
        ) : (
          <Empty
            title="There is no such migration"
            action={<GoButton href="/console/migrations">All migrations</GoButton>}
          >
            Its id may be mistyped, or it belongs to another tenant.
          </Empty>
        )}
      </Page>
    )
  }
  const migration: Migration = {
    ...live.of(read),
    objects: read.objects.map((object) => ({
      ...object,
      importRun: object.importRun === null ? null : live.of(object.importRun),
    })),
  }
  const { stage, status } = migration
  const name = migrationName(migration.integration)
  const rests = !isMoving(status)
  return (
    <Page
      title={`Migration from ${name}`}
      lead={
        <Group gap="sm">
          <Status status={status} />
          <Text size="sm">
            By {migration.createdBy}, <Time at={migration.createdAt} />
          </Text>
          <Copyable value={id} label="id of the migration" />
        </Group>
      }
      actions={
        <>
          <RunActions run={migration} onDone={refresh} />
          {migration.availableActions.includes('ROLL_BACK') && (
            <RollBack runId={id} name={`the migration from ${name}`} />
          )}
        </>
      }
    >
      {problem !== null && <Problem title="What is shown may be old" message={problem} again={refresh} />}
      <Steps stage={stage} ended={status === 'CANCELED' || status === 'FAILED'} />
      <Next migration={migration} onDone={refresh} />
      <Objects migration={migration} onChanged={refresh} />
      {migration.verification !== null && <Proof migrationId={id} verification={migration.verification} />}
      {(stage === 'READY_FOR_DELTA' || migration.schedule !== null) && rests && (
        <Schedule key={`${migration.schedule} ${migration.timeZone}`} migration={migration} onChanged={refresh} />
      )}
    </Page>
  )
}

const steps: readonly { readonly name: string; readonly stages: readonly Stage[] }[] = [
  { name: 'Look', stages: ['DRAFT', 'DISCOVERING'] },
  { name: 'Match', stages: ['AWAITING_MAPPING'] },
  { name: 'Read', stages: ['EXTRACTING'] },
  { name: 'Rehearse', stages: ['STAGING'] },
  { name: 'Review', stages: ['AWAITING_REVIEW'] },
  { name: 'Import', stages: ['PROMOTING'] },
  { name: 'Prove', stages: ['VERIFYING'] },
  { name: 'Keep up', stages: ['READY_FOR_DELTA'] },
]

/** Where the migration is on its way. */
function Steps({ stage, ended }: { readonly stage: Stage; readonly ended: boolean }) {
  const at = steps.findIndex(({ stages }) => stages.includes(stage))
  return (
    <ol className="steps" aria-label="Steps of the migration">
      {steps.map(({ name }, index) => (
        <li
          key={name}
          aria-current={index === at && !ended ? 'step' : undefined}
          data-state={stage === 'COMPLETED' || index < at ? 'done' : index === at ? 'now' : 'later'}
        >
          {name}
          {index < at && <span className="visually-hidden">, done</span>}
        </li>
      ))}
    </ol>
  )
}

type Ask =
  | typeof MigrationStagingDocument
  | typeof MigrationPromotionDocument
  | typeof MigrationDeltaDocument
  | typeof MigrationProofDocument

/** A button that asks the migration for its next thing, once. */
function AskButton(props: {
  readonly operation: Ask
  readonly migrationId: string
  readonly onDone: () => void
  readonly children: ReactNode
  readonly quiet?: boolean
}) {
  const { operation, migrationId, onDone, children, quiet = false } = props
  const [ask, asking] = useAct(operation as typeof MigrationStagingDocument)
  const [key, setKey] = useState(newKey)
  const next = async (): Promise<void> => {
    await ask({ input: { migrationId, idempotencyKey: key } })
    setKey(newKey())
    onDone()
  }
  return (
    <Button variant={quiet ? 'default' : 'filled'} loading={asking} onClick={() => void next()}>
      {children}
    </Button>
  )
}

/** What happens now, or what a person can do now. */
function Next({ migration, onDone }: { readonly migration: Migration; readonly onDone: () => void }) {
  const { id, stage, status, statusReason, objects, integration } = migration
  const system = systemNames[integration.system]
  const ask = { migrationId: id, onDone }
  const reason = statusReason !== null && (
    <Text component="div" size="sm">
      {statusReason.message}
    </Text>
  )
  const cutOff = (statusReason?.code === 'INTEGRATION_NOT_CONNECTED' || integration.status !== 'CONNECTED') && (
    <Text size="sm">
      The connection to {system} is to be made again: <To href="/console/integrations">connect it</To>, then go on here.
    </Text>
  )
  if (status === 'PAUSED' || status === 'DEFERRED') {
    return (
      <Section title={status === 'PAUSED' ? 'It is paused' : 'It waits for its turn'}>
        <Stack gap="sm">
          {reason}
          {cutOff}
          {statusReason?.code === 'WAITING_FOR_SERVICE' && (
            <Text size="sm">Nothing has to be done: it goes on by itself.</Text>
          )}
        </Stack>
      </Section>
    )
  }
  if (status === 'FAILED' || status === 'CANCELED') {
    return (
      <Section title={status === 'FAILED' ? 'It has failed' : 'It was canceled'}>
        <Stack gap="sm" align="flex-start">
          {reason}
          <Text size="sm">
            What was imported stays, and can be rolled back. A new migration of the same account finds again what is
            here already.
          </Text>
          <GoButton href={`/console/migrations?from=${integration.id}`} variant="default">
            New migration
          </GoButton>
        </Stack>
      </Section>
    )
  }
  switch (stage) {
    case 'AWAITING_MAPPING': {
      const open = objects.filter(({ mapping }) => mapping.conflicts.length > 0)
      // Moved in once, it waits for its fields in the middle of a pass for changes.
      const held = objects.some(({ watermark }) => watermark !== null)
      return (
        <Section title="Look where the fields go">
          <Stack gap="sm" align="flex-start">
            {reason}
            {open.length > 0 && (
              <Text size="sm">
                To be settled first: {open.map(({ object }) => object).join(', ')}. Open its fields below.
              </Text>
            )}
            {cutOff}
            <Text size="sm" c="dimmed">
              {held
                ? 'Then changes are read and applied.'
                : 'Then everything is read and rehearsed. No record is touched.'}
            </Text>
            {held ? (
              <AskButton operation={MigrationDeltaDocument} {...ask}>
                Read changes
              </AskButton>
            ) : (
              <AskButton operation={MigrationStagingDocument} {...ask}>
                Read and rehearse
              </AskButton>
            )}
          </Stack>
        </Section>
      )
    }
    case 'AWAITING_REVIEW': {
      const plans = objects.flatMap(({ importRun }) => importRun?.plan?.counts ?? [])
      const sum = (of: (counts: (typeof plans)[number]) => number) => plans.reduce((all, each) => all + of(each), 0)
      const failing = sum(({ failed }) => failed)
      return (
        <Section title="Look at what would happen">
          <Stack gap="sm" align="flex-start">
            <Text size="sm">
              {counted(
                sum(({ created }) => created),
                'record',
              )}{' '}
              would be created, {count(sum(({ updated }) => updated))} updated,{' '}
              {failing === 0 ? 'none would fail' : `${counted(failing, 'row')} would fail`}. Nothing has been written
              yet.
            </Text>
            {failing > 0 && (
              <Text size="sm">
                Rows that fail are left out and listed. Change the fields of their object to rehearse again; nothing is
                read anew.
              </Text>
            )}
            <AskButton operation={MigrationPromotionDocument} {...ask}>
              Import it
            </AskButton>
          </Stack>
        </Section>
      )
    }
    case 'READY_FOR_DELTA':
      return (
        <Section title="Moved in">
          <Stack gap="sm" align="flex-start">
            <Text size="sm">
              What changes at {system} from now on is read when you ask for it, or by a schedule. Fields that were
              changed here since stay as they are, unless you have said otherwise.
            </Text>
            {cutOff}
            <Group>
              <AskButton operation={MigrationDeltaDocument} {...ask}>
                Read changes now
              </AskButton>
              <AskButton operation={MigrationProofDocument} {...ask} quiet>
                Prove it again
              </AskButton>
            </Group>
          </Stack>
        </Section>
      )
    case 'COMPLETED':
      return (
        <Section title="It was rolled back">
          <Text size="sm">
            All its passes were undone, and nothing more is read. To move in again, begin a new one.
          </Text>
        </Section>
      )
    default:
      return (
        <Section title={stageWords[stage]}>
          <Stack gap="sm">
            <Text size="sm" role="status">
              {status === 'QUEUED' ? 'It waits for its turn and starts by itself. ' : ''}
              {doing[stage] ?? ''} You may leave this page: it goes on without you.
            </Text>
            {migration.progress.fraction !== null && (
              <Progress value={migration.progress.fraction * 100} aria-label="Progress of the migration" />
            )}
          </Stack>
        </Section>
      )
  }
}

const doing: Readonly<Partial<Record<Stage, string>>> = {
  DRAFT: 'The account is about to be looked at.',
  DISCOVERING:
    'The account and its objects are looked at, and a place is suggested for each field. Nothing is read yet.',
  EXTRACTING: 'Records are read, page by page.',
  STAGING:
    'What was read is rehearsed, object by object, as if those before it had been imported. No record is touched.',
  PROMOTING: 'What was rehearsed is imported, object by object.',
  VERIFYING: 'What is here is compared with what was read and with what is there.',
}
