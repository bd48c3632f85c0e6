/** The fields of each record type; a tenant's own can be added and taken out of use. */
import { Button, Group, SegmentedControl, Select, Stack, Table, TagsInput, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useClient, useQuery } from 'urql'
import { useSearchParams } from 'wouter'
import { trouble } from '../../api/client.ts'
import {
  RecordTypeFieldsDocument,
  TemplatesEmptyFileDocument,
  TemplatesFieldArchiveDocument,
  TemplatesFieldCreateDocument,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { Empty, Problem, Section, Tag } from '../../ui/parts.tsx'
import {
  described,
  type RecordField,
  type RecordType,
  recordTypeChoices,
  recordTypeOf,
  recordTypes,
} from '../../ui/record-types.ts'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Kind = Exclude<RecordField['kind'], 'REFERENCE'>

const kindWords: Readonly<Record<Kind, string>> = {
  TEXT: 'Text of one line',
  LONG_TEXT: 'Long text',
  EMAIL: 'E-mail address',
  PHONE: 'Phone number',
  URL: 'Web address',
  INTEGER: 'Whole number',
  DECIMAL: 'Number',
  MONEY: 'Amount of money',
  BOOLEAN: 'Yes or no',
  DATE: 'Day',
  DATE_TIME: 'Moment',
  ENUM: 'One of a list',
  MULTI_ENUM: 'Several of a list',
}

function kindOf({ kind, references }: RecordField): string {
  return kind === 'REFERENCE'
    ? references === null
      ? 'A member'
      : `A ${recordTypes[references].one}`
    : kindWords[kind]
}

export function FieldsTab() {
  const [params, setParams] = useSearchParams()
  const type = recordTypeOf(params.get('type') ?? undefined) ?? 'CONTACT'
  return (
    <>
      <SegmentedControl
        aria-label="Record type"
        value={type}
        onChange={(value) => setParams({ tab: 'fields', type: value.toLowerCase() }, { replace: true })}
        data={recordTypeChoices}
        style={{ alignSelf: 'flex-start', maxWidth: '100%' }}
      />
      <OfType key={type} type={type} />
    </>
  )
}

function OfType({ type }: { readonly type: RecordType }) {
  const may = useMay()
  const [result, again] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType: type } })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const fields = result.data?.recordSchema.fields
  const { many } = recordTypes[type]
  if (fields === undefined) {
    return problem === null ? <Waiting what="fields" /> : <Problem message={problem} again={refresh} />
  }
  const own = fields.filter(({ custom }) => custom)
  return (
    <>
      <Section
        title={`Your own fields of ${many}`}
        note="Whoever may not see sensitive fields sees none of them: they can hold anything."
      >
        {own.length === 0 ? (
          <Empty title="No field of your own yet">
            What your business knows of its {many} and this list does not: add it, and files, exports, filters and
            migrations can use it at once.
          </Empty>
        ) : (
          <Own fields={own} onChanged={refresh} />
        )}
        {may('MAPPING_MANAGE') && <Add key={own.length} type={type} onAdded={refresh} />}
      </Section>
      <Section
        title={`All fields of ${many}`}
        note="Whatever a file calls its columns, they become these."
        actions={<EmptyFile type={type} />}
      >
        <Wide minWidth={640}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Field</Table.Th>
                <Table.Th>Kind</Table.Th>
                <Table.Th>What it holds</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {fields
                .filter(({ custom }) => !custom)
                .map((field) => (
                  <Table.Tr key={field.name}>
                    <Table.Td>
                      {field.label}
                      <Text size="xs" c="dimmed">
                        {field.name}
                      </Text>
                    </Table.Td>
                    <Table.Td>{kindOf(field)}</Table.Td>
                    <Table.Td>
                      {described(field)}
                      <Group gap={6} mt={2}>
                        {field.required && <Tag color="tide">Never empty</Tag>}
                        {field.sensitive && <Tag color="orange">Sensitive</Tag>}
                      </Group>
                    </Table.Td>
                  </Table.Tr>
                ))}
            </Table.Tbody>
          </Table>
        </Wide>
      </Section>
    </>
  )
}

function Own({ fields, onChanged }: { readonly fields: readonly RecordField[]; readonly onChanged: () => void }) {
  const may = useMay()
  const [archive] = useAct(TemplatesFieldArchiveDocument)
  return (
    <Wide minWidth={480}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Field</Table.Th>
            <Table.Th>Kind</Table.Th>
            <Table.Th>Choices</Table.Th>
            {may('MAPPING_MANAGE') && (
              <Table.Th>
                <span className="visually-hidden">Actions</span>
              </Table.Th>
            )}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {fields.map((field) => (
            <Table.Tr key={field.name}>
              <Table.Td>
                {field.label}
                <Text size="xs" c="dimmed">
                  {field.name}
                </Text>
              </Table.Td>
              <Table.Td>{kindOf(field)}</Table.Td>
              <Table.Td>{field.options?.join(', ') ?? '–'}</Table.Td>
              {may('MAPPING_MANAGE') && (
                <Table.Td className="right">
                  <AskFirst
                    action="Archive"
                    size="xs"
                    title={`Archive ${field.label}?`}
                    onYes={async () => {
                      if ((await archive({ input: { id: field.id ?? '' } })).payload !== null) {
                        toast(`${field.label} is archived.`)
                        onChanged()
                      }
                    }}
                  >
                    It is neither shown nor matched any more. Its values stay, and are back once a field with the same
                    name is added again.
                  </AskFirst>
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  )
}

/** `Favourite colour` as `favouriteColour`. */
function keyOf(label: string): string {
  const parts = label
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9]+/g, ' ')
    .trim()
    .split(' ')
  return parts
    .map((part, index) =>
      index === 0 ? part.toLowerCase() : part.charAt(0).toUpperCase() + part.slice(1).toLowerCase(),
    )
    .join('')
    .replace(/^\d+/, '')
}

function Add({ type, onAdded }: { readonly type: RecordType; readonly onAdded: () => void }) {
  const [create, creating] = useAct(TemplatesFieldCreateDocument, { quiet: true })
  const [label, setLabel] = useState('')
  const [key, setKey] = useState<string | null>(null)
  const [kind, setKind] = useState<Kind>('TEXT')
  const [options, setOptions] = useState<string[]>([])
  const [problem, setProblem] = useState<string | null>(null)
  const listed = kind === 'ENUM' || kind === 'MULTI_ENUM'
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const { payload, refusals } = await create({
      input: {
        recordType: type,
        field: {
          key: key ?? keyOf(label),
          label: label.trim(),
          kind,
          ...(listed && options.length > 0 ? { options } : {}),
        },
      },
    })
    setProblem(refusals[0]?.message ?? null)
    if (payload !== null) {
      toast(`${label.trim()} is added.`)
      onAdded()
    }
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack gap="sm" mt="md">
        <Group align="flex-end">
          <TextInput
            label="New field"
            placeholder="Favourite colour"
            value={label}
            maxLength={100}
            onChange={(event) => setLabel(event.currentTarget.value)}
          />
          <TextInput
            label="Its name in files and for programs"
            placeholder="favouriteColour"
            value={key ?? keyOf(label)}
            onChange={(event) => setKey(event.currentTarget.value)}
          />
          <Select
            label="Kind"
            allowDeselect={false}
            value={kind}
            data={(Object.keys(kindWords) as Kind[]).map((value) => ({ value, label: kindWords[value] }))}
            onChange={(value) => setKind((value ?? 'TEXT') as Kind)}
          />
          {listed && (
            <TagsInput label="Choices" placeholder="One, then Enter" miw={240} value={options} onChange={setOptions} />
          )}
          <Button type="submit" loading={creating} disabled={label.trim() === ''}>
            Add the field
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          Name and kind stay for ever.
        </Text>
        {problem !== null && <Problem message={problem} />}
      </Stack>
    </form>
  )
}

/** An empty file with all the names that need no matching. Links end after a while: a new one is asked for. */
function EmptyFile({ type }: { readonly type: RecordType }) {
  const client = useClient()
  const [busy, setBusy] = useState(false)
  const download = async (): Promise<void> => {
    setBusy(true)
    const result = await client
      .query(TemplatesEmptyFileDocument, { recordType: type }, { requestPolicy: 'network-only' })
      .toPromise()
    setBusy(false)
    const url = result.data?.recordSchema.templateFileUrl
    if (url === undefined) {
      toast(trouble(result) ?? 'There is no such file.', true)
    } else {
      location.assign(url)
    }
  }
  return (
    <Button variant="default" loading={busy} onClick={() => void download()}>
      Download an empty file
    </Button>
  )
}
