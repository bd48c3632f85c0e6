import { Empty, GoButton, Page } from './parts.tsx'

/** There is no such page. */
export function NotFound() {
  return (
    <Page title="No such page">
      <Empty title="Nothing is at this address" action={<GoButton href="/">Go home</GoButton>}>
        The link may be old or cut off. Runs are found under Runs, records under Records.
      </Empty>
    </Page>
  )
}
