/** Where the fields of an object go: as suggested, until a person says otherwise. */
import { Button, Group, Radio, Select, Stack, Table, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  MigrationMapDocument,
  MigrationMappingDocument,
  type MigrationMappingQuery,
  MigrationSourceFieldsDocument,
  RecordTypeFieldsDocument,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { percent, words } from '../../ui/format.ts'
import { Problem, To } from '../../ui/parts.tsx'
import type { RecordField } from '../../ui/record-types.ts'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'
import type { Migration } from '../migration.tsx'

type Mapping = NonNullable<MigrationMappingQuery['migration']>['objects'][number]['mapping']
type Column = Mapping['columns'][number]
type Conflict = Mapping['conflicts'][number]

/** By which of its fields a record that is referred to can be named. */
const keys = {
  CONTACT: ['externalId', 'email'],
  LEAD: ['externalId', 'email'],
  PROPERTY: ['externalId', 'listingId'],
  ACTIVITY: ['externalId'],
} as const

/** What a column can become, for a list to choose from. */
function targetsOf(fields: readonly RecordField[]): readonly { readonly value: string; readonly label: string }[] {
  return fields.flatMap(({ name, label, references }) =>
    references === null
      ? [{ value: name, label }]
      : keys[references].map((key) => ({
          value: `${name}.${key}`,
          label: `${label}, by its ${key === 'externalId' ? 'id there' : key === 'email' ? 'e-mail' : 'listing id'}`,
        })),
  )
}

export function Fields(props: {
  readonly migration: Migration
  readonly object: Migration['objects'][number]
  readonly editable: boolean
  readonly onSaved: () => void
}) {
  const { migration, object, editable, onSaved } = props
  const [mapped, again] = useQuery({
    query: MigrationMappingDocument,
    variables: { id: migration.id },
    requestPolicy: 'network-only',
  })
  const [schema] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType: object.recordType } })
  const problem = trouble(mapped) ?? trouble(schema)
  const mapping = mapped.data?.migration?.objects.find((each) => each.object === object.object)?.mapping
  const fields = schema.data?.recordSchema.fields
  if (mapping === undefined || fields === undefined) {
    return problem === null ? <Waiting what="the fields" /> : <Problem message={problem} />
  }
  return (
    <Editor
      key={JSON.stringify(mapping)}
      migration={migration}
      object={object}
      mapping={mapping}
      fields={fields}
      editable={editable}
      onSaved={() => {
        again({ requestPolicy: 'network-only' })
        onSaved()
      }}
    />
  )
}

function Editor(props: {
  readonly migration: Migration
  readonly object: Migration['objects'][number]
  readonly mapping: Mapping
  readonly fields: readonly RecordField[]
  readonly editable: boolean
  readonly onSaved: () => void
}) {
  const { migration, object, mapping, fields, editable, onSaved } = props
  const may = useMay()
  const [save, saving] = useAct(MigrationMapDocument, { quiet: true })
  const [columns, setColumns] = useState<readonly Column[]>(mapping.columns)
  const [wrong, setWrong] = useState<string | null>(null)
  const targets = targetsOf(fields)
  const labelOf = (field: string) => targets.find(({ value }) => value === field)?.label ?? field
  // A place that is not in the list stays as it is.
  const offered = (field: string | null) =>
    field === null || targets.some(({ value }) => value === field)
      ? targets
      : [...targets, { value: field, label: field }]
  // What goes somewhere comes first, and stays where it stands while somebody changes it.
  const [first] = useState(() => mapping.columns.map(({ field }) => field !== null))
  const places = columns.map((_, at) => at)
  const order = [...places.filter((at) => first[at] ?? true), ...places.filter((at) => !(first[at] ?? true))]
  const change = (at: number, part: Partial<Column>): void =>
    setColumns((old) => old.map((column, index) => (index === at ? { ...column, ...part } : column)))
  const changed = JSON.stringify(columns) !== JSON.stringify(mapping.columns)
  const submit = async (): Promise<void> => {
    const { payload, refusals } = await save({
      input: { migrationId: migration.id, object: object.object, mapping: columns.map(inputOf) },
    })
    setWrong(refusals[0]?.message ?? null)
    if (payload !== null) {
      toast(`The fields of ${object.object} are saved.`)
      onSaved()
    }
  }
  return (
    <Stack gap="sm" component="section" aria-label={`Fields of ${object.object}`}>
      {editable && migration.stage === 'AWAITING_REVIEW' && (
        <Text size="sm">
          Saved otherwise, the rehearsal of this object is void: rehearse again. Nothing is read anew.
        </Text>
      )}
      {mapping.conflicts.map((conflict) => (
        <Question
          key={`${conflict.code} ${conflict.field}`}
          conflict={conflict}
          field={fields.find(({ name }) => name === conflict.field)}
          columns={columns}
          onChange={change}
        />
      ))}
      <Wide minWidth={280}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Field there</Table.Th>
              <Table.Th miw={220}>Becomes</Table.Th>
              <Table.Th visibleFrom="sm">Why</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {order
              .map((at) => [at, columns[at]] as const)
              .map(
                ([at, column]) =>
                  column !== undefined && (
                    // Two entries may stand for one column: the place is what tells them apart.
                    <Table.Tr key={at}>
                      <Table.Td style={{ overflowWrap: 'anywhere' }}>
                        {column.column ?? `always “${column.constant ?? ''}”`}
                        <Extras column={column} />
                      </Table.Td>
                      <Table.Td>
                        {editable ? (
                          <Select
                            aria-label={`What ${column.column ?? 'the constant'} becomes`}
                            searchable
                            clearable
                            clearButtonProps={{ 'aria-label': `Leave ${column.column ?? 'the constant'} out` }}
                            placeholder="Left out"
                            maw={320}
                            value={column.field}
                            data={[...offered(column.field)]}
                            onChange={(field) => change(at, { field, confidence: null, reasons: [] })}
                          />
                        ) : column.field === null ? (
                          'Left out'
                        ) : (
                          labelOf(column.field)
                        )}
                      </Table.Td>
                      <Table.Td visibleFrom="sm">
                        <Text size="sm">
                          {column.reasons.join(', ') || (column.field === null ? '–' : 'The usual place')}
                          {column.confidence === null ? '' : ` (${percent(column.confidence)})`}
                        </Text>
                      </Table.Td>
                    </Table.Tr>
                  ),
              )}
          </Table.Tbody>
        </Table>
      </Wide>
      {editable && (
        <>
          <LeftOut
            integrationId={migration.integration.id}
            object={object.object}
            columns={columns}
            onAdd={(name) => setColumns((old) => [...old, plain(name)])}
          />
          <Text size="sm" c="dimmed">
            Is a field missing here?{' '}
            {may('MAPPING_MANAGE') ? (
              <To href="/console/templates">Make one of your own</To>
            ) : (
              'Ask somebody who manages fields for one.'
            )}
          </Text>
          {wrong !== null && <Problem message={wrong} />}
          <Group>
            <Button loading={saving} disabled={!changed} onClick={() => void submit()}>
              Save the fields
            </Button>
            {changed && (
              <Button variant="default" onClick={() => setColumns(mapping.columns)}>
                As before
              </Button>
            )}
          </Group>
        </>
      )}
    </Stack>
  )
}

function plain(name: string): Column {
  return {
    __typename: 'ColumnMapping',
    column: name,
    columnIndex: null,
    field: null,
    constant: null,
    defaultValue: null,
    format: null,
    onBlank: null,
    confidence: null,
    reasons: [],
    transforms: [],
    valueMap: [],
  } as Column
}

/** A column as the service takes it back. */
function inputOf({
  column,
  columnIndex,
  field,
  constant,
  defaultValue,
  format,
  onBlank,
  transforms,
  valueMap,
}: Column) {
  return {
    column,
    ...(column === null ? { columnIndex } : {}),
    field,
    constant,
    defaultValue,
    format,
    onBlank,
    transforms: transforms.map(({ name, arguments: given }) => ({
      name,
      arguments: given.map((each) => ({ name: each.name, value: each.value })),
    })),
    valueMap: valueMap.map(({ from, to }) => ({ from, to })),
  }
}

/** What is done to the values of a column on their way. */
function Extras({ column }: { readonly column: Column }) {
  const said = [
    ...column.transforms.map(({ name, arguments: given }) =>
      given.length === 0 ? name : `${name} (${given.map(({ name: part, value }) => `${part} ${value}`).join(', ')})`,
    ),
    column.valueMap.length === 0 ? null : `${column.valueMap.length} values replaced`,
    column.format === null ? null : `read as ${column.format}`,
    column.defaultValue === null ? null : `else ${column.defaultValue}`,
  ].filter((each) => each !== null)
  return said.length === 0 ? null : (
    <Text size="xs" c="dimmed">
      {said.join(', ')}
    </Text>
  )
}

/** What only a person can say: which format, or what a value means. */
function Question(props: {
  readonly conflict: Conflict
  readonly field: RecordField | undefined
  readonly columns: readonly Column[]
  readonly onChange: (at: number, part: Partial<Column>) => void
}) {
  const { conflict, field, columns, onChange } = props
  const at = columns.findIndex(({ column }) => column !== null && conflict.columns.includes(column))
  const column = columns[at]
  return (
    <Stack gap="xs">
      <Text size="sm" fw={600}>
        {conflict.message}
      </Text>
      {column !== undefined && conflict.readings.length > 0 && (
        <Radio.Group
          label={`How ${column.column ?? ''} is to be read`}
          value={column.format ?? ''}
          onChange={(format) => onChange(at, { format })}
        >
          <Stack gap="xs" mt="xs">
            {conflict.readings.map(({ format, exampleReading, exampleValue }) => (
              <Radio key={format} value={format} label={`${format}: ${exampleValue} is ${exampleReading}`} />
            ))}
          </Stack>
        </Radio.Group>
      )}
      {column !== undefined &&
        conflict.values.map((value) => {
          const to = column.valueMap.find(({ from }) => from === value)?.to ?? null
          const set = (next: string | null): void =>
            onChange(at, {
              valueMap: [
                ...column.valueMap.filter(({ from }) => from !== value),
                ...(next === null ? [] : [{ __typename: 'ValueMapEntry' as const, from: value, to: next }]),
              ] as Column['valueMap'],
            })
          const label = `“${value}” means`
          return field?.options === null || field?.options === undefined ? (
            <TextInput
              key={value}
              label={label}
              maw={320}
              value={to ?? ''}
              onChange={(event) => set(event.currentTarget.value === '' ? null : event.currentTarget.value)}
            />
          ) : (
            <Select
              key={value}
              label={label}
              maw={320}
              placeholder="Choose"
              value={to}
              data={[
                ...field.options.map((option) => ({ value: option, label: field.custom ? option : words(option) })),
                { value: '', label: 'Nothing' },
              ]}
              onChange={set}
            />
          )
        })}
    </Stack>
  )
}

/** Fields of the object that go nowhere, to be taken in. Looking at them asks the CRM. */
function LeftOut(props: {
  readonly integrationId: string
  readonly object: string
  readonly columns: readonly Column[]
  readonly onAdd: (name: string) => void
}) {
  const { integrationId, object, columns, onAdd } = props
  const [asked, setAsked] = useState(false)
  const [result] = useQuery({
    query: MigrationSourceFieldsDocument,
    variables: { integrationId },
    pause: !asked,
    requestPolicy: 'cache-first',
  })
  const problem = trouble(result)
  const all = result.data?.integrationObjects.find(({ name }) => name === object)?.fields
  const rest = all?.filter(({ name }) => columns.every(({ column }) => column !== name)) ?? []
  if (!asked) {
    return (
      <Group>
        <Button size="xs" variant="default" onClick={() => setAsked(true)}>
          Show fields that are not listed
        </Button>
      </Group>
    )
  }
  if (problem !== null) {
    return <Problem message={problem} />
  }
  if (all === undefined) {
    return <Waiting what="what fields there are" />
  }
  return rest.length === 0 ? (
    <Text size="sm">All {all.length} fields of this object are listed.</Text>
  ) : (
    <Select
      label="Take another field in"
      searchable
      maw={420}
      placeholder={`${rest.length} more`}
      value={null}
      data={rest.map(({ name, label, kind, custom }) => ({
        value: name,
        label: `${label === name ? name : `${label} (${name})`}, ${words(kind).toLowerCase()}${custom ? ', made by the account' : ''}`,
      }))}
      onChange={(name) => {
        if (name !== null) {
          onAdd(name)
        }
      }}
    />
  )
}
