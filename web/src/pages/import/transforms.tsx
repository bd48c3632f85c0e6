/** What is done to the text of a column before it is read: a list of small steps, each with what it needs to know. */
import { Button, Card, Group, Select, Stack, TagsInput, Text, TextInput } from '@mantine/core'
import { useQuery } from 'urql'
import { ImportTransformsDocument, type ImportTransformsQuery } from '../../api/generated.ts'
import type { Entry } from './draft.ts'

type Step = Entry['transforms'][number]
type Definition = ImportTransformsQuery['transforms'][number]

export function Transforms(props: {
  readonly steps: readonly Step[]
  readonly onSteps: (steps: Step[]) => void
  readonly of: string
}) {
  const { steps, onSteps, of } = props
  const [{ data }] = useQuery({ query: ImportTransformsDocument, requestPolicy: 'cache-first' })
  const definitions = data?.transforms ?? []
  const replace = (index: number, step: Step): void => onSteps(steps.map((each, at) => (at === index ? step : each)))
  return (
    <Stack gap="xs">
      {steps.map((step, index) => (
        <StepCard
          // Steps have no identity but their place.
          key={`${index} ${step.name}`}
          step={step}
          definition={definitions.find(({ name }) => name === step.name)}
          onStep={(changed) => replace(index, changed)}
          onRemove={() => onSteps(steps.filter((_, at) => at !== index))}
        />
      ))}
      <Select
        label={steps.length === 0 ? 'Change the text first' : 'And then'}
        placeholder="add a step"
        searchable
        aria-label={`Add a step to ${of}`}
        value={null}
        onChange={(name) => {
          if (name !== null) {
            onSteps([...steps, { name, arguments: [] }])
          }
        }}
        data={definitions.map(({ name, description }) => ({ value: name, label: `${name}: ${description}` }))}
        maw={520}
      />
    </Stack>
  )
}

function StepCard(props: {
  readonly step: Step
  readonly definition: Definition | undefined
  readonly onStep: (step: Step) => void
  readonly onRemove: () => void
}) {
  const { step, definition, onStep, onRemove } = props
  const of = (name: string): string[] => step.arguments.filter((each) => each.name === name).map(({ value }) => value)
  const set = (name: string, values: readonly string[]): void =>
    onStep({
      ...step,
      arguments: [
        ...step.arguments.filter((each) => each.name !== name),
        ...values.filter((value) => value !== '').map((value) => ({ name, value })),
      ],
    })
  return (
    <Card withBorder padding="xs">
      <Group justify="space-between" wrap="nowrap">
        <Text size="sm" fw={600}>
          {step.name}
        </Text>
        <Button size="compact-xs" variant="subtle" onClick={onRemove} aria-label={`Take the step ${step.name} away`}>
          Take away
        </Button>
      </Group>
      {definition !== undefined && (
        <>
          <Text size="xs" c="dimmed">
            {definition.description} {definition.example}
          </Text>
          <Group gap="xs" mt={4} align="flex-end">
            {definition.parameters.map((parameter) => {
              const label = `${parameter.name}${parameter.required ? ' *' : ''}`
              if (parameter.repeated) {
                return (
                  <TagsInput
                    key={parameter.name}
                    size="xs"
                    label={label}
                    description={parameter.description}
                    value={of(parameter.name)}
                    onChange={(values) => set(parameter.name, values)}
                    data={[]}
                  />
                )
              }
              if (parameter.choices.length > 0) {
                return (
                  <Select
                    key={parameter.name}
                    size="xs"
                    label={label}
                    description={parameter.description}
                    placeholder={parameter.defaultValue ?? ''}
                    value={of(parameter.name)[0] ?? null}
                    onChange={(value) => set(parameter.name, value === null ? [] : [value])}
                    data={[...parameter.choices]}
                  />
                )
              }
              return (
                <TextInput
                  key={parameter.name}
                  size="xs"
                  label={label}
                  description={parameter.description}
                  placeholder={parameter.defaultValue ?? ''}
                  value={of(parameter.name)[0] ?? ''}
                  onChange={(event) => set(parameter.name, [event.currentTarget.value])}
                />
              )
            })}
          </Group>
        </>
      )}
    </Card>
  )
}
