import { Button, Group, Select, Stack, Table, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import { SettingsKeyCreateDocument, SettingsKeyRevokeDocument, SettingsKeysDocument } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { AskFirst } from '../../ui/confirm.tsx'
import { Empty, Problem, Section, Time } from '../../ui/parts.tsx'
import { type Permission, permissionWords } from '../../ui/permission-words.ts'
import { ChoosePermissions } from '../../ui/permissions.tsx'
import { Secret } from '../../ui/secret.tsx'
import { toast } from '../../ui/toasts.tsx'
import { useViewer } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

const DAY_MS = 86_400_000

/** For how long keys are offered, in days. */
const lives = ['30', '90', '365'] as const

/** Keys of programs. */
export function Keys() {
  const [result, again] = useQuery({ query: SettingsKeysDocument })
  const [revoke] = useAct(SettingsKeyRevokeDocument)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const keys = result.data?.apiKeys
  return (
    <Stack gap="lg">
      <NewKey onMade={refresh} />
      <Section title="Keys">
        {problem !== null && <Problem message={problem} again={refresh} />}
        {keys === undefined && problem === null && <Waiting what="keys" />}
        {keys?.length === 0 && (
          <Empty title="No key yet">
            Programs sign in with a key of their own, which may do no more than you give it.
          </Empty>
        )}
        {keys !== undefined && keys.length > 0 && (
          <Wide minWidth={720}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>Begins with</Table.Th>
                  <Table.Th>May</Table.Th>
                  <Table.Th>Last used</Table.Th>
                  <Table.Th>Ends</Table.Th>
                  <Table.Th>
                    <span className="visually-hidden">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {keys.map(({ id, name, prefix, permissions, lastUsedAt, expiresAt }) => (
                  <Table.Tr key={id}>
                    <Table.Td>{name}</Table.Td>
                    <Table.Td ff="monospace">{prefix}…</Table.Td>
                    <Table.Td maw={320}>
                      <Text size="sm">{permissions.map((each) => permissionWords[each]).join(', ')}</Text>
                    </Table.Td>
                    <Table.Td>{lastUsedAt === null ? 'never' : <Time at={lastUsedAt} />}</Table.Td>
                    <Table.Td>{expiresAt === null ? 'when revoked' : <Time at={expiresAt} />}</Table.Td>
                    <Table.Td>
                      <AskFirst
                        action="Revoke"
                        size="xs"
                        title={`Revoke the key ${name}?`}
                        onYes={async () => {
                          if ((await revoke({ input: { id } })).payload !== null) {
                            toast(`The key ${name} is revoked.`)
                            refresh()
                          }
                        }}
                      >
                        Programs that use it are refused from now on. It cannot be brought back.
                      </AskFirst>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Section>
    </Stack>
  )
}

function NewKey({ onMade }: { readonly onMade: () => void }) {
  const viewer = useViewer()
  const [create, busy] = useAct(SettingsKeyCreateDocument)
  const [name, setName] = useState('')
  const [permissions, setPermissions] = useState<Permission[]>([])
  const [life, setLife] = useState<string>('90')
  const [secret, setSecret] = useState<string | null>(null)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const expiresAt = life === '' ? null : new Date(Date.now() + Number(life) * DAY_MS).toISOString()
    const { payload } = await create({ input: { name: name.trim(), permissions, expiresAt } })
    if (payload !== null) {
      setSecret(payload.secret)
      setName('')
      setPermissions([])
      onMade()
    }
  }
  return (
    <Section title="New key">
      {secret !== null && <Secret title="The new key" secret={secret} onClose={() => setSecret(null)} />}
      <form onSubmit={(event) => void submit(event)}>
        <Stack mt={secret === null ? 0 : 'md'}>
          <Group align="flex-end">
            <TextInput
              label="Name"
              description="What uses it"
              placeholder="Nightly export"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              required
            />
            <Select
              label="Works for"
              description="Then it ends by itself"
              value={life}
              onChange={(value) => setLife(value ?? '')}
              allowDeselect={false}
              data={[
                ...lives.map((days) => ({ value: days, label: `${days} days` })),
                { value: '', label: 'Until revoked' },
              ]}
            />
          </Group>
          <ChoosePermissions
            label="It may"
            description="Only what you may do yourself can be given."
            offered={viewer.permissions}
            value={permissions}
            onChange={setPermissions}
          />
          <Group>
            <Button type="submit" loading={busy} disabled={name.trim() === '' || permissions.length === 0}>
              Make the key
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  )
}
