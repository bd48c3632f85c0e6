/** What only a person can decide, in plain words, each with the means to decide it. */
import { Radio, Select, Stack, Table, Text } from '@mantine/core'
import { Section } from '../../ui/parts.tsx'
import { type Choice, type Conflict, type Entry, emptyEntry } from './draft.ts'

/** Values of a column that are offered to be replaced, at most. */
const VALUES_SHOWN = 30

export function Conflicts(props: {
  readonly conflicts: readonly Conflict[]
  readonly entries: readonly Entry[]
  readonly choices: ReadonlyMap<string, Choice>
  readonly onEntries: (entries: readonly Entry[]) => void
}) {
  const { conflicts, entries, choices, onEntries } = props
  if (conflicts.length === 0) {
    return null
  }
  const patch = (conflict: Conflict, change: (entry: Entry) => Entry): void => {
    onEntries(
      entries.map((entry) =>
        entry.field === conflict.field &&
        (conflict.columns.length === 0 || conflict.columns.includes(entry.column ?? ''))
          ? change(entry)
          : entry,
      ),
    )
  }
  return (
    <Section title="To be decided" note="Nothing is guessed. Each of these is yours to say.">
      <Stack gap="lg">
        {conflicts.map((conflict) => (
          <div key={`${conflict.code} ${conflict.field} ${conflict.columns.join()}`} data-conflict={conflict.code}>
            <Text fw={600} size="sm" mb={6}>
              {conflict.message}
            </Text>
            {conflict.readings.length > 0 && (
              <Radio.Group
                aria-label={`How ${conflict.columns.join(', ')} is written`}
                value={entries.find(({ field, format }) => field === conflict.field && format !== null)?.format ?? ''}
                onChange={(format) => patch(conflict, (entry) => ({ ...entry, format }))}
              >
                <Stack gap="xs">
                  {conflict.readings.map(({ format, exampleValue, exampleReading }) => (
                    <Radio key={format} value={format} label={`${format}: “${exampleValue}” is ${exampleReading}`} />
                  ))}
                </Stack>
              </Radio.Group>
            )}
            {conflict.code === 'UNKNOWN_VALUES' && (
              <ValueTable conflict={conflict} entries={entries} choices={choices} patch={patch} />
            )}
            {conflict.code === 'REQUIRED_UNMAPPED' && (
              <Select
                label={`${choices.get(conflict.field)?.label ?? conflict.field} comes from`}
                placeholder="a column"
                searchable
                value={null}
                onChange={(column) =>
                  onEntries(
                    entries.some((entry) => entry.column === column && entry.field === null)
                      ? entries.map((entry) =>
                          entry.column === column && entry.field === null ? { ...entry, field: conflict.field } : entry,
                        )
                      : [...entries, emptyEntry({ column, field: conflict.field })],
                  )
                }
                data={[...new Set(entries.flatMap(({ column }) => (column === null ? [] : [column])))]}
                maw={360}
              />
            )}
          </div>
        ))}
      </Stack>
    </Section>
  )
}

function ValueTable(props: {
  readonly conflict: Conflict
  readonly entries: readonly Entry[]
  readonly choices: ReadonlyMap<string, Choice>
  readonly patch: (conflict: Conflict, change: (entry: Entry) => Entry) => void
}) {
  const { conflict, entries, choices, patch } = props
  const options = choices.get(conflict.field)?.options ?? []
  const entry = entries.find(({ field }) => field === conflict.field)
  return (
    <>
      <Table w="auto">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>In the file</Table.Th>
            <Table.Th>Becomes</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {conflict.values.slice(0, VALUES_SHOWN).map((value) => (
            <Table.Tr key={value}>
              <Table.Td>{value}</Table.Td>
              <Table.Td>
                <Select
                  aria-label={`What ${value} becomes`}
                  placeholder="choose"
                  searchable
                  value={entry?.valueMap.find(({ from }) => from === value)?.to ?? null}
                  onChange={(to) =>
                    patch(conflict, (each) => ({
                      ...each,
                      valueMap: [
                        ...each.valueMap.filter(({ from }) => from !== value),
                        ...(to === null ? [] : [{ from: value, to }]),
                      ],
                    }))
                  }
                  data={[...options]}
                />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {conflict.values.length > VALUES_SHOWN && (
        <Text size="sm" c="dimmed">
          And {conflict.values.length - VALUES_SHOWN} more; they show once these are decided.
        </Text>
      )}
    </>
  )
}
