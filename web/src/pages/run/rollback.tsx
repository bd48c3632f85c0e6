/** Undoing a run: what would happen, then that. */
import { Button, Group, Modal, Radio, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { useQuery } from 'urql'
import { useLocation } from 'wouter'
import { trouble } from '../../api/client.ts'
import { RunRollbackDocument, RunRollbackPreviewDocument } from '../../api/generated.ts'
import { useAct } from '../../ui/act.ts'
import { counted } from '../../ui/format.ts'
import { newKey } from '../../ui/key.ts'
import { Problem } from '../../ui/parts.tsx'
import { Waiting } from '../../ui/waiting.tsx'

type Policy = 'KEEP' | 'FORCE' | 'ABORT'

/** A button that shows what a rollback of `runId` would do, and does it. `name`: what is rolled back. */
export function RollBack(props: { readonly runId: string; readonly name: string; readonly size?: 'xs' | 'sm' }) {
  const { runId, name, size = 'sm' } = props
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button variant="default" size={size} onClick={() => setOpen(true)}>
        Roll back
      </Button>
      {open && <Ask runId={runId} name={name} onClose={() => setOpen(false)} />}
    </>
  )
}

function Ask(props: { readonly runId: string; readonly name: string; readonly onClose: () => void }) {
  const { runId, name, onClose } = props
  const [, go] = useLocation()
  const [result, again] = useQuery({
    query: RunRollbackPreviewDocument,
    variables: { runId },
    requestPolicy: 'network-only',
  })
  const [policy, setPolicy] = useState<Policy>('KEEP')
  const [rollBack, busy] = useAct(RunRollbackDocument)
  // The same click twice is one rollback.
  const [idempotencyKey] = useState(() => newKey())
  const preview = result.data?.rollbackPreview
  const problem = trouble(result)
  const start = async (): Promise<void> => {
    const { payload } = await rollBack({ input: { runId, onConflict: policy, idempotencyKey } })
    if (payload?.rollbackRun !== null && payload?.rollbackRun !== undefined) {
      go(`/console/runs/${payload.rollbackRun.id}`)
    }
  }
  return (
    <Modal opened onClose={onClose} title={`Roll back ${name}?`} closeButtonProps={{ 'aria-label': 'Close' }} size="lg">
      <Stack>
        {problem !== null && <Problem message={problem} again={() => again({ requestPolicy: 'network-only' })} />}
        {preview === undefined && problem === null && <Waiting what="what it would undo" />}
        {preview !== undefined && (
          <>
            <Text component="div">
              It goes back field by field, and only where the field still holds what was imported:
              <ul>
                <li>
                  {counted(preview.willDelete, 'record')} that it created {preview.willDelete === 1 ? 'is' : 'are'}{' '}
                  deleted,
                </li>
                <li>
                  {counted(preview.willRestore, 'record')} that it changed {preview.willRestore === 1 ? 'gets' : 'get'}{' '}
                  the values of before,
                </li>
                <li>
                  {preview.conflicts === 0
                    ? 'nothing was changed by anybody since.'
                    : `${counted(preview.conflicts, 'field or record', 'fields or records')} ${preview.conflicts === 1 ? 'was' : 'were'} changed since.`}
                </li>
              </ul>
            </Text>
            {preview.conflicts > 0 && (
              <Radio.Group
                label="What was changed since"
                value={policy}
                onChange={(value) => setPolicy(value as Policy)}
              >
                <Stack gap="xs" mt="xs">
                  <Radio value="KEEP" label="Keep it as it is now, and list it" />
                  <Radio value="FORCE" label="Undo it all the same: the changes of others are lost" />
                  <Radio value="ABORT" label="Then do nothing at all" />
                </Stack>
              </Radio.Group>
            )}
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                Keep everything
              </Button>
              <Button color="red.9" loading={busy} onClick={() => void start()}>
                Roll back
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Modal>
  )
}
