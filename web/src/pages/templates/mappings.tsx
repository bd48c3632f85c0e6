/** Mappings that are kept for files that come again. */
import { Button, Card, Group, Stack, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  TemplatesMappingArchiveDocument,
  TemplatesOfMappingsDocument,
  type TemplatesOfMappingsQuery,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { counted, words } from '../../ui/format.ts'
import { Copyable, Empty, GoButton, Problem, Section, Tag, Time } from '../../ui/parts.tsx'
import { recordTypes } from '../../ui/record-types.ts'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Template = TemplatesOfMappingsQuery['mappingTemplates'][number]

export function Mappings() {
  const may = useMay()
  const [result, again] = useQuery({ query: TemplatesOfMappingsDocument })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const templates = result.data?.mappingTemplates
  return (
    <Section title="Mapping templates" note="A file with the same columns is offered its template by itself.">
      {problem !== null && <Problem message={problem} again={refresh} />}
      {templates === undefined && problem === null && <Waiting what="templates" />}
      {templates?.length === 0 && (
        <Empty
          title="No mapping is kept yet"
          action={may('IMPORT_RUN') && <GoButton href="/console/import">New import</GoButton>}
        >
          Match the columns of a file once, keep that as a template, and the next file of its kind needs no matching.
          Where such a file has changed since, you are asked.
        </Empty>
      )}
      <Stack gap="sm" component="ul" className="plain-list">
        {templates?.map((template) => (
          <Card key={template.id} withBorder padding="sm" component="li">
            <One template={template} onChanged={refresh} />
          </Card>
        ))}
      </Stack>
    </Section>
  )
}

function One({ template, onChanged }: { readonly template: Template; readonly onChanged: () => void }) {
  const { id, name, recordType, version, createdAt, updatedAt, mapping } = template
  const [open, setOpen] = useState(false)
  const [archive] = useAct(TemplatesMappingArchiveDocument)
  const used = mapping.columns.filter(({ field }) => field !== null)
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-start">
        <Stack gap={4} flex={1} miw={240}>
          <Group gap="sm">
            <Text fw={600}>{name}</Text>
            <Tag color="gray">Version {version}</Tag>
            {mapping.conflicts.length > 0 && (
              <Tag color="orange">{counted(mapping.conflicts.length, 'open question')}</Tag>
            )}
            <Copyable value={id} label={`id of ${name}`} />
          </Group>
          <Text size="sm" c="dimmed" component="div">
            {words(recordTypes[recordType].many)}, {counted(used.length, 'column')} matched. Made{' '}
            <Time at={createdAt} />
            {version > 1 && (
              <>
                , saved anew <Time at={updatedAt} />
              </>
            )}
          </Text>
          {mapping.conflicts.map(({ code, message }) => (
            <Text size="sm" key={`${code} ${message}`}>
              {message}
            </Text>
          ))}
        </Stack>
        <Group gap="xs">
          <Button size="xs" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
            Columns
          </Button>
          <AskFirst
            action="Archive"
            size="xs"
            title={`Archive ${name}?`}
            onYes={async () => {
              if ((await archive({ input: { id } })).payload !== null) {
                toast(`${name} is archived.`)
                onChanged()
              }
            }}
          >
            It is offered no more, and its name is free. Imports that use it go on.
          </AskFirst>
        </Group>
      </Group>
      {open && (
        <Wide minWidth={420}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Column of the file</Table.Th>
                <Table.Th>Becomes</Table.Th>
                <Table.Th>On the way</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {mapping.columns.map((column, index) => (
                // Two entries may stand for one column: the place is what tells them apart.
                <Table.Tr key={index}>
                  <Table.Td>
                    {column.column ?? (column.constant === null ? '–' : `always “${column.constant}”`)}
                  </Table.Td>
                  <Table.Td>{column.field ?? 'Left out'}</Table.Td>
                  <Table.Td>{onTheWay(column)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Stack>
  )
}

/** What is done to the values of a column. */
function onTheWay({ transforms, valueMap, format, defaultValue }: Template['mapping']['columns'][number]): string {
  const said = [
    ...transforms.map(({ name, arguments: given }) =>
      given.length === 0 ? name : `${name} (${given.map((each) => `${each.name} ${each.value}`).join(', ')})`,
    ),
    ...valueMap.map(({ from, to }) => `“${from}” is ${to === '' ? 'nothing' : `“${to}”`}`),
    format === null ? null : `read as ${format}`,
    defaultValue === null ? null : `else “${defaultValue}”`,
  ].filter((each) => each !== null)
  return said.length === 0 ? '–' : said.join(', ')
}
