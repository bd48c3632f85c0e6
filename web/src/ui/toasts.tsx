/** Short words about what was just done, told to screen readers too. */
import { Notification, Stack } from '@mantine/core'
import { useSyncExternalStore } from 'react'

interface Toast {
  readonly id: number
  readonly text: string
  readonly bad: boolean
}

/** A good word goes by itself after so long; a bad one stays until it is closed. */
const SHOWN_MS = 6000

let toasts: readonly Toast[] = []
let last = 0
const watchers = new Set<() => void>()

/** Shows a word. `bad`: something was not done. */
export function toast(text: string, bad = false): void {
  const id = ++last
  toasts = [...toasts, { id, text, bad }].slice(-4)
  tell()
  if (!bad) {
    setTimeout(() => drop(id), SHOWN_MS)
  }
}

function drop(id: number): void {
  toasts = toasts.filter((each) => each.id !== id)
  tell()
}

function tell(): void {
  for (const watcher of watchers) {
    watcher()
  }
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => toasts,
  )
  return (
    <Stack
      pos="fixed"
      bottom={16}
      right={16}
      style={{ zIndex: 400 }}
      maw="min(420px, calc(100vw - 32px))"
      aria-live="polite"
    >
      {shown.map(({ id, text, bad }) => (
        <Notification
          key={id}
          color={bad ? 'red' : 'tide'}
          onClose={() => drop(id)}
          closeButtonProps={{ 'aria-label': 'Close this message' }}
          withBorder
        >
          {text}
        </Notification>
      ))}
    </Stack>
  )
}
