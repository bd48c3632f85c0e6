import { Checkbox, Stack, Text } from '@mantine/core'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  SettingsNotificationsDocument,
  type SettingsNotificationsQuery,
  SettingsNotificationsUpdateDocument,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { Problem, Section } from '../../ui/parts.tsx'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'

type Event = SettingsNotificationsQuery['notificationPreferences']['myEmails'][number]

const eventWords: Readonly<Record<Event, string>> = {
  RUN_COMPLETED: 'A run of mine has ended',
  RUN_FAILED: 'A run of mine has failed',
  ACTION_NEEDED: 'Something waits for me: columns, a plan, a sign-in',
  QUOTA_WARNING: 'A quota is nearly used up',
}

const events = Object.keys(eventWords) as Event[]

/** Which e-mails one gets. */
export function Notifications() {
  const may = useMay()
  const [result, again] = useQuery({ query: SettingsNotificationsDocument })
  const [update, busy] = useAct(SettingsNotificationsUpdateDocument)
  const problem = trouble(result)
  const preferences = result.data?.notificationPreferences
  const save = async (input: { myEmails?: Event[]; tenantEmails?: Event[] }): Promise<void> => {
    if ((await update({ input })).payload !== null) {
      toast('Kept.')
      again({ requestPolicy: 'network-only' })
    }
  }
  if (preferences === undefined) {
    return problem === null ? <Waiting what="your notifications" /> : <Problem message={problem} />
  }
  return (
    <Stack gap="lg">
      <Section
        title="My e-mails"
        note={
          !preferences.mailConfigured
            ? 'This service has no mail server yet, so nobody gets any.'
            : preferences.myAddress === null
              ? 'Your sign-in has no e-mail address, so none can be sent to you.'
              : `They go to ${preferences.myAddress}.`
        }
      >
        <Checkbox.Group
          aria-label="My e-mails"
          value={preferences.myEmails}
          onChange={(value) => void save({ myEmails: value as Event[] })}
        >
          <Stack gap="xs">
            {events.map((event) => (
              <Checkbox
                key={event}
                value={event}
                label={eventWords[event]}
                disabled={busy || !preferences.tenantEmails.includes(event)}
              />
            ))}
          </Stack>
        </Checkbox.Group>
        {preferences.tenantEmails.length < events.length && (
          <Text size="sm" c="dimmed" mt="sm">
            What is grey is off for the whole tenant.
          </Text>
        )}
      </Section>
      {may('SETTINGS_MANAGE') && (
        <Section title="E-mails of the tenant" note="What there are e-mails about at all.">
          <Checkbox.Group
            aria-label="E-mails of the tenant"
            value={preferences.tenantEmails}
            onChange={(value) => void save({ tenantEmails: value as Event[] })}
          >
            <Stack gap="xs">
              {events.map((event) => (
                <Checkbox
                  key={event}
                  value={event}
                  label={eventWords[event].replace(' of mine', '').replace('for me', 'for somebody')}
                  disabled={busy}
                />
              ))}
            </Stack>
          </Checkbox.Group>
        </Section>
      )}
    </Stack>
  )
}
