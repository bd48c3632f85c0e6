import { useQuery } from 'urql'
import { RecordTypeFieldsDocument } from '../api/generated.ts'
import type { RecordType } from './record-types.ts'

/** What people call the fields of a type. A reference is told by what names the other record, as in `organization.externalId`. */
export function useFieldLabels(recordType: RecordType): (name: string) => string {
  const [{ data }] = useQuery({ query: RecordTypeFieldsDocument, variables: { recordType } })
  const labels = new Map(data?.recordSchema.fields.map(({ name, label }) => [name, label]))
  return (name) => labels.get(name) ?? labels.get(name.split('.')[0] ?? name) ?? name
}
