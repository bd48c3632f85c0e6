/** Rows that failed, with what is wrong, to be corrected in place and tried again. */
import { Badge, Box, Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import { type Client, type OperationResult, useClient } from 'urql'
import {
  RunRetryFailedDocument,
  RunRowsDocument,
  RunRowsFixDocument,
  type RunRowsQuery,
  type RunRowsQueryVariables,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { count, counted } from '../../ui/format.ts'
import { newKey } from '../../ui/key.ts'
import { useRunEvents } from '../../ui/live.ts'
import { More } from '../../ui/more.tsx'
import { usePages } from '../../ui/pages.ts'
import { Problem, Section, To } from '../../ui/parts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'

type Row = NonNullable<RunRowsQuery['importRun']>['rows']['nodes'][number]

/** Rows that the service takes in one correction (PROTOCOL: "at most 500 rows at once"). */
const FIXED_AT_ONCE_MAX = 500

const CELL_WIDTH = 180

const endings = new Set(['COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED'])

/** What was typed, by row and column. */
type Edits = ReadonlyMap<number, ReadonlyMap<string, string>>

/** What is wrong with rows as they were corrected, by row. */
type Again = ReadonlyMap<number, Row['issues']>

export function FailedRows(props: {
  readonly runId: string
  readonly failed: number
  readonly canRetry: boolean
  /** The retry that is under way; null for none. */
  readonly retryId: string | null
  readonly onChanged: () => void
}) {
  const { runId, failed, canRetry, retryId, onChanged } = props
  const client = useClient()
  const may = useMay()
  const hidden = may('PII_READ') ? '' : ' Cells that you may not see are empty here, and keep what they hold.'
  const pages = usePages(
    RunRowsDocument,
    { id: runId, outcome: ['FAILED' as const] },
    (answer) => answer.importRun?.rows ?? { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
  )
  const [edits, setEdits] = useState<Edits>(new Map())
  const [fix, fixing] = useAct(RunRowsFixDocument)
  const [retry, retrying] = useAct(RunRetryFailedDocument)
  const [asked, setAsked] = useState<{ readonly id: string; readonly rows: readonly number[] } | null>(null)
  const [wrongAgain, setWrongAgain] = useState<Again>(new Map())
  const tried = asked?.id ?? retryId
  // Rows that have been applied are gone at once, before the list has been read again.
  const [applied, setApplied] = useState<ReadonlySet<number>>(new Set())
  const rows = (pages.nodes ?? []).filter(({ rowNumber }) => !applied.has(rowNumber))
  const edited = [...edits].filter(([, cells]) => cells.size > 0)
  const set = (row: Row, column: string, value: string): void => {
    const cells = new Map(edits.get(row.rowNumber))
    if (value === (row.cells.find((cell) => cell.column === column)?.value ?? '')) {
      cells.delete(column)
    } else {
      cells.set(column, value)
    }
    setEdits(new Map(edits).set(row.rowNumber, cells))
  }
  const settled = async (retry: string, isWhole: boolean): Promise<void> => {
    const sent = asked?.rows ?? []
    const wrong = sent.length > 0 && isWhole ? await failedOf(client, retry) : null
    // What was typed stays where it has not helped yet, where it was not tried, and where nobody knows.
    if (wrong !== null) {
      const gone = new Set(sent.filter((row) => !wrong.has(row)))
      setEdits(new Map([...edits].filter(([row]) => !gone.has(row))))
      setApplied(new Set([...applied, ...gone]))
      setWrongAgain(wrong)
    }
    setAsked(null)
    pages.refresh()
    onChanged()
  }
  const apply = async (): Promise<void> => {
    const sent = edited.slice(0, FIXED_AT_ONCE_MAX)
    const input = {
      runId,
      idempotencyKey: newKey(),
      rows: sent.map(([rowNumber, cells]) => ({
        rowNumber,
        cells: [...cells].map(([column, value]) => ({ column, value })),
      })),
    }
    const { payload } = await fix({ input })
    if (payload?.importRun != null) {
      setAsked({ id: payload.importRun.id, rows: sent.map(([row]) => row) })
    }
  }
  const again = async (): Promise<void> => {
    const { payload } = await retry({ input: { runId, idempotencyKey: newKey() } })
    if (payload?.importRun != null) {
      setAsked({ id: payload.importRun.id, rows: [] })
    }
  }
  return (
    <Section
      title="Failed rows"
      note={
        canRetry
          ? `Correct the cells and try just these rows again. Nothing that was written is written twice.${hidden}`
          : `What is wrong stands beside each row.${hidden}`
      }
      actions={
        canRetry && (
          <Group gap="xs">
            <Button
              size="xs"
              disabled={edited.length === 0 || tried !== null}
              loading={fixing}
              onClick={() => void apply()}
            >
              {edited.length === 0 ? 'Try corrected rows' : `Try ${counted(edited.length, 'corrected row')}`}
            </Button>
            <Button
              size="xs"
              variant="default"
              disabled={edited.length > 0 || tried !== null}
              loading={retrying}
              onClick={() => void again()}
            >
              Try all again as they are
            </Button>
          </Group>
        )
      }
    >
      {tried !== null && <Trying key={tried} runId={tried} onEnd={(isWhole) => void settled(tried, isWhole)} />}
      {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
      {pages.nodes === undefined && pages.problem === null && <Waiting what="failed rows" />}
      {pages.nodes?.length === 0 && (
        <Text c="dimmed">{failed === 0 ? 'None is left.' : 'Their cells are not kept any more.'}</Text>
      )}
      {rows.length > 0 && (
        <>
          <Grid rows={rows} edits={edits} wrongAgain={wrongAgain} onEdit={canRetry && tried === null ? set : null} />
          <More
            shown={rows.length}
            hasMore={pages.hasMore}
            busy={pages.busy}
            onMore={pages.more}
            one="row"
            many="rows"
          />
        </>
      )}
    </Section>
  )
}

/** What is wrong with the rows of a run that failed; null if that could not be found out. */
async function failedOf(client: Client, id: string): Promise<Again | null> {
  const found = new Map<number, Row['issues']>()
  let after: string | null = null
  do {
    const variables: RunRowsQueryVariables = { id, outcome: ['FAILED'], after }
    const result: OperationResult<RunRowsQuery> = await client
      .query(RunRowsDocument, variables, { requestPolicy: 'network-only' })
      .toPromise()
    const rows = result.data?.importRun?.rows
    if (rows === undefined) {
      return null
    }
    for (const { rowNumber, issues } of rows.nodes) {
      found.set(rowNumber, issues)
    }
    after = rows.pageInfo.hasNextPage ? rows.pageInfo.endCursor : null
  } while (after !== null)
  return found
}

/** A retry under way; the list is read again at its end. `isWhole`: it came to all of its rows. */
function Trying({ runId, onEnd }: { readonly runId: string; readonly onEnd: (isWhole: boolean) => void }) {
  useRunEvents(runId, (events) => {
    const end = events.findLast((event) => event.__typename === 'RunStatusChanged' && endings.has(event.to))
    if (end?.__typename === 'RunStatusChanged') {
      onEnd(end.to === 'COMPLETED' || end.to === 'COMPLETED_WITH_ERRORS')
    }
  })
  return (
    <Text role="status" mb="sm">
      The rows are tried again by <To href={`/console/runs/${runId}`}>a run of their own</To> …
    </Text>
  )
}

/** Only the rows in view are in the page. */
function Grid(props: {
  readonly rows: readonly Row[]
  readonly edits: Edits
  readonly wrongAgain: Again
  readonly onEdit: ((row: Row, column: string, value: string) => void) | null
}) {
  const { rows, edits, wrongAgain, onEdit } = props
  const holder = useRef<HTMLDivElement>(null)
  const columns = useMemo(() => [...new Set(rows.flatMap(({ cells }) => cells.map(({ column }) => column)))], [rows])
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => holder.current,
    estimateSize: () => 96,
    overscan: 8,
    getItemKey: (index) => rows[index]?.rowNumber ?? index,
  })
  return (
    <Box
      ref={holder}
      mah={520}
      style={{ overflow: 'auto', border: '1px solid var(--mantine-color-default-border)', borderRadius: 8 }}
      tabIndex={0}
      role="region"
      aria-label="Failed rows and their cells"
    >
      <Box h={virtualizer.getTotalSize()} pos="relative" w="fit-content" miw="100%">
        {virtualizer.getVirtualItems().map((item) => {
          const row = rows[item.index]
          if (row === undefined) {
            return null
          }
          const typed = edits.get(row.rowNumber)
          const again = typed === undefined ? undefined : wrongAgain.get(row.rowNumber)
          return (
            <Stack
              key={item.key}
              ref={virtualizer.measureElement}
              data-index={item.index}
              data-row={row.rowNumber}
              gap={4}
              p="xs"
              pos="absolute"
              top={0}
              left={0}
              style={{
                transform: `translateY(${item.start}px)`,
                borderBottom: '1px solid var(--mantine-color-default-border)',
              }}
            >
              {/* What is wrong stays in view, also where the cells are wider than the window. */}
              <Group gap="xs" wrap="nowrap" pos="sticky" left={10} w="fit-content" maw="min(100%, calc(100vw - 7rem))">
                <Badge variant="default" tt="none" className="numbers" style={{ flexShrink: 0 }}>
                  Row {count(row.rowNumber)}
                </Badge>
                <Text size="sm" c="var(--mantine-color-error)">
                  {again === undefined ? '' : 'As corrected: '}
                  {(again ?? row.issues)
                    .filter(({ severity }) => severity === 'ERROR')
                    .map(({ column, message }) => (column === null ? message : `${column}: ${message}`))
                    .join(' ')}
                </Text>
              </Group>
              <Group gap={6} wrap="nowrap">
                {columns.map((column) => (
                  <CellInput
                    key={column}
                    row={row}
                    column={column}
                    typed={typed?.get(column)}
                    again={again}
                    onEdit={onEdit}
                  />
                ))}
              </Group>
            </Stack>
          )
        })}
      </Box>
    </Box>
  )
}

function CellInput(props: {
  readonly row: Row
  readonly column: string
  readonly typed: string | undefined
  readonly again: Row['issues'] | undefined
  readonly onEdit: ((row: Row, column: string, value: string) => void) | null
}) {
  const { row, column, typed, again, onEdit } = props
  const stood = row.cells.find((cell) => cell.column === column)?.value ?? ''
  const isOfCell = (each: Row['issues'][number]) => each.column === column && each.severity === 'ERROR'
  const issue = row.issues.find(isOfCell)
  return (
    <TextInput
      size="xs"
      w={CELL_WIDTH}
      label={column}
      value={typed ?? stood}
      readOnly={onEdit === null}
      error={typed === undefined ? issue !== undefined : again?.some(isOfCell) === true}
      placeholder={issue?.suggestion ?? ''}
      aria-label={`${column} of row ${row.rowNumber}`}
      onChange={(event) => onEdit?.(row, column, event.currentTarget.value)}
    />
  )
}
