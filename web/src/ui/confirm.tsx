/** Asking before something is done that is not easily undone. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { type ReactNode, useState } from 'react'

/** A button that asks first. `action` names what will be done and stands on both buttons. */
export function AskFirst(props: {
  readonly action: string
  readonly title: string
  readonly children: ReactNode
  readonly onYes: () => Promise<unknown>
  readonly size?: 'xs' | 'sm'
  readonly disabled?: boolean
}) {
  const { action, title, children, onYes, size = 'sm', disabled = false } = props
  const [open, setOpen] = useState(false)
  const [busy, setBusy] = useState(false)
  const yes = async (): Promise<void> => {
    setBusy(true)
    await onYes()
    setBusy(false)
    setOpen(false)
  }
  return (
    <>
      <Button variant="default" size={size} onClick={() => setOpen(true)} disabled={disabled}>
        {action}
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
        <Stack>
          <Text component="div">{children}</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setOpen(false)}>
              Keep it
            </Button>
            <Button color="red.9" onClick={() => void yes()} loading={busy}>
              {action}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
