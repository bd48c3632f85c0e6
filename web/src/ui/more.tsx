import { Button, Group, Text } from '@mantine/core'
import { counted } from './format.ts'

/** The foot of a list: how much of it is there, and the button that fetches more. */
export function More(props: {
  readonly shown: number
  readonly hasMore: boolean
  readonly busy: boolean
  readonly onMore: () => void
  readonly one?: string
  readonly many?: string
}) {
  const { shown, hasMore, busy, onMore, one = 'entry', many = 'entries' } = props
  return (
    <Group justify="space-between" mt="md">
      <Text size="sm" c="dimmed" role="status">
        {counted(shown, one, many)} {hasMore ? 'shown, there are more' : 'in all'}
      </Text>
      {hasMore && (
        <Button variant="default" onClick={onMore} loading={busy}>
          Show more
        </Button>
      )}
    </Group>
  )
}
