/** One record: its fields, which run and row wrote each, what it belongs to; changed in place. */
import { Button, Grid, Group, Select, Stack, Switch, Table, TagsInput, Text, Textarea, TextInput } from '@mantine/core'
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks'
import { type FormEvent, useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { useLocation } from 'wouter'
import { trouble } from '../api/client.ts'
import {
  RecordRemoveDocument,
  RecordRunDocument,
  RecordSaveDocument,
  RecordTypeFieldsDocument,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { instantOf, localOf } from '../ui/conditions.tsx'
import { AskFirst } from '../ui/confirm.tsx'
import { count, words } from '../ui/format.ts'
import { Copyable, Empty, GoButton, Page, Problem, Section, Time, To } from '../ui/parts.tsx'
import { needs } from '../ui/permission-words.ts'
import {
  described,
  filterOf,
  namesOf,
  oneOf,
  type RecordField,
  type RecordType,
  recordsHref,
  recordTypes,
  referringOf,
  type Touch,
  titleOf,
  typeOfId,
  valueOf,
  type WholeRecord,
} from '../ui/record-types.ts'
import { kindInWords, runHref } from '../ui/run-words.ts'
import { toast } from '../ui/toasts.tsx'
import { isBlank, Value } from '../ui/value.tsx'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

export default function RecordPage({ id }: { readonly id: string }) {
  const type = typeOfId(id)
  return type === null ? <Gone /> : <OfType id={id} type={type} />
}

function Gone() {
  return (
    <Page title="Record">
      <Empty title="There is no such record" action={<GoButton href="/console/records">All records</GoButton>}>
        It was deleted, was merged into another one, or belongs to another tenant.
      </Empty>
    </Page>
  )
}

function OfType({ id, type }: { readonly id: string; readonly type: RecordType }) {
  const [schema] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType: type } })
  const fields = schema.data?.recordSchema.fields
  const message = trouble(schema)
  if (fields === undefined) {
    return (
      <Page title={words(recordTypes[type].one)}>
        {message === null ? <Waiting what="the fields of this record type" /> : <Problem message={message} />}
      </Page>
    )
  }
  return <Whole id={id} type={type} fields={fields} />
}

function Whole({
  id,
  type,
  fields,
}: {
  readonly id: string
  readonly type: RecordType
  readonly fields: readonly RecordField[]
}) {
  const may = useMay()
  const about = recordTypes[type]
  const operation = useMemo(() => oneOf(type, fields), [type, fields])
  const [result, again] = useQuery({ query: operation, variables: { id } })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const message = trouble(result)
  const record = result.data?.node
  if (record === undefined) {
    return (
      <Page title={words(about.one)}>
        {message === null ? <Waiting what={`the ${about.one}`} /> : <Problem message={message} again={refresh} />}
      </Page>
    )
  }
  if (record === null) {
    return <Gone />
  }
  return (
    <Page
      title={titleOf(type, record)}
      lead={
        <Group gap="sm">
          <To href={recordsHref(type)}>{words(about.many)}</To>
          <Copyable value={id} />
          <span>
            Changed <Time at={record.updatedAt} />
          </span>
        </Group>
      }
      actions={may('RECORD_WRITE') && <Remove type={type} record={record} />}
    >
      {message !== null && <Problem title="What is shown may be old" message={message} again={refresh} />}
      <Grid>
        <Grid.Col span={{ base: 12, lg: 8 }}>
          <Fields type={type} record={record} fields={fields} onChanged={refresh} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 4 }}>
          <Stack gap="lg">
            <Provenance record={record} fields={fields} />
            <Identities record={record} />
            {about.referredBy.length > 0 && <Referring id={id} type={type} />}
          </Stack>
        </Grid.Col>
      </Grid>
    </Page>
  )
}

function Remove({ type, record }: { readonly type: RecordType; readonly record: WholeRecord }) {
  const [, go] = useLocation()
  const [remove] = useAct(RecordRemoveDocument)
  const { one } = recordTypes[type]
  return (
    <AskFirst
      action="Delete"
      title={`Delete this ${one}?`}
      onYes={async () => {
        const { payload } = await remove({ input: { id: record.id, recordType: type, version: record.version } })
        if (payload !== null) {
          toast(`The ${one} is deleted.`)
          go(recordsHref(type))
        }
      }}
    >
      It goes from every list and from what refers to it. A rollback of the import that made it still counts it as
      deleted.
    </AskFirst>
  )
}

/** The run that wrote a field last, as far as runs tell; undefined for none. */
function writerOf(field: RecordField, record: WholeRecord): Touch | undefined {
  return record.provenance.find(
    ({ action, changedFields }) =>
      changedFields.includes(field.name) || (action === 'CREATED' && !isBlank(valueOf(record, field))),
  )
}

function Fields(props: {
  readonly type: RecordType
  readonly record: WholeRecord
  readonly fields: readonly RecordField[]
  readonly onChanged: () => void
}) {
  const { type, record, fields, onChanged } = props
  const may = useMay()
  const [all, setAll] = useState(false)
  // What wrote a field stands below its value where there is no room beside it.
  const narrow = useMediaQuery('(max-width: 47.99em)')
  const [editing, setEditing] = useState<string | null>(null)
  const shown = fields.filter((field) => all || !isBlank(valueOf(record, field)))
  const blank = fields.filter((field) => isBlank(valueOf(record, field))).length
  return (
    <Section
      title="Fields"
      note={may('PII_READ') ? undefined : 'What is sensitive is masked for you.'}
      actions={
        <Switch
          label={`Show the ${count(blank)} empty ones`}
          checked={all}
          onChange={(event) => setAll(event.currentTarget.checked)}
        />
      }
    >
      <Wide minWidth={280}>
        <Table layout="fixed" horizontalSpacing={narrow ? 4 : 'xs'}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={narrow ? '34%' : '26%'}>Field</Table.Th>
              <Table.Th>Value</Table.Th>
              <Table.Th w="26%" visibleFrom="sm">
                Written by
              </Table.Th>
              {may('RECORD_WRITE') && (
                <Table.Th w={narrow ? 60 : 76}>
                  <span className="visually-hidden">Actions</span>
                </Table.Th>
              )}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map((field) =>
              editing === field.name ? (
                <Table.Tr key={field.name}>
                  <Table.Td colSpan={narrow ? 3 : 4}>
                    <Edit
                      type={type}
                      record={record}
                      field={field}
                      onRead={onChanged}
                      onDone={(changed) => {
                        setEditing(null)
                        if (changed) {
                          onChanged()
                        }
                      }}
                    />
                  </Table.Td>
                </Table.Tr>
              ) : (
                <Table.Tr key={field.name}>
                  <Table.Th
                    scope="row"
                    fw={500}
                    title={described(field) ?? undefined}
                    style={{ overflowWrap: 'anywhere' }}
                  >
                    {field.label}
                  </Table.Th>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>
                    <Value field={field} value={valueOf(record, field)} whole />
                    <Text size="xs" c="dimmed" hiddenFrom="sm" component="div">
                      <Writer touch={writerOf(field, record)} />
                    </Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    <Writer touch={writerOf(field, record)} />
                  </Table.Td>
                  {may('RECORD_WRITE') && (
                    <Table.Td>
                      {(may('PII_READ') || !(field.sensitive || field.custom)) && (
                        <Button
                          size="compact-sm"
                          variant="default"
                          aria-label={`Edit ${field.label}`}
                          onClick={() => setEditing(field.name)}
                        >
                          Edit
                        </Button>
                      )}
                    </Table.Td>
                  )}
                </Table.Tr>
              ),
            )}
          </Table.Tbody>
        </Table>
      </Wide>
    </Section>
  )
}

/** What a run is called: its file, or its kind. */
function RunLink({ id }: { readonly id: string }) {
  const may = useMay()
  const pause = !needs.runs.some(may)
  const [{ data }] = useQuery({ query: RecordRunDocument, variables: { id }, requestPolicy: 'cache-first', pause })
  if (pause) {
    return <>A run</>
  }
  const run = data?.run
  if (run === null || run === undefined) {
    return <>{data === undefined ? '…' : 'A run that is not kept any more'}</>
  }
  return <To href={runHref(run)}>{run.__typename === 'ImportRun' ? run.source.name : kindInWords(run.kind)}</To>
}

function Writer({ touch }: { readonly touch: Touch | undefined }) {
  if (touch === undefined) {
    return <>–</>
  }
  return (
    <>
      <RunLink id={touch.runId} />
      {touch.rowNumber !== null && `, row ${count(touch.rowNumber)}`}
    </>
  )
}

/** The text that an input begins with. */
function textOf(record: WholeRecord, field: RecordField): string {
  const value = valueOf(record, field)
  if (isBlank(value)) {
    return ''
  }
  if (field.references !== null) {
    return (value as { readonly id: string }).id
  }
  return Array.isArray(value) ? value.join('; ') : String(value)
}

function Edit(props: {
  readonly type: RecordType
  readonly record: WholeRecord
  readonly field: RecordField
  /** Reads the record again: somebody else has changed it. */
  readonly onRead: () => void
  readonly onDone: (changed: boolean) => void
}) {
  const { type, record, field, onRead, onDone } = props
  const [save, saving] = useAct(RecordSaveDocument, { quiet: true })
  const [value, setValue] = useState(() => textOf(record, field))
  const [wrong, setWrong] = useState<string | null>(null)
  const [conflict, setConflict] = useState(false)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const { payload, refusals } = await save({
      input: {
        id: record.id,
        recordType: type,
        version: record.version,
        fields: [{ field: field.name, value: value.trim() === '' ? null : value }],
      },
    })
    const [refusal] = refusals
    if (payload !== null) {
      toast(`${field.label} is saved.`)
      onDone(true)
    } else if (refusal?.code === 'VERSION_CONFLICT') {
      setConflict(true)
      setWrong(null)
      onRead()
    } else {
      setConflict(false)
      setWrong(refusal?.message ?? null)
    }
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack gap="sm">
        <FieldInput field={field} record={record} value={value} onChange={setValue} error={wrong} />
        {conflict && (
          <Problem
            title="Somebody else changed this record meanwhile"
            message={
              <>
                {field.label} is now: <Value field={field} value={valueOf(record, field)} whole />
                What you wrote is still here. Save once more to put it in its place, or leave it as it is now.
              </>
            }
          />
        )}
        <Group gap="xs">
          <Button type="submit" size="xs" loading={saving}>
            Save
          </Button>
          <Button size="xs" variant="default" onClick={() => onDone(false)}>
            {conflict ? 'Leave it' : 'Cancel'}
          </Button>
          {described(field) !== null && (
            <Text size="sm" c="dimmed">
              {described(field)}
            </Text>
          )}
        </Group>
      </Stack>
    </form>
  )
}

interface InputProps {
  readonly field: RecordField
  readonly record: WholeRecord
  readonly value: string
  readonly onChange: (value: string) => void
  readonly error: string | null
}

/** What a field is edited with: by its kind. An empty one empties the field. */
function FieldInput({ field, record, value, onChange, error }: InputProps) {
  const common = { label: field.label, error, 'data-autofocus': true, autoFocus: true }
  if (field.references !== null) {
    return <ReferenceInput field={field} record={record} value={value} onChange={onChange} error={error} />
  }
  if (field.kind === 'BOOLEAN' || (field.kind === 'ENUM' && field.options !== null)) {
    const options =
      field.kind === 'BOOLEAN'
        ? [
            { value: 'true', label: 'Yes' },
            { value: 'false', label: 'No' },
          ]
        : (field.options ?? []).map((each) => ({ value: each, label: field.custom ? each : words(each) }))
    return (
      <Select
        {...common}
        maw={420}
        clearable={!field.required}
        clearButtonProps={{ 'aria-label': 'Empty the field' }}
        value={value === '' ? null : value}
        data={options}
        onChange={(next) => onChange(next ?? '')}
      />
    )
  }
  if (field.kind === 'MULTI_ENUM') {
    return (
      <TagsInput
        {...common}
        maw={420}
        value={value.split(/\s*;\s*/).filter((each) => each !== '')}
        data={field.options ?? []}
        onChange={(next) => onChange(next.join('; '))}
      />
    )
  }
  if (field.kind === 'LONG_TEXT') {
    return (
      <Textarea
        {...common}
        autosize
        minRows={3}
        maxRows={14}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
    )
  }
  const moment = field.kind === 'DATE_TIME'
  return (
    <TextInput
      {...common}
      maw={420}
      type={field.kind === 'DATE' ? 'date' : moment ? 'datetime-local' : 'text'}
      value={moment ? localOf(value) : value}
      maxLength={field.maxLength ?? undefined}
      onChange={(event) => {
        const text = event.currentTarget.value
        onChange(moment ? instantOf(text) : text)
      }}
    />
  )
}

/** Finds the record to refer to by its name. */
function ReferenceInput({ field, record, value, onChange, error }: InputProps) {
  const may = useMay()
  const to = field.references ?? 'CONTACT'
  const about = recordTypes[to]
  const now = valueOf(record, field) as { readonly id: string } | null
  const [typed, setTyped] = useState('')
  const [searched] = useDebouncedValue(typed, 250)
  const operation = useMemo(() => namesOf(to, 10), [to])
  // Nobody may search for what they may not see: they choose among the newest.
  const searchable = may('PII_READ') ? [about.title] : []
  const [{ data }] = useQuery({ query: operation, variables: { filter: filterOf(searchable, searched, []) } })
  const options = new Map(now === null ? [] : [[now.id, titleOf(to, now)]])
  for (const each of data?.[about.list]?.nodes ?? []) {
    options.set(each.id, titleOf(to, each))
  }
  return (
    <Select
      label={field.label}
      error={error}
      maw={420}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': 'Empty the field' }}
      placeholder={`Search ${about.many}`}
      value={value === '' ? null : value}
      onSearchChange={setTyped}
      // The service has searched already.
      filter={({ options: found }) => found}
      data={[...options].map(([id, label]) => ({ value: id, label }))}
      nothingFoundMessage={`No such ${about.one}`}
      onChange={(next) => onChange(next ?? '')}
    />
  )
}

function Provenance({ record, fields }: { readonly record: WholeRecord; readonly fields: readonly RecordField[] }) {
  const labelOf = (name: string) => fields.find((field) => field.name === name)?.label ?? name
  const [newest] = record.provenance
  // A run writes what it did and the record at one moment.
  const byHand = newest !== undefined && new Date(record.updatedAt).getTime() - new Date(newest.at).getTime() > 1000
  return (
    <Section title="Where it came from">
      {newest === undefined ? (
        <Text size="sm" c="dimmed">
          No run has written this record: it was made or changed by hand, or its run is not kept any more.
        </Text>
      ) : (
        <Stack gap="sm" component="ol" className="plain-list">
          {byHand && (
            <Text size="sm" component="li">
              <Time at={record.updatedAt} />: changed by hand or by a merge, after the last run. The audit tells by
              whom.
            </Text>
          )}
          {record.provenance.map((touch) => (
            <Text size="sm" component="li" key={`${touch.runId} ${touch.at} ${touch.action} ${touch.rowNumber}`}>
              <Time at={touch.at} />: {words(touch.action).toLowerCase()} by <Writer touch={touch} />
              {touch.changedFields.length > 0 && <> ({touch.changedFields.map(labelOf).join(', ')})</>}
            </Text>
          ))}
        </Stack>
      )}
    </Section>
  )
}

function Identities({ record }: { readonly record: WholeRecord }) {
  return (
    <Section title="Known elsewhere as">
      {record.identities.length === 0 ? (
        <Text size="sm" c="dimmed">
          No other system is known to have this record.
        </Text>
      ) : (
        <Stack gap="xs" component="ul" className="plain-list">
          {record.identities.map(({ sourceSystem, externalId, url }) => (
            <Group component="li" key={`${sourceSystem} ${externalId}`} gap="xs">
              <Text size="sm">{sourceSystem}</Text>
              <Copyable value={externalId} label={`id at ${sourceSystem}`} />
              {url !== null && /^https:\/\//i.test(url) && (
                <a href={url} target="_blank" rel="noreferrer">
                  Open there
                </a>
              )}
            </Group>
          ))}
        </Stack>
      )}
    </Section>
  )
}

/** Records that refer to this one. */
function Referring({ id, type }: { readonly id: string; readonly type: RecordType }) {
  const { referredBy } = recordTypes[type]
  const operation = useMemo(() => referringOf(type), [type])
  const conditionOf = (field: string) => ({ field, operator: 'EQ', value: id })
  const variables = Object.fromEntries(
    referredBy.map(({ field }, index) => [`filter${index}`, { where: conditionOf(field) }]),
  )
  const [result] = useQuery({ query: operation, variables })
  const message = trouble(result)
  const { data } = result
  const lists = referredBy
    .map((each, index) => ({ ...each, found: data?.[`list${index}`] }))
    .filter(({ found }) => found !== undefined && found.totalCount > 0)
  return (
    <Section title="Related records">
      {message !== null && <Problem message={message} />}
      {data === undefined && message === null && <Waiting what="related records" />}
      {data !== undefined && lists.length === 0 && (
        <Text size="sm" c="dimmed">
          No other record refers to this {recordTypes[type].one}.
        </Text>
      )}
      <Stack gap="md">
        {lists.map(({ type: from, field, words: name, found }) => (
          <div key={`${from} ${field}`}>
            <Text size="sm" fw={600}>
              {name} ({count(found?.totalCount)})
            </Text>
            <Stack gap={4} component="ul" className="plain-list">
              {found?.nodes.map((each) => (
                <Text size="sm" component="li" key={each.id}>
                  <To href={`/console/record/${each.id}`}>{titleOf(from, each)}</To>
                </Text>
              ))}
              {found !== undefined && found.totalCount > found.nodes.length && (
                <Text size="sm" component="li">
                  <To href={recordsHref(from, [conditionOf(field)])}>All {count(found.totalCount)}</To>
                </Text>
              )}
            </Stack>
          </div>
        ))}
      </Stack>
    </Section>
  )
}
