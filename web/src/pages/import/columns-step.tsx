/** Where each column goes: what is suggested and why, what else it could be, and what becomes of the first rows, at once. */
import {
  Badge,
  Button,
  Card,
  Collapse,
  Group,
  Modal,
  Select,
  SimpleGrid,
  Stack,
  Table,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { type ReactNode, useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import { type ImportDetectionFragment, ImportTemplateSaveDocument, ImportTrialDocument } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { counted, percent } from '../../ui/format.ts'
import { Problem, Section } from '../../ui/parts.tsx'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'
import { Conflicts } from './conflicts.tsx'
import {
  type Choice,
  type Conflict,
  choicesOf,
  type Entry,
  emptyEntry,
  mappingOf,
  type NewField,
  type RecordType,
  type Schemas,
  type Source,
} from './draft.ts'
import { Transforms } from './transforms.tsx'

const NEW_FIELD = 'new custom field'

type Trial = readonly {
  readonly rowNumber: number
  readonly cells: readonly { readonly column: string; readonly value: string | null }[]
  readonly values: readonly { readonly key: string; readonly value: string | null }[]
  readonly issues: readonly {
    readonly column: string | null
    readonly field: string | null
    readonly message: string
    readonly severity: string
  }[]
}[]

export function ColumnsStep(props: {
  readonly fileId: string
  readonly recordType: RecordType
  readonly source: Source
  readonly columns: ImportDetectionFragment['columns']
  readonly entries: readonly Entry[]
  readonly schemas: Schemas
  /** Conflicts that the whole file has shown; null while only its beginning was looked at. */
  readonly conflicts: readonly Conflict[] | null
  readonly onEntries: (entries: readonly Entry[]) => void
  readonly next: ReactNode
}) {
  const { fileId, recordType, source, columns, entries, schemas, conflicts, onEntries, next } = props
  const groups = useMemo(() => choicesOf(schemas, recordType), [schemas, recordType])
  const choices = useMemo(
    () => new Map(groups.flatMap(({ items }) => items.map((item) => [item.value, item] as const))),
    [groups],
  )
  const mapping = useMemo(() => mappingOf(entries), [entries])
  const [asked] = useDebouncedValue(mapping, 400)
  const [result] = useQuery({
    query: ImportTrialDocument,
    variables: { id: fileId, recordType, mapping: asked, source },
  })
  const problem = trouble(result)
  const trial = result.data?.file?.preview
  const shown = conflicts !== null && conflicts.length > 0 ? conflicts : (trial?.conflicts ?? [])
  const mapped = entries.filter(({ field, newField }) => field !== null || newField !== null).length
  const change = (entry: Entry): void => onEntries(entries.map((each) => (each.key === entry.key ? entry : each)))
  const [creating, setCreating] = useState<Entry | null>(null)
  return (
    <Stack gap="lg">
      <Conflicts conflicts={shown} entries={entries} choices={choices} onEntries={onEntries} />
      {problem !== null && <Problem title="The mapping cannot be tried" message={problem} />}
      <Section
        title="Columns"
        note={`${counted(mapped, 'column goes', 'columns go')} to a field, of ${columns.length}. What is not sure is left out until you say so.`}
        actions={next}
      >
        <Stack gap="sm">
          {entries.map((entry) => (
            <ColumnCard
              key={entry.key}
              entry={entry}
              column={columns.find(({ name, index }) =>
                entry.columnIndex === null ? name === entry.column : index === entry.columnIndex,
              )}
              groups={groups}
              choices={choices}
              trial={trial?.rows ?? []}
              onEntry={change}
              onNewField={() => setCreating(entry)}
              onRemove={
                entries.filter(({ column }) => column === entry.column).length > 1 || entry.column === null
                  ? () => onEntries(entries.filter(({ key }) => key !== entry.key))
                  : null
              }
              onAgain={
                entry.column === null
                  ? null
                  : () =>
                      onEntries(
                        entries.flatMap((each) =>
                          each.key === entry.key
                            ? [each, emptyEntry({ column: entry.column, columnIndex: entry.columnIndex })]
                            : [each],
                        ),
                      )
              }
            />
          ))}
          <Group>
            <Button variant="default" size="xs" onClick={() => onEntries([...entries, emptyEntry({ constant: '' })])}>
              Fill a field without a column
            </Button>
            <SaveTemplate recordType={recordType} entries={entries} />
          </Group>
        </Stack>
      </Section>
      <Section
        title="What becomes of the first rows"
        note="Tried on real rows of the file with each change above. Nothing is written."
      >
        {trial === undefined && problem === null && <Waiting what="what becomes of them" />}
        {trial !== undefined && <TrialTable rows={trial.rows} choices={choices} />}
      </Section>
      {creating !== null && (
        <NewFieldForm
          entry={creating}
          kind={columns.find(({ name }) => name === creating.column)?.kind ?? 'TEXT'}
          onClose={() => setCreating(null)}
          onMade={(newField) => {
            change({ ...creating, newField, field: null })
            setCreating(null)
          }}
        />
      )}
    </Stack>
  )
}

function ColumnCard(props: {
  readonly entry: Entry
  readonly column: ImportDetectionFragment['columns'][number] | undefined
  readonly groups: ReturnType<typeof choicesOf>
  readonly choices: ReadonlyMap<string, Choice>
  readonly trial: Trial
  readonly onEntry: (entry: Entry) => void
  readonly onNewField: () => void
  readonly onRemove: (() => void) | null
  readonly onAgain: (() => void) | null
}) {
  const { entry, column, groups, choices, trial, onEntry, onNewField, onRemove, onAgain } = props
  const may = useMay()
  const [open, setOpen] = useState(false)
  const name = entry.column ?? 'The same for all'
  const labelOf = (field: string): string => choices.get(field)?.label ?? field
  const offered = entry.field === null && entry.newField === null ? entry.offer : null
  const value = entry.newField === null ? entry.field : NEW_FIELD
  return (
    <Card withBorder padding="sm" data-column={name} data-field={entry.field ?? ''}>
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
        <div>
          <Text fw={600}>{name}</Text>
          {entry.column === null ? (
            <TextInput
              size="xs"
              aria-label="The value for all rows"
              placeholder="the value for all rows"
              value={entry.constant ?? ''}
              onChange={(event) => onEntry({ ...entry, constant: event.currentTarget.value })}
            />
          ) : (
            <Text size="sm" c="dimmed" lineClamp={2}>
              {column === undefined || column.samples.length === 0
                ? column !== undefined && column.fillRate === 0
                  ? 'Empty in the rows that were looked at'
                  : 'No sample'
                : column.samples.slice(0, 4).join(' · ')}
            </Text>
          )}
        </div>
        <div>
          <Group gap="xs" wrap="nowrap" align="center">
            <Select
              flex={1}
              aria-label={`Field of ${name}`}
              placeholder="goes nowhere"
              searchable
              clearable
              clearButtonProps={{ 'aria-label': `Leave ${name} out` }}
              value={value}
              onChange={(chosen) => {
                if (chosen === NEW_FIELD) {
                  onNewField()
                } else {
                  onEntry({
                    ...entry,
                    field: chosen,
                    newField: null,
                    ...(chosen === entry.offer?.field ? {} : { reasons: [] }),
                  })
                }
              }}
              data={[
                ...groups.map(({ group, items }) => ({
                  group,
                  items: items.map((item) => ({
                    value: item.value,
                    label: item.required ? `${item.label} *` : item.label,
                  })),
                })),
                { group: 'Other', items: [{ value: 'id', label: 'Id of a record here' }] },
                ...(may('MAPPING_MANAGE')
                  ? [
                      {
                        group: 'New',
                        items: [
                          {
                            value: NEW_FIELD,
                            label: entry.newField === null ? 'A new custom field …' : `New: ${entry.newField.label}`,
                          },
                        ],
                      },
                    ]
                  : []),
              ]}
            />
            {entry.field !== null && entry.offer?.field === entry.field && entry.offer.confidence !== null && (
              <Badge variant="default" tt="none" fw={500} style={{ flexShrink: 0 }}>
                {percent(entry.offer.confidence)} sure
              </Badge>
            )}
          </Group>
          {offered !== null && (
            <Group gap="xs" mt={4}>
              <Text size="sm">
                Perhaps {labelOf(offered.field)}
                {offered.confidence === null ? '' : `, ${percent(offered.confidence)} sure`}.
              </Text>
              <Button size="compact-xs" variant="default" onClick={() => onEntry({ ...entry, field: offered.field })}>
                Take it
              </Button>
            </Group>
          )}
        </div>
      </SimpleGrid>
      <Group gap="xs" mt={6}>
        <Button
          size="compact-xs"
          variant="subtle"
          onClick={() => setOpen(!open)}
          aria-expanded={open}
          aria-label={`${open ? 'Less' : 'More'} about ${name}`}
        >
          {open ? 'Less' : 'More'}
        </Button>
        {entry.transforms.length > 0 && (
          <Text size="xs" c="dimmed">
            {entry.transforms.map((step) => step.name).join(', then ')}
          </Text>
        )}
        {entry.format !== null && (
          <Text size="xs" c="dimmed">
            written {entry.format}
          </Text>
        )}
        {entry.valueMap.length > 0 && (
          <Text size="xs" c="dimmed">
            {counted(entry.valueMap.length, 'value')} replaced
          </Text>
        )}
      </Group>
      <Collapse expanded={open}>
        {open && (
          <Stack gap="sm" mt="xs">
            {entry.reasons.length > 0 && <Text size="sm">Why: {entry.reasons.join(' ')}</Text>}
            {entry.alternatives.length > 0 && (
              <Group gap="xs">
                <Text size="sm">It could also be</Text>
                {entry.alternatives.map(({ field, confidence }) => (
                  <Button
                    key={field}
                    size="compact-xs"
                    variant="default"
                    onClick={() => onEntry({ ...entry, field, newField: null })}
                  >
                    {labelOf(field)}, {percent(confidence)}
                  </Button>
                ))}
              </Group>
            )}
            <BeforeAfter entry={entry} trial={trial} />
            <Transforms
              of={name}
              steps={entry.transforms}
              onSteps={(transforms) => onEntry({ ...entry, transforms })}
            />
            <ValueMap
              entry={entry}
              choice={entry.field === null ? undefined : choices.get(entry.field)}
              onEntry={onEntry}
            />
            <Group align="flex-end">
              <TextInput
                size="xs"
                label="Written"
                description="Of dates and numbers"
                placeholder="as the column proves"
                value={entry.format ?? ''}
                onChange={(event) =>
                  onEntry({ ...entry, format: event.currentTarget.value === '' ? null : event.currentTarget.value })
                }
              />
              <TextInput
                size="xs"
                label="Where it is blank"
                description="For new records"
                placeholder="nothing"
                value={entry.defaultValue ?? ''}
                onChange={(event) =>
                  onEntry({
                    ...entry,
                    defaultValue: event.currentTarget.value === '' ? null : event.currentTarget.value,
                  })
                }
              />
              <Select
                size="xs"
                label="A blank cell"
                description="For records that are there"
                placeholder="as the rules say"
                clearable
                clearButtonProps={{ 'aria-label': 'As the rules say' }}
                value={entry.onBlank}
                onChange={(onBlank) => onEntry({ ...entry, onBlank: onBlank as Entry['onBlank'] })}
                data={[
                  { value: 'KEEP', label: 'keeps the value' },
                  { value: 'CLEAR', label: 'empties the field' },
                ]}
              />
            </Group>
            <Group gap="xs">
              {onAgain !== null && (
                <Button size="compact-xs" variant="default" onClick={onAgain}>
                  Use this column for another field, too
                </Button>
              )}
              {onRemove !== null && (
                <Button size="compact-xs" variant="default" onClick={onRemove}>
                  Take this line away
                </Button>
              )}
            </Group>
          </Stack>
        )}
      </Collapse>
    </Card>
  )
}

/** What stands in the first rows, and what becomes of it in this field. */
function BeforeAfter({ entry, trial }: { readonly entry: Entry; readonly trial: Trial }) {
  const field = entry.field ?? (entry.newField === null ? null : `custom.${entry.newField.key}`)
  if (field === null || trial.length === 0) {
    return null
  }
  return (
    <Wide minWidth={320}>
      <Table w="auto">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>In the file</Table.Th>
            <Table.Th>Becomes</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {trial.slice(0, 5).map((row) => (
            <Table.Tr key={row.rowNumber}>
              <Table.Td>{row.cells.find(({ column }) => column === entry.column)?.value ?? '–'}</Table.Td>
              <Table.Td>
                {row.issues.find((issue) => issue.field === field && issue.severity === 'ERROR')?.message ??
                  row.values.find(({ key }) => key === field)?.value ??
                  '–'}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}

/** Whole cells that are replaced. */
function ValueMap(props: {
  readonly entry: Entry
  readonly choice: Choice | undefined
  readonly onEntry: (entry: Entry) => void
}) {
  const { entry, choice, onEntry } = props
  const [from, setFrom] = useState('')
  const set = (key: string, to: string): void =>
    onEntry({ ...entry, valueMap: entry.valueMap.map((each) => (each.from === key ? { from: key, to } : each)) })
  return (
    <Stack gap={4}>
      {entry.valueMap.map(({ from: key, to }) => (
        <Group key={key} gap="xs">
          <Text size="sm">“{key}” becomes</Text>
          {choice?.options === null || choice === undefined ? (
            <TextInput
              size="xs"
              aria-label={`What ${key} becomes`}
              value={to}
              onChange={(event) => set(key, event.currentTarget.value)}
            />
          ) : (
            <Select
              size="xs"
              aria-label={`What ${key} becomes`}
              searchable
              value={to}
              onChange={(value) => set(key, value ?? '')}
              data={[...choice.options]}
            />
          )}
          <Button
            size="compact-xs"
            variant="subtle"
            onClick={() => onEntry({ ...entry, valueMap: entry.valueMap.filter((each) => each.from !== key) })}
          >
            Take away
          </Button>
        </Group>
      ))}
      <Group gap="xs" align="flex-end">
        <TextInput
          size="xs"
          label="Replace a whole cell"
          placeholder="as it stands in the file"
          value={from}
          onChange={(event) => setFrom(event.currentTarget.value)}
        />
        <Button
          size="xs"
          variant="default"
          disabled={from === '' || entry.valueMap.some((each) => each.from === from)}
          onClick={() => {
            onEntry({ ...entry, valueMap: [...entry.valueMap, { from, to: choice?.options?.[0] ?? '' }] })
            setFrom('')
          }}
        >
          Add
        </Button>
      </Group>
    </Stack>
  )
}

function TrialTable({ rows, choices }: { readonly rows: Trial; readonly choices: ReadonlyMap<string, Choice> }) {
  const fields = [
    ...new Set(rows.flatMap(({ values }) => values.filter(({ value }) => value !== null).map(({ key }) => key))),
  ]
  const troubled = rows.some(({ issues }) => issues.length > 0)
  if (rows.length === 0 || fields.length === 0) {
    return (
      <Text c="dimmed">Nothing yet: no column goes to a field, or your sign-in may not see what is in the file.</Text>
    )
  }
  return (
    <Wide minWidth={Math.max(480, (fields.length + (troubled ? 1 : 0)) * 140)}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th className="right">Row</Table.Th>
            {troubled && <Table.Th>Trouble</Table.Th>}
            {fields.map((field) => (
              <Table.Th key={field}>{choices.get(field)?.label ?? field}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.rowNumber}>
              <Table.Td className="numbers right">{row.rowNumber}</Table.Td>
              {troubled && (
                <Table.Td>
                  <Text size="sm">
                    {row.issues
                      .map(({ column, message }) => (column === null ? message : `${column}: ${message}`))
                      .join(' ')}
                  </Text>
                </Table.Td>
              )}
              {fields.map((field) => (
                <Table.Td key={field} maw={260}>
                  <Text size="sm" truncate>
                    {row.values.find(({ key }) => key === field)?.value ?? '–'}
                  </Text>
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}

const kinds: readonly { readonly value: NewField['kind']; readonly label: string }[] = [
  { value: 'TEXT', label: 'Text' },
  { value: 'LONG_TEXT', label: 'Long text' },
  { value: 'INTEGER', label: 'Whole number' },
  { value: 'DECIMAL', label: 'Number' },
  { value: 'BOOLEAN', label: 'Yes or no' },
  { value: 'DATE', label: 'Day' },
  { value: 'DATE_TIME', label: 'Moment' },
  { value: 'ENUM', label: 'One of a list' },
  { value: 'MULTI_ENUM', label: 'Some of a list' },
  { value: 'EMAIL', label: 'E-mail' },
  { value: 'PHONE', label: 'Phone' },
  { value: 'URL', label: 'Web address' },
]

function NewFieldForm(props: {
  readonly entry: Entry
  readonly kind: string
  readonly onClose: () => void
  readonly onMade: (field: NewField) => void
}) {
  const { entry, kind: detected, onClose, onMade } = props
  const [label, setLabel] = useState(entry.column ?? '')
  const [kind, setKind] = useState<NewField['kind']>(kinds.find(({ value }) => value === detected)?.value ?? 'TEXT')
  const [options, setOptions] = useState<string[]>([])
  const key = keyOf(label)
  const listed = kind === 'ENUM' || kind === 'MULTI_ENUM'
  return (
    <Modal opened onClose={onClose} title="New custom field" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack>
        <TextInput label="Name" value={label} onChange={(event) => setLabel(event.currentTarget.value)} required />
        <Select
          label="What it holds"
          value={kind}
          allowDeselect={false}
          onChange={(value) => setKind(value as NewField['kind'])}
          data={[...kinds]}
        />
        {listed && (
          <TagsInput
            label="The list"
            description="One after the other, with the return key"
            value={options}
            onChange={setOptions}
            data={[]}
          />
        )}
        <Text size="sm" c="dimmed">
          It is made when the import is created, under the key custom.{key}, and is there for everybody then.
        </Text>
        <Group justify="flex-end">
          <Button
            disabled={key === '' || (listed && options.length === 0)}
            onClick={() => onMade({ key, kind, label: label.trim(), ...(listed ? { options } : {}) })}
          >
            Use it
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

/** `Favourite colour` as `favouriteColour`. */
function keyOf(label: string): string {
  const parts = label
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .split(/[^A-Za-z0-9]+/)
    .filter((part) => part !== '')
  const [first = '', ...rest] = parts.map((part) => part.toLowerCase())
  return `${first}${rest.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('')}`.replace(/^[0-9]+/, '')
}

function SaveTemplate({
  recordType,
  entries,
}: {
  readonly recordType: RecordType
  readonly entries: readonly Entry[]
}) {
  const [open, setOpen] = useState(false)
  const [name, setName] = useState('')
  const [save, busy] = useAct(ImportTemplateSaveDocument)
  const keep = async (): Promise<void> => {
    const { payload } = await save({ input: { name: name.trim(), recordType, mapping: mappingOf(entries) } })
    if (payload !== null) {
      toast('Kept: files with these columns are offered this template from now on.')
      setOpen(false)
    }
  }
  return (
    <>
      <Button variant="default" size="xs" onClick={() => setOpen(true)}>
        Keep as a template
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title="Keep these columns as a template"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack>
          <TextInput
            label="Name"
            placeholder="Leads of the fair"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            required
          />
          <Group justify="flex-end">
            <Button loading={busy} disabled={name.trim() === ''} onClick={() => void keep()}>
              Keep
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
