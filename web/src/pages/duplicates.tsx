/** Records that may be one: looked at side by side, merged or told apart. Nothing is merged by itself. */
import { Badge, Button, Group, SegmentedControl, Select, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../api/client.ts'
import {
  DuplicateDecideDocument,
  DuplicatePairsDocument,
  type DuplicatePairsQuery,
  DuplicateRecordsDocument,
  type DuplicateSideFragment,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { counted, dayAndTime, percent, words } from '../ui/format.ts'
import { More } from '../ui/more.tsx'
import { usePages } from '../ui/pages.ts'
import { Empty, Page, Problem, Section, To } from '../ui/parts.tsx'
import { toast } from '../ui/toasts.tsx'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

type Pair = DuplicatePairsQuery['possibleDuplicates']['nodes'][number]
type Decision = Pair['decision']

const decisions: readonly { readonly value: Decision; readonly label: string }[] = [
  { value: 'OPEN', label: 'To decide' },
  { value: 'MERGED', label: 'Merged' },
  { value: 'DISTINCT', label: 'Told apart' },
]

export default function Duplicates() {
  const [decision, setDecision] = useState<Decision>('OPEN')
  const [recordType, setRecordType] = useState<Pair['recordType'] | null>(null)
  const pages = usePages(DuplicatePairsDocument, { decision, recordType }, (answer) => answer.possibleDuplicates)
  const total = pages.first?.possibleDuplicates.totalCount ?? null
  return (
    <Page
      title="Duplicates"
      lead="Records that look alike, the likeliest first. Merging fills what one lacks from the other, and can be undone field by field."
    >
      <Group align="flex-end">
        <SegmentedControl
          aria-label="Which pairs"
          value={decision}
          onChange={(value) => setDecision(value as Decision)}
          data={[...decisions]}
        />
        <Select
          label="Record type"
          placeholder="All"
          clearable
          clearButtonProps={{ 'aria-label': 'All record types' }}
          value={recordType}
          onChange={(value) => setRecordType(value as Pair['recordType'] | null)}
          data={[
            { value: 'CONTACT', label: 'Contacts' },
            { value: 'LEAD', label: 'Leads' },
            { value: 'PROPERTY', label: 'Properties' },
          ]}
        />
        {total !== null && (
          <Text c="dimmed" role="status">
            {counted(total, 'pair')}
          </Text>
        )}
      </Group>
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {pages.nodes === undefined && pages.problem === null && <Waiting what="pairs" />}
      {pages.nodes?.length === 0 && (
        <Section title="Pairs">
          <Empty title={decision === 'OPEN' ? 'Nothing to decide' : 'None yet'}>
            After an import its records are compared with those that resemble them: names, addresses, phone numbers,
            birth dates. Pairs that may be one show here shortly after the import has ended.
          </Empty>
        </Section>
      )}
      {pages.nodes?.map((pair) => (
        <PairCard key={`${pair.id} ${decision}`} pair={pair} onDecided={pages.refresh} />
      ))}
      {pages.nodes !== undefined && pages.nodes.length > 0 && (
        <More
          shown={pages.nodes.length}
          hasMore={pages.hasMore}
          busy={pages.busy}
          onMore={pages.more}
          one="pair"
          many="pairs"
        />
      )}
    </Page>
  )
}

function PairCard({ pair, onDecided }: { readonly pair: Pair; readonly onDecided: () => void }) {
  const may = useMay()
  const [result] = useQuery({
    query: DuplicateRecordsDocument,
    variables: { left: pair.leftId, right: pair.rightId },
  })
  const [decide, busy] = useAct(DuplicateDecideDocument)
  const [survivor, setSurvivor] = useState(pair.leftId)
  const to = async (decision: Decision, word: string): Promise<void> => {
    const { payload } = await decide({
      input: { id: pair.id, decision, ...(decision === 'MERGED' ? { survivorId: survivor } : {}) },
    })
    if (payload !== null) {
      toast(word)
      onDecided()
    }
  }
  const left = sideOf(result.data?.left)
  const right = sideOf(result.data?.right)
  const problem = trouble(result)
  const name = (left ?? right)?.title ?? words(pair.recordType)
  return (
    <Section
      title={name}
      note={
        <>
          {words(pair.recordType)}, {percent(pair.score)} likely one. Alike: {pair.reasons.join(', ')}.
          {pair.runId !== null && (
            <>
              {' '}
              Brought by <To href={`/console/runs/${pair.runId}`}>an import</To>
              {pair.rowNumber === null ? '' : `, row ${pair.rowNumber}`}.
            </>
          )}
        </>
      }
      actions={
        may('RECORD_WRITE') && (
          <Group gap="xs">
            {pair.decision === 'OPEN' ? (
              <>
                <Button
                  size="xs"
                  variant="default"
                  loading={busy}
                  onClick={() => void to('DISTINCT', 'Told apart: the pair is not offered again.')}
                >
                  They are two
                </Button>
                <Button size="xs" loading={busy} onClick={() => void to('MERGED', 'Merged into one record.')}>
                  Merge
                </Button>
              </>
            ) : (
              <Button
                size="xs"
                variant="default"
                loading={busy}
                onClick={() =>
                  void to('OPEN', pair.decision === 'MERGED' ? 'The merge is undone.' : 'The pair is open again.')
                }
              >
                {pair.decision === 'MERGED' ? 'Undo the merge' : 'Open again'}
              </Button>
            )}
          </Group>
        )
      }
    >
      {problem !== null && <Problem message={problem} />}
      {result.data === undefined && problem === null && <Waiting what="both records" />}
      {pair.decision === 'OPEN' && may('RECORD_WRITE') && left !== null && right !== null && (
        <SegmentedControl
          mb="sm"
          size="xs"
          aria-label={`Which record stays when both are merged: ${name}`}
          value={survivor}
          onChange={setSurvivor}
          data={[
            { value: pair.leftId, label: 'The left one stays' },
            { value: pair.rightId, label: 'The right one stays' },
          ]}
        />
      )}
      {result.data !== undefined && (left === null || right === null) && (
        <Text size="sm" c="dimmed">
          One of the two records is not there any more.
        </Text>
      )}
      <SideBySide left={left} right={right} />
    </Section>
  )
}

interface Side {
  readonly id: string
  readonly title: string
  readonly values: ReadonlyMap<string, string>
}

/** Fields that say nothing when two records are compared. */
const aside = new Set(['__typename', 'id', 'customFields', 'createdAt', 'updatedAt', 'displayName'])

function sideOf(record: unknown): Side | null {
  if (record === null || record === undefined) {
    return null
  }
  const side = record as DuplicateSideFragment
  const values = new Map<string, string>()
  for (const [field, value] of Object.entries(side)) {
    if (!aside.has(field) && value !== null && !(Array.isArray(value) && value.length === 0)) {
      values.set(field, Array.isArray(value) ? value.join('; ') : String(value))
    }
  }
  for (const { key, value } of side.customFields) {
    if (value !== null) {
      values.set(key, value)
    }
  }
  values.set('created', dayAndTime(side.createdAt))
  const title =
    side.__typename === 'Contact'
      ? side.displayName
      : side.__typename === 'Lead'
        ? side.title
        : side.__typename === 'Property'
          ? side.name
          : side.id
  return { id: side.id, title, values }
}

function SideBySide({ left, right }: { readonly left: Side | null; readonly right: Side | null }) {
  const [all, setAll] = useState(false)
  const fields = [...new Set([...(left?.values.keys() ?? []), ...(right?.values.keys() ?? [])])]
  if (fields.length === 0) {
    return null
  }
  const differing = fields.filter((field) => left?.values.get(field) !== right?.values.get(field))
  const same = fields.length - differing.length
  return (
    <>
      <Wide minWidth={520}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Field</Table.Th>
              {[left, right].map((side, index) => (
                <Table.Th key={index === 0 ? 'left' : 'right'}>
                  {side === null ? (
                    'Gone'
                  ) : (
                    <To href={`/console/record/${side.id}`}>{index === 0 ? 'Left' : 'Right'}</To>
                  )}
                </Table.Th>
              ))}
              <Table.Th>
                <span className="visually-hidden">Whether they differ</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {(all ? fields : differing).map((field) => {
              const [one, other] = [left?.values.get(field), right?.values.get(field)]
              return (
                <Table.Tr key={field}>
                  <Table.Td>{fieldInWords(field)}</Table.Td>
                  <Table.Td>{one ?? '–'}</Table.Td>
                  <Table.Td>{other ?? '–'}</Table.Td>
                  <Table.Td>
                    {one !== undefined && other !== undefined && one !== other && (
                      <Badge variant="default" tt="none" fw={500}>
                        differs
                      </Badge>
                    )}
                  </Table.Td>
                </Table.Tr>
              )
            })}
          </Table.Tbody>
        </Table>
      </Wide>
      {same > 0 && (
        <Button variant="subtle" size="xs" mt="xs" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? 'Show only what differs' : `Show also what is the same: ${counted(same, 'field')}`}
        </Button>
      )}
    </>
  )
}

/** `addressLine1` as `Address line 1`. */
function fieldInWords(field: string): string {
  return words(field.replaceAll(/([a-z])([A-Z0-9])/g, '$1_$2'))
}
