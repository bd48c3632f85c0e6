/** Every run of the tenant, the newest first. */
import { Group, MultiSelect, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { type RunInListFragment, RunsPageDocument } from '../api/generated.ts'
import { count, percent, words } from '../ui/format.ts'
import { useTenantEvents } from '../ui/live.ts'
import { useLiveRuns } from '../ui/live-runs.ts'
import { More } from '../ui/more.tsx'
import { usePages } from '../ui/pages.ts'
import { Empty, GoButton, Page, Problem, Section, Status, Time } from '../ui/parts.tsx'
import { RunName } from '../ui/run-name.tsx'
import { isMoving, kindInWords } from '../ui/run-words.ts'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

type Kind = RunInListFragment['kind']
type RunStatus = RunInListFragment['status']

const kinds: readonly Kind[] = [
  'IMPORT',
  'EXPORT',
  'MIGRATION',
  'ROLLBACK',
  'BUNDLE_EXPORT',
  'BUNDLE_IMPORT',
  'AUDIT_EXPORT',
]

const statuses: readonly RunStatus[] = [
  'QUEUED',
  'DEFERRED',
  'ANALYZING',
  'AWAITING_MAPPING',
  'PLANNING',
  'AWAITING_CONFIRMATION',
  'RUNNING',
  'PAUSED',
  'COMPLETED',
  'COMPLETED_WITH_ERRORS',
  'FAILED',
  'CANCELED',
  'ROLLED_BACK',
  'ROLLED_BACK_WITH_CONFLICTS',
]

export default function Runs() {
  const may = useMay()
  const [kind, setKind] = useState<Kind[]>([])
  const [status, setStatus] = useState<RunStatus[]>([])
  const pages = usePages(
    RunsPageDocument,
    { kinds: kind.length === 0 ? null : kind, statuses: status.length === 0 ? null : status },
    (answer) => answer.runs,
  )
  const live = useLiveRuns()
  useTenantEvents((events) => {
    if (live.add(events)) {
      pages.refresh()
    }
  })
  return (
    <Page
      title="Runs"
      lead="Everything that moved or moves, the newest first."
      actions={may('IMPORT_RUN') && <GoButton href="/console/import">New import</GoButton>}
    >
      <Section title="All runs">
        <Group mb="md" align="flex-end">
          <MultiSelect
            label="Kind"
            placeholder={kind.length === 0 ? 'All' : ''}
            clearable
            clearButtonProps={{ 'aria-label': 'All kinds' }}
            value={kind}
            onChange={(value) => setKind(value as Kind[])}
            data={kinds.map((value) => ({ value, label: kindInWords(value) }))}
            w={260}
          />
          <MultiSelect
            label="Status"
            placeholder={status.length === 0 ? 'All' : ''}
            clearable
            clearButtonProps={{ 'aria-label': 'All statuses' }}
            value={status}
            onChange={(value) => setStatus(value as RunStatus[])}
            data={statuses.map((value) => ({ value, label: words(value) }))}
            w={260}
          />
        </Group>
        {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
        {pages.nodes === undefined && pages.problem === null && <Waiting what="runs" />}
        {pages.nodes?.length === 0 && (
          <Empty title="No such run">
            {kind.length === 0 && status.length === 0
              ? 'Imports, exports, migrations and rollbacks show here, from their first moment to long after their end.'
              : 'None has this kind and status. Take a filter away.'}
          </Empty>
        )}
        {pages.nodes !== undefined && pages.nodes.length > 0 && (
          <>
            <Wide minWidth={820}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Run</Table.Th>
                    <Table.Th>Kind</Table.Th>
                    <Table.Th>Status</Table.Th>
                    <Table.Th className="right">Rows</Table.Th>
                    <Table.Th className="right">Failed</Table.Th>
                    <Table.Th>By</Table.Th>
                    <Table.Th>Begun</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {pages.nodes.map((node) => {
                    const run = live.of(node)
                    return (
                      <Table.Tr key={run.id}>
                        <Table.Td>
                          <RunName run={run} />
                        </Table.Td>
                        <Table.Td>{kindInWords(run.kind)}</Table.Td>
                        <Table.Td>
                          <Group gap="xs" wrap="nowrap">
                            <Status status={run.status} />
                            {isMoving(run.status) && (
                              <Text size="sm" className="numbers">
                                {percent(run.progress.fraction)}
                              </Text>
                            )}
                          </Group>
                        </Table.Td>
                        <Table.Td className="numbers right">{count(run.counts.total ?? run.counts.read)}</Table.Td>
                        <Table.Td className="numbers right">{count(run.counts.failed)}</Table.Td>
                        <Table.Td>{run.createdBy}</Table.Td>
                        <Table.Td>
                          <Time at={run.createdAt} />
                        </Table.Td>
                      </Table.Tr>
                    )
                  })}
                </Table.Tbody>
              </Table>
            </Wide>
            <More
              shown={pages.nodes.length}
              hasMore={pages.hasMore}
              busy={pages.busy}
              onMore={pages.more}
              one="run"
              many="runs"
            />
          </>
        )}
      </Section>
    </Page>
  )
}
