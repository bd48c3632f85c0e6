/** The issues of an import, the same trouble of the same column as one line. */
import { Table, Text } from '@mantine/core'
import type { RunPageQuery } from '../api/generated.ts'
import { count } from './format.ts'
import { Wide } from './wide.tsx'

type Group = Extract<NonNullable<RunPageQuery['run']>, { __typename: 'ImportRun' }>['issueGroups'][number]

/** Values that are shown of each. */
const SAMPLES = 3

export function IssueGroups({ groups }: { readonly groups: readonly Group[] }) {
  return (
    <Wide minWidth={680}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th className="right">Rows</Table.Th>
            <Table.Th>Column</Table.Th>
            <Table.Th>What is wrong</Table.Th>
            <Table.Th>For example</Table.Th>
            <Table.Th>Where</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {groups.map((group) => (
            <Table.Tr key={`${group.code} ${group.column} ${group.field}`}>
              <Table.Td className="numbers right">{count(group.count)}</Table.Td>
              <Table.Td>{group.column ?? '–'}</Table.Td>
              <Table.Td>
                <Text size="sm">{group.message}</Text>
                {group.suggestion !== null && (
                  <Text size="sm" c="dimmed">
                    {group.suggestion}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>{group.sampleValues.slice(0, SAMPLES).join(', ')}</Table.Td>
              <Table.Td className="numbers">
                {group.firstRow === group.lastRow
                  ? `row ${count(group.firstRow)}`
                  : `rows ${count(group.firstRow)} to ${count(group.lastRow)}`}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}
