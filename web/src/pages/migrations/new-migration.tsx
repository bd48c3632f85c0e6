/** What of a CRM is to be moved in, and as what. */
import { Button, Checkbox, Group, NumberInput, Radio, Select, Stack, Table, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useQuery } from 'urql'
import { useLocation } from 'wouter'
import { trouble } from '../../api/client.ts'
import {
  ConnectionsDocument,
  MigrationBeginDocument,
  ObjectsOfCrmDocument,
  type ObjectsOfCrmQuery,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { migrationName } from '../../ui/crm-words.ts'
import { count } from '../../ui/format.ts'
import { newKey } from '../../ui/key.ts'
import { Empty, Problem, Section } from '../../ui/parts.tsx'
import { type RecordType, recordTypeChoices } from '../../ui/record-types.ts'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type CrmObject = ObjectsOfCrmQuery['integrationObjects'][number]

/** As many records as a sample takes until somebody says otherwise. */
const SAMPLE = 200
/** The largest sample that the service takes (MIGRATION_SAMPLE_RECORDS_MAX). */
const SAMPLE_MAX = 10_000

interface Choice {
  readonly chosen: boolean
  readonly recordType: RecordType
  readonly filter: string
}

export function NewMigration({
  integrationId,
  onClose,
}: {
  readonly integrationId: string
  readonly onClose: () => void
}) {
  const [{ data: known }] = useQuery({ query: ConnectionsDocument, requestPolicy: 'cache-first' })
  const [result, again] = useQuery({ query: ObjectsOfCrmDocument, variables: { integrationId } })
  const connection = known?.integrations.find(({ id }) => id === integrationId)
  const from = connection === undefined ? 'the CRM' : migrationName(connection)
  const problem = trouble(result)
  const objects = result.data?.integrationObjects
  return (
    <Section
      title={`New migration from ${from}`}
      note="Choose what to move in. What reading it takes of the budget of the account is told next, before anything is read."
      actions={
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
      }
    >
      {problem !== null && <Problem message={problem} again={() => again({ requestPolicy: 'network-only' })} />}
      {objects === undefined && problem === null && <Waiting what={`what there is at ${from}`} />}
      {objects?.length === 0 && (
        <Empty title="There is nothing to move in">
          The sign-in may not read any object over there. Look at its rights, then connect it again.
        </Empty>
      )}
      {objects !== undefined && objects.length > 0 && <Choose integrationId={integrationId} objects={objects} />}
    </Section>
  )
}

function Choose({
  integrationId,
  objects,
}: {
  readonly integrationId: string
  readonly objects: readonly CrmObject[]
}) {
  const [, go] = useLocation()
  const [create, creating] = useAct(MigrationBeginDocument, { quiet: true })
  const [choices, setChoices] = useState<ReadonlyMap<string, Choice>>(
    () =>
      new Map(
        objects.map(({ name, suggestedRecordType, recordCount }) => [
          name,
          {
            chosen: suggestedRecordType !== null && recordCount !== 0,
            recordType: suggestedRecordType ?? 'CONTACT',
            filter: '',
          },
        ]),
      ),
  )
  const [all, setAll] = useState(false)
  const [sample, setSample] = useState(SAMPLE)
  const [filters, setFilters] = useState(false)
  const [allOrNothing, setAllOrNothing] = useState(false)
  const [overwrite, setOverwrite] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  // Asked twice, there is one migration; asked otherwise, it is another.
  const [key, setKey] = useState(newKey)
  const change = (name: string, part: Partial<Choice>): void =>
    setChoices((old) => {
      const choice = old.get(name)
      return choice === undefined ? old : new Map(old).set(name, { ...choice, ...part })
    })
  const chosen = objects.filter(({ name }) => choices.get(name)?.chosen)
  const records = chosen.every(({ recordCount }) => recordCount !== null)
    ? chosen.reduce(
        (sum, { recordCount }) => sum + Math.min(recordCount ?? 0, all ? Number.POSITIVE_INFINITY : sample),
        0,
      )
    : null
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const { payload, refusals } = await create({
      input: {
        integrationId,
        idempotencyKey: key,
        objects: chosen.map(({ name }) => {
          const choice = choices.get(name)
          const filter = choice?.filter.trim() ?? ''
          return {
            object: name,
            recordType: choice?.recordType ?? 'CONTACT',
            ...(all ? {} : { sampleSize: sample }),
            ...(filter === '' ? {} : { filter }),
          }
        }),
        options: { allOrNothing, changedHere: overwrite ? 'OVERWRITE' : 'KEEP' },
      },
    })
    if (payload?.migration !== null && payload?.migration !== undefined) {
      go(`/console/migrations/${payload.migration.id}`)
    } else {
      setKey(newKey())
      setProblem(refusals[0]?.message ?? null)
    }
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack>
        <Wide minWidth={filters ? 560 : 280}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Move in</Table.Th>
                <Table.Th className="right" visibleFrom="sm">
                  Records there
                </Table.Th>
                <Table.Th>They become</Table.Th>
                {filters && <Table.Th>Only where</Table.Th>}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {objects.map(({ name, label, custom, recordCount, suggestedRecordType }) => {
                const choice = choices.get(name)
                return (
                  <Table.Tr key={name}>
                    <Table.Td>
                      <Checkbox
                        label={
                          <>
                            {label}
                            {recordCount !== null && (
                              <Text span size="sm" c="dimmed" hiddenFrom="sm">
                                {' '}
                                ({count(recordCount)})
                              </Text>
                            )}
                          </>
                        }
                        description={[
                          label.toLowerCase() === name.toLowerCase() ? '' : name,
                          custom ? 'made by the account' : '',
                          suggestedRecordType === null ? 'nothing like it here' : '',
                        ]
                          .filter((each) => each !== '')
                          .join(', ')}
                        checked={choice?.chosen ?? false}
                        onChange={(event) => change(name, { chosen: event.currentTarget.checked })}
                      />
                    </Table.Td>
                    <Table.Td className="numbers right" visibleFrom="sm">
                      {count(recordCount)}
                    </Table.Td>
                    <Table.Td>
                      <Select
                        aria-label={`What ${label} become`}
                        maw={180}
                        allowDeselect={false}
                        disabled={!(choice?.chosen ?? false)}
                        value={choice?.recordType ?? 'CONTACT'}
                        data={recordTypeChoices}
                        onChange={(value) => change(name, { recordType: (value ?? 'CONTACT') as RecordType })}
                      />
                    </Table.Td>
                    {filters && (
                      <Table.Td>
                        <TextInput
                          aria-label={`Condition on ${label}, in the words of the CRM`}
                          placeholder="all"
                          disabled={!(choice?.chosen ?? false)}
                          value={choice?.filter ?? ''}
                          onChange={(event) => change(name, { filter: event.currentTarget.value })}
                        />
                      </Table.Td>
                    )}
                  </Table.Tr>
                )
              })}
            </Table.Tbody>
          </Table>
        </Wide>
        <Radio.Group label="How much" value={all ? 'all' : 'sample'} onChange={(value) => setAll(value === 'all')}>
          <Stack gap="xs" mt="xs">
            <Radio
              value="sample"
              label="A sample first: so many records of each, and those that they refer to"
              description="It shows soon whether fields are matched well. Move in everything afterwards: what is here already is found again."
            />
            {!all && (
              <NumberInput
                label="Records of each"
                maw={180}
                ml={32}
                min={1}
                max={SAMPLE_MAX}
                thousandSeparator=","
                value={sample}
                onChange={(value) => setSample(Number(value) || SAMPLE)}
              />
            )}
            <Radio value="all" label="Everything" />
          </Stack>
        </Radio.Group>
        <Stack gap="xs">
          <Checkbox
            label="All or nothing: if any row fails, all of the first import is rolled back"
            checked={allOrNothing}
            onChange={(event) => setAllOrNothing(event.currentTarget.checked)}
          />
          <Checkbox
            label="Let the CRM over there win where a field was changed here since"
            description="Otherwise such a field stays as it is here, and it is reported."
            checked={overwrite}
            onChange={(event) => setOverwrite(event.currentTarget.checked)}
          />
          <Checkbox
            label="Move in only some, by a condition in the words of the CRM"
            checked={filters}
            onChange={(event) => setFilters(event.currentTarget.checked)}
          />
        </Stack>
        {problem !== null && <Problem message={problem} />}
        <Group>
          <Button type="submit" loading={creating} disabled={chosen.length === 0}>
            Look at the account
          </Button>
          <Text size="sm" c="dimmed" role="status">
            {chosen.length === 0
              ? 'Choose at least one.'
              : records === null
                ? `${chosen.length} chosen.`
                : `${chosen.length} chosen, about ${count(records)} records.`}{' '}
            Nothing is read yet.
          </Text>
        </Group>
      </Stack>
    </form>
  )
}
