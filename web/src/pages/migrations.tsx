/** Moving in from other CRMs: what is connected, what has moved in and what is on its way. */
import { Group, Table, Text } from '@mantine/core'
import { useEffect } from 'react'
import { useSearchParams } from 'wouter'
import { MigrationListDocument } from '../api/generated.ts'
import { migrationName, stageWords } from '../ui/crm-words.ts'
import { count, dayAndTime } from '../ui/format.ts'
import { useTenantEvents } from '../ui/live.ts'
import { useLiveRuns } from '../ui/live-runs.ts'
import { More } from '../ui/more.tsx'
import { usePages } from '../ui/pages.ts'
import { Empty, Page, Problem, Section, Status, Time, To } from '../ui/parts.tsx'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'
import { Connections } from './migrations/connections.tsx'
import { NewMigration } from './migrations/new-migration.tsx'

export default function Migrations() {
  const may = useMay()
  const [params, setParams] = useSearchParams()
  const from = params.get('from')
  const choose = (integrationId: string | null): void =>
    setParams(integrationId === null ? {} : { from: integrationId })
  return (
    <Page
      title="Migrations"
      lead="Move in from another CRM: looked at, matched, rehearsed, imported, proven, and kept up to date."
    >
      {from !== null && <NewMigration key={from} integrationId={from} onClose={() => choose(null)} />}
      {(may('INTEGRATION_MANAGE') || may('MIGRATION_RUN')) && <Connections onMigrate={choose} />}
      {may('MIGRATION_RUN') && <List />}
    </Page>
  )
}

function List() {
  const pages = usePages(MigrationListDocument, {}, (answer) => answer.migrations)
  const live = useLiveRuns()
  useTenantEvents((events) => {
    if (live.add(events)) {
      pages.refresh()
    }
  }, pages.refresh)
  const { clear } = live
  useEffect(clear, [pages.first])
  const { nodes } = pages
  return (
    <Section title="All migrations" note="The newest first.">
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {nodes === undefined && pages.problem === null && <Waiting what="migrations" />}
      {nodes?.length === 0 && (
        <Empty title="Nothing has been moved in yet">
          Connect a CRM above and choose what to move in. It is read and rehearsed first: until you have seen what would
          become of every record, nothing is written.
        </Empty>
      )}
      {nodes !== undefined && nodes.length > 0 && (
        <>
          <Wide minWidth={760}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>From</Table.Th>
                  <Table.Th>Stage</Table.Th>
                  <Table.Th>Status</Table.Th>
                  <Table.Th className="right">Records</Table.Th>
                  <Table.Th className="right">Failed</Table.Th>
                  <Table.Th>Begun</Table.Th>
                  <Table.Th>Next</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {nodes.map((node) => {
                  const migration = live.of(node)
                  return (
                    <Table.Tr key={migration.id}>
                      <Table.Td>
                        <To href={`/console/migrations/${migration.id}`}>{migrationName(migration.integration)}</To>
                      </Table.Td>
                      <Table.Td>{stageWords[migration.stage]}</Table.Td>
                      <Table.Td>
                        <Group gap={4}>
                          <Status status={migration.status} />
                        </Group>
                      </Table.Td>
                      <Table.Td className="numbers right">
                        {count(migration.counts.total ?? migration.counts.read)}
                      </Table.Td>
                      <Table.Td className="numbers right">{count(migration.counts.failed)}</Table.Td>
                      <Table.Td>
                        <Time at={migration.createdAt} />
                      </Table.Td>
                      <Table.Td>
                        <Text size="sm">
                          {migration.nextRunAt === null ? '–' : `Changes ${dayAndTime(migration.nextRunAt)}`}
                        </Text>
                      </Table.Td>
                    </Table.Tr>
                  )
                })}
              </Table.Tbody>
            </Table>
          </Wide>
          {pages.hasMore && (
            <More
              shown={nodes.length}
              hasMore={pages.hasMore}
              busy={pages.busy}
              onMore={pages.more}
              one="migration"
              many="migrations"
            />
          )}
        </>
      )}
    </Section>
  )
}
