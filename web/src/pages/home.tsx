/** What is running now across the tenant, what waits for a person, what has been, and how much of the quotas is left. */
import { Card, Grid, Group, Progress, Stack, Table, Text } from '@mantine/core'
import { useEffect } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import { HomeDocument, ReconnectionsDocument, type RunInListFragment } from '../api/generated.ts'
import { count, dayAndTime, percent, words } from '../ui/format.ts'
import { useTenantEvents } from '../ui/live.ts'
import { useLiveRuns } from '../ui/live-runs.ts'
import { Empty, GoButton, OutcomeBar, Page, Problem, Section, Status, Time, To } from '../ui/parts.tsx'
import { needs } from '../ui/permission-words.ts'
import { Quotas } from '../ui/quotas.tsx'
import { recordTypes } from '../ui/record-types.ts'
import { RunName } from '../ui/run-name.tsx'
import { kindInWords, needOf } from '../ui/run-words.ts'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

export function Home() {
  const may = useMay()
  return needs.runs.some(may) ? <Runs /> : <NoRuns />
}

/** Of somebody who may see none. */
function NoRuns() {
  return (
    <Page title="Home">
      <Section title="Runs">
        <Empty title="You may not see runs">
          Your sign-in allows neither imports nor exports nor migrations. Whoever manages the settings of your CRM can
          give you more.
        </Empty>
      </Section>
    </Page>
  )
}

function Runs() {
  const may = useMay()
  const [result, again] = useQuery({ query: HomeDocument })
  const live = useLiveRuns()
  const refresh = () => again({ requestPolicy: 'network-only' })
  useTenantEvents((events) => {
    if (live.add(events)) {
      refresh()
    }
  }, refresh)
  const { clear } = live
  // Whenever an answer comes, what was laid over the one before is old.
  useEffect(clear, [result.data])
  const message = trouble(result)
  const { data } = result
  const newImport = may('IMPORT_RUN') && <GoButton href="/console/import">New import</GoButton>
  if (data === undefined) {
    return (
      <Page title="Home">
        {message === null ? <Waiting what="what is going on" /> : <Problem message={message} again={refresh} />}
      </Page>
    )
  }
  // Imports of a migration go on with it, and are confirmed with it: it alone is told of.
  const parts = new Set(
    [...data.moving.nodes, ...data.waiting.nodes].flatMap((run) =>
      run.__typename === 'Migration' ? run.objects.flatMap(({ importRun }) => importRun?.id ?? []) : [],
    ),
  )
  const moving = data.moving.nodes.filter(({ id }) => !parts.has(id)).map((run) => live.of(run))
  const waiting = data.waiting.nodes.filter(({ id }) => !parts.has(id)).map((run) => live.of(run))
  return (
    <Page title="Home" lead="What is moving in and out right now." actions={newImport}>
      {message !== null && <Problem title="What is shown may be old" message={message} again={refresh} />}
      <Section title="Running now">
        {moving.length === 0 ? (
          <Empty title="Nothing is running">
            Imports, exports and migrations show here while they work: how far they are, how fast, and what went wrong.
          </Empty>
        ) : (
          <Stack gap="md" component="ul" className="plain-list">
            {moving.map((run) => (
              <MovingRun key={run.id} run={run} />
            ))}
          </Stack>
        )}
      </Section>
      {/* What others have to do is among all runs. */}
      <NeedsYou runs={waiting.filter(({ availableActions }) => availableActions.length > 0)} />
      <Grid>
        <Grid.Col span={{ base: 12, lg: 8 }}>
          <Section title="Recent runs" actions={<To href="/console/runs">All runs</To>}>
            <RecentRuns runs={data.recent.nodes} />
          </Section>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 4 }}>
          <Section title="Quotas" note="What the tenant may use, and what is left of it.">
            <Quotas quotas={data.quotas} />
          </Section>
        </Grid.Col>
      </Grid>
    </Page>
  )
}

function MovingRun({ run }: { readonly run: RunInListFragment }) {
  const { progress, counts } = run
  return (
    <Card withBorder padding="sm" component="li">
      <Stack gap="xs">
        <Group justify="space-between">
          <Group gap="sm">
            <RunName run={run} />
            <Status status={run.status} />
            <Text size="sm" c="dimmed">
              {kindInWords(run.kind)}
              {run.__typename === 'ImportRun' ? ` of ${recordTypes[run.recordType].many}` : ''}
            </Text>
          </Group>
          <Text size="sm" className="numbers">
            {progress.rowsPerSecond === null ? '' : `${count(Math.round(progress.rowsPerSecond))} rows/s`}
            {progress.etaAt === null ? '' : ` · done about ${dayAndTime(progress.etaAt)}`}
          </Text>
        </Group>
        {run.statusReason !== null && <Text size="sm">{run.statusReason.message}</Text>}
        <Group gap="sm" wrap="nowrap">
          <Progress
            value={(progress.fraction ?? 0) * 100}
            flex={1}
            aria-label={`Progress of ${kindInWords(run.kind)}`}
            animated={progress.fraction === null}
          />
          <Text size="sm" className="numbers">
            {percent(progress.fraction)}
          </Text>
        </Group>
        <OutcomeBar counts={counts} total={counts.total} />
      </Stack>
    </Card>
  )
}

function NeedsYou({ runs }: { readonly runs: readonly RunInListFragment[] }) {
  const may = useMay()
  const [{ data }] = useQuery({ query: ReconnectionsDocument, pause: !may('INTEGRATION_MANAGE') })
  const cut = (data?.integrations ?? []).filter(({ status }) => status === 'REAUTHORIZATION_REQUIRED')
  return (
    <Section title="Needs you">
      {runs.length === 0 && cut.length === 0 ? (
        <Text c="dimmed">Nothing waits for you. Plans to confirm and columns to match would be here.</Text>
      ) : (
        <Stack gap="sm" component="ul" className="plain-list">
          {runs.map((run) => (
            <li key={run.id}>
              <Group gap="sm">
                <RunName run={run} />
                <Status status={run.status} />
                <Text size="sm" c="dimmed">
                  <Time at={run.createdAt} />
                </Text>
              </Group>
              <Text size="sm">{run.statusReason?.message ?? needOf(run.status)}</Text>
            </li>
          ))}
          {cut.map(({ id, system, accountName }) => (
            <li key={id}>
              <To href="/console/integrations">{accountName ?? words(system)}</To>
              <Text size="sm">The connection to {words(system)} has to be made again.</Text>
            </li>
          ))}
        </Stack>
      )}
    </Section>
  )
}

function RecentRuns({ runs }: { readonly runs: readonly RunInListFragment[] }) {
  if (runs.length === 0) {
    return <Empty title="Nothing has run yet">What has ended shows here with what became of its rows.</Empty>
  }
  return (
    <Wide minWidth={520}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Run</Table.Th>
            <Table.Th>Status</Table.Th>
            <Table.Th className="right">Rows</Table.Th>
            <Table.Th className="right">Failed</Table.Th>
            <Table.Th>Ended</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {runs.map((run) => (
            <Table.Tr key={run.id}>
              <Table.Td>
                <RunName run={run} />
              </Table.Td>
              <Table.Td>
                <Status status={run.status} />
              </Table.Td>
              <Table.Td className="numbers right">{count(run.counts.total ?? run.counts.read)}</Table.Td>
              <Table.Td className="numbers right">{count(run.counts.failed)}</Table.Td>
              <Table.Td>
                <Time at={run.finishedAt} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}
