import { Button, Checkbox, Group, Stack, Table, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  SettingsDeliveryReplayDocument,
  SettingsWebhookDeleteDocument,
  SettingsWebhookSaveDocument,
  SettingsWebhooksDocument,
  type SettingsWebhooksQuery,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { words } from '../../ui/format.ts'
import { Empty, Problem, Section, Tag, Time, To } from '../../ui/parts.tsx'
import { Secret } from '../../ui/secret.tsx'
import { toast } from '../../ui/toasts.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Webhook = SettingsWebhooksQuery['webhooks'][number]
type Event = Webhook['events'][number]

const eventWords: Readonly<Record<Event, string>> = {
  RUN_STARTED: 'A run has started',
  RUN_COMPLETED: 'A run has completed',
  RUN_FAILED: 'A run has failed',
  RUN_ACTION_NEEDED: 'A run waits for a person',
  RUN_ROLLED_BACK: 'A run was rolled back',
  RECORDS_CHANGED: 'Records were changed',
}

const events = Object.keys(eventWords) as Event[]

/** Where else it is told what happens here. */
export function Webhooks() {
  const [result, again] = useQuery({ query: SettingsWebhooksDocument })
  const [secret, setSecret] = useState<string | null>(null)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const webhooks = result.data?.webhooks
  return (
    <Stack gap="lg">
      {secret !== null && (
        <Secret title="The secret that deliveries are signed with" secret={secret} onClose={() => setSecret(null)} />
      )}
      <NewWebhook
        onMade={(made) => {
          setSecret(made)
          refresh()
        }}
      />
      {problem !== null && <Problem message={problem} again={refresh} />}
      {webhooks === undefined && problem === null && <Waiting what="webhooks" />}
      {webhooks?.length === 0 && (
        <Section title="Webhooks">
          <Empty title="No webhook yet">
            A webhook is an address of yours that is told what happens here, signed, and told again until it has
            answered.
          </Empty>
        </Section>
      )}
      {webhooks?.map((webhook) => (
        <One key={webhook.id} webhook={webhook} onChanged={refresh} onSecret={setSecret} />
      ))}
    </Stack>
  )
}

function NewWebhook({ onMade }: { readonly onMade: (secret: string | null) => void }) {
  const [save, busy] = useAct(SettingsWebhookSaveDocument)
  const [url, setUrl] = useState('')
  const [chosen, setChosen] = useState<Event[]>(['RUN_COMPLETED', 'RUN_FAILED', 'RUN_ACTION_NEEDED'])
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const { payload } = await save({ input: { url: url.trim(), events: chosen } })
    if (payload !== null) {
      setUrl('')
      onMade(payload.secret)
    }
  }
  return (
    <Section title="New webhook">
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <TextInput
            label="Address"
            description="https, on the usual port, at a name of the public internet"
            placeholder="https://crm.example.com/hooks/portage"
            type="url"
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value)}
            required
          />
          <Checkbox.Group label="Told when" value={chosen} onChange={(value) => setChosen(value as Event[])}>
            <Stack gap="xs" mt="xs">
              {events.map((event) => (
                <Checkbox key={event} value={event} label={eventWords[event]} />
              ))}
            </Stack>
          </Checkbox.Group>
          <Group>
            <Button type="submit" loading={busy} disabled={url.trim() === '' || chosen.length === 0}>
              Make the webhook
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  )
}

function One(props: {
  readonly webhook: Webhook
  readonly onChanged: () => void
  readonly onSecret: (secret: string | null) => void
}) {
  const { webhook, onChanged, onSecret } = props
  const { id, url, events: asked, disabledAt, deliveries } = webhook
  const [save, saving] = useAct(SettingsWebhookSaveDocument)
  const [remove] = useAct(SettingsWebhookDeleteDocument)
  const [replay, replaying] = useAct(SettingsDeliveryReplayDocument)
  const keep = async (rotateSecret: boolean, word: string): Promise<void> => {
    const { payload } = await save({ input: { id, url, events: asked, rotateSecret } })
    if (payload !== null) {
      toast(word)
      if (payload.secret !== null) {
        onSecret(payload.secret)
      }
      onChanged()
    }
  }
  const sendAgain = async (deliveryId: string): Promise<void> => {
    if ((await replay({ input: { id: deliveryId } })).payload !== null) {
      toast('It is sent again.')
      onChanged()
    }
  }
  return (
    <Section
      title={url}
      note={asked.map((event) => eventWords[event]).join(', ')}
      actions={
        <Group gap="xs">
          {disabledAt !== null && (
            <Button size="xs" loading={saving} onClick={() => void keep(false, 'It is in use again.')}>
              Use it again
            </Button>
          )}
          <Button
            size="xs"
            variant="default"
            loading={saving}
            onClick={() => void keep(true, 'The secret before signs besides for a day.')}
          >
            New secret
          </Button>
          <AskFirst
            action="Delete"
            size="xs"
            title="Delete this webhook?"
            onYes={async () => {
              if ((await remove({ input: { id } })).payload !== null) {
                toast('The webhook is deleted.')
                onChanged()
              }
            }}
          >
            {url} is told nothing any more, also not what still waits.
          </AskFirst>
        </Group>
      }
    >
      {disabledAt !== null && (
        <Problem
          title="Not in use"
          message="Nothing had arrived for too long, so nothing is sent since then. Mend the receiver, then use it again."
        />
      )}
      {deliveries.nodes.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing was delivered yet.
        </Text>
      ) : (
        <Wide minWidth={640}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>When</Table.Th>
                <Table.Th>What</Table.Th>
                <Table.Th>Outcome</Table.Th>
                <Table.Th className="right">Attempts</Table.Th>
                <Table.Th>
                  <span className="visually-hidden">Actions</span>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {deliveries.nodes.map((delivery) => (
                <Table.Tr key={delivery.id}>
                  <Table.Td>
                    <Time at={delivery.at} />
                  </Table.Td>
                  <Table.Td>
                    {delivery.runId === null ? (
                      eventWords[delivery.event]
                    ) : (
                      <To href={`/console/runs/${delivery.runId}`}>{eventWords[delivery.event]}</To>
                    )}
                  </Table.Td>
                  <Table.Td>
                    <Tag color={delivery.succeeded ? 'green' : 'yellow'}>
                      {delivery.succeeded
                        ? `Arrived (${delivery.status ?? ''})`
                        : delivery.error === null
                          ? delivery.attempts === 0
                            ? 'On its way'
                            : 'Not yet'
                          : whyNot(delivery.error)}
                    </Tag>
                  </Table.Td>
                  <Table.Td className="numbers right">{delivery.attempts}</Table.Td>
                  <Table.Td>
                    <Button size="xs" variant="default" loading={replaying} onClick={() => void sendAgain(delivery.id)}>
                      Send again
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Section>
  )
}

const faults: Readonly<Record<string, string>> = {
  ADDRESS_NOT_ALLOWED: 'The address is not allowed',
  CONNECTION_FAILED: 'No connection',
  TIMED_OUT: 'No answer in time',
  WEBHOOK_DISABLED: 'The webhook is switched off',
}

/** Why a message did not arrive, in words. `error`: a word of the API, or `HTTP_` and the status that was answered. */
function whyNot(error: string): string {
  return faults[error] ?? (error.startsWith('HTTP_') ? `Answered with ${error.slice('HTTP_'.length)}` : words(error))
}
