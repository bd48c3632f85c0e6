import {
  Button,
  Checkbox,
  Group,
  MultiSelect,
  Select,
  Stack,
  Switch,
  Table,
  TagsInput,
  Text,
  TextInput,
} from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  SettingsFieldsDocument,
  SettingsRuleDeleteDocument,
  SettingsRuleSaveDocument,
  SettingsRulesDocument,
  type SettingsRulesQuery,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { words } from '../../ui/format.ts'
import { Empty, Problem, Section, Tag } from '../../ui/parts.tsx'
import { recordTypeChoices, recordTypes } from '../../ui/record-types.ts'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Rule = SettingsRulesQuery['businessRules'][number]
type Kind = Rule['kind']
type RecordType = Rule['recordType']

const kindWords: Readonly<Record<Kind, string>> = {
  REQUIRED_IF: 'Must have a value',
  ONE_OF: 'Must be one of these',
  RANGE: 'Must lie between',
  PATTERN: 'Must look like',
  COMPARE: 'Must compare with another field',
  UNIQUE: 'Must be the only one',
}

const kinds = Object.keys(kindWords) as Kind[]

const operators = [
  { value: 'LT', label: 'is less than' },
  { value: 'LTE', label: 'is at most' },
  { value: 'GT', label: 'is more than' },
  { value: 'GTE', label: 'is at least' },
  { value: 'EQ', label: 'equals' },
  { value: 'NEQ', label: 'differs from' },
]

/** What the tenant asks of its records. */
export function Rules() {
  const may = useMay()
  const manages = may('MAPPING_MANAGE')
  const [result, again] = useQuery({ query: SettingsRulesDocument })
  const [save, saving] = useAct(SettingsRuleSaveDocument)
  const [remove] = useAct(SettingsRuleDeleteDocument)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const rules = result.data?.businessRules
  const keep = async (rule: Rule, active: boolean): Promise<void> => {
    const { id, recordType, kind, fields, message, severity } = rule
    const input = { id, recordType, kind, fields, message, severity, active, arguments: argumentsOf(rule) }
    if ((await save({ input })).payload !== null) {
      refresh()
    }
  }
  return (
    <Stack gap="lg">
      <Section
        title="Rules"
        note="They hold for imports that start from now on. What is there already, and what people edit, is not judged."
      >
        {problem !== null && <Problem message={problem} again={refresh} />}
        {rules === undefined && problem === null && <Waiting what="rules" />}
        {rules?.length === 0 && (
          <Empty title="No rule yet">
            A rule is what you ask of records beyond the form of their fields: that a lead has a phone or an e-mail,
            that a price is above zero. A row that breaks it fails, or is only reported.
          </Empty>
        )}
        {rules !== undefined && rules.length > 0 && (
          <Wide minWidth={760}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Of</Table.Th>
                  <Table.Th>Fields</Table.Th>
                  <Table.Th>Rule</Table.Th>
                  <Table.Th>Broken</Table.Th>
                  <Table.Th>People read</Table.Th>
                  {manages && (
                    <Table.Th>
                      <span className="visually-hidden">Actions</span>
                    </Table.Th>
                  )}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rules.map((rule) => (
                  <Table.Tr key={rule.id}>
                    <Table.Td>{words(recordTypes[rule.recordType].many)}</Table.Td>
                    <Table.Td>{rule.fields.join(', ')}</Table.Td>
                    <Table.Td>
                      <Text size="sm">
                        {kindWords[rule.kind]}
                        {rule.arguments.length === 0
                          ? ''
                          : `: ${rule.arguments.map(({ name, value }) => (name === 'value' ? value : `${name} ${value}`)).join(', ')}`}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      <Tag color={rule.severity === 'ERROR' ? 'red' : 'yellow'}>
                        {rule.severity === 'ERROR' ? 'The row fails' : 'Reported'}
                      </Tag>
                    </Table.Td>
                    <Table.Td>{rule.message}</Table.Td>
                    {manages && (
                      <Table.Td>
                        <Group gap="xs" wrap="nowrap">
                          <Switch
                            aria-label={`In force: ${rule.message}`}
                            checked={rule.active}
                            disabled={saving}
                            onChange={(event) => void keep(rule, event.currentTarget.checked)}
                          />
                          <AskFirst
                            action="Delete"
                            size="xs"
                            title="Delete this rule?"
                            onYes={async () => {
                              if ((await remove({ input: { id: rule.id } })).payload !== null) {
                                toast('The rule is deleted.')
                                refresh()
                              }
                            }}
                          >
                            “{rule.message}” is asked of no record any more. Imports that have started keep it.
                          </AskFirst>
                        </Group>
                      </Table.Td>
                    )}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Section>
      {manages && <NewRule onMade={refresh} />}
    </Stack>
  )
}

function argumentsOf(rule: Pick<Rule, 'arguments'>): { name: string; value: string }[] {
  return rule.arguments.map(({ name, value }) => ({ name, value }))
}

/** What a form says of the arguments of a rule, by name; lists for those that may come several times. */
type Draft = Readonly<Record<string, string | readonly string[] | boolean>>

function NewRule({ onMade }: { readonly onMade: () => void }) {
  const [recordType, setRecordType] = useState<RecordType>('CONTACT')
  const [kind, setKind] = useState<Kind>('REQUIRED_IF')
  const [fields, setFields] = useState<string[]>([])
  const [draft, setDraft] = useState<Draft>({})
  const [message, setMessage] = useState('')
  const [fails, setFails] = useState(true)
  const [{ data }] = useQuery({ query: SettingsFieldsDocument, variables: { recordType } })
  const [save, busy] = useAct(SettingsRuleSaveDocument)
  const schema = data?.recordSchema
  const names = (kind === 'UNIQUE' ? schema?.matchableFields : schema?.fields.map(({ name }) => name)) ?? []
  const labels = new Map(schema?.fields.map(({ name, label }) => [name, label]))
  const choices = names.map((name) => ({ value: name, label: labels.get(name) ?? name }))
  const wanted = kind === 'COMPARE' ? 2 : 1
  const set = (name: string, value: Draft[string]) => setDraft({ ...draft, [name]: value })
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const given = Object.entries(draft).flatMap(([name, value]) =>
      value === false || value === ''
        ? []
        : (Array.isArray(value) ? value : [value]).map((each) => ({ name, value: String(each) })),
    )
    const { payload } = await save({
      input: {
        recordType,
        kind,
        fields,
        message: message.trim(),
        severity: fails ? 'ERROR' : 'WARNING',
        arguments: given,
      },
    })
    if (payload !== null) {
      toast('The rule is in force.')
      setFields([])
      setDraft({})
      setMessage('')
      onMade()
    }
  }
  return (
    <Section title="New rule">
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <Group align="flex-end">
            <Select
              label="Of"
              value={recordType}
              allowDeselect={false}
              onChange={(value) => {
                setRecordType(value as RecordType)
                setFields([])
                setDraft({})
              }}
              data={recordTypeChoices}
            />
            <Select
              label="Rule"
              value={kind}
              allowDeselect={false}
              onChange={(value) => {
                setKind(value as Kind)
                setDraft({})
                setFields([])
              }}
              data={kinds.map((each) => ({ value: each, label: kindWords[each] }))}
            />
          </Group>
          <MultiSelect
            label={kind === 'COMPARE' ? 'The two fields, in order' : 'Fields'}
            searchable
            hidePickedOptions
            maxValues={kind === 'COMPARE' ? 2 : kind === 'UNIQUE' ? 1 : undefined}
            value={fields}
            onChange={setFields}
            data={choices}
          />
          <Arguments kind={kind} draft={draft} set={set} fields={choices} />
          <TextInput
            label="People read"
            description="Where the rule is broken; it stands beside the value."
            placeholder="A lead needs a phone number or an e-mail address."
            value={message}
            onChange={(event) => setMessage(event.currentTarget.value)}
            required
          />
          <Switch
            label="A row that breaks it fails"
            description="Off: it is written all the same, with a warning."
            checked={fails}
            onChange={(event) => setFails(event.currentTarget.checked)}
          />
          <Group>
            <Button type="submit" loading={busy} disabled={fields.length < wanted || message.trim() === ''}>
              Make the rule
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  )
}

function Arguments(props: {
  readonly kind: Kind
  readonly draft: Draft
  readonly set: (name: string, value: Draft[string]) => void
  readonly fields: readonly { readonly value: string; readonly label: string }[]
}) {
  const { kind, draft, set, fields } = props
  const text = (name: string) => (typeof draft[name] === 'string' ? draft[name] : '')
  const list = (name: string) => (Array.isArray(draft[name]) ? [...(draft[name] as string[])] : [])
  const check = (name: string, label: string) => (
    <Checkbox
      label={label}
      checked={draft[name] === true}
      onChange={(event) => set(name, event.currentTarget.checked)}
    />
  )
  switch (kind) {
    case 'REQUIRED_IF':
      return (
        <Group align="flex-end">
          <Select
            label="Only when this field"
            placeholder="always"
            searchable
            clearable
            clearButtonProps={{ 'aria-label': 'Always' }}
            value={text('when') === '' ? null : text('when')}
            onChange={(value) => set('when', value ?? '')}
            data={[...fields]}
          />
          {text('when') !== '' && (
            <TagsInput
              label="is one of"
              placeholder="has any value"
              value={list('is')}
              onChange={(value) => set('is', value)}
              data={[]}
            />
          )}
        </Group>
      )
    case 'ONE_OF':
      return (
        <>
          <TagsInput
            label="Allowed values"
            description="One after the other, with the return key"
            value={list('value')}
            onChange={(value) => set('value', value)}
            data={[]}
          />
          {check('ignoreCase', 'Capitals do not matter')}
        </>
      )
    case 'RANGE':
      return (
        <Group>
          <TextInput label="At least" value={text('min')} onChange={(event) => set('min', event.currentTarget.value)} />
          <TextInput label="At most" value={text('max')} onChange={(event) => set('max', event.currentTarget.value)} />
        </Group>
      )
    case 'PATTERN':
      return (
        <>
          <TextInput
            label="Pattern"
            description="A regular expression in the syntax of RE2, without back references and look-around"
            placeholder="[A-Z]{2}[0-9]{6}"
            ff="monospace"
            value={text('pattern')}
            onChange={(event) => set('pattern', event.currentTarget.value)}
          />
          <Group>
            {check('ignoreCase', 'Capitals do not matter')}
            {check('anywhere', 'A part of the value is enough')}
          </Group>
        </>
      )
    case 'COMPARE':
      return (
        <Select
          label="The first one"
          value={text('operator') === '' ? null : text('operator')}
          onChange={(value) => set('operator', value ?? '')}
          data={operators}
        />
      )
    case 'UNIQUE':
      return null
  }
}
