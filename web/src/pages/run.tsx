/** A run, live: stage by stage, what becomes of its rows, how fast, what goes wrong; and at its end what to do next. */
import { Anchor, Group, Progress, SimpleGrid, Stack, Table, Text } from '@mantine/core'
import { useRef, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import { RunPageDocument, type RunPageQuery } from '../api/generated.ts'
import { bytes, count, counted, dayAndTime, duration, nearTime, percent, words } from '../ui/format.ts'
import { useFreshLinks } from '../ui/fresh-links.ts'
import { IssueGroups } from '../ui/issue-groups.tsx'
import { type RunEvent, useRunEvents } from '../ui/live.ts'
import {
  Copyable,
  Empty,
  Figure,
  GoButton,
  OutcomeBar,
  Page,
  Problem,
  Section,
  Status,
  Time,
  To,
} from '../ui/parts.tsx'
import { recordTypes } from '../ui/record-types.ts'
import { isMoving, kindInWords, writesFile } from '../ui/run-words.ts'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'
import { RunActions } from './run/actions.tsx'
import { Conflicts } from './run/conflicts.tsx'
import { FailedRows } from './run/failed-rows.tsx'
import { History } from './run/history.ts'
import { Pace } from './run/pace.tsx'
import { RollBack } from './run/rollback.tsx'
import { RowMap } from './run/row-map.tsx'

/** Issues that are shown as they arrive, the newest. */
const ARRIVING = 8

type Run = NonNullable<RunPageQuery['run']>

export default function RunPage({ id }: { readonly id: string }) {
  const [result, again] = useQuery({ query: RunPageDocument, variables: { id } })
  const history = useRef(new History())
  const [version, setVersion] = useState(0)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const read = result.data?.run
  useRunEvents(id, (events: readonly RunEvent[]) => {
    const changed = history.current.add(events)
    setVersion((before) => before + 1)
    if (changed && history.current.status !== read?.status) {
      refresh()
    }
  })
  useFreshLinks(read?.files.map(({ urlExpiresAt }) => urlExpiresAt) ?? [], refresh)
  const problem = trouble(result)
  if (read === undefined || read === null) {
    return (
      <Page title="Run">
        {problem !== null ? (
          <Problem message={problem} again={refresh} />
        ) : result.fetching ? (
          <Waiting what="the run" />
        ) : (
          <Empty title="There is no such run" action={<GoButton href="/console/runs">All runs</GoButton>}>
            Its id may be mistyped, or it belongs to another tenant.
          </Empty>
        )}
      </Page>
    )
  }
  const run = laidOver(read, history.current)
  const title = run.__typename === 'ImportRun' ? run.source.name : kindInWords(run.kind)
  return (
    <Page
      title={title}
      lead={<Lead run={run} />}
      actions={
        <>
          <RunActions run={run} onDone={refresh} />
          {run.availableActions.includes('ROLL_BACK') && <RollBack runId={run.id} name={title} />}
        </>
      }
    >
      {problem !== null && <Problem title="What is shown may be old" message={problem} again={refresh} />}
      {run.statusReason !== null && (
        <Section title={run.status === 'FAILED' ? 'Why it failed' : 'Why it waits'}>
          <Text>{run.statusReason.message}</Text>
          {run.statusReason.estimatedStartAt !== null && (
            <Text c="dimmed">May start about {dayAndTime(run.statusReason.estimatedStartAt)}.</Text>
          )}
        </Section>
      )}
      <Progressing run={run} />
      <Related run={run} />
      <Files run={run} />
      {run.__typename === 'ImportRun' && run.finishedAt !== null && run.counts.failed > 0 && (
        <FailedRows
          key={run.status}
          runId={run.id}
          failed={run.counts.failed}
          canRetry={run.availableActions.includes('RETRY_FAILED')}
          retryId={run.children.find(({ status }) => isMoving(status))?.id ?? null}
          onChanged={refresh}
        />
      )}
      {run.__typename === 'ImportRun' && <Issues run={run} history={history.current} />}
      {run.__typename === 'RollbackRun' && run.finishedAt !== null && <Conflicts runId={run.id} />}
      <HowItWent run={run} history={history.current} version={version} />
    </Page>
  )
}

/**
 * What was read with what events have told since. Events begin with the first of the run, so they count only where they tell of the
 * status that was read, and of no fewer rows. They do until another status has been read: nothing on the page ever jumps back.
 */
function laidOver(run: Run, { progressed, progressedIn }: History): Run {
  if (progressed === null || progressedIn !== run.status || run.finishedAt !== null) {
    return run
  }
  const { counts, progress } = progressed
  return settledOf(counts) + counts.read >= settledOf(run.counts) + run.counts.read ? { ...run, counts, progress } : run
}

function settledOf({ created, updated, unchanged, skipped, failed, deleted, reverted, kept }: Run['counts']): number {
  return created + updated + unchanged + skipped + failed + deleted + reverted + kept
}

function Lead({ run }: { readonly run: Run }) {
  return (
    <Group gap="sm">
      <Status status={run.status} />
      <Text size="sm">
        {kindInWords(run.kind)}
        {run.__typename === 'ImportRun' ? ` of ${recordTypes[run.recordType].many}` : ''} by {run.createdBy},{' '}
        <Time at={run.createdAt} />
      </Text>
      <Copyable value={run.id} label="id of the run" />
    </Group>
  )
}

function Progressing({ run }: { readonly run: Run }) {
  const { counts, progress, metrics } = run
  const moving = isMoving(run.status)
  return (
    <Section title={moving ? 'How far it is' : 'What became of the rows'} note={report(run)}>
      <Stack gap="md">
        {moving && (
          <Group gap="sm" wrap="nowrap">
            <Progress
              value={(progress.fraction ?? 0) * 100}
              flex={1}
              aria-label="Progress of the run"
              animated={progress.fraction === null}
            />
            <Text className="numbers" data-fraction={progress.fraction ?? ''}>
              {percent(progress.fraction)}
            </Text>
          </Group>
        )}
        {!writesFile(run.kind) && <OutcomeBar counts={counts} total={counts.total} />}
        <SimpleGrid cols={{ base: 2, sm: 4 }}>
          <Figure label="Rows" note={counts.total === null ? 'not counted yet' : undefined}>
            {count(counts.total ?? counts.read)}
          </Figure>
          <Figure label={moving ? 'Read so far' : 'Not processed'}>
            {count(moving ? counts.read : counts.unprocessed)}
          </Figure>
          <Figure label="Rows per second">
            {count(Math.round((moving ? progress.rowsPerSecond : metrics.rowsPerSecond) ?? 0))}
          </Figure>
          <Figure label={moving ? 'Done about' : 'It took'}>
            {moving ? (progress.etaAt === null ? '–' : nearTime(progress.etaAt)) : duration(metrics.runningMs)}
          </Figure>
        </SimpleGrid>
      </Stack>
    </Section>
  )
}

/** What has happened, in a sentence. */
function report(run: Run): string {
  const { counts } = run
  if (isMoving(run.status)) {
    return run.status === 'QUEUED' ? 'It waits for its turn and starts by itself.' : 'The numbers move by themselves.'
  }
  const all = counts.total ?? counts.read
  switch (run.status) {
    case 'COMPLETED':
      return writesFile(run.kind)
        ? `Everything is in the file: ${counted(counts.read, 'row')}.`
        : `Every row has its outcome, and none failed: ${counted(all, 'row')}.`
    case 'COMPLETED_WITH_ERRORS':
      return run.kind === 'ROLLBACK'
        ? 'All that nobody had changed since went back; the rest was kept and is listed.'
        : `Every row has its outcome; ${counted(counts.failed, 'row')} of ${count(all)} failed and can be corrected below.`
    case 'FAILED':
    case 'CANCELED':
      return `${counted(counts.unprocessed, 'row was', 'rows were')} not come to. What is settled stays, and can be rolled back.`
    case 'ROLLED_BACK':
      return 'All that it wrote was undone.'
    case 'ROLLED_BACK_WITH_CONFLICTS':
      return 'What nobody had changed since was undone; the rest was kept.'
    default:
      return 'It waits.'
  }
}

/** Other runs that belong to this one. */
function Related({ run }: { readonly run: Run }) {
  const links: { readonly href: string; readonly text: string }[] = []
  if (run.__typename === 'ImportRun') {
    if (run.parent !== null) {
      links.push({ href: `/console/runs/${run.parent.id}`, text: 'The import whose failed rows this tries again' })
    }
    for (const child of run.children) {
      const done = count(child.counts.total ?? child.counts.read)
      links.push({
        href: `/console/runs/${child.id}`,
        text: `Tried again: ${done} rows, ${words(child.status).toLowerCase()}`,
      })
    }
    if (run.rollback !== null) {
      links.push({
        href: `/console/runs/${run.rollback.id}`,
        text: `Its rollback, ${words(run.rollback.status).toLowerCase()}`,
      })
    }
  } else if (run.__typename === 'RollbackRun') {
    links.push({ href: `/console/runs/${run.ofRunId}`, text: 'The run that it undoes' })
  } else if (run.__typename === 'BundleRun') {
    for (const each of run.importRuns) {
      links.push({
        href: `/console/runs/${each.id}`,
        text: `${words(each.recordType)}: ${words(each.status).toLowerCase()}, ${counted(each.counts.total ?? each.counts.read, 'row')}`,
      })
    }
  }
  if (links.length === 0) {
    return null
  }
  return (
    <Section title="Belongs together">
      <Stack gap={4} component="ul" className="plain-list">
        {links.map(({ href, text }) => (
          <li key={href}>
            <To href={href}>{text}</To>
          </li>
        ))}
      </Stack>
    </Section>
  )
}

const fileWords: Readonly<Record<string, string>> = {
  SOURCE: 'The file as it came',
  FAILED_ROWS: 'Failed rows, to be corrected in a spreadsheet and given back',
  UNPROCESSED_ROWS: 'Rows that were not come to',
  REPORT: 'Report',
  RESULT: 'Result',
  BUNDLE: 'Bundle',
}

function Files({ run }: { readonly run: Run }) {
  const may = useMay()
  if (run.files.length === 0) {
    return run.finishedAt !== null && !may('PII_READ') ? (
      <Section title="Files">
        <Text c="dimmed">Files of runs are for those who may see sensitive fields.</Text>
      </Section>
    ) : null
  }
  return (
    <Section title="Files" note="Links are for you: they end after minutes, and this page gets new ones by itself.">
      <Stack gap="xs" component="ul" className="plain-list">
        {run.files.map((file) => (
          <Group key={`${file.kind} ${file.name}`} component="li" gap="sm">
            <Anchor href={file.url} download={file.name} underline="always">
              {file.name}
            </Anchor>
            <Text size="sm" c="dimmed">
              {fileWords[file.kind] ?? words(file.kind)}
              {file.rowCount === null ? '' : `, ${counted(file.rowCount, 'row')}`}, {bytes(file.byteSize)}
            </Text>
          </Group>
        ))}
      </Stack>
    </Section>
  )
}

function Issues(props: { readonly run: Extract<Run, { __typename: 'ImportRun' }>; readonly history: History }) {
  const { run, history } = props
  const arriving = isMoving(run.status) ? history.issues.slice(-ARRIVING).toReversed() : []
  if (run.issueGroups.length === 0 && arriving.length === 0) {
    return null
  }
  return (
    <Section
      title="Issues"
      note={
        run.issueGroups.length > 0
          ? 'The same trouble of the same column is one line, the most frequent first.'
          : undefined
      }
    >
      {run.issueGroups.length > 0 && <IssueGroups groups={run.issueGroups} />}
      {arriving.length > 0 && (
        <>
          <Text fw={600} size="sm" mt="md" mb={4}>
            As they arrive, the newest first
          </Text>
          <Stack gap={2} component="ul" className="plain-list" aria-label="Issues as they arrive">
            {arriving.map((issue) => (
              <Text key={`${issue.rowNumber} ${issue.code} ${issue.column}`} size="sm" component="li" truncate>
                Row {count(issue.rowNumber)}
                {issue.column === null ? '' : `, ${issue.column}`}: {issue.message}
              </Text>
            ))}
          </Stack>
        </>
      )}
    </Section>
  )
}

function HowItWent(props: { readonly run: Run; readonly history: History; readonly version: number }) {
  const { run, history, version } = props
  const rows = run.counts.total ?? run.counts.read
  const stretches = history.stretches(rows)
  const settled = stretches.length > 0 && rows > 0
  return (
    <Section
      title="How it goes"
      note={history.gap ? 'Its first events are not kept any more, so the pictures begin later.' : undefined}
    >
      <Stack gap="lg">
        {settled && run.kind !== 'ROLLBACK' && (
          <div>
            <Text fw={600} size="sm" mb={4}>
              The file, from its first row to its last
            </Text>
            <RowMap stretches={[...stretches]} span={history.span} rows={rows} firstRow={history.firstRow} />
            {run.__typename === 'ImportRun' && run.children.length > 0 && (
              <Text size="sm" c="dimmed">
                As the import itself went: what was tried again since is not drawn.
              </Text>
            )}
          </div>
        )}
        {history.hasPace && (
          <div>
            <Text fw={600} size="sm" mb={4}>
              Rows per second, and failed rows (dashed)
            </Text>
            <Pace points={history.points} version={version} />
          </div>
        )}
        <Wide minWidth={320}>
          <Table w="auto">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Stage</Table.Th>
                <Table.Th className="right">Time</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              <Table.Tr>
                <Table.Td>Waited for its turn</Table.Td>
                <Table.Td className="numbers right">{duration(run.metrics.queuedMs)}</Table.Td>
              </Table.Tr>
              {run.metrics.stages.map(({ stage, ms }) => (
                <Table.Tr key={stage}>
                  <Table.Td>{words(stage.replaceAll(/([a-z])([A-Z])/g, '$1_$2'))}</Table.Td>
                  <Table.Td className="numbers right">{duration(ms)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
        {run.metrics.chunks > 0 && (
          <Text size="sm" c="dimmed">
            {counted(run.metrics.chunks, 'chunk')} of rows
            {run.metrics.peakRssBytes === null
              ? ''
              : `; the worker took ${bytes(run.metrics.peakRssBytes)} of memory at most`}
            {run.metrics.attempts > 1 ? `; tried ${counted(run.metrics.attempts, 'time')} since it last got on` : ''}.
          </Text>
        )}
      </Stack>
    </Section>
  )
}
