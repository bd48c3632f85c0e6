/** How the file is read: what was found out, the first rows that come of it, and where it can be told otherwise. */
import { Button, Collapse, NumberInput, Select, SimpleGrid, Stack, Table, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import { type ImportDetectionFragment, ImportFileDocument, ImportReadDocument } from '../../api/generated.ts'
import { bytes, count, dayAndTime, words } from '../../ui/format.ts'
import { Figure, Problem, Section, To } from '../../ui/parts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'
import type { Source } from './draft.ts'

const encodings = [
  'utf-8',
  'windows-1252',
  'iso-8859-15',
  'windows-1250',
  'windows-1251',
  'utf-16le',
  'macintosh',
  'shift_jis',
  'gb18030',
]

const delimiters = [
  { value: ',', label: 'Comma' },
  { value: ';', label: 'Semicolon' },
  { value: '\t', label: 'Tab' },
  { value: '|', label: 'Bar' },
]

export function ReadStep(props: {
  readonly fileId: string
  readonly source: Source
  readonly onSource: (source: Source) => void
  readonly onNext: () => void
}) {
  const { fileId, source, onSource, onNext } = props
  const may = useMay()
  const [asked] = useDebouncedValue(source, 400)
  const [file] = useQuery({ query: ImportFileDocument, variables: { id: fileId } })
  const [result, again] = useQuery({ query: ImportReadDocument, variables: { id: fileId, source: asked } })
  const problem = trouble(result)
  const known = file.data?.file
  const preview = result.data?.file?.preview
  if (file.data !== undefined && known === null) {
    return (
      <Problem title="The file is not there any more" message="Files are kept for a while only. Choose it again." />
    )
  }
  return (
    <Stack gap="lg">
      <Section
        title={known?.name ?? 'The file'}
        note={
          known === undefined || known === null
            ? undefined
            : `${bytes(known.byteSize)}, kept until ${dayAndTime(known.expiresAt)}`
        }
        actions={<Button onClick={onNext}>Match the columns</Button>}
      >
        {known?.earlierRuns.map((run) => (
          <Text key={run.id} size="sm" mb="xs">
            This very file was imported before: <To href={`/console/runs/${run.id}`}>{dayAndTime(run.createdAt)}</To>,{' '}
            {words(run.status).toLowerCase()}.
          </Text>
        ))}
        {preview !== undefined && <Found detection={preview.detection} source={source} onSource={onSource} />}
        {problem !== null && (
          <Problem
            title="It cannot be read this way"
            message={problem}
            again={() => again({ requestPolicy: 'network-only' })}
          />
        )}
        {preview === undefined && problem === null && <Waiting what="what is in the file" />}
      </Section>
      {preview !== undefined && (
        <Section
          title="The first rows"
          note={
            may('PII_READ')
              ? 'As they will be read. If they look wrong, change how, above.'
              : 'What is in their cells is for those who may see sensitive fields.'
          }
        >
          {preview.rows.length === 0 ? (
            <Text>There are no rows below the header.</Text>
          ) : (
            <Wide minWidth={preview.detection.columns.length * 130}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th className="right">Row</Table.Th>
                    {preview.detection.columns.map(({ index, name }) => (
                      <Table.Th key={index}>{name}</Table.Th>
                    ))}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {preview.rows.map((row) => (
                    <Table.Tr key={row.rowNumber}>
                      <Table.Td className="numbers right">{row.rowNumber}</Table.Td>
                      {row.cells.map(({ column, value }, index) => (
                        <Table.Td key={`${index} ${column}`} maw={260}>
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
        </Section>
      )}
    </Stack>
  )
}

/** What was detected, in figures, and the inputs that say otherwise. */
function Found(props: {
  readonly detection: ImportDetectionFragment
  readonly source: Source
  readonly onSource: (source: Source) => void
}) {
  const { detection, source, onSource } = props
  const [open, setOpen] = useState(false)
  const text = detection.format === 'CSV'
  const json = detection.format === 'JSON' || detection.format === 'NDJSON'
  const set = (change: Source): void => {
    const next: Record<string, unknown> = { ...source, ...change }
    onSource(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== null && value !== '')) as Source)
  }
  return (
    <Stack>
      {detection.warnings.map((warning) => (
        <Text key={warning} size="sm" fw={600}>
          {warning}
        </Text>
      ))}
      <SimpleGrid cols={{ base: 2, sm: 4 }}>
        <Figure label="Format">{detection.format}</Figure>
        <Figure label="Rows, about">{count(detection.estimatedRowCount)}</Figure>
        <Figure label="Columns">{count(detection.columns.length)}</Figure>
        {text && <Figure label="Encoding">{detection.encoding ?? '–'}</Figure>}
        {detection.sheet !== null && <Figure label="Sheet">{detection.sheet}</Figure>}
      </SimpleGrid>
      <Button variant="subtle" onClick={() => setOpen(!open)} aria-expanded={open} w="fit-content">
        {open ? 'Leave it as it is' : 'Read it otherwise'}
      </Button>
      <Collapse expanded={open}>
        <SimpleGrid cols={{ base: 1, sm: 3 }}>
          {text && (
            <>
              <Select
                label="Encoding"
                searchable
                value={source.encoding ?? detection.encoding}
                onChange={(encoding) => set({ encoding })}
                data={[...new Set([...encodings, ...(detection.encoding === null ? [] : [detection.encoding])])]}
              />
              <Select
                label="Between the columns"
                value={source.delimiter ?? detection.delimiter}
                onChange={(delimiter) => set({ delimiter })}
                data={
                  delimiters.some(({ value }) => value === detection.delimiter) || detection.delimiter === null
                    ? delimiters
                    : [...delimiters, { value: detection.delimiter, label: detection.delimiter }]
                }
              />
            </>
          )}
          {detection.sheets.length > 0 && (
            <Select
              label="Sheet"
              value={source.sheet ?? detection.sheet}
              onChange={(sheet) => set({ sheet })}
              data={detection.sheets.map(({ name, hidden }) => ({
                value: name,
                label: hidden ? `${name} (hidden)` : name,
              }))}
            />
          )}
          {json ? (
            <TextInput
              label="Where the records stand"
              description="Dotted names; empty for the whole file"
              value={source.jsonPath ?? detection.jsonPath ?? ''}
              onChange={(event) => set({ jsonPath: event.currentTarget.value })}
            />
          ) : (
            <NumberInput
              label="Row of the header"
              description="0 for none"
              min={0}
              allowDecimal={false}
              value={source.headerRow ?? detection.headerRow ?? 0}
              onChange={(value) => set({ headerRow: typeof value === 'number' ? value : null })}
            />
          )}
          <Select
            label="Numbers are written"
            clearable
            clearButtonProps={{ 'aria-label': 'As the columns prove' }}
            placeholder="as the columns prove"
            value={source.decimalSeparator ?? null}
            onChange={(decimalSeparator) => set({ decimalSeparator })}
            data={[
              { value: '.', label: '1,234.56' },
              { value: ',', label: '1.234,56' },
            ]}
          />
          <TextInput
            label="Dates are written"
            placeholder="as the columns prove"
            description="For example dd/MM/yyyy"
            value={source.dateFormat ?? ''}
            onChange={(event) => set({ dateFormat: event.currentTarget.value })}
          />
          <TextInput
            label="Country of phone numbers"
            placeholder="none"
            description="Two letters, for numbers without one"
            maxLength={2}
            value={source.defaultCountry ?? ''}
            onChange={(event) => set({ defaultCountry: event.currentTarget.value.toUpperCase() })}
          />
          <TextInput
            label="Time zone"
            placeholder="UTC"
            description="For times without one, for example Europe/Berlin"
            value={source.timeZone ?? ''}
            onChange={(event) => set({ timeZone: event.currentTarget.value })}
          />
        </SimpleGrid>
      </Collapse>
    </Stack>
  )
}
