/** The objects of a migration: how far each is, its fields, its rows, its issues, its passes. */
import { Button, Card, Group, Progress, Stack, Text } from '@mantine/core'
import { useQuery } from 'urql'
import { useSearchParams } from 'wouter'
import { ObjectsOfCrmDocument } from '../../api/generated.ts'
import { count, counted, words } from '../../ui/format.ts'
import { OutcomeBar, Section, Status, Tag, Time, To } from '../../ui/parts.tsx'
import { recordTypes } from '../../ui/record-types.ts'
import { isMoving } from '../../ui/run-words.ts'
import type { Migration } from '../migration.tsx'
import { RollBack } from '../run/rollback.tsx'
import { Fields } from './fields.tsx'
import { Rows } from './rows.tsx'

type ObjectOf = Migration['objects'][number]

/** Issues of so many kinds are shown before the rest is only counted. */
const GROUPS = 5

export function Objects({ migration, onChanged }: { readonly migration: Migration; readonly onChanged: () => void }) {
  // What is open stands in the address: `fields` or `rows` of an object.
  const [params, setParams] = useSearchParams()
  const show = (what: 'fields' | 'rows', object: string | null): void =>
    setParams(object === null ? {} : { [what]: object }, { replace: true })
  // Some objects have a number for a name. What they are called only the CRM knows, so it is asked where there is one.
  const [{ data }] = useQuery({
    query: ObjectsOfCrmDocument,
    variables: { integrationId: migration.integration.id },
    requestPolicy: 'cache-first',
    pause: migration.integration.status !== 'CONNECTED' || migration.objects.every(({ object }) => !/^\d/.test(object)),
  })
  const labels = new Map(
    (data?.integrationObjects ?? []).filter(({ name }) => /^\d/.test(name)).map(({ name, label }) => [name, label]),
  )
  return (
    <Section title="Objects" note="In the order in which they are imported: what others refer to comes first.">
      <Stack gap="md" component="ul" className="plain-list">
        {migration.objects.map((object) => (
          <Card key={object.object} withBorder padding="sm" component="li" data-object={object.object}>
            <One
              migration={migration}
              object={object}
              label={labels.get(object.object) ?? null}
              fields={params.get('fields') === object.object}
              rows={params.get('rows') === object.object}
              onShow={show}
              onChanged={onChanged}
            />
          </Card>
        ))}
      </Stack>
    </Section>
  )
}

function One(props: {
  readonly migration: Migration
  readonly object: ObjectOf
  /** What the CRM calls it; null where that is its name, or is not known. */
  readonly label: string | null
  readonly fields: boolean
  readonly rows: boolean
  readonly onShow: (what: 'fields' | 'rows', object: string | null) => void
  readonly onChanged: () => void
}) {
  const { migration, object, label, fields, rows, onShow, onChanged } = props
  const { stage, status } = migration
  const { object: name, recordType, expected, extracted, importRun, mapping, drift, passes, problems } = object
  const done = passes.filter((pass) => pass.status !== 'AWAITING_CONFIRMATION')
  const mapped = mapping.columns.filter(({ field }) => field !== null).length
  const mappable = status === 'AWAITING_MAPPING' || status === 'AWAITING_CONFIRMATION'
  const reviewing = stage === 'AWAITING_REVIEW'
  const planned = reviewing ? (importRun?.plan?.counts ?? null) : null
  const reading = stage === 'EXTRACTING'
  const moving = importRun !== null && isMoving(importRun.status)
  // Numbers of a pass in hand, and of the only one, are newest; of several the sum stands.
  const counts = planned ?? (importRun !== null && (moving || passes.length <= 1) ? importRun.counts : object.counts)
  const settled = counts.created + counts.updated + counts.unchanged + counts.skipped + counts.failed + counts.deleted
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-start">
        <Group gap="sm">
          <Text fw={600}>{label ?? name}</Text>
          {label !== null && <Text size="sm">{name}</Text>}
          <Text size="sm" c="dimmed">
            become {recordTypes[recordType].many}
          </Text>
          {importRun !== null &&
            (importRun.status !== 'AWAITING_CONFIRMATION' ? (
              <Status status={importRun.status} />
            ) : stage === 'PROMOTING' ? (
              // It was confirmed with the migration, and those before it are not done yet.
              <Tag color="gray">Waits for its turn</Tag>
            ) : null)}
          {mapping.conflicts.length > 0 && (
            <Tag color="orange">{counted(mapping.conflicts.length, 'open question')}</Tag>
          )}
        </Group>
        <Group gap="xs">
          {mapping.columns.length > 0 && (
            <Button
              size="xs"
              variant="default"
              aria-expanded={fields}
              onClick={() => onShow('fields', fields ? null : name)}
            >
              {mappable ? 'Match fields' : 'Fields'} ({count(mapped)})
            </Button>
          )}
          {importRun !== null && !moving && (reviewing || importRun.finishedAt !== null) && (
            <Button size="xs" variant="default" aria-expanded={rows} onClick={() => onShow('rows', rows ? null : name)}>
              Rows
            </Button>
          )}
        </Group>
      </Group>
      <Text size="sm" className="numbers" component="div">
        {expected === null ? 'Not looked at yet' : `${counted(expected, 'record')} there`}
        {extracted > 0 && `, ${count(extracted)} read`}
      </Text>
      {reading && expected !== null && expected > 0 && (
        <Progress
          value={Math.min((extracted / expected) * 100, 100)}
          aria-label={`Read of ${name}`}
          animated={extracted < expected}
        />
      )}
      {(settled > 0 || moving) && (
        <OutcomeBar
          counts={counts}
          total={counts.total}
          label={planned === null ? `Outcome of ${name}` : `What would become of ${name}`}
        />
      )}
      {[...mapping.conflicts, ...drift].map(({ code, field, columns, message }) => (
        <Text size="sm" key={`${code} ${field} ${columns.join()}`}>
          {message}
        </Text>
      ))}
      {problems.map(({ code, count: times, message }) => (
        <Text size="sm" c="dimmed" key={code}>
          {count(times)} × {message}
        </Text>
      ))}
      {importRun !== null && importRun.issueGroups.length > 0 && (
        <Stack gap={2} component="ul" className="plain-list" aria-label={`Issues of ${name}`}>
          {importRun.issueGroups.slice(0, GROUPS).map((group) => (
            <Text size="sm" component="li" key={`${group.code} ${group.column} ${group.field}`}>
              <span className="numbers">{count(group.count)}</span> × {words(group.code)}
              {group.column === null ? '' : ` (${group.column})`}
              {group.code === 'POSSIBLE_DUPLICATE' ? (
                <>
                  : records here look like them. <To href="/console/duplicates">Compare them</To>
                </>
              ) : (
                `: ${group.message} ${group.suggestion ?? ''}`
              )}
            </Text>
          ))}
          {importRun.issueGroups.length > GROUPS && (
            <Text size="sm" component="li">
              and {counted(importRun.issueGroups.length - GROUPS, 'more kind')}.
            </Text>
          )}
        </Stack>
      )}
      {done.length > 0 && (
        <Stack gap={4} component="ul" className="plain-list" aria-label={`Passes of ${name}`}>
          {done.map((pass, index) => (
            <Group key={pass.id} component="li" gap="sm">
              <Text size="sm" component="span">
                <To href={`/console/runs/${pass.id}`}>{index === 0 ? 'First import' : `Changes, pass ${index + 1}`}</To>
                , <Time at={pass.createdAt} />
                {`: ${counted(pass.counts.total ?? pass.counts.read, 'row')}, ${words(pass.status).toLowerCase()}`}
              </Text>
              {pass.availableActions.includes('ROLL_BACK') && (
                <RollBack runId={pass.id} name={`this import of ${name}`} size="xs" />
              )}
            </Group>
          ))}
        </Stack>
      )}
      {fields && <Fields migration={migration} object={object} editable={mappable} onSaved={onChanged} />}
      {rows && importRun !== null && (reviewing || importRun.finishedAt !== null) && (
        <Rows key={importRun.id} runId={importRun.id} planned={reviewing} recordType={recordType} counts={counts} />
      )}
    </Stack>
  )
}
