/** The records of the tenant: searched, filtered, sorted, with the columns that one wants to see. */
import {
  Button,
  Collapse,
  Group,
  MultiSelect,
  Stack,
  Table,
  Tabs,
  Text,
  TextInput,
  UnstyledButton,
} from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { useLocation, useSearchParams } from 'wouter'
import { trouble } from '../api/client.ts'
import { RecordTypeFieldsDocument } from '../api/generated.ts'
import { Conditions, conditionInWords, isWhole } from '../ui/conditions.tsx'
import { counted, words } from '../ui/format.ts'
import { More } from '../ui/more.tsx'
import { usePages } from '../ui/pages.ts'
import { Empty, GoButton, Page, Problem, Section, To } from '../ui/parts.tsx'
import {
  type Condition,
  countOf,
  type Filter,
  filterOf,
  listOf,
  ownFields,
  type RecordField,
  type RecordType,
  recordTypeNames,
  recordTypeOf,
  recordTypes,
  titleOf,
  valueOf,
} from '../ui/record-types.ts'
import { Value } from '../ui/value.tsx'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

/** Records that come at once. */
const PAGE = 50

export default function Records({ type: named }: { readonly type?: string }) {
  const [, go] = useLocation()
  const type = recordTypeOf(named) ?? 'CONTACT'
  return (
    <Page title="Records" lead="What is in the CRM now, wherever it came from.">
      <Tabs
        value={type}
        onChange={(value) => go(`/console/records/${(value ?? 'contact').toLowerCase()}`)}
        keepMounted={false}
        activateTabWithKeyboard={false}
      >
        <Tabs.List mb="lg">
          {recordTypeNames.map((each) => (
            <Tabs.Tab key={each} value={each}>
              {words(recordTypes[each].many)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={type}>
          <OfType key={type} type={type} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}

function OfType({ type }: { readonly type: RecordType }) {
  const may = useMay()
  const [schema, again] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType: type } })
  const fields = useMemo(
    () => (schema.data === undefined ? undefined : [...schema.data.recordSchema.fields, ...ownFields]),
    [schema.data],
  )
  const message = trouble(schema)
  if (fields === undefined) {
    return message === null ? (
      <Waiting what="the fields of this record type" />
    ) : (
      <Problem message={message} again={() => again({ requestPolicy: 'network-only' })} />
    )
  }
  // Asking about a value that one may not see would tell it: the service refuses it.
  const open = may('PII_READ')
  return (
    <List
      type={type}
      fields={fields}
      askable={fields.filter(({ sensitive, custom }) => open || !(sensitive || custom))}
    />
  )
}

interface Sort {
  readonly field: string
  readonly direction: 'ASC' | 'DESC'
}

/** What is asked for stands in the address, so that it can be sent to somebody and survives a reload. */
function useAsked() {
  const [params, setParams] = useSearchParams()
  const set = (name: string, value: string | null): void =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old)
        if (value === null || value === '') {
          next.delete(name)
        } else {
          next.set(name, value)
        }
        return next
      },
      { replace: true },
    )
  const sort = params.get('sort')
  return {
    words: params.get('q') ?? '',
    conditions: conditionsOf(params.get('where')),
    sort:
      sort === null
        ? null
        : ({ field: sort.replace(/^-/, ''), direction: sort.startsWith('-') ? 'DESC' : 'ASC' } satisfies Sort),
    setWords: (value: string) => set('q', value),
    setConditions: (value: readonly Condition[]) => set('where', value.length === 0 ? null : JSON.stringify(value)),
    setSort: (value: Sort | null) =>
      set('sort', value === null ? null : `${value.direction === 'DESC' ? '-' : ''}${value.field}`),
  }
}

function conditionsOf(text: string | null): readonly Condition[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(found)
      ? found.filter((each): each is Condition => typeof each?.field === 'string' && typeof each?.operator === 'string')
      : []
  } catch {
    return []
  }
}

function List(props: {
  readonly type: RecordType
  readonly fields: readonly RecordField[]
  readonly askable: readonly RecordField[]
}) {
  const { type, fields, askable } = props
  const about = recordTypes[type]
  const asked = useAsked()
  const [typed, setTyped] = useState(asked.words)
  const [drafts, setDrafts] = useState(asked.conditions)
  const [open, setOpen] = useState<'filter' | 'columns' | null>(null)
  const [columns, setColumns] = useColumns(type, fields)
  const search = useDebouncedCallback((value: string) => asked.setWords(value.trim()), 300)
  const apply = useDebouncedCallback((value: readonly Condition[]) => asked.setConditions(value.filter(isWhole)), 300)
  const searched = about.search.filter((name) => askable.some((field) => field.name === name))
  const filter = filterOf(searched, asked.words, asked.conditions)
  const labels = searched.map((name) => fields.find((field) => field.name === name)?.label ?? name)
  return (
    <Section title={words(about.many)}>
      <Stack gap="md">
        <Group align="flex-end">
          {searched.length > 0 && (
            <TextInput
              label="Search"
              placeholder={`${labels.join(', ')} …`}
              flex={1}
              miw={220}
              maw={460}
              value={typed}
              onChange={(event) => {
                setTyped(event.currentTarget.value)
                search(event.currentTarget.value)
              }}
            />
          )}
          <Button
            variant="default"
            aria-expanded={open === 'filter'}
            onClick={() => setOpen(open === 'filter' ? null : 'filter')}
          >
            Filter{asked.conditions.length === 0 ? '' : ` (${asked.conditions.length})`}
          </Button>
          <Button
            variant="default"
            aria-expanded={open === 'columns'}
            onClick={() => setOpen(open === 'columns' ? null : 'columns')}
          >
            Columns
          </Button>
        </Group>
        <Collapse expanded={open === 'filter'}>
          <Conditions
            fields={askable}
            value={drafts}
            onChange={(value) => {
              setDrafts(value)
              apply(value)
            }}
          />
        </Collapse>
        <Collapse expanded={open === 'columns'}>
          <MultiSelect
            label="Columns beside the name"
            searchable
            clearable
            clearButtonProps={{ 'aria-label': 'The usual columns' }}
            value={columns.map(({ name }) => name)}
            data={fields.filter(({ name }) => name !== about.title).map(({ name, label }) => ({ value: name, label }))}
            onChange={setColumns}
          />
        </Collapse>
        {open !== 'filter' && asked.conditions.length > 0 && (
          <Group gap="xs">
            <Text size="sm">
              Only where {asked.conditions.map((condition) => conditionInWords(condition, fields)).join(' and ')}.
            </Text>
            <Button
              size="compact-sm"
              variant="default"
              onClick={() => {
                setDrafts([])
                asked.setConditions([])
              }}
            >
              Show all
            </Button>
          </Group>
        )}
        <Found
          // Other columns are another question: pages fetched before lack them.
          key={columns.map(({ name }) => name).join()}
          type={type}
          columns={columns}
          fields={fields}
          askable={askable}
          filter={filter}
          sort={asked.sort}
          onSort={asked.setSort}
        />
      </Stack>
    </Section>
  )
}

/** The chosen columns of a type, kept in this browser. None chosen: the usual ones. */
function useColumns(
  type: RecordType,
  fields: readonly RecordField[],
): readonly [readonly RecordField[], (names: readonly string[]) => void] {
  const key = `portage.columns.${type}`
  const [names, setNames] = useState<readonly string[]>(() => {
    const kept = localStorage.getItem(key)
    return kept === null ? [] : kept.split(',')
  })
  const known = (wanted: readonly string[]): RecordField[] =>
    wanted.flatMap((name) => fields.find((field) => field.name === name) ?? [])
  const chosen = known(names)
  return [
    chosen.length > 0 ? chosen : known(recordTypes[type].columns),
    (wanted) => {
      setNames(wanted)
      if (wanted.length === 0) {
        localStorage.removeItem(key)
      } else {
        localStorage.setItem(key, wanted.join())
      }
    },
  ]
}

function Found(props: {
  readonly type: RecordType
  readonly columns: readonly RecordField[]
  readonly fields: readonly RecordField[]
  readonly askable: readonly RecordField[]
  readonly filter: Filter | null
  readonly sort: Sort | null
  readonly onSort: (sort: Sort | null) => void
}) {
  const { type, columns, fields, askable, filter, sort, onSort } = props
  const may = useMay()
  const about = recordTypes[type]
  const title = fields.find(({ name }) => name === about.title)
  const shown = title === undefined ? columns : [title, ...columns]
  const operation = useMemo(() => listOf(type, shown, PAGE), [type, shown.map(({ name }) => name).join()])
  const counting = useMemo(() => countOf(type), [type])
  const pages = usePages(
    operation,
    { filter, orderBy: sort === null ? null : [sort] },
    (answer) => answer[about.list] ?? { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
  )
  const [counts] = useQuery({ query: counting, variables: { filter } })
  const total = counts.data?.[about.list]?.totalCount
  return (
    <div>
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {pages.nodes === undefined && pages.problem === null && <Waiting what={about.many} />}
      {pages.nodes?.length === 0 && (
        <Empty
          title={filter === null ? `No ${about.many} yet` : `No such ${about.one}`}
          action={filter === null && may('IMPORT_RUN') && <GoButton href="/console/import">Import a file</GoButton>}
        >
          {filter === null
            ? `They come from files that are imported, or from another CRM by a migration.`
            : 'Nothing matches the search and the conditions. Take one away, or look at another record type.'}
        </Empty>
      )}
      {pages.nodes !== undefined && pages.nodes.length > 0 && (
        <>
          <Text size="sm" c="dimmed" role="status" mb="xs">
            {total === undefined ? ' ' : counted(total, about.one, about.many)}
          </Text>
          <Wide minWidth={Math.max(520, shown.length * 140)}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  {shown.map((field) => (
                    <Head
                      key={field.name}
                      field={field}
                      sortable={field.kind !== 'MULTI_ENUM' && field.references === null && askable.includes(field)}
                      sort={sort}
                      onSort={onSort}
                    />
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {pages.nodes.map((record) => (
                  <Table.Tr key={record.id}>
                    {shown.map((field) => (
                      <Table.Td key={field.name} className={isNumber(field) ? 'right' : undefined}>
                        {field === title ? (
                          <To href={`/console/record/${record.id}`}>{titleOf(type, record)}</To>
                        ) : (
                          <Value field={field} value={valueOf(record, field)} />
                        )}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
          {pages.hasMore && (
            <More
              shown={pages.nodes.length}
              hasMore={pages.hasMore}
              busy={pages.busy}
              onMore={pages.more}
              one={about.one}
              many={about.many}
            />
          )}
        </>
      )}
    </div>
  )
}

function isNumber({ kind, custom }: RecordField): boolean {
  return !custom && (kind === 'INTEGER' || kind === 'DECIMAL' || kind === 'MONEY')
}

const arrows = { ASC: ' ↑', DESC: ' ↓' } as const

/** The head of a column. Pressed, it sorts by it: up, down, and as before. */
function Head(props: {
  readonly field: RecordField
  readonly sortable: boolean
  readonly sort: Sort | null
  readonly onSort: (sort: Sort | null) => void
}) {
  const { field, sortable, sort, onSort } = props
  const direction = sort?.field === field.name ? sort.direction : null
  const next: Sort | null =
    direction === null
      ? { field: field.name, direction: 'ASC' }
      : direction === 'ASC'
        ? { field: field.name, direction: 'DESC' }
        : null
  return (
    <Table.Th
      className={isNumber(field) ? 'right' : undefined}
      aria-sort={direction === null ? undefined : direction === 'ASC' ? 'ascending' : 'descending'}
    >
      {sortable ? (
        <UnstyledButton fz="sm" fw={700} onClick={() => onSort(next)} title={`Sort by ${field.label}`}>
          {field.label}
          <span aria-hidden>{direction === null ? '' : arrows[direction]}</span>
        </UnstyledButton>
      ) : (
        field.label
      )}
    </Table.Th>
  )
}
