/** Records into a file: which, in which columns, in which form; once, or by a schedule. */
import {
  Anchor,
  Button,
  Card,
  Collapse,
  Group,
  Modal,
  MultiSelect,
  SegmentedControl,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  Table,
  Text,
  TextInput,
} from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { type ReactNode, useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { useLocation } from 'wouter'
import { trouble } from '../api/client.ts'
import {
  ExportsCreateDocument,
  type ExportsCreateMutationVariables,
  ExportsPreviewDocument,
  ExportsRecentDocument,
  ExportsTemplateDeleteDocument,
  ExportsTemplateSaveDocument,
  ExportsTemplatesDocument,
  type ExportsTemplatesQuery,
  RecordTypeFieldsDocument,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { Conditions, isWhole } from '../ui/conditions.tsx'
import { AskFirst } from '../ui/confirm.tsx'
import { bytes, count, counted, words } from '../ui/format.ts'
import { useFreshLinks } from '../ui/fresh-links.ts'
import { newKey } from '../ui/key.ts'
import { useTenantEvents } from '../ui/live.ts'
import { useLiveRuns } from '../ui/live-runs.ts'
import { Empty, Page, Problem, Section, Status, Tag, Time, To } from '../ui/parts.tsx'
import {
  type Condition,
  filterOf,
  ownFields,
  type RecordField,
  type RecordType,
  recordTypeChoices,
  recordTypes,
} from '../ui/record-types.ts'
import { toast } from '../ui/toasts.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

type Input = ExportsCreateMutationVariables['input']
type Format = NonNullable<Input['format']>

const formats = [
  { value: 'CSV', label: 'CSV' },
  { value: 'XLSX', label: 'Excel' },
  { value: 'JSON', label: 'JSON' },
  { value: 'NDJSON', label: 'NDJSON' },
]

/** Fields of every record that are in no schema. */
const besides = ['id', 'createdAt', 'updatedAt', 'version']

export default function Exports() {
  return (
    <Page
      title="Exports"
      lead="Records of one type into one file, as they are at one moment. Such a file imports again as it is."
    >
      <Builder />
      <Templates empty="None yet. Put an export together above and keep it: it can then run every morning, too." />
      <Recent />
    </Page>
  )
}

function Builder() {
  const [, go] = useLocation()
  const [recordType, setRecordType] = useState<RecordType>('CONTACT')
  const [conditions, setConditions] = useState<readonly Condition[]>([])
  const [columns, setColumns] = useState<string[]>([])
  const [headers, setHeaders] = useState<Readonly<Record<string, string>>>({})
  const [format, setFormat] = useState<Format>({ format: 'CSV' })
  const [orderBy, setOrderBy] = useState<string | null>(null)
  const [fileName, setFileName] = useState('')
  const [open, setOpen] = useState(false)
  const [create, creating] = useAct(ExportsCreateDocument)
  const [{ data }] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType } })
  const fields = data?.recordSchema.fields ?? []
  const input = useMemo<Omit<Input, 'idempotencyKey'>>(
    () => ({
      recordType,
      format,
      filter: filterOf([], '', conditions.filter(isWhole)) as Input['filter'],
      ...(columns.length === 0
        ? {}
        : {
            columns: columns.map((field) => ({
              field,
              ...(headers[field] === undefined || headers[field] === '' ? {} : { header: headers[field] }),
            })),
          }),
      ...(orderBy === null ? {} : { orderBy: [{ field: orderBy }] }),
      ...(fileName.trim() === '' ? {} : { fileName: fileName.trim() }),
    }),
    [recordType, format, conditions, columns, headers, orderBy, fileName],
  )
  const set = (change: Format): void => {
    const next: Record<string, unknown> = { ...format, ...change }
    setFormat(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== null && value !== '')) as Format)
  }
  const start = async (): Promise<void> => {
    const { payload } = await create({ input: { ...input, idempotencyKey: newKey() } })
    if (payload?.exportRun !== null && payload?.exportRun !== undefined) {
      go(`/console/runs/${payload.exportRun.id}`)
    }
  }
  const text = format.format === 'CSV'
  return (
    <Section
      title="New export"
      actions={
        <Group gap="xs">
          <KeepTemplate input={input} />
          <Button onClick={() => void start()} loading={creating}>
            Export
          </Button>
        </Group>
      }
    >
      <Stack gap="lg">
        <Group align="flex-end">
          <Select
            label="Records"
            value={recordType}
            allowDeselect={false}
            onChange={(value) => {
              setRecordType(value as RecordType)
              setConditions([])
              setColumns([])
              setHeaders({})
              setOrderBy(null)
            }}
            data={recordTypeChoices}
          />
          <div>
            <Text size="sm" fw={500} id="export-format">
              Format
            </Text>
            <SegmentedControl
              aria-labelledby="export-format"
              value={format.format ?? 'CSV'}
              onChange={(value) => setFormat({ format: value as NonNullable<Format['format']> })}
              data={formats}
            />
          </div>
        </Group>
        <div>
          <Text size="sm" fw={600} mb={6}>
            Only those for which
          </Text>
          <Conditions
            fields={[...fields.filter(({ references }) => references === null), ...ownFields]}
            value={conditions}
            onChange={setConditions}
          />
        </div>
        <Columns fields={fields} value={columns} onChange={setColumns} headers={headers} onHeaders={setHeaders} />
        <Button variant="subtle" w="fit-content" onClick={() => setOpen(!open)} aria-expanded={open}>
          {open ? 'Less about the form' : 'More about the form'}
        </Button>
        <Collapse expanded={open}>
          <SimpleGrid cols={{ base: 1, sm: 3 }}>
            <TextInput
              label="Name of the file"
              placeholder={`${recordTypes[recordType].many} and the day`}
              value={fileName}
              onChange={(event) => setFileName(event.currentTarget.value)}
            />
            <Select
              label="Order by"
              placeholder="as stored, which is fastest"
              searchable
              clearable
              clearButtonProps={{ 'aria-label': 'As stored' }}
              value={orderBy}
              onChange={setOrderBy}
              data={fields
                .filter(({ references }) => references === null)
                .map(({ name, label }) => ({ value: name, label }))}
            />
            <TextInput
              label="Time zone"
              placeholder="UTC"
              value={format.timeZone ?? ''}
              onChange={(event) => set({ timeZone: event.currentTarget.value })}
            />
            {text && (
              <>
                <Select
                  label="Between the columns"
                  value={format.delimiter ?? ','}
                  allowDeselect={false}
                  onChange={(delimiter) => set({ delimiter })}
                  data={[
                    { value: ',', label: 'Comma' },
                    { value: ';', label: 'Semicolon' },
                    { value: '\t', label: 'Tab' },
                  ]}
                />
                <Select
                  label="Encoding"
                  value={format.encoding ?? 'utf-8'}
                  allowDeselect={false}
                  onChange={(encoding) => set({ encoding })}
                  data={['utf-8', 'windows-1252', 'iso-8859-15', 'utf-16le']}
                />
                <Select
                  label="Numbers"
                  value={format.decimalSeparator ?? '.'}
                  allowDeselect={false}
                  onChange={(decimalSeparator) => set({ decimalSeparator })}
                  data={[
                    { value: '.', label: '1234.56' },
                    { value: ',', label: '1234,56' },
                  ]}
                />
                <TextInput
                  label="Dates"
                  placeholder="2026-11-23"
                  description="For example dd.MM.yyyy"
                  value={format.dateFormat ?? ''}
                  onChange={(event) => set({ dateFormat: event.currentTarget.value })}
                />
                <Switch
                  label="For Excel on Windows"
                  description="Begins with a byte order mark"
                  checked={format.byteOrderMark ?? false}
                  onChange={(event) => set({ byteOrderMark: event.currentTarget.checked })}
                />
              </>
            )}
            <Switch
              label="Packed as gzip"
              checked={format.compression === 'GZIP'}
              onChange={(event) => set({ compression: event.currentTarget.checked ? 'GZIP' : null })}
            />
          </SimpleGrid>
        </Collapse>
        <Preview input={input} />
      </Stack>
    </Section>
  )
}

/** Which columns, in which order, under which names. */
function Columns(props: {
  readonly fields: readonly RecordField[]
  readonly value: string[]
  readonly onChange: (value: string[]) => void
  readonly headers: Readonly<Record<string, string>>
  readonly onHeaders: (headers: Readonly<Record<string, string>>) => void
}) {
  const { fields, value, onChange, headers, onHeaders } = props
  const labels = new Map(fields.map(({ name, label }) => [name, label]))
  const move = (index: number, by: number): void => {
    const next = [...value]
    const [field] = next.splice(index, 1)
    if (field !== undefined) {
      next.splice(index + by, 0, field)
      onChange(next)
    }
  }
  return (
    <div>
      <MultiSelect
        label="Columns"
        description="In the order in which they are chosen. Without any: all fields, so that the file imports again as it is."
        placeholder={value.length === 0 ? 'all fields' : ''}
        searchable
        hidePickedOptions
        clearable
        clearButtonProps={{ 'aria-label': 'All fields' }}
        value={value}
        onChange={onChange}
        data={[
          ...besides.map((name) => ({ value: name, label: name })),
          ...fields.flatMap(({ name, label, references }) =>
            references === null
              ? [{ value: name, label }]
              : [
                  { value: name, label: `${label}: id` },
                  ...(references === 'CONTACT' ? [{ value: `${name}.email`, label: `${label}: e-mail` }] : []),
                  { value: `${name}.externalId`, label: `${label}: external id` },
                ],
          ),
        ]}
      />
      {value.length > 0 && (
        <Stack gap={6} mt="sm" component="ul" className="plain-list">
          {value.map((field, index) => (
            <Group key={field} gap="xs" component="li">
              <TextInput
                size="xs"
                w={240}
                aria-label={`Header of ${labels.get(field) ?? field}`}
                placeholder={field}
                value={headers[field] ?? ''}
                onChange={(event) => onHeaders({ ...headers, [field]: event.currentTarget.value })}
              />
              <Button
                size="compact-xs"
                variant="default"
                disabled={index === 0}
                onClick={() => move(index, -1)}
                aria-label={`Move ${labels.get(field) ?? field} up`}
              >
                Up
              </Button>
              <Button
                size="compact-xs"
                variant="default"
                disabled={index === value.length - 1}
                onClick={() => move(index, 1)}
                aria-label={`Move ${labels.get(field) ?? field} down`}
              >
                Down
              </Button>
              <Text size="sm" c="dimmed">
                {labels.get(field) ?? field}
              </Text>
            </Group>
          ))}
        </Stack>
      )}
    </div>
  )
}

/** The first rows of the file as it would be now. */
function Preview({ input }: { readonly input: Omit<Input, 'idempotencyKey'> }) {
  const [asked] = useDebouncedValue(input, 400)
  const [result] = useQuery({
    query: ExportsPreviewDocument,
    variables: { input: { ...asked, idempotencyKey: 'preview' } },
  })
  const problem = trouble(result)
  const rows = result.data?.exportPreview
  const columns = rows?.[0]?.cells.map(({ column }) => column) ?? []
  return (
    <div>
      <Text size="sm" fw={600} mb={6}>
        The first rows
      </Text>
      {problem !== null && <Problem title="It cannot be exported like this" message={problem} />}
      {rows === undefined && problem === null && <Waiting what="the first rows" />}
      {rows?.length === 0 && <Text c="dimmed">No record is so. The file would have a header and nothing else.</Text>}
      {rows !== undefined && rows.length > 0 && problem === null && (
        <Wide minWidth={columns.length * 140}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                {columns.map((column) => (
                  <Table.Th key={column}>{column}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.rowNumber}>
                  {row.cells.map(({ column, value }) => (
                    <Table.Td key={column} maw={240}>
                      <Text size="sm" truncate>
                        {value}
                      </Text>
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </div>
  )
}

/** How often a schedule runs, in words and as cron says it. */
const rhythms = [
  { value: '', label: 'Only when asked' },
  { value: '0 6 * * *', label: 'Every day at 6:00' },
  { value: '0 6 * * 1-5', label: 'Monday to Friday at 6:00' },
  { value: '0 6 * * 1', label: 'Every Monday at 6:00' },
  { value: '0 6 1 * *', label: 'On the first of the month at 6:00' },
  { value: 'own', label: 'By an expression of cron' },
]

function KeepTemplate({ input }: { readonly input: Omit<Input, 'idempotencyKey'> }) {
  const [open, setOpen] = useState(false)
  const [name, setName] = useState('')
  const [rhythm, setRhythm] = useState('')
  const [cron, setCron] = useState('')
  const [save, busy] = useAct(ExportsTemplateSaveDocument)
  const keep = async (): Promise<void> => {
    const { recordType, columns, filter, format, orderBy } = input
    const schedule = rhythm === 'own' ? cron.trim() : rhythm
    const { payload } = await save({
      input: {
        name: name.trim(),
        recordType,
        ...(columns === undefined ? {} : { columns }),
        ...(filter === null || filter === undefined ? {} : { filter }),
        ...(format === undefined ? {} : { format }),
        ...(orderBy === undefined ? {} : { orderBy }),
        ...(schedule === '' ? {} : { schedule, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone }),
      },
    })
    if (payload !== null) {
      toast('The template is kept.')
      setOpen(false)
      setName('')
    }
  }
  return (
    <>
      <Button variant="default" onClick={() => setOpen(true)}>
        Keep as a template
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title="Keep this export as a template"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack>
          <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Select
            label="It runs"
            description="In the time zone of this browser, as you, with what you may see"
            value={rhythm}
            allowDeselect={false}
            onChange={(value) => setRhythm(value ?? '')}
            data={rhythms}
          />
          {rhythm === 'own' && (
            <TextInput
              label="Expression"
              description="Minute, hour, day of the month, month, day of the week"
              placeholder="30 6 * * 1-5"
              value={cron}
              onChange={(event) => setCron(event.currentTarget.value)}
            />
          )}
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

type Template = ExportsTemplatesQuery['exportTemplates'][number]

/** Exports that are kept. `empty`: what stands there while there is none. */
export function Templates({ empty }: { readonly empty: ReactNode }) {
  const [result, again] = useQuery({ query: ExportsTemplatesDocument })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const templates = result.data?.exportTemplates
  return (
    <Section title="Templates" note="Exports that come again, by hand or by themselves.">
      {problem !== null && <Problem message={problem} again={refresh} />}
      {templates === undefined && problem === null && <Waiting what="templates" />}
      {templates?.length === 0 && <Text c="dimmed">{empty}</Text>}
      <Stack gap="sm">
        {templates?.map((template) => (
          <TemplateCard key={template.id} template={template} onChanged={refresh} />
        ))}
      </Stack>
    </Section>
  )
}

function TemplateCard({ template, onChanged }: { readonly template: Template; readonly onChanged: () => void }) {
  const { id, name, recordType, format, columns, schedule, timeZone, nextRunAt, owner, disabledReason, lastRun } =
    template
  const [, go] = useLocation()
  const [create, creating] = useAct(ExportsCreateDocument)
  const [remove] = useAct(ExportsTemplateDeleteDocument)
  const run = async (): Promise<void> => {
    const { payload } = await create({ input: { recordType, templateId: id, idempotencyKey: newKey() } })
    if (payload?.exportRun !== null && payload?.exportRun !== undefined) {
      go(`/console/runs/${payload.exportRun.id}`)
    }
  }
  return (
    <Card withBorder padding="sm">
      <Group justify="space-between" align="flex-start">
        <div>
          <Group gap="xs">
            <Text fw={600}>{name}</Text>
            {schedule !== null && (
              <Tag color={disabledReason === null ? 'green' : 'red'}>
                {disabledReason === null ? 'Scheduled' : 'Stopped'}
              </Tag>
            )}
          </Group>
          <Text size="sm" c="dimmed">
            {words(recordTypes[recordType].many)} as {format},{' '}
            {columns.length === 0 ? 'all fields' : counted(columns.length, 'column')}
            {schedule === null
              ? ''
              : `; ${rhythms.find(({ value }) => value === schedule)?.label ?? schedule} (${timeZone ?? 'UTC'}) as ${owner}`}
          </Text>
          {disabledReason !== null && <Text size="sm">{disabledReason.message}</Text>}
          <Text size="sm">
            {nextRunAt !== null && (
              <>
                Next <Time at={nextRunAt} />.{' '}
              </>
            )}
            {lastRun !== null && (
              <>
                <To href={`/console/runs/${lastRun.id}`}>The newest</To>: {words(lastRun.status).toLowerCase()}.
              </>
            )}
          </Text>
        </div>
        <Group gap="xs">
          <Button size="xs" variant="default" loading={creating} onClick={() => void run()}>
            Export now
          </Button>
          <AskFirst
            action="Delete"
            size="xs"
            title={`Delete the template ${name}?`}
            onYes={async () => {
              if ((await remove({ input: { id } })).payload !== null) {
                toast('The template is deleted.')
                onChanged()
              }
            }}
          >
            {schedule === null ? 'Files that it made stay.' : 'It runs no more. Files that it made stay.'}
          </AskFirst>
        </Group>
      </Group>
    </Card>
  )
}

function Recent() {
  const [result, again] = useQuery({ query: ExportsRecentDocument })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const live = useLiveRuns()
  useTenantEvents((events) => {
    if (live.add(events)) {
      refresh()
    }
  })
  const problem = trouble(result)
  const runs = result.data?.runs.nodes
  useFreshLinks(runs?.flatMap(({ files }) => files.map(({ urlExpiresAt }) => urlExpiresAt)) ?? [], refresh)
  return (
    <Section title="Recent exports">
      {problem !== null && <Problem message={problem} again={refresh} />}
      {runs === undefined && problem === null && <Waiting what="exports" />}
      {runs?.length === 0 && (
        <Empty title="Nothing was exported yet">A file is offered once it is whole, and never before.</Empty>
      )}
      {runs !== undefined && runs.length > 0 && (
        <Wide minWidth={640}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Export</Table.Th>
                <Table.Th>Status</Table.Th>
                <Table.Th className="right">Rows</Table.Th>
                <Table.Th>File</Table.Th>
                <Table.Th>Begun</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {runs.map((node) => {
                const run = live.of(node)
                const file = run.files.find(({ kind }) => kind === 'RESULT')
                return (
                  <Table.Tr key={run.id}>
                    <Table.Td>
                      <To href={`/console/runs/${run.id}`}>
                        {run.__typename === 'ExportRun' ? words(recordTypes[run.exported].many) : 'Audit'}
                      </To>
                    </Table.Td>
                    <Table.Td>
                      <Status status={run.status} />
                    </Table.Td>
                    <Table.Td className="numbers right">{count(run.counts.read)}</Table.Td>
                    <Table.Td>
                      {file === undefined ? (
                        '–'
                      ) : (
                        <>
                          <Anchor href={file.url} download={file.name} underline="always">
                            {file.name}
                          </Anchor>{' '}
                          <Text span size="sm" c="dimmed">
                            {bytes(file.byteSize)}
                          </Text>
                        </>
                      )}
                    </Table.Td>
                    <Table.Td>
                      <Time at={run.createdAt} />
                    </Table.Td>
                  </Table.Tr>
                )
              })}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Section>
  )
}
