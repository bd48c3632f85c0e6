/** The proof of a migration: what is here against what is there, check by check, and as a file. */
import { Button, Group, Stack, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { useClient } from 'urql'
import { trouble } from '../../api/client.ts'
import { MigrationReportDocument } from '../../api/generated.ts'
import { count, counted, words } from '../../ui/format.ts'
import { Section, Tag, Time } from '../../ui/parts.tsx'
import { toast } from '../../ui/toasts.tsx'
import { Wide } from '../../ui/wide.tsx'
import type { Migration } from '../migration.tsx'

type Check = NonNullable<Migration['verification']>['checks'][number]

/** More checks than these are told object by object, until somebody wants to see each. */
const MANY = 30

export function Proof(props: {
  readonly migrationId: string
  readonly verification: NonNullable<Migration['verification']>
}) {
  const { migrationId, verification } = props
  const client = useClient()
  const [busy, setBusy] = useState(false)
  const [all, setAll] = useState(verification.checks.length <= MANY)
  const failed = verification.checks.filter(({ passed }) => !passed)
  // What failed is what one looks for.
  const checks = [...failed, ...verification.checks.filter(({ passed }) => passed)]
  const shown = all ? checks : failed
  const download = async (): Promise<void> => {
    setBusy(true)
    // Links end after a while: a new one is asked for.
    const result = await client
      .query(MigrationReportDocument, { id: migrationId }, { requestPolicy: 'network-only' })
      .toPromise()
    setBusy(false)
    const url = result.data?.migration?.verification?.fileUrl
    const problem = trouble(result)
    if (url === undefined || problem !== null) {
      toast(problem ?? 'There is no proof any more.', true)
    } else {
      location.assign(url)
    }
  }
  return (
    <Section
      title="Proof"
      note={
        <>
          What is here against what was read and what is there, <Time at={verification.createdAt} />.
        </>
      }
      actions={
        <Button variant="default" loading={busy} onClick={() => void download()}>
          Download the proof
        </Button>
      }
    >
      <Group gap="sm" mb="sm" role="status">
        <Tag color={verification.passed ? 'green' : 'red'}>{verification.passed ? 'Passed' : 'Not passed'}</Tag>
        <Text size="sm">
          {failed.length === 0
            ? `All ${counted(checks.length, 'check')} agree.`
            : `${counted(failed.length, 'check')} of ${checks.length} ${failed.length === 1 ? 'differs' : 'differ'}.`}
        </Text>
      </Group>
      {!all && <ByObject checks={checks} />}
      {!all && (
        <Button mt="sm" variant="default" style={{ alignSelf: 'flex-start' }} onClick={() => setAll(true)}>
          Show all {count(checks.length)} checks
        </Button>
      )}
      {shown.length > 0 && <Checks checks={shown} />}
    </Section>
  )
}

/** Object by object: how many of its checks agree. */
function ByObject({ checks }: { readonly checks: readonly Check[] }) {
  const objects = [...new Set(checks.map(({ object }) => object))]
  return (
    <Stack gap={6} component="ul" className="plain-list">
      {objects.map((object) => {
        const mine = checks.filter((check) => check.object === object)
        const good = mine.filter(({ passed }) => passed).length
        return (
          <Group key={object ?? ''} component="li" gap="sm">
            <Tag color={good === mine.length ? 'green' : 'red'}>{good === mine.length ? 'Agrees' : 'Differs'}</Tag>
            <Text size="sm">
              {object ?? 'All together'}: {count(good)} of {counted(mine.length, 'check')} agree
            </Text>
          </Group>
        )
      })}
    </Stack>
  )
}

function Checks({ checks }: { readonly checks: readonly Check[] }) {
  return (
    <Wide minWidth={640}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Object</Table.Th>
            <Table.Th>Check</Table.Th>
            <Table.Th>Verdict</Table.Th>
            <Table.Th>Expected</Table.Th>
            <Table.Th>Found</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {checks.map(({ object, name, expected, actual, passed, detail }) => (
            <Table.Tr key={`${object} ${name}`}>
              <Table.Td>{object ?? 'All'}</Table.Td>
              <Table.Td>
                {words(name)}
                {detail !== null && (
                  <Text size="xs" c="dimmed">
                    {detail}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <Tag color={passed ? 'green' : 'red'}>{passed ? 'Agrees' : 'Differs'}</Tag>
              </Table.Td>
              <Table.Td className="numbers">{expected}</Table.Td>
              <Table.Td className="numbers">{actual}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}
