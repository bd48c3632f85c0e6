/** The value of a field of a record, as people read it. */
import { Anchor, Text } from '@mantine/core'
import { day, dayAndTime, exactNumber, words } from './format.ts'
import { To } from './parts.tsx'
import { type RecordField, titleOf } from './record-types.ts'

/** Whether there is nothing in a value. */
export function isBlank(value: unknown): boolean {
  return value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
}

/** Shows a value by the kind of its field. `whole`: long texts at full length. */
export function Value({
  field,
  value,
  whole = false,
}: {
  readonly field: RecordField
  readonly value: unknown
  readonly whole?: boolean
}) {
  if (isBlank(value)) {
    return <>–</>
  }
  if (field.references !== null && typeof value === 'object') {
    const record = value as { readonly id: string }
    return <To href={`/console/record/${record.id}`}>{titleOf(field.references, record)}</To>
  }
  if (Array.isArray(value)) {
    return <>{value.join('; ')}</>
  }
  const text = String(value)
  switch (field.kind) {
    case 'BOOLEAN':
      return <>{text === 'true' ? 'Yes' : text === 'false' ? 'No' : text}</>
    case 'DATE':
      return <>{day(text)}</>
    case 'DATE_TIME':
      return <time dateTime={text}>{dayAndTime(text)}</time>
    case 'ENUM':
      return <>{field.custom ? text : words(text)}</>
    case 'INTEGER':
    case 'DECIMAL':
    case 'MONEY':
      return <span className="numbers">{exactNumber(text)}</span>
    case 'URL':
      // Only what leads to the web: other schemes would run in this page.
      return /^https?:\/\//i.test(text) ? (
        <Anchor href={text} target="_blank" rel="noreferrer" underline="always" fz="sm">
          {text}
        </Anchor>
      ) : (
        <>{text}</>
      )
    case 'LONG_TEXT':
      return (
        <Text
          size="sm"
          component="div"
          lineClamp={whole ? undefined : 2}
          style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}
        >
          {text}
        </Text>
      )
    default:
      return <>{text}</>
  }
}
