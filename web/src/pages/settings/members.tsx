import { Button, Group, Modal, Stack, Switch, Table, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import { SettingsMemberSaveDocument, SettingsMembersDocument, type SettingsMembersQuery } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { Empty, Problem, Section, Tag } from '../../ui/parts.tsx'
import { type Permission, permissionWords } from '../../ui/permission-words.ts'
import { allPermissions, ChoosePermissions } from '../../ui/permissions.tsx'
import { toast } from '../../ui/toasts.tsx'
import { useMay } from '../../ui/viewer.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import { Wide } from '../../ui/wide.tsx'

type Member = SettingsMembersQuery['members'][number]

/** Who belongs to the tenant, and what their tokens are narrowed to. */
export function Members() {
  const may = useMay()
  const manages = may('SETTINGS_MANAGE')
  const [result, again] = useQuery({ query: SettingsMembersDocument })
  const [edited, setEdited] = useState<Member | 'new' | null>(null)
  const refresh = () => again({ requestPolicy: 'network-only' })
  const problem = trouble(result)
  const members = result.data?.members
  return (
    <Section
      title="Members"
      note="Records belong to them, and their sign-in can be narrowed. Who is switched off signs in no more and keeps the records."
      actions={
        manages && (
          <Button size="xs" onClick={() => setEdited('new')}>
            Add a member
          </Button>
        )
      }
    >
      {problem !== null && <Problem message={problem} again={refresh} />}
      {members === undefined && problem === null && <Waiting what="members" />}
      {members?.length === 0 && (
        <Empty title="No members yet">
          Add the people whom records belong to: imports find owners by their e-mail address.
        </Empty>
      )}
      {members !== undefined && members.length > 0 && (
        <Wide minWidth={640}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>E-mail</Table.Th>
                <Table.Th>Signs in</Table.Th>
                <Table.Th>May at most</Table.Th>
                {manages && (
                  <Table.Th>
                    <span className="visually-hidden">Actions</span>
                  </Table.Th>
                )}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {members.map((member) => (
                <Table.Tr key={member.id}>
                  <Table.Td>{member.name ?? '–'}</Table.Td>
                  <Table.Td>{member.email}</Table.Td>
                  <Table.Td>
                    <Tag color={member.active ? 'green' : 'gray'}>{member.active ? 'Yes' : 'Switched off'}</Tag>
                  </Table.Td>
                  <Table.Td>
                    <Text size="sm">
                      {member.permissions.length === allPermissions.length
                        ? 'All that the sign-in says'
                        : member.permissions.map((each) => permissionWords[each]).join(', ')}
                    </Text>
                  </Table.Td>
                  {manages && (
                    <Table.Td>
                      <Button
                        size="xs"
                        variant="default"
                        onClick={() => setEdited(member)}
                        aria-label={`Change ${member.email}`}
                      >
                        Change
                      </Button>
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
      {edited !== null && (
        <MemberForm
          member={edited === 'new' ? null : edited}
          onClose={() => setEdited(null)}
          onSaved={() => {
            setEdited(null)
            refresh()
          }}
        />
      )}
    </Section>
  )
}

function MemberForm(props: {
  readonly member: Member | null
  readonly onClose: () => void
  readonly onSaved: () => void
}) {
  const { member, onClose, onSaved } = props
  const [save, busy] = useAct(SettingsMemberSaveDocument)
  const [email, setEmail] = useState(member?.email ?? '')
  const [name, setName] = useState(member?.name ?? '')
  const [active, setActive] = useState(member?.active ?? true)
  const [narrowed, setNarrowed] = useState(member !== null && member.permissions.length < allPermissions.length)
  const [permissions, setPermissions] = useState<Permission[]>([...(member?.permissions ?? allPermissions)])
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    const { payload } = await save({
      input: {
        email: email.trim(),
        name: name.trim() === '' ? null : name.trim(),
        active,
        permissions: narrowed ? permissions : null,
      },
    })
    if (payload !== null) {
      toast(`${email.trim()} is kept.`)
      onSaved()
    }
  }
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={member === null ? 'New member' : member.email}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <TextInput
            label="E-mail"
            type="email"
            required
            value={email}
            disabled={member !== null}
            onChange={(event) => setEmail(event.currentTarget.value)}
          />
          <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Switch label="Signs in" checked={active} onChange={(event) => setActive(event.currentTarget.checked)} />
          <Switch
            label="Narrow what the sign-in allows"
            checked={narrowed}
            onChange={(event) => setNarrowed(event.currentTarget.checked)}
          />
          {narrowed && (
            <ChoosePermissions
              label="May at most"
              offered={allPermissions}
              value={permissions}
              onChange={setPermissions}
            />
          )}
          <Group justify="flex-end">
            <Button type="submit" loading={busy} disabled={email.trim() === ''}>
              Keep
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
