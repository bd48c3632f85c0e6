/** Rows of one object: what would become of each, or has. */
import { Group, Select, Stack, Table, Text } from '@mantine/core'
import { useState } from 'react'
import {
  MigrationImportedRowsDocument,
  type MigrationImportedRowsQuery,
  MigrationPlannedRowsDocument,
} from '../../api/generated.ts'
import { useFieldLabels } from '../../ui/field-labels.ts'
import { count, words } from '../../ui/format.ts'
import { More } from '../../ui/more.tsx'
import { usePages } from '../../ui/pages.ts'
import { Problem, To } from '../../ui/parts.tsx'
import type { RecordType } from '../../ui/record-types.ts'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'
import type { Migration } from '../migration.tsx'

type Row = NonNullable<MigrationImportedRowsQuery['importRun']>['rows']['nodes'][number]
type Outcome = Row['outcome']

/** So many changes of a row are shown before the rest is only counted. */
const CHANGES = 12

const none = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } }

export function Rows(props: {
  readonly runId: string
  /** Whether nothing has been written yet. */
  readonly planned: boolean
  readonly recordType: RecordType
  readonly counts: Migration['counts']
}) {
  const { runId, planned, recordType, counts } = props
  const [outcome, setOutcome] = useState<Outcome | null>(null)
  const variables = { id: runId, outcome: outcome === null ? null : [outcome] }
  const plan = usePages(
    MigrationPlannedRowsDocument,
    variables,
    (answer) => answer.importRun?.plan?.rows ?? none,
    !planned,
  )
  const done = usePages(MigrationImportedRowsDocument, variables, (answer) => answer.importRun?.rows ?? none, planned)
  const pages: Pick<typeof done, 'problem' | 'refresh' | 'hasMore' | 'busy' | 'more'> & {
    readonly nodes: readonly Row[] | undefined
  } = planned ? plan : done
  const labelOf = useFieldLabels(recordType)
  const kinds = (['CREATED', 'UPDATED', 'UNCHANGED', 'SKIPPED', 'FAILED', 'DELETED'] as const)
    .map((value) => ({ value, number: counts[value.toLowerCase() as Lowercase<typeof value>] }))
    .filter(({ number }) => number > 0)
  return (
    <Stack gap="sm" component="section" aria-label="Rows">
      <Group align="flex-end">
        <Select
          label="Which rows"
          maw={220}
          allowDeselect={false}
          value={outcome ?? 'ALL'}
          data={[
            { value: 'ALL', label: planned ? 'All' : 'All that are listed' },
            ...kinds.map(({ value, number }) => ({ value, label: `${words(value)} (${count(number)})` })),
          ]}
          onChange={(value) => setOutcome(value === null || value === 'ALL' ? null : (value as Outcome))}
        />
        <Text size="sm" c="dimmed">
          {planned ? 'As they would be written.' : 'Created rows are listed by number only.'}
        </Text>
      </Group>
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {pages.nodes === undefined && pages.problem === null && <Waiting what="rows" />}
      {pages.nodes?.length === 0 && <Text size="sm">There is no such row.</Text>}
      {pages.nodes !== undefined && pages.nodes.length > 0 && (
        <>
          <Wide minWidth={640}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Record there</Table.Th>
                  <Table.Th>Outcome</Table.Th>
                  <Table.Th>{planned ? 'What it would hold' : 'What changed'}</Table.Th>
                  <Table.Th>Issues</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {pages.nodes.map((row) => (
                  <Table.Tr key={row.rowNumber}>
                    <Table.Td>{row.sourceId ?? `Row ${count(row.rowNumber)}`}</Table.Td>
                    <Table.Td>
                      {row.recordId === null ? (
                        words(row.outcome)
                      ) : (
                        <To href={`/console/record/${row.recordId}`}>{words(row.outcome)}</To>
                      )}
                    </Table.Td>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>
                      {row.changes.slice(0, CHANGES).map(({ field, before, after }) => (
                        <Text size="sm" key={field} span mr="md" display="inline-block">
                          {labelOf(field)}: {before === null ? '' : `${before} → `}
                          {after ?? '–'}
                        </Text>
                      ))}
                      {row.changes.length > CHANGES && (
                        <Text size="sm" c="dimmed">
                          and {count(row.changes.length - CHANGES)} more
                        </Text>
                      )}
                      {row.changes.length === 0 && '–'}
                    </Table.Td>
                    <Table.Td>
                      {row.issues.length === 0
                        ? '–'
                        : row.issues.map((issue) => (
                            <Text size="sm" key={`${issue.code} ${issue.column}`}>
                              {issue.message} {issue.suggestion ?? ''}
                            </Text>
                          ))}
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
    </Stack>
  )
}
