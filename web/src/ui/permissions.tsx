/** Permissions to be chosen. */
import { Checkbox, SimpleGrid } from '@mantine/core'
import { type Permission, permissionWords } from './permission-words.ts'

/** All permissions, in the order of their words. */
export const allPermissions = Object.keys(permissionWords) as Permission[]

export function ChoosePermissions(props: {
  readonly label: string
  readonly description?: string
  readonly offered: readonly Permission[]
  readonly value: readonly Permission[]
  readonly onChange: (value: Permission[]) => void
  readonly disabled?: boolean
}) {
  const { label, description, offered, value, onChange, disabled = false } = props
  return (
    <Checkbox.Group
      label={label}
      description={description}
      value={[...value]}
      onChange={(chosen) => onChange(chosen as Permission[])}
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xs" mt="xs">
        {allPermissions
          .filter((each) => offered.includes(each))
          .map((each) => (
            <Checkbox key={each} value={each} label={permissionWords[each]} disabled={disabled} />
          ))}
      </SimpleGrid>
    </Checkbox.Group>
  )
}
