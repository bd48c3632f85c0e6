import { Alert, Button, Code, CopyButton, Group, Stack, Text } from '@mantine/core'

/** A secret that is shown once. */
export function Secret(props: { readonly title: string; readonly secret: string; readonly onClose: () => void }) {
  const { title, secret, onClose } = props
  return (
    <Alert color="tide" variant="outline" title={title} role="alert">
      <Stack gap="sm">
        <Text size="sm">This is the only time that it is shown. Keep it where secrets are kept.</Text>
        <Code block data-secret>
          {secret}
        </Code>
        <Group>
          <CopyButton value={secret}>
            {({ copied, copy }) => (
              <Button size="xs" onClick={copy}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
          <Button size="xs" variant="default" onClick={onClose}>
            I have kept it
          </Button>
        </Group>
      </Stack>
    </Alert>
  )
}
