import type { ReactNode } from 'react'
import { Empty, GoButton, Page } from './parts.tsx'
import { type Permission, permissionWords } from './permission-words.ts'
import { useMay } from './viewer.tsx'

/** What only some may see: for the others, what it takes. `title`: of the page in their place. */
export function Allowed(props: {
  readonly needs: readonly Permission[]
  readonly title: string
  readonly children: ReactNode
}) {
  const { needs, title, children } = props
  const may = useMay()
  if (needs.some(may)) {
    return <>{children}</>
  }
  return (
    <Page title={title}>
      <Empty title="This is not for your sign-in" action={<GoButton href="/">Go home</GoButton>}>
        It takes {needs.length === 1 ? 'the permission' : 'one of these permissions'}:{' '}
        {needs.map((each) => permissionWords[each].toLowerCase()).join(', ')}. Whoever manages the settings of your CRM
        can give it to you.
      </Empty>
    </Page>
  )
}
