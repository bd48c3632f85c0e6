/** Conditions about fields of records, put together by a person. All of them hold together. */
import { Button, CloseButton, Group, Select, Stack, TextInput } from '@mantine/core'
import { words } from './format.ts'
import type { Condition, RecordField } from './record-types.ts'

const texts = ['CONTAINS', 'STARTS_WITH', 'EQ', 'NEQ', 'IS_NULL', 'IS_NOT_NULL']
const numbers = ['EQ', 'NEQ', 'GT', 'GTE', 'LT', 'LTE', 'IS_NULL', 'IS_NOT_NULL']
const exact = ['EQ', 'NEQ', 'IS_NULL', 'IS_NOT_NULL']

const operatorWords = {
  CONTAINS: 'contains',
  STARTS_WITH: 'begins with',
  EQ: 'is',
  NEQ: 'is not',
  GT: 'is more than',
  GTE: 'is at least',
  LT: 'is less than',
  LTE: 'is at most',
  IS_NULL: 'is empty',
  IS_NOT_NULL: 'has a value',
} as const

const timely: Readonly<Record<string, string>> = { GT: 'is after', GTE: 'is from', LT: 'is before', LTE: 'is until' }

type Operator = keyof typeof operatorWords

/** What can be asked about a field. */
function operatorsOf({ kind, name }: RecordField): readonly Operator[] {
  if (name === 'ownerEmail') {
    return exact as Operator[]
  }
  switch (kind) {
    case 'TEXT':
    case 'LONG_TEXT':
    case 'EMAIL':
    case 'PHONE':
    case 'URL':
      return texts as Operator[]
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
    case 'DATE':
    case 'DATE_TIME':
      return numbers as Operator[]
    default:
      return exact as Operator[]
  }
}

function isTimely(field: RecordField | undefined): boolean {
  return field?.kind === 'DATE' || field?.kind === 'DATE_TIME'
}

function operatorInWords(operator: string, field: RecordField | undefined): string {
  return (isTimely(field) ? timely[operator] : undefined) ?? operatorWords[operator as Operator] ?? operator
}

function needsValue(operator: string): boolean {
  return operator !== 'IS_NULL' && operator !== 'IS_NOT_NULL'
}

/** Whether a condition can be asked: it is not half written. */
export function isWhole({ operator, value }: Condition): boolean {
  return !needsValue(operator) || (value !== undefined && value.trim() !== '')
}

/** A condition in words. */
export function conditionInWords({ field, operator, value }: Condition, fields: readonly RecordField[]): string {
  const found = fields.find(({ name }) => name === field)
  return [found?.label ?? field, operatorInWords(operator, found), needsValue(operator) ? (value ?? '') : '']
    .join(' ')
    .trim()
}

/** A list of conditions to write. `fields`: what can be asked about. */
export function Conditions(props: {
  readonly fields: readonly RecordField[]
  readonly value: readonly Condition[]
  readonly onChange: (value: readonly Condition[]) => void
}) {
  const { fields, value, onChange } = props
  const change = (index: number, condition: Condition): void =>
    onChange(value.map((each, at) => (at === index ? condition : each)))
  const add = (): void => {
    const [field] = fields
    if (field !== undefined) {
      onChange([...value, { field: field.name, operator: operatorsOf(field)[0] ?? 'EQ', value: '' }])
    }
  }
  return (
    <Stack gap="sm" align="flex-start">
      {value.map((condition, index) => {
        const field = fields.find(({ name }) => name === condition.field)
        return (
          // A condition has no id: it is what stands at its place.
          <Group key={index} gap="xs" align="flex-end">
            <Select
              label="Field"
              searchable
              w={200}
              value={condition.field}
              data={fields.map(({ name, label }) => ({ value: name, label }))}
              allowDeselect={false}
              onChange={(name) => {
                const next = fields.find((each) => each.name === name)
                if (next !== undefined) {
                  change(index, { field: next.name, operator: operatorsOf(next)[0] ?? 'EQ', value: '' })
                }
              }}
            />
            <Select
              label="Asks"
              w={150}
              value={condition.operator}
              data={(field === undefined ? (['EQ'] as const) : operatorsOf(field)).map((operator) => ({
                value: operator,
                label: operatorInWords(operator, field),
              }))}
              allowDeselect={false}
              onChange={(operator) =>
                change(index, {
                  field: condition.field,
                  operator: operator ?? 'EQ',
                  ...(needsValue(operator ?? 'EQ') ? { value: condition.value ?? '' } : {}),
                })
              }
            />
            {needsValue(condition.operator) && (
              <ValueInput
                field={field}
                value={condition.value ?? ''}
                onChange={(next) => change(index, { ...condition, value: next })}
              />
            )}
            <CloseButton
              size="lg"
              aria-label={`Remove the condition on ${field?.label ?? condition.field}`}
              onClick={() => onChange(value.filter((_, at) => at !== index))}
            />
          </Group>
        )
      })}
      <Button size="xs" variant="default" onClick={add}>
        Add a condition
      </Button>
    </Stack>
  )
}

function ValueInput(props: {
  readonly field: RecordField | undefined
  readonly value: string
  readonly onChange: (value: string) => void
}) {
  const { field, value, onChange } = props
  const choices =
    field?.kind === 'BOOLEAN'
      ? [
          { value: 'true', label: 'Yes' },
          { value: 'false', label: 'No' },
        ]
      : field?.options?.map((option) => ({ value: option, label: field.custom ? option : words(option) }))
  if (choices !== undefined && choices !== null) {
    return (
      <Select
        label="Value"
        w={200}
        value={value === '' ? null : value}
        data={choices}
        placeholder="Choose"
        allowDeselect={false}
        onChange={(next) => onChange(next ?? '')}
      />
    )
  }
  const moment = field?.kind === 'DATE_TIME'
  return (
    <TextInput
      label="Value"
      w={moment ? 240 : 200}
      type={field?.kind === 'DATE' ? 'date' : moment ? 'datetime-local' : 'text'}
      value={moment ? localOf(value) : value}
      onChange={(event) => {
        const text = event.currentTarget.value
        onChange(moment ? instantOf(text) : text)
      }}
    />
  )
}

/** An instant as an input of this zone shows it; an empty text for none. */
export function localOf(instant: string): string {
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) {
    return ''
  }
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** What such an input says, as an instant; an empty text for none. */
export function instantOf(local: string): string {
  const date = new Date(local)
  return Number.isNaN(date.getTime()) ? '' : date.toISOString()
}
