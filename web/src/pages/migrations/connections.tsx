/** Accounts of other CRMs: connecting them, how much of their budget is used, and ending it. */
import { Anchor, Button, Card, Checkbox, Group, Modal, Progress, Select, Stack, Text, TextInput } from '@mantine/core'
import { type FormEvent, useEffect, useEffectEvent, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import {
  ConnectionBeginDocument,
  ConnectionRevokeDocument,
  ConnectionsDocument,
  type ConnectionsQuery,
} from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { systemNames } from '../../ui/crm-words.ts'
import { count, counted } from '../../ui/format.ts'
import { Copyable, Empty, Problem, Section, Tag, Time } from '../../ui/parts.tsx'
import { Quotas } from '../../ui/quotas.tsx'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'

type Connection = ConnectionsQuery['integrations'][number]
type System = Connection['system']

/** While somebody signs in elsewhere, it is looked so often whether they have. */
const LOOK_MS = 2000

const statusColors: Readonly<Record<Connection['status'], string>> = {
  CONNECTED: 'green',
  PENDING: 'yellow',
  REAUTHORIZATION_REQUIRED: 'orange',
  REVOKED: 'gray',
}

const statusWords: Readonly<Record<Connection['status'], string>> = {
  CONNECTED: 'Connected',
  PENDING: 'Sign-in not completed',
  REAUTHORIZATION_REQUIRED: 'To be connected again',
  REVOKED: 'Disconnected',
}

/** `onMigrate`: somebody wants to move in from this connection. */
export function Connections({ onMigrate }: { readonly onMigrate: (integrationId: string) => void }) {
  const may = useMay()
  const [result, again] = useQuery({ query: ConnectionsDocument })
  const [connecting, setConnecting] = useState<System | 'ANY' | null>(null)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const all = result.data?.integrations
  // A sign-in under way is no connection yet, and gone after ten minutes.
  const settled = (all ?? []).filter(({ status }) => status !== 'PENDING')
  const pending = (all?.length ?? 0) - settled.length
  const calls = (result.data?.quotas ?? []).filter(({ name, used }) => name === 'crmCallsPerDay' && used > 0)
  const connect = may('INTEGRATION_MANAGE') && <Button onClick={() => setConnecting('ANY')}>Connect a CRM</Button>
  return (
    <Section
      title="Connected CRMs"
      note="A connection may only read. Records are never changed over there."
      actions={settled.length > 0 ? connect : undefined}
    >
      {problem !== null && <Problem message={problem} again={refresh} />}
      {all === undefined && problem === null && <Waiting what="connections" />}
      {all !== undefined && settled.length === 0 && (
        <Empty title="No CRM is connected" action={connect}>
          You sign in at HubSpot, Pipedrive or Salesforce yourself and allow reading there. Portage never sees your
          password.
        </Empty>
      )}
      <Stack gap="sm" component="ul" className="plain-list">
        {settled.map((connection) => (
          <Card key={connection.id} withBorder padding="sm" component="li">
            <One
              connection={connection}
              onMigrate={onMigrate}
              onConnect={() => setConnecting(connection.system)}
              onChanged={refresh}
            />
          </Card>
        ))}
      </Stack>
      {pending > 0 && (
        <Text size="sm" c="dimmed" mt="sm">
          {counted(pending, 'sign-in is', 'sign-ins are')} under way, good for ten minutes each.
        </Text>
      )}
      {calls.length > 0 && (
        <Stack mt="md" maw={420}>
          <Quotas quotas={calls} />
        </Stack>
      )}
      {connecting !== null && (
        <Connect
          system={connecting === 'ANY' ? null : connecting}
          known={all ?? []}
          onLook={refresh}
          onClose={() => setConnecting(null)}
        />
      )}
    </Section>
  )
}

function One(props: {
  readonly connection: Connection
  readonly onMigrate: (integrationId: string) => void
  readonly onConnect: () => void
  readonly onChanged: () => void
}) {
  const { connection, onMigrate, onConnect, onChanged } = props
  const may = useMay()
  const [revoke] = useAct(ConnectionRevokeDocument)
  const { id, system, status, statusReason, accountName, connectedAt, scopes, apiUsage } = connection
  const name = accountName ?? systemNames[system]
  return (
    <Group justify="space-between" align="flex-start">
      <Stack gap={4} flex={1} miw={260}>
        <Group gap="sm">
          <Text fw={600}>{name}</Text>
          {accountName !== null && <Text size="sm">{systemNames[system]}</Text>}
          <Tag color={statusColors[status]}>{statusWords[status]}</Tag>
          <Copyable value={id} label={`id of ${name}`} />
        </Group>
        {status === 'REAUTHORIZATION_REQUIRED' && (
          <Text size="sm">
            {statusReason ?? `${systemNames[system]} takes the sign-in no more.`} Connect it again: what was moved in
            stays, and migrations go on where they stopped.
          </Text>
        )}
        {connectedAt !== null && (
          <Text size="sm" c="dimmed" component="div">
            Signed in <Time at={connectedAt} />
            {scopes.length > 0 && `. May: ${scopes.join(', ')}`}
          </Text>
        )}
        {apiUsage !== null && status !== 'REVOKED' && <Usage usage={apiUsage} system={system} />}
      </Stack>
      <Group gap="xs">
        {status === 'CONNECTED' && may('MIGRATION_RUN') && (
          <Button size="xs" onClick={() => onMigrate(id)}>
            New migration
          </Button>
        )}
        {status !== 'CONNECTED' && may('INTEGRATION_MANAGE') && (
          <Button size="xs" variant={status === 'REAUTHORIZATION_REQUIRED' ? 'filled' : 'default'} onClick={onConnect}>
            Connect again
          </Button>
        )}
        {status !== 'REVOKED' && may('INTEGRATION_MANAGE') && (
          <AskFirst
            action="Disconnect"
            size="xs"
            title={`Disconnect ${name}?`}
            onYes={async () => {
              const { payload } = await revoke({ input: { integrationId: id } })
              if (payload !== null) {
                toast(`${name} is disconnected.`)
                onChanged()
              }
            }}
          >
            The access ends here at once, and at {systemNames[system]} too. Records that were moved in stay; changes
            over there are not read any more.
          </AskFirst>
        )}
      </Group>
    </Group>
  )
}

function Usage({ usage, system }: { readonly usage: NonNullable<Connection['apiUsage']>; readonly system: System }) {
  const unit = system === 'PIPEDRIVE' ? 'tokens' : 'requests'
  const { used, limit, resetsAt } = usage
  return (
    <Stack gap={2} maw={420}>
      <Text size="sm" className="numbers" component="div">
        {limit === null
          ? `${count(used)} ${unit} today`
          : `${count(used)} of ${count(limit)} ${unit} of the day are used`}
        {resetsAt !== null && (
          <>
            , anew <Time at={resetsAt} />
          </>
        )}
      </Text>
      {limit !== null && (
        <Progress
          size="sm"
          value={limit === 0 ? 100 : Math.min((used / limit) * 100, 100)}
          aria-label={`Budget of the day that is used, of ${systemNames[system]}`}
        />
      )}
    </Stack>
  )
}

/** Begins a sign-in, leads to it, and notices when it is done. */
function Connect(props: {
  readonly system: System | null
  readonly known: readonly Connection[]
  readonly onLook: () => void
  readonly onClose: () => void
}) {
  const { known, onLook, onClose } = props
  const [begin, beginning] = useAct(ConnectionBeginDocument, { quiet: true })
  const [system, setSystem] = useState<System>(props.system ?? 'HUBSPOT')
  const [sandbox, setSandbox] = useState(false)
  const [host, setHost] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const [there, setThere] = useState<string | null>(null)
  // Sign-ins as they stood when this one began: a newer one is it.
  const [before] = useState(() => new Map(known.map(({ id, connectedAt }) => [id, connectedAt])))
  const done = known.find(
    ({ id, status, connectedAt, system: of }) =>
      of === system && status === 'CONNECTED' && connectedAt !== (before.get(id) ?? null),
  )
  const look = useEffectEvent(onLook)
  useEffect(() => {
    if (there === null) {
      return
    }
    const timer = setInterval(() => look(), LOOK_MS)
    return () => clearInterval(timer)
  }, [there])
  const finish = useEffectEvent(() => {
    toast(`${done?.accountName ?? systemNames[system]} is connected.`)
    onClose()
  })
  const isDone = done !== undefined && there !== null
  useEffect(() => {
    if (isDone) {
      finish()
    }
  }, [isDone])
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const salesforce = system === 'SALESFORCE'
    const { payload, refusals } = await begin({
      input: {
        system,
        redirectUri: `${location.origin}/oauth/callback`,
        ...(salesforce ? { sandbox, host: host.trim() === '' ? null : host.trim() } : {}),
      },
    })
    setProblem(refusals[0]?.message ?? null)
    setThere(payload?.authorizationUrl ?? null)
  }
  return (
    <Modal opened onClose={onClose} title="Connect a CRM" closeButtonProps={{ 'aria-label': 'Close' }}>
      {there === null ? (
        <form onSubmit={(event) => void submit(event)}>
          <Stack>
            <Select
              label="CRM"
              allowDeselect={false}
              value={system}
              data={Object.entries(systemNames).map(([value, label]) => ({ value, label }))}
              onChange={(value) => setSystem((value ?? 'HUBSPOT') as System)}
            />
            {system === 'SALESFORCE' && (
              <>
                <Checkbox
                  label="It is a sandbox"
                  checked={sandbox}
                  onChange={(event) => setSandbox(event.currentTarget.checked)}
                />
                <TextInput
                  label="My Domain"
                  description="Only if you sign in at an address of your own."
                  placeholder="acme.my.salesforce.com"
                  value={host}
                  onChange={(event) => setHost(event.currentTarget.value)}
                />
              </>
            )}
            {problem !== null && <Problem message={problem} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" loading={beginning}>
                Go on
              </Button>
            </Group>
          </Stack>
        </form>
      ) : (
        <Stack>
          <Text>
            Sign in at {systemNames[system]} and allow reading there, within ten minutes. This page notices when you
            have.
          </Text>
          <Anchor href={there} target="_blank" rel="noreferrer" underline="always" className="to">
            Open the sign-in of {systemNames[system]}
          </Anchor>
          <Text size="sm" c="dimmed" role="status">
            Waiting for {systemNames[system]} …
          </Text>
        </Stack>
      )}
    </Modal>
  )
}
