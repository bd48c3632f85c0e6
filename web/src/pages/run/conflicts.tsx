/** What a rollback kept, because it had been changed since. */
import { Table, Text } from '@mantine/core'
import { RunConflictsDocument } from '../../api/generated.ts'
import { count, counted } from '../../ui/format.ts'
import { More } from '../../ui/more.tsx'
import { usePages } from '../../ui/pages.ts'
import { Problem, Section, To } from '../../ui/parts.tsx'
import { Wide } from '../../ui/wide.tsx'

export function Conflicts({ runId }: { readonly runId: string }) {
  const pages = usePages(RunConflictsDocument, { id: runId }, (answer) =>
    answer.run?.__typename === 'RollbackRun'
      ? answer.run.conflicts
      : { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
  )
  const total = pages.first?.run?.__typename === 'RollbackRun' ? pages.first.run.conflicts.totalCount : 0
  if (pages.problem !== null) {
    return <Problem message={pages.problem} again={pages.refresh} />
  }
  if (pages.nodes === undefined || pages.nodes.length === 0) {
    return null
  }
  return (
    <Section
      title="Kept"
      note={`${counted(total, 'field or record', 'fields or records')} had been changed since the import.`}
    >
      <Wide minWidth={760}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Record</Table.Th>
              <Table.Th className="right">Row</Table.Th>
              <Table.Th>Field</Table.Th>
              <Table.Th>Before</Table.Th>
              <Table.Th>Imported</Table.Th>
              <Table.Th>Now</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {pages.nodes.map((conflict) => (
              <Table.Tr key={`${conflict.recordId} ${conflict.field}`}>
                <Table.Td>
                  <To href={`/console/record/${conflict.recordId}`}>Look at it</To>
                  <Text size="xs" c="dimmed">
                    {conflict.message}
                  </Text>
                </Table.Td>
                <Table.Td className="numbers right">{count(conflict.rowNumber)}</Table.Td>
                <Table.Td>{conflict.field ?? 'the whole record'}</Table.Td>
                <Table.Td>{conflict.before ?? '–'}</Table.Td>
                <Table.Td>{conflict.imported ?? '–'}</Table.Td>
                <Table.Td>{conflict.current ?? '–'}</Table.Td>
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
        one="conflict"
        many="conflicts"
      />
    </Section>
  )
}
