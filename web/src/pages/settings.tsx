/** What a tenant has settled: keys, webhooks, messages, members, rules and quotas. */
import { Tabs } from '@mantine/core'
import { type ReactNode, Suspense } from 'react'
import { useLocation } from 'wouter'
import { Page } from '../ui/parts.tsx'
import type { Permission } from '../ui/permission-words.ts'
import { useMay } from '../ui/viewer.tsx'
import { Waiting } from '../ui/waiting.tsx'
import { Keys } from './settings/keys.tsx'
import { Members } from './settings/members.tsx'
import { Notifications } from './settings/notifications.tsx'
import { QuotasTab } from './settings/quotas.tsx'
import { Rules } from './settings/rules.tsx'
import { Webhooks } from './settings/webhooks.tsx'

interface Tab {
  readonly value: string
  readonly label: string
  readonly needs: readonly Permission[]
  readonly content: ReactNode
}

const tabs: readonly Tab[] = [
  { value: 'notifications', label: 'Notifications', needs: [], content: <Notifications /> },
  { value: 'members', label: 'Members', needs: ['SETTINGS_MANAGE', 'RECORD_READ'], content: <Members /> },
  { value: 'keys', label: 'API keys', needs: ['SETTINGS_MANAGE'], content: <Keys /> },
  { value: 'webhooks', label: 'Webhooks', needs: ['SETTINGS_MANAGE'], content: <Webhooks /> },
  { value: 'rules', label: 'Business rules', needs: ['MAPPING_MANAGE', 'IMPORT_RUN'], content: <Rules /> },
  { value: 'quotas', label: 'Quotas', needs: [], content: <QuotasTab /> },
]

export default function Settings({ tab = 'notifications' }: { readonly tab?: string }) {
  const may = useMay()
  const [, go] = useLocation()
  const offered = tabs.filter(({ needs }) => needs.length === 0 || needs.some(may))
  const open = offered.find(({ value }) => value === tab) ?? offered[0]
  return (
    <Page title="Settings" lead="Of this tenant, for everybody in it, but for your own notifications.">
      <Tabs
        value={open?.value ?? null}
        onChange={(value) => go(`/console/settings/${value ?? ''}`)}
        keepMounted={false}
        activateTabWithKeyboard={false}
      >
        <Tabs.List mb="lg">
          {offered.map(({ value, label }) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {offered.map(({ value, label, content }) => (
          <Tabs.Panel key={value} value={value}>
            <Suspense fallback={<Waiting what={label} />}>{content}</Suspense>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Page>
  )
}
