/** The small parts that every page is made of. */
import {
  ActionIcon,
  Alert,
  Anchor,
  Badge,
  Box,
  Button,
  Card,
  Code,
  ColorSwatch,
  Group,
  Stack,
  Text,
  Title,
  Tooltip,
} from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { type ReactNode, useEffect } from 'react'
import { Link } from 'wouter'
import { ago, count, exactTime, words } from './format.ts'
import { CheckIcon, CopyIcon } from './icons.tsx'

/** A page: its heading, what can be done on it, and its name in the window. */
export function Page(props: {
  readonly title: string
  readonly lead?: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}) {
  const { title, lead, actions, children } = props
  useEffect(() => {
    document.title = `${title} · Portage`
  }, [title])
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start" gap="md">
        <Box flex="1 1 20rem" miw={0}>
          <Title order={1}>{title}</Title>
          {lead !== undefined && (
            <Text c="dimmed" component="div" mt={4}>
              {lead}
            </Text>
          )}
        </Box>
        {actions !== undefined && <Group gap="sm">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  )
}

/** A part of a page with a heading of its own. */
export function Section(props: {
  readonly title: string
  readonly actions?: ReactNode
  readonly children: ReactNode
  readonly note?: ReactNode
}) {
  const { title, actions, children, note } = props
  return (
    <Card withBorder padding="lg" component="section" aria-label={title}>
      <Group justify="space-between" mb="sm" align="flex-start">
        {/* A long note gives way to the actions before they move below it. */}
        <Box flex={actions === undefined ? '1 1 100%' : '1 1 14rem'} miw={0}>
          <Title order={2} style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Title>
          {note !== undefined && (
            <Text c="dimmed" size="sm" component="div">
              {note}
            </Text>
          )}
        </Box>
        {actions}
      </Group>
      {children}
    </Card>
  )
}

/** Something went wrong: what, and what to do. `again` offers to try once more. */
export function Problem(props: {
  readonly title?: string
  readonly message: ReactNode
  readonly again?: (() => void) | undefined
}) {
  const { title = 'That did not work', message, again } = props
  return (
    <Alert color="red" variant="outline" title={title} role="alert">
      <Stack gap="sm" align="flex-start">
        <Text component="div" size="sm">
          {message}
        </Text>
        {again !== undefined && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  )
}

/** There is nothing yet: what would be here, and how it comes here. */
export function Empty(props: { readonly title: string; readonly children: ReactNode; readonly action?: ReactNode }) {
  return (
    <Stack align="center" gap="xs" py="xl" ta="center">
      <Title order={3}>{props.title}</Title>
      <Text c="dimmed" maw={520} component="div">
        {props.children}
      </Text>
      {props.action}
    </Stack>
  )
}

/** A link within the console. */
export function To(props: { readonly href: string; readonly children: ReactNode }) {
  return (
    <Anchor component={Link} href={props.href} underline="always" className="to" inherit>
      {props.children}
    </Anchor>
  )
}

/** A button that leads somewhere. */
export function GoButton(props: {
  readonly href: string
  readonly children: ReactNode
  readonly variant?: 'filled' | 'default' | 'light'
}) {
  return (
    <Button component={Link} href={props.href} variant={props.variant ?? 'filled'}>
      {props.children}
    </Button>
  )
}

/** An instant, as long ago; exactly when pointed at. */
export function Time({ at }: { readonly at: string | null | undefined }) {
  if (at === null || at === undefined) {
    return <>–</>
  }
  return (
    <Tooltip label={exactTime(at)} events={{ hover: true, focus: true, touch: true }}>
      <time dateTime={at} style={{ whiteSpace: 'nowrap' }}>
        {ago(at)}
      </time>
    </Tooltip>
  )
}

/** An id, short, with a button that copies it whole. */
export function Copyable({ value, label = 'id' }: { readonly value: string; readonly label?: string }) {
  const clipboard = useClipboard({ timeout: 1500 })
  return (
    <Group gap={4} wrap="nowrap" display="inline-flex">
      <Code>{value.length > 22 ? `${value.slice(0, 12)}…${value.slice(-6)}` : value}</Code>
      <ActionIcon
        variant="subtle"
        size="sm"
        aria-label={clipboard.copied ? `Copied the ${label}` : `Copy the ${label}`}
        onClick={() => clipboard.copy(value)}
      >
        {clipboard.copied ? <CheckIcon /> : <CopyIcon />}
      </ActionIcon>
    </Group>
  )
}

/** A named figure. */
export function Figure(props: { readonly label: string; readonly children: ReactNode; readonly note?: ReactNode }) {
  return (
    <Box>
      <Text size="sm" c="dimmed">
        {props.label}
      </Text>
      <Text fw={600} fz="lg" className="numbers" component="div">
        {props.children}
      </Text>
      {props.note !== undefined && (
        <Text size="xs" c="dimmed" component="div">
          {props.note}
        </Text>
      )}
    </Box>
  )
}

const colors: Readonly<Record<string, string>> = {
  COMPLETED: 'green',
  COMPLETED_WITH_ERRORS: 'yellow',
  FAILED: 'red',
  CANCELED: 'gray',
  EXPIRED: 'gray',
  ROLLED_BACK: 'grape',
  ROLLED_BACK_WITH_CONFLICTS: 'yellow',
  PAUSED: 'yellow',
  DEFERRED: 'yellow',
  AWAITING_CONFIRMATION: 'orange',
  AWAITING_MAPPING: 'orange',
}

/** A word with a dot of a colour of Mantine before it. The colour says nothing that the word does not. */
export function Tag({ color, children }: { readonly color: string; readonly children: ReactNode }) {
  return (
    <Badge
      variant="default"
      tt="none"
      fw={500}
      leftSection={<ColorSwatch size={8} color={`var(--mantine-color-${color}-6)`} withShadow={false} />}
      style={{ flexShrink: 0, overflow: 'visible', minWidth: 'max-content' }}
      styles={{ label: { overflow: 'visible' } }}
    >
      {children}
    </Badge>
  )
}

/** The status of a run. */
export function Status({ status }: { readonly status: string }) {
  return (
    <span data-status={status}>
      <Tag color={colors[status] ?? 'tide'}>{words(status)}</Tag>
    </span>
  )
}

/** What became of rows. Counters that are zero are left out. */
export interface Outcomes {
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly deleted?: number
  readonly reverted?: number
  readonly kept?: number
  readonly unprocessed?: number
}

const outcomeColors: readonly (readonly [keyof Outcomes, string, string])[] = [
  ['created', 'created', 'var(--portage-created)'],
  ['updated', 'updated', 'var(--portage-updated)'],
  ['deleted', 'deleted', 'var(--portage-other)'],
  ['reverted', 'reverted', 'var(--portage-other)'],
  ['kept', 'kept', 'var(--portage-unchanged)'],
  ['unchanged', 'unchanged', 'var(--portage-unchanged)'],
  ['skipped', 'skipped', 'var(--portage-skipped)'],
  ['failed', 'failed', 'var(--portage-failed)'],
]

/** Outcomes of rows side by side, to scale, with their numbers below. `total`: rows there are; what is left is empty. */
export function OutcomeBar(props: {
  readonly counts: Outcomes
  readonly total: number | null
  readonly label?: string
}) {
  const { counts, total, label = 'Outcome of the rows' } = props
  const parts = outcomeColors
    .map(([key, name, color]) => ({ name, color, value: counts[key] ?? 0 }))
    .filter(({ value }) => value > 0)
  const settled = parts.reduce((sum, { value }) => sum + value, 0)
  const rest = Math.max((total ?? settled) - settled, 0)
  const said = parts.map(({ name, value }) => `${count(value)} ${name}`).join(', ')
  return (
    <Stack gap={6}>
      <div className="outcome-bar" role="img" aria-label={`${label}: ${said === '' ? 'none yet' : said}`}>
        {parts.map(({ name, color, value }) => (
          <span key={name} style={{ flexGrow: value, flexBasis: 0, background: color }} />
        ))}
        {rest > 0 && <span style={{ flexGrow: rest, flexBasis: 0, minWidth: 0 }} />}
      </div>
      <Group gap="md" className="numbers">
        {parts.map(({ name, color, value }) => (
          <Text size="sm" key={name} component="span">
            <span className="dot" style={{ background: color }} aria-hidden />
            {count(value)} {name}
          </Text>
        ))}
        {parts.length === 0 && (
          <Text size="sm" c="dimmed">
            No row is settled yet.
          </Text>
        )}
      </Group>
    </Stack>
  )
}
