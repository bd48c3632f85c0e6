/** When changes at the CRM are read by themselves. */
import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { MigrationScheduleDocument } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { dayAndTime } from '../../ui/format.ts'
import { Problem, Section } from '../../ui/parts.tsx'
import { toast } from '../../ui/toasts.tsx'
import type { Migration } from '../migration.tsx'

const usual = [
  { value: '', label: 'Only when somebody asks' },
  { value: '0 * * * *', label: 'Every hour' },
  { value: '0 6 * * *', label: 'Every day at 6:00' },
  { value: '0 6 * * 1-5', label: 'On workdays at 6:00' },
  { value: '0 6 * * 1', label: 'On Mondays at 6:00' },
]

const OWN = 'OWN'

export function Schedule({ migration, onChanged }: { readonly migration: Migration; readonly onChanged: () => void }) {
  const { id, schedule, timeZone, nextRunAt, scheduleDisabled } = migration
  const [set, setting] = useAct(MigrationScheduleDocument, { quiet: true })
  const now = schedule ?? ''
  const [choice, setChoice] = useState(usual.some(({ value }) => value === now) ? now : OWN)
  const [own, setOwn] = useState(now)
  const [zone, setZone] = useState(timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone)
  const [wrong, setWrong] = useState<string | null>(null)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const wanted = choice === OWN ? own.trim() : choice
    const { payload, refusals } = await set({
      input: { migrationId: id, schedule: wanted === '' ? null : wanted, timeZone: zone },
    })
    setWrong(refusals[0]?.message ?? null)
    if (payload !== null) {
      toast(wanted === '' ? 'Changes are read when somebody asks.' : 'Changes are read by themselves from now on.')
      onChanged()
    }
  }
  return (
    <Section title="Schedule" note="When changes at the CRM are read by themselves, as you.">
      <form onSubmit={(event) => void submit(event)}>
        <Stack gap="sm" align="flex-start">
          {scheduleDisabled !== null && (
            <Problem
              title="The schedule stands still"
              message={`${scheduleDisabled.message} Save it again to start it anew.`}
            />
          )}
          <Group align="flex-end">
            <Select
              label="Read changes"
              w={260}
              allowDeselect={false}
              value={choice}
              data={[...usual, { value: OWN, label: 'By a cron expression' }]}
              onChange={(value) => setChoice(value ?? '')}
            />
            {choice === OWN && (
              <TextInput
                label="Cron expression"
                description="Minute, hour, day of the month, month, day of the week"
                placeholder="30 6 * * 1-5"
                value={own}
                onChange={(event) => setOwn(event.currentTarget.value)}
              />
            )}
            {choice !== '' && (
              <TextInput label="Time zone" value={zone} onChange={(event) => setZone(event.currentTarget.value)} />
            )}
            <Button type="submit" variant="default" loading={setting}>
              Save
            </Button>
          </Group>
          {wrong !== null && <Problem message={wrong} />}
          {nextRunAt !== null && <Text size="sm">Next: {dayAndTime(nextRunAt)}.</Text>}
        </Stack>
      </form>
    </Section>
  )
}
