/** Who did what, when and from where; and whether the record of it is whole. */
import { Button, Collapse, Group, Modal, Stack, Table, Text, TextInput, UnstyledButton } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'
import { useClient, useQuery } from 'urql'
import { useLocation } from 'wouter'
import { trouble } from '../api/client.ts'
import {
  AuditEntriesDocument,
  type AuditEntriesQuery,
  AuditExportDocument,
  AuditHeadDocument,
  AuditVerificationDocument,
  type AuditVerificationQuery,
} from '../api/generated.ts'
import { useAct } from '../ui/act.ts'
import { count, exactTime } from '../ui/format.ts'
import { newKey } from '../ui/key.ts'
import { More } from '../ui/more.tsx'
import { usePages } from '../ui/pages.ts'
import { Copyable, Empty, Figure, Page, Problem, Section, Tag, Time } from '../ui/parts.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Wide } from '../ui/wide.tsx'

type Entry = AuditEntriesQuery['auditEntries']['nodes'][number]

const outcomeColors: Readonly<Record<string, string>> = { OK: 'green', REFUSED: 'yellow', DENIED: 'red', FAILED: 'red' }

export default function Audit() {
  const [action, setAction] = useState('')
  const [actor, setActor] = useState('')
  const [asked] = useDebouncedValue({ action: action.trim(), actor: actor.trim() }, 300)
  const pages = usePages(
    AuditEntriesDocument,
    { action: asked.action || null, actor: asked.actor || null },
    (answer) => answer.auditEntries,
  )
  return (
    <Page
      title="Audit"
      lead="Every change, download and refusal of this tenant: who, what, when and from where. Never the values of fields."
    >
      <Chain />
      <Section
        title="Entries"
        note="The newest first. An entry is sealed into the chain a few seconds after it was written."
      >
        <Group mb="md" align="flex-end">
          <TextInput
            label="Action"
            placeholder="Mutation.importCreate"
            value={action}
            onChange={(event) => setAction(event.currentTarget.value)}
          />
          <TextInput
            label="Actor"
            placeholder="ada@example.com"
            value={actor}
            onChange={(event) => setActor(event.currentTarget.value)}
          />
          <Button variant="default" onClick={pages.refresh} loading={pages.busy}>
            Look again
          </Button>
          <WriteFile />
        </Group>
        {pages.problem !== null && <Problem message={pages.problem} again={pages.refresh} />}
        {pages.nodes === undefined && pages.problem === null && <Waiting what="the audit" />}
        {pages.nodes?.length === 0 && (
          <Empty title="No such entry">
            {asked.action === '' && asked.actor === ''
              ? 'What people and programs do here is written down from now on.'
              : 'Actions are found by their whole name, as they stand in the list; actors by their address or the name of their key.'}
          </Empty>
        )}
        {pages.nodes !== undefined && pages.nodes.length > 0 && (
          <>
            <Wide minWidth={720}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>When</Table.Th>
                    <Table.Th>Who</Table.Th>
                    <Table.Th>What</Table.Th>
                    <Table.Th>Outcome</Table.Th>
                    <Table.Th className="right">In the chain</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {pages.nodes.map((entry) => (
                    <EntryRows key={entry.id} entry={entry} />
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
            <More shown={pages.nodes.length} hasMore={pages.hasMore} busy={pages.busy} onMore={pages.more} />
          </>
        )}
      </Section>
    </Page>
  )
}

/** All of it, or the days that are named, as a file that `portage audit verify` checks without this service. */
function WriteFile() {
  const [, go] = useLocation()
  const [write, busy] = useAct(AuditExportDocument)
  const [open, setOpen] = useState(false)
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const start = async (): Promise<void> => {
    const { payload } = await write({
      input: { idempotencyKey: newKey(), from: startOf(from, 0), to: startOf(to, 1) },
    })
    if (payload?.run !== null && payload?.run !== undefined) {
      go(`/console/runs/${payload.run.id}`)
    }
  }
  return (
    <>
      <Button variant="default" onClick={() => setOpen(true)}>
        Write it into a file
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title="The audit as a file"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack>
          <Text size="sm">
            With the signed head in it, so that anybody can check it with `portage audit verify`. Without days: all of
            it.
          </Text>
          <Group grow>
            <TextInput label="From" type="date" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
            <TextInput
              label="To, inclusive"
              type="date"
              value={to}
              onChange={(event) => setTo(event.currentTarget.value)}
            />
          </Group>
          <Group justify="flex-end">
            <Button loading={busy} onClick={() => void start()}>
              Write the file
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}

/** The moment at which a day of this zone begins, so many days later; null for no day. */
function startOf(day: string, later: number): string | null {
  if (day === '') {
    return null
  }
  const date = new Date(`${day}T00:00`)
  date.setDate(date.getDate() + later)
  return date.toISOString()
}

function EntryRows({ entry }: { readonly entry: Entry }) {
  const [open, setOpen] = useState(false)
  const facts: readonly (readonly [string, string | null])[] = [
    ['Done to', entry.target],
    ['From', entry.ip],
    ['With', entry.userAgent],
    ['Request', entry.requestId],
    ...entry.detail.map(({ name, value }) => [name, value] as const),
    ['Hash', entry.hash],
    ['Hash before', entry.previousHash],
    ['Entry', entry.id],
  ]
  return (
    <>
      <Table.Tr>
        <Table.Td>
          <Time at={entry.at} />
        </Table.Td>
        <Table.Td>{entry.actor}</Table.Td>
        <Table.Td>
          <UnstyledButton onClick={() => setOpen(!open)} aria-expanded={open} td="underline" fz="sm">
            {entry.action}
          </UnstyledButton>
        </Table.Td>
        <Table.Td>
          <Tag color={outcomeColors[entry.outcome] ?? 'gray'}>{entry.outcome}</Tag>
        </Table.Td>
        <Table.Td className="numbers right">{entry.sequence === null ? 'soon' : count(entry.sequence)}</Table.Td>
      </Table.Tr>
      {open && (
        <Table.Tr>
          <Table.Td colSpan={5}>
            <Collapse expanded={open}>
              <Stack gap={4}>
                <Text size="sm">{exactTime(entry.at)}</Text>
                {facts
                  .filter((fact): fact is readonly [string, string] => fact[1] !== null)
                  .map(([name, value]) => (
                    <Group key={name} gap="xs" wrap="nowrap" align="flex-start">
                      <Text size="sm" c="dimmed" w={110} style={{ flexShrink: 0 }}>
                        {name}
                      </Text>
                      <Text size="sm" className="code-block">
                        {value}
                      </Text>
                    </Group>
                  ))}
              </Stack>
            </Collapse>
          </Table.Td>
        </Table.Tr>
      )}
    </>
  )
}

/** How far the chain goes, and a check of all its links. */
function Chain() {
  const client = useClient()
  const [{ data }] = useQuery({ query: AuditHeadDocument })
  const [checking, setChecking] = useState(false)
  const [verdict, setVerdict] = useState<AuditVerificationQuery['auditVerification'] | string | null>(null)
  const check = async (): Promise<void> => {
    setChecking(true)
    const result = await client.query(AuditVerificationDocument, {}, { requestPolicy: 'network-only' }).toPromise()
    setChecking(false)
    setVerdict(trouble(result) ?? result.data?.auditVerification ?? null)
  }
  const head = data?.auditHead
  return (
    <Section
      title="The chain"
      note="Each entry holds the hash of the one before. Keep a head outside of this service, and nobody can rewrite what came before it unnoticed."
      actions={
        <Button variant="default" onClick={() => void check()} loading={checking}>
          Check every link
        </Button>
      }
    >
      <Group gap="xl" align="flex-start">
        {head === null || head === undefined ? (
          <Text c="dimmed">There is no signed head yet: it comes a few seconds after the first entry.</Text>
        ) : (
          <>
            <Figure label="Entries in the chain">{count(head.sequence)}</Figure>
            <Figure label="Head">
              <Copyable value={head.hash} label="hash of the head" />
            </Figure>
            <Figure label="Signature">
              <Copyable value={head.signature} label="signature" />
            </Figure>
            <Figure label="Signed">
              <Time at={head.signedAt} />
            </Figure>
          </>
        )}
      </Group>
      <div role="status">
        {typeof verdict === 'string' && <Problem message={verdict} />}
        {verdict !== null && typeof verdict !== 'string' && (
          <Text mt="sm" fw={600}>
            {verdict.valid
              ? `The chain is whole: ${count(verdict.checked)} entries were checked.`
              : `The chain is broken at entry ${count(verdict.firstBrokenSequence)}. Tell whoever runs this service.`}
          </Text>
        )}
      </div>
    </Section>
  )
}
