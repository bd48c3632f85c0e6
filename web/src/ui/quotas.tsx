/** What a tenant may use, and how much of it is used. */
import { Group, Progress, Stack, Text } from '@mantine/core'
import type { HomeQuery } from '../api/generated.ts'
import { bytes, count } from './format.ts'
import { Time } from './parts.tsx'

const names: Readonly<Record<string, string>> = {
  uploadBytesPerDay: 'Uploads today',
  rowsPerDay: 'Rows imported today',
  runningRuns: 'Runs at once',
  queuedRuns: 'Runs in the queue',
  storageBytes: 'Files kept',
  crmCallsPerDay: 'Calls to CRMs today',
}

/** A quota as large as this is none (`QuotaUsage.limit`). */
const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** The part of a quota that is worth a warning. */
const NEARLY = 0.8

export function Quotas({ quotas }: { readonly quotas: HomeQuery['quotas'] }) {
  return (
    <Stack gap="sm">
      {quotas.map(({ name, unit, used, limit, resetsAt }) => {
        const show = unit === 'bytes' ? bytes : count
        const label = names[name] ?? name
        return (
          <div key={name}>
            <Group justify="space-between" gap="xs">
              <Text size="sm">{label}</Text>
              <Text size="sm" className="numbers" c="dimmed">
                {limit >= NO_LIMIT ? `${show(used)}, no limit` : `${show(used)} of ${show(limit)}`}
              </Text>
            </Group>
            {limit < NO_LIMIT && (
              <Progress
                size="sm"
                value={limit === 0 ? 100 : Math.min((used / limit) * 100, 100)}
                color={used >= limit ? 'red' : used >= limit * NEARLY ? 'yellow' : 'tide'}
                aria-label={label}
              />
            )}
            {resetsAt !== null && used > 0 && (
              <Text size="xs" c="dimmed">
                Begins anew <Time at={resetsAt} />
              </Text>
            )}
          </div>
        )
      })}
    </Stack>
  )
}
