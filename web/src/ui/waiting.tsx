/** What stands there while something is fetched: nothing at first, then words, never a wheel alone. */
import { Group, Loader, Text } from '@mantine/core'
import { useEffect, useState } from 'react'

/** A person notices a wait after so many milliseconds. */
const NOTICED_MS = 300

/** `what` completes "Fetching …". */
export function Waiting({ what }: { readonly what: string }) {
  const [shown, setShown] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), NOTICED_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <Group role="status" gap="sm" mih={48}>
      {shown && (
        <>
          <Loader size="sm" aria-hidden />
          <Text c="dimmed">Fetching {what} …</Text>
        </>
      )}
    </Group>
  )
}
