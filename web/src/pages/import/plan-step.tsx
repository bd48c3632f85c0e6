/** What the import would do, row by row, before anything is written; and the word that lets it. */
import { Alert, Button, Group, SegmentedControl, Stack, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { type ImportFlowQuery, ImportPlanRowsDocument, type ImportPlanRowsQuery } from '../../api/generated.ts'
import { useFieldLabels } from '../../ui/field-labels.ts'
import { count, counted, words } from '../../ui/format.ts'
import { IssueGroups } from '../../ui/issue-groups.tsx'
import { More } from '../../ui/more.tsx'
import { usePages } from '../../ui/pages.ts'
import { OutcomeBar, Problem, Section, Tag, Time, To } from '../../ui/parts.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Flow = NonNullable<ImportFlowQuery['importRun']>
type Row = NonNullable<NonNullable<ImportPlanRowsQuery['importRun']>['plan']>['rows']['nodes'][number]
type Outcome = Row['outcome']

const outcomeColors: Readonly<Record<string, string>> = {
  CREATED: 'green',
  UPDATED: 'blue',
  DELETED: 'grape',
  SKIPPED: 'yellow',
  FAILED: 'red',
  UNCHANGED: 'gray',
}

const shownOutcomes: readonly (readonly [
  Outcome,
  'created' | 'updated' | 'unchanged' | 'deleted' | 'skipped' | 'failed',
])[] = [
  ['CREATED', 'created'],
  ['UPDATED', 'updated'],
  ['DELETED', 'deleted'],
  ['SKIPPED', 'skipped'],
  ['FAILED', 'failed'],
  ['UNCHANGED', 'unchanged'],
]

export function PlanStep(props: {
  readonly run: Flow
  readonly confirming: boolean
  readonly onConfirm: () => void
  readonly onChange: () => void
}) {
  const { run, confirming, onConfirm, onChange } = props
  const { plan } = run
  if (plan === null) {
    return <Waiting what="the plan" />
  }
  const { counts } = plan
  const writes = counts.created + counts.updated + counts.deleted
  return (
    <Stack gap="lg">
      <Section
        title="The plan"
        note={
          <>
            Made <Time at={plan.createdAt} />. What you confirm is what is applied; a record that somebody changes until
            then is left alone and told.
          </>
        }
        actions={
          <Group gap="xs">
            <Button variant="default" onClick={onChange}>
              Change the columns
            </Button>
            <Button onClick={onConfirm} loading={confirming}>
              {writes === 0 ? 'Run it all the same' : `Apply ${counted(writes, 'change')}`}
            </Button>
          </Group>
        }
      >
        <OutcomeBar counts={counts} total={counts.total} label="What the rows would come to" />
        {counts.failed > 0 && (
          <Alert color="orange" variant="outline" mt="md" title={`${counted(counts.failed, 'row')} would fail`}>
            They can be corrected and tried again afterwards, or change the columns now. The others are written.
          </Alert>
        )}
      </Section>
      <PlanIssues run={run} />
      <Formats plan={plan} />
      <Rows run={run} hash={plan.hash} counts={counts} />
    </Stack>
  )
}

function PlanIssues({ run }: { readonly run: Flow }) {
  if (run.issueGroups.length === 0) {
    return null
  }
  return (
    <Section title="Issues" note="The same trouble of the same column is one line.">
      <IssueGroups groups={run.issueGroups} />
    </Section>
  )
}

function Formats({ plan }: { readonly plan: NonNullable<Flow['plan']> }) {
  if (plan.columnFormats.length === 0) {
    return null
  }
  return (
    <Section title="How dates and numbers are read">
      <Stack gap={4} component="ul" className="plain-list">
        {plan.columnFormats.map(({ column, format, provenByRow }) => (
          <Text key={column} component="li" size="sm">
            {column}: {format}
            {provenByRow === null ? '' : `, which row ${count(provenByRow)} proves`}
          </Text>
        ))}
      </Stack>
    </Section>
  )
}

function Rows(props: {
  readonly run: Flow
  readonly hash: string
  readonly counts: NonNullable<Flow['plan']>['counts']
}) {
  const { run, hash, counts } = props
  const labelOf = useFieldLabels(run.recordType)
  const [outcome, setOutcome] = useState<Outcome | 'ALL'>('ALL')
  const pages = usePages(
    ImportPlanRowsDocument,
    { id: run.id, outcome: outcome === 'ALL' ? null : [outcome] },
    (answer) => answer.importRun?.plan?.rows ?? { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
  )
  return (
    <Section title="Row by row" note="Before and after of every field that would change.">
      <div className="scroll-x">
        <SegmentedControl
          mb="md"
          aria-label="Rows to show"
          value={outcome}
          onChange={(value) => setOutcome(value as Outcome | 'ALL')}
          data={[
            { value: 'ALL', label: 'All' },
            ...shownOutcomes
              .filter(([, key]) => counts[key] > 0)
              .map(([value, key]) => ({ value, label: `${words(value)} ${count(counts[key])}` })),
          ]}
        />
      </div>
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {pages.nodes === undefined && pages.problem === null && <Waiting what="the rows of the plan" />}
      {pages.nodes?.length === 0 && <Text c="dimmed">There is no such row.</Text>}
      {pages.nodes !== undefined && pages.nodes.length > 0 && (
        <>
          <Wide minWidth={760}>
            <Table key={hash}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th className="right">Row</Table.Th>
                  <Table.Th>Would be</Table.Th>
                  <Table.Th>Field by field</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {pages.nodes.map((row) => (
                  <Table.Tr key={row.rowNumber}>
                    <Table.Td className="numbers right" valign="top">
                      {count(row.rowNumber)}
                    </Table.Td>
                    <Table.Td valign="top">
                      <Tag color={outcomeColors[row.outcome] ?? 'gray'}>{words(row.outcome)}</Tag>
                      {row.recordId !== null && (
                        <Text size="xs" mt={4}>
                          <To href={`/console/record/${row.recordId}`}>the record</To>
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td>
                      <Changes row={row} labelOf={labelOf} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
          <More
            shown={pages.nodes.length}
            hasMore={pages.hasMore}
            busy={pages.busy}
            onMore={pages.more}
            one="row"
            many="rows"
          />
        </>
      )}
    </Section>
  )
}

function Changes({ row, labelOf }: { readonly row: Row; readonly labelOf: (field: string) => string }) {
  return (
    <Stack gap={2}>
      {row.issues.map((issue) => (
        <Text key={`${issue.column} ${issue.message}`} size="sm" fw={600}>
          {issue.column === null ? '' : `${issue.column}: `}
          {issue.message}
          {issue.value === null || issue.value === '' ? '' : ` (“${issue.value}”)`}
        </Text>
      ))}
      <Group gap="xs">
        {row.changes.map(({ field, before, after }) => (
          <Text key={field} size="sm" component="span">
            <Text span c="dimmed" size="sm">
              {labelOf(field)}{' '}
            </Text>
            {before !== null && (
              <>
                <del>{before}</del>{' '}
              </>
            )}
            <ins style={{ textDecoration: 'none', fontWeight: before === null ? 400 : 600 }}>{after ?? 'nothing'}</ins>
          </Text>
        ))}
      </Group>
      {row.related.map(({ path, outcome }) => (
        <Text key={path} size="sm" c="dimmed">
          {labelOf(path)}: {words(outcome).toLowerCase()}
        </Text>
      ))}
    </Stack>
  )
}
