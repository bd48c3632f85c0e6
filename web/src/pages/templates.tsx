/** What is kept for files that come again, and the fields of the record types, the tenant's own among them. */
import { Stack, Tabs } from '@mantine/core'
import type { ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { Page, To } from '../ui/parts.tsx'
import type { Permission } from '../ui/permission-words.ts'
import { useMay } from '../ui/viewer.tsx'
import { Templates as ExportTemplates } from './exports.tsx'
import { FieldsTab } from './templates/fields.tsx'
import { Mappings } from './templates/mappings.tsx'

const tabs: readonly {
  readonly value: string
  readonly label: string
  readonly needs: readonly Permission[]
  readonly content: ReactNode
}[] = [
  { value: 'mappings', label: 'Mappings', needs: ['IMPORT_RUN', 'MAPPING_MANAGE'], content: <Mappings /> },
  {
    value: 'exports',
    label: 'Exports',
    needs: ['EXPORT_RUN'],
    content: (
      <ExportTemplates
        empty={
          <>
            None yet. Put an <To href="/console/exports">export</To> together and keep it: it can then run every
            morning, too.
          </>
        }
      />
    ),
  },
  { value: 'fields', label: 'Fields', needs: [], content: <FieldsTab /> },
]

export default function Templates() {
  const may = useMay()
  const [params, setParams] = useSearchParams()
  const offered = tabs.filter(({ needs }) => needs.length === 0 || needs.some(may))
  const open = offered.find(({ value }) => value === params.get('tab')) ?? offered[0]
  return (
    <Page
      title="Templates and fields"
      lead="Mappings and exports that are kept for next time, and the fields that records have."
    >
      <Tabs
        value={open?.value ?? null}
        onChange={(value) => setParams(value === null ? {} : { tab: value }, { replace: true })}
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
        {offered.map(({ value, content }) => (
          <Tabs.Panel key={value} value={value}>
            <Stack gap="lg">{content}</Stack>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Page>
  )
}
