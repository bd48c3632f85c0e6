/** What happens to records that are there already, to blank cells and to rows that cannot be read. */
import {
  Button,
  Collapse,
  Group,
  MultiSelect,
  NumberInput,
  Radio,
  Select,
  Stack,
  Switch,
  TextInput,
} from '@mantine/core'
import { useState } from 'react'
import { Section } from '../../ui/parts.tsx'
import { matchable, type Options, type RecordType, type Schemas } from './draft.ts'

export function RulesStep(props: {
  readonly recordType: RecordType
  readonly options: Options
  readonly schemas: Schemas
  readonly busy: boolean
  readonly onOptions: (options: Options) => void
  readonly onNext: () => void
}) {
  const { recordType, options, schemas, busy, onOptions, onNext } = props
  const [open, setOpen] = useState(false)
  const set = (change: Options): void => {
    const next: Record<string, unknown> = { ...options, ...change }
    onOptions(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== null && value !== '')) as Options)
  }
  const operation = options.operation ?? 'UPSERT'
  return (
    <Section
      title="Rules"
      note="What is set is what most people want."
      actions={
        <Button onClick={onNext} loading={busy}>
          Make the plan
        </Button>
      }
    >
      <Stack gap="lg">
        <Radio.Group
          label="The rows"
          value={operation}
          onChange={(value) => set({ operation: value as NonNullable<Options['operation']> })}
        >
          <Stack gap="xs" mt="xs">
            <Radio value="UPSERT" label="Create records, and update those that are there" />
            <Radio value="UPDATE_ONLY" label="Update records that are there, and create none" />
            <Radio value="DELETE" label="Delete the records that they name (it can be undone)" />
          </Stack>
        </Radio.Group>
        <MultiSelect
          label="The same record is"
          description="The one with the same value in the first of these that the row has. Left empty: the external id, then the e-mail of contacts and leads or the listing id of properties."
          placeholder={options.matchOn === undefined || options.matchOn === null ? 'as usual' : ''}
          value={(Array.isArray(options.matchOn) ? options.matchOn : []).map((rule) =>
            Array.isArray(rule) ? rule.join(' + ') : String(rule),
          )}
          onChange={(rules) => set({ matchOn: rules.length === 0 ? null : rules.map((rule) => rule.split(' + ')) })}
          data={[...matchable(schemas, recordType)]}
          searchable
        />
        {operation === 'UPSERT' && (
          <Radio.Group
            label="If the record is there already"
            value={options.onDuplicate ?? 'UPDATE'}
            onChange={(value) => set({ onDuplicate: value as NonNullable<Options['onDuplicate']> })}
          >
            <Stack gap="xs" mt="xs">
              <Radio value="UPDATE" label="Update it with what the row says" />
              <Radio value="FILL_BLANKS" label="Fill only what it lacks" />
              <Radio value="SKIP" label="Leave it as it is" />
              <Radio value="CREATE" label="Create another one all the same" />
              <Radio value="FAIL" label="Let the row fail" />
            </Stack>
          </Radio.Group>
        )}
        <Radio.Group
          label="A cell that cannot be read"
          value={options.onInvalidRow ?? 'SKIP_ROW'}
          onChange={(value) => set({ onInvalidRow: value as NonNullable<Options['onInvalidRow']> })}
        >
          <Stack gap="xs" mt="xs">
            <Radio value="SKIP_ROW" label="Lets its row fail; it can be corrected afterwards" />
            <Radio value="DROP_VALUE" label="Is left out, with a warning; the rest of the row is written" />
            <Radio value="FAIL_RUN" label="Ends the import" />
          </Stack>
        </Radio.Group>
        <Button variant="subtle" onClick={() => setOpen(!open)} aria-expanded={open} w="fit-content">
          {open ? 'Fewer rules' : 'More rules'}
        </Button>
        <Collapse expanded={open}>
          <Stack>
            <Group align="flex-end">
              <Select
                label="A blank cell"
                value={options.onBlank ?? 'KEEP'}
                allowDeselect={false}
                onChange={(value) => set({ onBlank: value as NonNullable<Options['onBlank']> })}
                data={[
                  { value: 'KEEP', label: 'keeps the value that is there' },
                  { value: 'CLEAR', label: 'empties the field' },
                ]}
              />
              <Select
                label="A related record that is not there"
                value={options.onMissingRelation ?? null}
                placeholder="as usual"
                clearable
                clearButtonProps={{ 'aria-label': 'As usual' }}
                onChange={(value) => set({ onMissingRelation: value as Options['onMissingRelation'] })}
                data={[
                  { value: 'FAIL_ROW', label: 'lets the row fail' },
                  { value: 'DROP_LINK', label: 'is left out' },
                  { value: 'CREATE', label: 'is created' },
                  { value: 'KEEP_PENDING', label: 'is waited for' },
                ]}
              />
              <TextInput
                label="Owner of records without one"
                placeholder="nobody"
                type="email"
                value={options.defaultOwnerEmail ?? ''}
                onChange={(event) => set({ defaultOwnerEmail: event.currentTarget.value })}
              />
            </Group>
            <Group align="flex-end">
              <TextInput
                label="System that external ids are of"
                placeholder="file"
                value={options.sourceSystem ?? ''}
                onChange={(event) => set({ sourceSystem: event.currentTarget.value })}
              />
              <TextInput
                label="Text that empties a field"
                placeholder="none"
                value={options.clearText ?? ''}
                onChange={(event) => set({ clearText: event.currentTarget.value })}
              />
              <NumberInput
                label="Stop after failed rows"
                placeholder="never"
                min={0}
                allowDecimal={false}
                value={options.maxFailedRows ?? ''}
                onChange={(value) => set({ maxFailedRows: typeof value === 'number' ? value : null })}
              />
            </Group>
            <Switch
              label="All or nothing"
              description="If one row fails, everything is undone by itself."
              checked={options.allOrNothing ?? false}
              onChange={(event) => set({ allOrNothing: event.currentTarget.checked })}
            />
            <Switch
              label="Tell webhooks of every record that changes"
              checked={(options.sideEffects ?? 'ALL') === 'ALL'}
              onChange={(event) => set({ sideEffects: event.currentTarget.checked ? 'ALL' : 'NONE' })}
            />
          </Stack>
        </Collapse>
      </Stack>
    </Section>
  )
}
