import { useQuery } from 'urql'
import { trouble } from '../../api/client.ts'
import { SettingsQuotasDocument } from '../../api/generated.ts'
import { Problem, Section } from '../../ui/parts.tsx'
import { Quotas } from '../../ui/quotas.tsx'
import { Waiting } from '../../ui/waiting.tsx'

/** What the tenant may use. */
export function QuotasTab() {
  const [result, again] = useQuery({ query: SettingsQuotasDocument })
  const problem = trouble(result)
  return (
    <Section
      title="Quotas"
      note="Set by whoever runs this service. Runs over a quota wait where waiting helps; they say when they may start."
    >
      {problem !== null && <Problem message={problem} again={() => again({ requestPolicy: 'network-only' })} />}
      {result.data === undefined && problem === null && <Waiting what="quotas" />}
      {result.data !== undefined && <Quotas quotas={result.data.quotas} />}
    </Section>
  )
}
