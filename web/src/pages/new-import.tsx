/**
 * From a file to a confirmed import. Where one is, is in the address; what was decided is kept in the window until the service knows of it.
 * So a reload loses nothing, and a link leads back to the very step.
 */
import { Button, Group, Progress, Select, Stack, Stepper, Text } from '@mantine/core'
import { type ReactNode, useEffect, useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { Redirect, useLocation, useSearchParams } from 'wouter'
import { trouble } from '../api/client.ts'
import {
  ImportConfirmDocument,
  ImportCreateDocument,
  ImportFlowDocument,
  type ImportFlowQuery,
  ImportMappingUpdateDocument,
  ImportPlanDocument,
  ImportReadDocument,
  ImportSchemasDocument,
  ImportSuggestionDocument,
  type ImportSuggestionQuery,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { count, percent } from '../ui/format.ts'
import { newKey } from '../ui/key.ts'
import { useRunEvents } from '../ui/live.ts'
import { Empty, GoButton, Page, Problem, Section, Status } from '../ui/parts.tsx'
import { recordTypeChoices } from '../ui/record-types.ts'
import { toast } from '../ui/toasts.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { ColumnsStep } from './import/columns-step.tsx'
import {
  type Draft,
  dropDraft,
  type Entry,
  emptyEntry,
  entriesOf,
  keepDraft,
  keptDraft,
  mappingOf,
  type RecordType,
} from './import/draft.ts'
import { FileStep } from './import/file-step.tsx'
import { PlanStep } from './import/plan-step.tsx'
import { ReadStep } from './import/read-step.tsx'
import { RulesStep } from './import/rules-step.tsx'

const steps = ['file', 'read', 'columns', 'rules', 'plan'] as const
type Step = (typeof steps)[number]

export default function NewImport({ id }: { readonly id?: string }) {
  return id === undefined ? <FromFile /> : <FromRun id={id} />
}

function Steps({ step, onStep }: { readonly step: Step; readonly onStep?: (step: Step) => void }) {
  const active = steps.indexOf(step)
  return (
    <Stepper
      active={active}
      size="sm"
      onStepClick={(index) => onStep?.(steps[index] ?? 'file')}
      allowNextStepsSelect={false}
      visibleFrom="sm"
    >
      {['File', 'How it is read', 'Columns', 'Rules', 'Plan'].map((label, index) => (
        <Stepper.Step
          key={label}
          label={label}
          allowStepSelect={onStep !== undefined && index > 0 && index < active}
          aria-current={index === active ? 'step' : undefined}
        />
      ))}
    </Stepper>
  )
}

/** Before the service knows of the import. */
function FromFile() {
  const [search, setSearch] = useSearchParams()
  const fileId = search.get('file')
  const asked = search.get('step')
  const step = fileId === null ? 'file' : (steps.find((each) => each === asked) ?? 'read')
  const go = (to: Step): void => setSearch(fileId === null ? {} : { file: fileId, step: to })
  return (
    <Page title="New import" lead="From a file to records. You see what will happen before it happens.">
      <Steps step={step} onStep={go} />
      {fileId === null ? (
        <FileStep
          onUploaded={(uploaded, recordType) => {
            keepDraft(uploaded, { ...emptyDraft(), recordType })
            setSearch({ file: uploaded, step: 'read' })
          }}
        />
      ) : (
        <Deciding key={fileId} fileId={fileId} step={step} onStep={go} />
      )}
    </Page>
  )
}

function emptyDraft(): Draft {
  return { recordType: null, source: {}, options: {}, entries: null, templateId: null, idempotencyKey: newKey() }
}

function Deciding(props: { readonly fileId: string; readonly step: Step; readonly onStep: (step: Step) => void }) {
  const { fileId, step, onStep } = props
  const [, go] = useLocation()
  const [draft, setDraft] = useState<Draft>(() => keptDraft(fileId) ?? emptyDraft())
  const [create, creating] = useAct(ImportCreateDocument)
  useEffect(() => keepDraft(fileId, draft), [fileId, draft])
  // A key means one input: asked again after an answer that was lost it finds the same import, and what was changed is another one.
  const patch = (change: Partial<Draft>): void =>
    setDraft((before) => ({ ...before, ...change, idempotencyKey: newKey() }))
  const plan = async (): Promise<void> => {
    const { recordType, entries, options, source, idempotencyKey } = draft
    if (recordType === null || entries === null) {
      onStep('columns')
      return
    }
    const { payload } = await create({
      input: { fileId, recordType, mapping: mappingOf(entries), options, source, confirmation: 'ASK', idempotencyKey },
    })
    if (payload?.importRun !== null && payload?.importRun !== undefined) {
      // The run does not tell how its file is read, so that is kept for whoever changes its columns here.
      keepDraft(payload.importRun.id, draft)
      dropDraft(fileId)
      go(`/console/import/${payload.importRun.id}`)
    }
  }
  if (step === 'read') {
    return (
      <ReadStep
        fileId={fileId}
        source={draft.source}
        // Columns may be others now: they are matched anew.
        onSource={(source) => patch({ source, entries: null })}
        onNext={() => onStep('columns')}
      />
    )
  }
  if (step === 'columns') {
    return <Matching fileId={fileId} draft={draft} onDraft={patch} onNext={() => onStep('rules')} />
  }
  return <Ruling draft={draft} busy={creating} onDraft={patch} onNext={() => void plan()} />
}

function Matching(props: {
  readonly fileId: string
  readonly draft: Draft
  readonly onDraft: (change: Partial<Draft>) => void
  readonly onNext: () => void
}) {
  const { fileId, draft, onDraft, onNext } = props
  const [schemas] = useQuery({ query: ImportSchemasDocument })
  const [read] = useQuery({ query: ImportReadDocument, variables: { id: fileId, source: draft.source } })
  const [suggested, again] = useQuery({
    query: ImportSuggestionDocument,
    variables: { fileId, recordType: draft.recordType, source: draft.source },
    pause: draft.entries !== null,
  })
  const suggestion = suggested.data?.mappingSuggestion
  useEffect(() => {
    if (draft.entries === null && suggestion !== undefined && !suggested.fetching) {
      onDraft({ recordType: suggestion.recordType, entries: entriesOf(suggestion.mapping, false), templateId: null })
    }
  }, [draft.entries, suggestion, suggested.fetching, onDraft])
  const problem = trouble(suggested) ?? trouble(schemas) ?? trouble(read)
  const columns = read.data?.file?.preview.detection.columns
  if (problem !== null) {
    return <Problem message={problem} again={() => again({ requestPolicy: 'network-only' })} />
  }
  if (schemas.data === undefined || columns === undefined || draft.entries === null || draft.recordType === null) {
    return <Waiting what="what the columns could be" />
  }
  const { recordType } = draft
  return (
    <Stack gap="lg">
      <Group align="flex-end">
        <Select
          label="Records in the file"
          allowDeselect={false}
          value={recordType}
          onChange={(value) => onDraft({ recordType: value as RecordType, entries: null })}
          data={recordTypeChoices}
        />
        {suggestion !== undefined && suggestion.recordType === recordType && suggestion.recordTypeConfidence < 1 && (
          <Text size="sm" c="dimmed">
            {percent(suggestion.recordTypeConfidence)} sure
          </Text>
        )}
        <TemplateOffer
          suggestion={suggestion}
          onUse={(entries, templateId) => onDraft({ entries, templateId })}
          used={draft.templateId}
        />
      </Group>
      <ColumnsStep
        fileId={fileId}
        recordType={recordType}
        source={draft.source}
        columns={columns}
        entries={draft.entries}
        schemas={schemas.data}
        conflicts={null}
        onEntries={(entries) => onDraft({ entries })}
        next={<Button onClick={onNext}>Set the rules</Button>}
      />
    </Stack>
  )
}

function TemplateOffer(props: {
  readonly suggestion: ImportSuggestionQuery['mappingSuggestion'] | undefined
  readonly used: string | null
  readonly onUse: (entries: readonly Entry[], templateId: string) => void
}) {
  const { suggestion, used, onUse } = props
  const template = suggestion?.template
  if (template === null || template === undefined || used === template.id) {
    return null
  }
  return (
    <Button variant="default" onClick={() => onUse(entriesOf(template.mapping, true), template.id)}>
      Use the template {template.name}
    </Button>
  )
}

function Ruling(props: {
  readonly draft: Draft
  readonly busy: boolean
  readonly onDraft: (change: Partial<Draft>) => void
  readonly onNext: () => void
}) {
  const { draft, busy, onDraft, onNext } = props
  const [schemas] = useQuery({ query: ImportSchemasDocument })
  const problem = trouble(schemas)
  if (schemas.data === undefined) {
    return problem === null ? <Waiting what="the fields" /> : <Problem message={problem} />
  }
  return (
    <RulesStep
      recordType={draft.recordType ?? 'CONTACT'}
      options={draft.options}
      schemas={schemas.data}
      busy={busy}
      onOptions={(options) => onDraft({ options })}
      onNext={onNext}
    />
  )
}

type Flow = NonNullable<ImportFlowQuery['importRun']>

/** Once the service knows of it: everything comes from there. */
function FromRun({ id }: { readonly id: string }) {
  const [, go] = useLocation()
  const [result, again] = useQuery({ query: ImportFlowDocument, variables: { id } })
  const refresh = () => again({ requestPolicy: 'network-only' })
  const [confirm, confirming] = useAct(ImportConfirmDocument)
  const [idempotencyKey] = useState(newKey)
  const [changing, setChanging] = useState(false)
  /** When the plan was made that is not to be shown any more: another one is on its way. */
  const [outdated, setOutdated] = useState<string | null>(null)
  const [live, setLive] = useState<Pick<Flow, 'counts' | 'progress'> | null>(null)
  const run = result.data?.importRun
  useRunEvents(id, (events) => {
    const progressed = events.findLast((event) => event.__typename === 'RunProgressed')
    if (progressed !== undefined) {
      setLive(progressed)
    }
    const changed = events.findLast((event) => event.__typename === 'RunStatusChanged')
    if (changed !== undefined) {
      setLive(null)
      refresh()
    }
  })
  const problem = trouble(result)
  if (run === undefined || run === null) {
    return (
      <Page title="New import">
        {problem !== null ? (
          <Problem message={problem} again={refresh} />
        ) : result.fetching ? (
          <Waiting what="the import" />
        ) : (
          <Empty title="There is no such import" action={<GoButton href="/console/import">Begin another one</GoButton>}>
            Its id may be mistyped, or it belongs to another tenant.
          </Empty>
        )}
      </Page>
    )
  }
  const apply = async (): Promise<void> => {
    const { payload, refusals } = await confirm({
      input: { runId: id, planHash: run.plan?.hash ?? null, idempotencyKey },
    })
    if (payload !== null) {
      go(`/console/runs/${id}`)
    } else if (refusals.some(({ code }) => code === 'PLAN_STALE')) {
      toast('The plan is made anew: look at it again.', true)
      setChanging(true)
    }
  }
  const body = (): { step: Step; content: ReactNode } => {
    if (run.status === 'AWAITING_MAPPING' || (run.status === 'AWAITING_CONFIRMATION' && changing)) {
      return {
        step: 'columns',
        content: (
          <Remapping
            key={run.status}
            run={run}
            onDone={(planned) => {
              setOutdated(planned ? (run.plan?.createdAt ?? null) : null)
              setChanging(false)
              refresh()
            }}
          />
        ),
      }
    }
    if (run.status === 'AWAITING_CONFIRMATION' && outdated !== null && run.plan?.createdAt === outdated) {
      return { step: 'plan', content: <Waiting what="the plan" /> }
    }
    if (run.status === 'AWAITING_CONFIRMATION') {
      return {
        step: 'plan',
        content: (
          <PlanStep
            run={run}
            confirming={confirming}
            onConfirm={() => void apply()}
            onChange={() => setChanging(true)}
          />
        ),
      }
    }
    if (['QUEUED', 'ANALYZING', 'PLANNING', 'DEFERRED'].includes(run.status) && run.plan === null) {
      return { step: 'plan', content: <Planning run={live === null ? run : { ...run, ...live }} /> }
    }
    return { step: 'plan', content: <Redirect to={`/console/runs/${id}`} /> }
  }
  const { step, content } = body()
  return (
    <Page
      title={run.source.name}
      lead={
        <Group gap="sm">
          <Status status={run.status} />
          <Text size="sm">{run.statusReason?.message}</Text>
        </Group>
      }
    >
      <Steps step={step} />
      {content}
    </Page>
  )
}

function Planning({ run }: { readonly run: Flow }) {
  const { fraction } = run.progress
  return (
    <Section
      title={run.status === 'PLANNING' ? 'Rehearsing every row' : 'Reading the whole file'}
      note="Nothing is written. You may leave: the import is found under Runs, and on Home when it needs you."
    >
      <Stack gap="xs" role="status">
        <Progress value={(fraction ?? 0) * 100} animated={fraction === null} aria-label="Progress of the plan" />
        <Text size="sm" className="numbers">
          {count(run.counts.read)} rows, {percent(fraction)}
        </Text>
      </Stack>
    </Section>
  )
}

/** Other columns for an import that waits, or whose plan is not liked. */
function Remapping({ run, onDone }: { readonly run: Flow; readonly onDone: (planned: boolean) => void }) {
  const [schemas] = useQuery({ query: ImportSchemasDocument })
  const [source] = useState(() => keptDraft(run.id)?.source ?? {})
  const [read] = useQuery({ query: ImportReadDocument, variables: { id: run.source.id, source } })
  const columns = read.data?.file?.preview.detection.columns
  const [edited, setEntries] = useState<readonly Entry[] | null>(null)
  const entries = useMemo(() => edited ?? withAllColumns(run, columns ?? []), [edited, run, columns])
  const [update, updating] = useAct(ImportMappingUpdateDocument)
  const [plan, planning] = useAct(ImportPlanDocument)
  const save = async (): Promise<void> => {
    const { payload } = await update({ input: { runId: run.id, mapping: mappingOf(entries) } })
    if (payload === null) {
      return
    }
    const plans = payload.importRun?.availableActions.includes('PLAN') === true
    onDone(plans && (await plan({ input: { runId: run.id } })).payload !== null)
  }
  const problem = trouble(schemas) ?? trouble(read)
  if (schemas.data === undefined || columns === undefined) {
    return problem === null ? <Waiting what="the columns" /> : <Problem message={problem} />
  }
  return (
    <ColumnsStep
      fileId={run.source.id}
      recordType={run.recordType}
      source={source}
      columns={columns}
      entries={entries}
      schemas={schemas.data}
      conflicts={run.mapping.conflicts}
      onEntries={setEntries}
      next={
        <Button onClick={() => void save()} loading={updating || planning}>
          Make the plan
        </Button>
      }
    />
  )
}

/** What the run maps, and the columns of its file that it does not. */
function withAllColumns(run: Flow, columns: readonly { readonly name: string }[]): Entry[] {
  const mapped = entriesOf(run.mapping, true)
  const named = new Set(mapped.map(({ column }) => column))
  return [...mapped, ...columns.filter(({ name }) => !named.has(name)).map(({ name }) => emptyEntry({ column: name }))]
}
